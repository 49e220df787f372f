#[path = "../../setup.rs"]
mod setup;

use std::error::Error;

use rspotify::clients::{BaseClient, OAuthClient};
use rspotify::{AuthCodePkceSpotify, Config, Credentials, OAuth};

fn main() -> Result<(), Box<dyn Error>> {
    let oauth = OAuth {
        redirect_uri: setup::redirect_uri(),
        scopes: setup::SCOPES.map(str::to_owned).into(),
        ..OAuth::default()
    };
    let config = Config {
        auth_base_url: setup::base_url(),
        ..Config::default()
    };
    let creds = Credentials::new_pkce(setup::CLIENT_ID);
    let mut spotify = AuthCodePkceSpotify::with_config(creds, oauth, config);
    let url = spotify.get_authorize_url(None)?;
    setup::show(&url);
    spotify.prompt_for_token(&url)?;
    came(&spotify);
    spotify.refresh_token()?;
    came(&spotify);
    Ok(())
}

fn came(spotify: &AuthCodePkceSpotify) {
    let token = spotify.get_token();
    let token = token.lock().expect("no panic before");
    setup::came(&token.as_ref().expect("a token").access_token);
}
