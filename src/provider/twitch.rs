//! Twitch, as its documentation describes it.
//!
//! - Register at <https://dev.twitch.tv/console>. This flow needs a client secret, so it is for programs
//!   that can keep one, such as a web backend; for others Twitch has the device grant, which is not
//!   here. <https://dev.twitch.tv/docs/authentication/getting-tokens-oauth/>
//! - PKCE is not supported (<https://github.com/twitchdev/issues/issues/1097>). Its parameters are sent
//!   all the same, and ignored as RFC 6749 section 3.1 asks; the state protects the login.
//! - Redirect URIs: exactly as registered, port included; `https`, or `http://localhost`. For
//!   `http://localhost:3000/callback` call [`Login::localhost`](crate::Login::localhost) and
//!   [`Login::port`](crate::Login::port)`(3000)`.
//! - Granted scopes come as a JSON array.
//! - A refresh may bring a new refresh token.
//!   <https://dev.twitch.tv/docs/authentication/refresh-tokens/>
//! - Errors have a `status` and a `message` in place of an `error`. The messages that are known are
//!   read as the codes of RFC 6749 here (<https://github.com/twitchdev/issues/issues/1037>,
//!   <https://github.com/twitchdev/issues/issues/943>,
//!   <https://github.com/PhantomBot/PhantomBot/issues/2860>); of others the message is in the error's
//!   text.
//! - The API wants the client id too: `ApiRequest::get(url).header("Client-Id", "your-client-id")`.
//!   <https://dev.twitch.tv/docs/api/get-started/>
//! - A program that stays logged in has to ask `https://id.twitch.tv/oauth2/validate` every hour. That is
//!   left to the program. <https://dev.twitch.tv/docs/authentication/validate-tokens/>
//! - Revocation is documented for access tokens, and an unknown token is an error to it. So a log-out may
//!   say that it [failed](crate::session::Revocation::Failed) for the refresh token.
//!   <https://dev.twitch.tv/docs/authentication/revoke-tokens/>

use crate::provider::Provider;
use crate::provider::client::{Client, ClientBuilder};
use crate::wire::repair::RepairStep;
use crate::wire::token_request::ClientAuth;

/// Messages, and what RFC 6749 section 5.2 calls them.
const MESSAGES: [(&str, &str); 4] = [
    ("Invalid refresh token", "invalid_grant"),
    ("Invalid authorization code", "invalid_grant"),
    ("missing client secret", "invalid_client"),
    ("invalid client secret", "invalid_client"),
];

/// Twitch's endpoints and rules.
pub fn provider() -> Provider {
    let mut provider = Provider::new(
        "https://id.twitch.tv/oauth2/authorize",
        "https://id.twitch.tv/oauth2/token",
    )
    .revocation_endpoint("https://id.twitch.tv/oauth2/revoke")
    .api_origin("https://api.twitch.tv")
    .localhost_redirects();
    for (message, code) in MESSAGES {
        provider = provider.repair(RepairStep::error_code("message", message, code));
    }
    provider
}

/// A client of Twitch's, by its id and secret.
pub fn client(client_id: impl Into<String>) -> ClientBuilder {
    Client::builder(provider(), client_id).auth(ClientAuth::Body)
}
