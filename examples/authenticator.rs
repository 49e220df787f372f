//! Many threads, one session: whoever needs a token gets one that is good, and of all that find it at
//! its end one asks for the next.
//!
//! ```text
//! cargo run --example authenticator
//! ```

mod common;

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use authflow::Login;
use authflow::testing::{Endpoint, FakeProvider, Person};
use common::play;

const THREADS: usize = 32;

fn main() -> Result<(), Box<dyn Error>> {
    let provider = FakeProvider::start()?;
    println!("This is a fake provider, on this machine.");
    let login = Login::new(provider.client());
    let session = login.opener(|url| play(url, Person::allow)).run()?;
    session.on_change(|token| println!("a new token: number {}", token.serial().as_u64()));

    let calls = AtomicUsize::new(0);
    let call = || -> Result<(), authflow::session::Error> {
        let me: serde_json::Value = session.get(&provider.me_url())?.read_json()?;
        assert_eq!(me["id"], "alice");
        calls.fetch_add(1, Ordering::Relaxed);
        Ok(())
    };
    let all_at_once = || {
        thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(call)).collect();
            threads
                .into_iter()
                .try_for_each(|thread| match thread.join() {
                    Ok(result) => result.map_err(Box::<dyn Error>::from),
                    Err(_) => Err("a thread panicked".into()),
                })
        })
    };
    let refreshes = || provider.requests(Endpoint::Token).len() - 1;

    all_at_once()?;
    println!(
        "{} calls, {} refreshes",
        calls.load(Ordering::Relaxed),
        refreshes()
    );
    // The provider ends the token before its time: the API says 401 to all of them.
    provider.expire_access_tokens();
    all_at_once()?;
    println!(
        "{} calls, {} refresh after a 401",
        calls.load(Ordering::Relaxed),
        refreshes()
    );
    // And one that is about to end by the clock: its life is four seconds, half of which is the margin.
    provider.set_expires_in(Duration::from_secs(4));
    session.refresh()?;
    provider.set_expires_in(Duration::from_secs(3600));
    thread::sleep(Duration::from_millis(2100));
    all_at_once()?;
    println!(
        "{} calls, {} refreshes in all",
        calls.load(Ordering::Relaxed),
        refreshes()
    );
    Ok(())
}
