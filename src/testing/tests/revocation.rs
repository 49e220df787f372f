//! `/api/revoke`: what dies with what, who may ask, and how it fails.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::testing::{Endpoint, Fault, Rotation};

fn revoke(server: &mut Server, more: &str) -> Reply {
    let form = format!("client_id=fake-client&{more}");
    server.handle(&Request::post("/api/revoke", &form), at(1))
}

fn assert_revoked(reply: &Reply) {
    assert_eq!((reply.status, text(reply)), (200, ""));
}

#[test]
fn a_refresh_token_takes_the_access_tokens_of_its_login_with_it_and_no_others() {
    let mut server = server(FakeProvider::builder());
    let (other_access, other_refresh) = login(&mut server, "", at(0));
    let (first, refresh_token) = login(&mut server, "", at(0));
    let second = json(&refresh(&mut server, &refresh_token, at(0)));
    let second = token(&second, "access_token");
    assert_eq!(server.live_refresh_tokens(at(0)), 2);

    assert_revoked(&revoke(&mut server, &format!("token={refresh_token}")));
    let reply = refresh(&mut server, &refresh_token, at(1));
    assert_eq!(refused(&reply, 400), "invalid_grant: Refresh token revoked");
    assert_eq!(me(&mut server, &first, at(1)).status, 401);
    assert_eq!(me(&mut server, &second, at(1)).status, 401);
    assert_eq!(server.live_refresh_tokens(at(1)), 1);
    assert_eq!(me(&mut server, &other_access, at(1)).status, 200);
    assert_eq!(refresh(&mut server, &other_refresh, at(1)).status, 200);
}

#[test]
fn an_access_token_dies_alone() {
    let mut server = server(FakeProvider::builder());
    let (first, refresh_token) = login(&mut server, "", at(0));
    let second = json(&refresh(&mut server, &refresh_token, at(0)));
    assert_revoked(&revoke(&mut server, &format!("token={first}")));
    assert_eq!(me(&mut server, &first, at(1)).status, 401);
    let second = token(&second, "access_token");
    assert_eq!(me(&mut server, &second, at(1)).status, 200);
    assert_eq!(refresh(&mut server, &refresh_token, at(1)).status, 200);
}

#[test]
fn a_wrong_hint_changes_nothing() {
    let mut server = server(FakeProvider::builder());
    for hint in ["access_token", "refresh_token", "nonsense", ""] {
        let (access, refresh_token) = login(&mut server, "", at(0));
        let more = format!("token={access}&token_type_hint={hint}");
        assert_revoked(&revoke(&mut server, &more));
        assert_eq!(me(&mut server, &access, at(1)).status, 401, "{hint}");
        let more = format!("token_type_hint={hint}&token={refresh_token}");
        assert_revoked(&revoke(&mut server, &more));
        assert_eq!(server.live_refresh_tokens(at(1)), 0, "{hint}");
    }
}

#[test]
fn a_token_that_is_unknown_or_dead_already_is_no_error() {
    let rotation = Rotation::EveryRefresh {
        reuse_detection: true,
    };
    let mut server = server(FakeProvider::builder().rotation(rotation));
    let (_, first) = login(&mut server, "", at(0));
    let newest = json(&refresh(&mut server, &first, at(0)));
    let newest = token(&newest, "refresh_token");
    assert_revoked(&revoke(&mut server, "token=guess"));
    assert_revoked(&revoke(&mut server, &format!("token={first}")));
    assert_eq!(server.live_refresh_tokens(at(1)), 1);

    for _ in 0..2 {
        assert_revoked(&revoke(&mut server, &format!("token={newest}")));
        assert_eq!(server.live_refresh_tokens(at(1)), 0);
    }
}

#[test]
fn a_bad_request_is_refused_and_ends_nothing() {
    let mut server = server(FakeProvider::builder());
    let (_, refresh_token) = login(&mut server, "", at(0));
    let token = format!("token={refresh_token}");
    for (form, answer) in [
        (
            "client_id=fake-client".to_owned(),
            "invalid_request: token must be supplied",
        ),
        (
            "client_id=fake-client&token=".to_owned(),
            "invalid_request: token must be supplied",
        ),
        (
            format!("client_id=fake-client&{token}&{token}"),
            "invalid_request: A parameter was sent twice",
        ),
        (token.clone(), "invalid_client: Invalid client"),
        (
            format!("client_id=other&{token}"),
            "invalid_client: Invalid client",
        ),
        // The client comes first: nobody else learns what is missing.
        (
            "client_id=other".to_owned(),
            "invalid_client: Invalid client",
        ),
        (
            format!("client_id=fake-client&client_secret=s&{token}"),
            "invalid_client: Invalid client secret",
        ),
    ] {
        let reply = server.handle(&Request::post("/api/revoke", &form), at(1));
        assert_eq!(refused(&reply, 400), answer, "{form}");
    }
    let mut json = Request::post("/api/revoke", "{}");
    json.headers = vec![("Content-Type".into(), "application/json".into())];
    assert_eq!(server.handle(&json, at(1)).status, 415);
    let get = Request::get(&format!("/api/revoke?client_id=fake-client&{token}"));
    assert_eq!(server.handle(&get, at(1)).status, 405);
    assert_eq!(server.live_refresh_tokens(at(1)), 1);
}

#[test]
fn a_client_with_a_secret_presents_it_by_basic_or_in_the_body() {
    let mut server = server(FakeProvider::builder().client_secret("s"));
    let app = |server: &mut Server| {
        let form = "grant_type=client_credentials&client_id=fake-client&client_secret=s";
        let reply = server.handle(&Request::post("/api/token", form), at(0));
        token(&json(&reply), "access_token")
    };
    let access = app(&mut server);
    let reply = revoke(&mut server, &format!("token={access}"));
    assert_eq!(
        refused(&reply, 400),
        "invalid_client: Invalid client secret"
    );
    assert_eq!(echo(&mut server, &access, at(1)).status, 200);
    let in_body = format!("client_secret=s&token={access}");
    assert_revoked(&revoke(&mut server, &in_body));
    assert_eq!(echo(&mut server, &access, at(1)).status, 401);

    let access = app(&mut server);
    let basic = format!("Basic {}", STANDARD.encode("fake-client:s"));
    let request = Request::post("/api/revoke", &format!("token={access}"));
    assert_revoked(&server.handle(&request.with_header("Authorization", &basic), at(1)));
    assert_eq!(echo(&mut server, &access, at(1)).status, 401);
}

#[test]
fn its_requests_are_recorded_and_its_faults_are_its_own() {
    let provider = FakeProvider::start().unwrap();
    let (access, refresh_token) = login_over_sockets(&provider);
    let form = format!("client_id=fake-client&token_type_hint=refresh_token&token={refresh_token}");
    let request = form_request("/api/revoke", &form);
    provider.fault(Endpoint::Revocation, Fault::Unavailable);
    provider.fault_for_next(Endpoint::Revocation, 2, Fault::DropBefore);
    let reply = send_form(&provider, &refresh_form(&refresh_token)).unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(send(&provider, &request).unwrap().status, 503);
    assert!(send(&provider, &request).is_none());
    assert_eq!(provider.live_refresh_tokens(), 1);
    provider.clear_faults(Endpoint::Revocation);
    provider.fault(Endpoint::Token, Fault::Unavailable);
    assert_revoked(&send(&provider, &request).unwrap());
    assert_eq!(provider.live_refresh_tokens(), 0);
    let dead = send(&provider, &api_request(&access)).unwrap();
    assert_eq!(dead.status, 401);

    let record = provider.requests(Endpoint::Revocation);
    let statuses: Vec<_> = record.iter().map(|request| request.status()).collect();
    assert_eq!(statuses, [Some(503), None, Some(200)]);
    assert_eq!(record[2].parameter("token"), Some(refresh_token.as_str()));
    assert_eq!(
        record[2].parameter("token_type_hint"),
        Some("refresh_token")
    );
    assert_eq!(record[2].parameter("client_id"), Some("fake-client"));
    assert!(!record[2].has_authorization());
    assert_eq!(provider.requests(Endpoint::Token).len(), 2);
    provider.clear_requests(Endpoint::Revocation);
    assert_eq!(provider.requests(Endpoint::Revocation), []);
    assert_eq!(provider.requests(Endpoint::Token).len(), 2);
}

#[test]
fn a_revocation_whose_answer_is_lost_has_happened() {
    let provider = FakeProvider::start().unwrap();
    let (_, refresh_token) = login_over_sockets(&provider);
    provider.fault(Endpoint::Revocation, Fault::DropAfter);
    let form = format!("client_id=fake-client&token={refresh_token}");
    assert!(send(&provider, &form_request("/api/revoke", &form)).is_none());
    assert_eq!(provider.live_refresh_tokens(), 0);
}

#[test]
fn the_endpoint_is_named_only_if_so_ordered() {
    let silent = FakeProvider::start().unwrap().provider().check().unwrap();
    assert!(silent.revocation_endpoint.is_none());
    let provider = FakeProvider::builder().with_revocation().start().unwrap();
    let named = provider.provider().check().unwrap().revocation_endpoint;
    let endpoint = provider.revocation_endpoint();
    assert_eq!(endpoint, format!("{}/api/revoke", provider.base_url()));
    assert_eq!(named.unwrap().as_str(), endpoint);
}
