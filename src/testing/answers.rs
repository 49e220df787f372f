//! What token endpoints say: every way to write tokens, and every way to have none, each with what it
//! means. For tests of code that reads or passes on their answers.
//!
//! ```
//! use authflow::testing::answers::{Grant, Meaning, TokenAnswer, Writing};
//! use authflow::Timestamp;
//!
//! // An hour's tokens in the seventh of many ways to write them, as number 1.
//! let answer = TokenAnswer::Written(Grant::lasting(3_600_000), Writing::numbered(7));
//! let (meaning, reply) = answer.reply("what the request carried", 1, Timestamp::from_millis(0));
//! assert!(matches!(meaning, Meaning::Tokens(grant) if grant.number == 1));
//! let body = String::from_utf8_lossy(reply.as_ref().unwrap().body()).into_owned();
//! assert!(body.contains("SECRET-access-1"));
//! ```

mod writing;

pub use writing::Writing;

use crate::{HttpResponse, Timestamp, TransportError, TransportErrorKind};

const SECOND: u64 = 1000;
const HOUR: u64 = 3600 * SECOND;
const DAY: u64 = 24 * HOUR;
/// 14 November 2023, 22:13:20 UTC: the dates in the answers are near it.
const START: u64 = 1_700_000_000_000;

/// Lifetimes and waits are cut to this by the decoder.
const LONGEST: u64 = i32::MAX as u64 * SECOND;

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Meaning {
    /// These tokens.
    Tokens(Grant),
    /// No answer, 429 or 5xx: [`Failure::name`](crate::Failure::name), and how long to wait, in
    /// milliseconds, as far as `Retry-After` said it.
    Trouble(&'static str, u64),
    /// The code or the refresh token is no good (RFC 6749 section 5.2).
    InvalidGrant,
    /// Anything else, by [`Failure::name`](crate::Failure::name).
    Nonsense(&'static str),
}

/// New tokens: `SECRET-access-7` for the scopes `scope-7 other-7`, and perhaps `SECRET-refresh-7`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grant {
    /// What they are numbered with.
    pub number: u64,
    /// Whether there is a refresh token among them.
    pub refresh: bool,
    /// Whether the scopes are said.
    pub scope: bool,
    /// What is said of the access token's life.
    pub life: Lifetime,
}

/// What is said of an access token's life. In milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lifetime {
    /// Nothing.
    Unknown,
    /// That it is over.
    Zero,
    /// How long it is, from when the request was sent; 0 is written as a negative number.
    Lasts(u64),
    /// When it ends, since the Unix epoch: of tokens that are adopted.
    Until(u64),
}

impl Grant {
    /// The life of each refresh token, in milliseconds.
    pub const REFRESH_TOKEN_LIFE: u64 = 30 * DAY;

    /// Number 0, with everything, for so many milliseconds.
    #[must_use]
    pub const fn lasting(life: u64) -> Self {
        Self {
            number: 0,
            refresh: true,
            scope: true,
            life: Lifetime::Lasts(life),
        }
    }
}

impl Lifetime {
    /// From `now`, or from when the request was sent.
    #[must_use]
    pub fn length(self, now: u64) -> u64 {
        match self {
            Self::Lasts(life) => life,
            Self::Until(end) => end.saturating_sub(now),
            Self::Unknown | Self::Zero => 0,
        }
    }
}

impl Meaning {
    /// [`Failure::name`](crate::Failure::name) of the failure.
    #[must_use]
    pub fn cause(self) -> &'static str {
        match self {
            Self::Trouble(cause, _) | Self::Nonsense(cause) => cause,
            Self::InvalidGrant | Self::Tokens(_) => "oauth",
        }
    }

    /// How long to wait, in milliseconds, if trying again is of use.
    #[must_use]
    pub fn retry_after(self) -> Option<u64> {
        match self {
            Self::Trouble(_, retry_after) => Some(retry_after),
            _ => None,
        }
    }
}

/// What a token endpoint says.
#[derive(Clone, Copy, Debug)]
pub enum TokenAnswer {
    /// Tokens, as most write them.
    Tokens(Grant),
    /// The same as some servers write it.
    Written(Grant, Writing),
    /// A failure: below [`TokenAnswer::FAILURES`], or that many more again.
    Failure(usize),
    /// No answer came: below [`TokenAnswer::LOSSES`], or that many more again.
    Lost(usize),
}

/// Status, `Retry-After`, body and meaning. `ECHO` is what the request carried.
#[rustfmt::skip]
const FAILURES: [(u16, &str, &str, Meaning); 29] = [
    (429, "7", "slow down ECHO", Meaning::Trouble("http", 7 * SECOND)),
    (429, "7200", "", Meaning::Trouble("http", 2 * HOUR)),
    (429, "soon", r#"{"error":"slow_down"}"#, Meaning::Trouble("oauth", 0)),
    (429, "-5", "error=slow_down", Meaning::Trouble("oauth", 0)),
    (429, " 7 ", "\u{feff}{\"error\":\"slow_down\"}", Meaning::Trouble("oauth", 7 * SECOND)),
    (429, "99999999999999999999999", "", Meaning::Trouble("http", LONGEST)),
    (503, "Tue, 14 Nov 2023 22:15:00 GMT", "", Meaning::Trouble("http", BY_DATE)),
    (429, "Tuesday, 14-Nov-23 22:15:00 GMT", "ECHO", Meaning::Trouble("http", BY_DATE)),
    (503, "Tue Nov 14 23:13:20 2023", "{}", Meaning::Trouble("http", BY_DATE)),
    (429, "Fri, 31 Dec 9999 23:59:59 GMT", "", Meaning::Trouble("http", BY_DATE)),
    (503, "Thu, 01 Jan 1970 00:00:00 GMT", "", Meaning::Trouble("http", BY_DATE)),
    (503, "", r#"{"error":"ECHO"}"#, Meaning::Trouble("oauth", 0)),
    (500, "", r#"{"error":"invalid_grant"}"#, Meaning::Trouble("oauth", 0)),
    (503, "1", "<html>ECHO</html>", Meaning::Trouble("http", SECOND)),
    (599, "", r#"{"access_token":"SECRET-access-0"}"#, Meaning::Trouble("http", 0)),
    (400, "", r#"{"error":"invalid_grant","error_description":"ECHO"}"#, Meaning::InvalidGrant),
    (400, "", "error=invalid_grant&error_description=no", Meaning::InvalidGrant),
    (200, "", r#"{"error":"invalid_grant"}"#, Meaning::InvalidGrant),
    (200, "", r#"{"access_token":"SECRET-access-0","error":"server_error"}"#, Meaning::Nonsense("oauth")),
    (201, "7", "error=ECHO", Meaning::Nonsense("oauth")),
    (401, "", r#"{"error":"invalid_client","error_uri":"ECHO"}"#, Meaning::Nonsense("oauth")),
    (302, "9", "ECHO", Meaning::Nonsense("http")),
    (404, "", "no such page", Meaning::Nonsense("http")),
    (400, "", "access_token=SECRET-access-0", Meaning::Nonsense("http")),
    (200, "", "<html>ECHO</html>", Meaning::Nonsense("unreadable")),
    (204, "", "", Meaning::Nonsense("unreadable")),
    (200, "", "token_type=Bearer&expires_in=3600", Meaning::Nonsense("unreadable")),
    (200, "", r#"{"access_token":"SECRET-access-0","refresh_to"#, Meaning::Nonsense("unreadable")),
    (200, "", r#"{"access_token":"SECRET-\u0007","x":"ECHO"}"#, Meaning::Nonsense("unreadable")),
];

/// How long to wait follows from when it is: see [`DATES`].
const BY_DATE: u64 = u64::MAX;

const DATES: [(&str, u64); 5] = [
    ("Tue, 14 Nov 2023 22:15:00 GMT", START + 100 * SECOND),
    ("Tuesday, 14-Nov-23 22:15:00 GMT", START + 100 * SECOND),
    ("Tue Nov 14 23:13:20 2023", START + HOUR),
    ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799 * SECOND),
    ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
];

/// Why no answer came, and whether the request may have arrived, wherever that is a matter of luck.
const LOSSES: [(TransportErrorKind, bool); 14] = [
    (TransportErrorKind::Dns, false),
    (TransportErrorKind::Connect, false),
    (TransportErrorKind::Tls, false),
    (TransportErrorKind::Tls, true),
    (TransportErrorKind::Timeout, false),
    (TransportErrorKind::Timeout, true),
    (TransportErrorKind::Closed, false),
    (TransportErrorKind::Closed, true),
    (TransportErrorKind::Protocol, true),
    (TransportErrorKind::TooLarge, true),
    (TransportErrorKind::Cancelled, false),
    (TransportErrorKind::Cancelled, true),
    (TransportErrorKind::Other, false),
    (TransportErrorKind::Other, true),
];

/// From none to the longest there is.
pub(super) const LIVES: [Lifetime; 7] = [
    Lifetime::Unknown,
    Lifetime::Zero,
    Lifetime::Lasts(0),
    Lifetime::Lasts(SECOND),
    Lifetime::Lasts(90 * SECOND),
    Lifetime::Lasts(HOUR),
    Lifetime::Lasts(LONGEST),
];

impl TokenAnswer {
    /// How many failures there are.
    pub const FAILURES: usize = FAILURES.len();
    /// How many ways there are for no answer to come.
    pub const LOSSES: usize = LOSSES.len();

    /// Each failure and each loss, and tokens in each way of writing; each life, and each other choice,
    /// comes with each value of every part of it.
    pub fn each() -> impl Iterator<Item = Self> {
        let written = (0..Writing::COUNT).map(|at| {
            let grant = Grant {
                number: 0,
                refresh: at % 11 < 6,
                scope: at % 13 < 7,
                life: LIVES[at % LIVES.len()],
            };
            Self::Written(grant, Writing::numbered(at))
        });
        let failures = (0..FAILURES.len()).map(Self::Failure);
        let losses = (0..LOSSES.len()).map(Self::Lost);
        failures.chain(losses).chain(written)
    }

    /// What a failure means, if it does not depend on the time.
    #[cfg(feature = "proptest")]
    pub(super) fn failure_means(which: usize) -> Meaning {
        FAILURES[which % FAILURES.len()].3
    }

    /// What it means, and what a driver hands back. `echo` is what the request carried: servers quote
    /// it. The tokens get this number.
    pub fn reply(
        self,
        echo: &str,
        number: u64,
        now: Timestamp,
    ) -> (Meaning, Result<HttpResponse, TransportError>) {
        match self {
            Self::Tokens(grant) => Self::Written(grant, Writing::PLAIN).reply(echo, number, now),
            Self::Written(grant, writing) => {
                let grant = Grant { number, ..grant };
                let body = writing.body(grant);
                let response = HttpResponse::new(writing.status(), body);
                (Meaning::Tokens(grant), Ok(response))
            }
            Self::Failure(which) => {
                let (status, retry_after, body, mut answer) = FAILURES[which % FAILURES.len()];
                if let Meaning::Trouble(_, asked @ BY_DATE) = &mut answer {
                    let date = DATES.iter().find(|(date, _)| *date == retry_after);
                    let at = date.map_or(0, |(_, at)| *at);
                    *asked = at.saturating_sub(now.as_millis()).min(LONGEST);
                }
                let response = HttpResponse::new(status, body.replace("ECHO", echo));
                (answer, Ok(response.with_header("Retry-After", retry_after)))
            }
            Self::Lost(which) => {
                let (kind, may_have_been_sent) = LOSSES[which % LOSSES.len()];
                let error = TransportError {
                    kind,
                    may_have_been_sent,
                };
                (Meaning::Trouble("transport", 0), Err(error))
            }
        }
    }
}
