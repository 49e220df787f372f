//! Token requests (RFC 6749 sections 4.1.3, 4.4.2 and 6) and client authentication (section 2.3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::error::Phase;
use crate::secret::Secret;
use crate::wire::callback::AuthorizationCode;
use crate::wire::form::{self, Piece};
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

    /// The body of a token request, but for who asks.
    fn body(&self, credentials: &Credentials) -> Secret {
        let (extra, own) = (credentials.extra.expose(), credentials.params.expose());
        let body = match self {
            Self::AuthorizationCode {
                code,
                redirect_uri,
                verifier,
            } => [
                "grant_type=authorization_code&code=",
                &form::escape(code.secret().expose()),
                "&redirect_uri=",
                redirect_uri.escaped(),
                verifier.map_or("", |_| "&code_verifier="),
                verifier.map_or("", Secret::expose),
                extra,
                own,
            ]
            .concat(),
            Self::RefreshToken(token) => [
                "grant_type=refresh_token&refresh_token=",
                &form::escape(token.expose()),
                extra,
                own,
            ]
            .concat(),
            Self::ClientCredentials { scopes } => [
                "grant_type=client_credentials",
                if scopes.is_empty() { "" } else { "&scope=" },
                &form::escape(scopes.as_str()),
                extra,
                own,
            ]
            .concat(),
        };
        body.into()
    }

    /// The body for a backend of the program's own that speaks "token swap": a bare code or refresh
    /// token, and nothing that the backend knows better. The code's verifier goes with it only where
    /// a challenge was sent.
    pub(crate) fn swap_body(&self, credentials: &Credentials) -> Secret {
        let extra = credentials.extra.expose();
        let body = match self {
            Self::AuthorizationCode {
                code,
                redirect_uri,
                verifier,
            } => [
                "code=",
                &form::escape(code.secret().expose()),
                verifier.map_or("", |_| "&redirect_uri="),
                verifier.map_or("", |_| redirect_uri.escaped()),
                verifier.map_or("", |_| "&code_verifier="),
                verifier.map_or("", Secret::expose),
                extra,
            ]
            .concat(),
            Self::RefreshToken(token) => {
                ["refresh_token=", &form::escape(token.expose()), extra].concat()
            }
            Self::ClientCredentials { .. } => extra.to_owned(),
        };
        body.into()
    }
}

/// Who asks, written once for all requests of a client.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    /// The `Authorization` header, if the client authenticates so.
    header: Option<Secret>,
    /// Or else its id, and its secret if it has one.
    params: Secret,
    /// What the program adds to each token request.
    extra: Secret,
}

impl Credentials {
    pub(crate) fn new(
        client_id: &str,
        secret: Option<&Secret>,
        auth: ClientAuth,
        extra: &[(String, Secret)],
    ) -> Self {
        let header = secret.and_then(|secret| basic(client_id, secret, auth));
        let own = secret.map(|secret| ("client_secret", secret.expose()));
        let own = [("client_id", client_id)].into_iter().chain(own);
        let own = own.filter(|_| header.is_none());
        let extra = extra.iter().map(|(name, value)| (&**name, value.expose()));
        Self {
            params: more(own),
            extra: more(extra),
            header,
        }
    }

    /// The form body and the `Authorization` header, if there is one: exactly one way of
    /// authentication per request.
    pub(crate) fn request(&self, grant: &Grant<'_>) -> (Secret, Option<Secret>) {
        (grant.body(self), self.header.clone())
    }

    /// A request to revoke a token (RFC 7009 section 2.1).
    pub(crate) fn revocation(&self, token: &Secret, hint: &str) -> (Secret, Option<Secret>) {
        let own = self.params.expose();
        let token = form::escape(token.expose());
        let body = ["token=", &token, "&token_type_hint=", hint, own].concat();
        (body.into(), self.header.clone())
    }

    /// What stands behind `Basic ` in the header, if the client authenticates so.
    pub(crate) fn basic(&self) -> Option<Secret> {
        let header = self.header.as_ref()?.expose();
        header.strip_prefix(BASIC).map(Secret::from)
    }
}

const BASIC: &str = "Basic ";

fn basic(id: &str, secret: &Secret, auth: ClientAuth) -> Option<Secret> {
    let (id, secret) = match auth {
        ClientAuth::Body => return None,
        ClientAuth::Basic => (form::escape(id), form::escape(secret.expose())),
        ClientAuth::BasicUnencoded => (Piece::AsItStands(id), Piece::AsItStands(secret.expose())),
    };
    let pair = Zeroizing::new([&*id, ":", &*secret].concat());
    let encoded = Zeroizing::new(STANDARD.encode(&*pair));
    Some([BASIC, &*encoded].concat().into())
}

/// Pairs that stand behind others.
fn more<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Secret {
    let pairs = form::encode(pairs);
    let separator = if pairs.is_empty() { "" } else { "&" };
    [separator, pairs.expose()].concat().into()
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
