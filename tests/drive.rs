//! The example `drive`, line by line: each transcript in `tests/vectors/drive` is a pair of files,
//! what goes in and what must come out. `UPDATE_TRANSCRIPTS=1` writes the second from the program;
//! read the difference before you commit it.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

#[path = "support/example.rs"]
mod example;

use example::example;

fn drive(input: &[u8]) -> String {
    let mut child = Command::new(example("drive"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("drive starts");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("drive ends");
    writer
        .join()
        .expect("no panic")
        .expect("drive reads all of it");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("drive writes UTF-8")
}

fn transcripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/drive");
    let files = fs::read_dir(folder).expect("the transcripts are there");
    let mut paths: Vec<_> = files.map(|file| file.expect("readable").path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(".in.jsonl"));
    paths.sort();
    paths
}

fn parse(lines: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    lines.lines().map(parse).collect()
}

#[test]
fn every_transcript_is_answered_line_for_line() {
    let transcripts = transcripts();
    assert!(transcripts.len() >= 7, "transcripts are missing");
    for input in transcripts {
        let expected = PathBuf::from(input.to_string_lossy().replace(".in.", ".out."));
        let lines = fs::read(&input).expect("readable");
        let answers = drive(&lines);
        if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
            fs::write(&expected, &answers).expect("writable");
        }
        let expected = parse(&fs::read_to_string(&expected).expect("every .in has an .out"));
        let answers = parse(&answers);
        for (at, (answer, expected)) in answers.iter().zip(&expected).enumerate() {
            assert_eq!(answer, expected, "{} line {}", input.display(), at + 1);
        }
        assert_eq!(answers.len(), expected.len(), "{}", input.display());
        let asked = String::from_utf8_lossy(&lines).lines().count();
        assert_eq!(
            answers.len(),
            asked,
            "one answer a line: {}",
            input.display()
        );
    }
}

#[test]
fn every_answer_has_all_its_members() {
    let always = [
        "ok",
        "state",
        "activity",
        "deadline",
        "access_token",
        "serial",
        "token_type",
        "expires_at",
        "scopes",
        "can_refresh",
        "actions",
    ];
    let states = ["Unauthorized", "AwaitingCode", "Authorized", "Expired"];
    let mut seen = BTreeSet::new();
    for input in transcripts() {
        for answer in parse(&drive(&fs::read(&input).expect("readable"))) {
            let members = answer.as_object().expect("an object");
            for name in always {
                assert!(members.contains_key(name), "{name} is missing in {answer}");
            }
            assert_eq!(
                answer["ok"] == false,
                members.contains_key("error"),
                "{answer}"
            );
            if answer["ok"] == false {
                assert_eq!(answer["actions"], Value::Array(Vec::new()), "{answer}");
            }
            if let Some(state) = answer["state"].as_str() {
                assert!(states.contains(&state), "{answer}");
                seen.insert(state.to_owned());
            }
        }
    }
    assert_eq!(
        seen.len(),
        states.len(),
        "the transcripts visit every state"
    );
}

#[test]
fn a_line_that_is_no_input_changes_nothing() {
    let config = r#"{"config":{"provider":"spotify","client_id":"c"}}"#;
    let odd = [
        "{",
        "null",
        "42",
        "[]",
        r#""x""#,
        "{}",
        r#"{"now":1}"#,
        "\u{feff}{}",
        r#"{"now":1.5,"event":{"tick":{}}}"#,
        r#"{"now":18446744073709551616,"event":{"tick":{}}}"#,
        r#"{"now":1,"event":{"response":{"id":1,"status":99999}}}"#,
        r#"{"now":1,"event":{"response":{"id":1,"status":200,"body":"","body_base64":""}}}"#,
        r#"{"now":1,"event":{"response":{"id":1,"status":200,"body_base64":"*"}}}"#,
        r#"{"snapshot":false}"#,
    ];
    let input = format!("{config}\n{}\n{config}\n", odd.join("\n"));
    let answers = parse(&drive(input.as_bytes()));
    assert_eq!(answers.len(), odd.len() + 2);
    let (first, rest) = answers.split_first().expect("answers");
    let (last, rest) = rest.split_last().expect("answers");
    assert_eq!(first, last);
    for (line, answer) in odd.iter().zip(rest) {
        assert_eq!(answer["error"]["kind"], "input", "{line} got {answer}");
        assert_eq!(answer["state"], "Unauthorized");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_answered_too() {
    let answers = parse(&drive(b"\xff\xfe\n{\"now\":\xff}\n"));
    assert_eq!(answers.len(), 2);
    assert!(
        answers
            .iter()
            .all(|answer| answer["error"]["kind"] == "input")
    );
}
