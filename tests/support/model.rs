//! What the transition table says, as flat facts: the flow is compared with this. Every secret is a
//! number, every action a line of text, and there are neither URLs nor bodies.

use authflow::{Activity, Misuse, State, Timestamp};

use super::strategies::{Answer, Grant, Happening, Life, REFRESH_TOKEN_LIFE, Return};

/// The client's settings, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub auto_refresh: bool,
    pub leeway: u64,
    pub login_timeout: u64,
    pub request_timeout: u64,
}

/// What can be seen of a flow, but for what it asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
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
    rules: Option<Rules>,
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
    /// What was asked for and not drained yet; the last event's part begins at `fresh`.
    queue: Vec<String>,
    fresh: usize,
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

/// Answers come before saves, saves before requests, requests before news.
const ORDER: [&str; 4] = ["answer", "persist", "do", "notify"];

/// What can be seen.
impl Model {
    pub fn new(rules: Rules) -> Self {
        let rules = Some(rules);
        Self {
            rules,
            ..Self::default()
        }
    }

    pub fn drain(&mut self) -> Vec<String> {
        std::mem::take(&mut self.queue)
    }

    pub fn view(&self, now: u64) -> View {
        let tokens = self.tokens;
        let login = self.waiting.or(self.exchange.map(|flight| flight.until));
        let end = tokens.and_then(|t| t.end.filter(|_| !t.ended));
        let refresh = self.refreshing.map(|flight| flight.until);
        let next = [login, end, refresh.or(self.refresh_due())]
            .into_iter()
            .flatten()
            .min();
        View {
            state: match tokens {
                _ if login.is_some() => State::AwaitingCode,
                None => State::Unauthorized,
                Some(t) if t.ended => State::Expired,
                Some(_) => State::Authorized,
            },
            activity: match self.backoff {
                _ if self.exchange.is_some() => Activity::Exchanging,
                _ if self.refreshing.is_some() => Activity::Refreshing,
                Some((until, _)) => Activity::Backoff {
                    until: Timestamp::from_millis(until),
                },
                None => Activity::Idle,
            },
            can_refresh: self.can_refresh(),
            deadline: next.map(|at| at.max(self.now)),
            sign_in_due: tokens.and_then(|t| t.refresh.and(t.sign_in_due)),
            token: tokens.filter(|t| self.usable(t, now)).map(|t| t.token),
        }
    }

    /// The `·` cells of the table, once the clock has been looked at.
    pub fn ignores(&self, what: &Happening) -> bool {
        match what {
            Happening::Callback(back) => *back == Return::Noise || self.waiting.is_none(),
            Happening::Response { id, answer } => {
                let flights = self.exchange.iter().chain(&self.refreshing);
                let late = self
                    .late
                    .iter()
                    .filter(|_| matches!(answer, Answer::Tokens(_)));
                !flights.chain(late).any(|flight| flight.id == *id)
            }
            Happening::Refresh => self.refreshing.is_some(),
            Happening::TokenRejected { serial } => self
                .tokens
                .is_none_or(|t| t.ended || t.token.serial != *serial),
            what => *what == Happening::Tick,
        }
    }

    /// Whether a late answer to this request would still count.
    pub fn remembers(&self, id: u64) -> bool {
        self.late.iter().any(|flight| flight.id == id)
    }

    fn can_refresh(&self) -> bool {
        self.tokens.is_some_and(|t| t.refresh.is_some()) && !self.rejected
    }

    fn usable(&self, tokens: &Tokens, now: u64) -> bool {
        !tokens.ended
            && tokens
                .end
                .is_none_or(|end| now < end && self.believes(tokens, now))
    }

    /// A token's end means something only if its beginning is not in the future.
    fn believes(&self, tokens: &Tokens, now: u64) -> bool {
        now.saturating_add(self.rules().leeway) >= tokens.from
    }

    fn refresh_due(&self) -> Option<u64> {
        let tokens = self.tokens.filter(|_| self.refreshing.is_none())?;
        let by_itself = self.rules().auto_refresh && self.can_refresh() && !self.parked;
        match self.backoff {
            Some((until, _)) => Some(until),
            None if !by_itself => None,
            None if tokens.ended => Some(0),
            None => tokens.end.map(|end| {
                let half = end.saturating_sub(tokens.from) / 2;
                end.saturating_sub(half.min(self.rules().leeway))
            }),
        }
    }

    fn rules(&self) -> Rules {
        self.rules.expect("rules")
    }
}

/// What happens.
impl Model {
    pub fn handle(&mut self, what: &Happening, now: u64) -> Result<(), Misuse> {
        let in_login = self.waiting.is_some() || self.exchange.is_some();
        match what {
            Happening::BeginLogin { .. } if in_login => return Err(Misuse::LoginInProgress),
            Happening::BeginLogin { ours: false } => return Err(Misuse::RedirectUriNotAllowed),
            Happening::CancelLogin if !in_login => return Err(Misuse::NoLogin),
            Happening::Refresh if self.tokens.is_none() => return Err(Misuse::NoSession),
            Happening::Refresh if !self.can_refresh() => return Err(Misuse::NoRefreshToken),
            Happening::AdoptTokens(_) if self.refreshing.is_some() => {
                return Err(Misuse::RefreshInFlight);
            }
            Happening::Restart => self.queue.clear(),
            _ => {}
        }
        self.fresh = self.queue.len();
        match *what {
            Happening::Restart => return Ok(self.restart(now)),
            Happening::LogOut => self.log_out(),
            Happening::AdoptTokens(grant) => self.adopt(grant, now),
            _ => {}
        }
        self.time_passes(now);
        match *what {
            Happening::BeginLogin { .. } => {
                self.waiting = Some(now.saturating_add(self.rules().login_timeout));
                self.asks("persist");
                self.asks("do open_url");
            }
            Happening::Callback(back) => self.callback(back),
            Happening::CancelLogin => self.login_fails("cancelled"),
            Happening::Response { id, answer } => self.response(id, answer),
            Happening::Refresh if self.refreshing.is_none() => self.send_refresh(),
            Happening::TokenRejected { serial } => match self.tokens {
                Some(tokens) if tokens.token.serial == serial => {
                    self.expires();
                    self.refresh_if_due();
                }
                _ => self.asks(format!("notify stale_rejection {serial}")),
            },
            _ => {}
        }
        let place = |asked: &String| ORDER.iter().position(|first| asked.starts_with(first));
        let mut fresh = self.queue.split_off(self.fresh);
        fresh.sort_by_key(place);
        fresh.dedup_by(|a, b| a == b && a == "persist");
        self.queue.append(&mut fresh);
        Ok(())
    }

    // Rows 19 to 25.

    fn time_passes(&mut self, now: u64) {
        if now < self.now {
            self.time_goes_back(now);
        }
        self.now = now;
        let is_over = |flight: &Flight| flight.until <= now;
        if self.waiting.is_some_and(|until| until <= now)
            || self.exchange.is_some_and(|f| is_over(&f))
        {
            self.login_fails("timed_out");
        }
        if let Some(flight) = self.refreshing.take_if(|flight| is_over(flight)) {
            self.withdraw(flight);
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
        let rules = self.rules();
        if let Some(until) = &mut self.waiting {
            *until = now.saturating_add(rules.login_timeout).min(*until);
        }
        if let Some((until, length)) = &mut self.backoff {
            *until = now.saturating_add(*length).min(*until);
        }
        for flight in self
            .exchange
            .iter_mut()
            .chain(&mut self.refreshing)
            .chain(&mut self.late)
        {
            flight.until = now.saturating_add(rules.request_timeout).min(flight.until);
            flight.at = now.min(flight.at);
        }
        if self
            .tokens
            .is_some_and(|t| t.end.is_some() && !self.believes(&t, now))
        {
            self.expires();
        }
    }

    fn expires(&mut self) {
        if let Some(tokens) = self.tokens.as_mut().filter(|t| !t.ended) {
            tokens.ended = true;
            self.asks("notify expired");
        }
    }

    fn refresh_if_due(&mut self) {
        if self.refresh_due().is_some_and(|due| due <= self.now) {
            self.send_refresh();
        }
    }

    fn send_refresh(&mut self) {
        let token = self
            .tokens
            .and_then(|t| t.refresh)
            .expect("a refresh token");
        self.rest();
        self.refreshing = Some(self.send("refresh", token));
    }

    fn send(&mut self, what: &str, number: u64) -> Flight {
        self.requests += 1;
        let (id, at) = (self.requests, self.now);
        let until = at.saturating_add(self.rules().request_timeout);
        self.asks(format!("do send {id} {what} {number} until {until}"));
        Flight { id, at, until }
    }

    // Rows 2 to 5.

    fn callback(&mut self, back: Return) {
        match back {
            Return::Code(code) if self.waiting.take().is_some() => {
                self.asks("answer Accepted");
                self.exchange = Some(self.send("code", code));
            }
            Return::Denied if self.waiting.is_some() => {
                self.asks("answer Denied");
                self.login_fails("denied");
            }
            _ => {
                self.asks("answer NotOurs");
                self.asks("notify callback_ignored");
            }
        }
    }

    fn login_fails(&mut self, cause: &str) {
        if self.end_login() {
            self.asks("persist");
            self.asks(format!("notify login_failed {cause}"));
        }
    }

    // Rows 6 to 13.

    fn response(&mut self, id: u64, answer: Answer) {
        if self.exchange.is_some_and(|flight| flight.id == id) {
            return match (answer, self.exchange) {
                (Answer::Tokens(grant), Some(flight)) => {
                    self.exchange = None;
                    self.end_session();
                    self.take(grant, flight, "notify logged_in");
                }
                (answer, _) => self.login_fails(answer.cause()),
            };
        }
        let current = self.refreshing.take_if(|flight| flight.id == id);
        let late = self.late.iter().position(|flight| flight.id == id);
        let flight = current.or(late.map(|at| self.late.remove(at)));
        match (flight, answer) {
            (Some(flight), Answer::Tokens(grant)) => {
                self.retire_refresh();
                self.take(grant, flight, "notify refreshed");
            }
            (Some(_), answer) if current.is_some() => {
                let asked = match answer {
                    Answer::Trouble { retry_after, .. } => Some(retry_after),
                    _ => None,
                };
                self.rejected = answer == Answer::InvalidGrant;
                self.parked = asked.is_none() && !self.rejected;
                if self.rejected {
                    self.asks("persist");
                }
                self.refresh_fails(answer.cause(), asked);
            }
            _ => self.asks(format!("notify stale_response {id}")),
        }
    }

    /// New tokens; what they leave out stays as it was.
    fn take(&mut self, grant: Grant, flight: Flight, news: &str) {
        let old = self.tokens;
        let refresh = grant
            .refresh
            .then_some(grant.number)
            .or(old.and_then(|t| t.refresh));
        let end = match grant.life {
            Life::Zero => refresh.map(|_| flight.at),
            Life::Lasts(life) => Some(flight.at.saturating_add(life)),
            Life::Unknown | Life::Until(_) => None,
        };
        let sign_in_due = grant
            .refresh
            .then(|| flight.at.saturating_add(REFRESH_TOKEN_LIFE));
        self.serials += 1;
        self.tokens = Some(Tokens {
            token: Token {
                number: grant.number,
                serial: self.serials,
                scope: grant
                    .scope
                    .then_some(grant.number)
                    .or(old.and_then(|t| t.token.scope)),
                extra: Some(grant.number),
            },
            refresh,
            from: flight.at,
            end,
            ended: end.is_some_and(|end| end <= self.now),
            sign_in_due: sign_in_due.or(old.and_then(|t| t.sign_in_due)),
        });
        self.late.clear();
        self.rest();
        if self.refresh_due().is_some_and(|due| due <= self.now) {
            self.back_off(0);
        } else {
            self.setbacks = 0;
        }
        self.asks("persist");
        self.asks(news);
    }

    fn refresh_fails(&mut self, cause: &str, retry_after: Option<u64>) {
        let retry_at = retry_after.map(|asked| self.back_off(asked));
        self.asks(format!("notify refresh_failed {cause} {retry_at:?}"));
    }

    fn back_off(&mut self, asked: u64) -> u64 {
        let own = [1, 2, 4, 8, 16, 32].get(self.setbacks).unwrap_or(&60) * 1000;
        let until = self.now.saturating_add(own.max(asked));
        self.setbacks += 1;
        self.backoff = Some((until, own.max(asked)));
        until
    }

    fn rest(&mut self) {
        (self.backoff, self.parked, self.rejected) = (None, false, false);
    }

    // Rows 17 and 18, and a new process.

    fn adopt(&mut self, grant: Grant, now: u64) {
        let scope = self.tokens.and_then(|t| t.token.scope);
        self.end_session();
        self.serials += 1;
        self.tokens = Some(Tokens {
            token: Token {
                number: grant.number,
                serial: self.serials,
                scope: grant.scope.then_some(grant.number).or(scope),
                extra: None,
            },
            refresh: grant.refresh.then_some(grant.number),
            from: now,
            end: match grant.life {
                Life::Until(end) => Some(end),
                _ => None,
            },
            ended: false,
            sign_in_due: None,
        });
        self.asks("persist");
    }

    fn log_out(&mut self) {
        self.end_session();
        self.end_login();
        self.asks("persist");
        self.asks("notify session_ended");
    }

    fn restart(&mut self, now: u64) {
        self.now = now;
        let latest = now.saturating_add(self.rules().login_timeout);
        self.waiting = self.waiting.map(|until| until.min(latest));
        let usable = self.view(now).token.is_some();
        let rejected = self.rejected;
        let tokens = self.tokens.map(|t| Tokens {
            ended: !usable,
            ..t
        });
        self.end_session();
        (self.tokens, self.rejected, self.exchange) = (tokens, rejected, None);
    }

    fn end_session(&mut self) {
        self.retire_refresh();
        self.rest();
        self.tokens = None;
        self.setbacks = 0;
        self.late.clear();
    }

    fn end_login(&mut self) -> bool {
        let url = self.queue.iter().rposition(|asked| asked == "do open_url");
        let was_there = self.waiting.is_some() || self.exchange.is_some();
        if let Some(at) = url.filter(|_| was_there) {
            self.take_back(at);
        }
        self.waiting = None;
        let flight = self.exchange.take();
        flight.into_iter().for_each(|flight| self.withdraw(flight));
        was_there
    }

    fn retire_refresh(&mut self) {
        let flight = self.refreshing.take();
        flight.into_iter().for_each(|flight| self.withdraw(flight));
    }

    fn asks(&mut self, what: impl Into<String>) {
        self.queue.push(what.into());
    }

    /// A request that has not been drained need not be sent.
    fn withdraw(&mut self, flight: Flight) {
        let request = format!("do send {} ", flight.id);
        let at = self
            .queue
            .iter()
            .position(|asked| asked.starts_with(&request));
        at.into_iter().for_each(|at| self.take_back(at));
    }

    fn take_back(&mut self, at: usize) {
        self.queue.remove(at);
        self.fresh -= usize::from(at < self.fresh);
    }
}
