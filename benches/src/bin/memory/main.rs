//! What is held in memory. `memory` says what it can measure, `memory PART ROW` measures it, in a process of
//! its own, so that what one row leaves behind does not count for the next. Prints lines of JSON.

mod clones;
mod held;
mod pending;
mod sessions;
mod sizes;
mod snapshots;

use authflow_benches::figure::Row;
use authflow_benches::measure::Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

/// A row and what measures it.
type Measured = (&'static str, fn(&Row<'_>));

fn main() {
    let parts: [(&str, Vec<Measured>); 5] = [
        (pending::PART, pending::rows()),
        (sessions::PART, sessions::rows()),
        (clones::PART, clones::rows()),
        (sizes::PART, sizes::rows()),
        (snapshots::PART, snapshots::rows()),
    ];
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &*arguments {
        [] => {
            for (part, rows) in &parts {
                rows.iter().for_each(|(row, _)| println!("{part}\t{row}"));
            }
        }
        [part, row] => {
            let (_, rows) = parts.iter().find(|(name, _)| name == part).expect("a part");
            let (_, measure) = rows.iter().find(|(name, _)| name == row).expect("a row");
            measure(&Row { part, row });
        }
        // Under callgrind.
        [part] if part == "instructions" => snapshots::instructions(),
        _ => panic!("memory [PART ROW]"),
    }
}
