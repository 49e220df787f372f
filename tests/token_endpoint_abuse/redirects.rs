//! A redirect of a token request would take its secrets elsewhere.

use authflow::WhatNow;
use authflow::http::Http;

use super::{evil_tokens, exchanging, has_ended, is_parked, refreshing, send, shows_no_secret};
use crate::support::raw::{Server, response, tokens};

/// Ways to name another server, or another place on the same one.
fn locations(elsewhere: &Server) -> Vec<String> {
    let address = elsewhere.address();
    let absolute = elsewhere.url("/token");
    vec![
        format!("Location: {absolute}\r\n"),
        format!("Location: //{address}/token\r\n"),
        format!("Location: https://{address}/token\r\n"),
        format!("Location: \\\\{address}\\token\r\n"),
        format!("Location: http://user:pass@{address}/token\r\n"),
        format!("Location: /elsewhere\r\nLocation: {absolute}\r\n"),
        format!("Refresh: 0; url={absolute}\r\n"),
        "Location: /elsewhere\r\n".to_owned(),
        "Location: elsewhere?again=1\r\n".to_owned(),
        "Location: ?again=1\r\n".to_owned(),
        "Location: \r\n".to_owned(),
        String::new(),
    ]
}

#[test]
fn a_redirect_takes_nothing_to_another_place_and_leaves_the_refresh_token() {
    let elsewhere = Server::answering(tokens("stolen", Some("stolen")));
    for status in [300, 301, 302, 303, 305, 307, 308, 399] {
        for location in locations(&elsewhere) {
            let status_line = format!("{status} Moved");
            let server = Server::answering(response(&status_line, &location, &evil_tokens()));
            for mut scenario in [
                refreshing(&server.url("/token")),
                exchanging(&server.url("/token")),
            ] {
                let reply = send(&Http::new(), &mut scenario);
                let answer = reply.as_ref().map(|answer| answer.status());
                assert_eq!(answer, Ok(status), "{status} {location}");
                let failure = scenario.failure().clone();
                assert_eq!(failure.status(), Some(status));
                assert_eq!(failure.what_now(), WhatNow::Configuration);
                shows_no_secret(&scenario, &reply);
                match scenario.requests.len() {
                    1 => drop(has_ended(&mut scenario)),
                    _ => is_parked(&mut scenario),
                }
            }
            let lines: Vec<_> = server.requests().into_iter().map(|it| it.line).collect();
            assert_eq!(lines, ["POST /token HTTP/1.1"; 2], "{status} {location}");
        }
    }
    assert_eq!(elsewhere.connections(), 0);
}
