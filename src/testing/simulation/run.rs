//! One run: the plan's steps, and what is due between them.

use std::time::Duration;

use super::books::Held;
use super::flaw::Flaw;
use super::network::{self, Item};
use super::plan::{HOUR, MINUTE, Plan, Step};
use super::transcript::Transcript;
use super::world::World;
use super::{Program, Simulation};
use crate::testing::person::Answer;
use crate::{AuthFlow, CallbackUrl, Event, RequestId, Timestamp, TransportErrorKind};

/// Between two steps.
const PACE: Duration = Duration::from_secs(1);
/// How long a program has at the end to get in again: a server may ask for a day's patience.
const GRACE: Duration = Duration::from_secs(25 * 3600);
/// How often a program may wake at the same moment.
const WAKES: u32 = 100;

/// What came of a [`Plan`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Run {
    flaw: Option<Flaw>,
    transcript: Transcript,
}

impl Run {
    /// What the program did wrong, if anything. The run ended there.
    #[must_use]
    pub fn flaw(&self) -> Option<Flaw> {
        self.flaw
    }

    /// All that happened to the program.
    #[must_use]
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }
}

pub(super) struct Runner<'a, P, F> {
    world: World,
    program: P,
    start: &'a mut F,
    wakes_at: Option<Duration>,
    /// When the flow's deadline is.
    due: Option<Duration>,
    wakes: u32,
    held: Held,
    transcript: Transcript,
}

impl<'a, P: Program, F: FnMut(&mut World) -> P> Runner<'a, P, F> {
    pub(super) fn run(simulation: &Simulation, plan: &Plan, start: &'a mut F) -> Run {
        let client = simulation.client.clone();
        let mut world = World::new(client, simulation.redirect_uri.clone(), plan);
        world.books.saves = !simulation.keeps_nothing;
        world.books.begin_life();
        let program = start(&mut world);
        let mut runner = Self {
            world,
            program,
            start,
            wakes_at: None,
            due: None,
            wakes: 0,
            held: Held::default(),
            transcript: Transcript::default(),
        };
        runner.begin();
        for step in &plan.steps {
            runner.take(step);
            runner.pass(PACE);
        }
        runner.end();
        let flaw = runner.world.books.flaw;
        if let Some(flaw) = flaw {
            runner.transcript.mark(flaw);
        }
        Run {
            flaw,
            transcript: runner.transcript,
        }
    }

    fn has_failed(&self) -> bool {
        self.world.books.flaw.is_some()
    }

    fn find(&mut self, flaw: Flaw) {
        self.world.books.find(flaw);
    }

    fn flow(&self) -> &AuthFlow {
        self.program.flow()
    }

    // --- what the program gets to know ----------------------------------------------------------

    /// The program has just started.
    fn begin(&mut self) {
        let now = self.world.now();
        match self.world.saved() {
            None => self.transcript.begin(&self.world.client()),
            Some(saved) => self.transcript.restore(&saved, now),
        }
        self.held = Held::of(&self.flow().snapshot());
        let saved = self.world.saved();
        let saved = saved.as_ref().map(Held::of).unwrap_or_default();
        if self.world.books.saves && self.held != saved {
            self.find(Flaw::NotRestored);
        }
        self.tell(Event::Tick, None);
    }

    fn tell(&mut self, event: Event, note: Option<&str>) {
        if self.has_failed() {
            return;
        }
        self.transcript.note(&event, self.world.now(), note);
        let answered: Option<RequestId> = match &event {
            Event::Response { id, .. } => Some(*id),
            _ => None,
        };
        let is_log_out = matches!(event, Event::LogOut);
        if matches!(event, Event::Callback { .. }) {
            self.world.books.unanswered += 1;
        }
        self.program.handle(event, &mut self.world);
        self.world.books.after(self.program.flow(), answered);
        let life = self.world.network.server.config.expires_in;
        self.world.books.count(self.world.elapsed, life);
        let held = Held::of(&self.flow().snapshot());
        let is_live = self.is_live(&held);
        let is_out = held.refresh.is_none() && !is_log_out;
        if is_out && self.is_live(&self.held) {
            self.find(Flaw::RefreshTokenForgotten);
        }
        if let (Some(id), true) = (answered, held != self.held && is_live) {
            self.world.books.renewed(id);
        }
        self.held = held;
        self.plan_to_wake();
    }

    fn plan_to_wake(&mut self) {
        let now = self.world.now();
        // It sleeps by a stopwatch: a clock that is set does not wake it.
        let elapsed = self.world.elapsed;
        let when = |at: Timestamp| elapsed.saturating_add(at.saturating_since(now));
        self.wakes_at = self.program.wake_at().map(when);
        self.due = self.program.flow().deadline().map(when);
    }

    fn is_live(&self, held: &Held) -> bool {
        let refresh = held.refresh.as_deref();
        refresh.is_some_and(|it| self.world.network.is_live(it, self.world.elapsed))
    }

    // --- time ------------------------------------------------------------------------------------

    /// So much time passes, and all that is due in it happens.
    fn pass(&mut self, time: Duration) {
        let end = self.world.elapsed.saturating_add(time);
        while !self.has_failed() {
            let item_at = self.world.network.next_at();
            let at = [item_at, self.wakes_at].into_iter().flatten().min();
            let at = at.filter(|at| *at <= end);
            let is_over = |due: Duration| due.saturating_add(MINUTE) < at.unwrap_or(end);
            if self.due.is_some_and(is_over) {
                self.find(Flaw::Overslept);
            }
            let Some(at) = at else {
                break;
            };
            if at > self.world.elapsed {
                self.world.elapsed = at;
                self.wakes = 0;
            }
            if item_at == Some(at) {
                self.deliver();
                continue;
            }
            self.wakes += 1;
            if self.wakes > WAKES {
                self.find(Flaw::BusyLoop);
            }
            self.tell(Event::Tick, None);
        }
        self.world.elapsed = self.world.elapsed.max(end);
    }

    fn deliver(&mut self) {
        let now = self.world.elapsed;
        let network = &mut self.world.network;
        match network.pop() {
            None => {}
            Some(Item::Request(sent, request)) => {
                if let Some(acted) = network.arrive(sent, request, now) {
                    self.world.books.acted(&acted);
                }
            }
            Some(Item::Admitted(sent, request, number)) => {
                let acted = network.serve(sent, &request, number, None, now);
                self.world.books.acted(&acted);
            }
            Some(Item::Answer(sent, mut answered)) => {
                if answered.result.is_ok() && network.is_offline(now) {
                    answered = network::lost(TransportErrorKind::Closed, true);
                    answered.note = Some("the answer was lost: the network is away");
                }
                let has_tokens = network::has_tokens(&answered.result);
                if self.world.books.answered(sent, has_tokens) {
                    let result = answered.result;
                    self.tell(
                        Event::Response {
                            id: sent.id,
                            result,
                        },
                        answered.note,
                    );
                }
            }
            Some(Item::Callback(url)) => {
                let url = CallbackUrl::new(url);
                self.tell(Event::Callback { url }, None);
            }
        }
    }

    // --- steps -----------------------------------------------------------------------------------

    fn take(&mut self, step: &Step) {
        self.world.books.happened += 1;
        let until = |wait: &Duration, world: &World| world.elapsed.saturating_add(*wait);
        match step {
            Step::Wait(wait) => self.pass(*wait),
            Step::LogIn => {
                let event = Event::BeginLogin {
                    secrets: self.world.login_secrets(),
                    redirect_uri: self.world.redirect_uri(),
                };
                self.tell(event, None);
            }
            Step::Agree => self.answer(0, Answer::Allow, 1),
            Step::AgreeTwice => self.answer(0, Answer::Allow, 2),
            Step::Reload => {
                if let Some(url) = self.world.landed.clone() {
                    self.world.network.come_back(url, self.world.elapsed);
                }
            }
            Step::AgreeInStaleWindow => self.answer(1, Answer::Allow, 1),
            Step::Deny => self.answer(0, Answer::Deny, 1),
            Step::CloseWindow => {
                let _ = self.world.windows.pop();
            }
            Step::Forge => {
                let uri = self.world.redirect_uri.as_str();
                let mark = if uri.contains('?') { '&' } else { '?' };
                let url = format!("{uri}{mark}code=forged&state=forged");
                let event = Event::Callback {
                    url: CallbackUrl::new(url),
                };
                self.tell(event, Some("forged"));
            }
            Step::Cancel => self.tell(Event::CancelLogin, None),
            Step::LogOut => self.tell(Event::LogOut, None),
            Step::Refresh => self.tell(Event::Refresh, None),
            Step::CallApi => {
                let _ = self.call_api();
            }
            Step::Restart => self.restart(),
            Step::Fault(fault) => {
                let faults = &mut self.world.network.server.token_desk.faults;
                faults.push(fault.clone(), 1);
            }
            Step::Offline(wait) => {
                let until = until(wait, &self.world);
                self.world.network.go_offline(until);
            }
            Step::Outage(wait) => {
                let until = until(wait, &self.world);
                self.world.network.fail_until(until);
            }
            Step::FailSave => self.world.disk.failures += 1,
            Step::LoseSave => self.world.disk.losses += 1,
            Step::Suspend(wait) => {
                self.world.elapsed = until(wait, &self.world);
            }
            Step::ClockAhead(by) => self.world.ahead = self.world.ahead.saturating_add(*by),
            Step::ClockBack(by) => self.world.back = self.world.back.saturating_add(*by),
            Step::ExpireAccessTokens => self.world.network.server.expire_access_tokens(),
            Step::RevokeRefreshTokens => {
                self.world.network.server.revoke_refresh_tokens();
                self.world.books.excused = true;
            }
        }
    }

    /// The person answers in the window that many before the last, and the browser comes back so many
    /// times.
    fn answer(&mut self, before: usize, answer: Answer, times: u32) {
        let now = self.world.elapsed;
        let windows = &mut self.world.windows;
        let Some(at) = windows.len().checked_sub(1 + before) else {
            return;
        };
        let url = windows.remove(at);
        let Some(back) = self.world.network.answer(&url, answer, now) else {
            return;
        };
        self.world.landed = Some(back.clone());
        for _ in 0..times {
            self.world.network.come_back(back.clone(), now);
        }
    }

    /// Calls the API with the program's token. Whether that was let in.
    fn call_api(&mut self) -> bool {
        let (now, elapsed) = (self.world.now(), self.world.elapsed);
        let away = self.world.network.is_offline(elapsed) || self.world.network.is_out(elapsed);
        let token = self.flow().access_token(now);
        let token = token.map(|it| (it.serial(), it.secret().expose().to_owned()));
        let (Some((serial, token)), false) = (token, away || self.has_failed()) else {
            return false;
        };
        self.world.books.uses(&token);
        let is_in = self.world.network.takes(&token, elapsed);
        if !is_in {
            self.tell(Event::TokenRejected { serial }, Some("the API said 401"));
        }
        is_in
    }

    fn restart(&mut self) {
        self.hold_saved();
        if self.has_failed() {
            return;
        }
        let disk = &mut self.world.disk;
        disk.saved = disk.kept.clone();
        disk.is_behind = false;
        self.world.books.begin_life();
        self.program = (self.start)(&mut self.world);
        self.begin();
    }

    /// What the program has must be what it has saved, unless a save has failed.
    fn hold_saved(&mut self) {
        let kept = self.world.disk.kept.as_ref();
        let kept = kept.map(Held::of).unwrap_or_default();
        if kept == self.held || !self.world.books.saves {
            return;
        }
        if self.world.disk.is_at_risk() {
            self.world.books.excused = true;
        } else {
            self.find(Flaw::NotSaved);
        }
    }

    // --- the end ---------------------------------------------------------------------------------

    /// Everything is well again. Is the program, too?
    fn end(&mut self) {
        self.world.network.heal();
        let disk = &mut self.world.disk;
        (disk.failures, disk.losses) = (0, 0);
        disk.kept = disk.saved.clone();
        let answers = self.world.books.good_answers;
        let end = self.world.elapsed.saturating_add(GRACE);
        // Whoever waits for a person waits in vain from here on.
        self.pass(MINUTE.max(PACE));
        let mut patience = 0u32;
        let is_in = loop {
            if self.call_api() || self.world.books.good_answers > answers {
                break true;
            }
            // The live token may be on its way here, for a flow that no longer waits for it, too.
            let may_get_in = self.is_live(&self.held) || self.world.network.next_at().is_some();
            if self.has_failed() || !may_get_in || self.world.elapsed >= end {
                break false;
            }
            // The person tries again now and then.
            patience += 1;
            if patience.is_multiple_of(10) && self.flow().can_refresh() {
                self.world.books.happened += 1;
                self.tell(Event::Refresh, None);
            }
            self.pass(MINUTE);
        };
        self.pass(HOUR / 6);
        if self.has_failed() {
            return;
        }
        if self.world.books.unanswered > 0 {
            self.find(Flaw::BrowserNotAnswered);
        }
        let saved = self.world.disk.saved.as_ref();
        let saved = saved.map(Held::of).unwrap_or_default();
        if self.world.books.saves && saved != self.held {
            self.find(Flaw::NotSaved);
        }
        let Some(token) = &self.held.refresh else {
            return;
        };
        let is_live = self.is_live(&self.held);
        let has_lapsed = self.world.network.has_lapsed(token, self.world.elapsed);
        if is_live && !is_in {
            self.find(Flaw::LockedOut);
        } else if !is_live && !has_lapsed && !self.world.books.is_excused() {
            self.find(Flaw::DeadRefreshToken);
        }
    }
}
