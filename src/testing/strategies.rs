//! Strategies of [`proptest`](https://docs.rs/proptest) for your own property tests (feature
//! `proptest`): for whole [`plans`] of a [`Simulation`](super::Simulation), and for the parts that a
//! program of yours meets: [`events`], [`responses`], [`faults`], [`clocks`].
//!
//! All of them shrink towards an honest provider, a network without faults, and little of it.
//!
//! ```
//! use authflow::testing::strategies::responses;
//! use proptest::prelude::*;
//!
//! /// Yours: what the window says of an answer.
//! fn shown(response: &authflow::HttpResponse) -> String {
//!     format!("The server said {}.", response.status())
//! }
//!
//! proptest! {
//!     // In your tests with #[test] before it.
//!     fn no_token_is_shown(response in responses()) {
//!         if let Ok(response) = &response {
//!             prop_assert!(!shown(response).contains("SECRET"));
//!         }
//!     }
//! }
//! # no_token_is_shown();
//! ```
//!
//! Every secret that an answer holds begins with `SECRET`.

mod answers;
mod events;

use std::time::Duration;
use std::vec::IntoIter;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::{NewTree, ValueTree};
use proptest::test_runner::TestRunner;

pub use answers::{grants, hopeless_answers, responses, token_answers, transport_errors};
pub use events::{events, token_sets};

use super::simulation::plan::{
    Behaviour, CONSENTS, LATENCIES, LIVES, Plan, ROTATIONS, Step, WAITS, every_fault,
};
use super::{Fault, Rotation};
use crate::Timestamp;

/// A provider's ways and up to 30 things that happen, for [`Simulation::run`](super::Simulation::run).
///
/// ```
/// use authflow::testing::strategies::plans;
/// # use authflow::testing::{Program, Simulation, World};
/// # use authflow::{Action, AuthFlow, Event};
/// use proptest::prelude::*;
///
/// # struct Player(AuthFlow);
/// # impl Player {
/// #     fn start(world: &mut World) -> Self {
/// #         Self(AuthFlow::new(world.client()))
/// #     }
/// # }
/// # impl Program for Player {
/// #     fn handle(&mut self, event: Event, world: &mut World) {
/// #         let _ = self.0.handle(event, world.now());
/// #         while let Some(action) = self.0.poll_action() {
/// #             match action {
/// #                 Action::Send(request) => world.send(request),
/// #                 Action::OpenUrl(url) => world.open_url(&url),
/// #                 Action::AnswerCallback(verdict) => world.answer_callback(verdict),
/// #                 _ => {}
/// #             }
/// #         }
/// #     }
/// #     fn flow(&self) -> &AuthFlow {
/// #         &self.0
/// #     }
/// # }
/// # fn simulation() -> Simulation {
/// #     let client = authflow::spotify::client("player").build().unwrap();
/// #     let simulation = Simulation::new(client, "http://127.0.0.1:8888/callback");
/// #     simulation.unwrap().keeps_nothing()
/// # }
/// proptest! {
///     # #![proptest_config(ProptestConfig::with_cases(20))]
///     fn my_player_survives(plan in plans()) {
///         let run = simulation().run(&plan, Player::start);
///         prop_assert_eq!(run.flaw(), None, "{}", run.transcript().to_jsonl());
///     }
/// }
/// # my_player_survives();
/// ```
pub fn plans() -> impl Strategy<Value = Plan> {
    let login = prop_oneof![
        1 => Just(Vec::new()),
        7 => Just(vec![Step::LogIn, Step::Agree]),
    ];
    let any = (behaviours(), login, vec(steps(), 0..30));
    let any = any.prop_map(|(provider, login, steps)| Plan {
        provider,
        steps: [login, steps].concat(),
    });
    Shrunk(any)
}

/// Plans that get short as [`Plan::shrink`] has it: proptest's own vectors try to leave each element out
/// once, whatever else goes later.
#[derive(Debug)]
struct Shrunk<S>(S);

impl<S: Strategy<Value = Plan>> Strategy for Shrunk<S> {
    type Tree = PlanTree;
    type Value = Plan;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let plan = self.0.new_tree(runner)?.current();
        Ok(PlanTree {
            known: plan,
            simpler: Vec::new().into_iter(),
            tried: None,
        })
    }
}

#[derive(Debug)]
struct PlanTree {
    /// The simplest that fails.
    known: Plan,
    simpler: IntoIter<Plan>,
    tried: Option<Plan>,
}

impl ValueTree for PlanTree {
    type Value = Plan;

    fn current(&self) -> Plan {
        self.tried.as_ref().unwrap_or(&self.known).clone()
    }

    fn simplify(&mut self) -> bool {
        if let Some(failed) = self.tried.take() {
            self.known = failed;
        }
        self.simpler = self.known.simpler().into_iter();
        self.complicate()
    }

    fn complicate(&mut self) -> bool {
        self.tried = self.simpler.next();
        self.tried.is_some()
    }
}

/// How a provider behaves all along: rotation, lifetimes, speed.
pub fn behaviours() -> impl Strategy<Value = Behaviour> {
    let rotation = select(&ROTATIONS[..]).prop_map(|it: Rotation| it);
    let times = (
        select(&LIVES[..]),
        select(&CONSENTS[..]),
        select(&LATENCIES[..]),
    );
    let any = (rotation, times, any::<bool>());
    let any = any.prop_map(|(rotation, times, code_reuse_revokes)| Behaviour {
        rotation,
        expires_in: times.0,
        refresh_token_lifetime: times.1,
        code_reuse_revokes,
        latency: times.2,
    });
    prop_oneof![1 => Just(Behaviour::default()), 1 => any]
}

/// One thing that happens.
pub fn steps() -> impl Strategy<Value = Step> {
    let wait = || select(&WAITS[..]);
    let person = prop_oneof![
        3 => Just(Step::LogIn),
        4 => Just(Step::Agree),
        1 => Just(Step::AgreeTwice),
        1 => Just(Step::Reload),
        1 => Just(Step::AgreeInStaleWindow),
        1 => Just(Step::Deny),
        1 => Just(Step::CloseWindow),
        1 => Just(Step::Cancel),
        1 => Just(Step::LogOut),
        1 => Just(Step::Forge),
    ];
    let program = prop_oneof![
        5 => Just(Step::CallApi),
        3 => Just(Step::Refresh),
        3 => Just(Step::Restart),
        1 => Just(Step::FailSave),
        1 => Just(Step::LoseSave),
    ];
    let world = prop_oneof![
        5 => faults().prop_map(Step::Fault),
        1 => wait().prop_map(Step::Offline),
        1 => wait().prop_map(Step::Outage),
        1 => wait().prop_map(Step::Suspend),
        1 => wait().prop_map(Step::ClockAhead),
        1 => wait().prop_map(Step::ClockBack),
        1 => Just(Step::ExpireAccessTokens),
        1 => Just(Step::RevokeRefreshTokens),
    ];
    prop_oneof![6 => wait().prop_map(Step::Wait), 14 => person, 13 => program, 12 => world]
}

/// One way for a request to go wrong, for [`Step::Fault`] or for
/// [`FakeProvider::fault`](super::FakeProvider::fault). With waits of up to 90 s.
pub fn faults() -> impl Strategy<Value = Fault> {
    select(every_fault())
}

/// What a clock says, one reading after the other: it goes on by steps of up to some hours, sleeps for
/// days, is set back, and begins anywhere.
pub fn clocks() -> impl Strategy<Value = Vec<Timestamp>> {
    let on = prop_oneof![
        8 => 0..5_000u64,
        4 => 0..4 * 3_600_000u64,
        1 => 0..400 * 24 * 3_600_000u64,
    ];
    let step = prop_oneof![
        10 => on.prop_map(|on| (true, on)),
        1 => (0..4000 * 24 * 3_600_000u64).prop_map(|back| (false, back)),
    ];
    let start = prop_oneof![
        8 => Just(1_700_000_000_000u64),
        1 => Just(0),
        1 => any::<u64>(),
    ];
    (start, vec(step, 0..100)).prop_map(|(start, steps)| {
        let mut now = Timestamp::from_millis(start);
        let tick = |(goes_on, by): (bool, u64)| {
            let by = Duration::from_millis(by);
            now = match goes_on {
                true => now.saturating_add(by),
                false => now.saturating_sub(by),
            };
            now
        };
        steps.into_iter().map(tick).collect()
    })
}
