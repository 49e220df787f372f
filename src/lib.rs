//! authflow
#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(any(
    feature = "ureq",
    feature = "loopback",
    feature = "browser",
    feature = "os-rng"
))]
mod driver;
mod error;
mod flow;
mod provider;
mod secret;
#[cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]
pub mod session;
mod time;
mod wire;

pub use error::{BadResponse, Cause, ConfigError, Failure, Misuse, OAuthError, Phase, WhatNow};
pub use flow::action::{Action, Verdict};
pub use flow::event::{Event, TokenSerial, TokenSet};
pub use flow::notice::Notice;
pub use flow::snapshot::{RestoreError, Snapshot};
pub use flow::{AccessTokenRef, Activity, AuthFlow, NotBearer, State};
pub use provider::client::{Client, ClientBuilder};
pub use provider::{Provider, ProviderBuilder, spotify};
pub use secret::Secret;
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

#[cfg(feature = "browser")]
pub use driver::browser;
#[cfg(feature = "os-rng")]
pub use driver::clock;
#[cfg(feature = "ureq")]
pub use driver::http;
#[cfg(feature = "loopback")]
pub use driver::loopback;
#[cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]
pub use session::{Login, Session};
