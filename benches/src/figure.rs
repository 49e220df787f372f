//! How a figure is printed: one line of JSON each.

use std::fmt::Display;

use serde::Serialize;
use serde_json::{Value, json};

/// A row of one part of the table. `value` is a number.
pub struct Row<'a> {
    pub part: &'a str,
    pub row: &'a str,
}

#[derive(Serialize)]
struct Line<'a> {
    part: &'a str,
    row: &'a str,
    column: &'a str,
    value: Value,
    unit: &'a str,
    /// Where the value is not known yet: see `points`.
    #[serde(rename = "divided by", skip_serializing_if = "Option::is_none")]
    divided_by: Option<f64>,
}

impl Row<'_> {
    pub fn put(&self, column: impl Display, value: impl Into<Value>, unit: &str) {
        self.print(&column.to_string(), value.into(), unit, None);
    }

    pub(crate) fn put_later(&self, column: &str, unit: &str, divided_by: f64) {
        self.print(column, Value::Null, unit, Some(divided_by));
    }

    fn print(&self, column: &str, value: Value, unit: &str, divided_by: Option<f64>) {
        let line = Line {
            part: self.part,
            row: self.row,
            column,
            value,
            unit,
            divided_by,
        };
        println!("{}", serde_json::to_string(&line).expect("JSON"));
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
