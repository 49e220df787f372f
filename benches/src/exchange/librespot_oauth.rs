//! `librespot-oauth` 0.8 on its blocking reqwest. An exchange needs a browser, so this is a refresh. Its token
//! endpoint is a constant: `sockets.py` builds this with a copy that takes it from the environment.

use ::librespot_oauth::{OAuthClient, OAuthClientBuilder};

use super::Exchange;
use crate::fixture;

/// The fixture's client, which comes back to this address.
#[must_use]
pub fn client(redirect_uri: &str) -> OAuthClient {
    let scopes = fixture::SCOPES.to_vec();
    let builder = OAuthClientBuilder::new(fixture::CLIENT_ID, redirect_uri, scopes);
    builder.build().expect("a client")
}

pub struct Refresh(OAuthClient);

impl Exchange for Refresh {
    type Ready = ();

    fn new(_: &str) -> Self {
        Self(client(fixture::REDIRECT_URI))
    }

    fn prepare(&self) {}

    fn exchange(&mut self, (): ()) {
        // As long as those that the endpoint hands out.
        let token = fixture::tokens();
        self.0.refresh_token(&token[..131]).expect("tokens");
    }
}
