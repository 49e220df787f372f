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

use std::time::Duration;
use std::vec::IntoIter;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::{NewTree, ValueTree};
use proptest::test_runner::TestRunner;

use super::answers::{Grant, LIVES, Lifetime, Meaning, TokenAnswer, Writing};
use super::simulation::plan::{
    Behaviour, CONSENTS, LATENCIES, LIVES as LIFETIMES, Plan, ROTATIONS, Step, WAITS, every_fault,
};
use super::{Fault, Rotation};
use crate::{
    CallbackUrl, Client, Event, HttpResponse, LoginSecrets, RedirectUri, RequestId, Scopes,
    Timestamp, TokenSerial, TokenSet, TransportError, TransportErrorKind,
};

type Reply = Result<HttpResponse, TransportError>;

// --- a program's world ---------------------------------------------------------------------------

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
        select(&LIFETIMES[..]),
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

// --- what a flow is handed -----------------------------------------------------------------------

/// Any event, for a flow of this client that is driven by hand. A few login secrets, request ids and
/// serials come again and again, so that some callbacks, responses and rejections are meant.
pub fn events(client: &Client, redirect_uri: &RedirectUri) -> impl Strategy<Value = Event> + use<> {
    let issuer = client.provider.issuer.clone();
    let redirect_uri = redirect_uri.clone();
    let uri = redirect_uri.clone();
    let begin_login = (0..2u8).prop_map(move |number| Event::BeginLogin {
        secrets: secrets(number),
        redirect_uri: redirect_uri.clone(),
    });
    let query = prop_oneof![1 => Just(CALLBACKS[0]), 1 => select(&CALLBACKS[..])];
    let callback = (0..2u8, query).prop_map(move |(number, query)| {
        let secrets = secrets(number);
        let query = query.replace("STATE", secrets.state.expose());
        let query = match &issuer {
            Some(issuer) => format!("{query}&iss={issuer}"),
            None => query,
        };
        let mark = if uri.as_str().contains('?') { '&' } else { '?' };
        let url = CallbackUrl::new(format!("{}{mark}{query}", uri.as_str()));
        Event::Callback { url }
    });
    let response = (1..4u64, responses()).prop_map(|(id, result)| Event::Response {
        id: RequestId::from_u64(id),
        result,
    });
    let rejected = (1..6u64).prop_map(|serial| Event::TokenRejected {
        serial: TokenSerial::from_u64(serial),
    });
    prop_oneof![
        4 => Just(Event::Tick),
        3 => begin_login,
        4 => callback,
        8 => response,
        3 => Just(Event::Refresh),
        2 => rejected,
        1 => token_sets().prop_map(Event::AdoptTokens),
        1 => Just(Event::CancelLogin),
        1 => Just(Event::LogOut),
    ]
}

const CALLBACKS: [&str; 6] = [
    "code=SECRET-code&state=STATE",
    "error=access_denied&state=STATE",
    "code=SECRET-code&state=forged",
    "code=SECRET-code&error=access_denied&state=STATE",
    "error=access_denied",
    "state=STATE",
];

fn secrets(number: u8) -> LoginSecrets {
    LoginSecrets::from_entropy([number; 64])
}

/// Tokens to adopt: `SECRET-access-1` and so on.
pub fn token_sets() -> impl Strategy<Value = TokenSet> {
    let end = proptest::option::of(0..1u64 << 42);
    (0..4u8, any::<bool>(), any::<bool>(), end).prop_map(|(number, refresh, scope, end)| {
        let mut set = TokenSet::new(format!("SECRET-access-{number}"));
        if refresh {
            set = set.refresh_token(format!("SECRET-refresh-{number}"));
        }
        if let (true, Ok(scopes)) = (scope, Scopes::new(["read", "write"])) {
            set = set.scopes(scopes);
        }
        match end {
            Some(end) => set.expires_at(Timestamp::from_millis(end)),
            None => set,
        }
    })
}

/// Anything that can come back for a token request: tokens in every way to write them, OAuth errors,
/// redirects, pages, garbage, bodies that are cut off, too deep or too large, and no answer.
pub fn responses() -> impl Strategy<Value = Reply> {
    let status = || {
        prop_oneof![
            2 => Just(200u16),
            2 => select(&[201, 204, 301, 302, 307, 400, 401, 403, 404, 429, 500, 502, 503][..]),
            1 => 100..1000u16,
        ]
    };
    let said = (token_answers(), 1..4u64).prop_map(|(answer, number)| {
        let now = Timestamp::from_millis(1_700_000_000_000);
        answer
            .reply(
                "grant_type=refresh_token&refresh_token=SECRET-sent",
                number,
                now,
            )
            .1
    });
    let cut = (grants(), writings(), any::<proptest::sample::Index>());
    let cut = cut.prop_map(|(grant, writing, at)| {
        let whole = TokenAnswer::Written(grant, writing);
        let reply = whole.reply("", 1, Timestamp::from_millis(0)).1;
        reply.map(|reply| {
            let length = at.index(reply.body().len().max(1));
            let body = reply.body().get(..length).unwrap_or_default();
            HttpResponse::new(reply.status(), body)
        })
    });
    let tokens_elsewhere = (status(), grants(), writings()).prop_map(|(status, grant, writing)| {
        let whole = TokenAnswer::Written(grant, writing);
        let reply = whole.reply("", 1, Timestamp::from_millis(0)).1;
        reply.map(|reply| HttpResponse::new(status, reply.body()))
    });
    let garbage = (status(), vec(any::<u8>(), 0..200));
    let page = "<!doctype html><title>Error</title><h1>Something went wrong</h1>";
    let odd = select(&[Odd::Page, Odd::Deep, Odd::TooLarge][..]);
    let odd = (status(), odd).prop_map(move |(status, odd)| {
        let body = match odd {
            Odd::Page => page.to_owned(),
            Odd::Deep => "[".repeat(100_000),
            Odd::TooLarge => " ".repeat(HttpResponse::MAX_BODY + 1),
        };
        Ok(HttpResponse::new(status, body))
    });
    prop_oneof![
        12 => said,
        2 => cut,
        2 => tokens_elsewhere,
        2 => garbage.prop_map(|(status, body)| Ok(HttpResponse::new(status, body))),
        2 => odd,
        2 => transport_errors().prop_map(Err),
    ]
}

#[derive(Clone, Copy, Debug)]
enum Odd {
    Page,
    Deep,
    TooLarge,
}

/// No answer, for any reason.
pub fn transport_errors() -> impl Strategy<Value = TransportError> {
    use TransportErrorKind::{
        Cancelled, Closed, Connect, Dns, Other, Protocol, Timeout, Tls, TooLarge,
    };
    const NEVER_SENT: [TransportErrorKind; 2] = [Connect, Dns];
    let unsent = select(&NEVER_SENT[..]).prop_map(|kind| (kind, false));
    let kinds = [Closed, Timeout, Tls, Protocol, TooLarge, Cancelled, Other];
    let either = (select(kinds.to_vec()), any::<bool>());
    prop_oneof![1 => unsent, 3 => either].prop_map(|(kind, may_have_been_sent)| TransportError {
        kind,
        may_have_been_sent,
    })
}

// --- what a token endpoint says ------------------------------------------------------------------

/// Anything that a token endpoint may say, with what it means.
pub fn token_answers() -> impl Strategy<Value = TokenAnswer> {
    let plain = grants().prop_map(TokenAnswer::Tokens);
    let written = (grants(), writings()).prop_map(|(grant, how)| TokenAnswer::Written(grant, how));
    let refusals = failures(|means| means == Meaning::InvalidGrant);
    prop_oneof![3 => plain, 5 => written, 6 => failures(|_| true), 2 => losses(), 1 => refusals]
}

/// Nothing that lasts, nothing that ends the attempts, and nothing that asks for patience: what a
/// program must not answer with a storm of requests.
pub fn hopeless_answers() -> impl Strategy<Value = TokenAnswer> {
    const DEAD: [Lifetime; 3] = [Lifetime::Zero, Lifetime::Lasts(0), Lifetime::Lasts(1000)];
    let plain = grants_of(&DEAD).prop_map(TokenAnswer::Tokens);
    let written = (grants_of(&DEAD), writings());
    let written = written.prop_map(|(grant, how)| TokenAnswer::Written(grant, how));
    let hasty = failures(|means| means.retry_after().is_some_and(|asked| asked <= 1000));
    prop_oneof![plain, written, hasty, losses()]
}

/// Tokens of any life, with and without a refresh token.
pub fn grants() -> impl Strategy<Value = Grant> {
    grants_of(&LIVES)
}

fn grants_of(lives: &'static [Lifetime]) -> impl Strategy<Value = Grant> {
    (any::<bool>(), any::<bool>(), select(lives)).prop_map(|(refresh, scope, life)| Grant {
        number: 0,
        refresh,
        scope,
        life,
    })
}

fn writings() -> impl Strategy<Value = Writing> {
    (0..Writing::COUNT).prop_map(Writing::numbered)
}

fn failures(which: impl Fn(Meaning) -> bool) -> impl Strategy<Value = TokenAnswer> {
    let all = 0..TokenAnswer::FAILURES;
    let some = all.filter(|at| which(TokenAnswer::failure_means(*at)));
    select(some.collect::<Vec<_>>()).prop_map(TokenAnswer::Failure)
}

fn losses() -> impl Strategy<Value = TokenAnswer> {
    (0..TokenAnswer::LOSSES).prop_map(TokenAnswer::Lost)
}
