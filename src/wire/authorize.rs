//! The authorization request (RFC 6749 section 4.1.1 with RFC 7636 section 4.3).

use std::fmt;

use crate::secret::Secret;
use crate::wire::endpoint::Endpoint;
use crate::wire::form::push_query;
use crate::wire::pkce;
use crate::wire::redirect::RedirectUri;
use crate::wire::scope::Scopes;

/// The address that the person's browser is sent to. `Debug` hides it, because it carries the state.
#[doc(alias = "authorize_url")]
#[doc(alias = "LoginRequest")]
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
        let challenge = self.verifier.map(pkce::challenge).unwrap_or_default();
        let method = if challenge.is_empty() { "" } else { "S256" };
        let own = [
            ("response_type", "code"),
            ("client_id", self.client_id),
            ("redirect_uri", self.redirect_uri.as_str()),
            ("scope", self.scopes.as_str()),
            ("state", self.state.expose()),
            ("code_challenge", &challenge),
            ("code_challenge_method", method),
        ];
        let extra = self.extra.iter().map(|(name, value)| (&**name, &**value));
        let params = own.into_iter().chain(extra);
        // RFC 6749 section 3.1: a parameter without a value counts as omitted.
        let params = params.filter(|(_, value)| !value.is_empty());
        // Enough for all escapes: a string that grows leaves copies of the state behind.
        let length: usize = params.clone().map(|(k, v)| k.len() + v.len() + 1).sum();
        let endpoint = self.endpoint.as_str();
        let mut url = String::with_capacity(endpoint.len() + length * 3);
        url.push_str(endpoint);
        for (name, value) in params {
            push_query(&mut url, name, value);
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
