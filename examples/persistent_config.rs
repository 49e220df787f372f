//! A login that is still there tomorrow.
//!
//! ```text
//! cargo run --example persistent_config
//! SPOTIFY_CLIENT_ID=… cargo run --example persistent_config
//! SPOTIFY_CLIENT_ID=… cargo run --example persistent_config -- --account work
//! SPOTIFY_CLIENT_ID=… cargo run --example persistent_config -- --log-out
//! ```
//!
//! With a client id the login is kept where programs keep their state. With the fake provider, which
//! is gone at the end, it is kept in a directory that is gone as well.

mod common;

use std::error::Error;

use authflow::session::{FileStore, Revocation};
use authflow::{Login, Session};
use common::{World, open_or_play};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let world = World::new()?;
    let demo = world.fake.as_ref().map(|_| Directory::new()).transpose()?;
    let mut store = match &demo {
        Some(directory) => FileStore::at(directory.0.join("login.json")),
        None => FileStore::for_app("authflow-example")?,
    };
    if let Some(at) = arguments.iter().position(|word| word == "--account") {
        store = store.account(arguments.get(at + 1).ok_or("--account what?")?);
    }
    println!("The login is kept in {}.", store.path().display());
    let login = || Login::new(world.client.clone()).store(store.clone());

    if arguments.iter().any(|word| word == "--log-out") {
        return match login().resume()? {
            Some(session) => log_out(&session),
            None => {
                println!("Nobody is logged in.");
                Ok(())
            }
        };
    }

    let session = login().opener(open_or_play).run()?;
    println!("Logged in: {}", name(&session, &world)?);
    if let Some(due) = session.sign_in_due() {
        println!("The person has to sign in again at {} ms.", due.as_millis());
    }
    session.on_change(|token| {
        println!(
            "New tokens, saved already. The new one: {:?}",
            token.secret()
        )
    });
    session.refresh()?;

    // Tomorrow: nothing is left of the program but the file.
    drop(session);
    let session = login().opener(|_| println!("A browser opens!")).run()?;
    println!("Tomorrow, without a browser: {}", name(&session, &world)?);
    if demo.is_some() {
        log_out(&session)?;
    }
    Ok(())
}

fn name(session: &Session, world: &World) -> Result<String, Box<dyn Error>> {
    let me: serde_json::Value = session.get(&world.me())?.read_json()?;
    Ok(me["display_name"].as_str().unwrap_or("somebody").to_owned())
}

fn log_out(session: &Session) -> Result<(), Box<dyn Error>> {
    match session.log_out()? {
        Revocation::Done => println!("Logged out, and the tokens are revoked."),
        Revocation::NotOffered => println!("Logged out. This provider revokes no tokens."),
        Revocation::Failed(failure) => println!("Logged out here, but: {failure}"),
        _ => println!("Logged out."),
    }
    Ok(())
}

/// A directory that is gone at the end.
struct Directory(std::path::PathBuf);

impl Directory {
    fn new() -> std::io::Result<Self> {
        let name = format!("authflow-persistent-config-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
