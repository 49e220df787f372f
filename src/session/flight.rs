//! One at a time: what a session does when it has to do something, in one process and over all that
//! share its store.
//!
//! The thread that does it is at the network, the store or a hook without the mutex, so that everybody
//! else can still see what there is. Over processes it is: take the store's lock, read again, take over
//! what somebody else has saved, or else refresh and save, give the lock back.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::driver::http::Http;
use crate::error::{Failure, WhatNow};
use crate::flow::State;
use crate::flow::action::Action;
use crate::flow::client_credentials::ClientCredentialsRequest;
use crate::flow::event::Event;
use crate::flow::notice::Notice;
use crate::flow::snapshot::{RestoreError, Snapshot};
use crate::session::hooks::{Hooks, News};
use crate::session::shared::{NOT_SENT, Shared};
use crate::session::store::{Store, StoreError, StoreErrorKind, StoreLock};
use crate::session::{AccessToken, Error, Session};
use crate::time::Timestamp;
use crate::wire::http::{HttpRequest, HttpResponse, TransportError};

pub(super) struct Inner {
    pub(super) http: Http,
    pub(super) store: Arc<dyn Store>,
    pub(super) is_app: bool,
    pub(super) shared: Mutex<Shared>,
    pub(super) changed: Condvar,
    pub(super) hooks: Mutex<Hooks>,
}

pub(super) type Guard<'a> = MutexGuard<'a, Shared>;

/// How long to wait for another process. It refreshes for as long as the provider takes to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

impl Session {
    /// Has the machine handle an event, with all that comes of it, and says what token there is then.
    pub(super) fn token_after(&self, event: Event) -> Result<AccessToken, Error> {
        let result = self.try_token_after(event);
        self.tell();
        result
    }

    fn try_token_after(&self, event: Event) -> Result<AccessToken, Error> {
        let is_refresh = matches!(event, Event::Refresh);
        let is_tick = matches!(event, Event::Tick);
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
            if is_tick && let Some(token) = shared.usable_token() {
                return Ok(token);
            }
            // A store that asks the session which it is saving would wait for itself.
            if worker == thread::current().id() {
                return self.result(&shared, is_refresh);
            }
            shared = self.wait(shared);
            // Its error is everybody's who waited for it.
            let has_failed = shared.last_failure.is_some() || shared.store_fault.is_some();
            if is_refresh || (shared.usable_token().is_none() && has_failed) {
                return self.result(&shared, is_refresh);
            }
        }
        if is_tick && !self.has_work(&shared) {
            shared = self.step(shared, event, None)?.0;
            return self.result(&shared, false);
        }

        // Somebody else's refresh is worth waiting for only if there is no token without it.
        let is_urgent = !is_tick || shared.usable_token().is_none();
        let patience = if is_urgent { PATIENCE } else { Duration::ZERO };
        let replaces = shared.replaces_stored;
        let (relocked, locked) =
            self.unlocked(shared, |inner| lock_and_load(inner, patience, replaces));
        shared = relocked;
        // Or it could not take over what somebody else has saved since a panic.
        let is_settled = shared.settle()?;
        let adopted =
            locked.and_then(|(lock, loaded)| Ok((lock, self.adopt(&mut shared, loaded)?)));
        let (lock, adopted) = match adopted {
            Ok(adopted) => adopted,
            Err(error) => {
                log::debug!("nothing was refreshed: {error}");
                shared.publish();
                shared.store_fault = Some(error);
                return self.result(&shared, !is_tick);
            }
        };
        shared.store_fault = None;
        shared.is_outdated = is_settled && adopted;
        if is_refresh && !shared.flow.can_refresh() && !self.inner.is_app {
            let failure = shared.last_failure.clone().map(Box::new);
            drop(self.step(shared, Event::Tick, Some(&lock))?);
            return Err(Error::SignIn(failure));
        }
        let joins = is_refresh && adopted;
        let event = match event {
            Event::Refresh if joins || !shared.flow.can_refresh() => Event::Tick,
            event => event,
        };
        shared = self.step(shared, event, Some(&lock))?.0;
        if !is_refresh && shared.wants_refresh() && shared.store_fault.is_none() {
            shared = self.step(shared, Event::Refresh, Some(&lock))?.0;
        }
        if self.inner.is_app && !joins && (is_refresh || shared.wants_app_token()) {
            shared = self.ask_for_app_token(shared, &lock)?;
        }
        // Not everything that a store's lock does when it is given back is quick.
        let (shared, ()) = self.unlocked(shared, |_| drop(lock));
        self.result(&shared, is_refresh)
    }

    /// Whether a tick has anything to do with the network or the store.
    fn has_work(&self, shared: &Shared) -> bool {
        let is_over = shared.usable_token().is_none() && !shared.is_ended;
        // Somebody else may have more luck, or sign in.
        is_over
            || shared.flow.is_due(Timestamp::now())
            || shared.unsaved.is_some()
            || shared.in_flight.is_some()
            || shared.wants_refresh()
            || (self.inner.is_app && shared.wants_app_token())
    }

    /// Has the machine handle an event that belongs to a login.
    pub(super) fn handle(&self, event: Event) -> Result<Vec<Action>, Error> {
        let shared = self.wait(self.lock());
        let actions = self.step(shared, event, None).map(|(_, actions)| actions);
        self.tell();
        actions
    }

    /// Handles an event and carries out what comes of it, without the mutex wherever it takes time.
    /// Returns what is not for the session to do.
    pub(super) fn step<'a>(
        &'a self,
        mut shared: Guard<'a>,
        event: Event,
        lock: Option<&StoreLock>,
    ) -> Result<(Guard<'a>, Vec<Action>), Error> {
        shared.settle()?;
        let is_rejection = matches!(event, Event::TokenRejected { .. });
        let serial = shared.flow.serial();
        shared.flow.handle(event, Timestamp::now())?;
        let mut others = Vec::new();
        let mut save = shared.unsaved.is_some();
        let mut save_rejection = false;
        let mut may_refresh = shared.flow.can_refresh();
        let mut disbelieved = std::mem::take(&mut shared.is_outdated);
        loop {
            let action = if save {
                Action::Persist
            } else if let Some(action) = shared.flow.poll_action() {
                action
            } else if save_rejection && shared.flow.state() == State::Expired {
                // A refresh has saved it already. Without one, the next run would believe a token
                // that the API has rejected.
                Action::Persist
            } else {
                break;
            };
            match action {
                Action::Persist => {
                    save_rejection = false;
                    let is_refused = may_refresh && !shared.flow.can_refresh();
                    if is_refused && lock.is_some() {
                        // Before it is believed: somebody may have saved without the lock.
                        may_refresh = false;
                        let (relocked, loaded) = self.unlocked(shared, |inner| inner.store.load());
                        shared = relocked;
                        let adopted = loaded.and_then(|loaded| self.adopt(&mut shared, loaded));
                        disbelieved = adopted.unwrap_or_default();
                    }
                    let is_new = shared.flow.serial() != serial;
                    let must_save = save;
                    save = false;
                    shared = self.persist(shared, lock, is_new, must_save);
                }
                Action::Send(request) => {
                    let id = request.id();
                    let is_refresh = shared.flow.is_refreshing(id);
                    shared.in_flight = Some(id);
                    shared.is_withheld = is_refresh;
                    if is_refresh && !disbelieved {
                        let (relocked, can_save) = self.rehearse(shared, lock);
                        (shared, disbelieved) = (relocked, !can_save);
                    }
                    let (relocked, result) = match is_refresh && disbelieved {
                        true => (shared, Err(NOT_SENT)),
                        false => self.send(shared, &request),
                    };
                    shared = relocked;
                    shared.in_flight = None;
                    let response = Event::Response { id, result };
                    shared.flow.handle(response, Timestamp::now())?;
                }
                Action::Notify(Notice::RefreshFailed { .. }) if disbelieved => disbelieved = false,
                other => {
                    if let Action::Notify(notice) = &other {
                        save_rejection |= is_rejection && matches!(notice, Notice::Expired);
                        shared.note(notice);
                    }
                    others.push(other);
                }
            }
        }
        shared.publish();
        Ok((shared, others))
    }

    /// Rehearses saving what is stored, before a refresh is sent: it may use up the stored refresh token,
    /// and what comes of it must not be lost for want of room. Whether there is room.
    fn rehearse<'a>(
        &'a self,
        mut shared: Guard<'a>,
        lock: Option<&StoreLock>,
    ) -> (Guard<'a>, bool) {
        // A login has no lock: the browser waits for it, not for an old session's tokens.
        let Some(lock) = lock.filter(|_| shared.unsaved.is_none()) else {
            return (shared, false);
        };
        let Some(stored) = shared.stored.clone() else {
            return (shared, true);
        };
        let (relocked, saved) = self.unlocked(shared, |inner| inner.store.rehearse(&stored, lock));
        shared = relocked;
        let can_save = saved.is_ok();
        if let Err(error) = saved {
            log::warn!("nothing is refreshed, for it could not be saved: {error}");
            shared.store_fault = Some(error);
        }
        (shared, can_save)
    }

    fn send<'a>(
        &'a self,
        mut shared: Guard<'a>,
        request: &HttpRequest,
    ) -> (Guard<'a>, Result<HttpResponse, TransportError>) {
        shared.is_withheld = false;
        self.unlocked(shared, |inner| inner.http.execute(request))
    }

    /// Saves, unless the store has it already. Without the lock, it is taken first, and what somebody
    /// else has saved in between goes before anything but new tokens.
    fn persist<'a>(
        &'a self,
        mut shared: Guard<'a>,
        lock: Option<&StoreLock>,
        is_new: bool,
        must_save: bool,
    ) -> Guard<'a> {
        if shared.replaces_stored && !shared.flow.has_session() {
            return shared;
        }
        shared.is_new_login |= is_new && lock.is_none();
        // What stands if the store panics.
        let interrupted = StoreError::new(StoreErrorKind::Other, "saving was interrupted");
        shared.unsaved = Some(interrupted);
        let own = match lock {
            Some(_) => None,
            None => {
                let replaces = shared.replaces_stored;
                let (relocked, locked) =
                    self.unlocked(shared, |inner| lock_and_load(inner, PATIENCE, replaces));
                shared = relocked;
                let adopted = locked.and_then(|(lock, loaded)| {
                    if is_new || must_save {
                        shared.stored = loaded;
                    } else {
                        self.adopt(&mut shared, loaded)?;
                    }
                    Ok(lock)
                });
                match adopted {
                    Ok(lock) => Some(lock),
                    Err(error) => {
                        log::warn!("the login is not saved: {error}");
                        shared.unsaved = Some(error);
                        return shared;
                    }
                }
            }
        };
        let Some(lock) = own.as_ref().or(lock) else {
            return shared;
        };
        let snapshot = shared.flow.snapshot().without_login();
        let snapshot = snapshot.of_app(self.inner.is_app);
        let is_there = match &shared.stored {
            Some(stored) => stored.has_tokens_of(&snapshot),
            None => !snapshot.has_session(),
        };
        // No login is begun in vain: a store that can't save is found out at its beginning.
        if is_there && shared.flow.state() != State::AwaitingCode {
            shared.unsaved = None;
            return shared;
        }
        let (mut shared, saved) = self.unlocked(shared, |inner| inner.store.save(&snapshot, lock));
        match saved {
            Ok(()) => {
                shared.stored = Some(snapshot);
                shared.replaces_stored = false;
                shared.is_new_login = false;
                shared.unsaved = None;
            }
            Err(error) => {
                log::warn!("the login is not saved: {error}");
                shared.unsaved = Some(error);
            }
        }
        let (shared, ()) = self.unlocked(shared, |_| drop(own));
        shared
    }

    /// Takes over what somebody else has saved since the store was last read: new tokens, or the end
    /// of the session. Whether there was anything. Call it with the store's lock held.
    fn adopt(&self, shared: &mut Shared, loaded: Option<Snapshot>) -> Result<bool, StoreError> {
        let is_same = shared.is_stored(loaded.as_ref());
        let has_session = loaded.as_ref().is_some_and(Snapshot::has_session);
        if is_same || shared.is_ended || shared.is_new_login || shared.replaces_stored {
            shared.stored = loaded;
            return Ok(false);
        }
        if has_session && shared.has_outlived(loaded.as_ref()) {
            log::info!("another process has saved a refresh token that was used up here");
            shared.stored = loaded;
            return Ok(false);
        }
        if has_session && loaded.as_ref().map(Snapshot::is_of_app) != Some(self.inner.is_app) {
            return Err(self.unreadable(RestoreError::OtherClient));
        }
        let now = Timestamp::now();
        let event = if has_session {
            let tokens = loaded
                .clone()
                .map(|saved| saved.tokens(shared.flow.client(), now));
            let tokens = tokens.transpose().map_err(|error| self.unreadable(error))?;
            match tokens.flatten() {
                Some(tokens) => Event::AdoptTokens(tokens),
                None => return Ok(false),
            }
        } else if shared.flow.state() == State::AwaitingCode {
            // A log-out elsewhere is not the end of the login that is under way here.
            return Ok(false);
        } else {
            Event::LogOut
        };
        if shared.flow.handle(event, now).is_err() {
            return Ok(false);
        }
        shared.stored = loaded;
        shared.unsaved = None;
        shared.is_withheld = false;
        shared.last_failure = None;
        shared.failed_at = None;
        if shared.flow.can_refresh() || shared.flow.state() == State::Authorized {
            log::info!("another process has saved new tokens");
        } else if !self.inner.is_app {
            log::info!("another process has found that the login is over, or has ended it");
            shared.news.push(News::SignInNeeded(None));
        }
        Ok(true)
    }

    pub(super) fn unreadable(&self, error: RestoreError) -> StoreError {
        StoreError::unreadable(error, self.inner.store.location())
    }

    fn ask_for_app_token<'a>(
        &'a self,
        mut shared: Guard<'a>,
        lock: &StoreLock,
    ) -> Result<Guard<'a>, Error> {
        let request = ClientCredentialsRequest::new(shared.flow.client(), Timestamp::now())?;
        let (relocked, result) =
            self.unlocked(shared, |inner| inner.http.execute(request.request()));
        shared = relocked;
        let now = Timestamp::now();
        match request.read(shared.flow.client(), result, now) {
            Ok(tokens) => {
                log::info!("the app has a new token");
                shared.last_failure = None;
                shared.failed_at = None;
                shared = self.step(shared, Event::AdoptTokens(tokens), Some(lock))?.0;
            }
            Err(failure) => {
                log::warn!("{failure}");
                shared.last_failure = Some(failure);
                shared.failed_at = Some(now);
            }
        }
        Ok(shared)
    }

    /// The token, or why there is none. A caller that asked for a refresh is told if it failed, even
    /// if the old token is still good.
    fn result(&self, shared: &Shared, was_refresh: bool) -> Result<AccessToken, Error> {
        let has_failed = shared.last_failure.is_some()
            || shared.unsaved.is_some()
            || shared.store_fault.is_some();
        let failed = was_refresh && has_failed;
        match shared.usable_token() {
            Some(token) if !failed => return Ok(token),
            _ => {}
        }
        if let Some(error) = shared.unsaved.as_ref().or(shared.store_fault.as_ref()) {
            return Err(Error::Store(error.clone()));
        }
        let failure = shared.last_failure.clone().map(Box::new);
        if !shared.flow.can_refresh() && !self.inner.is_app {
            return Err(Error::SignIn(failure));
        }
        let is_final = |failure: &Failure| !matches!(failure.what_now(), WhatNow::Retry { .. });
        let retry_at = match failure.as_deref() {
            Some(failure) if is_final(failure) => None,
            _ => shared.retry_at(),
        };
        Err(Error::NotNow { failure, retry_at })
    }

    /// The machine's deadline, and whether something could not be saved.
    pub(super) fn waits(&self) -> (Option<Timestamp>, Option<StoreError>) {
        let shared = self.lock();
        (shared.flow.deadline(), shared.unsaved.clone())
    }

    /// Does something that takes time without the mutex, while others know that it is being done.
    pub(super) fn unlocked<'a, T>(
        &'a self,
        mut shared: Guard<'a>,
        work: impl FnOnce(&Inner) -> T,
    ) -> (Guard<'a>, T) {
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

    /// Waits until nobody is at work. Not if that is this very thread.
    pub(super) fn wait<'a>(&'a self, shared: Guard<'a>) -> Guard<'a> {
        let own = thread::current().id();
        let is_busy = |shared: &mut Shared| shared.busy.is_some_and(|worker| worker != own);
        let waited = self.inner.changed.wait_while(shared, is_busy);
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a login that takes the place of what is stored could be saved: asked before anybody is
    /// sent to the browser.
    pub(super) fn could_save(&self) -> Result<(), StoreError> {
        let store = &self.inner.store;
        let lock = store.lock(PATIENCE)?;
        match store.load() {
            Ok(Some(stored)) => store.rehearse(&stored, &lock),
            // What can't be read is to be replaced, but not before the login has worked.
            Ok(None) | Err(_) => Ok(()),
        }
    }

    pub(super) fn lock(&self) -> Guard<'_> {
        // What a panic can leave behind is a machine between two events, which is a sound one.
        self.inner
            .shared
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The store's lock, and what the store holds, unless that is no good and is to be replaced.
fn lock_and_load(
    inner: &Inner,
    patience: Duration,
    replaces: bool,
) -> Result<(StoreLock, Option<Snapshot>), StoreError> {
    let lock = inner.store.lock(patience)?;
    let loaded = if replaces { None } else { inner.store.load()? };
    Ok((lock, loaded))
}

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
