//! How a figure is printed: one line of JSON each.

use std::fmt::Display;

use serde_json::{Value, json};

/// A row of one part of the table. `value` is a number.
pub struct Row<'a> {
    pub part: &'a str,
    pub row: &'a str,
}

impl Row<'_> {
    pub fn put(&self, column: impl Display, value: impl Into<Value>, unit: &str) {
        let line = json!({
            "part": self.part,
            "row": self.row,
            "column": column.to_string(),
            "value": value.into(),
            "unit": unit,
        });
        println!("{line}");
    }
}

/// With a decimal where it says something.
#[must_use]
pub fn rounded(value: f64) -> Value {
    match value < 100.0 {
        true => json!((value * 10.0).round() / 10.0),
        false => json!(value.round() as i64),
    }
}
