//! Many sessions on one heap of the caller's: the one that is due next is refreshed, and put back.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use authflow::{AuthFlow, Event, Timestamp};
use authflow_benches::backend::Sessions;
use authflow_benches::backend::authflow::{Authflow, START, respond, sent};
use authflow_benches::backend::by_hand::ByHand;
#[cfg(feature = "oauth2")]
use authflow_benches::backend::oauth2::Oauth2;
use authflow_benches::figure::{Row, rounded};
use authflow_benches::fixture;
use authflow_benches::points::Point;

use crate::{Measured, least};

const TIMES: &str = "a refresh among sessions, time";
const INSTRUCTIONS: &str = "a refresh among sessions, instructions";
const SIZES: [usize; 5] = [1, 10, 100, 1_000, 10_000];
/// 3600 seconds, less the leeway of 60.
const LIFE: u64 = 3_540_000;

pub fn times() -> Vec<Measured> {
    each_library!(TIMES, time)
}

pub fn instructions() -> Vec<Measured> {
    each_library!(INSTRUCTIONS, count)
}

trait OnTime: Sessions {
    /// Does what is due at `now`, in milliseconds, and says when to come back.
    fn on_time(&self, session: &mut Self::Session, now: u64, answer: Vec<u8>) -> u64;
}

impl OnTime for Authflow {
    fn on_time(&self, flow: &mut AuthFlow, now: u64, answer: Vec<u8>) -> u64 {
        let now = Timestamp::from_millis(now);
        flow.handle(Event::Tick, now).expect("row 20");
        let id = sent(flow).expect("a refresh");
        respond(flow, id, answer, now);
        flow.deadline().expect("a deadline").as_millis()
    }
}

impl OnTime for ByHand {
    fn on_time(&self, session: &mut Self::Session, now: u64, answer: Vec<u8>) -> u64 {
        assert!(self.refresh(session, answer));
        now + LIFE
    }
}

#[cfg(feature = "oauth2")]
impl OnTime for Oauth2 {
    fn on_time(&self, session: &mut Self::Session, now: u64, answer: Vec<u8>) -> u64 {
        assert!(self.refresh(session, answer));
        now + LIFE
    }
}

struct Crowd<L: OnTime> {
    backend: L,
    sessions: Vec<L::Session>,
    due: BinaryHeap<Reverse<(u64, usize)>>,
}

impl<L: OnTime> Crowd<L> {
    fn new(size: usize) -> Self {
        let backend = L::new(&fixture::SCOPES.map(str::to_owned));
        let first = START.as_millis() + LIFE;
        let mut crowd = Self {
            sessions: (0..size).map(|_| backend.session()).collect(),
            backend,
            due: (0..size).map(|at| Reverse((first, at))).collect(),
        };
        // From here on all have the fixture's tokens.
        (0..size).for_each(|_| crowd.next(fixture::tokens().into_bytes()));
        crowd
    }

    fn next(&mut self, answer: Vec<u8>) {
        let Reverse((now, at)) = self.due.pop().expect("a session");
        let then = self.backend.on_time(&mut self.sessions[at], now, answer);
        assert!(then > now);
        self.due.push(Reverse((then, at)));
    }
}

fn time<L: OnTime>(row: &Row<'_>) {
    for size in SIZES {
        let mut crowd = Crowd::<L>::new(size);
        let answers = || vec![fixture::tokens().into_bytes(); 100];
        let time = least(50, answers, |answer| crowd.next(answer));
        row.put(size, rounded(time), "ns");
    }
}

fn count<L: OnTime>(row: &Row<'_>) {
    for size in SIZES {
        let mut crowd = Crowd::<L>::new(size);
        let mut point = Point::new(row, size.to_string());
        for _ in 0..100 {
            let answer = fixture::tokens().into_bytes();
            point.measured(|| crowd.next(answer));
        }
        point.over();
    }
}
