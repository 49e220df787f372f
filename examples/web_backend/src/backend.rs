//! One process of the backend: its routes, and what it keeps where.
//!
//! Nothing that counts is in the process. In Redis are the logins that wait, by the browser that began
//! them; who sits at which browser; and each user's tokens. What a process has of its own are the sessions
//! it has open, and those are only ever used for a browser that Redis has just vouched for.

use std::sync::Arc;
use std::time::Duration;

use authflow::http::Http;
use authflow::session::{
    Error as LoginError, RedisPendingLogins, RedisStore, Revocation, Store, StoreErrorKind,
};
use authflow::{CallbackUrl, Client, ClientBuilder, Login, Secret, Session, WhatNow};

use crate::browsers::{Browser, Browsers};
use crate::front::Front;
use crate::reply::{Cookies, Reply, redirect, reply};
use crate::request::Request;
use crate::sessions::Sessions;
use crate::turns::Turns;
use crate::{Error, is_random, page, random};

/// How long a person may take at the provider.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(600);
/// How long the provider may take for an answer. A thread waits for it, and so may others for this thread.
const HTTP_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than that, and than Redis may take.
const LEASE: Duration = Duration::from_secs(20);
const SESSION_LIFE: u64 = 30 * 24 * 3600;

/// Where a user's tokens are kept.
pub type Stores = Box<dyn Fn(&str) -> Arc<dyn Store> + Send + Sync>;

pub struct Config {
    pub client: ClientBuilder,
    /// Where the API says whose token it is, in the member `id`.
    pub me: String,
    /// What people write into the address bar: `https://app.example`.
    pub public_url: String,
    pub redis: String,
    pub stores: Stores,
    /// Best in another Redis: anybody can fill it.
    pub pending: RedisPendingLogins,
    /// For a browser that takes no `Secure` cookie from `http://127.0.0.1`, while this is developed.
    pub plain_cookies: bool,
    pub workers: usize,
    /// At once, in this process. More get a 429.
    pub calls_per_user: usize,
    pub most_sessions: usize,
    /// Told of what has just been done.
    pub on_step: Box<dyn Fn(&'static str) + Send + Sync>,
}

impl Config {
    pub fn new(
        client: ClientBuilder,
        me: &str,
        public_url: &str,
        redis: &str,
    ) -> Result<Self, Error> {
        let logins = RedisStore::open(redis)?.prefix("web:").lease(LEASE);
        Ok(Self {
            client: client.login_timeout(LOGIN_TIMEOUT),
            me: me.to_owned(),
            public_url: public_url.trim_end_matches('/').to_owned(),
            redis: redis.to_owned(),
            pending: logins.pending_logins(),
            stores: Box::new(move |user| Arc::new(logins.account(user))),
            plain_cookies: false,
            // Far more than there are processors: most of them wait for the provider.
            workers: 32,
            calls_per_user: 4,
            most_sessions: 10_000,
            on_step: Box::new(|_| ()),
        })
    }
}

pub struct Backend {
    config: Config,
    client: Arc<Client>,
    callback: String,
    cookies: Cookies,
    browsers: Browsers,
    sessions: Sessions<Session>,
    turns: Turns,
    http: Http,
}

impl Backend {
    pub fn new(config: Config) -> Result<Self, Error> {
        Ok(Self {
            callback: format!("{}/callback", config.public_url),
            cookies: Cookies {
                are_plain: config.plain_cookies,
            },
            http: Http::with_agent(agent()),
            browsers: Browsers::open(&config.redis, "web:")?,
            sessions: Sessions::new(config.most_sessions),
            turns: Turns::new(config.calls_per_user),
            client: Arc::new(config.client.clone().build()?),
            config,
        })
    }

    /// Serves for as long as the process runs.
    pub fn serve(&self, front: &Front) {
        front.serve(self.config.workers, |request| self.answer(request));
    }

    fn answer(&self, request: &Request) -> Reply {
        self.route(request).unwrap_or_else(|error| {
            // For whoever runs this; the person is told less.
            eprintln!("{}: {error}", request.method);
            page::trouble(
                503,
                "Not now",
                "Something of ours does not work. Try again soon.",
            )
        })
    }

    fn route(&self, request: &Request) -> Result<Reply, Error> {
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/") => self.home(request),
            ("GET", "/login") => self.begin(request),
            ("GET", "/callback") => self.finish(request),
            ("GET", "/me") => self.me(request),
            ("POST", "/log-out") => self.log_out(request, false),
            ("POST", "/log-out-everywhere") => self.log_out(request, true),
            _ => Ok(page::trouble(404, "Nothing here", "There is no such page.")),
        }
    }

    fn home(&self, request: &Request) -> Result<Reply, Error> {
        let browser = self.browser(request)?;
        if browser.is_none()
            && let Some(ending) = self.ending(request)?
        {
            return Ok(page::half_out(200, &ending));
        }
        Ok(page::home(browser.as_ref()))
    }

    // --- signing in -------------------------------------------------------------------------------

    fn login(&self) -> Login {
        Login::with_client(Arc::clone(&self.client)).http(self.http.clone())
    }

    /// A cookie of this login's own. The session's cookie has nothing to do with it, and changes when
    /// somebody signs in. A browser that begins again has it still, and its new login takes the place of the
    /// old one, so that it never has more than one in Redis.
    fn begin(&self, request: &Request) -> Result<Reply, Error> {
        let pending = self.login().begin(&self.callback)?;
        let cookie = match self.cookies.get(request, "login") {
            Some(cookie) if is_random(&cookie) => cookie,
            _ => random()?,
        };
        self.config.pending.keep(&cookie, &pending)?;
        (self.config.on_step)("began");
        let mut reply = redirect(pending.url().as_str());
        let seconds = LOGIN_TIMEOUT.as_secs();
        self.cookies.set(&mut reply, "login", &cookie, seconds);
        Ok(reply)
    }

    fn finish(&self, request: &Request) -> Result<Reply, Error> {
        let url = CallbackUrl::from_query(&request.query);
        match self.exchange(request, url) {
            Ok(user) => self.welcome(request, &user),
            Err(failed) => {
                let again = "Go back and sign in again.";
                let what_now = match failed {
                    Failed::Login(error) => {
                        eprintln!("a login failed: {error}");
                        error.what_now()
                    }
                    Failed::Nameless => {
                        eprintln!("a login failed: the API does not say whose it is");
                        WhatNow::Configuration
                    }
                };
                let mut reply = match what_now {
                    // An attacker's link, a second copy of the callback, or a login that took too long.
                    WhatNow::Ignore => {
                        return Ok(page::trouble(400, "No login waits here", again));
                    }
                    WhatNow::Denied => page::trouble(403, "You said no", again),
                    WhatNow::SignIn => page::trouble(400, "That did not work", again),
                    _ => page::trouble(503, "Not now", "Try to sign in again soon."),
                };
                self.cookies.clear(&mut reply, "login");
                Ok(reply)
            }
        }
    }

    /// Takes the login that this browser began, on whatever machine, and gets its tokens into the place of
    /// the user whom the provider names.
    fn exchange(&self, request: &Request, url: CallbackUrl) -> Result<User, Failed> {
        let step = &self.config.on_step;
        let cookie = self.cookies.get(request, "login").unwrap_or_default();
        // Until it is known whose they are, the tokens are in memory only.
        let pending = &self.config.pending;
        let mut pending = pending.take(&cookie, self.login(), &url)?;
        step("taken");
        let session = pending.callback(url)?;
        step("exchanged");
        let me: serde_json::Value = session.get(&self.config.me)?.read_json()?;
        let id = me["id"].as_str().filter(|id| !id.is_empty());
        let id = id.ok_or(Failed::Nameless)?;
        let user = User {
            id: id.to_owned(),
            name: me["display_name"].as_str().unwrap_or(id).to_owned(),
        };
        // In the place of older ones, if the user is signed in at another browser. Those are not revoked:
        // many providers would end the new ones with them.
        step("before the save");
        session.move_to((self.config.stores)(&user.id))?;
        step("saved");
        self.sessions.forget(&user.id);
        Ok(user)
    }

    /// A new cookie for the session, so that nobody who planted the old one is signed in with it.
    fn welcome(&self, request: &Request, user: &User) -> Result<Reply, Error> {
        if let Some(old) = self.cookies.get(request, "session") {
            self.browsers.sign_out(&old)?;
        }
        let cookie = random()?;
        self.browsers.sign_in(&cookie, &user.id, &user.name)?;
        let mut reply = redirect("/");
        self.cookies
            .set(&mut reply, "session", &cookie, SESSION_LIFE);
        self.cookies.clear(&mut reply, "login");
        Ok(reply)
    }

    // --- being signed in --------------------------------------------------------------------------

    /// Who sits there, as Redis knows it now.
    fn browser(&self, request: &Request) -> Result<Option<Browser>, Error> {
        match self.cookies.get(request, "session") {
            Some(cookie) => self.browsers.find(&cookie),
            None => Ok(None),
        }
    }

    /// Who sat there, if their log-out everywhere is not finished.
    fn ending(&self, request: &Request) -> Result<Option<Browser>, Error> {
        match self.cookies.get(request, "session") {
            Some(cookie) => self.browsers.find_ending(&cookie),
            None => Ok(None),
        }
    }

    /// The user's session, from this process or from Redis. `None` if only a new login helps.
    fn session(&self, browser: &Browser) -> Result<Option<Session>, LoginError> {
        if let Some(session) = self.sessions.get(&browser.user, &browser.generation) {
            return Ok(Some(session));
        }
        let store = (self.config.stores)(&browser.user);
        let session = self.login().store(store).resume()?;
        if let Some(session) = &session {
            let session = session.clone();
            self.sessions
                .put(&browser.user, &browser.generation, session);
        }
        Ok(session)
    }

    fn me(&self, request: &Request) -> Result<Reply, Error> {
        let Some(browser) = self.browser(request)? else {
            return Ok(page::trouble(401, "Who are you?", "Sign in first."));
        };
        let Some(_turn) = self.turns.take(&browser.user) else {
            return Ok(page::too_many());
        };
        let mut answer = self.ask_me(&browser);
        // Whoever stalled takes over what somebody else has saved meanwhile.
        if let Err(LoginError::Store(error)) = &answer
            && error.kind() == StoreErrorKind::Lost
        {
            answer = self.ask_me(&browser);
        }
        let error = match answer {
            Ok(Some(me)) => return Ok(reply(200, "application/json", me.to_string())),
            Ok(None) => LoginError::SignIn(None),
            Err(error) => error,
        };
        eprintln!("{:?}: {error}", request.path);
        Ok(match error.what_now() {
            WhatNow::SignIn => {
                self.sessions.forget(&browser.user);
                page::trouble(
                    401,
                    "Sign in again",
                    "The provider does not know you any more.",
                )
            }
            _ => page::trouble(503, "Not now", "Try again soon."),
        })
    }

    fn ask_me(&self, browser: &Browser) -> Result<Option<serde_json::Value>, LoginError> {
        let Some(session) = self.session(browser)? else {
            return Ok(None);
        };
        Ok(Some(session.get(&self.config.me)?.read_json()?))
    }

    /// Forgets the user's tokens, and has the provider revoke them if it can.
    fn end(&self, browser: &Browser) -> Result<Revocation, LoginError> {
        let login = self.login().store((self.config.stores)(&browser.user));
        match login.stored()? {
            Some(session) => session.log_out(),
            None => Ok(Revocation::NotOffered),
        }
    }

    fn log_out(&self, request: &Request, everywhere: bool) -> Result<Reply, Error> {
        let mut reply = redirect("/");
        let here = self.browser(request)?;
        let is_here = here.is_some();
        let half_out = match here.is_none() && everywhere {
            true => self.ending(request)?,
            false => None,
        };
        let Some(browser) = here.or(half_out) else {
            return Ok(reply);
        };
        let csrf = Secret::from(request.field("csrf").unwrap_or_default());
        if csrf != Secret::from(browser.csrf.as_str()) {
            return Ok(page::trouble(
                403,
                "Not from here",
                "Press the button on our page.",
            ));
        }
        if everywhere {
            let Some(_turn) = self.turns.take(&browser.user) else {
                return Ok(page::too_many());
            };
            if is_here {
                // First the browsers: from here on no process serves any of them.
                self.browsers.sign_out_everywhere(&browser)?;
                (self.config.on_step)("signed out");
            }
            // Done already, or somebody has signed in again, whose tokens these are.
            if self.ending(request)?.is_none() {
                return Ok(reply);
            }
            let ended = self.end(&browser);
            self.sessions.forget(&browser.user);
            // A user's name is not ours, and could be lines of a log.
            match ended {
                Ok(ended) => eprintln!("{:?} is logged out everywhere: {ended:?}", browser.user),
                Err(error) => {
                    eprintln!(
                        "{:?} is logged out, and has tokens yet: {error}",
                        browser.user
                    );
                    return Ok(page::half_out(503, &browser));
                }
            }
            self.browsers.has_ended(&browser)?;
        }
        if let Some(cookie) = self.cookies.get(request, "session") {
            self.browsers.sign_out(&cookie)?;
        }
        self.cookies.clear(&mut reply, "session");
        Ok(reply)
    }
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder();
    config.timeout_global(Some(HTTP_TIMEOUT)).build().into()
}

struct User {
    id: String,
    name: String,
}

/// Why a callback did not sign anybody in.
enum Failed {
    Login(LoginError),
    /// The API names nobody.
    Nameless,
}

impl From<LoginError> for Failed {
    fn from(error: LoginError) -> Self {
        Self::Login(error)
    }
}
