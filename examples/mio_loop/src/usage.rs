//! What this process takes of the system's. Linux says so in `/proc`; elsewhere nothing is known.

use std::fs;
use std::io;
use std::time::Duration;

/// How many threads there are.
#[must_use]
pub fn threads() -> Option<usize> {
    Some(fs::read_dir("/proc/self/task").ok()?.count())
}

/// The CPU time of the first thread, which is all there is where there is one.
#[must_use]
pub fn cpu_time() -> Option<Duration> {
    let text = fs::read_to_string("/proc/self/schedstat").ok()?;
    let nanos = text.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

/// EMFILE and ENFILE, which are the same on all Unixes, and WSAEMFILE. `std` has no kind for them.
#[must_use]
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24 | 10024))
}

/// How many of so many descriptors the system gives now.
#[must_use]
pub fn descriptors(wanted: usize) -> usize {
    let Ok(any_file) = std::env::current_exe() else {
        return wanted;
    };
    let opened = (0..wanted).map_while(|_| fs::File::open(&any_file).ok());
    opened.collect::<Vec<_>>().len()
}
