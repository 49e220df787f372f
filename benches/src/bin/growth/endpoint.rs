//! A token endpoint on the loopback that takes its time.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use authflow_benches::fixture;

/// Its threads end with the program.
pub struct Endpoint {
    pub address: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    requests: AtomicUsize,
    is_held: Mutex<bool>,
    changed: Condvar,
    delay: Duration,
}

impl Endpoint {
    /// Answers after this long.
    pub fn start(delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            delay,
            ..Shared::default()
        });
        let own = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, shared) = (stream.expect("a connection"), own.clone());
                thread::spawn(move || shared.serve(stream));
            }
        });
        Self {
            address: format!("http://{address}/token"),
            shared,
        }
    }

    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Answers nobody until `release`.
    pub fn hold(&self) {
        *self.shared.is_held.lock().expect("nobody panics") = true;
    }

    pub fn release(&self) {
        *self.shared.is_held.lock().expect("nobody panics") = false;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(&stream);
        while let Some(length) = head(&mut reader) {
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            self.requests.fetch_add(1, Ordering::SeqCst);
            thread::sleep(self.delay);
            let held = self.is_held.lock().expect("nobody panics");
            drop(self.changed.wait_while(held, |held| *held));
            let tokens = fixture::tokens();
            let response = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{tokens}",
                tokens.len()
            );
            if (&stream).write_all(response.as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// The length of the body that follows; `None` if the connection has ended.
fn head(reader: &mut impl BufRead) -> Option<usize> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok();
        }
        if line.is_empty() {
            return length;
        }
    }
}
