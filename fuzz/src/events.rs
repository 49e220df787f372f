//! Any life of a flow, against the model of the property tests.

use authflow::{Activity, ClientAuth};

use super::support::model::Model;
use super::support::strategies::{
    FORGERIES, Grant, ISS, Issuer, Lifetime, Op, Pass, Rig, Rules, Said, Step, Turn, USUAL,
    Writing, walk,
};
use super::support::told::{line, visible};

const MOST: usize = 200;

/// The first byte says where the life begins and whether its driver is slow, the second is the rules,
/// and each three after that are a step: what happens, how, and when. Neighbours make much alike.
pub fn run(data: &[u8]) -> Vec<String> {
    let [first, second, rest @ ..] = data else {
        return Vec::new();
    };
    let is_slow = first & 0x80 != 0;
    let length = usize::from(first & 0x7f) % 7;
    let mut steps = walk(Grant::lasting(HOUR))[..length].to_vec();
    let (rest, _) = rest.as_chunks();
    steps.extend(rest.iter().take(MOST).map(|bytes| step(*bytes, is_slow)));
    match is_slow {
        true => has_a_twin(rules(*second), &steps),
        false => is_as_the_model_says(rules(*second), &steps),
    }
}

fn rules(byte: u8) -> Rules {
    Rules {
        auto_refresh: byte & 1 == 0,
        leeway: if byte & 2 == 0 { 60 * SECOND } else { 0 },
        request_timeout: if byte & 4 == 0 {
            60 * SECOND
        } else {
            5 * SECOND
        },
        auth: match byte >> 3 & 3 {
            1 => Some(ClientAuth::Basic),
            2 => Some(ClientAuth::Body),
            3 => Some(ClientAuth::BasicUnencoded),
            _ => None,
        },
        issuer: match byte >> 5 & 3 {
            1 => Issuer::Unknown,
            2 => Issuer::Required,
            _ => Issuer::Known,
        },
        login_timeout: if byte & 128 == 0 {
            USUAL.login_timeout
        } else {
            SECOND
        },
    }
}

fn step([what, how, when]: [u8; 3], is_slow: bool) -> Step {
    Step {
        pass: pass(when),
        op: op(what, how),
        drain: !is_slow || what & 0x80 == 0,
    }
}

/// The low half of the first byte says what, the high half to which request.
fn op(what: u8, how: u8) -> Op {
    let is_usual = how & 1 == 0;
    let request = match what >> 4 & 7 {
        7 => None,
        back => Some(usize::from(back)),
    };
    match what & 15 {
        1 => Op::BeginLogin(is_usual),
        2 if how == 0 => Op::Code,
        2 => Op::CodeFrom(ISS[usize::from(how) % ISS.len()]),
        3 => Op::Answer(request, Said::Tokens(grant(how))),
        4 => Op::Answer(request, Said::Failure(usize::from(how) % Said::FAILURES)),
        5 => Op::Refresh,
        6 => Op::Reject(is_usual),
        7 => Op::Adopt(grant(how)),
        8 => Op::LogOut,
        9 => Op::Restart,
        10 => Op::CancelLogin,
        11 if how == 0 => Op::Denied,
        11 => Op::DeniedFrom(ISS[usize::from(how) % ISS.len()]),
        12 => Op::Forged(usize::from(how) % FORGERIES),
        13 => Op::AdoptNonsense,
        14 => Op::Answer(request, Said::Lost(usize::from(how) % Said::LOSSES)),
        // To the last, because the high half says how they are written.
        15 => {
            let number = usize::from(what & 0x70) * 16 + usize::from(how);
            let writing = Writing::numbered(number % Writing::COUNT);
            Op::Answer(Some(0), Said::Written(grant(how.rotate_left(3)), writing))
        }
        _ => Op::Tick,
    }
}

fn grant(how: u8) -> Grant {
    Grant {
        number: 0,
        refresh: how & 1 == 0,
        scope: how & 2 == 0,
        life: match how >> 2 & 7 {
            1 => Lifetime::Unknown,
            2 => Lifetime::Zero,
            3 => Lifetime::Lasts(0),
            4 => Lifetime::Lasts(SECOND),
            5 => Lifetime::Lasts(90 * SECOND),
            6 => Lifetime::Lasts(i32::MAX as u64 * SECOND),
            _ => Lifetime::Lasts(HOUR),
        },
    }
}

/// The high half says which way, the low half how far.
fn pass(when: u8) -> Pass {
    let far = u64::from(when & 15);
    match when >> 4 {
        0 => Pass::Millis(0),
        1 => Pass::Millis(1 + far * 333),
        2 => Pass::Millis((1 + far) * 6 * SECOND),
        3 => Pass::Millis((1 + far * 3) * HOUR),
        4 => Pass::Millis(1 << (far * 2)),
        5 => Pass::Millis(3650 * DAY),
        6 => Pass::BeforeDeadline,
        7 => Pass::Back(1 + far * 6 * SECOND),
        8 => Pass::Back((1 + far * 26) * DAY),
        9 => Pass::At([0, 1_700_000_000_000, u64::MAX][far as usize % 3]),
        _ => Pass::ToDeadline,
    }
}

const SECOND: u64 = 1000;
const HOUR: u64 = 3600 * SECOND;
const DAY: u64 = 24 * HOUR;

fn is_as_the_model_says(rules: Rules, steps: &[Step]) -> Vec<String> {
    let mut rig = Rig::new(rules);
    let mut model = Model::new(rules);
    let mut reached = Vec::new();
    for step in steps {
        let turn = rig.step(step);
        reached.extend(names(step, &turn));
        let (what, now) = (turn.what, turn.now.as_millis());
        let asked = turn
            .out
            .result
            .map(|()| turn.out.actions.iter().map(line).collect());
        assert_eq!(asked, model.handle(&what, now), "{what:?} at {now}");
        assert_eq!(
            visible(&rig.it.flow, turn.now),
            model.view(now),
            "after {what:?} at {now}"
        );
    }
    reached
}

/// A driver that drains late has no model, but two of them do the same.
fn has_a_twin(rules: Rules, steps: &[Step]) -> Vec<String> {
    let turns = Rig::live(rules, steps);
    let twin = Rig::twin(rules, &turns);
    let Some(last) = turns.last() else {
        return Vec::new();
    };
    assert_eq!(twin.it.view(), last.out.after);
    let named = steps.iter().zip(&turns);
    let mut reached: Vec<_> = named.flat_map(|(step, turn)| names(step, turn)).collect();
    reached.push("slow driver".to_owned());
    reached
}

/// What of all that can happen has happened. Whatever is added there must be named here.
fn names(step: &Step, turn: &Turn) -> Vec<String> {
    let pass = match step.pass {
        Pass::Millis(_) => "on",
        Pass::ToDeadline => "to the deadline",
        Pass::BeforeDeadline => "before the deadline",
        Pass::Back(_) => "back",
        Pass::At(_) => "at",
    };
    let op = match step.op {
        Op::BeginLogin(true) => "BeginLogin",
        Op::BeginLogin(false) => "BeginLogin of another client",
        Op::Code => "Code",
        Op::Denied => "Denied",
        Op::CodeFrom(_) => "Code from whomever",
        Op::DeniedFrom(_) => "Denied by whomever",
        Op::Forged(_) => "Forged",
        Op::CancelLogin => "CancelLogin",
        Op::Answer(None, _) => "Answer to nothing",
        Op::Answer(Some(0), Said::Tokens(_)) => "Answer with tokens",
        Op::Answer(Some(0), Said::Written(..)) => "Answer with tokens written otherwise",
        Op::Answer(Some(0), Said::Failure(_)) => "Answer with a failure",
        Op::Answer(Some(0), Said::Lost(_)) => "Answer that did not come",
        Op::Answer(Some(_), _) => "Answer to an earlier request",
        Op::Refresh => "Refresh",
        Op::Reject(true) => "Reject",
        Op::Reject(false) => "Reject an earlier token",
        Op::Adopt(_) => "Adopt",
        Op::AdoptNonsense => "AdoptNonsense",
        Op::LogOut => "LogOut",
        Op::Tick => "Tick",
        Op::Restart => "Restart",
    };
    let (before, after) = (&turn.before, &turn.out.after);
    let activity = match after.activity {
        Activity::Backoff { .. } => "Backoff".to_owned(),
        activity => format!("{activity:?}"),
    };
    let mut names = vec![
        format!("time: {pass}"),
        format!("{op}"),
        format!("{op} in {:?}", before.state),
        format!("then {:?}", after.state),
        format!("then {activity}"),
    ];
    names.extend(turn.out.result.err().map(|misuse| misuse.name().to_owned()));
    let notices = turn.notices();
    names.extend(notices.iter().map(|notice| notice.name().to_owned()));
    names
}
