//! What needs the drivers: `PendingLogin`, `Session` and what they are made with.

use std::sync::Arc;
use std::time::Duration;

use authflow::http::Http;
use authflow::session::{AccessToken, Error, PendingLogin};
use authflow::{Client, Login, Session, Timestamp, TokenSet};
use authflow_benches::figure::Row;
use authflow_benches::fixture;

use crate::clones::builder;
use crate::{Measured, clones, pending, sessions, sizes};

/// What is made once, as a backend does it.
struct Shared {
    client: Arc<Client>,
    http: Http,
}

impl Shared {
    fn new() -> Self {
        Self {
            client: Arc::new(builder().build().expect("a client")),
            http: Http::new(),
        }
    }
}

type Make = fn(&Shared) -> Login;
const SHARED: Make =
    |shared| Login::with_client(Arc::clone(&shared.client)).http(shared.http.clone());
/// Without a word: each has a client of its own, and a session an agent of its own.
const OWN: Make = |_| Login::new(builder());

pub fn rows() -> Vec<(&'static str, Vec<Measured>)> {
    vec![
        (
            pending::PART,
            vec![
                ("authflow, PendingLogin", |row| begin(row, SHARED)),
                ("authflow, PendingLogin by default", |row| begin(row, OWN)),
            ],
        ),
        (
            sessions::PART,
            vec![
                ("authflow, Session", |row| adopt(row, SHARED)),
                ("authflow, Session by default", |row| adopt(row, OWN)),
            ],
        ),
        (
            clones::PART,
            vec![
                ("authflow, Http", |row| clones::put(row, Http::new)),
                ("authflow, Session", |row| {
                    clones::put(row, || session(OWN, &Shared::new()));
                }),
            ],
        ),
        (
            sizes::PART,
            sizes![
                "authflow, Login": Login,
                "authflow, PendingLogin": PendingLogin,
                "authflow, Session": Session,
                "authflow, session::AccessToken": AccessToken,
                "authflow, session::Error": Error,
                "authflow, http::Http": Http,
            ],
        ),
    ]
}

fn begin(row: &Row<'_>, make: Make) {
    let shared = Shared::new();
    pending::put(row, |number| {
        let pending = make(&shared).begin(fixture::REDIRECT_URI).expect("a login");
        (pending::cookie(number), pending)
    });
}

fn adopt(row: &Row<'_>, make: Make) {
    let shared = Shared::new();
    sessions::put(row, |_| session(make, &shared));
}

/// With a `MemoryStore`, the default. Its tokens are as long as the fixture's.
fn session(make: Make, shared: &Shared) -> Session {
    let tokens: serde_json::Value = serde_json::from_str(&fixture::tokens()).expect("JSON");
    let text = |name: &str| tokens[name].as_str().expect("a text").to_owned();
    let hour = Timestamp::now().saturating_add(Duration::from_secs(3600));
    let tokens = TokenSet::new(text("access_token"))
        .refresh_token(text("refresh_token"))
        .expires_at(hour);
    make(shared).adopt(tokens).expect("a session")
}
