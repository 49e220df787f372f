//! The example `login`, as somebody runs it who has just cloned the project: no client id, no browser,
//! no display.
#![cfg(all(
    feature = "ureq",
    feature = "loopback",
    feature = "browser",
    feature = "os-rng"
))]

use std::process::{Command, Output, Stdio};

#[path = "support/example.rs"]
mod example;

fn login(extra: &[(&str, &str)]) -> Output {
    let mut command = Command::new(example::example("login"));
    for name in [
        "DISPLAY",
        "WAYLAND_DISPLAY",
        "BROWSER",
        "WSL_DISTRO_NAME",
        "SPOTIFY_CLIENT_ID",
    ] {
        command.env_remove(name);
    }
    command.envs(extra.iter().copied()).stdin(Stdio::null());
    command.output().expect("login starts")
}

#[test]
fn a_login_happens_without_a_browser_a_display_or_an_account() {
    let output = login(&[]);
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}{err}");
    assert!(
        err.contains("/authorize?"),
        "the URL is always printed: {err}"
    );
    assert!(out.contains("plays the person"), "it says so: {out}");
    assert!(out.contains("state:  Authorized"), "{out}");
    assert!(
        out.contains("scopes: user-read-email user-read-private"),
        "{out}"
    );
    assert!(out.contains("token:  [redacted]"), "{out}");
    assert!(out.contains(r#""id":"alice""#), "{out}");
}

#[test]
fn a_client_id_that_cannot_be_one_is_refused_before_a_browser_opens() {
    let output = login(&[("SPOTIFY_CLIENT_ID", "two\nlines")]);
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(err.starts_with("error: client id:"), "{err}");
    assert!(!err.contains("/authorize?"), "{err}");
}
