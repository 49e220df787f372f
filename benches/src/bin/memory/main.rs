//! What is held in memory. `memory` says what it can measure, `memory PART ROW` measures it, in a process of
//! its own, so that what one row leaves behind does not count for the next. Prints lines of JSON.

#[macro_use]
mod sizes;

mod clones;
#[cfg(feature = "drivers")]
mod driven;
mod held;
mod pending;
mod sessions;
mod snapshots;

use authflow_benches::figure::Row;
use authflow_benches::measure::Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

/// A row and what measures it.
type Measured = (&'static str, fn(&Row<'_>));

fn main() {
    let parts: Vec<(&str, Vec<Measured>)> = vec![
        (pending::PART, pending::rows()),
        (sessions::PART, sessions::rows()),
        (clones::PART, clones::rows()),
        (sizes::PART, sizes::rows()),
        (snapshots::PART, snapshots::rows()),
    ];
    #[cfg(feature = "drivers")]
    let parts = [parts, driven::rows()].concat();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &*arguments {
        [] => {
            for (part, rows) in &parts {
                rows.iter().for_each(|(row, _)| println!("{part}\t{row}"));
            }
        }
        [part, row] => {
            let rows = parts.iter().filter(|(name, _)| name == part);
            let mut rows = rows.flat_map(|(_, rows)| rows);
            let (_, measure) = rows
                .find(|(name, _)| name == row)
                .expect("a part and a row");
            measure(&Row { part, row });
        }
        // Under callgrind.
        [part] if part == "instructions" => snapshots::instructions(),
        _ => panic!("memory [PART ROW]"),
    }
}
