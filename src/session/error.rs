//! Why a session has no token to give.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use crate::driver::clock::NoEntropy;
use crate::driver::loopback::{BindError, ListenError};
use crate::error::{ConfigError, Failure, Misuse, WhatNow};
use crate::flow::access_token::NotBearer;
use crate::session::Session;
use crate::session::store::StoreError;
use crate::time::Timestamp;
use crate::wire::callback::IgnoredCallback;
use crate::wire::http::TransportError;

/// Why a login did not happen, or a session has no token to give. [`what_now`](Self::what_now) says
/// what to do; `source` says more.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The configuration can't work. No browser was opened.
    Config(ConfigError),
    /// The redirect can't be listened for. No browser was opened.
    Bind(BindError),
    /// The listener broke down while it waited.
    Listen(ListenError),
    /// The operating system has no randomness to give.
    NoEntropy(NoEntropy),
    /// The login can't be loaded or saved, or what is stored can't be used
    /// ([`kind`](StoreError::kind) says which). Nothing was thrown away.
    Store(StoreError),
    /// A login can't be saved. If the person has come back already, they are logged in: the session's
    /// [`access_token`](Session::access_token) tries to save again, and works once that does.
    NotSaved {
        /// Why.
        error: StoreError,
        /// The session.
        session: Session,
    },
    /// The login failed.
    Login(Box<Failure>),
    /// There is no token, and only a new login will bring one.
    SignIn(Option<Box<Failure>>),
    /// There is no valid token now; a refresh failed, but a later one may work.
    NotNow {
        /// Why the last refresh failed.
        failure: Option<Box<Failure>>,
        /// Before this nothing is tried without being told.
        retry_at: Option<Timestamp>,
    },
    /// A callback was not this login's answer. The login goes on waiting.
    CallbackIgnored(IgnoredCallback),
    /// The token can't be used as a bearer token.
    NotBearer(NotBearer),
    /// The URL is not on one of the provider's API origins, so it gets no token.
    ForeignOrigin,
    /// The call to the API can't be sent; the text says what to write instead.
    Request(&'static str),
    /// The API gave no answer.
    Transport(TransportError),
    /// The API answered with an error, or with something that could not be read.
    Api {
        /// The HTTP status.
        status: u16,
        /// What `Retry-After` asked for.
        retry_after: Option<Duration>,
    },
    /// A bug of this crate's: the session used its machine out of order.
    Misuse(Misuse),
}

impl Error {
    /// What the program should do now.
    #[must_use]
    pub fn what_now(&self) -> WhatNow {
        match self {
            Self::Config(_)
            | Self::Bind(_)
            | Self::Request(_)
            | Self::NotBearer(_)
            | Self::ForeignOrigin => WhatNow::Configuration,
            Self::Api {
                status,
                retry_after,
            } => match status {
                200..=299 => WhatNow::Bug,
                401 => WhatNow::SignIn,
                429 | 500..=599 => WhatNow::Retry {
                    after: *retry_after,
                },
                // A missing scope, or a wrong address.
                _ => WhatNow::Configuration,
            },
            Self::Login(failure) => failure.what_now(),
            Self::NotNow { failure, .. } => match failure {
                Some(failure) => failure.what_now(),
                None => WhatNow::Retry { after: None },
            },
            Self::SignIn(_) => WhatNow::SignIn,
            Self::Store(error) | Self::NotSaved { error, .. } => error.what_now(),
            Self::CallbackIgnored(_) => WhatNow::Ignore,
            Self::Listen(_) | Self::Transport(_) => WhatNow::Retry { after: None },
            Self::NoEntropy(_) | Self::Misuse(_) => WhatNow::Bug,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Bind(error) => error.fmt(f),
            Self::Listen(error) => error.fmt(f),
            Self::NoEntropy(error) => error.fmt(f),
            Self::Store(error) => write!(f, "the saved login: {error}"),
            Self::NotSaved { error, .. } => write!(f, "the login could not be saved: {error}"),
            Self::Login(failure) => failure.fmt(f),
            Self::SignIn(None) => f.write_str("nobody is logged in: sign in"),
            Self::SignIn(Some(failure)) => write!(f, "{failure}: sign in again"),
            Self::NotNow { failure, .. } => match failure {
                Some(failure) => write!(f, "no valid access token now: {failure}"),
                None => f.write_str("no valid access token now: the server's tokens end, or are rejected, at once"),
            },
            Self::CallbackIgnored(ignored) => ignored.fmt(f),
            Self::NotBearer(error) => error.fmt(f),
            Self::Request(problem) => write!(f, "the call to the API: {problem}"),
            Self::ForeignOrigin => f.write_str(
                "the token goes to the provider's API only: write an absolute URL there, or name its origin with Provider::api_origin()",
            ),
            Self::Transport(error) => write!(f, "the API: {error}"),
            Self::Api { status, .. } => match status {
                200..=299 => write!(f, "the API's answer (HTTP {status}) is not what was expected"),
                _ => write!(f, "the API answered HTTP {status}"),
            },
            Self::Misuse(misuse) => misuse.fmt(f),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Store(error) | Self::NotSaved { error, .. } => error.source(),
            // What the text says already is not said again by a source.
            Self::Login(failure)
            | Self::SignIn(Some(failure))
            | Self::NotNow {
                failure: Some(failure),
                ..
            } => failure.source(),
            _ => None,
        }
    }
}

macro_rules! from {
    ($($from:ty => $variant:ident,)*) => {
        $(impl From<$from> for Error {
            fn from(error: $from) -> Self {
                Self::$variant(error)
            }
        })*
    };
}

from! {
    ConfigError => Config,
    BindError => Bind,
    ListenError => Listen,
    NoEntropy => NoEntropy,
    StoreError => Store,
    NotBearer => NotBearer,
}

impl From<Misuse> for Error {
    fn from(misuse: Misuse) -> Self {
        match misuse {
            Misuse::NoSession | Misuse::NoRefreshToken => Self::SignIn(None),
            other => Self::Misuse(other),
        }
    }
}
