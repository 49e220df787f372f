//! What several test files share. Each test file is a crate of its own and uses a part of it.
#![allow(dead_code, reason = "each test file uses another part")]

pub mod reply;
pub mod scenario;
pub mod table;
pub mod vectors;
