//! authflow's machine, driven by hand.

use std::sync::Arc;
use std::time::Duration;

use ::authflow::{
    Action, AuthFlow, AuthorizationUrl, CallbackUrl, Client, Event, HttpRequest, HttpResponse,
    LoginSecrets, RedirectUri, Timestamp, spotify,
};

use super::Library;
use crate::fixture;
use crate::measure::Meter;

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

pub struct Authflow {
    client: Arc<Client>,
    redirect_uri: RedirectUri,
}

pub struct Inputs {
    secrets: LoginSecrets,
    target: String,
    forged: String,
    responses: [HttpResponse; 2],
}

impl Library for Authflow {
    const NAME: &'static str = "authflow";
    const DRAWS_ITS_OWN: bool = true;
    type Inputs = Inputs;

    fn new() -> Self {
        let client = client();
        Self {
            redirect_uri: redirect_uri(&client),
            client: Arc::new(client),
        }
    }

    fn inputs(&self) -> Inputs {
        let (_, url) = self.begin(secrets());
        let state = url.state().expect("a state");
        Inputs {
            secrets: secrets(),
            target: fixture::target(state.expose()),
            forged: fixture::target(fixture::STATE),
            responses: [fixture::tokens(), fixture::tokens()]
                .map(|body| HttpResponse::new(200, body)),
        }
    }

    fn flow(&self, inputs: Inputs, meter: &mut impl Meter) {
        let Inputs {
            secrets,
            target,
            responses: [first, second],
            ..
        } = inputs;
        let (mut flow, url) = meter.step("authorize", || self.begin(secrets));
        meter.sees("authorize", url.as_str());

        // One event for both: the callback is read and the request is made.
        let request = meter.step("token request", || {
            let url = CallbackUrl::new(target);
            flow.handle(Event::Callback { url }, START)
                .expect("a login is awaited");
            sent(&mut flow).expect("a request")
        });
        meter.sees("token request", request.body());
        meter.step("token response", || {
            let (id, result) = (request.id(), Ok(first));
            flow.handle(Event::Response { id, result }, START)
                .expect("an answer is awaited");
            sent(&mut flow)
        });
        let later = START.saturating_add(Duration::from_secs(3590));
        let request = meter.step("refresh request", || {
            flow.handle(Event::Tick, later).expect("time to refresh");
            sent(&mut flow).expect("a request")
        });
        meter.sees("refresh request", request.body());
        meter.step("refresh response", || {
            let (id, result) = (request.id(), Ok(second));
            flow.handle(Event::Response { id, result }, later)
                .expect("an answer is awaited");
            sent(&mut flow)
        });
        assert!(flow.access_token(later).is_some());
    }

    fn apart(&self, inputs: Inputs, meter: &mut impl Meter) {
        meter.step("randomness", || LoginSecrets::generate().expect("entropy"));
        let (mut flow, _) = self.begin(inputs.secrets);
        let request = meter.step("forged callback", || {
            let url = CallbackUrl::new(inputs.forged);
            flow.handle(Event::Callback { url }, START)
                .expect("a login is awaited");
            sent(&mut flow)
        });
        assert!(request.is_none());
        let client = meter.step("client", client);
        meter.step("redirect URI", || redirect_uri(&client));
    }
}

fn client() -> Client {
    let client = spotify::client(fixture::CLIENT_ID).scopes(fixture::SCOPES);
    client.build().expect("a sound client")
}

fn redirect_uri(client: &Client) -> RedirectUri {
    let uri = client.redirect_uri(fixture::REDIRECT_URI);
    uri.expect("a sound redirect URI")
}

impl Authflow {
    fn begin(&self, secrets: LoginSecrets) -> (AuthFlow, AuthorizationUrl) {
        let mut flow = AuthFlow::new(self.client.clone());
        let begin = Event::BeginLogin {
            secrets,
            redirect_uri: self.redirect_uri.clone(),
        };
        flow.handle(begin, START).expect("a new login");
        let mut opened = None;
        while let Some(action) = flow.poll_action() {
            if let Action::OpenUrl(url) = action {
                opened = Some(url);
            }
        }
        (flow, opened.expect("a URL"))
    }
}

fn secrets() -> LoginSecrets {
    LoginSecrets::from_entropy([7; 64])
}

/// What a program would send of what the machine asks for. The rest is taken and dropped.
fn sent(flow: &mut AuthFlow) -> Option<HttpRequest> {
    let mut request = None;
    while let Some(action) = flow.poll_action() {
        if let Action::Send(sent) = action {
            request = Some(sent);
        }
    }
    request
}
