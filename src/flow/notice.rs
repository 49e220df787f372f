//! What the program is told.

use crate::error::{Failure, WhatNow};
use crate::flow::event::TokenSerial;
use crate::time::Timestamp;
use crate::wire::callback::IgnoredCallback;
use crate::wire::http::RequestId;

/// News. None of them needs an answer; each says what the program may want to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The person is logged in, and the tokens have been offered for saving.
    LoggedIn,
    /// New tokens have taken the place of the old ones, and have been offered for saving.
    Refreshed,
    /// A refresh failed. The tokens are kept; the refresh token too, even if the server refused it.
    RefreshFailed {
        /// Why, and what to do now.
        failure: Box<Failure>,
        /// When the machine tries again by itself, if it does.
        retry_at: Option<Timestamp>,
    },
    /// A login ended without tokens. A session from before it is still there.
    LoginFailed(Box<Failure>),
    /// Something reached the redirect URI that is not this login's answer. The login goes on.
    CallbackIgnored(IgnoredCallback),
    /// A response to a request that nobody waits for any more.
    StaleResponse(RequestId),
    /// A rejection of an access token that is no longer the current one.
    StaleRejection(TokenSerial),
    /// The access token has ended.
    Expired,
    /// Logged out: everything is forgotten here. The provider has not been told.
    SessionEnded,
}

impl Notice {
    /// Its name in transcripts.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::LoggedIn => "logged_in",
            Self::Refreshed => "refreshed",
            Self::RefreshFailed { .. } => "refresh_failed",
            Self::LoginFailed(_) => "login_failed",
            Self::CallbackIgnored(_) => "callback_ignored",
            Self::StaleResponse(_) => "stale_response",
            Self::StaleRejection(_) => "stale_rejection",
            Self::Expired => "expired",
            Self::SessionEnded => "session_ended",
        }
    }

    /// What the program should do now, if anything is wrong.
    #[must_use]
    pub fn what_now(&self) -> Option<WhatNow> {
        match self {
            Self::RefreshFailed { failure, .. } | Self::LoginFailed(failure) => {
                Some(failure.what_now())
            }
            Self::CallbackIgnored(_) | Self::StaleResponse(_) | Self::StaleRejection(_) => {
                Some(WhatNow::Ignore)
            }
            Self::LoggedIn | Self::Refreshed | Self::Expired | Self::SessionEnded => None,
        }
    }
}
