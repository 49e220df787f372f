//! The ways in which servers write tokens down.

use std::fmt::Write as _;

use serde_json::json;

use super::{Grant, LONGEST, Lifetime, SECOND};
use crate::testing::form;

/// How tokens are written, which is no matter: as JSON or a form, with numbers as strings, scopes as a
/// list, fractions of seconds, any 2xx.
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

impl Writing {
    /// How many there are.
    pub const COUNT: usize = 5 * 3 * 5 * 2 * 3 * 3 * 2;

    /// The one with this number: below [`Writing::COUNT`], or that many more again.
    #[must_use]
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

    pub(super) const PLAIN: Self = Self {
        status: 200,
        body: Body::Json,
        token_type: Some("Bearer"),
        nothing: None,
        scopes: Scopes::Spaces,
        seconds: Seconds::Whole,
        quoted: false,
    };

    pub(super) fn status(self) -> u16 {
        self.status
    }

    pub(super) fn body(self, grant: Grant) -> String {
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
            .then(|| self.number(Grant::REFRESH_TOKEN_LIFE / SECOND));
        let numbers = [
            ("expires_in", self.expires_in(grant.life)),
            ("refresh_token_expires_in", refresh_token_life),
            ("extra", Some(grant.number.to_string())),
        ];
        let (texts, numbers) = (there(texts), there(numbers));
        if self.body == Body::Form {
            let pairs: Vec<_> = texts.into_iter().chain(numbers).collect();
            let pairs: Vec<_> = pairs
                .iter()
                .map(|(name, text)| (*name, text.as_str()))
                .collect();
            return form::write(&pairs);
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
            let _ = write!(json, ",\"{name}\":{value}");
        }
        for (name, number) in numbers {
            let quote = if self.quoted { "\"" } else { "" };
            let _ = write!(json, ",\"{name}\":{quote}{number}{quote}");
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
