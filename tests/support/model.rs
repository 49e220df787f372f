//! What the transition table says, as flat facts: the flow is compared with this. Every secret is a
//! number, every action a line of text, and there are neither URLs nor bodies.

use authflow::{Activity, Misuse, State, Timestamp};

use super::strategies::{Answer, Grant, Happening, Lifetime, Return, Rules};

/// However long a server asks to be left alone.
const DAY: u64 = 24 * 3600 * 1000;

/// What can be seen of a flow, but for what it asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Visible {
    pub state: State,
    pub activity: Activity,
    pub can_refresh: bool,
    pub deadline: Option<u64>,
    pub sign_in_due: Option<u64>,
    pub token: Option<Token>,
}

/// An access token that can be used. An adopted one has no extra member, others their number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Token {
    pub number: u64,
    pub serial: u64,
    pub scope: Option<u64>,
    pub extra: Option<u64>,
}

#[derive(Clone, Debug, Default)]
pub struct Model {
    rules: Rules,
    now: u64,
    requests: u64,
    serials: u64,
    /// A login waits for its callback until then,
    waiting: Option<u64>,
    /// or its code is being exchanged.
    exchange: Option<Flight>,
    tokens: Option<Tokens>,
    refreshing: Option<Flight>,
    /// Until when a backoff lasts, and how long it is.
    backoff: Option<(u64, u64)>,
    setbacks: usize,
    parked: bool,
    rejected: bool,
    late: Vec<Flight>,
    asked: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
struct Tokens {
    token: Token,
    refresh: Option<u64>,
    from: u64,
    end: Option<u64>,
    ended: bool,
    sign_in_due: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    id: u64,
    at: u64,
    until: u64,
}

/// What can be seen.
impl Model {
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            ..Self::default()
        }
    }

    pub fn view(&self, now: u64) -> Visible {
        let t = self.tokens.as_ref();
        let login = self.waiting.or(self.exchange.map(|f| f.until));
        let refresh = self.refreshing.map(|f| f.until);
        let end = t.and_then(|t| t.end.filter(|_| !t.ended));
        let due = self.refresh_due().map(|due| due.max(self.now));
        let waits = [login, end, refresh.or(due.filter(|due| *due != u64::MAX))];
        Visible {
            state: match t {
                _ if login.is_some() => State::AwaitingCode,
                None => State::Unauthorized,
                Some(t) if t.ended => State::Expired,
                Some(_) => State::Authorized,
            },
            activity: match self.backoff {
                _ if self.exchange.is_some() => Activity::Exchanging,
                _ if self.refreshing.is_some() => Activity::Refreshing,
                None => Activity::Idle,
                Some((until, _)) => Activity::Backoff {
                    until: Timestamp::from_millis(until),
                },
            },
            can_refresh: self.can_refresh(),
            deadline: waits.into_iter().flatten().min().map(|at| at.max(self.now)),
            sign_in_due: t.and_then(|t| t.refresh.and(t.sign_in_due)),
            token: t.filter(|t| self.usable(t, now)).map(|t| t.token),
        }
    }

    /// The `·` cells of the table, once the clock has been looked at.
    pub fn ignores(&self, what: &Happening) -> bool {
        match what {
            Happening::Callback(back) => *back == Return::Noise || self.waiting.is_none(),
            Happening::Response { id, answer } => {
                let mut flights = self.exchange.iter().chain(&self.refreshing);
                let is_late = matches!(answer, Answer::Tokens(_)) && self.remembers(*id);
                !is_late && !flights.any(|f| f.id == *id)
            }
            Happening::Refresh => self.refreshing.is_some(),
            Happening::TokenRejected { serial } => match self.tokens {
                Some(t) => t.ended || t.token.serial != *serial,
                None => true,
            },
            what => *what == Happening::Tick,
        }
    }

    /// Whether a late answer to this request would still count.
    pub fn remembers(&self, id: u64) -> bool {
        self.late.iter().any(|f| f.id == id)
    }

    fn can_refresh(&self) -> bool {
        self.tokens.is_some_and(|t| t.refresh.is_some()) && !self.rejected
    }

    /// A token's end means something only if its beginning is not in the future.
    fn believes(&self, t: &Tokens, now: u64) -> bool {
        t.end.is_none() || now.saturating_add(self.rules.leeway) >= t.from
    }

    fn usable(&self, t: &Tokens, now: u64) -> bool {
        !t.ended && t.end.is_none_or(|end| now < end) && self.believes(t, now)
    }

    fn refresh_due(&self) -> Option<u64> {
        let t = self.tokens.filter(|_| self.refreshing.is_none())?;
        let by_itself = self.rules.auto_refresh && self.can_refresh() && !self.parked;
        match (self.backoff, t.end) {
            (Some((until, _)), _) => Some(until),
            _ if !by_itself => None,
            _ if t.ended => Some(0),
            (None, end) => end.map(|end| {
                let half = end.saturating_sub(t.from) / 2;
                end.saturating_sub(half.min(self.rules.leeway))
            }),
        }
    }
}

/// What happens.
impl Model {
    /// The actions asked for, in order.
    pub fn handle(&mut self, what: &Happening, now: u64) -> Result<Vec<String>, Misuse> {
        self.refuse(what)?;
        match *what {
            Happening::Restart => self.restart(now),
            Happening::LogOut => self.log_out(),
            Happening::AdoptTokens(grant) => self.adopt(grant, now),
            _ => {}
        }
        if *what != Happening::Restart {
            self.time_passes(now);
        }
        match *what {
            Happening::BeginLogin { .. } => {
                self.waiting = Some(now.saturating_add(self.rules.login_timeout));
                self.asks("2 open_url");
                self.asks("1 persist");
            }
            Happening::Callback(back) => self.callback(back),
            Happening::CancelLogin => self.login_fails("cancelled"),
            Happening::Response { id, answer } => self.response(id, answer),
            Happening::Refresh if self.refreshing.is_none() => self.send_refresh(),
            Happening::TokenRejected { serial } => match self.tokens {
                Some(t) if t.token.serial == serial => {
                    self.expires();
                    self.refresh_if_due();
                }
                _ => self.asks(format!("3 stale_rejection {serial}")),
            },
            _ => {}
        }
        // The leading digit is the place in the contract's order.
        let mut asked = std::mem::take(&mut self.asked);
        asked.sort_by_key(|text| text.as_bytes()[0]);
        asked.dedup_by(|a, b| a == b && a == "1 persist");
        Ok(asked)
    }

    fn refuse(&self, what: &Happening) -> Result<(), Misuse> {
        let in_login = self.waiting.is_some() || self.exchange.is_some();
        Err(match what {
            Happening::BeginLogin { .. } if in_login => Misuse::LoginInProgress,
            Happening::BeginLogin { ours: false } => Misuse::RedirectUriNotAllowed,
            Happening::CancelLogin if !in_login => Misuse::NoLogin,
            Happening::Refresh if self.tokens.is_none() => Misuse::NoSession,
            Happening::Refresh if !self.can_refresh() => Misuse::NoRefreshToken,
            Happening::AdoptNonsense => Misuse::InvalidToken,
            Happening::AdoptTokens(_) if self.refreshing.is_some() => Misuse::RefreshInFlight,
            _ => return Ok(()),
        })
    }

    fn asks(&mut self, what: impl Into<String>) {
        self.asked.push(what.into());
    }

    // Rows 19 to 25.

    fn time_passes(&mut self, now: u64) {
        if now < self.now {
            self.time_goes_back(now);
        }
        self.now = now;
        let login = self.waiting.or(self.exchange.map(|f| f.until));
        if login.is_some_and(|until| until <= now) {
            self.login_fails("timed_out");
        }
        if let Some(flight) = self.refreshing.take_if(|f| f.until <= now) {
            self.late.push(flight);
            self.refresh_fails("timed_out", Some(0));
        }
        if self
            .tokens
            .is_some_and(|t| t.end.is_some_and(|end| end <= now))
        {
            self.expires();
        }
        self.refresh_if_due();
    }

    /// Nothing lasts longer than it was meant to, and nothing was sent in the future.
    fn time_goes_back(&mut self, now: u64) {
        let at_most = |until: &mut u64, full| *until = now.saturating_add(full).min(*until);
        if let Some(until) = &mut self.waiting {
            at_most(until, self.rules.login_timeout);
        }
        if let Some((until, length)) = &mut self.backoff {
            at_most(until, *length);
        }
        let current = self.exchange.iter_mut().chain(&mut self.refreshing);
        for flight in current.chain(&mut self.late) {
            at_most(&mut flight.until, self.rules.request_timeout);
            flight.at = flight.at.min(now);
        }
        if self.tokens.is_some_and(|t| !self.believes(&t, now)) {
            self.expires();
        }
    }

    fn expires(&mut self) {
        if let Some(tokens) = self.tokens.as_mut().filter(|t| !t.ended) {
            tokens.ended = true;
            self.asks("3 expired");
        }
    }

    fn refresh_if_due(&mut self) {
        // At the end of time every wait would be over at once.
        let has_stopped = self.now == u64::MAX;
        if !has_stopped && self.refresh_due().is_some_and(|due| due <= self.now) {
            self.send_refresh();
        }
    }

    fn send_refresh(&mut self) {
        let token = self.tokens.and_then(|t| t.refresh);
        self.rest();
        self.refreshing = Some(self.send("refresh_token", token.expect("one")));
    }

    fn send(&mut self, what: &str, number: u64) -> Flight {
        self.requests += 1;
        let (id, at) = (self.requests, self.now);
        let until = at.saturating_add(self.rules.request_timeout);
        self.asks(format!("2 send {id} {what} {number} until {until}"));
        Flight { id, at, until }
    }

    // Rows 2 to 5.

    fn callback(&mut self, back: Return) {
        match back {
            Return::Code(code) if self.waiting.is_some() => {
                self.asks("0 accepted");
                self.waiting = None;
                self.exchange = Some(self.send("code", code));
            }
            Return::Denied if self.waiting.is_some() => {
                self.asks("0 denied");
                self.login_fails("denied");
            }
            _ => {
                self.asks("0 not_ours");
                self.asks("3 callback_ignored");
            }
        }
    }

    fn login_fails(&mut self, cause: &str) {
        if self.waiting.take().is_some() || self.exchange.take().is_some() {
            self.asks("1 persist");
            self.asks(format!("3 login_failed {cause}"));
        }
    }

    // Rows 6 to 13.

    fn response(&mut self, id: u64, answer: Answer) {
        if let Some(flight) = self.exchange.filter(|f| f.id == id) {
            return match answer {
                Answer::Tokens(grant) => {
                    self.exchange = None;
                    self.end_session();
                    self.take(grant, flight, "3 logged_in");
                }
                answer => self.login_fails(answer.cause()),
            };
        }
        let current = self.refreshing.filter(|f| f.id == id);
        let late = self.late.iter().position(|f| f.id == id);
        let flight = current.or(late.map(|at| self.late.remove(at)));
        match (flight, answer) {
            (Some(flight), Answer::Tokens(grant)) => self.take(grant, flight, "3 refreshed"),
            (Some(_), answer) if current.is_some() => {
                self.refreshing = None;
                self.refresh_fails(answer.cause(), answer.retry_after());
                self.rejected = answer == Answer::InvalidGrant;
                self.parked = self.backoff.is_none() && !self.rejected;
                if self.rejected {
                    self.asks("1 persist");
                }
            }
            _ => self.asks(format!("3 stale_response {id}")),
        }
    }

    /// New tokens; what they leave out stays as it was.
    fn take(&mut self, grant: Grant, flight: Flight, news: &str) {
        let old = self.tokens;
        let number = grant.number;
        let given = grant.refresh.then_some(number);
        let refresh = given.or(old.and_then(|t| t.refresh));
        let sign_in_due = given.map(|_| flight.at.saturating_add(Grant::REFRESH_TOKEN_LIFE));
        let end = match grant.life {
            Lifetime::Zero => refresh.map(|_| flight.at),
            Lifetime::Lasts(life) => Some(flight.at.saturating_add(life)),
            Lifetime::Unknown | Lifetime::Until(_) => None,
        };
        self.tokens = Some(Tokens {
            token: self.token(grant, Some(number)),
            refresh,
            from: flight.at,
            end,
            ended: end.is_some_and(|end| end <= self.now),
            sign_in_due: sign_in_due.or(old.and_then(|t| t.sign_in_due)),
        });
        self.late.clear();
        self.retire_refresh();
        self.rest();
        let soon = self.now.saturating_add(1000);
        if self.refresh_due().is_some_and(|due| due <= soon) {
            self.back_off(0);
        } else {
            self.setbacks = 0;
        }
        self.asks("1 persist");
        self.asks(news);
    }

    fn token(&mut self, grant: Grant, extra: Option<u64>) -> Token {
        let old = self.tokens.and_then(|t| t.token.scope);
        self.serials += 1;
        Token {
            number: grant.number,
            serial: self.serials,
            scope: grant.scope.then_some(grant.number).or(old),
            extra,
        }
    }

    fn refresh_fails(&mut self, cause: &str, retry_after: Option<u64>) {
        let retry_at = retry_after.map(|asked| self.back_off(asked));
        self.asks(format!("3 refresh_failed {cause} {retry_at:?}"));
    }

    fn back_off(&mut self, asked: u64) -> u64 {
        let own = [1, 2, 4, 8, 16, 32].get(self.setbacks).unwrap_or(&60) * 1000;
        let wait = own.max(asked.min(DAY));
        let until = self.now.saturating_add(wait);
        self.setbacks += 1;
        self.backoff = Some((until, wait));
        until
    }

    fn rest(&mut self) {
        (self.backoff, self.parked, self.rejected) = (None, false, false);
    }

    // Rows 17 and 18, and a new process.

    fn adopt(&mut self, grant: Grant, now: u64) {
        let token = self.token(grant, None);
        self.end_session();
        self.tokens = Some(Tokens {
            token,
            refresh: grant.refresh.then_some(grant.number),
            from: now,
            end: match grant.life {
                Lifetime::Until(end) => Some(end),
                _ => None,
            },
            ended: false,
            sign_in_due: None,
        });
        self.asks("1 persist");
    }

    fn log_out(&mut self) {
        self.end_session();
        (self.waiting, self.exchange) = (None, None);
        self.asks("1 persist");
        self.asks("3 session_ended");
    }

    fn restart(&mut self, now: u64) {
        self.now = now;
        let latest = now.saturating_add(self.rules.login_timeout);
        self.waiting = self.waiting.map(|until| until.min(latest));
        self.exchange = None;
        let (tokens, rejected) = (self.tokens, self.rejected);
        let ended = tokens.is_some_and(|t| !self.usable(&t, now));
        self.end_session();
        self.tokens = tokens.map(|t| Tokens { ended, ..t });
        self.rejected = rejected;
    }

    fn end_session(&mut self) {
        self.tokens = None;
        self.retire_refresh();
        self.late.clear();
        self.setbacks = 0;
        self.rest();
    }

    /// If it was due just now, it need not be sent.
    fn retire_refresh(&mut self) {
        if let Some(flight) = self.refreshing.take() {
            let request = format!("2 send {} ", flight.id);
            self.asked.retain(|asked| !asked.starts_with(&request));
        }
    }
}
