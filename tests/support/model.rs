//! What the transition table says, with every secret reduced to a number: the flow is compared with
//! this. It knows nothing of URLs, bodies and queues of real actions, and it may be slow and blunt.

use authflow::{Activity, Misuse, State, Timestamp, Verdict};

use super::strategies::{Answer, Grant, Happening, Life, REFRESH_TOKEN_LIFE, Return};

/// What the flow asks for, without what it carries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Did {
    Answer(Verdict),
    Persist,
    OpenUrl,
    SendCode { id: u64, code: u64, until: u64 },
    SendRefresh { id: u64, token: u64, until: u64 },
    Notify(News),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum News {
    LoggedIn,
    Refreshed,
    RefreshFailed(&'static str, Option<u64>),
    LoginFailed(&'static str),
    CallbackIgnored,
    StaleResponse(u64),
    StaleRejection(u64),
    Expired,
    SessionEnded,
}

/// What can be seen of a flow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    pub state: State,
    pub activity: Activity,
    pub can_refresh: bool,
    pub deadline: Option<u64>,
    pub sign_in_due: Option<u64>,
    pub token: Option<Token>,
}

/// A token that can be used. An adopted one has no extra member, the others one with their number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Token {
    pub number: u64,
    pub serial: u64,
    pub scope: Option<u64>,
    pub extra: Option<u64>,
}

/// The client's settings, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub auto_refresh: bool,
    pub leeway: u64,
    pub login_timeout: u64,
    pub request_timeout: u64,
}

#[derive(Clone, Debug)]
pub struct Model {
    rules: Rules,
    now: u64,
    requests: u64,
    serials: u64,
    /// Until when a login waits, and the request that carries its code.
    login: Option<(u64, Option<Flight>)>,
    tokens: Option<Tokens>,
    refresh: Refresh,
    setbacks: usize,
    late: Vec<Flight>,
    /// Not yet drained, in order; the last event's begin at `fresh`.
    queue: Vec<Did>,
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
}

#[derive(Clone, Copy, Debug)]
enum Refresh {
    Idle,
    InFlight { flight: Flight, until: u64 },
    Backoff { until: u64, length: u64 },
    Parked,
    Rejected,
}

impl Model {
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            now: 0,
            requests: 0,
            serials: 0,
            login: None,
            tokens: None,
            refresh: Refresh::Idle,
            setbacks: 0,
            late: Vec::new(),
            queue: Vec::new(),
            fresh: 0,
        }
    }

    pub fn drain(&mut self) -> Vec<Did> {
        std::mem::take(&mut self.queue)
    }

    pub fn view(&self, now: u64) -> View {
        let tokens = self.tokens.as_ref();
        let usable =
            |t: &&Tokens| !t.ended && t.end.is_none_or(|end| now < end) && self.believes(t, now);
        let waits = [
            self.login.map(|(until, _)| until),
            tokens.and_then(|t| t.end.filter(|_| !t.ended)),
            match self.refresh {
                Refresh::InFlight { until, .. } => Some(until),
                _ => self.refresh_due(),
            },
        ];
        View {
            state: match (self.login, tokens) {
                (Some(_), _) => State::AwaitingCode,
                (None, None) => State::Unauthorized,
                (None, Some(t)) if t.ended => State::Expired,
                (None, Some(_)) => State::Authorized,
            },
            activity: match (self.login, self.refresh) {
                (Some((_, Some(_))), _) => Activity::Exchanging,
                (_, Refresh::InFlight { .. }) => Activity::Refreshing,
                (_, Refresh::Backoff { until, .. }) => Activity::Backoff {
                    until: Timestamp::from_millis(until),
                },
                _ => Activity::Idle,
            },
            can_refresh: self.can_refresh(),
            deadline: waits.into_iter().flatten().min().map(|at| at.max(self.now)),
            sign_in_due: tokens.and_then(|t| t.refresh.and(t.sign_in_due)),
            token: tokens.filter(usable).map(|t| t.token),
        }
    }

    /// The `·` cells of the table: what is not heard, once the clock has been looked at.
    pub fn ignores(&self, what: &Happening) -> bool {
        match what {
            Happening::Callback(Return::Noise) => true,
            Happening::Callback(_) => !matches!(self.login, Some((_, None))),
            Happening::Response { id, answer } => {
                !self.waits_for(*id)
                    && !(self.remembers(*id) && matches!(answer, Answer::Tokens(_)))
            }
            Happening::Refresh => matches!(self.refresh, Refresh::InFlight { .. }),
            Happening::TokenRejected { serial } => self
                .tokens
                .is_none_or(|t| t.ended || t.token.serial != *serial),
            Happening::Tick => true,
            _ => false,
        }
    }

    /// Whether a late answer to this request would still count.
    pub fn remembers(&self, id: u64) -> bool {
        self.late.iter().any(|late| late.id == id)
    }

    fn waits_for(&self, id: u64) -> bool {
        let exchange = self.login.and_then(|(_, exchange)| exchange);
        exchange.is_some_and(|flight| flight.id == id)
            || matches!(self.refresh, Refresh::InFlight { flight, .. } if flight.id == id)
    }

    pub fn handle(&mut self, what: &Happening, now: u64) -> Result<(), Misuse> {
        let in_flight = matches!(self.refresh, Refresh::InFlight { .. });
        match what {
            Happening::BeginLogin { .. } if self.login.is_some() => Err(Misuse::LoginInProgress),
            Happening::BeginLogin { ours: false } => Err(Misuse::RedirectUriNotAllowed),
            Happening::CancelLogin if self.login.is_none() => Err(Misuse::NoLogin),
            Happening::Refresh if self.tokens.is_none() => Err(Misuse::NoSession),
            Happening::Refresh if !self.can_refresh() => Err(Misuse::NoRefreshToken),
            Happening::AdoptTokens(_) if in_flight => Err(Misuse::RefreshInFlight),
            _ => Ok(()),
        }?;
        self.fresh = self.queue.len();
        match *what {
            Happening::Restart => {
                self.restart(now);
                return Ok(());
            }
            Happening::LogOut => self.log_out(),
            Happening::AdoptTokens(grant) => self.adopt(grant, now),
            _ => {}
        }
        self.time_passes(now);
        match *what {
            Happening::BeginLogin { .. } => {
                self.login = Some((now.saturating_add(self.rules.login_timeout), None));
                self.queue.extend([Did::Persist, Did::OpenUrl]);
            }
            Happening::Callback(back) => self.callback(back),
            Happening::CancelLogin => self.login_fails("cancelled"),
            Happening::Response { id, answer } => self.response(id, answer),
            Happening::Refresh if !matches!(self.refresh, Refresh::InFlight { .. }) => {
                self.send_refresh()
            }
            Happening::TokenRejected { serial } => match &self.tokens {
                Some(tokens) if tokens.token.serial == serial => {
                    self.expires();
                    self.refresh_if_due();
                }
                _ => self.tell(News::StaleRejection(serial)),
            },
            _ => {}
        }
        self.queue[self.fresh.min(self.queue.len())..].sort_by_key(|did| match did {
            Did::Answer(_) => 0,
            Did::Persist => 1,
            Did::OpenUrl | Did::SendCode { .. } | Did::SendRefresh { .. } => 2,
            Did::Notify(_) => 3,
        });
        // One save is enough for one event.
        let earlier = self.fresh;
        let mut at = 0;
        let mut saved = false;
        self.queue.retain(|did| {
            at += 1;
            at <= earlier || *did != Did::Persist || !std::mem::replace(&mut saved, true)
        });
        Ok(())
    }

    // Rows 19 to 25.

    fn time_passes(&mut self, now: u64) {
        if now < self.now {
            self.time_goes_back(now);
        }
        self.now = now;
        if self.login.is_some_and(|(until, _)| until <= now) {
            self.login_fails("timed_out");
        }
        if let Refresh::InFlight { flight, until } = self.refresh
            && until <= now
        {
            self.withdraw(flight.id);
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

    fn time_goes_back(&mut self, now: u64) {
        let at_most = |until: &mut u64, full: u64| *until = (*until).min(now.saturating_add(full));
        let rules = self.rules;
        match &mut self.login {
            Some((until, None)) => at_most(until, rules.login_timeout),
            Some((until, Some(flight))) => {
                at_most(until, rules.request_timeout);
                flight.at = flight.at.min(now);
            }
            None => {}
        }
        match &mut self.refresh {
            Refresh::InFlight { flight, until } => {
                at_most(until, rules.request_timeout);
                flight.at = flight.at.min(now);
            }
            Refresh::Backoff { until, length } => at_most(until, *length),
            _ => {}
        }
        for late in &mut self.late {
            late.at = late.at.min(now);
        }
        if self.tokens.is_some_and(|t| !self.believes(&t, now)) {
            self.expires();
        }
    }

    /// An end in the future means something only if the beginning is not in the future too.
    fn believes(&self, tokens: &Tokens, now: u64) -> bool {
        tokens.end.is_none() || now.saturating_add(self.rules.leeway) >= tokens.from
    }

    fn expires(&mut self) {
        if let Some(tokens) = self.tokens.as_mut().filter(|t| !t.ended) {
            tokens.ended = true;
            self.tell(News::Expired);
        }
    }

    fn can_refresh(&self) -> bool {
        self.tokens.is_some_and(|t| t.refresh.is_some())
            && !matches!(self.refresh, Refresh::Rejected)
    }

    fn refresh_due(&self) -> Option<u64> {
        let tokens = self.tokens?;
        match self.refresh {
            Refresh::Backoff { until, .. } => Some(until),
            Refresh::Idle if self.rules.auto_refresh && tokens.refresh.is_some() => {
                if tokens.ended {
                    return Some(0);
                }
                let end = tokens.end?;
                let half = end.saturating_sub(tokens.from) / 2;
                Some(end.saturating_sub(half.min(self.rules.leeway)))
            }
            _ => None,
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
        self.requests += 1;
        let (id, at) = (self.requests, self.now);
        let until = at.saturating_add(self.rules.request_timeout);
        self.queue.push(Did::SendRefresh { id, token, until });
        self.refresh = Refresh::InFlight {
            flight: Flight { id, at },
            until,
        };
    }

    // Rows 2 to 5.

    fn callback(&mut self, back: Return) {
        match (self.login, back) {
            (Some((_, None)), Return::Code(code)) => {
                self.requests += 1;
                let (id, at) = (self.requests, self.now);
                let until = at.saturating_add(self.rules.request_timeout);
                self.login = Some((until, Some(Flight { id, at })));
                self.queue.push(Did::Answer(Verdict::Accepted));
                self.queue.push(Did::SendCode { id, code, until });
            }
            (Some((_, None)), Return::Denied) => {
                self.queue.push(Did::Answer(Verdict::Denied));
                self.login_fails("denied");
            }
            _ => {
                self.queue.push(Did::Answer(Verdict::NotOurs));
                self.tell(News::CallbackIgnored);
            }
        }
    }

    fn login_fails(&mut self, cause: &'static str) {
        if let Some((_, exchange)) = self.login.take() {
            self.withdraw_login(exchange);
            self.queue.push(Did::Persist);
            self.tell(News::LoginFailed(cause));
        }
    }

    // Rows 6 to 13.

    fn response(&mut self, id: u64, answer: Answer) {
        if let Some((_, Some(flight))) = self.login
            && flight.id == id
        {
            return match answer {
                Answer::Tokens(grant) => {
                    self.login = None;
                    self.withdraw_refresh();
                    self.tokens = None;
                    self.take(grant, flight, News::LoggedIn);
                }
                Answer::InvalidGrant => self.login_fails("oauth"),
                Answer::Trouble { cause, .. } | Answer::Nonsense { cause } => {
                    self.login_fails(cause)
                }
            };
        }
        if let Refresh::InFlight { flight, .. } = self.refresh
            && flight.id == id
        {
            return match answer {
                Answer::Tokens(grant) => self.take(grant, flight, News::Refreshed),
                Answer::Trouble { cause, retry_after } => {
                    self.refresh_fails(cause, Some(retry_after))
                }
                Answer::Nonsense { cause } => {
                    self.refresh = Refresh::Parked;
                    self.refresh_fails(cause, None);
                }
                Answer::InvalidGrant => {
                    self.refresh = Refresh::Rejected;
                    self.queue.push(Did::Persist);
                    self.refresh_fails("oauth", None);
                }
            };
        }
        let late = self.late.iter().position(|late| late.id == id);
        match (late.map(|at| self.late.remove(at)), answer) {
            (Some(flight), Answer::Tokens(grant)) => {
                self.withdraw_refresh();
                self.take(grant, flight, News::Refreshed);
            }
            _ => self.tell(News::StaleResponse(id)),
        }
    }

    /// New tokens; what they leave out stays as it was.
    fn take(&mut self, grant: Grant, flight: Flight, news: News) {
        let old = self.tokens;
        let refresh = grant
            .refresh
            .then_some(grant.number)
            .or(old.and_then(|t| t.refresh));
        self.serials += 1;
        let end = match grant.life {
            Life::Zero => refresh.map(|_| flight.at),
            Life::Lasts(life) => Some(flight.at.saturating_add(life)),
            Life::Unknown | Life::Until(_) => None,
        };
        let sign_in_due = grant
            .refresh
            .then(|| flight.at.saturating_add(REFRESH_TOKEN_LIFE));
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
        self.refresh = Refresh::Idle;
        let setbacks = std::mem::take(&mut self.setbacks);
        if self.refresh_due().is_some_and(|due| due <= self.now) {
            // A login starts afresh, a server that keeps handing out dead tokens does not.
            self.setbacks = if news == News::LoggedIn { 0 } else { setbacks };
            self.back_off(0);
        }
        self.queue.push(Did::Persist);
        self.tell(news);
    }

    fn refresh_fails(&mut self, cause: &'static str, retry_after: Option<u64>) {
        let retry_at = retry_after.map(|asked| self.back_off(asked));
        self.tell(News::RefreshFailed(cause, retry_at));
    }

    fn back_off(&mut self, asked: u64) -> u64 {
        let own = [1, 2, 4, 8, 16, 32].get(self.setbacks).unwrap_or(&60) * 1000;
        self.setbacks += 1;
        let length = own.max(asked);
        let until = self.now.saturating_add(length);
        self.refresh = Refresh::Backoff { until, length };
        until
    }

    // Rows 17 and 18, and a new process.

    fn adopt(&mut self, grant: Grant, now: u64) {
        self.serials += 1;
        let old = self.tokens.and_then(|t| t.token.scope);
        self.tokens = Some(Tokens {
            token: Token {
                number: grant.number,
                serial: self.serials,
                scope: grant.scope.then_some(grant.number).or(old),
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
        self.forget_refreshes();
        self.queue.push(Did::Persist);
    }

    fn log_out(&mut self) {
        self.withdraw_refresh();
        if let Some((_, exchange)) = self.login.take() {
            self.withdraw_login(exchange);
        }
        self.tokens = None;
        self.forget_refreshes();
        self.queue.push(Did::Persist);
        self.tell(News::SessionEnded);
    }

    fn restart(&mut self, now: u64) {
        self.now = now;
        self.login = self.login.filter(|(_, exchange)| exchange.is_none());
        if let Some((until, _)) = &mut self.login {
            *until = (*until).min(now.saturating_add(self.rules.login_timeout));
        }
        let rejected = matches!(self.refresh, Refresh::Rejected);
        self.forget_refreshes();
        if rejected {
            self.refresh = Refresh::Rejected;
        }
        let usable = self.view(now).token.is_some();
        if let Some(tokens) = &mut self.tokens {
            tokens.ended |= !usable;
        }
        self.queue.clear();
    }

    fn forget_refreshes(&mut self) {
        self.refresh = Refresh::Idle;
        self.setbacks = 0;
        self.late.clear();
    }

    fn tell(&mut self, news: News) {
        self.queue.push(Did::Notify(news));
    }

    fn withdraw_refresh(&mut self) {
        if let Refresh::InFlight { flight, .. } = self.refresh {
            self.withdraw(flight.id);
        }
    }

    fn withdraw_login(&mut self, exchange: Option<Flight>) {
        if let Some(at) = self.queue.iter().rposition(|did| *did == Did::OpenUrl) {
            self.take_back(at);
        }
        if let Some(flight) = exchange {
            self.withdraw(flight.id);
        }
    }

    fn withdraw(&mut self, request: u64) {
        let at = self.queue.iter().position(|did| {
            matches!(did, Did::SendCode { id, .. } | Did::SendRefresh { id, .. } if *id == request)
        });
        at.into_iter().for_each(|at| self.take_back(at));
    }

    /// What has not been drained yet need not be done.
    fn take_back(&mut self, at: usize) {
        self.queue.remove(at);
        if at < self.fresh {
            self.fresh -= 1;
        }
    }
}
