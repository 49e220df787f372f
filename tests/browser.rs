//! What the browser's launcher is handed: the URL, whatever is in it, as one argument and by no shell.
#![cfg(all(
    feature = "ureq",
    feature = "loopback",
    feature = "browser",
    feature = "os-rng",
    target_os = "linux"
))]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use authflow::{Action, AuthFlow, Client, Event, LoginSecrets, Provider, Timestamp, browser};
use support::directory::Directory;
use support::process::{again, role, said, say};

/// What a shell, a launcher's template, or Windows' `start` would make something of.
const HOSTILE: &str = "x' \"$(x)`x`;x|x&x\\%COMSPEC%^ -n --help";

/// Writes down what it was handed, one argument a line.
const TELL: &str = "printf '%s\\n' \"$@\" >told.part; /bin/mv told.part told";

/// A directory with a launcher that does this.
fn launcher(script: &str) -> Directory {
    let place = Directory::new();
    let path = place.path().join("xdg-open");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    place
}

/// The role of a program on a desktop: opens the URL of a login, and says which and how it went.
#[test]
fn opens() {
    let Some(_) = role() else { return };
    let provider = Provider::new(
        "https://as.example/authorize?own='$(x)'",
        "https://as.example/token",
    );
    let client = Client::builder(provider, HOSTILE).build().unwrap();
    let mut flow = AuthFlow::new(client);
    let redirect_uri = flow
        .client()
        .redirect_uri("http://127.0.0.1:1/callback")
        .unwrap();
    let secrets = LoginSecrets::from_entropy([7; 64]);
    let begin = Event::BeginLogin {
        secrets,
        redirect_uri,
    };
    flow.handle(begin, Timestamp::from_millis(0)).unwrap();
    while let Some(action) = flow.poll_action() {
        if let Action::OpenUrl(url) = action {
            say(format!("{} {}", url.as_str(), browser::open(&url).is_ok()));
        }
    }
}

/// What it said, if its launcher is in this directory and nothing else is anywhere.
fn opened(place: &Directory, desktop: &str) -> (String, bool) {
    let mut command = again("opens", "program");
    command.current_dir(place.path()).env("PATH", place.path());
    for name in ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "WSL_DISTRO_NAME"] {
        command.env_remove(name);
    }
    command.env("DISPLAY", desktop);
    let said = said(command);
    let (url, outcome) = said[0].rsplit_once(' ').unwrap();
    (url.to_owned(), outcome == "true")
}

fn told(place: &Directory) -> Option<String> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(10) {
        if let Ok(told) = fs::read_to_string(place.path().join("told")) {
            return Some(told);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

#[test]
fn the_launcher_gets_the_url_as_its_one_argument_and_no_shell_has_seen_it() {
    let place = launcher(TELL);
    let (url, is_open) = opened(&place, ":99");
    assert!(is_open);
    assert!(
        url.starts_with("https://as.example/authorize?own="),
        "{url}"
    );
    assert_eq!(told(&place), Some(format!("{url}\n")));
    for sign in [' ', '"', '`', '|', '\\', '^', '<', '>', '\n'] {
        assert!(!url.contains(sign), "{sign:?} in {url}");
    }
    assert!(!place.path().join("harm").exists());
}

#[test]
fn a_launcher_that_fails_is_told_of_and_one_that_goes_on_is_not_waited_for() {
    // On a busy machine it may seem to go on.
    let fails = launcher("exit 3");
    assert!((0..10).any(|_| !opened(&fails, ":99").1));
    assert!(opened(&launcher("exec /bin/sleep 3"), ":99").1);
}

#[test]
fn without_a_desktop_nothing_is_launched() {
    let place = launcher(TELL);
    assert!(!opened(&place, "").1);
    assert!(!place.path().join("told").exists());
}
