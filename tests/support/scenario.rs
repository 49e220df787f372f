//! Walks a flow to any state through its public door only, and remembers what came out.
//!
//! `Scenario::new().authorized().backoff()` is a flow that is waiting after a failed refresh. Walks
//! take and give the scenario, steps (`answer`, `redirect`, `tick`, …) borrow it.

use std::time::Duration;

use authflow::{
    Action, Activity, AuthFlow, CallbackUrl, Client, ClientBuilder, Event, HttpRequest,
    LoginSecrets, Misuse, Notice, Provider, RequestId, State, Timestamp,
};
use serde_json::{Value, json};

pub use super::reply::*;

/// The client of most scenarios, for one of their own to start from.
pub fn client() -> ClientBuilder {
    let provider = Provider::new("https://as.example/authorize", "https://as.example/token")
        .issuer("https://as.example")
        .api_origin("https://api.example");
    Client::builder(provider, "client-1").scopes(["read", "write"])
}

/// From one state to another.
pub type Walk = fn(Scenario) -> Scenario;

pub struct Scenario {
    pub flow: AuthFlow,
    pub now: Timestamp,
    /// What the last event led to.
    pub actions: Vec<Action>,
    /// Every request so far, of which the last may be outstanding.
    pub requests: Vec<HttpRequest>,
    /// When the last login began.
    pub began: Timestamp,
    /// When the machine said, after the last failure of a refresh, that it will try again.
    pub retry_at: Option<Timestamp>,
    pub answered: Vec<RequestId>,
    logins: u8,
}

/// Walks.
impl Scenario {
    pub fn new() -> Self {
        Self::with(|client| client)
    }

    /// With the usual client changed.
    pub fn with(change: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Self {
        Self::of(change(client()))
    }

    pub fn of(client: ClientBuilder) -> Self {
        Self::going_on_with(
            AuthFlow::new(client.build().expect("a sound client")),
            START,
        )
    }

    pub fn going_on_with(flow: AuthFlow, now: Timestamp) -> Self {
        Self {
            flow,
            now,
            actions: Vec::new(),
            requests: Vec::new(),
            began: now,
            retry_at: None,
            answered: Vec::new(),
            logins: 0,
        }
    }

    /// Where every scenario begins.
    pub fn unauthorized(self) -> Self {
        assert_eq!(self.state(), State::Unauthorized);
        self
    }

    pub fn awaiting_code(mut self) -> Self {
        self.begin();
        self
    }

    /// On from `awaiting_code`, or from before it.
    pub fn exchanging(mut self) -> Self {
        if self.state() != State::AwaitingCode {
            self.begin();
        }
        self.redirect("code=c0de");
        assert_eq!(self.flow.activity(), Activity::Exchanging);
        self
    }

    /// Logged in with `AT-1` and `RT-1`, for an hour.
    pub fn authorized(self) -> Self {
        self.logged_in_with(json!({ "refresh_token": "RT-1" }))
    }

    pub fn without_refresh_token(self) -> Self {
        self.logged_in_with(json!({}))
    }

    /// Logged in with `AT-1` and these members.
    pub fn logged_in_with(self, more: Value) -> Self {
        let mut scenario = self.exchanging();
        scenario.answer(tokens_with("AT-1", more));
        assert!(scenario.notices().contains(&&Notice::LoggedIn));
        scenario
    }

    pub fn refreshing(mut self) -> Self {
        self.fire(Event::Refresh);
        assert_eq!(self.flow.activity(), Activity::Refreshing);
        self
    }

    /// A refresh has failed and will be tried again.
    pub fn backoff(self) -> Self {
        self.refresh_answered(status(503))
    }

    /// A refresh has failed and will not be tried again unless told.
    pub fn parked(self) -> Self {
        self.refresh_answered(oauth_error("invalid_client"))
    }

    /// The refresh token has been refused.
    pub fn rejected(self) -> Self {
        self.refresh_answered(oauth_error("invalid_grant"))
    }

    pub fn refresh_answered(self, reply: Reply) -> Self {
        let mut scenario = self.refreshing();
        scenario.answer(reply);
        scenario
    }

    /// A refresh has timed out: its answer is now a late one. In backoff.
    pub fn given_up(self) -> Self {
        let mut scenario = self.refreshing();
        scenario.now = scenario.request().deadline();
        scenario.tick();
        scenario
    }

    /// Past the access token's end, with a refresh in flight that the machine sent by itself.
    pub fn expired_refreshing(mut self) -> Self {
        self.now = self.expires_at();
        self.tick();
        assert_eq!(self.state(), State::Expired);
        assert_eq!(self.flow.activity(), Activity::Refreshing);
        self
    }

    /// Past the access token's end and at rest: in backoff, if the machine could refresh by itself.
    pub fn expired(mut self) -> Self {
        self.now = self.expires_at();
        self.tick();
        if self.flow.activity() == Activity::Refreshing {
            self.answer(status(503));
        }
        assert_eq!(self.state(), State::Expired);
        self
    }

    /// Saved as JSON and read back by a new program.
    pub fn restarted(self) -> Self {
        let client = self.flow.client().clone();
        let flow = AuthFlow::restore(client, self.saved(), self.now).expect("a sound snapshot");
        Self {
            logins: self.logins,
            requests: self.requests,
            answered: self.answered,
            began: self.began,
            ..Self::going_on_with(flow, self.now)
        }
    }
}

/// Steps.
impl Scenario {
    pub fn begin(&mut self) -> &mut Self {
        let event = self.begin_login();
        self.began = self.now;
        self.fire(event)
    }

    /// The browser comes back with this and the right state.
    pub fn redirect(&mut self, query: &str) -> &mut Self {
        let event = self.callback(query);
        self.fire(event)
    }

    /// The last request is answered.
    pub fn answer(&mut self, reply: Reply) -> &mut Self {
        self.answer_to(self.request().id(), reply)
    }

    pub fn answer_to(&mut self, id: RequestId, result: Reply) -> &mut Self {
        self.fire(Event::Response { id, result })
    }

    pub fn refresh(&mut self) -> &mut Self {
        self.fire(Event::Refresh)
    }

    /// The API says 401 to the current access token.
    pub fn api_says_401(&mut self) -> &mut Self {
        let serial = self.serial();
        self.fire(Event::TokenRejected { serial })
    }

    pub fn after(&mut self, wait: Duration) -> &mut Self {
        self.now = self.now.saturating_add(wait);
        self
    }

    pub fn clock_goes_back(&mut self, by: Duration) -> &mut Self {
        self.now = self.now.saturating_sub(by);
        self
    }

    pub fn tick(&mut self) -> &mut Self {
        self.fire(Event::Tick)
    }

    /// Sleeps until the deadline, as a driver does.
    pub fn tick_at_deadline(&mut self) -> &mut Self {
        self.now = self.flow.deadline().expect("a deadline");
        self.tick()
    }

    /// Handles an event that is in order, and drains.
    pub fn fire(&mut self, event: Event) -> &mut Self {
        let name = format!("{event:?}");
        self.try_fire(event)
            .unwrap_or_else(|misuse| panic!("{misuse:?}: {name} in {:?}", self.flow));
        self
    }

    pub fn try_fire(&mut self, event: Event) -> Result<(), Misuse> {
        if let Event::Response { id, .. } = &event {
            self.answered.push(*id);
        }
        self.flow.handle(event, self.now)?;
        self.drain();
        Ok(())
    }

    pub fn drain(&mut self) -> &mut Self {
        self.actions = std::iter::from_fn(|| self.flow.poll_action()).collect();
        for action in &self.actions {
            match action {
                Action::Send(request) => self.requests.push(request.clone()),
                Action::Notify(Notice::RefreshFailed { retry_at, .. }) => self.retry_at = *retry_at,
                _ => {}
            }
        }
        self
    }

    /// The event is refused, and nothing has changed.
    pub fn refuses(&mut self, event: Event, misuse: Misuse) -> &mut Self {
        let before = self.view();
        assert_eq!(self.flow.handle(event, self.now), Err(misuse));
        assert_eq!(self.view(), before);
        assert_eq!(self.flow.poll_action(), None);
        self
    }

    /// The event changes nothing, whatever is said about it.
    pub fn stays_put(&mut self, event: Event) -> &mut Self {
        let before = self.view();
        self.fire(event);
        assert_eq!(self.view(), before);
        self
    }
}

/// Events to be fired, or refused.
impl Scenario {
    pub fn begin_login(&mut self) -> Event {
        self.logins += 1;
        let redirect_uri = self.flow.client().redirect_uri(REDIRECT_URI);
        Event::BeginLogin {
            secrets: LoginSecrets::from_entropy([self.logins; 64]),
            redirect_uri: redirect_uri.expect("a sound redirect URI"),
        }
    }

    pub fn callback(&self, query: &str) -> Event {
        let state = self.state_parameter();
        Event::Callback {
            url: CallbackUrl::from_query(&format!("{query}&state={state}")),
        }
    }

    /// The `state` of the login under way, or of nobody's.
    pub fn state_parameter(&self) -> String {
        let url = self.flow.authorization_url();
        let url = url.as_ref().map_or("", |url| url.as_str());
        let state = url.split(['?', '&']).find_map(|p| p.strip_prefix("state="));
        state.unwrap_or("nobody").to_owned()
    }
}
