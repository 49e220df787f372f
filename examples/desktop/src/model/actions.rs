//! The loop itself: handle, drain, carry out.

use authflow::loopback::Page;
use authflow::session::StoreError;
use authflow::{Action, Cause, Event, Notice, Phase, RequestId, State, Timestamp, Verdict};

use super::login::begin;
use super::{Browser, Input, Me, Model, NOT_SENT, Outcome, Trouble, TroubleCause, overtaken};
use crate::jobs::{Job, Saved, Stored};

impl Model {
    /// Carries out what there is, then handles what has happened, one at a time, until a save or
    /// nothing is left.
    pub(super) fn drain(&mut self, now: Timestamp) {
        while !self.is_held_up() && !self.is_loading {
            if let Some(action) = self.flow.poll_action() {
                self.carry_out(action, now);
            } else if self.owes_release {
                self.owes_release = false;
                (self.give)(Job::Release);
            } else if let Some(input) = self.inbox.pop_front() {
                self.take(input, now);
            } else {
                break;
            }
        }
    }

    fn take(&mut self, input: Input, now: Timestamp) {
        match input {
            Input::Event(event) => self.handle(event, now),
            Input::Begin {
                attempt,
                redirect_uri,
            } if self.is_current(attempt) => match begin(redirect_uri) {
                Ok(event) => {
                    self.handle(event, now);
                    if let Some(login) = &mut self.login {
                        login.is_begun = true;
                    }
                }
                Err(why) => {
                    self.outcome = Some(Outcome::NotBegun(why));
                    self.finish_login(Page::Failed);
                }
            },
            Input::Begin { .. } => {}
            Input::Callback { ticket, url } => {
                self.asked = Some(ticket);
                self.handle(Event::Callback { url }, now);
            }
            Input::Refreshed(response) => {
                self.owes_release = true;
                self.handle(response, now);
            }
            Input::Outdated { id, stored } => {
                // The machine waits for an answer, and takes no other tokens before it has one. The notice
                // of a failure that comes of it is gone before the next frame.
                self.not_sent(id, now);
                self.inbox.push_front(Input::Stored(stored));
            }
            Input::NotSent { id, error } => {
                self.not_sent(id, now);
                self.trouble = Some(Trouble {
                    cause: TroubleCause::Store(error),
                    retry_at: None,
                });
            }
            Input::Stored(stored) => self.adopt(stored, now),
            Input::LogOut => {
                self.revocations = self.flow.revocation_requests(now).collect();
                self.outcome = Some(Outcome::LoggedOut);
                self.handle(Event::LogOut, now);
            }
        }
    }

    pub(super) fn handle(&mut self, event: Event, now: Timestamp) {
        if let Err(misuse) = self.flow.handle(event, now) {
            debug_assert!(overtaken(&misuse), "{misuse}");
        }
    }

    fn not_sent(&mut self, id: RequestId, now: Timestamp) {
        let result = Err(NOT_SENT);
        self.handle(Event::Response { id, result }, now);
    }

    /// Takes over what another copy of this program has saved: its tokens, or the end of the session.
    fn adopt(&mut self, stored: Stored, now: Timestamp) {
        let tokens = stored
            .clone()
            .map(|saved| saved.tokens(&self.client, now))
            .transpose();
        match tokens.map(Option::flatten) {
            Ok(Some(tokens)) => {
                // A refresh in flight comes first: it will find the same, and say so.
                if self.flow.handle(Event::AdoptTokens(tokens), now).is_err() {
                    return;
                }
                self.trouble = None;
                self.outcome = None;
                (self.give)(Job::Adopted(stored));
                if self.me == Me::Unknown {
                    self.ask_me(now);
                }
            }
            Ok(None) => {
                self.outcome = Some(Outcome::LoggedOutElsewhere);
                self.handle(Event::LogOut, now);
                (self.give)(Job::Adopted(stored));
            }
            Err(error) => self.outcome = Some(Outcome::Unreadable(error.to_string())),
        }
    }

    fn carry_out(&mut self, action: Action, now: Timestamp) {
        match action {
            Action::AnswerCallback(verdict) => {
                let Some(ticket) = self.asked.take() else {
                    return;
                };
                match verdict {
                    Verdict::Accepted => self.held = Some(ticket),
                    Verdict::Denied => self.answer(ticket, Page::Denied),
                    Verdict::NotOurs => self.answer(ticket, Page::NotOurs),
                }
            }
            Action::Persist => self.save(),
            Action::OpenUrl(url) => {
                self.set_browser(Browser::Opening);
                (self.give)(Job::Open(url));
            }
            Action::Send(request) => {
                // A refresh wants the store's lock, an exchange does not.
                let is_refresh = request.phase() == Phase::Refresh;
                (self.give)(match is_refresh && !self.goes_unsaved {
                    true => Job::Refresh(request),
                    false => Job::Exchange(request),
                })
            }
            Action::Notify(notice) => self.take_note(notice, now),
        }
    }

    fn take_note(&mut self, notice: Notice, now: Timestamp) {
        match notice {
            Notice::LoggedIn => {
                self.finish_login(Page::Success);
                self.outcome = None;
                self.trouble = None;
                self.was_rejected = false;
                self.me = Me::Unknown;
                self.ask_me(now);
            }
            Notice::Refreshed => {
                self.trouble = None;
                if !matches!(self.me, Me::Known(_)) {
                    self.ask_me(now);
                }
            }
            Notice::RefreshFailed { failure, retry_at } => match &mut self.trouble {
                // Not sent because of the store: that is the reason, and this only says when again.
                Some(trouble) if matches!(trouble.cause, TroubleCause::Store(_)) => {
                    if failure.cause == Cause::Transport(NOT_SENT) {
                        trouble.retry_at = retry_at;
                        return;
                    }
                    self.trouble = Some(provider_trouble(*failure, retry_at));
                }
                _ => self.trouble = Some(provider_trouble(*failure, retry_at)),
            },
            Notice::LoginFailed(failure) => {
                self.finish_login(Page::Failed);
                self.outcome = match failure.cause {
                    Cause::Cancelled => None,
                    _ => Some(Outcome::LoginFailed(*failure)),
                };
            }
            Notice::CallbackIgnored(ignored) => {
                if let Some(login) = &mut self.login {
                    login.stray = Some(ignored.to_string());
                }
            }
            Notice::SessionEnded => {
                self.finish_login(Page::Failed);
                self.trouble = None;
                self.goes_unsaved = false;
                self.me = Me::Unknown;
                let revocations = std::mem::take(&mut self.revocations);
                if !revocations.is_empty() {
                    (self.give)(Job::Revoke(revocations));
                }
            }
            _ => {}
        }
    }

    pub(super) fn save(&mut self) {
        self.is_saving = true;
        (self.give)(Job::Save(Box::new(self.flow.snapshot())));
    }

    pub(super) fn saved(&mut self, saved: Result<Saved, StoreError>, now: Timestamp) {
        self.is_saving = false;
        match saved {
            Ok(Saved::Done) => self.goes_unsaved = false,
            Ok(Saved::Outdated(stored)) => {
                let had_session = self.flow.can_refresh() || self.flow.access_token(now).is_some();
                if self.flow.state() == State::AwaitingCode && !had_session {
                    // Somebody has logged in beside us: no browser is needed any more.
                    self.forget_login(now);
                }
                self.inbox.push_back(Input::Stored(stored));
            }
            Err(_) if self.goes_unsaved => {}
            Err(error) => {
                self.save_error = Some(error);
                // Others may refresh, as long as nothing can be saved here.
                if std::mem::take(&mut self.owes_release) {
                    (self.give)(Job::Release);
                }
            }
        }
    }

    /// Asks the API who is logged in. The token is looked up for each call, and not kept.
    pub(super) fn ask_me(&mut self, now: Timestamp) {
        let Some(token) = self.flow.access_token(now) else {
            return;
        };
        let serial = token.serial();
        self.me = match token.authorization() {
            Ok(authorization) => {
                (self.give)(Job::AskMe {
                    serial,
                    authorization,
                });
                Me::Asking
            }
            Err(error) => Me::Failed(error.to_string()),
        };
    }

    pub(super) fn finish_login(&mut self, page: Page) {
        if let Some(ticket) = self.held.take() {
            self.answer(ticket, page);
        }
        if let Some(login) = self.login.take() {
            let attempt = login.attempt;
            (self.give)(Job::StopListening { attempt });
        }
    }

    fn answer(&self, ticket: u64, page: Page) {
        (self.give)(Job::Answer { ticket, page });
    }
}

fn provider_trouble(failure: authflow::Failure, retry_at: Option<Timestamp>) -> Trouble {
    Trouble {
        cause: TroubleCause::Provider(failure),
        retry_at,
    }
}
