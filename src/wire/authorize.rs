//! The authorization request (RFC 6749 section 4.1.1 with RFC 7636 section 4.3).

use std::fmt;

use crate::secret::Secret;
use crate::wire::endpoint::Endpoint;
use crate::wire::form;
use crate::wire::pkce::{self, LoginSecrets};
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

    /// The state in it: which login of many a callback is for ([`CallbackUrl::state`](crate::CallbackUrl::state)).
    #[must_use]
    pub fn state(&self) -> Option<Secret> {
        let (_, query) = self.as_str().split_once('?')?;
        // What we write is base64url, in which nothing is escaped; nobody else's parameter has this name.
        let state = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("state="))?;
        Some(state.to_owned().into())
    }
}

impl fmt::Debug for AuthorizationUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthorizationUrl([redacted])")
    }
}

/// What every authorization URL of one client begins with.
#[derive(Clone, Debug)]
pub(crate) struct AuthorizationRequest {
    start: String,
    pkce: bool,
}

impl AuthorizationRequest {
    pub(crate) fn new(
        endpoint: &Endpoint,
        client_id: &str,
        scopes: &Scopes,
        pkce: bool,
        extra: &[(String, String)],
    ) -> Self {
        let own = [
            ("response_type", "code"),
            ("client_id", client_id),
            ("scope", scopes.as_str()),
            ("code_challenge_method", if pkce { "S256" } else { "" }),
        ];
        let extra = extra.iter().map(|(name, value)| (&**name, &**value));
        let params = own.into_iter().chain(extra);
        // RFC 6749 section 3.1: a parameter without a value counts as omitted.
        let params = form::encode(params.filter(|(_, value)| !value.is_empty()));
        let endpoint = endpoint.as_str();
        let separator = match endpoint.split_once('?') {
            None => "?",
            Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
            Some(_) => "&",
        };
        Self {
            start: [endpoint, separator, params.expose()].concat(),
            pkce,
        }
    }

    pub(crate) fn has_challenge(&self) -> bool {
        self.pkce
    }

    /// The URL of one login. Its secrets are base64url, in which nothing has to be escaped.
    pub(crate) fn url(
        &self,
        secrets: &LoginSecrets,
        redirect_uri: &RedirectUri,
    ) -> AuthorizationUrl {
        let (name, challenge) = match self.pkce {
            true => ("&code_challenge=", pkce::challenge(&secrets.verifier)),
            false => ("", String::new()),
        };
        let url = [
            &self.start,
            "&redirect_uri=",
            redirect_uri.escaped(),
            "&state=",
            secrets.state.expose(),
            name,
            &challenge,
        ];
        AuthorizationUrl(url.concat().into())
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
