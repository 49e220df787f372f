//! Every state, and every way in which a wall clock lies: suspended, set, set back, oscillating, before
//! the epoch, at the end of time. The rows of the table are in `state_*.rs`; here is what holds for all.

mod support;

use std::time::Duration;

use authflow::{Event, State, Timestamp};
use serde_json::Value;
use support::scenario::*;

const HOUR: Duration = Duration::from_secs(3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
const EPOCH: Timestamp = Timestamp::from_millis(0);
const END: Timestamp = Timestamp::from_millis(u64::MAX);

/// A way to each state and activity.
const WAYS: [(&str, Walk); 12] = [
    ("Unauthorized", Scenario::unauthorized),
    ("AwaitingCode", Scenario::awaiting_code),
    ("AwaitingCode, exchanging", Scenario::exchanging),
    ("AwaitingCode over a session", |s| {
        s.authorized().awaiting_code()
    }),
    ("AwaitingCode over a refresh", |s| {
        s.authorized().refreshing().awaiting_code()
    }),
    ("Authorized", Scenario::authorized),
    ("Authorized, refreshing", |s| s.authorized().refreshing()),
    ("Authorized, in backoff", |s| s.authorized().backoff()),
    ("Authorized, parked", |s| s.authorized().parked()),
    ("Authorized, rejected", |s| s.authorized().rejected()),
    ("Expired, refreshing", |s| {
        s.authorized().expired_refreshing()
    }),
    ("Expired, in backoff", |s| s.authorized().expired()),
];

type Jump = fn(Timestamp) -> Timestamp;

const JUMPS: [(&str, &[Jump]); 11] = [
    (
        "suspended for half a minute",
        &[|now| now.saturating_add(Duration::from_secs(30))],
    ),
    (
        "wavering",
        &[
            |now| now.saturating_sub(Duration::from_secs(30)),
            |now| now.saturating_add(Duration::from_secs(50)),
        ],
    ),
    (
        "suspended for two hours",
        &[|now| now.saturating_add(Duration::from_secs(7200))],
    ),
    ("suspended for a year", &[|now| now.saturating_add(YEAR)]),
    ("set back by an hour", &[|now| now.saturating_sub(HOUR)]),
    ("set back by a year", &[|now| now.saturating_sub(YEAR)]),
    ("before the epoch", &[|_| EPOCH]),
    ("at the end of time", &[|_| END]),
    (
        "there and back",
        &[
            |now| now.saturating_add(YEAR),
            |now| now.saturating_sub(YEAR),
        ],
    ),
    ("to both ends", &[|_| END, |_| EPOCH, |_| END, |_| EPOCH]),
    (
        "oscillating",
        &[
            |now| now.saturating_add(HOUR),
            |now| now.saturating_sub(HOUR),
            |now| now.saturating_add(HOUR),
            |now| now.saturating_sub(HOUR),
            |now| now.saturating_add(HOUR),
            |now| now.saturating_sub(HOUR),
        ],
    ),
];

fn each(mut check: impl FnMut(&str, Scenario, &[Jump])) {
    for (state, walk) in WAYS {
        for (jump, steps) in JUMPS {
            check(&format!("{state}, {jump}"), walk(Scenario::new()), steps);
        }
    }
}

fn refresh_token(s: &Scenario) -> Value {
    let saved: Value = serde_json::from_str(s.flow.snapshot().to_json().expose()).unwrap();
    saved["session"]["refresh_token"].clone()
}

#[test]
fn no_jump_loses_the_refresh_token_or_makes_a_storm() {
    each(|name, mut s, steps| {
        let token = refresh_token(&s);
        for step in steps {
            let before = s.requests.len();
            s.now = step(s.now);
            s.tick();
            // A driver that ticks at once again, as often as it likes.
            for _ in 0..10 {
                // From the end of time no wait leads away.
                if s.now != END {
                    s.tick();
                }
            }
            assert!(s.requests.len() <= before + 1, "{name}: a storm");
        }
        assert_eq!(refresh_token(&s), token, "{name}");
    });
}

/// A clock that reads `u64::MAX`, of a −1 that was cast or a sum that was cut off. Every wait that begins
/// there would be over at once.
#[test]
fn at_the_end_of_time_nothing_is_sent_by_itself() {
    let mut s = Scenario::new().authorized();
    s.now = END;
    s.tick();
    assert_eq!(s.state(), State::Expired);
    for _ in 0..100 {
        if s.in_flight("refresh_token").is_some() {
            s.answer(status(503));
        }
        s.tick();
    }
    assert_eq!(s.requests.len(), 1);
    // Who asks is asked once, and a clock that is right again finds everything as it was.
    s.fire(Event::Refresh);
    s.answer(status(503));
    s.tick();
    assert_eq!(s.requests.len(), 2);
    s.now = START.saturating_add(2 * HOUR);
    s.tick();
    s.after(Duration::from_secs(60)).tick();
    assert_eq!(s.requests.len(), 3);
}

#[test]
fn no_jump_makes_a_wait_longer_than_it_was_meant_to_be() {
    // An hour for the token, and what is believed of a clock that goes back.
    let longest = HOUR + Duration::from_secs(120);
    each(|name, mut s, steps| {
        for step in steps {
            s.now = step(s.now);
            s.tick();
            if let Some(deadline) = s.flow.deadline() {
                assert!(deadline >= s.now, "{name}: a deadline in the past");
                assert!(
                    deadline.saturating_since(s.now) <= longest,
                    "{name}: {deadline:?}"
                );
            }
        }
    });
}

#[test]
fn no_jump_makes_an_ended_token_good_again() {
    each(|name, mut s, steps| {
        let mut has_ended = s.access_token().is_none();
        let right_again: Jump = |_| START;
        for step in steps.iter().chain([&right_again]) {
            s.now = step(s.now);
            s.tick();
            let usable = s.flow.access_token(s.now).map(|token| token.serial());
            assert!(usable.is_none() || !has_ended, "{name}: {usable:?} is back");
            has_ended |= usable.is_none();
            if s.state() != State::AwaitingCode {
                assert_eq!(s.state() == State::Authorized, usable.is_some(), "{name}");
            }
        }
    });
}

/// Whatever the clock did, answers that come then are taken, and the session goes on.
#[test]
fn after_any_jump_an_answer_still_makes_a_session() {
    each(|name, mut s, steps| {
        for step in steps {
            s.now = step(s.now);
            s.tick();
        }
        // The clock is right again.
        s.now = START.saturating_add(2 * HOUR);
        s.tick();
        if s.state() == State::AwaitingCode {
            s.fire(Event::CancelLogin);
        }
        if s.state() == State::Unauthorized || !s.flow.can_refresh() {
            s.begin();
            s.redirect("code=c0de");
        } else {
            s.fire(Event::Refresh);
        }
        s.answer(tokens("AT-9"));
        assert_eq!(s.state(), State::Authorized, "{name}");
        assert_eq!(s.access_token(), Some("AT-9"), "{name}");
    });
}

/// Between request and reply: the token's life counts from when the request was sent, by whichever
/// clock makes it shorter. Both for a driver that looks at each clock, and for one that slept and sees
/// only the last.
#[test]
fn a_jump_between_request_and_reply_makes_no_token_live_longer() {
    for (jump, steps) in JUMPS {
        for looks in [true, false] {
            let (mut s, earliest) = jumped(Scenario::new().exchanging(), steps, looks);
            s.answer(tokens("AT-2"));
            match times_out(jump, looks) {
                // Its code has been given up, so its answer is nobody's.
                true => assert_eq!(s.state(), State::Unauthorized, "{jump}"),
                false => lives_an_hour_from(earliest, &s, jump),
            }

            // A refresh that was given up is still welcome.
            let refreshing = Scenario::new().authorized().refreshing();
            let id = refreshing.request().id();
            let (mut s, earliest) = jumped(refreshing, steps, looks);
            s.answer_to(id, tokens("AT-2"));
            lives_an_hour_from(earliest, &s, jump);
        }
    }
}

/// The clock goes its way. The earliest that the machine has seen since the request was sent.
fn jumped(mut s: Scenario, steps: &[Jump], looks: bool) -> (Scenario, Timestamp) {
    let mut earliest = s.now;
    for step in steps {
        s.now = step(s.now);
        if looks {
            s.tick();
            earliest = earliest.min(s.now);
        }
    }
    earliest = earliest.min(s.now);
    (s, earliest)
}

/// Whether a minute seems to have passed, for those who have seen these clocks.
fn times_out(jump: &str, looks: bool) -> bool {
    match jump {
        "suspended for two hours" | "suspended for a year" | "at the end of time" => true,
        "suspended for half a minute" | "wavering" => false,
        "set back by an hour" | "set back by a year" | "before the epoch" => false,
        // They end where they began, or before.
        "there and back" | "to both ends" | "oscillating" => looks,
        other => panic!("{other} is not known here"),
    }
}

fn lives_an_hour_from(sent: Timestamp, s: &Scenario, name: &str) {
    let end = sent.saturating_add(HOUR);
    assert_eq!(s.in_session("access_token"), "AT-2", "{name}");
    assert_eq!(s.expires_at(), end, "{name}");
    let usable = s.flow.access_token(s.now);
    assert_eq!(usable.is_some(), s.now < end, "{name}");
    assert!(s.flow.access_token(end).is_none(), "{name}");
}
