//! A server, a clock and a driver, left alone with each other: how many requests come of it.

use std::collections::BTreeMap;
use std::iter;

use authflow::{Event, Timestamp};
use proptest::prelude::*;

use super::*;

/// After so much time, by a stopwatch, the clock is set, or the driver ticks for no reason.
pub type Move = (u64, Option<Pass>);

/// What there was of each.
#[derive(Debug, Default)]
pub struct Storm {
    pub requests: u64,
    /// Times that the clock was set ahead.
    pub leaps: u64,
    /// By a stopwatch.
    pub passed: u64,
}

impl Storm {
    /// After the first request each waits for a backoff to end. A clock that is set ahead ends one of
    /// them, one that is set back none; for the others time has to pass, and each is as long as the
    /// list says or longer.
    pub fn most_requests(&self) -> u64 {
        let mut waits = [1, 2, 4, 8, 16, 32].into_iter().chain(iter::repeat(60));
        let (mut waited, mut ended) = (0, 0);
        loop {
            waited += waits.next().unwrap_or(60) * SECOND;
            if waited > self.passed {
                return 1 + ended + self.leaps;
            }
            ended += 1;
        }
    }
}

/// Anything, or a clock that is only ever set back.
pub fn moves() -> impl Strategy<Value = Vec<Move>> {
    let back = prop_oneof![
        4 => (SECOND..3 * HOUR).prop_map(Pass::Back),
        2 => (DAY..4000 * DAY).prop_map(Pass::Back),
    ];
    let jump = prop_oneof![
        6 => back.clone(),
        4 => (SECOND..3 * HOUR).prop_map(Pass::Millis),
        2 => (DAY..4000 * DAY).prop_map(Pass::Millis),
        1 => Just(Pass::ToDeadline),
        1 => Just(Pass::BeforeDeadline),
        2 => Just(Pass::At(0)),
        2 => Just(Pass::At(START)),
        1 => Just(Pass::At(u64::MAX)),
    ];
    prop_oneof![2 => moves_of(jump), 1 => moves_of(back)]
}

fn moves_of(jump: impl Strategy<Value = Pass>) -> impl Strategy<Value = Vec<Move>> {
    let what = prop_oneof![2 => jump.prop_map(Some), 1 => Just(None)];
    vec((0..200 * SECOND, what), 1..50)
}

impl Rig {
    /// An hour with a driver that does nothing but tick at the deadlines, and a server that answers
    /// after `delay`. How many requests there were, or more than enough of them.
    pub fn hour_of_ticks(&mut self, said: impl IntoIterator<Item = Said>, delay: u64) -> u64 {
        self.storm(said, delay, &[(HOUR - 1, None)]).requests
    }

    /// The same until the last of the moves. The driver sleeps by a stopwatch: a clock that is set does
    /// not wake it.
    pub fn storm(
        &mut self,
        said: impl IntoIterator<Item = Said>,
        delay: u64,
        moves: &[Move],
    ) -> Storm {
        let mut said = said.into_iter();
        let mut answers = BTreeMap::new();
        let mut storm = Storm::default();
        let (mut clock, mut wakes) = (self.it.now.as_millis(), Some(0));
        let mut moves = moves.iter();
        let mut next_move = moves.next().map(|&(wait, what)| (wait, what));
        for _ in 0..50_000 {
            if storm.requests > 10_000 {
                break; // more than any of these has time for
            }
            // No wait leads away from the end of time, so a driver has to make one of its own.
            let pause = if clock == u64::MAX { 10 * SECOND } else { 0 };
            for request in self.it.requests.drain(..) {
                storm.requests += 1;
                let answered_at = storm.passed + delay;
                let reply = said
                    .next()
                    .map(|said| said.reply(request.body(), 1, self.it.now).1);
                answers.extend(reply.map(|result| ((answered_at, request.id()), result)));
            }
            let Some((moves_at, what)) = next_move else {
                return storm;
            };
            let answered_at = answers.first_key_value().map(|((at, _), _)| *at);
            let at = [Some(moves_at), answered_at, wakes];
            let at = at.into_iter().flatten().min().unwrap_or(moves_at);
            clock = clock.saturating_add(at - storm.passed);
            storm.passed = at;
            self.it.now = Timestamp::from_millis(clock);
            let mut event = Event::Tick;
            if at == moves_at {
                next_move = moves.next().map(|&(wait, what)| (at + wait, what));
                if let Some(jump) = what {
                    let set = self.time(jump).as_millis();
                    storm.leaps += u64::from(set > clock);
                    clock = set;
                    continue;
                }
            } else if answered_at == Some(at)
                && let Some(((_, id), result)) = answers.pop_first()
            {
                event = Event::Response { id, result };
            }
            let _ = self.apply(Some(event), Timestamp::from_millis(clock), true);
            let deadline = self.it.flow.deadline().map(Timestamp::as_millis);
            wakes = deadline.map(|deadline| at + (deadline - clock).max(pause));
        }
        storm.requests = u64::MAX; // a busy loop, or a storm
        storm
    }
}
