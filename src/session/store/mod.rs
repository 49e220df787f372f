//! Where logins are kept.

mod error;
mod file;
#[cfg(feature = "keyring")]
mod keyring;
mod memory;
mod permissions;
#[cfg(feature = "redis")]
mod redis;

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::flow::snapshot::Snapshot;

pub use error::{StoreError, StoreErrorKind};
pub use file::FileStore;
#[cfg(feature = "keyring")]
pub use keyring::KeyringStore;
pub use memory::{LocalLock, MemoryStore};
#[cfg(feature = "redis")]
pub use redis::{RedisPendingLogins, RedisStore};

/// Keeps one login, for every thread and process that uses it.
///
/// The contract, which [`testing::check_store`](crate::testing::check_store) tries on any store:
///
/// - `save` replaces what is there as a whole or not at all, and has made it last when it returns: a
///   rotated refresh token is used right afterwards, and the old one is worth nothing then. It is also
///   called before a refresh, with what is stored already: if that fails, nothing is sent.
/// - `load` sees what any handle on the same place, in any process, has saved last. It never waits for
///   a lock, so that nobody who has a good token waits for somebody who refreshes.
/// - `lock` keeps out every other handle on the same place until the [`StoreLock`] is dropped, or its
///   holder dies. A [`Session`](crate::Session) holds it while it re-reads, tries whether it can save,
///   refreshes and saves, which takes as long as the provider takes to answer; it never takes it twice.
/// - No error holds anything of a snapshot, and an error leaves what was there untouched.
///
/// A snapshot is as secret as the tokens in it.
#[doc(alias = "TokenStorage")]
#[doc(alias = "token cache")]
pub trait Store: Send + Sync {
    /// What was saved last, if anything.
    ///
    /// # Errors
    /// [`StoreError`] if it can't be read.
    fn load(&self) -> Result<Option<Snapshot>, StoreError>;

    /// Takes the place of what was saved before. The lock is this store's own, from
    /// [`lock`](Self::lock): whoever saves has it.
    ///
    /// # Errors
    /// [`StoreError`] if it can't be saved.
    fn save(&self, snapshot: &Snapshot, lock: &StoreLock) -> Result<(), StoreError>;

    /// Whether what is saved already, `snapshot`, could be saved now: asked before a refresh token is used
    /// up, because what comes of it must not be lost. By default it is saved once more. A store that can
    /// find out without touching what is saved does so, the more if its lock may not hold everywhere.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    fn rehearse(&self, snapshot: &Snapshot, lock: &StoreLock) -> Result<(), StoreError> {
        self.save(snapshot, lock)
    }

    /// Waits for the lock, at most this long; with no time at all, takes it only if it is free.
    ///
    /// # Errors
    /// [`StoreErrorKind::Busy`] if somebody else had it all the while; others if there can be none.
    fn lock(&self, timeout: Duration) -> Result<StoreLock, StoreError>;

    /// Where this is, for people: a path, for instance. It stands in error texts.
    fn location(&self) -> Option<String> {
        None
    }
}

impl<S: Store + ?Sized> Store for Arc<S> {
    fn load(&self) -> Result<Option<Snapshot>, StoreError> {
        (**self).load()
    }

    fn save(&self, snapshot: &Snapshot, lock: &StoreLock) -> Result<(), StoreError> {
        (**self).save(snapshot, lock)
    }

    fn rehearse(&self, snapshot: &Snapshot, lock: &StoreLock) -> Result<(), StoreError> {
        (**self).rehearse(snapshot, lock)
    }

    fn lock(&self, timeout: Duration) -> Result<StoreLock, StoreError> {
        (**self).lock(timeout)
    }

    fn location(&self) -> Option<String> {
        (**self).location()
    }
}

/// The right to save. Whatever it is made of gives the lock back when it is dropped.
#[must_use = "dropping it gives the lock back"]
pub struct StoreLock {
    guard: Box<dyn Any + Send>,
}

impl StoreLock {
    /// Made of a guard that gives the lock back on drop. It may also hold what a `save` wants to see
    /// again, such as a fencing token.
    pub fn new(guard: impl Any + Send) -> Self {
        Self {
            guard: Box::new(guard),
        }
    }

    /// The guard that it was made of.
    #[must_use]
    pub fn guard<G: Any>(&self) -> Option<&G> {
        self.guard.downcast_ref()
    }
}

impl fmt::Debug for StoreLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreLock").finish_non_exhaustive()
    }
}
