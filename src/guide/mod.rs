//! Guides. Their code is compiled as tests.

#[doc = include_str!("event_loops.md")]
pub mod event_loops {}

#[doc = include_str!("migration.md")]
pub mod migration {}
