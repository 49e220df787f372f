//! `oauth2` 5: the state as a `String`, and the verifier. A closure is its HTTP client.

use std::cell::RefCell;
use std::collections::HashMap;

use ::oauth2::basic::{BasicClient, BasicTokenResponse};
use ::oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, CsrfToken, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken,
    Scope, TokenResponse, TokenUrl,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;

use super::{Logins, Sessions};
use crate::fixture;

pub type Client =
    BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

pub struct Oauth2 {
    pub client: Client,
    scopes: Vec<String>,
}

pub struct Tokens {
    pub answer: BasicTokenResponse,
    /// An answer without one does not end the old one.
    refresh_token: RefreshToken,
}

impl Logins for Oauth2 {
    const NAME: &'static str = "oauth2";
    type Key = String;
    type Login = PkceCodeVerifier;

    fn new(scopes: &[String]) -> Self {
        let client = BasicClient::new(ClientId::new(fixture::CLIENT_ID.into()))
            .set_auth_type(AuthType::RequestBody)
            .set_auth_uri(AuthUrl::new(fixture::AUTHORIZE.into()).expect("a URL"))
            .set_token_uri(TokenUrl::new(fixture::TOKEN.into()).expect("a URL"))
            .set_redirect_uri(RedirectUrl::new(fixture::REDIRECT_URI.into()).expect("a URL"));
        Self {
            client,
            scopes: scopes.to_vec(),
        }
    }

    fn begin(&self, entropy: [u8; 64]) -> (String, PkceCodeVerifier) {
        let state = CsrfToken::new(URL_SAFE_NO_PAD.encode(&entropy[..16]));
        let verifier = PkceCodeVerifier::new(URL_SAFE_NO_PAD.encode(&entropy[32..]));
        let request = self.client.authorize_url(|| state);
        let (url, state) = request
            .add_scopes(self.scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .url();
        assert!(url.as_str().len() > fixture::AUTHORIZE.len());
        (state.into_secret(), verifier)
    }
}

impl Sessions for Oauth2 {
    type Session = Tokens;

    fn state(entropy: [u8; 64]) -> String {
        URL_SAFE_NO_PAD.encode(&entropy[..16])
    }

    fn finish(
        &self,
        waiting: &mut HashMap<String, PkceCodeVerifier>,
        target: String,
        answer: Vec<u8>,
    ) -> Tokens {
        let (code, state) = callback(&target);
        let verifier = waiting.remove(&state).expect("a login");
        let request = self.client.exchange_code(code);
        let request = request.set_pkce_verifier(verifier);
        let answer = RefCell::new(answer);
        let answer = request
            .request(&|_: HttpRequest| response(answer.take()))
            .expect("tokens");
        let refresh_token = answer.refresh_token().expect("a refresh token").clone();
        Tokens {
            answer,
            refresh_token,
        }
    }

    fn session(&self) -> Tokens {
        let answer = BasicTokenResponse::new(
            ::oauth2::AccessToken::new("AT".into()),
            ::oauth2::basic::BasicTokenType::Bearer,
            ::oauth2::EmptyExtraTokenFields {},
        );
        Tokens {
            answer,
            refresh_token: RefreshToken::new("RT".into()),
        }
    }

    fn refresh(&self, tokens: &mut Tokens, answer: Vec<u8>) -> bool {
        let answer = RefCell::new(answer);
        let request = self.client.exchange_refresh_token(&tokens.refresh_token);
        let result = request.request(&|_: HttpRequest| response(answer.take()));
        let Ok(answer) = result else {
            return false;
        };
        if let Some(new) = answer.refresh_token() {
            tokens.refresh_token = new.clone();
        }
        tokens.answer = answer;
        true
    }
}

/// The library leaves it to the program, which is as careful here as on the same crates.
fn callback(target: &str) -> (AuthorizationCode, String) {
    let url = Url::parse(&format!("http://127.0.0.1{target}")).expect("a target");
    let (mut code, mut state) = (None, None);
    for (name, value) in url.query_pairs() {
        match &*name {
            "code" => code = Some(value),
            "state" => state = Some(value),
            _ => {}
        }
    }
    let code = AuthorizationCode::new(code.expect("a code").into_owned());
    (code, state.expect("a state").into_owned())
}

fn response(body: Vec<u8>) -> Result<HttpResponse, std::io::Error> {
    let response = ::oauth2::http::Response::builder()
        .status(200)
        .header("content-type", "application/json")
        .body(body);
    Ok(response.expect("a response"))
}
