//! Beside the code flow: an app's own token, a backend that swaps, revocation, tokens that another
//! process has saved. All by hand, without any IO.

mod support;

use std::time::Duration;

use authflow::{
    AuthFlow, CallbackUrl, Cause, Client, ClientAuth, ClientBuilder, ClientCredentialsRequest,
    ConfigError, Event, HttpRequest, HttpResponse, Phase, Provider, RestoreError, State, Timestamp,
    TokenSwap, TransportError, TransportErrorKind, WhatNow,
};
use serde_json::json;
use support::scenario::Scenario;
use support::{reply, scenario};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn provider() -> Provider {
    Provider::new("https://as.example/authorize", "https://as.example/token")
}

fn app() -> ClientBuilder {
    Client::builder(provider(), "the-app").secret("the-secret")
}

/// The form's pairs, in order.
fn form(request: &HttpRequest) -> Vec<(String, String)> {
    url::form_urlencoded::parse(request.body().as_bytes())
        .into_owned()
        .collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
    pairs.iter().map(own).collect()
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let mut headers = request.headers();
    headers
        .find(|(own, _)| *own == name)
        .map(|(_, value)| value)
}

// --- client credentials ---------------------------------------------------------------------------

#[test]
fn an_app_asks_for_a_token_by_its_id_and_secret() {
    let client = app().scopes(["a", "b"]).build().unwrap();
    let request = ClientCredentialsRequest::new(&client, NOW).unwrap();
    assert_eq!(request.request().url(), "https://as.example/token");
    let expected = pairs(&[("grant_type", "client_credentials"), ("scope", "a b")]);
    assert_eq!(form(request.request()), expected);
    let basic = header(request.request(), "Authorization");
    assert_eq!(basic, Some("Basic dGhlLWFwcDp0aGUtc2VjcmV0"));
}

#[test]
fn an_app_may_show_its_secret_in_the_body() {
    let client = app().auth(ClientAuth::Body).build().unwrap();
    let request = ClientCredentialsRequest::new(&client, NOW).unwrap();
    let expected = pairs(&[
        ("grant_type", "client_credentials"),
        ("client_id", "the-app"),
        ("client_secret", "the-secret"),
    ]);
    assert_eq!(form(request.request()), expected);
    assert_eq!(header(request.request(), "Authorization"), None);
}

#[test]
fn a_client_without_a_secret_is_no_app() {
    let client = Client::builder(provider(), "the-app").build().unwrap();
    let refused = ClientCredentialsRequest::new(&client, NOW);
    assert_eq!(refused.unwrap_err(), ConfigError::SecretMissing);
}

#[test]
fn an_apps_token_goes_into_a_flow_and_ends_there() {
    let client = app().scopes(["a"]).build().unwrap();
    let request = ClientCredentialsRequest::new(&client, NOW).unwrap();
    let body = r#"{"access_token":"AT","token_type":"bearer","expires_in":3600,"refresh_token":"RT","x":1}"#;
    let later = NOW.saturating_add(Duration::from_secs(20));
    let tokens = request.read(&client, Ok(HttpResponse::new(200, body)), later);
    let mut flow = AuthFlow::new(client);
    flow.handle(Event::AdoptTokens(tokens.unwrap()), later)
        .unwrap();
    let token = flow.access_token(later).unwrap();
    let end = NOW.saturating_add(Duration::from_secs(3600));
    assert_eq!(token.expires_at(), Some(end), "counted from the request");
    assert_eq!(token.extras().get("x"), Some(1));
    assert_eq!(token.scopes().as_str(), "a");
    assert_eq!(token.authorized_at(), None, "nobody was asked");
    assert!(!flow.can_refresh(), "and nobody's consent goes on");
    flow.handle(Event::Tick, end).unwrap();
    assert_eq!(flow.state(), State::Expired);
}

#[test]
fn an_app_that_is_refused_is_told_what_now() {
    let client = app().build().unwrap();
    let request = ClientCredentialsRequest::new(&client, NOW).unwrap();
    let answer = HttpResponse::new(400, r#"{"error":"invalid_client"}"#);
    let failure = request.read(&client, Ok(answer), NOW).unwrap_err();
    assert_eq!(failure.phase, Phase::ClientCredentials);
    assert_eq!(failure.what_now(), WhatNow::Configuration);
    let lost = TransportError {
        kind: TransportErrorKind::Timeout,
        may_have_been_sent: true,
    };
    let failure = request.read(&client, Err(lost), NOW).unwrap_err();
    assert_eq!(failure.what_now(), WhatNow::Retry { after: None });
}

#[test]
fn what_an_app_sent_is_not_shown_if_the_server_echoes_it() {
    let client = app().build().unwrap();
    let request = ClientCredentialsRequest::new(&client, NOW).unwrap();
    let echo = r#"{"error":"invalid_client","error_description":"not the-secret, not dGhlLWFwcDp0aGUtc2VjcmV0"}"#;
    let failure = request.read(&client, Ok(HttpResponse::new(401, echo)), NOW);
    let shown = format!("{:?} {request:?}", failure.unwrap_err());
    assert!(
        !shown.contains("the-secret") && !shown.contains("dGhl"),
        "{shown}"
    );
}

// --- token swap -----------------------------------------------------------------------------------

fn swap() -> TokenSwap {
    TokenSwap::new("https://me.example/swap", "https://me.example/refresh")
}

fn swapping(swap: TokenSwap) -> Scenario {
    Scenario::of(Client::builder(provider(), "the-client").token_swap(swap))
}

#[test]
fn a_backend_gets_the_code_and_nothing_else() {
    let mut s = swapping(swap()).awaiting_code();
    let url = s.flow.authorization_url().unwrap().as_str().to_owned();
    assert!(
        !url.contains("code_challenge"),
        "nobody could verify it: {url}"
    );
    s.redirect("code=a%2Fb");
    let request = s.request();
    assert_eq!(request.url(), "https://me.example/swap");
    assert_eq!(form(request), pairs(&[("code", "a/b")]));
    assert_eq!(header(request, "Authorization"), None);
}

#[test]
fn a_backend_that_knows_pkce_gets_the_verifier_too() {
    let mut s = swapping(swap().with_pkce()).awaiting_code();
    let url = s.flow.authorization_url().unwrap().as_str().to_owned();
    assert!(url.contains("code_challenge_method=S256"));
    s.redirect("code=c");
    let names: Vec<_> = form(s.request())
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["code", "redirect_uri", "code_verifier"]);
}

#[test]
fn a_backend_gets_the_refresh_token_and_nothing_else() {
    let mut s = swapping(swap()).exchanging();
    let body = r#"{"access_token":"AT","expires_in":"3600","refresh_token":"handle-1"}"#;
    s.answer(reply::answer(200, body)).refresh();
    let request = s.request();
    assert_eq!(request.url(), "https://me.example/refresh");
    assert_eq!(form(request), pairs(&[("refresh_token", "handle-1")]));
    assert_eq!(header(request, "Authorization"), None);
    s.answer(reply::answer(200, r#"{"access_token":"AT-2"}"#));
    assert!(s.flow.can_refresh(), "the old one goes on");
}

#[test]
fn a_secret_stays_with_the_backend() {
    let client = app().token_swap(swap());
    assert_eq!(
        client.build().unwrap_err(),
        ConfigError::SecretBesideTokenSwap
    );
}

#[test]
fn a_backend_is_reached_by_https() {
    for (to, back) in [
        ("http://me.example/swap", "https://me.example/refresh"),
        ("https://me.example/swap", "http://127.0.0.1/refresh"),
        ("https://u:p@me.example/swap", "https://me.example/refresh"),
        ("swap", "https://me.example/refresh"),
    ] {
        let client = Client::builder(provider(), "c").token_swap(TokenSwap::new(to, back));
        let error = client.build().unwrap_err();
        assert!(matches!(error, ConfigError::Endpoint { .. }), "{to} {back}");
    }
}

#[test]
fn a_saved_login_is_bound_to_where_its_refresh_token_goes() {
    let snapshot = swapping(swap()).authorized().flow.snapshot();
    let elsewhere = [
        Client::builder(provider(), "the-client"),
        Client::builder(provider(), "the-client").token_swap(TokenSwap::new(
            "https://me.example/swap",
            "https://evil.example/refresh",
        )),
    ];
    for client in elsewhere {
        let restored = AuthFlow::restore(client.build().unwrap(), snapshot.clone(), NOW);
        assert_eq!(restored.unwrap_err(), RestoreError::OtherClient);
    }
}

// --- revocation -----------------------------------------------------------------------------------

fn revocable() -> ClientBuilder {
    let provider = provider().revocation_endpoint("https://as.example/revoke?v=1");
    Client::builder(provider, "the-client")
}

#[test]
fn both_tokens_are_revoked_the_refresh_token_first() {
    let s = Scenario::of(revocable()).authorized();
    let requests: Vec<_> = s.flow.revocation_requests(s.now).collect();
    let session = serde_json::from_str::<serde_json::Value>(s.flow.snapshot().to_json().expose());
    let session = &session.unwrap()["session"];
    let expected = ["refresh_token", "access_token"].map(|hint| {
        pairs(&[
            ("token", session[hint].as_str().unwrap()),
            ("token_type_hint", hint),
            ("client_id", "the-client"),
        ])
    });
    let forms: Vec<_> = requests.iter().map(|it| form(it.request())).collect();
    assert_eq!(forms, expected);
    for request in &requests {
        assert_eq!(request.request().url(), "https://as.example/revoke?v=1");
        let token = form(request.request()).remove(0).1;
        assert!(!format!("{request:?}").contains(&token));
    }
}

#[test]
fn nobody_is_told_where_there_is_nobody_to_tell() {
    let no_endpoint = scenario::client();
    let no_session = Scenario::of(revocable()).unauthorized();
    let a_backends = Scenario::of(revocable().token_swap(swap())).authorized();
    for s in [
        Scenario::of(no_endpoint).authorized(),
        no_session,
        a_backends,
    ] {
        assert_eq!(s.flow.revocation_requests(s.now).count(), 0);
    }
}

#[test]
fn a_revocation_is_done_unless_the_server_says_otherwise() {
    let s = Scenario::of(revocable()).authorized();
    let client = revocable().build().unwrap();
    let revocation = s.flow.revocation_requests(s.now).next().unwrap();
    let read =
        |status, body: &str| revocation.read(&client, Ok(HttpResponse::new(status, body)), s.now);
    for (status, body) in [
        (200, ""),
        (200, "{}"),
        (200, "\u{0}"),
        (200, "<html>"),
        (204, ""),
    ] {
        assert_eq!(read(status, body), Ok(()), "{status} {body}");
    }
    let unsupported = read(400, r#"{"error":"unsupported_token_type"}"#).unwrap_err();
    assert_eq!(unsupported.phase, Phase::Revocation);
    assert_eq!(
        unsupported.oauth_error().unwrap().code,
        "unsupported_token_type"
    );
    let busy = HttpResponse::new(503, "busy").with_header("Retry-After", "7");
    let busy = revocation.read(&client, Ok(busy), s.now).unwrap_err();
    assert_eq!(busy.retry_after(), Some(Duration::from_secs(7)));
    assert!(matches!(read(302, "").unwrap_err().cause, Cause::Http(_)));
    assert!(matches!(read(401, "").unwrap_err().cause, Cause::Http(_)));
}

#[test]
fn a_revocation_endpoint_is_reached_by_https() {
    let provider = provider().revocation_endpoint("http://as.example/revoke");
    assert!(matches!(
        Client::builder(provider, "the-app").build(),
        Err(ConfigError::Endpoint { .. })
    ));
}

// --- tokens of another process, a code without a state ----------------------------------------------

#[test]
fn tokens_of_a_snapshot_are_adopted_with_all_that_is_known_of_them() {
    let more = json!({"refresh_token_expires_in": 1000, "id_token": "IT", "scope": "a"});
    let s = Scenario::new().logged_in_with(more);
    let mut other = Scenario::new().authorized();
    let client = scenario::client().build().unwrap();
    let tokens = s.flow.snapshot().tokens(&client, s.now).unwrap().unwrap();
    other.fire(Event::AdoptTokens(tokens));
    let (own, adopted) = (s.flow.snapshot().to_json(), other.flow.snapshot().to_json());
    let session = |json: &str| {
        let mut value: serde_json::Value = serde_json::from_str(json).unwrap();
        let mut session = value["session"].take();
        session["serial"] = 0.into();
        session
    };
    assert_eq!(session(own.expose()), session(adopted.expose()));
    let serial = other
        .flow
        .access_token(other.now)
        .unwrap()
        .serial()
        .as_u64();
    assert_eq!(serial, 2, "serials never repeat");
}

#[test]
fn a_rejection_is_adopted_too() {
    let s = Scenario::new().authorized().rejected();
    let client = scenario::client().build().unwrap();
    let tokens = s.flow.snapshot().tokens(&client, s.now).unwrap().unwrap();
    let mut other = Scenario::new().authorized();
    other.fire(Event::AdoptTokens(tokens));
    assert!(!other.flow.can_refresh());
}

#[test]
fn a_snapshot_without_a_session_has_no_tokens_and_anothers_are_not_taken() {
    let client = scenario::client().build().unwrap();
    let empty = Scenario::new().unauthorized().flow.snapshot();
    assert_eq!(empty.tokens(&client, NOW), Ok(None));
    let others = swapping(swap()).authorized().flow.snapshot();
    assert_eq!(others.tokens(&client, NOW), Err(RestoreError::OtherClient));
}

#[test]
fn a_bare_code_is_taken_by_its_own_call_only() {
    let mut s = Scenario::new().awaiting_code();
    let bare = CallbackUrl::from_query("code=c%20o");
    s.fire(Event::Callback { url: bare });
    assert_eq!(s.flow.state(), State::AwaitingCode);
    let url = s.flow.callback_of_bare_code(" c o ").unwrap();
    s.fire(Event::Callback { url });
    assert!(form(s.request()).contains(&("code".to_owned(), "c o".to_owned())));
}

#[test]
fn a_bare_code_needs_a_login_that_waits() {
    assert!(
        Scenario::new()
            .unauthorized()
            .flow
            .callback_of_bare_code("c")
            .is_none()
    );
    let mut s = Scenario::new().awaiting_code();
    let url = s.flow.callback_of_bare_code("").unwrap();
    s.fire(Event::Callback { url });
    assert_eq!(s.flow.state(), State::AwaitingCode, "it is no code");
}
