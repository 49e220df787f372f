//! What can reach a listener on loopback besides the redirect. Each probe is made first, what it
//! opened is held, and then the redirect comes.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::raw::{connect, navigation, send};

/// Where the listener is, and what it waits for.
#[derive(Clone, Debug)]
pub struct Target {
    pub address: SocketAddr,
    /// What a browser calls it.
    pub host: String,
    pub state: String,
}

impl Target {
    /// The redirect that is waited for, as the browser asks for it.
    pub fn genuine(&self) -> String {
        let target = format!("/callback?code=genuine-code&state={}", self.state);
        navigation(&self.host, &target)
    }

    /// The same, with something about it changed.
    fn changed(&self, from: &str, to: &str) -> String {
        let request = self.genuine();
        assert!(request.contains(from), "{from}");
        request.replacen(from, to, 1)
    }

    fn with_field(&self, field: &str) -> String {
        self.changed("\r\n\r\n", &format!("\r\n{field}\r\n\r\n"))
    }

    fn host(&self) -> String {
        format!("Host: {}\r\n", self.host)
    }

    fn send(&self, bytes: impl AsRef<[u8]>) -> Vec<TcpStream> {
        vec![send(self.address, bytes)]
    }

    fn send_each<const N: usize>(&self, requests: [String; N]) -> Vec<TcpStream> {
        requests
            .iter()
            .map(|bytes| send(self.address, bytes))
            .collect()
    }

    /// A connection whose other end may be gone before it is made: under abuse, that is no failure.
    fn try_connect(&self) -> Option<TcpStream> {
        TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).ok()
    }

    fn many(&self, count: usize, bytes: &[u8]) -> Vec<TcpStream> {
        let one = |_| {
            let mut stream = self.try_connect()?;
            let _ = stream.write_all(bytes);
            Some(stream)
        };
        let made: Vec<_> = (0..count).filter_map(one).collect();
        assert!(
            made.len() >= count - count / 10,
            "only {} of {count}",
            made.len()
        );
        made
    }
}

pub struct Probe {
    pub name: &'static str,
    /// Returns what is to be held open.
    pub make: fn(&Target) -> Vec<TcpStream>,
    /// It would be the redirect, but for something about it: it must not win in its place.
    pub is_forged: bool,
    /// It goes on while the redirect comes, which may lose its connection to it, and come again.
    pub goes_on: bool,
}

const fn probe(name: &'static str, make: fn(&Target) -> Vec<TcpStream>) -> Probe {
    Probe {
        name,
        make,
        is_forged: false,
        goes_on: false,
    }
}

const fn forged(name: &'static str, make: fn(&Target) -> Vec<TcpStream>) -> Probe {
    Probe {
        is_forged: true,
        ..probe(name, make)
    }
}

const fn going_on(name: &'static str, make: fn(&Target) -> Vec<TcpStream>) -> Probe {
    Probe {
        goes_on: true,
        ..probe(name, make)
    }
}

/// How many bytes a flood may have; the listener has to end it before.
const FLOOD: usize = 64 << 20;

/// Sends until nobody reads any more.
fn flood(target: &Target, head: &str, again: &[u8]) -> Vec<TcpStream> {
    let mut stream = connect(target.address);
    let _ = stream.write_all(head.as_bytes());
    let chunk = again.repeat((64 << 10) / again.len());
    let mut sent = 0;
    while sent < FLOOD && stream.write_all(&chunk).is_ok() {
        sent += chunk.len();
    }
    vec![stream]
}

/// Gone at once, and told so: what has not been read is taken back.
fn reset(stream: TcpStream) {
    let socket = socket2::SockRef::from(&stream);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}

/// A byte now and then, as long as anybody listens.
fn trickle(target: &Target, text: &'static str, count: usize) -> Vec<TcpStream> {
    let streams: Vec<_> = (0..count).filter_map(|_| target.try_connect()).collect();
    let mut others: Vec<_> = streams.iter().filter_map(|s| s.try_clone().ok()).collect();
    thread::spawn(move || {
        for byte in text.bytes().cycle() {
            others.retain_mut(|stream| stream.write_all(&[byte]).is_ok());
            if others.is_empty() {
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
    });
    streams
}

/// Asks all the time and never reads an answer.
fn deaf(target: &Target) -> Vec<TcpStream> {
    let request = navigation(&target.host, "/x").repeat(64);
    let streams: Vec<_> = (0..8).filter_map(|_| target.try_connect()).collect();
    for stream in &streams {
        let mut stream = stream.try_clone().unwrap();
        let request = request.clone();
        let _ = stream.set_write_timeout(Some(Duration::from_millis(200)));
        thread::spawn(move || while stream.write_all(request.as_bytes()).is_ok() {});
    }
    streams
}

/// A storm that goes on while the redirect comes: each connection is another one.
fn storm(target: &Target, bytes: &'static [u8], ends: fn(TcpStream)) -> Vec<TcpStream> {
    let target = target.clone();
    let (at_work, is_at_work) = mpsc::channel();
    thread::spawn(move || {
        for number in 0..20_000 {
            let Some(mut stream) = target.try_connect() else {
                return;
            };
            let _ = stream.write_all(bytes);
            ends(stream);
            if number == 200 {
                let _ = at_work.send(());
            }
        }
    });
    let _ = is_at_work.recv();
    Vec::new()
}

/// Callbacks of somebody who does not know the state, from several threads that hold each connection.
fn forgers(target: &Target) -> Vec<TcpStream> {
    let request = navigation(&target.host, "/callback?code=x&state=x");
    let (at_work, is_at_work) = mpsc::channel();
    for _ in 0..4 {
        let (target, request, at_work) = (target.clone(), request.clone(), at_work.clone());
        thread::spawn(move || {
            let mut held = Vec::new();
            while let Some(mut stream) = target.try_connect() {
                let _ = stream.write_all(request.as_bytes());
                if held.len() < 2000 {
                    held.push(stream);
                }
                if held.len() == 100 {
                    let _ = at_work.send(());
                }
            }
        });
    }
    // Each says so, or has given up.
    drop(at_work);
    let _ = is_at_work.iter().take(4).count();
    Vec::new()
}

fn lie(target: &Target, length: &str) -> Vec<TcpStream> {
    let field = format!("Content-Length: {length}");
    let get = target.with_field(&field) + "hello";
    let post = get.replacen("GET", "POST", 1);
    target.send_each([get, post])
}

const TLS_HELLO: &[u8] = &[
    22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, 1, 2, 3, 10, 13, 10, 13, 10,
];

pub const PROBES: &[Probe] = &[
    // What any browser does by itself.
    probe("nothing", |_| Vec::new()),
    probe("a connection that says nothing", |t| {
        vec![connect(t.address)]
    }),
    probe("a connection that closes at once", |t| {
        drop(connect(t.address));
        Vec::new()
    }),
    probe("half a request line", |t| t.send("GET /callb")),
    probe("a favicon", |t| t.send(navigation(&t.host, "/favicon.ico"))),
    probe("the path without a query", |t| {
        t.send(navigation(&t.host, "/callback"))
    }),
    probe("Chrome's preflight for private networks", |t| {
        let asks = "Origin: https://evil.example\r\nAccess-Control-Request-Method: GET\r\n\
                    Access-Control-Request-Private-Network: true";
        t.send(t.with_field(asks).replacen("GET", "OPTIONS", 1))
    }),
    // Forged answers.
    forged("a code with another state", |t| {
        t.send(t.changed("state=", "state=x"))
    }),
    forged("a code without a state", |t| {
        t.send(t.changed("&state=", "&x="))
    }),
    forged("an error without a state", |t| {
        t.send(navigation(&t.host, "/callback?error=access_denied"))
    }),
    forged("an error with another state", |t| {
        t.send(navigation(
            t.address,
            "/callback?error=access_denied&state=x",
        ))
    }),
    forged("the state twice", |t| {
        t.send(t.changed("&state=", "&state=x&state="))
    }),
    forged("a code and an error", |t| {
        t.send(t.changed("?code=", "?error=x&code="))
    }),
    // The genuine query, but not a browser's navigation to us.
    forged("OPTIONS", |t| t.send(t.changed("GET", "OPTIONS"))),
    forged("other methods", |t| {
        t.send_each(["HEAD", "POST", "PUT", "get", "GETX", "CONNECT"].map(|m| t.changed("GET", m)))
    }),
    forged("a foreign Host", |t| {
        t.send(t.changed(&t.host(), "Host: evil.example\r\n"))
    }),
    forged("our port under a foreign name", |t| {
        let port = t.address.port();
        t.send(t.changed(&t.host(), &format!("Host: evil.example:{port}\r\n")))
    }),
    forged("no Host", |t| t.send(t.changed(&t.host(), ""))),
    forged("two Hosts", |t| t.send(t.with_field("Host: evil.example"))),
    forged("our Host twice", |t| {
        t.send(t.with_field(t.host().trim_end()))
    }),
    forged("a Host with a blank before its colon", |t| {
        t.send(t.changed("Host:", "Host :"))
    }),
    forged("other paths", |t| {
        let paths = [
            "/callback/",
            "/Callback",
            "//callback",
            "/x/../callback",
            "/callback;x",
            "*",
        ];
        t.send_each(paths.map(|path| t.changed("/callback", path)))
    }),
    forged("an absolute target", |t| {
        t.send(t.changed("/callback", &format!("http://{}/callback", t.host)))
    }),
    forged("a target with a fragment", |t| {
        t.send(t.changed(" HTTP/", "#x HTTP/"))
    }),
    forged("a script that fetches", |t| {
        t.send(t.changed("navigate", "cors"))
    }),
    forged("an image", |t| t.send(t.changed("document", "image"))),
    forged("a frame", |t| t.send(t.changed("document", "iframe"))),
    // Not HTTP/1.1, or not quite.
    probe("a TLS hello", |t| t.send(TLS_HELLO)),
    probe("the preface of HTTP/2", |t| {
        t.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    }),
    forged("other versions", |t| {
        let versions = [
            "HTTP/0.9",
            "HTTP/1.0",
            "HTTP/2.0",
            "HTTP/1.2",
            "http/1.1",
            "HTTP/1.1 x",
        ];
        t.send_each(versions.map(|version| t.changed("HTTP/1.1", version)))
    }),
    forged("no version", |t| t.send(t.changed(" HTTP/1.1", ""))),
    forged("a blank line first", |t| {
        t.send(format!("\r\n{}", t.genuine()))
    }),
    forged("bare line feeds", |t| {
        t.send(t.genuine().replace("\r\n", "\n"))
    }),
    forged("a bare carriage return", |t| {
        t.send(t.changed("Accept:", "A\rccept:"))
    }),
    forged("a NUL", |t| t.send(t.changed("?code=", "?\0code="))),
    forged("a tab in the target", |t| {
        t.send(t.changed("?code=", "?\tcode="))
    }),
    forged("a folded field", |t| t.send(t.with_field("X: y\r\n z"))),
    forged("a field without a colon", |t| {
        t.send(t.with_field("nonsense"))
    }),
    forged("a field without a name", |t| t.send(t.with_field(": x"))),
    probe("bytes of no kind", |t| t.send([0, 255, 13, 10, 13, 10])),
    probe("only line ends", |t| t.send("\n\n\n\n")),
    // Bodies.
    forged("5 bytes of 10^9", |t| lie(t, "1000000000")),
    forged("5 bytes of 10^12", |t| lie(t, "1000000000000")),
    forged("5 bytes of 2^63", |t| lie(t, "9223372036854775808")),
    forged("5 bytes of 2^64-1", |t| lie(t, "18446744073709551615")),
    forged("5 bytes of 2^64", |t| lie(t, "18446744073709551616")),
    forged("5 bytes of -1", |t| lie(t, "-1")),
    forged("5 bytes of +3", |t| lie(t, "+3")),
    forged("5 bytes of 2000", |t| lie(t, "2000")),
    forged("two lengths", |t| {
        t.send(t.with_field("Content-Length: 0\r\nContent-Length: 5"))
    }),
    forged("a chunked body", |t| {
        t.send(t.with_field("Transfer-Encoding: chunked") + "ffffffffffffffff\r\nhello")
    }),
    forged("a chunked body with a length", |t| {
        t.send(t.with_field("Transfer-Encoding: chunked\r\nContent-Length: 18446744073709551615"))
    }),
    forged("a body that waits to be asked for", |t| {
        t.send(t.with_field("Expect: 100-continue\r\nContent-Length: 7"))
    }),
    forged("another expectation", |t| {
        t.send(t.with_field("Expect: something else"))
    }),
    probe("an upgrade", |t| {
        t.send(navigation(&t.host, "/x").replace(
            "\r\n\r\n",
            "\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        ))
    }),
    probe("forms that a page posts", |t| {
        let form = navigation(&t.host, "/")
            .replacen("GET", "POST", 1)
            .replacen(
                "\r\n\r\n",
                "\r\nContent-Type: text/plain\r\nContent-Length: 2000\r\n\r\n",
                1,
            );
        let form = form + &"x".repeat(2000);
        (0..20).map(|_| send(t.address, &form)).collect()
    }),
    // Sizes.
    probe("a request line of 64 MiB", |t| {
        flood(t, "GET /callback?code=", b"a")
    }),
    probe("a field of 64 MiB", |t| {
        flood(t, "GET /callback HTTP/1.1\r\nX: ", b"a")
    }),
    probe("fields without end", |t| {
        flood(t, "GET /callback HTTP/1.1\r\n", b"X: y\r\n")
    }),
    probe("a body without end", |t| {
        flood(
            t,
            &t.with_field("Transfer-Encoding: chunked"),
            b"1\r\na\r\n",
        )
    }),
    probe("requests without end on one connection", |t| {
        let request = navigation(&t.host, "/x");
        flood(t, "", request.as_bytes())
    }),
    // Numbers.
    probe("200 idle connections", |t| t.many(200, b"")),
    probe("4000 idle connections", |t| t.many(4000, b"")),
    probe("500 half requests", |t| {
        t.many(500, b"GET /callback HTTP/1.1\r\nHo")
    }),
    going_on("64 tricklers", |t| {
        trickle(
            t,
            "GET /callback HTTP/1.1\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyy",
            64,
        )
    }),
    going_on("8 who ask for ever and read nothing", deaf),
    probe("200 requests that are reset", |t| {
        for _ in 0..200 {
            reset(send(t.address, navigation(&t.host, "/x")));
        }
        Vec::new()
    }),
    probe("200 connections that are reset", |t| {
        for _ in 0..200 {
            reset(connect(t.address));
        }
        Vec::new()
    }),
    probe("200 that say no more but stay", |t| {
        let streams = t.many(200, b"GET /callb");
        for stream in &streams {
            let _ = stream.shutdown(Shutdown::Write);
        }
        streams
    }),
    going_on("a storm of requests and resets", |t| {
        storm(t, b"GET /x HTTP/1.1\r\n\r\n", reset)
    }),
    going_on("a storm of forged callbacks", |t| {
        let request = navigation(&t.host, "/callback?code=x&state=x");
        let request: &'static [u8] = request.leak().as_bytes();
        storm(t, request, |mut stream| {
            let _ = stream.read(&mut [0; 4096]);
        })
    }),
    going_on("4 who hold thousands of forged callbacks", forgers),
];

/// Two genuine ones on one connection: the first is taken, the second must not be.
pub fn pipelined(target: &Target) -> String {
    target.genuine().repeat(2)
}
