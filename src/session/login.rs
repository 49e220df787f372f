//! From nothing to a [`Session`], in one call.

use std::fmt;
use std::io::BufRead;
use std::sync::Arc;
use std::time::Duration;

use crate::driver::http::Http;
use crate::driver::loopback::{Loopback, LoopbackBuilder, Pages};
use crate::error::WhatNow;
use crate::flow::event::{Event, TokenSet};
use crate::flow::snapshot::Snapshot;
use crate::flow::{AuthFlow, State};
use crate::provider::client::{Client, ClientBuilder};
use crate::session::browse::Browse;
use crate::session::client_credentials::restore;
use crate::session::client_source::ClientSource;
use crate::session::control::{Controlled, LoginControl};
use crate::session::store::{Store, StoreError};
use crate::session::{Error, Parts, PendingLogin, Session};
use crate::time::Timestamp;
use crate::wire::authorize::AuthorizationUrl;
use crate::wire::callback::IgnoredCallback;
use crate::wire::pkce::LoginSecrets;

pub(super) type UrlHook = Box<dyn FnOnce(&AuthorizationUrl) + Send>;
pub(super) type IgnoredHook = Box<dyn FnMut(&IgnoredCallback) + Send>;

/// Logs a person in: opens their browser, waits for them to come back, and exchanges the code.
///
/// ```no_run
/// use authflow::{Login, spotify};
///
/// # fn main() -> Result<(), authflow::session::Error> {
/// let session = Login::new(spotify::client("your-client-id"))
///     .scopes([spotify::Scope::UserReadEmail])
///     .run()?;
/// # Ok(())
/// # }
/// ```
#[doc(alias = "prompt_for_token")]
#[doc(alias = "InstalledFlowAuthenticator")]
#[must_use]
pub struct Login {
    client: ClientSource,
    scopes: Vec<String>,
    timeout: Option<Duration>,
    store: Option<Arc<dyn Store>>,
    listener: LoopbackBuilder,
    http: Option<Http>,
    prompt: UrlHook,
    opener: UrlHook,
    ignored: Option<IgnoredHook>,
    pastes: Option<Box<dyn BufRead + Send>>,
    control: Controlled,
    ignores_stored: bool,
    allows_other_users: bool,
}

impl Login {
    /// A login of this client's. Without further words: it listens on a free port of 127.0.0.1,
    /// prints the URL to standard error, opens the browser (with the feature `browser`), waits five
    /// minutes, and keeps the tokens in memory.
    pub fn new(client: ClientBuilder) -> Self {
        Self::of(ClientSource::Builder(Box::new(client)))
    }

    /// A login of a client that is built, and serves others too: for a web backend, where no login should
    /// check and keep the same things again. One that is given more [`scopes`](Self::scopes) or another
    /// [`timeout`](Self::timeout) has a copy with these. Otherwise as [`new`](Self::new).
    pub fn with_client(client: impl Into<Arc<Client>>) -> Self {
        Self::of(ClientSource::Client(client.into()))
    }

    fn of(client: ClientSource) -> Self {
        Self {
            client,
            scopes: Vec::new(),
            timeout: None,
            store: None,
            listener: Loopback::builder(),
            http: None,
            prompt: Box::new(print),
            opener: Box::new(open),
            ignored: None,
            pastes: None,
            control: Controlled::default(),
            ignores_stored: false,
            allows_other_users: false,
        }
    }

    /// The scopes to ask for, in addition to the client's own.
    pub fn scopes<S: AsRef<str>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        let scopes = scopes.into_iter().map(|scope| scope.as_ref().to_owned());
        self.scopes.extend(scopes);
        self
    }

    /// Where the login is kept. If a usable one is there already, no browser opens.
    pub fn store(mut self, store: impl Store + 'static) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Begins a new login whatever is stored, which stays until it has worked: for another account, or
    /// where what is stored can't be used ([`Error::Store`] with
    /// [`Unreadable`](crate::session::StoreErrorKind::Unreadable)).
    pub fn ignore_stored(mut self) -> Self {
        self.ignores_stored = true;
        self
    }

    /// Listens on `[::1]`, for a redirect URI that was registered so. The default is 127.0.0.1.
    pub fn ipv6(mut self) -> Self {
        self.listener = self.listener.ipv6();
        self
    }

    /// Makes the redirect URI `http://localhost:PORT/path`, and listens on 127.0.0.1 and `[::1]`, for a
    /// provider that takes nothing else and says so by
    /// [`localhost_redirects`](crate::Provider::localhost_redirects). Others are better off without
    /// ([`LoopbackBuilder::localhost`] says why).
    pub fn localhost(mut self) -> Self {
        self.listener = self.listener.localhost();
        self
    }

    /// Listens on this port, for a redirect URI that was registered with it.
    pub fn port(self, port: u16) -> Self {
        self.ports([port])
    }

    /// Listens on the first of these ports that is free.
    pub fn ports(mut self, ports: impl IntoIterator<Item = u16>) -> Self {
        self.listener = self.listener.ports(ports);
        self
    }

    /// The path of the redirect URI. The default is `/callback`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.listener = self.listener.path(path);
        self
    }

    /// The pages that the person sees at the end.
    pub fn pages(mut self, pages: Pages) -> Self {
        self.listener = self.listener.pages(pages);
        self
    }

    /// Lets the browser be another user's of this machine: for a program that runs as a user of its own
    /// (by `sudo -u`, or in a container with the machine's network), where people with accounts on the
    /// machine are trusted. Otherwise a callback that another user's
    /// program brings is ignored ([`IgnoredReason::AnotherUser`](crate::IgnoredReason::AnotherUser)),
    /// where the system tells: they may have seen the authorization URL in the list of processes.
    pub fn allow_other_users(mut self) -> Self {
        self.allows_other_users = true;
        self
    }

    /// How long to wait for the person.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The HTTP driver, for a proxy or an agent of the program's own.
    pub fn http(mut self, http: Http) -> Self {
        self.http = Some(http);
        self
    }

    /// Shows the URL to the person in the program's own way, in place of standard error. It must be
    /// shown somewhere: a launcher may say that all is well and open nothing.
    pub fn on_prompt(mut self, show: impl FnOnce(&AuthorizationUrl) + Send + 'static) -> Self {
        self.prompt = Box::new(show);
        self
    }

    /// Opens the URL in the program's own way. It must not block until the person is done.
    pub fn opener(mut self, open: impl FnOnce(&AuthorizationUrl) + Send + 'static) -> Self {
        self.opener = Box::new(open);
        self
    }

    /// Opens no browser: the person opens the URL that is shown.
    pub fn without_browser(self) -> Self {
        self.opener(|_| ())
    }

    /// Tells the program of callbacks that are not this login's answer. Most are noise. One without a
    /// state but with an error may be the answer of a server that dropped the state, so a program may
    /// show it and offer to cancel.
    pub fn on_ignored(mut self, hook: impl FnMut(&IgnoredCallback) + Send + 'static) -> Self {
        self.ignored = Some(Box::new(hook));
        self
    }

    /// A handle to cancel the login from another thread, or to hand in an address that the person has
    /// pasted.
    pub fn control(&self) -> LoginControl {
        let remote = Arc::clone(&self.control.remote);
        LoginControl { remote }
    }

    /// Reads pasted addresses from here, beside the listener: for a person whose browser runs on
    /// another machine, over SSH for instance. There the browser says that it can't reach 127.0.0.1, and
    /// its address bar has what is wanted. What is wrong with a line is said on standard error.
    ///
    /// The reader has a thread of its own, which ends with the first line after the login has. With
    /// `BufReader::new(std::io::stdin())` that line is lost to the program.
    pub fn paste_from(mut self, lines: impl BufRead + Send + 'static) -> Self {
        self.pastes = Some(Box::new(lines));
        self
    }

    /// Logs in, blocking. A stored login that still works is used without a word, refreshed if it has
    /// to be; a browser opens only if nothing else is left, or if scopes are wanted that were not
    /// granted.
    ///
    /// # Errors
    /// [`Error`]: a configuration that can't work and a port that is taken before any browser opens;
    /// a person who says no or never comes back; whatever the provider does. What was stored is kept.
    pub fn run(self) -> Result<Session, Error> {
        let client = self.client.build(&self.scopes, self.timeout)?;
        let shared = Arc::clone(&client);
        let session = open_session(shared, self.http, self.store, self.ignores_stored)?;
        if session.resumes()? {
            log::info!("the stored login is used");
            return Ok(session);
        }
        if self.ignores_stored {
            session.could_save()?;
        }
        // Whatever the port will be.
        client.redirect_uri(&self.listener.redirect_uri()?)?;
        let listener = self.listener.bind()?;
        let redirect_uri = listener.redirect_uri();
        log::info!("a login begins, and waits at {redirect_uri}");
        let browse = Browse {
            session: &session,
            waiting: None,
            judge: None,
            listener: Some(listener),
            prompt: Some(self.prompt),
            opener: Some(self.opener),
            ignored: self.ignored,
            allows_other_users: self.allows_other_users,
            has_warned: false,
            control: self.control,
        };
        browse.run(&client, &redirect_uri, self.pastes)?;
        Ok(session)
    }

    /// The stored login, if it still works and has all the scopes that are wanted: refreshed if it has
    /// to be, but without any browser. For what runs in the background.
    ///
    /// # Errors
    /// [`Error`], where another try may help; the store is as it was.
    pub fn resume(self) -> Result<Option<Session>, Error> {
        let client = self.client.build(&self.scopes, self.timeout)?;
        let session = open_session(client, self.http, self.store, false)?;
        Ok(session.resumes()?.then_some(session))
    }

    /// The stored login as it is, if there is one: nothing is sent, so its token may have ended, and scopes may
    /// be missing. For a log-out, also while the provider can't be reached.
    ///
    /// # Errors
    /// [`Error::Config`] if the client is not sound, [`Error::Store`] if what is stored can't be read.
    pub fn stored(self) -> Result<Option<Session>, Error> {
        let client = self.client.build(&self.scopes, self.timeout)?;
        let session = open_session(client, self.http, self.store, false)?;
        Ok((session.state() != State::Unauthorized).then_some(session))
    }

    /// Begins a login without a listener: the program brings the callback itself. What is stored is not
    /// looked at, and replaced once the login has worked. Where many wait at once, let them share a client
    /// ([`with_client`](Self::with_client)).
    ///
    /// # Errors
    /// [`Error::Config`] if it can't work, the redirect URI included.
    pub fn begin(self, redirect_uri: &str) -> Result<PendingLogin, Error> {
        let client = self.client.build(&self.scopes, self.timeout)?;
        let event = Event::BeginLogin {
            redirect_uri: client.redirect_uri(redirect_uri)?,
            secrets: LoginSecrets::generate()?,
        };
        let mut flow = AuthFlow::new(client);
        flow.handle(event, Timestamp::now())?;
        PendingLogin::begun(self.http, self.store, flow)
    }

    /// Goes on with a login that was begun elsewhere, from [`PendingLogin::snapshot`]. Configure it as the one
    /// that began it: its scopes are not in the snapshot, and count as granted if the server names none.
    ///
    /// # Errors
    /// [`Error::Store`] if it can't be used, by this client for instance; [`Error::CallbackIgnored`] if
    /// there is no login in it, or its time is over.
    pub fn resume_pending(self, saved: Snapshot) -> Result<PendingLogin, Error> {
        let client = self.client.build(&self.scopes, self.timeout)?;
        let flow = AuthFlow::restore(client, saved, Timestamp::now())
            .map_err(|error| StoreError::unreadable(error, None))?;
        PendingLogin::resumed(self.http, self.store, flow)
    }

    /// A session of tokens from elsewhere, another library's cache for instance. They take the place of
    /// what is stored.
    ///
    /// # Errors
    /// [`Error::Config`] if the client is not sound, [`Error::Misuse`] if a token is none,
    /// [`Error::NotSaved`] if they can't be stored.
    pub fn adopt(self, tokens: TokenSet) -> Result<Session, Error> {
        let client = self.client.build(&self.scopes, self.timeout)?;
        let flow = AuthFlow::new(client);
        let session = Session::new(Parts::replacing(self.http, self.store, flow));
        session.handle(Event::AdoptTokens(tokens))?;
        match session.waits() {
            (_, Some(error)) => Err(session.not_saved(error)),
            (_, None) => Ok(session),
        }
    }
}

/// A session with what is stored, if that is looked at.
fn open_session(
    client: Arc<Client>,
    http: Option<Http>,
    store: Option<Arc<dyn Store>>,
    replaces_stored: bool,
) -> Result<Session, Error> {
    if replaces_stored {
        let parts = Parts::replacing(http, store, AuthFlow::new(client));
        return Ok(Session::new(parts));
    }
    let (flow, stored) = restore(client, store.as_deref(), false)?;
    Ok(Session::new(Parts {
        stored,
        replaces_stored: false,
        ..Parts::replacing(http, store, flow)
    }))
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("client", &self.client)
            .field("scopes", &self.scopes)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[expect(clippy::print_stderr, reason = "the person has to see it")]
fn print(url: &AuthorizationUrl) {
    eprintln!(
        "To log in, open this address in your browser:\n\n  {}\n",
        url.as_str()
    );
}

#[cfg(feature = "browser")]
fn open(url: &AuthorizationUrl) {
    // Its failure is advice: the address is on the screen.
    if let Err(error) = crate::driver::browser::open(url) {
        log::warn!("{error}");
    }
}

#[cfg(not(feature = "browser"))]
fn open(_: &AuthorizationUrl) {}

impl Session {
    /// Whether what was stored is enough: a token that works, with all the scopes that are wanted.
    fn resumes(&self) -> Result<bool, Error> {
        if self.state() == State::Unauthorized {
            return Ok(false);
        }
        let token = self.access_token();
        if let (_, Some(error)) = self.waits() {
            // The session has the newest refresh token, and nobody else does.
            return Err(self.not_saved(error));
        }
        match token {
            Ok(token) => Ok(token.missing_scopes().next().is_none()),
            // Also what the server has no standard code for: it keeps refusing until somebody signs in.
            Err(error) if error.what_now() == WhatNow::SignIn => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn not_saved(&self, error: StoreError) -> Error {
        Error::NotSaved {
            error,
            session: self.clone(),
        }
    }
}
