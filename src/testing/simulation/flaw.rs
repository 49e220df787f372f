//! What a right program never does.

use std::fmt;

/// A promise that the program under test broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Flaw {
    /// Actions were left in [`AuthFlow::poll_action`](crate::AuthFlow::poll_action) after an event.
    ActionsLeft,
    /// An [`Action::Send`](crate::Action::Send) was not sent.
    RequestNotSent,
    /// An [`Action::Send`](crate::Action::Send) was sent twice.
    RequestSentTwice,
    /// What came back, or that nothing did, was not handed to the flow.
    ResponseNotHandled,
    /// A code was sent twice: it is single-use (RFC 6749 section 4.1.2).
    CodeSentTwice,
    /// A token was used before it was saved.
    UsedBeforeSaved,
    /// The program ended, or came to rest, with other tokens than those it has saved.
    NotSaved,
    /// The program started, and did not go on with what was saved.
    NotRestored,
    /// A browser that came to the redirect URI never got an answer.
    BrowserNotAnswered,
    /// The provider was asked more often than the flow's waits allow.
    TooManyRequests,
    /// The flow's deadline was over for a minute, and the program did not wake.
    Overslept,
    /// The program wakes again and again, and no time passes.
    BusyLoop,
    /// The program had a live refresh token, and has none now, although nobody logged out: an answer
    /// without a new one means that the old one goes on (RFC 6749 section 6).
    RefreshTokenForgotten,
    /// The program's refresh token is dead at the provider, and neither the person nor the provider
    /// nor a lost answer has ended it.
    DeadRefreshToken,
    /// The network is well and the refresh token is live, but for a day the program does not get in
    /// without a new login.
    LockedOut,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ActionsLeft => {
                "actions were left in the flow: drain poll_action after each event"
            }
            Self::RequestNotSent => "a request that the flow asked for was not sent",
            Self::RequestSentTwice => "a request was sent twice",
            Self::ResponseNotHandled => "the outcome of a request was not handed to the flow",
            Self::CodeSentTwice => "an authorization code was sent twice",
            Self::UsedBeforeSaved => "a token was used before it was saved: a crash would lose it",
            Self::NotSaved => "what is saved is not what the program has: its tokens are lost",
            Self::NotRestored => "the program did not go on with what was saved",
            Self::BrowserNotAnswered => "a browser waits for an answer that never comes",
            Self::TooManyRequests => "too many requests were made",
            Self::Overslept => "the flow's deadline passed and it got no Tick",
            Self::BusyLoop => "the program wakes without end, and no time passes",
            Self::RefreshTokenForgotten => "a refresh token was forgotten that is still live",
            Self::DeadRefreshToken => "the refresh token is dead, and nobody has ended it",
            Self::LockedOut => "the refresh token is live, but the program does not get in",
        })
    }
}

impl std::error::Error for Flaw {}
