//! What the examples share: a provider to log in to, and somebody to click in it.
#![allow(dead_code, reason = "each example uses a part of it")]

use std::error::Error;
use std::thread;
use std::time::Duration;

use authflow::testing::{FakeProvider, Landing, Person};
use authflow::{AuthorizationUrl, Client, ClientBuilder, browser, spotify};

/// Spotify, if there is a client id for it, or else a fake provider on this machine, which lives as
/// long as this does.
pub struct World {
    pub fake: Option<FakeProvider>,
    pub client: ClientBuilder,
}

impl World {
    pub fn new() -> Result<Self, Box<dyn Error>> {
        let of = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        if let Some(id) = of("SPOTIFY_CLIENT_ID") {
            let client = spotify::client(id);
            return Ok(Self { fake: None, client });
        }
        let fake = FakeProvider::builder().with_revocation().start()?;
        println!("SPOTIFY_CLIENT_ID is not set: this is a fake provider, on this machine.");
        // As Spotify's, its refresh tokens last for six months.
        let months = Duration::from_secs(181 * 24 * 60 * 60);
        let provider = fake.provider().refresh_token_lifetime(months);
        let client = Client::builder(provider, fake.client_id());
        Ok(Self {
            fake: Some(fake),
            client,
        })
    }

    /// Where the API says who is logged in.
    pub fn me(&self) -> String {
        let spotify = || "https://api.spotify.com/v1/me".to_owned();
        self.fake
            .as_ref()
            .map_or_else(spotify, FakeProvider::me_url)
    }
}

/// An opener: the browser, or where there is none and the provider is a fake, the part of the person.
pub fn open_or_play(url: &AuthorizationUrl) {
    let is_fake = url.as_str().starts_with("http://127.0.0.1:");
    match browser::open(url) {
        Ok(()) => println!("A browser has been opened."),
        Err(error) if !is_fake => println!("{error}: open the address above yourself."),
        Err(_) => {
            println!(
                "(There is no browser here: this program plays the person, and clicks Allow.)"
            );
            play(url, Person::allow);
        }
    }
}

/// The person waits for a page that comes once the login has ended: a thread of their own.
pub fn play(url: &AuthorizationUrl, click: fn(&str) -> std::io::Result<Landing>) {
    let url = url.as_str().to_owned();
    thread::spawn(move || match click(&url) {
        Ok(page) => println!("(The person sees: {})", title(page.body())),
        Err(error) => println!("(The person got nowhere: {error})"),
    });
}

fn title(html: &str) -> &str {
    let after = html.split("<title>").nth(1).unwrap_or_default();
    after.split("</title>").next().unwrap_or_default()
}
