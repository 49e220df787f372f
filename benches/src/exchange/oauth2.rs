//! `oauth2` 5, by its own adaptor for ureq 2, and by a closure over ureq 3.

use std::time::Duration;

use ::oauth2::basic::{BasicClient, BasicTokenResponse};
use ::oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, CsrfToken, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, PkceCodeVerifier, RedirectUrl, TokenUrl, ureq,
};

use super::Exchange;
use super::floors::{self, run};
use crate::fixture;
use crate::libraries::same_crates::callback;

type Client = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// The fixture's client, which comes back to this address.
#[must_use]
pub fn client(token_url: &str, redirect_uri: &str) -> Client {
    BasicClient::new(ClientId::new(fixture::CLIENT_ID.to_owned()))
        .set_auth_type(AuthType::RequestBody)
        .set_auth_uri(AuthUrl::new(fixture::AUTHORIZE.to_owned()).expect("a URL"))
        .set_token_uri(TokenUrl::new(token_url.to_owned()).expect("a URL"))
        .set_redirect_uri(RedirectUrl::new(redirect_uri.to_owned()).expect("a URL"))
}

/// A login whose browser has come back.
pub struct Ready {
    verifier: PkceCodeVerifier,
    state: CsrfToken,
    target: String,
}

fn ready() -> Ready {
    Ready {
        verifier: PkceCodeVerifier::new(fixture::VERIFIER.to_owned()),
        state: CsrfToken::new(fixture::STATE.to_owned()),
        target: fixture::target(fixture::STATE),
    }
}

/// oauth2 leaves the callback to the program.
#[must_use]
pub fn code(target: &str, expected: &CsrfToken) -> AuthorizationCode {
    AuthorizationCode::new(callback(target, expected.secret()))
}

/// The HTTP client that its documentation shows, with time limits or, as there, without.
pub struct ByUreq<const WITH_TIMEOUTS: bool> {
    client: Client,
    agent: ureq::Agent,
}

/// As its documentation has it, but for the time limits.
#[must_use]
pub fn agent(with_timeouts: bool) -> ureq::Agent {
    let agent = ureq::builder().redirects(0);
    let agent = match with_timeouts {
        true => agent
            .timeout_connect(Duration::from_secs(10))
            .timeout(Duration::from_secs(30)),
        false => agent,
    };
    agent.build()
}

impl<const WITH_TIMEOUTS: bool> Exchange for ByUreq<WITH_TIMEOUTS> {
    type Ready = Ready;

    fn new(token_url: &str) -> Self {
        Self {
            client: client(token_url, fixture::REDIRECT_URI),
            agent: agent(WITH_TIMEOUTS),
        }
    }

    fn prepare(&self) -> Ready {
        ready()
    }

    fn exchange(&mut self, ready: Ready) {
        let code = code(&ready.target, &ready.state);
        let request = self.client.exchange_code(code);
        let request = request.set_pkce_verifier(ready.verifier);
        let tokens: BasicTokenResponse = request.request(&self.agent).expect("tokens");
        drop(tokens);
    }
}

pub struct ByClosure {
    client: Client,
    agent: ::ureq::Agent,
}

impl Exchange for ByClosure {
    type Ready = Ready;

    fn new(token_url: &str) -> Self {
        Self {
            client: client(token_url, fixture::REDIRECT_URI),
            agent: floors::agent(true),
        }
    }

    fn prepare(&self) -> Ready {
        ready()
    }

    fn exchange(&mut self, ready: Ready) {
        let code = code(&ready.target, &ready.state);
        let request = self.client.exchange_code(code);
        let request = request.set_pkce_verifier(ready.verifier);
        let http = |request: HttpRequest| -> Result<HttpResponse, ::ureq::Error> {
            run(&self.agent, request)
        };
        let tokens: BasicTokenResponse = request.request(&http).expect("tokens");
        drop(tokens);
    }
}
