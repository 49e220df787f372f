//! A login whose browser comes back over a socket. `browser` plays it, in a process of its own.

use std::io::BufRead as _;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

mod authflow;
mod floors;
#[cfg(feature = "librespot-oauth")]
mod librespot_oauth;
#[cfg(feature = "oauth2")]
mod oauth2;
#[cfg(feature = "rspotify")]
mod rspotify;
#[cfg(feature = "yup-oauth2")]
mod yup_oauth2;

/// A program that logs in.
pub trait Login {
    /// The token, and what lives as long as the program's variables do.
    type Held;

    /// What a program has from its start on.
    fn new(token_url: &str) -> Self;

    /// From nothing to the token; [`show`]s the authorization URL before it waits.
    fn login(&self) -> Result<Self::Held, String>;
}

/// The program `redirect ROW TOKEN_URL`.
pub fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [row, url] = arguments.as_slice() else {
        panic!("redirect ROW TOKEN_URL");
    };
    match row.as_str() {
        "std listener + ureq" => run::<floors::Std>(url),
        "bare tiny_http" => run::<floors::TinyHttp<true>>(url),
        "bare tiny_http, page last" => run::<floors::TinyHttp<false>>(url),
        "authflow" => run::<authflow::Run>(url),
        "authflow, page first" => run::<authflow::ByHand>(url),
        #[cfg(feature = "oauth2")]
        "oauth2" => run::<oauth2::Oauth2>(url),
        #[cfg(feature = "rspotify")]
        "rspotify" => run::<rspotify::Rspotify>(url),
        #[cfg(feature = "yup-oauth2")]
        "yup-oauth2" => run::<yup_oauth2::Installed>(url),
        #[cfg(feature = "librespot-oauth")]
        "librespot-oauth" => run::<librespot_oauth::Librespot>(url),
        other => panic!("{other} is not built in"),
    }
}

/// For each line that comes in, logs in. Says when it had the token, by the machine's clock, and whether the
/// port could be bound at once after that.
fn run<L: Login>(url: &str) {
    let program = L::new(url);
    for _ in std::io::stdin().lock().lines() {
        match program.login() {
            Ok(held) => {
                let now = now();
                drop(held);
                let port = PORT.load(Ordering::Relaxed);
                let rebound = TcpListener::bind(("127.0.0.1", port)).is_ok();
                println!("token {now} {}", u8::from(rebound));
            }
            Err(error) => println!("failed: {}", error.replace('\n', " ")),
        }
    }
}

/// The port of the login that goes on.
static PORT: AtomicU16 = AtomicU16::new(0);

/// Shows the URL to the person, and notes the port in it.
pub fn show(url: &str) {
    let port = port(url).expect("a redirect URI with a port");
    PORT.store(port, Ordering::Relaxed);
    println!("Browse to: {url}");
}

/// For libraries that want to be told a port: a free one, of those that the system gives to no connection.
#[must_use]
pub fn free_port() -> u16 {
    let last = PORT.load(Ordering::Relaxed);
    // Programs beside this one begin elsewhere.
    let first = match last {
        0 => 16_000 + (std::process::id() % 15_000) as u16,
        last => last + 1,
    };
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let port = (first..32_000).find(is_free).expect("a free port");
    PORT.store(port, Ordering::Relaxed);
    port
}

/// The redirect URI of an authorization URL.
#[must_use]
pub fn redirect_uri(url: &str) -> Option<String> {
    let uri = url.split_once("redirect_uri=")?.1.split('&').next()?;
    Some(uri.replace("%3A", ":").replace("%2F", "/"))
}

#[must_use]
pub fn port(url: &str) -> Option<u16> {
    let uri = redirect_uri(url)?;
    let authority = uri.split('/').nth(2)?;
    authority.rsplit(':').next()?.parse().ok()
}

/// Nanoseconds by a clock that all processes have.
#[must_use]
pub fn now() -> u128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("a time after 1970").as_nanos()
}
