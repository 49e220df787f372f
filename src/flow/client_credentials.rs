//! A token of the app's own, without any person (RFC 6749 section 4.4).

use crate::error::{ConfigError, Failure, Phase};
use crate::flow::event::{Rest, TokenSet};
use crate::flow::machine::read;
use crate::flow::tokens::expiry;
use crate::provider::client::Client;
use crate::time::Timestamp;
use crate::wire::http::{HttpRequest, HttpResponse, RequestId, TransportError};
use crate::wire::token_request::Grant;

/// A request for a token of the app's own, and the reader of its answer. Belongs to no flow: its
/// [`id`](HttpRequest::id) is 0.
///
/// Send [`request`](Self::request) as any other, hand what comes to [`read`](Self::read), and the
/// tokens to a flow by [`Event::AdoptTokens`](crate::Event::AdoptTokens): it says when the token ends.
/// There is no refresh token; ask again then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCredentialsRequest {
    http: HttpRequest,
    sent_at: Timestamp,
}

impl ClientCredentialsRequest {
    /// A request for the client's scopes, to be sent now.
    ///
    /// # Errors
    /// [`ConfigError::SecretMissing`]: without a secret anybody could be this client.
    pub fn new(client: &Client, now: Timestamp) -> Result<Self, ConfigError> {
        if client.secret.is_none() {
            return Err(ConfigError::SecretMissing);
        }
        let grant = Grant::ClientCredentials {
            scopes: &client.scopes,
        };
        let deadline = now.saturating_add(client.request_timeout);
        Ok(Self {
            http: client.token_request(RequestId(0), &grant, deadline),
            sent_at: now,
        })
    }

    /// What to send.
    #[must_use]
    pub fn request(&self) -> &HttpRequest {
        &self.http
    }

    /// Reads what came. A refresh token in it is passed over: there is nobody whose consent it could
    /// carry on (RFC 6749 section 4.4.3).
    ///
    /// # Errors
    /// [`Failure`], which says what now.
    pub fn read(
        &self,
        client: &Client,
        result: Result<HttpResponse, TransportError>,
        now: Timestamp,
    ) -> Result<TokenSet, Failure> {
        let response = read(client, result, Vec::new, now)
            .map_err(|cause| Failure::new(Phase::ClientCredentials, cause))?;
        let mut rest = Rest::unknown(self.sent_at, None);
        rest.token_type = response.token_type;
        rest.extra = response.extra;
        Ok(TokenSet {
            access_token: response.access_token,
            refresh_token: None,
            expires_at: expiry(response.lifetime, self.sent_at, false),
            scopes: Some(response.scopes.unwrap_or_else(|| client.scopes.clone())),
            authorized_at: None,
            rest: Some(Box::new(rest)),
        })
    }
}
