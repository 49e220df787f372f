//! Made-up lives of a flow: what happens to it, when, and in which order. A step is abstract ("answer
//! the last refresh", "wait until the deadline") and becomes an event against the live flow, so that
//! a shortened sequence still makes sense.
//!
//! Every secret begins with `SECRET`, and servers echo what they were sent.

// The fuzz target has these files, too, and no directory for them.
#[path = "rig.rs"]
mod rig;
#[path = "storm.rs"]
mod storm;

use authflow::ClientAuth;
use proptest::bool::weighted;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

#[allow(unused_imports, reason = "the property tests need no Writing")]
pub use authflow::testing::answers::{
    Grant, Lifetime, Meaning as Answer, TokenAnswer as Said, Writing,
};
#[allow(
    unused_imports,
    reason = "only the property tests draw hopeless answers"
)]
pub use authflow::testing::strategies::{
    grants as any_grant, hopeless_answers as hopeless, token_answers as said,
};
pub use rig::*;
#[allow(unused_imports, reason = "only the property tests count requests")]
pub use storm::*;

const SECOND: u64 = 1000;
const HOUR: u64 = 3600 * SECOND;
const DAY: u64 = 24 * HOUR;
const START: u64 = 1_700_000_000_000;

/// The client's settings, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    pub auto_refresh: bool,
    pub leeway: u64,
    pub login_timeout: u64,
    pub request_timeout: u64,
    pub auth: Option<ClientAuth>,
    pub issuer: Issuer,
}

/// What is known of the provider's issuer (RFC 9207).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Issuer {
    #[default]
    Unknown,
    Known,
    /// It is always sent.
    Required,
}

/// Whose name the browser comes back with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Iss {
    Ours,
    Missing,
    Empty,
    /// Ours with a slash behind it.
    Longer,
    Other,
}

impl Rules {
    /// Whether a redirect with this `iss` may be the answer (RFC 9207 section 2.4).
    pub fn take(&self, iss: Iss) -> bool {
        match iss {
            Iss::Ours => true,
            Iss::Missing => self.issuer != Issuer::Required,
            Iss::Empty | Iss::Longer | Iss::Other => self.issuer == Issuer::Unknown,
        }
    }
}

/// What happens, with every secret reduced to its number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Happening {
    BeginLogin {
        ours: bool,
    },
    Callback(Return),
    CancelLogin,
    Response {
        id: u64,
        answer: Answer,
    },
    Refresh,
    TokenRejected {
        serial: u64,
    },
    AdoptTokens(Grant),
    /// A token that can't be one.
    AdoptNonsense,
    LogOut,
    Tick,
    Restart,
}

/// How the browser comes back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Return {
    Code(u64),
    Denied,
    Noise,
}

/// Time passes, then something happens, then the actions are drained, unless the driver is slow.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub pass: Pass,
    pub op: Op,
    pub drain: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum Pass {
    Millis(u64),
    ToDeadline,
    BeforeDeadline,
    Back(u64),
    At(u64),
}

#[derive(Clone, Copy, Debug)]
pub enum Op {
    BeginLogin(bool),
    /// With the `iss` that a server of this kind sends, if any.
    Code,
    Denied,
    CodeFrom(Iss),
    DeniedFrom(Iss),
    /// One of [`FORGED`].
    Forged(usize),
    CancelLogin,
    /// To a request counted from the last, or to one that never was.
    Answer(Option<usize>, Said),
    Refresh,
    /// Of the current token, or of the one before.
    Reject(bool),
    Adopt(Grant),
    AdoptNonsense,
    LogOut,
    Tick,
    Restart,
}

/// Callbacks that are not this login's answer, whose state is `STATE`.
const FORGED: [&str; 12] = [
    "",
    "?",
    "?code=SECRET-code-0",
    "?code=SECRET-code-0&state=",
    "?code=SECRET-code-0&state=forged",
    "?code=SECRET-code-0&state=STATE&state=STATE",
    "?code=SECRET-code-0&code=SECRET-code-1&state=STATE",
    "?code=SECRET-code-0&error=access_denied&state=STATE",
    "?error=access_denied&error_description=no+STATE",
    "?state=STATE",
    "?code=SECRET-code-0%zz&state=STATE",
    "/elsewhere?code=SECRET-code-0&state=STATE",
];

pub const FORGERIES: usize = FORGED.len();

pub const USUAL: Rules = Rules {
    auto_refresh: true,
    leeway: 60 * SECOND,
    login_timeout: 300 * SECOND,
    request_timeout: 60 * SECOND,
    auth: None,
    issuer: Issuer::Known,
};

pub fn rules() -> impl Strategy<Value = Rules> {
    const AUTHS: [Option<ClientAuth>; 3] = [None, Some(ClientAuth::Basic), Some(ClientAuth::Body)];
    let leeway = select(&[0, 60 * SECOND]);
    let request_timeout = select(&[5 * SECOND, 60 * SECOND]);
    let login_timeout = select(&[SECOND, 300 * SECOND, DAY]);
    let issuer = select(&[Issuer::Unknown, Issuer::Known, Issuer::Required]);
    let times = (leeway, request_timeout, login_timeout);
    let all = (weighted(0.8), times, select(&AUTHS), issuer);
    all.prop_map(|(auto_refresh, times, auth, issuer)| Rules {
        auto_refresh,
        leeway: times.0,
        request_timeout: times.1,
        login_timeout: times.2,
        auth,
        issuer,
    })
}

/// A walk to one of the table's states, and then anything.
pub fn life() -> impl Strategy<Value = Vec<Step>> {
    steps(Just(true))
}

/// The same with a driver that drains late.
pub fn life_with_a_slow_driver() -> impl Strategy<Value = Vec<Step>> {
    steps(any::<bool>())
}

fn steps(drain: impl Strategy<Value = bool>) -> impl Strategy<Value = Vec<Step>> {
    let step = step(drain);
    let usual = Just(Grant::lasting(HOUR));
    let login = prop_oneof![2 => usual, 1 => any_grant()];
    let walk = (0..7usize, login).prop_map(|(length, login)| walk(login)[..length].to_vec());
    (walk, vec(step, 0..60)).prop_map(|(walk, steps)| [walk, steps].concat())
}

/// One step of any kind.
pub fn step(drain: impl Strategy<Value = bool>) -> impl Strategy<Value = Step> {
    (pass(), op(), drain).prop_map(|(pass, op, drain)| Step { pass, op, drain })
}

/// From one of the table's states to the next.
pub fn walk(login: Grant) -> [Step; 6] {
    [
        promptly(Pass::At(START), Op::BeginLogin(true)),
        promptly(Pass::Millis(900), Op::Code),
        promptly(Pass::Millis(80), Op::Answer(Some(0), Said::Tokens(login))),
        promptly(Pass::Millis(SECOND), Op::Refresh),
        promptly(Pass::ToDeadline, Op::Tick),
        promptly(Pass::Millis(HOUR), Op::Tick),
    ]
}

pub const fn promptly(pass: Pass, op: Op) -> Step {
    let drain = true;
    Step { pass, op, drain }
}

fn pass() -> impl Strategy<Value = Pass> {
    prop_oneof![
        12 => Just(Pass::Millis(0)),
        8 => (1..5 * SECOND).prop_map(Pass::Millis),
        4 => (SECOND..100 * SECOND).prop_map(Pass::Millis),
        10 => Just(Pass::ToDeadline),
        3 => Just(Pass::BeforeDeadline),
        3 => (HOUR..50 * HOUR).prop_map(Pass::Millis),
        1 => Just(Pass::Millis(10 * 365 * DAY)),
        4 => (1..100 * SECOND).prop_map(Pass::Back),
        2 => (DAY..400 * DAY).prop_map(Pass::Back),
        1 => select(&[0, START, u64::MAX]).prop_map(Pass::At),
    ]
}

pub const ISS: [Iss; 5] = [Iss::Ours, Iss::Missing, Iss::Empty, Iss::Longer, Iss::Other];

fn op() -> impl Strategy<Value = Op> {
    let whose = prop_oneof![8 => Just(Some(0)), 4 => (1..4usize).prop_map(Some), 1 => Just(None)];
    prop_oneof![
        5 => weighted(0.9).prop_map(Op::BeginLogin),
        7 => Just(Op::Code),
        1 => Just(Op::Denied),
        2 => select(&ISS).prop_map(Op::CodeFrom),
        1 => select(&ISS).prop_map(Op::DeniedFrom),
        2 => (0..FORGED.len()).prop_map(Op::Forged),
        2 => Just(Op::CancelLogin),
        14 => (whose, said()).prop_map(|(whose, said)| Op::Answer(whose, said)),
        5 => Just(Op::Refresh),
        3 => weighted(0.7).prop_map(Op::Reject),
        2 => any_grant().prop_map(Op::Adopt),
        1 => Just(Op::AdoptNonsense),
        2 => Just(Op::LogOut),
        7 => Just(Op::Tick),
        3 => Just(Op::Restart),
    ]
}
