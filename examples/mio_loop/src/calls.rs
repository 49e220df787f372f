//! The requests to the token endpoint: so many at a time, the rest in a queue.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::time::Duration;

use authflow::{HttpRequest, HttpResponse, RequestId, TransportError, TransportErrorKind};
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::call::Call;
use crate::timers::{Timer, Timers};
use crate::usage::is_out_of_descriptors;

/// A call is given up this long before the machine stops waiting for it, so that it hears the reason.
const MARGIN: Duration = Duration::from_millis(250);

/// Each request that is handed in ends once, as the machine wants it: one `Response` for each `Send`.
pub struct Calls {
    queue: VecDeque<(usize, HttpRequest)>,
    open: HashMap<Token, Open>,
    limit: usize,
    /// Odd ones are calls'.
    next: usize,
}

/// A call on its way.
struct Open {
    flow: usize,
    id: RequestId,
    call: Call<TcpStream>,
    is_connected: bool,
}

/// A call that is over.
pub struct Ended {
    pub flow: usize,
    pub id: RequestId,
    pub result: Result<HttpResponse, TransportError>,
}

impl Calls {
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            open: HashMap::new(),
            limit: limit.max(1),
            next: 3,
        }
    }

    /// How many sockets there are.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.open.len()
    }

    /// Whether a socket is a call's.
    #[must_use]
    pub fn owns(token: Token) -> bool {
        token.0 % 2 == 1
    }

    /// Takes a request. The time it spends in the queue counts: the machine waits from now on.
    pub fn push(&mut self, flow: usize, request: HttpRequest, timers: &mut Timers) {
        let due = request.deadline().saturating_sub(MARGIN);
        timers.set(Timer::Request(flow, request.id()), Some(due));
        self.queue.push_back((flow, request));
    }

    /// Starts calls, as many as there may be. Returns one that could not even begin, if there is one:
    /// then ask again.
    pub fn start(&mut self, registry: &Registry, timers: &mut Timers) -> Option<Ended> {
        while self.open.len() < self.limit {
            let (flow, request) = self.queue.pop_front()?;
            let token = Token(self.next);
            let mut is_full = false;
            let call = Call::token_over(&request, |address| {
                let connect = TcpStream::connect(address).and_then(|mut stream| {
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    registry.register(&mut stream, token, interest)?;
                    Ok(stream)
                });
                connect.inspect_err(|error| is_full = is_out_of_descriptors(error))
            });
            match call {
                Ok(call) => {
                    self.next += 2;
                    let open = Open {
                        flow,
                        id: request.id(),
                        call,
                        is_connected: false,
                    };
                    self.open.insert(token, open);
                }
                // Its turn comes when something closes, or else its time is up.
                Err(_) if is_full => {
                    self.queue.push_front((flow, request));
                    return None;
                }
                Err(error) => return Some(end(flow, request.id(), Err(error), timers)),
            }
        }
        None
    }

    /// Goes on with the call whose socket has something to say.
    pub fn ready(
        &mut self,
        event: &Event,
        registry: &Registry,
        timers: &mut Timers,
    ) -> Option<Ended> {
        let open = self.open.get_mut(&event.token())?;
        let result = match open.connect() {
            Ok(false) => None,
            Ok(true) => open.call.poll().map(|reply| reply.map(HttpResponse::from)),
            Err(_) => Some(Err(open.call.failed(TransportErrorKind::Connect))),
        }?;
        self.close(event.token(), result, registry, timers)
    }

    /// Gives up on a request whose time is up.
    pub fn give_up(
        &mut self,
        flow: usize,
        id: RequestId,
        registry: &Registry,
        timers: &mut Timers,
    ) -> Option<Ended> {
        let is_it = |(of, request): &(usize, HttpRequest)| (*of, request.id()) == (flow, id);
        if let Some(at) = self.queue.iter().position(is_it) {
            self.queue.remove(at);
            let error = TransportError {
                kind: TransportErrorKind::Timeout,
                may_have_been_sent: false,
            };
            return Some(end(flow, id, Err(error), timers));
        }
        let mut open = self.open.iter();
        let (&token, open) = open.find(|(_, open)| (open.flow, open.id) == (flow, id))?;
        let error = open.call.failed(TransportErrorKind::Timeout);
        self.close(token, Err(error), registry, timers)
    }

    fn close(
        &mut self,
        token: Token,
        result: Result<HttpResponse, TransportError>,
        registry: &Registry,
        timers: &mut Timers,
    ) -> Option<Ended> {
        let mut open = self.open.remove(&token)?;
        let _ = registry.deregister(&mut open.call.stream);
        Some(end(open.flow, open.id, result, timers))
    }
}

fn end(
    flow: usize,
    id: RequestId,
    result: Result<HttpResponse, TransportError>,
    timers: &mut Timers,
) -> Ended {
    timers.set(Timer::Request(flow, id), None);
    Ended { flow, id, result }
}

impl Open {
    /// Whether the connection stands. An event on a socket that connects may mean that it does, that it
    /// can't, or nothing yet.
    fn connect(&mut self) -> io::Result<bool> {
        if !self.is_connected {
            if let Some(error) = self.call.stream.take_error()? {
                return Err(error);
            }
            match self.call.stream.peer_addr() {
                Ok(_) => self.is_connected = true,
                Err(error) if error.kind() == ErrorKind::NotConnected => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.is_connected)
    }
}
