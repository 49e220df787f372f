//! Receives the redirect on a loopback address (RFC 8252 section 7.3).
//!
//! The listener is bound before the authorization URL is made, to 127.0.0.1 or `[::1]`, to both for
//! `localhost`, and nothing else. Only a `GET` of the exact path with our own `Host` is handed over, and only the machine says
//! whether it is the one that is waited for; everything else gets a 4xx, and the wait goes on.
//!
//! Anybody on this machine can connect, and any web page can make the browser do so. So there are at
//! most 64 connections at a time, of which the first to have come, of those that have not finished their
//! request, makes room for the next; each has 10 seconds and 96 KiB for its request, of which no body is
//! ever read, and one request is all it may make. There is no thread: nothing goes on while nobody waits,
//! who waits is woken by the system and looks for nothing by itself, and nothing is left when the listener
//! is dropped.
//!
//! HTTP's names for methods, fields and statuses are [tiny_http](https://docs.rs/tiny_http)'s. Its
//! server is not used: it has no limit on time, size or connections, its threads outlive it, a body
//! whose length is a lie aborts the process, and a client that resets its connection makes it panic.
//!
//! What remains: a program on this machine can occupy the listener so closely that a browser has to
//! wait some seconds, or to try again, and one that takes the port beforehand keeps us from binding it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mio::Waker;
use mio::net::TcpStream;

pub use crate::driver::bind::{BindError, LoopbackBuilder};
use crate::driver::gate::{self, Gate};
pub use crate::driver::pages::{Page, Pages};
use crate::driver::peer;
pub use crate::driver::redirection::{Head, RedirectionEndpoint, Refusal};
use crate::wire::callback::CallbackUrl;

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
///     if callback.is_of_another_user() {
///         callback.answer(Page::NotOurs); // and wait on
///     } else {
///         let url = callback.url(); // hand it to the machine, which says how to answer
///         callback.answer(Page::Success);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[doc(alias = "EmbedIOAuthServer")]
#[doc(alias = "redirect server")]
pub struct Loopback {
    gate: Gate,
    address: SocketAddr,
    pages: Pages,
    cancel: Arc<Cancel>,
}

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
    /// The system has let it accept no connections for five seconds, although it gave up all that it
    /// had.
    Accept,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accept => "the listener for the redirect can accept no more connections",
        })
    }
}

impl std::error::Error for ListenError {}

impl Loopback {
    /// Begins a listener.
    pub fn builder() -> LoopbackBuilder {
        LoopbackBuilder::new()
    }

    pub(super) fn new(gate: Gate, address: SocketAddr, pages: Pages) -> io::Result<Self> {
        let cancel = Arc::new(Cancel {
            is_asked: AtomicBool::new(false),
            waker: gate.waker()?,
        });
        Ok(Self {
            gate,
            address,
            pages,
            cancel,
        })
    }

    /// The redirect URI, with the port that is really bound.
    #[must_use]
    pub fn redirect_uri(&self) -> String {
        self.gate.endpoint().redirect_uri()
    }

    /// Where it listens. With [`localhost`](LoopbackBuilder::localhost) this is the address at 127.0.0.1;
    /// the one at `[::1]` has the same port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends a wait from another thread, now or later.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        Canceller {
            cancel: Arc::clone(&self.cancel),
        }
    }

    /// Waits for a callback, at most this long; with no time at all, looks whether one is there. What
    /// is none is answered on the way.
    ///
    /// # Errors
    /// [`ListenError`] if the listener can't go on.
    pub fn receive(&mut self, timeout: Duration) -> Result<Received, ListenError> {
        let start = Instant::now();
        loop {
            if self.cancel.is_asked.swap(false, Ordering::AcqRel) {
                return Ok(Received::Cancelled);
            }
            let left = timeout.saturating_sub(start.elapsed());
            if let Some((url, stream)) = self.gate.advance()? {
                log::debug!("something has reached the redirect URI");
                return Ok(Received::Callback(PendingCallback {
                    url,
                    stream: Some(stream),
                    pages: self.pages.clone(),
                }));
            }
            if left.is_zero() {
                return Ok(Received::TimedOut);
            }
            self.gate.wait(left);
        }
    }
}

impl fmt::Debug for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loopback")
            .field("endpoint", self.gate.endpoint())
            .finish_non_exhaustive()
    }
}

/// A browser that waits for its page. If it is dropped unanswered, it is shown the page of a login
/// that failed.
pub struct PendingCallback {
    url: CallbackUrl,
    stream: Option<TcpStream>,
    pages: Pages,
}

impl PendingCallback {
    /// What the browser asked for, for [`Event::Callback`](crate::Event::Callback).
    #[must_use]
    pub fn url(&self) -> CallbackUrl {
        self.url.clone()
    }

    /// Whether it was brought by a program of another person's on this machine. Such a person may have
    /// seen the authorization URL in the list of processes, and with it the state; their code would log
    /// this person in as somebody else. Answer it with [`Page::NotOurs`], and wait on.
    ///
    /// Linux tells, by sock_diag or from `/proc`; elsewhere, for root, and in containers with users of their own, the
    /// answer is no. Whoever has closed or reset the connection already counts as another, because they can no
    /// longer be told apart; so does everybody while this program has no descriptors left to ask with.
    #[must_use]
    pub fn is_of_another_user(&self) -> bool {
        self.stream.as_ref().is_some_and(peer::is_of_another_user)
    }

    /// Shows a page.
    pub fn answer(mut self, page: Page) {
        self.show(page);
    }

    fn show(&mut self, page: Page) {
        if let Some(stream) = self.stream.take() {
            gate::answer(&stream, &self.pages.response(page));
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
    cancel: Arc<Cancel>,
}

struct Cancel {
    is_asked: AtomicBool,
    waker: Waker,
}

impl Canceller {
    /// Ends the wait that goes on, or else the next one.
    pub fn cancel(&self) {
        self.cancel.is_asked.store(true, Ordering::Release);
        if let Err(error) = self.cancel.waker.wake() {
            log::warn!("the listener learns late that its wait is over: {error}");
        }
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canceller").finish_non_exhaustive()
    }
}
