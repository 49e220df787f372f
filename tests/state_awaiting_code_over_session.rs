//! AwaitingCode over a session: logging in again keeps the old session until new tokens arrive.

mod support;

use authflow::{Activity, Event, Misuse, RequestId, State, TokenSet};
use serde_json::json;
use support::scenario::*;

#[test]
fn the_old_token_is_good_until_the_new_one_comes() {
    let mut s = Scenario::new().authorized().awaiting_code();
    assert_eq!(s.state(), State::AwaitingCode);
    assert_eq!(s.access_token(), Some("AT-1"));
    assert!(s.flow.can_refresh());
    let first = s.serial();
    s.redirect("code=c");
    assert_eq!(s.access_token(), Some("AT-1"));
    s.answer(tokens("AT-2"));
    assert_eq!(s.said(), "Persist, LoggedIn");
    assert_eq!(s.access_token(), Some("AT-2"));
    assert!(s.serial() > first);
    assert_eq!(s.refresh_token(), None); // nothing of the old session is mixed in
}

#[test]
fn a_login_that_comes_to_nothing_leaves_the_session_as_it_was() {
    let sessions: [fn() -> Scenario; 7] = [
        || Scenario::new().authorized(),
        || Scenario::new().authorized().refreshing(),
        || Scenario::new().authorized().backoff(),
        || Scenario::new().authorized().rejected(),
        || Scenario::new().authorized().expired(),
        || Scenario::new().authorized().expired_refreshing(),
        || Scenario::new().authorized().expired().parked(),
    ];
    for session in sessions {
        let before = session().view();
        let mut denied = session().awaiting_code();
        denied.redirect("error=access_denied");
        let mut cancelled = session().awaiting_code();
        cancelled.fire(Event::CancelLogin);
        let mut cancelled_late = session().exchanging();
        cancelled_late.fire(Event::CancelLogin);
        let mut failed = session().exchanging();
        failed.answer(oauth_error("invalid_grant"));
        for s in [denied, cancelled, cancelled_late, failed] {
            let mut after = s.view();
            after.saved.clone_from(&before.saved); // the request counter has moved on
            assert_eq!(after, before);
            assert_eq!(s.refresh_token().as_deref(), Some("RT-1"));
        }
    }
}

#[test]
fn a_login_that_times_out_goes_back_to_the_session() {
    let mut s = Scenario::new().authorized().awaiting_code();
    s.after(LOGIN_TIMEOUT).tick();
    assert_eq!(s.said(), "Persist, LoginFailed");
    assert_eq!(s.state(), State::Authorized);
    let mut s = s.exchanging();
    s.after(REQUEST_TIMEOUT).tick();
    assert_eq!(s.state(), State::Authorized);
}

#[test]
fn a_refresh_in_flight_survives_the_login() {
    let mut s = Scenario::new().authorized().refreshing();
    let refresh = s.request().id();
    s.begin();
    assert_eq!(s.said(), "Persist, OpenUrl");
    assert_eq!(s.flow.activity(), Activity::Refreshing);
    s.redirect("code=c");
    assert_eq!(s.flow.activity(), Activity::Exchanging);
    s.answer_to(refresh, tokens("AT-2"));
    assert_eq!(s.said(), "Persist, Refreshed");
    assert_eq!(
        (s.state(), s.access_token()),
        (State::AwaitingCode, Some("AT-2"))
    );
    s.answer(tokens("AT-3"));
    assert_eq!(
        (s.state(), s.access_token()),
        (State::Authorized, Some("AT-3"))
    );
}

#[test]
fn new_tokens_make_every_older_refresh_stale() {
    let mut s = Scenario::new().authorized().given_up().refreshing();
    let [_, given_up, in_flight] = [0, 1, 2].map(|at: usize| s.requests[at].id());
    s.begin().redirect("code=c").answer(tokens("AT-9"));
    assert_eq!(s.flow.activity(), Activity::Idle);
    for id in [given_up, in_flight] {
        let result = tokens("AT-old");
        s.stays_put(Event::Response { id, result });
        assert_eq!(s.said(), "StaleResponse");
    }
}

#[test]
fn a_refresh_that_was_not_sent_is_withdrawn_when_new_tokens_arrive() {
    let mut s = Scenario::new().authorized().exchanging();
    let exchange = s.request().id();
    s.flow.handle(Event::Refresh, s.now).unwrap();
    let result = tokens("AT-2");
    let reply = Event::Response {
        id: exchange,
        result,
    };
    s.flow.handle(reply, s.now).unwrap();
    assert_eq!(s.drain().said(), "Persist, LoggedIn");
}

#[test]
fn the_session_goes_on_under_the_login() {
    let mut s = Scenario::new().authorized().awaiting_code();
    s.refresh();
    assert_eq!(s.said(), "Send");
    s.answer(status(503));
    assert!(matches!(s.flow.activity(), Activity::Backoff { .. }));
    assert_eq!(s.wait(), Some(secs(1)));
    s.tick_at_deadline();
    assert_eq!(s.said(), "Send");
    s.answer(oauth_error("invalid_grant"));
    assert_eq!(s.said(), "Persist, RefreshFailed");
    s.refuses(Event::Refresh, Misuse::NoRefreshToken);
    s.api_says_401();
    assert_eq!(s.said(), "Expired");
    assert_eq!((s.state(), s.access_token()), (State::AwaitingCode, None));
    s.fire(Event::CancelLogin);
    assert_eq!(s.state(), State::Expired);
}

#[test]
fn the_token_may_end_and_be_refreshed_under_the_login() {
    let patient = |client: authflow::ClientBuilder| client.login_timeout(LIFETIME * 2);
    let mut s = Scenario::with(patient).authorized().awaiting_code();
    s.tick_at_deadline();
    assert_eq!(s.now, s.expires_at().saturating_sub(LEEWAY));
    assert_eq!(s.said(), "Send");
    s.answer(oauth_error("made_up"));
    s.tick_at_deadline();
    assert_eq!((s.said().as_str(), s.now), ("Expired", s.expires_at()));
    assert_eq!(s.state(), State::AwaitingCode);
}

#[test]
fn a_late_refresh_is_still_good_under_the_login() {
    let mut s = Scenario::new().authorized().given_up();
    let late = s.request().id();
    s.begin().answer_to(late, tokens("AT-2"));
    assert_eq!(s.said(), "Persist, Refreshed");
    assert_eq!(
        (s.state(), s.access_token()),
        (State::AwaitingCode, Some("AT-2"))
    );
}

#[test]
fn tokens_can_be_adopted_under_the_login() {
    for exchanging in [false, true] {
        let mut s = Scenario::new().awaiting_code();
        if exchanging {
            s.redirect("code=c");
        }
        s.fire(Event::AdoptTokens(TokenSet::new("AT-5")));
        assert_eq!(s.said(), "Persist");
        assert_eq!(
            (s.state(), s.access_token()),
            (State::AwaitingCode, Some("AT-5"))
        );
        let mut s = Scenario::new().authorized().refreshing().awaiting_code();
        let adopt = Event::AdoptTokens(TokenSet::new("AT-5"));
        s.refuses(adopt, Misuse::RefreshInFlight);
    }
}

#[test]
fn without_a_session_there_is_nothing_to_refresh_or_reject() {
    for s in [
        Scenario::new().awaiting_code(),
        Scenario::new().exchanging(),
    ] {
        let mut s = s;
        s.refuses(Event::Refresh, Misuse::NoSession);
        let serial = s.serial();
        s.stays_put(Event::TokenRejected { serial });
        assert_eq!(s.said(), "StaleRejection");
        let id = RequestId::from_u64(99);
        let result = tokens("AT");
        s.stays_put(Event::Response { id, result });
        assert_eq!(s.said(), "StaleResponse");
    }
}

#[test]
fn logging_out_drops_both() {
    let mut s = Scenario::new().authorized().refreshing().exchanging();
    s.fire(Event::LogOut);
    assert_eq!(s.said(), "Persist, SessionEnded");
    assert_eq!(s.state(), State::Unauthorized);
    assert!(!s.flow.snapshot().has_session());
    for id in [1, 2] {
        let id = s.requests[id].id();
        s.stays_put(Event::Response {
            id,
            result: tokens("AT"),
        });
        assert_eq!(s.said(), "StaleResponse");
    }
}

#[test]
fn logging_out_withdraws_all_that_was_not_sent() {
    let mut s = Scenario::new().authorized();
    let begin = s.begin_login();
    for event in [begin, Event::Refresh] {
        s.flow.handle(event, s.now).unwrap();
    }
    let code = s.callback("code=c");
    s.flow.handle(code, s.now).unwrap();
    s.flow.handle(Event::LogOut, s.now).unwrap();
    let said = s.drain().said();
    assert!(
        !said.contains("Send") && !said.contains("OpenUrl"),
        "{said}"
    );
}

#[test]
fn everything_that_is_due_after_a_long_sleep_happens_in_one_call() {
    let mut s = Scenario::new().authorized().awaiting_code();
    s.after(secs(86_400)).tick();
    assert_eq!(s.said(), "Persist, Send, LoginFailed, Expired");
    let mut s = Scenario::new().authorized().refreshing().exchanging();
    s.after(secs(86_400)).tick();
    assert_eq!(s.said(), "Persist, LoginFailed, RefreshFailed, Expired");
    assert_eq!(s.state(), State::Expired);
}

#[test]
fn a_clock_that_goes_back_shortens_both_waits() {
    let mut s = Scenario::new().authorized().expired().awaiting_code();
    s.clock_goes_back(secs(7200)).tick();
    assert_eq!(s.wait(), Some(secs(1))); // the backoff's
    s.tick_at_deadline();
    assert_eq!(s.said(), "Send");
    s.answer(oauth_error("made_up"));
    assert_eq!(s.wait(), Some(LOGIN_TIMEOUT - secs(1)));
}

#[test]
fn consent_is_dated_by_the_login_that_brought_it() {
    let month = json!({ "refresh_token": "RT-1", "refresh_token_expires_in": 2_592_000 });
    let mut s = Scenario::new().logged_in_with(month);
    let first = s.flow.sign_in_due();
    s.after(secs(86_400));
    let s = s.authorized();
    assert_eq!(s.token().authorized_at(), Some(s.now));
    assert_ne!(s.flow.sign_in_due(), first);
    assert_eq!(s.flow.sign_in_due(), None); // this time the server did not say
}
