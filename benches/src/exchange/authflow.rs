//! authflow's machine with its HTTP driver, and a session that refreshes.

use std::sync::Arc;

use authflow::{
    Action, AuthFlow, CallbackUrl, Client, ClientBuilder, Event, Login, LoginSecrets, Provider,
    RedirectUri, Session, Timestamp, TokenSet, http::Http,
};

use super::Exchange;
use crate::fixture;

/// The fixture's client, whose token endpoint is on loopback.
pub fn client(token_url: &str) -> ClientBuilder {
    let provider =
        Provider::new(fixture::AUTHORIZE, token_url).dangerously_allow_http_on_loopback();
    Client::builder(provider, fixture::CLIENT_ID).scopes(fixture::SCOPES)
}

pub struct Machine {
    client: Arc<Client>,
    redirect_uri: RedirectUri,
    http: Http,
}

impl Exchange for Machine {
    type Ready = (AuthFlow, String);

    fn new(token_url: &str) -> Self {
        let client = client(token_url).build().expect("a sound client");
        let redirect_uri = client.redirect_uri(fixture::REDIRECT_URI);
        Self {
            client: Arc::new(client),
            redirect_uri: redirect_uri.expect("a sound redirect URI"),
            http: Http::new(),
        }
    }

    fn prepare(&self) -> Self::Ready {
        let mut flow = AuthFlow::new(self.client.clone());
        let begin = Event::BeginLogin {
            secrets: LoginSecrets::from_entropy([7; 64]),
            redirect_uri: self.redirect_uri.clone(),
        };
        flow.handle(begin, Timestamp::now()).expect("a login");
        let mut state = None;
        while let Some(action) = flow.poll_action() {
            if let Action::OpenUrl(url) = action {
                state = url.state().map(|state| state.expose().to_owned());
            }
        }
        (flow, fixture::target(&state.expect("a state")))
    }

    fn exchange(&mut self, (mut flow, target): Self::Ready) {
        let url = CallbackUrl::new(target);
        let mut event = Some(Event::Callback { url });
        while let Some(next) = event.take() {
            flow.handle(next, Timestamp::now()).expect("an event");
            while let Some(action) = flow.poll_action() {
                if let Action::Send(request) = action {
                    let (id, result) = (request.id(), self.http.execute(&request));
                    event = Some(Event::Response { id, result });
                }
            }
        }
        assert!(flow.access_token(Timestamp::now()).is_some());
    }
}

pub struct Refresh(Session);

impl Exchange for Refresh {
    type Ready = ();

    fn new(token_url: &str) -> Self {
        let tokens = TokenSet::new("an-access-token").refresh_token("a-refresh-token");
        Self(Login::new(client(token_url)).adopt(tokens).expect("tokens"))
    }

    fn prepare(&self) {}

    fn exchange(&mut self, (): ()) {
        self.0.refresh().expect("tokens");
    }
}
