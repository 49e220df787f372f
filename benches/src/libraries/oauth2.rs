//! `oauth2` 5, with a closure for its HTTP client. It leaves the callback to the program, which is as careful
//! here as on the same crates. What reads an answer can't be called alone: an exchange is a request and its answer.

use std::cell::RefCell;

use ::oauth2::basic::{BasicClient, BasicTokenResponse};
use ::oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, CsrfToken, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken,
    Scope, TokenResponse, TokenUrl, http,
};

use super::same_crates::callback;
use super::{Library, Stopped};
use crate::fixture;
use crate::measure::Meter;

pub struct Oauth2 {
    client: BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>,
}

pub struct Inputs {
    verifier: PkceCodeVerifier,
    state: CsrfToken,
    target: String,
    answers: [HttpResponse; 2],
}

impl Library for Oauth2 {
    const NAME: &'static str = "oauth2";
    type Inputs = Inputs;

    fn new() -> Self {
        let client = BasicClient::new(ClientId::new(fixture::CLIENT_ID.into()))
            .set_auth_type(AuthType::RequestBody)
            .set_auth_uri(AuthUrl::new(fixture::AUTHORIZE.into()).expect("a URL"))
            .set_token_uri(TokenUrl::new(fixture::TOKEN.into()).expect("a URL"))
            .set_redirect_uri(RedirectUrl::new(fixture::REDIRECT_URI.into()).expect("a URL"));
        Self { client }
    }

    fn inputs(&self) -> Inputs {
        Inputs {
            verifier: PkceCodeVerifier::new(fixture::VERIFIER.into()),
            state: CsrfToken::new(fixture::STATE.into()),
            target: fixture::target(fixture::STATE),
            answers: [answer(), answer()],
        }
    }

    fn flow(&self, inputs: Inputs, meter: &mut impl Meter) {
        let Inputs {
            verifier,
            state,
            target,
            answers: [first, second],
        } = inputs;
        let (url, state) = meter.step("authorize", || {
            let (url, state) = self
                .client
                .authorize_url(|| state)
                .add_scopes(fixture::SCOPES.map(|scope| Scope::new(scope.into())))
                .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
                .url();
            (String::from(url), state)
        });
        meter.sees("authorize", &url);
        let code = meter.step("callback", || {
            AuthorizationCode::new(callback(&target, state.secret()))
        });
        let ready = RefCell::new(Some(first));
        let http = |_: HttpRequest| ready.take().ok_or(Stopped);
        let tokens = meter.step("token exchange", || {
            self.exchange_code(code, verifier, &http).expect("tokens")
        });
        ready.replace(Some(second));
        let tokens = meter.step("refresh exchange", || {
            let token = tokens.refresh_token().expect("a refresh token");
            self.refresh(token, &http).expect("tokens")
        });
        assert!(tokens.refresh_token().is_some());
    }

    fn apart(&self, inputs: Inputs, meter: &mut impl Meter) {
        let _drawn = meter.step("randomness", || {
            // A verifier is drawn as a state of 32 bytes is, and is to be had with its challenge only.
            (CsrfToken::new_random(), CsrfToken::new_random_len(32))
        });
        let code = AuthorizationCode::new(fixture::code());
        let seen = RefCell::new(None);
        let http = |request: HttpRequest| {
            seen.replace(Some(request));
            Err(Stopped)
        };
        let result = meter.step("token request", || {
            self.exchange_code(code, inputs.verifier, &http)
        });
        assert!(result.is_err());
        meter.sees("token request", &text(seen.take()));
        let tokens: BasicTokenResponse =
            serde_json::from_slice(inputs.answers[0].body()).expect("tokens");
        let token = tokens.refresh_token().expect("a refresh token");
        let result = meter.step("refresh request", || self.refresh(token, &http));
        assert!(result.is_err());
        meter.sees("refresh request", &text(seen.take()));
    }
}

type Answer = Result<
    BasicTokenResponse,
    ::oauth2::RequestTokenError<Stopped, ::oauth2::basic::BasicErrorResponse>,
>;

impl Oauth2 {
    fn exchange_code(
        &self,
        code: AuthorizationCode,
        verifier: PkceCodeVerifier,
        http: &impl Fn(HttpRequest) -> Result<HttpResponse, Stopped>,
    ) -> Answer {
        let request = self.client.exchange_code(code);
        request.set_pkce_verifier(verifier).request(http)
    }

    fn refresh(
        &self,
        token: &RefreshToken,
        http: &impl Fn(HttpRequest) -> Result<HttpResponse, Stopped>,
    ) -> Answer {
        self.client.exchange_refresh_token(token).request(http)
    }
}

fn answer() -> HttpResponse {
    http::Response::builder()
        .status(200)
        .header("content-type", "application/json")
        .body(fixture::tokens().into_bytes())
        .expect("an answer")
}

fn text(request: Option<HttpRequest>) -> String {
    let body = request.expect("a request").into_body();
    String::from_utf8(body).expect("UTF-8")
}
