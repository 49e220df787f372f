//! An access token that is handed out.

use std::sync::Arc;

use crate::flow::AuthFlow;
use crate::flow::access_token::NotBearer;
use crate::flow::event::TokenSerial;
use crate::secret::Secret;
use crate::session::Error;
use crate::time::Timestamp;
use crate::wire::scope::Scopes;
use crate::wire::token_response::Extra;

/// An access token, good when it was handed out. `Debug` hides it.
#[derive(Clone, Debug)]
pub struct AccessToken {
    inner: Arc<Counted>,
}

/// The token in a cache line of its own, with the count of those who have it by this way.
#[derive(Debug)]
#[repr(align(64))]
struct Counted(Arc<Token>);

#[derive(Debug)]
struct Token {
    secret: Secret,
    authorization: Result<Secret, NotBearer>,
    serial: TokenSerial,
    expires_at: Option<Timestamp>,
    scopes: Scopes,
    missing: Vec<String>,
    extra: Extra,
}

impl AccessToken {
    /// The token.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.token().secret
    }

    /// The value of the `Authorization` header (RFC 6750 section 2.1).
    ///
    /// # Errors
    /// [`Error::NotBearer`] if the token is of another type.
    pub fn authorization(&self) -> Result<Secret, Error> {
        self.header().cloned()
    }

    pub(super) fn header(&self) -> Result<&Secret, Error> {
        let header = self.token().authorization.as_ref();
        header.map_err(|error| Error::NotBearer(error.clone()))
    }

    /// Its serial, for [`Session::token_rejected`](crate::Session::token_rejected).
    #[must_use]
    pub fn serial(&self) -> TokenSerial {
        self.token().serial
    }

    /// When it ends, if the server said so.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.token().expires_at
    }

    /// The scopes that were granted.
    #[must_use]
    pub fn scopes(&self) -> &Scopes {
        &self.token().scopes
    }

    /// Scopes that were asked for but not granted.
    pub fn missing_scopes(&self) -> impl Iterator<Item = &str> {
        self.token().missing.iter().map(String::as_str)
    }

    /// Members of the token response that the protocol does not name, such as `id_token`.
    #[must_use]
    pub fn extras(&self) -> &Extra {
        &self.token().extra
    }

    fn token(&self) -> &Token {
        &self.inner.0
    }

    /// The same token, counted apart, for those who read it on another core.
    pub(super) fn apart(&self) -> Self {
        Self {
            inner: Arc::new(Counted(Arc::clone(&self.inner.0))),
        }
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner.0, &other.inner.0)
    }

    #[cfg(test)]
    pub(super) fn copies(&self) -> usize {
        Arc::strong_count(&self.inner.0)
    }

    pub(super) fn is_usable(&self) -> bool {
        self.expires_at().is_none_or(|end| Timestamp::now() < end)
    }

    pub(super) fn of(flow: &AuthFlow, now: Timestamp) -> Option<Self> {
        let current = flow.access_token(now)?;
        let token = Token {
            secret: current.secret().clone(),
            authorization: current.authorization(),
            serial: current.serial(),
            expires_at: current.expires_at(),
            scopes: current.scopes().clone(),
            missing: current.missing_scopes().map(str::to_owned).collect(),
            extra: current.extras().clone(),
        };
        Some(Self {
            inner: Arc::new(Counted(Arc::new(token))),
        })
    }
}
