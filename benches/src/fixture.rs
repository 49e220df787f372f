//! The login that every library does: lengths as Spotify has them.

use std::hint::black_box;

pub const AUTHORIZE: &str = "https://accounts.spotify.com/authorize";
pub const TOKEN: &str = "https://accounts.spotify.com/api/token";
pub const CLIENT_ID: &str = "5fe01282e44241328a84e7c5cc169165";
pub const REDIRECT_URI: &str = "http://127.0.0.1:8888/callback";
pub const SCOPES: [&str; 3] = [
    "user-read-private",
    "user-read-email",
    "playlist-read-private",
];

/// 43 characters, as every library here makes them.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
/// 22 characters, as `oauth2` makes them. authflow's own has 43.
pub const STATE: &str = "o1HOzMaTyQ5mXn7CJrxKTg";

/// What goes into one login: what is drawn, what the browser brings, what the server answers.
pub struct Inputs {
    pub verifier: &'static str,
    pub state: &'static str,
    pub target: String,
    pub answers: [String; 2],
}

impl Inputs {
    #[must_use]
    pub fn new() -> Self {
        Self {
            // No compiler shall know them beforehand.
            verifier: black_box(VERIFIER),
            state: black_box(STATE),
            target: target(STATE),
            answers: [tokens(), tokens()],
        }
    }
}

impl Default for Inputs {
    fn default() -> Self {
        Self::new()
    }
}

/// What the browser asks the listener for.
#[must_use]
pub fn target(state: &str) -> String {
    format!("/callback?code={}&state={state}", code())
}

/// 212 characters, as Spotify's.
#[must_use]
pub fn code() -> String {
    letters(212)
}

/// An answer of 482 bytes.
#[must_use]
pub fn tokens() -> String {
    let body = format!(
        r#"{{"access_token":"{}","token_type":"Bearer","expires_in":3600,"refresh_token":"{}","scope":"{}"}}"#,
        letters(207),
        letters(131),
        SCOPES.join(" "),
    );
    assert_eq!(body.len(), 482);
    body
}

fn letters(count: usize) -> String {
    let all = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    // Not in the order of the alphabet, so that no two tokens begin alike.
    (0..count)
        .map(|at| char::from(all[(at * 37 + count) % all.len()]))
        .collect()
}
