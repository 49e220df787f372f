//! No secret is ever shown: marker strings go through logins, refreshes and every kind of failure,
//! and whatever `Debug`, `Display`, an error chain or a log record says is searched for them.
#![cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]

mod support;

use std::sync::{Arc, Mutex};
use std::thread;

use authflow::loopback::Loopback;
use authflow::session::Error;
use authflow::testing::{Answer, Endpoint, FakeProvider, Person};
use authflow::{
    Action, AuthFlow, CallbackUrl, ClientAuth, ClientBuilder, Event, HttpResponse, LoginSecrets,
    Secret, Session, Snapshot, Timestamp, TokenSet,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use support::login::{TestStore, client_of, hour, login, parameter, session_of};
use support::raw::{PATIENCE, Request, Server, ask, eventually, json, lock, navigation, response};
use support::shown::{
    ACCESS, CLIENT_SECRET, CODE, ID_TOKEN, LOGGED, NEW_REFRESH, REFRESH, Shown, all_tokens,
};

// --- a provider that knows the markers -----------------------------------------------------------

fn server(answer: impl Fn(&Request) -> String + Send + Sync + 'static) -> Server {
    Server::start(move |mut connection| {
        if let Some(request) = connection.request() {
            connection.write(answer(&request));
        }
    })
}

/// The browser comes back with this in place of a code.
fn log_in(
    client: ClientBuilder,
    store: TestStore,
    query: impl Fn(&str) -> Vec<String> + Send + 'static,
    shown: &mut Shown,
) -> Result<Session, Error> {
    let state = Arc::new(Mutex::new(String::new()));
    let inside = state.clone();
    let login = login(client).store(store).opener(move |url| {
        let state = parameter(url.as_str(), "state");
        let redirect_uri = parameter(url.as_str(), "redirect_uri");
        lock(&inside).clone_from(&state);
        thread::spawn(move || {
            let address = redirect_uri.strip_prefix("http://").unwrap();
            let address = address.strip_suffix("/callback").unwrap();
            let address = address.parse().unwrap();
            for query in query(&state) {
                ask(address, navigation(address, &format!("/callback?{query}")));
            }
        });
    });
    shown.debug(&login);
    let result = login.run();
    shown.secret(lock(&state).clone());
    match &result {
        Ok(session) => shown.debug(session),
        Err(error) => shown.error(error),
    }
    result
}

fn with_code(state: &str) -> Vec<String> {
    vec![format!("code={CODE}&state={state}")]
}

/// The verifiers that the server has seen are secrets, too.
fn verifiers(server: &Server, shown: &mut Shown) {
    for request in server.requests() {
        if let Some(verifier) = request.form("code_verifier") {
            shown.secret(verifier);
        }
    }
}

// --- the tests -----------------------------------------------------------------------------------

#[test]
fn nothing_is_shown_by_a_login_and_a_session_that_work() {
    let mut shown = Shown::new();
    for auth in [ClientAuth::Basic, ClientAuth::Body] {
        let server = server(|request| match request.line.starts_with("GET") {
            true => json("200 OK", &format!(r#"{{"echo":"{ACCESS}"}}"#)),
            false => all_tokens(),
        });
        let client = client_of(&server).secret(CLIENT_SECRET).auth(auth);
        shown.debug(&client);
        shown.debug(&client.clone().build().unwrap());
        let store = TestStore::new();
        let session = log_in(client, store.clone(), with_code, &mut shown).unwrap();
        verifiers(&server, &mut shown);
        let token = session.access_token().unwrap();
        assert_eq!(token.secret().expose(), ACCESS);
        let id_token: Option<String> = token.extras().get("id_token");
        assert_eq!(id_token.as_deref(), Some(ID_TOKEN));
        shown.debug(&token);
        shown.debug(&token.authorization());
        shown.debug(&token.extras());
        shown.debug(&token.scopes());
        let answer = session.get(&server.url("/me?q=1")).unwrap();
        shown.debug(&answer);
        shown.error(&answer.read_json::<u8>().unwrap_err());
        shown.debug(&session.refresh());
        shown.debug(&session.token_rejected(token.serial()));
        for snapshot in store.history() {
            shown.debug(&snapshot);
        }
        for url in [
            format!("http://evil.example/?access_token={ACCESS}"),
            format!("http://user:{CLIENT_SECRET}@{}/", server.address()),
        ] {
            shown.error(&session.get(&url).unwrap_err());
        }
    }
    assert!(!lock(&LOGGED).is_empty(), "nothing was logged");
    shown.check();
}

/// Every way in which a token endpoint can be unhelpful and still say what it was told.
fn echoes(request: &Request) -> Vec<String> {
    let value = |name| request.form(name).unwrap_or_default();
    let secrets = [
        value("code"),
        value("code_verifier"),
        value("refresh_token"),
        value("client_secret"),
        request.header("Authorization").concat(),
    ];
    let all = secrets.join(" ");
    let quoted = all.replace('"', "");
    let body = &request.body;
    let mut answers = vec![
        json(
            "400 Bad Request",
            &format!(
                r#"{{"error":"invalid_grant","error_description":"bad {quoted}","error_uri":"https://as.example/{quoted}"}}"#
            ),
        ),
        json("400 Bad Request", &format!(r#"{{"error":"{quoted}"}}"#)),
        json(
            "400 Bad Request",
            &format!(r#"{{"error":{{"type":"{quoted}","message":"{quoted}"}}}}"#),
        ),
        json("400 Bad Request", &format!(r#"{{"error":["{quoted}"]}}"#)),
        json("400 Bad Request", body),
        json("500 Oops", &format!("<html><h1>You sent {body}</h1>")),
        json("200 OK", &format!("You sent {quoted}")),
        json("200 OK", &format!(r#"{{"you_sent":"{quoted}"}}"#)),
        json("200 OK", body),
        json(
            "200 OK",
            &format!(r#"{{"access_token":"{ACCESS}","refresh_token":"{REFRESH}","expires"#),
        ),
        json(
            "200 OK",
            &format!(r#"{{"access_token":"{ACCESS}","access_token":"{ACCESS}"}}"#),
        ),
        json("200 OK", &format!(r#"{{"access_token":"{ACCESS}\u0000"}}"#)),
        json("200 OK", &format!(r#"{{"access_token":["{ACCESS}"]}}"#)),
        json(
            "200 OK",
            &format!(r#"{{"access_token":"{ACCESS}","refresh_token":["{REFRESH}"]}}"#),
        ),
        json(
            "200 OK",
            &format!(r#"{{"access_token":"{ACCESS}","token_type":["{REFRESH}"]}}"#),
        ),
        json("200 OK", &format!(r#"["{ACCESS}","{REFRESH}"]"#)),
        json("200 OK", &format!(r#""{ACCESS}""#)),
        json("200 OK", ACCESS),
        json(
            "200 OK",
            &format!("access_token={ACCESS}&access_token={REFRESH}"),
        ),
        response(
            "302 Found",
            // No echo in here: at the level of trace, ureq logs this header as it came.
            "Connection: close\r\nLocation: https://evil.example/\r\n",
            body,
        ),
        response(
            "429 Too Many Requests",
            &format!("Connection: close\r\nRetry-After: {quoted}\r\n"),
            &quoted,
        ),
        format!("HTTP/1.1 503 {quoted}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{body}"),
        format!("HTTP/1.1 200 OK\r\n{quoted}\r\n\r\n"),
        quoted.clone(),
        String::new(),
    ];
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        let padded = format!("{}{secret} and more", "words and words ".repeat(7));
        answers.push(json("400 Bad Request", &padded));
        answers.push(json("200 OK", &secret[..secret.len() - 2]));
        answers.push(json("400 Bad Request", &STANDARD.encode(secret)));
    }
    answers
}

/// How many answers [`echoes`] has for a client with a secret.
const ECHOES: usize = 26 + 3 * 3;

fn echoing(number: usize) -> Server {
    server(move |request| match echoes(request).get(number) {
        Some(answer) => answer.clone(),
        None => String::new(),
    })
}

#[test]
fn nothing_is_shown_by_an_exchange_that_fails() {
    let mut shown = Shown::new();
    for number in 0..ECHOES {
        let server = echoing(number);
        let auth = [ClientAuth::Basic, ClientAuth::Body][number % 2];
        let client = client_of(&server).secret(CLIENT_SECRET).auth(auth);
        let result = log_in(client, TestStore::new(), with_code, &mut shown);
        assert!(result.is_err(), "{number}");
        verifiers(&server, &mut shown);
    }
    shown.check();
}

#[test]
fn nothing_is_shown_by_a_refresh_that_fails() {
    let mut shown = Shown::new();
    for number in 0..ECHOES {
        let server = echoing(number);
        let auth = [ClientAuth::Basic, ClientAuth::Body][number % 2];
        let client = client_of(&server).secret(CLIENT_SECRET).auth(auth);
        let tokens = TokenSet::new(ACCESS).refresh_token(REFRESH);
        shown.debug(&tokens);
        let (session, store) = session_of(client, tokens, Timestamp::now());
        let session = session.unwrap();
        let serial = session.access_token().unwrap().serial();
        let error = session.token_rejected(serial).unwrap_err();
        shown.error(&error);
        shown.debug(&error.what_now());
        shown.error(&session.refresh().unwrap_err());
        shown.debug(&session);
        shown.debug(&store.last());
    }
    shown.check();
}

#[test]
fn nothing_is_shown_by_a_callback_that_is_refused_or_denied() {
    let mut shown = Shown::new();
    let server = server(|_| all_tokens());
    let result = log_in(
        client_of(&server),
        TestStore::new(),
        |state| {
            vec![
                format!("code={CODE}"),
                format!("code={CODE}&state=wrong"),
                format!("error={CODE}&error_description={state}"),
                format!("code={CODE}&code={CODE}&state={state}"),
                format!(
                    "error=access_denied&error_description=it+was+{state}&error_uri=https://x/{state}&state={state}"
                ),
            ]
        },
        &mut shown,
    );
    assert!(result.is_err());
    shown.check();
}

#[test]
fn nothing_is_shown_by_a_login_that_cannot_be_saved() {
    let mut shown = Shown::new();
    let server = server(|_| all_tokens());
    let store = TestStore::new();
    store.rule(|attempt, snapshot| match attempt {
        1 => Ok(()),
        // What a careless store might do.
        _ => Err(support::login::store_error(&format!(
            "cannot save {snapshot:?}"
        ))),
    });
    let result = log_in(client_of(&server), store, with_code, &mut shown);
    let Err(Error::NotSaved { session, .. }) = result else {
        panic!("it was saved");
    };
    shown.error(&session.access_token().unwrap_err());
    verifiers(&server, &mut shown);
    shown.check();
}

#[test]
fn nothing_is_shown_by_a_store_that_is_damaged() {
    let mut shown = Shown::new();
    let server = server(|_| all_tokens());
    let (session, store) = session_of(client_of(&server), hour(), Timestamp::now());
    drop(session);
    let whole = store.last().to_json().expose().replace("AT-0", ACCESS);
    assert!(whole.contains(ACCESS));
    shown.debug(&Snapshot::from_json(whole.as_bytes()));
    for damaged in [
        whole.replace("\"serial\":1", &format!("\"serial\":\"{ACCESS}\"")),
        whole.replace("\"version\":1", "\"version\":99"),
        whole[..whole.len() / 2].to_owned(),
        format!("[{whole}"),
    ] {
        shown.error(&Snapshot::from_json(damaged.as_bytes()).unwrap_err());
    }
    shown.check();
}

#[test]
fn nothing_is_shown_by_the_machine_and_what_goes_in_and_out() {
    let mut shown = Shown::new();
    let server = server(|_| all_tokens());
    let client = client_of(&server).secret(CLIENT_SECRET).build().unwrap();
    let redirect_uri = client
        .redirect_uri("http://127.0.0.1:8888/callback")
        .unwrap();
    let entropy = [7; 64];
    let state = URL_SAFE_NO_PAD.encode([7; 32]); // and the verifier
    shown.secret(state.clone());
    let now = Timestamp::from_millis(1_700_000_000_000);
    let mut flow = AuthFlow::new(client);
    let mut handle = |event: Event, shown: &mut Shown| {
        shown.debug(&event);
        flow.handle(event, now).unwrap();
        shown.debug(&flow);
        shown.debug(&flow.authorization_url());
        shown.debug(&flow.snapshot());
        shown.debug(&flow.snapshot().to_json());
        shown.debug(&flow.access_token(now));
        let mut sent = None;
        while let Some(action) = flow.poll_action() {
            shown.debug(&action);
            if let Action::Send(request) = action {
                shown.debug(&request.headers().map(|(name, _)| name).collect::<Vec<_>>());
                sent = Some(request.id());
            }
        }
        sent
    };
    let secrets = LoginSecrets::from_entropy(entropy);
    shown.debug(&secrets);
    let begin = Event::BeginLogin {
        secrets,
        redirect_uri,
    };
    handle(begin, &mut shown);
    let url = CallbackUrl::new(format!("/callback?code={CODE}&state={state}"));
    shown.debug(&url);
    let id = handle(Event::Callback { url }, &mut shown).unwrap();
    let answer = all_tokens();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let answer = HttpResponse::new(200, body).with_header("Retry-After", ACCESS);
    shown.debug(&answer);
    let response = Event::Response {
        id,
        result: Ok(answer),
    };
    handle(response, &mut shown);
    handle(Event::Refresh, &mut shown);
    handle(Event::LogOut, &mut shown);
    let tokens = TokenSet::new(ACCESS).refresh_token(NEW_REFRESH);
    handle(Event::AdoptTokens(tokens), &mut shown);
    shown.debug(&Secret::from(ACCESS));
    shown.check();
}

#[test]
fn nothing_is_shown_by_the_listener() {
    let mut shown = Shown::new();
    let mut listener = Loopback::builder().bind().unwrap();
    let address = listener.address();
    let target = format!("/callback?code={CODE}&state={REFRESH}");
    let browser = thread::spawn(move || {
        ask(address, navigation(address, &format!("/other?code={CODE}")));
        ask(address, navigation(address, &target))
    });
    let received = listener.receive(PATIENCE).unwrap();
    shown.debug(&received);
    shown.debug(&listener);
    drop(received);
    let page = browser.join().unwrap().unwrap();
    shown.texts.push(page.head + &page.body);
    shown.check();
}

#[test]
fn nothing_is_shown_by_the_fake_provider() {
    let mut shown = Shown::new();
    let provider = FakeProvider::builder()
        .client_secret(CLIENT_SECRET)
        .start()
        .unwrap();
    let landing = Arc::new(Mutex::new(None));
    let inside = landing.clone();
    let session = login(provider.client())
        .opener(move |url| {
            let url = url.as_str().to_owned();
            thread::spawn(move || *lock(&inside) = Person::answer(&url, Answer::Allow).ok());
        })
        .run()
        .unwrap();
    eventually(|| lock(&landing).is_some());
    shown.debug(&provider);
    shown.debug(&provider.requests(Endpoint::Token));
    shown.debug(&*lock(&landing));
    shown.secret(session.access_token().unwrap().secret().expose());
    let requests = provider.requests(Endpoint::Token);
    shown.secret(requests[0].parameter("code").unwrap());
    shown.secret(requests[0].parameter("code_verifier").unwrap());
    shown.check();
}
