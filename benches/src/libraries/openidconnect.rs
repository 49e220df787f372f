//! `openidconnect` 4, with a nonce and the scope `openid`; no ID token comes, and none is validated. For the rest
//! as `oauth2`.

use std::cell::RefCell;

use ::openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreErrorResponseType, CoreTokenResponse,
};
use ::openidconnect::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, CsrfToken, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, IssuerUrl, JsonWebKeySet, Nonce, OAuth2TokenResponse as _,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope,
    StandardErrorResponse, TokenUrl, http,
};

use super::same_crates::callback;
use super::{Library, Stopped};
use crate::fixture;
use crate::measure::Meter;

pub struct OpenIdConnect {
    client: CoreClient<
        EndpointSet,
        EndpointNotSet,
        EndpointNotSet,
        EndpointNotSet,
        EndpointSet,
        EndpointNotSet,
    >,
}

pub struct Inputs {
    verifier: PkceCodeVerifier,
    state: CsrfToken,
    nonce: Nonce,
    target: String,
    answers: [HttpResponse; 2],
}

impl Library for OpenIdConnect {
    const NAME: &'static str = "openidconnect";
    type Inputs = Inputs;

    fn new() -> Self {
        let issuer = IssuerUrl::new("https://accounts.spotify.com".into()).expect("a URL");
        let id = ClientId::new(fixture::CLIENT_ID.into());
        let client = CoreClient::new(id, issuer, JsonWebKeySet::new(Vec::new()))
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
            nonce: Nonce::new(fixture::STATE.into()),
            target: fixture::target(fixture::STATE),
            answers: [answer(), answer()],
        }
    }

    fn flow(&self, inputs: Inputs, meter: &mut impl Meter) {
        let Inputs {
            verifier,
            state,
            nonce,
            target,
            answers: [first, second],
        } = inputs;
        let (url, state, _nonce) = meter.step("authorize", || {
            let code = CoreAuthenticationFlow::AuthorizationCode;
            let mut request = self.client.authorize_url(code, || state, || nonce);
            for scope in fixture::SCOPES {
                request = request.add_scope(Scope::new(scope.into()));
            }
            let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
            let (url, state, nonce) = request.set_pkce_challenge(challenge).url();
            (String::from(url), state, nonce)
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
            let verifier = CsrfToken::new_random_len(32);
            (CsrfToken::new_random(), verifier, Nonce::new_random())
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
        let tokens: CoreTokenResponse =
            serde_json::from_slice(inputs.answers[0].body()).expect("tokens");
        let token = tokens.refresh_token().expect("a refresh token");
        let result = meter.step("refresh request", || self.refresh(token, &http));
        assert!(result.is_err());
        meter.sees("refresh request", &text(seen.take()));
    }
}

type Answer = Result<
    CoreTokenResponse,
    RequestTokenError<Stopped, StandardErrorResponse<CoreErrorResponseType>>,
>;

impl OpenIdConnect {
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
