//! What the program is told, and what it says if that does not do.
#![cfg(unix)]

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use web_backend::browser::Browser;
use web_backend::redis_server::RedisServer;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_web_backend"));
    command
        .env("CLIENT_ID", "id")
        .env("CLIENT_SECRET", "secret")
        .stdin(Stdio::null());
    command
}

fn keys(redis: &RedisServer) -> Vec<String> {
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    redis::cmd("KEYS").arg("*").query(&mut connection).unwrap()
}

#[test]
fn a_password_among_the_arguments_is_refused_and_not_shown() {
    for url in [
        "redis://:hush@127.0.0.1:6379/0",
        "redis+unix:///run/redis?pass=hush",
    ] {
        let output = program().args(["serve", "--redis", url]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains("REDIS_URL") && !said.contains("hush"),
            "{said}"
        );
    }
}

#[test]
fn the_demonstration_without_a_redis_says_what_is_missing() {
    let output = program().env("PATH", "/nowhere").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("apt-get install redis-server"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

/// A flood of logins fills the one, and not the other.
#[test]
fn logins_that_wait_are_in_a_redis_of_their_own_and_one_for_each_browser() {
    let (tokens, waiting) = (RedisServer::start(), RedisServer::start());
    let mut child = program()
        .args(["serve", "--port", "0"])
        .env("REDIS_URL", tokens.url())
        .env("PENDING_REDIS_URL", waiting.url())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    let site = line.trim().rsplit(' ').next().unwrap();
    let mut browser = Browser::new();
    let first = browser.begin(site);
    let cookies = browser.cookies.clone();
    let second = browser.begin(site);
    let kept = browser.cookies == cookies;
    let mut other = Browser::new();
    let third = other.begin(site);
    // Whatever a cookie holds that is not of ours.
    let mut planted = Browser::new();
    let name = cookies.keys().next().cloned().unwrap_or_default();
    planted.cookies.insert(name.clone(), "planted".to_owned());
    let fourth = planted.begin(site);
    let _ = child.kill();
    let _ = child.wait();
    assert!(first.unwrap() != second.unwrap() && kept);
    assert!(third.is_ok() && other.cookies != cookies);
    assert!(fourth.is_ok() && planted.cookies[&name] != "planted");
    assert!(keys(&tokens).is_empty());
    assert_eq!(keys(&waiting).len(), 3);
}
