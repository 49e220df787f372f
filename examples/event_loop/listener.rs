//! The side that is asked: the listener for the redirect, on non-blocking sockets.
//!
//! Anybody on this machine can connect to it, and any web page can make the browser do so. So each
//! connection has a time, a size and a number to keep to, and only a `GET` of our path with our `Host`
//! gets as far as the machine, which alone says whether it is the answer that is waited for. Whatever
//! else comes is answered, and the wait goes on.

use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use authflow::{CallbackUrl, Verdict};

const PATH: &str = "/callback";
const MAX_CONNECTIONS: usize = 32;
const MAX_HEAD: usize = 64 << 10;
/// For sending a request, and again for taking the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// For closing the connection after that.
const LINGER: Duration = Duration::from_secs(1);

/// What the browser is shown in the end. Nothing of a request is ever in it.
#[derive(Clone, Copy)]
pub enum Page {
    LoggedIn,
    Denied,
    Failed,
    NotOurs,
}

pub struct Listener {
    /// `None` once the login is over.
    socket: Option<TcpListener>,
    address: SocketAddr,
    /// In the order in which they came.
    connections: Vec<Connection>,
}

struct Connection {
    stream: TcpStream,
    stage: Stage,
    /// When it came, or was answered.
    since: Instant,
}

enum Stage {
    /// The head of a request, as far as it is there.
    Reading(Vec<u8>),
    /// It may be the redirect. Nobody has looked yet.
    Arrived(CallbackUrl),
    /// The machine has been asked for a verdict.
    Asked,
    /// It was the redirect: the page waits for the exchange to end.
    Held,
    /// The answer, and how much of it is sent.
    Answering(Vec<u8>, usize),
    /// All is said. What the browser still says is read, because a socket that is closed with bytes
    /// unread takes the answer back.
    Closing,
    Over,
}

impl Listener {
    /// Bound before the login begins, because the port is part of the redirect URI. To 127.0.0.1, so
    /// that nobody on the network can reach it, on a port that the system picks.
    pub fn bind() -> io::Result<Self> {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            address: socket.local_addr()?,
            socket: Some(socket),
            connections: Vec::new(),
        })
    }

    pub fn redirect_uri(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Goes on as far as it can without waiting, and returns what may be the redirect. One at a time:
    /// the machine's verdict is about the last one it was given.
    pub fn receive(&mut self) -> Option<CallbackUrl> {
        self.accept();
        let host = self.address.to_string();
        for connection in &mut self.connections {
            connection.advance(&host);
        }
        self.connections.retain(|c| !matches!(c.stage, Stage::Over));
        self.connections.iter_mut().find_map(Connection::ask)
    }

    /// Answers what [`receive`](Self::receive) returned last.
    pub fn answer(&mut self, verdict: Verdict) {
        let asked = |c: &&mut Connection| matches!(c.stage, Stage::Asked);
        for connection in self.connections.iter_mut().filter(asked) {
            match verdict {
                Verdict::Accepted => connection.stage = Stage::Held,
                Verdict::Denied => connection.show(Page::Denied),
                Verdict::NotOurs => connection.show(Page::NotOurs),
            }
        }
    }

    /// The login is over: shows its end to the browser that waits for it, and takes no more
    /// connections. Those that are left are answered to the end.
    pub fn finish(&mut self, page: Page) {
        self.socket = None;
        for connection in &mut self.connections {
            match connection.stage {
                Stage::Held => connection.show(page),
                Stage::Reading(_) => connection.stage = Stage::Over,
                Stage::Arrived(_) | Stage::Asked => connection.show(Page::NotOurs),
                Stage::Answering(..) | Stage::Closing | Stage::Over => {}
            }
        }
    }

    pub fn is_done(&self) -> bool {
        self.socket.is_none() && self.connections.is_empty()
    }

    fn accept(&mut self) {
        let Some(socket) = &self.socket else { return };
        // Few in one turn, so that a newcomer has a few turns to speak before others push it out. An
        // error ends the turn only: a client that is gone already, no file handle left: either passes.
        for _ in 0..MAX_CONNECTIONS / 4 {
            let Ok((stream, _)) = socket.accept() else {
                return;
            };
            if stream.set_nonblocking(true).is_err() {
                continue;
            }
            // A flood of connections that say nothing does not keep the browser out: the one that has
            // said nothing for the longest time makes room.
            if self.connections.len() == MAX_CONNECTIONS {
                let Some(idle) = self.connections.iter().position(Connection::is_idle) else {
                    continue;
                };
                self.connections.remove(idle);
            }
            self.connections.push(Connection {
                stream,
                stage: Stage::Reading(Vec::new()),
                since: Instant::now(),
            });
        }
    }
}

impl Connection {
    fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Reading(_) | Stage::Closing)
    }

    fn ask(&mut self) -> Option<CallbackUrl> {
        match mem::replace(&mut self.stage, Stage::Asked) {
            Stage::Arrived(url) => Some(url),
            other => {
                self.stage = other;
                None
            }
        }
    }

    fn show(&mut self, page: Page) {
        self.stage = Stage::Answering(page.response(), 0);
        self.since = Instant::now();
    }

    fn advance(&mut self, own_host: &str) {
        let (next, patience) = match &mut self.stage {
            Stage::Reading(head) => (read(&self.stream, head, own_host), PATIENCE),
            Stage::Answering(answer, sent) => (write(&self.stream, answer, sent), PATIENCE),
            Stage::Closing => (drain(&self.stream), LINGER),
            // These wait for the machine, which has deadlines of its own.
            Stage::Arrived(_) | Stage::Asked | Stage::Held | Stage::Over => return,
        };
        match next {
            Ok(stage) => {
                self.stage = stage;
                self.since = Instant::now();
            }
            Err(error)
                if error.kind() == ErrorKind::WouldBlock && self.since.elapsed() < patience => {}
            Err(_) => self.stage = Stage::Over,
        }
    }
}

// Each of these goes on until the socket would block, and returns the next stage once there is one.

fn read(stream: &TcpStream, head: &mut Vec<u8>, own_host: &str) -> io::Result<Stage> {
    // The bytes that came before an error are kept.
    let room = MAX_HEAD.saturating_sub(head.len());
    let end = stream.take(room as u64).read_to_end(head);
    if let Some(at) = head.windows(4).position(|four| four == b"\r\n\r\n") {
        return Ok(match judge(&head[..at], own_host) {
            Ok(url) => Stage::Arrived(url),
            Err(status) => Stage::Answering(refusal(status), 0),
        });
    }
    if head.len() >= MAX_HEAD {
        let refusal = refusal("431 Request Header Fields Too Large");
        return Ok(Stage::Answering(refusal, 0));
    }
    end.map(|_| Stage::Over)
}

fn write(mut stream: &TcpStream, answer: &[u8], sent: &mut usize) -> io::Result<Stage> {
    while let Some(rest @ [_, ..]) = answer.get(*sent..) {
        *sent += stream.write(rest)?;
    }
    stream.shutdown(Shutdown::Write)?;
    Ok(Stage::Closing)
}

fn drain(stream: &TcpStream) -> io::Result<Stage> {
    const AT_ONCE: u64 = 64 << 10;
    match io::copy(&mut stream.take(AT_ONCE), &mut io::sink())? {
        AT_ONCE => Err(ErrorKind::WouldBlock.into()),
        _ => Ok(Stage::Over),
    }
}

/// What may be the redirect, or the status to refuse it with.
fn judge(head: &[u8], own_host: &str) -> Result<CallbackUrl, &'static str> {
    let head = str::from_utf8(head).map_err(|_| "400 Bad Request")?;
    let (request_line, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    let words: Vec<_> = request_line.split(' ').collect();
    let [method, target, "HTTP/1.1" | "HTTP/1.0"] = words[..] else {
        return Err("400 Bad Request");
    };
    if target.split('?').next() != Some(PATH) {
        return Err("404 Not Found");
    }
    if method != "GET" {
        return Err("405 Method Not Allowed");
    }
    let values = |name: &'static str| {
        let pairs = headers
            .split("\r\n")
            .filter_map(|line| line.split_once(':'));
        let named = pairs.filter(move |(key, _)| key.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.trim())
    };
    // Exactly one, and ours: a page whose own name was made to point here (DNS rebinding) sends that
    // name.
    if !values("Host").eq([own_host]) {
        return Err("421 Misdirected Request");
    }
    // Browsers say why they ask. A script, an image or a frame has no business here.
    if values("Sec-Fetch-Mode").any(|mode| mode != "navigate")
        || values("Sec-Fetch-Dest").any(|destination| destination != "document")
    {
        return Err("403 Forbidden");
    }
    Ok(CallbackUrl::new(target))
}

impl Page {
    fn response(self) -> Vec<u8> {
        let (status, title, text) = match self {
            Self::LoggedIn => (
                "200 OK",
                "You are logged in",
                "You can close this window and go back to the program.",
            ),
            Self::Denied => (
                "200 OK",
                "You are not logged in",
                "Access was not granted. To try again, start the login anew.",
            ),
            Self::Failed => (
                "200 OK",
                "The login failed",
                "Something went wrong after you agreed. The program says what.",
            ),
            Self::NotOurs => (
                "400 Bad Request",
                "Not this login",
                "This is not the answer to the login that is waiting here.",
            ),
        };
        response(status, title, text)
    }
}

fn refusal(status: &str) -> Vec<u8> {
    response(status, status, "There is nothing else here.")
}

fn response(status: &str, title: &str, text: &str) -> Vec<u8> {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\n\
         <h1>{title}</h1>\n<p>{text}</p>\n"
    );
    let length = html.len();
    format!(
        "HTTP/1.1 {status}\r\n\
         Allow: GET\r\n\
         Cache-Control: no-store\r\n\
         Connection: close\r\n\
         Content-Length: {length}\r\n\
         Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n\
         Content-Type: text/html; charset=utf-8\r\n\
         Referrer-Policy: no-referrer\r\n\
         X-Content-Type-Options: nosniff\r\n\
         \r\n\
         {html}"
    )
    .into_bytes()
}
