//! Each fault, as a client on a socket sees it.

use std::time::Instant;

use super::*;
use crate::testing::{Endpoint, Fault, Rotation};

/// The reply to a request that would otherwise work, met by this fault.
fn met(provider: &FakeProvider, fault: Fault) -> Option<Reply> {
    let (_, refresh_token) = login_over_sockets(provider);
    provider.fault(Endpoint::Token, fault);
    send_form(provider, &refresh_form(&refresh_token))
}

#[test]
fn replies_that_are_no_token_answers() {
    let provider = FakeProvider::start().unwrap();
    let reply = met(&provider, Fault::Unavailable).unwrap();
    assert_eq!(reply.status, 503);
    assert!(text(&reply).starts_with("upstream connect error"));

    let reply = met(&provider, Fault::Html { status: 400 }).unwrap();
    assert_eq!(reply.status, 400);
    assert!(text(&reply).starts_with("<!doctype html>"));

    let retry_after = "soon\r\nX: y".to_owned();
    let reply = met(&provider, Fault::TooManyRequests { retry_after }).unwrap();
    assert_eq!(reply.status, 429);
    assert_eq!(header(&reply.headers, "retry-after"), Some("soon  X: y"));

    let location = "http://127.0.0.1:9/elsewhere".to_owned();
    let reply = met(
        &provider,
        Fault::Redirect {
            status: 307,
            location,
        },
    )
    .unwrap();
    assert_eq!(reply.status, 307);
    assert_eq!(
        header(&reply.headers, "location"),
        Some("http://127.0.0.1:9/elsewhere")
    );

    let reply = met(&provider, Fault::Empty { status: 200 }).unwrap();
    assert_eq!((reply.status, reply.body.len()), (200, 0));

    let reply = met(&provider, Fault::TruncatedJson).unwrap();
    assert_eq!(reply.status, 200);
    assert!(text(&reply).starts_with('{'));
    assert!(serde_json::from_slice::<Value>(&reply.body).is_err());

    let custom = Fault::Custom {
        status: 418,
        headers: vec![("Content-Type".into(), "text/tea".into())],
        body: b"\xff".to_vec(),
    };
    let reply = met(&provider, custom).unwrap();
    assert_eq!((reply.status, reply.body.as_slice()), (418, &b"\xff"[..]));
    assert_eq!(header(&reply.headers, "content-type"), Some("text/tea"));
}

#[test]
fn a_fault_is_used_once_and_only_by_the_token_endpoint() {
    let provider = FakeProvider::start().unwrap();
    let (access, refresh_token) = login_over_sockets(&provider);
    provider.fault(Endpoint::Token, Fault::Unavailable);
    provider.fault_for_next(Endpoint::Token, 2, Fault::Empty { status: 500 });
    let me = format!("GET /v1/me HTTP/1.1\r\nAuthorization: Bearer {access}\r\n\r\n");
    assert_eq!(send(&provider, &me).unwrap().status, 200);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(
            send_form(&provider, &refresh_form(&refresh_token))
                .unwrap()
                .status,
        );
    }
    assert_eq!(statuses, [503, 500, 500, 200]);

    provider.fault_for_next(Endpoint::Token, usize::MAX, Fault::Unavailable);
    provider.clear_faults(Endpoint::Token);
    assert_eq!(
        send_form(&provider, &refresh_form(&refresh_token))
            .unwrap()
            .status,
        200
    );
}

#[test]
fn a_slow_answer_comes_late_and_holds_up_nobody() {
    let provider = FakeProvider::start().unwrap();
    let (_, refresh_token) = login_over_sockets(&provider);
    let form = refresh_form(&refresh_token);
    provider.fault(Endpoint::Token, Fault::Slow(at(1)));
    let started = Instant::now();
    let mut slow = connect(&provider);
    slow.write_all(token_request(&form).as_bytes()).unwrap();
    while provider.requests(Endpoint::Token).len() < 2 {
        thread::yield_now();
    }
    assert_eq!(send_form(&provider, &form).unwrap().status, 200);
    let statuses: Vec<_> = provider
        .requests(Endpoint::Token)
        .iter()
        .map(|r| r.status())
        .collect();
    assert_eq!(statuses, [Some(200), None, Some(200)]);
    assert_eq!(read_reply(&mut slow).unwrap().status, 200);
    assert!(started.elapsed() >= at(1));
}

#[test]
fn a_connection_dropped_before_leaves_the_token_alive() {
    let rotation = Rotation::EveryRefresh {
        reuse_detection: true,
    };
    let provider = FakeProvider::builder().rotation(rotation).start().unwrap();
    let (_, refresh_token) = login_over_sockets(&provider);
    let form = refresh_form(&refresh_token);
    provider.fault(Endpoint::Token, Fault::DropBefore);
    assert!(send_form(&provider, &form).is_none());
    assert_eq!(send_form(&provider, &form).unwrap().status, 200);
    let statuses: Vec<_> = provider
        .requests(Endpoint::Token)
        .iter()
        .map(|r| r.status())
        .collect();
    assert_eq!(statuses, [Some(200), None, Some(200)]);
}

#[test]
fn a_connection_dropped_after_has_used_the_token_up() {
    let rotation = Rotation::EveryRefresh {
        reuse_detection: false,
    };
    let provider = FakeProvider::builder().rotation(rotation).start().unwrap();
    let (_, refresh_token) = login_over_sockets(&provider);
    let form = refresh_form(&refresh_token);
    provider.fault(Endpoint::Token, Fault::DropAfter);
    assert!(send_form(&provider, &form).is_none());
    let reply = send_form(&provider, &form).unwrap();
    assert_eq!(refused(&reply, 400), "invalid_grant: Refresh token revoked");
}

#[test]
fn an_endless_body_ends_where_it_was_told_to() {
    let provider = FakeProvider::start().unwrap();
    let body = |bytes| {
        provider.fault(Endpoint::Token, Fault::Endless { bytes });
        let mut stream = connect(&provider);
        stream.write_all(token_request("").as_bytes()).unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        let head = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        all.split_off(head + 4)
    };
    assert_eq!(body(3), b"{\"p");
    let large = body(5_000_000);
    assert_eq!(large.len(), 5_000_000);
    assert!(large.starts_with(b"{\"padding\":\"aaaa"));
}
