//! What happens to a program: the provider's ways, the person, the network, the clock.

use std::time::Duration;

use super::chance::Chance;
use crate::testing::{Fault, Rotation};

/// How the simulated provider behaves all along. The default is Spotify as it documents itself.
///
/// ```
/// use authflow::testing::{Behaviour, Plan, Rotation};
///
/// let mut provider = Behaviour::default();
/// provider.rotation = Rotation::EveryRefresh { reuse_detection: true };
/// let plan = Plan::new().provider(provider);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Behaviour {
    /// Whether a refresh replaces the refresh token.
    pub rotation: Rotation,
    /// The life of access tokens, in whole seconds. Default: an hour.
    pub expires_in: Duration,
    /// How long after the person's consent refresh tokens end. Default: 180 days.
    pub refresh_token_lifetime: Duration,
    /// Whether a code that is presented twice ends the login it was used for
    /// (RFC 6749 section 4.1.2). Default: no.
    pub code_reuse_revokes: bool,
    /// How long a request is on its way, and its answer again. Default: 40 ms.
    pub latency: Duration,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            rotation: Rotation::Never,
            expires_in: HOUR,
            refresh_token_lifetime: 180 * 24 * HOUR,
            code_reuse_revokes: false,
            latency: Duration::from_millis(40),
        }
    }
}

/// Something that happens, a second after what happened before it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Nothing but time. Whatever is due in it happens.
    Wait(Duration),
    /// The person presses "log in": the program is handed
    /// [`Event::BeginLogin`](crate::Event::BeginLogin).
    LogIn,
    /// The person agrees in the window that was opened last. Without an open window, as all that
    /// follows about windows, nothing.
    Agree,
    /// The same, and the browser comes back twice: a reload, or a second tab.
    AgreeTwice,
    /// The address that the browser came back to last is loaded once more: by the person, or by a browser
    /// that is started again.
    Reload,
    /// The person agrees in the window that was opened before the last.
    AgreeInStaleWindow,
    /// The person says no.
    Deny,
    /// The person closes the window, and nobody ever comes back from it.
    CloseWindow,
    /// Something on the machine calls the redirect URI with a code and a state of its own.
    Forge,
    /// The person gives the login up: [`Event::CancelLogin`](crate::Event::CancelLogin).
    Cancel,
    /// [`Event::LogOut`](crate::Event::LogOut).
    LogOut,
    /// [`Event::Refresh`](crate::Event::Refresh).
    Refresh,
    /// The program calls the API with the access token that its flow shows. If the answer is 401:
    /// [`Event::TokenRejected`](crate::Event::TokenRejected).
    CallApi,
    /// The program ends without notice, and starts again with what was saved.
    Restart,
    /// The next request to the token endpoint meets this.
    Fault(Fault),
    /// For so long no connection can be made, and answers on their way are lost.
    Offline(Duration),
    /// For so long the provider answers 503.
    Outage(Duration),
    /// The next save fails, and the program is told.
    FailSave,
    /// The next save seems to work, but what it wrote is gone after a restart.
    LoseSave,
    /// The machine sleeps: time passes and nothing happens until it has.
    Suspend(Duration),
    /// The clock is set ahead.
    ClockAhead(Duration),
    /// The clock is set back.
    ClockBack(Duration),
    /// The provider ends all access tokens: the API says 401.
    ExpireAccessTokens,
    /// The provider or the person, on its pages, ends the login: refreshes are `invalid_grant`.
    RevokeRefreshTokens,
}

/// A provider, and what happens. The same plan gives the same run, byte for byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The provider's ways.
    pub provider: Behaviour,
    /// What happens, in this order.
    pub steps: Vec<Step>,
}

impl Plan {
    /// An honest provider, and nothing happens.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With another provider.
    #[must_use]
    pub fn provider(mut self, provider: Behaviour) -> Self {
        self.provider = provider;
        self
    }

    /// With one more step.
    #[must_use]
    pub fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Anything that may happen, drawn by a seed; the same for the same seed, as long as the library's
    /// version is the same. Most begin with a login that works.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let mut plan = Self::new();
        if chance.one_in(2) {
            plan.provider = behaviour(&mut chance);
        }
        if !chance.one_in(8) {
            plan.steps = vec![Step::LogIn, Step::Agree];
        }
        for _ in 0..chance.below(24) {
            plan.steps.push(step(&mut chance));
        }
        plan
    }

    /// The shortest plan that can be got from this one, by leaving steps out and making the provider
    /// and the rest more usual, for which `fails` still holds.
    #[must_use]
    pub fn shrink(self, mut fails: impl FnMut(&Self) -> bool) -> Self {
        let mut plan = self;
        while let Some(less) = plan.simpler().into_iter().find(|less| fails(less)) {
            plan = less;
        }
        plan
    }

    /// Plans a little simpler than this, the boldest first.
    pub(in crate::testing) fn simpler(&self) -> Vec<Self> {
        let mut plans = Vec::new();
        let length = self.steps.len();
        let mut part = length;
        while part > 0 {
            for start in (0..length).step_by(part) {
                let mut steps = self.steps.clone();
                steps.drain(start..length.min(start + part));
                plans.push(Self {
                    provider: self.provider.clone(),
                    steps,
                });
            }
            part /= 2;
        }
        let usual = Behaviour::default();
        let mut with = |change: &dyn Fn(&mut Behaviour)| {
            let mut provider = self.provider.clone();
            change(&mut provider);
            if provider != self.provider {
                let steps = self.steps.clone();
                plans.push(Self { provider, steps });
            }
        };
        with(&|provider| *provider = Behaviour::default());
        with(&|provider| provider.rotation = usual.rotation);
        with(&|provider| provider.expires_in = usual.expires_in);
        with(&|provider| provider.refresh_token_lifetime = usual.refresh_token_lifetime);
        with(&|provider| provider.code_reuse_revokes = usual.code_reuse_revokes);
        with(&|provider| provider.latency = usual.latency);
        for (at, step) in self.steps.iter().enumerate() {
            for simpler in step.simpler() {
                let mut plan = self.clone();
                if let Some(step) = plan.steps.get_mut(at) {
                    *step = simpler;
                    plans.push(plan);
                }
            }
        }
        plans
    }
}

impl Step {
    /// Steps a little simpler than this.
    fn simpler(&self) -> Vec<Self> {
        let shorter = |wait: &Duration, step: fn(Duration) -> Self| {
            let half = Duration::from_secs(wait.as_secs() / 2);
            let less = [Duration::from_secs(1), MINUTE, HOUR, half];
            let less = less
                .into_iter()
                .filter(|less| less < wait && !less.is_zero());
            less.map(step).collect()
        };
        match self {
            Self::Wait(wait) => shorter(wait, Self::Wait),
            Self::Offline(wait) => shorter(wait, Self::Offline),
            Self::Outage(wait) => shorter(wait, Self::Outage),
            Self::Suspend(wait) => shorter(wait, Self::Suspend),
            Self::ClockAhead(by) => shorter(by, Self::ClockAhead),
            Self::ClockBack(by) => shorter(by, Self::ClockBack),
            Self::AgreeTwice | Self::AgreeInStaleWindow => vec![Self::Agree],
            _ => Vec::new(),
        }
    }
}

pub(in crate::testing) const MINUTE: Duration = Duration::from_secs(60);
pub(in crate::testing) const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What the seeds draw from; the strategies, too.
pub(in crate::testing) const ROTATIONS: [Rotation; 4] = [
    Rotation::Never,
    Rotation::Repeated,
    Rotation::EveryRefresh {
        reuse_detection: false,
    },
    Rotation::EveryRefresh {
        reuse_detection: true,
    },
];
pub(in crate::testing) const LIVES: [Duration; 4] = [
    HOUR,
    Duration::from_secs(10 * 60),
    Duration::from_secs(90),
    Duration::from_secs(1),
];
pub(in crate::testing) const CONSENTS: [Duration; 2] = [Duration::from_secs(180 * 24 * 3600), DAY];
pub(in crate::testing) const LATENCIES: [Duration; 3] = [
    Duration::from_millis(40),
    Duration::from_millis(700),
    Duration::from_secs(4),
];
pub(in crate::testing) const WAITS: [Duration; 7] = [
    Duration::from_secs(1),
    Duration::from_secs(10),
    MINUTE,
    Duration::from_secs(301),
    HOUR,
    Duration::from_secs(3 * 3600),
    DAY,
];

/// Every way for one request to go wrong.
pub(in crate::testing) fn every_fault() -> Vec<Fault> {
    let seconds = Duration::from_secs;
    let custom = |status, body: &str| Fault::Custom {
        status,
        headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
        body: body.into(),
    };
    let too_many = |retry_after: &str| Fault::TooManyRequests {
        retry_after: retry_after.to_owned(),
    };
    vec![
        Fault::DropBefore,
        Fault::DropAfter,
        Fault::Unavailable,
        Fault::Slow(seconds(5)),
        Fault::Slow(seconds(90)),
        Fault::Late(seconds(5)),
        Fault::Late(seconds(90)),
        Fault::Duplicated,
        too_many("7"),
        too_many("1200"),
        too_many("soon"),
        Fault::Html { status: 200 },
        Fault::Html { status: 502 },
        Fault::Empty { status: 200 },
        Fault::Empty { status: 500 },
        Fault::Redirect {
            status: 302,
            location: "https://elsewhere.example/".to_owned(),
        },
        Fault::TruncatedJson,
        Fault::Endless { bytes: 2 << 20 },
        custom(500, r#"{"error":"server_error"}"#),
        custom(400, r#"{"error":"temporarily_unavailable"}"#),
        custom(200, r#"{"token_type":"Bearer","expires_in":3600}"#),
    ]
}

fn behaviour(chance: &mut Chance) -> Behaviour {
    Behaviour {
        rotation: chance.one_of(&ROTATIONS).unwrap_or_default(),
        expires_in: chance.one_of(&LIVES).unwrap_or(HOUR),
        refresh_token_lifetime: chance.one_of(&CONSENTS).unwrap_or(DAY),
        code_reuse_revokes: chance.one_in(2),
        latency: chance.one_of(&LATENCIES).unwrap_or(MINUTE),
    }
}

fn step(chance: &mut Chance) -> Step {
    let wait = chance.one_of(&WAITS).unwrap_or(MINUTE);
    match chance.below(44) {
        0..6 => Step::Wait(wait),
        6..9 => Step::LogIn,
        9..13 => Step::Agree,
        13 if chance.one_in(2) => Step::Reload,
        13 => Step::AgreeTwice,
        14 => Step::AgreeInStaleWindow,
        15 => Step::Deny,
        16 => Step::CloseWindow,
        17 => Step::Forge,
        18 => Step::Cancel,
        19 => Step::LogOut,
        20..23 => Step::Refresh,
        23..28 => Step::CallApi,
        28..31 => Step::Restart,
        31..36 => chance
            .one_of(&every_fault())
            .map_or(Step::CallApi, Step::Fault),
        36 => Step::Offline(wait),
        37 => Step::Outage(wait),
        38 => Step::FailSave,
        39 => Step::LoseSave,
        40 => Step::Suspend(wait),
        41 => Step::ClockAhead(wait),
        42 => Step::ClockBack(wait),
        _ if chance.one_in(2) => Step::ExpireAccessTokens,
        _ => Step::RevokeRefreshTokens,
    }
}
