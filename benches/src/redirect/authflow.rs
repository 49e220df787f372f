//! authflow's login in one call, and its listener and machine driven by hand.

use std::sync::Arc;
use std::time::Duration;

use authflow::http::Http;
use authflow::loopback::PendingCallback;
use authflow::loopback::{Loopback, Page, Received};
use authflow::{Action, AuthFlow, Client, Event, LoginSecrets, Session, Timestamp, Verdict};

use super::floors::text;
use super::{Login, show};
use crate::exchange::authflow::client;

/// `Login::run`. Its page tells how the exchange ended, so it comes after it.
pub struct Run(String);

impl Login for Run {
    type Held = Session;

    fn new(token_url: &str) -> Self {
        Self(token_url.to_owned())
    }

    fn login(&self) -> Result<Session, String> {
        let login = authflow::Login::new(client(&self.0));
        let login = login.without_browser().on_prompt(|url| show(url.as_str()));
        login.run().map_err(text)
    }
}

/// The listener and the machine, with the page as soon as the machine knows the callback.
pub struct ByHand(Arc<Client>);

impl Login for ByHand {
    type Held = (Loopback, AuthFlow);

    fn new(token_url: &str) -> Self {
        Self(Arc::new(client(token_url).build().expect("a sound client")))
    }

    fn login(&self) -> Result<Self::Held, String> {
        let http = Http::new();
        let mut listener = Loopback::builder().bind().map_err(text)?;
        let mut flow = AuthFlow::new(self.0.clone());
        let mut waiting = None;
        let mut event = Event::BeginLogin {
            secrets: LoginSecrets::generate().map_err(text)?,
            redirect_uri: self
                .0
                .redirect_uri(&listener.redirect_uri())
                .map_err(text)?,
        };
        loop {
            flow.handle(event, Timestamp::now()).map_err(text)?;
            let mut next = None;
            while let Some(action) = flow.poll_action() {
                match action {
                    Action::OpenUrl(url) => show(url.as_str()),
                    Action::AnswerCallback(verdict) => answer(waiting.take(), verdict),
                    Action::Send(request) => {
                        let (id, result) = (request.id(), http.execute(&request));
                        next = Some(Event::Response { id, result });
                    }
                    _ => {}
                }
            }
            if flow.access_token(Timestamp::now()).is_some() {
                return Ok((listener, flow));
            }
            event = match next {
                Some(event) => event,
                None => match listener.receive(Duration::from_secs(60)).map_err(text)? {
                    Received::Callback(callback) if callback.is_of_another_user() => {
                        callback.answer(Page::NotOurs);
                        Event::Tick
                    }
                    Received::Callback(callback) => {
                        let url = callback.url();
                        waiting = Some(callback);
                        Event::Callback { url }
                    }
                    _ => Event::Tick,
                },
            };
        }
    }
}

fn answer(waiting: Option<PendingCallback>, verdict: Verdict) {
    let page = match verdict {
        Verdict::Accepted => Page::Success,
        Verdict::Denied => Page::Denied,
        _ => Page::NotOurs,
    };
    if let Some(callback) = waiting {
        callback.answer(page);
    }
}
