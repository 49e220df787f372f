//! Telling the provider that tokens are no longer wanted (RFC 7009).

use crate::error::{Cause, Failure, Phase};
use crate::provider::client::Client;
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::wire::http::{HttpRequest, HttpResponse, Parts, RequestId, TransportError};
use crate::wire::token_response;

/// A request to revoke one token, and the reader of its answer. Belongs to no flow: its
/// [`id`](HttpRequest::id) is 0.
///
/// Send [`request`](Self::request) as any other, and hand what comes to [`read`](Self::read).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationRequest {
    http: HttpRequest,
    token: Secret,
}

impl RevocationRequest {
    /// `None` if the provider has no revocation endpoint, or if the tokens are a token swap's, which
    /// the provider does not know.
    pub(crate) fn new(client: &Client, token: &Secret, hint: &str, now: Timestamp) -> Option<Self> {
        let endpoint = client.provider.revocation_endpoint.as_ref()?;
        if client.swap.is_some() {
            return None;
        }
        let (body, authorization) = client.credentials.revocation(token, hint);
        Some(Self {
            http: HttpRequest::new(Parts {
                id: RequestId(0),
                phase: Phase::Revocation,
                url: endpoint.share(),
                authorization,
                body,
                deadline: now.saturating_add(client.request_timeout),
            }),
            token: token.clone(),
        })
    }

    /// What to send.
    #[must_use]
    pub fn request(&self) -> &HttpRequest {
        &self.http
    }

    /// Reads what came. A success has no body that counts, and an unknown token is one too (RFC 7009
    /// section 2.2).
    ///
    /// # Errors
    /// [`Failure`]: the token may live on.
    pub fn read(
        &self,
        client: &Client,
        result: Result<HttpResponse, TransportError>,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let failed = |cause| Err(Failure::new(Phase::Revocation, cause));
        let response = match result {
            Ok(response) if (200..=299).contains(&response.status) => return Ok(()),
            Ok(response) => response,
            Err(error) => return failed(Cause::Transport(error)),
        };
        // An error looks as it does at the token endpoint.
        match token_response::decode(&response, &[], now) {
            Ok(_) => Ok(()),
            Err(refusal) => {
                let basic = client.credentials.basic();
                let own = client.secret.iter().chain(&basic);
                let secrets: Vec<_> = own.chain([&self.token]).collect();
                failed(refusal.told(&secrets))
            }
        }
    }
}
