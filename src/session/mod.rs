//! A logged-in person: blocking, thread-safe, and all that most programs need.

mod api;
mod error;
mod login;
mod store;

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use crate::driver::http::Http;
use crate::error::{Failure, WhatNow};
use crate::flow::action::Action;
use crate::flow::event::{Event, TokenSerial};
use crate::flow::notice::Notice;
use crate::flow::{Activity, AuthFlow, NotBearer, State};
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::wire::scope::Scopes;
use crate::wire::token_response::Extra;

pub use api::ApiResponse;
pub use error::Error;
pub use login::Login;
pub use store::{MemoryStore, Store, StoreError};

/// A person who is logged in. Cheap to clone; clones are the same session, on any thread.
///
/// ```no_run
/// # fn main() -> Result<(), authflow::session::Error> {
/// # let session = authflow::Login::new(authflow::spotify::client("client-id")).run()?;
/// let token = session.access_token()?; // refreshed first, if it has to be
/// let header = token.authorization()?; // "Bearer …", a secret
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    http: Http,
    store: Arc<dyn Store>,
    shared: Mutex<Shared>,
    changed: Condvar,
}

struct Shared {
    flow: AuthFlow,
    /// What readers get: set once the tokens are saved.
    token: Option<AccessToken>,
    /// This thread is at the network or the store, without the lock.
    busy: Option<ThreadId>,
    /// Why the newest state is not saved, if it is not. Its tokens are not handed out until it is.
    unsaved: Option<StoreError>,
    /// Why the last refresh failed, if it did, and when.
    last_failure: Option<Failure>,
    failed_at: Option<Timestamp>,
    /// When the API last rejected a token.
    rejected_at: Option<Timestamp>,
}

/// An access token, good when it was handed out. `Debug` hides it.
#[derive(Clone, Debug)]
pub struct AccessToken {
    inner: Arc<Token>,
}

#[derive(Debug)]
struct Token {
    secret: Secret,
    authorization: Result<Secret, NotBearer>,
    serial: TokenSerial,
    expires_at: Option<Timestamp>,
    scopes: Scopes,
    missing: Vec<String>,
    extra: Extra,
}

impl AccessToken {
    /// The token.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.inner.secret
    }

    /// The value of the `Authorization` header (RFC 6750 section 2.1).
    ///
    /// # Errors
    /// [`Error::NotBearer`] if the token is of another type.
    pub fn authorization(&self) -> Result<Secret, Error> {
        self.inner.authorization.clone().map_err(Error::NotBearer)
    }

    /// Its serial, for [`Session::token_rejected`].
    #[must_use]
    pub fn serial(&self) -> TokenSerial {
        self.inner.serial
    }

    /// When it ends, if the server said so.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.inner.expires_at
    }

    /// The scopes that were granted.
    #[must_use]
    pub fn scopes(&self) -> &Scopes {
        &self.inner.scopes
    }

    /// Scopes that were asked for but not granted.
    pub fn missing_scopes(&self) -> impl Iterator<Item = &str> {
        self.inner.missing.iter().map(String::as_str)
    }

    /// Members of the token response that the protocol does not name, such as `id_token`.
    #[must_use]
    pub fn extras(&self) -> &Extra {
        &self.inner.extra
    }

    fn is_usable(&self) -> bool {
        self.expires_at().is_none_or(|end| Timestamp::now() < end)
    }

    fn of(flow: &AuthFlow, now: Timestamp) -> Option<Self> {
        let token = flow.access_token(now)?;
        let inner = Token {
            secret: token.secret().clone(),
            authorization: token.authorization(),
            serial: token.serial(),
            expires_at: token.expires_at(),
            scopes: token.scopes().clone(),
            missing: token.missing_scopes().map(str::to_owned).collect(),
            extra: token.extras().clone(),
        };
        Some(Self {
            inner: Arc::new(inner),
        })
    }
}

impl Session {
    fn new(flow: AuthFlow, http: Http, store: Arc<dyn Store>) -> Self {
        let shared = Shared {
            token: AccessToken::of(&flow, Timestamp::now()),
            flow,
            busy: None,
            unsaved: None,
            last_failure: None,
            failed_at: None,
            rejected_at: None,
        };
        Self {
            inner: Arc::new(Inner {
                http,
                store,
                shared: Mutex::new(shared),
                changed: Condvar::new(),
            }),
        }
    }

    /// An access token that is valid now. If it has ended or is about to, one thread refreshes it. The
    /// others get the old one while that is valid, and wait for the result if it is not. New tokens are
    /// saved before they are handed out; if they can't be, saving is tried again at each call, and the
    /// old token is still handed out while it is valid.
    ///
    /// # Errors
    /// [`Error`], which says [what now](Error::what_now): sign in again, or try later. The tokens are
    /// kept in either case.
    pub fn access_token(&self) -> Result<AccessToken, Error> {
        self.token_after(Event::Tick)
    }

    /// Refreshes, even if the access token is still valid, and hands out the new one. Joins a refresh
    /// that is under way.
    ///
    /// # Errors
    /// As [`access_token`](Self::access_token).
    pub fn refresh(&self) -> Result<AccessToken, Error> {
        self.token_after(Event::Refresh)
    }

    /// For the program whose API call was answered 401: hands out a token to try again with, once.
    /// Unless there is a newer one already, it is refreshed for that.
    ///
    /// # Errors
    /// As [`access_token`](Self::access_token); and [`Error::NotNow`] if the rejected token took the
    /// place of another rejected one less than ten seconds ago: then the API is at fault, and more
    /// refreshes would not help.
    pub fn token_rejected(&self, rejected: TokenSerial) -> Result<AccessToken, Error> {
        if let Some(retry_at) = self.lock().keeps_being_rejected(rejected) {
            return Err(Error::NotNow {
                failure: None,
                retry_at: Some(retry_at),
            });
        }
        self.token_after(Event::TokenRejected { serial: rejected })
    }

    /// What the machine under it says.
    #[must_use]
    pub fn state(&self) -> State {
        self.lock().flow.state()
    }

    /// When the person will have to sign in again, if that is known.
    #[must_use]
    pub fn sign_in_due(&self) -> Option<Timestamp> {
        self.lock().flow.sign_in_due()
    }

    fn token_after(&self, event: Event) -> Result<AccessToken, Error> {
        let is_refresh = matches!(event, Event::Refresh);
        let mut shared = self.lock();
        if let Event::TokenRejected { serial } = event {
            let is_current = shared
                .token
                .take_if(|token| token.serial() == serial)
                .is_some();
            if is_current {
                shared.rejected_at = Some(Timestamp::now());
            }
        }
        if let Some(worker) = shared.busy {
            // Nobody waits while the old token is good.
            if matches!(event, Event::Tick)
                && let Some(token) = shared.token.as_ref().filter(|token| token.is_usable())
            {
                return Ok(token.clone());
            }
            // A store that asks the session which it is saving would wait for itself.
            if worker == thread::current().id() {
                return shared.result(is_refresh);
            }
            shared = self.wait(shared);
            if is_refresh {
                return shared.result(true);
            }
        }
        if is_refresh && !shared.flow.can_refresh() {
            return Err(Error::SignIn(shared.last_failure.clone().map(Box::new)));
        }
        shared = self.step(shared, event)?.0;
        if !is_refresh && shared.wants_refresh() {
            shared = self.step(shared, Event::Refresh)?.0;
        }
        shared.result(is_refresh)
    }

    /// As [`step`](Self::step), from without.
    fn handle(&self, event: Event) -> Result<Vec<Action>, Error> {
        Ok(self.step(self.lock(), event)?.1)
    }

    /// The machine's deadline, and whether something could not be saved.
    fn waits(&self) -> (Option<Timestamp>, Option<StoreError>) {
        let shared = self.lock();
        (shared.flow.deadline(), shared.unsaved.clone())
    }

    /// Handles an event and carries out what comes of it, without the lock wherever it takes time.
    /// Returns what is not for the session to do.
    fn step<'a>(
        &'a self,
        mut shared: MutexGuard<'a, Shared>,
        event: Event,
    ) -> Result<(MutexGuard<'a, Shared>, Vec<Action>), Error> {
        let is_rejection = matches!(event, Event::TokenRejected { .. });
        shared.flow.handle(event, Timestamp::now())?;
        let mut others = Vec::new();
        let mut save = shared.unsaved.is_some();
        let mut save_rejection = false;
        loop {
            let action = match shared.flow.poll_action() {
                _ if save => Action::Persist,
                Some(action) => action,
                // A refresh has saved it already. Without one, the next run would believe a token
                // that the API has rejected.
                None if save_rejection && shared.flow.state() == State::Expired => Action::Persist,
                None => break,
            };
            match action {
                Action::Persist => {
                    save = false;
                    save_rejection = false;
                    let snapshot = shared.flow.snapshot();
                    // What stands if the store panics.
                    shared.unsaved = Some(StoreError::new("saving was interrupted"));
                    let (relocked, saved) =
                        self.unlocked(shared, |inner| inner.store.save(&snapshot));
                    shared = relocked;
                    shared.unsaved = saved.err();
                }
                Action::Send(request) => {
                    let id = request.id();
                    let (relocked, result) =
                        self.unlocked(shared, |inner| inner.http.execute(&request));
                    shared = relocked;
                    shared
                        .flow
                        .handle(Event::Response { id, result }, Timestamp::now())?;
                }
                other => {
                    match &other {
                        Action::Notify(Notice::Expired) => save_rejection = is_rejection,
                        Action::Notify(Notice::RefreshFailed { failure, .. }) => {
                            shared.last_failure = Some(failure.clone());
                            shared.failed_at = Some(Timestamp::now());
                        }
                        Action::Notify(Notice::Refreshed) => shared.last_failure = None,
                        Action::Notify(Notice::LoggedIn) => {
                            shared.last_failure = None;
                            // It may be another person's.
                            shared.token = None;
                        }
                        _ => {}
                    }
                    others.push(other);
                }
            }
        }
        shared.publish();
        Ok((shared, others))
    }

    /// Does something that takes time without the lock, while others know that it is being done.
    fn unlocked<'a, T>(
        &'a self,
        mut shared: MutexGuard<'a, Shared>,
        work: impl FnOnce(&Inner) -> T,
    ) -> (MutexGuard<'a, Shared>, T) {
        shared.busy = Some(thread::current().id());
        drop(shared);
        // Also if a store of the program's panics, the session stays usable.
        let ended = Ended(&self.inner);
        let result = work(&self.inner);
        std::mem::forget(ended);
        let mut shared = self.lock();
        shared.busy = None;
        self.inner.changed.notify_all();
        (shared, result)
    }

    fn wait<'a>(&'a self, shared: MutexGuard<'a, Shared>) -> MutexGuard<'a, Shared> {
        let is_busy = |shared: &mut Shared| shared.busy.is_some();
        let waited = self.inner.changed.wait_while(shared, is_busy);
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // What a panic can leave behind is a machine between two events, which is a sound one.
        self.inner
            .shared
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Makes saved tokens the ones that readers get.
    fn publish(&mut self) {
        if self.unsaved.is_some() {
            return;
        }
        let now = Timestamp::now();
        let current = self.flow.access_token(now).map(|token| token.serial());
        if current != self.token.as_ref().map(AccessToken::serial) {
            self.token = AccessToken::of(&self.flow, now);
        }
    }

    /// Whether a refresh has to be asked for, because the machine does not come to it by itself: the
    /// client refreshes by hand only, or the last answer was none of the provider's (a hotel's login
    /// page, for instance) and some time has passed since.
    fn wants_refresh(&self) -> bool {
        let idle = self.flow.activity() == Activity::Idle && self.flow.can_refresh();
        idle && self.flow.state() == State::Expired
            && match &self.last_failure {
                None => true,
                Some(failure) => {
                    matches!(failure.what_now(), WhatNow::Retry { .. })
                        && self.retry_at().is_none_or(has_come)
                }
            }
    }

    /// Until when, if this is the current token and the one before it was rejected a moment ago.
    fn keeps_being_rejected(&self, serial: TokenSerial) -> Option<Timestamp> {
        self.token
            .as_ref()
            .filter(|token| token.serial() == serial)?;
        let until = self.rejected_at?.saturating_add(PAUSE);
        (!has_come(until)).then_some(until)
    }

    /// When something is tried again.
    fn retry_at(&self) -> Option<Timestamp> {
        match self.flow.activity() {
            Activity::Backoff { until } => Some(until),
            _ => self.failed_at.map(|at| at.saturating_add(PAUSE)),
        }
    }

    /// The token, or why there is none. A caller that asked for a refresh is told if it failed, even
    /// if the old token is still good.
    fn result(&self, was_refresh: bool) -> Result<AccessToken, Error> {
        let failed = was_refresh && (self.last_failure.is_some() || self.unsaved.is_some());
        match &self.token {
            Some(token) if token.is_usable() && !failed => return Ok(token.clone()),
            _ => {}
        }
        if let Some(error) = &self.unsaved {
            return Err(Error::Store(error.clone()));
        }
        let failure = self.last_failure.clone().map(Box::new);
        if !self.flow.can_refresh() {
            return Err(Error::SignIn(failure));
        }
        let is_final = |failure: &Failure| !matches!(failure.what_now(), WhatNow::Retry { .. });
        let retry_at = match failure.as_deref() {
            Some(failure) if is_final(failure) => None,
            _ => self.retry_at(),
        };
        Err(Error::NotNow { failure, retry_at })
    }
}

/// Whether a pause is over; also if the clock has been set back since it began.
fn has_come(at: Timestamp) -> bool {
    let now = Timestamp::now();
    now >= at || at > now.saturating_add(PAUSE)
}

/// Between answers that were none of the provider's, and between refreshes for an API that says 401 to
/// fresh tokens.
const PAUSE: Duration = Duration::from_secs(10);

/// Says that the work is over, if it ends by a panic.
struct Ended<'a>(&'a Inner);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        let mut shared = self.0.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.busy = None;
        drop(shared);
        self.0.changed.notify_all();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
