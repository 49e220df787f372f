//! What the program is told, and what it says if that does not do.
#![cfg(unix)]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use authflow::testing::{Endpoint, FakeProvider};
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

/// It ends when this is dropped, by its own id.
struct Process {
    child: Child,
    site: String,
}

impl Process {
    fn start(tokens: &RedisServer, waiting: &RedisServer, provider: &FakeProvider) -> Self {
        let mut child = program()
            .args(["serve", "--port", "0"])
            .env("REDIS_URL", tokens.url())
            .env("PENDING_REDIS_URL", waiting.url())
            .env("CLIENT_ID", provider.client_id())
            .env("CLIENT_SECRET", "a secret")
            .env("AUTHORIZATION_ENDPOINT", provider.authorization_endpoint())
            .env("TOKEN_ENDPOINT", provider.token_endpoint())
            .env("ME_URL", provider.me_url())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let site = line.trim().rsplit(' ').next().unwrap().to_owned();
        Self { child, site }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whatever becomes of the one with the logins that wait, nothing becomes of the tokens.
#[test]
fn logins_that_wait_are_in_a_redis_of_their_own_and_one_for_each_browser() {
    let (tokens, mut waiting) = (RedisServer::start(), RedisServer::start());
    let provider = FakeProvider::builder().client_secret("a secret");
    let provider = provider.start().unwrap();
    let process = Process::start(&tokens, &waiting, &provider);
    let site = &process.site;
    let mut browser = Browser::new();
    let first = browser.begin(site).unwrap();
    let cookies = browser.cookies.clone();
    assert_ne!(browser.begin(site).unwrap(), first);
    assert_eq!(browser.cookies, cookies);
    let mut other = Browser::new();
    other.begin(site).unwrap();
    assert_ne!(other.cookies, cookies);
    // Whatever a cookie holds that is not one of ours.
    let mut planted = Browser::new();
    let name = cookies.keys().next().unwrap();
    planted.cookies.insert(name.clone(), "planted".to_owned());
    planted.begin(site).unwrap();
    assert_ne!(planted.cookies[name], "planted");
    assert!(keys(&tokens).is_empty());
    assert_eq!(keys(&waiting).len(), 3);

    assert_eq!(browser.sign_in(site, "alice").unwrap().status, 303);
    waiting.kill();
    assert!(other.begin(site).is_err());
    provider.expire_access_tokens();
    let me = browser.get(&format!("{site}/me")).unwrap();
    assert_eq!(me.status, 200, "{}", me.body);
    let refreshes = provider.requests(Endpoint::Token).into_iter();
    let mut refreshes = refreshes.filter(|it| it.grant_type() == Some("refresh_token"));
    assert!(refreshes.next().is_some());
}
