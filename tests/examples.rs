//! The examples, as somebody runs them who has just cloned the project: no account, no browser, no
//! display. Each ends by itself, and none shows a token or leaves a file behind.
#![cfg(all(
    feature = "ureq",
    feature = "loopback",
    feature = "browser",
    feature = "os-rng"
))]

use std::path::PathBuf;
use std::process::{Command, Stdio};

#[path = "support/example.rs"]
mod example;

/// What it says on standard output.
fn run(name: &str, arguments: &[&str]) -> String {
    let home = Home::new(name);
    let mut command = Command::new(example::example(name));
    for name in [
        "DISPLAY",
        "WAYLAND_DISPLAY",
        "BROWSER",
        "WSL_DISTRO_NAME",
        "SPOTIFY_CLIENT_ID",
        "SPOTIFY_CLIENT_SECRET",
    ] {
        command.env_remove(name);
    }
    let output = command
        .args(arguments)
        .env("HOME", &home.0)
        .env("TMPDIR", &home.0)
        .env("XDG_STATE_HOME", home.0.join("state"))
        .stdin(Stdio::null())
        .output()
        .expect("the example starts");
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{name}: {out}{err}");
    // The fake provider's tokens all look like this; the URL is for the person to open.
    for line in out.lines().chain(err.lines()) {
        let word = line.split([' ', '"', '=', '&']).find(|word| is_token(word));
        let is_url = line.trim().starts_with("http://127.0.0.1:");
        assert!(is_url || word.is_none(), "{name} shows {word:?}");
    }
    let left: Vec<_> = std::fs::read_dir(&home.0).unwrap().flatten().collect();
    assert!(left.is_empty(), "{name} leaves {left:?}");
    out
}

/// A long run of letters and digits mixed.
fn is_token(word: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    word.len() >= 20
        && word.bytes().all(is_part)
        && word.bytes().any(|byte| byte.is_ascii_digit())
        && word.bytes().any(|byte| byte.is_ascii_uppercase())
}

struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Self {
        let count = std::thread::current().id();
        let name = format!("authflow-{name}-{}-{count:?}", std::process::id());
        let path = std::env::temp_dir().join(name.replace(['(', ')'], ""));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn says(out: &str, lines: &[&str]) {
    for line in lines {
        assert!(out.contains(line), "{line} is not in: {out}");
    }
}

#[test]
fn simulated_finds_the_bug_in_the_first_version_and_none_in_the_mended_one() {
    assert_eq!(run("simulated", &["mended"]), "");
    // What it finds goes to drive, so its made-up tokens are on standard output.
    let found = Command::new(example::example("simulated"))
        .output()
        .unwrap();
    assert!(found.status.success());
    let said = String::from_utf8_lossy(&found.stderr).into_owned();
    assert!(
        said.starts_with("a token was used before it was saved"),
        "{said}"
    );
    let lines = String::from_utf8(found.stdout).unwrap();
    assert_eq!(lines.lines().count(), 5);
    assert!(lines.lines().all(|line| line.starts_with('{')), "{lines}");
}

#[test]
fn persistent_config_is_in_again_tomorrow() {
    let out = run("persistent_config", &[]);
    says(
        &out,
        &[
            "Logged in: Alice",
            "New tokens, saved already. The new one: [redacted]",
            "Tomorrow, without a browser: Alice",
            "Logged out, and the tokens are revoked.",
        ],
    );
    assert!(!out.contains("A browser opens!"), "{out}");
    says(
        &run("persistent_config", &["--account", "wörk/1"]),
        &["login@w%c3%b6rk%2f1.json"],
    );
    says(
        &run("persistent_config", &["--log-out"]),
        &["Nobody is logged in."],
    );
}

#[test]
fn custom_html_shows_its_own_pages() {
    says(
        &run("custom_html", &[]),
        &[
            "(The person sees: Welcome to the jukebox)",
            "Logged in: Authorized",
        ],
    );
    let denied = run("custom_html", &["--deny"]);
    says(
        &denied,
        &[
            "(The person sees: The jukebox stays locked)",
            "the person said no",
        ],
    );
}

#[test]
fn client_credentials_asks_once_for_many_uses() {
    let out = run("client_credentials", &[]);
    says(
        &out,
        &[
            "requests for three uses: 1",
            "a new token: 2",
            r#""method":"POST""#,
        ],
    );
}

#[test]
fn authenticator_refreshes_once_for_many_threads() {
    let out = run("authenticator", &[]);
    says(
        &out,
        &[
            "32 calls, 0 refreshes",
            "64 calls, 1 refresh after a 401",
            "96 calls, 3 refreshes in all",
        ],
    );
}

#[test]
fn headless_takes_the_address_and_not_the_bare_code() {
    says(&run("headless", &[]), &["Logged in: Authorized"]);
    says(&run("headless", &["--cancel"]), &["it was cancelled"]);
}

#[test]
fn token_swap_keeps_the_refresh_token_with_the_backend() {
    let out = run("token_swap", &[]);
    says(
        &out,
        &[
            r#"Logged in through the backend: "Alice""#,
            "Three refreshes through the backend: Authorized",
            "Does the program have the provider's refresh token? no",
        ],
    );
}

#[test]
fn web_login_takes_a_callback_from_the_browser_that_began_and_once() {
    let out = run("web_login", &[]);
    says(
        &out,
        &[
            "Another browser brings the callback: 400",
            "The same browser brings it: 200 OK Hello, Alice.",
            "And once more: 400",
        ],
    );
}
