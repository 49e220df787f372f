//! A store in a file that only its owner can read.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::flow::snapshot::{RestoreError, Snapshot};
use crate::secret::Secret;
use crate::session::store::{Store, StoreError, StoreErrorKind, StoreLock, permissions};

/// Keeps a login in a file, for all processes of one user.
///
/// The file is JSON with a version in it, says which provider and client it belongs to, and can be
/// read and written by its owner only. It is replaced as a whole (a new file beside it, flushed,
/// renamed, the directory flushed), so that no crash leaves half of one. A lock file beside it, which
/// is never deleted, keeps processes apart; the system frees it if its holder dies.
///
/// A directory that others may write to, and a symbolic link in the file's place, are refused: somebody
/// else could put a login of theirs there. So is another user's directory, but not to root, because
/// containers mount such volumes: whoever owns that directory could read the login and exchange it, so
/// a program that runs as root should be given a directory of root's own. On Windows the directory's
/// own access list is what protects the file.
///
/// ```no_run
/// # fn main() -> Result<(), authflow::session::Error> {
/// use authflow::session::FileStore;
/// use authflow::{Login, spotify};
///
/// let session = Login::new(spotify::client("your-client-id"))
///     .store(FileStore::for_app("my-app")?)
///     .run()?; // tomorrow this opens no browser
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStore {
    path: PathBuf,
    /// The directory is this program's own, so its mode may be set right.
    owns_directory: bool,
}

/// More than what was received can become. Of an answer of 1 MiB, quoted twice, a form of control
/// characters is the worst: seven bytes for each. Scopes and a refresh token may be of an answer before.
pub(super) const MAX_SIZE: usize = 12 << 20;

/// How often a file may be exchanged between a look at it and its opening. Whoever saves does so.
const MAX_EXCHANGES: usize = 1000;

impl FileStore {
    /// The file `login.json` in this program's directory for state: `$XDG_STATE_HOME/APP`, or
    /// `~/.local/state/APP`; on macOS `~/Library/Application Support/APP`, on Windows
    /// `%LOCALAPPDATA%\APP`. These are kept out of synchronised folders by convention.
    ///
    /// # Errors
    /// [`StoreErrorKind::Unavailable`] if there is no home directory, [`StoreErrorKind::Refused`] if
    /// `app` is no name for a directory.
    pub fn for_app(app: &str) -> Result<Self, StoreError> {
        let mut parts = Path::new(app).components();
        let is_name = matches!(parts.next(), Some(Component::Normal(_))) && parts.next().is_none();
        if !is_name {
            let message = "the app's name is no name for a directory: write one like my-app";
            return Err(StoreError::new(StoreErrorKind::Refused, message));
        }
        let state = state_directory().ok_or_else(|| {
            let message = "there is no home directory: name a file with FileStore::at()";
            StoreError::new(StoreErrorKind::Unavailable, message)
        })?;
        Ok(Self {
            path: state.join(app).join("login.json"),
            owns_directory: true,
        })
    }

    /// This file. Its directory is made if it is not there, and must not be writable by others.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            owns_directory: false,
        }
    }

    /// A file of its own, beside this one, for one of several accounts: `login@NAME.json`. Any name
    /// will do that fits into a file's: there, all but `a-z`, `0-9`, `-` and `_` takes three bytes for
    /// each of its own.
    #[must_use]
    pub fn account(&self, name: &str) -> Self {
        let (mut file, extension) = self.name_parts();
        file.push(escape(name));
        file.push(extension);
        Self {
            path: self.path.with_file_name(file),
            owns_directory: self.owns_directory,
        }
    }

    /// The names of the accounts that have a file, in order.
    ///
    /// # Errors
    /// [`StoreError`] if the directory can't be read. One that is not there has none in it.
    pub fn accounts(&self) -> Result<Vec<String>, StoreError> {
        let (start, end) = self.name_parts();
        let (start, end) = (start.to_string_lossy(), end.to_string_lossy());
        let entries = match fs::read_dir(self.directory()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| self.fault("cannot list accounts", error))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| self.fault("cannot list accounts", error))?;
            let file = entry.file_name();
            let name = file.to_str().and_then(|file| {
                let name = file.strip_prefix(&*start)?.strip_suffix(&*end)?;
                unescape(name)
            });
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            names.extend(name.filter(|_| is_file));
        }
        names.sort();
        Ok(names)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Deletes the file, damaged or not, and what a crash has left of another. A session that uses it finds itself logged out when it next
    /// refreshes.
    ///
    /// # Errors
    /// [`StoreError`] if it can't be deleted, or somebody is saving all the while.
    pub fn remove(&self) -> Result<(), StoreError> {
        let _lock = self.lock(Duration::from_secs(30))?;
        delete(&self.path)
            .and_then(|()| self.sweep())
            .map_err(|error| self.fault("cannot delete", error))?;
        self.sync_directory()
    }

    /// What stands before and after an account's name.
    fn name_parts(&self) -> (OsString, OsString) {
        let mut start = self.path.file_stem().unwrap_or_default().to_owned();
        start.push("@");
        let mut end = OsString::new();
        if let Some(extension) = self.path.extension() {
            end.push(".");
            end.push(extension);
        }
        (start, end)
    }

    fn directory(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    fn lock_file(&self) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".lock");
        self.path.with_file_name(name)
    }

    fn fault(&self, what: &str, error: io::Error) -> StoreError {
        StoreError::from_io(&format!("{what} {}", self.path.display()), error)
    }

    fn refused(&self, why: &str) -> StoreError {
        let message = format!("{}: {why}", self.path.display());
        StoreError::new(StoreErrorKind::Refused, message)
    }

    fn unreadable(&self, error: RestoreError) -> StoreError {
        StoreError::unreadable(error, self.location())
    }

    /// What is at this path, if anything: no link, no pipe, nothing but a plain file.
    fn look_at(&self, path: &Path) -> Result<Option<Metadata>, StoreError> {
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_file() => Ok(Some(metadata)),
            Ok(_) => {
                let message = format!("{} is not a plain file: remove it", path.display());
                Err(StoreError::new(StoreErrorKind::Refused, message))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.fault("cannot look at", error)),
        }
    }

    /// A plain file, private from now on. `None` if there is none, and it is not to be made either.
    fn open(
        &self,
        path: &Path,
        options: &OpenOptions,
        make: bool,
    ) -> Result<Option<File>, StoreError> {
        for _ in 0..MAX_EXCHANGES {
            let looked_at = self.look_at(path)?;
            let opened = match looked_at {
                Some(_) => options.open(path),
                None if make => options.clone().create_new(true).open(path),
                None => return Ok(None),
            };
            let file = match opened {
                Ok(file) => file,
                Err(error) => match error.kind() {
                    io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists => continue,
                    _ => {
                        let what = format!("cannot open {}", path.display());
                        return Err(StoreError::from_io(&what, error));
                    }
                },
            };
            let is_the_same = permissions::is_the_same(looked_at.as_ref(), &file)
                .map_err(|error| self.fault("cannot look at", error))?;
            if is_the_same {
                let was_open = permissions::make_private(&file)
                    .map_err(|error| self.fault("cannot make private", error))?;
                if was_open {
                    log::warn!("{}: others could write to it until now", path.display());
                }
                return Ok(Some(file));
            }
        }
        Err(self.refused("it is exchanged again and again while it is opened"))
    }

    fn make_directory(&self) -> Result<(), StoreError> {
        self.check_name()?;
        permissions::create_directory(self.directory())
            .map_err(|error| self.fault("no directory for", error))?;
        self.check_directory()?;
        Ok(())
    }

    fn check_name(&self) -> Result<(), StoreError> {
        match self.path.file_name() {
            Some(_) => Ok(()),
            None => Err(self.refused("this names no file")),
        }
    }

    /// Whether there is a directory. One that is no safe place is an error.
    fn check_directory(&self) -> Result<bool, StoreError> {
        self.check_name()?;
        match permissions::check_directory(self.directory(), self.owns_directory) {
            Ok(Ok(())) => Ok(true),
            Ok(Err(why)) => Err(self.refused(why)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.fault("no directory for", error)),
        }
    }

    fn sync_directory(&self) -> Result<(), StoreError> {
        permissions::sync_directory(self.directory())
            .map_err(|error| self.fault("cannot save", error))
    }

    /// Where the next version is written: `.login.json.0123456789abcdef.tmp`.
    fn temporary(&self, random: u64) -> PathBuf {
        let mut name = OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(format!(".{random:016x}.tmp"));
        self.directory().join(name)
    }

    /// Deletes what a writer that died has left behind, tokens included. Whoever has the lock may do
    /// so: nobody else is writing.
    fn sweep(&self) -> io::Result<()> {
        let own = self.path.file_name().unwrap_or_default();
        let is_left = |name: &[u8]| {
            let random = name
                .strip_prefix(b".")
                .and_then(|name| name.strip_prefix(own.as_encoded_bytes()))
                .and_then(|name| name.strip_prefix(b"."))
                .and_then(|name| name.strip_suffix(b".tmp"));
            random.is_some_and(|name| name.len() == 16 && name.iter().all(u8::is_ascii_hexdigit))
        };
        for entry in fs::read_dir(self.directory())? {
            let entry = entry?;
            if is_left(entry.file_name().as_encoded_bytes()) {
                delete(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Writes a file beside the saved one, for it to become that.
    fn write(&self, snapshot: &Snapshot) -> Result<PathBuf, StoreError> {
        self.make_directory()?;
        self.look_at(&self.path)?;
        let json = snapshot.to_json();
        if json.expose().len() > MAX_SIZE {
            let message = format!("{}: the login is too large", self.path.display());
            return Err(StoreError::new(StoreErrorKind::Full, message));
        }
        // Another save will try again.
        let _ = self.sweep();
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|_| self.refused("the system has no randomness"))?;
        let temporary = self.temporary(u64::from_le_bytes(random));
        match self.fill(&temporary, &json) {
            Ok(()) => Ok(temporary),
            Err(error) => {
                let _ = fs::remove_file(&temporary);
                Err(self.fault("cannot save", error))
            }
        }
    }

    fn fill(&self, temporary: &Path, json: &Secret) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        permissions::private(&mut options);
        let mut file = options.open(temporary)?;
        permissions::check_owner(&file, self.directory())?;
        file.write_all(json.expose().as_bytes())?;
        file.sync_all()
    }
}

impl Store for FileStore {
    fn load(&self) -> Result<Option<Snapshot>, StoreError> {
        if !self.check_directory()? {
            return Ok(None);
        }
        let mut options = OpenOptions::new();
        options.read(true);
        let Some(file) = self.open(&self.path, &options, false)? else {
            return Ok(None);
        };
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        // Room for all of it and a byte more: a buffer that grows leaves copies behind.
        let room = length.min(MAX_SIZE as u64) as usize + 1;
        let mut json = zeroize::Zeroizing::new(Vec::with_capacity(room));
        file.take(MAX_SIZE as u64 + 1)
            .read_to_end(&mut json)
            .map_err(|error| self.fault("cannot read", error))?;
        if json.len() > MAX_SIZE {
            return Err(self.unreadable(RestoreError::Damaged));
        }
        match Snapshot::from_json(&json) {
            Ok(snapshot) => Ok(Some(snapshot)),
            Err(error) => Err(self.unreadable(error)),
        }
    }

    fn save(&self, snapshot: &Snapshot, _: &StoreLock) -> Result<(), StoreError> {
        let temporary = self.write(snapshot)?;
        if let Err(error) = rename(&temporary, &self.path) {
            let _ = fs::remove_file(&temporary);
            return Err(self.fault("cannot save", error));
        }
        self.sync_directory()
    }

    /// Without touching the saved one: there are file systems without locks.
    fn rehearse(&self, snapshot: &Snapshot, _: &StoreLock) -> Result<(), StoreError> {
        let temporary = self.write(snapshot)?;
        fs::remove_file(&temporary).map_err(|error| self.fault("cannot save", error))
    }

    fn lock(&self, timeout: Duration) -> Result<StoreLock, StoreError> {
        self.make_directory()?;
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        permissions::private(&mut options);
        let file = self.open(&self.lock_file(), &options, true)?;
        let file = file.ok_or_else(|| self.refused("its lock file has gone"))?;
        // There is no lock with a time limit.
        let start = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(StoreLock::new(Held(file))),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                    log::warn!("{}: this file system has no locks", self.path.display());
                    return Ok(StoreLock::new(()));
                }
                Err(TryLockError::Error(error)) => return Err(self.fault("cannot lock", error)),
            }
            let left = timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                let message = format!("another program is busy with {}", self.path.display());
                return Err(StoreError::new(StoreErrorKind::Busy, message));
            }
            thread::sleep(pause.min(left));
            pause = (pause * 2).min(Duration::from_millis(32));
        }
    }

    fn location(&self) -> Option<String> {
        Some(self.path.display().to_string())
    }
}

/// Gives the lock back at once, also if a program that another thread is just starting has a copy of
/// the handle for a moment.
struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        // Closing the handle will do it, too.
        let _ = self.0.unlock();
    }
}

fn state_directory() -> Option<PathBuf> {
    let given = |name| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let home = || std::env::home_dir().filter(|home| home.is_absolute());
    if cfg!(windows) {
        given("LOCALAPPDATA").or_else(|| Some(home()?.join("AppData").join("Local")))
    } else if cfg!(target_vendor = "apple") {
        Some(home()?.join("Library").join("Application Support"))
    } else {
        given("XDG_STATE_HOME").or_else(|| Some(home()?.join(".local").join("state")))
    }
}

/// A name as part of a file's, on any file system: what is not `a-z`, `0-9`, `-` or `_` as `%XX`.
pub(super) fn escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => escaped.push(byte.into()),
            _ => escaped.push_str(&format!("%{byte:02x}")),
        }
    }
    escaped
}

fn unescape(escaped: &str) -> Option<String> {
    let name = percent_encoding::percent_decode_str(escaped).decode_utf8();
    name.ok()
        .map(String::from)
        .filter(|name| escape(name) == escaped)
}

/// Deletes a file, if there is one.
fn delete(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Windows refuses while anybody, a virus scanner say, has the old file open.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let mut tries = if cfg!(windows) { 6 } else { 1 };
    loop {
        tries -= 1;
        match fs::rename(from, to) {
            Err(error) if tries > 0 && matches!(error.raw_os_error(), Some(5 | 32)) => {
                thread::sleep(Duration::from_millis(30));
            }
            result => return result,
        }
    }
}
