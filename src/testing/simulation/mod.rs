//! Your program, in a world without sockets, threads or a clock.

mod books;
mod chance;
mod flaw;
mod network;
pub(in crate::testing) mod plan;
mod run;
mod transcript;
mod world;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

pub use flaw::Flaw;
pub use plan::{Behaviour, Plan, Step};
pub use run::Run;
pub use transcript::Transcript;
pub use world::{SaveFailed, World};

use crate::{AuthFlow, Client, Event, RedirectUri, Timestamp};

/// A program under test: whatever owns an [`AuthFlow`] and carries out its actions.
///
/// It does so by the [`World`] that it is handed, where it would otherwise use sockets and files.
pub trait Program {
    /// Something happened. Hand it to the flow at [`World::now`], and carry out the flow's actions. An
    /// event that the flow refuses, such as a second login, is the person's to press and yours to
    /// ignore.
    fn handle(&mut self, event: Event, world: &mut World);

    /// The flow.
    fn flow(&self) -> &AuthFlow;

    /// When the program wants to be woken by an [`Event::Tick`]. By default at the flow's deadline; a
    /// program with a timer of its own says the earlier of the two.
    fn wake_at(&self) -> Option<Timestamp> {
        self.flow().deadline()
    }
}

/// Runs a [`Program`] against a provider, a person, a network, a disk and a clock that are all made up,
/// and finds what no program should do: see [`Flaw`].
///
/// The provider has the rules of the [`FakeProvider`](super::FakeProvider): it really checks PKCE,
/// codes, clients and refresh tokens. It takes the client that it is made for, at that client's
/// endpoints. A day takes a moment, and the same [`Plan`] always gives the same [`Run`].
///
/// ```
/// use authflow::testing::{Plan, Program, Simulation, Step, World};
/// use authflow::{Action, AuthFlow, Event, spotify};
///
/// struct Player {
///     flow: AuthFlow,
/// }
///
/// impl Player {
///     fn start(world: &mut World) -> Self {
///         let (client, now) = (world.client(), world.now());
///         let saved = world.saved().map(|it| AuthFlow::restore(client.clone(), it, now));
///         let flow = saved.and_then(Result::ok);
///         Self { flow: flow.unwrap_or_else(|| AuthFlow::new(client)) }
///     }
/// }
///
/// impl Program for Player {
///     fn handle(&mut self, event: Event, world: &mut World) {
///         let _ = self.flow.handle(event, world.now());
///         while let Some(action) = self.flow.poll_action() {
///             match action {
///                 Action::OpenUrl(url) => world.open_url(&url),
///                 Action::Send(request) => world.send(request),
///                 Action::AnswerCallback(verdict) => world.answer_callback(verdict),
///                 Action::Persist => world.save(&self.flow.snapshot()).unwrap_or_default(),
///                 Action::Notify(_) => {}
///             }
///         }
///     }
///
///     fn flow(&self) -> &AuthFlow {
///         &self.flow
///     }
/// }
///
/// # fn main() -> Result<(), authflow::ConfigError> {
/// let client = spotify::client("player").build()?;
/// let simulation = Simulation::new(client, "http://127.0.0.1:8888/callback")?;
/// let plan = Plan::new().then(Step::LogIn).then(Step::Agree).then(Step::Restart).then(Step::CallApi);
/// let run = simulation.run(&plan, Player::start);
/// assert_eq!(run.flaw(), None);
///
/// // It forgets that a save may fail, and the first seeds find it out.
/// let found = simulation.search(0..500, Player::start).unwrap_err();
/// assert_eq!(found.flaw().to_string(), "what is saved is not what the program has: its tokens are lost");
/// assert!(found.plan().steps.contains(&Step::FailSave));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Simulation {
    client: Arc<Client>,
    redirect_uri: RedirectUri,
    keeps_nothing: bool,
}

impl Simulation {
    /// For programs that use this client, and have the browser come back to this redirect URI.
    ///
    /// The simulated provider writes its answers as RFC 6749 has it, so a client with repair steps or
    /// a token swap does not get in.
    ///
    /// # Errors
    /// [`ConfigError::RedirectUri`](crate::ConfigError::RedirectUri) for a redirect URI that the client
    /// does not take.
    pub fn new(
        client: impl Into<Arc<Client>>,
        redirect_uri: &str,
    ) -> Result<Self, crate::ConfigError> {
        let client = client.into();
        Ok(Self {
            redirect_uri: client.redirect_uri(redirect_uri)?,
            client,
            keeps_nothing: false,
        })
    }

    /// For programs that save nothing: a restart ends their session, and nothing about saving is
    /// checked.
    #[must_use]
    pub fn keeps_nothing(mut self) -> Self {
        self.keeps_nothing = true;
        self
    }

    /// Carries out a plan. `start` starts the program, at the beginning and after each
    /// [`Step::Restart`].
    ///
    /// At the end, all that was wrong is set right, and the program has a day to get in again. The run
    /// ends early at the first [`Flaw`].
    pub fn run<P: Program>(&self, plan: &Plan, mut start: impl FnMut(&mut World) -> P) -> Run {
        run::Runner::run(self, plan, &mut start)
    }

    /// Runs [`Plan::from_seed`] of each seed until a flaw is found, and then looks for the shortest
    /// plan that shows it.
    ///
    /// # Errors
    /// A [`Counterexample`].
    pub fn search<P: Program>(
        &self,
        seeds: Range<u64>,
        mut start: impl FnMut(&mut World) -> P,
    ) -> Result<(), Box<Counterexample>> {
        for seed in seeds {
            let plan = Plan::from_seed(seed);
            if let Some(flaw) = self.run(&plan, &mut start).flaw() {
                let plan = plan.shrink(|less| self.run(less, &mut start).flaw() == Some(flaw));
                let transcript = self.run(&plan, &mut start).transcript().clone();
                return Err(Box::new(Counterexample {
                    seed,
                    flaw,
                    plan,
                    transcript,
                }));
            }
        }
        Ok(())
    }
}

/// A plan in which the program does what it should not, as short as could be found.
#[derive(Clone, Debug)]
pub struct Counterexample {
    seed: u64,
    flaw: Flaw,
    plan: Plan,
    transcript: Transcript,
}

impl Counterexample {
    /// The seed whose plan was the first to show it.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What the program did.
    #[must_use]
    pub fn flaw(&self) -> Flaw {
        self.flaw
    }

    /// The shortest plan that shows it.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What happened to the program in it. The flaw shows at the last line.
    #[must_use]
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed, flaw, plan, ..
        } = self;
        write!(f, "{flaw} (seed {seed}, shortened to {plan:?})")
    }
}

impl std::error::Error for Counterexample {}
