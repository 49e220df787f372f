//! GitHub, as its documentation describes it: OAuth apps, and GitHub Apps that act for a person.
//!
//! - Register at <https://github.com/settings/developers>. A client secret is always needed, in a
//!   desktop program too, where it is no secret: GitHub does not tell public clients from others, and
//!   takes PKCE beside it.
//!   <https://github.blog/changelog/2025-07-14-pkce-support-for-oauth-and-github-app-authentication>
//! - Redirect URIs: the registered one, or a directory below its path; on a loopback address any port.
//!   Register `http://127.0.0.1/callback` for [`Login`](crate::Login).
//!   <https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps#redirect-urls>
//! - Answers are forms, unless JSON is asked for, as every request here does. Errors come with status
//!   200, and with names of GitHub's own, which are read as those of RFC 6749 here; the descriptions
//!   stay.
//!   <https://docs.github.com/en/apps/oauth-apps/maintaining-oauth-apps/troubleshooting-oauth-app-access-token-request-errors>
//! - An OAuth app's tokens have no end and no refresh token; the API says 401 when a person has revoked
//!   one. A GitHub App's end after eight hours, and its refresh tokens after six months; each is good
//!   for one refresh.
//!   <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/refreshing-user-access-tokens>
//! - Granted scopes are parted by commas, and leave out what another one includes: `user` and
//!   `user:email` become `user`. A person may grant less. GitHub Apps have permissions in their place.
//!   <https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps#normalized-scopes>
//! - `authorize_param("prompt", "select_account")` lets the person choose an account (same page as the
//!   redirect URIs).
//! - Revocation is not RFC 7009's but an API of GitHub's own, so a log-out does not tell it.
//!   <https://docs.github.com/en/rest/apps/oauth-applications#delete-an-app-token>

use crate::provider::Provider;
use crate::provider::client::{Client, ClientBuilder};
use crate::wire::repair::RepairStep;
use crate::wire::token_request::ClientAuth;

/// Names of errors, and what RFC 6749 section 5.2 calls them.
const ERRORS: [(&str, &str); 4] = [
    ("bad_verification_code", "invalid_grant"),
    // Not on GitHub's page of errors: https://github.com/interlink-hq/interLink/pull/262
    ("bad_refresh_token", "invalid_grant"),
    ("incorrect_client_credentials", "invalid_client"),
    ("redirect_uri_mismatch", "invalid_request"),
];

/// Scopes, and those that they include
/// (<https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps>).
const INCLUDED: [(&str, &[&str]); 11] = [
    (
        "repo",
        &[
            "repo:status",
            "repo_deployment",
            "public_repo",
            "repo:invite",
            "security_events",
        ],
    ),
    ("admin:repo_hook", &["write:repo_hook", "read:repo_hook"]),
    ("write:repo_hook", &["read:repo_hook"]),
    ("admin:org", &["write:org", "read:org"]),
    ("write:org", &["read:org"]),
    ("admin:public_key", &["write:public_key", "read:public_key"]),
    ("write:public_key", &["read:public_key"]),
    ("user", &["read:user", "user:email", "user:follow"]),
    ("project", &["read:project"]),
    ("admin:gpg_key", &["write:gpg_key", "read:gpg_key"]),
    ("write:gpg_key", &["read:gpg_key"]),
];

/// GitHub's endpoints and rules.
pub fn provider() -> Provider {
    let mut provider = Provider::new(
        "https://github.com/login/oauth/authorize",
        "https://github.com/login/oauth/access_token",
    )
    .api_origin("https://api.github.com");
    for (error, code) in ERRORS {
        provider = provider.repair(RepairStep::error_code("error", error, code));
    }
    for (scope, included) in INCLUDED {
        for part in included {
            provider = provider.implied_scope(*part, scope);
        }
    }
    provider
}

/// A client of GitHub's, by its id and secret. The secret goes into the body: GitHub's documentation
/// knows no other way.
pub fn client(client_id: impl Into<String>) -> ClientBuilder {
    Client::builder(provider(), client_id).auth(ClientAuth::Body)
}
