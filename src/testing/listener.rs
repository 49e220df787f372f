//! Sockets, threads and the clock around the pure `server`: one thread accepts, one more for
//! each connection, so that a slow answer holds up nobody else.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::fault::Fault;
use super::http::{self, ReadError, Reply, Request};
use super::pages;
use super::server::Server;
use super::socket::Timed;

/// For reading a request, and again for each write of the reply.
const PATIENCE: Duration = Duration::from_secs(10);

/// A poisoned lock only says that a thread died while holding it; what it guards stays usable.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The accepting thread. Dropping it closes the port, hangs up on everybody and ends all threads.
pub(super) struct Listener {
    address: SocketAddr,
    house: Arc<House>,
    thread: Option<JoinHandle<()>>,
}

/// What the threads have in common. No thread ever holds both locks.
pub(super) struct House {
    pub(super) server: Mutex<Server>,
    started: Instant,
    doors: Mutex<Doors>,
    closing: Condvar,
}

/// The connections that are open, for hanging up on them.
#[derive(Default)]
struct Doors {
    closed: bool,
    count: u64,
    open: HashMap<u64, TcpStream>,
}

impl Listener {
    pub(super) fn start(port: u16, server: Server) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        let house = Arc::new(House {
            server: Mutex::new(server),
            started: Instant::now(),
            doors: Mutex::new(Doors::default()),
            closing: Condvar::new(),
        });
        let inside = Arc::clone(&house);
        let thread = thread::Builder::new()
            .name("fake-provider".to_owned())
            .spawn(move || accept(&listener, &inside))?;
        Ok(Self {
            address,
            house,
            thread: Some(thread),
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn house(&self) -> &House {
        &self.house
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.house.close();
        // The accepting thread sleeps in `accept`; a connection wakes it.
        let woken = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        if let (Ok(_), Some(thread)) = (woken, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, house: &Arc<House>) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    while !house.is_closed() {
        let Ok((stream, _)) = listener.accept() else {
            // A client that is gone already, or no file descriptor left: neither lasts.
            house.sleep(Duration::from_millis(10));
            continue;
        };
        threads.retain(|thread| !thread.is_finished());
        let inside = Arc::clone(house);
        let thread = thread::Builder::new()
            .name("fake-provider-connection".to_owned())
            .spawn(move || inside.serve(&stream));
        threads.extend(thread.ok());
    }
    for thread in threads {
        let _ = thread.join();
    }
}

impl House {
    fn is_closed(&self) -> bool {
        lock(&self.doors).closed
    }

    fn close(&self) {
        let mut doors = lock(&self.doors);
        doors.closed = true;
        for stream in doors.open.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.closing.notify_all();
    }

    /// Sleeps; `false` when the house closed meanwhile.
    fn sleep(&self, wait: Duration) -> bool {
        let doors = lock(&self.doors);
        let (doors, _) = self
            .closing
            .wait_timeout_while(doors, wait, |doors| !doors.closed)
            .unwrap_or_else(PoisonError::into_inner);
        !doors.closed
    }

    fn serve(&self, stream: &TcpStream) {
        let Ok(hand) = stream.try_clone() else { return };
        let number = {
            let mut doors = lock(&self.doors);
            if doors.closed {
                return;
            }
            doors.count = doors.count.wrapping_add(1);
            let number = doors.count;
            doors.open.insert(number, hand);
            number
        };
        // A client that is gone before its answer is no news here.
        let _ = self.converse(&mut Timed::new(stream, PATIENCE));
        lock(&self.doors).open.remove(&number);
    }

    fn converse(&self, stream: &mut Timed<'_>) -> io::Result<()> {
        let request = match http::read_request(stream) {
            Ok(request) => request,
            Err(ReadError::Io(error)) => return Err(error),
            Err(ReadError::Refused(status)) => {
                pages::error(status, "Not a request for this server").write_to(stream)?;
                return stream.linger();
            }
        };
        let Some((number, fault)) = self.receive(&request) else {
            return self.handle(&request).write_to(stream);
        };
        let reply = match fault {
            None => self.handle(&request),
            Some(Fault::Slow(wait)) => {
                if !self.sleep(wait) {
                    return Ok(());
                }
                self.handle(&request)
            }
            Some(Fault::DropBefore) => return Ok(()),
            Some(Fault::DropAfter) => {
                self.handle(&request);
                return Ok(());
            }
            Some(Fault::TruncatedJson) => self.handle(&request).truncated(),
            Some(Fault::Endless { bytes }) => {
                self.answered(&request, number, 200);
                return Reply::new(200)
                    .header("Content-Type", "application/json")
                    .write_endless(stream, bytes);
            }
            Some(fault) => fault.reply().unwrap_or_else(|| self.handle(&request)),
        };
        // Before the client can know: whoever has the answer also finds it recorded.
        self.answered(&request, number, reply.status);
        reply.write_to(stream)
    }

    /// Where faults can be ordered: the request's number there, and the fault it meets.
    fn receive(&self, request: &Request) -> Option<(u64, Option<Fault>)> {
        let mut server = lock(&self.server);
        Some(server.desk_at(&request.path)?.receive(request))
    }

    fn answered(&self, request: &Request, number: u64, status: u16) {
        if let Some(desk) = lock(&self.server).desk_at(&request.path) {
            desk.answered(number, status);
        }
    }

    fn handle(&self, request: &Request) -> Reply {
        lock(&self.server).handle(request, self.now())
    }

    /// The time since the provider's start.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }
}
