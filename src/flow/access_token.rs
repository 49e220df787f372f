//! The access token, as the machine shows it.

use std::fmt;

use crate::flow::event::TokenSerial;
use crate::flow::tokens::Tokens;
use crate::provider::client::Client;
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::wire::scope::Scopes;
use crate::wire::token_response::{Extra, TokenType};

/// An access token that can be used now, and what is known about it.
#[derive(Clone, Copy)]
pub struct AccessTokenRef<'a> {
    pub(super) client: &'a Client,
    pub(super) tokens: &'a Tokens,
}

impl<'a> AccessTokenRef<'a> {
    /// The token.
    #[must_use]
    pub fn secret(&self) -> &'a Secret {
        &self.tokens.access_token
    }

    /// The value of the `Authorization` header (RFC 6750 section 2.1).
    ///
    /// # Errors
    /// [`NotBearer`] if the token is of another type, so that the header would be wrong.
    pub fn authorization(&self) -> Result<Secret, NotBearer> {
        if !self.tokens.token_type.is_bearer() {
            return Err(NotBearer {
                token_type: self.tokens.token_type.as_str().to_owned(),
            });
        }
        Ok(format!("Bearer {}", self.tokens.access_token.expose()).into())
    }

    /// Its serial, for [`Event::TokenRejected`](crate::Event::TokenRejected).
    #[must_use]
    pub fn serial(&self) -> TokenSerial {
        self.tokens.serial
    }

    /// Its type.
    #[must_use]
    pub fn token_type(&self) -> &'a TokenType {
        &self.tokens.token_type
    }

    /// When it ends; `None` if the server did not say, so that only a 401 will tell.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.tokens.expires_at
    }

    /// When the person gave their consent, if that is known.
    #[must_use]
    pub fn authorized_at(&self) -> Option<Timestamp> {
        self.tokens.authorized_at
    }

    /// The scopes that were granted.
    #[must_use]
    pub fn scopes(&self) -> &'a Scopes {
        &self.tokens.scopes
    }

    /// Scopes that were asked for but not granted.
    pub fn missing_scopes(&self) -> impl Iterator<Item = &'a str> {
        let (provider, granted) = (&self.client.provider, &self.tokens.scopes);
        let missing = self.client.scopes.without(granted);
        missing.filter(|scope| !provider.implies(scope, granted))
    }

    /// Scopes that were granted but not asked for.
    pub fn extra_scopes(&self) -> impl Iterator<Item = &'a str> {
        self.tokens.scopes.without(&self.client.scopes)
    }

    /// Members of the token response that the protocol does not name, such as `id_token` (opaque, not
    /// validated).
    #[must_use]
    pub fn extras(&self) -> &'a Extra {
        &self.tokens.extra
    }
}

impl fmt::Debug for AccessTokenRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessTokenRef")
            .field("secret", self.secret())
            .field("serial", &self.serial())
            .field("token_type", &self.tokens.token_type.as_str())
            .field("expires_at", &self.expires_at())
            .field("scopes", self.scopes())
            .finish()
    }
}

/// The access token is no bearer token, so it can't go into an `Authorization: Bearer` header. If the
/// provider means a bearer token by that type, say so with
/// [`RepairStep::bearer_alias`](crate::RepairStep::bearer_alias).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotBearer {
    /// The type that the server named.
    pub token_type: String,
}

impl fmt::Display for NotBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the access token is of type {:?}, not a bearer token: if the provider means one, add RepairStep::bearer_alias",
            self.token_type
        )
    }
}

impl std::error::Error for NotBearer {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_another_type_is_named() {
        let token_type = "mac".to_owned();
        let shown = NotBearer { token_type }.to_string();
        assert!(shown.contains("mac") && shown.contains("bearer_alias"));
    }
}
