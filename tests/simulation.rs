//! The simulator: right programs pass, wrong ones are found, and every run can be driven by hand.

use std::cell::RefCell;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use authflow::testing::{
    Counterexample, Flaw, Plan, Program, Rotation, Simulation, Step, Transcript, World,
};
use authflow::{Action, AuthFlow, Client, ClientAuth, Event, Misuse, Provider, Timestamp, spotify};
use serde_json::{Value, json};

#[path = "support/example.rs"]
mod example;
#[path = "../examples/drive/input.rs"]
#[allow(dead_code, reason = "here nothing is read")]
mod input;
#[path = "../examples/drive/output.rs"]
#[allow(dead_code, reason = "here actions are carried out")]
mod output;
#[path = "../examples/simulated/player.rs"]
mod player;

use player::Player;

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

// --- wrong programs ------------------------------------------------------------------------------

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mistake {
    SavesNothing,
    DropsErrors,
    DropsRefusals,
    LeavesActions,
    RefreshesTwice,
    ForgetsToSend,
    LeavesBrowsers,
    ForgetsToRestore,
    SavesOldState,
    NeverWakes,
    IgnoresThePerson,
    AlwaysWakes,
    Hammers,
    RestoresForCallbacks,
    IgnoresFailedSaves,
}

/// A program with one of them.
struct Clumsy {
    flow: AuthFlow,
    mistake: Mistake,
    first_save: Option<authflow::Snapshot>,
    save_at: Option<Timestamp>,
}

impl Clumsy {
    fn start(mistake: Mistake, world: &mut World) -> Self {
        let (client, now) = (world.client(), world.now());
        let saved = world
            .saved()
            .filter(|_| mistake != Mistake::ForgetsToRestore);
        let restored = saved.map(|saved| AuthFlow::restore(client.clone(), saved, now).unwrap());
        Self {
            flow: restored.unwrap_or_else(|| AuthFlow::new(client)),
            mistake,
            first_save: None,
            save_at: None,
        }
    }

    fn save(&mut self, world: &mut World) {
        let mut snapshot = self.flow.snapshot();
        if self.mistake == Mistake::SavesNothing {
            return;
        }
        // Only what a login brought.
        if self.mistake == Mistake::SavesOldState && snapshot.has_session() {
            snapshot = self.first_save.get_or_insert(snapshot).clone();
        }
        let failed = world.save(&snapshot).is_err() && self.mistake != Mistake::IgnoresFailedSaves;
        self.save_at = failed.then(|| world.now().saturating_add(secs(1)));
    }
}

impl Program for Clumsy {
    fn handle(&mut self, event: Event, world: &mut World) {
        let now = world.now();
        match (&event, self.mistake) {
            (Event::Response { result: Err(_), .. }, Mistake::DropsErrors)
            | (Event::Refresh, Mistake::IgnoresThePerson) => return,
            (Event::Response { result: Ok(it), .. }, Mistake::DropsRefusals)
                if it.status() != 200 =>
            {
                return;
            }
            _ => {}
        }
        // As a web backend may, that keeps logins in a store and forgets to take them out.
        if let (Event::Callback { .. }, Some(saved)) = (&event, world.saved())
            && self.mistake == Mistake::RestoresForCallbacks
        {
            self.flow = AuthFlow::restore(world.client(), saved, now).unwrap();
        }
        let _ = self.flow.handle(event, now);
        if self.save_at.is_some() {
            self.save(world);
        }
        while let Some(action) = self.flow.poll_action() {
            match action {
                Action::OpenUrl(url) => world.open_url(&url),
                Action::Send(_) if self.mistake == Mistake::ForgetsToSend => {}
                Action::Send(request) => {
                    let is_refresh = request.body().contains("refresh_token");
                    if self.mistake == Mistake::RefreshesTwice && is_refresh {
                        world.send(request.clone());
                    }
                    world.send(request);
                }
                Action::AnswerCallback(verdict) => {
                    if self.mistake != Mistake::LeavesBrowsers {
                        world.answer_callback(verdict);
                    }
                }
                Action::Persist => self.save(world),
                Action::Notify(_) if self.mistake == Mistake::LeavesActions => return,
                Action::Notify(_) => {}
            }
            if self.mistake == Mistake::LeavesActions {
                return;
            }
        }
        if self.mistake == Mistake::Hammers && self.flow.can_refresh() {
            // "It failed, so again": in place of the flow's own waits.
            if self.flow.state() == authflow::State::Expired
                && matches!(self.flow.activity(), authflow::Activity::Backoff { .. })
            {
                let _ = self.flow.handle(Event::Refresh, now);
                while let Some(action) = self.flow.poll_action() {
                    match action {
                        Action::Send(request) => world.send(request),
                        Action::Persist => self.save(world),
                        _ => {}
                    }
                }
            }
        }
    }

    fn flow(&self) -> &AuthFlow {
        &self.flow
    }

    fn wake_at(&self) -> Option<Timestamp> {
        match self.mistake {
            Mistake::NeverWakes => None,
            Mistake::AlwaysWakes => Some(Timestamp::from_millis(0)),
            _ => [self.flow.deadline(), self.save_at]
                .into_iter()
                .flatten()
                .min(),
        }
    }
}

#[test]
fn every_mistake_is_found_and_made_short() {
    use Mistake::*;
    let expected = [
        (SavesNothing, Flaw::UsedBeforeSaved, 2),
        (DropsErrors, Flaw::ResponseNotHandled, 4),
        (DropsRefusals, Flaw::ResponseNotHandled, 4),
        (LeavesActions, Flaw::ActionsLeft, 1),
        (RefreshesTwice, Flaw::RequestSentTwice, 3),
        (ForgetsToSend, Flaw::RequestNotSent, 2),
        (LeavesBrowsers, Flaw::BrowserNotAnswered, 2),
        (RestoresForCallbacks, Flaw::CodeSentTwice, 2),
        (IgnoresFailedSaves, Flaw::NotSaved, 4),
        (ForgetsToRestore, Flaw::NotRestored, 3),
        (SavesOldState, Flaw::UsedBeforeSaved, 3),
        (NeverWakes, Flaw::Overslept, 2),
        (IgnoresThePerson, Flaw::LockedOut, 5),
        (AlwaysWakes, Flaw::BusyLoop, 0),
        (Hammers, Flaw::TooManyRequests, 4),
    ];
    for (mistake, flaw, most) in expected {
        let start = |world: &mut World| Clumsy::start(mistake, world);
        let found = simulation().search(0..400, start).expect_err("a flaw");
        assert_eq!(found.flaw(), flaw, "{mistake:?}: {found}");
        assert!(found.plan().steps.len() <= most, "{mistake:?}: {found}");
        assert!(found.to_string().contains(&flaw.to_string()));
        // Shorter it is nothing.
        let steps = &found.plan().steps;
        for left_out in 0..steps.len() {
            let mut plan = found.plan().clone();
            plan.steps.remove(left_out);
            assert_ne!(
                simulation().run(&plan, start).flaw(),
                Some(flaw),
                "{plan:?}"
            );
        }
        // And drive reads it.
        let answers = drive(&found.transcript().to_jsonl());
        assert_eq!(answers.len(), found.transcript().lines().len());
        assert!(answers.iter().all(|it| it["error"]["kind"] != "input"));
    }
}

#[test]
fn who_goes_back_to_old_tokens_is_found() {
    let backup: RefCell<Option<authflow::Snapshot>> = RefCell::default();
    let start = |world: &mut World| {
        let saved = world.saved().filter(authflow::Snapshot::has_session);
        let old = saved.map(|saved| backup.borrow_mut().get_or_insert(saved).clone());
        if let Some(old) = old {
            world.save(&old).unwrap();
        }
        Player::start(world)
    };
    let mut plan = plan([
        Step::LogIn,
        Step::Agree,
        Step::Restart,
        Step::Refresh,
        Step::Restart,
        Step::Wait(secs(3600)),
    ]);
    assert_eq!(simulation().run(&plan, start).flaw(), None);
    plan.provider.rotation = Rotation::EveryRefresh {
        reuse_detection: false,
    };
    backup.take();
    assert_eq!(
        simulation().run(&plan, start).flaw(),
        Some(Flaw::DeadRefreshToken)
    );
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
    let guide = include_str!("../src/guide/testing.md");
    let program = include_str!("../examples/simulated/player.rs");
    let (_, program) = program.split_once("\n\n").unwrap();
    assert!(guide.contains(program.trim_end()) && guide.contains(text.trim_end()));
}

// --- drive ---------------------------------------------------------------------------------------

fn drive(lines: &str) -> Vec<Value> {
    let mut child = Command::new(example::example("drive"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let lines = lines.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let answers = String::from_utf8(output.stdout).unwrap();
    let read = |line| serde_json::from_str(line).unwrap();
    answers.lines().map(read).collect()
}

/// A right program that notes what its flow did, as drive writes it.
struct Noted {
    flow: AuthFlow,
    now: Option<Timestamp>,
    seen: Rc<RefCell<Vec<Value>>>,
}

impl Noted {
    fn start(world: &mut World, seen: &Rc<RefCell<Vec<Value>>>) -> Self {
        let (client, now) = (world.client(), world.now());
        let saved = world.saved();
        let restored = saved.map(|saved| AuthFlow::restore(client.clone(), saved, now).unwrap());
        let noted = Self {
            now: restored.is_some().then_some(now),
            flow: restored.unwrap_or_else(|| AuthFlow::new(client)),
            seen: Rc::clone(seen),
        };
        noted.note(Ok(()), Vec::new());
        noted
    }

    fn note(&self, result: Result<(), Misuse>, actions: Vec<Value>) {
        let error = result.err().map(input::Fault::misuse);
        let line = output::describe(Some(&self.flow), self.now, error, actions);
        self.seen.borrow_mut().push(line);
    }
}

impl Program for Noted {
    fn handle(&mut self, event: Event, world: &mut World) {
        let now = world.now();
        let result = self.flow.handle(event, now);
        if result.is_ok() {
            self.now = Some(now);
        }
        let mut actions = Vec::new();
        while let Some(action) = self.flow.poll_action() {
            actions.push(output::action(&action, &self.flow));
            match action {
                Action::OpenUrl(url) => world.open_url(&url),
                Action::Send(request) => world.send(request),
                Action::AnswerCallback(verdict) => world.answer_callback(verdict),
                Action::Persist => drop(world.save(&self.flow.snapshot())),
                Action::Notify(_) => {}
            }
        }
        self.note(result, actions);
    }

    fn flow(&self) -> &AuthFlow {
        &self.flow
    }
}

#[test]
fn drive_does_what_the_simulation_saw() {
    let provider = Provider::new("https://as.example/authorize", "https://as.example/token")
        .issuer("https://as.example")
        .refresh_token_lifetime(secs(3 * 24 * 3600));
    let other = Client::builder(provider, "other")
        .secret("secret")
        .auth(ClientAuth::Body)
        .scopes(["read"])
        .authorize_param("prompt", "consent")
        .login_timeout(secs(100))
        .request_timeout(secs(20))
        .leeway(secs(10));
    for client in [spotify::client("player"), other] {
        let simulation = Simulation::new(client.build().unwrap(), CALLBACK).unwrap();
        let seen = Rc::default();
        let mut lines = String::new();
        for seed in 0..150 {
            let start = |world: &mut World| Noted::start(world, &seen);
            let run = simulation.run(&Plan::from_seed(seed), start);
            lines += &run.transcript().to_jsonl();
        }
        let (answers, seen) = (drive(&lines), seen.take());
        assert_eq!(answers.len(), seen.len());
        assert!(answers.len() > 3000, "{}", answers.len());
        for ((answer, seen), line) in answers.iter().zip(&seen).zip(lines.lines()) {
            assert_eq!(answer, seen, "{line}");
        }
        let reached = |name: &str, value: Value| seen.iter().any(|line| line[name] == value);
        for state in ["Unauthorized", "AwaitingCode", "Authorized", "Expired"] {
            assert!(reached("state", json!(state)), "{state}");
        }
        assert!(reached("ok", json!(false)), "some were refused");
    }
}
