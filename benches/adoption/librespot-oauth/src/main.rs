#[path = "../../setup.rs"]
mod setup;

use std::error::Error;

use librespot_oauth::OAuthClientBuilder;

fn main() -> Result<(), Box<dyn Error>> {
    let redirect_uri = setup::redirect_uri();
    let client =
        OAuthClientBuilder::new(setup::CLIENT_ID, &redirect_uri, setup::SCOPES.into()).build()?;
    let token = client.get_access_token()?;
    setup::came(&token.access_token);
    let token = client.refresh_token(&token.refresh_token)?;
    setup::came(&token.access_token);
    Ok(())
}
