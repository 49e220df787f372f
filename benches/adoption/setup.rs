//! What each program is told, and what it shows: the same for all, and not counted in their lines.
#![allow(dead_code, reason = "no program uses all of it")]

use std::io::Read;
use std::{env, process};

pub const CLIENT_ID: &str = "5fe01282e44241328a84e7c5cc169165";
pub const SCOPES: [&str; 2] = ["user-read-private", "user-read-email"];

/// Spotify, or a fake one. Ends with a slash.
pub fn base_url() -> String {
    env::var("BASE_URL").unwrap_or_else(|_| "https://accounts.spotify.com/".into())
}

pub fn authorize_url() -> String {
    base_url() + "authorize"
}

pub fn token_url() -> String {
    base_url() + "api/token"
}

pub fn port() -> u16 {
    let port = env::var("PORT").ok();
    port.and_then(|port| port.parse().ok()).unwrap_or(8888)
}

pub fn redirect_uri() -> String {
    format!("http://127.0.0.1:{}/callback", port())
}

/// Shows the person where to go. Where the start is measured, that is all.
pub fn show(url: &str) {
    println!("Open {url}");
    if env::var_os("ONLY_URL").is_some() {
        process::exit(0);
    }
}

pub fn came(token: &str) {
    println!("a token of {} characters", token.len());
}

/// Sends a form, where the program has no HTTP client: whoever runs it does so by hand, and brings the
/// status and the body.
pub fn post(url: &str, form: &str) -> (u16, Vec<u8>) {
    println!("POST {url} {form}");
    let answer = line();
    let (status, body) = answer.split_once(' ').expect("a status and a body");
    (status.parse().expect("a status"), body.into())
}

/// The query of the address that the browser ended up at.
pub fn pasted_query() -> String {
    let address = line();
    let (_, query) = address.split_once('?').expect("a query");
    query.to_owned()
}

fn line() -> String {
    let bytes = std::io::stdin().lock().bytes().map_while(Result::ok);
    let line = bytes.take_while(|byte| *byte != b'\n').collect();
    String::from_utf8(line).expect("text")
}
