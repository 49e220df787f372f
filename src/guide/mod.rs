//! Guides: how to do a thing, from the first line to the last. Their code is compiled as tests, and
//! run where it needs no account: a [fake provider](crate::testing) stands in for the real one.
//!
//! New to OAuth? It comes down to this. Your program opens a page of the provider's in the person's
//! browser. There they sign in and agree. The provider sends the browser back to an address of yours, the
//! *redirect URI*, with a *code*. Your program exchanges the code for two tokens: an *access token*, which
//! goes with each call to the provider's API and ends within the hour or so, and a *refresh token*, which
//! brings the next access token without asking anybody. All of that is [`Login`](crate::Login), and what
//! comes of it is a [`Session`](crate::Session).
//!
//! | if you write | read |
//! |---|---|
//! | a program with a window | [`desktop`] |
//! | a command line | [`terminal`] |
//! | something for machines without a browser: SSH, containers, WSL | [`headless`] |
//! | a game, or anything with an event loop of its own | [`event_loops`] |
//! | a web backend, on one machine or on many (feature `redis`) | [`web_backend`] |
//! | and keep logins in a database of your own | [`store_of_your_own`] |
//! | against GitHub, Google, Microsoft, Discord, Twitch, or any other provider | [`providers`] |
//! | tests, or a loop of your own that has to survive what networks do | [`mod@testing`] |
//! | and want to know what is defended, and what is not | [`threat_model`] |
//! | and come from SpotifyAPI-NET, `oauth2`, `rspotify` or `librespot-oauth` | [`migration`] |

#[cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]
#[doc = include_str!("desktop.md")]
pub mod desktop {}

#[cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]
#[doc = include_str!("terminal.md")]
pub mod terminal {}

#[cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]
#[doc = include_str!("headless.md")]
pub mod headless {}

#[cfg(all(
    feature = "ureq",
    feature = "loopback",
    feature = "os-rng",
    feature = "redis"
))]
#[doc = include_str!("web_backend.md")]
pub mod web_backend {}

#[cfg(all(
    feature = "ureq",
    feature = "loopback",
    feature = "os-rng",
    feature = "testing"
))]
#[doc = include_str!("store_of_your_own.md")]
pub mod store_of_your_own {}

#[cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]
#[doc = include_str!("providers.md")]
pub mod providers {}

/// What is defended, against whom, by what; and what is not.
///
// No second copy: it is read where the code is, too.
#[doc = include_str!("../../SECURITY.md")]
pub mod threat_model {}

#[doc = include_str!("event_loops.md")]
pub mod event_loops {}

#[doc = include_str!("migration.md")]
pub mod migration {}

#[doc = include_str!("testing.md")]
pub mod testing {}
