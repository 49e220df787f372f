//! Receives the redirect on a loopback address (RFC 8252 section 7.3), with
//! [tiny_http](https://docs.rs/tiny_http).
//!
//! The listener is bound before the authorization URL is made, to 127.0.0.1 or `[::1]` and nothing
//! else. Only a `GET` of the exact path with our own `Host` is handed over, and only the machine says
//! whether it is the one that is waited for; everything else gets a 4xx, and the wait goes on.
//!
//! What tiny_http does not do is kept from the program where it can be:
//!
//! - It has no limit on time, size or connections. A connection that says nothing costs a thread and two
//!   descriptors until its other end goes away, also after the listener is dropped; a request that
//!   claims HTTP/2 costs them for good. More than four connections in the same instant may wait for one
//!   another. A program on the same machine can use up all descriptors in this way: then the wait ends
//!   with [`ListenError::Accept`], or, where tiny_http's accepting thread panics, at its deadline.
//! - It reads a body to its announced end before it drops a request, and an announced length of
//!   terabytes would abort the process. Answers are given aside, where a client that does not send or
//!   read holds up nothing; requests that announce more than any browser could mean are leaked, a small
//!   and bounded number of them, and after that the listener gives up with [`ListenError::Abused`].
//! - A client that sends a request and resets the connection at once may make one of its worker
//!   threads panic. The panic stays in that thread and is printed, unless the program is built with
//!   `panic = "abort"`: then it ends. Only a program on the same machine can do that.
//! - It frees its port a moment after it is dropped. Dropping a [`Loopback`] waits for that.
//! - It answers the requests of one connection in their order. No browser sends a second one before it
//!   has the first answer, but answer a [`PendingCallback`] before you wait for the next all the same.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use tiny_http::{HTTPVersion, Method, Request, Response, Server};
use url::Url;

use crate::driver::answer::{
    PATIENCE, answer, aside, has_bottomless_body, has_unread_body, turn_away, values,
};
use crate::driver::pages::refusal;
pub use crate::driver::pages::{Page, Pages};
use crate::wire::callback::CallbackUrl;
use crate::wire::endpoint::is_uri_text;

/// A listener for one or more logins, one after the other.
///
/// ```no_run
/// use authflow::loopback::{Loopback, Page, Received};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut listener = Loopback::builder().bind()?;
/// println!("waiting at {}", listener.redirect_uri());
/// if let Received::Callback(callback) = listener.receive(Duration::from_secs(300))? {
///     let url = callback.url(); // hand it to the machine, which says how to answer
///     callback.answer(Page::Success);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Loopback {
    server: Option<Arc<Server>>,
    address: SocketAddr,
    path: String,
    pages: Pages,
    cancelled: Arc<AtomicBool>,
    leaked: u32,
    unanswered: u32,
    refusing: Arc<AtomicUsize>,
}

/// Says where to listen and what to show.
#[derive(Clone, Debug)]
#[must_use]
pub struct LoopbackBuilder {
    ip: Option<IpAddr>,
    ports: Vec<u16>,
    path: String,
    pages: Pages,
}

impl LoopbackBuilder {
    /// Listens on `[::1]`. The default is 127.0.0.1, or `[::1]` on a machine without that.
    pub fn ipv6(mut self) -> Self {
        self.ip = Some(Ipv6Addr::LOCALHOST.into());
        self
    }

    /// Listens on this port. The default is one that the system picks, which providers take that
    /// follow RFC 8252 section 7.3 (register the redirect URI without a port).
    pub fn port(self, port: u16) -> Self {
        self.ports([port])
    }

    /// Listens on the first of these ports that is free.
    pub fn ports(mut self, ports: impl IntoIterator<Item = u16>) -> Self {
        self.ports = ports.into_iter().collect();
        self
    }

    /// The path of the redirect URI. The default is `/callback`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// The pages to show.
    pub fn pages(mut self, pages: Pages) -> Self {
        self.pages = pages;
        self
    }

    /// Binds the listener. From here on the browser may come.
    ///
    /// # Errors
    /// [`BindError`] names the address that could not be had.
    pub fn bind(self) -> Result<Loopback, BindError> {
        if !is_path(&self.path) {
            return Err(BindError::Path);
        }
        let ports = match self.ports.as_slice() {
            [] => &[0],
            ports => ports,
        };
        let ips = match &self.ip {
            Some(ip) => std::slice::from_ref(ip),
            None => &[
                IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(Ipv6Addr::LOCALHOST),
            ],
        };
        let mut refused = None;
        for &ip in ips {
            for &port in ports {
                match listen(SocketAddr::new(ip, port)) {
                    Ok(listener) => return self.serve(listener),
                    Err(error) => refused = refused.or(Some(error)),
                }
            }
            // The other family is for machines without this one, not for ports that are taken.
            if !matches!(&refused, Some(BindError::Address { kind, .. })
                if *kind == io::ErrorKind::AddrNotAvailable)
            {
                break;
            }
        }
        Err(refused.unwrap_or(BindError::Path))
    }

    fn serve(self, listener: TcpListener) -> Result<Loopback, BindError> {
        let failed = |address| BindError::Address {
            address,
            kind: io::ErrorKind::Other,
        };
        let unknown = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        let address = listener.local_addr().map_err(|_| failed(unknown))?;
        let server = Server::from_listener(listener, None).map_err(|_| failed(address))?;
        Ok(Loopback {
            server: Some(Arc::new(server)),
            address,
            path: self.path,
            pages: self.pages,
            cancelled: Arc::new(AtomicBool::new(false)),
            leaked: 0,
            unanswered: 0,
            refusing: Arc::default(),
        })
    }
}

/// A path that a browser asks for as it stands.
fn is_path(path: &str) -> bool {
    let as_asked = Url::parse(&format!("http://127.0.0.1{path}"));
    path.starts_with('/')
        && is_uri_text(path)
        && !path.contains(['?', '#'])
        && !path.contains("//")
        && as_asked.is_ok_and(|url| url.path() == path)
}

/// A port that another listener of ours has just given up may take a moment.
fn listen(address: SocketAddr) -> Result<TcpListener, BindError> {
    let start = Instant::now();
    loop {
        match TcpListener::bind(address) {
            Ok(listener) => return Ok(listener),
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse && start.elapsed() < PATIENCE =>
            {
                thread::sleep(Duration::from_millis(1));
            }
            Err(error) => {
                let kind = error.kind();
                return Err(BindError::Address { address, kind });
            }
        }
    }
}

/// The listener could not be bound. No browser has been opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BindError {
    /// This address can't be had: another program has the port, or the system refuses it.
    Address {
        /// The address.
        address: SocketAddr,
        /// Why.
        kind: io::ErrorKind,
    },
    /// The path is not one: write it like `/callback`.
    Path,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { address, kind } if *kind == io::ErrorKind::AddrInUse => write!(
                f,
                "another program is using {address}: end it, choose another port, or none to let the system pick"
            ),
            Self::Address { address, kind } => write!(f, "cannot listen on {address}: {kind}"),
            Self::Path => f.write_str("the redirect path is not one: write it like /callback"),
        }
    }
}

impl std::error::Error for BindError {}

/// What a wait ended with.
#[derive(Debug)]
pub enum Received {
    /// A `GET` of our path. Whether it is this login's answer is for the machine to say.
    Callback(PendingCallback),
    /// Nothing came in time.
    TimedOut,
    /// A [`Canceller`] ended the wait.
    Cancelled,
}

/// The listener can't go on. The login can: let the person paste the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenError {
    /// The system lets it accept no more connections.
    Accept,
    /// Some program on this machine is sending it requests that can't be answered safely.
    Abused,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accept => "the listener for the redirect can accept no more connections",
            Self::Abused => "a program on this machine is abusing the listener for the redirect",
        })
    }
}

impl std::error::Error for ListenError {}

/// How many requests with a bottomless body are leaked before the listener gives up.
const MAX_LEAKED: u32 = 8;
/// How many refusals may be on their way at once. Further ones are not answered, and only so many.
const MAX_REFUSING: usize = 8;
const MAX_UNANSWERED: u32 = 10_000;
const MAX_TARGET: usize = 64 << 10;

impl Loopback {
    /// Begins a listener.
    pub fn builder() -> LoopbackBuilder {
        LoopbackBuilder {
            ip: None,
            ports: Vec::new(),
            path: "/callback".to_owned(),
            pages: Pages::default(),
        }
    }

    /// The redirect URI, with the port that is really bound.
    #[must_use]
    pub fn redirect_uri(&self) -> String {
        format!("http://{}{}", self.address, self.path)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends a wait from another thread, now or later.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        Canceller {
            server: self.server.as_ref().map(Arc::downgrade).unwrap_or_default(),
            cancelled: Arc::clone(&self.cancelled),
        }
    }

    /// Waits for a callback, at most this long; with no time at all, looks whether one is there. What
    /// is none is answered on the way.
    ///
    /// # Errors
    /// [`ListenError`] if the listener can't go on.
    pub fn receive(&mut self, timeout: Duration) -> Result<Received, ListenError> {
        let Some(server) = self.server.clone() else {
            return Err(ListenError::Accept);
        };
        let start = Instant::now();
        loop {
            if self.cancelled.swap(false, Ordering::AcqRel) {
                return Ok(Received::Cancelled);
            }
            let left = timeout.saturating_sub(start.elapsed());
            let request = server.recv_timeout(left);
            let request = request.map_err(|_| ListenError::Accept)?;
            if let Some(request) = request
                && let Some(callback) = self.admit(request)?
            {
                return Ok(Received::Callback(callback));
            }
            if left.is_zero() {
                return Ok(Received::TimedOut);
            }
        }
    }

    /// Hands a callback over, answers anything else.
    fn admit(&mut self, request: Request) -> Result<Option<PendingCallback>, ListenError> {
        if has_bottomless_body(&request) {
            // Neither `respond` nor drop may touch this one.
            std::mem::forget(request.upgrade("none", Response::empty(413)));
            self.leaked += 1;
            return match self.leaked {
                MAX_LEAKED.. => Err(ListenError::Abused),
                _ => Ok(None),
            };
        }
        let Some(status) = self.refuse(&request) else {
            log::debug!("something has reached the redirect URI");
            return Ok(Some(PendingCallback {
                url: CallbackUrl::new(request.url()),
                request: Some(Box::new(request)),
                pages: self.pages.clone(),
            }));
        };
        log::debug!("a request that is no callback is refused: {status}");
        if self.refusing.fetch_add(1, Ordering::AcqRel) >= MAX_REFUSING {
            self.refusing.fetch_sub(1, Ordering::AcqRel);
            std::mem::forget(request);
            self.unanswered += 1;
            return match self.unanswered {
                MAX_UNANSWERED.. => Err(ListenError::Abused),
                _ => Ok(None),
            };
        }
        let refusing = Arc::clone(&self.refusing);
        aside(Duration::ZERO, move || {
            match has_unread_body(&request) {
                // Answered at once; what is dropped here reads the body.
                true => drop(request.upgrade("none", Response::empty(413))),
                false => answer(request, &refusal(status)),
            }
            refusing.fetch_sub(1, Ordering::AcqRel);
        });
        Ok(None)
    }

    /// Why a request is no callback, if it is none.
    fn refuse(&self, request: &Request) -> Option<&'static str> {
        let target = request.url();
        if target.len() > MAX_TARGET {
            return Some("414 URI Too Long");
        }
        if has_unread_body(request) {
            return Some("413 Content Too Large");
        }
        if *request.http_version() != HTTPVersion(1, 1) {
            return Some("400 Bad Request");
        }
        let path = target.split('?').next().unwrap_or_default();
        if path != self.path {
            return Some("404 Not Found");
        }
        if *request.method() != Method::Get {
            return Some("405 Method Not Allowed");
        }
        if !self.is_own_host(request) {
            return Some("421 Misdirected Request");
        }
        // Browsers say why they ask. A script, an image or a frame has no business here.
        let says_otherwise = |name: &'static str, own: &str| {
            let mut values = values(request, name);
            values.any(|value| !value.eq_ignore_ascii_case(own))
        };
        if says_otherwise("Sec-Fetch-Mode", "navigate")
            || says_otherwise("Sec-Fetch-Dest", "document")
        {
            return Some("403 Forbidden");
        }
        None
    }

    /// Against DNS rebinding: exactly one `Host`, and it is the address that was bound.
    fn is_own_host(&self, request: &Request) -> bool {
        let mut hosts = values(request, "Host");
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return false;
        };
        let bare = match self.address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        host == self.address.to_string() || (self.address.port() == 80 && host == bare)
    }
}

/// Waits until the port is free again, and answers what is still queued.
impl Drop for Loopback {
    fn drop(&mut self) {
        let Some(server) = self.server.take() else {
            return;
        };
        let rest = queued(&server);
        drop(server);
        // Binding it is the one way to know.
        let start = Instant::now();
        while TcpListener::bind(self.address).is_err() && start.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(1));
        }
        turn_away(rest);
    }
}

fn queued(server: &Server) -> Vec<Request> {
    let mut requests = Vec::new();
    // An old cancellation or error may stand between them.
    let mut others = 0;
    while others < 8 {
        match server.try_recv() {
            Ok(Some(request)) if has_bottomless_body(&request) => std::mem::forget(request),
            Ok(Some(request)) => requests.push(request),
            Ok(None) | Err(_) => others += 1,
        }
    }
    requests
}

impl fmt::Debug for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loopback")
            .field("address", &self.address)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A browser that waits for its page. If it is dropped unanswered, it is shown the page of a login
/// that failed.
pub struct PendingCallback {
    url: CallbackUrl,
    request: Option<Box<Request>>,
    pages: Pages,
}

impl PendingCallback {
    /// What the browser asked for, for [`Event::Callback`](crate::Event::Callback).
    #[must_use]
    pub fn url(&self) -> CallbackUrl {
        self.url.clone()
    }

    /// Shows a page.
    pub fn answer(mut self, page: Page) {
        self.show(page);
    }

    fn show(&mut self, page: Page) {
        if let Some(request) = self.request.take() {
            let response = self.pages.response(page);
            aside(PATIENCE, move || answer(*request, &response));
        }
    }
}

impl Drop for PendingCallback {
    fn drop(&mut self) {
        self.show(Page::Failed);
    }
}

impl fmt::Debug for PendingCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PendingCallback([redacted])")
    }
}

/// Ends a [`Loopback`]'s wait from another thread.
#[derive(Clone)]
pub struct Canceller {
    server: Weak<Server>,
    cancelled: Arc<AtomicBool>,
}

impl Canceller {
    /// Ends the wait that goes on, or else the next one.
    pub fn cancel(&self) {
        if !self.cancelled.swap(true, Ordering::AcqRel)
            && let Some(server) = self.server.upgrade()
        {
            server.unblock();
        }
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canceller").finish_non_exhaustive()
    }
}
