//! What can be seen of a scenario: the flow by its getters, and what its last event led to.

use std::time::Duration;

use authflow::{
    AccessTokenRef, Action, Activity, Failure, HttpRequest, IgnoredCallback, Notice, Snapshot,
    State, Timestamp, TokenSerial, Verdict,
};
use serde_json::Value;

use super::scenario::Scenario;

/// Everything that can be seen of a flow, to show that nothing has changed.
#[derive(Debug, PartialEq)]
pub struct View {
    pub state: State,
    pub activity: Activity,
    pub deadline: Option<Timestamp>,
    pub can_refresh: bool,
    pub usable: Option<TokenSerial>,
    pub sign_in_due: Option<Timestamp>,
    pub authorization_url: Option<String>,
    pub saved: String,
}

/// What can be seen.
impl Scenario {
    pub fn state(&self) -> State {
        self.flow.state()
    }

    pub fn token(&self) -> AccessTokenRef<'_> {
        self.flow.access_token(self.now).expect("a usable token")
    }

    pub fn access_token(&self) -> Option<&str> {
        let token = self.flow.access_token(self.now)?;
        Some(token.secret().expose())
    }

    /// The request sent last.
    pub fn request(&self) -> &HttpRequest {
        self.requests.last().expect("a request")
    }

    /// A request of this grant that a driver is still busy with.
    pub fn in_flight(&self, grant_type: &str) -> Option<&HttpRequest> {
        let grant = format!("grant_type={grant_type}&");
        let open = |request: &&HttpRequest| {
            request.body().starts_with(&grant)
                && request.deadline() > self.now
                && !self.answered.contains(&request.id())
        };
        self.requests.iter().rev().find(open)
    }

    pub fn saved(&self) -> Snapshot {
        Snapshot::from_json(self.flow.snapshot().to_json().expose().as_bytes()).expect("JSON")
    }

    /// A member of the saved session: reaches what an expired token hides.
    pub fn in_session(&self, name: &str) -> Value {
        let saved = self.flow.snapshot().to_json();
        let saved: Value = serde_json::from_str(saved.expose()).expect("JSON");
        saved["session"][name].clone()
    }

    pub fn refresh_token(&self) -> Option<String> {
        self.in_session("refresh_token").as_str().map(str::to_owned)
    }

    /// Of the current tokens, usable or not.
    pub fn serial(&self) -> TokenSerial {
        TokenSerial::from_u64(self.in_session("serial").as_u64().unwrap_or(0))
    }

    pub fn expires_at(&self) -> Timestamp {
        let at = self.in_session("expires_at").as_u64();
        Timestamp::from_millis(at.expect("tokens with an end"))
    }

    /// How long the driver may sleep.
    pub fn wait(&self) -> Option<Duration> {
        let deadline = self.flow.deadline()?;
        Some(deadline.saturating_since(self.now))
    }

    pub fn view(&self) -> View {
        let token = self.flow.access_token(self.now);
        let url = self.flow.authorization_url();
        View {
            state: self.flow.state(),
            activity: self.flow.activity(),
            deadline: self.flow.deadline(),
            can_refresh: self.flow.can_refresh(),
            usable: token.map(|token| token.serial()),
            sign_in_due: self.flow.sign_in_due(),
            authorization_url: url.map(|url| url.as_str().to_owned()),
            saved: self.flow.snapshot().to_json().expose().to_owned(),
        }
    }

    /// The names of the last event's actions, in order: `Persist, LoggedIn`.
    pub fn said(&self) -> String {
        let names: Vec<_> = self.actions.iter().map(name_of).collect();
        names.join(", ")
    }

    pub fn notices(&self) -> Vec<&Notice> {
        let notices = self.actions.iter().filter_map(|action| match action {
            Action::Notify(notice) => Some(notice),
            _ => None,
        });
        notices.collect()
    }

    /// The failure that the last event led to.
    pub fn failure(&self) -> &Failure {
        let failure = self.notices().into_iter().find_map(|notice| match notice {
            Notice::LoginFailed(failure) | Notice::RefreshFailed { failure, .. } => Some(failure),
            _ => None,
        });
        failure.unwrap_or_else(|| panic!("no failure in [{}]", self.said()))
    }

    /// Why the last callback was ignored.
    pub fn ignored(&self) -> &IgnoredCallback {
        let ignored = self.notices().into_iter().find_map(|notice| match notice {
            Notice::CallbackIgnored(ignored) => Some(ignored),
            _ => None,
        });
        ignored.unwrap_or_else(|| panic!("nothing ignored in [{}]", self.said()))
    }
}

/// An action's name, without what it carries.
pub fn name_of(action: &Action) -> String {
    match action {
        Action::AnswerCallback(Verdict::Accepted) => "Accepted".to_owned(),
        Action::AnswerCallback(Verdict::Denied) => "Denied".to_owned(),
        Action::AnswerCallback(Verdict::NotOurs) => "NotOurs".to_owned(),
        Action::Persist => "Persist".to_owned(),
        Action::OpenUrl(_) => "OpenUrl".to_owned(),
        Action::Send(_) => "Send".to_owned(),
        Action::Notify(notice) => notice.name().split('_').map(capitalized).collect(),
    }
}

fn capitalized(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_ascii_uppercase() + rest
}
