//! What went wrong, and what to do now.

use std::time::Duration;

use authflow::session::StoreError;
use authflow::{Cause, WhatNow};

use super::{Banner, Tone};
use crate::model::{Outcome, TroubleCause};
use crate::words;

pub(super) fn store_advice(error: &StoreError) -> &'static str {
    match error.what_now() {
        WhatNow::Configuration => "This place can't be used to save",
        _ => "Saving did not work this time",
    }
}

pub(super) fn state_of(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::LoginFailed(failure) => match (&failure.cause, failure.what_now()) {
            (_, WhatNow::Denied) => "Denied",
            (Cause::TimedOut, _) => "Timed out",
            _ => "Login failed",
        },
        Outcome::NotBegun(_) => "Login failed",
        Outcome::Unreadable(_) => "Saved login unreadable",
        Outcome::LoggedOut | Outcome::LoggedOutElsewhere | Outcome::NotRevoked(_) => "Logged out",
    }
}

pub(super) fn banner_of(outcome: &Outcome) -> Banner {
    let (tone, title, text, detail) = match outcome {
        Outcome::LoginFailed(failure) => {
            let advice = words::of_login(failure);
            let tone = match failure.what_now() {
                WhatNow::Configuration | WhatNow::Bug => Tone::Bad,
                _ => Tone::Warning,
            };
            let detail = Some(failure.to_string());
            (tone, advice.title, advice.what_now, detail)
        }
        Outcome::NotBegun(why) => (
            Tone::Bad,
            "The log-in could not begin",
            "No browser was opened. Mend what is below, then log in again.".to_owned(),
            Some(why.clone()),
        ),
        Outcome::Unreadable(why) => (
            Tone::Warning,
            "The saved log-in can't be used",
            "It stays where it is until a new one has worked.".to_owned(),
            Some(why.clone()),
        ),
        Outcome::NotRevoked(why) => (
            Tone::Warning,
            "The provider did not hear of it",
            "You are logged out here. To be safe, remove this program from your account on the \
             provider's site."
                .to_owned(),
            Some(why.clone()),
        ),
        Outcome::LoggedOut | Outcome::LoggedOutElsewhere => {
            (Tone::Calm, "Logged out", String::new(), None)
        }
    };
    Banner {
        tone,
        title: title.to_owned(),
        text,
        detail,
    }
}

pub(super) fn trouble_banner(cause: &TroubleCause, again: Option<Duration>) -> Banner {
    match cause {
        TroubleCause::Provider(failure) => {
            let advice = words::of_refresh(failure, again);
            Banner {
                tone: Tone::Warning,
                title: advice.title.to_owned(),
                text: advice.what_now,
                detail: Some(failure.to_string()),
            }
        }
        TroubleCause::Store(error) => Banner {
            tone: Tone::Warning,
            title: "Not refreshed, because it could not be saved".to_owned(),
            text: match again {
                Some(again) => format!(
                    "You stay logged in. It is tried again {}.",
                    words::from_now(again)
                ),
                None => "You stay logged in. Mend what is below, then refresh.".to_owned(),
            },
            detail: Some(error.to_string()),
        },
    }
}
