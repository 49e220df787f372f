//! What the property tests have.
#![allow(dead_code, reason = "the property tests use more of it")]

#[path = "../../tests/support/model.rs"]
pub mod model;
#[path = "../../tests/support/reply.rs"]
pub mod reply;
#[path = "../../tests/support/scenario.rs"]
pub mod scenario;
#[path = "../../tests/support/seen.rs"]
pub mod seen;
#[path = "../../tests/support/strategies.rs"]
pub mod strategies;
#[path = "../../tests/support/told.rs"]
pub mod told;
