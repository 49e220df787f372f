//! Discord, as its documentation describes it.
//!
//! - Register at <https://discord.com/developers/applications>. With the switch "Public Client" on, a
//!   desktop program needs no secret, and uses PKCE alone; otherwise a secret is needed.
//!   <https://docs.discord.com/developers/discord-social-sdk/development-guides/account-linking-with-discord>
//! - Redirect URIs: exactly as registered, so with a port: register `http://127.0.0.1:8765/callback`, and
//!   call [`Login::port`](crate::Login::port) with it. Discord's pages for web sites ask for `https`.
//!   <https://docs.discord.com/developers/topics/oauth2>
//! - Access tokens live a week. A refresh brings a new refresh token (same page).
//! - `authorize_param("prompt", "none")` skips the question to a person who has agreed before.
//! - Revoking one token revokes all of that authorization, whichever it was.
//! - The API is below `https://discord.com/api`. An app's own token
//!   ([`ClientCredentials`](crate::session::ClientCredentials)) is its owner's.

use crate::provider::Provider;
use crate::provider::client::{Client, ClientBuilder};

/// Discord's endpoints and rules.
pub fn provider() -> Provider {
    Provider::new(
        "https://discord.com/oauth2/authorize",
        "https://discord.com/api/oauth2/token",
    )
    .revocation_endpoint("https://discord.com/api/oauth2/token/revoke")
    .api_origin("https://discord.com")
}

/// A client of Discord's, by its id. Without a secret it is a public client.
pub fn client(client_id: impl Into<String>) -> ClientBuilder {
    Client::builder(provider(), client_id)
}
