//! What needs the drivers: `PendingLogin`, `Session` and what they are made with.

use std::time::Duration;

use authflow::http::Http;
use authflow::session::{AccessToken, Error, PendingLogin};
use authflow::{Login, Session, Timestamp, TokenSet};
use authflow_benches::figure::Row;
use authflow_benches::fixture;

use crate::clones::builder;
use crate::{Measured, clones, pending, sessions, sizes};

/// Each with a client of its own, and the `Http` that is handed in.
type With = fn(Login, Http) -> Login;
const SHARED: With = Login::http;
const OWN: With = |login, _| login;

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
                    clones::put(row, || session(SHARED, &Http::new()));
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

fn begin(row: &Row<'_>, with: With) {
    let http = Http::new();
    pending::put(row, |number| {
        let login = with(Login::new(builder()), http.clone());
        let pending = login.begin(fixture::REDIRECT_URI).expect("a login");
        (pending::cookie(number), pending)
    });
}

fn adopt(row: &Row<'_>, with: With) {
    let http = Http::new();
    sessions::put(row, |_| session(with, &http));
}

/// With a `MemoryStore`, the default. Its tokens are as long as the fixture's.
fn session(with: With, http: &Http) -> Session {
    let tokens: serde_json::Value = serde_json::from_str(&fixture::tokens()).expect("JSON");
    let text = |name: &str| tokens[name].as_str().expect("a text").to_owned();
    let hour = Timestamp::now().saturating_add(Duration::from_secs(3600));
    let tokens = TokenSet::new(text("access_token"))
        .refresh_token(text("refresh_token"))
        .expires_at(hour);
    let login = with(Login::new(builder()), http.clone());
    login.adopt(tokens).expect("a session")
}
