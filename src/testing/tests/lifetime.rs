//! Starting, stopping, and what hostile or careless clients can do meanwhile.

use std::time::Instant;

use super::*;
use crate::testing::{Endpoint, Fault};

fn port(provider: &FakeProvider) -> u16 {
    Url::parse(provider.base_url()).unwrap().port().unwrap()
}

#[test]
fn dropping_it_frees_the_port_at_once() {
    let freed = (0..20).filter(|_| {
        let provider = FakeProvider::start().unwrap();
        let port = port(&provider);
        assert_eq!(
            send(&provider, "GET / HTTP/1.1\r\n\r\n").unwrap().status,
            200
        );
        drop(provider);
        FakeProvider::builder().port(port).start().is_ok()
    });
    // Another test may have been given the port in between, but not often.
    assert!(freed.count() >= 18);
}

#[test]
fn a_port_in_use_is_an_error() {
    let provider = FakeProvider::start().unwrap();
    let error = FakeProvider::builder()
        .port(port(&provider))
        .start()
        .unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}

#[test]
fn a_redirect_uri_that_cannot_be_registered_is_an_error() {
    for uri in [
        "/callback",
        "https://a.example/#x",
        "https://a.example/\r\nX: y",
    ] {
        let error = FakeProvider::builder()
            .redirect_uris([uri])
            .start()
            .unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
}

#[test]
fn nobody_who_is_still_connected_holds_up_the_drop() {
    let provider = FakeProvider::start().unwrap();
    provider.fault(Endpoint::Token, Fault::Slow(Duration::MAX));
    let mut slow = connect(&provider);
    slow.write_all(token_request("").as_bytes()).unwrap();
    let mut silent = connect(&provider);
    let mut half = connect(&provider);
    half.write_all(b"GET / HT").unwrap();
    while provider.requests(Endpoint::Token).is_empty() {
        thread::yield_now();
    }
    provider.fault(Endpoint::Token, Fault::Endless { bytes: u64::MAX });
    let mut endless = connect(&provider);
    endless.write_all(token_request("").as_bytes()).unwrap();
    endless.read_exact(&mut [0; 100_000]).unwrap();

    let started = Instant::now();
    drop(provider);
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    for stream in [&mut slow, &mut silent, &mut half] {
        assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
    }
}

#[test]
fn clients_that_break_off_or_break_the_rules_do_no_harm() {
    let provider = FakeProvider::start().unwrap();
    for bytes in [
        &b""[..],
        b"\x16\x03\x01\x02\x00\x01",
        b"GET /authorize?",
        b"PRI * HTTP/2.0\r\n\r\n",
    ] {
        drop(connect(&provider).write_all(bytes));
    }
    let refused = |request: &str| send(&provider, request).unwrap().status;
    assert_eq!(
        refused("POST /api/token HTTP/1.1\r\nContent-Length: 99999999999999\r\n\r\n"),
        413
    );
    assert_eq!(
        refused("POST /api/token HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"),
        411
    );
    assert_eq!(
        refused(&format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(200_000))),
        431
    );
    let large = token_request(&"a".repeat(100_000));
    assert_eq!(refused(&large), 413);
    assert_eq!(refused("GET / HTTP/1.1\r\n\r\n"), 200);
    assert!(provider.requests(Endpoint::Token).is_empty());
}

#[test]
fn a_record_of_requests_is_kept_and_cleared() {
    let provider = FakeProvider::start().unwrap();
    let (_, refresh_token) = login_over_sockets(&provider);
    send_form(&provider, &refresh_form("guess"));
    let record = provider.requests(Endpoint::Token);
    assert_eq!(record[0].grant_type(), Some("authorization_code"));
    assert_eq!(record[0].status(), Some(200));
    assert_eq!(record[1].parameter("refresh_token"), Some("guess"));
    assert_eq!(record[1].status(), Some(400));
    assert!(!record[1].has_authorization());
    provider.clear_requests(Endpoint::Token);
    assert_eq!(provider.requests(Endpoint::Token), []);

    provider.set_expires_in(at(5));
    let reply = send_form(&provider, &refresh_form(&refresh_token)).unwrap();
    assert_eq!(json(&reply)["expires_in"], 5);
}

#[test]
fn debug_shows_no_secret() {
    let builder = FakeProvider::builder().client_secret("hush");
    assert!(!format!("{builder:?}").contains("hush"));
    let provider = builder.start().unwrap();
    assert!(!format!("{provider:?}").contains("hush"));
    assert_eq!(provider.client_secret(), Some("hush"));
}

#[test]
fn many_people_at_once_are_served() {
    let provider = FakeProvider::start().unwrap();
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| login_over_sockets(&provider));
        }
    });
    assert_eq!(provider.requests(Endpoint::Token).len(), 16);
}
