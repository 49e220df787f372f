//! Expired: the access token has ended or was refused. Also the clock, late answers, and restarts of
//! a session.

mod support;

use authflow::{Activity, Event, Misuse, State, TokenSet};
use serde_json::json;
use support::scenario::*;

fn is_backoff(s: &Scenario) -> bool {
    matches!(s.flow.activity(), Activity::Backoff { .. })
}

#[test]
fn the_end_of_the_token_is_told_once_and_at_its_millisecond() {
    let mut s = Scenario::with(|client| client.auto_refresh(false)).authorized();
    s.after(LIFETIME - std::time::Duration::from_millis(1));
    s.stays_put(Event::Tick);
    assert_eq!(s.access_token(), Some("AT-1"));
    s.after(std::time::Duration::from_millis(1));
    assert_eq!(s.access_token(), None); // by the clock alone
    s.tick();
    assert_eq!((s.said().as_str(), s.state()), ("Expired", State::Expired));
    assert_eq!(s.flow.deadline(), None);
    s.stays_put(Event::Tick);
    s.after(secs(86_400)).stays_put(Event::Tick);
    assert_eq!(s.said(), "");
}

#[test]
fn a_refresh_makes_it_authorized_again() {
    let mut s = Scenario::new().authorized().expired_refreshing();
    s.answer(tokens("AT-2"));
    assert_eq!(s.said(), "Persist, Refreshed");
    assert_eq!(
        (s.state(), s.access_token()),
        (State::Authorized, Some("AT-2"))
    );

    let manual = Scenario::with(|client| client.auto_refresh(false));
    let mut s = manual.authorized().expired();
    s.refresh();
    assert_eq!(s.said(), "Send");
    s.stays_put(Event::Refresh);
    s.answer(tokens("AT-2"));
    assert_eq!(s.state(), State::Authorized);
}

#[test]
fn a_refresh_that_fails_leaves_it_expired() {
    let mut s = Scenario::new().authorized().expired_refreshing();
    s.answer(status(503));
    assert_eq!(
        (s.said().as_str(), s.wait()),
        ("RefreshFailed", Some(secs(1)))
    );
    s.tick_at_deadline().answer(no_answer());
    assert_eq!(s.wait(), Some(secs(2)));
    s.tick_at_deadline().answer(oauth_error("invalid_scope"));
    assert_eq!((s.state(), s.flow.deadline()), (State::Expired, None));
    s.refresh().answer(oauth_error("invalid_grant"));
    assert_eq!(s.said(), "Persist, RefreshFailed");
    assert_eq!((s.state(), s.flow.deadline()), (State::Expired, None));
    s.refuses(Event::Refresh, Misuse::NoRefreshToken);
}

#[test]
fn without_a_refresh_token_only_a_login_helps() {
    let mut s = Scenario::new().without_refresh_token().expired();
    assert_eq!(s.flow.deadline(), None);
    assert!(!s.flow.can_refresh());
    s.refuses(Event::Refresh, Misuse::NoRefreshToken);
    let s = s.authorized();
    assert_eq!(s.access_token(), Some("AT-1"));
}

#[test]
fn another_401_changes_nothing() {
    let sessions: [Walk; 3] = [Scenario::expired, Scenario::expired_refreshing, |s| {
        s.expired().parked()
    }];
    for session in sessions {
        let mut s = session(Scenario::new().authorized());
        let serial = s.serial();
        s.stays_put(Event::TokenRejected { serial });
        assert_eq!(s.said(), "");
    }
}

#[test]
fn misuse_callbacks_and_strange_replies_change_nothing() {
    let sessions: [Walk; 3] = [Scenario::expired, Scenario::expired_refreshing, |s| {
        s.expired().rejected()
    }];
    for session in sessions {
        let mut s = session(Scenario::new().authorized());
        s.refuses(Event::CancelLogin, Misuse::NoLogin);
        let callback = s.callback("code=c");
        s.stays_put(callback);
        assert_eq!(s.said(), "NotOurs, CallbackIgnored");
        let id = authflow::RequestId::from_u64(404);
        s.stays_put(Event::Response {
            id,
            result: tokens("AT"),
        });
        assert_eq!(s.said(), "StaleResponse");
        s.stays_put(Event::Tick);
        assert_eq!(s.said(), "");
    }
}

#[test]
fn tokens_can_be_adopted_unless_a_refresh_is_in_flight() {
    let adopt = |s: &Scenario| {
        let end = s.now.saturating_add(LIFETIME);
        Event::AdoptTokens(TokenSet::new("AT-5").expires_at(end))
    };
    let sessions: [Walk; 3] = [
        Scenario::expired,
        |s| s.expired().parked(),
        |s| s.expired().rejected(),
    ];
    for session in sessions {
        let mut s = session(Scenario::new().authorized());
        s.fire(adopt(&s));
        assert_eq!(
            (s.said().as_str(), s.state()),
            ("Persist", State::Authorized)
        );
        assert_eq!(s.access_token(), Some("AT-5"));
    }
    let mut s = Scenario::new().authorized().expired_refreshing();
    let event = adopt(&s);
    s.refuses(event, Misuse::RefreshInFlight);
}

#[test]
fn logging_out_ends_it() {
    for session in [Scenario::expired, Scenario::expired_refreshing] {
        let mut s = session(Scenario::new().authorized());
        s.fire(Event::LogOut);
        assert_eq!(
            (s.said().as_str(), s.state()),
            ("Persist, SessionEnded", State::Unauthorized)
        );
        s.answer(tokens("AT-2"));
        assert_eq!(s.said(), "StaleResponse");
    }
}

#[test]
fn a_login_that_fails_leaves_it_expired_and_one_that_works_replaces_it() {
    let mut s = Scenario::new()
        .authorized()
        .expired()
        .parked()
        .awaiting_code();
    s.redirect("error=access_denied");
    assert_eq!(s.state(), State::Expired);
    let s = s.authorized();
    assert_eq!(
        (s.state(), s.flow.activity()),
        (State::Authorized, Activity::Idle)
    );
}

// Late answers.

#[test]
fn a_late_success_is_taken_whatever_has_happened_since() {
    let since: [Walk; 8] = [
        |s| s,
        |s| s.refreshing(),
        |s| s.parked(),
        |s| s.rejected(),
        |s| s.expired(),
        |s| s.expired_refreshing(),
        |s| s.expired().parked(),
        |s| s.expired().rejected(),
    ];
    for since in since {
        let mut s = Scenario::new().authorized().given_up();
        let late = s.request().id();
        assert!(is_backoff(&s));
        s = since(s);
        let more = json!({ "refresh_token": "RT-2", "expires_in": 86_400 });
        s.answer_to(late, tokens_with("AT-2", more));
        assert_eq!(s.said(), "Persist, Refreshed");
        assert_eq!(
            (s.state(), s.flow.activity()),
            (State::Authorized, Activity::Idle)
        );
        assert_eq!(
            (s.access_token(), s.flow.can_refresh()),
            (Some("AT-2"), true)
        );
        assert_eq!(s.refresh_token().as_deref(), Some("RT-2"));
        // Counted from when that request was sent, not from now.
        assert_eq!(s.expires_at(), START.saturating_add(secs(86_400)));
        let newest = s.request().id();
        s.stays_put(Event::Response {
            id: newest,
            result: tokens("AT-3"),
        });
        assert_eq!(s.said(), "StaleResponse");
    }
}

#[test]
fn a_late_success_withdraws_the_newer_request() {
    let mut s = Scenario::new().authorized().given_up();
    let id = s.request().id();
    s.flow.handle(Event::Refresh, s.now).unwrap();
    let result = tokens("AT-2");
    s.flow
        .handle(Event::Response { id, result }, s.now)
        .unwrap();
    assert_eq!(s.drain().said(), "Persist, Refreshed");
}

#[test]
fn a_late_failure_is_stale() {
    for reply in [
        oauth_error("invalid_grant"),
        no_answer(),
        status(503),
        status(200),
    ] {
        let mut s = Scenario::new().authorized().given_up().refreshing();
        let id = s.requests[1].id();
        s.stays_put(Event::Response { id, result: reply });
        assert_eq!(s.said(), "StaleResponse");
    }
}

#[test]
fn a_late_success_is_stale_once_other_tokens_have_come() {
    let adopt: fn(&mut Scenario) = |s| {
        s.fire(Event::AdoptTokens(TokenSet::new("AT-9")));
    };
    let refresh: fn(&mut Scenario) = |s| {
        s.refresh().answer(tokens("AT-9"));
    };
    let log_in: fn(&mut Scenario) = |s| {
        s.begin().redirect("code=c").answer(tokens("AT-9"));
    };
    for replace in [adopt, refresh, log_in] {
        let mut s = Scenario::new().authorized().given_up();
        let id = s.request().id();
        replace(&mut s);
        s.stays_put(Event::Response {
            id,
            result: tokens("AT-2"),
        });
        assert_eq!(
            (s.said().as_str(), s.access_token()),
            ("StaleResponse", Some("AT-9"))
        );
    }
}

#[test]
fn several_requests_may_be_late() {
    let mut s = Scenario::new()
        .authorized()
        .given_up()
        .given_up()
        .given_up();
    let ids: Vec<_> = s.requests[1..].iter().map(|request| request.id()).collect();
    s.answer_to(ids[0], no_answer());
    s.answer_to(ids[1], tokens("AT-2"));
    assert_eq!(s.said(), "Persist, Refreshed");
    s.answer_to(ids[2], tokens("AT-3"));
    assert_eq!(
        (s.said().as_str(), s.access_token()),
        ("StaleResponse", Some("AT-2"))
    );
}

// The clock.

#[test]
fn a_clock_that_goes_back_a_little_changes_nothing() {
    let mut s = Scenario::new().authorized();
    s.clock_goes_back(LEEWAY).stays_put(Event::Tick);
    assert_eq!(s.access_token(), Some("AT-1"));
}

#[test]
fn a_token_from_the_future_is_not_believed_and_never_again() {
    let mut s = Scenario::new().authorized();
    s.clock_goes_back(LEEWAY + secs(1));
    assert_eq!(s.access_token(), None);
    s.tick();
    assert_eq!(
        (s.said().as_str(), s.state()),
        ("Send, Expired", State::Expired)
    );

    for session in [Scenario::parked, Scenario::rejected, Scenario::expired] {
        let mut s = session(Scenario::new().authorized());
        s.clock_goes_back(LIFETIME * 2).tick();
        assert_eq!((s.state(), s.access_token()), (State::Expired, None));
        s.now = START.saturating_add(secs(120));
        s.tick();
        assert_eq!((s.state(), s.access_token()), (State::Expired, None));
    }
}

#[test]
fn a_clock_that_goes_back_makes_no_wait_longer_than_it_was() {
    let mut s = Scenario::new().authorized().refreshing();
    s.clock_goes_back(secs(86_400)).tick();
    assert_eq!(
        (s.said().as_str(), s.wait()),
        ("Expired", Some(REQUEST_TIMEOUT))
    );
    let s = Scenario::new().authorized();
    let mut s = s.refresh_answered(retry_after(503, "300"));
    s.after(secs(100)).clock_goes_back(secs(86_400)).tick();
    assert_eq!(s.wait(), Some(secs(300)));
    s.tick_at_deadline();
    assert_eq!(s.said(), "Send");
}

#[test]
fn a_clock_that_went_back_during_a_refresh_gives_a_usable_session() {
    for back in [secs(30), secs(86_400)] {
        let mut s = Scenario::new().authorized().refreshing();
        s.clock_goes_back(back).answer(tokens("AT-2"));
        // Authorized means that there is a token to use; else it is expired, and on its way.
        let usable = s.flow.access_token(s.now).is_some();
        assert_eq!(s.state() == State::Authorized, usable, "{back:?} back");
        assert!(s.wait() <= Some(LIFETIME), "waits {:?}", s.wait());
    }
}

#[test]
fn everything_that_is_due_after_a_long_sleep_happens_in_one_call() {
    let cases: [(Walk, &str); 6] = [
        (|s| s, "Send, Expired"),
        (|s| s.refreshing(), "RefreshFailed, Expired"),
        (|s| s.backoff(), "Send, Expired"),
        (|s| s.rejected(), "Expired"),
        (|s| s.expired(), "Send"),
        (|s| s.expired_refreshing(), "RefreshFailed"),
    ];
    for (session, said) in cases {
        let mut s = session(Scenario::new().authorized());
        s.after(secs(86_400 * 365)).tick();
        assert_eq!((s.said().as_str(), s.state()), (said, State::Expired));
        s.stays_put(Event::Tick);
    }
}

// No storm.

/// How many requests an hour makes, driven by the deadlines alone.
fn requests_in_an_hour(mut s: Scenario, reply: impl Fn() -> Reply, latency: u64) -> usize {
    let (end, before) = (s.now.saturating_add(secs(3600)), s.requests.len());
    while let Some(at) = s.flow.deadline().filter(|at| *at < end) {
        s.now = s.now.max(at);
        s.tick();
        if s.said().contains("Send") {
            s.after(secs(latency)).answer(reply());
        }
        let next = s.flow.deadline();
        assert!(
            next.is_none_or(|next| next > s.now),
            "a busy loop at {next:?}"
        );
    }
    s.requests.len() - before
}

#[test]
fn no_server_can_cause_a_storm() {
    let session = || Scenario::new().authorized().expired();
    let zero = || tokens_with("AT-2", json!({ "expires_in": 0 }));
    let negative = || tokens_with("AT-2", json!({ "expires_in": -1 }));
    let ended = || tokens_with("AT-2", json!({ "expires_in": 2 }));
    let bound = 6 + 60; // 1, 2, 4, … s, then one a minute
    assert!(requests_in_an_hour(session(), zero, 0) <= bound);
    assert!(requests_in_an_hour(session(), negative, 0) <= bound);
    assert!(requests_in_an_hour(session(), ended, 2) <= bound);
    assert!(requests_in_an_hour(session(), || status(503), 0) <= bound);
    assert!(requests_in_an_hour(session(), || retry_after(429, "0"), 0) <= bound);
    assert!(requests_in_an_hour(session(), || oauth_error("made_up"), 0) <= 1);
    assert!(requests_in_an_hour(session(), || oauth_error("invalid_grant"), 0) <= 1);
}

#[test]
fn tokens_that_live_for_a_second_are_fetched_twice_a_second_at_most() {
    let second = || tokens_with("AT-2", json!({ "expires_in": 1 }));
    let requests = requests_in_an_hour(Scenario::new().authorized().expired(), second, 0);
    assert!(requests <= 7200, "{requests} requests in an hour");
}
