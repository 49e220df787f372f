//! The fake provider as its users hold it.

use std::fmt;
use std::io;
use std::time::Duration;

use super::builder::{FakeProviderBuilder, whole_seconds};
use super::fault::Fault;
use super::listener::{Listener, lock};
use super::recorded::{Endpoint, RecordedRequest};
use super::server::Server;
use crate::{Client, ClientBuilder, Provider};

/// An authorization server with one client, on a free port of `127.0.0.1`.
///
/// Every control takes `&self` and may be used while requests are being answered. Dropping the
/// provider frees the port, hangs up on whoever is still connected and ends its threads.
pub struct FakeProvider {
    pub(super) base_url: String,
    pub(super) client_id: String,
    pub(super) client_secret: Option<String>,
    pub(super) names_revocation: bool,
    pub(super) listener: Listener,
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

    /// Where tokens are revoked (RFC 7009): [`base_url`](Self::base_url) and `/api/revoke`. Spotify
    /// has no such endpoint, so [`provider`](Self::provider) names it only
    /// [`with_revocation`](FakeProviderBuilder::with_revocation).
    ///
    /// Revoking a refresh token ends its login, access tokens included; revoking an access token
    /// ends that one only. A refresh token that was replaced counts as unknown: revoking it is no
    /// error and ends nothing.
    pub fn revocation_endpoint(&self) -> String {
        format!("{}/api/revoke", self.base_url)
    }

    /// The origin that access tokens may be sent to. Here it is the same as
    /// [`base_url`](Self::base_url).
    pub fn api_origin(&self) -> &str {
        &self.base_url
    }

    /// This provider, as a client of authflow's sees it: Spotify's rules, at these endpoints.
    pub fn provider(&self) -> Provider {
        let provider = Provider::new(self.authorization_endpoint(), self.token_endpoint())
            .api_origin(self.api_origin())
            .undotted_redirect_schemes()
            .dangerously_allow_http_on_loopback();
        if self.names_revocation {
            provider.revocation_endpoint(self.revocation_endpoint())
        } else {
            provider
        }
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

    /// The profile of the person whose token it is. A token of the app's own is nobody's: 401.
    pub fn me_url(&self) -> String {
        format!("{}/v1/me", self.base_url)
    }

    /// An endpoint of the API that takes GET, POST, PUT, PATCH and DELETE with any good token, the
    /// app's own too, and says what came: a JSON object with `method`, `content_type` (`null`
    /// without one), `query` and `body`.
    pub fn echo_url(&self) -> String {
        format!("{}/v1/echo", self.base_url)
    }

    /// The id of the client that is registered here.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The client's secret, if it has one.
    pub fn client_secret(&self) -> Option<&str> {
        self.client_secret.as_deref()
    }

    /// Lets the next request to this endpoint fail like this. Faults queue up, for each endpoint by
    /// itself: each is used for one request, in the order given. The API's are met before the token is
    /// looked at.
    pub fn fault(&self, endpoint: Endpoint, fault: Fault) {
        self.fault_for_next(endpoint, 1, fault);
    }

    /// The same fault for this many requests; `usize::MAX` is until
    /// [`clear_faults`](Self::clear_faults). An API that refuses every token, also fresh ones, is
    /// `fault_for_next(Endpoint::Api, usize::MAX, Fault::Empty { status: 401 })`.
    pub fn fault_for_next(&self, endpoint: Endpoint, requests: usize, fault: Fault) {
        self.server().desk(endpoint).faults.push(fault, requests);
    }

    /// Takes back the faults that no request has met yet.
    pub fn clear_faults(&self, endpoint: Endpoint) {
        self.server().desk(endpoint).faults.clear();
    }

    /// Every request that reached this endpoint, oldest first, with whatever was wrong with it, and
    /// those that met a fault.
    pub fn requests(&self, endpoint: Endpoint) -> Vec<RecordedRequest> {
        self.server().desk(endpoint).record()
    }

    /// Forgets those so far.
    pub fn clear_requests(&self, endpoint: Endpoint) {
        self.server().desk(endpoint).clear_record();
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

    /// How many refresh tokens a refresh would work with: neither replaced nor revoked nor expired.
    /// A login has one at most, so this is also how many logins can go on.
    pub fn live_refresh_tokens(&self) -> usize {
        let now = self.listener.house().now();
        self.server().live_refresh_tokens(now)
    }

    fn server(&self) -> impl std::ops::DerefMut<Target = Server> {
        lock(&self.listener.house().server)
    }
}

impl fmt::Debug for FakeProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeProvider")
            .field("base_url", &self.base_url)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}
