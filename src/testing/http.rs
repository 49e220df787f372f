//! The little HTTP/1.1 that the fake provider and the fake person speak: one request and one
//! reply per connection. Works on any stream; knows no socket and no clock.

use std::io::{self, Read, Write};

use crate::testing::form;

/// Request line and headers, or status line and headers.
pub(super) const HEAD_LIMIT: usize = 64 * 1024;
/// A request's body. A token request is well below 10 KiB.
const REQUEST_BODY_LIMIT: u64 = 64 * 1024;
/// A reply's body.
pub(super) const REPLY_BODY_LIMIT: u64 = 1024 * 1024;

pub(super) type Headers = Vec<(String, String)>;

/// The first header of this name, in any case.
pub(super) fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let (_, value) = headers
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    Some(value)
}

#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: Headers,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn get(target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method: "GET".into(),
            path: path.into(),
            query: query.into(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(super) fn post(path: &str, form: &str) -> Self {
        Self {
            method: "POST".into(),
            body: form.into(),
            ..Self::get(path)
        }
        .with_header("Content-Type", "application/x-www-form-urlencoded")
    }

    pub(super) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(super) fn query_pairs(&self) -> Vec<(String, String)> {
        form::read(self.query.as_bytes())
    }

    pub(super) fn form(&self) -> Vec<(String, String)> {
        form::read(&self.body)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Headers,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(super) fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(super) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(super) fn truncated(mut self) -> Self {
        self.body.truncate(self.body.len() / 2);
        self
    }

    /// Writes the reply, and that the connection ends with it.
    pub(super) fn write_to(&self, stream: &mut impl Write) -> io::Result<()> {
        let mut bytes = self.head().into_bytes();
        if header(&self.headers, "content-length").is_none()
            && header(&self.headers, "transfer-encoding").is_none()
        {
            bytes.extend(format!("Content-Length: {}\r\n", self.body.len()).bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        stream.write_all(&bytes)?;
        stream.flush()
    }

    /// Writes the status and headers with no length, then `{"padding":"aaaa…` up to `bytes`.
    pub(super) fn write_endless(&self, stream: &mut impl Write, bytes: u64) -> io::Result<()> {
        stream.write_all(self.head().as_bytes())?;
        stream.write_all(b"\r\n")?;
        let body = (&b"{\"padding\":\""[..]).chain(io::repeat(b'a'));
        io::copy(&mut body.take(bytes), stream)?;
        stream.flush()
    }

    fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {:03} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.push_str(&one_line(name));
            head.push_str(": ");
            head.push_str(&one_line(value));
            head.push_str("\r\n");
        }
        if header(&self.headers, "connection").is_none() {
            head.push_str("Connection: close\r\n");
        }
        head
    }
}

/// A header must not become two.
fn one_line(text: &str) -> String {
    text.replace(['\r', '\n', '\0'], " ")
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        411 => "Length Required",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "Status",
    }
}

/// Why nothing could be read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The other side is gone, silent or too slow: there is nobody to answer.
    Io(io::Error),
    /// What it sent is refused with this status.
    Refused(u16),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => error,
            ReadError::Refused(_) => Self::new(
                io::ErrorKind::InvalidData,
                "not an HTTP/1.1 reply, or too large",
            ),
        }
    }
}

/// Reads one request. Asks for the body with `100 Continue` where the client waits for that.
pub(super) fn read_request<S: Read + Write>(stream: &mut S) -> Result<Request, ReadError> {
    let (start, headers, rest) = read_head(stream)?;
    let mut words = start.split(' ');
    let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(ReadError::Refused(400));
    };
    if !target.starts_with('/') {
        return Err(ReadError::Refused(400));
    }
    if header(&headers, "transfer-encoding").is_some() {
        return Err(ReadError::Refused(411));
    }
    let length = content_length(&headers)?.unwrap_or(0);
    if length > REQUEST_BODY_LIMIT {
        return Err(ReadError::Refused(413));
    }
    if header(&headers, "expect").is_some() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let mut body = Vec::new();
    let read = rest.chain(stream).take(length).read_to_end(&mut body)?;
    if read as u64 != length {
        return Err(ReadError::Io(io::ErrorKind::UnexpectedEof.into()));
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Ok(Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body,
    })
}

/// Reads one reply.
pub(super) fn read_reply(stream: &mut impl Read) -> Result<Reply, ReadError> {
    let (start, headers, rest) = read_head(stream)?;
    let status = start
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1))
        .and_then(|status| status.parse().ok())
        .ok_or(ReadError::Refused(400))?;
    let mut source = rest.chain(stream);
    let mut body = Vec::new();
    let chunked = header(&headers, "transfer-encoding")
        .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    if chunked {
        read_chunks(&mut source, &mut body)?;
    } else if let Some(length) = content_length(&headers)? {
        if length > REPLY_BODY_LIMIT {
            return Err(ReadError::Refused(413));
        }
        if status != 204 && status != 304 {
            let read = source.take(length).read_to_end(&mut body)?;
            if read as u64 != length {
                return Err(ReadError::Io(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    } else if source.take(REPLY_BODY_LIMIT + 1).read_to_end(&mut body)? as u64 > REPLY_BODY_LIMIT {
        return Err(ReadError::Refused(413));
    }
    Ok(Reply {
        status,
        headers,
        body,
    })
}

/// The start line, the headers, and what was read beyond them.
fn read_head(stream: &mut impl Read) -> Result<(String, Headers, io::Cursor<Vec<u8>>), ReadError> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    let end = loop {
        let read = match stream.read(&mut chunk) {
            Ok(0) => return Err(ReadError::Io(io::ErrorKind::UnexpectedEof.into())),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        let searched = bytes.len().saturating_sub(3);
        bytes.extend(chunk.iter().take(read));
        let unsearched = bytes.get(searched..).unwrap_or_default();
        if let Some(found) = unsearched.windows(4).position(|four| four == b"\r\n\r\n") {
            break searched + found;
        }
        if bytes.len() > HEAD_LIMIT {
            return Err(ReadError::Refused(431));
        }
    };
    let rest = bytes.split_off(end + 4);
    let head = String::from_utf8_lossy(&bytes);
    // RFC 9112 section 2.2: skip an empty line that comes before the request line.
    let mut lines = head.trim_start_matches("\r\n").trim_end().split("\r\n");
    let start = lines.next().unwrap_or_default().to_owned();
    let headers = lines
        .map(|line| {
            let (name, value) = line.split_once(':').ok_or(ReadError::Refused(400))?;
            Ok((name.to_owned(), value.trim().to_owned()))
        })
        .collect::<Result<_, ReadError>>()?;
    Ok((start, headers, io::Cursor::new(rest)))
}

fn content_length(headers: &[(String, String)]) -> Result<Option<u64>, ReadError> {
    header(headers, "content-length")
        .map(|length| length.parse().map_err(|_| ReadError::Refused(400)))
        .transpose()
}

fn read_chunks(source: &mut impl Read, body: &mut Vec<u8>) -> Result<(), ReadError> {
    loop {
        let line = read_line(source)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| ReadError::Refused(400))?;
        if size.saturating_add(body.len() as u64) > REPLY_BODY_LIMIT {
            return Err(ReadError::Refused(413));
        }
        if size == 0 {
            return Ok(());
        }
        if source.take(size).read_to_end(body)? as u64 != size {
            return Err(ReadError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        read_line(source)?;
    }
}

fn read_line(source: &mut impl Read) -> Result<String, ReadError> {
    let mut line = String::new();
    let mut byte = [0];
    while line.len() < 256 {
        source.read_exact(&mut byte)?;
        match byte {
            [b'\n'] => return Ok(line),
            [byte] => line.push(char::from(byte)),
        }
    }
    Err(ReadError::Refused(400))
}
