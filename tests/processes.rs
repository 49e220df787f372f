//! One refresh at a time over processes that share a file, whatever becomes of one of them. The
//! processes are this test again, with a role.
#![cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use authflow::session::{Error, FileStore, Store, StoreError, StoreLock};
use authflow::testing::{Answer, Endpoint, FakeProvider, Rotation};
use authflow::{Client, ClientBuilder, Login, Provider, Session, Snapshot, Timestamp};
use support::login::{login, person};

const REUSE_DETECTION: Rotation = Rotation::EveryRefresh {
    reuse_detection: true,
};

// --- what the processes do ------------------------------------------------------------------------

/// A file store whose process comes to its end at a certain moment.
struct Dying {
    file: FileStore,
    moment: String,
}

impl Dying {
    /// As a power cut would: nothing is tidied up.
    fn dies_at(&self, moment: &str) {
        if self.moment == moment {
            let own = std::process::id().to_string();
            let _ = Command::new("sh")
                .args(["-c", r#"kill -KILL "$0""#, &own])
                .status();
            std::thread::sleep(Duration::from_secs(60));
        }
    }
}

impl Store for Dying {
    fn load(&self) -> Result<Option<Snapshot>, StoreError> {
        self.file.load()
    }

    fn save(&self, snapshot: &Snapshot, lock: &StoreLock) -> Result<(), StoreError> {
        self.dies_at("before the save");
        if self.moment == "before the rename" {
            // What the file store has done by then, under a name of the kind that it uses.
            let path = self.file.path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let temporary = path.with_file_name(format!(".{name}.0123456789abcdef.tmp"));
            std::fs::write(temporary, snapshot.to_json().expose()).unwrap();
            self.dies_at("before the rename");
        }
        self.file.save(snapshot, lock)?;
        self.dies_at("after the save");
        Ok(())
    }

    fn rehearse(&self, snapshot: &Snapshot, lock: &StoreLock) -> Result<(), StoreError> {
        self.dies_at("before the rehearsal");
        self.file.rehearse(snapshot, lock)?;
        self.dies_at("after the rehearsal");
        Ok(())
    }

    fn lock(&self, timeout: Duration) -> Result<StoreLock, StoreError> {
        let lock = self.file.lock(timeout)?;
        self.dies_at("inside the lock");
        Ok(lock)
    }
}

fn client(base: &str) -> ClientBuilder {
    let provider = Provider::new(format!("{base}/authorize"), format!("{base}/api/token"))
        .api_origin(base)
        .undotted_redirect_schemes()
        .dangerously_allow_http_on_loopback();
    Client::builder(provider, "fake-client")
}

/// A token that can be told from another without being shown.
fn name_of(session: &Session, result: Result<authflow::session::AccessToken, Error>) -> String {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    match result {
        Ok(token) => {
            let mut hasher = DefaultHasher::new();
            token.secret().expose().hash(&mut hasher);
            format!("token {:016x}", hasher.finish())
        }
        Err(Error::SignIn(_)) => format!("sign in, {:?}", session.state()),
        Err(error) => format!("error {error}"),
    }
}

/// What a process does that was started by the tests below: what it is told, line by line.
#[test]
#[ignore = "a part of the other tests"]
fn a_process_of_these_tests() {
    let of = |name| std::env::var(name).unwrap_or_default();
    let store = Dying {
        file: FileStore::at(of("AUTHFLOW_FILE")),
        moment: of("AUTHFLOW_DIES"),
    };
    let me = format!("{}/v1/me", of("AUTHFLOW_BASE"));
    let file = store.file.clone();
    let login = Login::new(client(&of("AUTHFLOW_BASE"))).store(store);
    let session = login.resume().unwrap().expect("somebody is logged in");
    session.on_change(|_| println!("> changed"));
    session.on_sign_in_needed(|_| println!("> sign in needed"));
    println!("> ready");
    let mut held = None;
    for line in std::io::stdin().lines() {
        let said = match line.unwrap().as_str() {
            "token" => name_of(&session, session.access_token()),
            "refresh" => name_of(&session, session.refresh()),
            "call" => format!("status {}", session.get(&me).unwrap().status()),
            "lock" => {
                held = Some(file.lock(Duration::ZERO).unwrap());
                "locked".to_owned()
            }
            "unlock" => {
                drop(held.take());
                "unlocked".to_owned()
            }
            "log out" => format!("{:?}", session.log_out().unwrap()),
            other => panic!("{other}"),
        };
        println!("> {said}");
    }
}

// --- the processes, from without -------------------------------------------------------------------

/// A process, which ends when this is dropped.
struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    fn start(place: &Place, dies: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "a_process_of_these_tests",
                "--nocapture",
                "--ignored",
            ])
            .env("AUTHFLOW_FILE", place.file.path())
            .env("AUTHFLOW_BASE", place.provider.base_url())
            .env("AUTHFLOW_DIES", dies)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut process = Self {
            child,
            stdin,
            stdout,
        };
        assert_eq!(process.hears().as_deref(), Some("ready"));
        process
    }

    fn tell(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        // It may have died.
        let _ = writeln!(stdin, "{line}");
    }

    /// The next thing that it says, or nothing if it has died.
    fn hears(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.stdout.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            // The test harness may have begun the line.
            if let Some((_, said)) = line.split_once("> ") {
                return Some(said.trim_end().to_owned());
            }
        }
    }

    fn ask(&mut self, line: &str) -> Option<String> {
        self.tell(line);
        self.hears()
    }

    /// What it answers, behind what its hooks have to say.
    fn answers(&mut self, line: &str) -> (Vec<String>, String) {
        self.tell(line);
        let mut hooks = Vec::new();
        loop {
            match self.hears().expect("it lives") {
                hook if hook == "changed" || hook == "sign in needed" => hooks.push(hook),
                answer => return (hooks, answer),
            }
        }
    }

    fn is_killed(&mut self) -> bool {
        use std::os::unix::process::ExitStatusExt as _;
        self.child.wait().unwrap().signal() == Some(9)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.stdin.take());
        if !std::thread::panicking() {
            let _ = self.child.wait();
        } else {
            let _ = self.child.kill();
        }
    }
}

/// A provider, and a file with a login to it.
struct Place {
    provider: FakeProvider,
    file: FileStore,
    directory: PathBuf,
}

impl Place {
    fn new(name: &str, rotation: Rotation) -> Self {
        let name = format!("authflow-processes-{name}-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir(&directory).unwrap();
        let place = Self {
            provider: FakeProvider::builder().rotation(rotation).start().unwrap(),
            file: FileStore::at(directory.join("own").join("login.json")),
            directory,
        };
        place.log_in();
        place
    }

    fn log_in(&self) -> Session {
        let (opener, sight) = person(Answer::Allow);
        let login = login(self.provider.client()).store(self.file.clone());
        let session = login.ignore_stored().opener(opener).run().unwrap();
        sight.page();
        session
    }

    /// Moves the access token's life so that it is due, or over, for whoever reads the file next.
    fn age(&self, left: Duration) {
        let lock = self.file.lock(Duration::ZERO).unwrap();
        let saved = self.file.load().unwrap().unwrap();
        let aged = support::login::edited(&saved, |value| {
            let now = Timestamp::now();
            value["session"]["obtained_at"] = now
                .saturating_sub(Duration::from_secs(3600))
                .as_millis()
                .into();
            value["session"]["expires_at"] = now.saturating_add(left).as_millis().into();
        });
        self.file.save(&aged, &lock).unwrap();
    }

    fn refreshes(&self) -> usize {
        let requests = self.provider.requests(Endpoint::Token);
        let is_refresh = |request: &&authflow::testing::RecordedRequest| {
            request.grant_type() == Some("refresh_token")
        };
        requests.iter().filter(is_refresh).count()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn temporary_files(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).unwrap();
    let is_temporary = |name: &str| name.ends_with(".tmp");
    entries
        .filter(|entry| is_temporary(entry.as_ref().unwrap().file_name().to_str().unwrap()))
        .count()
}

// --- the tests ------------------------------------------------------------------------------------

const PROCESSES: usize = 8;
const ROUNDS: usize = 20;

#[test]
fn eight_processes_and_twenty_expiries_cost_twenty_requests() {
    let place = Place::new("eight", REUSE_DETECTION);
    // Due after half of its life, which is longer than the machine's shortest wait.
    place.provider.set_expires_in(Duration::from_secs(3));
    place.age(Duration::from_secs(1800));
    let mut processes: Vec<_> = (0..PROCESSES).map(|_| Process::start(&place, "")).collect();
    for process in &mut processes {
        assert!(process.ask("token").unwrap().starts_with("token "));
    }
    // The first one is ended by hand, so that all find it due at the same time.
    assert!(processes[0].answers("refresh").1.starts_with("token "));
    assert_eq!(place.refreshes(), 1);
    for process in &mut processes[1..] {
        assert!(
            process.answers("refresh").1.starts_with("token "),
            "which joins"
        );
    }
    assert_eq!(place.refreshes(), 1);
    let mut seen = Vec::new();
    for round in 1..=ROUNDS {
        // All have the same token, and it comes to its very end.
        let saved = support::login::json(&place.file.load().unwrap().unwrap());
        let end = Timestamp::from_millis(saved["session"]["expires_at"].as_u64().unwrap());
        std::thread::sleep(end.saturating_since(Timestamp::now()));
        for process in &mut processes {
            process.tell("token");
        }
        let mut answers: Vec<_> = processes
            .iter_mut()
            .map(|process| {
                loop {
                    match process.hears().expect("it lives") {
                        hook if hook == "changed" => {}
                        answer => break answer,
                    }
                }
            })
            .collect();
        answers.dedup();
        assert_eq!(answers.len(), 1, "round {round}: {answers:?}");
        assert!(
            answers[0].starts_with("token ") && !seen.contains(&answers[0]),
            "{answers:?}"
        );
        seen.append(&mut answers);
        assert_eq!(place.refreshes(), 1 + round, "one request for each expiry");
    }
    for process in &mut processes {
        assert_eq!(process.answers("call").1, "status 200");
    }
    assert!(place.provider.live_refresh_tokens() > 0);
}

#[test]
fn who_has_a_good_token_does_not_wait_for_another_process() {
    let place = Place::new("readers", REUSE_DETECTION);
    let mut holder = Process::start(&place, "");
    // Due, but not over.
    place.age(Duration::from_secs(40));
    let mut reader = Process::start(&place, "");
    let refreshes = place.refreshes();
    assert_eq!(holder.ask("lock").as_deref(), Some("locked"));
    for _ in 0..3 {
        assert!(reader.answers("token").1.starts_with("token "));
        assert_eq!(reader.answers("call").1, "status 200");
    }
    assert_eq!(place.refreshes(), refreshes);
    assert_eq!(holder.ask("unlock").as_deref(), Some("unlocked"));
    reader.answers("refresh");
    assert_eq!(place.refreshes(), refreshes + 1);
}

/// One process is killed at this moment of its refresh. What another one says afterwards, and how many
/// requests there were.
fn killed(moment: &str, rotation: Rotation) -> (Place, Process, String, usize) {
    let name = moment.replace(' ', "-");
    let place = Place::new(
        &format!("{name}-{}", u8::from(rotation == Rotation::Never)),
        rotation,
    );
    let mut survivor = Process::start(&place, "");
    let mut victim = Process::start(&place, moment);
    assert_eq!(victim.ask("refresh"), None);
    assert!(victim.is_killed(), "{moment}");
    // The file parses, and nobody is stuck.
    assert!(place.file.load().unwrap().unwrap().has_session());
    drop(place.file.lock(Duration::ZERO).unwrap());
    let before = place.refreshes();
    let (_, answer) = survivor.answers("refresh");
    let requests = place.refreshes() - before;
    (place, survivor, answer, requests)
}

#[test]
fn a_process_killed_before_it_sends_anything_costs_nobody_anything() {
    for moment in [
        "inside the lock",
        "before the rehearsal",
        "after the rehearsal",
    ] {
        let (place, mut survivor, answer, requests) = killed(moment, REUSE_DETECTION);
        assert!(answer.starts_with("token "), "{moment}: {answer}");
        assert_eq!(requests, 1, "{moment}");
        assert_eq!(survivor.answers("call").1, "status 200", "{moment}");
        assert!(place.provider.live_refresh_tokens() > 0);
    }
}

#[test]
fn a_process_killed_after_the_save_has_done_it_for_all() {
    let (_place, mut survivor, answer, requests) = killed("after the save", REUSE_DETECTION);
    assert!(answer.starts_with("token "), "{answer}");
    assert_eq!(requests, 0, "the other takes over what was saved");
    assert_eq!(survivor.answers("call").1, "status 200");
}

#[test]
fn a_rotated_token_that_dies_with_its_process_costs_one_sign_in_and_no_more() {
    for moment in ["before the save", "before the rename"] {
        let (place, mut survivor, answer, requests) = killed(moment, REUSE_DETECTION);
        // The protocol leaves no choice: only the dead process knew the new refresh token.
        assert!(answer.starts_with("sign in"), "{moment}: {answer}");
        assert_eq!(requests, 1, "{moment}");
        for _ in 0..3 {
            assert!(survivor.answers("refresh").1.starts_with("sign in"));
        }
        assert_eq!(place.refreshes() - 1, requests, "{moment}: no storm");
        // Anybody's new login mends it for all.
        place.log_in();
        assert!(
            survivor.answers("refresh").1.starts_with("token "),
            "{moment}"
        );
        assert_eq!(survivor.answers("call").1, "status 200");
        let own = place.file.path().parent().unwrap().to_owned();
        assert_eq!(
            temporary_files(&own),
            0,
            "{moment}: what was left is swept up"
        );
    }
}

#[test]
fn without_rotation_a_process_may_die_whenever_it_likes() {
    for moment in [
        "inside the lock",
        "after the rehearsal",
        "before the save",
        "before the rename",
        "after the save",
    ] {
        let (_place, mut survivor, answer, _) = killed(moment, Rotation::Never);
        assert!(answer.starts_with("token "), "{moment}: {answer}");
        assert_eq!(survivor.answers("call").1, "status 200", "{moment}");
    }
}

#[test]
fn a_log_out_and_a_new_login_reach_the_other_process() {
    let place = Place::new("log-out", REUSE_DETECTION);
    let (mut first, mut second) = (Process::start(&place, ""), Process::start(&place, ""));
    assert_eq!(first.answers("log out").1, "NotOffered");
    let (hooks, answer) = second.answers("refresh");
    assert!(answer.starts_with("sign in"), "{answer}");
    assert_eq!(hooks, ["sign in needed"]);
    place.log_in();
    assert!(second.answers("token").1.starts_with("token "));
    assert!(
        first.answers("token").1.starts_with("sign in"),
        "it was ended on purpose"
    );
}
