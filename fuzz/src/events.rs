//! Any life of a flow, against the model of the property tests.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::support::model::Model;
use super::support::strategies::{Grant, Rig, Rules, Step, rules, step, walk};
use super::support::told::{line, visible};

const MOST: usize = 200;

/// The first byte says where the life begins and whether its driver is slow, the second chooses the
/// rules, and each two after that a step.
pub fn run(data: &[u8]) {
    let [first, second, rest @ ..] = data else {
        return;
    };
    let rules = made(&rules(), &[*second]);
    let mut steps = walk(Grant::lasting(3_600_000))[..usize::from(first % 7)].to_vec();
    let is_slow = *first >= 192;
    let (promptly, anyhow) = (step(Just(true)), step(any::<bool>()));
    steps.extend(rest.chunks(2).take(MOST).map(|bytes| match is_slow {
        true => made(&anyhow, bytes),
        false => made(&promptly, bytes),
    }));
    match is_slow {
        true => has_a_twin(rules, &steps),
        false => is_as_the_model_says(rules, &steps),
    }
}

/// What a strategy makes of these bytes, always the same.
fn made<T: std::fmt::Debug>(strategy: &impl Strategy<Value = T>, bytes: &[u8]) -> T {
    // Splitmix: neighbours make nothing alike.
    let mut number = bytes
        .iter()
        .fold(1, |number, &byte| number << 8 | u64::from(byte));
    let mut seed = [0; 16];
    for half in seed.chunks_mut(8) {
        number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        half.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
    }
    let rng = TestRng::from_seed(RngAlgorithm::XorShift, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    strategy
        .new_tree(&mut runner)
        .expect("no strategy refuses")
        .current()
}

fn is_as_the_model_says(rules: Rules, steps: &[Step]) {
    let mut rig = Rig::new(rules);
    let mut model = Model::new(rules);
    for step in steps {
        let turn = rig.step(step);
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
}

/// A driver that drains late has no model, but two of them do the same.
fn has_a_twin(rules: Rules, steps: &[Step]) {
    let turns = Rig::live(rules, steps);
    let twin = Rig::twin(rules, &turns);
    if let Some(last) = turns.last() {
        assert_eq!(twin.it.view(), last.out.after);
    }
}
