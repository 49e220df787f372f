//! Status lines and headers that no server should send.

use authflow::http::Http;
use authflow::{HttpResponse, TransportErrorKind as Kind};

use super::meter::Meter;
use super::{
    evil_tokens, exchanging, fails, has_ended, impatient, is_parked, refreshing, send, sent,
};
use crate::support::raw::{Server, response, tokens};

/// The bytes are no answer; what they say about tokens is not believed.
fn is_no_http(name: &str, bytes: impl Into<Vec<u8>>) {
    println!("{name}");
    let bytes = bytes.into();
    let server = || Server::answering(bytes.clone());
    fails(server, &Http::new(), sent(Kind::Protocol));
}

/// The answer breaks off.
fn breaks_off(name: &str, bytes: impl Into<Vec<u8>>) {
    println!("{name}");
    let bytes = bytes.into();
    let server = || Server::answering(bytes.clone());
    fails(server, &Http::new(), sent(Kind::Closed));
}

/// The bytes are this answer, which has no tokens.
fn is_answer(name: &str, bytes: impl Into<Vec<u8>>, status: u16, body: &str) {
    println!("{name}");
    let server = Server::answering(bytes);
    let mut scenario = refreshing(&server.url("/token"));
    let reply = send(&Http::new(), &mut scenario);
    assert_eq!(reply, Ok(HttpResponse::new(status, body)), "{name}");
    is_parked(&mut scenario);

    let mut scenario = exchanging(&server.url("/token"));
    assert!(send(&Http::new(), &mut scenario).is_ok());
    assert_eq!(has_ended(&mut scenario).status(), Some(status));
    assert_eq!(server.requests().len(), 2);
}

/// The rest of an answer after its first line, with tokens in it.
fn rest() -> String {
    let whole = response("", "", &evil_tokens());
    let (_, rest) = whole.split_once("\r\n").unwrap();
    format!("\r\n{rest}")
}

#[test]
fn a_status_line_from_hell_is_no_answer() {
    for line in [
        "HTTP/1.1 -200 OK",
        "HTTP/1.1 +20 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 4294967496 OK",
        "HTTP/1.1 18446744073709551816 OK",
        "HTTP/1.1 000 OK",
        "HTTP/1.1 099 OK",
        "HTTP/1.1 0xC8 OK",
        "HTTP/1.1 2e2 OK",
        "HTTP/1.1 200.0 OK",
        "HTTP/1.1 \u{662}\u{660}\u{660} OK",
        "HTTP/1.1  200 OK",
        "HTTP/1.1\t200 OK",
        "HTTP/1.1 OK",
        "HTTP/0.9 200 OK",
        "HTTP/1.2 200 OK",
        "HTTP/2 200 OK",
        "HTTP/2.0 200 OK",
        "HTTP/9.9 200 OK",
        "HTTP/1.1.1 200 OK",
        "HTTP/-1.1 200 OK",
        "http/1.1 200 OK",
        "HTTPS/1.1 200 OK",
        "HTTP 200 OK",
        "ICY 200 OK",
        "RTSP/1.0 200 OK",
        "POST /token HTTP/1.1",
        "200 OK",
        " HTTP/1.1 200 OK",
        "HTTP/1.1 200 O\0K",
        "HTTP/1.1 200 O\rK",
        "\0HTTP/1.1 200 OK",
        "\u{feff}HTTP/1.1 200 OK",
    ] {
        is_no_http(line, line.to_owned() + &rest());
    }
    is_no_http("HTTP/0.9: a body alone", evil_tokens());
    is_no_http("a page alone", "<!doctype html><title>Welcome</title>");
    is_no_http("a TLS alert", b"\x15\x03\x03\x00\x02\x02\x28".as_slice());
    is_no_http("HTTP/2 settings", b"\0\0\0\x04\0\0\0\0\0".as_slice());
    is_no_http("zeroes", [0; 4096]);
    is_no_http("ones", [0xff; 4096]);
    is_no_http(
        "a line without an end",
        "HTTP/1.1 200 ".to_owned() + &"O".repeat(1 << 20),
    );
    is_no_http("empty lines without an end", "\r\n".repeat(1 << 19));
}

#[test]
fn headers_from_hell_are_no_answer() {
    let body = evil_tokens();
    for header in [
        "X-Nul: a\0b",
        "X-Nul\0: a",
        "X Space: a",
        "X-Space : a",
        ": no name",
        "no colon",
        "Content-Length\u{a0}: 2",
        "X-Folded: a\r\n folded",
        "X-Folded: a\r\n\tfolded",
        " X-Folded: at once",
        "X-Return: a\rb",
        "X-Escape: \x1b[2J",
        "X-(Bracket): a",
        "{\"access_token\": \"a\"",
    ] {
        let head = format!("{header}\r\n");
        is_no_http(header, response("200 OK", &head, &body));
    }
    for count in [129, 500, 3000] {
        let many: String = (0..count).map(|at| format!("X-{at}: a\r\n")).collect();
        is_no_http("hundreds of headers", response("200 OK", &many, &body));
        let same = "X: a\r\n".repeat(count);
        is_no_http(
            "the same header, hundreds of times",
            response("200 OK", &same, &body),
        );
    }
    let long = "a".repeat(1 << 20);
    let value = format!("X: {long}\r\n");
    is_no_http("a value of 1 MiB", response("200 OK", &value, &body));
    let name = format!("{long}: a\r\n");
    is_no_http("a name of 1 MiB", response("200 OK", &name, &body));
    let location = format!("Location: https://as.example/{long}\r\n");
    is_no_http(
        "an address of 1 MiB",
        response("302 Found", &location, &body),
    );
    breaks_off(
        "a head without an end",
        "HTTP/1.1 200 OK\r\nX: a\r\nX: b\r\n",
    );
    breaks_off("a head with half an end", "HTTP/1.1 200 OK\r\nX: a\r\n\r");
}

/// As much as ureq reads before it says no: a head is 64 KiB at most, and a buffer holds 128.
#[test]
fn a_head_without_end_is_read_for_128_kibibytes_at_most() {
    let meter = Meter::default();
    let endless = [
        "X: ".to_owned() + &"a".repeat(16 << 20),
        "X: a\r\n".repeat(3 << 20),
    ];
    for rest in endless {
        let before = meter.read();
        let server = Server::answering(format!("HTTP/1.1 200 OK\r\n{rest}"));
        let mut scenario = refreshing(&server.url("/token"));
        assert_eq!(
            send(&meter.http(), &mut scenario),
            Err(sent(Kind::Protocol))
        );
        assert!(meter.read() - before <= 128 << 10);
    }
}

#[test]
fn a_length_that_lies_is_found_out() {
    let body = evil_tokens();
    let length = body.len();
    let with = |lines: &str| format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n{body}");
    for lines in [
        "Content-Length: -1",
        "Content-Length: +2",
        "Content-Length: 0x20",
        "Content-Length: 1e2",
        "Content-Length: 2.0",
        "Content-Length: two",
        "Content-Length: ",
        "Content-Length: 2 2",
        "Content-Length: 2,3",
        "Content-Length: 2,",
        "Content-Length: 18446744073709551616",
        "Content-Length: 99999999999999999999999999999999",
        "Content-Length: 2\r\nContent-Length: 3",
        "Content-Length: 2\r\nX: a\r\nCONTENT-LENGTH: 3",
        "Content-Length: 2\r\nContent-Length: -2",
        "Transfer-Encoding: chunked\r\nContent-Length: -1",
    ] {
        is_no_http(lines, with(lines));
    }
    // Nothing is set aside for what is only promised.
    for longer in [length + 1, 1 << 20, 1 << 40, usize::MAX] {
        let lines = format!("Content-Length: {longer}");
        breaks_off(&lines, with(&lines));
    }
    for shorter in [0, 1, length / 2, length - 1] {
        let lines = format!("Content-Length: {shorter}");
        is_answer(&lines, with(&lines), 200, &body[..shorter]);
        let twice = format!("{lines}\r\n{lines}");
        is_answer(&twice, with(&twice), 200, &body[..shorter]);
    }
}

#[test]
fn chunks_that_lie_are_found_out() {
    let body = evil_tokens();
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n";
    let end = "\r\n0\r\n\r\n";
    for size in [
        "-1",
        "+5",
        "0x5",
        "five",
        "",
        " ",
        "5 5",
        "5.0",
        "ffffffffffffffff1",
        "00000000000000000000000005",
        "5;a=0123456789012345678901234567890",
        "\u{665}",
        "\0",
    ] {
        is_no_http(size, format!("{head}\r\n{size}\r\n{body}{end}"));
    }
    let length = body.len();
    is_no_http(
        "shorter",
        format!("{head}\r\n{:x}\r\n{body}{end}", length - 1),
    );
    is_no_http(
        "longer",
        format!("{head}\r\n{:x}\r\n{body}{end}", length + 1),
    );
    is_no_http("none", format!("{head}\r\n{body}{end}"));
    breaks_off(
        "endless",
        format!("{head}\r\nffffffffffffffff\r\n{body}{end}"),
    );
    breaks_off("no last one", format!("{head}\r\n{length:x}\r\n{body}\r\n"));
    breaks_off("no line", format!("{head}\r\n{length:x}"));
    // RFC 9112 section 6.3: chunks count, and the length beside them does not.
    for beside in ["Content-Length: 2\r\n", "Content-Length: 99999\r\n"] {
        let both = format!("{head}{beside}\r\n2\r\n{{}}{end}");
        is_answer(beside, both, 200, "{}");
    }
    is_answer(
        "a first chunk of none",
        format!("{head}\r\n0\r\n\r\n{body}"),
        200,
        "",
    );
}

#[test]
fn what_comes_before_the_answer_is_neither_an_answer_nor_endless() {
    let evil = evil_tokens();
    let body = response("200 OK", "", "{}");
    for status in [100, 102, 103, 199] {
        let before = format!("HTTP/1.1 {status} Wait\r\n\r\n").repeat(1000);
        is_answer(&status.to_string(), before + &body, 200, "{}");
    }
    let endless = Server::start(|mut connection| {
        connection.request();
        let flood = "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
        while std::io::Write::write_all(&mut connection.stream, flood.as_bytes()).is_ok() {}
    });
    let mut scenario = refreshing(&endless.url("/token"));
    // Which of the two limits is reached first, that of a head or that of time, is up to the system.
    let reply = send(&impatient(), &mut scenario);
    let limits = [Kind::Protocol, Kind::Timeout].map(|kind| Err(sent(kind)));
    assert!(limits.contains(&reply), "{reply:?}");
    super::tries_again(&mut scenario);

    // Tokens in what can have no body are none.
    for status in [101, 204, 304] {
        let length = evil.len();
        let lines = format!("Content-Length: {length}\r\nUpgrade: h2c\r\nConnection: Upgrade");
        let answer = format!("HTTP/1.1 {status} Odd\r\n{lines}\r\n\r\n{evil}");
        is_answer(&status.to_string(), answer, status, "");
    }
    let early = format!(
        "HTTP/1.1 103 Early\r\nContent-Length: {}\r\n\r\n{evil}",
        evil.len()
    );
    is_no_http("a body before the answer", early + &body);
}

#[test]
fn what_follows_an_answer_is_not_the_answer_to_the_next_request() {
    let evil = response("200 OK", "", &evil_tokens());
    for first in [
        response("503 Busy", "", "{}"),
        "HTTP/1.1 204 Nothing\r\n\r\n".to_owned(),
        "HTTP/1.1 304 Same\r\n\r\n".to_owned(),
        "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
    ] {
        let both = first + &evil;
        let server = Server::start(move |mut connection| {
            let honest = tokens("honest", None);
            let answer = if connection.number == 1 {
                &both
            } else {
                &honest
            };
            while connection.request().is_some() {
                connection.write(answer);
            }
        });
        let http = Http::new();
        let mut scenario = refreshing(&server.url("/token"));
        assert!(send(&http, &mut scenario).is_ok());
        super::keeps_its_tokens(&scenario);
        scenario.refresh();
        send(&http, &mut scenario).unwrap();
        assert_eq!(scenario.access_token(), Some("honest"));
        assert_eq!(server.connections(), 2);
    }
}
