#[path = "../../callback.rs"]
mod callback;
#[path = "../../setup.rs"]
mod setup;

use std::convert::Infallible;
use std::error::Error;

use oauth2::basic::BasicClient;
use oauth2::http::Response;
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, CsrfToken, HttpRequest, HttpResponse, PkceCodeChallenge,
    RedirectUrl, RefreshToken, Scope, TokenResponse, TokenUrl,
};

fn main() -> Result<(), Box<dyn Error>> {
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
    setup::show(url.as_str());
    let code = loop {
        if let Some(code) = callback::read(&setup::pasted_query(), state.secret()) {
            break code?;
        }
    };
    let tokens = client
        .exchange_code(AuthorizationCode::new(code))
        .set_pkce_verifier(verifier)
        .request(&ask)?;
    setup::came(tokens.access_token().secret());
    let refresh_token = tokens.refresh_token().ok_or("no refresh token")?.clone();
    let tokens = client
        .exchange_refresh_token(&refresh_token)
        .request(&ask)?;
    let _kept: &RefreshToken = tokens.refresh_token().unwrap_or(&refresh_token);
    setup::came(tokens.access_token().secret());
    Ok(())
}

fn ask(request: HttpRequest) -> Result<HttpResponse, Infallible> {
    let form = String::from_utf8_lossy(request.body());
    let (status, body) = setup::post(&request.uri().to_string(), &form);
    let mut response = Response::new(body);
    *response.status_mut() = status.try_into().expect("a status");
    Ok(response)
}
