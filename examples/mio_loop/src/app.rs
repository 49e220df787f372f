//! The loop: receive, handle, drain, wait, for any number of flows.

use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use authflow::loopback::Page;
use authflow::{
    Action, Activity, AuthFlow, Client, Event, LoginSecrets, Notice, State, Timestamp, Verdict,
};
use mio::{Events, Poll, Token};

use crate::browsers::{Arrival, Browsers};
use crate::calls::{Calls, Ended};
use crate::people::People;
use crate::plan::{Limits, Outcome, Plan, Report};
use crate::timers::{Timer, Timers};

const LISTENER: Token = Token(0);
const PEOPLE: Token = Token(1);
/// A poll may stand still while the computer is suspended, and the deadlines do not: look now and then.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Whoever waits at the door may be let in as soon as others have had their time.
const AT_THE_DOOR: Duration = Duration::from_millis(100);

/// One person's login.
struct Seat {
    flow: AuthFlow,
    /// The state of the login under way.
    state: String,
    refreshes: usize,
    /// The browser whose page waits for the login to end.
    held: Option<Token>,
}

/// The program: one thread, one poll.
pub struct App {
    poll: Poll,
    seats: Vec<Seat>,
    /// The logins under way, by their state.
    waiting: HashMap<String, usize>,
    /// What has happened and is not handled yet.
    inbox: VecDeque<(usize, Event)>,
    browsers: Browsers,
    calls: Calls,
    people: People,
    timers: Timers,
    plan: Plan,
    logging_in: usize,
    being_refreshed: usize,
    /// More browsers wait at the door than are let in at once.
    is_crowded: bool,
    now: Timestamp,
    report: Report,
    on_end: Box<dyn FnMut(usize) + Send>,
}

impl App {
    /// `people` is where the authorization URLs go: it stands in for opening a browser.
    ///
    /// # Errors
    /// If the system gives no socket.
    pub fn new(people: SocketAddr, limits: Limits, plan: Plan) -> io::Result<Self> {
        let poll = Poll::new()?;
        Ok(Self {
            people: People::connect(poll.registry(), PEOPLE, people)?,
            browsers: Browsers::bind(poll.registry(), LISTENER, &limits)?,
            calls: Calls::new(limits.calls),
            poll,
            seats: Vec::new(),
            waiting: HashMap::new(),
            inbox: VecDeque::new(),
            timers: Timers::default(),
            plan,
            logging_in: 0,
            being_refreshed: 0,
            is_crowded: false,
            now: Timestamp::now(),
            report: Report::default(),
            on_end: Box::new(|_| {}),
        })
    }

    /// Calls this as each flow comes to its end.
    #[must_use]
    pub fn on_end(mut self, tell: impl FnMut(usize) + Send + 'static) -> Self {
        self.on_end = Box::new(tell);
        self
    }

    /// Where the redirects come to.
    #[must_use]
    pub fn redirect_uri(&self) -> String {
        self.browsers.redirect_uri()
    }

    /// Runs the plan to its end. Flows may share a client, or have each their own.
    ///
    /// # Errors
    /// If the program has a bug, or the system refuses it something. What the world does to a login is
    /// in the report.
    pub fn run(mut self, client: impl Fn(usize) -> Arc<Client>) -> Result<Report, Box<dyn Error>> {
        self.report.outcomes.resize(self.plan.logins, None);
        for at in 0..self.plan.logins {
            let client = client(at);
            let redirect_uri = client.redirect_uri(&self.redirect_uri())?;
            self.seats.push(Seat {
                flow: AuthFlow::new(client),
                state: String::new(),
                refreshes: 0,
                held: None,
            });
            let begin = Event::BeginLogin {
                secrets: LoginSecrets::generate()?,
                redirect_uri,
            };
            self.handle(at, begin, None)?;
        }
        let mut events = Events::with_capacity(256);
        while self.report.order.len() < self.plan.logins || self.browsers.is_busy() {
            self.turn(&mut events)?;
        }
        Ok(self.report)
    }

    /// Waits once, and handles all that has happened.
    fn turn(&mut self, events: &mut Events) -> Result<(), Box<dyn Error>> {
        match self.poll.poll(events, Some(self.idle_time())) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        self.report.turns += 1;
        self.look_at_the_clock();
        for event in &*events {
            match event.token() {
                LISTENER => self.browsers.has_more = true,
                PEOPLE => self.people.flush()?,
                token if Calls::owns(token) => {
                    let ended = self
                        .calls
                        .ready(event, self.poll.registry(), &mut self.timers);
                    self.ended(ended);
                }
                browser => {
                    let (registry, timers) = (self.poll.registry(), &mut self.timers);
                    let arrival = self.browsers.ready(browser, registry, timers, self.now);
                    if let Some(arrival) = arrival {
                        self.arrived(arrival)?;
                    }
                }
            }
        }
        while let Some(timer) = self.timers.pop_due(self.now) {
            let (registry, timers) = (self.poll.registry(), &mut self.timers);
            match timer {
                Timer::Flow(at) => self.inbox.push_back((at, Event::Tick)),
                Timer::Request(flow, id) => {
                    let ended = self.calls.give_up(flow, id, registry, timers);
                    self.ended(ended);
                }
                Timer::Browser(token) => {
                    self.browsers.time_is_up(token, registry, timers, self.now);
                }
            }
        }
        while let Some((at, event)) = self.inbox.pop_front() {
            self.handle(at, event, None)?;
        }
        // Only now, when all that could close has closed.
        let (registry, timers) = (self.poll.registry(), &mut self.timers);
        self.is_crowded = self.browsers.accept(registry, timers, self.now);
        while let Some(ended) = self.calls.start(self.poll.registry(), &mut self.timers) {
            self.ended(Some(ended));
        }
        let sockets = self.browsers.sockets() + self.calls.sockets() + 2;
        self.report.most_sockets = self.report.most_sockets.max(sockets);
        Ok(())
    }

    /// How long nothing can happen but on a socket.
    fn idle_time(&self) -> Duration {
        if self.is_crowded || !self.inbox.is_empty() {
            return Duration::ZERO;
        }
        let longest = match self.browsers.has_more {
            true => AT_THE_DOOR,
            false => LONGEST_WAIT,
        };
        let due = self.timers.next();
        due.map_or(longest, |due| {
            due.saturating_since(Timestamp::now()).min(longest)
        })
    }

    /// A clock that was put back would make every wait longer. The flows see to that themselves, once
    /// they are told the time.
    fn look_at_the_clock(&mut self) {
        let now = Timestamp::now();
        let back = self.now.saturating_since(now);
        self.now = now;
        if !back.is_zero() {
            self.timers.put_back(back);
            self.inbox
                .extend((0..self.seats.len()).map(|at| (at, Event::Tick)));
        }
    }

    fn arrived(&mut self, arrival: Arrival) -> Result<(), Box<dyn Error>> {
        let Arrival { browser, url } = arrival;
        let state = url.state();
        match state.and_then(|state| self.waiting.get(state.expose()).copied()) {
            Some(at) => self.handle(at, Event::Callback { url }, Some(browser)),
            None => {
                self.report.ignored += 1;
                self.show(browser, Page::NotOurs);
                Ok(())
            }
        }
    }

    fn ended(&mut self, ended: Option<Ended>) {
        self.inbox.extend(ended.map(|ended| {
            let Ended { flow, id, result } = ended;
            (flow, Event::Response { id, result })
        }));
    }

    /// Handles an event and does what comes of it. With a callback, `browser` is who brought it.
    fn handle(
        &mut self,
        at: usize,
        event: Event,
        browser: Option<Token>,
    ) -> Result<(), Box<dyn Error>> {
        let Some(seat) = self.seats.get_mut(at) else {
            return Ok(());
        };
        let before = (seat.flow.state(), seat.flow.activity());
        // A `Misuse` is a bug of the loop's, and nothing that the world did.
        seat.flow.handle(event, self.now)?;
        let after = (seat.flow.state(), seat.flow.activity());
        self.count(before, after);
        while let Some(action) = self.seats.get_mut(at).and_then(|s| s.flow.poll_action()) {
            self.carry_out(at, action, browser)?;
        }
        let deadline = self.seats.get(at).and_then(|seat| seat.flow.deadline());
        self.timers.set(Timer::Flow(at), deadline);
        if before.0 == State::AwaitingCode && self.logging_in == 0 {
            self.all_are_in();
        }
        Ok(())
    }

    fn carry_out(
        &mut self,
        at: usize,
        action: Action,
        browser: Option<Token>,
    ) -> Result<(), Box<dyn Error>> {
        match action {
            Action::AnswerCallback(verdict) => {
                let Some(browser) = browser else {
                    return Ok(());
                };
                match verdict {
                    Verdict::Accepted => {
                        if let Some(seat) = self.seats.get_mut(at) {
                            seat.held = Some(browser);
                        }
                    }
                    Verdict::Denied => self.show(browser, Page::Denied),
                    Verdict::NotOurs => self.show(browser, Page::NotOurs),
                }
            }
            // Here a real program writes `flow.snapshot()` to its store. One whose store blocks hands
            // it to a thread, and does not poll this flow's next action before the thread is done; the
            // flow keeps them, and the other flows go on.
            Action::Persist => {}
            Action::OpenUrl(url) => {
                let state = url.state().map(|state| state.expose().to_owned());
                let state = state.unwrap_or_default();
                self.waiting.insert(state.clone(), at);
                if let Some(seat) = self.seats.get_mut(at) {
                    seat.state = state;
                }
                self.people.tell(url.as_str())?;
            }
            Action::Send(request) => self.calls.push(at, request, &mut self.timers),
            Action::Notify(notice) => self.take_note(at, notice),
        }
        Ok(())
    }

    fn take_note(&mut self, at: usize, notice: Notice) {
        match notice {
            Notice::LoggedIn => {
                self.report.logins += 1;
                self.login_ended(at, Page::Success);
            }
            Notice::LoginFailed(failure) => {
                self.login_ended(at, Page::Failed);
                self.finish(at, Outcome::LoginFailed(*failure));
            }
            Notice::Refreshed => {
                self.report.refreshes += 1;
                if let Some(seat) = self.seats.get_mut(at) {
                    seat.refreshes += 1;
                    if seat.refreshes == self.plan.refreshes {
                        self.inbox.push_back((at, Event::LogOut));
                    }
                }
            }
            // With a time, the machine tries again by itself.
            Notice::RefreshFailed {
                failure,
                retry_at: None,
            } => self.finish(at, Outcome::RefreshFailed(*failure)),
            Notice::SessionEnded => self.finish(at, Outcome::Complete),
            Notice::CallbackIgnored(_) => self.report.ignored += 1,
            _ => {}
        }
    }

    fn login_ended(&mut self, at: usize, page: Page) {
        let Some(seat) = self.seats.get_mut(at) else {
            return;
        };
        self.waiting.remove(&seat.state);
        if let Some(browser) = seat.held.take() {
            self.show(browser, page);
        }
    }

    fn finish(&mut self, at: usize, outcome: Outcome) {
        if let Some(place @ None) = self.report.outcomes.get_mut(at) {
            *place = Some(outcome);
            self.report.order.push(at);
            (self.on_end)(at);
        }
    }

    fn all_are_in(&mut self) {
        if self.plan.first_at_once {
            let seats = self.seats.iter().enumerate();
            let can = seats.filter(|(_, seat)| seat.flow.can_refresh());
            self.inbox.extend(can.map(|(at, _)| (at, Event::Refresh)));
        }
    }

    fn show(&mut self, browser: Token, page: Page) {
        let (registry, timers) = (self.poll.registry(), &mut self.timers);
        self.browsers
            .show(browser, page, registry, timers, self.now);
    }

    fn count(&mut self, before: (State, Activity), after: (State, Activity)) {
        let logs_in = |(state, _): (State, Activity)| usize::from(state == State::AwaitingCode);
        let refreshes = |(_, activity)| usize::from(activity == Activity::Refreshing);
        self.logging_in = self.logging_in + logs_in(after) - logs_in(before);
        self.being_refreshed = self.being_refreshed + refreshes(after) - refreshes(before);
        let report = &mut self.report;
        report.most_logins = report.most_logins.max(self.logging_in);
        report.most_refreshes = report.most_refreshes.max(self.being_refreshed);
    }
}
