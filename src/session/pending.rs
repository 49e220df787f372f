//! A login without a listener: the URL goes out, the callback comes in, by whatever way the program
//! has.

use std::sync::Arc;
use std::{fmt, iter, mem};

use crate::driver::http::Http;
use crate::flow::AuthFlow;
use crate::flow::action::Action;
use crate::flow::event::Event;
use crate::flow::notice::Notice;
use crate::flow::snapshot::Snapshot;
use crate::session::shared::note_ignored;
use crate::session::store::Store;
use crate::session::{Error, Parts, Session};
use crate::time::Timestamp;
use crate::wire::authorize::AuthorizationUrl;
use crate::wire::callback::{CallbackUrl, IgnoredReason};

/// A login that waits for its callback, from [`Login::begin`](crate::Login::begin). For web backends,
/// for redirects that the operating system hands over, and for whoever pastes.
///
/// A web backend must know that the callback comes from the browser that began the login: keep this, or
/// what [`snapshot`](Self::snapshot) gives, in that browser's own server-side session, found by its cookie and
/// by nothing that stands in the callback's URL. Otherwise somebody could log another person in as
/// themselves.
///
/// ```no_run
/// # fn main() -> Result<(), authflow::session::Error> {
/// use authflow::{CallbackUrl, Login, spotify};
///
/// let client = spotify::client("your-client-id").secret("your-client-secret");
/// let mut pending = Login::new(client).begin("https://app.example/callback")?;
/// let location = pending.url().as_str(); // send the browser there
/// # let query = "";
/// // … and when it comes back with a query:
/// let session = pending.callback(CallbackUrl::from_query(query))?;
/// # Ok(())
/// # }
/// ```
pub struct PendingLogin {
    url: AuthorizationUrl,
    stage: Stage,
}

/// Most logins that begin get no callback, so there is a session only once theirs comes. One from a snapshot
/// may have tokens to see to, and has a session at once.
enum Stage {
    Waiting(Box<Waiting>),
    InSession(Session),
}

struct Waiting {
    http: Option<Http>,
    store: Option<Arc<dyn Store>>,
    flow: AuthFlow,
}

impl PendingLogin {
    /// Of a flow in which a login has just begun.
    pub(super) fn begun(
        http: Option<Http>,
        store: Option<Arc<dyn Store>>,
        mut flow: AuthFlow,
    ) -> Result<Self, Error> {
        // Nothing is to be saved before there are tokens.
        let actions = iter::from_fn(|| flow.poll_action());
        let urls = actions.filter_map(|action| match action {
            Action::OpenUrl(url) => Some(url),
            _ => None,
        });
        let url = urls.last();
        let waiting = Waiting { http, store, flow };
        Self::new(url, Stage::Waiting(Box::new(waiting)))
    }

    /// Of a flow from a snapshot: the login's time may be over, and there may be tokens.
    pub(super) fn resumed(
        http: Option<Http>,
        store: Option<Arc<dyn Store>>,
        flow: AuthFlow,
    ) -> Result<Self, Error> {
        let session = Session::new(Parts::replacing(http, store, flow));
        session.handle(Event::Tick)?;
        let url = session.lock().flow.authorization_url();
        Self::new(url, Stage::InSession(session))
    }

    fn new(url: Option<AuthorizationUrl>, stage: Stage) -> Result<Self, Error> {
        match url {
            Some(url) => Ok(Self { url, stage }),
            None => Err(Error::CallbackIgnored(IgnoredReason::NoLogin.into())),
        }
    }

    fn session(&mut self) -> Session {
        match &mut self.stage {
            Stage::Waiting(waiting) => {
                let nothing = AuthFlow::new(waiting.flow.shared_client());
                let flow = mem::replace(&mut waiting.flow, nothing);
                let (http, store) = (waiting.http.take(), waiting.store.take());
                let session = Session::new(Parts::replacing(http, store, flow));
                self.stage = Stage::InSession(session.clone());
                session
            }
            Stage::InSession(session) => session.clone(),
        }
    }

    fn flow<T>(&self, look: impl FnOnce(&AuthFlow) -> T) -> T {
        match &self.stage {
            Stage::Waiting(waiting) => look(&waiting.flow),
            Stage::InSession(session) => look(&session.lock().flow),
        }
    }

    /// Where to send the person.
    #[must_use]
    pub fn url(&self) -> &AuthorizationUrl {
        &self.url
    }

    /// Takes the callback, exchanges its code, and saves the tokens.
    ///
    /// # Errors
    /// [`Error::CallbackIgnored`] if it is not this login's: the login goes on waiting. Any other ends
    /// it.
    #[doc(alias = "exchange_code")]
    #[doc(alias = "RequestToken")]
    pub fn callback(&mut self, url: CallbackUrl) -> Result<Session, Error> {
        if let Stage::Waiting(waiting) = &self.stage
            && !waiting.flow.is_due(Timestamp::now())
            && let Err(ignored) = waiting.flow.judge(&url)
        {
            // Any page can send a browser here, and that must cost nothing.
            note_ignored(&ignored);
            return Err(Error::CallbackIgnored(ignored));
        }
        let session = self.session();
        let actions = session.handle(Event::Callback { url })?;
        let mut outcome = Err(Error::CallbackIgnored(IgnoredReason::NoLogin.into()));
        for action in actions {
            match action {
                Action::Notify(Notice::LoggedIn) => {
                    outcome = match session.waits() {
                        (_, Some(error)) => Err(session.not_saved(error)),
                        (_, None) => Ok(session.clone()),
                    };
                }
                Action::Notify(Notice::LoginFailed(failure)) => {
                    return Err(Error::Login(failure));
                }
                Action::Notify(Notice::CallbackIgnored(ignored)) => {
                    outcome = Err(Error::CallbackIgnored(ignored));
                }
                _ => {}
            }
        }
        outcome
    }

    /// Takes a bare code. Weaker than [`callback`](Self::callback): without a state, a code that
    /// somebody else made the person paste is noticed by the provider only (PKCE).
    ///
    /// # Errors
    /// As [`callback`](Self::callback).
    pub fn bare_code(&mut self, code: &str) -> Result<Session, Error> {
        let url = self.flow(|flow| flow.callback_of_bare_code(code));
        let url = url.ok_or_else(|| Error::CallbackIgnored(IgnoredReason::NoLogin.into()))?;
        self.callback(url)
    }

    /// What another process, or this one after a restart, needs to go on with
    /// [`Login::resume_pending`](crate::Login::resume_pending). As secret as a token. Use it up:
    /// whoever takes a callback must make sure that nobody else takes it again.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.flow(AuthFlow::snapshot)
    }

    /// Whether this is the callback that the login waits for. Nothing changes by it: it is for a store of
    /// pending logins, which must not use one up for a callback that anybody has made up.
    #[must_use]
    pub fn expects(&self, url: &CallbackUrl) -> bool {
        self.flow(|flow| flow.expects(url))
    }

    /// When its time is over.
    #[cfg(feature = "redis")]
    pub(super) fn deadline(&self) -> Option<crate::time::Timestamp> {
        self.flow(AuthFlow::deadline)
    }
}

impl Session {
    /// Whether this is what the login waits for.
    pub(super) fn expects(&self, url: &CallbackUrl) -> bool {
        self.lock().flow.expects(url)
    }

    pub(super) fn callback_of_bare_code(&self, code: &str) -> Option<CallbackUrl> {
        self.lock().flow.callback_of_bare_code(code)
    }
}

impl fmt::Debug for PendingLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingLogin").finish_non_exhaustive()
    }
}
