//! Stores that are broken, each in a way of its own, and what is said of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::*;
use crate::session::{LocalLock, MemoryStore};

/// What is wrong with a store.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// It is not empty at first.
    Used,
    NoLock,
    /// The lock is looked at and then taken, and not in one step.
    RacyLock,
    /// Whoever has waited long enough gets the lock.
    ImpatientLock,
    /// The lock waits for as long as it takes.
    EndlessLock,
    GivesUpAtOnce,
    /// The lock is never given back.
    StickyLock,
    /// A lock whose holder has panicked is never free again.
    PoisonedLock,
    WrongKind,
    /// What is not in a snapshot stays from the one before.
    Merges,
    Truncates,
    /// What was saved is there once the lock is given back.
    SavesLate,
    LoadWaits,
    /// Each handle reads the place once.
    Caches,
    /// What is under the lock sees what was there some time ago.
    ReadsStale,
    Talks,
    SaveFails,
}

#[derive(Default)]
struct Place {
    saved: Mutex<Option<Snapshot>>,
    late: Mutex<Option<Snapshot>>,
    older: Mutex<Option<Snapshot>>,
    is_held: AtomicBool,
    lock: LocalLock,
}

struct Broken {
    fault: Fault,
    place: Arc<Place>,
    cache: Mutex<Option<Snapshot>>,
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store for Broken {
    fn load(&self) -> Result<Option<Snapshot>, StoreError> {
        let place = &self.place;
        if self.fault == Fault::LoadWaits {
            drop(place.lock.lock(PATIENCE)?);
        }
        let saved = locked(&place.saved).clone();
        if self.fault == Fault::RacyLock {
            // So that another, which has looked meanwhile, comes in while this one is inside.
            thread::sleep(Duration::from_millis(5));
        }
        match self.fault {
            Fault::Used => Ok(Some(numbered(0))),
            Fault::Caches => {
                let mut cache = locked(&self.cache);
                *cache = cache.take().or(saved);
                Ok(cache.clone())
            }
            Fault::ReadsStale if saved.as_ref().and_then(number_of) == Some(5) => {
                Ok(locked(&place.older).clone())
            }
            _ => Ok(saved),
        }
    }

    fn save(&self, snapshot: &Snapshot, _: &StoreLock) -> Result<(), StoreError> {
        let place = &self.place;
        let mut saved = locked(&place.saved);
        let mut snapshot = snapshot.clone();
        match self.fault {
            Fault::Merges if !snapshot.has_session() => return Ok(()),
            Fault::Truncates if snapshot.to_json().expose().len() > 4096 => snapshot = bare(),
            Fault::SaveFails => {
                let message = "no paper in the printer";
                return Err(StoreError::new(StoreErrorKind::Other, message));
            }
            Fault::SavesLate => {
                *locked(&place.late) = Some(snapshot);
                return Ok(());
            }
            _ => {}
        }
        locked(&place.older).clone_from(&saved);
        *saved = Some(snapshot);
        Ok(())
    }

    fn lock(&self, timeout: Duration) -> Result<StoreLock, StoreError> {
        let place = Arc::clone(&self.place);
        let lock = &self.place.lock;
        match self.fault {
            Fault::NoLock => Ok(StoreLock::new(())),
            Fault::RacyLock => {
                let start = Instant::now();
                while place.is_held.load(Ordering::SeqCst) {
                    if start.elapsed() >= timeout {
                        return Err(StoreError::new(StoreErrorKind::Busy, "busy"));
                    }
                    thread::sleep(Duration::from_millis(1));
                }
                thread::sleep(Duration::from_millis(1));
                place.is_held.store(true, Ordering::SeqCst);
                let free = move || place.is_held.store(false, Ordering::SeqCst);
                Ok(StoreLock::new(OnDrop(free)))
            }
            Fault::ImpatientLock if !timeout.is_zero() => match lock.lock(WAIT / 2) {
                Err(_) => Ok(StoreLock::new(())),
                held => held,
            },
            Fault::EndlessLock => lock.lock(PATIENCE),
            Fault::GivesUpAtOnce => lock.lock(Duration::ZERO),
            Fault::StickyLock => {
                std::mem::forget(lock.lock(timeout)?);
                Ok(StoreLock::new(()))
            }
            Fault::PoisonedLock => {
                let mut held = Some(lock.lock(timeout)?);
                Ok(StoreLock::new(OnDrop(move || {
                    let held = held.take();
                    if thread::panicking() {
                        std::mem::forget(held);
                    }
                })))
            }
            Fault::WrongKind => lock
                .lock(timeout)
                .map_err(|_| StoreError::new(StoreErrorKind::Other, "somebody is here")),
            Fault::SavesLate => {
                let held = lock.lock(timeout)?;
                let late = OnDrop(move || {
                    if let Some(late) = locked(&place.late).take() {
                        *locked(&place.saved) = Some(late);
                    }
                });
                Ok(StoreLock::new((late, held)))
            }
            Fault::Talks => lock.lock(timeout).map_err(|_| {
                let message = format!("busy with {ACCESS}");
                StoreError::new(StoreErrorKind::Busy, message)
            }),
            _ => lock.lock(timeout),
        }
    }
}

/// What is said of a store with this fault, if anything.
fn said_of(fault: Fault) -> Option<String> {
    let place = Arc::new(Place::default());
    let open = || Broken {
        fault,
        place: Arc::clone(&place),
        cache: Mutex::default(),
    };
    // Nobody has to wait for what never comes.
    let patience = match fault {
        Fault::None => PATIENCE,
        _ => Duration::from_secs(5),
    };
    said_by(|| check_within(patience, &open))
}

fn said_by(check: impl FnOnce()) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(check)).err()?;
    let text = panic.downcast::<String>().expect("a text");
    let text = text.strip_prefix("this store breaks the contract: ");
    Some(text.expect("a sentence of ours").to_owned())
}

fn assert_said(fault: Fault, point: &str) {
    let said = said_of(fault).expect("the store is broken");
    assert!(said.contains(point), "{said}");
}

#[test]
fn a_store_without_a_fault_passes() {
    assert_eq!(said_of(Fault::None), None);
}

#[test]
fn a_store_for_each_handle_is_no_store() {
    let said = said_by(|| check_store(MemoryStore::new));
    assert!(said.unwrap().contains("what another handle has saved last"));
}

#[test]
fn a_place_that_is_not_empty_is_noticed() {
    assert_said(Fault::Used, "is the place empty?");
}

#[test]
fn a_lock_that_locks_nothing_is_noticed() {
    assert_said(Fault::NoLock, "lets another handle in while it is held");
}

#[test]
fn a_lock_that_is_looked_at_before_it_is_taken_is_noticed() {
    assert_said(Fault::RacyLock, "lets several in at once");
}

#[test]
fn a_lock_that_is_given_to_whoever_waits_long_enough_is_noticed() {
    assert_said(
        Fault::ImpatientLock,
        "lets another handle in while it is held",
    );
}

#[test]
fn a_lock_that_waits_for_ever_is_noticed() {
    assert_said(Fault::EndlessLock, "`lock` with no time at all waits");
}

#[test]
fn a_lock_that_does_not_wait_is_noticed() {
    assert_said(Fault::GivesUpAtOnce, "gives up before its time");
}

#[test]
fn a_lock_that_is_not_given_back_is_noticed() {
    assert_said(Fault::StickyLock, "`lock` fails for no reason");
}

#[test]
fn a_lock_that_a_panic_keeps_is_noticed() {
    assert_said(Fault::PoisonedLock, "once its holder has panicked");
}

#[test]
fn another_error_than_busy_is_noticed() {
    assert_said(Fault::WrongKind, "says Busy if it is held, not: somebody");
}

#[test]
fn a_save_that_merges_is_noticed() {
    assert_said(Fault::Merges, "without tokens: it replaces as a whole");
}

#[test]
fn a_store_with_too_little_room_is_noticed() {
    assert_said(Fault::Truncates, "of 64 KiB");
}

#[test]
fn a_save_that_comes_true_later_is_noticed() {
    assert_said(Fault::SavesLate, "before the lock is given back");
}

#[test]
fn a_load_that_waits_for_the_lock_is_noticed() {
    assert_said(Fault::LoadWaits, "`load` waits for the lock");
}

#[test]
fn a_handle_that_reads_once_is_noticed() {
    assert_said(Fault::Caches, "what another handle has saved last");
}

#[test]
fn an_update_that_is_lost_is_noticed() {
    assert_said(Fault::ReadsStale, "the next under the lock does not see");
}

#[test]
fn an_error_that_shows_a_token_is_noticed() {
    assert_said(Fault::Talks, "shows a token");
}

#[test]
fn a_save_that_fails_is_shown_with_its_error() {
    let point = "`save` fails for no reason: no paper in the printer";
    assert_said(Fault::SaveFails, point);
}
