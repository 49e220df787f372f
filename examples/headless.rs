//! No browser on this machine: the person opens the address on another one, which can't get back here,
//! and pastes what its address bar says.
//!
//! ```text
//! cargo run --example headless
//! SPOTIFY_CLIENT_ID=… cargo run --example headless
//! cargo run --example headless -- --cancel
//! ```

mod common;

use std::error::Error;
use std::io::{self, BufReader, Read};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use authflow::Login;
use authflow::testing::{Answer, Person};
use common::World;

fn main() -> Result<(), Box<dyn Error>> {
    let world = World::new()?;
    let login = Login::new(world.client.clone()).without_browser();
    if std::env::args().any(|word| word == "--cancel") {
        let control = login.control();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(200));
            control.cancel();
        });
        return match login.run() {
            Ok(_) => Err("it was not cancelled".into()),
            Err(error) => {
                println!("As it should be: {error}");
                Ok(())
            }
        };
    }
    if world.fake.is_none() {
        println!(
            "If the browser can't reach 127.0.0.1, paste the address it shows, and press Enter."
        );
        let session = login.paste_from(BufReader::new(io::stdin())).run()?;
        println!("Logged in: {:?}", session.state());
        return Ok(());
    }

    // The person, played: on another machine, and not at their best.
    let (types, typed) = channel();
    let login = login.on_prompt(move |url| {
        println!("(The person opens the address elsewhere, allows, and finds an error page.)");
        let Ok(landed) = Person::redirect_for(url.as_str(), Answer::Allow) else {
            return;
        };
        let code = landed.split("code=").nth(1).unwrap_or_default();
        let code = code.split('&').next().unwrap_or_default();
        println!("(First they paste just the code, then the whole address.)");
        let _ = types.send(format!("{code}\n{landed}\n"));
    });
    let keyboard = Keyboard {
        typed,
        rest: Vec::new(),
    };
    let session = login.paste_from(BufReader::new(keyboard)).run()?;
    println!("Logged in: {:?}", session.state());
    Ok(())
}

/// Standard input, if the person were real.
struct Keyboard {
    typed: Receiver<String>,
    rest: Vec<u8>,
}

impl Read for Keyboard {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            self.rest = self.typed.recv().unwrap_or_default().into_bytes();
        }
        let count = self.rest.len().min(into.len());
        into[..count].copy_from_slice(&self.rest[..count]);
        self.rest.drain(..count);
        Ok(count)
    }
}
