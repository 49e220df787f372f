//! The only rooms with IO besides the session: each usable alone, each behind the feature of the
//! dependency it needs.
#![cfg_attr(
    any(feature = "loopback", feature = "browser", feature = "os-rng"),
    expect(
        clippy::disallowed_methods,
        reason = "drivers are where clocks, sockets and randomness belong"
    )
)]

#[cfg(feature = "loopback")]
mod bind;
#[cfg(feature = "browser")]
pub mod browser;
#[cfg(feature = "os-rng")]
pub mod clock;
#[cfg(feature = "loopback")]
mod gate;
#[cfg(feature = "ureq")]
pub mod http;
#[cfg(feature = "loopback")]
pub mod loopback;
#[cfg(feature = "loopback")]
mod pages;
#[cfg(feature = "loopback")]
mod peer;
#[cfg(feature = "loopback")]
mod redirection;
#[cfg(all(feature = "loopback", target_os = "linux"))]
mod sock_diag;
