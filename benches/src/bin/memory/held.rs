//! What many of the same kind hold, all told.

use std::hint::black_box;

use authflow_benches::figure::{Row, rounded};
use authflow_benches::measure::Allocations;

/// Prints what each of `count` holds in what `make` makes of them, a table or a list.
pub fn put<T>(row: &Row<'_>, inline: usize, count: usize, make: impl FnOnce() -> T) {
    let (resident, before) = (resident(), Allocations::now());
    let made = black_box(make());
    let held = Allocations::since(before);
    let grown = resident_since(resident);
    let share = |all: f64| rounded(all / count as f64);
    row.put("inline", inline, "bytes");
    row.put("heap, table included", share(held.live as f64), "bytes");
    // The table is one more.
    let allocations = (held.calls - held.freed - 1) as f64;
    row.put("allocations", share(allocations), "allocations");
    if let Some(grown) = grown {
        row.put("resident", share(grown as f64), "bytes");
    }
    drop(made);
}

/// Of this process, in memory: what malloc adds is in it.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line?.trim().strip_suffix("kB")?.trim().parse::<u64>();
    Some(kilobytes.ok()? * 1024)
}

fn resident_since(before: Option<u64>) -> Option<u64> {
    let grown = before.and_then(|before| resident()?.checked_sub(before));
    if grown.is_none() {
        eprintln!(
            "what is resident is not known: /proc/self/status does not say, or it is less now"
        );
    }
    grown
}
