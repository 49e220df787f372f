//! How a login begins, and how one of the last run's goes on.

use std::sync::Arc;

use authflow::loopback::Page;
use authflow::session::{StoreError, StoreErrorKind};
use authflow::{AuthFlow, AuthorizationUrl, Event, LoginSecrets, RedirectUri, State, Timestamp};

use super::{Browser, Input, Login, Model, Outcome};
use crate::jobs::{Job, Stored};

impl Model {
    /// The listener comes first: its port is part of the redirect URI.
    pub(super) fn begin_login(&mut self) {
        if self.login.is_some() {
            return;
        }
        if let Some(Outcome::Unreadable(_)) = self.outcome {
            (self.give)(Job::ReplaceStored);
        }
        self.outcome = None;
        self.listen(None);
    }

    pub(super) fn listen(&mut self, redirect_uri: Option<String>) {
        self.attempts += 1;
        let attempt = self.attempts;
        self.login = Some(Login {
            attempt,
            is_begun: redirect_uri.is_some(),
            resumes: redirect_uri.clone(),
            is_listening: false,
            browser: Browser::Opening,
            stray: None,
        });
        (self.give)(Job::Listen {
            attempt,
            redirect_uri,
        });
    }

    pub(super) fn cancel_login(&mut self, now: Timestamp) {
        if self.flow.state() != State::AwaitingCode {
            // The machine has not heard of it yet.
            return self.finish_login(Page::Failed);
        }
        if self.save_error.take().is_some() {
            // It was never saved, so there is nothing to save either.
            self.forget_login(now);
        } else if self.is_saving {
            // At once, however long the store takes. What is to be done about it waits.
            let _ = self.flow.handle(Event::CancelLogin, now);
            self.finish_login(Page::Failed);
        } else {
            self.inbox.push_back(Input::Event(Event::CancelLogin));
        }
    }

    /// Gives a login up of which the store knows nothing.
    pub(super) fn forget_login(&mut self, now: Timestamp) {
        let _ = self.flow.handle(Event::CancelLogin, now);
        while self.flow.poll_action().is_some() {}
        self.finish_login(Page::Failed);
    }

    /// Goes on where the last run has stopped.
    pub(super) fn start(&mut self, loaded: Result<Stored, StoreError>, now: Timestamp) {
        self.is_loading = false;
        let restored = match loaded {
            Ok(None) => return,
            Ok(Some(saved)) => AuthFlow::restore(Arc::clone(&self.client), *saved, now)
                .map_err(|error| error.to_string()),
            Err(error) => Err(match error.kind() {
                StoreErrorKind::Unreadable(_) => error.to_string(),
                _ => format!("The saved login can't be read: {error}"),
            }),
        };
        match restored {
            Ok(flow) => self.flow = flow,
            Err(why) => {
                self.outcome = Some(Outcome::Unreadable(why));
                return;
            }
        }
        let is_over = self.flow.deadline().is_some_and(|due| due <= now);
        match self.flow.authorization_url() {
            // The last run was closed while its browser was open: it may still come back.
            Some(url) if !is_over => {
                let redirect_uri = redirect_uri_of(url);
                self.listen(redirect_uri);
            }
            Some(_) => self.inbox.push_back(Input::Event(Event::CancelLogin)),
            None => {}
        }
        self.inbox.push_back(Input::Event(Event::Tick));
        self.last_tick = now;
        self.ask_me(now);
    }

    pub(super) fn listening(&mut self, attempt: u64, redirect_uri: Result<String, String>) {
        let Some(login) = &mut self.login else { return };
        if let Some(last) = &login.resumes {
            // Another program, or another copy of this one, has the port: then that login is not ours.
            if redirect_uri.as_ref() != Ok(last) {
                self.inbox.push_back(Input::Event(Event::CancelLogin));
                return;
            }
            login.is_listening = true;
            login.browser = Browser::Opened;
            return;
        }
        login.is_listening = true;
        let redirect_uri = redirect_uri.and_then(|uri| {
            let checked = self.client.redirect_uri(&uri);
            checked.map_err(|error| error.to_string())
        });
        match redirect_uri {
            Ok(redirect_uri) => self.inbox.push_back(Input::Begin {
                attempt,
                redirect_uri,
            }),
            Err(why) => {
                self.outcome = Some(Outcome::NotBegun(why));
                self.finish_login(Page::Failed);
            }
        }
    }

    pub(super) fn is_current(&self, attempt: u64) -> bool {
        self.login
            .as_ref()
            .is_some_and(|login| login.attempt == attempt)
    }

    pub(super) fn set_browser(&mut self, browser: Browser) {
        if let Some(login) = &mut self.login {
            login.browser = browser;
        }
    }
}

/// Fresh for each login.
pub(super) fn begin(redirect_uri: RedirectUri) -> Result<Event, String> {
    let secrets = LoginSecrets::generate().map_err(|error| error.to_string())?;
    Ok(Event::BeginLogin {
        secrets,
        redirect_uri,
    })
}

fn redirect_uri_of(url: &AuthorizationUrl) -> Option<String> {
    let url = url::Url::parse(url.as_str()).ok()?;
    let mut pairs = url.query_pairs();
    let (_, value) = pairs.find(|(name, _)| name == "redirect_uri")?;
    Some(value.into_owned())
}
