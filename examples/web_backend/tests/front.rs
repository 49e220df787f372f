//! What strangers can do to the HTTP of a process: nothing that keeps others out for long.
#![cfg(unix)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use web_backend::front::Front;
use web_backend::reply::plain;

/// Whoever waits as long has found a hang.
const PATIENCE: Duration = Duration::from_secs(60);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// The real program. The pages asked for here need no Redis, and there is none.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(descriptors: usize) -> Self {
        let script = format!("ulimit -n {descriptors} && exec \"$0\" serve --port 0");
        let mut child = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_web_backend")])
            .env("CLIENT_ID", "id")
            .env("CLIENT_SECRET", "secret")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let address = line.trim().rsplit('/').next().unwrap().parse().unwrap();
        Self { child, address }
    }

    fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none() && ask(self.address, REQUEST).0 == 200
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn said(mut stream: &TcpStream) -> (u16, String) {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let status = text.split(' ').nth(1).and_then(|it| it.parse().ok());
    (status.unwrap_or_default(), text)
}

fn ask(address: SocketAddr, request: &[u8]) -> (u16, String) {
    let mut stream = connect(address);
    stream.write_all(request).unwrap();
    said(&stream)
}

/// A front in this process, which answers with the path.
fn front(change: impl FnOnce(&mut Front)) -> SocketAddr {
    let mut front = Front::bind("127.0.0.1:0").unwrap();
    change(&mut front);
    let address = front.address().unwrap();
    thread::spawn(move || front.serve(2, |request| plain(200, &request.path)));
    address
}

#[test]
fn false_lengths_are_refused_and_the_process_lives() {
    let mut process = Process::start(256);
    for (length, status) in [
        ("200000000000", 413),
        ("9223372036854775807", 413),
        ("18446744073709551615", 413),
        ("18446744073709551616", 413),
        ("-1", 400),
        ("0x10", 400),
        ("1\r\nContent-Length: 2", 400),
    ] {
        let head =
            format!("POST /log-out HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\nbody");
        for _ in 0..3 {
            assert_eq!(ask(process.address, head.as_bytes()).0, status, "{length}");
        }
    }
    let chunked = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n";
    assert_eq!(ask(process.address, chunked).0, 501);
    assert!(process.lives());
}

#[test]
fn a_head_without_end_is_cut_off() {
    let mut process = Process::start(256);
    let cookie = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nCookie: __Host-session={}\r\n\r\n",
        "a".repeat(3_000_000)
    );
    assert_eq!(ask(process.address, cookie.as_bytes()).0, 431);
    // It goes on for as long as somebody listens.
    let mut endless = connect(process.address);
    endless.write_all(b"GET / HTTP/1.1\r\nX: ").unwrap();
    while endless.write_all(&[b'a'; 4096]).is_ok() {}
    assert!(process.lives());
}

/// As many as the system lets in, all of them mute: the process has far fewer descriptors.
#[test]
fn a_flood_of_idle_connections_keeps_nobody_out() {
    let mut process = Process::start(64);
    let idle: Vec<_> = (0..300)
        .map_while(|_| TcpStream::connect_timeout(&process.address, Duration::from_secs(5)).ok())
        .collect();
    assert!(idle.len() > 64, "{}", idle.len());
    for _ in 0..5 {
        assert!(process.lives());
    }
    // The first were not waited for: they had to make room.
    idle[0].set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(said(&idle[0]), (0, String::new()));
    drop(idle);
    assert!(process.lives());
}

#[test]
fn a_flood_makes_room_for_those_who_speak() {
    let address = front(|front| front.limits.connections = 8);
    let idle: Vec<_> = (0..50).map(|_| connect(address)).collect();
    assert_eq!(ask(address, REQUEST).0, 200);
    // The first have gone, and the last are still there.
    assert_eq!(said(&idle[0]).0, 0);
    let mut last = &idle[49];
    last.write_all(REQUEST).unwrap();
    assert_eq!(said(last).0, 200);
}

#[test]
fn bodies_and_heads_that_never_come_hold_up_no_worker_and_end() {
    // More than there are workers, and nobody's time is over yet.
    let address = front(|front| front.limits.patience = PATIENCE * 10);
    let body = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nfour";
    let stalled: Vec<_> = (0..20)
        .map(|number| {
            let mut stream = connect(address);
            let text = if number % 2 == 0 { &body[..] } else { b"GET /" };
            stream.write_all(text).unwrap();
            stream
        })
        .collect();
    assert_eq!(ask(address, REQUEST).0, 200);
    // What is late counts.
    (&stalled[0]).write_all(b"sixsix").unwrap();
    assert_eq!(said(&stalled[0]).0, 200);

    let address = front(|front| front.limits.patience = Duration::from_millis(100));
    for text in [&body[..], b"GET /", b""] {
        assert_eq!(ask(address, text).0, 408);
    }
}

#[test]
fn a_connection_is_one_request() {
    let address = front(|_| ());
    let two = b"GET /first HTTP/1.1\r\nHost: x\r\n\r\nGET /second HTTP/1.1\r\nHost: x\r\n\r\n";
    let (status, text) = ask(address, two);
    assert_eq!(status, 200);
    assert!(text.contains("\r\nConnection: close\r\n"), "{text}");
    assert!(text.ends_with("\r\n\r\n/first\n"), "{text}");
    assert_eq!(text.matches("HTTP/1.1").count(), 1, "{text}");
    let (status, text) = ask(address, b"HEAD / HTTP/1.0\r\nHost: x\r\n\r\n");
    assert!(status == 200 && text.ends_with("\r\n\r\n"), "{text}");
}

/// All workers are busy, and so many wait: the next one is told so. A worker that panics goes on.
#[test]
fn who_comes_when_too_many_wait_is_told_so() {
    let mut front = Front::bind("127.0.0.1:0").unwrap();
    front.limits.waiting = 2;
    let address = front.address().unwrap();
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let begun = Arc::new(AtomicUsize::new(0));
    let (held, count) = (Arc::clone(&gate), Arc::clone(&begun));
    thread::spawn(move || {
        front.serve(1, |request| {
            count.fetch_add(1, Ordering::SeqCst);
            let mut is_open = held.0.lock().unwrap();
            while !*is_open {
                is_open = held.1.wait(is_open).unwrap();
            }
            drop(is_open);
            assert_ne!(request.path, "/panic", "as it was meant to");
            plain(200, "done")
        })
    });
    let send = |request: &[u8]| {
        let mut stream = connect(address);
        stream.write_all(request).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        stream
    };
    let first = send(b"GET /panic HTTP/1.1\r\nHost: x\r\n\r\n");
    while begun.load(Ordering::SeqCst) == 0 {
        thread::sleep(Duration::from_millis(1));
    }
    let later: Vec<_> = (0..5).map(|_| send(REQUEST)).collect();
    let refused = later.iter().skip(2).map(|it| said(it).0);
    assert_eq!(refused.collect::<Vec<_>>(), [503, 503, 503]);
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    assert_eq!(said(&first).0, 500);
    assert_eq!(said(&later[0]).0, 200);
    assert_eq!(said(&later[1]).0, 200);
}
