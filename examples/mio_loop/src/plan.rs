//! What is to be done, with how much, and what came of it.

use std::time::Duration;

use authflow::Failure;

use crate::usage::descriptors;

/// For what is not counted: the poll, the listener, and whatever else the program opens.
const SPARE: usize = 16;

/// How many sockets there may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections of browsers, and of others who come to the listener.
    pub browsers: usize,
    /// How long those need not make room for others who have connected and not finished their request:
    /// they may just have had no turn to speak.
    pub grace: Duration,
    /// Calls to the token endpoint.
    pub calls: usize,
}

impl Limits {
    /// As much of it as the system gives at present. Asked beforehand, because browsers that have taken
    /// the last descriptor would wait for calls that get none.
    #[must_use]
    pub fn granted(self) -> Self {
        let wanted = self.browsers + self.calls;
        let granted = descriptors(wanted + SPARE).saturating_sub(SPARE).max(2);
        let calls = (self.calls * granted / wanted.max(1)).clamp(1, self.calls.max(1));
        let browsers = self.browsers.min(granted - calls);
        Self {
            browsers,
            calls,
            ..self
        }
    }
}

/// Together with the handful that every program has this stays below the 1024 of `ulimit -n`.
impl Default for Limits {
    fn default() -> Self {
        Self {
            browsers: 512,
            grace: Duration::from_secs(1),
            calls: 128,
        }
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// So many, all at once.
    pub logins: usize,
    /// So many for each, by the machine's own deadlines. Then it is logged out.
    pub refreshes: usize,
    /// The first of them at once for all, when the last login has ended.
    pub first_at_once: bool,
}

/// How it ended for one flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Logged in, refreshed as often as planned, logged out.
    Complete,
    LoginFailed(Failure),
    RefreshFailed(Failure),
}

/// What happened.
#[derive(Debug, Default)]
pub struct Report {
    /// By flow.
    pub outcomes: Vec<Option<Outcome>>,
    /// The flows in the order in which they came to their end.
    pub order: Vec<usize>,
    pub logins: usize,
    pub refreshes: usize,
    /// Callbacks that no flow took.
    pub ignored: usize,
    /// At one time.
    pub most_logins: usize,
    pub most_refreshes: usize,
    pub most_sockets: usize,
    pub turns: usize,
}
