//! The program, run as one.

use std::process::{Command, Stdio};
use std::time::Duration;

use authflow::testing::FakeProvider;
use authflow_mio_example::world::{Visit, World};

/// As somebody runs it who has just cloned the project.
#[test]
fn the_demonstration_loses_nobody() {
    let program = env!("CARGO_BIN_EXE_authflow-mio-example");
    let says = says(&mut Command::new(program));
    assert_eq!(says("logins at once"), "1000");
    assert_eq!(says("refreshes at once"), "1000");
    assert_eq!(says("in, refreshed twice, out"), "1000 of 1000");
    if cfg!(target_os = "linux") {
        assert_eq!(says("threads"), "1");
    }
}

/// A thousand logins need no thousand descriptors.
#[cfg(unix)]
#[test]
fn the_program_makes_do_with_64_descriptors() {
    const LOGINS: usize = 200;
    let lives = Duration::from_secs(2);
    let provider = FakeProvider::builder().expires_in(lives);
    let world = World::start(provider, LOGINS, |_| Visit::Allow).unwrap();
    let says = says(
        Command::new("sh")
            .args(["-c", r#"ulimit -n 64 && exec "$0" "$@""#])
            .arg(env!("CARGO_BIN_EXE_authflow-mio-example"))
            .args(["--join", world.provider.base_url()])
            .args([world.address.to_string(), LOGINS.to_string()]),
    );
    assert_eq!(says("in, refreshed twice, out"), "200 of 200");
    assert_eq!(says("logins at once"), "200");
    let sockets = says("sockets at once");
    let sockets = sockets.split(' ').next().unwrap();
    assert!(sockets.parse::<usize>().unwrap() < 64, "{sockets}");
}

/// Runs the program, and finds what it says behind a name.
fn says(program: &mut Command) -> impl Fn(&str) -> String + use<> {
    let output = program.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    move |name| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {text}"))
            .trim()
            .to_owned()
    }
}
