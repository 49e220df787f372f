//! An app that speaks for nobody: a token of its own, by its id and secret.
//!
//! ```text
//! cargo run --example client_credentials
//! SPOTIFY_CLIENT_ID=… SPOTIFY_CLIENT_SECRET=… cargo run --example client_credentials
//! ```

use std::error::Error;

use authflow::session::{ApiRequest, ClientCredentials};
use authflow::spotify;
use authflow::testing::{Endpoint, FakeProvider};

fn main() -> Result<(), Box<dyn Error>> {
    let of = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let (Some(id), Some(secret)) = (of("SPOTIFY_CLIENT_ID"), of("SPOTIFY_CLIENT_SECRET")) {
        let session = ClientCredentials::new(spotify::client(id).secret(secret)).session()?;
        let url = "https://api.spotify.com/v1/artists/0TnOYISbd1XYRBk9myaseg";
        let artist: serde_json::Value = session.get(url)?.read_json()?;
        println!("{}", artist["name"]);
        return Ok(());
    }
    println!("There is no SPOTIFY_CLIENT_SECRET: this is a fake provider, on this machine.");
    let provider = FakeProvider::builder().client_secret("a secret").start()?;
    let session = ClientCredentials::new(provider.client()).session()?;
    for _ in 0..3 {
        let token = session.access_token()?;
        println!(
            "the app's token: {:?}, scopes: {:?}",
            token.secret(),
            token.scopes()
        );
    }
    println!(
        "requests for three uses: {}",
        provider.requests(Endpoint::Token).len()
    );
    let call = ApiRequest::post(provider.echo_url()).json(&["a thing"]);
    let echo: serde_json::Value = session.call(&call)?.read_json()?;
    println!("a call with it: {echo}");
    session.refresh()?;
    println!(
        "and one more for a new token: {}",
        provider.requests(Endpoint::Token).len()
    );
    Ok(())
}
