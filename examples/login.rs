//! Logs a person in, and asks the provider who they are.
//!
//! ```text
//! cargo run --example login
//! SPOTIFY_CLIENT_ID=… cargo run --example login
//! ```
//!
//! Without a client id it brings its own provider along: a fake one, on this machine. If there is no
//! browser either, it plays the person itself, and says so.

use std::error::Error;
use std::process::ExitCode;
use std::thread;

use authflow::testing::{FakeProvider, Person};
use authflow::{AuthorizationUrl, ClientBuilder, Login, Session, browser, spotify};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let client_id = std::env::var("SPOTIFY_CLIENT_ID").unwrap_or_default();
    if !client_id.is_empty() {
        let session = log_in(spotify::client(client_id)).run()?;
        return show(&session, "https://api.spotify.com/v1/me");
    }
    let provider = FakeProvider::start()?;
    println!("SPOTIFY_CLIENT_ID is not set: this login is to a fake provider at");
    println!(
        "{}, which lives as long as this program.\n",
        provider.base_url()
    );
    let session = log_in(provider.client()).opener(open_or_play).run()?;
    show(&session, &provider.me_url())
}

fn log_in(client: ClientBuilder) -> Login {
    Login::new(client).scopes([
        spotify::Scope::UserReadEmail,
        spotify::Scope::UserReadPrivate,
    ])
}

/// The part of the person, where there is no browser to show the consent page in.
fn open_or_play(url: &AuthorizationUrl) {
    match browser::open(url) {
        Ok(()) => println!("A browser has been opened: click Allow in it.\n"),
        Err(_) => {
            println!(
                "(There is no browser here, so this program plays the person: it clicks Allow.)\n"
            );
            let url = url.as_str().to_owned();
            // The person waits for a page that comes once the login has ended: a thread of their own.
            thread::spawn(move || match Person::allow(&url) {
                Ok(page) => println!("(The person sees: {})", title(page.body())),
                Err(error) => println!("(The person got nowhere: {error})"),
            });
        }
    }
}

fn title(html: &str) -> &str {
    let title = html
        .split("<title>")
        .nth(1)
        .and_then(|rest| rest.split("</title>").next());
    title.unwrap_or("a page without a title")
}

fn show(session: &Session, me: &str) -> Result<(), Box<dyn Error>> {
    let token = session.access_token()?;
    println!("state:  {:?}", session.state());
    println!("scopes: {}", token.scopes());
    println!("token:  {:?}", token.secret());
    let answer = session.get(me)?;
    let person: serde_json::Value = answer.read_json()?;
    println!("{me} says {person}");
    Ok(())
}
