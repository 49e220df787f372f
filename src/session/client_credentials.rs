//! Tokens for an app that speaks for nobody.

use std::fmt;
use std::sync::Arc;

use crate::driver::http::Http;
use crate::flow::AuthFlow;
use crate::flow::client_credentials::ClientCredentialsRequest;
use crate::flow::snapshot::{RestoreError, Snapshot};
use crate::provider::client::{Client, ClientBuilder};
use crate::session::store::{Store, StoreError};
use crate::session::{Error, Parts, Session};
use crate::time::Timestamp;

/// The client credentials grant (RFC 6749 section 4.4): a token of the app's own, for what belongs to
/// nobody. It needs a client secret, so it is for servers.
///
/// The [`Session`] asks for a token when one is first needed, and for the next when it is about to end.
/// Everything else is as with a person's session, but that nobody ever has to sign in.
///
/// ```no_run
/// # fn main() -> Result<(), authflow::session::Error> {
/// use authflow::session::ClientCredentials;
/// use authflow::spotify;
///
/// let client = spotify::client("your-client-id").secret("your-client-secret");
/// let session = ClientCredentials::new(client).session()?;
/// let url = "https://api.spotify.com/v1/artists/0TnOYISbd1XYRBk9myaseg";
/// let artist: serde_json::Value = session.get(url)?.read_json()?;
/// # Ok(())
/// # }
/// ```
#[doc(alias = "ClientCredentialsAuthenticator")]
#[must_use]
pub struct ClientCredentials {
    client: ClientBuilder,
    store: Option<Arc<dyn Store>>,
    http: Option<Http>,
}

impl ClientCredentials {
    /// An app, with its secret.
    pub fn new(client: ClientBuilder) -> Self {
        Self {
            client,
            store: None,
            http: None,
        }
    }

    /// Where the token is kept, so that several processes ask for one between them. The default is
    /// memory. A store that holds a person's login is refused: give each its own.
    pub fn store(mut self, store: impl Store + 'static) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// The HTTP driver, for a proxy or an agent of the program's own.
    pub fn http(mut self, http: Http) -> Self {
        self.http = Some(http);
        self
    }

    /// The session. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Config`] if it can't work, for lack of a secret for instance; [`Error::Store`] if what
    /// is stored can't be read.
    pub fn session(self) -> Result<Session, Error> {
        let client = Arc::new(self.client.build()?);
        ClientCredentialsRequest::new(&client, Timestamp::now())?;
        let (flow, stored) = restore(client, self.store.as_deref(), true)?;
        Ok(Session::new(Parts {
            stored,
            replaces_stored: false,
            is_app: true,
            ..Parts::replacing(self.http, self.store, flow)
        }))
    }
}

/// A flow that goes on where what is stored stopped, and what that is. A login that waits for its callback
/// is none of this process's.
pub(super) fn restore(
    client: Arc<Client>,
    store: Option<&dyn Store>,
    is_app: bool,
) -> Result<(AuthFlow, Option<Snapshot>), StoreError> {
    let Some(store) = store else {
        return Ok((AuthFlow::new(client), None));
    };
    let unreadable = |error| StoreError::unreadable(error, store.location());
    let stored = store.load()?;
    let flow = match stored.clone() {
        Some(saved) if saved.has_session() && saved.is_of_app() != is_app => {
            Err(unreadable(RestoreError::OtherClient))
        }
        Some(saved) => {
            let holds_nothing = !saved.has_session();
            let saved = saved.without_login();
            match AuthFlow::restore(Arc::clone(&client), saved, Timestamp::now()) {
                // A login under another id has failed there, or ended. Nothing can go astray.
                Err(RestoreError::OtherClient) if holds_nothing => Ok(AuthFlow::new(client)),
                restored => restored.map_err(unreadable),
            }
        }
        None => Ok(AuthFlow::new(client)),
    };
    Ok((flow?, stored))
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCredentials")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}
