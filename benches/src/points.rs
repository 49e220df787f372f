//! Many figures of instructions from one run under callgrind, which writes down what it has collected each
//! time `point_is_over` is called. `benches/points.py` puts the two together.

use std::hint::black_box;

use crate::figure::Row;
use crate::measure;

pub struct Point<'a> {
    row: &'a Row<'a>,
    column: String,
    times: u64,
    per: f64,
}

impl<'a> Point<'a> {
    #[must_use]
    pub fn new(row: &'a Row<'a>, column: impl Into<String>) -> Self {
        Self {
            row,
            column: column.into(),
            times: 0,
            per: 1.0,
        }
    }

    /// Counted per so many of what is worked on: bytes.
    #[must_use]
    pub fn per(mut self, per: usize) -> Self {
        self.per = per as f64;
        self
    }

    /// Once more of what the figure is the mean of.
    pub fn measured<T>(&mut self, work: impl FnOnce() -> T) -> T {
        self.times += 1;
        measure::measured(work)
    }

    /// Prints what to divide by what callgrind has collected.
    pub fn over(self) {
        let unit = match self.per {
            1.0 => "instructions",
            _ => "instructions per byte",
        };
        let divided_by = self.times as f64 * self.per;
        self.row.put_later(&self.column, unit, divided_by);
        point_is_over();
    }
}

/// The function that callgrind is told of (`--dump-before`).
#[inline(never)]
fn point_is_over() {
    black_box(());
}
