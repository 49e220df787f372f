//! Made-up lives of a flow: what happens to it, when, and in which order. A step is abstract ("answer
//! the last refresh", "wait until the deadline") and becomes an event against the live flow, so that
//! a shortened sequence still makes sense.
//!
//! Every secret begins with `SECRET`, and servers echo what they were sent.

use std::time::Duration;

use authflow::{
    Action, AuthFlow, CallbackUrl, ClientAuth, Event, HttpResponse, LoginSecrets, Misuse,
    RequestId, Scopes, Timestamp, TokenSerial, TokenSet, TransportError, TransportErrorKind,
    spotify,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::scenario::{self, REDIRECT_URI, Reply, Scenario, View};

const SECOND: u64 = 1000;
const HOUR: u64 = 3600 * SECOND;
const DAY: u64 = 24 * HOUR;
const START: u64 = 1_700_000_000_000;
/// Lifetimes are cut to this by the decoder.
const LONGEST: u64 = i32::MAX as u64 * SECOND;
pub const REFRESH_TOKEN_LIFE: u64 = 30 * DAY;

/// The client's settings, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    pub auto_refresh: bool,
    pub leeway: u64,
    pub login_timeout: u64,
    pub request_timeout: u64,
    pub auth: Option<ClientAuth>,
}

/// What happens, with every secret reduced to its number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Happening {
    BeginLogin { ours: bool },
    Callback(Return),
    CancelLogin,
    Response { id: u64, answer: Answer },
    Refresh,
    TokenRejected { serial: u64 },
    AdoptTokens(Grant),
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

/// How the token endpoint answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    Tokens(Grant),
    /// No answer, 429 or 5xx.
    Trouble(&'static str, u64),
    InvalidGrant,
    Nonsense(&'static str),
}

/// New tokens: `SECRET-access-7` for `scope-7`, and perhaps `SECRET-refresh-7`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grant {
    pub number: u64,
    pub refresh: bool,
    pub scope: bool,
    pub life: Lifetime,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lifetime {
    Unknown,
    Zero,
    /// From when the request was sent.
    Lasts(u64),
    /// Adopted tokens say when they end.
    Until(u64),
}

impl Answer {
    pub fn cause(self) -> &'static str {
        match self {
            Self::Trouble(cause, _) | Self::Nonsense(cause) => cause,
            Self::InvalidGrant | Self::Tokens(_) => "oauth",
        }
    }

    pub fn retry_after(self) -> Option<u64> {
        match self {
            Self::Trouble(_, retry_after) => Some(retry_after),
            _ => None,
        }
    }
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
    BeginLogin {
        ours: bool,
    },
    Code,
    Denied,
    Forged(usize),
    CancelLogin,
    Answer(Whose, Said),
    Refresh,
    Reject {
        current: bool,
    },
    Adopt {
        refresh: bool,
        scope: bool,
        end: Option<i64>,
    },
    LogOut,
    Tick,
    Restart,
}

/// Which request is answered.
#[derive(Clone, Copy, Debug)]
pub enum Whose {
    Last,
    /// Of the requests so far, counted from the last.
    Earlier(usize),
    Nobodys,
}

#[derive(Clone, Copy, Debug)]
pub enum Said {
    /// With the `expires_in` of [`LIVES`].
    Tokens {
        refresh: bool,
        scope: bool,
        life: usize,
    },
    InvalidGrant,
    Lost {
        sent: bool,
    },
    /// One of [`FAILURES`].
    Failure(usize),
}

/// `expires_in`, and what it means.
const LIVES: [(&str, Lifetime); 7] = [
    ("null", Lifetime::Unknown),
    ("0", Lifetime::Zero),
    ("-5", Lifetime::Lasts(0)),
    ("1", Lifetime::Lasts(SECOND)),
    ("\"90\"", Lifetime::Lasts(90 * SECOND)),
    ("3600", Lifetime::Lasts(HOUR)),
    ("1e30", Lifetime::Lasts(LONGEST)),
];

/// Status, `Retry-After` and body, where `ECHO` is what the request carried.
const FAILURES: [(u16, &str, &str, Answer); 11] = [
    (
        429,
        "7",
        "slow down ECHO",
        Answer::Trouble("http", 7 * SECOND),
    ),
    (429, "7200", "", Answer::Trouble("http", 2 * HOUR)),
    (
        429,
        "soon",
        r#"{"error":"slow_down"}"#,
        Answer::Trouble("oauth", 0),
    ),
    (
        503,
        "",
        r#"{"error":"x ECHO"}"#,
        Answer::Trouble("oauth", 0),
    ),
    (
        503,
        "1",
        "<html>ECHO</html>",
        Answer::Trouble("http", SECOND),
    ),
    (302, "9", "ECHO", Answer::Nonsense("http")),
    (404, "", "no such page", Answer::Nonsense("http")),
    (
        401,
        "",
        r#"{"error":"invalid_client","error_description":"ECHO"}"#,
        Answer::Nonsense("oauth"),
    ),
    (200, "", "<html>ECHO</html>", Answer::Nonsense("unreadable")),
    (
        200,
        "",
        r#"{"access_token":"SECRET-access-0","refresh_token":"SECRET-ref"#,
        Answer::Nonsense("unreadable"),
    ),
    (
        200,
        "",
        r#"{"access_token":"SECRET-\u0007","x":"ECHO"}"#,
        Answer::Nonsense("unreadable"),
    ),
];

/// Callbacks that are not this login's answer. `STATE` is its state.
const FORGED: [&str; 13] = [
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
    "?code=SECRET-code-0&state=STATE&iss=https://elsewhere.example",
    "?code=SECRET-code-0%zz&state=STATE",
    "/elsewhere?code=SECRET-code-0&state=STATE",
];

pub fn rules() -> impl Strategy<Value = Rules> {
    let auth = prop_oneof![
        Just(None),
        Just(Some(ClientAuth::Basic)),
        Just(Some(ClientAuth::Body))
    ];
    let waits = (
        prop_oneof![Just(60), Just(0)],
        prop_oneof![Just(60), Just(5)],
    );
    (prop::bool::weighted(0.8), waits, auth).prop_map(|(auto_refresh, (leeway, request), auth)| {
        Rules {
            auto_refresh,
            leeway: leeway * SECOND,
            login_timeout: 300 * SECOND,
            request_timeout: request * SECOND,
            auth,
        }
    })
}

/// A walk to one of the table's states, and then anything.
pub fn life() -> impl Strategy<Value = Vec<Step>> {
    (0..WALK.len() + 1, prop::collection::vec(step(), 0..30))
        .prop_map(|(length, steps)| walk(length).chain(steps).collect())
}

/// The same with a driver that drains late.
pub fn life_with_a_slow_driver() -> impl Strategy<Value = Vec<Step>> {
    let slow = (step(), any::<bool>()).prop_map(|(step, drain)| Step { drain, ..step });
    (0..WALK.len() + 1, prop::collection::vec(slow, 0..30))
        .prop_map(|(length, steps)| walk(length).chain(steps).collect())
}

const HOUR_OF_TOKENS: Said = Said::Tokens {
    refresh: true,
    scope: true,
    life: 5,
};

const WALK: [(Pass, Op); 6] = [
    (Pass::At(START), Op::BeginLogin { ours: true }),
    (Pass::Millis(900), Op::Code),
    (Pass::Millis(80), Op::Answer(Whose::Last, HOUR_OF_TOKENS)),
    (Pass::Millis(SECOND), Op::Refresh),
    (Pass::ToDeadline, Op::Tick),
    (Pass::Millis(HOUR), Op::Tick),
];

fn walk(length: usize) -> impl Iterator<Item = Step> {
    let steps = WALK.into_iter().take(length);
    steps.map(|(pass, op)| Step {
        pass,
        op,
        drain: true,
    })
}

fn step() -> impl Strategy<Value = Step> {
    (pass(), op()).prop_map(|(pass, op)| Step {
        pass,
        op,
        drain: true,
    })
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
        1 => prop_oneof![Just(Pass::At(0)), Just(Pass::At(START)), Just(Pass::At(u64::MAX))],
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let any_bool = any::<bool>;
    let end = prop::option::of(prop_oneof![Just(0), -3600..0i64, 1..10i64, 60..100_000i64]);
    prop_oneof![
        4 => prop::bool::weighted(0.9).prop_map(|ours| Op::BeginLogin { ours }),
        5 => Just(Op::Code),
        1 => Just(Op::Denied),
        2 => (0..FORGED.len()).prop_map(Op::Forged),
        1 => Just(Op::CancelLogin),
        14 => (whose(), reply()).prop_map(|(whose, reply)| Op::Answer(whose, reply)),
        5 => Just(Op::Refresh),
        3 => prop::bool::weighted(0.7).prop_map(|current| Op::Reject { current }),
        2 => (any_bool(), any_bool(), end)
            .prop_map(|(refresh, scope, end)| Op::Adopt { refresh, scope, end }),
        1 => Just(Op::LogOut),
        7 => Just(Op::Tick),
        2 => Just(Op::Restart),
    ]
}

fn whose() -> impl Strategy<Value = Whose> {
    prop_oneof![
        8 => Just(Whose::Last),
        4 => (1..4usize).prop_map(Whose::Earlier),
        1 => Just(Whose::Nobodys),
    ]
}

/// Anything a token endpoint may say.
pub fn reply() -> impl Strategy<Value = Said> {
    prop_oneof![
        6 => (any::<bool>(), any::<bool>(), 0..LIVES.len())
            .prop_map(|(refresh, scope, life)| Said::Tokens { refresh, scope, life }),
        1 => Just(Said::InvalidGrant),
        2 => any::<bool>().prop_map(|sent| Said::Lost { sent }),
        5 => (0..FAILURES.len()).prop_map(Said::Failure),
    ]
}

/// A flow and what has been said to it.
pub struct Rig {
    pub it: Scenario,
    pub rules: Rules,
    made: u64,
}

/// One step as it went.
#[derive(Debug)]
pub struct Turn {
    pub what: Happening,
    /// `None` is a restart.
    pub event: Option<Event>,
    pub now: Timestamp,
    pub drained: bool,
    pub before: View,
    pub out: Out,
}

/// What came of an event: all that a program can tell.
#[derive(Debug, PartialEq)]
pub struct Out {
    pub result: Result<(), Misuse>,
    pub actions: Vec<Action>,
    pub after: View,
}

impl Rig {
    pub fn new(rules: Rules) -> Self {
        let millis = Duration::from_millis;
        let client = scenario::client()
            .auto_refresh(rules.auto_refresh)
            .leeway(millis(rules.leeway))
            .login_timeout(millis(rules.login_timeout))
            .request_timeout(millis(rules.request_timeout));
        let client = match rules.auth {
            Some(auth) => client.secret("SECRET-client").auth(auth),
            None => client,
        };
        let it = Scenario::of(client);
        Self { it, rules, made: 0 }
    }

    pub fn live(rules: Rules, steps: &[Step]) -> Vec<Turn> {
        let mut rig = Self::new(rules);
        steps.iter().map(|step| rig.step(step)).collect()
    }

    /// Another flow to which the same has happened.
    pub fn twin(rules: Rules, turns: &[Turn]) -> Self {
        let mut twin = Self::new(rules);
        for turn in turns {
            let out = twin.apply(turn.event.clone(), turn.now, turn.drained);
            assert_eq!(out, turn.out, "the same inputs gave another output");
        }
        twin
    }

    pub fn step(&mut self, step: &Step) -> Turn {
        let now = self.time(step.pass);
        self.it.now = now;
        let (what, event) = self.happen(step.op);
        let before = self.it.view();
        let out = self.apply(event.clone(), now, step.drain);
        Turn {
            what,
            event,
            now,
            drained: step.drain,
            before,
            out,
        }
    }

    pub fn apply(&mut self, event: Option<Event>, now: Timestamp, drain: bool) -> Out {
        self.it.now = now;
        let mut actions = Vec::new();
        let result = match event {
            Some(event) => self.it.flow.handle(event, now),
            None => {
                let client = self.it.flow.client().clone();
                let flow = AuthFlow::restore(client, self.it.saved(), now);
                self.it.flow = flow.expect("a sound snapshot");
                Ok(())
            }
        };
        if drain {
            actions.extend(std::iter::from_fn(|| self.it.flow.poll_action()));
        }
        for action in &actions {
            if let Action::Send(request) = action {
                self.it.requests.push(request.clone());
            }
        }
        let after = self.it.view();
        Out {
            result,
            actions,
            after,
        }
    }

    fn time(&self, pass: Pass) -> Timestamp {
        let now = self.it.now.as_millis();
        let deadline = self.it.flow.deadline().map(Timestamp::as_millis);
        Timestamp::from_millis(match pass {
            Pass::Millis(millis) => now.saturating_add(millis),
            Pass::ToDeadline => deadline.unwrap_or(now),
            Pass::BeforeDeadline => deadline.unwrap_or(now).saturating_sub(1),
            Pass::Back(millis) => now.saturating_sub(millis),
            Pass::At(at) => at,
        })
    }

    fn happen(&mut self, op: Op) -> (Happening, Option<Event>) {
        self.made += 1;
        let number = self.made;
        let state = self.it.state_parameter();
        let returns = |query: String| {
            let url = CallbackUrl::new(query.replace("STATE", &state));
            Event::Callback { url }
        };
        let (what, event) = match op {
            Op::BeginLogin { ours } => (Happening::BeginLogin { ours }, self.begin_login(ours)),
            Op::Code => (
                Happening::Callback(Return::Code(number)),
                returns(format!("/callback?code=SECRET-code-{number}&state=STATE")),
            ),
            Op::Denied => (
                Happening::Callback(Return::Denied),
                returns("?state=STATE&error=access_denied&error_description=STATE".into()),
            ),
            Op::Forged(which) => (
                Happening::Callback(Return::Noise),
                returns(FORGED[which].into()),
            ),
            Op::CancelLogin => (Happening::CancelLogin, Event::CancelLogin),
            Op::Answer(whose, said) => {
                let back = match whose {
                    Whose::Last => Some(0),
                    Whose::Earlier(back) => Some(back),
                    Whose::Nobodys => None,
                };
                let request = back.and_then(|back| self.it.requests.iter().rev().nth(back));
                let id = request.map_or(1 << 40, |request| request.id().as_u64());
                let echo = request.map_or("", |request| request.body());
                let (answer, result) = said.to(echo, number);
                let response = Event::Response {
                    id: RequestId::from_u64(id),
                    result,
                };
                (Happening::Response { id, answer }, response)
            }
            Op::Refresh => (Happening::Refresh, Event::Refresh),
            Op::Reject { current } => {
                let serial = self.it.serial().as_u64() - u64::from(!current);
                let event = Event::TokenRejected {
                    serial: TokenSerial::from_u64(serial),
                };
                (Happening::TokenRejected { serial }, event)
            }
            Op::Adopt {
                refresh,
                scope,
                end,
            } => self.adopt(number, refresh, scope, end),
            Op::LogOut => (Happening::LogOut, Event::LogOut),
            Op::Tick => (Happening::Tick, Event::Tick),
            Op::Restart => return (Happening::Restart, None),
        };
        (what, Some(event))
    }

    fn begin_login(&self, ours: bool) -> Event {
        // 43 characters that are the base64url of 32 bytes.
        let entropy = ["state", "proof"].map(|name| {
            let text = format!("SECRET-{name}-{:029}A", self.made);
            URL_SAFE_NO_PAD.decode(text).expect("base64url")
        });
        let redirect_uri = match ours {
            true => self.it.flow.client().redirect_uri(REDIRECT_URI),
            false => spotify::client("x")
                .build()
                .and_then(|c| c.redirect_uri("undotted:/callback")),
        };
        Event::BeginLogin {
            secrets: LoginSecrets::from_entropy(entropy.concat().try_into().expect("64 bytes")),
            redirect_uri: redirect_uri.expect("a sound redirect URI"),
        }
    }

    fn adopt(
        &self,
        number: u64,
        refresh: bool,
        scope: bool,
        end: Option<i64>,
    ) -> (Happening, Event) {
        let now = self.it.now.as_millis();
        let end = end.map(|seconds| now.saturating_add_signed(seconds * 1000));
        let mut set = TokenSet::new(format!("SECRET-access-{number}"));
        if refresh {
            set = set.refresh_token(format!("SECRET-refresh-{number}"));
        }
        if scope {
            set = set.scopes(Scopes::new([format!("scope-{number}")]).expect("a scope"));
        }
        if let Some(end) = end {
            set = set.expires_at(Timestamp::from_millis(end));
        }
        let grant = Grant {
            number,
            refresh,
            scope,
            life: end.map_or(Lifetime::Unknown, Lifetime::Until),
        };
        (Happening::AdoptTokens(grant), Event::AdoptTokens(set))
    }
}

impl Said {
    /// The answer, and the response that says it.
    pub fn to(self, echo: &str, number: u64) -> (Answer, Reply) {
        match self {
            Self::Tokens {
                refresh,
                scope,
                life,
            } => {
                let (expires_in, life) = LIVES[life];
                let text = |name| format!("{name}-{number}");
                let more = json!({
                    "expires_in": serde_json::from_str::<Value>(expires_in).expect("JSON"),
                    "refresh_token": refresh.then(|| text("SECRET-refresh")),
                    "refresh_token_expires_in": refresh.then_some(REFRESH_TOKEN_LIFE / 1000),
                    "scope": scope.then(|| text("scope")),
                    "extra": number,
                });
                let grant = Grant {
                    number,
                    refresh,
                    scope,
                    life,
                };
                let reply = scenario::tokens_with(&text("SECRET-access"), more);
                (Answer::Tokens(grant), reply)
            }
            Self::InvalidGrant => {
                let body =
                    format!(r#"{{"error":"invalid_grant","error_description":"not {echo}"}}"#);
                (Answer::InvalidGrant, scenario::answer(400, &body))
            }
            Self::Lost { sent } => {
                let error = TransportError {
                    kind: TransportErrorKind::Closed,
                    may_have_been_sent: sent,
                };
                (Answer::Trouble("transport", 0), Err(error))
            }
            Self::Failure(which) => {
                let (status, retry_after, body, answer) = FAILURES[which];
                let response = HttpResponse::new(status, body.replace("ECHO", echo));
                (answer, Ok(response.with_header("Retry-After", retry_after)))
            }
        }
    }
}
