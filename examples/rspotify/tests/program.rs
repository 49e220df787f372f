//! The program, run as one by somebody who has just cloned the project.

use std::process::Command;

#[test]
fn a_rejected_token_is_replaced_by_one_refresh() {
    let output = Command::new(env!("CARGO_BIN_EXE_authflow-rspotify-example"))
        .env_remove("SPOTIFY_CLIENT_ID")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complained}");
    for line in [
        "rspotify says: Some(\"Alice\")",
        "After a 401 and a refresh: Some(\"Alice\")",
        "Refreshes: 1",
    ] {
        assert!(said.lines().any(|it| it == line), "{line}: {said}");
    }
}
