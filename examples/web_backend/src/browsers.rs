//! Who sits at which browser: records in Redis, found by a cookie, looked at with each request. So a
//! log-out anywhere counts everywhere at once.
//!
//! A record names its user and the user's *generation*, a random word that all browsers of the user have in
//! common. To log out everywhere is to forget that word. Until the tokens are gone, too, it is remembered as the
//! one that is *ending*, so that one of those browsers can try again.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use redis::{Client, Cmd, Connection, FromRedisValue, RedisError, RedisResult};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, random};

const TIMEOUT: Duration = Duration::from_secs(5);
/// A browser has to sign in again after this long.
const LIFE: u64 = 30 * 24 * 3600;

/// What is known of a browser.
#[derive(Clone, Serialize, Deserialize)]
pub struct Browser {
    pub user: String,
    pub name: String,
    pub generation: String,
    /// Stands in each form of ours: no other site can write one.
    pub csrf: String,
}

pub struct Browsers {
    client: Client,
    idle: Mutex<Vec<Connection>>,
    prefix: String,
}

impl Browsers {
    pub fn open(redis: &str, prefix: &str) -> Result<Self, Error> {
        // The error's text may hold the password.
        let client = Client::open(redis).map_err(|_| "this is no address of a Redis")?;
        Ok(Self {
            client,
            idle: Mutex::default(),
            prefix: prefix.to_owned(),
        })
    }

    /// Whose browser this is, if somebody is signed in there and has not been logged out anywhere.
    pub fn find(&self, cookie: &str) -> Result<Option<Browser>, Error> {
        let Some(browser) = self.read(cookie)? else {
            return Ok(None);
        };
        let generation = self.get(&self.user(&browser.user))?;
        Ok((generation.as_ref() == Some(&browser.generation)).then_some(browser))
    }

    /// Whose browser this was, if that user was logged out everywhere, there are tokens to be ended since,
    /// and nobody has signed in again.
    pub fn find_ending(&self, cookie: &str) -> Result<Option<Browser>, Error> {
        let Some(browser) = self.read(cookie)? else {
            return Ok(None);
        };
        let ending = self.get(&self.ending(&browser.user))?;
        let is_out = self.get(&self.user(&browser.user))?.is_none();
        let is_it = is_out && ending.as_ref() == Some(&browser.generation);
        Ok(is_it.then_some(browser))
    }

    fn read(&self, cookie: &str) -> Result<Option<Browser>, Error> {
        let json = self.get(&self.record(cookie))?;
        // The fault's text may quote the record.
        let browser = json.map(|json| serde_json::from_str(&json));
        browser
            .transpose()
            .map_err(|_| "the record of a browser is damaged".into())
    }

    /// Signs a user in at a browser that has this cookie from now on.
    pub fn sign_in(&self, cookie: &str, user: &str, name: &str) -> Result<(), Error> {
        let key = self.user(user);
        // The tokens of before have been replaced.
        let mut delete = redis::cmd("DEL");
        self.ask::<i64>(delete.arg(self.ending(user)))?;
        // All browsers of a user have the first one's word.
        let mut first = redis::cmd("SET");
        first.arg(&key).arg(random()?).arg("NX").arg("EX").arg(LIFE);
        self.ask::<redis::Value>(&first)?;
        let mut longer = redis::cmd("EXPIRE");
        self.ask::<i64>(longer.arg(&key).arg(LIFE))?;
        let browser = Browser {
            user: user.to_owned(),
            name: name.to_owned(),
            generation: self.get(&key)?.ok_or("logged out meanwhile")?,
            csrf: random()?,
        };
        let mut set = redis::cmd("SET");
        set.arg(self.record(cookie))
            .arg(serde_json::to_string(&browser).map_err(|_| "a name is no text")?);
        self.ask::<redis::Value>(set.arg("EX").arg(LIFE))?;
        Ok(())
    }

    /// Signs the user out at this browser.
    pub fn sign_out(&self, cookie: &str) -> Result<(), Error> {
        let mut delete = redis::cmd("DEL");
        self.ask::<i64>(delete.arg(self.record(cookie)))?;
        Ok(())
    }

    /// Signs the browser's user out at all browsers, in all processes, now. Their tokens are to be ended next.
    /// A Redis that is full does it, too.
    pub fn sign_out_everywhere(&self, browser: &Browser) -> Result<(), Error> {
        const RENAME: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then \
            redis.call('RENAME', KEYS[1], KEYS[2]) end return 0";
        let mut rename = redis::cmd("EVAL");
        rename.arg(RENAME).arg(2);
        rename.arg(self.user(&browser.user));
        rename.arg(self.ending(&browser.user));
        self.ask::<i64>(rename.arg(&browser.generation))?;
        Ok(())
    }

    /// The tokens are gone. A later log-out's may still be there.
    pub fn has_ended(&self, browser: &Browser) -> Result<(), Error> {
        const DELETE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then \
            return redis.call('DEL', KEYS[1]) end return 0";
        let mut delete = redis::cmd("EVAL");
        delete.arg(DELETE).arg(1).arg(self.ending(&browser.user));
        self.ask::<i64>(delete.arg(&browser.generation))?;
        Ok(())
    }

    /// Not the cookie itself: who reads the names of keys shall not be able to act as the browser.
    fn record(&self, cookie: &str) -> String {
        let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(cookie.as_bytes()));
        format!("{}browser:{digest}", self.prefix)
    }

    fn user(&self, user: &str) -> String {
        format!("{}user:{user}", self.prefix)
    }

    fn ending(&self, user: &str) -> String {
        format!("{}ending:{user}", self.prefix)
    }

    fn get(&self, key: &str) -> Result<Option<String>, Error> {
        let mut get = redis::cmd("GET");
        self.ask(get.arg(key))
    }

    fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Error> {
        // What Redis says may quote what it was asked, and goes to nobody's log.
        self.query(command).map_err(|error| {
            let why = if error.is_timeout() {
                "Redis does not answer in time"
            } else if error.is_io_error() {
                "Redis is not there"
            } else {
                "Redis refuses: is it full, read only, or does it want another password?"
            };
            why.into()
        })
    }

    /// All of these do no harm if they are carried out twice.
    fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let used = idle().pop();
        if let Some(mut connection) = used {
            match command.query(&mut connection) {
                Err(error) if error.is_connection_dropped() => idle().clear(),
                result => return self.keep(connection, result),
            }
        }
        let mut connection = self.client.get_connection_with_timeout(TIMEOUT)?;
        connection.set_read_timeout(Some(TIMEOUT))?;
        connection.set_write_timeout(Some(TIMEOUT))?;
        let result = command.query(&mut connection);
        self.keep(connection, result)
    }

    fn keep<T>(&self, connection: Connection, result: RedisResult<T>) -> RedisResult<T> {
        if result.is_ok() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(connection);
        }
        result
    }
}
