//! Failures and times, in words for people.

use std::time::Duration;

use authflow::{Cause, Failure, WhatNow};

/// What happened, and what to do now.
pub struct Advice {
    pub title: &'static str,
    pub what_now: String,
}

/// Of a login that has failed.
pub fn of_login(failure: &Failure) -> Advice {
    let title = match (&failure.cause, failure.what_now()) {
        (Cause::Denied(_), WhatNow::Denied) => "Access was not allowed",
        (Cause::TimedOut, WhatNow::SignIn) => "The log-in took too long",
        (Cause::Cancelled, _) => "Cancelled",
        (Cause::Denied(_), _) => "The provider refused the log-in",
        _ => "The log-in did not work",
    };
    let what_now = match failure.what_now() {
        WhatNow::Denied => {
            "Nothing was shared. If that was a mistake, log in again and choose Allow.".to_owned()
        }
        WhatNow::SignIn => match failure.cause {
            Cause::TimedOut => {
                "Nobody came back from the browser. If it showed an error, check the client id and \
                 the redirect address. Otherwise just log in again."
            }
            _ => "Log in again.",
        }
        .to_owned(),
        WhatNow::Retry { after } => retry("Nothing is lost. Log in again", after),
        WhatNow::Configuration => configuration(),
        WhatNow::Ignore => "Nothing needs doing.".to_owned(),
        _ => bug(),
    };
    Advice { title, what_now }
}

/// Of a refresh that has failed; `again` says when it is tried again by itself, if it is.
pub fn of_refresh(failure: &Failure, again: Option<Duration>) -> Advice {
    let what_now = match (failure.what_now(), again) {
        (_, Some(again)) => format!(
            "You stay logged in. It is tried again {}; nothing needs doing.",
            from_now(again)
        ),
        (WhatNow::Retry { after }, None) => retry("You stay logged in. Refresh", after),
        (WhatNow::SignIn | WhatNow::Denied, None) => {
            "The provider wants to see you again: log in once more.".to_owned()
        }
        (WhatNow::Configuration, None) => configuration(),
        (WhatNow::Ignore, None) => "Nothing needs doing.".to_owned(),
        (_, None) => bug(),
    };
    let title = match failure.what_now() {
        WhatNow::SignIn | WhatNow::Denied => "This log-in has come to its end",
        WhatNow::Configuration => "The provider does not accept this program",
        _ => "The token could not be refreshed",
    };
    Advice { title, what_now }
}

fn retry(what: &str, after: Option<Duration>) -> String {
    match after {
        Some(after) if !after.is_zero() => {
            format!(
                "{what} {}: the provider asks for that pause.",
                from_now(after)
            )
        }
        _ => format!("{what} in a moment."),
    }
}

fn configuration() -> String {
    "Trying again will not help. The client id, the redirect address or the scopes have to be mended, \
     here or in the provider's dashboard."
        .to_owned()
}

fn bug() -> String {
    "This is a fault of the program. Please report it, with the line below.".to_owned()
}

/// `in 3 minutes`
pub fn from_now(wait: Duration) -> String {
    match wait.as_secs() {
        0 => "now".to_owned(),
        _ => format!("in {}", span(wait)),
    }
}

/// `4:57`
pub fn clock(left: Duration) -> String {
    let seconds = left.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// `3 minutes`
pub fn span(wait: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let seconds = wait.as_secs();
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7200 => (seconds / MINUTE, "minute"),
        7200..172_800 => (seconds / HOUR, "hour"),
        172_800..5_184_000 => (seconds / DAY, "day"),
        _ => (seconds / (30 * DAY), "month"),
    };
    match count {
        1 => format!("1 {unit}"),
        _ => format!("{count} {unit}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_round() {
        let shown = |seconds| span(Duration::from_secs(seconds));
        assert_eq!(shown(1), "1 second");
        assert_eq!(shown(119), "119 seconds");
        assert_eq!(shown(3599), "59 minutes");
        assert_eq!(shown(7200), "2 hours");
        assert_eq!(shown(86_400 * 3), "3 days");
        assert_eq!(shown(86_400 * 181), "6 months");
        assert_eq!(clock(Duration::from_secs(297)), "4:57");
        assert_eq!(from_now(Duration::from_millis(300)), "now");
        assert_eq!(from_now(Duration::from_secs(5)), "in 5 seconds");
    }
}
