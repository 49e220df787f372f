//! Whether a store keeps the contract.

use std::panic::resume_unwind;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Snapshot;
use crate::session::{Store, StoreError, StoreErrorKind, StoreLock};

/// Tries out whether a store of yours keeps the contract that [`Store`] states, and panics with the
/// point that it breaks. For a test of yours.
///
/// `open` opens another handle on the same place each time, as another program would; the place is
/// empty at first, and has something in it at the end. What only other processes can show, such as a
/// lock that is free once its holder has been killed, is for you to see to.
///
/// ```
/// use authflow::session::FileStore;
/// use authflow::testing::check_store;
///
/// # let directory = std::env::temp_dir().join(format!("authflow-doc-{}", std::process::id()));
/// // In place of the FileStore: yours.
/// check_store(|| FileStore::at(directory.join("login.json")));
/// # std::fs::remove_dir_all(directory).unwrap();
/// ```
///
/// It takes about a second. Only a store that hangs takes longer, a minute for each point.
///
/// # Panics
/// If the store breaks the contract, or returns an error where there is no reason for one.
pub fn check_store<S: Store>(open: impl Fn() -> S + Sync) {
    check_within(PATIENCE, &open);
}

/// Whoever waits as long has found a hang.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long somebody is kept waiting on purpose.
const WAIT: Duration = Duration::from_millis(200);

const THREADS: usize = 8;
const ROUNDS: usize = 10;

const ACCESS: &str = "access-token-of-check-store";
const REFRESH: &str = "refresh-token-of-check-store";

fn check_within<S: Store>(patience: Duration, open: &(impl Fn() -> S + Sync)) {
    let check = Check { open, patience };
    check.saves();
    check.replaces();
    check.keeps_out();
    check.says_nothing();
    check.gives_back();
    check.waits();
    check.reads_past_the_lock();
    check.loses_no_update();
}

struct Check<'a, F> {
    open: &'a F,
    patience: Duration,
}

impl<S: Store, F: Fn() -> S + Sync> Check<'_, F> {
    fn open(&self) -> S {
        (self.open)()
    }

    fn saves(&self) {
        let (one, other) = (self.open(), self.open());
        for store in [&one, &other] {
            if done("load", store.load()).is_some() {
                broken("`load` finds something although nothing was saved: is the place empty?");
            }
        }
        let first = numbered(1);
        self.save(&one, &first);
        expect(&one, &first, "`load` does not see what was saved");
        let another = "`load` does not see what another handle has saved last";
        expect(&other, &first, another);
        expect(&self.open(), &first, another);
        let second = numbered(2);
        self.save(&other, &second);
        expect(&one, &second, another);
        expect(&other, &second, another);
    }

    fn replaces(&self) {
        let (one, other) = (self.open(), self.open());
        let snapshots = [
            (full(), "with all that there can be in it"),
            (bare(), "without tokens"),
            (big(), "of 64 KiB"),
            (numbered(3), "after a bigger one"),
            (full(), "with other members than the one before"),
        ];
        for (snapshot, which) in snapshots {
            self.save(&one, &snapshot);
            for store in [&one, &other] {
                let point = format!("`save` changes a snapshot {which}: it replaces as a whole");
                expect(store, &snapshot, &point);
            }
        }
        for number in 0..50 {
            self.save(&one, &numbered(number));
        }
        expect(
            &other,
            &numbered(49),
            "many saves in a row do not end with the last",
        );
    }

    fn says_nothing(&self) {
        let store = self.open();
        let _held = self.lock(&store);
        let location = store.location().unwrap_or_default();
        let error = match self.open().lock(Duration::ZERO) {
            Ok(_) => String::new(),
            Err(error) => format!("{error} {error:?}"),
        };
        for text in [location, error] {
            if text.contains(ACCESS) || text.contains(REFRESH) {
                broken("an error, or the location, shows a token");
            }
        }
    }

    fn keeps_out(&self) {
        let one = self.open();
        let held = self.lock(&one);
        let held = self.in_time(held, "`lock` with no time at all waits", || {
            is_busy(self.open().lock(Duration::ZERO))
        });
        let held = self.in_time(held, "`lock` waits longer than it may", || {
            let start = Instant::now();
            is_busy(self.open().lock(WAIT));
            if start.elapsed() < WAIT * 3 / 4 {
                broken("`lock` gives up before its time");
            }
        });
        drop(held);
    }

    fn gives_back(&self) {
        let (one, other) = (self.open(), self.open());
        for _ in 0..20 {
            drop(self.lock(&one));
            let free = other.lock(Duration::ZERO);
            if free.is_err() {
                broken("`lock` is not free once it was dropped");
            }
        }
        let panicked = thread::scope(|scope| {
            let holder = scope.spawn(|| {
                let _held = self.lock(&self.open());
                // Says nothing on standard error.
                resume_unwind(Box::new(()));
            });
            holder.join()
        });
        if panicked.is_ok() || one.lock(Duration::ZERO).is_err() {
            broken("`lock` is not free once its holder has panicked");
        }
    }

    fn waits(&self) {
        let one = self.open();
        let held = self.lock(&one);
        let got = thread::scope(|scope| {
            let (begin, has_begun) = channel();
            let waiter = scope.spawn(move || {
                let store = self.open();
                let _ = begin.send(());
                store.lock(self.patience).is_ok()
            });
            let _ = has_begun.recv();
            thread::sleep(WAIT);
            drop(held);
            waiter.join().unwrap_or_default()
        });
        if !got {
            broken("`lock` does not get what its holder gives back while it waits");
        }
    }

    fn reads_past_the_lock(&self) {
        let one = self.open();
        let (before, after) = (numbered(1000), numbered(1001));
        self.save(&one, &before);
        let held = self.lock(&one);
        let point = "`load` waits for the lock";
        let held = self.in_time(held, point, || {
            let unseen = "`load` does not see what was saved before the lock was taken";
            expect(&self.open(), &before, unseen);
        });
        done("save", one.save(&after, &held));
        let held = self.in_time(held, point, || {
            let unseen = "`load` does not see what was saved before the lock is given back";
            expect(&self.open(), &after, unseen);
        });
        drop(held);
    }

    fn loses_no_update(&self) {
        self.save(&self.open(), &numbered(0));
        let (start, inside) = (Barrier::new(THREADS), AtomicUsize::new(0));
        let was_alone = AtomicBool::new(true);
        let count = |store: S| {
            start.wait();
            for _ in 0..ROUNDS {
                let held = self.lock(&store);
                let others = inside.fetch_add(1, Ordering::SeqCst);
                was_alone.fetch_and(others == 0, Ordering::SeqCst);
                let loaded = done("load", store.load());
                match loaded.as_ref().and_then(number_of) {
                    Some(number) => done("save", store.save(&numbered(number + 1), &held)),
                    None => broken("`load` does not see what was saved"),
                }
                inside.fetch_sub(1, Ordering::SeqCst);
                drop(held);
            }
        };
        thread::scope(|scope| {
            let stores: Vec<_> = (0..THREADS).map(|_| self.open()).collect();
            let threads: Vec<_> = stores
                .into_iter()
                .map(|store| scope.spawn(|| count(store)))
                .collect();
            for thread in threads {
                if let Err(panic) = thread.join() {
                    resume_unwind(panic);
                }
            }
        });
        if !was_alone.into_inner() {
            broken("`lock` lets several in at once");
        }
        let point = "what one has saved under the lock, the next under the lock does not see";
        expect(&self.open(), &numbered(THREADS * ROUNDS), point);
    }

    fn lock(&self, store: &S) -> StoreLock {
        done("lock", store.lock(self.patience))
    }

    fn save(&self, store: &S, snapshot: &Snapshot) {
        let held = self.lock(store);
        done("save", store.save(snapshot, &held));
    }

    /// Does this in another thread while the lock is held. If that takes too long, the lock is given
    /// back, which most likely ends it.
    fn in_time(&self, held: StoreLock, point: &str, work: impl FnOnce() + Send) -> StoreLock {
        thread::scope(|scope| {
            let (done, is_done) = channel();
            let worker = scope.spawn(move || {
                work();
                let _ = done.send(());
            });
            match is_done.recv_timeout(self.patience) {
                Ok(()) => held,
                Err(RecvTimeoutError::Timeout) => {
                    drop(held);
                    broken(point)
                }
                Err(RecvTimeoutError::Disconnected) => {
                    drop(held);
                    match worker.join() {
                        Err(panic) => resume_unwind(panic),
                        Ok(()) => broken(point),
                    }
                }
            }
        })
    }
}

#[track_caller]
fn broken(point: &str) -> ! {
    panic!("this store breaks the contract: {point}")
}

fn done<T>(what: &str, result: Result<T, StoreError>) -> T {
    match result {
        Ok(done) => done,
        Err(error) => broken(&format!("`{what}` fails for no reason: {error}")),
    }
}

fn expect(store: &impl Store, snapshot: &Snapshot, point: &str) {
    if done("load", store.load()).as_ref() != Some(snapshot) {
        broken(point);
    }
}

fn is_busy(locked: Result<StoreLock, StoreError>) {
    match locked {
        Err(error) if error.kind() == StoreErrorKind::Busy => {}
        Err(error) => broken(&format!("`lock` says Busy if it is held, not: {error}")),
        Ok(_) => broken("`lock` lets another handle in while it is held"),
    }
}

// --- snapshots --------------------------------------------------------------------------------------

fn snapshot(session: Option<Value>) -> Snapshot {
    let mut snapshot = json!({
        "version": 1,
        "provider": "https://provider.example",
        "token_endpoint": "https://provider.example/token",
        "client_id": "a client \u{2603} \"quoted\"",
    });
    if let Some(session) = session {
        snapshot["session"] = session;
    }
    read(&snapshot)
}

fn read(snapshot: &Value) -> Snapshot {
    let text = snapshot.to_string();
    Snapshot::from_json(text.as_bytes()).expect("a snapshot of this version")
}

fn bare() -> Snapshot {
    snapshot(None)
}

fn session(access_token: &str) -> Value {
    json!({
        "serial": 1,
        "access_token": access_token,
        "token_type": "Bearer",
        "scopes": "",
        "obtained_at": 1_700_000_000_000_u64,
    })
}

fn numbered(number: usize) -> Snapshot {
    snapshot(Some(session(&format!("{ACCESS}-{number}"))))
}

fn number_of(snapshot: &Snapshot) -> Option<usize> {
    let snapshot: Value = serde_json::from_str(snapshot.to_json().expose()).ok()?;
    let token = snapshot["session"]["access_token"].as_str()?;
    token.strip_prefix(ACCESS)?.strip_prefix('-')?.parse().ok()
}

fn full() -> Snapshot {
    let mut session = session(ACCESS);
    session["refresh_token"] = REFRESH.into();
    session["refresh_token_rejected"] = true.into();
    session["scopes"] = "one two:three".into();
    session["extra"] = json!({
        "id_token": "\"e.y.J\"",
        "nested": r#"{"a":["\\","\u0000",null,1e400],"é":"😀"}"#,
        "": "0",
    });
    session["expires_at"] = u64::MAX.into();
    session["expired"] = true.into();
    session["authorized_at"] = 0.into();
    session["refresh_token_expires_at"] = 1.into();
    read(&json!({
        "version": 1,
        "provider": "https://provider.example",
        "token_endpoint": "https://provider.example/token",
        "client_id": "client",
        "requests": 1_u64 << 62,
        "serials": 7,
        "login": {
            "state": "s".repeat(43),
            "verifier": "v".repeat(43),
            "redirect_uri": "http://127.0.0.1:1234/callback",
            "deadline": 1,
        },
        "session": session,
    }))
}

fn big() -> Snapshot {
    let mut session = session(ACCESS);
    let extra = (0..64).map(|number| (format!("extra-{number}"), "1".repeat(1024).into()));
    session["extra"] = Value::Object(extra.collect());
    snapshot(Some(session))
}

#[cfg(test)]
mod tests;
