//! The simulator: right programs pass, wrong ones are found, and every run can be driven by hand.

use std::time::Duration;

use authflow::testing::{
    Counterexample, Flaw, Plan, Rotation, Simulation, Step, Transcript, World,
};
use authflow::{Client, ClientAuth, Provider, spotify};
use serde_json::Value;

mod driven;
#[path = "../support/example.rs"]
mod example;
#[path = "../../examples/drive/input.rs"]
#[allow(dead_code, reason = "here nothing is read")]
mod input;
#[path = "../../examples/drive/output.rs"]
#[allow(dead_code, reason = "here actions are carried out")]
mod output;
#[path = "../../examples/simulated/player.rs"]
mod player;
mod wrong;

use player::Player;
use wrong::{Clumsy, Mistake};

const CALLBACK: &str = "http://127.0.0.1:8888/callback";

fn simulation() -> Simulation {
    let client = spotify::client("player").build().unwrap();
    Simulation::new(client, CALLBACK).unwrap()
}

fn plan(steps: impl IntoIterator<Item = Step>) -> Plan {
    steps.into_iter().fold(Plan::new(), Plan::then)
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn check(result: Result<(), Box<Counterexample>>) {
    if let Err(found) = result {
        panic!("{found}\n{}", found.transcript().to_jsonl());
    }
}

// --- right programs ------------------------------------------------------------------------------

#[test]
fn a_right_program_survives_everything() {
    let lives = std::env::var("SIMULATED_LIVES").ok();
    let lives = lives.map_or(1500, |lives| lives.parse().expect("a number"));
    check(simulation().search(0..lives, Player::start));
}

#[test]
fn so_it_does_with_clients_of_other_kinds() {
    let provider = || {
        Provider::new("https://as.example/authorize", "https://as.example/token")
            .issuer("https://as.example")
            .iss_required()
    };
    let client = || Client::builder(provider(), "a client").scopes(["read", "write"]);
    let clients = [
        client().auto_refresh(false),
        client().secret("a secret: of % kinds"),
        client().secret("secret").auth(ClientAuth::Body),
        client().secret("secret").auth(ClientAuth::BasicUnencoded),
        client().leeway(Duration::ZERO).request_timeout(secs(5)),
    ];
    for client in clients {
        let simulation = Simulation::new(client.build().unwrap(), CALLBACK).unwrap();
        let run = simulation.run(&plan([Step::LogIn, Step::Agree]), Player::start);
        let tokens = run.transcript().to_jsonl().contains("access_token");
        assert!(tokens, "the login worked: {}", run.transcript().to_jsonl());
        check(simulation.search(0..150, Player::start));
    }
}

#[test]
fn a_program_may_keep_nothing() {
    let forgetful = |world: &mut World| Clumsy::start(Mistake::SavesNothing, world);
    let simulation = simulation();
    assert!(simulation.search(0..20, forgetful).is_err());
    check(simulation.keeps_nothing().search(0..300, forgetful));
}

#[test]
fn the_same_plan_gives_the_same_run() {
    for seed in 0..40 {
        let plan = Plan::from_seed(seed);
        assert_eq!(plan, Plan::from_seed(seed));
        let run = || simulation().run(&plan, Player::start).transcript().clone();
        assert_eq!(run(), run());
    }
}

// --- what the world does -------------------------------------------------------------------------

/// The events of a run by their names, with what was noted of each.
fn names(transcript: &Transcript) -> Vec<String> {
    let name = |line: &String| {
        let line: Value = serde_json::from_str(line).unwrap();
        let event = line["event"].as_object().and_then(|it| it.keys().next());
        let kinds = ["config", "restore"].into_iter();
        let kind = kinds.filter(|kind| line.get(kind).is_some());
        let name = event.map(String::as_str).or(kind.into_iter().next());
        let note = line["note"].as_str().map(|note| format!(" ({note})"));
        name.unwrap_or("?").to_owned() + &note.unwrap_or_default()
    };
    transcript.lines().iter().map(name).collect()
}

fn run(steps: impl IntoIterator<Item = Step>) -> Vec<String> {
    let run = simulation().run(&plan(steps), Player::start);
    assert_eq!(run.flaw(), None);
    names(run.transcript())
}

#[test]
fn a_person_logs_in_once() {
    use Step::*;
    let twice = [
        "config",
        "tick",
        "begin_login",
        "callback",
        "callback",
        "response",
    ];
    assert_eq!(run([LogIn, AgreeTwice]), twice);
    let later = [
        "config",
        "tick",
        "begin_login",
        "callback",
        "response",
        "callback",
    ];
    assert_eq!(run([Reload, LogIn, Agree, Reload]), later);
    let no = ["config", "tick", "begin_login", "callback"];
    assert_eq!(run([LogIn, Deny]), no);
    let gone = ["config", "tick", "begin_login", "tick"];
    assert_eq!(run([LogIn, CloseWindow, Agree, Wait(secs(400))]), gone);
    let forged = ["config", "tick", "begin_login", "callback (forged)"];
    assert_eq!(run([LogIn, Forge])[..4], forged);
    let stale = run([LogIn, Cancel, LogIn, AgreeInStaleWindow, Agree]);
    let stale: Vec<_> = stale.iter().map(String::as_str).collect();
    assert_eq!(
        stale[4..],
        ["begin_login", "callback", "callback", "response"]
    );
}

#[test]
fn the_network_does_what_it_is_told() {
    use Step::*;
    let lost = |fault| run([LogIn, Agree, Step::Fault(fault), Refresh, Wait(secs(10))]);
    let names = lost(authflow::testing::Fault::DropAfter);
    assert!(
        names[6].starts_with("transport_error (the provider has acted"),
        "{names:?}"
    );
    assert_eq!(names[7..], ["tick", "response"]);
    let names = lost(authflow::testing::Fault::DropBefore);
    assert_eq!(names[6], "transport_error (the request was lost)");
    // Half a minute is within the flow's patience, and the session goes on meanwhile.
    let names = lost(authflow::testing::Fault::Slow(secs(30)));
    assert_eq!(names[5..], ["refresh", "response"]);
    let names = run([LogIn, Agree, Offline(secs(30)), Refresh, Wait(secs(60))]);
    let errors = names.iter().filter(|name| *name == "transport_error");
    assert_eq!(errors.count(), 5, "at 0, 1, 3, 7 and 15 s: {names:?}");
    assert_eq!(names.last().unwrap(), "response");
}

#[test]
fn a_restart_goes_on_with_what_was_saved() {
    use Step::*;
    let names = run([LogIn, Restart, Agree, Restart, CallApi]);
    let expected = [
        "config",
        "tick",
        "begin_login",
        "restore",
        "tick",
        "callback",
        "response",
        "restore",
        "tick",
    ];
    assert_eq!(names, expected);
    // The login whose save was lost is no fault of the program's.
    let names = run([LogIn, LoseSave, LoseSave, Agree, Restart]);
    assert_eq!(names[5..], ["restore", "tick", "tick"], "{names:?}");
}

#[test]
fn a_lost_answer_under_rotation_is_nobodys_flaw() {
    use Step::*;
    let mut plan = plan([
        LogIn,
        Agree,
        Step::Fault(authflow::testing::Fault::DropAfter),
        Refresh,
        Wait(secs(100)),
    ]);
    plan.provider.rotation = Rotation::EveryRefresh {
        reuse_detection: true,
    };
    let run = simulation().run(&plan, Player::start);
    assert_eq!(run.flaw(), None);
    assert!(run.transcript().to_jsonl().contains("invalid_grant"));
}

// --- the guide's example -------------------------------------------------------------------------

/// The guide shows this file. `UPDATE_TRANSCRIPTS=1` writes it.
const FOUND: &str = "tests/vectors/simulation/player.jsonl";

#[test]
fn the_planted_bug_is_found_as_the_guide_shows_it() {
    let found = simulation().search(0..100, Player::start_first_version);
    let found = found.expect_err("the bug");
    assert_eq!(found.flaw(), Flaw::UsedBeforeSaved);
    assert!(found.seed() < 10);
    assert_eq!(found.plan(), &plan([Step::LogIn, Step::Agree]));
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(FOUND);
    let text = found.transcript().to_jsonl();
    assert!(found.transcript().lines().len() <= 5, "{text}");
    if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), text);
    let mended = simulation().run(found.plan(), Player::start);
    assert_eq!(mended.flaw(), None);

    // The guide shows the program and what is found, as they are.
    let guide = include_str!("../../src/guide/testing.md");
    let program = include_str!("../../examples/simulated/player.rs");
    let (_, program) = program.split_once("\n\n").unwrap();
    assert!(guide.contains(program.trim_end()) && guide.contains(text.trim_end()));
}
