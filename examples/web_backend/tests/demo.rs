//! The demonstration, run as a program by somebody who has just cloned the project.

use std::process::Command;

#[test]
fn the_demonstration_shows_what_it_says() {
    let output = Command::new(env!("CARGO_BIN_EXE_web_backend"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complained}");
    for line in [
        "HTTP 400 in the attacker's browser",
        "HTTP 303 in Alice's, at the other process: she is signed in",
        "HTTP 400 for a second copy of it",
        "Eight calls at two processes, refreshes: 1",
        "laptop: Alice, phone: Alice",
        "form that would log Alice out: HTTP 403",
        "laptop: HTTP 401",
        "phone: HTTP 401",
        "Bob: Bob",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
}
