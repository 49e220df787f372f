//! Another person on this machine, who has seen the authorization URL in the list of processes, and so
//! knows the state.
#![cfg(all(
    feature = "ureq",
    feature = "loopback",
    feature = "os-rng",
    target_os = "linux"
))]

mod support;

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use authflow::loopback::{Loopback, Page, Received};
use authflow::testing::{Answer, FakeProvider, Person};
use support::directory::Directory;
use support::login::login;
use support::not_tested;
use support::process::{again, listen_to, role, said, say};
use support::raw::{PATIENCE, navigation, read_reply, send};

const PERSON: u32 = 61_001;
const OTHER: u32 = 61_002;

/// The role of a program that logs in, and says how that went.
#[test]
fn program() {
    let Some(role) = role() else { return };
    if role == "exhausted" {
        return exhausted_program();
    }
    let provider = FakeProvider::start().unwrap();
    let mut login = login(provider.client())
        .on_prompt(|_| ())
        .opener(|url| {
            let landing = Person::redirect_for(url.as_str(), Answer::Allow).unwrap();
            say(landing);
        })
        .on_ignored(|ignored| say(ignored.reason.name()));
    match &*role {
        "trusting" => login = login.allow_other_users(),
        "careful, on IPv6" => login = login.ipv6(),
        _ => {}
    }
    say(login.run().map_or_else(
        |error| error.to_string(),
        |session| session.state().name().to_owned(),
    ));
}

/// Says whose a callback is while it can open nothing.
fn exhausted_program() {
    let mut listener = Loopback::builder().bind().unwrap();
    say(listener.redirect_uri());
    let Ok(Received::Callback(callback)) = listener.receive(PATIENCE) else {
        panic!("nothing came");
    };
    let opened: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    let is_of_another_user = callback.is_of_another_user();
    drop(opened);
    say(is_of_another_user);
    callback.answer(Page::NotOurs);
}

/// The role of a browser: goes to an address, or only sends the request and is gone.
#[test]
fn browser() {
    let Some(role) = role() else { return };
    let (how, address) = role.split_once(' ').unwrap();
    let url = url::Url::parse(address).unwrap();
    let host = url.socket_addrs(|| None).unwrap()[0];
    let request = navigation(host, &address[url.origin().ascii_serialization().len()..]);
    let mut stream = send(host, request);
    stream.flush().unwrap();
    match how {
        "asks" => say(read_reply(&mut stream).map_or(0, |page| page.status())),
        // As it is closed, at the end.
        "resets" => socket2::SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap(),
        _ => {}
    }
}

/// This binary, where everybody may run it.
struct Everybodys(PathBuf, Directory);

impl Everybodys {
    /// Where there are other users to be.
    fn of_many_users() -> Option<Self> {
        let tests = Self::new();
        let has_users = has_users(&tests.1);
        if !has_users {
            not_tested("another user of this machine: this needs root");
        }
        has_users.then_some(tests)
    }

    fn new() -> Self {
        let directory = Directory::new();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let path = directory.path().join("tests");
        fs::copy(std::env::current_exe().unwrap(), &path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        Self(path, directory)
    }

    fn run(&self, test: &str, role: &str, user: u32) -> Command {
        let usual = again(test, role);
        // Few descriptors, for the role that uses up all of them.
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -n 256 && exec \"$@\"", "sh"]);
        command.arg(&self.0).args(usual.get_args());
        command.envs(
            usual
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        command
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped());
        command.current_dir("/").uid(user).gid(user);
        command
    }

    /// What the page's status was.
    fn asks(&self, address: &str, user: u32) -> Vec<String> {
        said(self.run("browser", &format!("asks {address}"), user))
    }
}

/// Only root can become two others, and only where all users are the machine's own does the system tell
/// them apart. What one user does is in every other test.
fn has_users(directory: &Directory) -> bool {
    let users = fs::read_to_string("/proc/self/uid_map").unwrap();
    let are_own = users.split_whitespace().eq(["0", "0", "4294967295"]);
    are_own && fs::metadata(directory.path()).unwrap().uid() == 0
}

#[test]
fn another_users_answer_is_ignored_though_it_has_the_state() {
    let Some(tests) = Everybodys::of_many_users() else {
        return;
    };
    let (mut process, mut said) = listen_to(tests.run("program", "careful", PERSON));
    let landing = said.next().unwrap();
    assert_eq!(tests.asks(&landing, OTHER), ["400"]);
    assert_eq!(said.next().as_deref(), Some("another_user"));
    let denied = landing.replacen("?code=", "?error=access_denied&x=", 1);
    assert_eq!(tests.asks(&denied, OTHER), ["400"]);
    assert_eq!(said.next().as_deref(), Some("another_user"));
    // Whoever is gone before it is looked at has no owner any more, and is none either.
    for how in ["goes", "resets"].repeat(20) {
        let mut gone = tests.run("browser", &format!("{how} {landing}"), OTHER);
        assert!(gone.output().unwrap().status.success());
    }
    assert_eq!(tests.asks(&landing, PERSON), ["200"]);
    let rest: Vec<_> = said.collect();
    let (last, ignored) = rest.split_last().unwrap();
    assert_eq!(last, "Authorized");
    assert!(
        ignored.iter().all(|said| said == "another_user"),
        "{ignored:?}"
    );
    assert!(process.wait().unwrap().success());
}

#[test]
fn another_users_answer_is_ignored_on_ipv6_too() {
    let Some(tests) = Everybodys::of_many_users() else {
        return;
    };
    if TcpListener::bind("[::1]:0").is_err() {
        return not_tested("this needs IPv6");
    }
    let (mut process, mut said) = listen_to(tests.run("program", "careful, on IPv6", PERSON));
    let landing = said.next().unwrap();
    assert!(landing.starts_with("http://[::1]:"), "{landing}");
    assert_eq!(tests.asks(&landing, OTHER), ["400"]);
    assert_eq!(said.next().as_deref(), Some("another_user"));
    assert_eq!(tests.asks(&landing, PERSON), ["200"]);
    assert_eq!(said.next().as_deref(), Some("Authorized"));
    assert!(process.wait().unwrap().success());
}

#[test]
fn a_program_that_can_open_nothing_takes_nobodys_word() {
    let Some(tests) = Everybodys::of_many_users() else {
        return;
    };
    let (mut process, mut said) = listen_to(tests.run("program", "exhausted", PERSON));
    let landing = said.next().unwrap();
    assert_eq!(tests.asks(&landing, OTHER), ["400"]);
    assert_eq!(said.next().as_deref(), Some("true"));
    assert!(process.wait().unwrap().success());
}

#[test]
fn another_users_answer_is_taken_where_the_program_says_so() {
    let Some(tests) = Everybodys::of_many_users() else {
        return;
    };
    let (mut process, mut said) = listen_to(tests.run("program", "trusting", PERSON));
    let landing = said.next().unwrap();
    assert_eq!(tests.asks(&landing, OTHER), ["200"]);
    assert_eq!(said.next().as_deref(), Some("Authorized"));
    assert!(process.wait().unwrap().success());
}
