//! What is logged of all this, by the driver and by what it is made of.

use authflow::http::Http;

use super::{
    evil_tokens, exchanging, has_ended, hides_the_secrets, impatient, keeps_its_tokens, refreshing,
    send,
};
use crate::support::process::{again, role, said, say};
use crate::support::raw::{Server, lock, response};
use crate::support::shown::{LOGGED, Shown};

/// A process of its own, because a process has one logger. Traces are left out: there ureq writes down
/// every byte.
#[test]
fn no_record_of_a_bad_answer_shows_a_secret() {
    const TEST: &str = "logs::no_record_of_a_bad_answer_shows_a_secret";
    if role().is_none() {
        let said = said(again(TEST, "logs"));
        assert!(said[0].parse::<usize>().unwrap() > 50, "{said:?}");
        return;
    }
    drop(Shown::new());
    log::set_max_level(log::LevelFilter::Debug);
    let evil = evil_tokens();
    let mut first = true;
    let long = format!("X: {}\r\n", "a".repeat(1 << 20));
    for answer in [
        response("302 Found", "Location: /elsewhere\r\n", &evil),
        response("500 Down", "", &evil),
        response("400 Bad", "", "{\"error\":\"invalid_grant\"}"),
        response("200 OK", &long, &evil),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{evil}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{evil}\r\n"),
        format!("HTTP/1.1 -200 OK\r\n\r\n{evil}"),
        evil,
    ] {
        let server = Server::answering(answer);
        // A server without TLS waits for the end of the greeting; once will do.
        let schemes = match first {
            true => ["http", "https"].as_slice(),
            false => &["http"],
        };
        for scheme in schemes {
            let endpoint = format!("{scheme}://{}/token", server.address());
            let http = match *scheme {
                "http" => Http::new(),
                _ => impatient(),
            };
            let mut scenario = refreshing(&endpoint);
            let _ = send(&http, &mut scenario);
            keeps_its_tokens(&scenario);
            let mut scenario = exchanging(&endpoint);
            let _ = send(&http, &mut scenario);
            has_ended(&mut scenario);
        }
        first = false;
    }
    let logged = lock(&LOGGED);
    logged.iter().for_each(|record| hides_the_secrets(record));
    say(logged.len());
}
