//! A provider is data: where its endpoints are, what it takes and what it does differently.

pub(crate) mod client;
pub mod discord;
pub mod github;
pub mod google;
pub mod microsoft;
pub(crate) mod revocation;
pub mod spotify;
pub mod twitch;

use std::time::Duration;

use crate::error::ConfigError;
use crate::wire::authorize;
use crate::wire::endpoint::Endpoint;
use crate::wire::form;
use crate::wire::redirect::RedirectRules;
use crate::wire::repair::RepairStep;
use crate::wire::scope::Scopes;

/// An authorization server, as data. [`spotify`], [`github`], [`google`], [`microsoft`], [`discord`] and
/// [`twitch`] have one each; [`Provider::new`] makes any other.
/// [`ClientBuilder::build`](crate::ClientBuilder::build) checks it.
///
/// ```
/// use authflow::{Client, Provider};
///
/// # fn main() -> Result<(), authflow::ConfigError> {
/// let provider = Provider::new("https://as.example/authorize", "https://as.example/token")
///     .issuer("https://as.example")
///     .api_origin("https://api.example");
/// let client = Client::builder(provider, "your-client-id").build()?;
/// # Ok(())
/// # }
/// ```
#[doc(alias = "AuthUrl")]
#[doc(alias = "TokenUrl")]
#[doc(alias = "authorization server")]
#[derive(Clone, Debug)]
#[must_use]
pub struct Provider {
    authorization_endpoint: String,
    token_endpoint: String,
    revocation_endpoint: Option<String>,
    issuer: Option<String>,
    iss_required: bool,
    redirects: RedirectRules,
    refresh_token_lifetime: Option<Duration>,
    api_origins: Vec<String>,
    repairs: Vec<RepairStep>,
    unnamed_scopes: Vec<UnnamedScope>,
    http_on_loopback: bool,
}

/// A scope that answers leave out although it is granted.
#[derive(Clone, Debug)]
struct UnnamedScope {
    scope: String,
    /// The one that says it too; without one, no answer ever names it.
    by: Option<String>,
}

impl Provider {
    /// A provider from its authorization endpoint and its token endpoint (RFC 6749 section 3).
    pub fn new(
        authorization_endpoint: impl Into<String>,
        token_endpoint: impl Into<String>,
    ) -> Self {
        Self {
            authorization_endpoint: authorization_endpoint.into(),
            token_endpoint: token_endpoint.into(),
            revocation_endpoint: None,
            issuer: None,
            iss_required: false,
            redirects: RedirectRules::default(),
            refresh_token_lifetime: None,
            api_origins: Vec::new(),
            repairs: Vec::new(),
            unnamed_scopes: Vec::new(),
            http_on_loopback: false,
        }
    }

    /// The issuer. An `iss` in the redirect must be equal to it (RFC 9207), and saved logins are
    /// bound to it.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// The provider always sends `iss` (its metadata say
    /// `authorization_response_iss_parameter_supported`): a redirect without one is ignored.
    pub fn iss_required(mut self) -> Self {
        self.iss_required = true;
        self
    }

    /// Where tokens are revoked when a person logs out (RFC 7009). Without it, a log-out is not told
    /// to the provider.
    pub fn revocation_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.revocation_endpoint = Some(endpoint.into());
        self
    }

    /// An origin of the provider's API, such as `https://api.example`.
    pub fn api_origin(mut self, origin: impl Into<String>) -> Self {
        self.api_origins.push(origin.into());
        self
    }

    /// How long a refresh token lives, counted from the person's consent, for
    /// [`AuthFlow::sign_in_due`](crate::AuthFlow::sign_in_due). A `refresh_token_expires_in` of the
    /// server's counts instead.
    pub fn refresh_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.refresh_token_lifetime = Some(lifetime);
        self
    }

    /// A repair step for this provider's token responses. Steps are applied in the order given.
    pub fn repair(mut self, step: RepairStep) -> Self {
        self.repairs.push(step);
        self
    }

    /// A scope that answers leave out where they name `by`, because that includes it or is another name
    /// for it: at GitHub `user` includes `user:email`, at Google `email` is a URL. It does not count as
    /// [missing](crate::AccessTokenRef::missing_scopes) then.
    pub fn implied_scope(mut self, scope: impl Into<String>, by: impl Into<String>) -> Self {
        self.unnamed_scopes.push(UnnamedScope {
            scope: scope.into(),
            by: Some(by.into()),
        });
        self
    }

    /// A scope that no answer names, such as Microsoft's `offline_access`. It never counts as
    /// [missing](crate::AccessTokenRef::missing_scopes).
    pub fn unlisted_scope(mut self, scope: impl Into<String>) -> Self {
        self.unnamed_scopes.push(UnnamedScope {
            scope: scope.into(),
            by: None,
        });
        self
    }

    /// Takes `http://localhost` redirect URIs too. RFC 8252 section 8.3 advises against them: the
    /// name may resolve to somewhere else, or to another address family than the listener's. So a
    /// listener of the program's own should be on both families, as that of
    /// [`Login::localhost`](crate::Login::localhost) is.
    pub fn localhost_redirects(mut self) -> Self {
        self.redirects.localhost = true;
        self
    }

    /// Takes private-use redirect schemes without a dot too, such as `my-app://callback`. Any other
    /// program may claim such a name (RFC 8252 section 7.1).
    pub fn undotted_redirect_schemes(mut self) -> Self {
        self.redirects.any_scheme = true;
        self
    }

    /// Takes endpoints of plain `http` on a loopback address, for test servers. Elsewhere `https` is
    /// needed all the same.
    pub fn dangerously_allow_http_on_loopback(mut self) -> Self {
        self.http_on_loopback = true;
        self
    }

    /// An endpoint, under this provider's rules.
    pub(crate) fn endpoint(
        &self,
        name: &'static str,
        address: &str,
    ) -> Result<Endpoint, ConfigError> {
        Endpoint::parse(name, address, self.http_on_loopback)
    }

    /// [`ConfigError`] for an endpoint that is not `https`, has userinfo or a fragment, or sets a
    /// parameter of the login's own; for `iss_required` without an issuer.
    pub(crate) fn check(self) -> Result<CheckedProvider, ConfigError> {
        let endpoint = |name, address: &str| self.endpoint(name, address);
        let authorization_endpoint =
            endpoint("authorization endpoint", &self.authorization_endpoint)?;
        let token_endpoint = endpoint("token endpoint", &self.token_endpoint)?;
        let revocation_endpoint = match &self.revocation_endpoint {
            Some(address) => Some(endpoint("revocation endpoint", address)?),
            None => None,
        };
        for pair in form::decode(authorization_endpoint.query()) {
            match pair {
                Ok((name, _)) if authorize::RESERVED.contains(&&*name) => {
                    return Err(ConfigError::ReservedParameter(name.into_owned()));
                }
                Ok(_) => {}
                Err(_) => {
                    return Err(ConfigError::Endpoint {
                        name: "authorization endpoint",
                        problem: "its query has a broken percent escape",
                    });
                }
            }
        }
        if self.iss_required && self.issuer.is_none() {
            return Err(ConfigError::IssuerMissing);
        }
        for origin in &self.api_origins {
            // A path would promise that the token goes no further than that.
            if !Endpoint::parse("API origin", origin, self.http_on_loopback)?.is_origin() {
                return Err(ConfigError::Endpoint {
                    name: "API origin",
                    problem: "leave out the path and the query, as in https://api.example",
                });
            }
        }
        Ok(CheckedProvider {
            authorization_endpoint,
            token_endpoint,
            revocation_endpoint,
            issuer: self.issuer,
            iss_required: self.iss_required,
            redirects: self.redirects,
            refresh_token_lifetime: self.refresh_token_lifetime,
            api_origins: self.api_origins,
            repairs: self.repairs,
            unnamed_scopes: self.unnamed_scopes,
        })
    }
}

/// A provider whose parts can be used as they are.
#[derive(Clone, Debug)]
pub(crate) struct CheckedProvider {
    pub(crate) authorization_endpoint: Endpoint,
    pub(crate) token_endpoint: Endpoint,
    pub(crate) revocation_endpoint: Option<Endpoint>,
    pub(crate) issuer: Option<String>,
    pub(crate) iss_required: bool,
    pub(crate) redirects: RedirectRules,
    pub(crate) refresh_token_lifetime: Option<Duration>,
    pub(crate) api_origins: Vec<String>,
    pub(crate) repairs: Vec<RepairStep>,
    unnamed_scopes: Vec<UnnamedScope>,
}

impl CheckedProvider {
    /// The name that tokens are bound to: the issuer, or else the token endpoint.
    pub(crate) fn id(&self) -> &str {
        let token_endpoint = self.token_endpoint.as_str();
        self.issuer.as_deref().unwrap_or(token_endpoint)
    }

    /// Whether `scope`, which an answer did not name, is granted all the same.
    pub(crate) fn implies(&self, scope: &str, granted: &Scopes) -> bool {
        let says = |by: &String| granted.contains(by);
        let mut unnamed = self.unnamed_scopes.iter();
        unnamed.any(|known| known.scope == scope && known.by.as_ref().is_none_or(says))
    }
}
