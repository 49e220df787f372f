//! Unauthorized: nobody is logged in. Also what is true of saving and restoring in general.

mod support;

use authflow::{
    Activity, AuthFlow, CallbackUrl, Event, IgnoredReason, LoginSecrets, Misuse, Notice, RequestId,
    State, TokenSerial, TokenSet, spotify,
};
use support::scenario::*;

#[test]
fn a_new_flow_waits_for_nothing() {
    let s = Scenario::new();
    assert_eq!(s.state(), State::Unauthorized);
    assert_eq!(s.flow.activity(), Activity::Idle);
    assert_eq!(s.flow.deadline(), None);
    assert_eq!(s.flow.sign_in_due(), None);
    assert!(!s.flow.can_refresh());
    assert!(s.flow.access_token(s.now).is_none());
    assert!(s.flow.authorization_url().is_none());
    assert!(!s.flow.snapshot().has_session());
}

#[test]
fn time_alone_changes_nothing() {
    let mut s = Scenario::new();
    s.stays_put(Event::Tick);
    s.after(secs(1 << 40)).stays_put(Event::Tick);
    s.clock_goes_back(secs(1 << 41)).stays_put(Event::Tick);
    assert_eq!(s.said(), "");
}

#[test]
fn a_login_is_saved_before_the_browser_opens() {
    let mut s = Scenario::new();
    s.begin();
    assert_eq!(s.said(), "Persist, OpenUrl");
    assert_eq!(s.state(), State::AwaitingCode);
    assert_eq!(s.flow.activity(), Activity::Idle);
    assert_eq!(s.wait(), Some(LOGIN_TIMEOUT));

    let url = s.flow.authorization_url().unwrap();
    let url = url.as_str();
    assert!(url.starts_with("https://as.example/authorize?response_type=code&client_id=client-1&"));
    for part in [
        "&redirect_uri=http%3A%2F%2F127.0.0.1%3A8888%2Fcallback&",
        "&scope=read%20write&",
        "&code_challenge_method=S256",
        &format!("&state={}&", s.state_parameter()),
    ] {
        assert!(url.contains(part), "{part} in {url}");
    }
    let opened = s.actions.iter().find_map(|action| match action {
        authflow::Action::OpenUrl(url) => Some(url.as_str()),
        _ => None,
    });
    assert_eq!(opened, Some(url));
}

#[test]
fn the_same_inputs_give_the_same_outputs() {
    let walk = || Scenario::new().authorized().given_up().awaiting_code();
    let (one, other) = (walk(), walk());
    assert_eq!(one.actions, other.actions);
    assert_eq!(one.requests, other.requests);
    assert_eq!(one.view(), other.view());
}

#[test]
fn a_redirect_uri_that_the_provider_does_not_take_is_refused() {
    let spotify = spotify::client("id").build().unwrap();
    let event = Event::BeginLogin {
        secrets: LoginSecrets::from_entropy([7; 64]),
        redirect_uri: spotify.redirect_uri("my-app://callback").unwrap(),
    };
    Scenario::new().refuses(event, Misuse::RedirectUriNotAllowed);
}

#[test]
fn there_is_no_login_to_cancel_and_no_session_to_refresh() {
    let mut s = Scenario::new();
    s.refuses(Event::CancelLogin, Misuse::NoLogin);
    s.refuses(Event::Refresh, Misuse::NoSession);
}

#[test]
fn callbacks_responses_and_rejections_are_nobodys() {
    let mut s = Scenario::new();
    for query in ["code=c&state=s", "error=access_denied", "", "%zz"] {
        let url = CallbackUrl::from_query(query);
        s.stays_put(Event::Callback { url });
        assert_eq!(s.said(), "NotOurs, CallbackIgnored");
        assert_eq!(s.ignored().reason, IgnoredReason::NoLogin);
    }
    let id = RequestId::from_u64(3);
    for result in [tokens("AT"), no_answer()] {
        s.stays_put(Event::Response { id, result });
        assert_eq!(s.notices(), [&Notice::StaleResponse(id)]);
    }
    let serial = TokenSerial::from_u64(0);
    s.stays_put(Event::TokenRejected { serial });
    assert_eq!(s.notices(), [&Notice::StaleRejection(serial)]);
}

#[test]
fn adopted_tokens_are_a_session() {
    let mut s = Scenario::new();
    let end = s.now.saturating_add(LIFETIME);
    let set = TokenSet::new("AT-2")
        .refresh_token("RT-2")
        .expires_at(end)
        .scopes(authflow::Scopes::new(["read"]).unwrap());
    s.fire(Event::AdoptTokens(set));
    assert_eq!(s.said(), "Persist");
    assert_eq!(s.state(), State::Authorized);
    assert_eq!(s.access_token(), Some("AT-2"));
    assert_eq!(s.token().expires_at(), Some(end));
    assert_eq!(s.token().missing_scopes().collect::<Vec<_>>(), ["write"]);
    assert_eq!(s.flow.deadline(), Some(end.saturating_sub(LEEWAY)));
    s.refresh();
    assert!(s.request().body().contains("refresh_token=RT-2"));
}

#[test]
fn adopted_tokens_without_an_end_are_good_until_the_api_says_401() {
    let mut s = Scenario::new();
    s.fire(Event::AdoptTokens(TokenSet::new("AT-2").refresh_token("")));
    assert!(!s.flow.can_refresh()); // an empty one is none
    assert_eq!(s.flow.deadline(), None);
    assert_eq!(s.token().scopes(), s.flow.client().scopes());
    s.after(secs(1 << 30)).stays_put(Event::Tick);
    s.api_says_401();
    assert_eq!(s.said(), "Expired");
    assert_eq!(s.state(), State::Expired);
}

#[test]
fn adopted_tokens_that_have_ended_are_refreshed_at_once_or_are_expired() {
    let ended = |s: &Scenario| TokenSet::new("AT-2").expires_at(s.now);
    let mut s = Scenario::new();
    s.fire(Event::AdoptTokens(ended(&s).refresh_token("RT-2")));
    assert_eq!(s.said(), "Persist, Send, Expired");
    assert_eq!(s.flow.activity(), Activity::Refreshing);

    let mut s = Scenario::new();
    s.fire(Event::AdoptTokens(ended(&s)));
    assert_eq!(s.said(), "Persist, Expired");
    assert_eq!(s.state(), State::Expired);
    assert_eq!(s.flow.deadline(), None);
}

#[test]
fn whatever_was_adopted_can_be_saved_and_restored() {
    for token in ["", "two words", "line\r\nbreak", "\u{e9}"] {
        let mut s = Scenario::new();
        let set = TokenSet::new(token).refresh_token("RT-2");
        let refused = s.try_fire(Event::AdoptTokens(set)).is_err();
        let client = s.flow.client().clone();
        let restored = AuthFlow::restore(client, s.saved(), s.now).map(|flow| flow.can_refresh());
        assert_eq!(restored, Ok(!refused), "{token:?}");
    }
}

#[test]
fn logging_out_is_said_even_if_nobody_is_logged_in() {
    let mut s = Scenario::new();
    s.stays_put(Event::LogOut);
    assert_eq!(s.said(), "Persist, SessionEnded");
}
