//! The HTTP driver against servers that behave as servers do on a bad day.
#![cfg(feature = "ureq")]

mod support;

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use authflow::http::Http;
use authflow::{
    Action, AuthFlow, Client, ClientBuilder, ConfigError, Event, HttpRequest, HttpResponse,
    Provider, Timestamp, TokenSet, TransportError, TransportErrorKind as Kind,
};
use support::raw::{Nobody, PATIENCE, Server, json, response, tokens};

const SECRET: &str = "RT-hush-hush";

fn client(token_endpoint: &str) -> ClientBuilder {
    let provider = Provider::new("https://as.example/authorize", token_endpoint);
    Client::builder(provider.dangerously_allow_http_on_loopback(), "my-client")
}

/// A refresh, as the machine wants it sent.
fn refresh(client: ClientBuilder) -> HttpRequest {
    let now = Timestamp::from_millis(1_700_000_000_000);
    let mut flow = AuthFlow::new(client.build().unwrap());
    let tokens = TokenSet::new("AT").refresh_token(SECRET);
    flow.handle(Event::AdoptTokens(tokens), now).unwrap();
    flow.handle(Event::Refresh, now).unwrap();
    let request = std::iter::from_fn(|| flow.poll_action()).find_map(|action| match action {
        Action::Send(request) => Some(request),
        _ => None,
    });
    request.expect("a request")
}

fn execute(token_endpoint: &str) -> Result<HttpResponse, TransportError> {
    Http::new().execute(&refresh(client(token_endpoint)))
}

/// What a server that answers with these bytes is understood as.
fn answer(bytes: impl Into<Vec<u8>>) -> Result<HttpResponse, TransportError> {
    execute(&Server::answering(bytes).url("/token"))
}

fn impatient() -> Http {
    let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_millis(300)));
    Http::with_agent(config.build().into())
}

fn sent(kind: Kind) -> TransportError {
    TransportError {
        kind,
        may_have_been_sent: true,
    }
}

fn not_sent(kind: Kind) -> TransportError {
    TransportError {
        kind,
        may_have_been_sent: false,
    }
}

// --- what goes out -------------------------------------------------------------------------------

#[test]
fn a_request_carries_these_headers_and_no_others() {
    let server = Server::answering(tokens("AT", None));
    let secretive = client(&server.url("/token?own=1")).secret("client-hush");
    for (client, authorization) in [
        (client(&server.url("/token?own=1")), false),
        (secretive, true),
    ] {
        Http::new().execute(&refresh(client)).unwrap();
        let request = server.requests().pop().unwrap();
        assert_eq!(request.line, "POST /token?own=1 HTTP/1.1");
        let mut names: Vec<_> = request
            .headers
            .iter()
            .map(|(name, _)| name.to_ascii_lowercase())
            .collect();
        names.sort();
        let mut expected = vec![
            "accept",
            "content-length",
            "content-type",
            "host",
            "user-agent",
        ];
        if authorization {
            expected.insert(1, "authorization");
        }
        assert_eq!(names, expected);
        assert_eq!(request.header("Host"), [server.address().to_string()]);
        assert_eq!(request.header("Accept"), ["application/json"]);
        assert_eq!(
            request.header("Content-Type"),
            ["application/x-www-form-urlencoded"]
        );
        assert_eq!(request.form("grant_type").as_deref(), Some("refresh_token"));
        assert_eq!(request.form("refresh_token").as_deref(), Some(SECRET));
    }
}

#[test]
fn an_endpoint_with_a_user_name_never_becomes_a_request() {
    for userinfo in ["user:hush@", "user@", ":hush@"] {
        let endpoint = format!("https://{userinfo}as.example/token");
        let error = client(&endpoint).build().unwrap_err();
        assert!(matches!(error, ConfigError::Endpoint { .. }));
        assert!(!error.to_string().contains("hush"));
    }
}

#[test]
fn a_request_is_sent_once_also_on_a_connection_that_was_used_before() {
    // Answers the first request and hangs up on the second.
    let server = Server::start(|mut connection| {
        if connection.request().is_some() {
            connection.write(response("200 OK", "", "{}"));
            connection.request();
        }
    });
    let http = Http::new();
    let request = refresh(client(&server.url("/token")));
    assert_eq!(http.execute(&request), Ok(HttpResponse::new(200, "{}")));
    assert_eq!(http.execute(&request), Err(sent(Kind::Closed)));
    assert_eq!(server.requests().len(), 2);
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_connection_that_the_server_has_closed_meanwhile_is_not_used_again() {
    let server = Server::answering(response("200 OK", "", "{}"));
    let http = Http::new();
    let request = refresh(client(&server.url("/token")));
    for _ in 0..5 {
        assert_eq!(http.execute(&request), Ok(HttpResponse::new(200, "{}")));
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(server.requests().len(), 5);
}

// --- what comes back -----------------------------------------------------------------------------

#[test]
fn a_redirect_is_an_answer_and_is_never_followed() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Server::answering(tokens("stolen", None));
        let location = format!("Location: {}\r\n", elsewhere.url("/token"));
        let reply = answer(response(&format!("{status} Moved"), &location, "gone"));
        assert_eq!(reply, Ok(HttpResponse::new(status, "gone")));
        assert_eq!(elsewhere.connections(), 0, "{status}");
    }
}

#[test]
fn every_status_is_an_answer() {
    for status in [
        200, 201, 206, 300, 304, 400, 401, 403, 404, 418, 429, 500, 502, 503, 599,
    ] {
        let body = if status == 304 { "" } else { "body" };
        let reply = answer(response(&format!("{status} Status"), "", body));
        assert_eq!(reply, Ok(HttpResponse::new(status, body)), "{status}");
    }
    assert_eq!(
        answer("HTTP/1.1 204 No Content\r\n\r\n"),
        Ok(HttpResponse::new(204, ""))
    );
    let hint = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".to_owned();
    assert_eq!(
        answer(hint + &response("200 OK", "", "x")),
        Ok(HttpResponse::new(200, "x"))
    );
}

#[test]
fn retry_after_is_handed_over_as_it_came() {
    for value in ["79892", "Wed, 21 Oct 2015 07:28:00 GMT", "-1", "soon"] {
        let header = format!("rEtry-aFter: {value}\r\n");
        let expected = HttpResponse::new(429, "slow").with_header("Retry-After", value);
        let reply = answer(response("429 Too Many Requests", &header, "slow"));
        assert_eq!(reply, Ok(expected));
    }
}

#[test]
fn bodies_come_in_every_framing() {
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{ \r\n1\r\n}\r\n0\r\n\r\n";
    assert_eq!(answer(chunked), Ok(HttpResponse::new(200, "{ }")));
    let until_the_end = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{ }";
    assert_eq!(answer(until_the_end), Ok(HttpResponse::new(200, "{ }")));
    assert_eq!(
        answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\x00".as_slice()),
        Ok(HttpResponse::new(200, [0xff, 0]))
    );
}

#[test]
fn a_body_of_one_mebibyte_is_read() {
    let body = "a".repeat(HttpResponse::MAX_BODY);
    let reply = answer(response("200 OK", "", &body));
    assert_eq!(reply, Ok(HttpResponse::new(200, body)));
}

#[test]
fn a_larger_body_is_too_large_with_and_without_a_length() {
    let body = "a".repeat(HttpResponse::MAX_BODY + 1);
    assert_eq!(
        answer(response("200 OK", "", &body)),
        Err(sent(Kind::TooLarge))
    );
    let unannounced = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}");
    assert_eq!(answer(unannounced), Err(sent(Kind::TooLarge)));
}

#[test]
fn a_body_without_end_is_given_up_soon() {
    let server = Server::start(|mut connection| {
        connection.request();
        connection.write("HTTP/1.1 200 OK\r\n\r\n");
        let chunk = vec![b'a'; 64 << 10];
        while std::io::Write::write_all(&mut connection.stream, &chunk).is_ok() {}
    });
    let start = Instant::now();
    let reply = execute(&server.url("/token"));
    assert_eq!(reply, Err(sent(Kind::TooLarge)));
    assert!(start.elapsed() < PATIENCE);
}

#[test]
fn an_answer_that_breaks_off_is_none() {
    let broken = [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"access_token\":",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\"",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 2",
        "",
    ];
    for bytes in broken {
        assert_eq!(answer(bytes), Err(sent(Kind::Closed)), "{bytes:?}");
    }
}

#[test]
fn a_reset_after_the_request_may_have_come_too_late() {
    let server = Server::start(|connection| connection.reset());
    let reply = execute(&server.url("/token"));
    assert_eq!(reply, Err(sent(Kind::Closed)));
}

#[test]
fn what_is_not_http_is_a_protocol_error() {
    let garbage = [
        "garbage\r\n\r\n",
        "SSH-2.0-OpenSSH_9.7\r\n",
        "HTTP/1.1 two hundred OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ];
    for bytes in garbage {
        assert_eq!(answer(bytes), Err(sent(Kind::Protocol)), "{bytes:?}");
    }
    let flood = "X-Flood: flood\r\n".repeat(20_000);
    let reply = answer(response("200 OK", &flood, "{}"));
    assert_eq!(reply, Err(sent(Kind::Protocol)));
}

// --- who does not answer -------------------------------------------------------------------------

#[test]
fn a_refused_connection_means_that_nothing_was_sent() {
    let nobody = Nobody::new();
    let reply = execute(&format!("http://{}/token", nobody.address()));
    assert_eq!(reply, Err(not_sent(Kind::Connect)));
}

#[test]
fn a_name_that_does_not_exist_means_that_nothing_was_sent() {
    let reply = Http::without_proxy().execute(&refresh(client("https://nowhere.invalid/token")));
    let error = reply.unwrap_err();
    assert!(matches!(error.kind, Kind::Dns | Kind::Connect), "{error:?}");
    assert!(!error.may_have_been_sent);
}

#[test]
fn a_silent_server_is_given_up_in_time() {
    let server = Server::start(|mut connection| {
        connection.request();
        connection.linger();
    });
    let start = Instant::now();
    let reply = impatient().execute(&refresh(client(&server.url("/token"))));
    assert_eq!(reply, Err(sent(Kind::Timeout)));
    assert!(start.elapsed() < PATIENCE);
}

#[test]
fn a_server_that_answers_drop_by_drop_is_given_up_in_time() {
    let server = Server::start(|mut connection| {
        connection.request();
        connection.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
        while std::io::Write::write_all(&mut connection.stream, b" ").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let start = Instant::now();
    let reply = impatient().execute(&refresh(client(&server.url("/token"))));
    assert_eq!(reply, Err(sent(Kind::Timeout)));
    assert!(start.elapsed() < PATIENCE);
}

#[test]
fn the_agents_own_choices_about_redirects_and_statuses_do_not_count() {
    let elsewhere = Server::answering(tokens("stolen", None));
    let location = format!("Location: {}\r\n", elsewhere.url("/token"));
    let server = Server::answering(response("302 Found", &location, ""));
    let config = ureq::Agent::config_builder()
        .max_redirects(5)
        .http_status_as_error(true);
    let http = Http::with_agent(config.build().into());
    let request = refresh(client(&server.url("/token")));
    assert_eq!(http.execute(&request), Ok(HttpResponse::new(302, "")));
    assert_eq!(elsewhere.connections(), 0);
}

// --- TLS -----------------------------------------------------------------------------------------

#[cfg(feature = "rustls")]
mod tls {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Child, Command, Stdio};

    use super::{Kind, Server, execute};

    #[test]
    fn https_to_a_server_that_speaks_none_is_a_tls_error() {
        let server = Server::start(|mut connection| {
            let _ = connection.stream.peek(&mut [0]);
            connection.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            connection.linger();
        });
        let error = execute(&format!("https://{}/token", server.address())).unwrap_err();
        assert_eq!(error.kind, Kind::Tls);
    }

    /// Needs the program `openssl` (Debian: `apt-get install openssl`).
    #[test]
    fn a_certificate_that_nobody_vouches_for_is_a_tls_error() {
        let server = SelfSigned::start().expect("openssl is missing, or too old for s_server");
        for host in ["127.0.0.1", "localhost"] {
            let error = execute(&format!("https://{host}:{}/token", server.port)).unwrap_err();
            assert_eq!(error.kind, Kind::Tls, "{host}");
        }
    }

    struct SelfSigned {
        process: Child,
        port: u16,
    }

    impl SelfSigned {
        fn start() -> Option<Self> {
            let directory =
                std::env::temp_dir().join(format!("authflow-tls-{}", std::process::id()));
            std::fs::create_dir_all(&directory).ok()?;
            let (key, certificate) = (directory.join("key.pem"), directory.join("cert.pem"));
            let made = Command::new("openssl")
                .args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"])
                .args(["-pkeyopt", "ec_paramgen_curve:prime256v1"])
                .args(["-subj", "/CN=localhost"])
                .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
                .arg("-keyout")
                .arg(&key)
                .arg("-out")
                .arg(&certificate)
                .stderr(Stdio::null())
                .status();
            let started = made.ok().filter(|status| status.success()).and_then(|_| {
                Command::new("openssl")
                    .args(["s_server", "-accept", "127.0.0.1:0", "-naccept", "8"])
                    .arg("-key")
                    .arg(&key)
                    .arg("-cert")
                    .arg(&certificate)
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::null())
                    .spawn()
                    .ok()
            });
            let process = started.map(|mut process| {
                let lines = BufReader::new(process.stdout.take().unwrap()).lines();
                let port = lines.map_while(Result::ok).find_map(|line| {
                    let address = line.strip_prefix("ACCEPT ")?;
                    address.rsplit(':').next()?.trim().parse().ok()
                });
                (process, port)
            });
            let _ = std::fs::remove_dir_all(&directory);
            let (mut process, port) = process?;
            let Some(port) = port else {
                let _ = process.kill();
                let _ = process.wait();
                return None;
            };
            Some(Self { process, port })
        }
    }

    impl Drop for SelfSigned {
        fn drop(&mut self) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

// --- proxies -------------------------------------------------------------------------------------

const PROXIED: &str = "AUTHFLOW_TEST_PROXIED";

/// This test again, in a process of its own whose environment names a proxy.
fn in_a_process_with_a_proxy(test: &str, proxy: &Server, endpoint: &str) {
    let proxy = proxy.url("");
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", test, "--nocapture"]);
    child.env(PROXIED, endpoint);
    for name in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"] {
        child.env(name, &proxy);
        child.env(name.to_ascii_lowercase(), &proxy);
    }
    child.env_remove("NO_PROXY").env_remove("no_proxy");
    let output = child.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

/// Says no to whatever it is asked for.
fn proxy() -> Server {
    Server::answering(response("502 Bad Gateway", "", ""))
}

#[test]
fn loopback_is_never_asked_for_through_a_proxy() {
    if let Ok(endpoint) = std::env::var(PROXIED) {
        for http in [
            Http::new(),
            Http::with_agent(ureq::Agent::new_with_defaults()),
        ] {
            let reply = http.execute(&refresh(client(&endpoint)));
            assert_eq!(reply, Ok(HttpResponse::new(200, "direct")));
        }
        return;
    }
    let (server, proxy) = (Server::answering(json("200 OK", "direct")), proxy());
    in_a_process_with_a_proxy(
        "loopback_is_never_asked_for_through_a_proxy",
        &proxy,
        &server.url("/token"),
    );
    assert_eq!(server.requests().len(), 2);
    assert_eq!(proxy.connections(), 0);

    let explicit = Http::with_proxy(&proxy.url("")).unwrap();
    let reply = explicit.execute(&refresh(client(&server.url("/token"))));
    assert_eq!(reply, Ok(HttpResponse::new(200, "direct")));
    assert_eq!(proxy.connections(), 0);
}

#[test]
fn a_proxy_is_told_the_name_of_the_server_and_nothing_else() {
    const ENDPOINT: &str = "https://nowhere.invalid/token";
    if std::env::var_os(PROXIED).is_some() {
        let error = Http::new().execute(&refresh(client(ENDPOINT))).unwrap_err();
        assert_eq!(error, not_sent(Kind::Connect));
        let direct = Http::without_proxy().execute(&refresh(client(ENDPOINT)));
        assert!(!direct.unwrap_err().may_have_been_sent);
        return;
    }
    let proxy = proxy();
    in_a_process_with_a_proxy(
        "a_proxy_is_told_the_name_of_the_server_and_nothing_else",
        &proxy,
        ENDPOINT,
    );
    let explicit = Http::with_proxy(&proxy.url("")).unwrap();
    let error = explicit.execute(&refresh(client(ENDPOINT))).unwrap_err();
    assert_eq!(error, not_sent(Kind::Connect));

    let requests = proxy.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert_eq!(request.line, "CONNECT nowhere.invalid:443 HTTP/1.1");
        let shown = format!("{request:?}");
        assert!(!shown.contains(SECRET) && !shown.contains("/token"));
    }
}

#[test]
fn what_is_no_proxy_is_refused_and_a_proxys_password_is_not_shown() {
    for no in ["", "://", "ftp://proxy.example"] {
        assert!(Http::with_proxy(no).is_err(), "{no:?}");
    }
    let http = Http::with_proxy("http://user:hush@proxy.example:8080").unwrap();
    assert!(!format!("{http:?} {http:#?}").contains("hush"));
}
