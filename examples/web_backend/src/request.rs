//! What a browser asks for, read piece by piece, and never more of it than the limits allow. Anything that
//! two programs could understand in two ways is refused: what stands in front may be one of them.

use std::mem;

/// For the request line and all headers.
const MAX_HEAD: usize = 16 << 10;
const MAX_HEADERS: usize = 64;
/// The largest form of ours has one field.
const MAX_BODY: usize = 4 << 10;

/// No `Debug`: there are cookies and codes in it.
pub struct Request {
    pub method: String,
    /// Begins with `/`.
    pub path: String,
    /// Without the `?`.
    pub query: String,
    pub body: Vec<u8>,
    headers: Vec<(String, String)>,
}

impl Request {
    /// The values of all headers of this name.
    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let headers = self.headers.iter();
        let headers = headers.filter(move |(field, _)| field.eq_ignore_ascii_case(name));
        headers.map(|(_, value)| value.as_str())
    }

    /// A field of a small form.
    pub fn field(&self, name: &str) -> Option<String> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(&self.body).ok()?;
        let mut values = pairs.into_iter().filter(|(field, _)| field == name);
        values.next().map(|(_, value)| value)
    }
}

/// A request that is not all there yet.
#[derive(Default)]
pub(crate) struct Incoming {
    bytes: Vec<u8>,
    /// The request without its body, and the body's length.
    head: Option<(Request, usize)>,
}

impl Incoming {
    /// The request, once all of it is there, or the status with which it is refused. What comes after it is
    /// forgotten.
    pub fn add(&mut self, new: &[u8]) -> Option<Result<Request, u16>> {
        // Nothing is looked at twice, however small the pieces are.
        let from = self.bytes.len().saturating_sub(3);
        self.bytes.extend_from_slice(new);
        let (mut request, length) = match self.head.take() {
            Some(head) => head,
            None => {
                let end = self.bytes.get(from..)?.windows(4);
                let end = end.into_iter().position(|four| four == b"\r\n\r\n");
                match end.map(|at| from + at + 4) {
                    Some(end) if end <= MAX_HEAD => {
                        let rest = self.bytes.split_off(end);
                        let head = mem::replace(&mut self.bytes, rest);
                        match parse(&head) {
                            Ok(head) => head,
                            Err(status) => return Some(Err(status)),
                        }
                    }
                    _ if self.bytes.len() >= MAX_HEAD => return Some(Err(431)),
                    // TLS, for instance.
                    _ if !self.bytes.first()?.is_ascii_uppercase() => return Some(Err(400)),
                    _ => return None,
                }
            }
        };
        if self.bytes.len() < length {
            self.head = Some((request, length));
            return None;
        }
        self.bytes.truncate(length);
        request.body = mem::take(&mut self.bytes);
        Some(Ok(request))
    }
}

fn parse(head: &[u8]) -> Result<(Request, usize), u16> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut fields);
    match parsed.parse(head) {
        Ok(httparse::Status::Complete(end)) if end == head.len() => {}
        Err(httparse::Error::TooManyHeaders) => return Err(431),
        Err(httparse::Error::Version) => return Err(505),
        _ => return Err(400),
    }
    // The parser takes a line feed alone for the end of a line.
    let ends = head.iter().filter(|&&byte| byte == b'\n').count();
    if head.windows(2).filter(|two| two == b"\r\n").count() != ends {
        return Err(400);
    }
    let target = parsed.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if !path.starts_with('/') {
        return Err(400);
    }
    let headers = parsed.headers.iter().map(|field| {
        let value = String::from_utf8_lossy(field.value).into_owned();
        (field.name.to_owned(), value)
    });
    let request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: headers.collect(),
        body: Vec::new(),
    };
    if request.headers("Host").count() != 1 {
        return Err(400);
    }
    if request.headers("Transfer-Encoding").next().is_some() {
        return Err(501);
    }
    if request.headers("Expect").next().is_some() {
        return Err(417);
    }
    let lengths: Vec<_> = request.headers("Content-Length").collect();
    let length = match lengths.as_slice() {
        [] => 0,
        [length] if !length.is_empty() && length.bytes().all(|it| it.is_ascii_digit()) => {
            let length = length.parse().ok();
            length.filter(|&it| it <= MAX_BODY).ok_or(413_u16)?
        }
        _ => return Err(400),
    };
    Ok((request, length))
}

#[cfg(test)]
mod tests {
    use super::{Incoming, MAX_BODY, Request};

    fn read(text: &str) -> Option<Result<Request, u16>> {
        let whole = Incoming::default().add(text.as_bytes());
        // Byte after byte, it is the same.
        let mut slow = Incoming::default();
        let mut pieces = text.as_bytes().chunks(1);
        let slow = pieces.find_map(|byte| slow.add(byte));
        let seen = |read: &Option<Result<Request, u16>>| match read {
            Some(Ok(request)) => Some(Ok((request.path.clone(), request.body.clone()))),
            Some(Err(status)) => Some(Err(*status)),
            None => None,
        };
        assert_eq!(seen(&whole), seen(&slow));
        whole
    }

    fn refused(text: &str) -> u16 {
        read(text).expect("decided").err().expect("refused")
    }

    #[test]
    fn a_request_is_read_and_what_follows_is_not() {
        let text = "POST /log-out?a=b?c HTTP/1.1\r\nhost: x\r\nCookie: a=1\r\ncookie: b=2\r\n\
            content-length: 6\r\n\r\ncsrf=xGET / HTTP/1.1\r\n\r\n";
        let request = read(text).unwrap().unwrap();
        assert_eq!(request.method, "POST");
        assert_eq!((&*request.path, &*request.query), ("/log-out", "a=b?c"));
        assert_eq!(
            request.headers("COOKIE").collect::<Vec<_>>(),
            ["a=1", "b=2"]
        );
        assert_eq!(request.field("csrf").as_deref(), Some("x"));
        assert_eq!(request.field("other"), None);
        assert!(read("GET / HTTP/1.1\r\nHost: x\r\n").is_none());
        let body = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nfour";
        assert!(read(body).is_none());
    }

    #[test]
    fn what_can_be_misunderstood_is_refused() {
        for (lines, status) in [
            ("GET / HTTP/1.1\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n", 400),
            ("GET / HTTP/2.0\r\nHost: x\r\n", 505),
            ("GET / HTTP/1.1\nHost: x\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n", 400),
            ("GET http://x/ HTTP/1.1\r\nHost: x\r\n", 400),
            (
                "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n",
                501,
            ),
            (
                "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n",
                417,
            ),
        ] {
            assert_eq!(refused(&format!("{lines}\r\n")), status, "{lines:?}");
        }
        let too_much = format!("{}", MAX_BODY + 1);
        for (length, status) in [
            (too_much.as_str(), 413),
            ("200000000000", 413),
            ("9223372036854775807", 413),
            ("18446744073709551615", 413),
            ("99999999999999999999999999", 413),
            ("-1", 400),
            ("+1", 400),
            ("", 400),
            ("1, 1", 400),
            ("1\r\nContent-Length: 1", 400),
        ] {
            let text = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
            assert_eq!(refused(&text), status, "{length}");
        }
        assert_eq!(refused("\u{16}\u{3}\u{1}"), 400);
    }

    #[test]
    fn a_head_has_an_end() {
        let long = "a".repeat(20_000);
        let many = "A: b\r\n".repeat(100);
        for head in [
            format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nHost: x\r\nCookie: {long}"),
            format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n"),
            format!("GET{long}"),
        ] {
            assert_eq!(refused(&head), 431);
        }
    }
}
