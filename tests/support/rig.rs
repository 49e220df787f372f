//! A flow to which steps of a made-up life happen, and what came of each.

use std::time::Duration;

use authflow::{
    Action, AuthFlow, CallbackUrl, Client, Event, LoginSecrets, Misuse, Notice, Provider,
    RequestId, Scopes, Timestamp, TokenSerial, TokenSet, spotify,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::scenario::{REDIRECT_URI, Scenario};
use super::super::seen::View;
use super::*;

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
        let provider = Provider::new("https://as.example/authorize", "https://as.example/token");
        let provider = match rules.issuer {
            Issuer::Unknown => provider,
            Issuer::Known => provider.issuer("https://as.example"),
            Issuer::Required => provider.issuer("https://as.example").iss_required(),
        };
        let client = Client::builder(provider, "client-1")
            .scopes(["read", "write"])
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

    pub fn time(&self, pass: Pass) -> Timestamp {
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
        self.happen_as(op, self.made)
    }

    /// With secrets of this number.
    fn happen_as(&self, op: Op, number: u64) -> (Happening, Option<Event>) {
        let state = self.it.state_parameter();
        let returns = |query: String| {
            let url = CallbackUrl::new(query.replace("STATE", &state));
            Event::Callback { url }
        };
        let back = |iss, back| match self.rules.take(iss) {
            true => Happening::Callback(back),
            false => Happening::Callback(Return::Noise),
        };
        let (what, event) = match op {
            Op::BeginLogin(ours) => (Happening::BeginLogin { ours }, self.begin_login(ours)),
            Op::Code => return self.happen_as(Op::CodeFrom(self.usual_iss()), number),
            Op::Denied => return self.happen_as(Op::DeniedFrom(self.usual_iss()), number),
            Op::CodeFrom(iss) => {
                let query = format!("/callback?code=SECRET-code-{number}&state=STATE");
                (
                    back(iss, Return::Code(number)),
                    returns(query + written(iss)),
                )
            }
            Op::DeniedFrom(iss) => {
                let query = "?state=STATE&error=access_denied&error_description=STATE".to_owned();
                (back(iss, Return::Denied), returns(query + written(iss)))
            }
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
                let (answer, result) = said.reply(&echo, number, self.it.now);
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

    /// As a server of this kind does it, or at least may.
    fn usual_iss(&self) -> Iss {
        match self.rules.issuer {
            Issuer::Required => Iss::Ours,
            Issuer::Unknown | Issuer::Known => [Iss::Ours, Iss::Missing][self.made as usize % 2],
        }
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
            let scopes = [text("scope"), text("other")];
            set = set.scopes(Scopes::new(scopes).expect("scopes"));
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

fn written(iss: Iss) -> &'static str {
    match iss {
        Iss::Ours => "&iss=https%3A%2F%2Fas.example",
        Iss::Missing => "",
        Iss::Empty => "&iss=",
        Iss::Longer => "&iss=https://as.example/",
        Iss::Other => "&iss=https://elsewhere.example",
    }
}
