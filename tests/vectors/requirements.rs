//! That nothing in requirements.jsonl is forgotten.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::support::vectors::{check, lines, path};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequirementRow {
    #[serde(rename = "topic")]
    _topic: String,
    covered_by: Vec<String>,
    policy: Option<String>,
    later: Option<String>,
}

const FILES: [&str; 10] = [
    "authorize",
    "callbacks",
    "client_auth",
    "endpoints",
    "pkce",
    "providers",
    "redirect_uris",
    "retry_after",
    "scopes",
    "token_responses",
];

#[test]
fn requirements() {
    let ids: Vec<_> = lines("requirements")
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    // What must hold, and the attacks on the listener and the browser.
    let numbered = |letter, last| (1..=last).map(move |number| format!("{letter}{number}"));
    let all: Vec<String> = numbered('R', 134).chain(numbered('L', 23)).collect();
    assert_eq!(ids, all);

    let mut vectors = BTreeSet::new();
    let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in FILES {
        for (id, line) in lines(file) {
            let vector = format!("vector:{file}:{id}");
            let row: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            for requirement in row["req"].as_array().into_iter().flatten() {
                let requirement = requirement.as_str().expect("the id of a requirement");
                assert!(
                    all.iter().any(|id| id == requirement),
                    "{vector}: {requirement}"
                );
                let named = named.entry(requirement.to_owned()).or_default();
                named.insert(vector.clone());
            }
            vectors.insert(vector);
        }
    }
    check("requirements", |row: &RequirementRow, faults| {
        let said = [&row.policy, &row.later].into_iter().flatten();
        if row.covered_by.is_empty() && said.clone().count() == 0 {
            faults.add("nothing covers it, and nothing is said about it");
        }
        if said.clone().any(|sentence| sentence.trim().is_empty()) {
            faults.add("an empty sentence");
        }
        for proof in &row.covered_by {
            let is_there = match proof.strip_prefix("test:") {
                Some(test) => is_test(test),
                None => vectors.contains(proof),
            };
            if !is_there {
                faults.add(format!("there is no {proof}"));
            }
        }
        for vector in named.get(&faults.row).into_iter().flatten() {
            if !row.covered_by.contains(vector) {
                faults.add(format!("{vector} names it, but is not named here"));
            }
        }
    });
}

/// Whether `FILE::NAME` is a test: `fn NAME` under `#[test]` in that file.
fn is_test(name: &str) -> bool {
    let Some((file, function)) = name.split_once("::") else {
        return false;
    };
    let text = std::fs::read_to_string(path(file)).unwrap_or_default();
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let head = format!("fn {function}()");
    lines
        .windows(2)
        .any(|pair| pair[0] == "#[test]" && pair[1].starts_with(&head))
}
