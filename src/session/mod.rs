//! A logged-in person: blocking, thread-safe, and all that most programs need.
//!
//! [`Login`] gets a [`Session`]; a [`Store`] keeps it for tomorrow and for other processes;
//! [`ClientCredentials`] gets one for an app that speaks for nobody.
#![expect(
    clippy::disallowed_methods,
    reason = "a session joins the flow to the clock, files and threads"
)]

mod api;
mod browse;
mod client_credentials;
mod client_source;
mod control;
mod error;
mod flight;
mod handout;
mod hooks;
mod log_out;
mod login;
mod pending;
mod saving;
mod shared;
mod store;
mod token;

use std::fmt;
use std::sync::{Arc, Condvar, Mutex};

use crate::driver::http::Http;
use crate::error::Failure;
use crate::flow::event::{Event, TokenSerial};
use crate::flow::{AuthFlow, State};
use crate::session::flight::Inner;
use crate::session::handout::Lanes;
use crate::session::hooks::Hooks;
use crate::session::shared::Shared;
use crate::time::Timestamp;

pub use api::{ApiRequest, ApiResponse};
pub use client_credentials::ClientCredentials;
pub use control::{LoginControl, PasteError};
pub use error::Error;
pub use log_out::Revocation;
pub use login::Login;
pub use pending::PendingLogin;
#[cfg(feature = "keyring")]
pub use store::KeyringStore;
pub use store::{FileStore, LocalLock, MemoryStore, Store, StoreError, StoreErrorKind, StoreLock};
#[cfg(feature = "redis")]
pub use store::{RedisPendingLogins, RedisStore};
pub use token::AccessToken;

/// A person who is logged in. Cheap to clone; clones are the same session, on any thread.
///
/// One refresh at a time: of the threads of this process one asks, and the others get its result or
/// its error. Of the processes that share a [`Store`] one asks, and the others find what it has saved.
/// Whoever needs a token while the old one is still good gets the old one, and never waits for either.
///
/// ```no_run
/// # fn main() -> Result<(), authflow::session::Error> {
/// # let session = authflow::Login::new(authflow::spotify::client("client-id")).run()?;
/// let token = session.access_token()?; // refreshed first, if it has to be
/// let header = token.authorization()?; // "Bearer …", a secret
/// # Ok(())
/// # }
/// ```
#[doc(alias = "PKCEAuthenticator")]
#[doc(alias = "AuthorizationCodeAuthenticator")]
#[doc(alias = "authenticator")]
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

/// What a session is made of.
struct Parts {
    http: Option<Http>,
    store: Option<Arc<dyn Store>>,
    flow: AuthFlow,
    /// What the store holds, as far as the flow comes from it.
    stored: Option<crate::flow::snapshot::Snapshot>,
    /// What the store holds is no good, and stays until there are tokens to put in its place.
    replaces_stored: bool,
    /// An app that speaks for nobody: its tokens are asked for, not refreshed.
    is_app: bool,
}

impl Parts {
    /// What has not looked at what is stored, and replaces it.
    fn replacing(http: Option<Http>, store: Option<Arc<dyn Store>>, flow: AuthFlow) -> Self {
        Self {
            http,
            store,
            flow,
            stored: None,
            replaces_stored: true,
            is_app: false,
        }
    }
}

impl Session {
    fn new(parts: Parts) -> Self {
        let in_memory = || Arc::new(MemoryStore::new()) as Arc<dyn Store>;
        Self {
            inner: Arc::new(Inner {
                http: parts.http.unwrap_or_default(),
                store: parts.store.unwrap_or_else(in_memory),
                client: parts.flow.shared_client(),
                is_app: parts.is_app,
                lanes: Lanes::default(),
                shared: Mutex::new(Shared::new(parts.flow, parts.stored, parts.replaces_stored)),
                changed: Condvar::new(),
                hooks: Mutex::new(Hooks::default()),
            }),
        }
    }

    /// An access token that is valid now. If it has ended or is about to, one thread refreshes it, or
    /// takes over what another process has refreshed. The others get the old one while that is valid,
    /// and wait for the result if it is not. New tokens are saved before they are handed out; if they
    /// can't be, saving is tried again at each call, and the old token is still handed out while it is
    /// valid.
    ///
    /// While the token is valid this takes no lock that anybody holds for long, nor one that threads on
    /// other cores have to wait for.
    ///
    /// While the store can't save, nothing is refreshed: a refresh may use up the stored refresh token,
    /// and the next run would have no other. Before each refresh saving is rehearsed
    /// ([`Store::rehearse`]). So a session whose store stays broken hands out its token until that ends, and then
    /// [`Error::Store`] until the store is mended, which is found out at the next call.
    ///
    /// # Errors
    /// [`Error`], which says [what now](Error::what_now): sign in again, or try later. The tokens are
    /// kept in either case.
    pub fn access_token(&self) -> Result<AccessToken, Error> {
        match self.inner.lanes.token(Timestamp::now()) {
            Some(token) => Ok(token),
            None => self.token_after(Event::Tick),
        }
    }

    /// Refreshes, even if the access token is still valid, and hands out the new one. Joins a refresh
    /// that is under way, here or in another process.
    ///
    /// # Errors
    /// As [`access_token`](Self::access_token); [`Error::Store`] also while the old token is valid.
    #[doc(alias = "exchange_refresh_token")]
    #[doc(alias = "refresh_token")]
    pub fn refresh(&self) -> Result<AccessToken, Error> {
        self.token_after(Event::Refresh)
    }

    /// For the program whose API call was answered 401: hands out a token to try again with, once.
    /// Unless there is a newer one already, it is refreshed for that.
    ///
    /// # Errors
    /// As [`access_token`](Self::access_token); and [`Error::NotNow`] if the rejected token took the
    /// place of another rejected one less than ten seconds ago: then the API is at fault, and more
    /// refreshes would not help.
    pub fn token_rejected(&self, rejected: TokenSerial) -> Result<AccessToken, Error> {
        if let Some(retry_at) = self.lock().keeps_being_rejected(rejected) {
            return Err(Error::NotNow {
                failure: None,
                retry_at: Some(retry_at),
            });
        }
        self.token_after(Event::TokenRejected { serial: rejected })
    }

    /// Calls this with each new access token, once it has been saved: refreshed here, or taken over
    /// from another process. Not with the one that is there already.
    ///
    /// It is called on the thread that happened to bring the token, without any lock: it may use the
    /// session, and if it panics, only that thread's call ends.
    #[doc(alias = "TokenRefreshed")]
    pub fn on_change(&self, hook: impl Fn(&AccessToken) + Send + Sync + 'static) {
        self.inner.hooks().change.push(Arc::new(hook));
    }

    /// Calls this when only a new login will help: the server has refused the refresh token, or
    /// another process has logged out (then there is no failure to show). Called in the same way as
    /// [`on_change`](Self::on_change), once for each time; not after this session's own
    /// [`log_out`](Self::log_out).
    pub fn on_sign_in_needed(&self, hook: impl Fn(Option<&Failure>) + Send + Sync + 'static) {
        self.inner.hooks().sign_in.push(Arc::new(hook));
    }

    /// What the machine under it says.
    #[must_use]
    pub fn state(&self) -> State {
        self.lock().flow.state()
    }

    /// When the person will have to sign in again, if that is known. Advice, for a program that wants
    /// to say so before it happens.
    #[must_use]
    pub fn sign_in_due(&self) -> Option<Timestamp> {
        self.lock().flow.sign_in_due()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
