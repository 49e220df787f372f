//! Logins that wait for their callback, in Redis.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::pool::{Fault, Pool};
use super::{millis, scripts};
use crate::flow::snapshot::Snapshot;
use crate::session::store::StoreError;
use crate::session::{Error, Login, PendingLogin};
use crate::time::Timestamp;
use crate::wire::callback::{CallbackUrl, IgnoredReason};

/// Keeps logins that wait for their callback, so that one may begin in one process and end in another.
/// From [`RedisStore::pending_logins`](super::RedisStore::pending_logins).
///
/// A login belongs to the browser that began it, and is found by what that browser's cookie holds: a
/// random value of 128 bits or more, made for this login, and by nothing that stands in a callback's
/// URL. Otherwise somebody could log another person in as themselves. One browser has one login waiting;
/// the next one takes its place.
///
/// - It is taken once: of two machines that get the same callback, one goes on. The machine's own
///   state can't see to that, because both restore the same one.
/// - A callback that is not its answer, from an attacker's link for instance, leaves it where it is.
/// - It ends when the login's time is over
///   ([`ClientBuilder::login_timeout`](crate::ClientBuilder::login_timeout)), and then Redis deletes it.
/// - If Redis loses its memory, or a process dies after it took a login, the person begins again.
///
/// It is as secret as a token, and kept as it is. The cookie's value is not: the key is its SHA-256.
///
/// ```no_run
/// # fn main() -> Result<(), authflow::session::Error> {
/// use authflow::session::RedisStore;
/// use authflow::{CallbackUrl, Login, spotify};
///
/// let redis = RedisStore::open("redis://127.0.0.1")?;
/// let client = spotify::client("your-client-id").secret("your-client-secret");
///
/// let cookie = "…"; // fresh random text, set as a cookie: HttpOnly, Secure, SameSite=Lax
/// let pending = Login::new(client.clone()).begin("https://app.example/callback")?;
/// redis.pending_logins().keep(cookie, &pending)?; // and now send the browser to pending.url()
///
/// // … on another machine, when the browser is back with its cookie and a query:
/// # let query = "";
/// let url = CallbackUrl::from_query(query);
/// let session = redis.pending_logins().take(cookie, Login::new(client), &url)?.callback(url)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisPendingLogins {
    pool: Arc<Pool>,
    prefix: String,
}

impl RedisPendingLogins {
    pub(super) fn new(pool: Arc<Pool>, prefix: &str) -> Self {
        let prefix = format!("{prefix}pending:");
        Self { pool, prefix }
    }

    /// Keeps a login for this browser until its time is over.
    ///
    /// # Errors
    /// [`StoreError`] if it can't be kept: then don't send the browser away.
    pub fn keep(&self, browser: &str, pending: &PendingLogin) -> Result<(), StoreError> {
        let json = pending.snapshot().to_json();
        let mut command = redis::cmd("SET");
        command.arg(self.key(browser)).arg(json.expose().as_bytes());
        if let Some(deadline) = pending.deadline() {
            let left = deadline.saturating_since(Timestamp::now());
            command.arg("PX").arg(millis(left));
        }
        let kept = self.pool.ask::<redis::Value>(&command);
        kept.map(drop)
            .map_err(|fault| self.fault("cannot keep a login", &fault))
    }

    /// The login that this browser began, if `url` is its answer, for
    /// [`callback`](PendingLogin::callback). Nobody else gets it after that. `login` is configured as the one
    /// that began it.
    ///
    /// # Errors
    /// [`Error::CallbackIgnored`] if there is none, or `url` is not its answer, or somebody was faster;
    /// the others as [`Login::resume_pending`]. [`Error::Store`] if Redis did not answer: it may be taken
    /// then, and if the same callback does not work again, the person begins anew.
    pub fn take(
        &self,
        browser: &str,
        login: Login,
        url: &CallbackUrl,
    ) -> Result<PendingLogin, Error> {
        let key = self.key(browser);
        let mut get = redis::cmd("GET");
        get.arg(&key);
        let found = self.pool.ask::<Option<Vec<u8>>>(&get);
        let found = found.map_err(|fault| self.fault("cannot read a login", &fault))?;
        let json = found.map(Zeroizing::new);
        let json = json.ok_or_else(|| Error::CallbackIgnored(IgnoredReason::NoLogin.into()))?;
        let saved = Snapshot::from_json(&json);
        let saved = saved.map_err(|error| StoreError::unreadable(error, Some(self.place())))?;
        let mut pending = login.resume_pending(saved)?;
        if !pending.expects(url) {
            // It says why, and nothing is sent.
            return match pending.callback(url.clone()) {
                Err(error) => Err(error),
                Ok(_) => Err(Error::CallbackIgnored(IgnoredReason::NoLogin.into())),
            };
        }
        let mut take = redis::cmd("EVAL");
        take.arg(scripts::TAKE).arg(1).arg(&key).arg(&json[..]);
        let taken = self.pool.ask_once::<i64>(&take);
        match taken.map_err(|fault| self.fault("cannot take a login", &fault))? {
            1 => Ok(pending),
            _ => Err(Error::CallbackIgnored(IgnoredReason::Duplicate.into())),
        }
    }

    fn key(&self, browser: &str) -> String {
        let digest = Sha256::digest(browser.as_bytes());
        format!("{}{}", self.prefix, URL_SAFE_NO_PAD.encode(digest))
    }

    fn place(&self) -> String {
        format!("{} {}*", self.pool.address(), self.prefix)
    }

    fn fault(&self, what: &str, fault: &Fault) -> StoreError {
        fault.to_error(what, &self.place())
    }
}

impl fmt::Debug for RedisPendingLogins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisPendingLogins")
            .field("location", &self.place())
            .finish_non_exhaustive()
    }
}
