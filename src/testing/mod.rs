//! A provider to log in to when there is none, and a world for programs to be tested in: for your tests and
//! for demonstrations. The [guide](crate::guide::testing) goes through all of it.
//!
//! [`FakeProvider`] is an authorization server on `127.0.0.1` that behaves as Spotify documents
//! itself: endpoints, redirect rules, error bodies, token lifetimes. It really checks PKCE, codes
//! and clients, so a login that works here has done its part right. [`Person`] plays the human
//! and the browser. [`Fault`]s make the token endpoint, the revocation endpoint and the API fail in the
//! ways networks do.
//!
//! ```
//! use authflow::testing::{Answer, FakeProvider, Person};
//!
//! # fn main() -> std::io::Result<()> {
//! let provider = FakeProvider::start()?;
//! let url = format!(
//!     "{}?client_id={}&response_type=code&redirect_uri=http://127.0.0.1:4242/callback&state=xyz\
//!      &code_challenge_method=S256&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
//!     provider.authorization_endpoint(),
//!     provider.client_id(),
//! );
//!
//! let back = Person::redirect_for(&url, Answer::Deny)?;
//! assert_eq!(back, "http://127.0.0.1:4242/callback?error=access_denied&state=xyz");
//! # Ok(())
//! # }
//! ```
//!
//! Each start takes a free port, and a login is bound to its provider's address: what one
//! [`FileStore`](crate::session::FileStore) keeps from one run to the next belongs to another provider
//! then. Give it a port that stays, by [`FakeProvider::builder`].
//!
//! [`Simulation`] has the same provider without a socket, and a network, a disk and a clock beside it, for
//! programs that drive an [`AuthFlow`](crate::AuthFlow) themselves. With the feature `proptest`,
//! [`strategies`] draw whole lives for them, or parts of one.
//!
//! # What it serves
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | a page that says what this is |
//! | `GET /authorize` | the consent page; a page with status 400 for a bad client or redirect URI; an error redirect for everything else |
//! | `POST /consent` | the redirect back to the client, with a code or `error=access_denied` |
//! | `POST /api/token` | `authorization_code`, `refresh_token` and `client_credentials` grants |
//! | `POST /api/revoke` | empty, and the token is dead (RFC 7009); Spotify has no such endpoint |
//! | `GET /v1/me` | the profile of whoever allowed it, or a 401 |
//! | `GET`, `POST`, `PUT`, `PATCH`, `DELETE` `/v1/echo` | what came, or a 401 |
//!
//! # What it is not
//!
//! It is no server for real people: everyone is alice who does not say another name
//! ([`Person::redirect_as`]), there is no password and no TLS. Nothing
//! is written to disk; dropping it ends all it knew. It has one client. Where
//! Spotify's documents are silent, the RFCs decide: a client with a secret must always present
//! it, and a code that was asked for without a challenge is refused with a verifier.
//! A request's body is at most 64 KiB, and has a `Content-Length`.
//!
//! It speaks HTTP/1.1 by itself, one request per connection, because a test server must be able
//! to hang up on a client in the middle of an exchange.

#![expect(
    clippy::disallowed_methods,
    reason = "a server and a browser have sockets, threads and a clock; the rules don't"
)]

pub mod answers;
mod api;
mod builder;
#[cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]
mod check_store;
mod desk;
mod fault;
mod form;
mod http;
mod listener;
mod pages;
mod person;
mod provider;
mod recorded;
mod redirect;
mod revocation;
mod server;
mod simulation;
mod socket;
#[cfg(feature = "proptest")]
pub mod strategies;
#[cfg(test)]
mod tests;
mod token;

pub use builder::FakeProviderBuilder;
#[cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]
pub use check_store::check_store;
pub use fault::Fault;
pub use person::{Answer, Landing, Person};
pub use provider::FakeProvider;
pub use recorded::{Endpoint, RecordedRequest};
pub use server::Rotation;
pub use simulation::{
    Behaviour, Counterexample, Flaw, Plan, Program, Run, SaveFailed, Simulation, Step, Transcript,
    World,
};
