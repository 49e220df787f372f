//! The names in transcripts and logs are those of the variants, and every notice says what to do now.

mod support;

use authflow::{
    Action, Activity, CallbackUrl, IgnoredCallback, IgnoredReason, LoginSecrets, Notice, RequestId,
    RestoreError, State, Timestamp, TransportError, TransportErrorKind, Verdict, WhatNow,
};
use support::scenario::*;

/// The variant's own name, as `Debug` shows it.
fn variant(shown: &impl std::fmt::Debug) -> String {
    let shown = format!("{shown:?}");
    let end = shown.find(|c: char| !c.is_alphanumeric());
    shown[..end.unwrap_or(shown.len())].to_owned()
}

fn snake(shown: &impl std::fmt::Debug) -> String {
    let mut name = String::new();
    for c in variant(shown).chars() {
        if c.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(c.to_lowercase());
    }
    name
}

#[test]
fn states_activities_and_faults() {
    use State::{Authorized, AwaitingCode, Expired, Unauthorized};
    for state in [Unauthorized, AwaitingCode, Authorized, Expired] {
        assert_eq!(state.name(), variant(&state));
    }
    let until = Timestamp::from_millis(1);
    use Activity::{Backoff, Exchanging, Idle, Refreshing};
    for activity in [Idle, Exchanging, Refreshing, Backoff { until }] {
        assert_eq!(activity.name(), variant(&activity));
    }
    use RestoreError::{Damaged, OtherClient, RedirectUri, UnknownVersion};
    for error in [Damaged, UnknownVersion(7), OtherClient, RedirectUri] {
        assert_eq!(error.name(), variant(&error));
        assert!(error.to_string().len() > 20);
    }
    assert!(UnknownVersion(7).to_string().contains('7'));
}

#[test]
fn reasons_and_kinds() {
    use IgnoredReason as Reason;
    let reasons = [
        Reason::NoLogin,
        Reason::Duplicate,
        Reason::WrongLocation,
        Reason::TooLarge,
        Reason::Malformed,
        Reason::RepeatedParameter,
        Reason::StateMissing,
        Reason::StateMismatch,
        Reason::CodeAndError,
        Reason::Nothing,
        Reason::IssuerMissing,
        Reason::IssuerMismatch,
        Reason::UnexpectedParameter,
        Reason::AnotherUser,
    ];
    for reason in reasons {
        assert_eq!(reason.name(), snake(&reason));
        assert!(IgnoredCallback::from(reason).to_string().len() > 10);
    }
    use TransportErrorKind as Kind;
    let kinds = [
        Kind::Dns,
        Kind::Connect,
        Kind::Tls,
        Kind::Timeout,
        Kind::Closed,
        Kind::Protocol,
        Kind::TooLarge,
        Kind::Cancelled,
        Kind::Other,
    ];
    for kind in kinds {
        assert_eq!(kind.name(), snake(&kind));
        let may_have_been_sent = false;
        let error = TransportError {
            kind,
            may_have_been_sent,
        };
        assert!(error.to_string().len() > 10);
    }
}

#[test]
fn what_now_is_said_in_words_too() {
    let wait = |millis| {
        let after = Some(std::time::Duration::from_millis(millis));
        WhatNow::Retry { after }.to_string()
    };
    assert_eq!(wait(7000), "try again in 7 s");
    assert_eq!(wait(7001), "try again in 8 s");
    let mut texts = std::collections::HashSet::new();
    for now in [
        WhatNow::Retry { after: None },
        WhatNow::SignIn,
        WhatNow::Configuration,
        WhatNow::Denied,
        WhatNow::Ignore,
        WhatNow::Bug,
    ] {
        assert!(texts.insert(now.to_string()), "{now}");
    }
}

#[test]
fn actions() {
    let mut s = Scenario::new();
    s.begin();
    let mut actions = s.actions.clone();
    s.redirect("code=c");
    actions.extend(s.actions.clone());
    let mut names: Vec<_> = actions.iter().map(Action::name).collect();
    for action in &actions {
        assert_eq!(action.name(), variant(action));
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names, ["AnswerCallback", "OpenUrl", "Persist", "Send"]);
    assert_eq!(Action::Notify(Notice::LoggedIn).name(), "Notify");
    assert_eq!(
        variant(&Action::AnswerCallback(Verdict::Denied)),
        "AnswerCallback"
    );
}

/// It says what it is, if nothing else.
#[test]
fn nothing_is_shown_as_nothing() {
    let s = Scenario::new().authorized().awaiting_code();
    let shown = [
        ("AuthFlow", format!("{:?}", s.flow)),
        ("AccessTokenRef", format!("{:?}", s.token())),
        ("{", format!("{:?}", s.token().extras())),
        ("read", format!("{:?}", s.token().scopes())),
        ("read write", s.token().scopes().to_string()),
        ("Snapshot", format!("{:?}", s.saved())),
        (
            "AuthorizationUrl",
            format!("{:?}", s.flow.authorization_url().unwrap()),
        ),
        (
            "CallbackUrl",
            format!("{:?}", CallbackUrl::new("/callback?code=c")),
        ),
        ("HttpRequest", format!("{:?}", s.requests[0])),
        (
            "LoginSecrets",
            format!("{:?}", LoginSecrets::from_entropy([7; 64])),
        ),
    ];
    for (what, shown) in shown {
        assert!(shown.contains(what), "{what}: {shown}");
    }
}

#[test]
fn every_notice_says_what_to_do() {
    let mut s = Scenario::new().exchanging();
    s.answer(status(503));
    let failed = s.notices()[0].clone();
    assert!(
        matches!(failed.what_now(), Some(WhatNow::Retry { .. })),
        "{failed:?}"
    );
    let stale = Notice::StaleResponse(RequestId::from_u64(9));
    assert_eq!(stale.what_now(), Some(WhatNow::Ignore));
    for notice in [
        Notice::LoggedIn,
        Notice::Refreshed,
        Notice::Expired,
        Notice::SessionEnded,
    ] {
        assert_eq!(notice.what_now(), None);
        assert_eq!(notice.name(), snake(&notice));
    }
    assert_eq!(failed.name(), snake(&failed));
    assert_eq!(stale.name(), snake(&stale));
}
