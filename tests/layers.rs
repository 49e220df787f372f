//! Dependencies point down the list of layers only: what a room may not name is not in its files.

use std::fs;
use std::path::{Path, PathBuf};

/// What is for drivers and sessions.
const WORLD: [&str; 14] = [
    "std::io",
    "std::net",
    "std::fs",
    "std::thread",
    "std::env",
    "std::process",
    "SystemTime::now",
    "Instant",
    "getrandom",
    "ureq",
    "tiny_http",
    "mio::",
    "socket2",
    "open::",
];

fn files(room: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut rooms = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room)];
    while let Some(room) = rooms.pop() {
        for entry in fs::read_dir(&room).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                rooms.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                files.push(path);
            }
        }
    }
    assert!(!files.is_empty(), "{room} has moved");
    files
}

/// The code without its comments, which may speak of anything, and with imports written out.
fn code(text: &str) -> String {
    let lines = text.lines();
    let code: Vec<_> = lines.map(without_comment).collect();
    let code = code.join("\n");
    code.replace("use std::{", "use std::net std::fs std::thread {")
}

fn without_comment(line: &str) -> &str {
    // `://` in a text is no comment.
    match line.find("//") {
        Some(at) if !line[..at].ends_with(':') => &line[..at],
        _ => line,
    }
}

fn assert_never_named(room: &str, names: &[&str]) {
    for file in files(room) {
        let text = fs::read_to_string(&file).unwrap();
        let code = code(&text);
        for name in names {
            assert!(!code.contains(name), "{} names {name}", file.display());
        }
    }
}

fn rooms<'a>(names: &[&'a str]) -> Vec<String> {
    let paths = |name: &&'a str| [format!("crate::{name}"), format!("super::{name}")];
    names.iter().flat_map(paths).collect()
}

fn assert_does_not_use(room: &str, others: &[&str]) {
    let others = rooms(others);
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    assert_never_named(room, &others);
}

#[test]
fn the_machine_and_the_wire_know_nothing_of_the_world() {
    for room in ["flow", "wire"] {
        assert_does_not_use(room, &["driver", "session", "testing"]);
        assert_never_named(room, &WORLD);
    }
}

#[test]
fn a_provider_is_data() {
    assert_does_not_use("provider", &["flow", "driver", "session", "testing"]);
    assert_never_named("provider", &WORLD);
}

#[test]
fn drivers_know_nothing_of_sessions() {
    assert_does_not_use("driver", &["session"]);
}

#[test]
fn nobody_but_the_fake_provider_uses_it() {
    for room in ["flow", "wire", "provider", "driver", "session"] {
        assert_does_not_use(room, &["testing"]);
    }
}

#[test]
fn a_name_is_found_where_it_stands() {
    assert!(code("use crate::driver::http;").contains("crate::driver"));
    assert!(!code("/// See crate::driver.\nlet x = 1;").contains("crate::driver"));
    assert!(code("let url = \"http://x\"; ureq::get(url)").contains("ureq"));
    assert!(code("use std::{net::TcpStream};").contains("std::net"));
}
