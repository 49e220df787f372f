//! Whether a flow that comes from a file says what the file says.

use authflow::{
    Action, AuthFlow, Client, Event, HttpRequest, RestoreError, Snapshot, State, Timestamp,
};
use serde_json::{Value, json};

use super::scenario::*;

/// As `tests/vectors/snapshots/*.json` were written for: `SECRET` stands in every secret.
fn owner() -> Client {
    client().build().unwrap()
}

/// When all of them were saved.
pub const SAVED: Timestamp = START;

pub fn restore(json: &[u8]) -> Result<AuthFlow, RestoreError> {
    AuthFlow::restore(owner(), Snapshot::from_json(json)?, SAVED)
}

pub fn saved(flow: &AuthFlow) -> String {
    flow.snapshot().to_json().expose().to_owned()
}

/// Refused without a quote, or restored to a flow that
/// - says of its tokens and of its login what the file says, and nothing else;
/// - has an access token just if the file's has not ended, and is Authorized just if it has one;
/// - sends the refresh token of the file and no other, unless it was rejected, and only to its own token
///   endpoint, however long it lives and wherever the clock goes;
/// - saves itself as the file was, and as what restores to the same;
/// - is not stuck: a login can be begun, or cancelled and begun.
///
/// Whether it was restored.
pub fn never_lies(json: &[u8]) -> bool {
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
    assert!(!format!("{flow:?} {:?}", flow.snapshot()).contains("SECRET-"));
    saves_itself(&flow, &file);
    goes_on_with_the_login(json, &file);

    let mut last = file["requests"].as_u64().unwrap_or(0);
    let mut ended = false;
    let mut at = |flow: &mut AuthFlow, now: Timestamp| {
        flow.handle(Event::Tick, now).unwrap();
        ended |= has_ended(&file["session"], now);
        shows_the_session(flow, &file["session"], ended, now);
        while let Some(action) = flow.poll_action() {
            if let Action::Send(request) = action {
                assert_eq!(request.url(), "https://as.example/token");
                assert!(request.id().as_u64() > last);
                last = request.id().as_u64();
                assert_ne!(file["session"]["refresh_token_rejected"], json!(true));
                let sent = sent(&request, "refresh_token");
                assert_eq!(sent.as_deref(), file["session"]["refresh_token"].as_str());
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

fn saves_itself(flow: &AuthFlow, file: &Value) {
    let kept = saved(flow);
    let again = restore(kept.as_bytes()).expect("what was saved can be restored");
    assert_eq!(saved(&again), kept);
    let kept: Value = serde_json::from_str(&kept).unwrap();
    let same = [
        ("login", "state verifier redirect_uri"),
        ("session", "serial access_token token_type refresh_token"),
        ("session", "obtained_at expires_at authorized_at"),
        ("session", "refresh_token_expires_at"),
    ];
    for (part, names) in same {
        for name in names.split(' ') {
            assert_eq!(kept[part][name], file[part][name], "{name}");
        }
    }
    // A flow that has forgotten how far it counted may use a number twice.
    let count = |saved: &Value, name: &str| saved[name].as_u64().unwrap_or(0);
    assert_eq!(count(&kept, "requests"), count(file, "requests"));
    let serials = count(file, "serials").max(count(&file["session"], "serial"));
    assert_eq!(count(&kept, "serials"), serials);
}

/// By the file's word, or by its time: what was made in the future has no end that can be told.
fn has_ended(session: &Value, now: Timestamp) -> bool {
    let Some(end) = session["expires_at"].as_u64() else {
        return session["expired"] == json!(true);
    };
    let now = now.as_millis();
    let made = session["obtained_at"].as_u64().unwrap();
    let is_of_the_future = made > now.saturating_add(LEEWAY.as_secs() * 1000);
    session["expired"] == json!(true) || end <= now || is_of_the_future
}

fn shows_the_session(flow: &AuthFlow, session: &Value, ended: bool, now: Timestamp) {
    let time = |name: &str| session[name].as_u64().map(Timestamp::from_millis);
    let has_refresh_token = session["refresh_token"].is_string();
    let is_rejected = session["refresh_token_rejected"] == json!(true);
    assert_eq!(flow.can_refresh(), has_refresh_token && !is_rejected);
    let sign_in_due = time("refresh_token_expires_at").filter(|_| has_refresh_token);
    assert_eq!(flow.sign_in_due(), sign_in_due);

    let shown = flow.access_token(now);
    assert_eq!(shown.is_some(), session.is_object() && !ended);
    if flow.state() != State::AwaitingCode {
        assert_eq!(flow.state() == State::Authorized, shown.is_some());
    }
    let Some(token) = shown else { return };
    let secret = token.secret().expose();
    assert_eq!(session["access_token"], secret);
    assert_eq!(session["serial"], token.serial().as_u64());
    assert_eq!(token.expires_at(), time("expires_at"));
    assert_eq!(token.authorized_at(), time("authorized_at"));

    let scopes: Vec<_> = token.scopes().iter().collect();
    assert_eq!(scopes, scopes_in(session["scopes"].as_str().unwrap()));

    let kind = session["token_type"].as_str().unwrap();
    assert_eq!(token.token_type().as_str(), kind);
    let header = token.authorization().ok();
    let expected = kind.eq_ignore_ascii_case("bearer");
    let expected = expected.then(|| format!("Bearer {secret}"));
    assert_eq!(header.map(|it| it.expose().to_owned()), expected);

    let none = serde_json::Map::new();
    let extra = session["extra"].as_object().unwrap_or(&none);
    assert_eq!(token.extras().names().count(), extra.len());
    for (name, text) in extra {
        let value = serde_json::from_str::<Value>(text.as_str().unwrap()).ok();
        assert_eq!(token.extras().get::<Value>(name), value, "{name}");
    }
}

/// Parted by spaces, each once, and nothing that a terminal would act on.
fn scopes_in(text: &str) -> Vec<&str> {
    let mut scopes = Vec::new();
    for scope in text.split(' ').map(str::trim) {
        if !scope.is_empty() && !scope.contains(char::is_control) && !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    scopes
}

/// The login of the file waits until the file says, and sends the verifier of the file.
fn goes_on_with_the_login(json: &[u8], file: &Value) {
    let login = &file["login"];
    let mut s = Scenario::going_on_with(restore(json).unwrap(), SAVED);
    assert_eq!(s.state() == State::AwaitingCode, login.is_object());
    let Some(deadline) = login["deadline"].as_u64() else {
        return;
    };
    assert_eq!(login["state"], s.state_parameter());
    // But no longer than a login that was begun just now.
    let latest = SAVED.saturating_add(LOGIN_TIMEOUT).as_millis();
    let deadline = deadline.min(latest);
    s.now = Timestamp::from_millis(deadline.max(SAVED.as_millis()));
    s.tick();
    assert_ne!(s.state(), State::AwaitingCode, "it waits too long");
    if deadline > SAVED.as_millis() {
        let mut s = Scenario::going_on_with(restore(json).unwrap(), SAVED);
        s.now = Timestamp::from_millis(deadline - 1);
        s.redirect("code=c0de");
        let request = s.in_flight("authorization_code").expect("an exchange");
        for (name, own) in [
            ("code_verifier", "verifier"),
            ("redirect_uri", "redirect_uri"),
        ] {
            assert_eq!(sent(request, name).as_deref(), login[own].as_str());
        }
    }
}

fn sent(request: &HttpRequest, name: &str) -> Option<String> {
    let pairs = url::form_urlencoded::parse(request.body().as_bytes()).into_owned();
    let mut values = pairs.filter(|(own, _)| own == name);
    values.next().map(|(_, value)| value)
}
