//! A client: this program, as one provider knows it (RFC 6749 section 2).

use std::collections::HashSet;
use std::time::Duration;

use url::Url;

use crate::error::ConfigError;
use crate::provider::{CheckedProvider, Provider};
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::wire::authorize::{self, AuthorizationRequest, AuthorizationUrl};
use crate::wire::endpoint::Endpoint;
use crate::wire::http::{HttpRequest, Parts, RequestId};
use crate::wire::pkce::LoginSecrets;
use crate::wire::redirect::RedirectUri;
use crate::wire::scope::Scopes;
use crate::wire::token_request::{self, ClientAuth, Credentials, Grant};

/// A checked client: provider, id, secret, scopes and waits. One serves any number of flows.
#[doc(alias = "OAuthClient")]
#[doc(alias = "BasicClient")]
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) provider: CheckedProvider,
    pub(crate) id: String,
    pub(crate) secret: Option<Secret>,
    #[cfg_attr(
        not(feature = "testing"),
        expect(dead_code, reason = "for transcripts")
    )]
    pub(crate) auth: ClientAuth,
    pub(crate) scopes: Scopes,
    #[cfg_attr(
        not(feature = "testing"),
        allow(dead_code, reason = "used by transcripts, and by logins of one client")
    )]
    pub(crate) authorize_params: Vec<(String, String)>,
    pub(crate) token_params: Vec<(String, Secret)>,
    pub(crate) authorization: AuthorizationRequest,
    pub(crate) credentials: Credentials,
    pub(crate) swap: Option<Swap>,
    pub(crate) auto_refresh: bool,
    pub(crate) leeway: Duration,
    pub(crate) login_timeout: Duration,
    pub(crate) request_timeout: Duration,
}

/// A token swap's two addresses.
#[derive(Clone, Debug)]
pub(crate) struct Swap {
    exchange: Endpoint,
    refresh: Endpoint,
}

impl Client {
    /// Begins a client of any provider.
    pub fn builder(provider: Provider, client_id: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            provider,
            id: client_id.into(),
            secret: None,
            auth: ClientAuth::default(),
            scopes: Vec::new(),
            authorize_params: Vec::new(),
            token_params: Vec::new(),
            pkce: true,
            swap: None,
            auto_refresh: true,
            leeway: Duration::from_secs(60),
            login_timeout: Duration::from_secs(300),
            request_timeout: Duration::from_secs(60),
        }
    }

    /// A redirect URI, checked against the provider's rules and kept exactly as written: `https`, a
    /// loopback IP literal over `http`, or a private-use scheme.
    ///
    /// # Errors
    /// [`ConfigError::RedirectUri`] says what to write instead, of `localhost` for instance.
    pub fn redirect_uri(&self, uri: &str) -> Result<RedirectUri, ConfigError> {
        RedirectUri::parse(uri, self.provider.redirects)
    }

    /// This URL as it is to be sent, if it is on one of the API's origins
    /// ([`Provider::api_origin`]): same scheme, host and port, no userinfo. Its bearer token goes nowhere
    /// else (RFC 6750 section 5.2). Send what comes out, not what went in: two parsers may differ.
    ///
    /// ```
    /// let client = authflow::spotify::client("your-client-id").build()?;
    /// assert!(client.api_url("https://api.spotify.com/v1/me").is_some());
    /// assert!(client.api_url("https://api.spotify.com@evil.example/v1/me").is_none());
    /// # Ok::<(), authflow::ConfigError>(())
    /// ```
    #[must_use]
    pub fn api_url(&self, url: &str) -> Option<String> {
        let url = Url::parse(url).ok()?;
        let is_bare = url.username().is_empty() && url.password().is_none();
        let is_own = |own: &String| {
            // The origin of `blob:https://…` is that of what follows.
            let own = Url::parse(own);
            own.is_ok_and(|own| own.scheme() == url.scheme() && own.origin() == url.origin())
        };
        let is_on_api = is_bare && self.provider.api_origins.iter().any(is_own);
        is_on_api.then(|| url.into())
    }

    /// The client id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The scopes that a login asks for.
    #[must_use]
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// How long a login waits for the person.
    #[must_use]
    pub fn login_timeout(&self) -> Duration {
        self.login_timeout
    }

    pub(crate) fn authorization_url(
        &self,
        secrets: &LoginSecrets,
        redirect_uri: &RedirectUri,
    ) -> AuthorizationUrl {
        self.authorization.url(secrets, redirect_uri)
    }

    /// A verifier is sent exactly if a challenge was.
    pub(crate) fn verifier<'a>(&self, verifier: &'a Secret) -> Option<&'a Secret> {
        self.authorization.has_challenge().then_some(verifier)
    }

    /// Where refresh tokens go: what a saved login is bound to.
    pub(crate) fn refresh_endpoint(&self) -> &Endpoint {
        let swap = self.swap.as_ref().map(|swap| &swap.refresh);
        swap.unwrap_or(&self.provider.token_endpoint)
    }

    pub(crate) fn token_request(
        &self,
        id: RequestId,
        grant: &Grant<'_>,
        deadline: Timestamp,
    ) -> HttpRequest {
        let (url, (body, authorization)) = match (&self.swap, grant) {
            (None, _) | (_, Grant::ClientCredentials { .. }) => {
                let request = self.credentials.request(grant);
                (&self.provider.token_endpoint, request)
            }
            (Some(swap), Grant::AuthorizationCode { .. }) => {
                (&swap.exchange, (grant.swap_body(&self.credentials), None))
            }
            (Some(swap), Grant::RefreshToken(_)) => {
                (&swap.refresh, (grant.swap_body(&self.credentials), None))
            }
        };
        HttpRequest::new(Parts {
            id,
            phase: grant.phase(),
            url: url.share(),
            authorization,
            body,
            deadline,
        })
    }
}

/// Builds a [`Client`]. Everything is checked by [`build`](Self::build), before a browser opens.
#[derive(Clone, Debug)]
#[must_use]
pub struct ClientBuilder {
    provider: Provider,
    id: String,
    secret: Option<Secret>,
    auth: ClientAuth,
    scopes: Vec<String>,
    authorize_params: Vec<(String, String)>,
    token_params: Vec<(String, Secret)>,
    pkce: bool,
    swap: Option<TokenSwap>,
    auto_refresh: bool,
    leeway: Duration,
    login_timeout: Duration,
    request_timeout: Duration,
}

impl ClientBuilder {
    /// The client secret, for programs that can keep one: a web backend, not a desktop program. An
    /// empty one is none.
    pub fn secret(mut self, secret: impl Into<Secret>) -> Self {
        self.secret = Some(secret.into()).filter(|secret| !secret.is_empty());
        self
    }

    /// How the secret is shown. The default is [`ClientAuth::Basic`].
    pub fn auth(mut self, auth: ClientAuth) -> Self {
        self.auth = auth;
        self
    }

    /// The scopes to ask for, in addition to those given before. The default is none.
    pub fn scopes<S: AsRef<str>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        let scopes = scopes.into_iter().map(|scope| scope.as_ref().to_owned());
        self.scopes.extend(scopes);
        self
    }

    /// A parameter to add to the authorization URL, such as `prompt`. An empty value is left out.
    #[doc(alias = "extra_param")]
    #[doc(alias = "prompt")]
    #[doc(alias = "show_dialog")]
    pub fn authorize_param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.authorize_params.push((name.into(), value.into()));
        self
    }

    /// A parameter to add to each token request, such as `resource` (RFC 8707).
    pub fn token_param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let value = Secret::from(value.into());
        self.token_params.push((name.into(), value));
        self
    }

    /// Sends codes and refresh tokens to a backend of the program's own, which holds the client secret,
    /// in place of the provider's token endpoint.
    pub fn token_swap(mut self, swap: TokenSwap) -> Self {
        self.swap = Some(swap);
        self
    }

    /// Whether the machine refreshes on a `Tick` when the time has come (the default), or only when
    /// told by [`Event::Refresh`](crate::Event::Refresh). A refresh that was told and failed for lack
    /// of an answer is tried again in either case.
    pub fn auto_refresh(mut self, on: bool) -> Self {
        self.auto_refresh = on;
        self
    }

    /// How long before an access token's end it is refreshed. 60 seconds by default; never more than
    /// half of the token's lifetime.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// How long a login waits for the person. Five minutes by default.
    pub fn login_timeout(mut self, timeout: Duration) -> Self {
        self.login_timeout = timeout;
        self
    }

    /// How long the machine waits for a driver's response. 60 seconds by default: it should be longer
    /// than the driver's own timeout, because it is there for drivers that never answer.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Leaves PKCE out, for a server that refuses its parameters. A stolen code can then be used by
    /// whoever stole it (RFC 9700 section 2.1.1).
    pub fn dangerously_without_pkce(mut self) -> Self {
        self.pkce = false;
        self
    }

    /// The client.
    ///
    /// # Errors
    /// [`ConfigError`] for whatever can't work, with a text that says what to write instead.
    pub fn build(self) -> Result<Client, ConfigError> {
        // RFC 6749 appendix A allows ASCII only, but its appendix B says how to send more.
        if self.id.is_empty() || self.id.contains(char::is_control) {
            return Err(ConfigError::ClientId);
        }
        if let Some(secret) = &self.secret {
            if secret.expose().contains(char::is_control) {
                return Err(ConfigError::ClientSecret);
            }
            if self.auth == ClientAuth::BasicUnencoded && self.id.contains(':') {
                return Err(ConfigError::ColonInClientId);
            }
        }
        let shown = self
            .authorize_params
            .iter()
            .map(|(name, value)| (&**name, &**value));
        check_params(shown, &authorize::RESERVED)?;
        let hidden = self
            .token_params
            .iter()
            .map(|(name, value)| (&**name, value.expose()));
        check_params(hidden, &token_request::RESERVED)?;
        let swap = match &self.swap {
            Some(_) if self.secret.is_some() => return Err(ConfigError::SecretBesideTokenSwap),
            Some(swap) => Some(Swap {
                exchange: self.provider.endpoint("swap URL", &swap.exchange)?,
                refresh: self.provider.endpoint("refresh URL", &swap.refresh)?,
            }),
            None => None,
        };
        let pkce = self.pkce && self.swap.as_ref().is_none_or(|swap| swap.pkce);
        let provider = self.provider.check()?;
        let own_query = provider.authorization_endpoint.query();
        for (name, _) in &self.authorize_params {
            let mut own = crate::wire::form::decode(own_query).flatten();
            if own.any(|(own, _)| own == name.as_str()) {
                return Err(ConfigError::RepeatedParameter(name.clone()));
            }
        }
        let scopes = Scopes::new(&self.scopes)?;
        let (id, secret) = (self.id.as_str(), self.secret.as_ref());
        Ok(Client {
            authorization: AuthorizationRequest::new(
                &provider.authorization_endpoint,
                id,
                &scopes,
                pkce,
                &self.authorize_params,
            ),
            credentials: Credentials::new(id, secret, self.auth, &self.token_params),
            provider,
            id: self.id,
            secret: self.secret,
            auth: self.auth,
            scopes,
            authorize_params: self.authorize_params,
            token_params: self.token_params,
            swap,
            auto_refresh: self.auto_refresh,
            leeway: self.leeway,
            login_timeout: self.login_timeout,
            request_timeout: self.request_timeout,
        })
    }
}

/// "Token swap": the program sends a backend of its own a `code`, or later a `refresh_token`, in a form
/// post of nothing else, and the backend, which holds the client secret, answers as a token endpoint
/// does. Spotify describes it for its mobile SDKs
/// (<https://developer.spotify.com/documentation/ios/concepts/token-swap-and-refresh>).
///
/// A public client with PKCE needs no backend; this is for those that are there already, or for
/// providers that want a secret. Such a backend should hand out a handle of its own in place of the
/// refresh token, as the example `token_swap` does.
#[doc(alias = "TokenSwapAuthenticator")]
#[derive(Clone, Debug)]
#[must_use]
pub struct TokenSwap {
    exchange: String,
    refresh: String,
    pkce: bool,
}

impl TokenSwap {
    /// A backend, by the addresses for a code and for a refresh token. The protocol has no room for a
    /// PKCE verifier, so the login has no challenge.
    pub fn new(swap_url: impl Into<String>, refresh_url: impl Into<String>) -> Self {
        Self {
            exchange: swap_url.into(),
            refresh: refresh_url.into(),
            pkce: false,
        }
    }

    /// For a backend that takes `code_verifier` and `redirect_uri` beside the code: the login is
    /// protected by PKCE then, as every other is.
    pub fn with_pkce(mut self) -> Self {
        self.pkce = true;
        self
    }
}

/// Extras may neither replace nor repeat a parameter. Only `resource` may be there more than once
/// (RFC 8707 section 2).
fn check_params<'a>(
    params: impl Iterator<Item = (&'a str, &'a str)>,
    reserved: &[&str],
) -> Result<(), ConfigError> {
    let mut seen = HashSet::new();
    for (name, value) in params {
        let fault = |problem| {
            let name = name.to_owned();
            Err(ConfigError::Parameter { name, problem })
        };
        if name.is_empty() {
            return fault("give it a name");
        }
        if reserved.contains(&name) {
            return Err(ConfigError::ReservedParameter(name.to_owned()));
        }
        if name == "resource" {
            if Url::parse(value).is_err() || value.contains('#') {
                return fault("write an absolute URI without a # (RFC 8707 section 2)");
            }
        } else if !seen.insert(name) {
            return Err(ConfigError::RepeatedParameter(name.to_owned()));
        }
    }
    Ok(())
}
