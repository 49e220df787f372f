//! A client with a secret: its own tokens, and codes that it exchanges for others.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::testing::Endpoint;

const BASIC: &str = "fake-client:s";
const NO_PKCE: [(&str, &str); 2] = [("code_challenge", "-"), ("code_challenge_method", "-")];

fn with_basic(server: &mut Server, form: &[(&str, &str)], now: Duration) -> Reply {
    let form = serde_urlencoded::to_string(form).unwrap();
    let basic = format!("Basic {}", STANDARD.encode(BASIC));
    let request = Request::post("/api/token", &form).with_header("Authorization", &basic);
    server.handle(&request, now)
}

/// What a token-swap backend posts: no client in the body, and a verifier only if it got one.
fn swap(server: &mut Server, code: &str, more: &[(&str, &str)]) -> Reply {
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT),
    ];
    form.extend(more);
    with_basic(server, &form, at(1))
}

#[test]
fn a_code_without_a_challenge_is_exchanged_without_a_verifier() {
    let mut server = server(FakeProvider::builder().client_secret("s"));
    let code = code(&mut server, &NO_PKCE, at(0));
    let tokens = json(&swap(&mut server, &code, &[]));
    let access = token(&tokens, "access_token");
    assert_eq!(me(&mut server, &access, at(1)).status, 200);
    let refresh_token = token(&tokens, "refresh_token");
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token.as_str()),
    ];
    assert_eq!(with_basic(&mut server, &form, at(1)).status, 200);
    let again = swap(&mut server, &code, &[]);
    assert_eq!(
        refused(&again, 400),
        "invalid_grant: Invalid authorization code"
    );
}

#[test]
fn a_code_with_a_challenge_is_exchanged_with_its_verifier_only() {
    let mut server = server(FakeProvider::builder().client_secret("s"));
    let code = code(&mut server, &[], at(0));
    let none = swap(&mut server, &code, &[]);
    assert_eq!(
        refused(&none, 400),
        "invalid_request: code_verifier required"
    );
    let other = "a".repeat(43);
    let wrong = swap(&mut server, &code, &[("code_verifier", &other)]);
    assert_eq!(
        refused(&wrong, 400),
        "invalid_grant: code_verifier was incorrect"
    );
    let right = swap(&mut server, &code, &[("code_verifier", VERIFIER)]);
    assert_eq!(right.status, 200);
}

#[test]
fn a_client_without_a_secret_gets_no_code_without_a_challenge() {
    let mut server = server(FakeProvider::builder());
    let target = format!("/authorize?{}", authorize_query(&NO_PKCE));
    let reply = server.handle(&Request::get(&target), at(0));
    assert_eq!(parameters(location(&reply))["error"], "invalid_request");
}

#[test]
fn each_app_token_is_fresh_and_lives_as_long_as_it_says() {
    let mut server = server(
        FakeProvider::builder()
            .client_secret("s")
            .expires_in(at(60)),
    );
    let mut app = |now| {
        let form = [("grant_type", "client_credentials")];
        json(&with_basic(&mut server, &form, now))
    };
    let (first, second) = (app(at(0)), app(at(30)));
    assert_eq!(first["expires_in"], 60);
    let (first, second) = (
        token(&first, "access_token"),
        token(&second, "access_token"),
    );
    assert_ne!(first, second);
    assert_eq!(echo(&mut server, &first, at(59)).status, 200);
    assert_eq!(echo(&mut server, &first, at(60)).status, 401);
    assert_eq!(echo(&mut server, &second, at(89)).status, 200);
    assert_eq!(echo(&mut server, &second, at(90)).status, 401);
    assert_eq!(server.live_refresh_tokens(at(30)), 0);
}

#[test]
fn an_app_token_opens_the_echo_and_nobodys_profile() {
    let provider = FakeProvider::builder().client_secret("s").start().unwrap();
    provider.set_expires_in(at(5));
    let form = "grant_type=client_credentials&client_id=fake-client&client_secret=s";
    let tokens = json(&send_form(&provider, form).unwrap());
    assert_eq!(tokens["expires_in"], 5);
    let access = token(&tokens, "access_token");
    assert_eq!(send(&provider, &api_request(&access)).unwrap().status, 401);
    let request = api_request(&access).replace("/v1/me", "/v1/echo");
    assert_eq!(send(&provider, &request).unwrap().status, 200);

    let record = provider.requests(Endpoint::Token);
    assert_eq!(record[0].grant_type(), Some("client_credentials"));
    assert_eq!(record[0].status(), Some(200));
    provider.expire_access_tokens();
    assert_eq!(send(&provider, &request).unwrap().status, 401);
}
