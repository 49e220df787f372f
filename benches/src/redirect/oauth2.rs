//! `oauth2` 5 on its ureq 2, with a listener of the program's own, on tiny_http.

use ::oauth2::basic::BasicTokenResponse;
use ::oauth2::{CsrfToken, PkceCodeChallenge, Scope};
use tiny_http::Server;

use super::floors::{redirect, respond, server, text};
use super::{Login, show};
use crate::exchange::oauth2::{agent, client, code};
use crate::fixture;

pub struct Oauth2(String);

impl Login for Oauth2 {
    type Held = (Server, BasicTokenResponse);

    fn new(token_url: &str) -> Self {
        Self(token_url.to_owned())
    }

    fn login(&self) -> Result<Self::Held, String> {
        let agent = agent(false);
        let (server, port) = server()?;
        let client = client(&self.0, &format!("http://127.0.0.1:{port}/callback"));
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, state) = client
            .authorize_url(CsrfToken::new_random)
            .add_scopes(fixture::SCOPES.map(|scope| Scope::new(scope.to_owned())))
            .set_pkce_challenge(challenge)
            .url();
        show(url.as_str());
        let request = redirect(&server)?;
        let code = code(request.url(), &state);
        respond(request)?;
        let exchange = client.exchange_code(code).set_pkce_verifier(verifier);
        let tokens = exchange.request(&agent).map_err(text)?;
        Ok((server, tokens))
    }
}
