//! The wire, on streams that drip.

use std::io::{self, Read, Write};

use super::super::http::*;

/// A stream that hands out one byte at a time and keeps what is written.
struct Drip<'a>(&'a [u8], Vec<u8>);

impl Read for Drip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match (self.0.split_first(), buffer.first_mut()) {
            (Some((first, rest)), Some(slot)) => {
                (*slot, self.0) = (*first, rest);
                Ok(1)
            }
            _ => Ok(0),
        }
    }
}

impl Write for Drip<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn request(bytes: &[u8]) -> Result<Request, ReadError> {
    let whole = read_request(&mut io::Cursor::new(bytes.to_vec())).map_err(drop);
    let dripped = read_request(&mut Drip(bytes, Vec::new()));
    assert_eq!(whole.is_ok(), dripped.is_ok());
    dripped
}

#[test]
fn a_request_is_read_however_it_is_cut() {
    let bytes = b"\r\nPOST /a?b=c HTTP/1.1\r\nhost: x\r\nContent-Length: 3\r\n\r\nd=e rest";
    let got = request(bytes).unwrap();
    assert_eq!(
        (got.method.as_str(), got.path.as_str(), got.query.as_str()),
        ("POST", "/a", "b=c")
    );
    assert_eq!(got.header("HOST"), Some("x"));
    assert_eq!(got.form(), [("d".into(), "e".into())]);
}

#[test]
fn a_bad_request_is_refused_and_a_short_one_is_not_answered() {
    let refused = |bytes: &[u8]| match request(bytes) {
        Err(ReadError::Refused(status)) => status,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(b"nonsense\r\n\r\n"), 400);
    assert_eq!(refused(b"GET / HTTP/2.0\r\n\r\n"), 400);
    assert_eq!(refused(b"GET / x HTTP/1.1\r\n\r\n"), 400);
    assert_eq!(refused(b"GET http://a.example/ HTTP/1.1\r\n\r\n"), 400);
    assert_eq!(refused(b"GET / HTTP/1.1\r\nbad\r\n\r\n"), 400);
    assert_eq!(
        refused(b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"),
        400
    );
    assert_eq!(
        refused(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"),
        411
    );
    assert_eq!(
        refused(b"POST / HTTP/1.1\r\nContent-Length: 1000000000000\r\n\r\n"),
        413
    );
    assert_eq!(refused(&[b'a'; HEAD_LIMIT + 5000]), 431);
    for gone in [
        &b""[..],
        b"GET /",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc",
    ] {
        assert!(matches!(request(gone), Err(ReadError::Io(_))));
    }
}

#[test]
fn a_client_that_asks_first_is_told_to_go_on() {
    let bytes = b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx";
    let mut stream = Drip(bytes, Vec::new());
    read_request(&mut stream).unwrap();
    assert_eq!(stream.1, b"HTTP/1.1 100 Continue\r\n\r\n");
}

#[test]
fn a_reply_survives_the_wire() {
    let reply = Reply::new(429)
        .header("Retry-After", "1\r\nX: y")
        .body("slow down");
    let mut bytes = Vec::new();
    reply.write_to(&mut bytes).unwrap();
    let got = read_reply(&mut Drip(&bytes, Vec::new())).unwrap();
    assert_eq!((got.status, got.body.as_slice()), (429, &b"slow down"[..]));
    assert_eq!(header(&got.headers, "retry-after"), Some("1  X: y"));
    assert_eq!(header(&got.headers, "x"), None);
    assert_eq!(header(&got.headers, "connection"), Some("close"));
}

#[test]
fn a_reply_may_be_chunked_or_end_with_the_connection() {
    let read = |bytes: &[u8]| read_reply(&mut Drip(bytes, Vec::new()));
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
    assert_eq!(read(chunked).unwrap().body, b"abcde");
    assert_eq!(read(b"HTTP/1.0 200 OK\r\n\r\nabc").unwrap().body, b"abc");
    assert_eq!(
        read(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().status,
        204
    );
    for broken in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na",
        b"SSH-2.0-x\r\n\r\n",
    ] {
        assert!(read(broken).is_err());
    }
}

#[test]
fn an_endless_body_has_an_end() {
    let mut bytes = Vec::new();
    Reply::new(200).write_endless(&mut bytes, 100).unwrap();
    assert_eq!(
        read_reply(&mut Drip(&bytes, Vec::new()))
            .unwrap()
            .body
            .len(),
        100
    );
    let huge = io::repeat(b'a').take(2 * REPLY_BODY_LIMIT);
    let mut source = (&b"HTTP/1.1 200 OK\r\n\r\n"[..]).chain(huge);
    assert!(matches!(
        read_reply(&mut source),
        Err(ReadError::Refused(413))
    ));
}
