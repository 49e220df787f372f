//! What holds for every life of a flow, whatever happens to it and in whichever order.
//!
//! 256 lives per test, or more: `PROPTEST_CASES=10000 cargo test --release --test properties`.

mod support;

use std::collections::HashSet;

use authflow::{Action, Activity, Event, Notice, State, Timestamp, Verdict};
use proptest::prelude::*;
use serde_json::Value;

use support::model::Model;
use support::strategies::*;
use support::told::{line, parameter, visible};

fn config() -> ProptestConfig {
    ProptestConfig {
        // A failure prints the shortest life that fails: make a test of it.
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    /// The transition table, as `support/model.rs` understands it.
    #[test]
    fn model_agrees(rules in rules(), steps in life()) {
        agrees(rules, &steps)?;
    }

    /// Two flows to which the same happens do and show the same, byte for byte.
    #[test]
    fn same_inputs_same_outputs(rules in rules(), steps in life_with_a_slow_driver()) {
        let turns = Rig::live(rules, &steps);
        let twin = Rig::twin(rules, &turns);
        if let Some(last) = turns.last() {
            prop_assert_eq!(&twin.it.view(), &last.out.after);
        }
    }

    /// A refused event leaves everything as it was, the clock and the queue included: a twin that
    /// never saw it cannot be told apart, now or later.
    #[test]
    fn err_means_unchanged(rules in rules(), steps in life_with_a_slow_driver()) {
        let turns = Rig::live(rules, &steps);
        for (at, turn) in turns.iter().enumerate().filter(|(_, turn)| turn.out.result.is_err()) {
            prop_assert_eq!(&turn.before, &turn.out.after, "{:?}", turn.what);
            let mut twin = Rig::twin(rules, &turns[..at]);
            let queued = if turn.drained { twin.drain() } else { Vec::new() };
            prop_assert_eq!(&queued, &turn.out.actions, "{:?} queued something", turn.what);
            goes_on_like(twin, &turns[at + 1..])?;
        }
    }

    /// What the table calls inert is a Tick with one notice: a twin that got the Tick instead cannot
    /// be told apart, now or later.
    #[test]
    fn inert_equals_tick(rules in rules(), steps in life()) {
        let turns = Rig::live(rules, &steps);
        let mut model = Model::new(rules);
        for (at, turn) in turns.iter().enumerate() {
            let mut ticked = model.clone();
            let is_ok = turn.out.result.is_ok();
            if is_ok && turn.what != Happening::Restart {
                let _ = ticked.handle(&Happening::Tick, turn.now.as_millis());
            }
            if is_ok && turn.what != Happening::Tick && ticked.ignores(&turn.what) {
                let mut twin = Rig::twin(rules, &turns[..at]);
                let tick = twin.apply(Some(Event::Tick), turn.now, true);
                prop_assert_eq!(&tick.after, &turn.out.after, "{:?}", turn.what);
                let (told, rest): (Vec<_>, Vec<_>) =
                    turn.out.actions.iter().cloned().partition(is_told_of_noise);
                let expected = match turn.what {
                    Happening::Callback(_) => 2, // the browser is answered, too
                    Happening::Response { .. } => 1,
                    // None for a token that is known to have ended.
                    Happening::TokenRejected { .. } => told.len().min(1),
                    _ => 0,
                };
                prop_assert_eq!(told.len(), expected, "{:?}: {:?}", turn.what, told);
                prop_assert_eq!(rest, tick.actions, "{:?}", turn.what);
                // A late failure is inert too, but uses its one answer up.
                let id = match turn.what {
                    Happening::Response { id, .. } => Some(id),
                    _ => None,
                };
                if !id.is_some_and(|id| ticked.remembers(id)) {
                    goes_on_like(twin, &turns[at + 1..])?;
                }
            }
            let _ = model.handle(&turn.what, turn.now.as_millis());
        }
    }

    /// Several flows of one client, as a web backend has them, and every redirect is offered to each:
    /// only the one that began the login takes it. Nothing that happens to the others changes what one
    /// of them does, or says.
    #[test]
    fn several_flows_take_their_own_redirects_only(
        rules in rules(),
        steps in prop::collection::vec((0..FLOWS, step(Just(true))), 0..60),
    ) {
        let flow = |at| Rig::numbered_from(rules, 1000 * at as u64);
        let mut crowd: Vec<_> = (0..FLOWS).map(flow).collect();
        // The same flows, to each of which a Tick happens where another's redirect comes by.
        let mut alone: Vec<_> = (0..FLOWS).map(flow).collect();
        let walks = (0..FLOWS).flat_map(|at| walk(Grant::lasting(3_600_000))[..2].to_vec().into_iter().map(move |s| (at, s)));
        for (at, step) in walks.chain(steps) {
            let turn = crowd[at].step(&step);
            prop_assert_eq!(&turn.out, &alone[at].step(&step).out);
            let Some(event @ Event::Callback { .. }) = turn.event else { continue };
            for other in (0..FLOWS).filter(|&other| other != at) {
                let now = crowd[other].it.now;
                let (mut out, tick) = (
                    crowd[other].apply(Some(event.clone()), now, true),
                    alone[other].apply(Some(Event::Tick), now, true),
                );
                out.actions.retain(|action| !is_told_of_noise(action));
                prop_assert_eq!(out, tick, "another's {:?}", event);
            }
        }
    }

    /// However the clock jumps, the flow never sleeps longer than a wait that it was given, and each
    /// Tick that it asks for does something.
    #[test]
    fn waits_are_bounded_under_clock_steps(rules in rules(), steps in life()) {
        let mut rig = Rig::new(rules);
        let mut longest = rules.login_timeout.max(rules.request_timeout).max(60_000);
        for step in &steps {
            let turn = rig.step(step);
            let now = turn.now.as_millis();
            let given = match turn.what {
                Happening::Response { answer: Answer::Tokens(grant), .. } => grant.life.length(now),
                Happening::Response { answer, .. } => answer.retry_after().unwrap_or(0),
                Happening::AdoptTokens(grant) => grant.life.length(now),
                _ => 0,
            };
            // A token is believed a leeway before it was made.
            longest = longest.max(given.saturating_add(rules.leeway));
            // A refused event has not moved the flow's clock.
            let deadline = rig.it.flow.deadline().filter(|_| turn.out.result.is_ok());
            if let Some(deadline) = deadline.map(Timestamp::as_millis) {
                prop_assert!(now <= deadline, "a deadline in the past after {:?}", turn.what);
                let wait = deadline - now;
                prop_assert!(wait <= longest, "{wait} ms > {longest} ms after {:?}", turn.what);
            }
            // Nothing that could end by itself is waited for without end.
            let after = &turn.out.after;
            match after.activity {
                // A refused event leaves the flow with another clock than this.
                _ if turn.out.result.is_err() => {}
                // From the end of time no wait leads away.
                Activity::Backoff { until } if until.max(turn.now).as_millis() == u64::MAX => {}
                Activity::Backoff { until } if until >= turn.now => {
                    prop_assert!(after.deadline.is_some_and(|deadline| deadline <= until));
                }
                Activity::Idle if after.state != State::AwaitingCode => {}
                _ => prop_assert!(after.deadline.is_some(), "after {:?}", turn.what),
            }
        }
        for _ in 0..20 {
            let Some(deadline) = rig.it.flow.deadline() else { break };
            let before = rig.it.view();
            let tick = rig.apply(Some(Event::Tick), deadline, true);
            let did = tick.after.deadline != before.deadline || !tick.actions.is_empty();
            prop_assert!(did || tick.after.state != before.state, "a busy loop: {before:?}");
            // The end of time is the one moment from which no wait leads away.
            if deadline.as_millis() != u64::MAX {
                prop_assert_ne!(tick.after.deadline, Some(deadline), "{:?}", before);
            }
        }
    }

    /// A server whose tokens do not live cannot make the flow ask more often than its backoff of 1,
    /// 2, 4, 8, 16, 32 and then 60 seconds allows: 1 + 6 + 59 times in an hour.
    #[test]
    fn request_rate_is_bounded(
        said in prop::collection::vec(hopeless(), 1..8),
        delay in prop_oneof![Just(0), 1..100_000u64],
        life in 0..2000u64,
    ) {
        let mut rig = Rig::new(USUAL);
        rig.step(&promptly(Pass::At(0), Op::Adopt(Grant::lasting(life))));
        let requests = rig.hour_of_ticks(said.into_iter().cycle(), delay);
        prop_assert!(requests <= 66, "{requests} requests in an hour");
    }

    /// Nor can it with a clock that jumps about: such a jump ends one wait at most.
    #[test]
    fn request_rate_is_bounded_however_the_clock_jumps(
        said in prop::collection::vec(hopeless(), 1..8),
        delay in prop_oneof![Just(0), 1..100_000u64],
        life in 0..2000u64,
        begin in prop_oneof![Just(0), Just(1_700_000_000_000)],
        moves in moves(),
    ) {
        let mut rig = Rig::new(USUAL);
        rig.step(&promptly(Pass::At(begin), Op::Adopt(Grant::lasting(life))));
        let storm = rig.storm(said.into_iter().cycle(), delay, &moves);
        let most = storm.most_requests();
        prop_assert!(storm.requests <= most, "more than {most}: {storm:?}");
    }

    /// Tokens that do live are renewed once in each half of their life at most.
    #[test]
    fn request_rate_follows_the_lifetime(seconds in 1..4000u64, delay in 0..2000u64) {
        let mut rig = Rig::new(USUAL);
        rig.step(&promptly(Pass::At(0), Op::Adopt(Grant::lasting(0))));
        let said = Said::Tokens(Grant::lasting(seconds * 1000));
        let requests = rig.hour_of_ticks(std::iter::repeat(said), delay);
        let bound = if seconds > 2 { 8 + 2 * 3600 / seconds } else { 66 };
        prop_assert!(requests <= bound, "{requests} requests in an hour");
    }

    /// The credentials rule: not even a server that refuses it makes the flow forget it.
    #[test]
    fn refresh_token_leaves_only_by_logout_adopt_or_success(rules in rules(), steps in life()) {
        let mut before = Value::Null;
        for turn in Rig::live(rules, &steps) {
            let session = session(&turn.out.after.saved);
            let after = session["refresh_token"].clone();
            let news = turn.notices();
            let may_leave = match turn.what {
                Happening::LogOut | Happening::AdoptTokens(_) => true,
                Happening::Response { answer: Answer::Tokens(grant), .. } => {
                    let refreshed = news.contains(&&Notice::Refreshed) && grant.refresh;
                    refreshed || news.contains(&&Notice::LoggedIn)
                }
                _ => false,
            };
            prop_assert!(may_leave || after == before, "{:?}", turn.what);
            // It is of use until the server says `invalid_grant`.
            let refused = session["refresh_token_rejected"] == true;
            prop_assert_eq!(turn.out.after.can_refresh, after.is_string() && !refused);
            if refused && turn.before.can_refresh {
                let answer = match turn.what {
                    Happening::Response { answer, .. } => Some(answer),
                    _ => None,
                };
                prop_assert_eq!(answer, Some(Answer::InvalidGrant));
            }
            before = after;
        }
    }

    /// A restart keeps everything but what was in flight, and no number comes twice.
    #[test]
    fn restore_keeps_can_refresh(rules in rules(), steps in life_with_a_slow_driver()) {
        let (mut ids, mut newest) = (HashSet::new(), 0);
        for turn in Rig::live(rules, &steps) {
            let (before, after) = (&turn.before, &turn.out.after);
            let (old, new) = (serial(&before.saved), serial(&after.saved));
            if turn.what == Happening::Restart {
                prop_assert_eq!(before.can_refresh, after.can_refresh);
                prop_assert_eq!(before.usable, after.usable);
                prop_assert_eq!(before.sign_in_due, after.sign_in_due);
                if before.activity != Activity::Exchanging {
                    prop_assert_eq!(&before.authorization_url, &after.authorization_url);
                }
                let mut session = [session(&before.saved), session(&after.saved)];
                for session in &mut session {
                    session["expired"] = Value::Null; // the clock has gone on
                }
                prop_assert_eq!(&session[0], &session[1]);
            } else if new != old && new != 0 {
                prop_assert!(new > newest, "serial {new} again");
            }
            newest = newest.max(new);
            for action in &turn.out.actions {
                if let Action::Send(request) = action {
                    prop_assert!(ids.insert(request.id()), "{:?} again", request.id());
                }
            }
        }
    }

    /// Not by anything that can be printed, whatever a server echoes.
    #[test]
    fn no_secret_is_shown(rules in rules(), steps in life()) {
        let mut rig = Rig::new(rules);
        for step in &steps {
            let turn = rig.step(step);
            let flow = &rig.it.flow;
            let mut shown = format!("{flow:?} {:?} {:?} ", turn.event, turn.out.actions);
            shown += &format!("{:?} {:?} ", flow.snapshot(), flow.client());
            shown += &format!("{:?} {:?}", flow.authorization_url(), flow.access_token(turn.now));
            for notice in turn.notices() {
                if let Notice::RefreshFailed { failure, .. } | Notice::LoginFailed(failure) = notice {
                    shown += &format!(" {failure} {:?}", failure.what_now());
                }
            }
            // The second is base64, as in a Basic header.
            for secret in ["SECRET", "U0VDUkVU"] {
                prop_assert!(!shown.contains(secret), "{:?} shows {shown}", turn.what);
            }
        }
    }

    /// The contract's order, and: whatever a crash must not lose is offered for saving before anyone
    /// hears of it.
    #[test]
    fn persist_precedes_news(rules in rules(), steps in life()) {
        let mut saved = what_must_be_saved(&Rig::new(rules).it.view().saved);
        for turn in Rig::live(rules, &steps) {
            let place = |action: &Action| match action {
                Action::AnswerCallback(_) => 0,
                Action::Persist => 1,
                Action::OpenUrl(_) | Action::Send(_) => 2,
                Action::Notify(_) => 3,
            };
            let actions = &turn.out.actions;
            prop_assert!(actions.is_sorted_by_key(place), "{actions:?}");
            let saves = actions.iter().filter(|&action| *action == Action::Persist).count();
            prop_assert!(saves <= 1, "{actions:?}");
            let tokens = |n: &&&Notice| matches!(n, Notice::LoggedIn | Notice::Refreshed);
            let news = turn.notices().iter().filter(tokens).count();
            prop_assert!(news <= saves, "{actions:?}");

            let mut now = what_must_be_saved(&turn.out.after.saved);
            // A code on its way is of no use to another process.
            if turn.out.after.activity == Activity::Exchanging {
                now["login"].clone_from(&saved["login"]);
            }
            let changed = now != saved && turn.what != Happening::Restart;
            prop_assert!(!changed || saves == 1, "{:?} is not saved", turn.what);
            saved = now;
        }
    }

    /// Per kind: a refresh waits for the one before, a login sends one code once, and what is drained
    /// late is still wanted.
    #[test]
    fn at_most_one_request_in_flight(rules in rules(), steps in life_with_a_slow_driver()) {
        let mut codes = HashSet::new();
        let mut in_flight = false;
        for turn in Rig::live(rules, &steps) {
            let (mut accepted, mut exchanges, mut refreshes) = (0, 0, 0);
            let mut ended = turn.what == Happening::Restart;
            let wanted = &turn.out.after;
            for action in &turn.out.actions {
                match action {
                    Action::AnswerCallback(Verdict::Accepted) => accepted += 1,
                    Action::OpenUrl(url) => {
                        let is_current = wanted.authorization_url.as_deref() == Some(url.as_str());
                        prop_assert!(is_current, "a URL of another login");
                    }
                    Action::Send(request) => match parameter(request.body(), "code") {
                        Some(code) => {
                            prop_assert!(codes.insert(code.to_owned()), "{code} again");
                            exchanges += 1;
                        }
                        None => refreshes += 1,
                    },
                    Action::Notify(
                        Notice::RefreshFailed { .. }
                        | Notice::Refreshed
                        | Notice::LoggedIn
                        | Notice::SessionEnded,
                    ) => ended = true,
                    _ => {}
                }
            }
            let exchanging = wanted.activity == Activity::Exchanging;
            prop_assert!(exchanges <= accepted.min(i32::from(exchanging)));
            prop_assert!(exchanges == 1 || accepted == 0 || !exchanging, "no code is sent");
            prop_assert!(refreshes <= i32::from(ended || !in_flight), "two refreshes");
            let refreshing = exchanging || wanted.activity == Activity::Refreshing;
            prop_assert!(refreshes == 0 || refreshing, "a refresh that nobody waits for");
            in_flight = refreshes > 0 || (in_flight && !ended);
        }
    }

    /// Nor does it leave anyone in Authorized without a token that can be used.
    #[test]
    fn time_never_unexpires_a_token(rules in rules(), steps in life()) {
        let mut ended = HashSet::new();
        for turn in Rig::live(rules, &steps) {
            let after = &turn.out.after;
            if let Some(usable) = after.usable {
                prop_assert!(!ended.contains(&usable.as_u64()), "{usable:?} is back");
            } else if turn.out.result.is_ok() {
                ended.insert(serial(&after.saved));
            }
            // A refused event has not moved the flow's clock.
            let authorized = after.state == State::Authorized;
            if turn.out.result.is_ok() && after.state != State::AwaitingCode {
                prop_assert_eq!(authorized, after.usable.is_some(), "{:?}", turn.what);
            }
        }
    }
}

/// All that a token endpoint may say, to an exchange and to a refresh, without any luck.
#[test]
fn model_agrees_on_each_answer() -> Result<(), TestCaseError> {
    let walk = walk(Grant::lasting(3_600_000));
    for said in Said::each() {
        for walk in [&walk[..2], &walk[..4]] {
            let answer = promptly(Pass::Millis(80), Op::Answer(Some(0), said));
            let tick = promptly(Pass::ToDeadline, Op::Tick);
            agrees(USUAL, &[walk, &[answer, tick]].concat())?;
        }
    }
    Ok(())
}

fn agrees(rules: Rules, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut rig = Rig::new(rules);
    let mut model = Model::new(rules);
    for step in steps {
        let turn = rig.step(step);
        let (what, now) = (turn.what, turn.now.as_millis());
        let asked = turn
            .out
            .result
            .map(|()| turn.out.actions.iter().map(line).collect());
        prop_assert_eq!(asked, model.handle(&what, now), "{:?} at {}", step, now);
        let seen = visible(&rig.it.flow, turn.now);
        prop_assert_eq!(seen, model.view(now), "after {:?} at {}", step, now);
    }
    Ok(())
}

/// How many share a client in the property that is about several.
const FLOWS: usize = 3;

/// What happened next to another flow happens to the twin, with the same outcome.
fn goes_on_like(mut twin: Rig, turns: &[Turn]) -> Result<(), TestCaseError> {
    for turn in turns.iter().take(6) {
        let out = twin.apply(turn.event.clone(), turn.now, turn.drained);
        prop_assert_eq!(&out, &turn.out, "{:?} goes another way", turn.what);
    }
    Ok(())
}

fn is_told_of_noise(action: &Action) -> bool {
    matches!(
        action,
        Action::AnswerCallback(Verdict::NotOurs)
            | Action::Notify(
                Notice::CallbackIgnored(_) | Notice::StaleResponse(_) | Notice::StaleRejection(_)
            )
    )
}

/// All of it but for what follows from the clock and the API, and the counters.
fn what_must_be_saved(saved: &str) -> Value {
    let mut saved: Value = serde_json::from_str(saved).expect("JSON");
    for (part, name) in [("session", "expired"), ("login", "deadline")] {
        saved[part][name] = Value::Null;
    }
    for counter in ["requests", "serials"] {
        saved[counter] = Value::Null;
    }
    saved
}

fn session(saved: &str) -> Value {
    let mut saved: Value = serde_json::from_str(saved).expect("JSON");
    saved["session"].take()
}

fn serial(saved: &str) -> u64 {
    session(saved)["serial"].as_u64().unwrap_or(0)
}
