//! Finds the built examples.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The path of an example. `cargo test` has built it beside the folder of the tests; where only one
/// test file was asked for, it is built now.
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("target/debug/deps/…");
    let path = profile
        .join("examples")
        .join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if !path.exists() {
        let target = profile.parent().expect("target/debug");
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--example", name, "--target-dir"])
            .arg(target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .expect("cargo starts");
        assert!(built.success(), "the example {name} cannot be built");
    }
    path
}
