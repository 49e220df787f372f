//! `/v1/me` and `/v1/echo`, and how the API fails.

use super::*;
use crate::testing::{Endpoint, Fault};

#[test]
fn a_profile_has_what_spotify_documents() {
    let mut server = server(FakeProvider::builder());
    let (all, _) = login(&mut server, "user-read-email user-read-private", at(0));
    let me_now = json(&me(&mut server, &all, at(0)));
    assert_eq!(
        me_now,
        serde_json::json!({
            "country": "SE",
            "display_name": "Alice",
            "email": "alice@example.com",
            "explicit_content": {"filter_enabled": false, "filter_locked": false},
            "external_urls": {"spotify": "https://open.example/user/alice"},
            "followers": {"href": null, "total": 7},
            "href": "https://api.example/v1/users/alice",
            "id": "alice",
            "images": [
                {"url": "https://images.example/alice.jpeg", "height": 300, "width": 300}
            ],
            "product": "premium",
            "type": "user",
            "uri": "spotify:user:alice",
        })
    );

    let (none, _) = login(&mut server, "", at(0));
    let public = json(&me(&mut server, &none, at(0)));
    for granted in ["country", "email", "explicit_content", "product"] {
        assert_eq!(public.get(granted), None, "{granted}");
    }
    assert_eq!(public["uri"], "spotify:user:alice");
}

#[test]
fn an_echo_says_what_came() {
    let mut server = server(FakeProvider::builder());
    let (access, _) = login(&mut server, "", at(0));
    let bearer = format!("Bearer {access}");
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        let mut request = Request::get("/v1/echo?uris=a%20b&x")
            .with_header("Authorization", &bearer)
            .with_header("content-type", "application/json");
        method.clone_into(&mut request.method);
        request.body = b"{\"position\":\"\xc3\xa9\xff\"}".to_vec();
        let reply = server.handle(&request, at(0));
        assert_eq!(reply.status, 200);
        assert_eq!(
            json(&reply),
            serde_json::json!({
                "method": method,
                "content_type": "application/json",
                "query": "uris=a%20b&x",
                "body": "{\"position\":\"é\u{fffd}\"}",
            })
        );
    }
    let bare = json(&echo(&mut server, &access, at(0)));
    assert_eq!(bare["content_type"], Value::Null);
    assert_eq!((&bare["query"], &bare["body"]), (&"".into(), &"".into()));
}

#[test]
fn an_echo_needs_a_good_token() {
    let mut server = server(FakeProvider::builder().expires_in(at(60)));
    let (access, _) = login(&mut server, "", at(0));
    assert_eq!(echo(&mut server, &access, at(59)).status, 200);
    assert_eq!(echo(&mut server, &access, at(60)).status, 401);
    assert_eq!(echo(&mut server, "guess", at(0)).status, 401);
    let none = server.handle(&Request::post("/v1/echo", "a=b"), at(0));
    assert_eq!(none.status, 401);
    assert!(!text(&none).contains("a=b"));
}

#[test]
fn what_the_api_does_not_have_is_an_error_object() {
    let mut server = server(FakeProvider::builder());
    let reply = server.handle(&Request::get("/v1/albums"), at(0));
    assert_eq!(
        (reply.status, &json(&reply)["error"]["status"]),
        (404, &404.into())
    );
    let reply = server.handle(&Request::post("/v1/me", ""), at(0));
    assert_eq!(reply.status, 405);
    assert_eq!(header(&reply.headers, "allow"), Some("GET"));
}

#[test]
fn a_body_comes_whole_over_a_socket() {
    let provider = FakeProvider::start().unwrap();
    let (access, _) = login_over_sockets(&provider);
    let body = "b".repeat(50_000);
    let request = format!(
        "PUT /v1/echo?device_id=1 HTTP/1.1\r\nAuthorization: Bearer {access}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let reply = json(&send(&provider, &request).unwrap());
    assert_eq!(reply["method"], "PUT");
    assert_eq!(reply["body"].as_str(), Some(body.as_str()));
    assert_eq!(
        provider.echo_url(),
        format!("{}/v1/echo", provider.base_url())
    );
}

#[test]
fn its_faults_come_before_the_token_and_are_its_own() {
    let provider = FakeProvider::start().unwrap();
    let (access, refresh_token) = login_over_sockets(&provider);
    let retry_after = "7".to_owned();
    provider.fault(Endpoint::Api, Fault::TooManyRequests { retry_after });
    provider.fault_for_next(Endpoint::Api, 2, Fault::Empty { status: 403 });
    let status = |request: &str| send(&provider, request).unwrap().status;
    // Neither the token endpoint nor the consent page meets them.
    assert_eq!(status(&token_request(&refresh_form(&refresh_token))), 200);
    assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), 200);

    let limited = send(&provider, &api_request(&access)).unwrap();
    assert_eq!(limited.status, 429);
    assert_eq!(header(&limited.headers, "retry-after"), Some("7"));
    assert_eq!(status(&api_request("guess")), 403);
    assert_eq!(status("DELETE /v1/nothing HTTP/1.1\r\n\r\n"), 403);
    assert_eq!(status(&api_request("guess")), 401);

    let refuses = Fault::Custom {
        status: 401,
        headers: vec![("WWW-Authenticate".into(), "Bearer".into())],
        body: b"{}".to_vec(),
    };
    provider.fault_for_next(Endpoint::Api, usize::MAX, refuses);
    for _ in 0..5 {
        assert_eq!(status(&api_request(&access)), 401);
    }
    provider.clear_faults(Endpoint::Token);
    assert_eq!(status(&api_request(&access)), 401);
    provider.clear_faults(Endpoint::Api);
    assert_eq!(status(&api_request(&access)), 200);
}

#[test]
fn its_requests_are_recorded() {
    let provider = FakeProvider::start().unwrap();
    let (access, _) = login_over_sockets(&provider);
    provider.fault(Endpoint::Api, Fault::DropBefore);
    assert!(send(&provider, &api_request(&access)).is_none());
    send(&provider, &api_request(&access)).unwrap();
    send(&provider, "PATCH /v1/echo?a=b HTTP/1.1\r\n\r\n").unwrap();
    send(&provider, "GET /v1 HTTP/1.1\r\n\r\n").unwrap();

    let record = provider.requests(Endpoint::Api);
    let seen: Vec<_> = record
        .iter()
        .map(|r| (r.method(), r.path(), r.has_authorization(), r.status()))
        .collect();
    assert_eq!(
        seen,
        [
            ("GET", "/v1/me", true, None),
            ("GET", "/v1/me", true, Some(200)),
            ("PATCH", "/v1/echo", false, Some(401)),
        ]
    );
    let bearer = format!("Bearer {access}");
    assert_eq!(record[1].header("authorization"), Some(bearer.as_str()));
    assert_eq!(record[2].query(), "a=b");
    assert!(!format!("{record:?}").contains(&access));
    provider.clear_requests(Endpoint::Api);
    assert_eq!(provider.requests(Endpoint::Api), []);
    assert_eq!(provider.requests(Endpoint::Token).len(), 1);
}
