//! Reaching a login that waits, from another thread: cancel it, or hand it the address that the
//! person's browser ended up at.

use std::collections::VecDeque;
use std::fmt;
use std::io::{BufRead, Read as _};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::driver::loopback::Canceller;
use crate::secret::Secret;
use crate::wire::callback::{IgnoredCallback, IgnoredReason};

/// As much as a callback may be.
const MAX_LINE: usize = 64 << 10;

/// Reaches a [`Login`](crate::Login) that waits for the person. Cheap to clone, for any thread; from
/// [`Login::control`](crate::Login::control). Not for the login's own hooks: pasting there would wait for
/// itself.
#[derive(Clone)]
pub struct LoginControl {
    pub(super) remote: Arc<Remote>,
}

/// What was pasted was not taken. The login goes on, if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PasteError {
    /// It is not this login's answer.
    Ignored(IgnoredCallback),
    /// No login waits: it has ended, or was never begun.
    NoLogin,
}

impl fmt::Display for PasteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ignored(ignored) => ignored.fmt(f),
            Self::NoLogin => f.write_str("no login is waiting"),
        }
    }
}

impl std::error::Error for PasteError {}

impl LoginControl {
    /// Ends the wait: [`Login::run`](crate::Login::run) returns a failure that says so. A code that has
    /// come back already is still exchanged, which takes no longer than the HTTP driver's time limit.
    pub fn cancel(&self) {
        self.remote.queue().cancelled = true;
        self.remote.wake();
    }

    /// Hands in what the person has copied from the address bar of a browser that could not get back
    /// here, on another machine for instance: the whole address. It goes through the same checks as
    /// one that reached the listener. Blocks until it has been judged; then the login goes on by itself.
    ///
    /// # Errors
    /// [`PasteError`] says what is wrong with it. The login goes on waiting.
    pub fn paste(&self, address: &str) -> Result<(), PasteError> {
        self.hand_in(Pasted::Address(address.into()))
    }

    /// Hands in a bare code, from a page that shows nothing else. Weaker than
    /// [`paste`](Self::paste), which should be asked for first: without a state in it, a code that
    /// somebody else made the person paste is noticed by the provider only (PKCE).
    ///
    /// # Errors
    /// As [`paste`](Self::paste).
    pub fn paste_bare_code(&self, code: &str) -> Result<(), PasteError> {
        self.hand_in(Pasted::BareCode(code.into()))
    }

    fn hand_in(&self, pasted: Pasted) -> Result<(), PasteError> {
        let (judge, judgement) = channel();
        let mut queue = self.remote.queue();
        if queue.ended {
            return Err(PasteError::NoLogin);
        }
        queue.pasted.push_back((pasted, judge));
        drop(queue);
        self.remote.wake();
        judgement.recv().unwrap_or(Err(PasteError::NoLogin))
    }

    /// Hands in each line, until one is taken. A reader that blocks keeps its thread until it returns.
    #[expect(clippy::print_stderr, reason = "the person has to see it")]
    pub(super) fn paste_from(self, mut lines: impl BufRead + Send + 'static) {
        let read = move || {
            while let Some(line) = next_line(&mut lines) {
                let pasted = match line {
                    Ok(line) if line.expose().trim().is_empty() => continue,
                    Ok(line) => self.hand_in(Pasted::Address(line)),
                    Err(reason) => Err(PasteError::Ignored(reason.into())),
                };
                match pasted {
                    Err(PasteError::Ignored(ignored)) => eprintln!("{ignored}"),
                    Ok(()) | Err(PasteError::NoLogin) => break,
                }
            }
        };
        // Without a thread there is no pasting; there are other ways in.
        let _ = thread::Builder::new()
            .name("authflow paste".into())
            .spawn(read);
    }
}

/// The next line, or what is wrong with it; nothing at the end, or if the reader has failed.
fn next_line(lines: &mut impl BufRead) -> Option<Result<Secret, IgnoredReason>> {
    // Room for all of it: a buffer that grows leaves copies behind.
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE + 1));
    let mut start = lines.take(MAX_LINE as u64 + 1);
    if start.read_until(b'\n', &mut line).ok()? == 0 {
        return None;
    }
    if line.len() > MAX_LINE && !line.ends_with(b"\n") {
        lines.skip_until(b'\n').ok()?;
        return Some(Err(IgnoredReason::TooLarge));
    }
    let text = std::str::from_utf8(&line).map_err(|_| IgnoredReason::Malformed);
    Some(text.map(Secret::from))
}

impl fmt::Debug for LoginControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginControl").finish_non_exhaustive()
    }
}

pub(super) enum Pasted {
    Address(Secret),
    BareCode(Secret),
}

pub(super) type Judge = Sender<Result<(), PasteError>>;

/// What the controls say to the login.
#[derive(Default)]
pub(super) struct Remote {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    cancelled: bool,
    pasted: VecDeque<(Pasted, Judge)>,
    ended: bool,
    waker: Option<Canceller>,
}

impl Remote {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        if let Some(waker) = &self.queue().waker {
            waker.cancel();
        }
        self.changed.notify_all();
    }

    pub(super) fn wake_by(&self, waker: Option<Canceller>) {
        self.queue().waker = waker;
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.queue().cancelled
    }

    pub(super) fn next(&self) -> Option<(Pasted, Judge)> {
        self.queue().pasted.pop_front()
    }

    /// Waits for something to happen, where no listener does.
    pub(super) fn wait(&self, timeout: Duration) {
        let is_quiet = |queue: &mut Queue| !queue.cancelled && queue.pasted.is_empty();
        drop(
            self.changed
                .wait_timeout_while(self.queue(), timeout, is_quiet),
        );
    }
}

/// The login's end of it. Whoever pastes after this is dropped is told so.
#[derive(Default)]
pub(super) struct Controlled {
    pub(super) remote: Arc<Remote>,
}

impl Controlled {
    /// Whether anybody could still say something.
    pub(super) fn is_watched(&self) -> bool {
        Arc::strong_count(&self.remote) > 1
    }
}

impl Drop for Controlled {
    fn drop(&mut self) {
        let mut queue = self.remote.queue();
        queue.ended = true;
        queue.waker = None;
        queue.pasted.clear();
    }
}
