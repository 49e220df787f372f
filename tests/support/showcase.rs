//! One of everything that can be printed, with a marker in each secret.

use std::thread;

use authflow::http::Http;
use authflow::loopback::{Head, Loopback, Pages, Received, RedirectionEndpoint};
use authflow::session::{
    ApiRequest, ClientCredentials, FileStore, LocalLock, MemoryStore, Store as _, StoreError,
};
use authflow::testing::answers::{Grant, Meaning, TokenAnswer, Writing};
use authflow::testing::{
    Answer, Endpoint, FakeProvider, Fault, Person, Plan, Program, Simulation, Step, World,
};
use authflow::{
    Action, AuthFlow, CallbackUrl, Cause, Client, ClientAuth, ClientBuilder,
    ClientCredentialsRequest, Event, Failure, HttpResponse, Login, LoginSecrets, Notice, Provider,
    RepairStep, RequestId, Secret, Snapshot, Timestamp, TokenSet, TokenSwap, TransportError,
    TransportErrorKind, spotify,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::directory::Directory;
use super::login::login;
use super::raw::{PATIENCE, Server, ask, navigation};
use super::shown::{ACCESS, CLIENT_SECRET, CODE, ID_TOKEN, NEW_REFRESH, REFRESH, Shown};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// What a program configures.
pub fn of_the_configuration(shown: &mut Shown) -> Client {
    let provider = Provider::new("https://as.example/authorize", "https://as.example/token")
        .revocation_endpoint("https://as.example/revoke")
        .repair(RepairStep::bearer_alias("token"));
    shown.debug(&provider);
    shown.debug(&RepairStep::lift("authed_user"));
    shown.debug(&RepairStep::error_code("message", "no", "invalid_grant"));
    shown.debug(&spotify::Scope::from("user-read-email"));
    let client = Client::builder(provider, "raw-client")
        .secret(CLIENT_SECRET)
        .auth(ClientAuth::Basic);
    shown.debug(&client);
    let bad = client.clone().secret(format!("{CLIENT_SECRET}\n"));
    shown.debug(&bad.build().unwrap_err());
    let swap = TokenSwap::new("https://backend.example/s", "https://backend.example/r");
    shown.debug(&swap);
    let client = client.build().unwrap();
    shown.debug(&client);
    shown.debug(&Secret::from(ACCESS));
    shown.debug(&TokenSet::new(ACCESS).refresh_token(REFRESH));
    shown.debug(&ClientCredentialsRequest::new(&client, NOW).unwrap());
    client
}

/// What goes into the machine, and what comes out of it.
pub fn of_the_machine(shown: &mut Shown, client: Client) {
    let state = URL_SAFE_NO_PAD.encode([7; 32]); // and the verifier
    shown.secret(state.clone());
    let redirect_uri = client.redirect_uri("http://127.0.0.1:8/callback").unwrap();
    shown.debug(&redirect_uri);
    let secrets = LoginSecrets::from_entropy([7; 64]);
    shown.debug(&secrets);
    let mut flow = AuthFlow::new(client);
    let begin = Event::BeginLogin {
        secrets,
        redirect_uri,
    };
    happens(&mut flow, begin, shown);
    let forged = CallbackUrl::from_query(&format!("error=access_denied&code={CODE}&state={CODE}"));
    happens(&mut flow, Event::Callback { url: forged }, shown);
    let url = CallbackUrl::from_query(&format!("code={CODE}&state={state}"));
    shown.debug(&url);
    happens(&mut flow, Event::Callback { url }, shown);
    let tokens = json!({"access_token": ACCESS, "refresh_token": REFRESH, "id_token": ID_TOKEN,
        "token_type": "mac", "expires_in": 3600});
    let answer = HttpResponse::new(200, tokens.to_string()).with_header("Retry-After", ACCESS);
    shown.debug(&answer);
    answered(&mut flow, 1, Ok(answer), shown);

    let token = flow.access_token(NOW).unwrap();
    shown.debug(&token);
    shown.debug(token.token_type());
    shown.debug(token.scopes());
    shown.debug(token.extras());
    shown.debug(&token.authorization().unwrap_err());
    for request in flow.revocation_requests(NOW) {
        shown.debug(&request);
    }
    shown.debug(&flow.snapshot());
    shown.debug(&Snapshot::from_json(ACCESS.as_bytes()).unwrap_err());
    shown.debug(&flow.handle(Event::CancelLogin, NOW).unwrap_err());

    let lost = TransportError {
        kind: TransportErrorKind::Closed,
        may_have_been_sent: true,
    };
    let echo = json!({"error": REFRESH, "error_description": REFRESH});
    let answers = [
        Err(lost),
        Ok(HttpResponse::new(400, echo.to_string())),
        Ok(HttpResponse::new(503, format!("{REFRESH} is busy"))),
    ];
    for (answer, id) in answers.into_iter().zip(2..) {
        happens(&mut flow, Event::Refresh, shown);
        answered(&mut flow, id, answer, shown);
    }
}

fn answered(
    flow: &mut AuthFlow,
    id: u64,
    result: Result<HttpResponse, TransportError>,
    shown: &mut Shown,
) {
    let id = RequestId::from_u64(id);
    happens(flow, Event::Response { id, result }, shown);
}

fn happens(flow: &mut AuthFlow, event: Event, shown: &mut Shown) {
    shown.debug(&event);
    flow.handle(event, NOW).unwrap();
    shown.debug(flow);
    while let Some(action) = flow.poll_action() {
        shown.debug(&action);
        match action {
            Action::OpenUrl(url) => shown.debug(&url),
            Action::Send(request) => shown.debug(&request),
            Action::Notify(notice) => {
                shown.debug(&notice);
                match &notice {
                    Notice::CallbackIgnored(ignored) => shown.debug(ignored),
                    Notice::RefreshFailed { failure, .. } => failed(failure, shown),
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

fn failed(failure: &Failure, shown: &mut Shown) {
    shown.debug(failure);
    shown.error(failure);
    shown.debug(&failure.cause);
    match &failure.cause {
        Cause::OAuth(error) => shown.debug(error),
        Cause::Http(answer) => shown.debug(answer),
        Cause::Transport(error) => shown.debug(error),
        _ => {}
    }
}

pub fn of_the_drivers(shown: &mut Shown) {
    let target = format!("/callback?code={CODE}&state={REFRESH}");
    let endpoint = RedirectionEndpoint::new(([127, 0, 0, 1], 8888).into(), "/callback").unwrap();
    shown.debug(&endpoint);
    for head in [
        format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1:8888\r\n\r\n"),
        format!("POST {target} HTTP/1.1\r\nHost: {ACCESS}\r\n\r\n"),
    ] {
        let head = endpoint.read(head.as_bytes());
        shown.debug(&head);
        if let Head::Refused(refusal) = head {
            shown.debug(&refusal);
        }
    }

    let builder = Loopback::builder().pages(Pages::default());
    shown.debug(&builder);
    shown.debug(&Pages::default());
    shown.debug(&builder.clone().path(REFRESH).bind().unwrap_err());
    let mut listener = builder.bind().unwrap();
    shown.debug(&listener);
    shown.debug(&listener.canceller());
    let address = listener.address();
    let browser = thread::spawn(move || ask(address, navigation(address, &target)));
    let received = listener.receive(PATIENCE).unwrap();
    shown.debug(&received);
    let Received::Callback(pending) = received else {
        panic!("nothing was received");
    };
    shown.debug(&pending);
    drop(pending);
    browser.join().unwrap();

    let proxy = format!("http://user:{CLIENT_SECRET}@127.0.0.1:9");
    shown.debug(&Http::with_proxy(&proxy).unwrap());
    let nonsense = format!("{CLIENT_SECRET}://{CLIENT_SECRET}");
    shown.debug(&Http::with_proxy(&nonsense).unwrap_err());
}

/// `server` echoes whatever it is sent.
pub fn of_the_sessions(shown: &mut Shown, server: &Server, client: &dyn Fn() -> ClientBuilder) {
    let tokens = || TokenSet::new(ACCESS).refresh_token(NEW_REFRESH);
    let waiting: Login = login(client());
    let control = waiting.control();
    shown.debug(&waiting);
    shown.debug(&control);
    let pending = waiting.begin("http://127.0.0.1:1/callback").unwrap();
    shown.debug(&pending);
    drop(pending);
    let address = format!("http://127.0.0.1:1/callback?code={CODE}");
    shown.debug(&control.paste(&address).unwrap_err());
    shown.debug(&ClientCredentials::new(client().secret(CLIENT_SECRET)));

    let session = login(client()).adopt(tokens()).unwrap();
    shown.debug(&session);
    shown.debug(&session.access_token().unwrap());
    let call = ApiRequest::post(server.url("/v1/me")).body("text/plain", REFRESH);
    shown.debug(&call);
    shown.debug(&session.call(&call).unwrap());
    let foreign = format!("https://evil.example/?access_token={ACCESS}");
    shown.debug(&session.get(&foreign).unwrap_err());
    shown.debug(&session.log_out().unwrap());
}

pub fn of_the_stores(shown: &mut Shown, client: &dyn Fn() -> ClientBuilder) {
    let directory = Directory::new();
    let tokens = TokenSet::new(ACCESS).refresh_token(NEW_REFRESH);
    let saved = super::login::saved(client(), tokens, NOW);
    let memory = MemoryStore::new();
    let lock = memory.lock(PATIENCE).unwrap();
    memory.save(&saved, &lock).unwrap();
    shown.debug(&memory);
    shown.debug(&lock);
    shown.debug(&LocalLock::new());

    let file = FileStore::at(directory.path().join("login.json"));
    std::fs::write(file.path(), ACCESS).unwrap();
    shown.debug(&file);
    let error: StoreError = file.load().unwrap_err();
    shown.debug(&error);
    shown.error(&error);

    #[cfg(feature = "keyring")]
    {
        let keyring = keyring_core::mock::Store::new().unwrap();
        let lock = directory.path().join("keyring");
        let store = authflow::session::KeyringStore::with_keyring(keyring, "app", lock);
        store.save(&saved, &store.lock(PATIENCE).unwrap()).unwrap();
        shown.debug(&store);
    }

    #[cfg(feature = "redis")]
    {
        // Nobody listens there: `tests/redis.rs` shows one that works.
        let url = format!("redis://:{CLIENT_SECRET}@127.0.0.1:1/0");
        let store = authflow::session::RedisStore::open(&url).unwrap();
        shown.debug(&store);
        shown.debug(&store.pending_logins());
        shown.error(&store.load().unwrap_err());
    }
}

pub fn of_the_fake_provider(shown: &mut Shown) {
    let builder = FakeProvider::builder()
        .client_secret(CLIENT_SECRET)
        .with_revocation();
    shown.debug(&builder);
    let provider = builder.start().unwrap();
    shown.debug(&provider);
    shown.debug(&Fault::Custom {
        status: 200,
        headers: vec![("X-Token".to_owned(), ACCESS.to_owned())],
        body: REFRESH.into(),
    });
    shown.debug(&Fault::Redirect {
        status: 302,
        location: format!("https://evil.example/?code={CODE}"),
    });
    let person = |url: &str| Person::answer(url, Answer::Allow).unwrap();
    let (sees, sight) = std::sync::mpsc::channel();
    let session = login(provider.client())
        .opener(move |url| {
            let url = url.as_str().to_owned();
            thread::spawn(move || sees.send(person(&url)));
        })
        .run()
        .unwrap();
    shown.secret(session.access_token().unwrap().secret().expose());
    shown.debug(&sight.recv_timeout(PATIENCE).unwrap());
    session.get(&provider.me_url()).unwrap();
    session.log_out().unwrap();
    for request in provider.requests(Endpoint::Token) {
        shown.debug(&request);
        shown.secret(request.parameter("code").unwrap());
    }
    for request in provider.requests(Endpoint::Revocation) {
        shown.debug(&request);
        shown.secret(request.parameter("token").unwrap());
    }
    for request in provider.requests(Endpoint::Api) {
        shown.debug(&request);
    }
}

/// A program that saves nothing, which the simulator finds.
struct Forgetful(AuthFlow);

impl Program for Forgetful {
    fn handle(&mut self, event: Event, world: &mut World) {
        let _ = self.0.handle(event, world.now());
        while let Some(action) = self.0.poll_action() {
            match action {
                Action::OpenUrl(url) => world.open_url(&url),
                Action::Send(request) => world.send(request),
                Action::AnswerCallback(verdict) => world.answer_callback(verdict),
                Action::Persist | Action::Notify(_) => {}
            }
        }
    }

    fn flow(&self) -> &AuthFlow {
        &self.0
    }
}

pub fn of_the_simulation(shown: &mut Shown, client: Client) {
    let simulation = Simulation::new(client, "http://127.0.0.1:8888/callback").unwrap();
    shown.debug(&simulation);
    let fault = Step::Fault(Fault::Custom {
        status: 200,
        headers: vec![("X-Token".to_owned(), ACCESS.to_owned())],
        body: REFRESH.into(),
    });
    let plan = Plan::new().then(Step::LogIn).then(Step::Agree).then(fault);
    shown.debug(&plan);
    shown.debug(&plan.steps[2]);
    let run = simulation.run(&plan, |world| {
        shown.debug(world);
        Forgetful(AuthFlow::new(world.client()))
    });
    shown.debug(&run);
    shown.debug(run.transcript());
    let start = |world: &mut World| Forgetful(AuthFlow::new(world.client()));
    let found = simulation.search(0..100, start).unwrap_err();
    shown.debug(&*found);
    shown.error(&*found);
    let text = found.transcript().to_jsonl();
    assert!(text.contains(CLIENT_SECRET), "it is there to be hidden");
    for name in [
        "code=",
        "state=",
        r#"access_token\":\""#,
        r#"refresh_token\":\""#,
    ] {
        let (_, value) = text.split_once(name).unwrap();
        let is_part = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
        shown.secret(value.split(|c| !is_part(c)).next().unwrap());
    }
    shown.debug(&Meaning::Trouble("http", 7));
    let tokens = TokenAnswer::Written(Grant::lasting(7), Writing::numbered(7));
    shown.debug(&tokens);
    shown.debug(&Writing::numbered(7));
}
