//! Logs a person in with OAuth 2.0's authorization code flow, and keeps them logged in. Spotify comes
//! first, any provider second.
//!
//! The whole protocol is one explicit state machine that does no IO, [`AuthFlow`]. Small drivers
//! around it do: HTTP, the listener for the redirect, the browser, the clock. Use all of it in five
//! lines, or any part of it alone. Nothing here is async, and nothing needs a runtime.
//!
//! # Five lines
//!
//! ```no_run
//! # #[cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]
//! # fn main() -> Result<(), authflow::session::Error> {
//! use authflow::session::FileStore;
//! use authflow::{Login, spotify};
//!
//! let session = Login::new(spotify::client("your-client-id"))
//!     .scopes([spotify::Scope::UserReadEmail])
//!     .store(FileStore::for_app("my-app")?)
//!     .run()?; // the browser opens, the person agrees, and is in; tomorrow no browser opens
//! let me: serde_json::Value = session.get("https://api.spotify.com/v1/me")?.read_json()?;
//! # Ok(())
//! # }
//! # #[cfg(not(all(feature = "ureq", feature = "loopback", feature = "os-rng")))]
//! # fn main() {}
//! ```
//!
//! In Spotify's dashboard, register the redirect URI `http://127.0.0.1/callback`, without a port. Any
//! other provider is a [`Provider`]: [`github`], [`google`], [`microsoft`], [`discord`] and [`twitch`] are
//! here, and [`Provider::new`] makes more. To try it all without one, run the example `login`: it
//! brings a fake provider along (feature `testing`).
//!
//! # Where to read on
//!
//! 1. **To use it**, one of the [guides](guide): for programs with a [window](guide::desktop), a
//!    [command line](guide::terminal), machines [without a browser](guide::headless),
//!    [web backends](guide::web_backend), [a store of your own](guide::store_of_your_own), other
//!    [providers](guide::providers), or for those who [come from elsewhere](guide::migration).
//! 2. **To know the parts that most programs need**: [`Login`] begins, [`Session`] goes on,
//!    [`session::Store`] keeps, and [`WhatNow`] is what to do when something fails.
//! 3. **To drive it yourself**: the machine, right below, then [`AuthFlow`] with its table of
//!    transitions, [`Event`], [`Action`], [`Notice`]; then [event loops](guide::event_loops).
//! 4. **To test your program** with it: [testing](guide::testing).
//! 5. **To trust it**: [what is defended](guide::threat_model), and what is not.
//!
//! # The machine
//!
//! ```text
//!                 BeginLogin                  tokens
//! ┌──────────────┐ ───────▶ ┌──────────────┐ ────────▶ ┌──────────────┐
//! │ Unauthorized │          │ AwaitingCode │           │  Authorized  │ ◀─┐
//! └──────────────┘ ◀─────── └──────────────┘ ◀──────── └──────────────┘   │
//!         ▲        failed,      ▲   │      BeginLogin    │ the token      │
//!         │        nobody       │   │                    │ ends, or the   │ refreshed
//!         │        was in       │   └─ failed: back      ▼ API says 401   │
//!         │                     │      to where     ┌──────────────┐      │
//!         │                     │      it began     │   Expired    │ ─────┘
//!         │                     └────────────────── └──────────────┘
//!         └─ LogOut, from anywhere     BeginLogin
//! ```
//!
//! > **The contract.** [Handle](AuthFlow::handle) an event → drain
//! > [`poll_action`](AuthFlow::poll_action) → wait for input or for the
//! > [`deadline`](AuthFlow::deadline), whichever comes first.
//!
//! Time and entropy are arguments, so the same inputs give the same outputs, byte for byte: a
//! transcript replays, and a property test shrinks. In a window's loop, a game's, or over mio it goes as
//! the guide [`event_loops`](guide::event_loops) says. By hand it looks like this:
//!
//! ```
//! use authflow::{Action, AuthFlow, CallbackUrl, Event, HttpResponse, LoginSecrets, State, Timestamp};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = authflow::spotify::client("your-client-id").build()?;
//! let redirect_uri = client.redirect_uri("http://127.0.0.1:8888/callback")?;
//! let now = Timestamp::from_millis(1_700_000_000_000);
//! let mut flow = AuthFlow::new(client);
//!
//! // Unauthorized: send the person to the browser. 64 fresh random bytes are the login's secrets.
//! let secrets = LoginSecrets::from_entropy(std::array::from_fn(|at| at as u8));
//! flow.handle(Event::BeginLogin { secrets, redirect_uri }, now)?;
//! let mut url = None;
//! while let Some(action) = flow.poll_action() {
//!     match action {
//!         Action::Persist => {} // save flow.snapshot(), if the login is to survive a restart
//!         Action::OpenUrl(open) => url = Some(open),
//!         other => unreachable!("{other:?}"),
//!     }
//! }
//! assert_eq!(flow.state(), State::AwaitingCode);
//!
//! // AwaitingCode: whatever reaches the redirect URI goes in. The machine says if it is the answer.
//! # let url = url.ok_or("no URL")?;
//! # let state = url.as_str().split("state=").nth(1).and_then(|s| s.split('&').next()).unwrap_or("");
//! let callback = CallbackUrl::new(format!("/callback?code=the-code&state={state}"));
//! flow.handle(Event::Callback { url: callback }, now)?;
//! let mut id = None;
//! while let Some(action) = flow.poll_action() {
//!     match action {
//!         Action::AnswerCallback(_verdict) => {} // the page, once the exchange has ended
//!         Action::Send(request) => id = Some(request.id()), // POST request.body() to request.url()
//!         other => unreachable!("{other:?}"),
//!     }
//! }
//!
//! // Still AwaitingCode, exchanging: the response goes in, whatever its status.
//! # let id = id.ok_or("no request")?;
//! let body = r#"{"access_token":"AT","token_type":"Bearer","expires_in":3600,"refresh_token":"RT"}"#;
//! flow.handle(Event::Response { id, result: Ok(HttpResponse::new(200, body)) }, now)?;
//! while let Some(_action) = flow.poll_action() {} // Persist, then Notify(LoggedIn)
//!
//! // Authorized: there is a token, and the machine says when it wants to be woken.
//! assert_eq!(flow.state(), State::Authorized);
//! assert!(flow.access_token(now).is_some());
//! assert!(flow.deadline().is_some());
//! # Ok(())
//! # }
//! ```
//!
//! Every transition is in the table at [`AuthFlow`]. Every [`Failure`] answers one question:
//! [what now?](Failure::what_now)
//!
//! # What it sees to
//!
//! - PKCE (S256) and a state, always, fresh for each login; the state is compared before anything else
//!   in a callback is believed, and a callback that is not ours never ends a login.
//! - A refresh token is never forgotten: an answer without a new one keeps the old, a new one is saved
//!   before it is used, only `invalid_grant` ends its use, and even then it is kept.
//! - Redirect URIs go out exactly as they were written, `localhost` for Spotify is refused before a
//!   browser opens, and a port that is taken is named.
//! - One refresh at a time, over all threads and over all processes that share a [`session::Store`].
//! - Tokens, codes and secrets never reach `Debug`, `Display`, an error text or a log record.
//!
//! # Logging
//!
//! Drivers and session say what happens through [`log`](https://docs.rs/log): logins, refreshes and
//! log-outs at info, what fails or is ignored at warn, the rest at debug. The core says nothing: it has
//! notices. ureq logs too: down to debug without tokens, but **at the level of trace it writes down the
//! bytes of every request and answer, with all tokens**. See [`http`] for the target to leave out.
//!
//! # Features
//!
//! Each adds API and its dependency, none changes what the machine does. Without any, this is the
//! sans-IO core.
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `ureq` | yes | [`http`]: sends requests with ureq 3 |
//! | `rustls` | yes | TLS for it: rustls, ring, Mozilla's roots |
//! | `native-tls` | | TLS for it: the system's; with `rustls` off |
//! | `platform-verifier` | | checks certificates against the system's roots |
//! | `loopback` | yes | [`loopback`]: receives the redirect, with sockets that keep to a time, a size and a number |
//! | `browser` | yes | [`browser`]: opens the URL, with `open`; [`Login`] does so by itself then |
//! | `os-rng` | yes | [`Timestamp::now`] and [`LoginSecrets::generate`], with getrandom |
//! | `keyring` | | [`session::KeyringStore`]: the system's keyring, with `keyring-core` and no async runtime |
//! | `redis` | | [`session::RedisStore`], [`session::RedisPendingLogins`]: for web backends, with the blocking client of `redis`, five crates |
//! | `testing` | | [`testing`]: a fake provider, a person to click in it, and a simulator for programs of yours |
//! | `proptest` | | [`testing::strategies`]: what property tests draw from, with proptest; brings `testing` |
//!
//! [`Login`] and [`Session`] need `ureq`, `loopback` and `os-rng`; they bring [`session::FileStore`].
//!
//! # What is left out
//!
//! - **The implicit grant and the password grant.** OAuth 2.1 drops both, and Spotify ended the first
//!   on 2025-11-27. Use this flow: a public client needs no secret for it either. A program that speaks
//!   for nobody uses [`session::ClientCredentials`].
//! - **Async.** The machine has no opinion; drive it from any runtime.
//! - **Validation of ID tokens.** They are handed over as they came.
//! - **The device grant and token introspection.**
//! - **PAR, DPoP, mTLS, JARM**: not asked for by programs of this kind.

#![forbid(unsafe_code)]
#![deny(
    missing_docs,
    missing_debug_implementations,
    clippy::disallowed_methods
)]
#![cfg_attr(docsrs, feature(doc_cfg))]
// The table of features names modules that may not be built.
#![cfg_attr(
    not(all(
        feature = "ureq",
        feature = "loopback",
        feature = "browser",
        feature = "os-rng",
        feature = "keyring",
        feature = "redis",
        feature = "testing",
        feature = "proptest"
    )),
    allow(rustdoc::broken_intra_doc_links)
)]

#[cfg(any(
    feature = "ureq",
    feature = "loopback",
    feature = "browser",
    feature = "os-rng"
))]
mod driver;
mod error;
mod flow;
#[cfg(any(doc, doctest))]
pub mod guide;
mod provider;
mod secret;
#[cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]
pub mod session;
#[cfg(feature = "testing")]
pub mod testing;
mod time;
mod wire;

#[cfg(feature = "browser")]
pub use driver::browser;
#[cfg(feature = "os-rng")]
pub use driver::clock::NoEntropy;
#[cfg(feature = "ureq")]
pub use driver::http;
#[cfg(feature = "loopback")]
pub use driver::loopback;
pub use error::{BadResponse, Cause, ConfigError, Failure, Misuse, OAuthError, Phase, WhatNow};
pub use flow::access_token::{AccessTokenRef, NotBearer};
pub use flow::action::{Action, Verdict};
pub use flow::client_credentials::ClientCredentialsRequest;
pub use flow::event::{Event, TokenSerial, TokenSet};
pub use flow::notice::Notice;
pub use flow::snapshot::{RestoreError, Snapshot};
pub use flow::{Activity, AuthFlow, State};
pub use provider::client::{Client, ClientBuilder, TokenSwap};
pub use provider::revocation::RevocationRequest;
pub use provider::{Provider, discord, github, google, microsoft, spotify, twitch};
pub use secret::Secret;
#[cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]
pub use session::{Login, Session};
pub use time::Timestamp;
pub use wire::authorize::AuthorizationUrl;
pub use wire::callback::{CallbackUrl, IgnoredCallback, IgnoredReason};
pub use wire::http::{HttpRequest, HttpResponse, RequestId, TransportError, TransportErrorKind};
pub use wire::pkce::LoginSecrets;
pub use wire::redirect::RedirectUri;
pub use wire::repair::RepairStep;
pub use wire::scope::Scopes;
pub use wire::token_request::ClientAuth;
pub use wire::token_response::{Extra, TokenType};
