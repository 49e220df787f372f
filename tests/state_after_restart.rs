//! Saving and restoring in every state: what survives a restart, and what is refused.

mod support;

use authflow::{
    Activity, AuthFlow, Cause, Client, ClientBuilder, Event, Misuse, Provider, RestoreError,
    Snapshot, State, TokenSerial, TokenSet, spotify,
};
use serde_json::{Value, json};
use support::scenario::*;

// A session.

#[test]
fn a_restart_keeps_the_session() {
    let rich = json!({
        "refresh_token": "RT-1", "scope": "read other", "token_type": "bearer",
        "refresh_token_expires_in": 604_800, "id_token": "e.y.j", "big": 123_456_789_012_345_678_u64,
    });
    let s = Scenario::new().logged_in_with(rich);
    let before = s.view();
    let s = s.restarted();
    assert_eq!(s.view(), before);
    let token = s.token();
    assert_eq!(
        token.extras().get::<String>("id_token").as_deref(),
        Some("e.y.j")
    );
    assert_eq!(
        token.extras().get::<u64>("big"),
        Some(123_456_789_012_345_678)
    );
    assert_eq!(token.authorized_at(), Some(START));
    assert_eq!(token.extra_scopes().collect::<Vec<_>>(), ["other"]);
}

#[test]
fn a_scope_with_a_comma_in_it_is_still_one_scope_after_a_restart() {
    let provider = Provider::new("https://as.example/authorize", "https://as.example/token");
    let client = Client::builder(provider, "client-1").scopes(["read,activity:read"]);
    let s = Scenario::of(client).authorized();
    assert_eq!(s.token().missing_scopes().count(), 0);
    let s = s.restarted();
    let missing: Vec<_> = s.token().missing_scopes().collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn requests_in_flight_and_pauses_do_not_survive_a_restart() {
    for session in [Scenario::refreshing, Scenario::backoff, Scenario::parked] {
        let mut s = session(Scenario::new().authorized()).restarted();
        assert_eq!(
            (s.state(), s.flow.activity()),
            (State::Authorized, Activity::Idle)
        );
        let id = s.requests[1].id();
        s.stays_put(Event::Response {
            id,
            result: tokens("AT-2"),
        });
        assert_eq!(s.said(), "StaleResponse");
        s.refresh();
        assert!(s.request().id() > id);
    }
}

#[test]
fn an_expired_session_is_refreshed_by_the_first_tick_after_a_restart() {
    for session in [Scenario::expired, Scenario::expired_refreshing] {
        let mut s = session(Scenario::new().authorized()).restarted();
        assert_eq!((s.state(), s.wait()), (State::Expired, Some(secs(0))));
        assert!(s.flow.can_refresh());
        s.tick();
        assert_eq!(s.said(), "Send");
    }
    let mut s = Scenario::new().authorized();
    s.after(LIFETIME);
    let s = s.restarted(); // ended while nobody looked
    assert_eq!((s.state(), s.access_token()), (State::Expired, None));
}

#[test]
fn a_restart_does_not_unexpire_or_unreject() {
    let mut s = Scenario::new().authorized().expired();
    s.now = START.saturating_add(secs(5));
    assert_eq!(s.restarted().state(), State::Expired);
    let mut s = Scenario::new().authorized();
    s.clock_goes_back(LEEWAY + secs(1));
    assert_eq!(s.restarted().state(), State::Expired);

    let sessions: [Walk; 2] = [Scenario::rejected, |s| s.expired().rejected()];
    for session in sessions {
        let mut s = session(Scenario::new().authorized()).restarted();
        assert!(!s.flow.can_refresh());
        assert_eq!(s.refresh_token().as_deref(), Some("RT-1"));
        s.refuses(Event::Refresh, Misuse::NoRefreshToken);
        s.tick();
        assert_eq!(s.said(), "");
    }
}

// When the person has to sign in again.

#[test]
fn spotify_asks_for_a_new_consent_after_six_months() {
    let s = Scenario::of(spotify::client("client-1")).authorized();
    let consent = s.now;
    let due = Some(consent.saturating_add(secs(181 * 86_400)));
    assert_eq!(s.flow.sign_in_due(), due);
    let mut s = s.restarted();
    s.after(secs(30 * 86_400)).tick();
    s.answer(tokens("AT-2"));
    assert_eq!(s.flow.sign_in_due(), due); // refreshing does not put it off
    let set = TokenSet::new("AT-3").refresh_token("RT-3");
    s.fire(Event::AdoptTokens(set.clone()));
    assert_eq!(s.flow.sign_in_due(), None);
    s.fire(Event::AdoptTokens(set.authorized_at(consent)));
    assert_eq!(s.flow.sign_in_due(), due);
}

#[test]
fn what_the_server_says_of_the_refresh_tokens_life_counts_instead() {
    let week = json!({ "refresh_token": "RT-1", "refresh_token_expires_in": 604_800 });
    let mut s = Scenario::of(spotify::client("client-1")).logged_in_with(week);
    let due = Some(START.saturating_add(secs(604_800)));
    assert_eq!(s.flow.sign_in_due(), due);
    s.refresh().answer(tokens("AT-2"));
    assert_eq!(s.restarted().flow.sign_in_due(), due);
    let s = Scenario::of(spotify::client("client-1")).without_refresh_token();
    assert_eq!(s.flow.sign_in_due(), None);
}

// A login.

#[test]
fn a_restarted_program_finishes_the_login() {
    let s = Scenario::new().awaiting_code();
    let before = s.view();
    let mut s = s.restarted();
    assert_eq!(s.view(), before);
    s.after(secs(30)).redirect("code=c");
    let mut never_restarted = Scenario::new().awaiting_code();
    never_restarted.after(secs(30)).redirect("code=c");
    assert_eq!(s.request(), never_restarted.request()); // same verifier, same redirect URI
    s.answer(tokens("AT-1"));
    assert_eq!(s.said(), "Persist, LoggedIn");
}

#[test]
fn a_login_keeps_its_deadline_over_a_restart_even_if_the_clock_went_back() {
    let mut s = Scenario::new().awaiting_code();
    s.after(LOGIN_TIMEOUT);
    let mut s = s.restarted();
    s.tick();
    assert_eq!(s.failure().cause, Cause::TimedOut);

    let mut s = Scenario::new().awaiting_code();
    s.clock_goes_back(secs(86_400));
    assert_eq!(s.restarted().wait(), Some(LOGIN_TIMEOUT));
}

#[test]
fn an_exchange_does_not_survive_a_restart() {
    let mut s = Scenario::new().exchanging().restarted();
    assert_eq!(s.state(), State::Unauthorized);
    s.answer(tokens("AT-1"));
    assert_eq!(s.said(), "StaleResponse");
    let s = s.exchanging();
    assert_ne!(s.requests[0].id(), s.requests[1].id());
}

#[test]
fn a_restart_keeps_both_the_session_and_the_login_over_it() {
    let s = Scenario::new().authorized().awaiting_code();
    let before = s.view();
    let mut s = s.restarted();
    assert_eq!(s.view(), before);
    assert_eq!(s.access_token(), Some("AT-1"));
    s.fire(Event::CancelLogin);
    assert_eq!(s.state(), State::Authorized);
}

#[test]
fn a_snapshot_of_the_exchange_has_the_old_session_in_it() {
    let s = Scenario::new().authorized().exchanging().restarted();
    assert_eq!(s.state(), State::Authorized);
    assert_eq!(s.access_token(), Some("AT-1"));
}

#[test]
fn a_flow_goes_on_from_a_snapshot_that_was_taken_by_value() {
    let s = Scenario::new().awaiting_code();
    let flow = AuthFlow::restore(s.flow.client().clone(), s.flow.snapshot(), s.now).unwrap();
    assert_eq!(Scenario::going_on_with(flow, s.now).view(), s.view());
}

// In general.

#[test]
fn ids_and_serials_go_on_after_a_log_out_and_a_restart() {
    let mut s = Scenario::new().authorized();
    assert_eq!(s.serial(), TokenSerial::from_u64(1));
    s.fire(Event::LogOut);
    let mut s = s.restarted().unauthorized().authorized();
    assert_eq!(s.serial(), TokenSerial::from_u64(2));
    s.fire(Event::LogOut);
    let s = s.restarted().authorized();
    let [first, second, third] = &s.requests[..] else {
        panic!("three logins, three requests");
    };
    assert!(first.id() < second.id() && second.id() < third.id());
}

#[test]
fn a_restart_without_a_session_is_a_new_flow() {
    let before = Scenario::new().view();
    assert_eq!(Scenario::new().restarted().view(), before);
}

#[test]
fn tokens_never_go_to_another_client_or_provider() {
    let saved = Scenario::new().authorized().saved();
    let refused = |client: ClientBuilder| {
        let flow = AuthFlow::restore(client.build().unwrap(), saved.clone(), START);
        flow.map(|_| ()).unwrap_err()
    };
    let other_provider = Provider::new(
        "https://as.example/authorize",
        "https://as.example/other-token",
    );
    let other_id = other_provider.clone().issuer("https://as.example");
    let expected = RestoreError::OtherClient;
    assert_eq!(
        refused(Client::builder(other_provider, "client-1")),
        expected
    );
    assert_eq!(refused(Client::builder(other_id, "client-2")), expected);
    assert_eq!(refused(spotify::client("client-1")), expected);
}

#[test]
fn another_version_is_refused_by_its_number() {
    for version in [0, 2, 9_000_000_000_u64] {
        let json = json!({ "version": version, "whatever": [1, 2] }).to_string();
        let read = Snapshot::from_json(json.as_bytes());
        assert_eq!(read, Err(RestoreError::UnknownVersion(version)));
    }
}

/// A saved session and login, with something wrong in it.
fn damaged(damage: impl FnOnce(&mut Value)) -> Option<RestoreError> {
    let s = Scenario::new().authorized().awaiting_code();
    let mut json: Value = serde_json::from_str(s.flow.snapshot().to_json().expose()).unwrap();
    damage(&mut json);
    let client = s.flow.client().clone();
    let read = Snapshot::from_json(json.to_string().as_bytes());
    let flow = read.and_then(|saved| AuthFlow::restore(client, saved, s.now));
    flow.err()
}

#[test]
fn a_damaged_snapshot_is_refused() {
    assert_eq!(damaged(|_| ()), None);
    let damages: &[(&str, &str, Value)] = &[
        ("session", "access_token", json!("")),
        ("session", "access_token", json!("AT 1")),
        ("session", "access_token", json!("AT\r\nX: y")),
        ("session", "access_token", json!(7)),
        ("session", "access_token", json!(null)),
        ("session", "refresh_token", json!("")),
        ("session", "refresh_token", json!("RT\u{7f}")),
        ("session", "token_type", json!("Be\narer")),
        ("session", "scopes", json!(["read"])),
        ("session", "expires_at", json!(-1)),
        ("session", "obtained_at", json!("now")),
        ("session", "extra", json!({ "id_token": 1 })),
        ("login", "state", json!("guess")),
        ("login", "state", json!("&".repeat(43))),
        ("login", "verifier", json!("")),
        ("login", "deadline", json!(1.5)),
    ];
    for (part, member, value) in damages {
        let error = damaged(|json| json[*part][*member] = value.clone());
        assert_eq!(
            error,
            Some(RestoreError::Damaged),
            "{part}.{member}: {value}"
        );
    }
    let elsewhere = damaged(|json| json["login"]["redirect_uri"] = json!("http://evil.example/"));
    assert_eq!(elsewhere, Some(RestoreError::RedirectUri));
    for text in [
        "",
        "{",
        "[]",
        "null",
        "\"version\"",
        "{\"version\":\"1\"}",
        "{}",
    ] {
        let read = Snapshot::from_json(text.as_bytes());
        assert_eq!(read, Err(RestoreError::Damaged), "{text}");
    }
}

#[test]
fn a_damaged_snapshot_is_not_quoted() {
    let json = json!({ "version": 1, "session": { "access_token": ["SECRET"] } }).to_string();
    let error = Snapshot::from_json(json.as_bytes()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("SECRET"));
    let saved = Scenario::new().authorized().awaiting_code().saved();
    let shown = format!("{saved:?}");
    assert!(
        !shown.contains("AT-1") && !shown.contains("RT-1"),
        "{shown}"
    );
}

/// Far below that there is nobody who counts so far, and far above it there is room to go on.
#[test]
fn a_counter_beyond_2_to_the_62_is_refused() {
    for counter in ["/requests", "/serials", "/session/serial"] {
        for (count, is_sound) in [(1_u64 << 62, true), ((1 << 62) + 1, false)] {
            let s = Scenario::new().authorized();
            let mut json: Value =
                serde_json::from_str(s.flow.snapshot().to_json().expose()).unwrap();
            *json.pointer_mut(counter).unwrap() = json!(count);
            let client = s.flow.client().clone();
            let saved = Snapshot::from_json(json.to_string().as_bytes()).unwrap();
            let restored = AuthFlow::restore(client, saved, s.now).map(drop);
            let expected = is_sound.then_some(()).ok_or(RestoreError::Damaged);
            assert_eq!(restored, expected, "{counter} {count}");
        }
    }
}

#[test]
fn a_damaged_counter_does_not_bring_the_program_down() {
    for counter in ["requests", "serials"] {
        let s = Scenario::new().authorized();
        let mut json: Value = serde_json::from_str(s.flow.snapshot().to_json().expose()).unwrap();
        json[counter] = json!(u64::MAX);
        let client = s.flow.client().clone();
        let saved = Snapshot::from_json(json.to_string().as_bytes());
        // Refusing it would do as well.
        if let Ok(flow) = saved.and_then(|saved| AuthFlow::restore(client, saved, s.now)) {
            let mut s = Scenario::going_on_with(flow, s.now);
            s.refresh().answer(tokens("AT-2"));
            assert_eq!(s.access_token(), Some("AT-2"), "{counter}");
        }
    }
}
