//! What the program knows and does, without a window: the machine, what waits for it, and the jobs it
//! gives. `screen` says what there is to see of it.
//!
//! One call a frame, [`Model::pump`]: reports come in as events, each is handled, its actions are carried
//! out, and the deadline says when to look again. `Persist` stops all that until the keeper has saved.

mod actions;
mod login;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use authflow::session::StoreError;
use authflow::{
    AuthFlow, CallbackUrl, Client, Event, Failure, Misuse, RedirectUri, RequestId,
    RevocationRequest, Timestamp, TransportError, TransportErrorKind,
};

use crate::jobs::{ApiError, Job, Person, Report, Stored};

/// A window's timer stands still while the computer is suspended, and the wall clock does not.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// A request that was taken back before it was sent.
const NOT_SENT: TransportError = TransportError {
    kind: TransportErrorKind::Cancelled,
    may_have_been_sent: false,
};

pub struct Model {
    pub(crate) flow: AuthFlow,
    pub(crate) client: Arc<Client>,
    give: Box<dyn Fn(Job)>,
    reports: Receiver<Report>,
    inbox: VecDeque<Input>,
    pub(crate) is_loading: bool,
    /// A save is under way: nothing goes on before it is done.
    pub(crate) is_saving: bool,
    /// It has failed: nothing goes on before the person has said how.
    pub(crate) save_error: Option<StoreError>,
    /// The person said to go on without saving.
    pub(crate) goes_unsaved: bool,
    pub(crate) login: Option<Login>,
    attempts: u64,
    /// The browser that the machine is being asked about.
    asked: Option<u64>,
    /// The browser that came back from the login. Its page waits for the exchange to end.
    held: Option<u64>,
    /// The store's lock is to be given back once the refresh at hand is saved.
    owes_release: bool,
    revocations: Vec<RevocationRequest>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) trouble: Option<Trouble>,
    pub(crate) me: Me,
    was_rejected: bool,
    last_tick: Timestamp,
}

/// A login under way.
pub(crate) struct Login {
    attempt: u64,
    /// Where the last run was listening, if this goes on with its login.
    resumes: Option<String>,
    pub(crate) is_listening: bool,
    /// The machine has heard of it.
    pub(crate) is_begun: bool,
    pub(crate) browser: Browser,
    /// What came to the redirect URI and was not the answer.
    pub(crate) stray: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Browser {
    Opening,
    Opened,
    Missing,
}

/// Why nobody is logged in, or what has just ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    LoginFailed(Failure),
    /// The login could not begin, in words.
    NotBegun(String),
    LoggedOut,
    LoggedOutElsewhere,
    /// What is stored can't be used, in words.
    Unreadable(String),
    /// Logged out here, but the provider did not hear of it.
    NotRevoked(String),
}

/// Why there are no new tokens.
pub(crate) struct Trouble {
    pub(crate) cause: TroubleCause,
    pub(crate) retry_at: Option<Timestamp>,
}

pub(crate) enum TroubleCause {
    Provider(Failure),
    Store(StoreError),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Me {
    Unknown,
    Asking,
    Known(Person),
    Failed(String),
}

/// What has happened and is not handled yet.
enum Input {
    Event(Event),
    Begin {
        attempt: u64,
        redirect_uri: RedirectUri,
    },
    Callback {
        ticket: u64,
        url: CallbackUrl,
    },
    Refreshed(Event),
    Outdated {
        id: RequestId,
        stored: Stored,
    },
    NotSent {
        id: RequestId,
        error: StoreError,
    },
    /// What another copy of this program has saved.
    Stored(Stored),
    LogOut,
}

/// What a person can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Press {
    LogIn,
    OpenAgain,
    Cancel,
    Refresh,
    AskAgain,
    LogOut,
    SaveAgain,
    GoOnUnsaved,
}

impl Model {
    pub fn new(client: Arc<Client>, give: Box<dyn Fn(Job)>, reports: Receiver<Report>) -> Self {
        give(Job::Load);
        Self {
            flow: AuthFlow::new(Arc::clone(&client)),
            client,
            give,
            reports,
            inbox: VecDeque::new(),
            is_loading: true,
            is_saving: false,
            save_error: None,
            goes_unsaved: false,
            login: None,
            attempts: 0,
            asked: None,
            held: None,
            owes_release: false,
            revocations: Vec::new(),
            outcome: None,
            trouble: None,
            me: Me::Unknown,
            was_rejected: false,
            last_tick: Timestamp::from_millis(0),
        }
    }

    /// One turn of the loop. Never waits.
    pub fn pump(&mut self, now: Timestamp) {
        while let Ok(report) = self.reports.try_recv() {
            self.hear(report, now);
        }
        if self.is_loading {
            return;
        }
        let is_due = self.flow.deadline().is_some_and(|due| due <= now);
        // Also now and then without a deadline, because the clock may have been set back.
        if is_due || now.saturating_since(self.last_tick) >= LONGEST_SLEEP || now < self.last_tick {
            self.last_tick = now;
            if !self.is_held_up() {
                self.inbox.push_back(Input::Event(Event::Tick));
            }
        }
        self.drain(now);
    }

    /// When to call [`pump`](Self::pump) again, unless a report comes first.
    pub fn wake_in(&self, now: Timestamp) -> Duration {
        let due = self.flow.deadline().filter(|_| !self.is_held_up());
        due.map_or(LONGEST_SLEEP, |due| {
            due.saturating_since(now).min(LONGEST_SLEEP)
        })
    }

    /// Whether tokens are on their way to the store: not a good moment to end the program.
    pub fn is_saving(&self) -> bool {
        self.is_saving
    }

    /// Which token there is, by a number that says nothing about it.
    pub fn token_serial(&self, now: Timestamp) -> Option<u64> {
        let token = self.flow.access_token(now)?;
        Some(token.serial().as_u64())
    }

    fn is_held_up(&self) -> bool {
        self.is_saving || self.save_error.is_some()
    }

    pub fn press(&mut self, press: Press, now: Timestamp) {
        match press {
            Press::LogIn => self.begin_login(),
            Press::OpenAgain => {
                if let Some(url) = self.flow.authorization_url() {
                    self.set_browser(Browser::Opening);
                    (self.give)(Job::Open(url));
                }
            }
            Press::Cancel => self.cancel_login(now),
            Press::Refresh => self.inbox.push_back(Input::Event(Event::Refresh)),
            Press::AskAgain => {
                self.was_rejected = false;
                self.ask_me(now);
            }
            Press::LogOut => self.inbox.push_back(Input::LogOut),
            Press::SaveAgain => {
                if self.save_error.take().is_some() {
                    self.save();
                }
            }
            Press::GoOnUnsaved => {
                if self.save_error.take().is_some() {
                    self.goes_unsaved = true;
                }
            }
        }
        self.drain(now);
    }

    fn hear(&mut self, report: Report, now: Timestamp) {
        match report {
            Report::Loaded(loaded) => self.start(loaded, now),
            Report::Saved(saved) => self.saved(saved, now),
            Report::Token { id, result } => {
                let response = Event::Response { id, result };
                self.inbox.push_back(Input::Event(response));
            }
            Report::Refreshed { id, result } => {
                let response = Event::Response { id, result };
                self.inbox.push_back(Input::Refreshed(response));
            }
            Report::Outdated { id, stored } => {
                self.inbox.push_back(Input::Outdated { id, stored });
            }
            Report::NotSent { id, error } => self.inbox.push_back(Input::NotSent { id, error }),
            Report::Listening {
                attempt,
                redirect_uri,
            } if self.is_current(attempt) => self.listening(attempt, redirect_uri),
            Report::Callback { ticket, url } => {
                self.inbox.push_back(Input::Callback { ticket, url });
            }
            Report::Listening { .. } => {}
            Report::Opened(opened) => self.set_browser(match opened {
                true => Browser::Opened,
                false => Browser::Missing,
            }),
            Report::Me { serial, result } => {
                self.me = match result {
                    Ok(person) => {
                        self.was_rejected = false;
                        Me::Known(person)
                    }
                    // Once: if a fresh token is refused too, another won't help.
                    Err(ApiError::Rejected) if !self.was_rejected => {
                        self.was_rejected = true;
                        let rejected = Event::TokenRejected { serial };
                        self.inbox.push_back(Input::Event(rejected));
                        Me::Unknown
                    }
                    Err(ApiError::Rejected) => {
                        Me::Failed("The API refuses a fresh token too.".to_owned())
                    }
                    Err(ApiError::Other(why)) => Me::Failed(why),
                };
            }
            Report::Revoked(fault) => {
                if let (Some(fault), Some(Outcome::LoggedOut)) = (fault, &self.outcome) {
                    self.outcome = Some(Outcome::NotRevoked(fault));
                }
            }
        }
    }
}

/// What the world has overtaken, such as a Cancel beside the redirect, is no bug.
fn overtaken(misuse: &Misuse) -> bool {
    matches!(
        misuse,
        Misuse::NoLogin | Misuse::LoginInProgress | Misuse::NoSession | Misuse::NoRefreshToken
    )
}

#[cfg(test)]
#[path = "model/login_tests.rs"]
mod tests;
