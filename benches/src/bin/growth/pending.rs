//! One login more, while others wait: begun, found by its callback's state, exchanged, dropped. The one that
//! is finished is the oldest, so that nothing of it is in a cache by chance.

use std::collections::HashMap;

use authflow_benches::backend::{Sessions, entropy};
use authflow_benches::figure::{Row, rounded};
use authflow_benches::fixture;
use authflow_benches::points::Point;

use crate::{Measured, least};

const TIMES: &str = "a login while others wait, time";
const INSTRUCTIONS: &str = "a login while others wait, instructions";

pub fn times() -> Vec<Measured> {
    each_library!(TIMES, time)
}

pub fn instructions() -> Vec<Measured> {
    each_library!(INSTRUCTIONS, count)
}

fn time<L: Sessions>(row: &Row<'_>) {
    let mut crowd = Crowd::<L>::new();
    for waiting in [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000] {
        crowd.grow(waiting);
        let next = std::cell::Cell::new((crowd.oldest, crowd.next));
        let inputs = || {
            let (oldest, newest) = next.get();
            next.set((oldest + 100, newest + 100));
            (0..100)
                .map(|at| Input::new::<L>(newest + at, oldest + at))
                .collect()
        };
        let time = least(50, inputs, |input| drop(crowd.one_more(input)));
        (crowd.oldest, crowd.next) = next.get();
        row.put(waiting, rounded(time), "ns");
    }
}

/// Not a million, because callgrind takes its time to make them.
fn count<L: Sessions>(row: &Row<'_>) {
    let mut crowd = Crowd::<L>::new();
    for waiting in [1, 10, 100, 1_000, 10_000, 100_000] {
        crowd.grow(waiting);
        let mut point = Point::new(row, waiting.to_string());
        for _ in 0..100 {
            let input = Input::new::<L>(crowd.next, crowd.oldest);
            (crowd.oldest, crowd.next) = (crowd.oldest + 1, crowd.next + 1);
            point.measured(|| drop(crowd.one_more(input)));
        }
        point.over();
    }
}

struct Crowd<L: Sessions> {
    backend: L,
    waiting: HashMap<L::Key, L::Login>,
    /// Those from `oldest` to before `next` wait.
    oldest: u64,
    next: u64,
}

/// What comes from outside: the entropy of a new login, and the callback of an old one.
struct Input {
    entropy: [u8; 64],
    target: String,
    answer: Vec<u8>,
}

impl Input {
    fn new<L: Sessions>(new: u64, old: u64) -> Self {
        let state = L::state(entropy(old));
        Self {
            entropy: entropy(new),
            target: fixture::target(&state),
            answer: fixture::tokens().into_bytes(),
        }
    }
}

impl<L: Sessions> Crowd<L> {
    fn new() -> Self {
        Self {
            backend: L::new(&fixture::SCOPES.map(str::to_owned)),
            waiting: HashMap::new(),
            oldest: 0,
            next: 0,
        }
    }

    fn grow(&mut self, waiting: usize) {
        while self.waiting.len() < waiting {
            let (key, login) = self.backend.begin(entropy(self.next));
            self.next += 1;
            self.waiting.insert(key, login);
        }
        // The table does not grow while it is measured.
        self.waiting.reserve(waiting.max(64));
    }

    fn one_more(&mut self, input: Input) -> L::Session {
        let (key, login) = self.backend.begin(input.entropy);
        self.waiting.insert(key, login);
        self.backend
            .finish(&mut self.waiting, input.target, input.answer)
    }
}
