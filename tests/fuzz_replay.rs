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

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Changed inputs per target: the same ones each time.
const CHANGED: usize = 10_000;

type Run = fn(&[u8]) -> Vec<String>;

/// The kept inputs must reach all of this, or what is judged there is judged of nothing.
fn replay(target: &str, run: Run, all: &[&str]) {
    let kept: Vec<_> = ["seeds", "corpus", "regressions"]
        .map(|kind| inputs(kind, target))
        .into();
    assert!(!kept[0].is_empty(), "fuzz/seed has written nothing");
    assert!(!kept[1].is_empty(), "fuzz/run has kept nothing");
    let inputs = kept.concat();
    let mut reached = BTreeSet::new();
    for (path, input) in &inputs {
        reached.extend(try_one(path, input, run));
    }
    let missed: Vec<_> = all
        .iter()
        .filter(|name| !reached.contains(**name))
        .collect();
    assert!(
        missed.is_empty(),
        "{target} missed {missed:?}, reached {reached:#?}"
    );

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

/// By their paths.
fn inputs(kind: &str, target: &str) -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(kind)
        .join(target);
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: &PathBuf| (path.display().to_string(), fs::read(path).unwrap());
    paths.iter().map(read).collect()
}

fn try_one(name: &str, input: &[u8], run: Run) -> Vec<String> {
    catch_unwind(AssertUnwindSafe(|| run(input)))
        .unwrap_or_else(|_| panic!("{name}: {:?}", String::from_utf8_lossy(input)))
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
    #[rustfmt::skip]
    let all = [
        "accepted", "denied",
        "ignored: no_login", "ignored: duplicate", "ignored: wrong_location", "ignored: too_large",
        "ignored: malformed", "ignored: repeated_parameter", "ignored: state_missing",
        "ignored: state_mismatch", "ignored: code_and_error", "ignored: nothing",
        "ignored: issuer_missing", "ignored: issuer_mismatch", "ignored: unexpected_parameter",
    ];
    replay("callback", callback::run, &all);
}

#[test]
fn token_responses() {
    #[rustfmt::skip]
    let all = [
        "exchange: tokens", "exchange: oauth", "exchange: http", "exchange: unreadable",
        "exchange: refresh token missing", "exchange: refresh token given",
        "refresh: tokens", "refresh: oauth", "refresh: http", "refresh: unreadable",
        "refresh: refresh token kept", "refresh: refresh token replaced",
    ];
    replay("token_response", token_response::run, &all);
}

#[test]
fn snapshots() {
    #[rustfmt::skip]
    let all = [
        "unreadable: Damaged", "unreadable: UnknownVersion",
        "refused: Damaged", "refused: OtherClient", "refused: RedirectUri",
        "restored: Unauthorized", "restored: AwaitingCode", "restored: Authorized", "restored: Expired",
        "lives on: sends a refresh", "lives on: refresh_failed", "lives on: login_failed",
        "lives on: expired",
    ];
    replay("snapshot", snapshot::run, &all);
}

#[test]
fn configurations() {
    #[rustfmt::skip]
    let all = [
        "refused: Endpoint", "refused: RedirectUri", "refused: Scope", "refused: ClientId",
        "refused: ClientSecret", "refused: ColonInClientId", "refused: ReservedParameter",
        "refused: RepeatedParameter", "refused: Parameter", "refused: IssuerMissing",
        "refused: SecretBesideTokenSwap",
        "requested: public", "requested: basic", "requested: unencoded", "requested: body",
        "requested: swap", "requested over https", "requested over http",
    ];
    replay("configuration", configuration::run, &all);
}

#[test]
fn events_of_any_kind() {
    #[rustfmt::skip]
    let all = [
        "slow driver",
        "time: on", "time: to the deadline", "time: before the deadline", "time: back", "time: at",
        "BeginLogin", "BeginLogin of another client", "Code", "Code from whomever", "Denied",
        "Denied by whomever", "Forged", "CancelLogin",
        "Answer to nothing", "Answer with tokens", "Answer with tokens written otherwise",
        "Answer with a failure", "Answer that did not come", "Answer to an earlier request", "Refresh", "Reject", "Reject an earlier token", "Adopt",
        "AdoptNonsense", "LogOut", "Tick", "Restart",
        "then Unauthorized", "then AwaitingCode", "then Authorized", "then Expired",
        "then Idle", "then Exchanging", "then Refreshing", "then Backoff",
        "Restart in Unauthorized", "Restart in AwaitingCode", "Restart in Authorized",
        "Restart in Expired",
        "LoginInProgress", "NoLogin", "NoSession", "NoRefreshToken", "RefreshInFlight",
        "InvalidToken", "RedirectUriNotAllowed",
        "logged_in", "refreshed", "refresh_failed", "login_failed", "callback_ignored",
        "stale_response", "stale_rejection", "expired", "session_ended",
    ];
    replay("events", events::run, &all);
}

#[cfg(feature = "loopback")]
#[test]
fn request_heads() {
    #[rustfmt::skip]
    let all = [
        "incomplete", "callback",
        "refused: 400", "refused: 403", "refused: 404", "refused: 405", "refused: 413",
        "refused: 414", "refused: 421", "refused: 431",
    ];
    replay("request_head", request_head::run, &all);
}
