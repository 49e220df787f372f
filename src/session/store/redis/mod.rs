//! A store in Redis, for web backends on more than one machine.

mod pending;
mod pool;
mod scripts;

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::flow::snapshot::Snapshot;
use crate::session::store::file::escape;
use crate::session::store::{Store, StoreError, StoreErrorKind, StoreLock};
use pool::{Fault, Pool};

pub use pending::RedisPendingLogins;

/// Keeps logins in Redis (2.8 or newer, or Valkey), for all processes on all machines that use it.
///
/// One handle is one login. A web backend makes one at its start, and from it one for each user, which
/// costs no connection: all of them share a few.
///
/// ```no_run
/// # fn main() -> Result<(), authflow::session::Error> {
/// use authflow::session::RedisStore;
/// use authflow::{Login, spotify};
///
/// let redis = RedisStore::open("redis://:password@redis.internal:6379/0")?.prefix("jukebox:");
/// // … and for a user who is logged in already, in any process:
/// let client = spotify::client("your-client-id").secret("your-client-secret");
/// let session = Login::new(client).store(redis.account("user-17")).resume()?;
/// # Ok(())
/// # }
/// ```
///
/// # What is guaranteed
///
/// - **One holder of a lock at a time**, as long as Redis keeps what it was told and nobody holds a lock for
///   longer than its [lease](Self::lease). The lease is counted by Redis, so clocks of machines need
///   not agree. It begins anew right before a refresh is sent, and is longer than an answer may take.
/// - **A holder that dies** keeps others out until its lease ends, and for no longer. Whoever has a token
///   that is still valid does not notice.
/// - **A holder that stalls** (a paused machine, a long swap) and wakes up after its lease can't replace
///   newer tokens: each lock leaves a random name behind, and Redis saves for the last name only
///   ([`StoreErrorKind::Lost`]). If nobody has taken the lock meanwhile, it still saves, because its
///   refresh token may be the only one that works.
/// - **What it can't prevent** is that the provider then sees two refreshes with one refresh token: of the
///   holder that stalled, and of the one after it. Without rotation both work. With rotation the second is
///   refused, and the session of whoever got the new tokens saves them when it is next used.
///   A provider that takes reuse for theft (RFC 9700 section 4.14.2) ends the login: the
///   person signs in again.
/// - **A save is whole**, and in Redis when it returns. Whether it is still there after a crash is for Redis
///   to say: with `appendonly yes` and `appendfsync always` yes, with `everysec` but for the last second,
///   with snapshots (RDB) but for the last minutes, with neither everything is gone. A refresh
///   token that was rotated in the part that is lost is lost with it, and the person signs in again;
///   nothing worse happens. The same holds for a replica that takes over before it
///   has heard everything (replication is asynchronous; `min-replicas-to-write` narrows that window, `WAIT`
///   does not close it). A lock that is forgotten so may be taken by a second holder while the first still
///   refreshes; that is as with a holder that stalls.
/// - **Nothing is sent twice** but what may be carried out twice without harm: reading; locking and
///   saving in one's own name. A connection that has died is replaced.
///
/// Before each refresh Redis is asked to write, so a Redis that can't (no memory left under `noeviction`, a
/// full disk, a replica) costs no refresh token. It may still run full within the seconds of a refresh: then
/// the new tokens are in the process that got them, and saved when that works again.
///
/// # What to set up
///
/// - **Whoever can read this Redis can read the tokens**, and so can its files and backups. Give it a
///   password or an ACL (the commands are `EVAL`, `GET`, `SET`, `DEL`, `HGET`, `HSET`, `HDEL`, `HEXISTS`,
///   `PEXPIRE`, `PERSIST`, `PING`, for a database other than 0 `SELECT`, on keys with your prefix), a network of its own, and TLS if
///   that network is not yours alone: `rediss://…`, once your program depends on the crate `redis` with its
///   feature `tls-rustls` or `tls-native-tls`. To keep tokens encrypted, wrap this in a [`Store`] of
///   yours that [saves](Store::save) another snapshot, or use a Redis that encrypts its disk. The client's
///   own buffers are not overwritten after use.
/// - **`maxmemory-policy noeviction`**, or a Redis of its own: a login that is evicted is a person who has
///   to sign in again.
/// - A login of ten scopes takes about one kilobyte. Both of its keys have one hash tag, for Redis
///   Cluster behind a proxy; the client itself speaks to one server.
#[derive(Clone)]
pub struct RedisStore {
    pool: Arc<Pool>,
    prefix: String,
    name: String,
    lease: Duration,
    forget_after: Option<Duration>,
}

/// A login that has ended leaves its fence for this long, and so does one that never came to be.
const ENDED: Duration = Duration::from_secs(7 * 24 * 3600);
const MOST: usize = 16;
const TIMEOUT: Duration = Duration::from_secs(5);
/// The 30 seconds of `http`'s, the 5 of one command that was just not too slow, and some.
const LEASE: Duration = Duration::from_secs(40);

impl RedisStore {
    /// A Redis at `redis://USER:PASSWORD@HOST:PORT/DATABASE`, all but the host optional, or
    /// `redis+unix:///PATH`. Nobody is asked yet.
    ///
    /// # Errors
    /// [`StoreErrorKind::Refused`] if this is no such address.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        match redis::Client::open(url) {
            Ok(client) => Ok(Self::with_client(client)),
            // Its text may quote the URL.
            Err(_) => Err(StoreError::new(
                StoreErrorKind::Refused,
                "this is no address of a Redis: write redis://HOST:PORT/DATABASE (rediss:// needs the crate redis with its feature tls-rustls)",
            )),
        }
    }

    /// With a client of the program's own, for certificates and the like. Its type is that of the crate
    /// `redis` 1.
    #[must_use]
    pub fn with_client(client: redis::Client) -> Self {
        Self {
            pool: Arc::new(Pool::new(client, MOST, TIMEOUT)),
            prefix: "authflow:".to_owned(),
            name: "login".to_owned(),
            lease: LEASE,
            forget_after: None,
        }
    }

    /// What all keys begin with. The default is `authflow:`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// A login of its own for one of many users, under the key `PREFIX{login@NAME}`. Any name will do;
    /// take the user's id in your own database, or the provider's, and nothing that they can choose freely
    /// without your checking it.
    #[must_use]
    pub fn account(&self, name: &str) -> Self {
        Self {
            name: format!("login@{}", escape(name)),
            ..self.clone()
        }
    }

    /// How long a lock lasts if its holder does not give it back. It must be at least what the answer to a
    /// refresh may take: the total timeout of the program's [`Http`](crate::http::Http) and two of
    /// [`timeout`](Self::timeout). The default is 40 seconds, for the default of 30.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease.max(Duration::from_millis(1));
        self
    }

    /// How long Redis may take to be connected to, and for each answer, and how long to wait for one of the
    /// connections. The default is 5 seconds. From here on it is a pool of its own, so say it
    /// before [`account`](Self::account).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        let timeout = timeout.max(Duration::from_millis(1));
        self.pool = Arc::new(self.pool.with(self.pool.most, timeout));
        self
    }

    /// At most this many connections for all that comes from this handle. The default is 16. As with
    /// [`timeout`](Self::timeout), it is a pool of its own.
    #[must_use]
    pub fn max_connections(mut self, most: usize) -> Self {
        self.pool = Arc::new(self.pool.with(most, self.pool.timeout));
        self
    }

    /// Has Redis delete a login that nobody has refreshed for this long. It must be longer than
    /// access tokens live. The default is never; of a login that has ended, nothing is left after a week.
    #[must_use]
    pub fn forget_after(mut self, unused: Duration) -> Self {
        self.forget_after = Some(unused.max(Duration::from_millis(1)));
        self
    }

    /// Where logins wait for their callback, in the same Redis with the same prefix.
    #[must_use]
    pub fn pending_logins(&self) -> RedisPendingLogins {
        RedisPendingLogins::new(Arc::clone(&self.pool), &self.prefix)
    }

    /// Deletes the login, damaged or not: for a user who closes their account. A session that uses it finds
    /// itself logged out when it next refreshes. The tokens are not revoked;
    /// [`Session::log_out`](crate::Session::log_out) does that.
    ///
    /// # Errors
    /// [`StoreError`] if it can't be deleted, or somebody is refreshing all the while.
    pub fn remove(&self) -> Result<(), StoreError> {
        let lock = self.lock(Duration::from_secs(30))?;
        let command = self.script(scripts::REMOVE, &lock, b"", &millis(ENDED));
        self.fenced("cannot delete", &command?)
    }

    fn key(&self) -> String {
        format!("{}{{{}}}", self.prefix, self.name)
    }

    fn where_it_is(&self) -> String {
        format!("{} {}", self.pool.address(), self.key())
    }

    fn fault(&self, what: &str, fault: &Fault) -> StoreError {
        fault.to_error(what, &self.where_it_is())
    }

    fn error(&self, kind: StoreErrorKind, why: &str) -> StoreError {
        StoreError::new(kind, format!("{}: {why}", self.where_it_is()))
    }

    /// A script for whoever holds this lock.
    fn script(
        &self,
        script: &str,
        lock: &StoreLock,
        third: &[u8],
        fourth: &str,
    ) -> Result<redis::Cmd, StoreError> {
        let held = lock.guard::<Held>().filter(|held| held.key == self.key());
        let held = held.ok_or_else(|| {
            self.error(StoreErrorKind::Refused, "this is the lock of another store")
        })?;
        let mut command = redis::cmd("EVAL");
        command
            .arg(script)
            .arg(2)
            .arg(&held.key)
            .arg(held.lock_key());
        command
            .arg(&held.owner)
            .arg(&held.before)
            .arg(third)
            .arg(fourth);
        Ok(command)
    }

    /// Has it carried out, unless somebody else has taken the lock since.
    fn fenced(&self, what: &str, command: &redis::Cmd) -> Result<(), StoreError> {
        match self.pool.ask::<i64>(command) {
            Ok(1) => Ok(()),
            Ok(_) => {
                let why = "the lock was lost to somebody else, and what they have saved stands";
                Err(self.error(StoreErrorKind::Lost, why))
            }
            Err(fault) => Err(self.fault(what, &fault)),
        }
    }
}

impl Store for RedisStore {
    fn load(&self) -> Result<Option<Snapshot>, StoreError> {
        let mut command = redis::cmd("HGET");
        command.arg(self.key()).arg("login");
        let found: Option<Vec<u8>> = self
            .pool
            .ask(&command)
            .map_err(|fault| self.fault("cannot read", &fault))?;
        match found.map(Zeroizing::new) {
            None => Ok(None),
            Some(json) => match Snapshot::from_json(&json) {
                Ok(snapshot) => Ok(Some(snapshot)),
                Err(error) => Err(StoreError::unreadable(error, self.location())),
            },
        }
    }

    fn save(&self, snapshot: &Snapshot, lock: &StoreLock) -> Result<(), StoreError> {
        let life = match snapshot.has_session() {
            true => self.forget_after,
            false => Some(ENDED),
        };
        let life = life.map(millis).unwrap_or_default();
        let json = snapshot.to_json();
        let command = self.script(scripts::SAVE, lock, json.expose().as_bytes(), &life)?;
        self.fenced("cannot save", &command)
    }

    /// Whether the lock is still this one's, and Redis takes writes. The lease begins anew.
    fn rehearse(&self, _: &Snapshot, lock: &StoreLock) -> Result<(), StoreError> {
        let lease = millis(self.lease);
        let command = self.script(scripts::REHEARSE, lock, lease.as_bytes(), &millis(ENDED))?;
        self.fenced("cannot save", &command)
    }

    fn lock(&self, timeout: Duration) -> Result<StoreLock, StoreError> {
        let start = Instant::now();
        let mut held = Held {
            pool: Arc::clone(&self.pool),
            key: self.key(),
            owner: URL_SAFE_NO_PAD.encode(self.random::<16>()?),
            before: String::new(),
            is_held: false,
        };
        let mut command = redis::cmd("EVAL");
        command
            .arg(scripts::LOCK)
            .arg(2)
            .arg(&held.key)
            .arg(held.lock_key());
        command.arg(&held.owner).arg("");
        command.arg(millis(self.lease)).arg(millis(ENDED));
        let mut pause = Duration::from_millis(2);
        loop {
            let before: Option<String> = match self.pool.ask(&command) {
                Ok(before) => before,
                Err(fault) => {
                    // It may have been taken all the same, and only the answer is missing: it goes back.
                    held.is_held = true;
                    return Err(self.fault("cannot lock", &fault));
                }
            };
            if let Some(before) = before {
                held.before = before;
                held.is_held = true;
                return Ok(StoreLock::new(held));
            }
            let left = timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                let why = "somebody else has the lock";
                return Err(self.error(StoreErrorKind::Busy, why));
            }
            // Not all who wait ask at the same moment.
            let [chance] = self.random()?;
            thread::sleep(pause.mul_f64(0.5 + f64::from(chance) / 256.0).min(left));
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }

    fn location(&self) -> Option<String> {
        Some(self.where_it_is())
    }
}

impl RedisStore {
    fn random<const N: usize>(&self) -> Result<[u8; N], StoreError> {
        let mut bytes = [0; N];
        let refused = StoreErrorKind::Refused;
        getrandom::fill(&mut bytes)
            .map_err(|_| self.error(refused, "the system has no randomness"))?;
        Ok(bytes)
    }
}

/// A lock that is held, until this is dropped.
struct Held {
    pool: Arc<Pool>,
    key: String,
    owner: String,
    /// What the fence was before.
    before: String,
    is_held: bool,
}

impl Held {
    fn lock_key(&self) -> String {
        format!("{}:lock", self.key)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.is_held {
            return;
        }
        let mut command = redis::cmd("EVAL");
        command
            .arg(scripts::RELEASE)
            .arg(1)
            .arg(self.lock_key())
            .arg(&self.owner);
        if self.pool.ask::<i64>(&command).is_err() {
            log::warn!("a lock could not be given back to Redis, and lasts until its lease ends");
        }
    }
}

fn millis(duration: Duration) -> String {
    // Redis refuses what does not fit into its own numbers.
    const MOST: u128 = 100 * 365 * 24 * 3600 * 1000;
    duration.as_millis().clamp(1, MOST).to_string()
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("location", &self.where_it_is())
            .finish_non_exhaustive()
    }
}
