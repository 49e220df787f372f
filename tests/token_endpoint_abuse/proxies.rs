//! A proxy on the way to the token endpoint learns where it is, and no more.

use std::process::Command;

use authflow::http::Http;
use authflow::{Cause, TransportErrorKind as Kind};

use super::{
    evil_tokens, exchanging, has_ended, impatient_by, not_sent, refreshing, send, shows_no_secret,
    tries_again,
};
use crate::support::process::{again, role, said, say};
use crate::support::raw::{Connection, Nobody, Server, response, tokens};

const ENDPOINT: &str = "https://as.example/a/secret/path?tenant=7";
const VARIABLES: [&str; 6] = [
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "all_proxy",
    "https_proxy",
    "http_proxy",
];

/// All that a proxy may be told.
fn was_told_the_host_only(proxy: &Server, count: usize) {
    let requests = proxy.requests();
    assert_eq!(requests.len(), count);
    for request in requests {
        assert_eq!(request.line, "CONNECT as.example:443 HTTP/1.1");
        let mut names: Vec<_> = request
            .headers
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["Host", "Proxy-Connection", "User-Agent"]);
        assert_eq!(request.header("Host"), ["as.example:443"]);
        assert_eq!(request.body, "");
    }
}

#[test]
fn a_proxy_that_does_not_do_as_asked_means_that_nothing_was_sent() {
    let evil = response("200 OK", "", &evil_tokens());
    let challenge = "Proxy-Authenticate: Basic realm=\"x\"\r\n";
    let away = "Location: https://elsewhere.example/\r\n";
    let answers = [
        response("407 Proxy Authentication Required", challenge, ""),
        response("502 Bad Gateway", "", "<html>no"),
        response("503 Service Unavailable", "Retry-After: 1\r\n", ""),
        response("403 Forbidden", "", ""),
        response("302 Found", away, ""),
        response("204 No Content", "", ""),
        "HTTP/1.1 100 Continue\r\n\r\n".to_owned(),
        // The connection ends in the middle of its answer, or there is none.
        String::new(),
        "HTTP/1.1 200 Conn".to_owned(),
        "garbage\r\n\r\n".to_owned(),
        "HTTP/1.1 -200 OK\r\n\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: a\r\n".repeat(3000)),
        format!("HTTP/1.1 200 OK\r\nX: {}\r\n", "a".repeat(1 << 20)),
        // It says yes, and then there is no TLS.
        "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\n\r\n{evil}"),
        evil,
    ];
    for answer in answers {
        let proxy = Server::answering(answer.clone());
        let http = Http::with_proxy(&proxy.url("")).unwrap();
        let mut scenario = refreshing(ENDPOINT);
        let reply = send(&http, &mut scenario);
        let error = *reply.as_ref().unwrap_err();
        assert_eq!(error, not_sent(error.kind), "{answer}");
        shows_no_secret(&scenario, &reply);
        tries_again(&mut scenario);

        let mut scenario = exchanging(ENDPOINT);
        let reply = send(&http, &mut scenario);
        let error = *reply.as_ref().unwrap_err();
        assert!(!error.may_have_been_sent, "{answer}");
        shows_no_secret(&scenario, &reply);
        let failure = has_ended(&mut scenario);
        assert_eq!(failure.cause, Cause::Transport(error));
        was_told_the_host_only(&proxy, 2);
    }
}

#[test]
fn a_proxy_that_resets_or_is_silent_means_that_nothing_was_sent() {
    let resetting = Server::start(Connection::reset);
    let silent = Server::start(|mut connection| {
        connection.request();
        connection.linger();
    });
    let silent_then = Server::start(|mut connection| {
        connection.request();
        connection.write("HTTP/1.1 200 OK\r\n\r\n");
        connection.linger();
    });
    for proxy in [&resetting, &silent, &silent_then] {
        let http = impatient_by(ureq::Proxy::new(&proxy.url("")).ok());
        let mut scenario = exchanging(ENDPOINT);
        let error = send(&http, &mut scenario).unwrap_err();
        // The last is for a build without TLS, which has nothing to say to a proxy that is willing.
        assert!(matches!(
            error.kind,
            Kind::Timeout | Kind::Closed | Kind::Tls
        ));
        assert!(!error.may_have_been_sent, "{error:?}");
        has_ended(&mut scenario);
    }
}

#[test]
fn a_proxy_that_is_not_there_means_that_nothing_was_sent() {
    let nobody = Nobody::new();
    let http = Http::with_proxy(&format!("http://{}", nobody.address())).unwrap();
    let mut scenario = refreshing(ENDPOINT);
    assert_eq!(send(&http, &mut scenario), Err(not_sent(Kind::Connect)));
    tries_again(&mut scenario);
}

/// A name and a password of the proxy's own are for the proxy, and not for the token endpoint's errors.
#[test]
fn a_proxys_password_goes_to_the_proxy_and_is_not_shown() {
    const PASSWORD: &str = "pr0xyMarker-Ub5kC1yNa7Xe";
    let proxy = Server::answering(response("407 Proxy Authentication Required", "", ""));
    let address = proxy.address();
    let http = Http::with_proxy(&format!("http://user:{PASSWORD}@{address}")).unwrap();
    let mut scenario = refreshing(ENDPOINT);
    let reply = send(&http, &mut scenario);
    assert_eq!(reply, Err(not_sent(Kind::Connect)));
    let error = reply.unwrap_err();
    let shown = format!(
        "{error} {error:?} {http:?} {http:#?} {:?}",
        scenario.actions
    );
    assert!(!shown.contains(PASSWORD));
    assert_eq!(proxy.requests()[0].header("Proxy-Authorization").len(), 1);
}

/// Runs this test again with a proxy in this variable, to ask these endpoints.
fn with_proxy_in(variable: &str, test: &str, endpoints: &str, proxy: &Server) -> Vec<String> {
    let mut child: Command = again(test, endpoints);
    for name in VARIABLES.into_iter().chain(["NO_PROXY", "no_proxy"]) {
        child.env_remove(name);
    }
    child.env(variable, proxy.url(""));
    said(child)
}

#[test]
fn each_variable_of_the_environment_names_a_proxy_but_never_for_loopback() {
    if let Some(endpoints) = role() {
        for endpoint in endpoints.split(' ') {
            let reply = send(&Http::new(), &mut refreshing(endpoint));
            match reply {
                Ok(reply) => say(reply.status()),
                Err(error) => say(format!("{error:?}")),
            }
        }
        return;
    }
    let test = "proxies::each_variable_of_the_environment_names_a_proxy_but_never_for_loopback";
    for variable in VARIABLES {
        let proxy = Server::answering(response("502 Bad Gateway", "", ""));
        // Hangs up on a greeting of TLS's.
        let server = Server::start(|mut connection| {
            let mut first = [0];
            let _ = connection.stream.peek(&mut first);
            if first == *b"P" && connection.request().is_some() {
                connection.write(tokens("direct", None));
            }
        });
        let address = server.address();
        // Plain, and TLS that fails.
        let own = format!("http://{address}/token https://{address}/token");
        let said = with_proxy_in(variable, test, &own, &proxy);
        assert_eq!(said[0], "200");
        assert_eq!(said.len(), 2);
        assert_eq!(server.connections(), 2, "{variable}");
        assert_eq!(proxy.connections(), 0, "{variable}");

        let said = with_proxy_in(variable, test, ENDPOINT, &proxy);
        assert_eq!(said, [format!("{:?}", not_sent(Kind::Connect))]);
        was_told_the_host_only(&proxy, 1);
    }
}

#[cfg(any(feature = "rustls", feature = "native-tls"))]
mod tunnel {
    use std::net::TcpStream;
    use std::sync::{Arc, Mutex};
    use std::thread;

    use super::*;
    use crate::certificates::trust_in;
    use crate::support::raw::{eventually, lock};
    use crate::support::shown::REFRESH;
    use crate::support::tls::{Authority, TlsServer};

    /// Leads to this port, whatever it is asked for, and keeps what goes there.
    fn tunnel(port: u16) -> (Server, Arc<Mutex<Vec<u8>>>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let inside = Arc::clone(&seen);
        let proxy = Server::start(move |mut connection| {
            connection.request();
            connection.write("HTTP/1.1 200 OK\r\n\r\n");
            let mut there = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let mut from = there.try_clone().unwrap();
            let mut back = connection.stream.try_clone().unwrap();
            let answers = thread::spawn(move || std::io::copy(&mut from, &mut back));
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = std::io::Read::read(&mut connection.stream, &mut buffer) {
                lock(&inside).extend(&buffer[..count]);
                let _ = std::io::Write::write_all(&mut there, &buffer[..count]);
            }
            let _ = there.shutdown(std::net::Shutdown::Both);
            let _ = answers.join();
        });
        (proxy, seen)
    }

    #[test]
    fn a_proxy_that_does_as_asked_sees_the_host_and_no_secret() {
        let authority = Authority::new();
        let certificate = authority.issues("DNS:as.example");
        let server = TlsServer::start(&authority, &certificate, tokens("AT-good", None));
        let (proxy, seen) = tunnel(server.port());
        let config = ureq::Agent::config_builder()
            .tls_config(trust_in(&authority.pem()))
            .proxy(Some(ureq::Proxy::new(&proxy.url("")).unwrap()));
        let http = Http::with_agent(config.build().into());
        let mut scenario = refreshing(ENDPOINT);
        send(&http, &mut scenario).unwrap();
        assert_eq!(scenario.access_token(), Some("AT-good"));
        assert!(server.seen().contains(REFRESH));
        assert!(server.seen().contains("POST /a/secret/path?tenant=7"));
        drop(http);

        eventually(|| !lock(&seen).is_empty());
        let text = String::from_utf8_lossy(&lock(&seen)).into_owned();
        assert!(!text.contains(REFRESH) && !text.contains("secret"));
        let request = proxy.requests().pop().unwrap();
        assert_eq!(request.line, "CONNECT as.example:443 HTTP/1.1");
        assert!(!format!("{request:?}").contains("secret"));
    }
}
