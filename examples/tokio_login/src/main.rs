//! The machine driven by `tokio::select!`: the listener, the responses and the deadline are its three
//! branches. `login.rs` is the loop, which the guide to event loops shows, and `door.rs` the listener.
//!
//! ```text
//! cargo run -p authflow-tokio-example
//! ```
//!
//! The requests go out by the blocking driver [`authflow::http`] in `spawn_blocking`: a login makes one,
//! and a refresh one an hour. A program with an asynchronous HTTP client, hyper or reqwest, sends them
//! with that: [`authflow::HttpRequest`] says what it must keep to.

mod door;
mod login;

use std::error::Error;
use std::io;
use std::thread;

use authflow::Timestamp;
use authflow::testing::{FakeProvider, Person};

fn main() -> Result<(), Box<dyn Error>> {
    let provider = FakeProvider::start()?;
    println!("This is a fake provider, on this machine. The person clicks Allow.");
    let client = provider.client().scopes(["user-read-email"]).build()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let flow = runtime.block_on(login::login(client, play))?;

    let token = flow
        .access_token(Timestamp::now())
        .ok_or("there is no token")?;
    println!("{}, with {}", flow.state().name(), token.scopes());
    Ok(())
}

/// The person has a thread of their own, as people do.
fn play(url: &str) {
    let url = url.to_owned();
    thread::spawn(move || -> io::Result<()> {
        let page = Person::allow(&url)?;
        println!("The person's page: {}", page.status());
        Ok(())
    });
}
