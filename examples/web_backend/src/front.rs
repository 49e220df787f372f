//! The HTTP of one process: one request for each connection, and a limit for all that a client can spend.
//!
//! One thread accepts, one reads and writes all the sockets, none of which can hold it up, and the workers
//! get requests that are there as a whole. So clients that are slow, idle or mute cost a place, and never a
//! worker; and when all places are taken, the one that came first and has not finished makes room.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::reply::{Reply, plain};
use crate::request::{Incoming, Request};

/// For closing a connection after the answer.
const LINGER: Duration = Duration::from_secs(2);
/// Until something may have happened at a socket: `std` has no way to wait for several.
const PAUSE: Duration = Duration::from_millis(3);
/// Until there may be descriptors again.
const NO_ROOM: Duration = Duration::from_millis(50);
const AT_ONCE: usize = 64;

pub struct Front {
    listener: TcpListener,
    pub limits: Limits,
}

#[derive(Clone, Copy)]
pub struct Limits {
    pub connections: usize,
    /// Requests that no worker has begun with. What comes then gets a 503.
    pub waiting: usize,
    /// For all of a request, and again for taking the answer.
    pub patience: Duration,
}

enum Event {
    Came(TcpStream),
    NoRoom,
    Answered(u64, Reply),
}

impl Front {
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(address)?,
            limits: Limits {
                connections: 256,
                waiting: 64,
                patience: Duration::from_secs(10),
            },
        })
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves for as long as the process runs.
    pub fn serve(&self, workers: usize, answer: impl Fn(&Request) -> Reply + Sync) {
        let (tell, events) = sync_channel(AT_ONCE);
        let (hand_over, requests) = sync_channel(self.limits.waiting.max(1));
        let requests = Mutex::new(requests);
        thread::scope(|scope| {
            for _ in 0..workers.max(1) {
                scope.spawn(|| work(&requests, &tell, &answer));
            }
            scope.spawn(|| self.accept(&tell));
            let mut sockets = Sockets {
                most: self.limits.connections.max(1),
                limits: self.limits,
                connections: Vec::new(),
                count: 0,
                hand_over,
            };
            loop {
                sockets.wait(&events);
                sockets.advance();
            }
        });
    }

    /// No failure ends it: those of the system pass, and the others are a client's that has gone.
    fn accept(&self, tell: &SyncSender<Event>) {
        loop {
            let event = match self.listener.accept() {
                Ok((stream, _)) => Event::Came(stream),
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::ConnectionAborted
                            | ErrorKind::ConnectionReset
                            | ErrorKind::Interrupted
                    ) =>
                {
                    continue;
                }
                Err(_) => {
                    thread::sleep(NO_ROOM);
                    Event::NoRoom
                }
            };
            if tell.send(event).is_err() {
                return;
            }
        }
    }
}

fn work(
    requests: &Mutex<Receiver<(u64, Request)>>,
    tell: &SyncSender<Event>,
    answer: &(impl Fn(&Request) -> Reply + Sync),
) {
    loop {
        let next = requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok((id, request)) = next else { return };
        // A fault of ours in one request is not the end of a worker.
        let reply = catch_unwind(AssertUnwindSafe(|| answer(&request)));
        let reply = reply.unwrap_or_else(|_| plain(500, "something of ours is broken"));
        if tell.send(Event::Answered(id, reply)).is_err() {
            return;
        }
    }
}

struct Sockets {
    limits: Limits,
    /// As the limit says, or as the system allows.
    most: usize,
    /// In the order in which they came.
    connections: Vec<Connection>,
    count: u64,
    hand_over: SyncSender<(u64, Request)>,
}

struct Connection {
    id: u64,
    stream: TcpStream,
    stage: Stage,
    /// When it came, or was answered.
    since: Instant,
    wants_body: bool,
}

enum Stage {
    Reading(Incoming),
    /// For a worker, who has it or will get it.
    Waiting,
    /// The answer, and how much of it is sent.
    Answering(Vec<u8>, usize),
    /// What the client still says is read, because a socket that is closed with bytes unread takes the
    /// answer back.
    Closing,
    Over,
}

impl Sockets {
    fn wait(&mut self, events: &Receiver<Event>) {
        let first = match self.connections.is_empty() {
            true => events.recv().ok(),
            false => events.recv_timeout(PAUSE).ok(),
        };
        for event in first.into_iter().chain(events.try_iter().take(AT_ONCE)) {
            match event {
                Event::Came(stream) => self.came(stream),
                Event::NoRoom => {
                    // The workers need descriptors, too.
                    self.most = self.most.min((self.connections.len() / 2).max(8));
                    while self.connections.len() > self.most && self.make_room() {}
                }
                Event::Answered(id, reply) => {
                    // After a shortage, the places come back one by one.
                    self.most = self.limits.connections.min(self.most + 1);
                    let mut all = self.connections.iter_mut();
                    if let Some(connection) = all.find(|it| it.id == id) {
                        connection.reply(&reply);
                    }
                }
            }
        }
    }

    fn came(&mut self, stream: TcpStream) {
        if self.connections.len() >= self.most && !self.make_room() {
            return;
        }
        if stream.set_nonblocking(true).is_ok() {
            self.count += 1;
            self.connections.push(Connection {
                id: self.count,
                stream,
                stage: Stage::Reading(Incoming::default()),
                since: Instant::now(),
                wants_body: true,
            });
            // It may have said all by now, and is not thrown out for the next one then.
            self.advance_at(self.connections.len() - 1);
        }
    }

    /// Nobody goes whose request is being answered.
    fn make_room(&mut self) -> bool {
        let gives_way = |it: &Connection| !matches!(it.stage, Stage::Waiting);
        let oldest = self.connections.iter().position(gives_way);
        oldest.map(|at| self.connections.remove(at)).is_some()
    }

    fn advance(&mut self) {
        for at in 0..self.connections.len() {
            self.advance_at(at);
        }
        self.connections
            .retain(|it| !matches!(it.stage, Stage::Over));
    }

    fn advance_at(&mut self, at: usize) {
        let connection = &mut self.connections[at];
        let Some(request) = connection.advance(self.limits.patience) else {
            return;
        };
        connection.wants_body = request.method != "HEAD";
        connection.stage = Stage::Waiting;
        if self.hand_over.try_send((connection.id, request)).is_err() {
            connection.reply(&plain(503, "too many are here; try again soon"));
        }
    }
}

impl Connection {
    fn reply(&mut self, reply: &Reply) {
        self.stage = Stage::Answering(reply.to_bytes(self.wants_body), 0);
        self.since = Instant::now();
    }

    /// Goes on as far as it can without waiting, or until the request is there.
    fn advance(&mut self, patience: Duration) -> Option<Request> {
        loop {
            let (next, patience) = match &mut self.stage {
                Stage::Reading(incoming) => match read(&self.stream, incoming) {
                    Ok(Ok(request)) => return Some(request),
                    Ok(Err(status)) => {
                        self.reply(&plain(status, "this is not understood here"));
                        continue;
                    }
                    Err(error) => (Err(error), patience),
                },
                Stage::Answering(answer, sent) => (write(&self.stream, answer, sent), patience),
                Stage::Closing => (drain(&self.stream), LINGER),
                Stage::Waiting | Stage::Over => return None,
            };
            match next {
                Ok(stage) => {
                    self.stage = stage;
                    self.since = Instant::now();
                }
                Err(error) if error.kind() != ErrorKind::WouldBlock => self.stage = Stage::Over,
                Err(_) if self.since.elapsed() < patience => return None,
                Err(_) if matches!(self.stage, Stage::Reading(_)) => {
                    self.reply(&plain(408, "this took too long"));
                }
                Err(_) => self.stage = Stage::Over,
            }
        }
    }
}

fn read(mut stream: &TcpStream, incoming: &mut Incoming) -> io::Result<Result<Request, u16>> {
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                if let Some(read) = incoming.add(&piece[..count]) {
                    return Ok(read);
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn write(mut stream: &TcpStream, answer: &[u8], sent: &mut usize) -> io::Result<Stage> {
    while let Some(rest @ [_, ..]) = answer.get(*sent..) {
        match stream.write(rest) {
            Ok(0) => return Ok(Stage::Over),
            Ok(count) => *sent += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    stream.shutdown(Shutdown::Write)?;
    Ok(Stage::Closing)
}

fn drain(stream: &TcpStream) -> io::Result<Stage> {
    const MOST: u64 = 64 << 10;
    match io::copy(&mut stream.take(MOST), &mut io::sink())? {
        MOST => Err(ErrorKind::WouldBlock.into()),
        _ => Ok(Stage::Over),
    }
}
