//! authflow's machine, one for each person.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ::authflow::{
    Action, AuthFlow, CallbackUrl, Client, Event, HttpResponse, LoginSecrets, RedirectUri,
    RequestId, Timestamp, TokenSet, spotify,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Logins, Sessions};
use crate::fixture;

pub const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

pub struct Authflow {
    pub client: Arc<Client>,
    redirect_uri: RedirectUri,
}

impl Logins for Authflow {
    const NAME: &'static str = "authflow";
    type Key = String;
    type Login = AuthFlow;

    fn new(scopes: &[String]) -> Self {
        let client = spotify::client(fixture::CLIENT_ID).scopes(scopes);
        let client = client.build().expect("a sound client");
        let redirect_uri = client
            .redirect_uri(fixture::REDIRECT_URI)
            .expect("a sound redirect URI");
        Self {
            client: Arc::new(client),
            redirect_uri,
        }
    }

    fn begin(&self, entropy: [u8; 64]) -> (String, AuthFlow) {
        let mut flow = AuthFlow::new(self.client.clone());
        let begin = Event::BeginLogin {
            secrets: LoginSecrets::from_entropy(entropy),
            redirect_uri: self.redirect_uri.clone(),
        };
        flow.handle(begin, START).expect("row 1");
        let mut state = None;
        while let Some(action) = flow.poll_action() {
            if let Action::OpenUrl(url) = action {
                state = url.state();
            }
        }
        let state = state.expect("a URL with a state");
        (state.expose().to_owned(), flow)
    }
}

impl Sessions for Authflow {
    type Session = AuthFlow;

    fn state(entropy: [u8; 64]) -> String {
        URL_SAFE_NO_PAD.encode(&entropy[..32])
    }

    fn finish(
        &self,
        waiting: &mut HashMap<String, AuthFlow>,
        target: String,
        answer: Vec<u8>,
    ) -> AuthFlow {
        let url = CallbackUrl::new(target);
        let state = url.state().expect("a state");
        let mut flow = waiting.remove(state.expose()).expect("a login");
        flow.handle(Event::Callback { url }, START).expect("row 2");
        let id = sent(&mut flow).expect("a request");
        respond(&mut flow, id, answer, START);
        assert!(flow.access_token(START).is_some());
        flow
    }

    fn session(&self) -> AuthFlow {
        let mut flow = AuthFlow::new(self.client.clone());
        let tokens = TokenSet::new("AT")
            .refresh_token("RT")
            .expires_at(START.saturating_add(Duration::from_secs(3600)));
        flow.handle(Event::AdoptTokens(tokens), START)
            .expect("row 16");
        while flow.poll_action().is_some() {}
        flow
    }

    fn refresh(&self, flow: &mut AuthFlow, answer: Vec<u8>) -> bool {
        flow.handle(Event::Refresh, START).expect("row 13");
        let Some(id) = sent(flow) else {
            return false;
        };
        let before = serial(flow);
        respond(flow, id, answer, START);
        serial(flow) != before
    }
}

fn serial(flow: &AuthFlow) -> Option<::authflow::TokenSerial> {
    flow.access_token(START).map(|token| token.serial())
}

/// Drains the machine; the request among what it wants.
pub fn sent(flow: &mut AuthFlow) -> Option<RequestId> {
    let mut id = None;
    while let Some(action) = flow.poll_action() {
        if let Action::Send(request) = action {
            id = Some(request.id());
        }
    }
    id
}

pub fn respond(flow: &mut AuthFlow, id: RequestId, answer: Vec<u8>, now: Timestamp) {
    let result = Ok(HttpResponse::new(200, answer));
    flow.handle(Event::Response { id, result }, now)
        .expect("rows 6 and 8");
    while flow.poll_action().is_some() {}
}
