//! Eight processes and many people: each person's tokens are their own, and each end of a token costs one
//! refresh, whoever asks first.
//!
//! `AUTHFLOW_USERS=10000 cargo test -p authflow-web-backend-example --test crowd` is the whole crowd.
#![cfg(unix)]

use std::collections::HashMap;
use std::env;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use authflow::http::Http;
use authflow::session::{RedisStore, Store as _};
use authflow::{Client, ClientBuilder, Login, Provider, Timestamp, TokenSet};
use web_backend::front::Front;
use web_backend::redis_server::RedisServer;
use web_backend::reply::{Reply, reply};
use web_backend::request::Request;

const PROCESSES: usize = 8;
const THREADS: usize = 4;

fn users() -> usize {
    env::var("AUTHFLOW_USERS").map_or(1000, |users| users.parse().expect("a number"))
}

fn client(base: &str) -> ClientBuilder {
    let provider = Provider::new(format!("{base}/authorize"), format!("{base}/token"))
        .dangerously_allow_http_on_loopback();
    Client::builder(provider, "client").secret("a secret")
}

fn stores(redis: &str) -> RedisStore {
    RedisStore::open(redis).unwrap().prefix("crowd:")
}

/// A token endpoint whose tokens say whose they are, and the how-manieth: `RT.17.0`. Each refresh token
/// works once.
struct Tokens {
    newest: Mutex<HashMap<usize, usize>>,
    reused: AtomicUsize,
    refreshes: AtomicUsize,
}

impl Tokens {
    fn answer(&self, request: &Request) -> Reply {
        let body = String::from_utf8_lossy(&request.body);
        let (status, json) = match self.refresh(&body) {
            Some((user, number)) => (
                200,
                format!(
                    r#"{{"access_token":"AT.{user}.{number}","refresh_token":"RT.{user}.{number}","token_type":"Bearer","expires_in":3600}}"#
                ),
            ),
            None => (400, r#"{"error":"invalid_grant"}"#.to_owned()),
        };
        reply(status, "application/json", json)
    }

    fn refresh(&self, body: &str) -> Option<(usize, usize)> {
        self.refreshes.fetch_add(1, Ordering::SeqCst);
        let mut pairs = body.split('&');
        let token = pairs.find_map(|pair| pair.strip_prefix("refresh_token=RT."))?;
        let (user, number) = token.split_once('.')?;
        let (user, number): (usize, usize) = (user.parse().ok()?, number.parse().ok()?);
        let mut newest = self.newest.lock().unwrap();
        let newest = newest.entry(user).or_default();
        if *newest != number {
            self.reused.fetch_add(1, Ordering::SeqCst);
            return None;
        }
        *newest += 1;
        Some((user, *newest))
    }
}

/// A process: its threads go through all users, each from somewhere else.
#[test]
#[ignore = "a part of the other test"]
fn a_process_of_the_crowd() {
    let of = |name: &str| env::var(name).unwrap();
    let (base, all) = (of("CROWD_PROVIDER"), stores(&of("CROWD_REDIS")));
    let (number, users): (usize, usize) = (of("CROWD_NUMBER").parse().unwrap(), users());
    let http = Http::without_proxy();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (base, all, http) = (&base, &all, &http);
            let start = users * (number * THREADS + thread) / (PROCESSES * THREADS);
            scope.spawn(move || {
                for user in (start..start + users).map(|at| at % users) {
                    let store = all.account(&format!("user-{user}"));
                    let login = Login::new(client(base)).store(store).http(http.clone());
                    let session = login.resume().unwrap().expect("is in");
                    let token = session.access_token().unwrap();
                    assert_eq!(token.secret().expose(), format!("AT.{user}.1"));
                }
            });
        }
    });
}

#[test]
fn each_has_their_own_tokens_and_each_is_refreshed_once() {
    let users = users();
    let redis = RedisServer::start();
    let tokens = Arc::new(Tokens {
        newest: Mutex::default(),
        reused: AtomicUsize::new(0),
        refreshes: AtomicUsize::new(0),
    });
    let front = Front::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", front.address().unwrap());
    let server = Arc::clone(&tokens);
    thread::spawn(move || front.serve(4, |request| server.answer(request)));

    let start = Instant::now();
    let all = stores(&redis.url());
    let ended = Timestamp::from_millis(Timestamp::now().as_millis() - 60_000);
    for user in 0..users {
        let old = TokenSet::new(format!("AT.{user}.0"))
            .refresh_token(format!("RT.{user}.0"))
            .expires_at(ended);
        let store = all.account(&format!("user-{user}"));
        Login::new(client(&base)).store(store).adopt(old).unwrap();
    }
    let seeded = start.elapsed();

    let processes: Vec<Child> = (0..PROCESSES)
        .map(|number| {
            Command::new(env::current_exe().unwrap())
                .args([
                    "--exact",
                    "a_process_of_the_crowd",
                    "--ignored",
                    "--nocapture",
                ])
                .env("CROWD_PROVIDER", &base)
                .env("CROWD_REDIS", redis.url())
                .env("CROWD_NUMBER", number.to_string())
                .env("AUTHFLOW_USERS", users.to_string())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut process in processes {
        assert!(process.wait().unwrap().success());
    }
    println!(
        "{users} users: {seeded:?} to put them there, {:?} in all",
        start.elapsed()
    );
    assert_eq!(tokens.refreshes.load(Ordering::SeqCst), users);
    assert_eq!(tokens.reused.load(Ordering::SeqCst), 0);
    for user in 0..users {
        let saved = all
            .account(&format!("user-{user}"))
            .load()
            .unwrap()
            .unwrap();
        let saved = saved.to_json();
        let own = [format!("\"AT.{user}.1\""), format!("\"RT.{user}.1\"")];
        assert!(own.iter().all(|own| saved.expose().contains(own)), "{user}");
    }
}
