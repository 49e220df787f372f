//! The public types, as the source has them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each `pub struct` and `pub enum` by its path, `flow::event::Event`, with the text of its fields.
pub fn types() -> BTreeMap<String, String> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut types = BTreeMap::new();
    for file in files(&src) {
        let text = fs::read_to_string(&file).unwrap();
        let module = module(file.strip_prefix(&src).unwrap());
        for (at, line) in text.match_indices("pub ") {
            let rest = &text[at + line.len()..];
            let kinds = ["struct ", "enum ", "union "];
            let Some(rest) = kinds.iter().find_map(|kind| rest.strip_prefix(kind)) else {
                continue;
            };
            let is_part_of_name = |c: char| c.is_alphanumeric() || c == '_';
            let (name, fields) = rest.split_at(rest.find(|c| !is_part_of_name(c)).unwrap());
            // The indentation of the line is that of the closing brace.
            let indent = text[..at].rsplit('\n').next().unwrap();
            let end = if fields.trim_start().starts_with('(') || fields.starts_with(';') {
                ";".to_owned()
            } else {
                format!("\n{indent}}}")
            };
            let fields = fields.split(&end).next().unwrap().lines();
            let fields = fields.filter(|line| !line.trim_start().starts_with("//"));
            types.insert([&module, name].concat(), fields.collect());
        }
    }
    types
}

/// What a compiler calls a type, as [`types`] does.
pub fn path(type_name: &str) -> &str {
    let path = type_name.trim_start_matches('&');
    let path = path.strip_prefix("authflow::").unwrap_or(path);
    path.split('<').next().unwrap()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            files.push(path);
        }
    }
    files
}

/// `flow/event.rs` is `flow::event::`.
fn module(file: &Path) -> String {
    let parts = file.with_extension("");
    let parts = parts.iter().map(|part| part.to_str().unwrap());
    let parts = parts.filter(|part| !["lib", "mod"].contains(part));
    parts.map(|part| format!("{part}::")).collect()
}
