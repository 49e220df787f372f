//! Guides. Their code is compiled as tests.

#[doc = include_str!("migration.md")]
pub mod migration {}

#[cfg(all(
    feature = "ureq",
    feature = "loopback",
    feature = "os-rng",
    feature = "testing"
))]
#[doc = include_str!("store_of_your_own.md")]
pub mod store_of_your_own {}

#[cfg(all(
    feature = "ureq",
    feature = "loopback",
    feature = "os-rng",
    feature = "redis"
))]
#[doc = include_str!("web_backend.md")]
pub mod web_backend {}
