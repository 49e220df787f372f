//! Guides. Their code is compiled as tests.

#[doc = include_str!("migration.md")]
pub mod migration {}

#[doc = include_str!("testing.md")]
pub mod testing {}
