//! `openidconnect` 4 by a closure over ureq 3. No ID token comes, and none is validated.

use ::openidconnect::core::{CoreClient, CoreTokenResponse};
use ::openidconnect::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, CsrfToken, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, IssuerUrl, JsonWebKeySet, PkceCodeVerifier, RedirectUrl, TokenUrl,
};

use super::Exchange;
use super::floors::{self, run};
use crate::fixture;
use crate::libraries::same_crates::callback;

pub struct ByClosure {
    client: CoreClient<
        EndpointSet,
        EndpointNotSet,
        EndpointNotSet,
        EndpointNotSet,
        EndpointSet,
        EndpointNotSet,
    >,
    agent: ureq::Agent,
}

impl Exchange for ByClosure {
    type Ready = (PkceCodeVerifier, CsrfToken, String);

    fn new(token_url: &str) -> Self {
        let issuer = IssuerUrl::new("https://accounts.spotify.com".to_owned()).expect("a URL");
        let id = ClientId::new(fixture::CLIENT_ID.to_owned());
        let redirect = RedirectUrl::new(fixture::REDIRECT_URI.to_owned()).expect("a URL");
        let client = CoreClient::new(id, issuer, JsonWebKeySet::new(Vec::new()))
            .set_auth_type(AuthType::RequestBody)
            .set_auth_uri(AuthUrl::new(fixture::AUTHORIZE.to_owned()).expect("a URL"))
            .set_token_uri(TokenUrl::new(token_url.to_owned()).expect("a URL"))
            .set_redirect_uri(redirect);
        Self {
            client,
            agent: floors::agent(true),
        }
    }

    fn prepare(&self) -> Self::Ready {
        let verifier = PkceCodeVerifier::new(fixture::VERIFIER.to_owned());
        let state = CsrfToken::new(fixture::STATE.to_owned());
        (verifier, state, fixture::target(fixture::STATE))
    }

    fn exchange(&mut self, (verifier, expected, target): Self::Ready) {
        let code = callback(&target, expected.secret());
        let request = self.client.exchange_code(AuthorizationCode::new(code));
        let request = request.set_pkce_verifier(verifier);
        let http = |request: HttpRequest| -> Result<HttpResponse, ureq::Error> {
            run(&self.agent, request)
        };
        let tokens: CoreTokenResponse = request.request(&http).expect("tokens");
        drop(tokens);
    }
}
