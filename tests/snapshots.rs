//! Saved logins from elsewhere: of older versions, of newer ones, edited by hand, damaged. Each is
//! restored or refused, and never lies.

mod support;

use std::fs;
use std::path::PathBuf;

#[cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]
use authflow::{Client, Provider, session::ClientCredentials};
use authflow::{Event, LoginSecrets, RestoreError, Snapshot, State};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use support::honest::{SAVED, never_lies, restore, saved};
use support::scenario::*;

fn directory() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "vectors", "snapshots"]
        .iter()
        .collect()
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(directory().join(name)).unwrap()
}

// --- versions of the format ----------------------------------------------------------------------

/// What each of them holds, or why it is refused.
#[test]
fn every_version_that_was_ever_written_is_read_or_refused() {
    let mut seen = 0;
    for entry in fs::read_dir(directory()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let restored = restore(&fixture(&name));
        seen += 1;
        match name.as_str() {
            // Tokens go to a token endpoint that is known to be theirs, and to no other.
            "without-token-endpoint.json" => {
                assert_eq!(restored.unwrap_err(), RestoreError::OtherClient);
            }
            "of-the-future.json" => {
                assert_eq!(restored.unwrap_err(), RestoreError::UnknownVersion(2));
            }
            "with-token-endpoint.json"
            | "of-an-app.json"
            | "of-an-app-without-consent.json"
            | "of-a-login-over-a-session.json" => {
                let flow = restored.unwrap();
                let is_login = name.starts_with("of-a-login");
                let state = [State::Authorized, State::AwaitingCode][usize::from(is_login)];
                assert_eq!(flow.state(), state, "{name}");
                let token = flow.access_token(SAVED).unwrap();
                assert_eq!(token.secret().expose(), "SECRET-access");
                assert_eq!(token.scopes().as_str(), "read other");
                // No person gave an app their consent; once that was not said.
                let consent = Some(SAVED).filter(|_| name != "of-an-app-without-consent.json");
                assert_eq!(token.authorized_at(), consent, "{name}");
                assert_eq!(
                    token.extras().get::<String>("id_token").as_deref(),
                    Some("SECRET.id.token")
                );
                assert_eq!(flow.can_refresh(), !name.starts_with("of-an-app"));
            }
            "of-a-login.json" => {
                let flow = restored.unwrap();
                assert_eq!(flow.state(), State::AwaitingCode);
                let url = flow.authorization_url().unwrap();
                let url = url.as_str();
                assert!(url.contains("state=SECRET-state-"), "{url}");
            }
            "rejected-and-expired.json" => {
                let flow = restored.unwrap();
                assert_eq!(flow.state(), State::Expired);
                assert!(!flow.can_refresh());
                assert!(saved(&flow).contains("SECRET-refresh"));
            }
            other => panic!("{other} is not known here"),
        }
    }
    assert_eq!(seen, 8);
}

/// If this fails, the format has changed: keep the old file, add a new one, and say so here.
#[test]
fn what_is_saved_today_is_written_as_in_these_files() {
    let flows = [
        ("with-token-endpoint.json", a_session()),
        ("rejected-and-expired.json", rejected_and_expired()),
        ("of-a-login-over-a-session.json", a_session_and_a_login()),
    ];
    for (name, scenario) in flows {
        written_as(name, &saved(&scenario.flow));
    }
}

fn written_as(name: &str, today: &str) {
    let file = String::from_utf8(fixture(name)).unwrap();
    assert_eq!(today, file.trim_end(), "{name}");
    // Nor is anything lost by reading it.
    let read = Snapshot::from_json(file.as_bytes()).unwrap();
    assert_eq!(read.to_json().expose(), file.trim_end(), "{name}");
}

/// What the files of older versions hold that a login of today does not, is still written as it was.
#[test]
fn what_was_saved_before_is_written_as_it_was_read() {
    for name in ["of-an-app.json", "of-a-login.json"] {
        let json = String::from_utf8(fixture(name)).unwrap();
        let snapshot = Snapshot::from_json(json.as_bytes()).unwrap();
        assert_eq!(snapshot.to_json().expose(), json.trim_end(), "{name}");
    }
}

/// Five requests, and three sets of tokens.
fn a_session() -> Scenario {
    let mut s = Scenario::new().authorized().refreshing();
    s.answer(tokens("AT-2"));
    let mut s = s.backoff().backoff().exchanging();
    s.answer(told(json!({
        "refresh_token": "SECRET-refresh",
        "refresh_token_expires_in": 30 * 24 * 3600,
    })));
    s
}

/// The clock has gone back by a little more than the tokens live, and forward again.
fn rejected_and_expired() -> Scenario {
    let mut s = Scenario::new().exchanging();
    s.answer(tokens_with(
        "AT-1",
        json!({"refresh_token": "RT-1", "refresh_token_expires_in": 30 * 24 * 3600}),
    ));
    let mut s = s.refreshing();
    s.answer(told(json!({"refresh_token": "SECRET-refresh"})));
    s.clock_goes_back(secs(3601)).tick();
    s.answer(told(json!({})));
    let mut s = s.backoff().rejected();
    s.after(secs(3601)).tick();
    s
}

/// The state and the verifier are texts that entropy can spell.
fn a_session_and_a_login() -> Scenario {
    let mut s = a_session();
    let secrets = ["SECRET-state-", "SECRET-verifier-"].map(|name| {
        let text = format!("{name:x<42}A");
        URL_SAFE_NO_PAD.decode(text).unwrap()
    });
    let redirect_uri = s.flow.client().redirect_uri(REDIRECT_URI).unwrap();
    s.fire(Event::BeginLogin {
        secrets: LoginSecrets::from_entropy(secrets.concat().try_into().unwrap()),
        redirect_uri,
    });
    s
}

/// An answer with what all the files say.
fn told(mut more: Value) -> Reply {
    more["scope"] = json!("read other");
    more["id_token"] = json!("SECRET.id.token");
    tokens_with("SECRET-access", more)
}

/// An app's tokens are saved by its session only, which has a clock and a server of its own.
#[cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]
#[test]
fn what_an_app_saves_today_is_written_as_in_this_file() {
    let server = support::login::server(|_| {
        let body = told(json!({})).unwrap();
        support::raw::json("200 OK", std::str::from_utf8(body.body()).unwrap())
    });
    let provider = Provider::new(server.url("/authorize"), server.url("/token"))
        .issuer("https://as.example")
        .dangerously_allow_http_on_loopback();
    let client = Client::builder(provider, "client-1").secret("SECRET-client");
    let store = support::login::TestStore::new();
    let app = ClientCredentials::new(client).store(store.clone());
    app.session().unwrap().access_token().unwrap();

    let today = store.last().to_json().expose().to_owned();
    let session = support::login::json(&store.last())["session"].clone();
    let (from, end) = (&session["obtained_at"], &session["expires_at"]);
    let lifetime = end.as_u64().unwrap() - from.as_u64().unwrap();
    assert_eq!(u128::from(lifetime), LIFETIME.as_millis());
    let at = SAVED.as_millis();
    let today = today
        .replace(&server.url("/token"), "https://as.example/token")
        .replace(&end.to_string(), &(at + lifetime).to_string())
        .replace(&from.to_string(), &at.to_string());
    written_as("of-an-app-without-consent.json", &today);
}

// --- edited by hand ------------------------------------------------------------------------------

/// The richest of them, with a login over it.
fn whole() -> Value {
    let mut whole: Value = serde_json::from_slice(&fixture("with-token-endpoint.json")).unwrap();
    let login: Value = serde_json::from_slice(&fixture("of-a-login.json")).unwrap();
    whole["login"] = login["login"].clone();
    whole
}

/// Every place in it.
fn places(value: &Value, path: &str, found: &mut Vec<String>) {
    if !path.is_empty() {
        found.push(path.to_owned());
    }
    if let Value::Object(members) = value {
        for (name, value) in members {
            places(value, &format!("{path}/{name}"), found);
        }
    }
}

/// What somebody may write there.
fn replacements() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(false),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1u64 << 62),
        json!((1u64 << 62) + 1),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e300),
        json!(""),
        json!(" "),
        json!("\u{0}"),
        json!("a\r\nb: c"),
        json!("é"),
        json!("SECRET-other"),
        json!("https://evil.example/token"),
        json!("x".repeat(100_000)),
        json!([]),
        json!(["SECRET-access"]),
        json!({}),
        json!({"version": 1}),
    ]
}

#[test]
fn a_file_in_which_any_field_was_changed_never_lies() {
    let whole = whole();
    let mut found = Vec::new();
    places(&whole, "", &mut found);
    assert!(found.len() > 20, "{found:?}");
    let (mut tried, mut restored) = (0_usize, 0_usize);
    for path in &found {
        for replacement in replacements() {
            let mut edited = whole.clone();
            *edited.pointer_mut(path).unwrap() = replacement;
            restored += usize::from(never_lies(edited.to_string().as_bytes()));
            tried += 1;
        }
        let (parent, name) = path.rsplit_once('/').unwrap();
        let mut edited = whole.clone();
        let members = edited.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        members.remove(name);
        members.insert("unknown".to_owned(), json!({ "deep": [[[1]]] }));
        restored += usize::from(never_lies(edited.to_string().as_bytes()));
        tried += 1;
    }
    // Each pair of fields swapped: a secret in another's place.
    for one in &found {
        for other in &found {
            let mut edited = whole.clone();
            let (a, b) = (whole.pointer(one).unwrap(), whole.pointer(other).unwrap());
            if let Some(place) = edited.pointer_mut(one) {
                *place = b.clone();
            }
            if let Some(place) = edited.pointer_mut(other) {
                *place = a.clone();
            }
            restored += usize::from(never_lies(edited.to_string().as_bytes()));
            tried += 1;
        }
    }
    println!("bad inputs tried: {tried}, of which {restored} could be restored");
    assert!(restored > 50 && restored < tried);
}

#[test]
fn a_file_that_was_cut_or_has_a_bit_flipped_never_lies() {
    let json = whole().to_string().into_bytes();
    let (mut tried, mut restored) = (0_usize, 0_usize);
    for at in 0..json.len() {
        assert!(restore(&json[..at]).is_err());
        for mask in [0x01, 0x02, 0x08, 0x20, 0x80, 0xff] {
            let mut flipped = json.clone();
            flipped[at] ^= mask;
            restored += usize::from(never_lies(&flipped));
            tried += 1;
        }
    }
    println!(
        "bad inputs tried: {}, of which {restored} could be restored",
        tried + json.len()
    );
    assert!(restored > 100 && restored < tried);
}

#[test]
fn a_field_that_stands_twice_is_refused() {
    let json = whole().to_string();
    for (name, value) in whole().as_object().unwrap() {
        let twice = json.replacen('{', &format!("{{{}:{value},", json!(name)), 1);
        assert!(restore(twice.as_bytes()).is_err(), "{name}");
    }
    let session = whole()["session"].clone();
    for (name, value) in session.as_object().unwrap() {
        let twice = json.replacen(
            "\"session\":{",
            &format!("\"session\":{{{}:{value},", json!(name)),
            1,
        );
        assert_ne!(twice, json);
        assert!(restore(twice.as_bytes()).is_err(), "{name}");
    }
}

#[test]
fn what_is_no_object_is_refused() {
    let kinds = [
        "",
        " ",
        "null",
        "[]",
        "1",
        "\"\"",
        "{",
        "{}",
        "{\"version\":1}x",
        "\u{feff}{\"version\":1}",
        "\0",
    ];
    for json in kinds {
        assert_eq!(
            restore(json.as_bytes()).unwrap_err(),
            RestoreError::Damaged,
            "{json:?}"
        );
    }
    let deep = "[".repeat(200_000);
    assert_eq!(restore(deep.as_bytes()).unwrap_err(), RestoreError::Damaged);
}
