//! The side that asks: one HTTP/1.1 call over a non-blocking socket.
//!
//! It stands in for the HTTP library that your loop has already. Without TLS it is good for servers on
//! this machine only, and it says so. What it shows is what the machine wants of any such library: send
//! once, follow no redirect, take every status as an answer, stop at a size and at a time, and know
//! whether anything may have been sent.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use authflow::TransportErrorKind as Kind;
use authflow::{HttpRequest, HttpResponse, Secret, TransportError};

/// Shorter than the machine's own wait (`ClientBuilder::request_timeout`), which is there for drivers
/// that never answer.
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_HEAD: usize = 64 << 10;

/// A call under way, over any stream that never blocks.
pub struct Call<S = TcpStream> {
    pub stream: S,
    /// Holds tokens and codes: a `Secret` is overwritten when it is dropped.
    request: Secret,
    sent: usize,
    received: Vec<u8>,
    started: Instant,
}

/// What came back.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Why there is no reply, or not yet.
enum Stop {
    WouldBlock,
    Failed(Kind),
}

impl Call {
    /// Sends what the machine wants sent.
    pub fn token(request: &HttpRequest) -> Result<Self, TransportError> {
        Self::token_over(request, connect)
    }

    /// Asks for a page, or for something of the API's.
    pub fn get(url: &str, authorization: Option<&Secret>) -> Result<Self, TransportError> {
        let authorization = authorization.map(|value| ("Authorization", value.expose()));
        Self::start("GET", url, authorization.into_iter(), "", connect)
    }
}

/// The one step for which std has no non-blocking form. On this machine it takes no time; for others
/// use mio's or socket2's, and resolve names on another thread.
fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, Duration::from_millis(250))?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

impl<S: Read + Write> Call<S> {
    /// The same over a socket of another kind.
    pub fn token_over(
        request: &HttpRequest,
        connect: impl FnOnce(SocketAddr) -> io::Result<S>,
    ) -> Result<Self, TransportError> {
        let body = request.body();
        let length = body.len().to_string();
        let headers = request.headers().chain([("Content-Length", &*length)]);
        Self::start(request.method(), request.url(), headers, body, connect)
    }

    fn start<'a>(
        method: &str,
        url: &str,
        headers: impl Iterator<Item = (&'static str, &'a str)>,
        body: &str,
        connect: impl FnOnce(SocketAddr) -> io::Result<S>,
    ) -> Result<Self, TransportError> {
        let unsent = |kind| TransportError {
            kind,
            may_have_been_sent: false,
        };
        let (address, target) = loopback(url).ok_or(unsent(Kind::Other))?;
        let stream = connect(address).map_err(|_| unsent(Kind::Connect))?;
        let mut request =
            format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        for (name, value) in headers {
            request.extend([name, ": ", value, "\r\n"]);
        }
        request.extend(["\r\n", body]);
        Ok(Self {
            stream,
            request: request.into(),
            sent: 0,
            received: Vec::new(),
            started: Instant::now(),
        })
    }

    /// Goes on as far as it can without waiting. `None` means: not done yet, ask again.
    pub fn poll(&mut self) -> Option<Result<Reply, TransportError>> {
        let kind = match self.send().and_then(|()| self.receive()) {
            Ok(reply) => return Some(Ok(reply)),
            Err(Stop::WouldBlock) if self.started.elapsed() < TIMEOUT => return None,
            Err(Stop::WouldBlock) => Kind::Timeout,
            Err(Stop::Failed(kind)) => kind,
        };
        Some(Err(self.failed(kind)))
    }

    /// The error of a call that ends without a reply.
    pub fn failed(&self, kind: Kind) -> TransportError {
        // A code can be spent only once, so half of a request counts as all of it.
        let may_have_been_sent = self.sent > 0;
        TransportError {
            kind,
            may_have_been_sent,
        }
    }

    fn send(&mut self) -> Result<(), Stop> {
        while let Some(rest @ [_, ..]) = self.request.expose().as_bytes().get(self.sent..) {
            match self.stream.write(rest)? {
                0 => return Err(Stop::Failed(Kind::Closed)),
                written => self.sent += written,
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<Reply, Stop> {
        // Reads all that is there: the bytes that came before an error are kept.
        let room = MAX_HEAD + HttpResponse::MAX_BODY - self.received.len();
        let mut stream = Read::by_ref(&mut self.stream).take(room as u64 + 1);
        let end = stream.read_to_end(&mut self.received);
        let at_end = end.is_ok();
        match Reply::parse(&self.received, at_end).map_err(Stop::Failed)? {
            Some(reply) => Ok(reply),
            None if at_end => Err(Stop::Failed(Kind::Closed)),
            None => Err(end.err().map_or(Stop::WouldBlock, Stop::from)),
        }
    }
}

impl Reply {
    /// The reply, if all of it is there. It ends with its `Content-Length`, or else with the connection.
    fn parse(bytes: &[u8], at_end: bool) -> Result<Option<Self>, Kind> {
        let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return match bytes.len() {
                ..=MAX_HEAD => Ok(None),
                _ => Err(Kind::Protocol),
            };
        };
        let head = String::from_utf8_lossy(&bytes[..at]);
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(status).ok_or(Kind::Protocol)?;
        let headers: Option<Vec<_>> = lines.map(header).collect();
        let headers = headers.ok_or(Kind::Protocol)?;
        let mut length = None;
        for (name, value) in &headers {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => {
                    let this: usize = value.parse().map_err(|_| Kind::Protocol)?;
                    if length.replace(this).is_some_and(|other| other != this) {
                        return Err(Kind::Protocol);
                    }
                }
                // Only servers that ignore `Connection: close` do that to a small answer. An HTTP
                // library takes it.
                "transfer-encoding" => return Err(Kind::Protocol),
                _ => {}
            }
        }
        let body = &bytes[at + 4..];
        let body = match length {
            Some(length) if length > HttpResponse::MAX_BODY => return Err(Kind::TooLarge),
            Some(length) => body.get(..length),
            None if body.len() > HttpResponse::MAX_BODY => return Err(Kind::TooLarge),
            None => at_end.then_some(body),
        };
        Ok(body.map(|body| Self {
            status,
            headers,
            body: body.to_vec(),
        }))
    }
}

/// `HTTP/1.1 200 OK`
fn status(line: &str) -> Option<u16> {
    let (version, rest) = line.split_once(' ')?;
    let status = rest.get(..3)?.parse().ok()?;
    (version.starts_with("HTTP/1.") && (200..=599).contains(&status)).then_some(status)
}

fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.to_owned(), value.trim().to_owned()))
}

/// Address and target of an `http` URL on this machine.
fn loopback(url: &str) -> Option<(SocketAddr, &str)> {
    let rest = url.strip_prefix("http://")?;
    let (authority, target) = rest.split_at(rest.find('/')?);
    let address: SocketAddr = authority.parse().ok()?;
    let is_sound = address.ip().is_loopback() && target.bytes().all(|byte| byte.is_ascii_graphic());
    is_sound.then_some((address, target))
}

/// All headers go to the machine; it knows which one it wants.
impl From<Reply> for HttpResponse {
    fn from(reply: Reply) -> Self {
        let response = Self::new(reply.status, reply.body);
        let with =
            |response: Self, (name, value): &(String, String)| response.with_header(name, value);
        reply.headers.iter().fold(response, with)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Self::WouldBlock,
            _ => Self::Failed(Kind::Closed),
        }
    }
}
