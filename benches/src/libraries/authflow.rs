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
        let (mut flow, opened) = meter.step("authorize", || {
            let mut flow = AuthFlow::new(self.client.clone());
            let begin = Event::BeginLogin {
                secrets,
                redirect_uri,
            };
            flow.handle(begin, start).expect("row 1");
            let opened = drain(&mut flow);
            (flow, opened)
        });
        let Some(Action::OpenUrl(url)) = opened else {
            panic!("no URL");
        };
        let state = url.state().expect("a state");
        let target = format!(
            "/callback?code={}&state={}",
            fixture::code(),
            state.expose()
        );

        // One event for both.
        let request = meter.step("token request", || {
            let url = CallbackUrl::new(target);
            flow.handle(Event::Callback { url }, start).expect("row 2");
            drain(&mut flow)
        });
        let id = sent(request.as_ref());
        let response = HttpResponse::new(200, fixture::tokens());
        let rest = meter.step("token response", || {
            let result = Ok(response);
            flow.handle(Event::Response { id, result }, start)
                .expect("row 6");
            drain(&mut flow)
        });
        assert!(rest.is_none());
        let later = start.saturating_add(std::time::Duration::from_secs(3590));
        let request = meter.step("refresh request", || {
            flow.handle(Event::Tick, later).expect("row 20");
            drain(&mut flow)
        });
        let id = sent(request.as_ref());
        let response = HttpResponse::new(200, fixture::tokens());
        let rest = meter.step("refresh response", || {
            let result = Ok(response);
            flow.handle(Event::Response { id, result }, later)
                .expect("row 8");
            drain(&mut flow)
        });
        assert!(rest.is_none());
        assert!(flow.access_token(later).is_some());
    }
}

/// What a program does with actions: what is to be carried out is kept, the rest is dropped.
fn drain(flow: &mut AuthFlow) -> Option<Action> {
    let mut kept = None;
    while let Some(action) = flow.poll_action() {
        if matches!(action, Action::OpenUrl(_) | Action::Send(_)) {
            kept = Some(action);
        }
    }
    kept
}

fn sent(action: Option<&Action>) -> ::authflow::RequestId {
    match action {
        Some(Action::Send(request)) => request.id(),
        _ => panic!("no request"),
    }
}
