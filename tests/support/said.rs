//! What a token endpoint says in the lives of `strategies.rs`: every way to write tokens, and every
//! way to have none.

use std::fmt::Write as _;

use authflow::{HttpResponse, Timestamp, TransportError, TransportErrorKind};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;
use url::form_urlencoded;

use super::super::reply::Reply;
use super::{DAY, HOUR, SECOND, START};

/// Lifetimes and waits are cut to this by the decoder.
const LONGEST: u64 = i32::MAX as u64 * SECOND;
pub const REFRESH_TOKEN_LIFE: u64 = 30 * DAY;

/// How the token endpoint answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    Tokens(Grant),
    /// No answer, 429 or 5xx: its cause, and what `Retry-After` asked for.
    Trouble(&'static str, u64),
    InvalidGrant,
    /// Anything else, by its cause.
    Nonsense(&'static str),
}

/// New tokens: `SECRET-access-7` for `scope-7 other-7`, and perhaps `SECRET-refresh-7`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grant {
    pub number: u64,
    pub refresh: bool,
    pub scope: bool,
    pub life: Lifetime,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lifetime {
    Unknown,
    Zero,
    /// From when the request was sent.
    Lasts(u64),
    /// Adopted tokens say when they end.
    Until(u64),
}

impl Grant {
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
    pub fn length(self, now: u64) -> u64 {
        match self {
            Self::Lasts(life) => life,
            Self::Until(end) => end.saturating_sub(now),
            Self::Unknown | Self::Zero => 0,
        }
    }
}

impl Answer {
    pub fn cause(self) -> &'static str {
        match self {
            Self::Trouble(cause, _) | Self::Nonsense(cause) => cause,
            Self::InvalidGrant | Self::Tokens(_) => "oauth",
        }
    }

    pub fn retry_after(self) -> Option<u64> {
        match self {
            Self::Trouble(_, retry_after) => Some(retry_after),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Said {
    Tokens(Grant),
    /// The same as some servers write it.
    Written(Grant, Writing),
    /// One of [`FAILURES`].
    Failure(usize),
    /// No answer came: one of [`LOSSES`].
    Lost(usize),
}

/// How tokens are written, which is no matter.
#[derive(Clone, Copy, Debug)]
pub struct Writing {
    status: u16,
    body: Body,
    token_type: Option<&'static str>,
    /// What stands for a refresh token that is not there.
    nothing: Option<&'static str>,
    scopes: Scopes,
    seconds: Seconds,
    /// Numbers are strings.
    quoted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Body {
    Json,
    JsonAfterMark,
    Form,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Scopes {
    Spaces,
    Commas,
    /// Of JSON.
    List,
}

#[derive(Clone, Copy, Debug)]
enum Seconds {
    Whole,
    Decimal,
    Exponent,
}

/// Status, `Retry-After`, body and meaning. `ECHO` is what the request carried.
#[rustfmt::skip]
const FAILURES: [(u16, &str, &str, Answer); 29] = [
    (429, "7", "slow down ECHO", Answer::Trouble("http", 7 * SECOND)),
    (429, "7200", "", Answer::Trouble("http", 2 * HOUR)),
    (429, "soon", r#"{"error":"slow_down"}"#, Answer::Trouble("oauth", 0)),
    (429, "-5", "error=slow_down", Answer::Trouble("oauth", 0)),
    (429, " 7 ", "\u{feff}{\"error\":\"slow_down\"}", Answer::Trouble("oauth", 7 * SECOND)),
    (429, "99999999999999999999999", "", Answer::Trouble("http", LONGEST)),
    (503, "Tue, 14 Nov 2023 22:15:00 GMT", "", Answer::Trouble("http", BY_DATE)),
    (429, "Tuesday, 14-Nov-23 22:15:00 GMT", "ECHO", Answer::Trouble("http", BY_DATE)),
    (503, "Tue Nov 14 23:13:20 2023", "{}", Answer::Trouble("http", BY_DATE)),
    (429, "Fri, 31 Dec 9999 23:59:59 GMT", "", Answer::Trouble("http", BY_DATE)),
    (503, "Thu, 01 Jan 1970 00:00:00 GMT", "", Answer::Trouble("http", BY_DATE)),
    (503, "", r#"{"error":"ECHO"}"#, Answer::Trouble("oauth", 0)),
    (500, "", r#"{"error":"invalid_grant"}"#, Answer::Trouble("oauth", 0)),
    (503, "1", "<html>ECHO</html>", Answer::Trouble("http", SECOND)),
    (599, "", r#"{"access_token":"SECRET-access-0"}"#, Answer::Trouble("http", 0)),
    (400, "", r#"{"error":"invalid_grant","error_description":"ECHO"}"#, Answer::InvalidGrant),
    (400, "", "error=invalid_grant&error_description=no", Answer::InvalidGrant),
    (200, "", r#"{"error":"invalid_grant"}"#, Answer::InvalidGrant),
    (200, "", r#"{"access_token":"SECRET-access-0","error":"server_error"}"#, Answer::Nonsense("oauth")),
    (201, "7", "error=ECHO", Answer::Nonsense("oauth")),
    (401, "", r#"{"error":"invalid_client","error_uri":"ECHO"}"#, Answer::Nonsense("oauth")),
    (302, "9", "ECHO", Answer::Nonsense("http")),
    (404, "", "no such page", Answer::Nonsense("http")),
    (400, "", "access_token=SECRET-access-0", Answer::Nonsense("http")),
    (200, "", "<html>ECHO</html>", Answer::Nonsense("unreadable")),
    (204, "", "", Answer::Nonsense("unreadable")),
    (200, "", "token_type=Bearer&expires_in=3600", Answer::Nonsense("unreadable")),
    (200, "", r#"{"access_token":"SECRET-access-0","refresh_to"#, Answer::Nonsense("unreadable")),
    (200, "", r#"{"access_token":"SECRET-\u0007","x":"ECHO"}"#, Answer::Nonsense("unreadable")),
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

/// Anything that a token endpoint may say.
pub fn said() -> impl Strategy<Value = Said> {
    let failure = (0..FAILURES.len()).prop_map(Said::Failure);
    let plain = grant(&LIVES).prop_map(Said::Tokens);
    let written = (grant(&LIVES), writing()).prop_map(|(grant, how)| Said::Written(grant, how));
    prop_oneof![3 => plain, 5 => written, 6 => failure, 2 => lost(), 1 => refusal()]
}

fn refusal() -> impl Strategy<Value = Said> {
    let mut all = FAILURES.iter();
    let at = all.position(|(.., answer)| *answer == Answer::InvalidGrant);
    Just(Said::Failure(at.expect("one")))
}

fn lost() -> impl Strategy<Value = Said> {
    (0..LOSSES.len()).prop_map(Said::Lost)
}

/// Nothing that lasts, nothing that ends the attempts, and nothing that asks for patience.
pub fn hopeless() -> impl Strategy<Value = Said> {
    const SHORT: Lifetime = Lifetime::Lasts(SECOND);
    let dead = grant(&[Lifetime::Zero, Lifetime::Lasts(0), SHORT]);
    let written = (dead.clone(), writing()).prop_map(|(grant, how)| Said::Written(grant, how));
    let asks = |which: &usize| FAILURES[*which].3.retry_after();
    let hasty = |which: &usize| asks(which).is_some_and(|asked| asked <= SECOND);
    let all = 0..FAILURES.len();
    let failure = select(all.filter(hasty).collect::<Vec<_>>()).prop_map(Said::Failure);
    prop_oneof![dead.prop_map(Said::Tokens), written, failure, lost()]
}

const LIVES: [Lifetime; 7] = [
    Lifetime::Unknown,
    Lifetime::Zero,
    Lifetime::Lasts(0),
    Lifetime::Lasts(SECOND),
    Lifetime::Lasts(90 * SECOND),
    Lifetime::Lasts(HOUR),
    Lifetime::Lasts(LONGEST),
];

/// For a login that begins a life, or tokens to be adopted.
pub fn any_grant() -> impl Strategy<Value = Grant> {
    grant(&LIVES)
}

fn grant(lives: &'static [Lifetime]) -> impl Strategy<Value = Grant> + Clone {
    (any::<bool>(), any::<bool>(), select(lives)).prop_map(|(refresh, scope, life)| Grant {
        number: 0,
        refresh,
        scope,
        life,
    })
}

fn writing() -> impl Strategy<Value = Writing> {
    (0..Writing::COUNT).prop_map(Writing::numbered)
}

/// Each failure, and tokens in each way of writing; each life, and each other choice, comes with each
/// value of every part of it.
pub fn each_said() -> impl Iterator<Item = Said> {
    let written = (0..Writing::COUNT).map(|at| {
        let grant = Grant {
            number: 0,
            refresh: at % 11 < 6,
            scope: at % 13 < 7,
            life: LIVES[at % 7],
        };
        Said::Written(grant, Writing::numbered(at))
    });
    let failures = (0..FAILURES.len()).map(Said::Failure);
    let losses = (0..LOSSES.len()).map(Said::Lost);
    failures.chain(losses).chain(written)
}

impl Said {
    pub const FAILURES: usize = FAILURES.len();
    pub const LOSSES: usize = LOSSES.len();

    /// What it means, and how it reads.
    pub fn reply(self, echo: &str, number: u64, now: Timestamp) -> (Answer, Reply) {
        match self {
            Self::Tokens(grant) => Self::Written(grant, Writing::PLAIN).reply(echo, number, now),
            Self::Written(grant, writing) => {
                let grant = Grant { number, ..grant };
                let body = writing.body(grant);
                let response = HttpResponse::new(writing.status, body);
                (Answer::Tokens(grant), Ok(response))
            }
            Self::Failure(which) => {
                let (status, retry_after, body, mut answer) = FAILURES[which];
                if let Answer::Trouble(_, asked @ BY_DATE) = &mut answer {
                    let date = DATES.iter().find(|(date, _)| *date == retry_after);
                    let (_, at) = date.expect("one of the dates");
                    *asked = at.saturating_sub(now.as_millis()).min(LONGEST);
                }
                let response = HttpResponse::new(status, body.replace("ECHO", echo));
                (answer, Ok(response.with_header("Retry-After", retry_after)))
            }
            Self::Lost(which) => {
                let (kind, may_have_been_sent) = LOSSES[which];
                let error = TransportError {
                    kind,
                    may_have_been_sent,
                };
                (Answer::Trouble("transport", 0), Err(error))
            }
        }
    }
}

impl Writing {
    pub const COUNT: usize = 5 * 3 * 5 * 2 * 3 * 3 * 2;

    pub fn numbered(number: usize) -> Self {
        let mut rest = number;
        let mut digit = |base| {
            let digit = rest % base;
            rest /= base;
            digit
        };
        Self {
            status: [200, 201, 203, 206, 299][digit(5)],
            body: [Body::Json, Body::JsonAfterMark, Body::Form][digit(3)],
            token_type: [
                None,
                Some(""),
                Some("Bearer"),
                Some("bearer"),
                Some("BEARER"),
            ][digit(5)],
            nothing: [None, Some("")][digit(2)],
            scopes: [Scopes::Spaces, Scopes::Commas, Scopes::List][digit(3)],
            seconds: [Seconds::Whole, Seconds::Decimal, Seconds::Exponent][digit(3)],
            quoted: [false, true][digit(2)],
        }
    }

    const PLAIN: Self = Self {
        status: 200,
        body: Body::Json,
        token_type: Some("Bearer"),
        nothing: None,
        scopes: Scopes::Spaces,
        seconds: Seconds::Whole,
        quoted: false,
    };

    fn body(self, grant: Grant) -> String {
        let text = |name| format!("{name}-{}", grant.number);
        let refresh_token = grant.refresh.then(|| text("SECRET-refresh"));
        let scopes = [text("scope"), text("other")];
        let scopes = match self.scopes {
            Scopes::Commas => scopes.join(","),
            Scopes::Spaces | Scopes::List => scopes.join(" "),
        };
        let texts = [
            ("access_token", Some(text("SECRET-access"))),
            ("token_type", self.token_type.map(str::to_owned)),
            (
                "refresh_token",
                refresh_token.or(self.nothing.map(str::to_owned)),
            ),
            ("scope", grant.scope.then_some(scopes)),
        ];
        let refresh_token_life = grant
            .refresh
            .then(|| self.number(REFRESH_TOKEN_LIFE / SECOND));
        let numbers = [
            ("expires_in", self.expires_in(grant.life)),
            ("refresh_token_expires_in", refresh_token_life),
            ("extra", Some(grant.number.to_string())),
        ];
        let (texts, numbers) = (there(texts), there(numbers));
        if self.body == Body::Form {
            let pairs = texts.into_iter().chain(numbers);
            return form_urlencoded::Serializer::new(String::new())
                .extend_pairs(pairs)
                .finish();
        }
        let mark = if self.body == Body::JsonAfterMark {
            "\u{feff}\r\n"
        } else {
            ""
        };
        let mut json = format!("{mark}{{\"unknown\":null");
        for (name, text) in texts {
            let value = match (name, self.scopes) {
                ("scope", Scopes::List) => json!(text.split(' ').collect::<Vec<_>>()),
                _ => json!(text),
            };
            write!(json, ",\"{name}\":{value}").expect("a string takes it");
        }
        for (name, number) in numbers {
            let quote = if self.quoted { "\"" } else { "" };
            write!(json, ",\"{name}\":{quote}{number}{quote}").expect("a string takes it");
        }
        json + "}"
    }

    fn expires_in(self, life: Lifetime) -> Option<String> {
        let text = match (life, self.seconds) {
            (Lifetime::Unknown | Lifetime::Until(_), _) => return None,
            (Lifetime::Zero, Seconds::Whole) => "0",
            (Lifetime::Zero, Seconds::Decimal) => "0.9",
            (Lifetime::Zero, Seconds::Exponent) => "0e5",
            (Lifetime::Lasts(0), Seconds::Whole) => "-5",
            (Lifetime::Lasts(0), Seconds::Decimal) => "-5.5",
            (Lifetime::Lasts(0), Seconds::Exponent) => "-5E3",
            (Lifetime::Lasts(LONGEST), Seconds::Whole) => "99999999999999999999999",
            (Lifetime::Lasts(LONGEST), Seconds::Decimal) => "2147483648.5",
            (Lifetime::Lasts(LONGEST), Seconds::Exponent) => "1e400",
            (Lifetime::Lasts(life), _) => return Some(self.number(life / SECOND)),
        };
        Some(text.to_owned())
    }

    fn number(self, seconds: u64) -> String {
        match self.seconds {
            Seconds::Whole => seconds.to_string(),
            Seconds::Decimal => format!("{seconds}.75"),
            Seconds::Exponent => format!("{:e}", seconds as f64),
        }
    }
}

/// Those members that are there.
fn there<const N: usize>(
    members: [(&'static str, Option<String>); N],
) -> Vec<(&'static str, String)> {
    let members = members.into_iter();
    members
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}
