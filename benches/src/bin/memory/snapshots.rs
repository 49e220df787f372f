//! What is saved of a login that waits and of one that worked: how long it is, and what it costs.

use std::hint::black_box;
use std::time::{Duration, Instant};

use authflow::{AuthFlow, Secret, Snapshot};
use authflow_benches::backend::authflow::{Authflow, START};
use authflow_benches::backend::{Logins, Sessions, entropy};
use authflow_benches::figure::{Row, rounded};
use authflow_benches::fixture;
use authflow_benches::measure::Allocations;
use authflow_benches::points::Point;

use crate::Measured;

pub const PART: &str = "snapshots";

const WAITING: &str = "a login that waits";
const LOGGED_IN: &str = "a session";

pub fn rows() -> Vec<Measured> {
    vec![
        (WAITING, |row| put(row, &Case::waiting())),
        (LOGGED_IN, |row| put(row, &Case::logged_in())),
    ]
}

struct Case {
    backend: Authflow,
    flow: AuthFlow,
    json: Secret,
}

impl Case {
    fn new(make: impl FnOnce(&Authflow) -> AuthFlow) -> Self {
        let backend = Authflow::new(&fixture::SCOPES.map(str::to_owned));
        let flow = make(&backend);
        let json = flow.snapshot().to_json();
        Self {
            backend,
            flow,
            json,
        }
    }

    fn waiting() -> Self {
        Self::new(|backend| backend.begin(entropy(1)).1)
    }

    fn logged_in() -> Self {
        Self::new(|backend| {
            let (state, login) = backend.begin(entropy(1));
            let target = fixture::target(&state);
            let answer = fixture::tokens().into_bytes();
            backend.finish(&mut [(state, login)].into(), target, answer)
        })
    }

    fn save(&self) -> Secret {
        self.flow.snapshot().to_json()
    }

    fn restore(&self) -> AuthFlow {
        let saved = Snapshot::from_json(self.json.expose().as_bytes()).expect("a snapshot");
        AuthFlow::restore(self.backend.client.clone(), saved, START).expect("a flow")
    }
}

fn put(row: &Row<'_>, case: &Case) {
    row.put("JSON", case.json.expose().len(), "bytes");
    put_step(row, "save", || case.save());
    put_step(row, "restore", || case.restore());
}

fn put_step<T>(row: &Row<'_>, step: &str, work: impl Fn() -> T) {
    drop(work());
    let before = Allocations::now();
    drop(black_box(work()));
    let made = Allocations::since(before);
    let allocations = made.calls + made.grown;
    row.put(format!("{step}: allocations"), allocations, "allocations");
    row.put(format!("{step}: allocated"), made.bytes, "bytes");
    let least = least(1000, 50, &work).as_nanos() as f64;
    row.put(format!("{step}: time"), rounded(least), "ns");
}

/// The least mean of a slice, of so many slices.
fn least<T>(per_slice: u32, slices: u32, work: impl Fn() -> T) -> Duration {
    let slice = || {
        let start = Instant::now();
        (0..per_slice).for_each(|_| drop(black_box(work())));
        start.elapsed() / per_slice
    };
    (0..slices).map(|_| slice()).min().expect("a slice")
}

pub fn instructions() {
    for (row, case) in [(WAITING, Case::waiting()), (LOGGED_IN, Case::logged_in())] {
        let row = Row { part: PART, row };
        let mut save = Point::new(&row, "save: instructions");
        (0..100).for_each(|_| save.measured(|| drop(case.save())));
        save.over();
        let mut restore = Point::new(&row, "restore: instructions");
        (0..100).for_each(|_| restore.measured(|| drop(case.restore())));
        restore.over();
    }
}
