//! Time as an argument.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in wall-clock time: whole milliseconds since the Unix epoch.
///
/// The machine never reads a clock; every `now` is one of these, handed in by the caller. Wall-clock
/// time is used, not a monotonic one, because a token's expiry must survive a suspended laptop and a
/// restarted program. All arithmetic saturates: a clock before 1970 reads as the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Where a clock stops, so that no wait that ends there is one.
    pub(crate) const END: Self = Self(u64::MAX);

    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// From the standard library's clock reading. Before 1970 this is the epoch.
    #[must_use]
    pub fn from_system_time(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(millis(since))
    }

    /// This much later, at most the end of time.
    #[must_use]
    pub fn saturating_add(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(millis(wait)))
    }

    /// This much earlier, at least the epoch.
    #[must_use]
    pub fn saturating_sub(self, wait: Duration) -> Self {
        Self(self.0.saturating_sub(millis(wait)))
    }

    /// The time from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saturates_at_both_ends() {
        let end = Timestamp::from_millis(u64::MAX);
        assert_eq!(end.saturating_add(Duration::MAX), end);
        assert_eq!(end.saturating_sub(Duration::MAX), Timestamp::from_millis(0));
        let early = UNIX_EPOCH.checked_sub(Duration::from_secs(5));
        assert_eq!(
            early.map(Timestamp::from_system_time),
            Some(Timestamp::from_millis(0))
        );
    }
}
