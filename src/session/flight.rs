//! One at a time: what a session does when it has to do something, in one process and over all that
//! share its store.
//!
//! The thread that does it is at the network, the store or a hook without the mutex, so that everybody
//! else can still see what there is. Over processes it is: take the store's lock, read again, take over
//! what somebody else has saved, or else refresh and save, give the lock back.

use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use crate::driver::http::Http;
use crate::error::{Failure, WhatNow};
use crate::flow::State;
use crate::flow::action::Action;
use crate::flow::client_credentials::ClientCredentialsRequest;
use crate::flow::event::Event;
use crate::flow::notice::Notice;
use crate::provider::client::Client;
use crate::session::handout::{Guard, Lanes};
use crate::session::hooks::Hooks;
use crate::session::saving::lock_and_load;
use crate::session::shared::{NOT_SENT, Shared};
use crate::session::store::{Store, StoreError, StoreLock};
use crate::session::{AccessToken, Error, Session};
use crate::time::Timestamp;
use crate::wire::http::{HttpRequest, HttpResponse, TransportError};

pub(super) struct Inner {
    pub(super) http: Http,
    pub(super) store: Arc<dyn Store>,
    pub(super) client: Arc<Client>,
    pub(super) is_app: bool,
    pub(super) lanes: Lanes,
    pub(super) shared: Mutex<Shared>,
    pub(super) changed: Condvar,
    pub(super) hooks: Mutex<Hooks>,
}

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
                shared.rejected = Some((serial, Timestamp::now()));
            }
        }
        if is_tick && let Some(token) = shared.hand_out() {
            return Ok(token);
        }
        if let Some(worker) = shared.busy {
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

    fn send<'a>(
        &'a self,
        mut shared: Guard<'a>,
        request: &HttpRequest,
    ) -> (Guard<'a>, Result<HttpResponse, TransportError>) {
        shared.is_withheld = false;
        self.unlocked(shared, |inner| inner.http.execute(request))
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
        shared.end_work();
        (shared, result)
    }

    /// Waits until nobody is at work. Not if that is this very thread.
    pub(super) fn wait<'a>(&'a self, shared: Guard<'a>) -> Guard<'a> {
        let own = thread::current().id();
        drop(shared);
        self.inner
            .wait_while(|shared| shared.busy.is_some_and(|worker| worker != own))
    }

    pub(super) fn lock(&self) -> Guard<'_> {
        self.inner.lock()
    }
}

/// Says that the work is over, if it ends by a panic.
struct Ended<'a>(&'a Inner);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.lock().end_work();
    }
}
