//! The redirection endpoint of all logins: one listening socket, and whoever connects to it.
//!
//! Anybody on this machine may, and may say nothing, or half of something, or read nothing. So each
//! connection has a time and a size, and there are only so many at once, of which the oldest that has
//! not finished its request makes room for the next, though not at once.
//!
//! What authflow's own `Loopback` does besides, and this does not: ask Linux whether the connection is
//! another user's, who may have seen the URL, and so the state, in the list of processes.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown};
use std::time::Duration;

use authflow::loopback::{Head, Page, Pages, RedirectionEndpoint, Refusal};
use authflow::{CallbackUrl, Timestamp};
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};

use crate::plan::Limits;
use crate::timers::{Timer, Timers};

/// For saying what it wants, and again for taking the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// For closing the connection after that.
const LINGER: Duration = Duration::from_secs(1);
/// In one turn of the loop, so that a crowd at the door keeps nobody else waiting.
const AT_ONCE: usize = 64;

pub struct Browsers {
    listener: TcpListener,
    endpoint: RedirectionEndpoint,
    pages: Pages,
    /// In the order in which they came.
    open: BTreeMap<Token, Browser>,
    limit: usize,
    grace: Duration,
    /// Even ones are browsers'.
    next: usize,
    /// More may wait at the door. mio tells once.
    pub has_more: bool,
}

struct Browser {
    stream: TcpStream,
    stage: Stage,
    since: Timestamp,
}

enum Stage {
    /// The head of a request, as far as it is there.
    Reading(Vec<u8>),
    /// It brought the redirect, and its page waits for the login to end.
    Held,
    /// The answer, and how much of it is sent.
    Answering(Vec<u8>, usize),
    /// All is said. What it still says is read: a socket that closes with bytes unread takes the
    /// answer back.
    Closing,
    Over,
}

/// What may be a redirect. Its browser waits for an answer.
pub struct Arrival {
    pub browser: Token,
    pub url: CallbackUrl,
}

impl Browsers {
    /// Listens on a port that the system picks.
    pub fn bind(registry: &Registry, token: Token, limits: &Limits) -> io::Result<Self> {
        let mut listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into())?;
        registry.register(&mut listener, token, Interest::READABLE)?;
        let endpoint = RedirectionEndpoint::new(listener.local_addr()?, "/callback");
        Ok(Self {
            listener,
            endpoint: endpoint.map_err(io::Error::other)?,
            pages: Pages::new(),
            open: BTreeMap::new(),
            limit: limits.browsers.max(1),
            grace: limits.grace,
            next: 2,
            has_more: false,
        })
    }

    #[must_use]
    pub fn redirect_uri(&self) -> String {
        self.endpoint.redirect_uri()
    }

    /// How many sockets there are, without the one that listens.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.open.len()
    }

    /// Whether somebody is still to get an answer.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let is_busy = |b: &Browser| matches!(b.stage, Stage::Answering(..) | Stage::Closing);
        self.open.values().any(is_busy)
    }

    /// Lets in who waits at the door, as far as there is room. Returns whether to go on at once.
    #[must_use]
    pub fn accept(&mut self, registry: &Registry, timers: &mut Timers, now: Timestamp) -> bool {
        for _ in 0..AT_ONCE {
            if !self.has_more {
                return false;
            }
            // Whoever waits for a page waits for a call, so there will be room.
            if self.open.len() >= self.limit && !self.make_room(registry, timers, now) {
                return false;
            }
            match self.listener.accept() {
                Ok((mut stream, _)) => {
                    let token = Token(self.next);
                    self.next += 2;
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    if registry.register(&mut stream, token, interest).is_ok() {
                        let stage = Stage::Reading(Vec::new());
                        let browser = Browser {
                            stream,
                            stage,
                            since: now,
                        };
                        self.open.insert(token, browser);
                        timers.set(Timer::Browser(token), Some(now.saturating_add(PATIENCE)));
                    }
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => self.has_more = false,
                    // A client that has gone already.
                    ErrorKind::ConnectionAborted
                    | ErrorKind::ConnectionReset
                    | ErrorKind::Interrupted => {}
                    // No descriptors are left: our own are the first to give, or else it is tried
                    // again when something closes.
                    _ if self.make_room(registry, timers, now) => {}
                    _ => return false,
                },
            }
        }
        true
    }

    /// Goes on with a browser as far as it can without waiting.
    pub fn ready(
        &mut self,
        token: Token,
        registry: &Registry,
        timers: &mut Timers,
        now: Timestamp,
    ) -> Option<Arrival> {
        let browser = self.open.get_mut(&token)?;
        let next = match &mut browser.stage {
            Stage::Reading(head) => match read(&mut browser.stream, head, &self.endpoint) {
                Ok(Read::Callback(url)) => {
                    browser.stage = Stage::Held;
                    timers.set(Timer::Browser(token), None);
                    return Some(Arrival {
                        browser: token,
                        url,
                    });
                }
                Ok(Read::Next(stage)) => Ok(stage),
                Err(error) => Err(error),
            },
            Stage::Answering(answer, sent) => write(&mut browser.stream, answer, sent),
            Stage::Closing => drain(&mut browser.stream),
            // Nothing that it says now matters, not even that it has gone.
            Stage::Held | Stage::Over => return None,
        };
        let stage = match next {
            Ok(stage) => stage,
            Err(error) if is_empty(&error) => return None,
            Err(_) => Stage::Over,
        };
        self.enter(token, stage, registry, timers, now);
        None
    }

    /// Shows a page.
    pub fn show(
        &mut self,
        token: Token,
        page: Page,
        registry: &Registry,
        timers: &mut Timers,
        now: Timestamp,
    ) {
        let answer = Stage::Answering(self.pages.response(page), 0);
        self.enter(token, answer, registry, timers, now);
    }

    /// Sends away a browser whose time is up.
    pub fn time_is_up(
        &mut self,
        token: Token,
        registry: &Registry,
        timers: &mut Timers,
        now: Timestamp,
    ) {
        let stage = match self.open.get(&token).map(|browser| &browser.stage) {
            Some(Stage::Reading(_)) => Stage::Answering(Refusal::TIMEOUT.response(), 0),
            _ => Stage::Over,
        };
        self.enter(token, stage, registry, timers, now);
    }

    fn enter(
        &mut self,
        token: Token,
        stage: Stage,
        registry: &Registry,
        timers: &mut Timers,
        now: Timestamp,
    ) {
        let Some(browser) = self.open.get_mut(&token) else {
            return; // It has gone meanwhile.
        };
        let patience = match stage {
            Stage::Closing => LINGER,
            Stage::Over => return self.close(token, registry, timers),
            _ => PATIENCE,
        };
        browser.stage = stage;
        timers.set(Timer::Browser(token), Some(now.saturating_add(patience)));
        // mio tells of what is new only, and this socket may have been ready for long.
        self.ready(token, registry, timers, now);
    }

    fn make_room(&mut self, registry: &Registry, timers: &mut Timers, now: Timestamp) -> bool {
        let gives_way = |b: &Browser| match b.stage {
            Stage::Reading(_) => now.saturating_since(b.since) >= self.grace,
            Stage::Closing => true,
            _ => false,
        };
        let oldest = self.open.iter().find(|(_, browser)| gives_way(browser));
        match oldest.map(|(token, _)| *token) {
            Some(token) => self.close(token, registry, timers),
            None => return false,
        }
        true
    }

    fn close(&mut self, token: Token, registry: &Registry, timers: &mut Timers) {
        if let Some(mut browser) = self.open.remove(&token) {
            timers.set(Timer::Browser(token), None);
            let _ = registry.deregister(&mut browser.stream);
        }
    }
}

/// What reading has come to.
enum Read {
    Callback(CallbackUrl),
    Next(Stage),
}

// Each of these goes on until the socket would block, and returns what comes next once there is
// something.

fn read(
    stream: &mut TcpStream,
    head: &mut Vec<u8>,
    endpoint: &RedirectionEndpoint,
) -> io::Result<Read> {
    const CHUNK: usize = 4096;
    let mut chunk = [0; CHUNK];
    loop {
        let count = stream.read(&mut chunk)?;
        let new = chunk.get(..count).unwrap_or_default();
        if new.is_empty() {
            return Ok(Read::Next(Stage::Over));
        }
        head.extend_from_slice(new);
        // Only a line's end decides anything, and a limit, so one who sends byte after byte is not
        // looked at as often.
        let is_at_a_step = head.len() / CHUNK != (head.len() - count) / CHUNK;
        if head.len() > count && !is_at_a_step && !new.contains(&b'\n') {
            continue;
        }
        match endpoint.read(head) {
            Head::Incomplete => {}
            Head::Callback(url) => return Ok(Read::Callback(url)),
            Head::Refused(refusal) => {
                return Ok(Read::Next(Stage::Answering(refusal.response(), 0)));
            }
        }
    }
}

fn write(stream: &mut TcpStream, answer: &[u8], sent: &mut usize) -> io::Result<Stage> {
    while let Some(rest @ [_, ..]) = answer.get(*sent..) {
        match stream.write(rest)? {
            0 => return Ok(Stage::Over),
            count => *sent += count,
        }
    }
    stream.shutdown(Shutdown::Write)?;
    Ok(Stage::Closing)
}

fn drain(stream: &mut TcpStream) -> io::Result<Stage> {
    // More than that is no browser, and gets no more of the loop's time.
    io::copy(&mut stream.take(1 << 20), &mut io::sink())?;
    Ok(Stage::Over)
}

fn is_empty(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
