//! Calls to the provider's API: where the token goes, and what an answer causes.
#![cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]

mod support;

use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use authflow::session::{ApiRequest, ApiResponse, Error};
use authflow::{Session, WhatNow};
use serde_json::json as value;
use support::directory::Directory;
use support::login::{at_once, hour, number, server, session};
use support::raw::{Server, json, response, tokens};

/// An API that takes only this token, behind a token endpoint.
fn api(good: &'static str) -> Server {
    let count = AtomicUsize::new(0);
    server(move |request| {
        if request.line.starts_with("POST /token ") {
            return tokens(&number(&count), None);
        }
        match request.header("Authorization") == [format!("Bearer {good}")] {
            true => json("200 OK", r#"{"id":"alice"}"#),
            false => response("401 Unauthorized", "Connection: close\r\n", "no"),
        }
    })
}

fn lines(server: &Server) -> Vec<String> {
    let requests = server.requests().into_iter();
    requests.map(|request| request.line).collect()
}

fn get(session: &Session, url: &str) -> ApiResponse {
    session.get(url).unwrap()
}

#[test]
fn a_call_carries_the_token_in_its_header_and_nowhere_else() {
    let api = api("AT-0");
    let (session, _) = session(&api, hour());
    let answer = get(&session, &api.url("/v1/me?market=SE"));
    assert_eq!(answer.status(), 200);
    let me: serde_json::Value = answer.read_json().unwrap();
    assert_eq!(me["id"], "alice");
    let request = api.requests().pop().unwrap();
    assert_eq!(request.line, "GET /v1/me?market=SE HTTP/1.1");
    assert_eq!(request.header("Authorization"), ["Bearer AT-0"]);
    let shown = format!("{request:?}");
    assert_eq!(shown.matches("AT-0").count(), 1);
}

#[test]
fn a_call_that_is_answered_401_is_made_once_more_with_a_new_token() {
    let api = api("AT-1");
    let (session, _) = session(&api, hour());
    assert_eq!(get(&session, &api.url("/me")).status(), 200);
    let expected = [
        "GET /me HTTP/1.1",
        "POST /token HTTP/1.1",
        "GET /me HTTP/1.1",
    ];
    assert_eq!(lines(&api), expected);
    assert_eq!(get(&session, &api.url("/me")).status(), 200);
    assert_eq!(api.requests().len(), 4);
}

#[test]
fn a_second_401_is_the_answer() {
    let api = api("none at all");
    let (session, _) = session(&api, hour());
    let answer = get(&session, &api.url("/me"));
    assert_eq!(answer.status(), 401);
    let error = answer.read_json::<serde_json::Value>().unwrap_err();
    assert!(matches!(error, Error::Api { status: 401, .. }));
    assert_eq!(error.what_now(), WhatNow::SignIn);
    assert_eq!(api.requests().len(), 3);
}

#[test]
fn a_401_while_the_store_can_not_be_read_is_the_stores_fault() {
    let api = api("AT-1");
    let directory = Directory::new();
    let path = directory.store().path().to_owned();
    let (session, store) = session(&api, hour());
    let session = session.move_to(directory.store()).unwrap();
    drop(store);
    let sound = std::fs::read(&path).unwrap();
    std::fs::write(&path, "{bad").unwrap();
    for _ in 0..2 {
        let error = session.get(&api.url("/me")).unwrap_err();
        assert!(matches!(error, Error::Store(_)), "{error:?}");
    }
    // Once it is mended, the next call refreshes.
    std::fs::write(&path, sound).unwrap();
    assert_eq!(get(&session, &api.url("/me")).status(), 200);
    let refreshes = lines(&api);
    let refreshes = refreshes.iter().filter(|it| it.starts_with("POST"));
    assert_eq!(refreshes.count(), 1);
}

#[test]
fn many_calls_that_are_answered_401_cause_one_refresh() {
    let api = api("AT-1");
    let (session, _) = session(&api, hour());
    let url = api.url("/me");
    let statuses = at_once(16, &session, move |session| get(session, &url).status());
    assert_eq!(statuses, [200; 16]);
    let refreshes = lines(&api);
    let refreshes = refreshes.iter().filter(|line| line.starts_with("POST"));
    assert_eq!(refreshes.count(), 1);
}

#[test]
fn any_other_status_is_an_answer() {
    let server = server(|request| {
        let status = request.line.split(['/', ' ']).nth(2).unwrap();
        let headers = "Retry-After: 12\r\nConnection: close\r\n";
        response(&format!("{status} Status"), headers, "<html>")
    });
    let (session, _) = session(&server, hour());
    for status in [200, 204, 403, 404, 429, 500] {
        let answer = get(&session, &server.url(&format!("/{status}")));
        assert_eq!(answer.status(), status);
        assert_eq!(answer.retry_after(), Some(Duration::from_secs(12)));
        let read = answer.read_json::<serde_json::Value>();
        let after = Some(Duration::from_secs(12));
        let error = read.unwrap_err();
        assert!(
            matches!(error, Error::Api { status: own, retry_after } if own == status && retry_after == after)
        );
        let what_now = match status {
            200 | 204 => WhatNow::Bug,
            429 | 500 => WhatNow::Retry { after },
            _ => WhatNow::Configuration,
        };
        assert_eq!(error.what_now(), what_now, "{status}");
    }
    assert_eq!(server.requests().len(), 6);
}

#[test]
fn the_token_goes_to_the_providers_api_and_nowhere_else() {
    let (api, other) = (api("AT-0"), Server::answering(json("200 OK", "{}")));
    let (session, _) = session(&api, hour());
    let own = api.address();
    let foreign = [
        other.url("/me"),
        format!("https://{own}/me"),
        format!("http://localhost:{}/me", own.port()),
        format!("http://user@{own}/me"),
        format!("http://user:password@{own}/me"),
        format!("http://{own}@{}/me", other.address()),
        format!("http://{own}:80@{}/me", other.address()),
        format!("http://127.0.0.2:{}/me", own.port()),
        "http://127.0.0.1/me".to_owned(),
        format!("ftp://{own}/me"),
        "/me".to_owned(),
        String::new(),
        "data:,".to_owned(),
    ];
    for url in foreign {
        let error = session.get(&url).unwrap_err();
        assert!(matches!(error, Error::ForeignOrigin), "{url}: {error:?}");
        assert_eq!(error.what_now(), WhatNow::Configuration);
    }
    assert_eq!((api.connections(), other.connections()), (0, 0));
}

#[test]
fn a_url_that_two_parsers_could_read_in_two_ways_goes_where_it_was_checked_for() {
    let (api, other) = (api("AT-0"), Server::answering(json("200 OK", "{}")));
    let (session, _) = session(&api, hour());
    let (own, other_address) = (api.address(), other.address());
    for url in [
        format!("http://{own}\\@{other_address}/me"),
        format!("http:\\\\{own}\\me"),
        format!("http:{own}/me"),
        format!(" http://{own}/m\te "),
        format!("http://{own}#@{other_address}/me"),
        format!("HTTP://{own}?@{other_address}/me"),
    ] {
        assert_eq!(get(&session, &url).status(), 200, "{url}");
    }
    assert_eq!(other.connections(), 0);
    assert_eq!(api.requests().len(), 6);
}

#[test]
fn a_redirect_of_the_api_is_not_followed() {
    let other = Server::answering(json("200 OK", "{}"));
    let location = format!("Location: {}\r\nConnection: close\r\n", other.url("/me"));
    for status in [301, 302, 307, 308] {
        let location = location.clone();
        let server = server(move |_| response(&format!("{status} Moved"), &location, ""));
        let (session, _) = session(&server, hour());
        assert_eq!(get(&session, &server.url("/me")).status(), status);
        assert_eq!(server.requests().len(), 1);
    }
    assert_eq!(other.connections(), 0);
}

#[test]
fn an_api_that_does_not_answer_is_a_transport_error() {
    let server = Server::answering("");
    let url = server.url("/me");
    let (session, _) = session(&server, hour());
    let error = session.get(&url).unwrap_err();
    assert!(matches!(error, Error::Transport(error) if error.may_have_been_sent));
    drop(server);
    let error = session.get(&url).unwrap_err();
    assert!(matches!(error, Error::Transport(error) if !error.may_have_been_sent));
}

#[test]
fn an_api_call_of_somebody_who_must_sign_in_is_not_made() {
    let server = server(|_| json("400 Bad Request", r#"{"error":"invalid_grant"}"#));
    let (session, _) = session(&server, hour());
    let serial = session.access_token().unwrap().serial();
    assert!(matches!(
        session.token_rejected(serial),
        Err(Error::SignIn(_))
    ));
    let error = session.get(&server.url("/me")).unwrap_err();
    assert_eq!(error.what_now(), WhatNow::SignIn);
    assert_eq!(server.requests().len(), 1);
}

// --- other methods --------------------------------------------------------------------------------

#[test]
fn a_call_has_the_method_the_headers_and_the_body_it_was_given() {
    let server = server(|_| response("204 No Content", "Connection: close\r\n", ""));
    let (session, _) = session(&server, hour());
    let url = server.url("/v1/me/player?device=1");
    let body = value!({"volume": 30});
    let calls = [
        ("PUT", ApiRequest::put(&url).json(&body)),
        ("POST", ApiRequest::post(&url).json(&body)),
        ("PATCH", ApiRequest::patch(&url).json(&body)),
        ("DELETE", ApiRequest::delete(&url).json(&body)),
    ];
    for (method, call) in calls {
        let call = call.header("X-Own", "yes").header("accept", "text/plain");
        assert_eq!(session.call(&call).unwrap().status(), 204);
        let request = server.requests().pop().unwrap();
        let line = format!("{method} /v1/me/player?device=1 HTTP/1.1");
        assert_eq!(request.line, line);
        assert_eq!(request.header("Authorization"), ["Bearer AT-0"]);
        assert_eq!(request.header("Content-Type"), ["application/json"]);
        assert_eq!(request.header("X-Own"), ["yes"]);
        assert_eq!(request.header("Accept"), ["text/plain"]);
        assert_eq!(request.body, r#"{"volume":30}"#);
    }
}

#[test]
fn a_call_without_a_body_says_so() {
    let server = server(|_| response("204 No Content", "Connection: close\r\n", ""));
    let (session, _) = session(&server, hour());
    for call in [ApiRequest::put, ApiRequest::post, ApiRequest::patch] {
        session.call(&call(server.url("/next"))).unwrap();
        let request = server.requests().pop().unwrap();
        assert_eq!(request.header("Content-Length"), ["0"]);
        assert!(request.header("Content-Type").is_empty());
    }
    session.call(&ApiRequest::delete(server.url("/x"))).unwrap();
    assert!(
        server
            .requests()
            .pop()
            .unwrap()
            .header("Content-Type")
            .is_empty()
    );
}

#[test]
fn a_call_with_a_body_is_made_once_more_with_the_same_body_after_a_401() {
    let server = api("AT-1");
    let (session, _) = session(&server, hour());
    let call = ApiRequest::post(server.url("/queue")).body("text/plain", "the body");
    assert_eq!(session.call(&call).unwrap().status(), 200);
    let bodies: Vec<_> = server.requests().into_iter().map(|it| it.body).collect();
    assert_eq!(
        (bodies[0].as_str(), bodies[2].as_str()),
        ("the body", "the body")
    );
}

#[test]
fn a_call_that_cannot_be_sent_is_refused_before_anything_is() {
    let server = Server::answering(json("200 OK", "{}"));
    let (session, _) = session(&server, hour());
    let get = || ApiRequest::get(server.url("/me"));
    let calls = [
        get().header("Authorization", "Bearer mine"),
        get().header("aUTHORIZATION", "Bearer mine"),
        get().header("Host", "evil.example"),
        get().header("Content-Length", "3"),
        get().header("Transfer-Encoding", "chunked"),
        get().header("Connection", "keep-alive"),
        get().header("X-Own", "a\r\nX-Other: b"),
        get().header("X Own", "a"),
        get().header("", "a"),
        get().body("text/plain", "a body"),
        ApiRequest::post(server.url("/me")).json(&std::collections::HashMap::from([((1, 2), 3)])),
        ApiRequest::post(server.url("/me")).body("a\nb", "a body"),
    ];
    for call in calls {
        let error = session.call(&call).unwrap_err();
        assert!(matches!(error, Error::Request(_)), "{call:?}: {error:?}");
        assert_eq!(error.what_now(), WhatNow::Configuration);
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_403_and_a_429_cause_no_refresh_and_no_wait() {
    let server = server(|request| match request.line.contains("/forbidden") {
        true => response("403 Forbidden", "Connection: close\r\n", ""),
        false => response(
            "429 Slow Down",
            "Retry-After: 79892\r\nConnection: close\r\n",
            "",
        ),
    });
    let (session, _) = session(&server, hour());
    assert_eq!(get(&session, &server.url("/forbidden")).status(), 403);
    // A wait would outlast any test.
    let answer = get(&session, &server.url("/busy"));
    assert_eq!(answer.retry_after(), Some(Duration::from_secs(79_892)));
    assert!(lines(&server).iter().all(|line| line.starts_with("GET ")));
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_server_that_always_says_401_gets_one_refresh_and_one_retry_and_then_only_calls() {
    let server = api("none at all");
    let (session, _) = session(&server, hour());
    for _ in 0..5 {
        assert_eq!(get(&session, &server.url("/me")).status(), 401);
    }
    let refreshes = lines(&server);
    let refreshes = refreshes
        .iter()
        .filter(|line| line.starts_with("POST /token "));
    assert_eq!(refreshes.count(), 1);
    assert_eq!(server.requests().len(), 7);
}
