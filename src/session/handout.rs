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
        let lane = own(self.0.get()?);
        lane.lock().as_ref()?.token_at(now).cloned()
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
        let shared = shared.unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_while(shared, holds);
        self.guard(waited.unwrap_or_else(PoisonError::into_inner))
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
