//! Everybody's deadlines in one order.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use authflow::{RequestId, Timestamp};
use mio::Token;

/// Whose deadline it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// A flow's: it wants a tick.
    Flow(usize),
    /// That of a flow's request, sent or still in the queue.
    Request(usize, RequestId),
    /// That of a browser, or of whoever else has connected.
    Browser(Token),
}

/// One deadline for each timer at most. The machine counts in wall-clock time, so the loop does too.
#[derive(Default)]
pub struct Timers {
    order: BTreeSet<(Timestamp, Timer)>,
    due: HashMap<Timer, Timestamp>,
}

impl Timers {
    /// Sets a timer anew, or takes it away.
    pub fn set(&mut self, timer: Timer, due: Option<Timestamp>) {
        let old = match due {
            Some(due) => self.due.insert(timer, due),
            None => self.due.remove(&timer),
        };
        if old == due {
            return;
        }
        if let Some(old) = old {
            self.order.remove(&(old, timer));
        }
        self.order.extend(due.map(|due| (due, timer)));
    }

    /// When the next one is due.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        self.order.first().map(|(due, _)| *due)
    }

    /// Takes one that is due.
    pub fn pop_due(&mut self, now: Timestamp) -> Option<Timer> {
        let (_, timer) = *self.order.first().filter(|(due, _)| *due <= now)?;
        self.set(timer, None);
        Some(timer)
    }

    /// The clock was put back. Without this every wait would be as much longer.
    pub fn put_back(&mut self, by: Duration) {
        self.order.clear();
        for (timer, due) in &mut self.due {
            *due = due.saturating_sub(by);
            self.order.insert((*due, *timer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn timers() -> Timers {
        let mut timers = Timers::default();
        timers.set(Timer::Flow(1), Some(at(3000)));
        timers.set(Timer::Flow(2), Some(at(2000)));
        timers.set(Timer::Browser(Token(9)), Some(at(2500)));
        timers
    }

    #[test]
    fn the_earliest_is_due_first_and_once() {
        let mut timers = timers();
        assert_eq!(timers.next(), Some(at(2000)));
        assert_eq!(timers.pop_due(at(1999)), None);
        assert_eq!(timers.pop_due(at(2500)), Some(Timer::Flow(2)));
        assert_eq!(timers.pop_due(at(2500)), Some(Timer::Browser(Token(9))));
        assert_eq!(timers.pop_due(at(2500)), None);
        assert_eq!(timers.next(), Some(at(3000)));
    }

    #[test]
    fn a_timer_has_one_deadline() {
        let mut timers = timers();
        timers.set(Timer::Flow(2), Some(at(4000)));
        timers.set(Timer::Browser(Token(9)), None);
        assert_eq!(timers.pop_due(at(9000)), Some(Timer::Flow(1)));
        assert_eq!(timers.pop_due(at(9000)), Some(Timer::Flow(2)));
        assert_eq!(timers.pop_due(at(9000)), None);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn waits_are_no_longer_after_the_clock_was_put_back() {
        let mut timers = timers();
        timers.put_back(Duration::from_secs(1));
        assert_eq!(timers.next(), Some(at(1000)));
        assert_eq!(timers.pop_due(at(1000)), Some(Timer::Flow(2)));
        timers.set(Timer::Flow(1), None);
        assert_eq!(timers.next(), Some(at(1500)));
    }
}
