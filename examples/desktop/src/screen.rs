//! What there is to see, without a toolkit: words, and what can be pressed. `paint` draws it.

mod banners;

use std::time::Duration;

use authflow::{Activity, State, Timestamp};

use crate::jobs::Person;
use crate::model::{Browser, Me, Model, Outcome, Press};
use crate::words;
use banners::{banner_of, state_of, store_advice, trouble_banner};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Calm,
    Busy,
    Good,
    Warning,
    Bad,
}

/// One screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Screen {
    /// In the window's title, and for tests.
    pub state: &'static str,
    pub tone: Tone,
    pub heading: String,
    pub text: String,
    /// Something is going on that ends by itself, soon.
    pub is_busy: bool,
    pub banner: Option<Banner>,
    /// The address to copy.
    pub link: Option<String>,
    pub person: Option<Result<Person, String>>,
    pub facts: Vec<(&'static str, String)>,
    pub scopes: Vec<Scope>,
    /// The first is the one that is meant.
    pub buttons: Vec<(Press, &'static str)>,
    /// It stays where it is, so that no other comes under a finger that is already on its way.
    pub disabled: Option<Press>,
    /// Something on it counts seconds.
    pub counts_down: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banner {
    pub tone: Tone,
    pub title: String,
    pub text: String,
    /// What the program knows, for whoever is asked for help.
    pub detail: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    pub name: String,
    pub granted: bool,
}

impl Screen {
    fn new(state: &'static str, tone: Tone, heading: &str, text: impl Into<String>) -> Self {
        Self {
            state,
            tone,
            heading: heading.to_owned(),
            text: text.into(),
            is_busy: false,
            banner: None,
            link: None,
            person: None,
            facts: Vec::new(),
            scopes: Vec::new(),
            buttons: Vec::new(),
            disabled: None,
            counts_down: false,
        }
    }

    fn busy(state: &'static str, heading: &str, text: impl Into<String>) -> Self {
        let mut screen = Self::new(state, Tone::Busy, heading, text);
        screen.is_busy = true;
        screen
    }
}

impl Model {
    /// What to show now.
    pub fn screen(&self, now: Timestamp) -> Screen {
        if self.is_loading {
            return Screen::busy("Starting", "One moment", "Looking for your last log-in…");
        }
        if let Some(error) = &self.save_error {
            return self.cannot_save(error);
        }
        match self.flow.state() {
            State::AwaitingCode if self.flow.activity() == Activity::Exchanging => {
                let text = "Your browser came back. The last step is a question to the provider.";
                let mut screen = Screen::busy("Exchanging", "Almost there", text);
                screen.buttons = vec![(Press::Cancel, "Cancel")];
                screen
            }
            State::AwaitingCode => self.waiting(now),
            _ if self.login.as_ref().is_some_and(|login| login.is_begun) => {
                let text = "Your log-in is being saved, before anything is done with it.";
                Screen::busy("Saving", "Almost there", text)
            }
            _ if self.login.is_some() => self.preparing(),
            State::Unauthorized => self.logged_out(),
            State::Authorized | State::Expired => self.logged_in(now),
        }
    }

    fn preparing(&self) -> Screen {
        let text = match self.is_saving {
            true => "Waiting for the place where your log-in is kept.",
            false => "Getting ready for your browser to come back.",
        };
        let mut screen = Screen::busy("Preparing", "One moment", text);
        screen.buttons = vec![(Press::Cancel, "Cancel")];
        screen
    }

    fn waiting(&self, now: Timestamp) -> Screen {
        let Some(login) = self.login.as_ref().filter(|login| login.is_listening) else {
            return self.preparing();
        };
        if self.is_saving {
            return self.preparing();
        }
        let text = match login.browser {
            Browser::Opening => "Your browser is opening.",
            Browser::Opened => {
                "Your browser has a page for you: sign in there and choose Allow. Then it sends you \
                 back here."
            }
            Browser::Missing => {
                "No browser could be opened from here. Copy the link, and open it in any browser on \
                 this computer."
            }
        };
        let tone = match login.browser {
            Browser::Missing => Tone::Warning,
            _ => Tone::Busy,
        };
        let mut screen = Screen::new(
            "Waiting for the browser",
            tone,
            "Over to your browser",
            text,
        );
        let url = self.flow.authorization_url();
        screen.link = url.map(|url| url.as_str().to_owned());
        screen.buttons = vec![
            (Press::OpenAgain, "Open the browser again"),
            (Press::Cancel, "Cancel"),
        ];
        if let Some(due) = self.flow.deadline() {
            let left = due.saturating_since(now);
            screen.counts_down = true;
            screen.facts.push(("Time left", words::clock(left)));
        }
        screen.banner = login.stray.as_ref().map(|why| Banner {
            tone: Tone::Calm,
            title: "Something else knocked, and was turned away".to_owned(),
            text: "This log-in goes on. If your browser shows an error, cancel and try again."
                .to_owned(),
            detail: Some(why.clone()),
        });
        screen
    }

    fn logged_out(&self) -> Screen {
        let what_happens = "Log in, and your browser opens with a page of the provider. You agree there, \
                            not here: this program never sees your password.";
        let mut screen = Screen::new(
            "Logged out",
            Tone::Calm,
            "You are not logged in",
            what_happens,
        );
        screen.buttons = vec![(Press::LogIn, "Log in")];
        if self.is_saving {
            screen.text = "Writing that down, where your log-in is kept…".to_owned();
            screen.is_busy = true;
            screen.buttons.clear();
        }
        match &self.outcome {
            None => {}
            Some(Outcome::LoggedOut) => screen.heading = "You are logged out".to_owned(),
            Some(Outcome::LoggedOutElsewhere) => {
                screen.heading = "You are logged out".to_owned();
                screen.banner = Some(Banner {
                    tone: Tone::Calm,
                    title: "Logged out in another window".to_owned(),
                    text: "Another copy of this program has logged you out.".to_owned(),
                    detail: None,
                });
            }
            Some(outcome) => {
                screen.state = state_of(outcome);
                screen.buttons = vec![(Press::LogIn, "Log in again")];
                let banner = banner_of(outcome);
                screen.tone = banner.tone;
                screen.banner = Some(banner);
            }
        }
        screen
    }

    fn logged_in(&self, now: Timestamp) -> Screen {
        let is_refreshing = self.flow.activity() == Activity::Refreshing;
        let is_ended = self.flow.state() == State::Expired;
        let text = "The token below is renewed in time, without you.";
        let mut screen = Screen::new("Authorized", Tone::Good, "You are logged in", text);
        if is_ended {
            screen = match (self.flow.can_refresh(), is_refreshing) {
                (true, true) => Screen::new(
                    "Refreshing",
                    Tone::Busy,
                    "Getting a new token",
                    "The last one has ended. You are still logged in.",
                ),
                (true, false) => Screen::new(
                    "Expired",
                    Tone::Warning,
                    "Waiting for a new token",
                    "The last one has ended. You are still logged in, but the API can't be used \
                     before there is a new one.",
                ),
                (false, _) => Screen::new(
                    "Sign in again",
                    Tone::Warning,
                    "Please log in again",
                    "Providers ask for that now and then. Your browser opens, and you agree once more.",
                ),
            };
        } else if is_refreshing {
            screen.state = "Refreshing";
        }
        screen.is_busy = is_refreshing || self.is_saving;
        if let Some(trouble) = &self.trouble {
            let again = trouble.retry_at.map(|at| at.saturating_since(now));
            screen.counts_down = again.is_some();
            screen.banner = Some(trouble_banner(&trouble.cause, again));
            if self.flow.can_refresh() && !is_refreshing {
                screen.state = "Refresh failing";
                if !is_ended {
                    screen.text = "All works as before, until this token ends.".to_owned();
                }
                screen.tone = Tone::Warning;
            }
        }
        if let Some(outcome) = &self.outcome {
            // A new login has failed, and the old one is still there.
            screen.banner = Some(banner_of(outcome));
        }
        if self.goes_unsaved {
            screen.banner = Some(Banner {
                tone: Tone::Warning,
                title: "Not saved".to_owned(),
                text: "You are logged in until this window is closed.".to_owned(),
                detail: None,
            });
        }
        self.add_person(&mut screen);
        self.add_token(&mut screen, now);
        self.add_buttons(&mut screen);
        screen
    }

    fn add_person(&self, screen: &mut Screen) {
        screen.person = match &self.me {
            Me::Known(person) => Some(Ok(person.clone())),
            Me::Failed(why) => Some(Err(why.clone())),
            Me::Unknown | Me::Asking => None,
        };
    }

    fn add_token(&self, screen: &mut Screen, now: Timestamp) {
        if let Some(token) = self.flow.access_token(now) {
            let ends = match token.expires_at() {
                Some(end) => {
                    let left = end.saturating_since(now);
                    screen.counts_down |= left < Duration::from_secs(120);
                    words::from_now(left)
                }
                None => "the provider does not say".to_owned(),
            };
            screen.facts.push(("This token ends", ends));
            let granted = token.scopes().iter().map(|name| (name, true));
            let missing = token.missing_scopes().map(|name| (name, false));
            screen.scopes = granted
                .chain(missing)
                .map(|(name, granted)| Scope {
                    name: name.to_owned(),
                    granted,
                })
                .collect();
        } else {
            screen.facts.push(("This token", "has ended".to_owned()));
        }
        let renewal = match (self.flow.can_refresh(), self.flow.sign_in_due()) {
            (true, Some(due)) => words::from_now(due.saturating_since(now)),
            (true, None) => "when the provider asks for it".to_owned(),
            (false, _) if self.flow.state() == State::Expired => "now".to_owned(),
            (false, _) => "when this token ends".to_owned(),
        };
        screen.facts.push(("Next sign-in", renewal));
    }

    fn add_buttons(&self, screen: &mut Screen) {
        let is_refreshing = self.flow.activity() == Activity::Refreshing;
        if !self.flow.can_refresh() {
            screen.buttons.push((Press::LogIn, "Log in again"));
        } else {
            screen.buttons.push((Press::Refresh, "Refresh now"));
            screen.disabled = (is_refreshing || self.is_saving).then_some(Press::Refresh);
        }
        if matches!(self.me, Me::Failed(_)) && screen.tone == Tone::Good {
            screen.buttons.push((Press::AskAgain, "Ask again who I am"));
        }
        screen.buttons.push((Press::LogOut, "Log out"));
    }

    fn cannot_save(&self, error: &authflow::session::StoreError) -> Screen {
        let (heading, text) = match self.flow.state() {
            State::AwaitingCode => (
                "Your log-in could not be saved",
                "So the browser was not opened yet. Mend what is below and try again, or go on and log \
                 in anew next time.",
            ),
            State::Unauthorized => (
                "The saved log-in could not be removed",
                "You are logged out here, but the next start would find it again.",
            ),
            State::Authorized | State::Expired => (
                "Your log-in could not be saved",
                "The new token is not used before it is safe. Mend what is below and try again, or go \
                 on: then you are logged in until this window is closed.",
            ),
        };
        let mut screen = Screen::new("Cannot save", Tone::Bad, heading, text);
        screen.banner = Some(Banner {
            tone: Tone::Bad,
            title: store_advice(error).to_owned(),
            text: error.to_string(),
            detail: None,
        });
        screen.buttons = vec![
            (Press::SaveAgain, "Try again"),
            (Press::GoOnUnsaved, "Go on without saving"),
        ];
        if self.flow.state() == State::AwaitingCode {
            screen.buttons.push((Press::Cancel, "Cancel"));
        }
        screen
    }
}
