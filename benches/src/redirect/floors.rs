//! Logins without a library: the system's listener and tiny_http's, each with ureq.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use tiny_http::{Request, Response, Server};

use super::{Login, show};
use crate::exchange::floors::{agent, post};
use crate::fixture;
use crate::libraries::by_hand::{self, Tokens};

pub const PAGE: &str = "<!doctype html><title>Logged in</title><p>You can close this window.";

/// Waits for one connection after the other.
pub struct Std(String);

impl Login for Std {
    type Held = (TcpListener, TcpStream, Tokens);

    fn new(token_url: &str) -> Self {
        Self(token_url.to_owned())
    }

    fn login(&self) -> Result<Self::Held, String> {
        let agent = agent(true);
        let listener = TcpListener::bind("127.0.0.1:0").map_err(text)?;
        let port = listener.local_addr().map_err(text)?.port();
        show(&authorize(port));
        loop {
            let (mut stream, _) = listener.accept().map_err(text)?;
            let head = head(&mut stream).unwrap_or_default();
            let target = head.split(' ').nth(1).unwrap_or_default();
            if !is_ours(target) {
                // Whoever it was may have gone.
                let _ = stream.write_all(
                    b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                );
                continue;
            }
            let page = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{PAGE}",
                PAGE.len()
            );
            stream.write_all(page.as_bytes()).map_err(text)?;
            let tokens = exchange(&agent, &self.0, target);
            return Ok((listener, stream, tokens));
        }
    }
}

fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read(&mut buffer).ok()? {
            0 => return None,
            read => head.extend_from_slice(&buffer[..read]),
        }
    }
    String::from_utf8(head).ok()
}

/// tiny_http's server, whose page comes before or after the exchange.
pub struct TinyHttp<const PAGE_FIRST: bool>(String);

impl<const PAGE_FIRST: bool> Login for TinyHttp<PAGE_FIRST> {
    type Held = (Server, Tokens);

    fn new(token_url: &str) -> Self {
        Self(token_url.to_owned())
    }

    fn login(&self) -> Result<Self::Held, String> {
        let agent = agent(true);
        let (server, port) = server()?;
        show(&authorize(port));
        let request = redirect(&server)?;
        let target = request.url().to_owned();
        if PAGE_FIRST {
            respond(request)?;
            let tokens = exchange(&agent, &self.0, &target);
            return Ok((server, tokens));
        }
        let tokens = exchange(&agent, &self.0, &target);
        respond(request)?;
        Ok((server, tokens))
    }
}

/// tiny_http's server on a free port.
pub fn server() -> Result<(Server, u16), String> {
    let server = Server::http("127.0.0.1:0").map_err(text)?;
    let address = server.server_addr().to_ip().ok_or("no address")?;
    Ok((server, address.port()))
}

/// The request of our path. All others are answered.
pub fn redirect(server: &Server) -> Result<Request, String> {
    loop {
        let request = server.recv().map_err(text)?;
        if is_ours(request.url()) {
            return Ok(request);
        }
        let nothing = Response::empty(404);
        request.respond(nothing).map_err(text)?;
    }
}

/// Shows the page.
pub fn respond(request: Request) -> Result<(), String> {
    let html = tiny_http::Header::from_bytes("Content-Type", "text/html");
    let html = html.map_err(|()| "a header")?;
    let page = Response::from_string(PAGE).with_header(html);
    request.respond(page).map_err(text)
}

fn is_ours(target: &str) -> bool {
    target.split('?').next() == Some("/callback")
}

fn exchange(agent: &ureq::Agent, url: &str, target: &str) -> Tokens {
    let code = by_hand::callback(target, fixture::STATE);
    let form = by_hand::token_request(&code, fixture::VERIFIER);
    let body = post(agent, url, &form);
    by_hand::response(std::str::from_utf8(&body).expect("JSON"))
}

fn authorize(port: u16) -> String {
    format!(
        "{}?response_type=code&client_id={}&state={}&code_challenge={}&code_challenge_method=S256&redirect_uri=http%3A%2F%2F127.0.0.1%3A{port}%2Fcallback",
        fixture::AUTHORIZE,
        fixture::CLIENT_ID,
        fixture::STATE,
        fixture::CHALLENGE,
    )
}

/// What went wrong, in words.
pub fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
