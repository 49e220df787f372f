//! The authorization request (RFC 6749 section 4.1.1 with RFC 7636 section 4.3).

use std::fmt;

use crate::secret::Secret;
use crate::wire::endpoint::Endpoint;
use crate::wire::form::push_query;
use crate::wire::pkce;
use crate::wire::redirect::RedirectUri;
use crate::wire::scope::Scopes;

/// The address that the person's browser is sent to. `Debug` hides it, because it carries the state.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthorizationUrl(pub(crate) Secret);

impl AuthorizationUrl {
    /// The URL, to be opened, shown or copied, on the person's own machine only.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for AuthorizationUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthorizationUrl([redacted])")
    }
}

/// Everything an authorization request says.
pub(crate) struct AuthorizationRequest<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) client_id: &'a str,
    pub(crate) redirect_uri: &'a RedirectUri,
    pub(crate) scopes: &'a Scopes,
    pub(crate) state: &'a Secret,
    pub(crate) verifier: Option<&'a Secret>,
    pub(crate) extra: &'a [(String, String)],
}

impl AuthorizationRequest<'_> {
    pub(crate) fn url(&self) -> AuthorizationUrl {
        let mut url = String::with_capacity(512);
        url.push_str(self.endpoint.as_str());
        let mut push = |name: &str, value: &str| {
            // RFC 6749 section 3.1: a parameter without a value counts as omitted.
            if !value.is_empty() {
                push_query(&mut url, name, value);
            }
        };
        push("response_type", "code");
        push("client_id", self.client_id);
        push("redirect_uri", self.redirect_uri.as_str());
        push("scope", self.scopes.as_str());
        push("state", self.state.expose());
        if let Some(verifier) = self.verifier {
            push("code_challenge", &pkce::challenge(verifier));
            push("code_challenge_method", "S256");
        }
        for (name, value) in self.extra {
            push(name, value);
        }
        AuthorizationUrl(url.into())
    }
}

/// Parameters that no extra may set: the request's own, and those that would make the server answer
/// in another way than by a code in the redirect's query.
pub(crate) const RESERVED: [&str; 11] = [
    "response_type",
    "client_id",
    "client_secret",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "response_mode",
    "request",
    "request_uri",
];
