//! A few connections for everybody, each with time limits.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::{Client, Cmd, Connection, ErrorKind, FromRedisValue, RedisError};

use crate::session::store::{StoreError, StoreErrorKind};

pub(super) struct Pool {
    client: Client,
    pub(super) most: usize,
    /// To connect, to read, to write, and to wait for a connection that is free.
    pub(super) timeout: Duration,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Connection>,
    /// Those in use, too.
    open: usize,
}

/// Why there is no answer.
pub(super) enum Fault {
    Redis(RedisError),
    /// All connections are in use.
    Crowded,
}

impl Pool {
    pub(super) fn new(client: Client, most: usize, timeout: Duration) -> Self {
        Self {
            client,
            most: most.max(1),
            timeout,
            state: Mutex::default(),
            freed: Condvar::new(),
        }
    }

    pub(super) fn with(&self, most: usize, timeout: Duration) -> Self {
        Self::new(self.client.clone(), most, timeout)
    }

    /// Host, port and number of the database; nothing of a password.
    pub(super) fn address(&self) -> String {
        let info = self.client.get_connection_info();
        format!("redis://{}/{}", info.addr(), info.redis_settings().db())
    }

    /// The answer to a command that may be carried out twice without harm. If a connection has died
    /// since it was last used, as they all do when Redis restarts, it is sent once more on a new one.
    pub(super) fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Fault> {
        self.unless_interrupted(|| self.try_to_ask(command))
    }

    fn try_to_ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Fault> {
        let mut line = self.line()?;
        match line.ask(command) {
            Err(Fault::Redis(error)) if line.is_used && error.is_connection_dropped() => {
                drop(line);
                self.forget();
                self.line()?.ask(command)
            }
            result => result,
        }
    }

    /// The answer to a command that is sent once at most, on a connection that has just been tried.
    pub(super) fn ask_once<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Fault> {
        let mut line = self.unless_interrupted(|| self.line())?;
        if line.is_used && line.ask::<String>(&redis::cmd("PING")).is_err() {
            drop(line);
            self.forget();
            line = self.unless_interrupted(|| self.line())?;
        }
        line.ask(command)
    }

    /// Again, if nothing but a signal came in between: on Linux it ends a read that has a time limit, also
    /// when a process is stopped and goes on.
    fn unless_interrupted<T>(&self, attempt: impl Fn() -> Result<T, Fault>) -> Result<T, Fault> {
        let start = Instant::now();
        loop {
            match attempt() {
                Err(Fault::Redis(error))
                    if is_interrupted(&error) && start.elapsed() < self.timeout => {}
                result => return result,
            }
        }
    }

    /// A connection, used or new.
    fn line(&self) -> Result<Line<'_>, Fault> {
        let start = Instant::now();
        let mut state = self.lock();
        while state.idle.is_empty() && state.open >= self.most {
            let left = self.timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(Fault::Crowded);
            }
            let waited = self.freed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let used = state.idle.pop();
        let mut line = Line {
            pool: self,
            is_used: used.is_some(),
            connection: used,
        };
        if !line.is_used {
            state.open += 1;
            drop(state);
            line.connection = Some(self.connect().map_err(Fault::Redis)?);
        }
        Ok(line)
    }

    fn connect(&self) -> Result<Connection, RedisError> {
        let connection = self.client.get_connection_with_timeout(self.timeout)?;
        connection.set_read_timeout(Some(self.timeout))?;
        connection.set_write_timeout(Some(self.timeout))?;
        Ok(connection)
    }

    /// Hangs up on all that nobody uses: if one has died, the others most likely have too.
    fn forget(&self) {
        let mut state = self.lock();
        state.open -= state.idle.len();
        state.idle.clear();
        self.freed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_interrupted(error: &RedisError) -> bool {
    let source = error.source();
    let source = source.and_then(|source| source.downcast_ref::<Arc<dyn Error + Send + Sync>>());
    let fault = source.and_then(|source| source.downcast_ref::<io::Error>());
    fault.is_some_and(|fault| fault.kind() == io::ErrorKind::Interrupted)
}

/// A connection of the pool's, which goes back to it if it is good for more.
struct Line<'a> {
    pool: &'a Pool,
    is_used: bool,
    connection: Option<Connection>,
}

impl Line<'_> {
    fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, Fault> {
        let Some(connection) = &mut self.connection else {
            return Err(Fault::Redis((ErrorKind::Io, "hung up").into()));
        };
        let result = command.query(connection);
        result.map_err(|error: RedisError| {
            // After anything but an answer the next answer might be to this command. A server that
            // is no master any more is not asked again.
            let is_answer = matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension);
            if !is_answer || error.code() == Some("READONLY") {
                self.connection = None;
            }
            Fault::Redis(error)
        })
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        match self.connection.take() {
            Some(connection) => state.idle.push(connection),
            None => state.open -= 1,
        }
        self.pool.freed.notify_one();
    }
}

impl Fault {
    /// In words of our own: what Redis says may quote what it was sent.
    pub(super) fn to_error(&self, what: &str, location: &str) -> StoreError {
        use StoreErrorKind::{Full, Other, Refused};
        let (kind, why) = match self {
            Self::Crowded => (Other, "all connections to Redis are in use".to_owned()),
            Self::Redis(error) => match code(error) {
                Some("OOM") => (Full, "Redis has no memory left (OOM)".to_owned()),
                Some("MISCONF") => (Full, "Redis can't write to its disk (MISCONF)".to_owned()),
                Some("NOAUTH" | "WRONGPASS") => {
                    (Refused, "Redis wants another password".to_owned())
                }
                Some("NOPERM") => (Refused, "Redis does not allow it (NOPERM)".to_owned()),
                Some("WRONGTYPE") => (Refused, "the key is somebody else's (WRONGTYPE)".to_owned()),
                Some("READONLY") => (Other, "this Redis is a read-only replica".to_owned()),
                Some(code) if is_code(code) => (Other, format!("Redis says {code}")),
                _ if error.kind() == ErrorKind::AuthenticationFailed => {
                    (Refused, "Redis wants another password".to_owned())
                }
                _ if error.kind() == ErrorKind::InvalidClientConfig => {
                    (Refused, "the address of Redis can't be used".to_owned())
                }
                _ if error.is_timeout() => (Other, "Redis does not answer in time".to_owned()),
                _ if error.is_connection_refusal() => (Other, "Redis is not there".to_owned()),
                _ if error.is_connection_dropped() => (Other, "Redis has hung up".to_owned()),
                // The system's words, or those of TLS, who quote nothing.
                _ if error.is_io_error() => (Other, format!("Redis can't be asked: {error}")),
                _ => (Other, "Redis can't be asked".to_owned()),
            },
        };
        StoreError::new(kind, format!("{what} {location}: {why}"))
    }
}

/// Before version 7 a script's errors have their code further back.
fn code(error: &RedisError) -> Option<&str> {
    let code = error.code()?;
    let detail = error.detail().unwrap_or_default();
    let inner = ["OOM", "MISCONF", "READONLY", "WRONGTYPE", "NOPERM"];
    let inner = inner
        .into_iter()
        .find(|inner| detail.contains(&format!("-{inner} ")));
    Some(inner.filter(|_| code == "ERR").unwrap_or(code))
}

fn is_code(code: &str) -> bool {
    code.len() <= 20 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}
