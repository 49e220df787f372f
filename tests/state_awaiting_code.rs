//! AwaitingCode: a person is in the browser, or their code is being exchanged.

mod support;

use authflow::{
    Activity, CallbackUrl, Cause, Client, Event, IgnoredReason, Misuse, Phase, Provider, State,
    WhatNow,
};
use serde_json::json;
use support::scenario::*;

// In the browser.

#[test]
fn a_callback_may_have_64_kib_and_no_more() {
    for (length, is_accepted) in [(64 << 10, true), ((64 << 10) + 1, false)] {
        let mut s = Scenario::new().awaiting_code();
        let mut url = format!("/callback?state={}&code=", s.state_parameter());
        url.push_str(&"c".repeat(length - url.len()));
        s.fire(Event::Callback {
            url: CallbackUrl::new(url),
        });
        assert_eq!(
            s.flow.activity() == Activity::Exchanging,
            is_accepted,
            "{length}"
        );
    }
}

#[test]
fn a_login_says_where_it_waits_and_by_which_state() {
    let s = Scenario::new();
    assert!(s.flow.redirect_uri().is_none() && s.flow.authorization_url().is_none());
    let s = s.awaiting_code();
    assert_eq!(s.flow.redirect_uri().unwrap().as_str(), REDIRECT_URI);
    let state = s.flow.authorization_url().unwrap().state().unwrap();
    assert_eq!(state.expose(), s.state_parameter());
}

#[test]
fn a_second_login_is_refused_and_the_first_goes_on() {
    let mut s = Scenario::new().awaiting_code();
    let second = s.begin_login();
    s.refuses(second, Misuse::LoginInProgress);
    let mut s = s.exchanging();
    let third = s.begin_login();
    s.refuses(third, Misuse::LoginInProgress);
    s.answer(tokens("AT-1"));
    assert_eq!(s.state(), State::Authorized);
}

#[test]
fn refusal_comes_before_the_clock_moves() {
    let mut s = Scenario::new().awaiting_code();
    let second = s.begin_login();
    s.after(LOGIN_TIMEOUT)
        .refuses(second, Misuse::LoginInProgress);
    s.tick();
    assert_eq!(s.said(), "Persist, LoginFailed");
}

#[test]
fn what_a_server_echoes_of_the_clients_header_is_not_shown() {
    let provider = Provider::new("https://as.example/authorize", "https://as.example/token");
    // Shorter than what is taken for somebody's token.
    let mut s = Scenario::of(Client::builder(provider, "a").secret("b")).exchanging();
    let header = s
        .request()
        .headers()
        .find(|(name, _)| *name == "Authorization");
    assert_eq!(header.unwrap().1, "Basic YTpi");
    let echo = json!({ "error": "invalid_client", "error_description": "not YTpi" });
    s.answer(answer(401, &echo.to_string()));
    let description = s.failure().oauth_error().unwrap().description.clone();
    assert_eq!(description.as_deref(), Some("not [redacted]"));
}

#[test]
fn the_code_is_exchanged() {
    let mut s = Scenario::new().awaiting_code();
    s.after(secs(20))
        .redirect("code=c%2B0de&session_state=unknown");
    assert_eq!(s.said(), "Accepted, Send");
    assert_eq!(s.state(), State::AwaitingCode);
    assert_eq!(s.flow.activity(), Activity::Exchanging);
    assert_eq!(s.wait(), Some(REQUEST_TIMEOUT));

    let request = s.request();
    assert_eq!(request.url(), "https://as.example/token");
    assert_eq!(Some(request.deadline()), s.flow.deadline());
    for part in [
        "grant_type=authorization_code&",
        "&code=c%2B0de&",
        "&redirect_uri=http%3A%2F%2F127.0.0.1%3A8888%2Fcallback&",
        "&code_verifier=",
        "&client_id=client-1",
    ] {
        assert!(
            request.body().contains(part),
            "{part} in {}",
            request.body()
        );
    }
}

#[test]
fn a_callback_that_is_not_this_logins_is_ignored_and_the_login_survives() {
    let mut s = Scenario::new().awaiting_code();
    let state = s.state_parameter();
    let with_state = |query: &str| format!("{query}&state={state}");
    for (query, reason) in [
        ("code=c".to_owned(), IgnoredReason::StateMissing),
        ("code=c&state=".to_owned(), IgnoredReason::StateMissing),
        (
            "code=c&state=wrong".to_owned(),
            IgnoredReason::StateMismatch,
        ),
        (
            with_state("code=c&state=x"),
            IgnoredReason::RepeatedParameter,
        ),
        (
            with_state("code=c&code=d"),
            IgnoredReason::RepeatedParameter,
        ),
        (with_state("code=c&error=e"), IgnoredReason::CodeAndError),
        (with_state("hello=there"), IgnoredReason::Nothing),
        (with_state("code="), IgnoredReason::Nothing),
        (with_state("code=%zz"), IgnoredReason::Malformed),
        (with_state("code=a%00b"), IgnoredReason::Malformed),
        (
            with_state("code=c&access_token=t"),
            IgnoredReason::UnexpectedParameter,
        ),
        (
            with_state("code=c&iss=https://evil.example"),
            IgnoredReason::IssuerMismatch,
        ),
    ] {
        let url = CallbackUrl::from_query(&query);
        s.stays_put(Event::Callback { url });
        assert_eq!(s.said(), "NotOurs, CallbackIgnored");
        assert_eq!(s.ignored().reason, reason, "{query}");
    }
    let url = CallbackUrl::new(format!("/favicon.ico?code=c&state={state}"));
    s.stays_put(Event::Callback { url });
    assert_eq!(s.ignored().reason, IgnoredReason::WrongLocation);
    s.redirect("code=c&iss=https%3A%2F%2Fas.example");
    assert_eq!(s.said(), "Accepted, Send");
}

#[test]
fn a_provider_that_always_names_itself_must() {
    let provider = Provider::new("https://as.example/a", "https://as.example/t")
        .issuer("https://as.example")
        .iss_required();
    let mut s = Scenario::of(authflow::Client::builder(provider, "id")).awaiting_code();
    s.redirect("code=c");
    assert_eq!(s.ignored().reason, IgnoredReason::IssuerMissing);
    s.redirect("code=c&iss=https%3A%2F%2Fas.example");
    assert_eq!(s.flow.activity(), Activity::Exchanging);
}

#[test]
fn an_error_without_the_state_is_only_reported() {
    let mut s = Scenario::new().awaiting_code();
    let url = CallbackUrl::from_query("error=server_error");
    s.stays_put(Event::Callback { url });
    assert_eq!(s.ignored().error.as_deref(), Some("server_error"));
}

#[test]
fn a_person_who_says_no_ends_the_login() {
    let mut s = Scenario::new().awaiting_code();
    s.redirect("error=access_denied&error_description=No+thanks");
    assert_eq!(s.said(), "Denied, Persist, LoginFailed");
    assert_eq!(s.state(), State::Unauthorized);
    assert_eq!(s.failure().phase, Phase::Authorization);
    assert_eq!(s.failure().what_now(), WhatNow::Denied);
    let description = s.failure().oauth_error().unwrap().description.clone();
    assert_eq!(description.as_deref(), Some("No thanks"));
    assert!(s.flow.authorization_url().is_none());
}

#[test]
fn a_login_can_be_cancelled_and_times_out() {
    let mut s = Scenario::new().awaiting_code();
    s.fire(Event::CancelLogin);
    assert_eq!(s.said(), "Persist, LoginFailed");
    assert_eq!(s.failure().cause, Cause::Cancelled);
    assert_eq!(s.state(), State::Unauthorized);

    let mut s = Scenario::new().awaiting_code();
    s.after(LOGIN_TIMEOUT - secs(1)).stays_put(Event::Tick);
    s.after(secs(1)).tick();
    assert_eq!(s.said(), "Persist, LoginFailed");
    assert_eq!(
        (s.failure().phase, &s.failure().cause),
        (Phase::Authorization, &Cause::TimedOut)
    );
    assert_eq!(s.state(), State::Unauthorized);
}

#[test]
fn a_callback_after_the_deadline_is_too_late() {
    let mut s = Scenario::new().awaiting_code();
    s.after(LOGIN_TIMEOUT).redirect("code=c");
    assert_eq!(s.said(), "NotOurs, Persist, LoginFailed, CallbackIgnored");
}

#[test]
fn cancelling_after_the_deadline_is_one_failure_not_two() {
    let mut s = Scenario::new().awaiting_code();
    s.after(LOGIN_TIMEOUT).fire(Event::CancelLogin);
    assert_eq!(s.said(), "Persist, LoginFailed");
    assert_eq!(s.failure().cause, Cause::TimedOut);
}

// Exchanging.

#[test]
fn a_second_callback_changes_nothing() {
    let mut s = Scenario::new().exchanging();
    for query in ["code=c0de", "code=other", "error=access_denied"] {
        let again = s.callback(query);
        s.stays_put(again);
        assert_eq!(s.ignored().reason, IgnoredReason::Duplicate);
    }
    s.answer(tokens("AT-1"));
    assert_eq!(s.said(), "Persist, LoggedIn");
}

#[test]
fn tokens_end_the_login() {
    let mut s = Scenario::new().exchanging();
    s.after(secs(10));
    let more = json!({ "refresh_token": "RT-1", "scope": "read extra", "id_token": "e.y.j" });
    s.answer(tokens_with("AT-1", more));
    assert_eq!(s.said(), "Persist, LoggedIn");
    assert_eq!(s.state(), State::Authorized);
    assert_eq!(s.access_token(), Some("AT-1"));
    let token = s.token();
    // Counted from when the request was sent.
    assert_eq!(token.expires_at(), Some(START.saturating_add(LIFETIME)));
    assert_eq!(token.authorized_at(), Some(START));
    assert_eq!(token.missing_scopes().collect::<Vec<_>>(), ["write"]);
    assert_eq!(token.extra_scopes().collect::<Vec<_>>(), ["extra"]);
    assert_eq!(
        token.extras().get::<String>("id_token").as_deref(),
        Some("e.y.j")
    );
}

#[test]
fn scopes_that_the_server_does_not_mention_are_as_requested() {
    let s = Scenario::new().authorized();
    assert_eq!(s.token().scopes(), s.flow.client().scopes());
    let s = Scenario::new().logged_in_with(json!({ "scope": "" }));
    assert!(s.token().scopes().is_empty());
}

#[test]
fn a_code_is_never_sent_twice() {
    for (reply, what_now) in [
        (no_answer(), "retry"),
        (status(503), "retry"),
        (retry_after(429, "9"), "retry"),
        (status(302), "configuration"),
        (status(200), "retry"),
        (oauth_error("invalid_grant"), "sign_in"),
        (oauth_error("invalid_client"), "configuration"),
    ] {
        let mut s = Scenario::new().exchanging();
        s.answer(reply);
        assert_eq!(s.said(), "Persist, LoginFailed");
        assert_eq!(s.failure().phase, Phase::Exchange);
        assert_eq!(s.failure().what_now().name(), what_now);
        assert_eq!(s.state(), State::Unauthorized);
        assert_eq!(s.flow.deadline(), None);
    }
}

#[test]
fn an_exchange_that_is_cancelled_or_times_out_leaves_a_stale_reply() {
    for end in [Event::CancelLogin, Event::Tick, Event::LogOut] {
        let mut s = Scenario::new().exchanging();
        if matches!(end, Event::Tick) {
            s.after(REQUEST_TIMEOUT);
        }
        s.fire(end);
        assert_eq!(s.state(), State::Unauthorized);
        let reply = Event::Response {
            id: s.request().id(),
            result: tokens("AT-1"),
        };
        s.stays_put(reply);
        assert_eq!(s.said(), "StaleResponse");
    }
}

#[test]
fn an_exchange_times_out_in_its_own_phase() {
    let mut s = Scenario::new().exchanging();
    s.after(REQUEST_TIMEOUT - secs(1)).stays_put(Event::Tick);
    s.after(secs(1)).tick();
    assert_eq!(
        (s.failure().phase, &s.failure().cause),
        (Phase::Exchange, &Cause::TimedOut)
    );
}

#[test]
fn tokens_that_have_ended_on_arrival_are_refreshed_after_a_pause() {
    let mut s = Scenario::new().exchanging();
    s.after(secs(10));
    s.answer(tokens_with(
        "AT-1",
        json!({ "refresh_token": "RT-1", "expires_in": 10 }),
    ));
    assert_eq!(s.said(), "Persist, LoggedIn");
    assert_eq!(s.state(), State::Expired);
    assert_eq!(s.wait(), Some(secs(1)));
    s.tick_at_deadline();
    assert_eq!(s.said(), "Send");
}

#[test]
fn tokens_inside_the_refresh_window_on_arrival_are_refreshed_after_a_pause() {
    let mut s = Scenario::new().exchanging();
    s.after(secs(8));
    s.answer(tokens_with(
        "AT-1",
        json!({ "refresh_token": "RT-1", "expires_in": 10 }),
    ));
    assert_eq!(s.state(), State::Authorized);
    assert_eq!(s.wait(), Some(secs(1)));
}

#[test]
fn a_lifetime_of_zero_is_unknown_without_a_refresh_token_and_over_with_one() {
    let s = Scenario::new().logged_in_with(json!({ "expires_in": 0 }));
    assert_eq!(s.state(), State::Authorized);
    assert_eq!((s.token().expires_at(), s.flow.deadline()), (None, None));

    let zero = json!({ "expires_in": 0, "refresh_token": "RT-1" });
    let s = Scenario::new().logged_in_with(zero);
    assert_eq!(s.state(), State::Expired);
    assert_eq!(s.wait(), Some(secs(1)));

    let s = Scenario::new().logged_in_with(json!({ "expires_in": -5 }));
    assert_eq!((s.state(), s.flow.deadline()), (State::Expired, None));
}

// What is queued and no longer wanted is withdrawn.

/// Handles events without draining in between, as a program that is slow does.
fn undrained(mut s: Scenario, events: Vec<Event>) -> String {
    for event in events {
        s.flow.handle(event, s.now).unwrap();
    }
    s.drain().said()
}

#[test]
fn a_url_that_was_not_opened_is_withdrawn() {
    for end in [Event::CancelLogin, Event::LogOut] {
        let mut s = Scenario::new();
        let begin = s.begin_login();
        let said = undrained(s, vec![begin, end]);
        assert!(!said.contains("OpenUrl"), "{said}");
    }
}

#[test]
fn an_exchange_that_was_not_sent_is_withdrawn() {
    for end in [Event::CancelLogin, Event::LogOut] {
        let s = Scenario::new().awaiting_code();
        let code = s.callback("code=c");
        let said = undrained(s, vec![code, end]);
        assert!(said.starts_with("Accepted, Persist, "), "{said}");
        assert!(!said.contains("Send"), "{said}");
    }
    let mut s = Scenario::new().awaiting_code();
    let code = s.callback("code=c");
    s.flow.handle(code, s.now).unwrap();
    s.after(REQUEST_TIMEOUT);
    s.flow.handle(Event::Tick, s.now).unwrap();
    assert_eq!(s.drain().said(), "Accepted, Persist, LoginFailed");
}

// The clock.

#[test]
fn a_clock_that_goes_back_makes_no_wait_longer_than_it_was() {
    let mut s = Scenario::new().awaiting_code();
    s.clock_goes_back(secs(86_400)).tick();
    assert_eq!(s.wait(), Some(LOGIN_TIMEOUT));
    let mut s = s.exchanging();
    s.clock_goes_back(secs(86_400)).tick();
    assert_eq!(s.wait(), Some(REQUEST_TIMEOUT));
    s.tick_at_deadline();
    assert_eq!(s.said(), "Persist, LoginFailed");
}

#[test]
fn a_clock_that_went_back_during_the_exchange_gives_a_usable_session() {
    for back in [secs(30), secs(3 * 3600)] {
        let mut s = Scenario::new().exchanging();
        s.clock_goes_back(back);
        s.answer(tokens_with("AT-1", json!({ "refresh_token": "RT-1" })));
        // Authorized means that there is a token to use; else it is expired, and on its way.
        let usable = s.flow.access_token(s.now).is_some();
        assert_eq!(s.state() == State::Authorized, usable, "{back:?} back");
        assert!(
            s.wait() <= Some(LIFETIME),
            "{back:?} back: waits {:?}",
            s.wait()
        );
    }
}
