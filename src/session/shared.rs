//! What the threads of a session share, and what they make of it.

use std::thread::ThreadId;
use std::time::Duration;

use crate::error::{Failure, Misuse, WhatNow};
use crate::flow::event::{Event, TokenSerial};
use crate::flow::machine::LONGEST_ASKED;
use crate::flow::notice::Notice;
use crate::flow::snapshot::Snapshot;
use crate::flow::{Activity, AuthFlow, State};
use crate::session::AccessToken;
use crate::session::handout::Handout;
use crate::session::hooks::News;
use crate::session::store::StoreError;
use crate::time::Timestamp;
use crate::wire::callback::{IgnoredCallback, IgnoredReason};
use crate::wire::http::{RequestId, TransportError, TransportErrorKind};

pub(super) struct Shared {
    pub(super) flow: AuthFlow,
    /// What readers get: set once the tokens are saved.
    pub(super) token: Option<AccessToken>,
    /// This thread is at the network or the store, without the mutex.
    pub(super) busy: Option<ThreadId>,
    /// How many threads wait until it is done.
    pub(super) waiting: usize,
    /// The request that is being carried out, or about to be. Left behind by a panic.
    pub(super) in_flight: Option<RequestId>,
    /// The machine has a failure to tell of tokens that somebody else has replaced since.
    pub(super) is_outdated: bool,
    /// What the store held when it was last read or written.
    pub(super) stored: Option<Snapshot>,
    pub(super) replaces_stored: bool,
    /// The tokens are a new login's that is not saved yet: nothing in the store goes before them.
    pub(super) is_new_login: bool,
    /// The program has ended this session; another process must not bring it back.
    pub(super) is_ended: bool,
    /// Why the newest state is not saved, if it is not. Its tokens are not handed out until it is.
    pub(super) unsaved: Option<StoreError>,
    /// Why the store could not be locked, read or written to before a refresh, when that was last tried.
    pub(super) store_fault: Option<StoreError>,
    /// The last refresh was not sent. The machine waits as if it had failed; who needs it does not.
    pub(super) is_withheld: bool,
    /// Why the last refresh failed, if it did, and when.
    pub(super) last_failure: Option<Failure>,
    pub(super) failed_at: Option<Timestamp>,
    /// Which token the API has rejected last, and when.
    pub(super) rejected: Option<(TokenSerial, Timestamp)>,
    /// The token that the program was last told of, or had from the beginning.
    told: Option<TokenSerial>,
    pub(super) news: Vec<News>,
}

/// Between answers that were none of the provider's, and between refreshes for an API that says 401 to
/// fresh tokens.
const PAUSE: Duration = Duration::from_secs(10);

/// Between requests for an app's token that fail, or bring one that is due at once.
const SHORT_PAUSE: Duration = Duration::from_secs(1);

/// What becomes of a refresh that has to wait for another occasion.
pub(super) const NOT_SENT: TransportError = TransportError {
    kind: TransportErrorKind::Cancelled,
    may_have_been_sent: false,
};

/// What becomes of a request whose thread has panicked while it was on its way.
const LOST: TransportError = TransportError {
    kind: TransportErrorKind::Other,
    may_have_been_sent: true,
};

impl Shared {
    pub(super) fn new(flow: AuthFlow, stored: Option<Snapshot>, replaces_stored: bool) -> Self {
        let token = AccessToken::of(&flow, Timestamp::now());
        let told = token.as_ref().map(AccessToken::serial);
        Self {
            token,
            flow,
            busy: None,
            waiting: 0,
            in_flight: None,
            is_outdated: false,
            stored,
            replaces_stored,
            is_new_login: false,
            is_ended: false,
            unsaved: None,
            store_fault: None,
            is_withheld: false,
            last_failure: None,
            failed_at: None,
            rejected: None,
            told,
            news: Vec::new(),
        }
    }

    pub(super) fn usable_token(&self) -> Option<AccessToken> {
        self.token
            .as_ref()
            .filter(|token| token.is_usable())
            .cloned()
    }

    /// What readers get without asking again. Nobody waits while the old token is good and somebody is
    /// at work; otherwise it is for as long as the machine has nothing to do.
    pub(super) fn handout(&self, is_app: bool, now: Timestamp) -> Option<Handout> {
        let token = self.token.clone()?;
        let end = token.expires_at().unwrap_or(Timestamp::END);
        if self.busy.is_some() {
            return Some(Handout {
                token,
                from: Timestamp::from_millis(0),
                until: end,
            });
        }
        let is_authorized = self.flow.state() == State::Authorized;
        let is_quiet = self.unsaved.is_none() && self.in_flight.is_none();
        if !is_authorized || !is_quiet || self.flow.is_due(now) {
            return None;
        }
        let renewal = self.flow.renewal_due().filter(|_| is_app);
        let renewal = renewal.map(|(due, obtained_at)| due.max(obtained_at));
        let due = [self.flow.deadline(), renewal];
        let until = due.into_iter().flatten().fold(end, Timestamp::min);
        Some(Handout {
            token,
            from: now,
            until,
        })
    }

    /// Makes saved tokens the ones that readers get.
    pub(super) fn publish(&mut self) {
        if self.unsaved.is_some() {
            return;
        }
        let now = Timestamp::now();
        let current = self.flow.access_token(now).map(|token| token.serial());
        if current != self.token.as_ref().map(AccessToken::serial) {
            self.token = AccessToken::of(&self.flow, now);
        }
        if let Some(token) = &self.token
            && self.told != Some(token.serial())
        {
            self.told = Some(token.serial());
            self.news.push(News::Changed(token.clone()));
        }
    }

    /// Whether what the store holds is what it held when it was last read or written.
    pub(super) fn is_stored(&self, loaded: Option<&Snapshot>) -> bool {
        match (&self.stored, loaded) {
            (Some(known), Some(loaded)) => loaded.has_tokens_of(known),
            (Some(one), None) | (None, Some(one)) => !one.has_session(),
            (None, None) => true,
        }
    }

    /// Whether what the store holds has the refresh token that it had before, and that was used up
    /// here for a newer one, which is not saved yet. Whoever saved it has learnt something about a token
    /// that is over.
    pub(super) fn has_outlived(&self, loaded: Option<&Snapshot>) -> bool {
        let refresh_token = |snapshot: &Snapshot| {
            let tokens = snapshot
                .clone()
                .tokens(self.flow.client(), Timestamp::now());
            tokens.ok()??.refresh_token
        };
        let known = self.stored.as_ref().and_then(refresh_token);
        let is_known = known.is_some() && loaded.and_then(refresh_token) == known;
        self.unsaved.is_some() && is_known && refresh_token(&self.flow.snapshot()) != known
    }

    /// Remembers what matters later, and logs what happened.
    pub(super) fn note(&mut self, notice: &Notice) {
        match notice {
            Notice::RefreshFailed { failure, .. } => {
                log::warn!("{failure}");
                self.last_failure = Some((**failure).clone());
                self.failed_at = Some(Timestamp::now());
                if !self.flow.can_refresh() {
                    let news = News::SignInNeeded(Some((**failure).clone()));
                    self.news.push(news);
                }
            }
            Notice::Refreshed => {
                log::info!("the tokens were refreshed");
                self.last_failure = None;
            }
            Notice::LoggedIn => {
                log::info!("the person is logged in");
                self.last_failure = None;
                self.is_withheld = false;
                // It may be another person's.
                self.token = None;
            }
            Notice::LoginFailed(failure) => log::warn!("{failure}"),
            Notice::CallbackIgnored(ignored) => note_ignored(ignored),
            Notice::Expired => log::debug!("the access token has ended"),
            Notice::SessionEnded => log::info!("nobody is logged in any more"),
            Notice::StaleResponse(_) | Notice::StaleRejection(_) => {
                log::debug!("{}", notice.name());
            }
        }
    }

    /// Whether a refresh has to be asked for, because the machine does not come to it by itself: the
    /// client refreshes by hand only, the last refresh was not sent, or its answer was none of the
    /// provider's (a hotel's login page, for instance) and some time has passed since.
    pub(super) fn wants_refresh(&self) -> bool {
        let is_idle = self.flow.activity() == Activity::Idle;
        let may_try = is_idle
            && match &self.last_failure {
                None => true,
                Some(failure) => {
                    matches!(failure.what_now(), WhatNow::Retry { .. })
                        && self.retry_at().is_none_or(has_come)
                }
            };
        let is_over = self.flow.state() == State::Expired && self.flow.can_refresh();
        is_over && (self.is_withheld || may_try)
    }

    /// Whether an app has to ask for a token: there is none, or it is about to end.
    pub(super) fn wants_app_token(&self) -> bool {
        let is_due = match self.flow.state() {
            State::Authorized => self.flow.renewal_due().is_some_and(|(due, obtained_at)| {
                let now = Timestamp::now();
                now >= due && now >= obtained_at.saturating_add(SHORT_PAUSE)
            }),
            _ => true,
        };
        let asked = self.last_failure.as_ref().and_then(Failure::retry_after);
        let asked = asked.unwrap_or_default().min(LONGEST_ASKED);
        let pause = asked.max(SHORT_PAUSE);
        let at = self.failed_at.map(|at| at.saturating_add(pause));
        is_due && at.is_none_or(|at| Timestamp::now() >= at)
    }

    /// Until when, if this is the current token and the one before it was rejected a moment ago.
    pub(super) fn keeps_being_rejected(&self, serial: TokenSerial) -> Option<Timestamp> {
        self.token
            .as_ref()
            .filter(|token| token.serial() == serial)?;
        // If it is the same one still, no refresh has been made for it, for want of a store.
        let (_, at) = self.rejected.filter(|(rejected, _)| *rejected != serial)?;
        let until = at.saturating_add(PAUSE);
        (!has_come(until)).then_some(until)
    }

    /// When something is tried again.
    pub(super) fn retry_at(&self) -> Option<Timestamp> {
        match self.flow.activity() {
            Activity::Backoff { until } => Some(until),
            _ => self.failed_at.map(|at| at.saturating_add(PAUSE)),
        }
    }

    /// Tells the machine of a request whose thread has panicked, if there is one.
    pub(super) fn settle(&mut self) -> Result<bool, Misuse> {
        let Some(id) = self.in_flight.take() else {
            return Ok(false);
        };
        let result = Err(if self.is_withheld { NOT_SENT } else { LOST });
        let event = Event::Response { id, result };
        self.flow.handle(event, Timestamp::now())?;
        Ok(true)
    }

    /// For a log-out: nothing of before counts any more.
    pub(super) fn forget(&mut self) {
        self.is_ended = true;
        self.token = None;
        self.last_failure = None;
        self.failed_at = None;
        self.rejected = None;
        self.store_fault = None;
        self.is_withheld = false;
        self.news.clear();
    }
}

pub(super) fn note_ignored(ignored: &IgnoredCallback) {
    // Anybody on this machine can cause these, as often as they like.
    let level = match ignored.reason {
        IgnoredReason::StateMissing
        | IgnoredReason::StateMismatch
        | IgnoredReason::NoLogin
        | IgnoredReason::Duplicate
        | IgnoredReason::Nothing => log::Level::Debug,
        _ => log::Level::Warn,
    };
    log::log!(level, "a callback was ignored: {}", ignored.reason.name());
}

/// Whether a pause is over; also if the clock has been set back since it began.
fn has_come(at: Timestamp) -> bool {
    let now = Timestamp::now();
    now >= at || at > now.saturating_add(PAUSE)
}
