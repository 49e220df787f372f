//! Google, as its documentation describes it.
//!
//! - Register at <https://console.cloud.google.com/auth/clients>. For a program on a person's machine
//!   choose "Desktop app": it gets a secret that is no secret, and that has to be sent all the same.
//!   <https://developers.google.com/identity/protocols/oauth2/native-app>
//! - Redirect URIs of a desktop app: `http://127.0.0.1` or `http://[::1]` with any port, without being
//!   registered (same page, which says nothing of paths; they are in wide use). Of a web application:
//!   `https`, exactly as registered.
//! - A refresh token comes with the first consent only, unless the person is asked again and the access
//!   is "offline". [`client`] asks for both (`access_type`, `prompt`), because a browser opens only when
//!   a refresh token is wanted. For another `prompt` begin with [`Client::builder`] and [`provider`].
//!   <https://developers.google.com/identity/protocols/oauth2/web-server#offline>
//! - Refresh answers carry no new refresh token; the old one goes on. It ends after six months without
//!   use, when the person takes it back, **after seven days while the app's publishing status is
//!   "Testing"**, and when the same person has a hundred newer ones; then comes `invalid_grant`.
//!   <https://developers.google.com/identity/protocols/oauth2#expiration>
//! - Scopes are URLs, and a person may grant some of them only. `email` and `profile` come back as
//!   URLs, which is known here (<https://github.com/requests/requests-oauthlib/issues/387>).
//! - Each API has an origin of its own. Those of the person's profile and of `www.googleapis.com` are
//!   here; add another with [`api_origin`](crate::Provider::api_origin).
//! - The redirect carries an `iss`, which is compared (RFC 9207). It is not documented, so it is not
//!   insisted on (<https://github.com/TheBitPoets/2cornot2c/issues/607>).
//! - Revocation ends the person's consent to the whole app, its other tokens included.
//!   <https://developers.google.com/identity/protocols/oauth2/native-app#tokenrevoke>

use crate::provider::Provider;
use crate::provider::client::{Client, ClientBuilder};
use crate::wire::token_request::ClientAuth;

/// Google's endpoints and rules, as <https://accounts.google.com/.well-known/openid-configuration> has
/// them.
pub fn provider() -> Provider {
    Provider::new(
        "https://accounts.google.com/o/oauth2/v2/auth",
        "https://oauth2.googleapis.com/token",
    )
    .revocation_endpoint("https://oauth2.googleapis.com/revoke")
    .issuer("https://accounts.google.com")
    .api_origin("https://www.googleapis.com")
    .api_origin("https://openidconnect.googleapis.com")
    .implied_scope("email", "https://www.googleapis.com/auth/userinfo.email")
    .implied_scope(
        "profile",
        "https://www.googleapis.com/auth/userinfo.profile",
    )
}

/// A client of Google's, by its id and secret, that gets a refresh token with each login.
pub fn client(client_id: impl Into<String>) -> ClientBuilder {
    Client::builder(provider(), client_id)
        .auth(ClientAuth::Body)
        .authorize_param("access_type", "offline")
        .authorize_param("prompt", "consent")
}
