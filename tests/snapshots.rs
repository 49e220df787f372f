//! Saved logins from elsewhere: of older versions, of newer ones, edited by hand, damaged. Each is
//! restored or refused, and never lies.

mod support;

use std::fs;
use std::path::PathBuf;

use authflow::{Action, AuthFlow, Client, Event, RestoreError, Snapshot, State, Timestamp};
use serde_json::{Value, json};
use support::scenario::*;

/// As `tests/vectors/snapshots/*.json` were written for: `SECRET` stands in every secret.
fn owner() -> Client {
    client().build().unwrap()
}

/// When all of them were saved.
const SAVED: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn directory() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "vectors", "snapshots"]
        .iter()
        .collect()
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(directory().join(name)).unwrap()
}

fn restore(json: &[u8]) -> Result<AuthFlow, RestoreError> {
    AuthFlow::restore(owner(), Snapshot::from_json(json)?, SAVED)
}

fn saved(flow: &AuthFlow) -> String {
    flow.snapshot().to_json().expose().to_owned()
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
            "with-token-endpoint.json" | "of-an-app.json" => {
                let flow = restored.unwrap();
                assert_eq!(flow.state(), State::Authorized, "{name}");
                let token = flow.access_token(SAVED).unwrap();
                assert_eq!(token.secret().expose(), "SECRET-access");
                assert_eq!(token.scopes().as_str(), "read other");
                assert_eq!(token.authorized_at(), Some(SAVED));
                assert_eq!(
                    token.extra::<String>("id_token").as_deref(),
                    Some("SECRET.id.token")
                );
                assert_eq!(flow.can_refresh(), name.starts_with("with"));
            }
            "of-a-login.json" => {
                let flow = restored.unwrap();
                assert_eq!(flow.state(), State::AwaitingCode);
                let url = flow.authorization_url().unwrap().as_str();
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
    assert_eq!(seen, 6);
}

/// If this fails, the format has changed: keep the old file, add a new one, and say so here.
#[test]
fn what_is_saved_today_is_written_as_in_these_files() {
    for name in [
        "with-token-endpoint.json",
        "of-an-app.json",
        "of-a-login.json",
        "rejected-and-expired.json",
    ] {
        let json = String::from_utf8(fixture(name)).unwrap();
        let snapshot = Snapshot::from_json(json.as_bytes()).unwrap();
        assert_eq!(snapshot.to_json().expose(), json.trim_end(), "{name}");
    }
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

/// Refused without a quote, or restored to a flow that
/// - shows the access token of the file and no other, and is Authorized just if it shows one;
/// - sends the refresh token of the file and no other, and only to its own token endpoint, however long
///   it lives and wherever the clock goes;
/// - saves itself as what restores to the same;
/// - is not stuck: a login can be begun, or cancelled and begun.
///
/// Whether it was restored.
fn never_lies(json: &[u8]) -> bool {
    let mut flow = match restore(json) {
        Ok(flow) => flow,
        Err(error) => {
            let shown = format!("{error} {error:?}");
            assert!(
                !shown.contains("SECRET") && !shown.contains("evil"),
                "{shown}"
            );
            return false;
        }
    };
    let file: Value = serde_json::from_slice(json).expect("what was restored is JSON");
    let text = |name: &str| file["session"][name].as_str();
    assert!(!format!("{flow:?} {:?}", flow.snapshot()).contains("SECRET-"));

    let again = restore(saved(&flow).as_bytes()).expect("what was saved can be restored");
    assert_eq!(saved(&again), saved(&flow));

    let mut last = 0;
    let mut at = |flow: &mut AuthFlow, now: Timestamp| {
        flow.handle(Event::Tick, now).unwrap();
        let token = flow
            .access_token(now)
            .map(|token| token.secret().expose().to_owned());
        assert!(token.is_none() || token.as_deref() == text("access_token"));
        if flow.state() != State::AwaitingCode {
            assert_eq!(flow.state() == State::Authorized, token.is_some());
        }
        while let Some(action) = flow.poll_action() {
            if let Action::Send(request) = action {
                assert_eq!(request.url(), "https://as.example/token");
                assert!(request.id().as_u64() > last);
                last = request.id().as_u64();
                let sent = url::form_urlencoded::parse(request.body().as_bytes());
                let sent = sent.into_owned().find(|(name, _)| name == "refresh_token");
                assert_eq!(
                    sent.map(|(_, token)| token).as_deref(),
                    text("refresh_token")
                );
            }
        }
    };
    at(&mut flow, SAVED);
    for _ in 0..4 {
        if let Some(deadline) = flow.deadline() {
            at(&mut flow, deadline);
        }
    }
    at(&mut flow, Timestamp::from_millis(u64::MAX));
    at(&mut flow, Timestamp::from_millis(0));

    let mut scenario = Scenario::going_on_with(flow, SAVED);
    if scenario.state() == State::AwaitingCode {
        scenario.fire(Event::CancelLogin);
    }
    scenario.awaiting_code();
    true
}
