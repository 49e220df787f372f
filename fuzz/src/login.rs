//! Flows for the targets to begin with. Every secret begins with `SECRET`.

use std::sync::{Arc, OnceLock};

use authflow::{
    Action, AuthFlow, CallbackUrl, Client, Event, HttpResponse, LoginSecrets, Provider, RequestId,
    Timestamp,
};

pub const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
pub const REDIRECT_URI: &str = "http://127.0.0.1:8888/callback?own=1";

/// Made once: it costs more than what is tried with it.
pub fn client(has_issuer: bool) -> Arc<Client> {
    static CLIENTS: OnceLock<[Arc<Client>; 2]> = OnceLock::new();
    let clients = CLIENTS.get_or_init(|| [false, true].map(|has| Arc::new(new_client(has))));
    Arc::clone(&clients[usize::from(has_issuer)])
}

fn new_client(has_issuer: bool) -> Client {
    let provider = Provider::new("https://as.example/authorize", "https://as.example/token");
    let provider = match has_issuer {
        true => provider.issuer("https://as.example").iss_required(),
        false => provider,
    };
    let client = Client::builder(provider, "client").secret("SECRET-client");
    client
        .scopes(["read", "write"])
        .build()
        .expect("a sound client")
}

/// A flow that waits for its callback, and its state.
pub fn waiting(has_issuer: bool) -> (AuthFlow, String) {
    let mut flow = AuthFlow::new(client(has_issuer));
    let redirect_uri = flow
        .client()
        .redirect_uri(REDIRECT_URI)
        .expect("a sound URI");
    let secrets = LoginSecrets::from_entropy([7; 64]);
    let begin = Event::BeginLogin {
        secrets,
        redirect_uri,
    };
    flow.handle(begin, NOW).expect("nobody is logged in");
    drain(&mut flow);
    let url = flow
        .authorization_url()
        .expect("a login")
        .as_str()
        .to_owned();
    let state = url
        .split(['?', '&'])
        .find_map(|pair| pair.strip_prefix("state="));
    (flow, state.expect("a state").to_owned())
}

/// The callback that it waits for.
pub fn genuine(state: &str, has_issuer: bool) -> Event {
    let iss = if has_issuer {
        "&iss=https://as.example"
    } else {
        ""
    };
    let url = CallbackUrl::from_query(&format!("code=SECRET-code&state={state}&own=1{iss}"));
    Event::Callback { url }
}

/// A flow whose code is being exchanged.
pub fn exchanging() -> (AuthFlow, RequestId) {
    let (mut flow, state) = waiting(false);
    flow.handle(genuine(&state, false), NOW)
        .expect("a callback");
    let id = sent(&drain(&mut flow)).expect("an exchange");
    (flow, id)
}

/// A flow whose token is being refreshed.
pub fn refreshing() -> (AuthFlow, RequestId) {
    let (mut flow, id) = exchanging();
    let body =
        r#"{"access_token":"SECRET-access","refresh_token":"SECRET-refresh","expires_in":3600}"#;
    let result = Ok(HttpResponse::new(200, body));
    flow.handle(Event::Response { id, result }, NOW)
        .expect("a response");
    drain(&mut flow);
    flow.handle(Event::Refresh, NOW).expect("a session");
    let id = sent(&drain(&mut flow)).expect("a refresh");
    (flow, id)
}

pub fn drain(flow: &mut AuthFlow) -> Vec<Action> {
    std::iter::from_fn(|| flow.poll_action()).collect()
}

pub fn sent(actions: &[Action]) -> Option<RequestId> {
    actions.iter().find_map(|action| match action {
        Action::Send(request) => Some(request.id()),
        _ => None,
    })
}

pub fn saved(flow: &AuthFlow) -> String {
    flow.snapshot().to_json().expose().to_owned()
}
