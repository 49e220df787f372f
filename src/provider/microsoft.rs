//! Microsoft's identity platform (Entra ID), as its documentation describes it.
//!
//! - Register at <https://entra.microsoft.com>, under "App registrations". For a program on a person's
//!   machine add the platform "Mobile and desktop applications": then there is no secret. The type "SPA"
//!   is for programs in a web page; its refresh tokens end after a day.
//!   <https://learn.microsoft.com/en-us/entra/identity-platform/scenario-desktop-app-registration>
//! - The tenant says who may log in: `common` (anybody), `organizations` (work and school), `consumers`
//!   (personal accounts), or one organization's id or domain.
//!   <https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-auth-code-flow>
//! - Redirect URIs: `https`, or `http` on a loopback address with any port; the path has to be the
//!   registered one, `[::1]` is not taken. The portal takes `http://localhost/callback` only: register
//!   that, and call [`Login::localhost`](crate::Login::localhost). The page advises 127.0.0.1, for which
//!   `http://127.0.0.1/callback` goes into the app's manifest by hand; then nothing has to be called.
//!   <https://learn.microsoft.com/en-us/entra/identity-platform/reply-url#localhost-exceptions>
//! - A refresh token comes with the scope `offline_access`, which [`client`] asks for. No answer names
//!   it, which is known here (<https://github.com/requests/requests-oauthlib/issues/507>). Write other
//!   scopes as the answers do, `User.Read` for instance: they are compared letter by letter.
//! - Refresh tokens live 90 days, and each refresh brings a new one, so a person who is back in time
//!   never has to sign in again; the server may end one at any time.
//!   <https://learn.microsoft.com/en-us/entra/identity-platform/refresh-tokens>
//! - `interaction_required` and `consent_required` at the token endpoint mean that only a new login
//!   helps, so they are read as `invalid_grant`; the description, which begins with `AADSTS`, stays.
//!   <https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-auth-code-flow#error-codes-for-token-endpoint-errors>
//! - An access token is for one API. Here that is Microsoft Graph; for another use its scopes and
//!   [`api_origin`](crate::Provider::api_origin).
//! - There is no revocation endpoint, and no `iss` in the redirect that the documentation knows of.

use crate::provider::Provider;
use crate::provider::client::{Client, ClientBuilder};
use crate::wire::repair::RepairStep;
use crate::wire::token_request::ClientAuth;

/// Microsoft's endpoints and rules for a tenant: `common`, `organizations`, `consumers`, an id or a
/// domain. It stands in the endpoints' path as it is: take it from your configuration, not from a user.
pub fn provider(tenant: &str) -> Provider {
    let endpoint = |name| format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/{name}");
    let sign_in = |error| RepairStep::error_code("error", error, "invalid_grant");
    Provider::new(endpoint("authorize"), endpoint("token"))
        .api_origin("https://graph.microsoft.com")
        .localhost_redirects()
        .unlisted_scope("offline_access")
        .repair(sign_in("interaction_required"))
        .repair(sign_in("consent_required"))
}

/// A client of Microsoft's with the "Application (client) ID", that gets a refresh token. Without a
/// secret it is a public client, as a desktop program should be.
pub fn client(tenant: &str, client_id: impl Into<String>) -> ClientBuilder {
    Client::builder(provider(tenant), client_id)
        .auth(ClientAuth::Body)
        .scopes(["offline_access"])
}
