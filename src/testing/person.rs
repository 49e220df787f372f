//! A person with a browser, without either.

use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use url::Url;

use super::form;
use super::http::{self, Headers, Reply};
use super::socket::Timed;

/// For each exchange. Long, because a client may show its page only after its own requests.
const PATIENCE: Duration = Duration::from_secs(60);
/// Redirects after which a browser would give up, too.
const HOPS: usize = 5;

/// What the person says to the question on the consent page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Yes: the client gets a code.
    Allow,
    /// No: the client gets `error=access_denied`.
    Deny,
}

/// Plays the person at the browser: opens the authorization URL of a
/// [`FakeProvider`](super::FakeProvider), answers the consent page's form and follows the
/// redirect to the client.
///
/// It talks to `http://127.0.0.1`, `http://[::1]` and `http://localhost` only, which is `[::1]` to it
/// or, if nobody is there, 127.0.0.1. It blocks until the page is there, and waits at most a minute for
/// each answer.
///
/// # Errors
///
/// All its functions fail with `InvalidInput` for a URL that is elsewhere, with `InvalidData`
/// when the page is no consent page (the message has its heading, such as `INVALID_CLIENT:
/// Invalid redirect URI`), and with the socket's own error when nobody answers.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Person;

impl Person {
    /// Says yes, and returns the page that the client's listener then shows.
    ///
    /// # Errors
    ///
    /// See [`Person`].
    pub fn allow(url: &str) -> io::Result<Landing> {
        Self::answer(url, Answer::Allow)
    }

    /// Says no, and returns the page that the client's listener then shows.
    ///
    /// # Errors
    ///
    /// See [`Person`].
    pub fn deny(url: &str) -> io::Result<Landing> {
        Self::answer(url, Answer::Deny)
    }

    /// [`allow`](Self::allow) or [`deny`](Self::deny).
    ///
    /// # Errors
    ///
    /// See [`Person`].
    pub fn answer(url: &str, answer: Answer) -> io::Result<Landing> {
        Self::open(&Self::redirect_for(url, answer)?)
    }

    /// Answers the consent page and returns where the browser is sent, without going there: the
    /// client's redirect URI with the code, or with an error. For redirect URIs that no listener
    /// serves, and for callbacks that a test wants to change on the way.
    ///
    /// An authorization request that the provider refuses by redirect gives that redirect.
    ///
    /// # Errors
    ///
    /// See [`Person`].
    pub fn redirect_for(url: &str, answer: Answer) -> io::Result<String> {
        Self::sent_back(url, answer, None)
    }

    /// Says yes as somebody else than alice, of whom there may be many: the profile is theirs then. A
    /// name is lower-case letters, digits and `-`, 64 at most. Returns where the browser is sent,
    /// as [`redirect_for`](Self::redirect_for) does.
    ///
    /// # Errors
    ///
    /// See [`Person`].
    pub fn redirect_as(url: &str, name: &str) -> io::Result<String> {
        Self::sent_back(url, Answer::Allow, Some(name))
    }

    fn sent_back(url: &str, answer: Answer, name: Option<&str>) -> io::Result<String> {
        let place = Place::of(url)?;
        let page = place.get()?;
        if let Some(location) = redirect(&page) {
            return Ok(location.to_owned());
        }
        let Some((action, form)) = filled_in(&page, answer, name) else {
            return Err(not_consent(&page));
        };
        let reply = place.at(&action).post(&form)?;
        match redirect(&reply) {
            Some(location) => Ok(location.to_owned()),
            None => Err(not_consent(&reply)),
        }
    }

    /// Opens any loopback URL as a browser would, follows redirects as long as they stay on
    /// loopback (five at most), and returns the page.
    ///
    /// # Errors
    ///
    /// See [`Person`].
    pub fn open(url: &str) -> io::Result<Landing> {
        let mut url = url.to_owned();
        let mut reply = Place::of(&url)?.get()?;
        for _ in 0..HOPS {
            let next = redirect(&reply).and_then(|to| Url::parse(&url).ok()?.join(to).ok());
            let Some(next) = next.map(String::from) else {
                break;
            };
            let Ok(place) = Place::of(&next) else { break };
            reply = place.get()?;
            url = next;
        }
        Ok(Landing {
            status: reply.status,
            body: String::from_utf8_lossy(&reply.body).into_owned(),
            headers: reply.headers,
        })
    }
}

/// The page that the person ends up on.
///
/// `Debug` leaves out the body and the headers' values.
#[derive(Clone)]
pub struct Landing {
    status: u16,
    headers: Headers,
    body: String,
}

impl Landing {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The headers in the order received.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        http::header(&self.headers, name)
    }

    /// The page. Bytes that aren't UTF-8 are replaced.
    pub fn body(&self) -> &str {
        &self.body
    }
}

impl fmt::Debug for Landing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Landing")
            .field("status", &self.status)
            .field("headers", &names)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// A loopback URL, taken apart by hand: what was written goes on the wire as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place<'a> {
    authority: &'a str,
    /// To be tried in this order.
    ips: &'static [IpAddr],
    port: u16,
    target: &'a str,
}

const IPV4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const IPV6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
const HOSTS: [(&str, &[IpAddr]); 3] = [
    ("127.0.0.1", &[IPV4]),
    ("[::1]", &[IPV6]),
    ("localhost", &[IPV6, IPV4]),
];

impl<'a> Place<'a> {
    fn of(url: &'a str) -> io::Result<Self> {
        Self::parse(url).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "the person only goes to http://127.0.0.1, http://[::1] and http://localhost",
            )
        })
    }

    fn parse(url: &'a str) -> Option<Self> {
        if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let rest = url.strip_prefix("http://")?;
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (ips, port) = HOSTS
            .iter()
            .find_map(|(host, ips)| Some((*ips, authority.strip_prefix(host)?)))?;
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().ok()?,
            None if port.is_empty() => 80,
            None => return None,
        };
        Some(Self {
            authority,
            ips,
            port,
            target,
        })
    }

    fn at(self, target: &'a str) -> Self {
        Self { target, ..self }
    }

    fn get(self) -> io::Result<Reply> {
        self.send("GET", "", "")
    }

    fn post(self, form: &str) -> io::Result<Reply> {
        let headers = format!(
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
            form.len()
        );
        self.send("POST", &headers, form)
    }

    fn connect(self) -> io::Result<TcpStream> {
        let mut refused = io::ErrorKind::AddrNotAvailable.into();
        for &ip in self.ips {
            match TcpStream::connect_timeout(&SocketAddr::new(ip, self.port), PATIENCE) {
                Ok(stream) => return Ok(stream),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    fn send(self, method: &str, headers: &str, body: &str) -> io::Result<Reply> {
        let stream = self.connect()?;
        let mut stream = Timed::new(&stream, PATIENCE);
        let Self {
            authority, target, ..
        } = self;
        let slash = if target.starts_with('/') { "" } else { "/" };
        let request = format!(
            "{method} {slash}{target} HTTP/1.1\r\nHost: {authority}\r\n\
             User-Agent: authflow-testing-person\r\nAccept: text/html\r\n\
             Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\
             {headers}Connection: close\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes())?;
        Ok(http::read_reply(&mut stream)?)
    }
}

/// The consent page's form: where it is sent, and what.
pub(super) fn filled_in(
    page: &Reply,
    answer: Answer,
    name: Option<&str>,
) -> Option<(String, String)> {
    let html = String::from_utf8_lossy(&page.body);
    let action = between(&html, "action=\"", "\"")?;
    let ticket = between(&html, "name=\"ticket\" value=\"", "\"")?;
    let answer = match answer {
        Answer::Allow => "allow",
        Answer::Deny => "deny",
    };
    let mut pairs = vec![("ticket", ticket), ("answer", answer)];
    pairs.extend(name.map(|name| ("person", name)));
    Some((action.to_owned(), form::write(&pairs)))
}

pub(super) fn redirect(reply: &Reply) -> Option<&str> {
    match reply.status {
        301 | 302 | 303 | 307 | 308 => http::header(&reply.headers, "location"),
        _ => None,
    }
}

fn not_consent(page: &Reply) -> io::Error {
    let html = String::from_utf8_lossy(&page.body);
    let heading = between(&html, "<h1>", "</h1>").unwrap_or("no heading");
    let heading: String = heading
        .chars()
        .filter(|c| !c.is_control())
        .take(100)
        .collect();
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("not a consent page but status {}: {heading}", page.status),
    )
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    let (found, _) = rest.split_once(after)?;
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_person_goes_to_loopback_only() {
        let place = Place::parse("http://127.0.0.1:8/a?b#c").unwrap();
        assert_eq!((place.authority, place.target), ("127.0.0.1:8", "/a?b"));
        assert_eq!((place.ips, place.port), (&[IPV4][..], 8));
        let place = Place::parse("http://[::1]").unwrap();
        assert_eq!((place.authority, place.target), ("[::1]", ""));
        assert_eq!((place.ips, place.port), (&[IPV6][..], 80));
        let place = Place::parse("http://localhost:8/cb").unwrap();
        assert_eq!((place.authority, place.target), ("localhost:8", "/cb"));
        assert_eq!((place.ips, place.port), (&[IPV6, IPV4][..], 8));
        for no in [
            "",
            "my-app://callback",
            "https://127.0.0.1/",
            "http://localhost.evil.example/",
            "http://127.0.0.1.evil.example/",
            "http://127.0.0.1@evil.example/",
            "http://127.0.0.1:99999/",
            "http://127.0.0.1:/",
            "http://127.0.0.1/a\r\nX: y",
        ] {
            assert!(Place::parse(no).is_none(), "{no}");
        }
    }
}
