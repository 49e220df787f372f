//! What goes into the store, what comes out of it, and which of the two counts.

use std::sync::Arc;
use std::time::Duration;

use crate::flow::event::Event;
use crate::flow::snapshot::{RestoreError, Snapshot};
use crate::flow::{AuthFlow, State};
use crate::session::flight::{Inner, PATIENCE};
use crate::session::handout::Guard;
use crate::session::hooks::News;
use crate::session::shared::Shared;
use crate::session::store::{Store, StoreError, StoreErrorKind, StoreLock};
use crate::session::{Error, Parts, Session};
use crate::time::Timestamp;

impl Session {
    /// Ends this session and its clones, and hands out the one that goes on: the same login, kept in this
    /// store from now on, in the place of what is there. For a backend that knows only after the login whose
    /// tokens they are. Nothing is revoked, the old store is left alone, and hooks stay behind.
    ///
    /// # Errors
    /// [`Error::SignIn`] if nobody is logged in here; [`Error::Store`] if it can't be saved there. Then
    /// nothing has changed, here and there.
    pub fn move_to(&self, store: impl Store + 'static) -> Result<Self, Error> {
        let mut shared = self.wait(self.lock());
        // What is there may be somebody else's, and is not ended by a session that is over.
        if !shared.flow.has_session() {
            return Err(Error::SignIn(shared.last_failure.clone().map(Box::new)));
        }
        let snapshot = shared.flow.snapshot().without_login();
        let snapshot = snapshot.of_app(self.inner.is_app);
        let client = shared.flow.shared_client();
        let (relocked, saved) = self.unlocked(shared, |_| {
            let lock = store.lock(PATIENCE)?;
            store.save(&snapshot, &lock)
        });
        shared = relocked;
        saved?;
        let flow = AuthFlow::restore(client, snapshot.clone(), Timestamp::now())
            .map_err(|error| self.unreadable(error))?;
        shared.flow = AuthFlow::new(flow.shared_client());
        shared.unsaved = None;
        shared.forget();
        Ok(Self::new(Parts {
            http: Some(self.inner.http.clone()),
            store: Some(Arc::new(store)),
            flow,
            stored: Some(snapshot),
            replaces_stored: false,
            is_app: self.inner.is_app,
        }))
    }

    /// Rehearses saving what is stored, before a refresh is sent: it may use up the stored refresh token,
    /// and what comes of it must not be lost for want of room. Whether there is room.
    pub(super) fn rehearse<'a>(
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

    /// Saves, unless the store has it already. Without the lock, it is taken first, and what somebody
    /// else has saved in between goes before anything but new tokens.
    pub(super) fn persist<'a>(
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
            // Not everything that a store's lock does when it is given back is quick.
            let (shared, ()) = self.unlocked(shared, |_| drop(own));
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
    pub(super) fn adopt(
        &self,
        shared: &mut Shared,
        loaded: Option<Snapshot>,
    ) -> Result<bool, StoreError> {
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
}

/// The store's lock, and what the store holds, unless that is no good and is to be replaced.
pub(super) fn lock_and_load(
    inner: &Inner,
    patience: Duration,
    replaces: bool,
) -> Result<(StoreLock, Option<Snapshot>), StoreError> {
    let lock = inner.store.lock(patience)?;
    let loaded = if replaces { None } else { inner.store.load()? };
    Ok((lock, loaded))
}
