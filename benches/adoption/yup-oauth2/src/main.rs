#[path = "../../setup.rs"]
mod setup;

use std::error::Error;

use yup_oauth2::{ApplicationSecret, InstalledFlowAuthenticator, InstalledFlowReturnMethod};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let secret = ApplicationSecret {
        client_id: setup::CLIENT_ID.to_owned(),
        auth_uri: setup::authorize_url(),
        token_uri: setup::token_url(),
        ..ApplicationSecret::default()
    };
    let method = InstalledFlowReturnMethod::HTTPPortRedirect(setup::port());
    let login = InstalledFlowAuthenticator::builder(secret, method)
        .build()
        .await?;
    let token = login.token(&setup::SCOPES).await?;
    setup::came(token.token().unwrap_or_default());
    let token = login.force_refreshed_token(&setup::SCOPES).await?;
    setup::came(token.token().unwrap_or_default());
    Ok(())
}
