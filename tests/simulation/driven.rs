//! What the simulation saw is what `drive` does.

use std::cell::RefCell;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::rc::Rc;

use authflow::testing::{Plan, Program, Simulation, World};
use authflow::{Action, AuthFlow, Client, ClientAuth, Event, Misuse, Provider, Timestamp, spotify};
use serde_json::{Value, json};

use super::{CALLBACK, example, input, output, secs};

pub fn drive(lines: &str) -> Vec<Value> {
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
