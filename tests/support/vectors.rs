//! Reads the rows of `tests/vectors` and reports all that fail, not just the first.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

/// A path in this repository.
pub fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The lines of a file of vectors, each with its id.
pub fn lines(file: &str) -> Vec<(String, String)> {
    let path = path(&format!("tests/vectors/{file}.jsonl"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let with_id = |line: &str| {
        let row: Value = serde_json::from_str(line).expect("a line of JSON");
        let id = row["id"].as_str().expect("an id").to_owned();
        (id, line.to_owned())
    };
    text.lines().map(with_id).collect()
}

/// Checks each row of a file. A row that is read as no `R`, or that makes the check panic, fails too.
pub fn check<R: DeserializeOwned>(file: &str, check: impl Fn(&R, &mut Faults)) {
    let rows = lines(file);
    let mut ids = BTreeSet::new();
    let mut failed = Vec::new();
    let mut bad = 0;
    for (id, line) in &rows {
        bad += usize::from(is_bad(line));
        let mut faults = Faults {
            row: id.clone(),
            list: Vec::new(),
        };
        if !ids.insert(id) {
            faults.add("the id stands twice in the file");
        }
        let row = serde_json::from_str(line).and_then(|mut row: Value| {
            take_head(&mut row)?;
            serde_json::from_value::<R>(row)
        });
        match row {
            Err(error) => faults.add(format!("a shape this test does not know: {error}")),
            Ok(row) => {
                let run = catch_unwind(AssertUnwindSafe(|| check(&row, &mut faults)));
                if run.is_err() {
                    faults.add("panicked, see above");
                }
            }
        }
        if !faults.list.is_empty() {
            failed.push(format!("{id}\n    {}", faults.list.join("\n    ")));
        }
    }
    let (passed, all) = (rows.len() - failed.len(), rows.len());
    println!("{file}: {passed} of {all} rows pass");
    assert!(all > 0, "{file} is empty");
    assert!(
        failed.is_empty(),
        "{file}: {passed} of {all} rows pass, but not\n{}",
        failed.join("\n")
    );
    println!("{file}: bad inputs tried: {bad}");
}

/// Whether a row is about something that has to be refused, or ignored, or is no answer.
fn is_bad(line: &str) -> bool {
    let row: Value = serde_json::from_str(line).unwrap_or_default();
    let expect = &row["expect"];
    let says = |name: &str| expect.get(name).is_some();
    row["ok"] == false
        || row.get("seconds") == Some(&Value::Null)
        || ["ignored", "failure", "oauth_error", "error"]
            .into_iter()
            .any(says)
}

/// What every row has, taken out of it so that the rest can be read strictly.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "id")]
    _id: String,
    #[serde(default, rename = "source")]
    _source: Option<String>,
    #[serde(default, rename = "req")]
    _req: Vec<String>,
}

fn take_head(row: &mut Value) -> serde_json::Result<()> {
    Head::deserialize(&*row)?;
    if let Some(row) = row.as_object_mut() {
        row.retain(|name, _| !matches!(name.as_str(), "id" | "source" | "req"));
    }
    Ok(())
}

/// What is wrong with one row.
pub struct Faults {
    pub row: String,
    list: Vec<String>,
}

impl Faults {
    pub fn add(&mut self, fault: impl Into<String>) {
        self.list.push(fault.into());
    }

    pub fn same<T: Debug + PartialEq>(&mut self, what: &str, got: T, want: T) {
        if got != want {
            self.add(format!(
                "{what}: expected {}, got {}",
                short(&want),
                short(&got)
            ));
        }
    }

    /// `part` is in `got`.
    pub fn contains(&mut self, what: &str, got: Option<&str>, part: &str) {
        if !got.is_some_and(|got| got.contains(part)) {
            self.add(format!(
                "{what}: expected {part:?} in it, got {}",
                short(&got)
            ));
        }
    }

    /// None of `secrets` is in `shown`.
    pub fn hides<'a>(&mut self, shown: &str, secrets: impl IntoIterator<Item = &'a str>) {
        for secret in secrets {
            // Shorter ones may stand there by chance.
            if secret.len() > 2 && shown.contains(secret) {
                self.add(format!("{} shows in {}", short(&secret), short(&shown)));
            }
        }
    }
}

fn short(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    match text.char_indices().nth(400) {
        None => text,
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
    }
}

/// A member of `expect` that may be left out (not asserted) or null (there must be none).
pub type Asserted<T> = Option<Option<T>>;

/// For `Asserted` members: `#[serde(default, deserialize_with = "asserted")]`.
pub fn asserted<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Asserted<T>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Long text in short: prefix, unit × times, middle, closing × times, suffix.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    #[serde(default)]
    prefix: String,
    unit: String,
    times: usize,
    #[serde(default)]
    middle: String,
    #[serde(default)]
    closing: String,
    #[serde(default)]
    suffix: String,
}

impl Repeat {
    pub fn text(&self) -> String {
        [
            self.prefix.as_str(),
            &self.unit.repeat(self.times),
            &self.middle,
            &self.closing.repeat(self.times),
            &self.suffix,
        ]
        .concat()
    }
}

/// The decoded pairs of a form, or of what follows the `?` in a URL.
pub fn pairs(form: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(form.as_bytes())
        .into_owned()
        .collect()
}

pub fn query(url: &str) -> Vec<(String, String)> {
    pairs(url.split_once('?').expect("a query").1)
}

/// The values of `name`.
pub fn all<'a>(pairs: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    let named = pairs.iter().filter(|(known, _)| known == name);
    named.map(|(_, value)| value.as_str()).collect()
}
