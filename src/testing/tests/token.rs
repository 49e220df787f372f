//! Client authentication, codes and app tokens at the token endpoint, without sockets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

#[test]
fn a_code_becomes_tokens_once() {
    let mut server = server(FakeProvider::builder());
    let code = code(
        &mut server,
        &[("scope", "streaming  user-read-email")],
        at(0),
    );
    let reply = exchange(&mut server, &code, at(599));
    assert_eq!(reply.status, 200, "{}", text(&reply));
    assert_eq!(header(&reply.headers, "cache-control"), Some("no-store"));
    let tokens = json(&reply);
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 3600);
    assert_eq!(tokens["scope"], "streaming user-read-email");

    let again = exchange(&mut server, &code, at(599));
    assert_eq!(
        refused(&again, 400),
        "invalid_grant: Invalid authorization code"
    );
    assert_eq!(
        me(&mut server, &token(&tokens, "access_token"), at(599)).status,
        200
    );
    assert_eq!(
        refresh(&mut server, &token(&tokens, "refresh_token"), at(599)).status,
        200
    );
}

#[test]
fn a_code_that_comes_twice_ends_the_login_if_so_ordered() {
    let mut server = server(FakeProvider::builder().code_reuse_revokes(true));
    let code = code(&mut server, &[], at(0));
    let tokens = json(&exchange(&mut server, &code, at(0)));
    exchange(&mut server, &code, at(0));
    assert_eq!(
        me(&mut server, &token(&tokens, "access_token"), at(0)).status,
        401
    );
    let reply = refresh(&mut server, &token(&tokens, "refresh_token"), at(0));
    assert_eq!(refused(&reply, 400), "invalid_grant: Refresh token revoked");
}

#[test]
fn a_wrong_exchange_is_refused_in_spotifys_words_and_costs_nothing() {
    let mut server = server(FakeProvider::builder());
    let code = code(&mut server, &[], at(0));
    let right = exchange_form(&code);
    let other = "a".repeat(43);
    for (from, to, answer) in [
        (
            "grant_type=authorization_code",
            "x=y",
            "unsupported_grant_type: grant_type parameter is missing",
        ),
        (
            "grant_type=authorization_code",
            "grant_type=password",
            "unsupported_grant_type: Unknown grant_type",
        ),
        (
            "client_id=fake-client",
            "client_id=other",
            "invalid_client: Invalid client",
        ),
        (
            "client_id=fake-client",
            "x=y",
            "invalid_client: Invalid client",
        ),
        (
            "client_id=fake-client",
            "client_id=fake-client&client_secret=s",
            "invalid_client: Invalid client secret",
        ),
        (
            &format!("code={code}"),
            "x=y",
            "invalid_request: code must be supplied",
        ),
        (
            &format!("code={code}"),
            "code=guess",
            "invalid_grant: Invalid authorization code",
        ),
        (
            "redirect_uri=http",
            "x=http",
            "invalid_request: redirect_uri must be supplied",
        ),
        ("4242", "4243", "invalid_grant: Invalid redirect URI"),
        (
            &format!("code_verifier={VERIFIER}"),
            "x=y",
            "invalid_request: code_verifier required",
        ),
        (
            VERIFIER,
            &other,
            "invalid_grant: code_verifier was incorrect",
        ),
        (
            VERIFIER,
            CHALLENGE,
            "invalid_grant: code_verifier was incorrect",
        ),
        (
            "client_id=fake-client",
            "client_id=fake-client&client_id=fake-client",
            "invalid_request: A parameter was sent twice",
        ),
    ] {
        assert!(right.contains(from));
        let request = Request::post("/api/token", &right.replacen(from, to, 1));
        assert_eq!(refused(&server.handle(&request, at(0)), 400), answer);
    }
    assert_eq!(exchange(&mut server, &code, at(0)).status, 200);
}

#[test]
fn a_code_lives_ten_minutes() {
    let mut server = server(FakeProvider::builder());
    let code = code(&mut server, &[], at(100));
    let reply = exchange(&mut server, &code, at(700));
    assert_eq!(
        refused(&reply, 400),
        "invalid_grant: Authorization code expired"
    );
}

#[test]
fn only_a_form_is_read() {
    let mut server = server(FakeProvider::builder());
    let mut request = Request::post("/api/token", "{}");
    request.headers = vec![("content-type".into(), "application/json".into())];
    let reply = server.handle(&request, at(0));
    assert_eq!(refused(&reply, 415), "server_error: Unexpected status: 415");
    request.headers.clear();
    assert_eq!(server.handle(&request, at(0)).status, 415);
    request.headers = vec![(
        "CONTENT-TYPE".into(),
        "Application/X-WWW-Form-Urlencoded; charset=utf-8".into(),
    )];
    assert_eq!(server.handle(&request, at(0)).status, 400);
}

#[test]
fn a_secret_comes_by_basic_or_in_the_body_and_is_decoded_first() {
    let (id, secret) = ("my:client é", "p+%ss w:rd");
    let mut server = server(FakeProvider::builder().client_id(id).client_secret(secret));
    let mut app = |form: &str, authorization: Option<String>| {
        let request = Request::post(
            "/api/token",
            &format!("grant_type=client_credentials&{form}"),
        );
        let request = match authorization {
            Some(value) => request.with_header("Authorization", &value),
            None => request,
        };
        let reply = server.handle(&request, at(0));
        if reply.status == 200 {
            String::new()
        } else {
            refused(&reply, 400)
        }
    };
    let basic = |pair: &str| Some(format!("Basic {}", STANDARD.encode(pair)));
    let right = "my%3Aclient%20%C3%A9:p%2B%25ss%20w%3Ard";
    assert_eq!(app("", basic(right)), "");
    assert_eq!(app("", basic(&right.replace("%20", "+"))), "");
    assert_eq!(
        app(
            "client_id=my%3Aclient+%C3%A9&client_secret=p%2B%25ss+w%3Ard",
            None
        ),
        ""
    );
    assert_eq!(app("client_id=my%3Aclient+%C3%A9", basic(right)), "");

    const CLIENT: &str = "invalid_client: Invalid client";
    const SECRET: &str = "invalid_client: Invalid client secret";
    assert_eq!(app("", None), CLIENT);
    assert_eq!(app("client_id=my%3Aclient+%C3%A9", None), SECRET);
    assert_eq!(app("client_id=other", basic(right)), CLIENT);
    assert_eq!(app("", basic("my:client é:p+%ss w:rd")), CLIENT);
    assert_eq!(app("", basic("my%3Aclient%20%C3%A9:wrong")), SECRET);
    assert_eq!(app("", basic("my%3Aclient%20%C3%A9:")), SECRET);
    assert_eq!(app("", Some("Basic !!!".into())), CLIENT);
    assert_eq!(app("", Some("Bearer x".into())), CLIENT);
    let both = app("client_secret=p%2B%25ss+w%3Ard", basic(right));
    assert_eq!(
        both,
        "invalid_request: Only one client authentication is allowed"
    );
}

#[test]
fn a_client_without_a_secret_may_not_send_one_even_empty() {
    let mut server = server(FakeProvider::builder().client_secret(""));
    let (_, refresh_token) = login(&mut server, "", at(0));
    let request = Request::post("/api/token", &refresh_form(&refresh_token));
    assert_eq!(server.handle(&request, at(0)).status, 200);
    let empty = format!("Basic {}", STANDARD.encode("fake-client:"));
    let reply = server.handle(&request.with_header("Authorization", &empty), at(0));
    assert_eq!(
        refused(&reply, 400),
        "invalid_client: Invalid client secret"
    );
}

#[test]
fn a_client_with_a_secret_proves_its_challenge_too() {
    let mut server = server(FakeProvider::builder().client_secret("s"));
    let with = code(&mut server, &[], at(0));
    let none = [("code_challenge", "-"), ("code_challenge_method", "-")];
    let without = code(&mut server, &none, at(0));
    let mut exchange = |code: &str, verifier: &str| {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", "fake-client"),
            ("client_secret", "s"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", verifier),
        ];
        post(&mut server, &form, at(0))
    };
    assert_eq!(
        refused(&exchange(&with, ""), 400),
        "invalid_request: code_verifier required"
    );
    assert_eq!(exchange(&with, VERIFIER).status, 200);
    let downgrade = exchange(&without, VERIFIER);
    assert_eq!(
        refused(&downgrade, 400),
        "invalid_grant: code_verifier was incorrect"
    );
    assert_eq!(exchange(&without, "").status, 200);
}

#[test]
fn an_app_token_has_no_scope_no_refresh_token_and_no_person() {
    let mut server = server(FakeProvider::builder().client_secret("s"));
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "fake-client"),
        ("client_secret", "s"),
    ];
    let tokens = json(&post(&mut server, &form, at(0)));
    assert_eq!(tokens["token_type"], "bearer");
    assert_eq!(tokens.get("scope"), None);
    assert_eq!(tokens.get("refresh_token"), None);
    assert_eq!(
        me(&mut server, &token(&tokens, "access_token"), at(0)).status,
        401
    );

    let mut public = super::server(FakeProvider::builder());
    let reply = post(&mut public, &form[..2], at(0));
    assert_eq!(
        refused(&reply, 400),
        "invalid_client: Invalid client secret"
    );
}
