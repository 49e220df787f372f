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
    inner: Arc<Token>,
}

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
        &self.inner.secret
    }

    /// The value of the `Authorization` header (RFC 6750 section 2.1).
    ///
    /// # Errors
    /// [`Error::NotBearer`] if the token is of another type.
    pub fn authorization(&self) -> Result<Secret, Error> {
        self.inner.authorization.clone().map_err(Error::NotBearer)
    }

    /// Its serial, for [`Session::token_rejected`](crate::Session::token_rejected).
    #[must_use]
    pub fn serial(&self) -> TokenSerial {
        self.inner.serial
    }

    /// When it ends, if the server said so.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.inner.expires_at
    }

    /// The scopes that were granted.
    #[must_use]
    pub fn scopes(&self) -> &Scopes {
        &self.inner.scopes
    }

    /// Scopes that were asked for but not granted.
    pub fn missing_scopes(&self) -> impl Iterator<Item = &str> {
        self.inner.missing.iter().map(String::as_str)
    }

    /// Members of the token response that the protocol does not name, such as `id_token`.
    #[must_use]
    pub fn extras(&self) -> &Extra {
        &self.inner.extra
    }

    pub(super) fn is_usable(&self) -> bool {
        self.expires_at().is_none_or(|end| Timestamp::now() < end)
    }

    pub(super) fn of(flow: &AuthFlow, now: Timestamp) -> Option<Self> {
        let token = flow.access_token(now)?;
        let inner = Token {
            secret: token.secret().clone(),
            authorization: token.authorization(),
            serial: token.serial(),
            expires_at: token.expires_at(),
            scopes: token.scopes().clone(),
            missing: token.missing_scopes().map(str::to_owned).collect(),
            extra: token.extras().clone(),
        };
        Some(Self {
            inner: Arc::new(inner),
        })
    }
}
