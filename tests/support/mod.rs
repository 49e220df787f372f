//! What several test files share. Each test file is a crate of its own and uses a part of it.
#![allow(dead_code, reason = "each test file uses another part")]

#[cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]
pub mod directory;
pub mod honest;
#[cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]
pub mod login;
pub mod model;
#[cfg(feature = "loopback")]
pub mod probes;
pub mod process;
pub mod public;
pub mod raw;
#[cfg(feature = "redis")]
pub mod redis_server;
pub mod reply;
pub mod scenario;
pub mod seen;
#[cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]
pub mod showcase;
pub mod shown;
pub mod strategies;
pub mod table;
pub mod tls;
pub mod told;
pub mod vectors;
#[cfg(feature = "loopback")]
pub mod victim;

/// Says what this machine can't test. Not by `println`, which nobody sees of a test that passes.
pub fn not_tested(why: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "not tested: {why}");
}
