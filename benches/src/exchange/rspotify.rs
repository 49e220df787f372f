//! `rspotify` 0.16 on its ureq 2, which has a time limit of its own.

use ::rspotify::clients::OAuthClient as _;
use ::rspotify::{AuthCodePkceSpotify, Config, Credentials, OAuth};

use super::Exchange;
use crate::fixture;

/// The fixture's client, which comes back to this address.
#[must_use]
pub fn client(token_url: &str, redirect_uri: String, state: String) -> AuthCodePkceSpotify {
    let credentials = Credentials::new_pkce(fixture::CLIENT_ID);
    let oauth = OAuth {
        redirect_uri,
        state,
        scopes: fixture::SCOPES.map(str::to_owned).into(),
        proxies: None,
    };
    let base = token_url.strip_suffix("api/token").expect("Spotify's path");
    let config = Config {
        auth_base_url: base.to_owned(),
        ..Config::default()
    };
    AuthCodePkceSpotify::with_config(credentials, oauth, config)
}

pub struct Rspotify(AuthCodePkceSpotify);

impl Exchange for Rspotify {
    type Ready = String;

    fn new(token_url: &str) -> Self {
        let redirect_uri = fixture::REDIRECT_URI.to_owned();
        let mut client = client(token_url, redirect_uri, fixture::STATE.to_owned());
        client.verifier = Some(fixture::VERIFIER.to_owned());
        Self(client)
    }

    fn prepare(&self) -> String {
        format!("http://127.0.0.1:8888{}", fixture::target(fixture::STATE))
    }

    fn exchange(&mut self, url: String) {
        let code = self.0.parse_response_code(&url).expect("a code");
        self.0.request_token(&code).expect("tokens");
    }
}
