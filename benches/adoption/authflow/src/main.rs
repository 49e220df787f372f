#[path = "../../setup.rs"]
mod setup;

use std::error::Error;

use authflow::{Client, Login, Provider};

fn main() -> Result<(), Box<dyn Error>> {
    let provider = Provider::new(setup::authorize_url(), setup::token_url())
        .dangerously_allow_http_on_loopback();
    let session = Login::new(Client::builder(provider, setup::CLIENT_ID))
        .scopes(setup::SCOPES)
        .port(setup::port())
        .on_prompt(|url| setup::show(url.as_str()))
        .without_browser()
        .run()?;
    setup::came(session.access_token()?.secret().expose());
    setup::came(session.refresh()?.secret().expose());
    Ok(())
}
