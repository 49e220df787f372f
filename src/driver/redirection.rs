//! What comes to the redirection endpoint (RFC 6749 section 3.1.2), judged by its bytes alone: no
//! socket, no clock.

use std::net::{IpAddr, SocketAddr};

use tiny_http::{HeaderField, Method, StatusCode};
use url::Url;

use crate::driver::loopback::BindError;
use crate::driver::pages::refusal;
use crate::wire::callback::CallbackUrl;
use crate::wire::endpoint::is_uri_text;

/// The redirection endpoint of a program on this machine (RFC 8252 section 7.3): judges the requests
/// that come to it. For those who have their own sockets; a
/// [`Loopback`](crate::loopback::Loopback) uses it by itself.
///
/// Anybody on this machine can connect, and any web page can make the browser do so. Only a `GET` of
/// the exact path, over HTTP/1.1, without a body, with exactly one `Host` that is our own, and for a
/// page rather than for a script, can be the redirect. Whether it is the one that is waited for, only
/// the machine can say.
///
/// ```
/// use authflow::CallbackUrl;
/// use authflow::loopback::{Head, RedirectionEndpoint};
///
/// let endpoint = RedirectionEndpoint::new(([127, 0, 0, 1], 8888).into(), "/callback")?;
/// assert_eq!(endpoint.redirect_uri(), "http://127.0.0.1:8888/callback");
///
/// let mut received = b"GET /callback?code=1&state=2 HTTP/1.1\r\n".to_vec();
/// assert_eq!(endpoint.read(&received), Head::Incomplete); // read on
/// received.extend(b"Host: 127.0.0.1:8888\r\n\r\n");
/// let url = CallbackUrl::new("/callback?code=1&state=2");
/// assert_eq!(endpoint.read(&received), Head::Callback(url)); // ask the machine
/// # Ok::<(), authflow::loopback::BindError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectionEndpoint {
    host: String,
    port: u16,
    path: String,
}

/// What the first bytes of a connection say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// Nothing yet. Read on, and ask again with all bytes from the first.
    Incomplete,
    /// It may be the redirect.
    Callback(CallbackUrl),
    /// It is not. Further bytes do not change that.
    Refused(Refusal),
}

/// Why a request is no callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal(u16);

impl Refusal {
    pub(super) const TIMEOUT: Self = Self(408);
    pub(super) const GONE: Self = Self(410);

    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> u16 {
        self.0
    }

    /// The whole HTTP response. Nothing of the request is in it.
    #[must_use]
    pub fn response(self) -> Vec<u8> {
        refusal(StatusCode(self.0))
    }
}

/// A redirect is at most 64 KiB long; what the browser says besides, cookies of other servers on
/// 127.0.0.1 included, has half as much room.
const MAX_REQUEST_LINE: usize = (64 << 10) + 64;
pub(super) const MAX_HEAD: usize = 96 << 10;
const MAX_LINES: usize = 128;

const MALFORMED: Refusal = Refusal(400);
const NOT_A_PAGE: Refusal = Refusal(403);
const NOT_THE_PATH: Refusal = Refusal(404);
const NOT_GET: Refusal = Refusal(405);
const HAS_A_BODY: Refusal = Refusal(413);
const TOO_LONG: Refusal = Refusal(414);
const NOT_OUR_HOST: Refusal = Refusal(421);
const TOO_MUCH: Refusal = Refusal(431);

impl RedirectionEndpoint {
    /// The endpoint at this address, with this path.
    ///
    /// # Errors
    /// [`BindError::Path`] if no browser would ask for the path as it stands.
    pub fn new(address: SocketAddr, path: impl Into<String>) -> Result<Self, BindError> {
        let host = match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        Self::of(host, address.port(), path.into())
    }

    /// The endpoint of the name `localhost`, at this port. A browser may take the name for 127.0.0.1 or
    /// `[::1]`, so listen at both, or another program that does gets the redirect.
    /// [`LoopbackBuilder::localhost`](crate::loopback::LoopbackBuilder::localhost) says when to use it.
    ///
    /// # Errors
    /// [`BindError::Path`] if no browser would ask for the path as it stands.
    pub fn localhost(port: u16, path: impl Into<String>) -> Result<Self, BindError> {
        Self::of("localhost".to_owned(), port, path.into())
    }

    fn of(host: String, port: u16, path: String) -> Result<Self, BindError> {
        match is_path(&path) {
            true => Ok(Self { host, port, path }),
            false => Err(BindError::Path),
        }
    }

    /// The redirect URI.
    #[must_use]
    pub fn redirect_uri(&self) -> String {
        let Self { host, port, path } = self;
        format!("http://{host}:{port}{path}")
    }

    /// Judges all bytes that a connection has sent so far. Stricter than RFC 9112 allows a server to
    /// be, because no browser needs the leniency: lines end with CRLF, and nothing comes before the
    /// first.
    #[must_use]
    pub fn read(&self, received: &[u8]) -> Head {
        let mut lines: Vec<&[u8]> = Vec::new();
        let mut start = 0;
        let mut before = 0;
        for (at, &byte) in received.iter().enumerate() {
            let refused = if lines.is_empty() && at >= MAX_REQUEST_LINE {
                Some(TOO_LONG)
            } else if at + 1 >= MAX_HEAD || lines.len() >= MAX_LINES {
                Some(TOO_MUCH)
            } else if (byte == b'\n') != (before == b'\r')
                || (byte.is_ascii_control() && !matches!(byte, b'\r' | b'\n' | b'\t'))
                || (at == 0 && !is_token(&[byte]))
            {
                Some(MALFORMED)
            } else {
                None
            };
            if let Some(refusal) = refused {
                return Head::Refused(refusal);
            }
            if byte == b'\n' {
                let line = received.get(start..at - 1).unwrap_or_default();
                if line.is_empty() {
                    return self
                        .judge(&lines)
                        .map_or_else(Head::Refused, Head::Callback);
                }
                lines.push(line);
                start = at + 1;
            }
            before = byte;
        }
        Head::Incomplete
    }

    fn judge(&self, lines: &[&[u8]]) -> Result<CallbackUrl, Refusal> {
        let [request_line, fields @ ..] = lines else {
            return Err(MALFORMED);
        };
        let request_line = str::from_utf8(request_line).map_err(|_| MALFORMED)?;
        let words: Vec<_> = request_line.split(' ').collect();
        let [method, target, "HTTP/1.1"] = words[..] else {
            return Err(MALFORMED);
        };
        let is_visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_token(method.as_bytes()) || !is_visible(target) {
            return Err(MALFORMED);
        }
        let fields = Fields::read(fields)?;
        if target.split('?').next() != Some(&self.path) {
            return Err(NOT_THE_PATH);
        }
        if method.parse() != Ok(Method::Get) {
            return Err(NOT_GET);
        }
        if !fields.hosts.iter().any(|host| self.is_own(host)) || fields.hosts.len() != 1 {
            return Err(NOT_OUR_HOST);
        }
        if fields.has_body {
            return Err(HAS_A_BODY);
        }
        // Browsers say why they ask. A script, an image or a frame has no business here.
        if fields.is_no_page {
            return Err(NOT_A_PAGE);
        }
        // A browser keeps the fragment to itself.
        if target.contains('#') {
            return Err(MALFORMED);
        }
        Ok(CallbackUrl::new(target))
    }

    /// Against DNS rebinding: a page whose own name was made to point here sends that name.
    fn is_own(&self, host: &str) -> bool {
        let authority = format!("{}:{}", self.host, self.port);
        host.eq_ignore_ascii_case(&authority)
            || (self.port == 80 && host.eq_ignore_ascii_case(&self.host))
    }
}

/// What matters of the header fields.
#[derive(Default)]
struct Fields<'a> {
    hosts: Vec<&'a str>,
    has_body: bool,
    is_no_page: bool,
}

impl<'a> Fields<'a> {
    fn read(lines: &[&'a [u8]]) -> Result<Self, Refusal> {
        let mut fields = Self::default();
        for line in lines {
            // A line that goes on from the one before begins with a blank, which no name does.
            let colon = line.iter().position(|&byte| byte == b':');
            let (name, value) = line.split_at(colon.ok_or(MALFORMED)?);
            let name = match is_token(name) {
                true => HeaderField::from_bytes(name).map_err(|_| MALFORMED)?,
                false => return Err(MALFORMED),
            };
            // Others may be in any encoding: programs on 127.0.0.1 share their cookies.
            let value =
                || str::from_utf8(value.get(1..).unwrap_or_default()).map_or("?", str::trim);
            if name.equiv("Host") {
                fields.hosts.push(value());
            } else if name.equiv("Content-Length") {
                fields.has_body |= value() != "0";
            } else if name.equiv("Transfer-Encoding") || name.equiv("Expect") {
                fields.has_body = true;
            } else if name.equiv("Sec-Fetch-Mode") {
                fields.is_no_page |= !value().eq_ignore_ascii_case("navigate");
            } else if name.equiv("Sec-Fetch-Dest") {
                fields.is_no_page |= !value().eq_ignore_ascii_case("document");
            }
        }
        Ok(fields)
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &[u8]) -> bool {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(is_token)
}

/// A path that a browser asks for as it stands.
fn is_path(path: &str) -> bool {
    let as_asked = Url::parse(&format!("http://127.0.0.1{path}"));
    path.starts_with('/')
        && is_uri_text(path)
        && !path.contains(['?', '#'])
        && !path.contains("//")
        && as_asked.is_ok_and(|url| url.path() == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> RedirectionEndpoint {
        RedirectionEndpoint::new(([127, 0, 0, 1], 8888).into(), "/callback").unwrap()
    }

    fn request(target: &str) -> Vec<u8> {
        format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1:8888\r\nAccept: */*\r\n\r\n").into_bytes()
    }

    fn status(received: &[u8]) -> Option<u16> {
        match endpoint().read(received) {
            Head::Refused(refusal) => Some(refusal.status()),
            Head::Incomplete | Head::Callback(_) => None,
        }
    }

    #[test]
    fn a_redirect_may_have_64_kib_and_no_more() {
        let query = "/callback?code=";
        let longest = format!("{query}{}", "a".repeat((64 << 10) - query.len()));
        let url = CallbackUrl::new(&*longest);
        assert_eq!(endpoint().read(&request(&longest)), Head::Callback(url));
        let too_long = longest.repeat(2);
        assert_eq!(status(&request(&too_long)), Some(414));
        assert_eq!(status(&vec![b'a'; MAX_REQUEST_LINE]), None);
        assert_eq!(status(&vec![b'a'; MAX_REQUEST_LINE + 1]), Some(414));
    }

    #[test]
    fn fields_are_bounded_in_size_and_number() {
        let head = |fields: &str| format!("GET /callback HTTP/1.1\r\n{fields}").into_bytes();
        assert_eq!(
            status(&head(&format!("X: {}", "y".repeat(MAX_HEAD)))),
            Some(431)
        );
        assert_eq!(status(&head(&"X: y\r\n".repeat(MAX_LINES - 1))), None);
        assert_eq!(
            status(&head(&("X: y\r\n".repeat(MAX_LINES - 1) + "X"))),
            Some(431)
        );
    }

    #[test]
    fn everything_is_decided_at_the_limit() {
        for byte in [b'a', b' ', 200] {
            let mut received = b"GET /callback HTTP/1.1\r\nX: ".to_vec();
            received.resize(MAX_HEAD, byte);
            assert!(status(&received).is_some());
        }
    }

    /// What a request is does not change with what follows it, and until it ends it may be anything.
    #[test]
    fn what_is_decided_stays_decided() {
        let requests = [
            request("/callback?code=1"),
            request("/favicon.ico"),
            request("/callback?code=1").repeat(2),
            b"GET / HTTP/1.1\r\nno colon\r\n\r\nmore".to_vec(),
            b"GET /callback?code=\x01 HTTP/1.1\r\n\r\n".to_vec(),
            b"\r\n\r\n".to_vec(),
            b"GET / HTTP/1.1\n\n\r\n\r\n".to_vec(),
        ];
        for request in requests {
            let mut decided = Head::Incomplete;
            for end in 0..=request.len() {
                let head = endpoint().read(&request[..end]);
                if decided != Head::Incomplete {
                    assert_eq!(head, decided);
                }
                decided = head;
            }
            assert_ne!(decided, Head::Incomplete);
        }
    }

    #[test]
    fn at_the_port_of_http_a_browser_names_no_port() {
        let at = |address: SocketAddr| RedirectionEndpoint::new(address, "/cb").unwrap();
        let head = |host: &str| format!("GET /cb HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes();
        let is_ours = |address: &str, host: &str| {
            let head = at(address.parse().unwrap()).read(&head(host));
            matches!(head, Head::Callback(_))
        };
        assert!(is_ours("127.0.0.1:80", "127.0.0.1"));
        assert!(is_ours("[::1]:80", "[::1]"));
        assert!(is_ours("[::1]:8888", "[::1]:8888"));
        assert!(!is_ours("127.0.0.1:8888", "127.0.0.1"));
        assert!(!is_ours("[::1]:8888", "[::1]"));
        assert!(!is_ours("[::1]:8888", "::1:8888"));
    }

    #[test]
    fn localhost_is_a_name_and_not_the_addresses_that_it_stands_for() {
        let is_ours = |port: u16, host: &str| {
            let endpoint = RedirectionEndpoint::localhost(port, "/cb").unwrap();
            let head = format!("GET /cb HTTP/1.1\r\nHost: {host}\r\n\r\n");
            matches!(endpoint.read(head.as_bytes()), Head::Callback(_))
        };
        assert!(is_ours(8888, "localhost:8888"));
        assert!(is_ours(8888, "LocalHost:8888"));
        assert!(is_ours(80, "localhost"));
        assert!(is_ours(80, "localhost:80"));
        for host in [
            "",
            ":8888",
            "localhost",
            "localhost:80",
            "localhost:08888",
            "localhost.:8888",
            "localhost:8888:8888",
            "app.localhost:8888",
            "localhost.evil.example:8888",
            "127.0.0.1:8888",
            "[::1]:8888",
        ] {
            assert!(!is_ours(8888, host), "{host}");
        }
        assert_eq!(
            RedirectionEndpoint::localhost(8888, "cb"),
            Err(BindError::Path)
        );
    }
}
