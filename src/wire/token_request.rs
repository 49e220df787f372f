//! Token requests (RFC 6749 sections 4.1.3, 4.4.2 and 6) and client authentication (section 2.3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::error::Phase;
use crate::secret::Secret;
use crate::wire::callback::AuthorizationCode;
use crate::wire::form;
use crate::wire::redirect::RedirectUri;
use crate::wire::scope::Scopes;

/// How a client with a secret shows it. A client without one is public: it sends its `client_id` in
/// the body and nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientAuth {
    /// The `Authorization: Basic` header, id and secret percent-encoded first as RFC 6749 section
    /// 2.3.1 asks (a space as `%20`).
    #[default]
    Basic,
    /// The `Authorization: Basic` header with id and secret as they are, for servers that do not
    /// decode them. The same bytes as [`Basic`](Self::Basic) unless one holds special characters.
    BasicUnencoded,
    /// `client_id` and `client_secret` in the body.
    Body,
}

/// What is asked of the token endpoint.
pub(crate) enum Grant<'a> {
    AuthorizationCode {
        code: &'a AuthorizationCode,
        redirect_uri: &'a RedirectUri,
        verifier: Option<&'a Secret>,
    },
    RefreshToken(&'a Secret),
    ClientCredentials {
        scopes: &'a Scopes,
    },
}

impl<'a> Grant<'a> {
    pub(crate) fn phase(&self) -> Phase {
        match self {
            Self::AuthorizationCode { .. } => Phase::Exchange,
            Self::RefreshToken(_) => Phase::Refresh,
            Self::ClientCredentials { .. } => Phase::ClientCredentials,
        }
    }

    /// The body for a backend of the program's own that speaks "token swap": a bare code or refresh
    /// token, and nothing that the backend knows better. The code's verifier goes with it only where
    /// a challenge was sent.
    pub(crate) fn swap_body(&self, extra: &[(String, Secret)]) -> Secret {
        let mut body: Vec<(&'a str, &'a str)> = Vec::with_capacity(3);
        match self {
            Self::AuthorizationCode {
                code,
                redirect_uri,
                verifier,
            } => {
                body.push(("code", code.secret().expose()));
                if let Some(verifier) = verifier {
                    body.push(("redirect_uri", redirect_uri.as_str()));
                    body.push(("code_verifier", verifier.expose()));
                }
            }
            Self::RefreshToken(token) => body.push(("refresh_token", token.expose())),
            Self::ClientCredentials { .. } => {}
        }
        let extra = extra.iter().map(|(name, value)| (&**name, value.expose()));
        let body: Vec<_> = body.into_iter().chain(extra).collect();
        Secret::from_zeroizing(form::encode(&body))
    }
}

/// Who asks.
pub(crate) struct Credentials<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) secret: Option<&'a Secret>,
    pub(crate) auth: ClientAuth,
}

impl Credentials<'_> {
    /// The form body and the `Authorization` header, if there is one: exactly one way of
    /// authentication per request.
    pub(crate) fn request(
        &self,
        grant: &Grant<'_>,
        extra: &[(String, Secret)],
    ) -> (Secret, Option<Secret>) {
        let mut body = Vec::with_capacity(8);
        match grant {
            Grant::AuthorizationCode {
                code,
                redirect_uri,
                verifier,
            } => {
                body.push(("grant_type", "authorization_code"));
                body.push(("code", code.secret().expose()));
                body.push(("redirect_uri", redirect_uri.as_str()));
                body.extend(verifier.map(|verifier| ("code_verifier", verifier.expose())));
            }
            Grant::RefreshToken(token) => {
                body.push(("grant_type", "refresh_token"));
                body.push(("refresh_token", token.expose()));
            }
            Grant::ClientCredentials { scopes } => {
                body.push(("grant_type", "client_credentials"));
                if !scopes.as_str().is_empty() {
                    body.push(("scope", scopes.as_str()));
                }
            }
        }
        body.extend(extra.iter().map(|(name, value)| (&**name, value.expose())));
        self.authenticate(body)
    }

    /// A request to revoke a token (RFC 7009 section 2.1).
    pub(crate) fn revocation(&self, token: &Secret, hint: &str) -> (Secret, Option<Secret>) {
        self.authenticate(vec![("token", token.expose()), ("token_type_hint", hint)])
    }

    fn authenticate<'a>(&'a self, mut body: Vec<(&'a str, &'a str)>) -> (Secret, Option<Secret>) {
        let authorization = self.basic();
        if authorization.is_none() {
            body.push(("client_id", self.client_id));
            body.extend(self.secret.map(|secret| ("client_secret", secret.expose())));
        }
        let authorization = authorization.map(|basic| format!("Basic {}", basic.expose()).into());
        let body = Secret::from_zeroizing(form::encode(&body));
        (body, authorization)
    }

    /// What stands behind `Basic ` in the header, if the client authenticates so.
    pub(crate) fn basic(&self) -> Option<Secret> {
        let (id, secret) = (self.client_id, self.secret?.expose());
        let mut pair = Zeroizing::new(String::with_capacity((id.len() + secret.len()) * 3 + 1));
        match self.auth {
            ClientAuth::Body => return None,
            ClientAuth::Basic => {
                pair.extend(form::percent_encode(id));
                pair.push(':');
                pair.extend(form::percent_encode(secret));
            }
            ClientAuth::BasicUnencoded => {
                pair.push_str(id);
                pair.push(':');
                pair.push_str(secret);
            }
        }
        Some(STANDARD.encode(&*pair).into())
    }
}

/// Parameters that no extra may set.
pub(crate) const RESERVED: [&str; 10] = [
    "grant_type",
    "code",
    "redirect_uri",
    "code_verifier",
    "refresh_token",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "scope",
];
