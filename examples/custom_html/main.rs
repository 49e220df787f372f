//! Pages of the program's own, for a login that worked, was denied, or failed.
//!
//! ```text
//! cargo run --example custom_html
//! cargo run --example custom_html -- --deny
//! ```
//!
//! Nothing of the request is ever in a page, and a page may load nothing from elsewhere: what is in the
//! file is what the person sees.

#[path = "../common/mod.rs"]
mod common;

use std::error::Error;

use authflow::Login;
use authflow::loopback::Pages;
use authflow::testing::Person;
use common::{World, open_or_play, play};

fn main() -> Result<(), Box<dyn Error>> {
    let pages = Pages::new()
        .success(include_str!("success.html"))
        .denied(include_str!("denied.html"))
        .failed(include_str!("failed.html"));
    let world = World::new()?;
    let login = Login::new(world.client.clone()).pages(pages);
    let denies = std::env::args().any(|word| word == "--deny") && world.fake.is_some();
    let login = match denies {
        true => login.opener(|url| play(url, Person::deny)),
        false => login.opener(open_or_play),
    };
    match login.run() {
        Ok(session) => println!("Logged in: {:?}", session.state()),
        Err(error) => println!("Not logged in: {error}"),
    }
    // The page is on its way to the person.
    std::thread::sleep(std::time::Duration::from_millis(300));
    Ok(())
}
