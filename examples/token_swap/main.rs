//! Token swap: a backend holds the client secret, the program talks to the backend, and everything
//! else, refreshing included, is as with any other login.
//!
//! ```text
//! cargo run --example token_swap
//! ```
//!
//! Both run in this one process, each on a port that the system picks. In earnest the backend is on a
//! server and is reached by https.

#[path = "../common/mod.rs"]
mod common;

mod backend;

use std::error::Error;
use std::sync::Arc;

use authflow::session::{MemoryStore, Store as _};
use authflow::testing::{FakeProvider, Person, Rotation};
use authflow::{Client, Login, TokenSwap};
use backend::Backend;
use common::play;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let rotation = Rotation::EveryRefresh {
        reuse_detection: true,
    };
    let provider = FakeProvider::builder()
        .client_secret("known to the backend only")
        .rotation(rotation)
        .start()?;
    println!("This is a fake provider, on this machine.");
    let backend = Backend::start(
        provider.token_endpoint(),
        provider.client_id(),
        "known to the backend only",
    )?;

    // No secret here. `with_pkce`, because this backend passes the verifier on.
    let swap = TokenSwap::new(backend.url("/swap"), backend.url("/refresh")).with_pkce();
    let client = Client::builder(provider.provider(), provider.client_id()).token_swap(swap);
    let store = Arc::new(MemoryStore::new());
    let session = Login::new(client)
        .store(store.clone())
        .opener(|url| play(url, Person::allow))
        .run()?;
    let me: serde_json::Value = session.get(&provider.me_url())?.read_json()?;
    println!("Logged in through the backend: {}", me["display_name"]);
    for _ in 0..3 {
        session.refresh()?;
    }
    println!("Three refreshes through the backend: {:?}", session.state());

    let kept = store.load()?.ok_or("nothing is kept")?.to_json();
    let is_kept = |token: &str| kept.expose().contains(token);
    let leaked = backend.refresh_tokens().iter().any(|token| is_kept(token));
    println!(
        "Does the program have the provider's refresh token? {}",
        if leaked { "yes" } else { "no" }
    );
    Ok(())
}
