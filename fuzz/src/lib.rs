//! What the fuzz targets do with their bytes. `tests/fuzz_replay.rs` does the same on stable Rust, and
//! holds what each says it has reached against what can be reached.

pub mod callback;
pub mod configuration;
pub mod events;
pub mod login;
pub mod request_head;
pub mod snapshot;
mod support;
pub mod token_response;
