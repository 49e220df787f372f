//! `rspotify`: the verifier is in the client, so each login has a client of its own. It draws state and
//! verifier itself.

use ::rspotify::{AuthCodePkceSpotify, Credentials, OAuth};

use super::Logins;
use crate::fixture;

pub struct Rspotify {
    scopes: Vec<String>,
}

impl Rspotify {
    #[must_use]
    pub fn client(&self) -> AuthCodePkceSpotify {
        let oauth = OAuth {
            redirect_uri: fixture::REDIRECT_URI.to_owned(),
            scopes: self.scopes.iter().cloned().collect(),
            ..OAuth::default()
        };
        AuthCodePkceSpotify::new(Credentials::new_pkce(fixture::CLIENT_ID), oauth)
    }
}

impl Logins for Rspotify {
    const NAME: &'static str = "rspotify";
    type Key = String;
    type Login = AuthCodePkceSpotify;

    fn new(scopes: &[String]) -> Self {
        Self {
            scopes: scopes.to_vec(),
        }
    }

    fn begin(&self, _: [u8; 64]) -> (String, AuthCodePkceSpotify) {
        let mut client = self.client();
        let url = client.get_authorize_url(None).expect("a URL");
        assert!(url.len() > fixture::AUTHORIZE.len());
        (client.oauth.state.clone(), client)
    }
}
