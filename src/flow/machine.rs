//! Every transition there is. The table in `transitions.md` is what this file does, row by row.
//!
//! Two small machines that know nothing of each other, a login and a session, are projected onto the
//! four public states. Events come in by [`Machine::step`], and nothing else changes anything.

use std::time::Duration;

use crate::error::{Cause, Failure, Misuse, Phase};
use crate::flow::action::{Action, Verdict};
use crate::flow::event::{Event, Rest, TokenSerial, TokenSet};
use crate::flow::notice::Notice;
use crate::flow::outbox::Outbox;
use crate::flow::tokens::{Tokens, expiry};
use crate::flow::{Activity, State};
use crate::provider::client::Client;
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::wire::callback::{
    self, Answer, AuthorizationCode, CallbackUrl, IgnoredCallback, IgnoredReason,
};
use crate::wire::http::{HttpResponse, RequestId, TransportError};
use crate::wire::pkce::LoginSecrets;
use crate::wire::redirect::RedirectUri;
use crate::wire::token_request::Grant;
use crate::wire::token_response::{self, TokenResponse};

type HttpResult = Result<HttpResponse, TransportError>;

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Machine {
    /// In boxes: a server has a million that wait for one of them.
    pub(crate) login: Option<Box<Login>>,
    pub(crate) session: Option<Box<Session>>,
    /// Counts requests; in the snapshot, so that ids never repeat.
    pub(crate) requests: u64,
    /// Counts token sets; survives a log-out, so that serials never repeat.
    pub(crate) serials: u64,
    pub(crate) now: Option<Timestamp>,
}

/// A person on their way through the browser.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Login {
    pub(crate) secrets: LoginSecrets,
    pub(crate) redirect_uri: RedirectUri,
    pub(crate) deadline: Timestamp,
    pub(crate) exchange: Option<Exchange>,
}

/// A code on its way to the token endpoint.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Exchange {
    id: RequestId,
    sent_at: Timestamp,
    /// Kept so that a server that echoes it does not get it shown.
    code: Secret,
}

/// A person who is logged in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Session {
    pub(crate) tokens: Tokens,
    pub(crate) refresh: Refresh,
    /// Once set, time does not take it back.
    pub(crate) expired: bool,
    /// Consecutive refreshes that failed or brought a token that was due again at once.
    pub(crate) setbacks: u32,
    /// Requests given up on whose late success would still count (row 12).
    late: Vec<Sent>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Refresh {
    Idle,
    InFlight {
        sent: Sent,
        deadline: Timestamp,
    },
    Backoff {
        until: Timestamp,
        wait: Duration,
    },
    /// Only `Event::Refresh` tries again.
    Parked,
    /// The server refused the refresh token: kept, but not tried again.
    Rejected,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sent {
    id: RequestId,
    at: Timestamp,
}

const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// However long a server asks to be left alone: a slip of its, or of a proxy's, must not be the end of a
/// session for years. The wait that was asked for is reported in full, and [`Event::Refresh`] overrides
/// either.
pub(crate) const LONGEST_ASKED: Duration = Duration::from_secs(24 * 60 * 60);

/// How many requests given up on are remembered. Each has waited a whole timeout and a backoff, so
/// no server answers later than this.
const LATE_KEPT: usize = 16;

impl Machine {
    #[cfg(feature = "testing")]
    pub(crate) fn in_flight(&self) -> impl Iterator<Item = RequestId> {
        let login = self
            .login
            .as_ref()
            .and_then(|login| login.exchange.as_ref());
        let refresh = match self.session.as_ref().map(|session| &session.refresh) {
            Some(Refresh::InFlight { sent, .. }) => Some(sent.id),
            _ => None,
        };
        login.map(|exchange| exchange.id).into_iter().chain(refresh)
    }

    pub(crate) fn state(&self) -> State {
        match (&self.login, &self.session) {
            (Some(_), _) => State::AwaitingCode,
            (None, None) => State::Unauthorized,
            (None, Some(session)) if session.expired => State::Expired,
            (None, Some(_)) => State::Authorized,
        }
    }

    pub(crate) fn activity(&self) -> Activity {
        if self
            .login
            .as_ref()
            .is_some_and(|login| login.exchange.is_some())
        {
            return Activity::Exchanging;
        }
        match self.session.as_ref().map(|session| &session.refresh) {
            Some(Refresh::InFlight { .. }) => Activity::Refreshing,
            Some(&Refresh::Backoff { until, .. }) => Activity::Backoff { until },
            _ => Activity::Idle,
        }
    }

    pub(crate) fn deadline(&self, client: &Client) -> Option<Timestamp> {
        let login = self.login.as_ref().map(|login| login.deadline);
        let session = self
            .session
            .as_ref()
            .and_then(|session| session.deadline(client, self.now));
        let next = [login, session].into_iter().flatten().min();
        // Never in the past, so that a wait computed from it is never negative.
        next.max(next.and(self.now))
    }

    /// The one way in. `Err` means that nothing has changed.
    pub(crate) fn step(
        &mut self,
        client: &Client,
        event: Event,
        now: Timestamp,
        out: &mut Outbox,
    ) -> Result<(), Misuse> {
        self.refuse(client, &event)?;
        match event {
            // These replace what the clock would speak of, so they go first.
            Event::LogOut => {
                self.log_out(out);
                self.clock(client, now, out);
            }
            Event::AdoptTokens(tokens) => {
                self.adopt(client, tokens, now, out);
                self.clock(client, now, out);
            }
            event => {
                self.clock(client, now, out);
                match event {
                    Event::BeginLogin {
                        secrets,
                        redirect_uri,
                    } => self.begin_login(client, secrets, redirect_uri, now, out),
                    Event::Callback { url } => self.callback(client, &url, now, out),
                    Event::CancelLogin => self.fail_login(Cause::Cancelled, out),
                    Event::Response { id, result } => self.response(client, id, result, now, out),
                    Event::Refresh => self.refresh(client, now, out),
                    Event::TokenRejected { serial } => {
                        self.token_rejected(client, serial, now, out)
                    }
                    Event::Tick | Event::AdoptTokens(_) | Event::LogOut => {}
                }
            }
        }
        Ok(())
    }

    /// The `✗` cells of the table. Decided before the clock moves.
    fn refuse(&self, client: &Client, event: &Event) -> Result<(), Misuse> {
        let refresh = self.session.as_ref().map(|session| &session.refresh);
        match event {
            Event::BeginLogin { .. } if self.login.is_some() => Err(Misuse::LoginInProgress),
            Event::BeginLogin { redirect_uri, .. }
                if !client.provider.redirects.allow(redirect_uri) =>
            {
                Err(Misuse::RedirectUriNotAllowed)
            }
            Event::CancelLogin if self.login.is_none() => Err(Misuse::NoLogin),
            Event::Refresh => match &self.session {
                None => Err(Misuse::NoSession),
                Some(session) if !session.can_refresh() => Err(Misuse::NoRefreshToken),
                Some(_) => Ok(()),
            },
            Event::AdoptTokens(set) if !set.is_sound() => Err(Misuse::InvalidToken),
            Event::AdoptTokens(_) if matches!(refresh, Some(Refresh::InFlight { .. })) => {
                Err(Misuse::RefreshInFlight)
            }
            _ => Ok(()),
        }
    }

    // Rows 19 to 25: time passes.

    fn clock(&mut self, client: &Client, now: Timestamp, out: &mut Outbox) {
        if self.now.is_some_and(|before| now < before) {
            self.clock_went_back(client, now, out);
        }
        self.now = Some(now);
        if self
            .login
            .as_ref()
            .is_some_and(|login| now >= login.deadline)
        {
            self.fail_login(Cause::TimedOut, out);
        }
        if let Some(session) = &mut self.session {
            session.give_up_waiting(now, out);
            session.expire(now, out);
        }
        self.refresh_if_due(client, now, out);
    }

    /// Row 24. No wait may grow longer than it was meant to be, no request was sent later than now,
    /// and a token from the future is not believed: its expiry can no longer be told.
    fn clock_went_back(&mut self, client: &Client, now: Timestamp, out: &mut Outbox) {
        if let Some(login) = &mut self.login {
            let mut full = client.login_timeout;
            if let Some(exchange) = &mut login.exchange {
                full = client.request_timeout;
                exchange.sent_at = exchange.sent_at.min(now);
            }
            login.deadline = login.deadline.min(now.saturating_add(full));
        }
        let Some(session) = &mut self.session else {
            return;
        };
        for late in &mut session.late {
            late.at = late.at.min(now);
        }
        match &mut session.refresh {
            Refresh::InFlight { sent, deadline } => {
                sent.at = sent.at.min(now);
                *deadline = (*deadline).min(now.saturating_add(client.request_timeout));
            }
            Refresh::Backoff { until, wait } => *until = (*until).min(now.saturating_add(*wait)),
            Refresh::Idle | Refresh::Parked | Refresh::Rejected => {}
        }
        if !session.tokens.are_believable(client, now) {
            session.set_expired(out);
        }
    }

    /// Row 20.
    fn refresh_if_due(&mut self, client: &Client, now: Timestamp, out: &mut Outbox) {
        let due = self
            .session
            .as_ref()
            .and_then(|session| session.refresh_due(client));
        if due.is_some_and(|due| now >= due && now < Timestamp::END) {
            self.send_refresh(client, now, out);
        }
    }

    // Row 1.

    fn begin_login(
        &mut self,
        client: &Client,
        secrets: LoginSecrets,
        redirect_uri: RedirectUri,
        now: Timestamp,
        out: &mut Outbox,
    ) {
        let url = client.authorization_url(&secrets, &redirect_uri);
        out.push(Action::Persist);
        out.push(Action::OpenUrl(url));
        self.login = Some(Box::new(Login {
            secrets,
            redirect_uri,
            deadline: now.saturating_add(client.login_timeout),
            exchange: None,
        }));
    }

    // Rows 2 to 4.

    /// What a callback is to the login that waits, if any does.
    pub(crate) fn judge(
        &self,
        client: &Client,
        url: &CallbackUrl,
    ) -> Result<Answer, IgnoredCallback> {
        match &self.login {
            None => Err(IgnoredReason::NoLogin.into()),
            Some(login) if login.exchange.is_some() => Err(IgnoredReason::Duplicate.into()),
            Some(login) => callback::validate(
                url,
                &callback::Expected {
                    redirect_uri: &login.redirect_uri,
                    state: &login.secrets.state,
                    issuer: client.provider.issuer.as_deref(),
                    iss_required: client.provider.iss_required,
                },
            ),
        }
    }

    fn callback(&mut self, client: &Client, url: &CallbackUrl, now: Timestamp, out: &mut Outbox) {
        match self.judge(client, url) {
            Ok(Answer::Code(code)) => {
                out.push(Action::AnswerCallback(Verdict::Accepted));
                self.send_exchange(client, code, now, out);
            }
            Ok(Answer::Error(error)) => {
                out.push(Action::AnswerCallback(Verdict::Denied));
                self.fail_login(Cause::Denied(error), out);
            }
            Err(ignored) => {
                out.push(Action::AnswerCallback(Verdict::NotOurs));
                out.push(Action::Notify(Notice::CallbackIgnored(ignored)));
            }
        }
    }

    fn send_exchange(
        &mut self,
        client: &Client,
        code: AuthorizationCode,
        now: Timestamp,
        out: &mut Outbox,
    ) {
        let Some(login) = &mut self.login else { return };
        let grant = Grant::AuthorizationCode {
            code: &code,
            redirect_uri: &login.redirect_uri,
            verifier: client.verifier(&login.secrets.verifier),
        };
        self.requests += 1;
        let id = RequestId(self.requests);
        login.deadline = now.saturating_add(client.request_timeout);
        let request = client.token_request(id, &grant, login.deadline);
        out.push(Action::Send(request));
        login.exchange = Some(Exchange {
            id,
            sent_at: now,
            code: code.into_secret(),
        });
    }

    /// Ends a login without tokens (rows 3, 5, 7 and 19).
    fn fail_login(&mut self, cause: Cause, out: &mut Outbox) {
        let Some(login) = self.login.take() else {
            return;
        };
        out.withdraw_url();
        let phase = match &login.exchange {
            None => Phase::Authorization,
            Some(exchange) => {
                out.withdraw_request(exchange.id);
                Phase::Exchange
            }
        };
        out.push(Action::Persist);
        let failure = Box::new(Failure::new(phase, cause));
        out.push(Action::Notify(Notice::LoginFailed(failure)));
    }

    // Rows 6 to 13.

    fn response(
        &mut self,
        client: &Client,
        id: RequestId,
        result: HttpResult,
        now: Timestamp,
        out: &mut Outbox,
    ) {
        let exchange = self
            .login
            .as_ref()
            .and_then(|login| login.exchange.as_ref());
        if exchange.is_some_and(|exchange| exchange.id == id) {
            return self.exchange_response(client, result, now, out);
        }
        let Some(session) = &mut self.session else {
            return out.push(Action::Notify(Notice::StaleResponse(id)));
        };
        match session.refresh {
            Refresh::InFlight { sent, .. } if sent.id == id => {
                match session.read(client, result, now) {
                    Ok(tokens) => self.refreshed(client, tokens, sent, now, out),
                    Err(cause) => session.refresh_failed(cause, now, out),
                }
            }
            _ => {
                let given_up = session.late.iter().position(|sent| sent.id == id);
                let sent = given_up.map(|at| session.late.remove(at));
                match sent.map(|sent| (sent, session.read(client, result, now))) {
                    Some((sent, Ok(tokens))) => self.refreshed(client, tokens, sent, now, out),
                    _ => out.push(Action::Notify(Notice::StaleResponse(id))),
                }
            }
        }
    }

    /// Rows 6 and 7.
    fn exchange_response(
        &mut self,
        client: &Client,
        result: HttpResult,
        now: Timestamp,
        out: &mut Outbox,
    ) {
        let Some((login, exchange)) = self
            .login
            .as_ref()
            .and_then(|login| Some((login, login.exchange.as_ref()?)))
        else {
            return;
        };
        let secrets = || {
            let own = &login.secrets;
            let sent = [&exchange.code, &own.verifier, &own.state];
            let known = self.session.iter().flat_map(|session| session.known());
            sent.into_iter().chain(known).cloned().collect()
        };
        let response = match read(client, result, secrets, now) {
            Ok(response) => response,
            Err(cause) => return self.fail_login(cause, out),
        };
        let sent_at = exchange.sent_at;
        let refresh_token_expires_at = response
            .refresh_token_lifetime
            .map(Duration::from_secs)
            .or(client.provider.refresh_token_lifetime)
            .map(|lifetime| sent_at.saturating_add(lifetime));
        self.serials += 1;
        let tokens = Tokens {
            serial: TokenSerial(self.serials),
            expires_at: expiry(response.lifetime, sent_at, response.refresh_token.is_some()),
            access_token: response.access_token,
            token_type: response.token_type,
            refresh_token: response.refresh_token,
            scopes: response.scopes.unwrap_or_else(|| client.scopes.clone()),
            extra: response.extra,
            obtained_at: sent_at,
            authorized_at: Some(sent_at),
            refresh_token_expires_at,
        };
        self.login = None;
        out.withdraw_url();
        self.retire_refresh(out);
        self.session = Some(Box::new(Session::new(tokens)));
        self.settle(client, now);
        out.push(Action::Persist);
        out.push(Action::Notify(Notice::LoggedIn));
    }

    /// Rows 8 and 12. What the server leaves out stays as it was.
    fn refreshed(
        &mut self,
        client: &Client,
        response: TokenResponse,
        sent: Sent,
        now: Timestamp,
        out: &mut Outbox,
    ) {
        self.retire_refresh(out);
        let Some(session) = &mut self.session else {
            return;
        };
        let old = &mut session.tokens;
        self.serials += 1;
        old.serial = TokenSerial(self.serials);
        old.access_token = response.access_token;
        old.token_type = response.token_type;
        if let Some(refresh_token) = response.refresh_token {
            old.refresh_token = Some(refresh_token);
        }
        if let Some(scopes) = response.scopes {
            old.scopes = scopes;
        }
        if let Some(lifetime) = response.refresh_token_lifetime {
            let end = sent.at.saturating_add(Duration::from_secs(lifetime));
            old.refresh_token_expires_at = Some(end);
        }
        old.extra = response.extra;
        old.obtained_at = sent.at;
        old.expires_at = expiry(response.lifetime, sent.at, old.refresh_token.is_some());
        session.expired = false;
        session.refresh = Refresh::Idle;
        session.late.clear();
        self.settle(client, now);
        out.push(Action::Persist);
        out.push(Action::Notify(Notice::Refreshed));
    }

    /// Fresh tokens may have ended or be due again at once, by a slow answer or a server whose tokens
    /// live for a second or none. Then the next automatic refresh waits as after a failure, so that
    /// no server can cause a storm.
    fn settle(&mut self, client: &Client, now: Timestamp) {
        let Some(session) = &mut self.session else {
            return;
        };
        session.expired = session.tokens.have_ended(now);
        match session.refresh_due(client) {
            Some(due) if due <= now.saturating_add(FIRST_BACKOFF) => session.back_off(None, now),
            _ => session.setbacks = 0,
        }
    }

    /// A refresh in flight will find nobody waiting; one that is still queued is not sent.
    fn retire_refresh(&mut self, out: &mut Outbox) {
        if let Some(session) = &self.session
            && let Refresh::InFlight { sent, .. } = session.refresh
        {
            out.withdraw_request(sent.id);
        }
    }

    // Row 14.

    fn refresh(&mut self, client: &Client, now: Timestamp, out: &mut Outbox) {
        let waits = |session: &Session| {
            session.can_refresh() && !matches!(session.refresh, Refresh::InFlight { .. })
        };
        if self.session.as_deref().is_some_and(waits) {
            self.send_refresh(client, now, out);
        }
    }

    fn send_refresh(&mut self, client: &Client, now: Timestamp, out: &mut Outbox) {
        let Some(session) = &mut self.session else {
            return;
        };
        let Some(token) = &session.tokens.refresh_token else {
            return;
        };
        self.requests += 1;
        let id = RequestId(self.requests);
        let deadline = now.saturating_add(client.request_timeout);
        let grant = Grant::RefreshToken(token);
        out.push(Action::Send(client.token_request(id, &grant, deadline)));
        session.refresh = Refresh::InFlight {
            sent: Sent { id, at: now },
            deadline,
        };
    }

    // Rows 15 and 16.

    fn token_rejected(
        &mut self,
        client: &Client,
        serial: TokenSerial,
        now: Timestamp,
        out: &mut Outbox,
    ) {
        match &mut self.session {
            Some(session) if session.tokens.serial == serial => {
                session.set_expired(out);
                self.refresh_if_due(client, now, out);
            }
            _ => out.push(Action::Notify(Notice::StaleRejection(serial))),
        }
    }

    // Row 17.

    fn adopt(&mut self, client: &Client, set: TokenSet, now: Timestamp, out: &mut Outbox) {
        self.serials += 1;
        let known_scopes = self.session.as_ref().map(|session| &session.tokens.scopes);
        let scopes = set
            .scopes
            .unwrap_or_else(|| known_scopes.unwrap_or(&client.scopes).clone());
        let lifetime = client.provider.refresh_token_lifetime;
        let refresh_token_expires_at = set
            .authorized_at
            .zip(lifetime)
            .map(|(at, lifetime)| at.saturating_add(lifetime));
        let rest = set.rest.map(|rest| *rest);
        let has_ended = rest.as_ref().is_some_and(|rest| rest.expired);
        let is_rejected = rest
            .as_ref()
            .is_some_and(|rest| rest.refresh_token_rejected);
        let rest = rest.unwrap_or_else(|| Rest::unknown(now, refresh_token_expires_at));
        let mut session = Session::new(Tokens {
            serial: TokenSerial(self.serials),
            access_token: set.access_token,
            token_type: rest.token_type,
            refresh_token: set.refresh_token,
            scopes,
            extra: rest.extra,
            obtained_at: rest.obtained_at,
            expires_at: set.expires_at,
            authorized_at: set.authorized_at,
            refresh_token_expires_at: rest.refresh_token_expires_at,
        });
        session.expired = has_ended;
        if is_rejected {
            session.refresh = Refresh::Rejected;
        }
        self.session = Some(Box::new(session));
        out.push(Action::Persist);
    }

    // Row 18.

    fn log_out(&mut self, out: &mut Outbox) {
        self.retire_refresh(out);
        if let Some(login) = self.login.take() {
            out.withdraw_url();
            if let Some(exchange) = &login.exchange {
                out.withdraw_request(exchange.id);
            }
        }
        self.session = None;
        out.push(Action::Persist);
        out.push(Action::Notify(Notice::SessionEnded));
    }
}

impl Session {
    pub(crate) fn new(tokens: Tokens) -> Self {
        Self {
            tokens,
            refresh: Refresh::Idle,
            expired: false,
            setbacks: 0,
            late: Vec::new(),
        }
    }

    pub(crate) fn can_refresh(&self) -> bool {
        self.tokens.refresh_token.is_some() && self.refresh != Refresh::Rejected
    }

    #[allow(dead_code, reason = "for the session, which is not always built")]
    pub(crate) fn is_refreshing(&self, id: RequestId) -> bool {
        matches!(self.refresh, Refresh::InFlight { sent, .. } if sent.id == id)
    }

    fn deadline(&self, client: &Client, now: Option<Timestamp>) -> Option<Timestamp> {
        let is_ever = |due: &Timestamp| now.max(Some(*due)) < Some(Timestamp::END);
        let expiry = self.tokens.expires_at.filter(|_| !self.expired);
        let refresh = match self.refresh {
            Refresh::InFlight { deadline, .. } => Some(deadline),
            _ => self.refresh_due(client).filter(is_ever),
        };
        [expiry, refresh].into_iter().flatten().min()
    }

    /// When the machine refreshes by itself.
    fn refresh_due(&self, client: &Client) -> Option<Timestamp> {
        match self.refresh {
            Refresh::Backoff { until, .. } => Some(until),
            Refresh::Idle if client.auto_refresh && self.can_refresh() => {
                if self.expired {
                    Some(Timestamp::from_millis(0)) // at once
                } else {
                    self.tokens.refresh_at(client)
                }
            }
            _ => None,
        }
    }

    /// Row 22.
    fn give_up_waiting(&mut self, now: Timestamp, out: &mut Outbox) {
        if let Refresh::InFlight { sent, deadline } = self.refresh
            && now >= deadline
        {
            out.withdraw_request(sent.id);
            if self.late.len() == LATE_KEPT {
                self.late.remove(0);
            }
            self.late.push(sent);
            self.refresh_failed(Cause::TimedOut, now, out);
        }
    }

    /// Row 21.
    fn expire(&mut self, now: Timestamp, out: &mut Outbox) {
        if self.tokens.have_ended(now) {
            self.set_expired(out);
        }
    }

    fn set_expired(&mut self, out: &mut Outbox) {
        if !self.expired {
            self.expired = true;
            out.push(Action::Notify(Notice::Expired));
        }
    }

    fn read(
        &self,
        client: &Client,
        result: HttpResult,
        now: Timestamp,
    ) -> Result<TokenResponse, Cause> {
        let secrets = || {
            let extra = &self.tokens.extra;
            let others = extra.names().filter(|name| name.ends_with("token"));
            let others = others.filter_map(|name| extra.get::<String>(name));
            let known = self.known().cloned();
            known.chain(others.map(Secret::from)).collect()
        };
        read(client, result, secrets, now)
    }

    /// What the server has given it, and should not show to anybody.
    fn known(&self) -> impl Iterator<Item = &Secret> {
        let tokens = &self.tokens;
        [&tokens.access_token]
            .into_iter()
            .chain(&tokens.refresh_token)
    }

    /// Rows 9, 10, 11 and 22. The refresh token is kept in every case.
    fn refresh_failed(&mut self, cause: Cause, now: Timestamp, out: &mut Outbox) {
        let failure = Box::new(Failure::new(Phase::Refresh, cause));
        let code = failure.oauth_error().map(|error| error.code.as_str());
        let mut retry_at = None;
        if failure.is_transient() {
            self.back_off(failure.retry_after(), now);
            if let Refresh::Backoff { until, .. } = self.refresh {
                retry_at = Some(until);
            }
        } else if code == Some("invalid_grant") {
            self.refresh = Refresh::Rejected;
            out.push(Action::Persist);
        } else {
            self.refresh = Refresh::Parked;
        }
        out.push(Action::Notify(Notice::RefreshFailed { failure, retry_at }));
    }

    /// 1 s, 2 s, 4 s … 60 s, or what the server asked for if that is longer: a day at most.
    fn back_off(&mut self, asked: Option<Duration>, now: Timestamp) {
        let own = (FIRST_BACKOFF * (1 << self.setbacks.min(6))).min(LONGEST_BACKOFF);
        let wait = asked.unwrap_or_default().min(LONGEST_ASKED).max(own);
        self.setbacks = self.setbacks.saturating_add(1);
        self.refresh = Refresh::Backoff {
            until: now.saturating_add(wait),
            wait,
        };
    }
}

/// Reads a reply. The `secrets` are what the request carried, and the session's tokens: none is shown, should
/// the server echo it.
pub(crate) fn read(
    client: &Client,
    result: HttpResult,
    secrets: impl FnOnce() -> Vec<Secret>,
    now: Timestamp,
) -> Result<TokenResponse, Cause> {
    let response = result.map_err(Cause::Transport)?;
    let tokens = token_response::decode(&response, &client.provider.repairs, now);
    tokens.map_err(|refusal| {
        let secrets = secrets();
        let basic = client.credentials.basic();
        let parameters = client.token_params.iter().map(|(_, value)| value);
        let parameters = parameters.filter(|value| may_be_secret(value));
        let own = client.secret.iter().chain(&basic).chain(parameters);
        refusal.told(&secrets.iter().chain(own).collect::<Vec<_>>())
    })
}

/// A parameter that the program adds may be a secret, but not one that is short, or an address as
/// `resource` is: without that a description could not be understood.
fn may_be_secret(value: &Secret) -> bool {
    value.expose().len() >= 8 && !value.expose().contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_may_be_a_secret_unless_it_is_short_or_an_address() {
        let may_be = |value: &str| may_be_secret(&Secret::from(value.to_owned()));
        assert!(may_be("12345678") && may_be("a-key-of-the-program"));
        assert!(!may_be("1234567") && !may_be(""));
        assert!(!may_be("https://api.example/v1"));
    }
}
