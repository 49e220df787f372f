//! From nothing to a [`Session`], in one call.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::driver::http::Http;
use crate::driver::loopback::{Loopback, LoopbackBuilder, Page, Pages, PendingCallback, Received};
use crate::flow::action::{Action, Verdict};
use crate::flow::event::Event;
use crate::flow::notice::Notice;
use crate::flow::{AuthFlow, State};
use crate::provider::client::{Client, ClientBuilder};
use crate::session::store::{MemoryStore, Store, StoreError};
use crate::session::{Error, Session};
use crate::time::Timestamp;
use crate::wire::authorize::AuthorizationUrl;
use crate::wire::pkce::LoginSecrets;

type Hook = Box<dyn FnOnce(&AuthorizationUrl) + Send>;

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
#[must_use]
pub struct Login {
    client: ClientBuilder,
    store: Arc<dyn Store>,
    listener: LoopbackBuilder,
    http: Http,
    prompt: Hook,
    opener: Hook,
}

impl Login {
    /// A login of this client's. Without further words: it listens on a free port of 127.0.0.1,
    /// prints the URL to standard error, opens the browser (with the feature `browser`), waits five
    /// minutes, and keeps the tokens in memory.
    pub fn new(client: ClientBuilder) -> Self {
        Self {
            client,
            store: Arc::new(MemoryStore::new()),
            listener: Loopback::builder(),
            http: Http::new(),
            prompt: Box::new(print),
            opener: Box::new(open),
        }
    }

    /// The scopes to ask for, in addition to the client's own.
    pub fn scopes<S: AsRef<str>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.client = self.client.scopes(scopes);
        self
    }

    /// Where the login is kept. If a usable one is there already, no browser opens.
    pub fn store(mut self, store: impl Store + 'static) -> Self {
        self.store = Arc::new(store);
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

    /// How long to wait for the person.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.client = self.client.login_timeout(timeout);
        self
    }

    /// The HTTP driver, for a proxy or an agent of the program's own.
    pub fn http(mut self, http: Http) -> Self {
        self.http = http;
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

    /// Logs in, blocking. A stored login that still works is used without a word, refreshed if it has
    /// to be; a browser opens only if nothing else is left.
    ///
    /// # Errors
    /// [`Error`]: a configuration that can't work and a port that is taken before any browser opens;
    /// a person who says no or never comes back; whatever the provider does. What was stored is kept.
    pub fn run(self) -> Result<Session, Error> {
        let client = Arc::new(self.client.build()?);
        let flow = match self.store.load()? {
            Some(saved) => AuthFlow::restore(Arc::clone(&client), saved, Timestamp::now())?,
            None => AuthFlow::new(Arc::clone(&client)),
        };
        let session = Session::new(flow, self.http, self.store);
        if session.resume()? {
            return Ok(session);
        }
        let listener = self.listener.bind()?;
        let browse = Browse {
            session: &session,
            waiting: None,
            listener,
            prompt: Some(self.prompt),
            opener: Some(self.opener),
        };
        browse.run(&client)?;
        Ok(session)
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("client", &self.client)
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
    let _ = crate::driver::browser::open(url);
}

#[cfg(not(feature = "browser"))]
fn open(_: &AuthorizationUrl) {}

impl Session {
    /// Whether what was stored is enough: a token that works, with all the scopes that are wanted.
    fn resume(&self) -> Result<bool, Error> {
        if self.state() == State::AwaitingCode {
            // Another run's login: its browser would come back to a port that nobody listens on.
            self.handle(Event::CancelLogin)?;
        }
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
            Err(Error::SignIn(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn not_saved(&self, error: StoreError) -> Error {
        Error::NotSaved {
            error,
            session: self.clone(),
        }
    }
}

/// A login under way: receive, handle, carry out, wait.
struct Browse<'a> {
    session: &'a Session,
    /// Before the listener, whose end would wait for its answer.
    waiting: Option<PendingCallback>,
    listener: Loopback,
    prompt: Option<Hook>,
    opener: Option<Hook>,
}

impl Browse<'_> {
    fn run(mut self, client: &Client) -> Result<(), Error> {
        // A wait is cut into short ones, so that a clock that jumps or stood still is noticed.
        const SLICE: Duration = Duration::from_secs(1);
        let redirect_uri = client.redirect_uri(&self.listener.redirect_uri())?;
        let mut event = Event::BeginLogin {
            secrets: LoginSecrets::generate()?,
            redirect_uri,
        };
        loop {
            let actions = self.session.handle(event)?;
            let (deadline, unsaved) = self.session.waits();
            if let Some(outcome) = self.carry_out(actions, unsaved) {
                return outcome;
            }
            let left = deadline.map(|at| at.saturating_since(Timestamp::now()));
            event = match self
                .listener
                .receive(left.map_or(SLICE, |left| left.min(SLICE)))
            {
                Ok(Received::Callback(callback)) => {
                    let url = callback.url();
                    self.waiting = Some(callback);
                    Event::Callback { url }
                }
                Ok(Received::TimedOut) => Event::Tick,
                Ok(Received::Cancelled) => Event::CancelLogin,
                Err(error) => {
                    self.session.handle(Event::CancelLogin)?;
                    return Err(Error::Listen(error));
                }
            };
        }
    }

    /// What the machine wants of a login; its end, if this was it. A login that can't be saved ends
    /// before the browser opens, or else as one that worked all the same.
    fn carry_out(
        &mut self,
        actions: Vec<Action>,
        unsaved: Option<StoreError>,
    ) -> Option<Result<(), Error>> {
        let mut denied = false;
        for action in actions {
            let is_step = matches!(
                action,
                Action::OpenUrl(_) | Action::Notify(Notice::LoggedIn)
            );
            if let Some(error) = unsaved.clone().filter(|_| is_step) {
                self.show(Page::Failed);
                return Some(Err(self.session.not_saved(error)));
            }
            match action {
                Action::OpenUrl(url) => {
                    for hook in [self.prompt.take(), self.opener.take()]
                        .into_iter()
                        .flatten()
                    {
                        hook(&url);
                    }
                }
                Action::AnswerCallback(Verdict::NotOurs) => self.show(Page::NotOurs),
                Action::AnswerCallback(Verdict::Denied) => denied = true,
                // The page is for when it is known how it ended.
                Action::AnswerCallback(Verdict::Accepted) => {}
                Action::Notify(Notice::LoggedIn) => {
                    self.show(Page::Success);
                    return Some(Ok(()));
                }
                Action::Notify(Notice::LoginFailed(failure)) => {
                    self.show(if denied { Page::Denied } else { Page::Failed });
                    return Some(Err(Error::Login(Box::new(failure))));
                }
                Action::Notify(_) | Action::Persist | Action::Send(_) => {}
            }
        }
        None
    }

    fn show(&mut self, page: Page) {
        if let Some(callback) = self.waiting.take() {
            callback.answer(page);
        }
    }
}
