//! A login of authflow's, and the typed endpoints of [rspotify](https://docs.rs/rspotify): nobody has to
//! rewrite them.
//!
//! ```text
//! cargo run -p authflow-rspotify-example
//! SPOTIFY_CLIENT_ID=… cargo run -p authflow-rspotify-example
//! ```

mod bridge;

use std::error::Error;
use std::thread;

use authflow::session::FileStore;
use authflow::testing::{Endpoint, FakeProvider, Person};
use authflow::{AuthorizationUrl, Login, spotify};
use bridge::Bridge;
use rspotify::prelude::*;

fn main() -> Result<(), Box<dyn Error>> {
    let client_id = std::env::var("SPOTIFY_CLIENT_ID").unwrap_or_default();
    if !client_id.is_empty() {
        let session = Login::new(spotify::client(client_id))
            .scopes([spotify::Scope::UserReadPrivate])
            .store(FileStore::for_app("authflow-rspotify-example")?)
            .run()?;
        let bridge = Bridge::new(session, "https://api.spotify.com/v1/");
        println!("rspotify says: {:?}", bridge.client()?.me()?.display_name);
        return Ok(());
    }

    println!("SPOTIFY_CLIENT_ID is not set: this is a fake provider, on this machine.");
    let provider = FakeProvider::start()?;
    let session = Login::new(provider.client()).opener(play).run()?;
    let bridge = Bridge::new(session.clone(), &format!("{}/v1/", provider.api_origin()));
    println!("rspotify says: {:?}", bridge.client()?.me()?.display_name);

    // The token ends before its time. rspotify says 401, the session brings another, once.
    provider.expire_access_tokens();
    let me = bridge.call(|client| client.me())?;
    println!("After a 401 and a refresh: {:?}", me.display_name);
    println!(
        "Refreshes: {}",
        provider.requests(Endpoint::Token).len() - 1
    );
    Ok(())
}

/// The part of the person.
fn play(url: &AuthorizationUrl) {
    let url = url.as_str().to_owned();
    thread::spawn(move || {
        if let Err(error) = Person::allow(&url) {
            println!("(The person got nowhere: {error})");
        }
    });
}
