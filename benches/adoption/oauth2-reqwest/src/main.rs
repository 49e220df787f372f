#[path = "../../callback.rs"]
mod callback;
#[path = "../../listener.rs"]
mod listener;
#[path = "../../setup.rs"]
mod setup;

use std::error::Error;
use std::time::Duration;

use oauth2::basic::BasicClient;
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, CsrfToken, PkceCodeChallenge, RedirectUrl, RefreshToken,
    Scope, TokenResponse, TokenUrl,
};
use tiny_http::Server;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let client = BasicClient::new(ClientId::new(setup::CLIENT_ID.to_owned()))
        .set_auth_uri(AuthUrl::new(setup::authorize_url())?)
        .set_token_uri(TokenUrl::new(setup::token_url())?)
        .set_redirect_uri(RedirectUrl::new(setup::redirect_uri())?);
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state) = client
        .authorize_url(CsrfToken::new_random)
        .add_scopes(setup::SCOPES.map(|scope| Scope::new(scope.to_owned())))
        .set_pkce_challenge(challenge)
        .url();
    let server = Server::http(("127.0.0.1", setup::port()))?;
    setup::show(url.as_str());
    let code = listener::wait(&server, state.secret())?;
    let http = oauth2::reqwest::blocking::Client::builder()
        .redirect(oauth2::reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30))
        .build()?;
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
