//! How a step is measured: what is allocated, the time, and a function for callgrind to look for.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// The steps of a login and a refresh, in their order.
pub const STEPS: [&str; 6] = [
    "authorize",
    "callback",
    "token request",
    "token response",
    "refresh request",
    "refresh response",
];

/// Told of each step as it is done.
pub trait Meter {
    fn step<T>(&mut self, name: &'static str, work: impl FnOnce() -> T) -> T;

    /// Shown the URL or the form that a step made.
    fn sees(&mut self, _step: &'static str, _text: &str) {}
}

/// Counts what this thread asks of the system's allocator.
pub struct Counting;

thread_local! {
    static COUNTS: Cell<Allocations> = const { Cell::new(Allocations { calls: 0, freed: 0, grown: 0, bytes: 0, live: 0 }) };
}

/// `bytes` is what was asked for in all, `live` what has not been given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allocations {
    pub calls: i64,
    pub freed: i64,
    pub grown: i64,
    pub bytes: i64,
    pub live: i64,
}

impl Allocations {
    #[must_use]
    pub fn now() -> Self {
        COUNTS.get()
    }

    #[must_use]
    pub fn since(before: Self) -> Self {
        let now = Self::now();
        Self {
            calls: now.calls - before.calls,
            freed: now.freed - before.freed,
            grown: now.grown - before.grown,
            bytes: now.bytes - before.bytes,
            live: now.live - before.live,
        }
    }
}

fn count(change: impl FnOnce(&mut Allocations)) {
    // A thread that ends gives its own memory back when its counts are gone.
    let _ = COUNTS.try_with(|counts| {
        let mut new = counts.get();
        change(&mut new);
        counts.set(new);
    });
}

// SAFETY: the system's allocator does everything.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(|counts| {
            counts.calls += 1;
            counts.bytes += layout.size() as i64;
            counts.live += layout.size() as i64;
        });
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(|counts| {
            counts.freed += 1;
            counts.live -= layout.size() as i64;
        });
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(|counts| {
            counts.grown += 1;
            counts.bytes += size as i64;
            counts.live += size as i64 - layout.size() as i64;
        });
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// What each step allocates.
#[derive(Default)]
pub struct Allocating(pub BTreeMap<&'static str, Allocations>);

impl Meter for Allocating {
    fn step<T>(&mut self, name: &'static str, work: impl FnOnce() -> T) -> T {
        let before = Allocations::now();
        let result = work();
        let step = Allocations::since(before);
        self.0.insert(name, step);
        result
    }
}

/// Nothing is measured, or all.
pub struct Unmeasured;

impl Meter for Unmeasured {
    fn step<T>(&mut self, _: &'static str, work: impl FnOnce() -> T) -> T {
        black_box(work())
    }
}

/// Does one step where callgrind can see it (`--toggle-collect='*measure::measured*'`), the others elsewhere.
pub struct Seen<'a>(pub &'a str);

impl Meter for Seen<'_> {
    fn step<T>(&mut self, name: &'static str, work: impl FnOnce() -> T) -> T {
        if name == self.0 {
            measured(work)
        } else {
            work()
        }
    }
}

/// The function that callgrind looks for.
#[inline(never)]
pub fn measured<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

/// How long one step takes, a pair of clock readings included.
pub struct Timed<'a> {
    pub name: &'a str,
    pub total: Duration,
}

impl Meter for Timed<'_> {
    fn step<T>(&mut self, name: &'static str, work: impl FnOnce() -> T) -> T {
        if name != self.name {
            return work();
        }
        let start = Instant::now();
        let result = black_box(work());
        self.total += start.elapsed();
        result
    }
}
