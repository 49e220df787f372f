//! What holds for every life of a flow, whatever happens to it and in whichever order.
//!
//! 256 lives per test; `PROPTEST_CASES=10000 cargo test --test properties` for more.

mod support;

use std::collections::HashSet;

use authflow::{Action, Activity, AuthFlow, Event, Notice, State, Timestamp, Verdict};
use proptest::prelude::*;
use serde_json::Value;

use support::model::{Model, Token, Visible};
use support::strategies::*;

fn config() -> ProptestConfig {
    ProptestConfig {
        // A shrunk life is printed: make a test of it.
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn model_agrees(rules in rules(), steps in life()) {
        let mut rig = Rig::new(rules);
        let mut model = Model::new(rules);
        for step in &steps {
            let turn = rig.step(step);
            let now = turn.now.as_millis();
            let expected = model.handle(&turn.what, now);
            let asked = turn.out.result.map(|()| turn.out.actions.iter().map(line).collect());
            prop_assert_eq!(&asked, &expected, "{:?} at {}", turn.what, now);
            let seen = visible(&rig.it.flow, turn.now);
            prop_assert_eq!(seen, model.view(now), "after {:?} at {}", turn.what, now);
        }
    }

    #[test]
    fn err_means_unchanged(rules in rules(), steps in life_with_a_slow_driver()) {
        let turns = Rig::live(rules, &steps);
        for (at, turn) in turns.iter().enumerate() {
            if turn.out.result.is_ok() {
                continue;
            }
            prop_assert_eq!(&turn.before, &turn.out.after, "{:?}", turn.what);
            // A twin that was never asked goes the same way.
            let mut twin = Rig::twin(rules, &turns[..at]);
            let next = turns[at + 1..].iter().find(|turn| turn.drained);
            for later in turns[at + 1..].iter().take(6) {
                let mut out = twin.apply(later.event.clone(), later.now, later.drained);
                if turn.drained == false || next.is_none() {
                    out.actions.clone_from(&later.out.actions);
                }
                prop_assert_eq!(&out, &later.out, "{:?} changed {:?}", turn.what, later.what);
            }
        }
    }
}
