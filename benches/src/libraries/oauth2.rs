//! `oauth2` 5, with a closure for its HTTP client.

use std::cell::RefCell;

use ::oauth2::basic::BasicClient;
use ::oauth2::{
    AuthUrl, AuthorizationCode, ClientId, CsrfToken, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, Scope,
    TokenResponse, TokenUrl,
};
use url::Url;

use super::Library;
use crate::fixture;
use crate::measure::Meter;

pub struct Oauth2 {
    client: BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>,
}

impl Library for Oauth2 {
    const NAME: &'static str = "oauth2";
    fn new() -> Self {
        let client = BasicClient::new(ClientId::new(fixture::CLIENT_ID.into()))
            .set_auth_type(::oauth2::AuthType::RequestBody)
            .set_auth_uri(AuthUrl::new(fixture::AUTHORIZE.into()).unwrap())
            .set_token_uri(TokenUrl::new(fixture::TOKEN.into()).unwrap())
            .set_redirect_uri(RedirectUrl::new(fixture::REDIRECT_URI.into()).unwrap());
        Self { client }
    }
    fn flow(&self, meter: &mut impl Meter) {
        let verifier = PkceCodeVerifier::new(fixture::VERIFIER.into());
        let csrf = CsrfToken::new(fixture::STATE.into());
        let (url, state) = meter.step("authorize", || {
            let (url, state) = self
                .client
                .authorize_url(|| csrf)
                .add_scopes(fixture::SCOPES.iter().map(|s| Scope::new((*s).into())))
                .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
                .url();
            (String::from(url), state)
        });
        assert!(url.contains(fixture::CHALLENGE));
        let target = format!(
            "/callback?code={}&state={}",
            fixture::code(),
            fixture::STATE
        );
        let code = meter.step("callback", || {
            let url = Url::parse(&format!("http://127.0.0.1{target}")).unwrap();
            let code = url
                .query_pairs()
                .find(|(k, _)| k == "code")
                .map(|(_, v)| AuthorizationCode::new(v.into_owned()))
                .unwrap();
            let got = url
                .query_pairs()
                .find(|(k, _)| k == "state")
                .map(|(_, v)| CsrfToken::new(v.into_owned()))
                .unwrap();
            assert_eq!(got.secret(), state.secret());
            code
        });
        let ready = RefCell::new(None);
        let http =
            |_: HttpRequest| -> Result<HttpResponse, std::io::Error> { Ok(ready.take().unwrap()) };
        let answer = || {
            ::oauth2::http::Response::builder()
                .status(200)
                .header("content-type", "application/json")
                .body(fixture::tokens().into_bytes())
                .unwrap()
        };
        ready.replace(Some(answer()));
        let tokens = meter.step("token response", || {
            self.client
                .exchange_code(code)
                .set_pkce_verifier(verifier)
                .request(&http)
                .unwrap()
        });
        ready.replace(Some(answer()));
        let refresh = RefreshToken::new(tokens.refresh_token().unwrap().secret().clone());
        let tokens = meter.step("refresh response", || {
            self.client
                .exchange_refresh_token(&refresh)
                .request(&http)
                .unwrap()
        });
        assert!(tokens.refresh_token().is_some());
    }
}
