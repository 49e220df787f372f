//! Authorized: there is a token to use, and it is refreshed before it ends.

mod support;

use authflow::{Activity, Event, Misuse, Notice, State, Timestamp, TokenSerial, TokenSet};
use serde_json::json;
use support::scenario::*;

#[test]
fn the_token_is_there_with_what_is_known_about_it() {
    let s = Scenario::new().authorized();
    let token = s.token();
    assert_eq!(token.authorization().unwrap().expose(), "Bearer AT-1");
    assert_eq!(token.serial(), TokenSerial::from_u64(1));
    assert_eq!(token.expires_at(), Some(START.saturating_add(LIFETIME)));
    assert_eq!(token.authorized_at(), Some(START));
    assert!(s.flow.can_refresh());
    assert_eq!(s.flow.activity(), Activity::Idle);
}

#[test]
fn a_token_of_another_type_makes_no_bearer_header() {
    let s = Scenario::new().logged_in_with(json!({ "token_type": "DPoP" }));
    assert_eq!(s.token().token_type().as_str(), "DPoP");
    assert!(s.token().authorization().is_err());
}

// When it is refreshed.

#[test]
fn it_is_refreshed_the_leeway_before_its_end() {
    let mut s = Scenario::new().authorized();
    let due = s.expires_at().saturating_sub(LEEWAY);
    assert_eq!(s.flow.deadline(), Some(due));
    s.now = Timestamp::from_millis(due.as_millis() - 1);
    s.stays_put(Event::Tick);
    s.now = due;
    s.tick();
    assert_eq!(s.said(), "Send");
    assert_eq!(s.state(), State::Authorized);
    assert_eq!(s.access_token(), Some("AT-1")); // good until it ends
    s.stays_put(Event::Tick);
    assert_eq!(s.said(), "");
}

#[test]
fn the_leeway_is_at_most_half_of_the_tokens_life() {
    for (lifetime, wait) in [(1000, 940), (121, 61), (120, 60), (60, 30), (10, 5)] {
        let more = json!({ "refresh_token": "RT-1", "expires_in": lifetime });
        assert_eq!(
            Scenario::new().logged_in_with(more).wait(),
            Some(secs(wait)),
            "{lifetime} s"
        );
    }
    // Of its whole life, which begins when the request is sent.
    let mut s = Scenario::new().authorized().refreshing();
    s.after(secs(20))
        .answer(tokens_with("AT-2", json!({ "expires_in": 100 })));
    assert_eq!(s.wait(), Some(secs(30)));
}

#[test]
fn without_automatic_refresh_or_a_refresh_token_only_its_end_is_waited_for() {
    let manual = Scenario::with(|client| client.auto_refresh(false)).authorized();
    assert_eq!(manual.wait(), Some(LIFETIME));
    let mut s = Scenario::new().without_refresh_token();
    assert_eq!(s.wait(), Some(LIFETIME));
    assert!(!s.flow.can_refresh());
    s.refuses(Event::Refresh, Misuse::NoRefreshToken);
}

#[test]
fn a_token_of_unknown_lifetime_is_good_until_the_api_says_401() {
    let unknown = json!({ "expires_in": null, "refresh_token": "RT-1" });
    let mut s = Scenario::new().logged_in_with(unknown);
    assert_eq!(s.flow.deadline(), None);
    s.after(secs(1 << 30)).stays_put(Event::Tick);
    s.clock_goes_back(secs(1 << 31)).stays_put(Event::Tick);
    assert_eq!(s.access_token(), Some("AT-1"));
    s.api_says_401();
    assert_eq!(s.said(), "Send, Expired");
}

// Refreshing.

#[test]
fn a_refresh_sends_the_refresh_token_and_is_joined() {
    let mut s = Scenario::new().authorized();
    s.refresh();
    assert_eq!(s.said(), "Send");
    assert_eq!(s.flow.activity(), Activity::Refreshing);
    assert_eq!(
        s.request().body(),
        "grant_type=refresh_token&refresh_token=RT-1&client_id=client-1"
    );
    assert_eq!(s.wait(), Some(REQUEST_TIMEOUT));
    s.stays_put(Event::Refresh);
    assert_eq!(s.said(), "");
}

#[test]
fn new_tokens_take_the_place_of_the_old() {
    let mut s = Scenario::new().logged_in_with(json!({ "refresh_token": "RT-1", "id_token": "1" }));
    s.after(secs(100)).refresh();
    let sent = s.now;
    let more = json!({ "refresh_token": "RT-2", "scope": "read", "session": 5 });
    s.after(secs(3)).answer(tokens_with("AT-2", more));
    assert_eq!(s.said(), "Persist, Refreshed");
    assert_eq!(
        (s.state(), s.flow.activity()),
        (State::Authorized, Activity::Idle)
    );
    let token = s.token();
    assert_eq!(token.secret().expose(), "AT-2");
    assert_eq!(token.serial(), TokenSerial::from_u64(2));
    assert_eq!(token.expires_at(), Some(sent.saturating_add(LIFETIME)));
    assert_eq!(token.authorized_at(), Some(START)); // the consent is as old as it was
    assert_eq!(token.missing_scopes().collect::<Vec<_>>(), ["write"]);
    assert_eq!(token.extras().names().collect::<Vec<_>>(), ["session"]);
    assert_eq!(s.refresh_token().as_deref(), Some("RT-2"));
    s.refresh();
    assert!(s.request().body().contains("refresh_token=RT-2"));
}

#[test]
fn what_the_server_leaves_out_stays() {
    for left_out in [
        json!({}),
        json!({ "refresh_token": "" }),
        json!({ "refresh_token": null }),
    ] {
        let narrow = json!({ "refresh_token": "RT-1", "scope": "read" });
        let mut s = Scenario::new().logged_in_with(narrow).refreshing();
        s.answer(tokens_with("AT-2", left_out));
        assert_eq!(s.refresh_token().as_deref(), Some("RT-1"));
        assert_eq!(s.token().scopes().as_str(), "read");
    }
}

#[test]
fn a_null_member_is_the_same_as_none() {
    let mut s = Scenario::new().authorized().refreshing();
    let body = r#"{"access_token":"AT-2","refresh_token":null,"scope":null,"expires_in":null}"#;
    s.answer(answer(200, body));
    assert_eq!(s.refresh_token().as_deref(), Some("RT-1"));
    assert_eq!(s.token().scopes(), s.flow.client().scopes());
    assert_eq!(s.token().expires_at(), None);
}

// Failures that pass.

#[test]
fn a_refresh_that_may_work_later_is_tried_again() {
    let transient = [
        no_answer(),
        status(429),
        status(500),
        status(503),
        answer(503, r#"{"error":"temporarily_unavailable"}"#),
    ];
    for reply in transient {
        let mut s = Scenario::new().authorized().refresh_answered(reply);
        assert_eq!(s.said(), "RefreshFailed");
        assert_eq!(s.failure().what_now().name(), "retry");
        let until = s.now.saturating_add(secs(1));
        assert_eq!(s.flow.activity(), Activity::Backoff { until });
        assert_eq!((s.retry_at, s.flow.deadline()), (Some(until), Some(until)));
        assert_eq!(
            (s.state(), s.access_token()),
            (State::Authorized, Some("AT-1"))
        );
        assert!(s.flow.can_refresh());
        s.stays_put(Event::Tick);
        s.tick_at_deadline();
        assert_eq!(s.said(), "Send");
    }
}

#[test]
fn the_pause_doubles_up_to_a_minute_and_starts_over_after_a_success() {
    let mut s = Scenario::new().authorized().backoff();
    let mut pauses = vec![s.wait().unwrap().as_secs()];
    for _ in 0..8 {
        s.tick_at_deadline().answer(status(503));
        pauses.push(s.wait().unwrap().as_secs());
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    s.tick_at_deadline().answer(tokens("AT-2"));
    let s = s.backoff();
    assert_eq!(s.wait(), Some(secs(1)));
}

#[test]
fn refresh_overrides_the_pause_and_the_next_one_is_longer_all_the_same() {
    let s = Scenario::new().authorized().backoff().backoff().backoff();
    assert_eq!(s.wait(), Some(secs(4)));
}

#[test]
fn retry_after_counts_where_it_is_longer() {
    // START is 2023-11-14 22:13:20 UTC.
    for (asked, wait) in [
        ("0", 1),
        ("120", 120),
        ("86400", 86_400),
        ("Tue, 14 Nov 2023 22:15:20 GMT", 120),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 1),
        ("Tuesday, 14-Nov-23 22:15:20 GMT", 120),
        ("-5", 1),
        ("soon", 1),
        ("", 1),
    ] {
        for code in [429, 503] {
            let s = Scenario::new().authorized();
            let s = s.refresh_answered(retry_after(code, asked));
            assert_eq!(
                s.retry_at,
                Some(s.now.saturating_add(secs(wait))),
                "{asked}"
            );
        }
    }
    let s = Scenario::new().authorized().backoff().backoff();
    let s = s.refresh_answered(retry_after(429, "2"));
    assert_eq!(s.wait(), Some(secs(4))); // its own is longer
}

#[test]
fn a_long_pause_is_reported_in_full_and_the_token_ends_in_between() {
    let s = Scenario::new().authorized();
    let mut s = s.refresh_answered(retry_after(429, "86400"));
    assert_eq!(s.retry_at, Some(s.now.saturating_add(secs(86_400))));
    assert_eq!(s.failure().retry_after(), Some(secs(86_400)));
    s.tick_at_deadline();
    assert_eq!((s.said().as_str(), s.state()), ("Expired", State::Expired));
    assert_eq!(Some(s.now), Some(START.saturating_add(LIFETIME)));
    s.tick_at_deadline();
    assert_eq!(
        (s.said().as_str(), s.now),
        ("Send", START.saturating_add(secs(86_400)))
    );
}

#[test]
fn no_answer_in_time_is_a_failure_that_passes() {
    let mut s = Scenario::new().authorized().refreshing();
    s.after(REQUEST_TIMEOUT - secs(1)).stays_put(Event::Tick);
    s.after(secs(1)).tick();
    assert_eq!(s.said(), "RefreshFailed");
    assert_eq!(s.failure().name(), "timed_out");
    assert_eq!(s.retry_at, Some(s.now.saturating_add(secs(1))));
    assert_eq!(s.wait(), Some(secs(1)));
}

// Failures that don't.

#[test]
fn a_failure_that_a_retry_will_not_mend_waits_for_refresh() {
    let replies = [
        oauth_error("invalid_client"),
        oauth_error("unauthorized_client"),
        oauth_error("made_up"),
        answer(200, r#"{"error":"whatever"}"#),
        status(302),
        status(404),
        status(200),
        answer(200, r#"{"token_type":"Bearer"}"#),
    ];
    for reply in replies {
        let mut s = Scenario::new().authorized().refresh_answered(reply);
        assert_eq!(s.said(), "RefreshFailed");
        assert_eq!((s.retry_at, s.flow.activity()), (None, Activity::Idle));
        assert_eq!(s.flow.deadline(), Some(s.expires_at()));
        assert!(s.flow.can_refresh());
        s.now = s.expires_at().saturating_sub(secs(1));
        s.stays_put(Event::Tick);
        s.refresh().answer(tokens("AT-2"));
        assert_eq!(s.said(), "Persist, Refreshed");
        assert_eq!(s.wait(), Some(LIFETIME - LEEWAY)); // automatic again
    }
}

#[test]
fn a_refused_refresh_token_is_kept_but_not_tried_again() {
    let mut s = Scenario::new().authorized().rejected();
    assert_eq!(s.said(), "Persist, RefreshFailed");
    assert_eq!(s.failure().what_now().name(), "sign_in");
    assert_eq!(s.retry_at, None);
    assert!(!s.flow.can_refresh());
    assert_eq!(s.access_token(), Some("AT-1"));
    assert_eq!(s.refresh_token().as_deref(), Some("RT-1"));
    assert_eq!(s.flow.deadline(), Some(s.expires_at()));
    s.refuses(Event::Refresh, Misuse::NoRefreshToken);
    let s = s.authorized();
    assert!(s.flow.can_refresh());
}

// Rejection by the API, adoption, logging out.

#[test]
fn a_401_for_the_current_token_expires_it_and_for_an_older_one_nothing() {
    let mut s = Scenario::new().authorized();
    let first = s.serial();
    s.refresh().answer(tokens("AT-2"));
    s.stays_put(Event::TokenRejected { serial: first });
    assert_eq!(s.notices(), [&Notice::StaleRejection(first)]);
    s.api_says_401();
    assert_eq!(s.said(), "Send, Expired");
    assert_eq!((s.state(), s.access_token()), (State::Expired, None));
}

#[test]
fn a_401_while_refreshing_waits_for_that_refresh_and_in_a_pause_for_its_end() {
    let mut s = Scenario::new().authorized().refreshing();
    s.api_says_401();
    assert_eq!(s.said(), "Expired");
    assert_eq!(s.flow.activity(), Activity::Refreshing);
    for session in [Scenario::backoff, Scenario::parked, Scenario::rejected] {
        let mut s = session(Scenario::new().authorized());
        let activity = s.flow.activity();
        s.api_says_401();
        assert_eq!(s.said(), "Expired");
        assert_eq!((s.state(), s.flow.activity()), (State::Expired, activity));
    }
}

#[test]
fn adopted_tokens_replace_the_session() {
    let set = || TokenSet::new("AT-5").refresh_token("RT-5");
    for session in [
        Scenario::backoff,
        Scenario::parked,
        Scenario::rejected,
        |s| s,
    ] {
        let narrow = json!({ "refresh_token": "RT-1", "scope": "read", "id_token": "1" });
        let mut s = session(Scenario::new().logged_in_with(narrow));
        s.fire(Event::AdoptTokens(set()));
        assert_eq!(s.said(), "Persist");
        assert_eq!(
            (s.state(), s.flow.activity()),
            (State::Authorized, Activity::Idle)
        );
        assert_eq!(
            (s.access_token(), s.flow.can_refresh()),
            (Some("AT-5"), true)
        );
        assert_eq!(s.token().scopes().as_str(), "read"); // nothing else was said
        assert_eq!(s.serial(), TokenSerial::from_u64(2));
    }
    let mut s = Scenario::new().authorized().refreshing();
    s.refuses(Event::AdoptTokens(set()), Misuse::RefreshInFlight);
}

#[test]
fn logging_out_forgets_everything_and_the_reply_to_a_refresh() {
    for session in [
        Scenario::backoff,
        Scenario::parked,
        Scenario::rejected,
        Scenario::refreshing,
    ] {
        let mut s = session(Scenario::new().authorized());
        s.fire(Event::LogOut);
        assert_eq!(s.said(), "Persist, SessionEnded");
        assert_eq!((s.state(), s.flow.deadline()), (State::Unauthorized, None));
        let saved = s.flow.snapshot().to_json();
        assert!(!saved.expose().contains("T-1"), "{}", saved.expose());
        let id = s.request().id();
        s.stays_put(Event::Response {
            id,
            result: tokens("AT-2"),
        });
        assert_eq!(s.said(), "StaleResponse");
    }
}

#[test]
fn a_refresh_that_was_not_sent_is_withdrawn() {
    let mut s = Scenario::new().authorized();
    s.flow.handle(Event::Refresh, s.now).unwrap();
    s.flow.handle(Event::LogOut, s.now).unwrap();
    assert_eq!(s.drain().said(), "Persist, SessionEnded");

    let mut s = Scenario::new().authorized();
    s.flow.handle(Event::Refresh, s.now).unwrap();
    s.after(REQUEST_TIMEOUT);
    s.flow.handle(Event::Tick, s.now).unwrap();
    assert_eq!(s.drain().said(), "RefreshFailed");
}

#[test]
fn there_is_no_login_to_cancel_and_no_callback_to_take() {
    let mut s = Scenario::new().awaiting_code();
    let late = s.callback("code=again");
    s.redirect("code=c").answer(tokens("AT-1"));
    s.stays_put(late);
    assert_eq!(s.said(), "NotOurs, CallbackIgnored");
    s.refuses(Event::CancelLogin, Misuse::NoLogin);
}
