//! This test binary again, as another process that runs one of its tests with a role to play.

use std::fmt::Display;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

const ROLE: &str = "AUTHFLOW_TEST_ROLE";
/// What stands before the words of such a process; the test harness has some of its own.
const MARK: &str = "@@ ";

/// The role of this process, if it has one.
pub fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// This binary, for one test, in this role.
pub fn again(test: &str, role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    prepare(&mut command, test, role);
    command
}

/// The same, after these words of the shell's, such as `umask 0`.
#[cfg(unix)]
pub fn again_after(shell: &str, test: &str, role: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{shell} && exec \"$@\""), "sh"]);
    command.arg(std::env::current_exe().unwrap());
    prepare(&mut command, test, role);
    command
}

fn prepare(command: &mut Command, test: &str, role: &str) {
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
}

/// Says something to the process that started this one.
pub fn say(text: impl Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{MARK}{text}").unwrap();
    out.flush().unwrap();
}

/// Runs it to its end, which must be a good one. What it said.
pub fn said(mut command: Command) -> Vec<String> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once(MARK));
    lines.map(|(_, said)| said.to_owned()).collect()
}

/// Starts it, to be heard line by line while it runs.
pub fn listen_to(mut command: Command) -> (Child, impl Iterator<Item = String> + 'static) {
    let mut process = command.spawn().unwrap();
    let out = BufReader::new(process.stdout.take().unwrap());
    let lines = out.lines().map_while(Result::ok);
    let said = lines.filter_map(|line| line.split_once(MARK).map(|(_, said)| said.to_owned()));
    (process, said)
}
