//! `rspotify` 0.16 with its feature `cli`.

use ::rspotify::AuthCodePkceSpotify;
use ::rspotify::clients::OAuthClient as _;

use super::floors::text;
use super::{Login, free_port};
use crate::exchange::rspotify::client;
use crate::fixture;

pub struct Rspotify(String);

impl Login for Rspotify {
    type Held = AuthCodePkceSpotify;

    fn new(token_url: &str) -> Self {
        Self(token_url.to_owned())
    }

    fn login(&self) -> Result<Self::Held, String> {
        let redirect_uri = format!("http://127.0.0.1:{}/callback", free_port());
        let mut client = client(&self.0, redirect_uri, fixture::STATE.to_owned());
        let url = client.get_authorize_url(None).map_err(text)?;
        // It shows the URL itself.
        client.prompt_for_token(&url).map_err(text)?;
        Ok(client)
    }
}
