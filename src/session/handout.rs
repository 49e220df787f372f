//! What readers get without the session's mutex: a good token of which nothing has to be said or done.
//!
//! Readers on several threads share no memory that any of them writes, because cores that pass a count
//! to and fro are slower together than one of them alone. So there are a few lanes, and a thread keeps to
//! one. Whoever changes what is shared brings the lanes up to date before the mutex is released.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::session::AccessToken;
use crate::session::flight::Inner;
use crate::session::shared::Shared;
use crate::time::Timestamp;

/// A token, and from when until when it is handed out without a second thought.
#[derive(Clone)]
pub(super) struct Handout {
    pub(super) token: AccessToken,
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

impl Handout {
    fn token_at(&self, now: Timestamp) -> Option<&AccessToken> {
        (self.from <= now && now < self.until).then_some(&self.token)
    }
}

const LANES: usize = 8;

/// None before anybody reads, for most logins that begin never come that far.
#[derive(Default)]
pub(super) struct Lanes(OnceLock<Box<[Lane; LANES]>>);

/// In a cache line of its own.
#[derive(Default)]
#[repr(align(64))]
struct Lane(Mutex<Option<Handout>>);

impl Lanes {
    /// The token, if there is one in this thread's lane that is good at this time.
    pub(super) fn token(&self, now: Timestamp) -> Option<AccessToken> {
        let mut lane = own(self.0.get()?).lock();
        let handout = lane.as_mut()?;
        let token = handout.token_at(now)?.clone();
        // A clock that is set back after this is noticed. Nothing is slower: the line is this thread's.
        handout.from = now;
        Some(token)
    }

    /// Puts the token into this thread's lane, where it is found next time.
    fn fill(&self, handout: Handout) -> AccessToken {
        let token = handout.token.apart();
        *own(self.0.get_or_init(Box::default)).lock() = Some(Handout {
            token: token.clone(),
            ..handout
        });
        token
    }

    /// Brings all lanes up to date. Those that have an older token are emptied.
    fn follow(&self, newest: Option<&Handout>) {
        for lane in self.0.get().into_iter().flat_map(|lanes| &**lanes) {
            let mut lane = lane.lock();
            *lane = match (lane.take(), newest) {
                (Some(old), Some(new)) if old.token.is_same(&new.token) => Some(Handout {
                    token: old.token,
                    ..*new
                }),
                _ => None,
            };
        }
    }
}

/// This thread's.
fn own(lanes: &[Lane; LANES]) -> &Lane {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<Option<usize>> = const { Cell::new(None) };
    }
    let number = OWN.get().unwrap_or_else(|| {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        OWN.set(Some(number));
        number
    });
    &lanes[number % LANES]
}

impl Lane {
    fn lock(&self) -> MutexGuard<'_, Option<Handout>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The mutex, held. What was changed under it reaches the lanes when it is released.
pub(super) struct Guard<'a> {
    inner: &'a Inner,
    shared: MutexGuard<'a, Shared>,
    is_changed: bool,
}

impl Inner {
    pub(super) fn lock(&self) -> Guard<'_> {
        // What a panic can leave behind is a machine between two events, which is a sound one.
        let shared = self.shared.lock();
        self.guard(shared.unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits while this holds.
    pub(super) fn wait_while(&self, holds: impl FnMut(&mut Shared) -> bool) -> Guard<'_> {
        let shared = self.shared.lock();
        let mut shared = shared.unwrap_or_else(PoisonError::into_inner);
        shared.waiting += 1;
        let waited = self.changed.wait_while(shared, holds);
        let mut shared = waited.unwrap_or_else(PoisonError::into_inner);
        shared.waiting -= 1;
        self.guard(shared)
    }

    fn guard<'a>(&'a self, shared: MutexGuard<'a, Shared>) -> Guard<'a> {
        Guard {
            inner: self,
            shared,
            is_changed: false,
        }
    }
}

impl Guard<'_> {
    /// Nobody is at the network or the store any more.
    pub(super) fn end_work(&mut self) {
        self.busy = None;
        if self.waiting > 0 {
            self.inner.changed.notify_all();
        }
    }

    /// A token that is good, and for which nothing has to be done; also for this thread's next time.
    pub(super) fn hand_out(&self) -> Option<AccessToken> {
        let now = Timestamp::now();
        let handout = self.shared.handout(self.inner.is_app, now)?;
        handout.token_at(now)?;
        Some(self.inner.lanes.fill(handout))
    }
}

impl Deref for Guard<'_> {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl DerefMut for Guard<'_> {
    fn deref_mut(&mut self) -> &mut Shared {
        self.is_changed = true;
        &mut self.shared
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if self.is_changed {
            let handout = self.shared.handout(self.inner.is_app, Timestamp::now());
            self.inner.lanes.follow(handout.as_ref());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::flow::event::TokenSet;
    use crate::provider::Provider;
    use crate::provider::client::Client;
    use crate::session::{Login, Session};

    const HOUR: Duration = Duration::from_secs(3600);

    fn session() -> Session {
        let provider = Provider::new("https://as.example/authorize", "https://as.example/token");
        let end = Timestamp::now().saturating_add(HOUR);
        let tokens = TokenSet::new("AT").refresh_token("RT").expires_at(end);
        let login = Login::new(Client::builder(provider, "client"));
        login.adopt(tokens).unwrap()
    }

    #[test]
    fn whoever_holds_the_mutex_readers_go_on() {
        let session = session();
        let reader = session.clone();
        let (token, tokens) = channel();
        let (again, wait) = channel();
        let thread = thread::spawn(move || {
            while wait.recv().is_ok() {
                token.send(reader.access_token()).unwrap();
            }
        });
        again.send(()).unwrap();
        let first = tokens.recv().unwrap().unwrap();
        let held = session.lock();
        again.send(()).unwrap();
        let second = tokens.recv_timeout(Duration::from_secs(10));
        drop((held, again));
        assert!(second.expect("it waits").unwrap().is_same(&first));
        thread.join().unwrap();
    }

    #[test]
    fn what_is_over_is_in_no_lane() {
        let session = session();
        let token = session.access_token().unwrap();
        let others: Vec<_> = (0..LANES * 2)
            .map(|_| session.clone())
            .map(|session| thread::spawn(move || session.access_token().unwrap()))
            .map(|thread| thread.join().unwrap())
            .collect();
        assert!(others.iter().all(|other| other.is_same(&token)));
        drop(others);
        // The session has it, and several lanes: other tests have threads too.
        assert!(token.copies() > 3);
        session.log_out().unwrap();
        assert_eq!(token.copies(), 1);
        assert!(session.access_token().is_err());
    }

    #[test]
    fn a_clock_that_is_set_back_between_two_reads_is_noticed() {
        let session = session();
        session.access_token().unwrap();
        let now = Timestamp::now();
        let minutes = |count: u64| now.saturating_add(Duration::from_secs(count * 60));
        let is_there = |count| session.inner.lanes.token(minutes(count)).is_some();
        assert_eq!([0, 10, 5, 10].map(is_there), [true, true, false, true]);
    }

    #[test]
    fn a_token_is_handed_out_from_the_time_when_it_was_looked_at_until_something_is_due() {
        let shared = session().lock().token.clone();
        let at = Timestamp::from_millis;
        let handout = Handout {
            token: shared.unwrap(),
            from: at(10),
            until: at(20),
        };
        let is_good = |now| handout.token_at(at(now)).is_some();
        assert_eq!([9, 10, 19, 20].map(is_good), [false, true, true, false]);
        let session = session();
        let window = |now| {
            let shared = session.lock();
            let handout = shared.handout(false, now)?;
            Some((handout.from, handout.until))
        };
        let (now, due) = (Timestamp::now(), session.waits().0.unwrap());
        assert_eq!(window(now), Some((now, due)));
        // A clock that was set back is for the machine.
        assert_eq!(window(now.saturating_sub(HOUR)), None);
        assert_eq!(window(due), None);
        session.lock().busy = Some(thread::current().id());
        let end = session.lock().token.as_ref().unwrap().expires_at().unwrap();
        assert_eq!(window(due), Some((at(0), end)));
        session.lock().busy = None;
    }
}
