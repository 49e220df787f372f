//! `librespot-oauth` 0.8 with its listener; see `exchange::librespot_oauth`.

use ::librespot_oauth::{OAuthClient, OAuthToken};

use super::floors::text;
use super::{Login, free_port};
use crate::exchange::librespot_oauth::client;

pub struct Librespot;

impl Login for Librespot {
    type Held = (OAuthClient, OAuthToken);

    fn new(_: &str) -> Self {
        Self
    }

    fn login(&self) -> Result<Self::Held, String> {
        // It shows the URL itself.
        let client = client(&format!("http://127.0.0.1:{}/callback", free_port()));
        let token = client.get_access_token().map_err(text)?;
        Ok((client, token))
    }
}
