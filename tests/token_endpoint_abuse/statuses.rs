//! Servers that are down, busy, or in the way.

use std::time::Duration;

use authflow::http::Http;
use authflow::{Activity, WhatNow};

use super::{exchanging, has_ended, refreshing, send, shows_no_secret, tries_again};
use crate::support::raw::{Connection, Server, response};

const PAGE: &str = "<!doctype html><html><title>502</title><a href=\"/?access_token=a\">nginx</a>";

#[test]
fn a_server_that_is_down_costs_no_token_whatever_its_page_says() {
    for status in [500, 501, 502, 503, 504, 511, 520, 599] {
        for (headers, body) in [
            ("Content-Type: text/html\r\n", PAGE),
            ("Content-Type: application/json\r\n", PAGE),
            ("", ""),
            ("", "null"),
            ("", "{}"),
            ("", "\u{feff}"),
            ("", "access_token=a&token_type=Bearer"),
            ("", r#"{"access_token":"a","token_type":"Bearer"}"#),
            ("", r#"{"error":"invalid_grant"}"#),
            ("", r#"{"error":"invalid_client"}"#),
        ] {
            let line = format!("{status} Down");
            let server = Server::answering(response(&line, headers, body));
            let mut scenario = refreshing(&server.url("/token"));
            assert_eq!(send(&Http::new(), &mut scenario).unwrap().status(), status);
            assert_eq!(scenario.failure().status(), Some(status), "{body}");
            let again = WhatNow::Retry { after: None };
            assert_eq!(scenario.failure().what_now(), again, "{status} {body}");
            tries_again(&mut scenario);
            // Once the server is up again, all is as before.
            send(&Http::new(), &mut scenario).unwrap();
            assert_eq!(server.requests()[0].body, server.requests()[1].body);

            let mut scenario = exchanging(&server.url("/token"));
            send(&Http::new(), &mut scenario).unwrap();
            let failure = has_ended(&mut scenario);
            assert_eq!(failure.status(), Some(status));
            assert_eq!(failure.what_now(), again);
            assert_eq!(server.requests().len(), 3);
        }
    }
}

/// The machine's clock says 22:13:20.
#[test]
fn each_spelling_of_retry_after_is_a_wait_or_nothing() {
    const LONGEST: u64 = (1 << 31) - 1;
    let retry_after = [
        ("Retry-After: 120\r\n", Some(120)),
        ("retry-after:120\r\n", Some(120)),
        ("RETRY-AFTER: \t 120 \t\r\n", Some(120)),
        ("Retry-After: 0\r\n", Some(0)),
        ("Retry-After: 000120\r\n", Some(120)),
        ("Retry-After: 79892\r\n", Some(79892)),
        ("Retry-After: 4294967296\r\n", Some(LONGEST)),
        ("Retry-After: 18446744073709551616\r\n", Some(LONGEST)),
        ("Retry-After: Tue, 14 Nov 2023 22:15:20 GMT\r\n", Some(120)),
        (
            "Retry-After: Tuesday, 14-Nov-23 22:15:20 GMT\r\n",
            Some(120),
        ),
        ("Retry-After: Tue Nov 14 22:15:20 2023\r\n", Some(120)),
        ("Retry-After: Tue, 14 Nov 2023 22:13:20 GMT\r\n", Some(0)),
        ("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n", Some(0)),
        ("Retry-After: Thu, 01 Jan 1970 00:00:00 GMT\r\n", Some(0)),
        (
            "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n",
            Some(LONGEST),
        ),
        ("Retry-After: Tue, 32 Nov 2023 22:15:20 GMT\r\n", None),
        ("Retry-After: -1\r\n", None),
        ("Retry-After: +120\r\n", None),
        ("Retry-After: 1.5\r\n", None),
        ("Retry-After: 1e3\r\n", None),
        ("Retry-After: 0x78\r\n", None),
        ("Retry-After: 120 seconds\r\n", None),
        ("Retry-After: soon\r\n", None),
        ("Retry-After: \r\n", None),
        ("Retry-After: \u{661}\u{662}\u{660}\r\n", None),
        ("Retry-After: 120, 7\r\n", None),
        // The first counts, whatever it is.
        ("Retry-After: 120\r\nRetry-After: 7\r\n", Some(120)),
        ("Retry-After: 7\r\nRetry-After: 120\r\n", Some(7)),
        ("Retry-After: soon\r\nRetry-After: 120\r\n", None),
        ("X-Retry-After: 120\r\nRetry: 7\r\n", None),
        ("", None),
    ];
    for status in [429, 503] {
        for (headers, seconds) in retry_after {
            let asked = seconds.map(Duration::from_secs);
            let line = format!("{status} Slow");
            let server = Server::answering(response(&line, headers, "slow down"));
            let mut scenario = refreshing(&server.url("/token"));
            send(&Http::new(), &mut scenario).unwrap();
            assert_eq!(scenario.failure().retry_after(), asked, "{headers}");
            let wait = WhatNow::Retry { after: asked };
            assert_eq!(scenario.failure().what_now(), wait);
            // Never sooner than the machine's own second, nor later than a day.
            let day = Duration::from_secs(24 * 60 * 60);
            let own = asked.unwrap_or_default().clamp(Duration::from_secs(1), day);
            let until = scenario.now.saturating_add(own);
            assert_eq!(scenario.flow.activity(), Activity::Backoff { until });
            super::keeps_its_tokens(&scenario);
            let early = scenario.now;
            scenario.now = until.saturating_sub(Duration::from_millis(1));
            scenario.tick();
            assert_eq!(scenario.requests.len(), 2, "{headers}");
            scenario.now = early;
            scenario.now = until;
            scenario.tick();
            let (first, again) = (&scenario.requests[1], &scenario.requests[2]);
            assert_eq!(first.body(), again.body());

            let mut scenario = exchanging(&server.url("/token"));
            send(&Http::new(), &mut scenario).unwrap();
            assert_eq!(has_ended(&mut scenario).what_now(), wait);
            assert_eq!(server.requests().len(), 2);
        }
    }
}

#[test]
fn a_server_that_shows_all_it_was_sent_has_none_of_it_shown_on() {
    let echo = |status: &'static str| {
        Server::start(move |mut connection: Connection| {
            let request = connection.request().unwrap();
            let page = format!("{request:?} {} {}", request.body, super::EVIL);
            connection.write(response(status, "", &page));
        })
    };
    for status in ["200 OK", "302 Found", "400 Bad", "429 Slow", "500 Down"] {
        let server = echo(status);
        for mut scenario in [
            refreshing(&server.url("/token")),
            exchanging(&server.url("/token")),
        ] {
            let reply = send(&Http::new(), &mut scenario);
            let page = reply.as_ref().unwrap().body();
            assert!(page.len() > 300);
            shows_no_secret(&scenario, &reply);
        }
    }
}
