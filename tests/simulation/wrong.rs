//! Programs that do one thing wrong: each is found.

use std::cell::RefCell;

use authflow::testing::{Flaw, Program, Rotation, Step, World};
use authflow::{Action, AuthFlow, Event, Timestamp};

use super::driven::drive;
use super::player::Player;
use super::{plan, secs, simulation};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mistake {
    SavesNothing,
    DropsErrors,
    DropsRefusals,
    LeavesActions,
    RefreshesTwice,
    ForgetsToSend,
    LeavesBrowsers,
    ForgetsToRestore,
    SavesOldState,
    NeverWakes,
    IgnoresThePerson,
    AlwaysWakes,
    Hammers,
    AdoptsWhatItReads,
    RestoresForCallbacks,
    IgnoresFailedSaves,
}

/// A program with one of them.
pub struct Clumsy {
    flow: AuthFlow,
    mistake: Mistake,
    first_save: Option<authflow::Snapshot>,
    save_at: Option<Timestamp>,
}

impl Clumsy {
    pub fn start(mistake: Mistake, world: &mut World) -> Self {
        let (client, now) = (world.client(), world.now());
        let saved = world
            .saved()
            .filter(|_| mistake != Mistake::ForgetsToRestore);
        let restored = saved.map(|saved| AuthFlow::restore(client.clone(), saved, now).unwrap());
        Self {
            flow: restored.unwrap_or_else(|| AuthFlow::new(client)),
            mistake,
            first_save: None,
            save_at: None,
        }
    }

    /// A member that is missing is null, is it not?
    fn adopt(&mut self, answer: serde_json::Value, now: Timestamp) {
        let Some(access_token) = answer["access_token"].as_str() else {
            return;
        };
        let refresh_token = answer["refresh_token"].as_str().unwrap_or_default();
        let tokens = authflow::TokenSet::new(access_token).refresh_token(refresh_token);
        let _ = self.flow.handle(Event::AdoptTokens(tokens), now);
    }

    fn save(&mut self, world: &mut World) {
        let mut snapshot = self.flow.snapshot();
        if self.mistake == Mistake::SavesNothing {
            return;
        }
        // Only what a login brought.
        if self.mistake == Mistake::SavesOldState && snapshot.has_session() {
            snapshot = self.first_save.get_or_insert(snapshot).clone();
        }
        let failed = world.save(&snapshot).is_err() && self.mistake != Mistake::IgnoresFailedSaves;
        self.save_at = failed.then(|| world.now().saturating_add(secs(1)));
    }
}

impl Program for Clumsy {
    fn handle(&mut self, event: Event, world: &mut World) {
        let now = world.now();
        match (&event, self.mistake) {
            (Event::Response { result: Err(_), .. }, Mistake::DropsErrors)
            | (Event::Refresh, Mistake::IgnoresThePerson) => return,
            (Event::Response { result: Ok(it), .. }, Mistake::DropsRefusals)
                if it.status() != 200 =>
            {
                return;
            }
            _ => {}
        }
        // As a web backend may, that keeps logins in a store and forgets to take them out.
        if let (Event::Callback { .. }, Some(saved)) = (&event, world.saved())
            && self.mistake == Mistake::RestoresForCallbacks
        {
            self.flow = AuthFlow::restore(world.client(), saved, now).unwrap();
        }
        let read = match &event {
            Event::Response { result: Ok(it), .. } => serde_json::from_slice(it.body()).ok(),
            _ => None,
        };
        let _ = self.flow.handle(event, now);
        if self.mistake == Mistake::AdoptsWhatItReads {
            self.adopt(read.unwrap_or_default(), now);
        }
        if self.save_at.is_some() {
            self.save(world);
        }
        while let Some(action) = self.flow.poll_action() {
            match action {
                Action::OpenUrl(url) => world.open_url(&url),
                Action::Send(_) if self.mistake == Mistake::ForgetsToSend => {}
                Action::Send(request) => {
                    let is_refresh = request.body().contains("refresh_token");
                    if self.mistake == Mistake::RefreshesTwice && is_refresh {
                        world.send(request.clone());
                    }
                    world.send(request);
                }
                Action::AnswerCallback(verdict) => {
                    if self.mistake != Mistake::LeavesBrowsers {
                        world.answer_callback(verdict);
                    }
                }
                Action::Persist => self.save(world),
                Action::Notify(_) if self.mistake == Mistake::LeavesActions => return,
                Action::Notify(_) => {}
            }
            if self.mistake == Mistake::LeavesActions {
                return;
            }
        }
        if self.mistake == Mistake::Hammers && self.flow.can_refresh() {
            // "It failed, so again": in place of the flow's own waits.
            if self.flow.state() == authflow::State::Expired
                && matches!(self.flow.activity(), authflow::Activity::Backoff { .. })
            {
                let _ = self.flow.handle(Event::Refresh, now);
                while let Some(action) = self.flow.poll_action() {
                    match action {
                        Action::Send(request) => world.send(request),
                        Action::Persist => self.save(world),
                        _ => {}
                    }
                }
            }
        }
    }

    fn flow(&self) -> &AuthFlow {
        &self.flow
    }

    fn wake_at(&self) -> Option<Timestamp> {
        match self.mistake {
            Mistake::NeverWakes => None,
            Mistake::AlwaysWakes => Some(Timestamp::from_millis(0)),
            _ => [self.flow.deadline(), self.save_at]
                .into_iter()
                .flatten()
                .min(),
        }
    }
}

#[test]
fn every_mistake_is_found_and_made_short() {
    use Mistake::*;
    let expected = [
        (SavesNothing, Flaw::UsedBeforeSaved, 2),
        (DropsErrors, Flaw::ResponseNotHandled, 4),
        (DropsRefusals, Flaw::ResponseNotHandled, 4),
        (LeavesActions, Flaw::ActionsLeft, 1),
        (RefreshesTwice, Flaw::RequestSentTwice, 3),
        (ForgetsToSend, Flaw::RequestNotSent, 2),
        (LeavesBrowsers, Flaw::BrowserNotAnswered, 2),
        (RestoresForCallbacks, Flaw::RequestSentTwice, 5),
        (IgnoresFailedSaves, Flaw::NotSaved, 4),
        (ForgetsToRestore, Flaw::NotRestored, 3),
        (SavesOldState, Flaw::UsedBeforeSaved, 3),
        (NeverWakes, Flaw::Overslept, 2),
        (IgnoresThePerson, Flaw::LockedOut, 5),
        (AlwaysWakes, Flaw::BusyLoop, 0),
        (Hammers, Flaw::TooManyRequests, 4),
        (AdoptsWhatItReads, Flaw::RefreshTokenForgotten, 3),
    ];
    for (mistake, flaw, most) in expected {
        let start = |world: &mut World| Clumsy::start(mistake, world);
        let found = simulation().search(0..400, start).expect_err("a flaw");
        assert_eq!(found.flaw(), flaw, "{mistake:?}: {found}");
        assert!(found.plan().steps.len() <= most, "{mistake:?}: {found}");
        assert!(found.to_string().contains(&flaw.to_string()));
        // Shorter it is nothing.
        let steps = &found.plan().steps;
        for left_out in 0..steps.len() {
            let mut plan = found.plan().clone();
            plan.steps.remove(left_out);
            assert_ne!(
                simulation().run(&plan, start).flaw(),
                Some(flaw),
                "{plan:?}"
            );
        }
        // And drive reads it.
        let answers = drive(&found.transcript().to_jsonl());
        assert_eq!(answers.len(), found.transcript().lines().len());
        assert!(answers.iter().all(|it| it["error"]["kind"] != "input"));
    }
}

#[test]
fn a_login_that_is_restored_for_each_callback_sends_its_code_twice() {
    let start = |world: &mut World| Clumsy::start(Mistake::RestoresForCallbacks, world);
    let run = simulation().run(&plan([Step::LogIn, Step::AgreeTwice]), start);
    assert_eq!(run.flaw(), Some(Flaw::CodeSentTwice));
}

#[test]
fn who_goes_back_to_old_tokens_is_found() {
    let backup: RefCell<Option<authflow::Snapshot>> = RefCell::default();
    let start = |world: &mut World| {
        let saved = world.saved().filter(authflow::Snapshot::has_session);
        let old = saved.map(|saved| backup.borrow_mut().get_or_insert(saved).clone());
        if let Some(old) = old {
            world.save(&old).unwrap();
        }
        Player::start(world)
    };
    let mut plan = plan([
        Step::LogIn,
        Step::Agree,
        Step::Restart,
        Step::Refresh,
        Step::Restart,
        Step::Wait(secs(3600)),
    ]);
    assert_eq!(simulation().run(&plan, start).flaw(), None);
    plan.provider.rotation = Rotation::EveryRefresh {
        reuse_detection: false,
    };
    backup.take();
    assert_eq!(
        simulation().run(&plan, start).flaw(),
        Some(Flaw::DeadRefreshToken)
    );
}
