//! The sockets of the listener. Each connection has a time, a size and a number to keep to; there is
//! no thread, and nothing goes on while nobody waits. Whoever waits is woken by the system.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::mem;
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use socket2::SockRef;
use zeroize::{Zeroize, Zeroizing};

use crate::driver::loopback::ListenError;
use crate::driver::redirection::{Head, MAX_HEAD, RedirectionEndpoint, Refusal};
use crate::wire::callback::CallbackUrl;

/// More would come near to what some systems allow a whole program (256 descriptors).
const MAX_CONNECTIONS: usize = 64;
/// Those that the system keeps until they are accepted.
const MAX_WAITING: i32 = 4096;
/// Few in one turn, so that a newcomer can speak before others push it out.
const MAX_ACCEPTED: usize = 16;
/// For sending the head of a request, and again for taking the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// For closing the connection after that.
const LINGER: Duration = Duration::from_secs(1);
/// How long the system may refuse to accept.
const HOPE: Duration = Duration::from_secs(5);
/// Until it is asked again, because it does not say when it would.
const RETRY: Duration = Duration::from_millis(20);
/// Each turn looks at everything, so it does not matter whose event it was.
const ANY: Token = Token(0);

pub(super) struct Gate {
    poll: Poll,
    events: Events,
    /// The one whose turn it is first.
    listeners: Vec<TcpListener>,
    endpoint: RedirectionEndpoint,
    /// In the order in which they came.
    connections: Vec<Connection>,
    failing_since: Option<Instant>,
    /// Nobody could make room, and the system does not tell again of who is still waiting.
    was_full: bool,
    accepted: usize,
}

struct Connection {
    stream: TcpStream,
    stage: Stage,
    /// When it came, or was answered.
    since: Instant,
    /// What the system tells of it. Nothing at first, for most have said all before they are accepted.
    watched: Option<Interest>,
    /// There is more to do without waiting.
    goes_on: bool,
}

enum Stage {
    /// The head of a request, as far as it is there.
    Reading(Zeroizing<Vec<u8>>),
    /// It may be the redirect. Nobody has looked yet.
    Arrived(CallbackUrl),
    /// The answer, and how much of it is sent.
    Answering(Vec<u8>, usize),
    /// All is said. What the client still says is read, because a socket that is closed with bytes
    /// unread takes the answer back.
    Closing,
    Over,
}

impl Gate {
    /// All limits are for all the listeners together.
    pub fn new(
        listeners: Vec<std::net::TcpListener>,
        endpoint: RedirectionEndpoint,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut watched = Vec::new();
        for listener in listeners {
            listener.set_nonblocking(true)?;
            // `std` asks for 128. Where the system allows no more, a flood costs the browser a second.
            let _ = SockRef::from(&listener).listen(MAX_WAITING);
            let mut listener = TcpListener::from_std(listener);
            let registry = poll.registry();
            registry.register(&mut listener, ANY, Interest::READABLE)?;
            watched.push(listener);
        }
        Ok(Self {
            poll,
            events: Events::with_capacity(MAX_CONNECTIONS),
            listeners: watched,
            endpoint,
            connections: Vec::new(),
            failing_since: None,
            was_full: false,
            accepted: 0,
        })
    }

    /// Ends a wait from another thread. One for each gate.
    pub fn waker(&self) -> io::Result<Waker> {
        Waker::new(self.poll.registry(), ANY)
    }

    pub fn endpoint(&self) -> &RedirectionEndpoint {
        &self.endpoint
    }

    /// Goes on as far as it can without waiting, and hands over what may be the redirect, one at a
    /// time. Nobody else is looked at, or has to make room, before all of it is handed over.
    pub fn advance(&mut self) -> Result<Option<(CallbackUrl, TcpStream)>, ListenError> {
        let arrived = self.arrived();
        if arrived.is_some() {
            return Ok(arrived);
        }
        self.accept()?;
        for connection in &mut self.connections {
            connection.advance(&self.endpoint);
            connection.watch(self.poll.registry());
        }
        self.connections.retain(|c| !matches!(c.stage, Stage::Over));
        Ok(self.arrived())
    }

    fn arrived(&mut self) -> Option<(CallbackUrl, TcpStream)> {
        let arrived = |c: &Connection| matches!(c.stage, Stage::Arrived(_));
        let at = self.connections.iter().position(arrived)?;
        let mut connection = self.connections.remove(at);
        if connection.watched.is_some() {
            let _ = self.poll.registry().deregister(&mut connection.stream);
        }
        match connection.stage {
            Stage::Arrived(url) => Some((url, connection.stream)),
            _ => None,
        }
    }

    /// Waits until something may have happened, and no longer than this.
    pub fn wait(&mut self, timeout: Duration) {
        let timeout = timeout.min(self.pause());
        if let Err(error) = self.poll.poll(&mut self.events, Some(timeout))
            && error.kind() != ErrorKind::Interrupted
        {
            // Who is not told has to look.
            thread::sleep(timeout.min(RETRY));
        }
    }

    /// Until there is something to do of which no socket tells.
    fn pause(&self) -> Duration {
        if self.accepted >= MAX_ACCEPTED || self.connections.iter().any(|c| c.goes_on) {
            return Duration::ZERO;
        }
        let retry = (self.was_full || self.failing_since.is_some()).then_some(RETRY);
        let ends = self.connections.iter().map(Connection::patience_left);
        ends.chain(retry).min().unwrap_or(Duration::MAX)
    }

    /// The listeners take turns, so that a flood at one keeps nobody from the other.
    fn accept(&mut self) -> Result<(), ListenError> {
        self.accepted = 0;
        self.was_full = false;
        let mut empty = 0;
        while self.accepted < MAX_ACCEPTED && empty < self.listeners.len() {
            // A flood of connections does not keep the browser out: of those that have not finished
            // their request, the one that came first makes room.
            if self.connections.len() >= MAX_CONNECTIONS && self.who_gives_way().is_none() {
                self.was_full = true;
                return Ok(());
            }
            self.listeners.rotate_left(1);
            let Some(listener) = self.listeners.last() else {
                return Ok(());
            };
            match listener.accept() {
                Ok((stream, peer)) => {
                    empty = 0;
                    self.accepted += 1;
                    self.failing_since = None;
                    if peer.ip().is_loopback() {
                        // Not before somebody is there for whom it is.
                        if self.connections.len() >= MAX_CONNECTIONS {
                            self.make_room();
                        }
                        self.connections.push(Connection {
                            stream,
                            stage: Stage::Reading(Zeroizing::default()),
                            since: Instant::now(),
                            watched: None,
                            goes_on: false,
                        });
                    }
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => empty += 1,
                    // A client that has gone already.
                    ErrorKind::ConnectionAborted
                    | ErrorKind::ConnectionReset
                    | ErrorKind::Interrupted => {
                        empty = 0;
                        self.accepted += 1;
                    }
                    // No descriptors or no memory are left: our own are the first to give.
                    _ if self.make_room() => {}
                    _ => {
                        let since = *self.failing_since.get_or_insert_with(Instant::now);
                        return match since.elapsed() < HOPE {
                            true => Ok(()),
                            false => Err(ListenError::Accept),
                        };
                    }
                },
            }
        }
        // Not as soon as one is empty: some systems tell of a failure only where somebody waits.
        self.failing_since = None;
        Ok(())
    }

    /// The oldest of those that have not finished their request, or have their answer.
    fn who_gives_way(&self) -> Option<usize> {
        let gives_way = |c: &Connection| matches!(c.stage, Stage::Reading(_) | Stage::Closing);
        self.connections.iter().position(gives_way)
    }

    fn make_room(&mut self) -> bool {
        let oldest = self.who_gives_way();
        oldest.map(|at| self.connections.remove(at)).is_some()
    }
}

/// Answers what has come and was not looked at. The port is free after that.
impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.accept();
        for mut connection in mem::take(&mut self.connections) {
            connection.advance(&self.endpoint);
            if let Stage::Arrived(_) = connection.stage {
                answer(&connection.stream, &Refusal::GONE.response());
            }
        }
    }
}

impl Connection {
    fn advance(&mut self, endpoint: &RedirectionEndpoint) {
        let next = match &mut self.stage {
            Stage::Reading(head) => read(&self.stream, head, endpoint),
            Stage::Answering(answer, sent) => write(&self.stream, answer, sent),
            Stage::Closing => drain(&self.stream),
            Stage::Arrived(_) | Stage::Over => return,
        };
        self.goes_on = false;
        match next {
            Ok(stage) => self.enter(stage, endpoint),
            Err(error) if is_empty(&error) && !self.patience_left().is_zero() => {
                self.goes_on = error.kind() == ErrorKind::Interrupted;
            }
            Err(error) if is_empty(&error) && matches!(self.stage, Stage::Reading(_)) => {
                let answer = Refusal::TIMEOUT.response();
                self.enter(Stage::Answering(answer, 0), endpoint);
            }
            Err(_) => self.stage = Stage::Over,
        }
    }

    /// Most answers fit into the socket at once, and what follows a request may be there already.
    fn enter(&mut self, stage: Stage, endpoint: &RedirectionEndpoint) {
        self.stage = stage;
        self.since = Instant::now();
        self.advance(endpoint);
    }

    /// How long it still has for what it is at.
    fn patience_left(&self) -> Duration {
        let patience = match self.stage {
            Stage::Reading(_) | Stage::Answering(..) => PATIENCE,
            Stage::Closing => LINGER,
            Stage::Arrived(_) | Stage::Over => return Duration::ZERO,
        };
        patience.saturating_sub(self.since.elapsed())
    }

    /// Has the system tell when it can go on. What could be done has been done, so nothing is missed: the
    /// system tells of what is there when it begins.
    fn watch(&mut self, registry: &Registry) {
        let interest = match self.stage {
            Stage::Reading(_) | Stage::Closing => Interest::READABLE,
            Stage::Answering(..) => Interest::WRITABLE,
            Stage::Arrived(_) | Stage::Over => return,
        };
        let watched = match self.watched.replace(interest) {
            Some(before) if before == interest => return,
            Some(_) => registry.reregister(&mut self.stream, ANY, interest),
            None => registry.register(&mut self.stream, ANY, interest),
        };
        if watched.is_err() {
            self.stage = Stage::Over;
        }
    }
}

fn is_empty(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

// Each of these goes on until the socket would block, and returns the next stage once there is one.

fn read(
    mut stream: &TcpStream,
    head: &mut Zeroizing<Vec<u8>>,
    endpoint: &RedirectionEndpoint,
) -> io::Result<Stage> {
    let mut chunk = [0; 4096];
    loop {
        let count = stream.read(&mut chunk)?;
        let Some(new @ [_, ..]) = chunk.get_mut(..count) else {
            return Ok(Stage::Over);
        };
        append(head, new);
        // Only a line's end decides anything, so a client that sends byte after byte is not read as
        // often. What is no HTTP at all shows at the beginning.
        let is_worth_a_look = head.len() == count || head.len() >= MAX_HEAD || new.contains(&b'\n');
        new.zeroize();
        if !is_worth_a_look {
            continue;
        }
        match endpoint.read(head) {
            Head::Incomplete => {}
            Head::Callback(url) => return Ok(Stage::Arrived(url)),
            Head::Refused(refusal) => {
                log::debug!(
                    "a request that is no callback is refused: {}",
                    refusal.status()
                );
                return Ok(Stage::Answering(refusal.response(), 0));
            }
        }
    }
}

/// A vector that grows by itself leaves copies of the code behind.
fn append(head: &mut Zeroizing<Vec<u8>>, new: &[u8]) {
    let length = head.len() + new.len();
    if length > head.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(length * 2));
        larger.extend_from_slice(head);
        *head = larger;
    }
    head.extend_from_slice(new);
}

fn write(mut stream: &TcpStream, answer: &[u8], sent: &mut usize) -> io::Result<Stage> {
    while let Some(rest @ [_, ..]) = answer.get(*sent..) {
        match stream.write(rest)? {
            0 => return Ok(Stage::Over),
            count => *sent += count,
        }
    }
    stream.shutdown(Shutdown::Write)?;
    Ok(Stage::Closing)
}

fn drain(stream: &TcpStream) -> io::Result<Stage> {
    const AT_ONCE: u64 = 64 << 10;
    match io::copy(&mut stream.take(AT_ONCE), &mut io::sink())? {
        // Others have their turn in between.
        AT_ONCE => Err(ErrorKind::Interrupted.into()),
        _ => Ok(Stage::Over),
    }
}

/// Says all of it now, and closes. Only a page of many megabytes to a browser that reads nothing has
/// to wait here, and no longer than it takes to lose patience.
pub(super) fn answer(stream: &TcpStream, answer: &[u8]) {
    let (mut sent, start) = (0, Instant::now());
    while let Err(error) = write(stream, answer, &mut sent) {
        if !is_empty(&error) || start.elapsed() > LINGER {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    // What it has said besides, which nobody reads, would take the answer back.
    let _ = io::copy(&mut stream.take(1 << 20), &mut io::sink());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_while_all_places_are_taken_by_answers_is_looked_for_again() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let endpoint = RedirectionEndpoint::new(address, "/").unwrap();
        let mut gate = Gate::new(vec![listener], endpoint).unwrap();
        for _ in 0..MAX_CONNECTIONS {
            let _browser = std::net::TcpStream::connect(address).unwrap();
            gate.accept().unwrap();
            gate.connections.last_mut().unwrap().stage = Stage::Answering(Vec::new(), 0);
        }
        assert!(gate.pause() > RETRY);
        gate.accept().unwrap();
        assert!(gate.pause() <= RETRY);
        assert_eq!(gate.connections.len(), MAX_CONNECTIONS);
    }
}
