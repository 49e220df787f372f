//! The settings of the fake provider, and its start.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::time::Duration;

use super::listener::Listener;
use super::provider::FakeProvider;
use super::redirect;
use super::server::{Config, Rotation, Server};

/// What a [`FakeProvider`] knows and how it behaves.
#[derive(Clone)]
#[must_use = "a builder does nothing until it is started"]
pub struct FakeProviderBuilder {
    pub(super) config: Config,
    names_revocation: bool,
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
                issuer: None,
            },
            names_revocation: false,
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

    /// Lets [`FakeProvider::provider`] name the
    /// [`revocation_endpoint`](FakeProvider::revocation_endpoint), so that a log-out is told to it.
    /// Default: not named, since Spotify has none.
    pub fn with_revocation(mut self) -> Self {
        self.names_revocation = true;
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
        let Self {
            config,
            names_revocation,
            port,
        } = self;
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
            names_revocation,
            listener,
        })
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
            .field("names_revocation", &self.names_revocation)
            .field("port", &self.port)
            .finish()
    }
}

pub(super) fn whole_seconds(life: Duration) -> Duration {
    Duration::from_secs(life.as_secs())
}
