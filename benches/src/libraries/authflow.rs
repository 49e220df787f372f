//! authflow's machine, driven by hand.

use std::sync::Arc;

use ::authflow::{
    Action, AuthFlow, CallbackUrl, Client, Event, HttpResponse, LoginSecrets, RedirectUri,
    Timestamp, spotify,
};

use super::Library;
use crate::fixture;
use crate::measure::Meter;

pub struct Authflow {
    client: Arc<Client>,
    redirect_uri: RedirectUri,
}

impl Library for Authflow {
    const NAME: &'static str = "authflow";

    fn new() -> Self {
        let client = spotify::client(fixture::CLIENT_ID).scopes(fixture::SCOPES);
        let client = client.build().expect("a sound client");
        let redirect_uri = client
            .redirect_uri(fixture::REDIRECT_URI)
            .expect("a sound redirect URI");
        Self {
            client: Arc::new(client),
            redirect_uri,
        }
    }

    fn flow(&self, meter: &mut impl Meter) {
        let start = Timestamp::from_millis(1_700_000_000_000);
        let secrets = LoginSecrets::from_entropy([7; 64]);
        let redirect_uri = self.redirect_uri.clone();
        let (mut flow, actions) = meter.step("authorize", || {
            let mut flow = AuthFlow::new(self.client.clone());
            let begin = Event::BeginLogin {
                secrets,
                redirect_uri,
            };
            flow.handle(begin, start).expect("row 1");
            let actions = drain(&mut flow);
            (flow, actions)
        });
        let Some(Action::OpenUrl(url)) = actions.into_iter().flatten().last() else {
            panic!("no URL");
        };
        let state = url.state().expect("a state");
        let target = format!(
            "/callback?code={}&state={}",
            fixture::code(),
            state.expose()
        );

        // One event for both.
        let actions = meter.step("token request", || {
            let url = CallbackUrl::new(target);
            flow.handle(Event::Callback { url }, start).expect("row 2");
            drain(&mut flow)
        });
        let id = sent(&actions);
        let response = HttpResponse::new(200, fixture::tokens());
        let actions = meter.step("token response", || {
            let result = Ok(response);
            flow.handle(Event::Response { id, result }, start)
                .expect("row 6");
            drain(&mut flow)
        });
        drop(actions);
        let later = start.saturating_add(std::time::Duration::from_secs(3590));
        let actions = meter.step("refresh request", || {
            flow.handle(Event::Tick, later).expect("row 20");
            drain(&mut flow)
        });
        let id = sent(&actions);
        let response = HttpResponse::new(200, fixture::tokens());
        let actions = meter.step("refresh response", || {
            let result = Ok(response);
            flow.handle(Event::Response { id, result }, later)
                .expect("row 8");
            drain(&mut flow)
        });
        drop(actions);
        assert!(flow.access_token(later).is_some());
    }
}

/// No event of a login has more than three actions.
fn drain(flow: &mut AuthFlow) -> [Option<Action>; 4] {
    std::array::from_fn(|_| flow.poll_action())
}

fn sent(actions: &[Option<Action>]) -> ::authflow::RequestId {
    let request = actions.iter().flatten().find_map(|action| match action {
        Action::Send(request) => Some(request.id()),
        _ => None,
    });
    request.expect("a request")
}
