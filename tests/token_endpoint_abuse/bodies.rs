//! Bodies that break off, never end, or are larger than they look.

use std::io::Write as _;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use authflow::http::Http;
use authflow::{Cause, HttpResponse, TransportErrorKind as Kind};

use super::meter::Meter;
use super::{
    evil_tokens, exchanging, fails, has_ended, impatient, is_parked, keeps_its_tokens, refreshing,
    send, sent, tries_again,
};
use crate::support::raw::{Connection, Server, response};

/// A body is read for so long, and a buffer more of it may have come.
const LIMIT: usize = HttpResponse::MAX_BODY + (256 << 10);

#[test]
fn an_answer_that_is_cut_off_at_any_byte_brings_no_tokens() {
    let body = evil_tokens();
    let whole = response("200 OK", "", &body);
    let (size, head) = (
        body.len(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n",
    );
    let chunked = format!("{head}\r\n{size:x}\r\n{body}\r\n0\r\n\r\n");
    // Without its very last line it is whole enough: the last chunk has come.
    let chunked = chunked.strip_suffix("0\r\n\r\n").unwrap();
    for bytes in [&whole[..whole.len() - 1], chunked] {
        for end in 0..=bytes.len() {
            let server = Server::answering(&bytes[..end]);
            let mut scenario = refreshing(&server.url("/token"));
            let reply = send(&Http::new(), &mut scenario);
            assert_eq!(reply, Err(sent(Kind::Closed)), "{:?}", &bytes[..end]);
            tries_again(&mut scenario);
        }
    }
}

/// Then the end is all there is to see, and a whole answer can't be told from a part.
#[test]
fn a_body_without_a_length_that_is_cut_off_at_any_byte_brings_no_tokens() {
    let body = evil_tokens();
    for end in 0..body.len() {
        let part = &body[..end];
        let server = Server::answering(format!("HTTP/1.1 200 OK\r\n\r\n{part}"));
        let mut scenario = refreshing(&server.url("/token"));
        let reply = send(&Http::new(), &mut scenario);
        assert_eq!(reply, Ok(HttpResponse::new(200, part)));
        assert!(matches!(scenario.failure().cause, Cause::Unreadable(_)));
        is_parked(&mut scenario);
    }
}

// --- too much ------------------------------------------------------------------------------------

/// gzip of very many equal bytes, by hand: each 13 bytes are 2064 of them.
fn bomb(length: usize) -> Vec<u8> {
    let mut bytes = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    let mut bits = Vec::new();
    // The last block, with the fixed codes: a literal `{`, and then 258 times the byte before.
    bits.extend([1, 1, 0]);
    let code = |bits: &mut Vec<u8>, value: u16, length: u16| {
        bits.extend((0..length).rev().map(|at| (value >> at & 1) as u8));
    };
    code(&mut bits, 0x30 + u16::from(b'{'), 8);
    while bits.len() < length * 8 {
        code(&mut bits, 0b1100_0101, 8);
        code(&mut bits, 0, 5);
    }
    let byte = |bits: &[u8]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | bit);
    bytes.extend(bits.chunks(8).map(byte));
    bytes
}

fn chunks(chunk: &str, count: usize) -> String {
    let size = chunk.len();
    format!("{size:x}\r\n{chunk}\r\n").repeat(count)
}

/// Larger than the limit in every framing. No server goes on for ever: whoever reads on is found out
/// by what was read, not by what it costs.
fn too_large() -> Vec<(&'static str, Vec<u8>, usize)> {
    let head = |lines: &str| format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
    let [one_more, much] = [1 << 20, 8 << 20].map(|size| "a".repeat(size + 1));
    let json = format!("{}{}", evil_tokens(), " ".repeat(8 << 20));
    let gzip = [
        head("Content-Encoding: gzip\r\n").as_bytes(),
        &bomb(8 << 20),
    ]
    .concat();
    let chunked = head("Transfer-Encoding: chunked\r\n");
    let end = "0\r\n\r\n";
    vec![
        ("one byte", response("200 OK", "", &one_more).into(), LIMIT),
        (
            "one byte without a length",
            (head("") + &one_more).into(),
            LIMIT,
        ),
        ("much", response("200 OK", "", &much).into(), LIMIT),
        ("much without a length", (head("") + &much).into(), LIMIT),
        (
            "tokens and then nothing",
            response("200 OK", "", &json).into(),
            LIMIT,
        ),
        ("an error", response("400 Bad", "", &much).into(), LIMIT),
        ("a fault", response("503 Busy", "", &much).into(), LIMIT),
        (
            "a redirect",
            response("302 Found", "Location: /\r\n", &much).into(),
            LIMIT,
        ),
        ("a gzip bomb", gzip, LIMIT),
        (
            "one chunk",
            format!("{chunked}{}{end}", chunks(&much, 1)).into(),
            LIMIT,
        ),
        (
            "chunks of a kibibyte",
            format!("{chunked}{}{end}", chunks(&"a".repeat(1024), 8 << 10)).into(),
            LIMIT,
        ),
        // Six bytes bring one.
        (
            "chunks of a byte",
            format!("{chunked}{}{end}", chunks("a", 2 << 20)).into(),
            6 * LIMIT,
        ),
    ]
}

#[test]
fn a_body_that_is_too_large_is_read_for_a_mebibyte_and_no_more() {
    for (name, bytes, limit) in too_large() {
        let server = Server::answering(bytes);
        let meter = Meter::default();
        let mut scenario = refreshing(&server.url("/token"));
        let reply = send(&meter.http(), &mut scenario);
        assert_eq!(reply, Err(sent(Kind::TooLarge)), "{name}");
        assert!(meter.read() <= limit, "{name}: {} bytes", meter.read());
        tries_again(&mut scenario);

        let mut scenario = exchanging(&server.url("/token"));
        assert_eq!(
            send(&meter.http(), &mut scenario),
            Err(sent(Kind::TooLarge))
        );
        has_ended(&mut scenario);
        assert_eq!(server.requests().len(), 2, "{name}");
    }
}

/// ureq unpacks where another crate has switched that on. Then its size counts, and here it is 8 MiB.
#[test]
fn a_gzip_bomb_that_fits_is_either_left_packed_or_too_large() {
    let bomb = bomb(52 << 10);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        bomb.len()
    );
    let server = Server::answering([head.as_bytes(), &bomb].concat());
    let mut scenario = refreshing(&server.url("/token"));
    match send(&Http::new(), &mut scenario) {
        Ok(reply) => {
            assert!(reply.body() == bomb, "{} bytes", reply.body().len());
            is_parked(&mut scenario);
        }
        Err(error) => {
            assert_eq!(error, sent(Kind::TooLarge));
            tries_again(&mut scenario);
        }
    }
}

// --- too slow ------------------------------------------------------------------------------------

/// Writes this, and then the other for ever, slowly.
fn drip(mut connection: Connection, first: &str, drop: &str) {
    connection.request();
    connection.write(first);
    while connection.stream.write_all(drop.as_bytes()).is_ok() {
        // Slow enough for no other limit to be reached first.
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_server_that_never_comes_to_an_end_is_given_up() {
    let drips = [
        ("a status line", "HTTP/1.1 200 ", "O"),
        ("a head", "HTTP/1.1 200 OK\r\n", "X: a\r\n"),
        ("a header", "HTTP/1.1 200 OK\r\nX: ", "a"),
        ("before the answer", "", "HTTP/1.1 102 Wait\r\n\r\n"),
        (
            "a body",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n",
            " ",
        ),
        ("a body without a length", "HTTP/1.1 200 OK\r\n\r\n", " "),
        (
            "chunks",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "1\r\n \r\n",
        ),
        (
            "what follows the last chunk",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n",
            "X: a\r\n",
        ),
    ];
    thread::scope(|scope| {
        for (name, first, drop) in drips {
            scope.spawn(move || {
                println!("{name}");
                let server = || Server::start(move |connection| drip(connection, first, drop));
                fails(server, &impatient(), sent(Kind::Timeout));
            });
        }
    });
}

#[test]
fn a_server_that_takes_the_request_and_is_silent_is_given_up() {
    let mute = || {
        Server::start(|mut connection| {
            connection.request();
            connection.linger();
        })
    };
    fails(mute, &impatient(), sent(Kind::Timeout));
    // Nobody reads what the kernel has taken.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/token", deaf.local_addr().unwrap());
    let mut scenario = exchanging(&endpoint);
    assert_eq!(send(&impatient(), &mut scenario), Err(sent(Kind::Timeout)));
    has_ended(&mut scenario);
}

/// So that no server can keep a thread, whatever the caller's agent says.
#[test]
fn no_wait_is_without_an_end() {
    let server = Server::start(|mut connection| {
        connection.request();
        connection.write("HTTP/1.1 100 Wait\r\n\r\n");
        connection.write("HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\n{");
        thread::sleep(Duration::from_millis(5));
        connection.write("}");
    });
    let meter = Meter::default();
    let mut scenario = refreshing(&server.url("/token"));
    send(&meter.http(), &mut scenario).unwrap();
    keeps_its_tokens(&scenario);
    let waits = meter.waits();
    assert!(waits.len() >= 3, "{waits:?}");
    for wait in waits {
        assert!(!wait.after.is_not_happening());
        assert!(*wait.after <= Duration::from_secs(30), "{wait:?}");
    }
}
