//! The fake provider as its users hold it.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::time::Duration;

use super::fault::Fault;
use super::listener::{Listener, lock};
use super::recorded::TokenRequest;
use super::redirect;
use super::server::{Config, Rotation, Server};
use crate::{Client, ClientBuilder, Provider, ProviderBuilder};

/// An authorization server with one client and one person, on a free port of `127.0.0.1`.
///
/// Every control takes `&self` and may be used while requests are being answered. Dropping the
/// provider frees the port, hangs up on whoever is still connected and ends its threads.
pub struct FakeProvider {
    base_url: String,
    client_id: String,
    client_secret: Option<String>,
    listener: Listener,
}

impl FakeProvider {
    /// A provider with every default of [`FakeProviderBuilder`].
    ///
    /// # Errors
    ///
    /// When the operating system gives no port, no thread or no randomness.
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// Settings first, then [`FakeProviderBuilder::start`].
    pub fn builder() -> FakeProviderBuilder {
        FakeProviderBuilder::default()
    }

    /// `http://127.0.0.1:PORT`, without a slash behind it.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Where the person's browser goes: [`base_url`](Self::base_url) and `/authorize`.
    pub fn authorization_endpoint(&self) -> String {
        format!("{}/authorize", self.base_url)
    }

    /// Where codes and refresh tokens go: [`base_url`](Self::base_url) and `/api/token`.
    pub fn token_endpoint(&self) -> String {
        format!("{}/api/token", self.base_url)
    }

    /// The origin that access tokens may be sent to. Here it is the same as
    /// [`base_url`](Self::base_url).
    pub fn api_origin(&self) -> &str {
        &self.base_url
    }

    /// This provider, as a client of authflow's sees it: Spotify's rules, at these endpoints.
    pub fn provider(&self) -> ProviderBuilder {
        Provider::builder(self.authorization_endpoint(), self.token_endpoint())
            .api_origin(self.api_origin())
            .undotted_redirect_schemes()
            .dangerously_allow_http_on_loopback()
    }

    /// The client that this provider knows, ready for [`Login::new`](crate::Login::new) or for
    /// [`ClientBuilder::build`].
    pub fn client(&self) -> ClientBuilder {
        let client = Client::builder(self.provider(), self.client_id());
        match self.client_secret() {
            Some(secret) => client.secret(secret),
            None => client,
        }
    }

    /// The API's only endpoint: the profile of the person whose token it is.
    pub fn me_url(&self) -> String {
        format!("{}/v1/me", self.base_url)
    }

    /// The id of the client that is registered here.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The client's secret, if it has one.
    pub fn client_secret(&self) -> Option<&str> {
        self.client_secret.as_deref()
    }

    /// Lets the next request to the token endpoint fail like this. Faults queue up: each is used
    /// for one request, in the order given.
    pub fn fault(&self, fault: Fault) {
        self.fault_for_next(1, fault);
    }

    /// The same fault for this many requests. `usize::MAX` is until [`clear_faults`](Self::clear_faults).
    pub fn fault_for_next(&self, requests: usize, fault: Fault) {
        lock(&self.listener.house().faults).push(fault, requests);
    }

    /// Takes back the faults that no request has met yet.
    pub fn clear_faults(&self) {
        lock(&self.listener.house().faults).clear();
    }

    /// Every request that reached the token endpoint, oldest first, with whatever was wrong
    /// with it, and those that met a fault.
    pub fn token_requests(&self) -> Vec<TokenRequest> {
        let record = &self.server().record;
        record.iter().map(|(_, request)| request.clone()).collect()
    }

    /// Forgets the recorded requests.
    pub fn clear_token_requests(&self) {
        self.server().record.clear();
    }

    /// The life of access tokens issued from now on, in whole seconds.
    pub fn set_expires_in(&self, life: Duration) {
        self.server().config.expires_in = whole_seconds(life);
    }

    /// Ends all access tokens issued so far, before their time: the API answers 401.
    pub fn expire_access_tokens(&self) {
        self.server().expire_access_tokens();
    }

    /// Revokes all refresh tokens issued so far: a refresh is `invalid_grant`, "Refresh token
    /// revoked". Access tokens live on.
    pub fn revoke_refresh_tokens(&self) {
        self.server().revoke_refresh_tokens();
    }

    fn server(&self) -> impl std::ops::DerefMut<Target = Server> {
        lock(&self.listener.house().server)
    }
}

/// The standard library's hasher keys are random, which is random enough for a fake and costs no
/// dependency.
fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    for part in seed.chunks_exact_mut(8) {
        part.copy_from_slice(&RandomState::new().build_hasher().finish().to_le_bytes());
    }
    seed
}

impl fmt::Debug for FakeProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeProvider")
            .field("base_url", &self.base_url)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// What a [`FakeProvider`] knows and how it behaves.
#[derive(Clone)]
#[must_use = "a builder does nothing until it is started"]
pub struct FakeProviderBuilder {
    pub(super) config: Config,
    port: u16,
}

impl Default for FakeProviderBuilder {
    fn default() -> Self {
        Self {
            config: Config {
                client_id: "fake-client".to_owned(),
                client_secret: None,
                redirect_uris: vec![
                    "http://127.0.0.1/callback".to_owned(),
                    "http://[::1]/callback".to_owned(),
                ],
                known_scopes: None,
                expires_in: Duration::from_secs(3600),
                refresh_token_lifetime: Duration::from_secs(180 * 24 * 3600),
                rotation: Rotation::Never,
                code_reuse_revokes: false,
            },
            port: 0,
        }
    }
}

impl FakeProviderBuilder {
    /// The client's id. Default: `fake-client`.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.config.client_id = client_id.into();
        self
    }

    /// Gives the client a secret, which it must present from then on, by Basic or in the body;
    /// PKCE becomes its own choice. Default, and if empty: no secret, and PKCE is required.
    pub fn client_secret(mut self, secret: impl Into<String>) -> Self {
        self.config.client_secret = Some(secret.into()).filter(|secret| !secret.is_empty());
        self
    }

    /// The registered redirect URIs, compared byte for byte. A loopback literal without a port
    /// (`http://127.0.0.1/…`, `http://[::1]/…`) matches with any port
    /// (<https://developer.spotify.com/documentation/web-api/concepts/redirect_uri>).
    /// Default: `/callback` on both of these.
    pub fn redirect_uris<I>(mut self, uris: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.config.redirect_uris = uris.into_iter().map(Into::into).collect();
        self
    }

    /// The scopes there are; a request for any other gets `invalid_scope`. Default: every scope
    /// is known.
    pub fn known_scopes<I>(mut self, scopes: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.config.known_scopes = Some(scopes.into_iter().map(Into::into).collect());
        self
    }

    /// The life of access tokens, in whole seconds; both what the answer says and what the API
    /// keeps to. Default: 3600 s.
    pub fn expires_in(mut self, life: Duration) -> Self {
        self.config.expires_in = whole_seconds(life);
        self
    }

    /// How long after the person's consent refresh tokens end, with "Refresh token expired";
    /// refreshing never extends it. Default: six months, counted as 180 days
    /// (<https://developer.spotify.com/documentation/web-api/tutorials/refreshing-tokens>).
    pub fn refresh_token_lifetime(mut self, life: Duration) -> Self {
        self.config.refresh_token_lifetime = life;
        self
    }

    /// Whether a refresh replaces the refresh token. Default: [`Rotation::Never`].
    pub fn rotation(mut self, rotation: Rotation) -> Self {
        self.config.rotation = rotation;
        self
    }

    /// Whether a code that is presented a second time also ends the login it was used for, as
    /// RFC 6749 section 4.1.2 recommends. Default: no, it is only refused.
    pub fn code_reuse_revokes(mut self, revokes: bool) -> Self {
        self.config.code_reuse_revokes = revokes;
        self
    }

    /// A fixed port. Default: 0, a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Starts it. The provider answers from the moment this returns.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a redirect URI that nobody could register: not absolute, with a
    /// fragment, or not in visible ASCII. Otherwise when the operating system gives no port (a
    /// fixed one may be in use), no thread or no randomness.
    pub fn start(self) -> io::Result<FakeProvider> {
        let Self { config, port } = self;
        if !config
            .redirect_uris
            .iter()
            .all(|uri| redirect::is_registrable(uri))
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a redirect URI must be absolute, without a fragment and in visible ASCII",
            ));
        }
        let seed = seed();
        let client_id = config.client_id.clone();
        let client_secret = config.client_secret.clone();
        let listener = Listener::start(port, Server::new(config, seed))?;
        Ok(FakeProvider {
            base_url: format!("http://{}", listener.address()),
            client_id,
            client_secret,
            listener,
        })
    }
}

impl fmt::Debug for FakeProviderBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeProviderBuilder")
            .field("client_id", &self.config.client_id)
            .field("has_secret", &self.config.client_secret.is_some())
            .field("redirect_uris", &self.config.redirect_uris)
            .field("known_scopes", &self.config.known_scopes)
            .field("expires_in", &self.config.expires_in)
            .field(
                "refresh_token_lifetime",
                &self.config.refresh_token_lifetime,
            )
            .field("rotation", &self.config.rotation)
            .field("code_reuse_revokes", &self.config.code_reuse_revokes)
            .field("port", &self.port)
            .finish()
    }
}

fn whole_seconds(life: Duration) -> Duration {
    Duration::from_secs(life.as_secs())
}
