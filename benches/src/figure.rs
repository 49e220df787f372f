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
pub fn rounded(value: f64) -> f64 {
    let places = if value < 100.0 { 10.0 } else { 1.0 };
    (value * places).round() / places
}
