#[path = "../../callback.rs"]
mod callback;
#[path = "../../listener.rs"]
mod listener;
#[path = "../../setup.rs"]
mod setup;

use std::error::Error;
use std::time::Duration;

use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreJsonWebKeySet};
use openidconnect::{
    AuthUrl, AuthorizationCode, ClientId, CsrfToken, IssuerUrl, Nonce, OAuth2TokenResponse,
    PkceCodeChallenge, RedirectUrl, RefreshToken, Scope, TokenUrl,
};
use tiny_http::Server;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let client = CoreClient::new(
        ClientId::new(setup::CLIENT_ID.to_owned()),
        IssuerUrl::new(setup::base_url())?,
        CoreJsonWebKeySet::default(),
    )
    .set_auth_uri(AuthUrl::new(setup::authorize_url())?)
    .set_token_uri(TokenUrl::new(setup::token_url())?)
    .set_redirect_uri(RedirectUrl::new(setup::redirect_uri())?);
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state, _nonce) = client
        .authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            CsrfToken::new_random,
            Nonce::new_random,
        )
        .add_scopes(setup::SCOPES.map(|scope| Scope::new(scope.to_owned())))
        .set_pkce_challenge(challenge)
        .url();
    let server = Server::http(("127.0.0.1", setup::port()))?;
    setup::show(url.as_str());
    let code = listener::wait(&server, state.secret())?;
    let http = openidconnect::ureq::AgentBuilder::new()
        .redirects(0)
        .timeout(Duration::from_secs(30))
        .build();
    let tokens = client
        .exchange_code(AuthorizationCode::new(code))
        .set_pkce_verifier(verifier)
        .request(&http)?;
    setup::came(tokens.access_token().secret());
    let refresh_token = tokens.refresh_token().ok_or("no refresh token")?.clone();
    let tokens = client
        .exchange_refresh_token(&refresh_token)
        .request(&http)?;
    // Whoever keeps them has to keep the old one, where there is no new one.
    let _kept: &RefreshToken = tokens.refresh_token().unwrap_or(&refresh_token);
    setup::came(tokens.access_token().secret());
    Ok(())
}
