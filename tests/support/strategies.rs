//! Made-up lives of a flow: what happens to it, when, and in which order. A step is abstract ("answer
//! the last refresh", "wait until the deadline") and becomes an event against the live flow, so that
//! a shortened sequence still makes sense.
//!
//! Every secret begins with `SECRET`, and servers echo what they were sent.

use std::collections::VecDeque;
use std::time::Duration;

use authflow::{
    Action, AuthFlow, CallbackUrl, ClientAuth, Event, HttpResponse, LoginSecrets, Misuse, Notice,
    RequestId, Scopes, Timestamp, TokenSerial, TokenSet, TransportError, TransportErrorKind,
    spotify,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::bool::weighted;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::scenario::{self, REDIRECT_URI, Reply, Scenario};
use super::seen::View;

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

/// How the token endpoint answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    Tokens(Grant),
    /// No answer, 429 or 5xx: its cause, and what `Retry-After` asked for.
    Trouble(&'static str, u64),
    InvalidGrant,
    /// Anything else, by its cause.
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

impl Grant {
    pub const fn lasting(life: u64) -> Self {
        Self {
            number: 0,
            refresh: true,
            scope: true,
            life: Lifetime::Lasts(life),
        }
    }
}

impl Lifetime {
    /// From `now`, or from when the request was sent.
    pub fn length(self, now: u64) -> u64 {
        match self {
            Self::Lasts(life) => life,
            Self::Until(end) => end.saturating_sub(now),
            Self::Unknown | Self::Zero => 0,
        }
    }

    fn expires_in(self) -> Value {
        match self {
            Self::Unknown | Self::Until(_) => Value::Null,
            Self::Zero => json!(0),
            Self::Lasts(0) => json!(-5),
            Self::Lasts(LONGEST) => json!(1e30),
            Self::Lasts(life) => json!(life / SECOND),
        }
    }
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
    BeginLogin(bool),
    Code,
    Denied,
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

#[derive(Clone, Copy, Debug)]
pub enum Said {
    Tokens(Grant),
    /// One of [`FAILURES`].
    Failure(usize),
}

/// Status (0 is none), `Retry-After`, body and meaning. `ECHO` is what the request carried.
#[rustfmt::skip]
const FAILURES: [(u16, &str, &str, Answer); 14] = [
    (0, "", "", Answer::Trouble("transport", 0)),
    (0, "", "sent", Answer::Trouble("transport", 0)),
    (429, "7", "slow down ECHO", Answer::Trouble("http", 7 * SECOND)),
    (429, "7200", "", Answer::Trouble("http", 2 * HOUR)),
    (429, "soon", r#"{"error":"slow_down"}"#, Answer::Trouble("oauth", 0)),
    (503, "", r#"{"error":"ECHO"}"#, Answer::Trouble("oauth", 0)),
    (503, "1", "<html>ECHO</html>", Answer::Trouble("http", SECOND)),
    (400, "", r#"{"error":"invalid_grant","error_description":"ECHO"}"#, Answer::InvalidGrant),
    (401, "", r#"{"error":"invalid_client","error_uri":"ECHO"}"#, Answer::Nonsense("oauth")),
    (302, "9", "ECHO", Answer::Nonsense("http")),
    (404, "", "no such page", Answer::Nonsense("http")),
    (200, "", "<html>ECHO</html>", Answer::Nonsense("unreadable")),
    (200, "", r#"{"access_token":"SECRET-access-0","refresh_to"#, Answer::Nonsense("unreadable")),
    (200, "", r#"{"access_token":"SECRET-\u0007","x":"ECHO"}"#, Answer::Nonsense("unreadable")),
];
/// The first of them may pass.
const TROUBLES: usize = 7;

/// Callbacks that are not this login's answer, whose state is `STATE`.
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

pub const USUAL: Rules = Rules {
    auto_refresh: true,
    leeway: 60 * SECOND,
    login_timeout: 300 * SECOND,
    request_timeout: 60 * SECOND,
    auth: None,
};

pub fn rules() -> impl Strategy<Value = Rules> {
    const AUTHS: [Option<ClientAuth>; 3] = [None, Some(ClientAuth::Basic), Some(ClientAuth::Body)];
    let leeway = select(&[0, 60 * SECOND]);
    let request_timeout = select(&[5 * SECOND, 60 * SECOND]);
    let all = (weighted(0.8), leeway, request_timeout, select(&AUTHS));
    all.prop_map(|(auto_refresh, leeway, request_timeout, auth)| Rules {
        auto_refresh,
        leeway,
        request_timeout,
        auth,
        ..USUAL
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
    let login = prop_oneof![2 => usual, 1 => grant(&LIVES)];
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

fn op() -> impl Strategy<Value = Op> {
    let whose = prop_oneof![8 => Just(Some(0)), 4 => (1..4usize).prop_map(Some), 1 => Just(None)];
    prop_oneof![
        5 => weighted(0.9).prop_map(Op::BeginLogin),
        7 => Just(Op::Code),
        1 => Just(Op::Denied),
        2 => (0..FORGED.len()).prop_map(Op::Forged),
        2 => Just(Op::CancelLogin),
        14 => (whose, said()).prop_map(|(whose, said)| Op::Answer(whose, said)),
        5 => Just(Op::Refresh),
        3 => weighted(0.7).prop_map(Op::Reject),
        2 => grant(&LIVES).prop_map(Op::Adopt),
        1 => Just(Op::AdoptNonsense),
        2 => Just(Op::LogOut),
        7 => Just(Op::Tick),
        3 => Just(Op::Restart),
    ]
}

/// Anything that a token endpoint may say.
fn said() -> impl Strategy<Value = Said> {
    let failure = (0..FAILURES.len()).prop_map(Said::Failure);
    let invalid_grant = FAILURES
        .iter()
        .position(|(.., answer)| *answer == Answer::InvalidGrant);
    let invalid_grant = Just(Said::Failure(invalid_grant.expect("one")));
    let tokens = grant(&LIVES).prop_map(Said::Tokens);
    prop_oneof![7 => tokens, 6 => failure, 1 => invalid_grant]
}

/// Nothing that lasts, and nothing that ends the attempts.
pub fn hopeless() -> impl Strategy<Value = Said> {
    const SHORT: Lifetime = Lifetime::Lasts(SECOND);
    let dead = grant(&[Lifetime::Zero, Lifetime::Lasts(0), SHORT]).prop_map(Said::Tokens);
    prop_oneof![dead, (0..TROUBLES).prop_map(Said::Failure)]
}

const LIVES: [Lifetime; 7] = [
    Lifetime::Unknown,
    Lifetime::Zero,
    Lifetime::Lasts(0),
    Lifetime::Lasts(SECOND),
    Lifetime::Lasts(90 * SECOND),
    Lifetime::Lasts(HOUR),
    Lifetime::Lasts(LONGEST),
];

fn grant(lives: &'static [Lifetime]) -> impl Strategy<Value = Grant> {
    (any::<bool>(), any::<bool>(), select(lives)).prop_map(|(refresh, scope, life)| Grant {
        number: 0,
        refresh,
        scope,
        life,
    })
}

/// A flow to which steps happen.
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

impl Turn {
    pub fn notices(&self) -> Vec<&Notice> {
        let notices = self.out.actions.iter().filter_map(|action| match action {
            Action::Notify(notice) => Some(notice),
            _ => None,
        });
        notices.collect()
    }
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

    /// One whose secrets are numbered from here, to tell them from those of others.
    pub fn numbered_from(rules: Rules, made: u64) -> Self {
        Self {
            made,
            ..Self::new(rules)
        }
    }

    /// A whole life.
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
        let result = match event {
            Some(event) => self.it.flow.handle(event, now),
            None => {
                let client = self.it.flow.client().clone();
                let flow = AuthFlow::restore(client, self.it.saved(), now);
                self.it.flow = flow.expect("a sound snapshot");
                Ok(())
            }
        };
        let actions = if drain { self.drain() } else { Vec::new() };
        let after = self.it.view();
        Out {
            result,
            actions,
            after,
        }
    }

    pub fn drain(&mut self) -> Vec<Action> {
        self.it.drain();
        std::mem::take(&mut self.it.actions)
    }

    /// An hour with a driver that does nothing but tick at the deadlines, and a server that answers
    /// after `delay`. How many requests there were, or more than enough of them.
    pub fn hour_of_ticks(&mut self, said: impl IntoIterator<Item = Said>, delay: u64) -> u64 {
        let mut said = said.into_iter();
        let mut answers = VecDeque::new();
        let mut requests = 0;
        let end = self.it.now.as_millis() + HOUR;
        for _ in 0..50_000 {
            for request in self.it.requests.drain(..) {
                requests += 1;
                let at = self.it.now.as_millis() + delay;
                let reply = said.next().map(|said| said.reply(request.body(), 1).1);
                answers.extend(reply.map(|result| (at, request.id(), result)));
            }
            let answer = answers.front().map(|(at, ..)| *at);
            let deadline = self.it.flow.deadline().map(Timestamp::as_millis);
            let next = answer.into_iter().chain(deadline).min();
            let Some(now) = next.filter(|next| *next < end) else {
                return requests;
            };
            let due = answer.filter(|at| *at == now);
            let event = match due.and_then(|_| answers.pop_front()) {
                Some((_, id, result)) => Event::Response { id, result },
                None => Event::Tick,
            };
            let _ = self.apply(Some(event), Timestamp::from_millis(now), true);
        }
        u64::MAX // a busy loop
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
            Op::BeginLogin(ours) => (Happening::BeginLogin { ours }, self.begin_login(ours)),
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
                let request = whose.and_then(|back| self.it.requests.iter().rev().nth(back));
                let id = request.map_or(RequestId::from_u64(1 << 40), |request| request.id());
                // All that the server was sent, headers included.
                let echo = request.map_or_else(String::new, |request| {
                    let headers = request.headers().map(|(_, value)| value);
                    let sent: Vec<_> = headers.chain([request.body()]).collect();
                    sent.join(" ")
                });
                let (answer, result) = said.reply(&echo, number);
                let what = Happening::Response {
                    id: id.as_u64(),
                    answer,
                };
                (what, Event::Response { id, result })
            }
            Op::Refresh => (Happening::Refresh, Event::Refresh),
            Op::Reject(current) => {
                let serial = self.it.serial().as_u64();
                let serial = serial.saturating_sub(u64::from(!current));
                let event = Event::TokenRejected {
                    serial: TokenSerial::from_u64(serial),
                };
                (Happening::TokenRejected { serial }, event)
            }
            Op::Adopt(grant) => self.adopt(Grant { number, ..grant }),
            Op::AdoptNonsense => {
                let nothing = Event::AdoptTokens(TokenSet::new(""));
                (Happening::AdoptNonsense, nothing)
            }
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

    fn adopt(&self, grant: Grant) -> (Happening, Event) {
        let text = |name| format!("{name}-{}", grant.number);
        let mut set = TokenSet::new(text("SECRET-access"));
        if grant.refresh {
            set = set.refresh_token(text("SECRET-refresh"));
        }
        if grant.scope {
            set = set.scopes(Scopes::new([text("scope")]).expect("a scope"));
        }
        let mut life = Lifetime::Unknown;
        if let Lifetime::Lasts(length) = grant.life {
            let end = self.it.now.saturating_add(Duration::from_millis(length));
            set = set.expires_at(end);
            life = Lifetime::Until(end.as_millis());
        }
        let what = Happening::AdoptTokens(Grant { life, ..grant });
        (what, Event::AdoptTokens(set))
    }
}

impl Said {
    /// What it means, and how it reads.
    fn reply(self, echo: &str, number: u64) -> (Answer, Reply) {
        let text = |name| format!("{name}-{number}");
        match self {
            Self::Tokens(grant) => {
                let refresh = grant.refresh.then(|| text("SECRET-refresh"));
                let more = json!({
                    "expires_in": grant.life.expires_in(),
                    "refresh_token": refresh,
                    "refresh_token_expires_in": refresh.as_ref().map(|_| REFRESH_TOKEN_LIFE / SECOND),
                    "scope": grant.scope.then(|| text("scope")),
                    "extra": number,
                });
                let reply = scenario::tokens_with(&text("SECRET-access"), more);
                (Answer::Tokens(Grant { number, ..grant }), reply)
            }
            Self::Failure(which) => {
                let (status, retry_after, body, answer) = FAILURES[which];
                let response = HttpResponse::new(status, body.replace("ECHO", echo));
                let nothing = TransportError {
                    kind: TransportErrorKind::Closed,
                    may_have_been_sent: !body.is_empty(),
                };
                let reply = match status {
                    0 => Err(nothing),
                    _ => Ok(response.with_header("Retry-After", retry_after)),
                };
                (answer, reply)
            }
        }
    }
}
