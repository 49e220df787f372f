//! What can go wrong, in three rooms: the configuration ([`ConfigError`]), the caller's order of
//! calls ([`Misuse`]), and the world ([`Failure`]).

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::wire::http::TransportError;

/// A fault of configuration, found before anything is opened or sent. The text says what to write
/// instead.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// An endpoint can't be used; the text says which and why.
    Endpoint {
        /// Which one: `token endpoint`, for instance, or `API origin`.
        name: &'static str,
        /// What to write instead.
        problem: &'static str,
    },
    /// The redirect URI can't be used with this provider.
    RedirectUri {
        /// What to write instead.
        problem: &'static str,
    },
    /// This scope holds a character that RFC 6749 section 3.3 does not allow.
    Scope(String),
    /// The client id is empty or holds a control character.
    ClientId,
    /// The client secret holds a control character.
    ClientSecret,
    /// The client id holds a `:`, which [`ClientAuth::BasicUnencoded`](crate::ClientAuth) can't send
    /// (RFC 7617 section 2).
    ColonInClientId,
    /// An extra parameter, or one in the authorization endpoint's query, is one that the flow itself
    /// sends.
    ReservedParameter(String),
    /// An extra parameter is given twice.
    RepeatedParameter(String),
    /// The value of an extra parameter can't be sent; the text says why.
    Parameter {
        /// The parameter.
        name: String,
        /// What to write instead.
        problem: &'static str,
    },
    /// A provider that always sends `iss` (RFC 9207) needs an issuer to compare it with.
    IssuerMissing,
    /// A client that speaks token swap has a secret, which belongs to the backend.
    SecretBesideTokenSwap,
    /// The client credentials grant is for clients with a secret (RFC 6749 section 4.4).
    SecretMissing,
}

impl ConfigError {
    /// The variant's name, for transcripts.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Endpoint { .. } => "Endpoint",
            Self::RedirectUri { .. } => "RedirectUri",
            Self::Scope(_) => "Scope",
            Self::ClientId => "ClientId",
            Self::ClientSecret => "ClientSecret",
            Self::ColonInClientId => "ColonInClientId",
            Self::ReservedParameter(_) => "ReservedParameter",
            Self::RepeatedParameter(_) => "RepeatedParameter",
            Self::Parameter { .. } => "Parameter",
            Self::IssuerMissing => "IssuerMissing",
            Self::SecretBesideTokenSwap => "SecretBesideTokenSwap",
            Self::SecretMissing => "SecretMissing",
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint { name, problem } => write!(f, "{name}: {problem}"),
            Self::RedirectUri { problem } => write!(f, "redirect URI: {problem}"),
            Self::Scope(scope) => write!(
                f,
                "scope {scope:?}: pass each scope as a string of its own, without spaces or quotes"
            ),
            Self::ClientId => f.write_str(
                "client id: pass the id the provider gave you, not empty and without line breaks or other control characters",
            ),
            Self::ClientSecret => f.write_str(
                "client secret: pass the secret the provider gave you, without line breaks or other control characters",
            ),
            Self::ColonInClientId => f.write_str(
                "client id: it holds a colon, which unencoded Basic can't send: use ClientAuth::Basic or ClientAuth::Body",
            ),
            Self::ReservedParameter(name) => write!(
                f,
                "parameter {name:?} is set by the login itself: leave it out of the extras and of the endpoint's query, or use the builder's own method for it"
            ),
            Self::RepeatedParameter(name) => {
                write!(f, "parameter {name:?} is given twice: give it once")
            }
            Self::Parameter { name, problem } => write!(f, "parameter {name:?}: {problem}"),
            Self::IssuerMissing => f.write_str(
                "a provider that always sends iss needs its issuer: call issuer(\"https://…\") too",
            ),
            Self::SecretBesideTokenSwap => f.write_str(
                "client secret: with a token swap it stays with the backend: leave it out here",
            ),
            Self::SecretMissing => f.write_str(
                "client secret: an app's own token needs one: call secret(\"…\") too",
            ),
        }
    }
}

impl Error for ConfigError {}

/// The caller did something out of order. Nothing has changed: the machine is exactly as it was, and
/// no action was queued. A program whose events wait in a queue may see one after a race that it lost,
/// a click on "cancel" just after the login ended for instance; then there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// A login is already under way: cancel it first.
    LoginInProgress,
    /// There is no login to cancel.
    NoLogin,
    /// Nobody is logged in, so there is nothing to refresh.
    NoSession,
    /// There is no refresh token, or the server has rejected it: begin a login.
    NoRefreshToken,
    /// A refresh is in flight; tokens can be adopted once it has ended.
    RefreshInFlight,
    /// A token to adopt is empty, or holds something else than visible ASCII.
    InvalidToken,
    /// The redirect URI is of a kind that this flow's provider does not take. Make it with
    /// [`Client::redirect_uri`](crate::Client::redirect_uri) of the same client.
    RedirectUriNotAllowed,
}

impl Misuse {
    /// The variant's name, for transcripts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LoginInProgress => "LoginInProgress",
            Self::NoLogin => "NoLogin",
            Self::NoSession => "NoSession",
            Self::NoRefreshToken => "NoRefreshToken",
            Self::RefreshInFlight => "RefreshInFlight",
            Self::InvalidToken => "InvalidToken",
            Self::RedirectUriNotAllowed => "RedirectUriNotAllowed",
        }
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LoginInProgress => "a login is already under way: cancel it first",
            Self::NoLogin => "there is no login to cancel",
            Self::NoSession => "nobody is logged in: begin a login",
            Self::NoRefreshToken => "there is no usable refresh token: begin a login",
            Self::RefreshInFlight => "a refresh is in flight: adopt tokens once it has ended",
            Self::InvalidToken => "a token to adopt is empty or not visible ASCII",
            Self::RedirectUriNotAllowed => {
                "this provider does not take such a redirect URI: make it with this client's redirect_uri()"
            }
        })
    }
}

impl Error for Misuse {}

/// Something the world did: the person, the network or the provider. Every failure answers
/// [`what_now`](Failure::what_now).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// In which step it happened.
    pub phase: Phase,
    /// What happened.
    pub cause: Cause,
}

/// The step that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Between opening the authorization URL and the redirect back.
    Authorization,
    /// Exchanging the authorization code for tokens.
    Exchange,
    /// Refreshing.
    Refresh,
    /// Asking for a token of the app's own (RFC 6749 section 4.4).
    ClientCredentials,
    /// Revoking a token (RFC 7009).
    Revocation,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The authorization server sent the person back with an `error`: mostly `access_denied`, the
    /// person said no (RFC 6749 section 4.1.2.1).
    Denied(OAuthError),
    /// [`Event::CancelLogin`](crate::Event::CancelLogin).
    Cancelled,
    /// Nothing came before the deadline.
    TimedOut,
    /// The token endpoint answered with an OAuth error (RFC 6749 section 5.2).
    OAuth(OAuthError),
    /// The token endpoint answered with a status of 300 or more and no OAuth error.
    Http(BadResponse),
    /// The token endpoint answered 2xx with something that is no token response.
    Unreadable(BadResponse),
    /// No answer came.
    Transport(TransportError),
}

/// An OAuth error as the server gave it. The code is verbatim; the texts are limited to the
/// characters of RFC 6749 section 5.2 and 256 bytes, so they can be shown on a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OAuthError {
    /// For instance `invalid_grant`. Unknown codes are kept.
    pub code: String,
    /// For the developer; prose, not for decisions.
    pub description: Option<String>,
    /// A page about the error.
    pub uri: Option<String>,
    /// The HTTP status; `None` if it came by the redirect.
    pub status: Option<u16>,
    /// What `Retry-After` asked for.
    pub retry_after: Option<Duration>,
}

/// A response that says nothing in the protocol's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BadResponse {
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with it.
    pub problem: &'static str,
    /// A short printable piece of the body, if that could be had without risk of showing a secret.
    pub snippet: Option<String>,
    /// What `Retry-After` asked for.
    pub retry_after: Option<Duration>,
}

/// The one question every failure answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhatNow {
    /// Try again later, if known after this long. A session has lost nothing; a login that failed so has to be
    /// begun anew.
    Retry {
        /// The wait the server asked for.
        after: Option<Duration>,
    },
    /// Send the person through the login again.
    SignIn,
    /// Mend the configuration: client id, secret, scopes, endpoints.
    Configuration,
    /// The person said no. Respect it.
    Denied,
    /// An attack or noise: nothing needs doing.
    Ignore,
    /// A bug, ours or the program's.
    Bug,
}

impl WhatNow {
    /// Its name in transcripts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Retry { .. } => "retry",
            Self::SignIn => "sign_in",
            Self::Configuration => "configuration",
            Self::Denied => "denied",
            Self::Ignore => "ignore",
            Self::Bug => "bug",
        }
    }
}

/// For the person, in a few words.
impl fmt::Display for WhatNow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Retry { after: Some(after) } => {
                // Rounded up: a second too early is a refusal more.
                let seconds = after
                    .as_secs()
                    .saturating_add(u64::from(after.subsec_nanos() > 0));
                return write!(f, "try again in {seconds} s");
            }
            Self::Retry { after: None } => "try again later",
            Self::SignIn => "sign in again",
            Self::Configuration => "mend the configuration, as the error says",
            Self::Denied => "nothing to do: the person said no",
            Self::Ignore => "nothing to do: it was not meant for this login",
            Self::Bug => "report it: this should not happen",
        })
    }
}

impl Failure {
    pub(crate) fn new(phase: Phase, cause: Cause) -> Self {
        Self { phase, cause }
    }

    /// What the program should do now.
    #[must_use]
    pub fn what_now(&self) -> WhatNow {
        let retry = WhatNow::Retry {
            after: self.retry_after(),
        };
        match &self.cause {
            Cause::Cancelled => WhatNow::Denied,
            Cause::TimedOut if self.phase == Phase::Refresh => retry,
            Cause::TimedOut => WhatNow::SignIn,
            Cause::Denied(error) | Cause::OAuth(error) => error.what_now(),
            Cause::Http(answer) => match answer.status {
                // A redirect, a missing page, a wrong method or type: not a token endpoint.
                300..=399 | 404 | 405 | 410 | 415 => WhatNow::Configuration,
                _ => retry,
            },
            Cause::Unreadable(_) | Cause::Transport(_) => retry,
        }
    }

    /// Whether trying the same request again later may work: no answer, 429, or 5xx.
    pub(crate) fn is_transient(&self) -> bool {
        match &self.cause {
            Cause::TimedOut | Cause::Transport(_) => true,
            _ => self.status().is_some_and(is_transient_status),
        }
    }

    /// The OAuth error, if the server gave one.
    #[must_use]
    pub fn oauth_error(&self) -> Option<&OAuthError> {
        match &self.cause {
            Cause::Denied(error) | Cause::OAuth(error) => Some(error),
            _ => None,
        }
    }

    /// The HTTP status, if there was a response.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match &self.cause {
            Cause::Denied(error) | Cause::OAuth(error) => error.status,
            Cause::Http(answer) | Cause::Unreadable(answer) => Some(answer.status),
            Cause::Cancelled | Cause::TimedOut | Cause::Transport(_) => None,
        }
    }

    /// What `Retry-After` asked for, reported in full however long it is.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match &self.cause {
            Cause::Denied(error) | Cause::OAuth(error) => error.retry_after,
            Cause::Http(answer) | Cause::Unreadable(answer) => answer.retry_after,
            Cause::Cancelled | Cause::TimedOut | Cause::Transport(_) => None,
        }
    }

    /// The cause's name in transcripts.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.cause {
            Cause::Denied(_) => "denied",
            Cause::Cancelled => "cancelled",
            Cause::TimedOut => "timed_out",
            Cause::OAuth(_) => "oauth",
            Cause::Http(_) => "http",
            Cause::Unreadable(_) => "unreadable",
            Cause::Transport(_) => "transport",
        }
    }
}

pub(crate) fn is_transient_status(status: u16) -> bool {
    status == 429 || (500..=599).contains(&status)
}

impl OAuthError {
    fn what_now(&self) -> WhatNow {
        let retry = WhatNow::Retry {
            after: self.retry_after,
        };
        if self.status.is_some_and(is_transient_status) {
            return retry;
        }
        match self.code.as_str() {
            "access_denied" => WhatNow::Denied,
            "server_error" | "temporarily_unavailable" | "slow_down" => retry,
            "invalid_client"
            | "unauthorized_client"
            | "unsupported_grant_type"
            | "unsupported_response_type"
            | "invalid_scope"
            | "invalid_request"
            | "invalid_target" => WhatNow::Configuration,
            // invalid_grant, login_required, consent_required, and whatever else a server makes up
            // to say that this grant is of no use.
            _ => WhatNow::SignIn,
        }
    }
}

impl fmt::Display for OAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)?;
        if let Some(description) = &self.description {
            write!(f, ": {description}")?;
        }
        if let Some(status) = self.status {
            write!(f, " (HTTP {status})")?;
        }
        Ok(())
    }
}

impl fmt::Display for BadResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (HTTP {})", self.problem, self.status)?;
        match &self.snippet {
            Some(snippet) => write!(f, ": {snippet}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.phase {
            Phase::Authorization => "login failed: ",
            Phase::Exchange => "login failed at the token endpoint: ",
            Phase::Refresh => "refresh failed: ",
            Phase::ClientCredentials => "no token for the app: ",
            Phase::Revocation => "the token was not revoked: ",
        })?;
        match &self.cause {
            Cause::Denied(error) if error.code == "access_denied" => {
                write!(f, "the person said no ({error})")
            }
            Cause::Denied(error) | Cause::OAuth(error) => write!(f, "the server said {error}"),
            Cause::Cancelled => f.write_str("it was cancelled"),
            Cause::TimedOut if self.phase == Phase::Authorization => {
                f.write_str("nobody came back from the browser in time; if it showed an error, check the client id and the registered redirect URI")
            }
            Cause::TimedOut => f.write_str("no answer came in time"),
            Cause::Http(answer) | Cause::Unreadable(answer) => answer.fmt(f),
            Cause::Transport(error) => error.fmt(f),
        }
    }
}

impl Error for Failure {}
