//! The pure rules request by request, and the whole thing over real sockets.

mod api;
mod authorize;
mod confidential;
mod crowd;
mod faults;
mod http;
mod lifetime;
mod person;
mod refresh;
mod revocation;
mod token;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::http::{Reply, Request, header, read_reply, read_request};
use super::server::Server;
use super::{Answer, FakeProvider, FakeProviderBuilder, Person};

// The pair of RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const REDIRECT: &str = "http://127.0.0.1:4242/callback";

fn authorize_query(more: &[(&str, &str)]) -> String {
    let mut pairs = vec![
        ("client_id", "fake-client"),
        ("response_type", "code"),
        ("redirect_uri", REDIRECT),
        ("state", "a state"),
        ("code_challenge_method", "S256"),
        ("code_challenge", CHALLENGE),
    ];
    pairs.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
    // A value of "-" takes the parameter out.
    pairs.extend(more.iter().filter(|(_, value)| *value != "-"));
    serde_urlencoded::to_string(pairs).unwrap()
}

fn server(builder: FakeProviderBuilder) -> Server {
    Server::new(builder.config, [7; 32])
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn text(reply: &Reply) -> &str {
    std::str::from_utf8(&reply.body).unwrap()
}

fn json(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

/// `error: description` of a refusal with this status.
fn refused(reply: &Reply, status: u16) -> String {
    assert_eq!(reply.status, status, "{}", text(reply));
    let body = json(reply);
    format!(
        "{}: {}",
        body["error"].as_str().unwrap(),
        body["error_description"].as_str().unwrap()
    )
}

fn location(reply: &Reply) -> &str {
    assert_eq!(reply.status, 303, "{}", text(reply));
    header(&reply.headers, "location").unwrap()
}

fn parameters(url: &str) -> HashMap<String, String> {
    Url::parse(url)
        .unwrap()
        .query_pairs()
        .into_owned()
        .collect()
}

fn ticket(page: &Reply) -> String {
    assert_eq!(page.status, 200, "{}", text(page));
    let (_, rest) = text(page).split_once("name=\"ticket\" value=\"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

/// Authorize and consent; the code.
fn code(server: &mut Server, more: &[(&str, &str)], now: Duration) -> String {
    let target = format!("/authorize?{}", authorize_query(more));
    let ticket = ticket(&server.handle(&Request::get(&target), now));
    let form = format!("ticket={ticket}&answer=allow");
    let back = server.handle(&Request::post("/consent", &form), now);
    parameters(location(&back)).remove("code").unwrap()
}

fn post(server: &mut Server, form: &[(&str, &str)], now: Duration) -> Reply {
    let form = serde_urlencoded::to_string(form).unwrap();
    server.handle(&Request::post("/api/token", &form), now)
}

fn exchange(server: &mut Server, code: &str, now: Duration) -> Reply {
    let form = exchange_form(code);
    server.handle(&Request::post("/api/token", &form), now)
}

fn exchange_form(code: &str) -> String {
    serde_urlencoded::to_string([
        ("grant_type", "authorization_code"),
        ("client_id", "fake-client"),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ])
    .unwrap()
}

/// A whole login; access and refresh token.
fn login(server: &mut Server, scope: &str, now: Duration) -> (String, String) {
    let code = code(server, &[("scope", scope)], now);
    let tokens = json(&exchange(server, &code, now));
    (
        token(&tokens, "access_token"),
        token(&tokens, "refresh_token"),
    )
}

fn token(tokens: &Value, name: &str) -> String {
    tokens[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name}"))
        .to_owned()
}

fn refresh(server: &mut Server, refresh_token: &str, now: Duration) -> Reply {
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", "fake-client"),
        ("refresh_token", refresh_token),
    ];
    post(server, &form, now)
}

fn me(server: &mut Server, access_token: &str, now: Duration) -> Reply {
    let bearer = format!("Bearer {access_token}");
    server.handle(
        &Request::get("/v1/me").with_header("Authorization", &bearer),
        now,
    )
}

fn echo(server: &mut Server, access_token: &str, now: Duration) -> Reply {
    let bearer = format!("Bearer {access_token}");
    server.handle(
        &Request::get("/v1/echo").with_header("Authorization", &bearer),
        now,
    )
}

// --- over sockets -----------------------------------------------------------------------------

fn connect(provider: &FakeProvider) -> TcpStream {
    let stream = TcpStream::connect(provider.base_url().strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(at(20))).unwrap();
    stream
}

fn token_request(form: &str) -> String {
    form_request("/api/token", form)
}

fn form_request(path: &str, form: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}",
        form.len()
    )
}

fn api_request(access_token: &str) -> String {
    format!("GET /v1/me HTTP/1.1\r\nAuthorization: Bearer {access_token}\r\n\r\n")
}

/// One request on a keep-alive connection; `None` if the provider hung up instead of answering.
fn send(provider: &FakeProvider, request: &str) -> Option<Reply> {
    let mut stream = connect(provider);
    stream.write_all(request.as_bytes()).unwrap();
    read_reply(&mut stream).ok()
}

fn send_form(provider: &FakeProvider, form: &str) -> Option<Reply> {
    send(provider, &token_request(form))
}

fn authorize_url(provider: &FakeProvider, more: &[(&str, &str)]) -> String {
    format!(
        "{}?{}",
        provider.authorization_endpoint(),
        authorize_query(more)
    )
}

/// A whole login over sockets; access and refresh token.
fn login_over_sockets(provider: &FakeProvider) -> (String, String) {
    let back = Person::redirect_for(&authorize_url(provider, &[]), Answer::Allow).unwrap();
    let reply = send_form(provider, &exchange_form(&parameters(&back)["code"])).unwrap();
    let tokens = json(&reply);
    (
        token(&tokens, "access_token"),
        token(&tokens, "refresh_token"),
    )
}

fn refresh_form(refresh_token: &str) -> String {
    format!("grant_type=refresh_token&client_id=fake-client&refresh_token={refresh_token}")
}

/// A client's listener: answers each of these in turn and returns the requests it saw.
fn client_listener(replies: Vec<Reply>) -> (u16, JoinHandle<Vec<Request>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = thread::spawn(move || {
        replies
            .into_iter()
            .map(|reply| {
                let (mut stream, _) = listener.accept().unwrap();
                let request = read_request(&mut stream).unwrap();
                reply.write_to(&mut stream).unwrap();
                let _ = stream.read(&mut [0]);
                request
            })
            .collect()
    });
    (port, thread)
}
