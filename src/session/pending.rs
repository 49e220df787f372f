//! A login without a listener: the URL goes out, the callback comes in, by whatever way the program
//! has.

use std::fmt;

use crate::flow::action::Action;
use crate::flow::event::Event;
use crate::flow::notice::Notice;
use crate::flow::snapshot::Snapshot;
use crate::session::{Error, Session};
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
    session: Session,
    url: AuthorizationUrl,
}

impl PendingLogin {
    pub(super) fn new(session: Session) -> Result<Self, Error> {
        let url = session.lock().flow.authorization_url();
        match url {
            Some(url) => Ok(Self { session, url }),
            None => Err(Error::CallbackIgnored(IgnoredReason::NoLogin.into())),
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
        let actions = self.session.handle(Event::Callback { url })?;
        let mut outcome = Err(Error::CallbackIgnored(IgnoredReason::NoLogin.into()));
        for action in actions {
            match action {
                Action::Notify(Notice::LoggedIn) => {
                    outcome = match self.session.waits() {
                        (_, Some(error)) => Err(self.session.not_saved(error)),
                        (_, None) => Ok(self.session.clone()),
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
        let url = self.session.callback_of_bare_code(code);
        let url = url.ok_or_else(|| Error::CallbackIgnored(IgnoredReason::NoLogin.into()))?;
        self.callback(url)
    }

    /// What another process, or this one after a restart, needs to go on with
    /// [`Login::resume_pending`](crate::Login::resume_pending). As secret as a token. Use it up:
    /// whoever takes a callback must make sure that nobody else takes it again.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.session.lock().flow.snapshot()
    }

    /// Whether this is the callback that the login waits for. Nothing changes by it: it is for a store of
    /// pending logins, which must not use one up for a callback that anybody has made up.
    #[must_use]
    pub fn expects(&self, url: &CallbackUrl) -> bool {
        self.session.expects(url)
    }

    /// When its time is over.
    #[cfg(feature = "redis")]
    pub(super) fn deadline(&self) -> Option<crate::time::Timestamp> {
        self.session.waits().0
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
