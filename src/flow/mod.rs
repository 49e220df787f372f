//! The machine: one [`AuthFlow`] is one person's login and what comes after it.

pub(crate) mod access_token;
pub(crate) mod action;
pub(crate) mod client_credentials;
pub(crate) mod event;
pub(crate) mod machine;
pub(crate) mod notice;
mod outbox;
pub(crate) mod snapshot;
mod tokens;

use std::fmt;
use std::sync::Arc;

use crate::error::Misuse;
use crate::flow::access_token::AccessTokenRef;
use crate::flow::action::Action;
use crate::flow::event::{Event, TokenSerial};
use crate::flow::machine::Machine;
use crate::flow::outbox::Outbox;
use crate::flow::snapshot::{RestoreError, Snapshot};
use crate::provider::client::Client;
use crate::provider::revocation::RevocationRequest;
use crate::time::Timestamp;
use crate::wire::authorize::AuthorizationUrl;
use crate::wire::callback::{CallbackUrl, IgnoredCallback};
use crate::wire::form;
use crate::wire::http::RequestId;
use crate::wire::redirect::RedirectUri;

/// One person's login, as a state machine that does no IO.
///
/// **The contract.** [`handle`](Self::handle) an event → drain [`poll_action`](Self::poll_action) →
/// wait for input or for [`deadline`](Self::deadline), whichever comes first.
///
/// Time and entropy are arguments, so the same inputs give the same outputs, byte for byte.
#[doc(alias = "state machine")]
#[doc = include_str!("transitions.md")]
pub struct AuthFlow {
    client: Arc<Client>,
    machine: Machine,
    outbox: Outbox,
}

/// The four states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Nobody is logged in. Do [`Event::BeginLogin`].
    Unauthorized,
    /// A person is on their way through the browser, or their code is being exchanged. Wait. A
    /// session from before is still there.
    AwaitingCode,
    /// There is an access token that has not ended. Use it.
    Authorized,
    /// The access token has ended or was rejected. If [`AuthFlow::can_refresh`], new ones are on
    /// their way or to be had by [`Event::Refresh`]; else begin a login.
    Expired,
}

impl State {
    /// The variant's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unauthorized => "Unauthorized",
            Self::AwaitingCode => "AwaitingCode",
            Self::Authorized => "Authorized",
            Self::Expired => "Expired",
        }
    }
}

/// What is going on behind the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Activity {
    /// Nothing.
    Idle,
    /// A code is being exchanged for tokens.
    Exchanging,
    /// A refresh is in flight.
    Refreshing,
    /// A refresh failed and will be tried again.
    Backoff {
        /// When.
        until: Timestamp,
    },
}

impl Activity {
    /// The variant's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "Idle",
            Self::Exchanging => "Exchanging",
            Self::Refreshing => "Refreshing",
            Self::Backoff { .. } => "Backoff",
        }
    }
}

impl AuthFlow {
    /// A flow with nobody logged in.
    #[must_use]
    pub fn new(client: impl Into<Arc<Client>>) -> Self {
        Self {
            client: client.into(),
            machine: Machine::default(),
            outbox: Outbox::default(),
        }
    }

    /// A flow that goes on where a saved one stopped. Handle an [`Event::Tick`] next: it does what
    /// has become due since.
    ///
    /// # Errors
    /// [`RestoreError`] if the snapshot belongs to another client, is of an unknown version, or is
    /// damaged.
    pub fn restore(
        client: impl Into<Arc<Client>>,
        saved: Snapshot,
        now: Timestamp,
    ) -> Result<Self, RestoreError> {
        let client = client.into();
        Ok(Self {
            machine: saved.restore(&client, now)?,
            client,
            outbox: Outbox::default(),
        })
    }

    /// Takes an event. Then drain [`poll_action`](Self::poll_action).
    ///
    /// # Errors
    /// [`Misuse`] if the event makes no sense now. Nothing has changed then, and nothing is queued.
    pub fn handle(&mut self, event: Event, now: Timestamp) -> Result<(), Misuse> {
        self.outbox.begin();
        self.machine
            .step(&self.client, event, now, &mut self.outbox)
    }

    /// The next thing to do, until there is none.
    #[must_use = "an action that is not carried out is lost"]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.outbox.pop()
    }

    /// When the next [`Event::Tick`] is useful; `None` if time alone changes nothing. A tick too early
    /// changes nothing either. After the clock was set back, a tick brings the waits back to their length:
    /// a loop that recomputes its wait at each turn should tick at least every minute.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.machine.deadline(&self.client)
    }

    /// The state after the last event.
    #[must_use]
    pub fn state(&self) -> State {
        self.machine.state()
    }

    /// What is going on behind the state.
    #[must_use]
    pub fn activity(&self) -> Activity {
        self.machine.activity()
    }

    /// The access token, if it can be used at `now`. During a login this is the previous session's.
    #[must_use]
    pub fn access_token(&self, now: Timestamp) -> Option<AccessTokenRef<'_>> {
        let session = self.machine.session.as_ref()?;
        let usable = !session.expired && session.tokens.are_usable(&self.client, now);
        usable.then_some(AccessTokenRef {
            client: &self.client,
            tokens: &session.tokens,
        })
    }

    /// Whether there is a refresh token that the server has not refused.
    #[must_use]
    pub fn can_refresh(&self) -> bool {
        let session = self.machine.session.as_ref();
        session.is_some_and(|session| session.can_refresh())
    }

    /// The URL of the login under way, for a "copy link" button. It is written anew each time: the machine
    /// keeps no more of it than it needs to.
    #[must_use]
    pub fn authorization_url(&self) -> Option<AuthorizationUrl> {
        let login = self.machine.login.as_ref()?;
        let url = self
            .client
            .authorization_url(&login.secrets, &login.redirect_uri);
        Some(url)
    }

    /// The redirect URI of the login under way: where to listen again after a restart.
    #[must_use]
    pub fn redirect_uri(&self) -> Option<&RedirectUri> {
        self.machine.login.as_ref().map(|login| &login.redirect_uri)
    }

    /// When the refresh token itself ends, so that the person will have to sign in again, if that is
    /// known: from the server's `refresh_token_expires_in`, or from the provider's data. Advice only:
    /// the machine goes on trying until the server says `invalid_grant`.
    #[must_use]
    pub fn sign_in_due(&self) -> Option<Timestamp> {
        let tokens = &self.machine.session.as_ref()?.tokens;
        tokens.refresh_token.as_ref()?;
        tokens.refresh_token_expires_at
    }

    /// The callback that this login would have had, for a person who has nothing but the bare code.
    /// Weaker than any other way in: the state is not compared, because nobody sent it, so a code that
    /// somebody else made the person paste is noticed only by the server, and only with PKCE. Ask for
    /// the whole address first. `None` if no login waits for one.
    #[must_use]
    pub fn callback_of_bare_code(&self, code: &str) -> Option<CallbackUrl> {
        let login = self.machine.login.as_ref()?;
        let query = [
            Some(("code", code.trim())),
            Some(("state", login.secrets.state.expose())),
            self.client
                .provider
                .issuer
                .as_deref()
                .map(|iss| ("iss", iss)),
        ];
        let query = form::encode(query.into_iter().flatten());
        Some(CallbackUrl::from_query(query.expose()))
    }

    /// The requests that revoke the session's tokens (RFC 7009): make them before
    /// [`Event::LogOut`](crate::Event::LogOut), send them afterwards. None if the provider has no
    /// revocation endpoint.
    pub fn revocation_requests(&self, now: Timestamp) -> impl Iterator<Item = RevocationRequest> {
        let tokens = self.machine.session.as_ref().map(|session| &session.tokens);
        let refresh = tokens.and_then(|tokens| tokens.refresh_token.as_ref());
        let access = tokens.map(|tokens| &tokens.access_token);
        let hinted = [(refresh, "refresh_token"), (access, "access_token")];
        hinted.into_iter().filter_map(move |(token, hint)| {
            RevocationRequest::new(&self.client, token?, hint, now)
        })
    }

    /// What to save.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::save(&self.machine, &self.client)
    }

    /// The client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }
}

/// What a session asks besides.
#[allow(dead_code, reason = "for the session, which is not always built")]
impl AuthFlow {
    pub(crate) fn shared_client(&self) -> Arc<Client> {
        Arc::clone(&self.client)
    }

    /// Whether a tick would do more than set the clock forward.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        let went_back = self.machine.now.is_some_and(|last| now < last);
        went_back || self.deadline().is_some_and(|due| due <= now)
    }

    /// Whether this is what the login waits for, and would end the wait.
    pub(crate) fn expects(&self, url: &CallbackUrl) -> bool {
        self.judge(url).is_ok()
    }

    /// Why it is not what the login waits for, if it is not.
    pub(crate) fn judge(&self, url: &CallbackUrl) -> Result<(), IgnoredCallback> {
        self.machine.judge(&self.client, url).map(drop)
    }

    /// Whether this is the refresh that is in flight.
    pub(crate) fn is_refreshing(&self, id: RequestId) -> bool {
        let session = self.machine.session.as_ref();
        session.is_some_and(|session| session.is_refreshing(id))
    }

    /// The newest set of tokens.
    pub(crate) fn serial(&self) -> Option<TokenSerial> {
        let session = self.machine.session.as_ref();
        session.map(|session| session.tokens.serial)
    }

    pub(crate) fn has_session(&self) -> bool {
        self.machine.session.is_some()
    }

    /// When tokens without a refresh token should be asked for anew, and when they were obtained.
    pub(crate) fn renewal_due(&self) -> Option<(Timestamp, Timestamp)> {
        let tokens = &self.machine.session.as_ref()?.tokens;
        Some((tokens.refresh_at(&self.client)?, tokens.obtained_at))
    }
}

/// What the simulator asks besides.
#[cfg(feature = "testing")]
impl AuthFlow {
    /// The requests whose responses it waits for.
    pub(crate) fn in_flight(&self) -> impl Iterator<Item = RequestId> {
        self.machine.in_flight()
    }

    pub(crate) fn has_actions(&self) -> bool {
        !self.outbox.is_empty()
    }
}

impl fmt::Debug for AuthFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthFlow")
            .field("state", &self.state())
            .field("activity", &self.activity())
            .field("client_id", &self.client.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::flow::event::TokenSet;
    use crate::{Client, HttpResponse, LoginSecrets, Provider};

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn flow() -> AuthFlow {
        let provider = Provider::new("https://as.example/authorize", "https://as.example/token");
        AuthFlow::new(Client::builder(provider, "client").build().unwrap())
    }

    fn begun() -> AuthFlow {
        let mut flow = flow();
        let redirect_uri = flow
            .client()
            .redirect_uri("http://127.0.0.1/callback")
            .unwrap();
        let secrets = LoginSecrets::from_entropy([7; 64]);
        let begin = Event::BeginLogin {
            secrets,
            redirect_uri,
        };
        flow.handle(begin, NOW).unwrap();
        flow
    }

    fn logged_in() -> AuthFlow {
        let mut flow = flow();
        let tokens = TokenSet::new("AT")
            .refresh_token("RT")
            .expires_at(NOW.saturating_add(Duration::from_secs(3600)));
        flow.handle(Event::AdoptTokens(tokens), NOW).unwrap();
        flow
    }

    #[test]
    fn something_is_due_from_the_deadline_on_or_if_the_clock_went_back() {
        let flow = begun();
        let deadline = flow.deadline().unwrap();
        let millis = Duration::from_millis(1);
        assert!(!flow.is_due(NOW));
        assert!(!flow.is_due(deadline.saturating_sub(millis)));
        assert!(flow.is_due(deadline));
        assert!(flow.is_due(deadline.saturating_add(millis)));
        assert!(flow.is_due(NOW.saturating_sub(millis)));
        // Nothing has happened to it yet, so no clock went back.
        assert!(!super::tests::flow().is_due(NOW));
    }

    #[test]
    fn only_what_would_end_the_wait_is_expected() {
        let flow = begun();
        let state = flow.machine.login.as_ref().unwrap().secrets.state.clone();
        let url = |query: String| CallbackUrl::from_query(&query);
        let state = state.expose();
        assert!(flow.expects(&url(format!("code=c&state={state}"))));
        assert!(flow.expects(&url(format!("error=access_denied&state={state}"))));
        assert!(!flow.expects(&url("code=c&state=forged".to_owned())));
        assert!(!super::tests::flow().expects(&url(format!("code=c&state={state}"))));
    }

    #[test]
    fn a_session_and_its_refresh_are_known() {
        assert!(!flow().has_session() && flow().serial().is_none());
        assert_eq!(flow().renewal_due(), None);
        let mut flow = logged_in();
        assert!(flow.has_session());
        let serial = flow.serial().unwrap();
        let due = NOW.saturating_add(Duration::from_secs(3600 - 60));
        assert_eq!(flow.renewal_due(), Some((due, NOW)));
        assert!(!flow.is_refreshing(RequestId(1)));
        flow.handle(Event::Refresh, NOW).unwrap();
        assert!(flow.is_refreshing(RequestId(1)));
        assert!(!flow.is_refreshing(RequestId(2)));
        #[cfg(feature = "testing")]
        assert!(flow.in_flight().eq([RequestId(1)]));
        let tokens = br#"{"access_token":"AT-2","expires_in":3600}"#;
        let result = Ok(HttpResponse::new(200, &tokens[..]));
        let id = RequestId(1);
        flow.handle(Event::Response { id, result }, NOW).unwrap();
        assert!(!flow.is_refreshing(id));
        assert!(flow.serial().unwrap() > serial);
    }
}
