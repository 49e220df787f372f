//! HTTP by hand, over bare sockets: servers that answer as no real one would, and clients that ask as
//! no browser would.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Longer than anything here takes. Whoever waits as long has found a hang.
pub const PATIENCE: Duration = Duration::from_secs(20);

// --- servers ----------------------------------------------------------------------------------

/// A server on 127.0.0.1 that serves each connection as the test says, in a thread of its own.
pub struct Server {
    address: SocketAddr,
    seen: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<Request>>,
    open: Mutex<HashMap<usize, TcpStream>>,
    connections: Mutex<usize>,
    closed: AtomicBool,
}

/// A request that a server has read.
#[derive(Clone, Debug)]
pub struct Request {
    /// `POST /token HTTP/1.1`.
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    /// The values of this header, in any case.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter();
        named
            .filter(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// A value of the body, which is a form.
    pub fn form(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.body.as_bytes());
        let (_, value) = pairs.find(|(own, _)| own == name)?;
        Some(value.into_owned())
    }
}

/// A connection to a [`Server`].
pub struct Connection {
    /// Counted from 1.
    pub number: usize,
    pub stream: TcpStream,
    seen: Arc<Seen>,
}

impl Connection {
    /// Reads a request and notes it; `None` at the end.
    pub fn request(&mut self) -> Option<Request> {
        let request = read_request(&mut self.stream).ok()?;
        lock(&self.seen.requests).push(request.clone());
        Some(request)
    }

    /// Writes, and does not care if nobody reads any more.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
        let _ = self.stream.flush();
    }

    /// Waits until the other side, or the test, has ended the connection.
    pub fn linger(&mut self) {
        let _ = io::copy(&mut self.stream, &mut io::sink());
    }

    /// Leaves what was sent unread, so that the connection ends with a reset.
    pub fn reset(self) {
        let _ = self.stream.peek(&mut [0]);
        lock(&self.seen.open).remove(&self.number);
    }
}

impl Server {
    pub fn start(serve: impl Fn(Connection) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let inside = Arc::clone(&seen);
        let serve = Arc::new(serve);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if inside.closed.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let number = {
                    let mut connections = lock(&inside.connections);
                    *connections += 1;
                    *connections
                };
                let handle = stream.try_clone().unwrap();
                lock(&inside.open).insert(number, handle);
                let seen = Arc::clone(&inside);
                let serve = Arc::clone(&serve);
                thread::spawn(move || {
                    serve(Connection {
                        number,
                        stream,
                        seen: Arc::clone(&seen),
                    });
                    lock(&seen.open).remove(&number);
                });
            }
        });
        Self {
            address,
            seen,
            thread: Some(thread),
        }
    }

    /// Reads one request on each connection and writes these bytes.
    pub fn answering(response: impl Into<Vec<u8>>) -> Self {
        let response = response.into();
        Self::start(move |mut connection| {
            if connection.request().is_some() {
                connection.write(&response);
            }
        })
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests that were read, oldest first.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.seen.requests).clone()
    }

    pub fn connections(&self) -> usize {
        *lock(&self.seen.connections)
    }

    /// Waits until so many requests have been read.
    pub fn wait_for_requests(&self, count: usize) {
        eventually(|| self.requests().len() >= count);
    }
}

/// Hangs up on everybody, so that no test waits for a thread.
impl Drop for Server {
    fn drop(&mut self) {
        self.seen.closed.store(true, Ordering::SeqCst);
        for stream in lock(&self.seen.open).values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let woken = TcpStream::connect_timeout(&self.address, PATIENCE);
        if let (Ok(_), Some(thread)) = (woken, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

/// An address that refuses whoever connects for as long as this is held: bound, but not listened at, so
/// that no other program can get it meanwhile.
pub struct Nobody(socket2::Socket);

impl Nobody {
    pub fn new() -> Self {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&address.into()).unwrap();
        Self(socket)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap().as_socket().unwrap()
    }
}

/// A response with this body and a length that agrees.
pub fn response(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
}

/// What a token endpoint says: these tokens, for an hour.
pub fn tokens(access_token: &str, refresh_token: Option<&str>) -> String {
    let mut body = serde_json::json!({
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": 3600,
    });
    if let Some(refresh_token) = refresh_token {
        body["refresh_token"] = refresh_token.into();
    }
    json("200 OK", &body.to_string())
}

pub fn json(status: &str, body: &str) -> String {
    let headers = "Content-Type: application/json\r\nConnection: close\r\n";
    response(status, headers, body)
}

fn read_request(stream: &mut impl Read) -> io::Result<Request> {
    let head = read_head(stream)?;
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap_or_default().to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, length)| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Request {
        line,
        headers,
        body: String::from_utf8(body).unwrap(),
    })
}

/// Byte by byte, so that nothing beyond it is taken.
fn read_head(stream: &mut impl Read) -> io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    head.truncate(head.len() - 4);
    Ok(String::from_utf8_lossy(&head).into_owned())
}

// --- clients ----------------------------------------------------------------------------------

/// What a server wrote back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn status(&self) -> u16 {
        let status = self.head.split(' ').nth(1);
        status.and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// The header lines, without the status line.
    pub fn headers(&self) -> Vec<&str> {
        self.head.split("\r\n").skip(1).collect()
    }
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Connects and writes; the stream is for reading the answer, or for leaving it.
pub fn send(address: SocketAddr, bytes: impl AsRef<[u8]>) -> TcpStream {
    let mut stream = connect(address);
    // A server may answer and go before it has read everything.
    let _ = stream.write_all(bytes.as_ref());
    stream
}

/// Reads one answer by its length; `None` if the connection ended without one.
pub fn read_reply(stream: &mut impl Read) -> Option<Reply> {
    let head = read_head(stream).ok()?;
    let length = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_it = name.eq_ignore_ascii_case("content-length");
        is_it.then(|| value.trim().parse::<usize>().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).unwrap();
    Some(Reply { head, body })
}

/// Asks and reads the answer.
pub fn ask(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Option<Reply> {
    read_reply(&mut send(address, bytes))
}

/// As a browser asks that was redirected: the whole request.
pub fn navigation(host: impl Display, target: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\n\
         Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Site: cross-site\r\n\r\n"
    )
}

// --- waiting ----------------------------------------------------------------------------------

/// Waits until something is so. The time is no verdict: only what never comes fails.
pub fn eventually(mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "it never came to be");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Fails in place of hanging: runs this in a thread and waits for it.
pub fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, is_done) = mpsc::channel();
    let thread = thread::spawn(move || {
        let _ = done.send(work());
    });
    match is_done.recv_timeout(limit) {
        Ok(result) => result,
        // It panicked: let that be seen.
        Err(RecvTimeoutError::Disconnected) => resume_unwind(thread.join().err().unwrap()),
        Err(RecvTimeoutError::Timeout) => panic!("still not done after {limit:?}"),
    }
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
