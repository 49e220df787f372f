// A program that logs in, stays logged in, and saves what it has together with its other settings.

use std::time::Duration;

use authflow::testing::{Program, World};
use authflow::{Action, AuthFlow, Event, Timestamp};

const LATER: Duration = Duration::from_secs(5 * 60);
const SOON: Duration = Duration::from_secs(5);

pub struct Player {
    flow: AuthFlow,
    save_at: Option<Timestamp>,
    is_first_version: bool,
}

impl Player {
    /// Goes on with what was saved.
    pub fn start(world: &mut World) -> Self {
        let (client, now) = (world.client(), world.now());
        let restore = |saved| AuthFlow::restore(client.clone(), saved, now).ok();
        let flow = world.saved().and_then(restore);
        Self {
            flow: flow.unwrap_or_else(|| AuthFlow::new(client)),
            save_at: None,
            is_first_version: false,
        }
    }

    /// The first version, with the bug in it.
    pub fn start_first_version(world: &mut World) -> Self {
        Self {
            is_first_version: true,
            ..Self::start(world)
        }
    }

    fn carry_out(&mut self, action: Action, world: &mut World) {
        match action {
            Action::OpenUrl(url) => world.open_url(&url),
            Action::Send(request) => world.send(request),
            Action::AnswerCallback(verdict) => world.answer_callback(verdict),
            // The bug: settings may wait, a refresh token may not.
            Action::Persist if self.is_first_version => {
                self.save_at = Some(world.now().saturating_add(LATER));
            }
            Action::Persist => self.save(world),
            Action::Notify(_) => {} // the window shows it
        }
    }

    /// A disk may be full: then once more, soon.
    fn save(&mut self, world: &mut World) {
        let failed = world.save(&self.flow.snapshot()).is_err();
        self.save_at = failed.then(|| world.now().saturating_add(SOON));
    }
}

impl Program for Player {
    fn handle(&mut self, event: Event, world: &mut World) {
        // What makes no sense now, such as a second login, was a button pressed too late.
        let _ = self.flow.handle(event, world.now());
        while let Some(action) = self.flow.poll_action() {
            self.carry_out(action, world);
        }
        // No wait is longer than LATER, unless the clock has been set back meanwhile.
        let (now, latest) = (world.now(), world.now().saturating_add(LATER));
        if self.save_at.is_some_and(|at| at <= now || latest < at) {
            self.save(world);
        }
    }

    fn flow(&self) -> &AuthFlow {
        &self.flow
    }

    fn wake_at(&self) -> Option<Timestamp> {
        let both = [self.flow.deadline(), self.save_at];
        both.into_iter().flatten().min()
    }
}
