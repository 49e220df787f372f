//! A store for as long as the program runs.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::flow::snapshot::Snapshot;
use crate::session::store::{Store, StoreError, StoreErrorKind, StoreLock};

/// Keeps a login for as long as the program runs. Share it between sessions in an
/// [`Arc`](std::sync::Arc).
#[derive(Debug, Default)]
pub struct MemoryStore {
    saved: Mutex<Option<Snapshot>>,
    lock: LocalLock,
}

impl MemoryStore {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Store for MemoryStore {
    fn load(&self) -> Result<Option<Snapshot>, StoreError> {
        let saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(saved.clone())
    }

    fn save(&self, snapshot: &Snapshot, _: &StoreLock) -> Result<(), StoreError> {
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        *saved = Some(snapshot.clone());
        Ok(())
    }

    fn lock(&self, timeout: Duration) -> Result<StoreLock, StoreError> {
        self.lock.lock(timeout)
    }
}

/// A lock between the threads of one process, for stores of your own that no other process uses.
#[derive(Clone, Default)]
pub struct LocalLock {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    is_held: Mutex<bool>,
    freed: Condvar,
}

struct Held(Arc<Inner>);

impl LocalLock {
    /// A free one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits for it, at most this long: what [`Store::lock`] returns.
    ///
    /// # Errors
    /// [`StoreErrorKind::Busy`] if another thread had it all the while.
    pub fn lock(&self, timeout: Duration) -> Result<StoreLock, StoreError> {
        let inner = &self.inner;
        let is_held = inner.is_held.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = inner
            .freed
            .wait_timeout_while(is_held, timeout, |is_held| *is_held);
        let (mut is_held, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *is_held {
            let message = "another thread did not give the lock back in time";
            return Err(StoreError::new(StoreErrorKind::Busy, message));
        }
        *is_held = true;
        Ok(StoreLock::new(Held(Arc::clone(inner))))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut is_held = self
            .0
            .is_held
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *is_held = false;
        drop(is_held);
        self.0.freed.notify_one();
    }
}

impl fmt::Debug for LocalLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalLock").finish_non_exhaustive()
    }
}
