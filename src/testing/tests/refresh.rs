//! Refreshing, rotation, and what access tokens open, without sockets.

use super::*;
use crate::testing::Rotation;

#[test]
fn a_refresh_brings_no_new_refresh_token_and_works_over_and_over() {
    let mut server = server(FakeProvider::builder());
    let (first, refresh_token) = login(&mut server, "streaming", at(0));
    for now in 1..10 {
        let tokens = json(&refresh(&mut server, &refresh_token, at(now)));
        assert_eq!(tokens.get("refresh_token"), None);
        assert_eq!(tokens["scope"], "streaming");
        assert_ne!(token(&tokens, "access_token"), first);
    }
    let reply = refresh(&mut server, "guess", at(10));
    assert_eq!(refused(&reply, 400), "invalid_grant: Invalid refresh token");
    let nothing = post(
        &mut server,
        &[
            ("grant_type", "refresh_token"),
            ("client_id", "fake-client"),
        ],
        at(10),
    );
    assert_eq!(
        refused(&nothing, 400),
        "invalid_request: refresh_token must be supplied"
    );
}

#[test]
fn a_refresh_token_may_be_repeated() {
    let mut server = server(FakeProvider::builder().rotation(Rotation::Repeated));
    let (_, refresh_token) = login(&mut server, "", at(0));
    for now in 1..4 {
        let tokens = json(&refresh(&mut server, &refresh_token, at(now)));
        assert_eq!(token(&tokens, "refresh_token"), refresh_token);
    }
}

#[test]
fn a_refresh_may_narrow_the_scopes_and_never_widen_them() {
    let mut server = server(FakeProvider::builder());
    let (_, refresh_token) = login(&mut server, "a b", at(0));
    let mut with = |scope| {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", "fake-client"),
            ("refresh_token", refresh_token.as_str()),
            ("scope", scope),
        ];
        post(&mut server, &form, at(0))
    };
    assert_eq!(json(&with("b"))["scope"], "b");
    assert_eq!(json(&with("a b"))["scope"], "a b");
    assert_eq!(refused(&with("a c"), 400), "invalid_scope: Illegal scope");
}

#[test]
fn with_rotation_each_refresh_token_works_once() {
    let rotation = Rotation::EveryRefresh {
        reuse_detection: false,
    };
    let mut server = server(FakeProvider::builder().rotation(rotation));
    let (_, first) = login(&mut server, "", at(0));
    let second = token(&json(&refresh(&mut server, &first, at(0))), "refresh_token");
    let again = refresh(&mut server, &first, at(0));
    assert_eq!(refused(&again, 400), "invalid_grant: Refresh token revoked");
    assert_eq!(refresh(&mut server, &second, at(0)).status, 200);
}

#[test]
fn with_reuse_detection_an_old_refresh_token_ends_its_login_and_no_other() {
    let rotation = Rotation::EveryRefresh {
        reuse_detection: true,
    };
    let mut server = server(FakeProvider::builder().rotation(rotation));
    let (_, other) = login(&mut server, "", at(0));
    let (_, first) = login(&mut server, "", at(0));
    let tokens = json(&refresh(&mut server, &first, at(0)));
    assert_eq!(refresh(&mut server, &first, at(0)).status, 400);

    let newest = refresh(&mut server, &token(&tokens, "refresh_token"), at(0));
    assert_eq!(
        refused(&newest, 400),
        "invalid_grant: Refresh token revoked"
    );
    assert_eq!(
        me(&mut server, &token(&tokens, "access_token"), at(0)).status,
        401
    );
    assert_eq!(refresh(&mut server, &other, at(0)).status, 200);
}

#[test]
fn refreshing_does_not_extend_the_life_of_refresh_tokens() {
    for rotation in [
        Rotation::Never,
        Rotation::EveryRefresh {
            reuse_detection: false,
        },
    ] {
        let builder = FakeProvider::builder().rotation(rotation);
        let mut server = server(builder.refresh_token_lifetime(at(1000)));
        let (_, first) = login(&mut server, "", at(0));
        let tokens = json(&refresh(&mut server, &first, at(999)));
        let newest = tokens["refresh_token"]
            .as_str()
            .unwrap_or(&first)
            .to_owned();
        let reply = refresh(&mut server, &newest, at(1000));
        assert_eq!(refused(&reply, 400), "invalid_grant: Refresh token expired");
    }
}

#[test]
fn an_access_token_opens_the_api_until_it_expires() {
    let mut server = server(FakeProvider::builder().expires_in(Duration::from_millis(60_900)));
    let (access, _) = login(&mut server, "user-read-private", at(0));
    let profile = json(&me(&mut server, &access, at(59)));
    assert_eq!(
        (&profile["id"], &profile["display_name"]),
        (&"alice".into(), &"Alice".into())
    );
    assert_eq!(profile["product"], "premium");
    assert_eq!(profile.get("email"), None);

    let dead = me(&mut server, &access, at(60));
    assert_eq!(dead.status, 401);
    assert_eq!(
        json(&dead),
        serde_json::json!({"error": {"status": 401, "message": "The access token expired"}})
    );
    let challenge = header(&dead.headers, "www-authenticate").unwrap();
    assert!(challenge.starts_with("Bearer ") && challenge.contains("invalid_token"));

    assert_eq!(me(&mut server, "guess", at(0)).status, 401);
    assert_eq!(server.handle(&Request::get("/v1/me"), at(0)).status, 401);
    let basic = Request::get("/v1/me").with_header("Authorization", "Basic x");
    assert_eq!(server.handle(&basic, at(0)).status, 400);
}

#[test]
fn an_email_address_needs_its_scope() {
    let mut server = server(FakeProvider::builder());
    let (access, _) = login(&mut server, "user-read-email", at(0));
    let profile = json(&me(&mut server, &access, at(0)));
    assert_eq!(profile["email"], "alice@example.com");
    assert_eq!(profile.get("country"), None);
}

#[test]
fn the_controls_kill_what_was_issued_and_spare_what_comes() {
    let mut server = server(FakeProvider::builder());
    let (access, refresh_token) = login(&mut server, "", at(0));
    server.expire_access_tokens();
    assert_eq!(me(&mut server, &access, at(0)).status, 401);
    let fresh = json(&refresh(&mut server, &refresh_token, at(0)));
    assert_eq!(
        me(&mut server, &token(&fresh, "access_token"), at(0)).status,
        200
    );

    server.revoke_refresh_tokens();
    let reply = refresh(&mut server, &refresh_token, at(0));
    assert_eq!(refused(&reply, 400), "invalid_grant: Refresh token revoked");
    let (_, next) = login(&mut server, "", at(0));
    assert_eq!(refresh(&mut server, &next, at(0)).status, 200);
}
