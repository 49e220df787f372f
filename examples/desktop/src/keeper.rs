//! The worker that keeps the login: it alone touches the store, and it sends the refreshes.
//!
//! Several copies of this program may run at once on one store, with one refresh token. So that only one
//! of them uses it: take the lock, read again, take over what somebody else has saved, or else refresh;
//! then save, and give the lock back. The lock stays here between the answer of the token endpoint and
//! the saving of what was in it, while the machine on the window's thread makes a snapshot of it.

use std::sync::Arc;
use std::time::Duration;

use authflow::http::Http;
use authflow::session::{Store, StoreError, StoreLock};
use authflow::{Client, HttpRequest, Snapshot, Timestamp};

use crate::jobs::{Report, Saved, Stored};

/// How long to wait for another copy that refreshes.
const PATIENCE: Duration = Duration::from_secs(30);
/// With the 30 seconds of a request this is less than the machine waits for an answer (60 seconds).
const REFRESH_PATIENCE: Duration = Duration::from_secs(20);

pub struct Keeper {
    store: Box<dyn Store>,
    client: Arc<Client>,
    http: Http,
    /// What the store holds as far as the machine knows: it was loaded, saved or taken over here.
    seen: Stored,
    lock: Option<StoreLock>,
    replaces: bool,
}

impl Keeper {
    pub fn new(store: Box<dyn Store>, client: Arc<Client>, http: Http) -> Self {
        Self {
            store,
            client,
            http,
            seen: None,
            lock: None,
            replaces: false,
        }
    }

    pub fn load(&mut self) -> Result<Stored, StoreError> {
        self.seen = self.stored()?;
        Ok(self.seen.clone())
    }

    pub fn replace_stored(&mut self) {
        self.replaces = true;
    }

    /// The machine has taken over what another copy has saved.
    pub fn adopted(&mut self, stored: Stored) {
        self.seen = stored;
    }

    pub fn release(&mut self) {
        self.lock = None;
    }

    /// Saves, unless there is nothing new here and something new there.
    pub fn save(&mut self, snapshot: Box<Snapshot>) -> Result<Saved, StoreError> {
        // What can't be read stays until there are tokens to put in its place.
        if self.replaces && !snapshot.has_session() {
            return Ok(Saved::Done);
        }
        // Given back at the end of this, unless a refresh holds it.
        let own = match self.lock {
            Some(_) => None,
            None => Some(self.store.lock(PATIENCE)?),
        };
        let Some(lock) = own.as_ref().or(self.lock.as_ref()) else {
            return Ok(Saved::Done);
        };
        if !self.replaces {
            let stored = self.stored()?;
            let is_news = !self.has_same_tokens(Some(&snapshot), self.seen.as_deref());
            if !is_news && !self.has_same_tokens(stored.as_deref(), self.seen.as_deref()) {
                return Ok(Saved::Outdated(stored));
            }
        }
        self.store.save(&snapshot, lock)?;
        self.seen = Some(snapshot);
        self.replaces = false;
        Ok(Saved::Done)
    }

    /// Refreshes, if nobody else has. Then the lock stays here until [`release`](Self::release).
    pub fn refresh(&mut self, request: &HttpRequest) -> Report {
        let id = request.id();
        // Of an older one, which has come to nothing.
        self.release();
        match self.lock_for_refresh() {
            Ok(Ok(lock)) => {
                self.lock = Some(lock);
                let result = self.http.execute(request);
                Report::Refreshed { id, result }
            }
            Ok(Err(stored)) => Report::Outdated { id, stored },
            Err(error) => Report::NotSent { id, error },
        }
    }

    /// The lock, or what another copy has saved.
    fn lock_for_refresh(&mut self) -> Result<Result<StoreLock, Stored>, StoreError> {
        let lock = self.store.lock(REFRESH_PATIENCE)?;
        let stored = self.stored()?;
        if !self.has_same_tokens(stored.as_deref(), self.seen.as_deref()) {
            return Ok(Err(stored));
        }
        // A refresh may use up the stored token. So first see that there is room for the new one.
        if let Some(stored) = &stored {
            self.store.rehearse(stored, &lock)?;
        }
        Ok(Ok(lock))
    }

    fn stored(&self) -> Result<Stored, StoreError> {
        Ok(self.store.load()?.map(Box::new))
    }

    fn has_same_tokens(&self, one: Option<&Snapshot>, other: Option<&Snapshot>) -> bool {
        let now = Timestamp::now();
        let tokens = |snapshot: Option<&Snapshot>| {
            let tokens = snapshot.map(|snapshot| snapshot.clone().tokens(&self.client, now));
            tokens.transpose().map(Option::flatten)
        };
        tokens(one) == tokens(other)
    }
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;
