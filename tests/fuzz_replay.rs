//! The fuzz targets on stable Rust: every input that is kept in `fuzz/`, and some thousand changed ones.

#[path = "../fuzz/src/callback.rs"]
mod callback;
#[path = "../fuzz/src/configuration.rs"]
mod configuration;
#[path = "../fuzz/src/events.rs"]
mod events;
#[path = "../fuzz/src/login.rs"]
mod login;
#[cfg(feature = "loopback")]
#[path = "../fuzz/src/request_head.rs"]
mod request_head;
#[path = "../fuzz/src/snapshot.rs"]
mod snapshot;
mod support;
#[path = "../fuzz/src/token_response.rs"]
mod token_response;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Changed inputs per target: the same ones each time.
const CHANGED: usize = 10_000;

fn replay(target: &str, run: fn(&[u8])) {
    let mut inputs = Vec::new();
    for kind in ["corpus", "regressions"] {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz")
            .join(kind)
            .join(target);
        let entries = fs::read_dir(directory).into_iter().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        inputs.extend(
            paths
                .into_iter()
                .map(|path| (path.display().to_string(), fs::read(&path).unwrap())),
        );
    }
    assert!(inputs.len() >= 20, "there is no corpus for {target}");
    for (path, input) in &inputs {
        try_one(path, input, run);
    }
    let mut chance = Chance(inputs.len() as u64);
    for number in 0..CHANGED {
        let (path, input) = &inputs[chance.below(inputs.len())];
        let other = &inputs[chance.below(inputs.len())].1;
        try_one(
            &format!("{path}, change {number}"),
            &change(input, other, &mut chance),
            run,
        );
    }
}

fn try_one(name: &str, input: &[u8], run: fn(&[u8])) {
    if catch_unwind(AssertUnwindSafe(|| run(input))).is_err() {
        panic!("{name}: {:?}", String::from_utf8_lossy(input));
    }
}

/// A few bytes changed, taken out or put in, or the end of another input.
fn change(input: &[u8], other: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut changed = input.to_vec();
    for _ in 0..=chance.below(4) {
        let at = chance.below(changed.len() + 1);
        let to = (at + chance.below(8)).min(changed.len());
        match chance.below(6) {
            0 => drop(changed.drain(at..to)),
            1 => changed.insert(at, chance.byte()),
            2 => changed.truncate(at),
            3 => changed.extend_from_slice(&other[chance.below(other.len() + 1)..]),
            4 => drop(
                changed.splice(
                    at..at,
                    b"\0\"\\{}[]%&=+#:\r\n"
                        .iter()
                        .copied()
                        .skip(chance.below(15))
                        .take(1),
                ),
            ),
            _ if at < changed.len() => changed[at] ^= 1 << chance.below(8),
            _ => {}
        }
    }
    changed
}

/// Xorshift.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        self.next() as u8
    }
}

#[test]
fn callbacks() {
    replay("callback", callback::run);
}

#[test]
fn token_responses() {
    replay("token_response", token_response::run);
}

#[test]
fn snapshots() {
    replay("snapshot", snapshot::run);
}

#[test]
fn configurations() {
    replay("configuration", configuration::run);
}

#[test]
fn events_of_any_kind() {
    replay("events", events::run);
}

#[cfg(feature = "loopback")]
#[test]
fn request_heads() {
    replay("request_head", request_head::run);
}
