//! Where logins are kept.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::flow::snapshot::Snapshot;

/// Keeps one login.
///
/// A snapshot is as secret as the tokens in it. `save` must replace what is there as a whole or not
/// at all, and must not return before it would survive a crash, because a rotated refresh token is
/// used as soon as it has returned.
pub trait Store: Send + Sync {
    /// What was saved last, if anything.
    ///
    /// # Errors
    /// [`StoreError`] if it can't be read. What is there must not be touched then.
    fn load(&self) -> Result<Option<Snapshot>, StoreError>;

    /// Takes the place of what was saved before.
    ///
    /// # Errors
    /// [`StoreError`] if it can't be saved; what was there is still there.
    fn save(&self, snapshot: &Snapshot) -> Result<(), StoreError>;
}

/// Keeps a login for as long as the program runs.
#[derive(Debug, Default)]
pub struct MemoryStore {
    saved: Mutex<Option<Snapshot>>,
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

    fn save(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        *saved = Some(snapshot.clone());
        Ok(())
    }
}

impl<S: Store + ?Sized> Store for Arc<S> {
    fn load(&self) -> Result<Option<Snapshot>, StoreError> {
        (**self).load()
    }

    fn save(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        (**self).save(snapshot)
    }
}

/// A store could not load or save.
#[derive(Clone, Debug)]
pub struct StoreError {
    message: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// A fault in words. They must not hold anything of a snapshot.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
        }
    }

    /// With the error beneath it.
    #[must_use]
    pub fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
