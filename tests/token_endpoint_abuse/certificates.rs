//! TLS that must fail. Each server is shown to answer an agent that trusts it, or looks away.

use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};

use authflow::http::Http;
use authflow::{Cause, TransportErrorKind as Kind};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::{exchanging, has_ended, not_sent, refreshing, send, shows_no_secret, tls, tries_again};
use crate::support::raw::{Connection, Server, eventually, lock, response, tokens};
use crate::support::shown::{CLIENT_SECRET, CODE, REFRESH};
use crate::support::tls::{Authority, TlsServer, speaks};

const NAMES: &str = "DNS:localhost,IP:127.0.0.1";

fn agent(tls: TlsConfig) -> Http {
    let config = ureq::Agent::config_builder().proxy(None).tls_config(tls);
    Http::with_agent(config.build().into())
}

/// In whoever this certificate vouches for, and in nobody else.
pub fn trust_in(pem: &[u8]) -> TlsConfig {
    let root = Certificate::from_pem(pem).unwrap();
    let roots = RootCerts::new_with_certs(&[root]);
    tls().root_certs(roots).build()
}

fn trusting(pem: &[u8]) -> Http {
    agent(trust_in(pem))
}

/// Trusts everybody.
fn careless() -> Http {
    agent(tls().disable_verification(true).build())
}

fn answer() -> String {
    tokens("AT-good", Some("RT-good"))
}

/// The request goes out, and its answer comes.
fn succeeds(http: &Http, endpoint: &str) {
    let mut scenario = refreshing(endpoint);
    send(http, &mut scenario).unwrap();
    assert_eq!(scenario.access_token(), Some("AT-good"));
    assert_eq!(scenario.refresh_token().as_deref(), Some("RT-good"));
}

/// Nothing goes out, as a refresh and as an exchange.
fn is_refused(http: &Http, endpoint: &str, kinds: &[Kind]) {
    let mut scenario = refreshing(endpoint);
    let reply = send(http, &mut scenario);
    let error = *reply.as_ref().unwrap_err();
    assert!(kinds.contains(&error.kind), "{error:?}");
    assert_eq!(error, not_sent(error.kind));
    shows_no_secret(&scenario, &reply);
    tries_again(&mut scenario);

    let mut scenario = exchanging(endpoint);
    let reply = send(http, &mut scenario);
    assert_eq!(reply, Err(error));
    shows_no_secret(&scenario, &reply);
    let failure = has_ended(&mut scenario);
    assert_eq!(failure.cause, Cause::Transport(error));
}

/// How many requests a server has decrypted. It serves one connection after the other, so what came
/// before the last one has been seen.
fn requests(server: &TlsServer) -> usize {
    server.seen().matches("POST /token").count()
}

#[test]
fn a_certificate_of_a_trusted_authority_is_accepted_under_each_of_its_names() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority, &authority.issues(NAMES), answer());
    let http = trusting(&authority.pem());
    for (count, host) in ["localhost", "127.0.0.1"].into_iter().enumerate() {
        succeeds(&http, &server.url(host));
        assert_eq!(requests(&server), count + 1);
    }
    assert!(server.seen().contains(REFRESH));
}

#[test]
fn a_self_signed_certificate_gets_nothing() {
    let authority = Authority::new();
    let certificate = authority.self_signed(NAMES);
    let server = TlsServer::start(&authority, &certificate, answer());
    let endpoint = server.url("127.0.0.1");
    is_refused(&trusting(&authority.pem()), &endpoint, &[Kind::Tls]);
    is_refused(&Http::without_proxy(), &endpoint, &[Kind::Tls]);
    succeeds(&careless(), &endpoint);
    assert_eq!(requests(&server), 1);
}

#[test]
fn a_certificate_of_an_unknown_authority_gets_nothing() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = TlsServer::start(&authority, &authority.issues(NAMES), answer());
    let endpoint = server.url("127.0.0.1");
    is_refused(&trusting(&other.pem()), &endpoint, &[Kind::Tls]);
    is_refused(&Http::without_proxy(), &endpoint, &[Kind::Tls]);
    succeeds(&trusting(&authority.pem()), &endpoint);
    assert_eq!(requests(&server), 1);
}

#[test]
fn a_certificate_that_has_ended_gets_nothing() {
    let authority = Authority::new();
    let certificate = authority.issued_long_ago(NAMES);
    let server = TlsServer::start(&authority, &certificate, answer());
    let endpoint = server.url("127.0.0.1");
    is_refused(&trusting(&authority.pem()), &endpoint, &[Kind::Tls]);
    succeeds(&careless(), &endpoint);
    assert_eq!(requests(&server), 1);
}

#[test]
fn a_certificate_for_another_host_gets_nothing() {
    let authority = Authority::new();
    let certificate = authority.issues("DNS:localhost,DNS:as.example,IP:127.0.0.2");
    let server = TlsServer::start(&authority, &certificate, answer());
    let http = trusting(&authority.pem());
    is_refused(&http, &server.url("127.0.0.1"), &[Kind::Tls]);
    succeeds(&http, &server.url("localhost"));
    assert_eq!(requests(&server), 1);
}

#[test]
fn a_server_that_speaks_old_tls_only_gets_nothing() {
    let authority = Authority::new();
    let certificate = authority.issues(NAMES);
    let http = trusting(&authority.pem());
    for (version, protocol) in [("-tls1", "TLSv1"), ("-tls1_1", "TLSv1.1")] {
        let options = [version, "-cipher", "DEFAULT@SECLEVEL=0"];
        let server = TlsServer::with(&authority, &certificate, answer(), &options);
        let kinds = [Kind::Tls, Kind::Closed];
        is_refused(&http, &server.url("127.0.0.1"), &kinds);
        is_refused(&careless(), &server.url("127.0.0.1"), &kinds);
        assert!(speaks(server.port(), version, protocol));
        assert_eq!(requests(&server), 0);
    }
    for version in ["-tls1_2", "-tls1_3"] {
        let server = TlsServer::with(&authority, &certificate, answer(), &[version]);
        succeeds(&http, &server.url("127.0.0.1"));
    }
}

/// Everything up to the end, or up to where the other side lost patience.
fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let _ = std::io::Read::read_to_end(stream, &mut all);
    all
}

/// A server without TLS, which does this once somebody has said something, and keeps what it read.
fn without_tls(
    act: impl Fn(&mut Connection) + Send + Sync + 'static,
) -> (Server, Arc<Mutex<Vec<Vec<u8>>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let inside = Arc::clone(&seen);
    let server = Server::start(move |mut connection| {
        let _ = connection.stream.peek(&mut [0]);
        act(&mut connection);
        let read = read_all(&mut connection.stream);
        lock(&inside).push(read);
    });
    (server, seen)
}

#[test]
fn a_server_that_breaks_the_handshake_gets_a_greeting_and_nothing_else() {
    type Act = fn(&mut Connection);
    let acts: [Act; 7] = [
        |_| (),
        |connection| connection.write(response("200 OK", "", &super::evil_tokens())),
        |connection| connection.write(response("400 Bad Request", "", "TLS expected")),
        // An alert: handshake_failure.
        |connection| connection.write(b"\x15\x03\x03\x00\x02\x02\x28"),
        // An alert that the connection is over, politely.
        |connection| connection.write(b"\x15\x03\x03\x00\x02\x01\x00"),
        // The beginning of a ServerHello.
        |connection| connection.write(b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76"),
        // Data, before there is a key for it.
        |connection| connection.write(b"\x17\x03\x03\x00\x05hello"),
    ];
    for act in acts {
        let (server, seen) = without_tls(move |connection| {
            act(connection);
            let _ = connection.stream.shutdown(Shutdown::Write);
        });
        let endpoint = format!("https://{}/token", server.address());
        is_refused(&careless(), &endpoint, &[Kind::Tls, Kind::Closed]);
        eventually(|| lock(&seen).len() == 2);
        for read in lock(&seen).iter() {
            // A handshake, and nothing in the clear.
            assert_eq!(read.first(), Some(&0x16));
            let text = String::from_utf8_lossy(read);
            for secret in [REFRESH, CODE, CLIENT_SECRET, "POST", "/token"] {
                assert!(!text.contains(secret));
            }
        }
    }
}

#[test]
fn a_server_that_is_silent_in_the_handshake_is_given_up_with_nothing_sent() {
    let (server, _) = without_tls(|_| ());
    let endpoint = format!("https://{}/token", server.address());
    is_refused(&super::impatient(), &endpoint, &[Kind::Timeout]);
    assert_eq!(server.connections(), 2);
}
