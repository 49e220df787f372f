//! Reaching a login that waits: cancelling it, pasting an address or a code, and logins without any
//! listener.
#![cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]

mod support;

use std::io::{BufReader, Cursor};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use authflow::session::{Error, PasteError, PendingLogin};
use authflow::testing::{Answer, Endpoint, FakeProvider, Person};
use authflow::{
    CallbackUrl, Cause, ConfigError, IgnoredReason, Login, Session, Snapshot, State, TokenSwap,
    WhatNow, spotify,
};
use support::login::{TestStore, json, logged_in, login, parameter, person};
use support::raw::{PATIENCE, ask, lock, navigation, within};

/// Runs a login in a thread of its own until its URL is there: the URL, and the outcome to come.
fn begun(login: Login) -> (String, impl FnOnce() -> Result<Session, Error>) {
    let (show, shown) = channel();
    let login = login.on_prompt(move |url| show.send(url.as_str().to_owned()).unwrap());
    let run = thread::spawn(move || login.without_browser().run());
    let url = shown.recv_timeout(PATIENCE).unwrap();
    (url, move || within(PATIENCE, move || run.join().unwrap()))
}

/// The address that a browser on another machine ends up at.
fn landed(url: &str, answer: Answer) -> String {
    Person::redirect_for(url, answer).unwrap()
}

fn ignored(result: Result<(), PasteError>) -> IgnoredReason {
    match result {
        Err(PasteError::Ignored(ignored)) => ignored.reason,
        other => panic!("{other:?}"),
    }
}

fn port_of(url: &str) -> u16 {
    let redirect = parameter(url, "redirect_uri");
    url::Url::parse(&redirect).unwrap().port().unwrap()
}

// --- cancelling -----------------------------------------------------------------------------------

fn is_cancelled(result: Result<Session, Error>) {
    let error = result.unwrap_err();
    assert_eq!(error.what_now(), WhatNow::Denied);
    let Error::Login(failure) = error else {
        panic!("{error:?}")
    };
    assert_eq!(failure.cause, Cause::Cancelled);
}

#[test]
fn a_login_is_cancelled_from_another_thread_and_its_port_is_free() {
    let provider = FakeProvider::start().unwrap();
    let login = login(provider.client());
    let control = login.control();
    let (url, outcome) = begun(login);
    control.cancel();
    is_cancelled(outcome());
    std::net::TcpListener::bind(("127.0.0.1", port_of(&url))).unwrap();
    assert!(provider.requests(Endpoint::Token).is_empty());
}

#[test]
fn a_login_that_is_cancelled_before_it_begins_opens_nothing() {
    let provider = FakeProvider::start().unwrap();
    let login = login(provider.client()).opener(|_| panic!("a browser was opened"));
    login.control().cancel();
    is_cancelled(login.run());
}

#[test]
fn a_login_that_is_cancelled_keeps_what_was_stored() {
    let provider = FakeProvider::start().unwrap();
    let (session, store) = logged_in(&provider);
    let kept = store.refresh_token();
    let login = login(provider.client())
        .scopes(["more"])
        .store(store.clone());
    let control = login.control();
    let (_, outcome) = begun(login);
    control.cancel();
    is_cancelled(outcome());
    assert_eq!(store.refresh_token(), kept);
    session.refresh().unwrap();
}

// --- pasting --------------------------------------------------------------------------------------

#[test]
fn a_pasted_address_logs_in_beside_the_listener() {
    let provider = FakeProvider::start().unwrap();
    let login = login(provider.client());
    let control = login.control();
    let (url, outcome) = begun(login);
    let address = landed(&url, Answer::Allow);
    assert_eq!(control.paste(&format!("  {address}\n")), Ok(()));
    assert_eq!(outcome().unwrap().state(), State::Authorized);
    assert_eq!(provider.requests(Endpoint::Token).len(), 1);
    assert_eq!(control.paste(&address), Err(PasteError::NoLogin));
}

/// As a browser's address bar shows it, or as a person quotes it.
#[test]
fn an_address_may_be_pasted_in_quotes_or_without_its_scheme() {
    for around in ["\"A\"", "<A>", " 'A' ", "`A`"] {
        for hides_scheme in [false, true] {
            let provider = FakeProvider::start().unwrap();
            let login = login(provider.client());
            let control = login.control();
            let (url, outcome) = begun(login);
            let mut address = landed(&url, Answer::Allow);
            if hides_scheme {
                address = address.replacen("http://", "", 1);
            }
            assert_eq!(
                control.paste(&around.replace('A', &address)),
                Ok(()),
                "{around}"
            );
            assert!(outcome().is_ok());
        }
    }
}

#[test]
fn a_pasted_refusal_is_one() {
    let provider = FakeProvider::start().unwrap();
    let login = login(provider.client());
    let control = login.control();
    let (url, outcome) = begun(login);
    assert_eq!(control.paste(&landed(&url, Answer::Deny)), Ok(()));
    let error = outcome().unwrap_err();
    assert_eq!(error.what_now(), WhatNow::Denied);
}

#[test]
fn what_is_pasted_wrongly_is_said_and_the_login_goes_on() {
    let provider = FakeProvider::start().unwrap();
    let login = login(provider.client());
    let control = login.control();
    let (url, outcome) = begun(login);
    let address = landed(&url, Answer::Allow);
    let code = parameter(&address, "code");
    let state = parameter(&address, "state");
    let base = address.split('?').next().unwrap();
    let wrong = [
        (code.clone(), IgnoredReason::Nothing),
        (format!("code={code}&state={state}"), IgnoredReason::Nothing),
        (
            format!("?code={code}&state={state}"),
            IgnoredReason::Nothing,
        ),
        ("hello".to_owned(), IgnoredReason::Nothing),
        (format!("{base}?code={code}"), IgnoredReason::StateMissing),
        (
            format!("{base}?code={code}&state=x"),
            IgnoredReason::StateMismatch,
        ),
        (format!("{base}?state={state}"), IgnoredReason::Nothing),
        (url.clone(), IgnoredReason::WrongLocation),
        (
            format!("https://evil.example/callback?code={code}&state={state}"),
            IgnoredReason::WrongLocation,
        ),
        (
            format!("{address}&code=other"),
            IgnoredReason::RepeatedParameter,
        ),
    ];
    for (pasted, reason) in wrong {
        let result = control.paste(&pasted);
        let advice = result.clone().unwrap_err().to_string();
        assert!(
            !advice.contains(&code) && !advice.contains(&state),
            "{advice}"
        );
        assert_eq!(ignored(result), reason, "{pasted}");
    }
    assert!(provider.requests(Endpoint::Token).is_empty());
    control.paste(&address).unwrap();
    outcome().unwrap();
}

#[test]
fn a_bare_code_is_taken_by_the_weaker_call_only() {
    let provider = FakeProvider::start().unwrap();
    let login = login(provider.client());
    let control = login.control();
    let (url, outcome) = begun(login);
    let code = parameter(&landed(&url, Answer::Allow), "code");
    assert_eq!(ignored(control.paste(&code)), IgnoredReason::Nothing);
    assert_eq!(control.paste_bare_code(&code), Ok(()));
    outcome().unwrap();
}

#[test]
fn whoever_pastes_into_a_login_that_was_never_begun_is_told_so() {
    let provider = FakeProvider::start().unwrap();
    let login = login(provider.client());
    let control = login.control();
    let pasting = thread::spawn(move || control.paste("http://127.0.0.1/?code=c"));
    drop(login);
    let told = within(PATIENCE, move || pasting.join().unwrap());
    assert_eq!(told, Err(PasteError::NoLogin));
}

/// The reader brings its lines once the URL is known, as a person does.
struct Typed(std::sync::mpsc::Receiver<Vec<u8>>, Cursor<Vec<u8>>);
impl std::io::Read for Typed {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.1.position() == self.1.get_ref().len() as u64 {
            match self.0.recv() {
                Ok(line) => self.1 = Cursor::new(line),
                Err(_) => return Ok(0),
            }
        }
        self.1.read(into)
    }
}

#[test]
fn lines_are_read_until_one_is_taken() {
    let provider = FakeProvider::start().unwrap();
    let (types, typed) = channel();
    let reader = BufReader::new(Typed(typed, Cursor::default()));
    let (url, outcome) = begun(login(provider.client()).paste_from(reader));
    let address = landed(&url, Answer::Allow);
    let lines = [
        b"\n".to_vec(),
        b"not an address\n".to_vec(),
        b"caf\xe9\n".to_vec(),
        // As one that has no end.
        vec![b'x'; 5 << 20],
        b"\xff and its end\n".to_vec(),
        format!(" {address}\r\n").into_bytes(),
    ];
    for line in lines {
        types.send(line).unwrap();
    }
    outcome().unwrap();
}

#[test]
fn a_line_is_an_address_up_to_the_size_of_a_callback_and_its_end_may_be_missing() {
    let provider = FakeProvider::start().unwrap();
    for length in [(64 << 10) - 1, 64 << 10] {
        let (types, typed) = channel();
        let reader = BufReader::new(Typed(typed, Cursor::default()));
        let (url, outcome) = begun(login(provider.client()).paste_from(reader));
        let address = landed(&url, Answer::Allow);
        let padded = format!("{address}{}", " ".repeat(length - address.len()));
        types.send(padded.into_bytes()).unwrap();
        drop(types);
        outcome().unwrap();
    }
}

#[test]
fn a_reader_without_any_line_changes_nothing() {
    let provider = FakeProvider::start().unwrap();
    let (opener, sight) = person(Answer::Allow);
    let nothing = BufReader::new(std::io::empty());
    let login = login(provider.client()).opener(opener).paste_from(nothing);
    assert_eq!(login.run().unwrap().state(), State::Authorized);
    assert_eq!(sight.page().status(), 200);
}

#[test]
fn the_program_hears_of_callbacks_that_are_ignored() {
    let provider = FakeProvider::start().unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    let login = login(provider.client());
    let login = login.on_ignored(move |ignored| {
        lock(&hears).push((ignored.reason, ignored.error.clone()));
    });
    let control = login.control();
    let (url, outcome) = begun(login);
    let address = format!("127.0.0.1:{}", port_of(&url)).parse().unwrap();
    let forged = navigation(address, "/callback?error=invalid_request");
    assert_eq!(ask(address, forged).unwrap().status(), 400);
    control.cancel();
    is_cancelled(outcome());
    let expected = (
        IgnoredReason::StateMissing,
        Some("invalid_request".to_owned()),
    );
    assert_eq!(*lock(&heard), [expected]);
}

// --- without a listener ---------------------------------------------------------------------------

const REDIRECT: &str = "http://127.0.0.1:1/callback";

fn confidential() -> FakeProvider {
    let provider = FakeProvider::builder().client_secret("the secret");
    provider.start().unwrap()
}

fn pending(provider: &FakeProvider, store: &TestStore) -> PendingLogin {
    login(provider.client())
        .store(store.clone())
        .begin(REDIRECT)
        .unwrap()
}

fn reason(result: Result<Session, Error>) -> IgnoredReason {
    match result {
        Err(Error::CallbackIgnored(ignored)) => ignored.reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_web_backend_sends_the_person_away_and_takes_the_callback() {
    let (provider, store) = (confidential(), TestStore::new());
    let mut pending = pending(&provider, &store);
    assert!(store.history().is_empty(), "nothing to keep yet");
    let address = landed(pending.url().as_str(), Answer::Allow);
    let query = address.split_once('?').unwrap().1;
    let session = pending.callback(CallbackUrl::from_query(query)).unwrap();
    let token = session.access_token().unwrap();
    assert_eq!(
        store.access_token().as_deref(),
        Some(token.secret().expose())
    );
    assert_eq!(provider.requests(Endpoint::Token).len(), 1);
    // Reloading the page does nothing.
    let again = pending.callback(CallbackUrl::from_query(query));
    assert_eq!(reason(again), IgnoredReason::NoLogin);
    assert_eq!(provider.requests(Endpoint::Token).len(), 1);
}

#[test]
fn logins_of_one_client_may_each_ask_for_more_and_wait_for_longer() {
    let provider = confidential();
    let client = provider
        .client()
        .scopes(["read"])
        .authorize_param("prompt", "login");
    let client = Arc::new(client.build().unwrap());
    let begin = |login: Login| login.begin(REDIRECT).unwrap();
    let login = || Login::with_client(Arc::clone(&client));

    let mut plain = begin(login());
    assert_eq!(parameter(plain.url().as_str(), "scope"), "read");
    let more = begin(login().scopes(["write", "read"]));
    assert_eq!(parameter(more.url().as_str(), "scope"), "read write");
    for pending in [&plain, &more] {
        assert_eq!(parameter(pending.url().as_str(), "prompt"), "login");
        assert_eq!(
            parameter(pending.url().as_str(), "code_challenge").len(),
            43
        );
    }
    let late = begin(login().timeout(Duration::ZERO));
    let none = login().resume_pending(late.snapshot());
    assert_eq!(reason(none.map(|_| unreachable!())), IgnoredReason::NoLogin);
    // Without PKCE it stays without, and with a swap so as the swap has it.
    let swap = TokenSwap::new("https://app.example/swap", "https://app.example/refresh");
    for (client, has_challenge) in [
        (provider.client().dangerously_without_pkce(), false),
        (spotify::client("id").token_swap(swap.clone()), false),
        (spotify::client("id").token_swap(swap.with_pkce()), true),
    ] {
        let login = Login::with_client(client.build().unwrap());
        let pending = begin(login.scopes(["more"]).timeout(Duration::from_secs(9)));
        assert_eq!(
            pending.url().as_str().contains("code_challenge"),
            has_challenge
        );
    }
    assert!(matches!(
        login().scopes(["a b"]).begin(REDIRECT),
        Err(Error::Config(ConfigError::Scope(bad))) if bad == "a b"
    ));

    // What anybody makes up changes nothing.
    let before = plain.snapshot().to_json();
    for forged in ["", "code=c&state=wrong", "code=c", "error=access_denied"] {
        let forged = plain.callback(CallbackUrl::from_query(forged));
        assert_eq!(forged.unwrap_err().what_now(), WhatNow::Ignore);
        assert_eq!(plain.snapshot().to_json(), before);
    }
    let address = landed(plain.url().as_str(), Answer::Allow);
    plain.callback(CallbackUrl::new(address)).unwrap();
    assert_eq!(provider.requests(Endpoint::Token).len(), 1);
}

#[test]
fn a_callback_of_somebody_else_does_not_end_the_login() {
    let (provider, store) = (confidential(), TestStore::new());
    let mut own = pending(&provider, &store);
    let others = pending(&provider, &store);
    let address = landed(others.url().as_str(), Answer::Allow);
    let error = own.callback(CallbackUrl::new(address.clone())).unwrap_err();
    assert_eq!(error.what_now(), WhatNow::Ignore);
    let code = parameter(&address, "code");
    assert!(!format!("{error} {error:?} {own:?}").contains(&code));
    let address = landed(own.url().as_str(), Answer::Allow);
    own.callback(CallbackUrl::new(address)).unwrap();
}

#[test]
fn a_person_who_says_no_to_a_web_backend_has_said_no() {
    let (provider, store) = (confidential(), TestStore::new());
    let mut pending = pending(&provider, &store);
    let address = landed(pending.url().as_str(), Answer::Deny);
    let error = pending.callback(CallbackUrl::new(address)).unwrap_err();
    assert_eq!(error.what_now(), WhatNow::Denied);
    assert!(store.history().is_empty());
}

#[test]
fn a_bare_code_ends_a_pending_login_by_the_weaker_call() {
    let provider = FakeProvider::start().unwrap();
    let mut pending = pending(&provider, &TestStore::new());
    let code = parameter(&landed(pending.url().as_str(), Answer::Allow), "code");
    assert!(
        pending
            .callback(CallbackUrl::from_query(&format!("code={code}")))
            .is_err()
    );
    pending.bare_code(&code).unwrap();
}

#[test]
fn another_machine_goes_on_with_a_login() {
    let (provider, store) = (confidential(), TestStore::new());
    let begun = pending(&provider, &store);
    let url = begun.url().as_str().to_owned();
    let json = begun.snapshot().to_json();
    drop(begun);
    let saved = Snapshot::from_json(json.expose().as_bytes()).unwrap();
    let login = login(provider.client()).store(store.clone());
    let mut pending = login.resume_pending(saved).unwrap();
    assert_eq!(pending.url().as_str(), url);
    let address = landed(&url, Answer::Allow);
    pending.callback(CallbackUrl::new(address)).unwrap();
    assert!(store.refresh_token().is_some());
}

#[test]
fn a_pending_login_whose_time_is_over_or_that_is_none_is_refused() {
    let provider = confidential();
    let begun = pending(&provider, &TestStore::new());
    let late = support::login::edited(&begun.snapshot(), |value| {
        value["login"]["deadline"] = 1.into();
    });
    let none = support::login::edited(&begun.snapshot(), |value| {
        value.as_object_mut().unwrap().remove("login");
    });
    assert!(json(&late).get("login").is_some());
    for saved in [late, none] {
        let error = login(provider.client()).resume_pending(saved).unwrap_err();
        assert!(matches!(error, Error::CallbackIgnored(_)), "{error:?}");
    }
}

#[test]
fn a_redirect_uri_that_cannot_work_begins_nothing() {
    let provider = confidential();
    let error = login(provider.client()).begin("http://localhost/callback");
    assert!(matches!(error, Err(Error::Config(_))));
}
