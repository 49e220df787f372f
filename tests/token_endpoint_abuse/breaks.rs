//! Connections that break, at every step of a request.

use std::io::Read as _;
use std::thread;
use std::time::{Duration, Instant};

use authflow::http::Http;
use authflow::{Activity, Cause, Notice, TransportErrorKind as Kind, WhatNow};

use super::{
    exchanging, has_ended, keeps_its_tokens, not_sent, refreshing, send, sent, shows_no_secret,
    tries_again,
};
use crate::support::raw::{Connection, Nobody, Server, json, response};
use crate::support::shown::REFRESH;

/// Reads a request but for its last byte, which makes the end of the connection a reset.
fn almost_all(connection: &mut Connection) -> String {
    let mut text = vec![0; 64 << 10];
    loop {
        let count = connection.stream.peek(&mut text).unwrap();
        let seen = std::str::from_utf8(&text[..count]).unwrap();
        let whole = seen.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            let length = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            length.unwrap().1 == body.len().to_string()
        });
        if whole {
            let seen = seen.to_owned();
            let all_but_one = &mut text[..count - 1];
            connection.stream.read_exact(all_but_one).unwrap();
            return seen;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

const PART_OF_A_HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: applic";
const PART_OF_A_BODY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{\"access_token\":\"ev";
const PART_OF_A_CHUNK: &str =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n99\r\n{\"access_token\":\"ev";

/// What the server gets to say before it is gone.
const BEFORE: [&str; 5] = [
    "",
    "HTTP/1.1 2",
    PART_OF_A_HEAD,
    PART_OF_A_BODY,
    PART_OF_A_CHUNK,
];

/// The server has the request, and is gone: with a reset, or quietly.
fn broken(before: &'static str, reset: bool) -> Server {
    Server::start(move |mut connection| {
        match reset {
            true => drop(almost_all(&mut connection)),
            false => drop(connection.request()),
        }
        connection.write(before);
    })
}

#[test]
fn a_code_whose_answer_was_lost_is_never_sent_again_and_said_to_be_in_doubt() {
    for before in BEFORE {
        for reset in [true, false] {
            let server = broken(before, reset);
            let mut scenario = exchanging(&server.url("/token"));
            let reply = send(&Http::new(), &mut scenario);
            assert_eq!(reply, Err(sent(Kind::Closed)), "{before:?} {reset}");
            shows_no_secret(&scenario, &reply);
            let failure = has_ended(&mut scenario);
            assert_eq!(failure.cause, Cause::Transport(sent(Kind::Closed)));
            assert_eq!(server.connections(), 1, "{before:?} {reset}");
        }
    }
}

#[test]
fn a_refresh_token_whose_answer_was_lost_is_kept_and_sent_again_later() {
    for before in BEFORE {
        for reset in [true, false] {
            let server = broken(before, reset);
            let mut scenario = refreshing(&server.url("/token"));
            let reply = send(&Http::new(), &mut scenario);
            assert_eq!(reply, Err(sent(Kind::Closed)), "{before:?} {reset}");
            shows_no_secret(&scenario, &reply);
            tries_again(&mut scenario);
            assert_eq!(server.connections(), 1, "{before:?} {reset}");
        }
    }
}

#[test]
fn a_rotation_whose_answer_was_lost_ends_in_one_refusal_and_a_sign_in() {
    for before in BEFORE {
        // The first answer is lost on its way. To the server, what comes then is an old token.
        let server = Server::start(move |mut connection| match connection.number {
            1 => {
                almost_all(&mut connection);
                connection.write(before);
            }
            _ => {
                connection.request();
                connection.write(json("400 Bad Request", r#"{"error":"invalid_grant"}"#));
            }
        });
        let mut scenario = refreshing(&server.url("/token"));
        assert_eq!(send(&Http::new(), &mut scenario), Err(sent(Kind::Closed)));
        tries_again(&mut scenario);
        assert!(send(&Http::new(), &mut scenario).is_ok());
        let again = server.requests().pop().unwrap();
        assert_eq!(again.form("refresh_token").as_deref(), Some(REFRESH));

        keeps_its_tokens(&scenario);
        assert_eq!(scenario.failure().what_now(), WhatNow::SignIn);
        assert_eq!(scenario.in_session("refresh_token_rejected"), true);
        assert!(!scenario.flow.can_refresh());
        assert_eq!(scenario.flow.activity(), Activity::Idle);
        // No storm: not now, not when the access token ends, not in the next program.
        for _ in 0..100 {
            scenario.after(Duration::from_secs(3600)).tick();
        }
        let mut scenario = scenario.restarted();
        scenario.tick();
        assert!(!scenario.flow.can_refresh());
        assert_eq!(scenario.requests.len(), 3);
        assert_eq!(server.connections(), 2);
        assert_eq!(scenario.refresh_token().as_deref(), Some(REFRESH));
    }
}

#[test]
fn a_connection_that_is_refused_says_that_nothing_was_sent() {
    let nobody = Nobody::new();
    let nobody = || nobody.address();
    for scheme in ["http", "https"] {
        let mut scenario = refreshing(&format!("{scheme}://{}/token", nobody()));
        let reply = send(&Http::new(), &mut scenario);
        assert_eq!(reply, Err(not_sent(Kind::Connect)));
        tries_again(&mut scenario);

        let mut scenario = exchanging(&format!("{scheme}://{}/token", nobody()));
        let reply = send(&Http::new(), &mut scenario);
        assert_eq!(reply, Err(not_sent(Kind::Connect)));
        let failure = has_ended(&mut scenario);
        assert_eq!(failure.cause, Cause::Transport(not_sent(Kind::Connect)));
    }
}

/// It may have come between any two bytes of the request. Nobody knows, and so it is not sent again.
#[test]
fn a_server_that_is_gone_at_once_gets_one_request_and_no_other() {
    for round in 0..20 {
        let server = Server::start(move |connection| match round % 2 {
            0 => drop(connection),
            _ => connection.reset(),
        });
        let mut scenario = exchanging(&server.url("/token"));
        let error = send(&Http::new(), &mut scenario).unwrap_err();
        assert_eq!(error.kind, Kind::Closed);
        has_ended(&mut scenario);
        assert_eq!(server.connections(), 1);

        let mut scenario = refreshing(&server.url("/token"));
        assert!(send(&Http::new(), &mut scenario).is_err());
        tries_again(&mut scenario);
        assert_eq!(server.connections(), 2);
    }
}

/// The good end of a bad day: what was lost in between has cost nothing.
#[test]
fn a_server_that_fails_in_every_way_and_then_answers_is_believed_at_last() {
    let server = Server::start(|mut connection| {
        let number = connection.number - 1;
        match BEFORE.get(number) {
            Some(before) => {
                almost_all(&mut connection);
                connection.write(before);
            }
            None if number == BEFORE.len() => {
                connection.request();
                connection.write(response("503 Busy", "", "busy"));
            }
            None => {
                connection.request();
                connection.write(crate::support::raw::tokens("AT-2", Some("RT-2")));
            }
        }
    });
    let http = Http::new();
    let mut scenario = refreshing(&server.url("/token"));
    for _ in 0..=BEFORE.len() {
        let _ = send(&http, &mut scenario);
        keeps_its_tokens(&scenario);
        scenario.tick_at_deadline();
    }
    send(&http, &mut scenario).unwrap();
    assert!(scenario.notices().contains(&&Notice::Refreshed));
    assert_eq!(scenario.refresh_token().as_deref(), Some("RT-2"));
    assert_eq!(server.connections(), BEFORE.len() + 2);
}

#[cfg(all(feature = "loopback", feature = "os-rng"))]
mod session {
    use std::sync::{Arc, Mutex};

    use authflow::session::Error;
    use authflow::{CallbackUrl, Cause};

    use super::*;
    use crate::support::login::{TestStore, client_of, hour, login, parameter, session, text};
    use crate::support::raw::lock;
    use crate::support::shown::CODE;

    #[test]
    fn a_session_sends_a_code_once_and_says_that_it_may_be_spent() {
        for before in BEFORE {
            let seen = Arc::new(Mutex::new(Vec::new()));
            let inside = Arc::clone(&seen);
            let server = Server::start(move |mut connection| {
                let request = almost_all(&mut connection);
                lock(&inside).push(request);
                connection.write(before);
            });
            let store = TestStore::new();
            let login = login(client_of(&server)).store(store.clone());
            let mut pending = login.begin("http://127.0.0.1:8888/callback").unwrap();
            let state = parameter(pending.url().as_str(), "state");
            let answer = CallbackUrl::from_query(&format!("code={CODE}&state={state}"));
            let Err(Error::Login(failure)) = pending.callback(answer.clone()) else {
                panic!("no tokens came");
            };
            assert_eq!(failure.cause, Cause::Transport(sent(Kind::Closed)));
            // The person presses "reload".
            for _ in 0..3 {
                let again = pending.callback(answer.clone());
                assert!(matches!(again, Err(Error::CallbackIgnored(_))), "{again:?}");
            }
            let seen = lock(&seen).clone();
            assert_eq!(seen.len(), 1);
            assert!(seen[0].contains(CODE));
            assert!(store.history().iter().all(|saved| !saved.has_session()));
        }
    }

    #[test]
    fn a_session_keeps_handing_out_its_token_and_does_not_storm() {
        for before in BEFORE {
            let server = broken(before, true);
            let (session, store) = session(&server, hour());
            let start = Instant::now();
            let Err(Error::NotNow { failure, retry_at }) = session.refresh() else {
                panic!("no tokens came");
            };
            assert_eq!(failure.unwrap().cause, Cause::Transport(sent(Kind::Closed)));
            assert!(retry_at.is_some());
            for _ in 0..50 {
                assert_eq!(text(session.access_token()), "AT-0");
            }
            assert_eq!(store.refresh_token().as_deref(), Some("RT-0"));
            // One, and another for each second that this has taken.
            let most = 1 + start.elapsed().as_secs() as usize;
            assert!(server.connections() <= most);
        }
    }
}

/// A reset in the handshake comes before the request.
#[cfg(any(feature = "rustls", feature = "native-tls"))]
#[test]
fn a_reset_before_the_request_says_that_nothing_was_sent() {
    let server = Server::start(|connection| connection.reset());
    let endpoint = format!("https://{}/token", server.address());
    let mut scenario = refreshing(&endpoint);
    let reply = send(&Http::new(), &mut scenario);
    assert!(!reply.unwrap_err().may_have_been_sent);
    tries_again(&mut scenario);
    let mut scenario = exchanging(&endpoint);
    assert!(
        !send(&Http::new(), &mut scenario)
            .unwrap_err()
            .may_have_been_sent
    );
    has_ended(&mut scenario);
}

/// And a request is not sent again by ureq on a new connection when the old one turns out dead.
#[test]
fn a_connection_that_dies_between_two_requests_costs_no_second_sending() {
    let server = Server::start(|mut connection| {
        connection.request();
        connection.write(response("503 Busy", "", "busy"));
        almost_all(&mut connection);
    });
    let http = Http::new();
    let mut scenario = refreshing(&server.url("/token"));
    send(&http, &mut scenario).unwrap();
    scenario.tick_at_deadline();
    let reply = send(&http, &mut scenario);
    assert_eq!(reply, Err(sent(Kind::Closed)));
    assert_eq!(server.connections(), 1);
    keeps_its_tokens(&scenario);
}
