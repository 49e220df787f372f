//! Why a store could not load, save or lock.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::error::WhatNow;
use crate::flow::snapshot::RestoreError;

/// A store could not load, save or lock. What was there is still there.
#[derive(Clone)]
pub struct StoreError {
    inner: Arc<Inner>,
}

struct Inner {
    kind: StoreErrorKind,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What kind of fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// Somebody else held the lock all the while: a program that hangs, or a provider that is slow.
    Busy,
    /// The lock was held for too long and is somebody else's by now. What they have saved stands; the
    /// next call of a session takes it over.
    Lost,
    /// The store is not there: no keyring service in this session, no home directory.
    Unavailable,
    /// It is there, but the system does not allow it, or it is no safe place for a secret.
    Refused,
    /// There is no room.
    Full,
    /// What is stored can't be used. Nothing touches it but
    /// [`Login::ignore_stored`](crate::Login::ignore_stored).
    Unreadable(RestoreError),
    /// Anything else.
    Other,
}

impl StoreError {
    /// A fault in words. They must not hold anything of a snapshot.
    #[must_use]
    pub fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self::with_parts(kind, message.into(), None)
    }

    /// With the error beneath it, whose text must not hold anything of a snapshot either.
    #[must_use]
    pub fn with_source(self, source: impl Error + Send + Sync + 'static) -> Self {
        let message = self.inner.message.clone();
        Self::with_parts(self.inner.kind, message, Some(Box::new(source)))
    }

    fn with_parts(
        kind: StoreErrorKind,
        message: String,
        source: Option<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                kind,
                message,
                source,
            }),
        }
    }

    /// An error of the operating system's; `what` says what was being done.
    #[must_use]
    pub fn from_io(what: &str, error: io::Error) -> Self {
        use io::ErrorKind as Io;
        let kind = match error.kind() {
            Io::PermissionDenied
            | Io::ReadOnlyFilesystem
            | Io::NotADirectory
            | Io::IsADirectory
            | Io::AlreadyExists
            | Io::InvalidFilename => StoreErrorKind::Refused,
            Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => StoreErrorKind::Full,
            _ => StoreErrorKind::Other,
        };
        Self::new(kind, format!("{what}: {error}")).with_source(error)
    }

    /// What is stored can't be used.
    pub(crate) fn unreadable(error: RestoreError, location: Option<String>) -> Self {
        let kind = StoreErrorKind::Unreadable(error);
        match location {
            Some(location) => Self::new(kind, format!("{location}: {error}")),
            None => Self::new(kind, error.to_string()),
        }
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.inner.kind
    }

    /// What the program should do now.
    #[must_use]
    pub fn what_now(&self) -> WhatNow {
        match self.inner.kind {
            StoreErrorKind::Busy
            | StoreErrorKind::Lost
            | StoreErrorKind::Full
            | StoreErrorKind::Other => WhatNow::Retry { after: None },
            StoreErrorKind::Unavailable
            | StoreErrorKind::Refused
            | StoreErrorKind::Unreadable(_) => WhatNow::Configuration,
        }
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreError")
            .field("kind", &self.inner.kind)
            .field("message", &self.inner.message)
            .field("source", &self.inner.source)
            .finish()
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner.source.as_deref().map(|source| source as _)
    }
}
