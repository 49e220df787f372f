//! The same search for marker strings after every way to get, keep and end a session.
#![cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]

mod support;

use std::sync::mpsc::channel;
use std::thread;

use authflow::session::{ApiRequest, ClientCredentials, Error, PasteError, Store as _};
use authflow::{
    CallbackUrl, Client, ClientBuilder, ClientCredentialsRequest, Login, Provider, TokenSet,
    TokenSwap,
};
use support::directory::Directory;
use support::login::{login, parameter, server};
use support::raw::{PATIENCE, Server, json, response};
use support::shown::{ACCESS, CLIENT_SECRET, CODE, NEW_REFRESH, REFRESH, Shown, all_tokens};
use support::{public, showcase};

/// Token endpoint, revocation endpoint and API, which echo all that they are told.
fn echoing() -> Server {
    server(|request| {
        let echo = format!("{} {:?}", request.body, request.header("Authorization"));
        let error = serde_json::json!({"error": "invalid_token", "error_description": echo});
        match request.line.split(' ').nth(1).unwrap() {
            "/token" if request.body.contains("bad") => json("400 Bad Request", &error.to_string()),
            "/token" | "/swap" | "/refresh" => all_tokens(),
            "/revoke" => json("503 Busy", &error.to_string()),
            _ => response("500 Broken", "Connection: close\r\n", &echo),
        }
    })
}

fn client(server: &Server) -> ClientBuilder {
    let provider = Provider::new(server.url("/authorize"), server.url("/token"))
        .revocation_endpoint(server.url("/revoke"))
        .api_origin(server.url(""))
        .dangerously_allow_http_on_loopback();
    Client::builder(provider, "raw-client")
}

fn tokens() -> TokenSet {
    TokenSet::new(ACCESS).refresh_token(REFRESH)
}

/// The address that the browser ended up at, with the marker for a code.
fn landed(url: &str, shown: &mut Shown) -> String {
    let (redirect, state) = (parameter(url, "redirect_uri"), parameter(url, "state"));
    shown.secret(state.clone());
    format!("{redirect}?code={CODE}&state={state}")
}

#[test]
fn nothing_is_shown_by_a_session_that_is_kept_on_disk_called_with_and_ended() {
    let (mut shown, server, directory) = (Shown::new(), echoing(), Directory::new());
    let store = directory.store();
    let login = || login(client(&server)).store(store.clone());
    shown.debug(&store);
    let first = login().adopt(tokens()).unwrap();
    let second = login().run().unwrap();
    second.on_change(|token| log::info!("{token:?}"));
    second.on_sign_in_needed(|failure| log::info!("{failure:?}"));
    shown.debug(&first.refresh());
    shown.debug(&second.refresh());
    let call = ApiRequest::post(server.url("/v1/things?q=1")).body("text/plain", NEW_REFRESH);
    shown.debug(&call);
    let answer = second.call(&call).unwrap();
    shown.debug(&answer);
    shown.error(&answer.read_json::<u8>().unwrap_err());
    let bad = ApiRequest::get(server.url("/")).header("Authorization", ACCESS);
    shown.debug(&bad);
    shown.error(&second.call(&bad).unwrap_err());
    shown.surroundings(directory.path());
    shown.debug(&first.log_out());
    shown.debug(&second.refresh());
    shown.surroundings(directory.path());
    shown.check();
}

#[test]
fn nothing_that_a_refresh_did_not_carry_is_shown_if_the_server_says_it() {
    // They read as words, so that only who knows them can tell.
    let known = [
        "access of this very session",
        "identity of the person",
        "parameter of the program",
    ]
    .map(|text| text.replace(' ', "-"));
    let [access, identity, parameter] = known.clone();
    let tokens = serde_json::json!({
        "access_token": access, "refresh_token": "RT-1", "id_token": identity, "expires_in": 3600,
    });
    let error = serde_json::json!({
        "error": known.join(":"),
        "error_description": known.join(" "),
        "error_uri": format!("https://as.example/{}", known.join("?")),
    });
    let count = std::sync::atomic::AtomicUsize::new(0);
    let server = server(
        move |_| match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => json("200 OK", &tokens.to_string()),
            _ => json("400 Bad Request", &error.to_string()),
        },
    );
    let mut shown = Shown::new();
    known.into_iter().for_each(|text| shown.secret(text));
    let client = client(&server).token_param("device", parameter);
    let session = login(client).adopt(self::tokens()).unwrap();
    session.refresh().unwrap();
    let error = session.refresh().unwrap_err();
    shown.error(&error);
    let redacted = "[redacted] [redacted] [redacted]";
    assert!(error.to_string().contains(redacted), "{error}");
    shown.check();
}

#[test]
fn an_address_among_the_programs_parameters_is_no_secret() {
    const RESOURCE: &str = "https://api.example/things";
    let error = serde_json::json!({
        "error": "invalid_target",
        "error_description": format!("no such resource: {RESOURCE}"),
    });
    let server = server(move |_| json("400 Bad Request", &error.to_string()));
    let client = client(&server).token_param("resource", RESOURCE);
    let session = login(client).adopt(tokens()).unwrap();
    let error = session.refresh().unwrap_err().to_string();
    assert!(error.contains(RESOURCE), "{error}");
}

#[test]
fn nothing_is_shown_by_a_file_that_is_no_good() {
    let (mut shown, directory) = (Shown::new(), Directory::new());
    let store = directory.store();
    drop(store.lock(PATIENCE).unwrap());
    for text in [
        format!(r#"{{"version":1,"session":{{"access_token":"{ACCESS}","serial":"{REFRESH}"}}}}"#),
        format!(r#"{{"version":"{ACCESS}"}}"#),
        format!(r#"{{"version":7,"{REFRESH}":1}}"#),
        format!(r#"["{ACCESS}"]"#),
        ACCESS.to_owned(),
    ] {
        std::fs::write(store.path(), text).unwrap();
        shown.error(&store.load().unwrap_err());
        let server = Server::answering("");
        let login = login(client(&server)).store(store.clone());
        shown.error(&login.without_browser().run().unwrap_err());
    }
    shown.check();
}

#[test]
fn nothing_is_shown_by_an_app_or_by_a_backend_that_swaps() {
    let (mut shown, server) = (Shown::new(), echoing());
    for scope in ["good", "bad"] {
        let client = client(&server).secret(CLIENT_SECRET).scopes([scope]);
        let app = ClientCredentials::new(client.clone());
        shown.debug(&app);
        shown.debug(&app.session().unwrap().access_token());
        let client = client.build().unwrap();
        let now = authflow::Timestamp::now();
        let request = ClientCredentialsRequest::new(&client, now).unwrap();
        shown.debug(&request);
        shown.debug(&request.request());
    }
    let swap = TokenSwap::new(server.url("/swap"), server.url("/refresh"));
    shown.debug(&swap);
    let mut pending = login(client(&server).token_swap(swap.with_pkce()))
        .begin("http://127.0.0.1:1/callback")
        .unwrap();
    let address = landed(pending.url().as_str(), &mut shown);
    shown.debug(&pending);
    shown.debug(&pending.snapshot());
    let session = pending.callback(CallbackUrl::new(address)).unwrap();
    shown.debug(&session.refresh());
    for request in server.requests() {
        shown.texts.push(request.line.clone());
        if let Some(verifier) = request.form("code_verifier") {
            shown.secret(verifier);
        }
    }
    shown.check();
}

#[test]
fn nothing_is_shown_by_what_is_pasted() {
    let (mut shown, server) = (Shown::new(), echoing());
    let (show, shows) = channel();
    let login: Login = login(client(&server))
        .on_prompt(move |url| show.send(url.as_str().to_owned()).unwrap())
        .on_ignored(|ignored| log::info!("{ignored} {ignored:?}"));
    let control = login.control();
    shown.debug(&control);
    let run = thread::spawn(move || login.without_browser().run().map(drop));
    let url = shows.recv_timeout(PATIENCE).unwrap();
    let address = landed(&url, &mut shown);
    let damaged = [
        CODE.to_owned(),
        format!("{address}&code={CODE}"),
        format!("https://evil.example/?code={CODE}"),
        address.replace("state=", "state=x"),
    ];
    for pasted in damaged {
        let error: PasteError = control.paste(&pasted).unwrap_err();
        shown.error(&error);
    }
    control.paste(&address).unwrap();
    let result: Result<(), Error> = run.join().unwrap();
    result.unwrap();
    shown.check();
}

// --- every type ----------------------------------------------------------------------------------

/// Of these there is nothing to hide. Whoever adds to them adds a type that has neither texts nor
/// secrets in it.
const HOLD_NO_SECRET: &[(&str, &str)] = &[
    ("driver::browser::NoBrowser", "nothing"),
    ("driver::clock::NoEntropy", "nothing"),
    ("driver::loopback::ListenError", "names"),
    ("driver::pages::Page", "names"),
    ("error::Phase", "names"),
    ("error::WhatNow", "names and a wait"),
    ("flow::Activity", "names and a time"),
    ("flow::State", "names"),
    ("flow::action::Verdict", "names"),
    ("flow::event::TokenSerial", "a number"),
    ("session::store::error::StoreErrorKind", "names"),
    ("testing::answers::Grant", "numbers"),
    ("testing::answers::Lifetime", "numbers"),
    ("testing::person::Answer", "names"),
    ("testing::person::Person", "nothing"),
    ("testing::recorded::Endpoint", "names"),
    ("testing::server::Rotation", "names"),
    ("testing::simulation::flaw::Flaw", "names"),
    ("testing::simulation::plan::Behaviour", "times and names"),
    ("testing::simulation::world::SaveFailed", "nothing"),
    ("time::Timestamp", "a number"),
    ("wire::callback::IgnoredReason", "names"),
    ("wire::http::RequestId", "a number"),
    ("wire::http::TransportErrorKind", "names"),
    ("wire::token_request::ClientAuth", "names"),
];

/// There are no values of it then.
const IS_NOT_BUILT: [(&str, bool); 3] = [
    (
        "session::store::keyring::KeyringStore",
        cfg!(feature = "keyring"),
    ),
    ("session::store::redis::RedisStore", cfg!(feature = "redis")),
    (
        "session::store::redis::pending::RedisPendingLogins",
        cfg!(feature = "redis"),
    ),
];

#[test]
fn every_public_type_is_shown_or_has_nothing_to_hide() {
    let (mut shown, server) = (Shown::new(), echoing());
    let own = || client(&server);
    let configured = showcase::of_the_configuration(&mut shown);
    showcase::of_the_machine(&mut shown, configured);
    showcase::of_the_drivers(&mut shown);
    showcase::of_the_sessions(&mut shown, &server, &own);
    showcase::of_the_stores(&mut shown, &own);
    showcase::of_the_fake_provider(&mut shown);
    let simulated = client(&server).secret(CLIENT_SECRET).build().unwrap();
    showcase::of_the_simulation(&mut shown, simulated);

    let types = public::types();
    assert!(types.len() > 70, "{types:?}");
    let seen: Vec<_> = shown.types.iter().map(|name| public::path(name)).collect();
    for name in types.keys() {
        let mut exempt = HOLD_NO_SECRET.iter().map(|(name, _)| *name);
        let is_exempt =
            exempt.any(|exempt| exempt == name) || IS_NOT_BUILT.contains(&(name, false));
        assert!(
            is_exempt != seen.contains(&name.as_str()),
            "show {name} in tests/support/showcase.rs, with a marker in each secret"
        );
    }
    for (name, why) in HOLD_NO_SECRET {
        let fields = types.get(*name);
        let fields = fields.unwrap_or_else(|| panic!("there is no {name}"));
        for text in ["String", "str", "Secret", "Cow", "Vec", "Box", "Arc", "Url"] {
            let mut words = fields.split(|c: char| !c.is_alphanumeric());
            let is_there = words.any(|word| word == text);
            assert!(!is_there, "{name} has {why}, but also a {text}: show it");
        }
    }
    shown.check();
}
