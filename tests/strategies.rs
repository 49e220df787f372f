//! The strategies for users: they reach what they promise, and what fails with them gets short.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use authflow::testing::strategies::*;
use authflow::testing::{Behaviour, Flaw, Plan, Simulation, Step, Transcript};
use authflow::{
    Action, AuthFlow, Client, Event, HttpResponse, Notice, Provider, RedirectUri, Timestamp,
    spotify,
};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestError, TestRng, TestRunner};
use serde_json::Value;

#[path = "../examples/drive/input.rs"]
#[allow(dead_code, reason = "only what is read is needed")]
mod input;
#[path = "../examples/simulated/player.rs"]
mod player;

use player::Player;

const CALLBACK: &str = "http://127.0.0.1:8888/callback";

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(config(cases))
}

/// For what must be reached: the same cases each time.
fn fixed_runner(cases: u32) -> TestRunner {
    let algorithm = RngAlgorithm::default();
    TestRunner::new_with_rng(config(cases), TestRng::deterministic_rng(algorithm))
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        cases,
        max_shrink_iters: 50_000,
        ..ProptestConfig::default()
    }
}

fn client() -> Client {
    let provider = Provider::new("https://as.example/authorize", "https://as.example/token")
        .issuer("https://as.example");
    Client::builder(provider, "client-1").build().unwrap()
}

fn redirect_uri() -> RedirectUri {
    client().redirect_uri(CALLBACK).unwrap()
}

// --- plans ---------------------------------------------------------------------------------------

fn simulation() -> Simulation {
    let client = spotify::client("player").build().unwrap();
    Simulation::new(client, CALLBACK).unwrap()
}

#[test]
fn a_right_program_survives_every_plan() {
    let reached = RefCell::new(BTreeSet::new());
    let survives = |plan: Plan| {
        let run = simulation().run(&plan, Player::start);
        prop_assert_eq!(run.flaw(), None, "{}", run.transcript().to_jsonl());
        let names = plan.steps.iter().map(|step| format!("{step:?}"));
        reached.borrow_mut().extend(names);
        Ok(())
    };
    runner(200).run(&plans(), survives).unwrap();
    fixed_runner(200).run(&plans(), survives).unwrap();
    let reached = reached.take();
    let all = "Wait LogIn Agree AgreeTwice Reload AgreeInStaleWindow Deny CloseWindow Forge Cancel LogOut \
               Refresh CallApi Restart Fault Offline Outage FailSave LoseSave Suspend ClockAhead \
               ClockBack ExpireAccessTokens RevokeRefreshTokens";
    for name in all.split(' ').filter(|name| !name.is_empty()) {
        let is_it = |step: &String| step.split('(').next() == Some(name);
        assert!(reached.iter().any(is_it), "no {name} in {reached:?}");
    }
}

#[test]
fn what_proptest_finds_is_short() {
    let is_right = |plan: Plan| {
        let run = simulation().run(&plan, Player::start_first_version);
        prop_assert_eq!(run.flaw(), None);
        Ok(())
    };
    let Err(TestError::Fail(_, plan)) = fixed_runner(100).run(&plans(), is_right) else {
        panic!("the bug is found");
    };
    assert_eq!(plan.provider, Behaviour::default());
    assert_eq!(plan.steps, [Step::LogIn, Step::Agree]);
    let run = simulation().run(&plan, Player::start_first_version);
    assert_eq!(run.flaw(), Some(Flaw::UsedBeforeSaved));
    assert!(run.transcript().lines().len() <= 5);
}

// --- events --------------------------------------------------------------------------------------

fn drain(flow: &mut AuthFlow) -> Vec<Action> {
    std::iter::from_fn(|| flow.poll_action()).collect()
}

#[test]
fn events_reach_every_state_and_most_of_the_table() {
    let reached = RefCell::new(BTreeSet::new());
    let lives = proptest::collection::vec(events(&client(), &redirect_uri()), 0..40);
    let live = |(clock, events): (Vec<Timestamp>, Vec<Event>)| {
        let mut flow = AuthFlow::new(client());
        for (event, now) in events.into_iter().zip(clock) {
            let result = flow.handle(event, now);
            let mut reached = reached.borrow_mut();
            reached.extend(result.err().map(|misuse| misuse.name().to_owned()));
            reached.insert(flow.state().name().to_owned());
            for action in drain(&mut flow) {
                reached.insert(action.name().to_owned());
                if let Action::Notify(notice) = action {
                    reached.insert(notice.name().to_owned());
                }
            }
        }
        Ok(())
    };
    fixed_runner(1000).run(&(clocks(), lives), live).unwrap();
    let all = "Unauthorized AwaitingCode Authorized Expired OpenUrl Send Persist AnswerCallback \
               logged_in refreshed refresh_failed login_failed callback_ignored stale_response \
               stale_rejection expired session_ended LoginInProgress NoLogin NoSession \
               NoRefreshToken RefreshInFlight";
    let reached = reached.take();
    for name in all.split_whitespace() {
        assert!(reached.contains(name), "no {name} in {reached:?}");
    }
}

/// What a transcript says of an event is that event.
#[test]
fn a_transcript_says_what_happened() {
    let lives = proptest::collection::vec(events(&client(), &redirect_uri()), 0..40);
    let told = |(clock, events): (Vec<Timestamp>, Vec<Event>)| {
        let client = client();
        let mut flow = AuthFlow::new(client.clone());
        let mut twin = AuthFlow::new(client.clone());
        for (event, now) in events.into_iter().zip(clock) {
            let mut transcript = Transcript::default();
            transcript.note(&event, now, Some("by a strategy"));
            let read = input::read(transcript.lines()[0].as_bytes());
            let Ok(input::Line::Event {
                event: line,
                now: at,
            }) = read
            else {
                panic!("{}", transcript.to_jsonl());
            };
            let told = input::event(&line, &client).map_err(|fault| fault.message);
            prop_assert_eq!(at, now);
            prop_assert_eq!(flow.handle(event, now), twin.handle(told.unwrap(), at));
            prop_assert_eq!(
                drain(&mut flow),
                drain(&mut twin),
                "{}",
                transcript.to_jsonl()
            );
            prop_assert_eq!(flow.snapshot(), twin.snapshot());
        }
        Ok(())
    };
    runner(300).run(&(clocks(), lives), told).unwrap();
}

#[test]
fn a_transcript_shows_nothing_by_itself() {
    let mut transcript = Transcript::default();
    transcript.begin(&client());
    transcript.event(&Event::Tick, Timestamp::from_millis(7));
    assert_eq!(format!("{transcript:?}"), "Transcript(2 lines)");
    let config: Value = serde_json::from_str(&transcript.lines()[0]).unwrap();
    assert_eq!(config["config"]["client_id"], "client-1");
    assert_eq!(transcript.lines()[1], r#"{"event":{"tick":{}},"now":7}"#);
}

// --- responses -----------------------------------------------------------------------------------

/// What a login that gets this says of it.
fn judged(result: Result<HttpResponse, authflow::TransportError>) -> String {
    let mut flow = AuthFlow::new(client());
    let now = Timestamp::from_millis(1_700_000_000_000);
    let secrets = authflow::LoginSecrets::from_entropy([7; 64]);
    let redirect_uri = redirect_uri();
    let begin = Event::BeginLogin {
        secrets,
        redirect_uri,
    };
    flow.handle(begin, now).unwrap();
    drain(&mut flow);
    let back = flow.callback_of_bare_code("code").unwrap();
    flow.handle(Event::Callback { url: back }, now).unwrap();
    let id = drain(&mut flow).iter().find_map(|action| match action {
        Action::Send(request) => Some(request.id()),
        _ => None,
    });
    let id = id.unwrap();
    flow.handle(Event::Response { id, result }, now).unwrap();
    let news = drain(&mut flow)
        .into_iter()
        .find_map(|action| match action {
            Action::Notify(Notice::LoginFailed(failure)) => Some(failure.name().to_owned()),
            Action::Notify(Notice::LoggedIn) => Some("logged_in".to_owned()),
            _ => None,
        });
    news.expect("a login ends with its response")
}

#[test]
fn responses_are_of_every_shape() {
    let reached = RefCell::new(BTreeSet::new());
    let (longest, redirects) = (Cell::new(0), Cell::new(0));
    let look = |result: Result<HttpResponse, authflow::TransportError>| {
        if let Ok(response) = &result {
            longest.set(longest.get().max(response.body().len()));
            let redirect = (300..400).contains(&response.status());
            redirects.set(redirects.get() + u32::from(redirect));
        }
        reached.borrow_mut().insert(judged(result));
        Ok(())
    };
    fixed_runner(600).run(&responses(), look).unwrap();
    let reached = reached.take();
    for name in ["logged_in", "oauth", "http", "unreadable", "transport"] {
        assert!(reached.contains(name), "no {name} in {reached:?}");
    }
    assert!(longest.get() > HttpResponse::MAX_BODY && redirects.get() > 0);
}

/// The simplest response is a good one: a test that fails whatever comes fails with that.
#[test]
fn responses_shrink_to_an_honest_one() {
    let Err(TestError::Fail(_, simplest)) =
        fixed_runner(1000).run(&responses(), |_| Err(TestCaseError::fail("whatever comes")))
    else {
        panic!("it fails");
    };
    assert_eq!(judged(simplest), "logged_in");
}

#[test]
fn clocks_go_on_stand_still_and_back() {
    let (on, back) = (Cell::new(0), Cell::new(0));
    let look = |clock: Vec<Timestamp>| {
        for pair in clock.windows(2) {
            on.set(on.get() + u32::from(pair[0] < pair[1]));
            back.set(back.get() + u32::from(pair[1] < pair[0]));
        }
        Ok(())
    };
    fixed_runner(100).run(&clocks(), look).unwrap();
    assert!(on.get() > 5 * back.get() && back.get() > 10);
}
