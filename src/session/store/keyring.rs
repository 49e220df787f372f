//! A store in the system's keyring.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keyring_core::{CredentialStore, Entry, Error};
use zeroize::Zeroizing;

use crate::flow::snapshot::{RestoreError, Snapshot};
use crate::session::store::file::MAX_SIZE;
use crate::session::store::{FileStore, Store, StoreError, StoreErrorKind, StoreLock};

/// Keeps a login in the system's keyring: the Secret Service on Linux and the BSDs (GNOME Keyring,
/// KWallet), the login keychain on macOS, the Credential Manager on Windows. There it is encrypted
/// while the person is not logged in to their machine; other programs of the same person may be able
/// to read it, as they could a file.
///
/// Where there is no such service, in a container or over SSH for instance, every call is an error of
/// the kind [`Unavailable`](StoreErrorKind::Unavailable). Nothing falls back to a file by itself: a
/// program that wants that chooses [`FileStore`], and says so to the person. The kernel's keys (keyutils)
/// are not used, because a reboot forgets them.
///
/// A keyring has no lock, so an empty file in the program's directory for state is locked in its place.
/// Windows takes 2,560 bytes at most, which long tokens go beyond: that is an error of the kind
/// [`Full`](StoreErrorKind::Full).
///
/// ```no_run
/// # fn main() -> Result<(), authflow::session::Error> {
/// use authflow::session::KeyringStore;
/// use authflow::{Login, spotify};
///
/// let session = Login::new(spotify::client("your-client-id"))
///     .store(KeyringStore::for_app("my-app")?)
///     .run()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct KeyringStore {
    keyring: Arc<CredentialStore>,
    app: String,
    user: String,
    /// Whose lock is ours. Nothing is ever in it.
    lock: FileStore,
}

impl KeyringStore {
    /// The entry `login` of this program, in the system's own keyring.
    ///
    /// # Errors
    /// [`StoreErrorKind::Unavailable`] if there is no keyring, or no home directory for the lock;
    /// [`StoreErrorKind::Refused`] if `app` is no name for a directory.
    pub fn for_app(app: &str) -> Result<Self, StoreError> {
        let lock = FileStore::for_app(app)?.path().with_file_name("keyring");
        let keyring = system_keyring().map_err(|error| absent(&error))?;
        Ok(Self::with_keyring(keyring, app, lock))
    }

    /// An entry in a keyring of the program's choice, made with one of the crates that implement
    /// `keyring-core`. `lock` is the path of a file whose lock (a file beside it) keeps processes apart.
    pub fn with_keyring(
        keyring: Arc<CredentialStore>,
        app: impl Into<String>,
        lock: impl Into<PathBuf>,
    ) -> Self {
        Self {
            keyring,
            app: app.into(),
            user: "login".to_owned(),
            lock: FileStore::at(lock),
        }
    }

    /// An entry of its own for one of several accounts. Any name will do.
    #[must_use]
    pub fn account(&self, name: &str) -> Self {
        Self {
            keyring: Arc::clone(&self.keyring),
            app: self.app.clone(),
            user: format!("{}@{name}", self.user),
            lock: self.lock.account(name),
        }
    }

    /// Deletes the entry, damaged or not.
    ///
    /// # Errors
    /// [`StoreError`] if it can't be deleted, or somebody is saving all the while.
    pub fn remove(&self) -> Result<(), StoreError> {
        let _lock = self.lock(Duration::from_secs(30))?;
        match self.entry()?.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(self.fault("cannot delete", &error)),
        }
    }

    fn entry(&self) -> Result<Entry, StoreError> {
        Entry::new_in_store(&self.keyring, &self.app, &self.user)
            .map_err(|error| self.fault("cannot open", &error))
    }

    fn name(&self) -> String {
        format!("the keyring entry {}/{}", self.app, self.user)
    }

    /// What a keyring's error means here. Its own text, and what it holds, may be the secret.
    fn fault(&self, what: &str, error: &Error) -> StoreError {
        let (kind, why) = meaning(error);
        StoreError::new(kind, format!("{what} {}: {why}", self.name()))
    }

    fn unreadable(&self, error: RestoreError) -> StoreError {
        StoreError::unreadable(error, self.location())
    }
}

fn absent(error: &Error) -> StoreError {
    let (kind, why) = meaning(error);
    let kind = match kind {
        StoreErrorKind::Other => StoreErrorKind::Unavailable,
        kind => kind,
    };
    StoreError::new(kind, format!("there is no keyring here: {why}"))
}

fn meaning(error: &Error) -> (StoreErrorKind, &'static str) {
    match error {
        Error::NoStorageAccess(_) => (
            StoreErrorKind::Refused,
            "it is locked, or the system does not allow it",
        ),
        Error::TooLong(..) => (
            StoreErrorKind::Full,
            "the login is larger than this keyring takes: use a FileStore",
        ),
        Error::NoDefaultStore | Error::NotSupportedByStore(_) => {
            (StoreErrorKind::Unavailable, "the keyring does not do that")
        }
        Error::Ambiguous(_) => (
            StoreErrorKind::Refused,
            "there are several entries of that name",
        ),
        Error::BadEncoding(_) | Error::BadDataFormat(..) | Error::BadStoreFormat(_) => (
            StoreErrorKind::Unreadable(RestoreError::Damaged),
            "it is damaged",
        ),
        Error::Invalid(..) => (
            StoreErrorKind::Refused,
            "the keyring does not take such a name",
        ),
        Error::PlatformFailure(_) => (
            StoreErrorKind::Unavailable,
            "the keyring service does not answer",
        ),
        _ => (StoreErrorKind::Other, "the keyring has failed"),
    }
}

impl Store for KeyringStore {
    fn load(&self) -> Result<Option<Snapshot>, StoreError> {
        let json = match self.entry()?.get_secret() {
            Ok(json) => Zeroizing::new(json),
            Err(Error::NoEntry) => return Ok(None),
            Err(error) => return Err(self.fault("cannot read", &error)),
        };
        if json.len() > MAX_SIZE {
            return Err(self.unreadable(RestoreError::Damaged));
        }
        match Snapshot::from_json(&json) {
            Ok(snapshot) => Ok(Some(snapshot)),
            Err(error) => Err(self.unreadable(error)),
        }
    }

    fn save(&self, snapshot: &Snapshot, _: &StoreLock) -> Result<(), StoreError> {
        let json = snapshot.to_json();
        if json.expose().len() > MAX_SIZE {
            let message = format!("{}: the login is too large", self.name());
            return Err(StoreError::new(StoreErrorKind::Full, message));
        }
        let saved = self.entry()?.set_secret(json.expose().as_bytes());
        saved.map_err(|error| self.fault("cannot save", &error))
    }

    fn lock(&self, timeout: Duration) -> Result<StoreLock, StoreError> {
        self.lock.lock(timeout)
    }

    fn location(&self) -> Option<String> {
        Some(self.name())
    }
}

#[cfg(target_os = "macos")]
fn system_keyring() -> keyring_core::Result<Arc<CredentialStore>> {
    Ok(apple_native_keyring_store::keychain::Store::new()?)
}

#[cfg(windows)]
fn system_keyring() -> keyring_core::Result<Arc<CredentialStore>> {
    Ok(windows_native_keyring_store::Store::new()?)
}

#[cfg(all(unix, not(target_vendor = "apple")))]
fn system_keyring() -> keyring_core::Result<Arc<CredentialStore>> {
    Ok(dbus_secret_service_keyring_store::Store::new()?)
}

#[cfg(not(any(windows, target_os = "macos", all(unix, not(target_vendor = "apple")))))]
fn system_keyring() -> keyring_core::Result<Arc<CredentialStore>> {
    Err(Error::NoDefaultStore)
}

/// Says nothing of the keyring, which may know a secret.
impl fmt::Debug for KeyringStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyringStore")
            .field("app", &self.app)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
