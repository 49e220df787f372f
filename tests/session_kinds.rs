//! Other ways to a session: an app of its own, a backend that swaps, tokens from elsewhere, and what
//! is stored without any browser.
#![cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use authflow::session::{
    ApiRequest, ClientCredentials, Error, FileStore, MemoryStore, Store, StoreError,
    StoreErrorKind, StoreLock,
};
use authflow::testing::{Answer, Endpoint, FakeProvider};
use authflow::{
    ClientBuilder, ConfigError, Misuse, RestoreError, Session, Snapshot, State, Timestamp,
    TokenSet, TokenSwap, WhatNow,
};
use support::login::{
    TestStore, at_once, client_of, edited, ended, expired, hour, json, logged_in, login, number,
    person, saved, server, store_error, text,
};
use support::raw::{PATIENCE, Server, json as answer, response, within};

// --- client credentials ---------------------------------------------------------------------------

fn app(server: &Server) -> ClientBuilder {
    client_of(server).secret("the secret")
}

fn session_of_app(server: &Server) -> Session {
    ClientCredentials::new(app(server)).session().unwrap()
}

/// A token endpoint whose tokens live this long.
fn issuing(expires_in: u64) -> Server {
    let count = AtomicUsize::new(0);
    server(
        move |request| match request.line.starts_with("POST /token ") {
            true => {
                let token = number(&count);
                answer(
                    "200 OK",
                    &format!(
                        r#"{{"access_token":"{token}","token_type":"bearer","expires_in":{expires_in}}}"#
                    ),
                )
            }
            false => match request.header("Authorization") == ["Bearer AT-1"] {
                true => response("401 Unauthorized", "Connection: close\r\n", ""),
                false => answer("200 OK", "{}"),
            },
        },
    )
}

#[test]
fn an_app_gets_a_token_when_it_first_needs_one_and_uses_it_until_its_end() {
    let server = issuing(3600);
    let session = session_of_app(&server);
    assert_eq!(
        (session.state(), server.connections()),
        (State::Unauthorized, 0)
    );
    for _ in 0..3 {
        assert_eq!(text(session.access_token()), "AT-1");
    }
    assert_eq!(server.requests().len(), 1);
    assert_eq!(
        server.requests()[0].form("grant_type").unwrap(),
        "client_credentials"
    );
    assert_eq!(session.state(), State::Authorized);
    assert_eq!(text(session.refresh()), "AT-2");
}

#[test]
fn many_threads_of_an_app_cause_one_request() {
    let server = issuing(3600);
    let session = session_of_app(&server);
    let all = at_once(32, &session, |session| text(session.access_token()));
    assert_eq!(all, ["AT-1"; 32]);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn an_apps_token_that_the_api_rejects_is_replaced_once() {
    let server = issuing(3600);
    let session = session_of_app(&server);
    let call = ApiRequest::post(server.url("/v1/things")).json(&[1]);
    assert_eq!(session.call(&call).unwrap().status(), 200);
    let lines: Vec<_> = server.requests().into_iter().map(|it| it.line).collect();
    let expected = [
        "POST /token",
        "POST /v1/things",
        "POST /token",
        "POST /v1/things",
    ];
    assert_eq!(lines, expected.map(|line| format!("{line} HTTP/1.1")));
}

#[test]
fn a_server_whose_tokens_end_at_once_is_not_stormed_by_an_app() {
    let server = issuing(1);
    let session = session_of_app(&server);
    for _ in 0..50 {
        let _ = session.access_token();
    }
    assert!(server.requests().len() <= 5, "{}", server.requests().len());
}

#[test]
fn an_app_that_is_refused_is_told_what_now_and_asks_no_more_for_a_moment() {
    let server = server(|_| answer("401 Unauthorized", r#"{"error":"invalid_client"}"#));
    let session = session_of_app(&server);
    for _ in 0..20 {
        let error = session.access_token().unwrap_err();
        assert_eq!(error.what_now(), WhatNow::Configuration, "{error}");
        assert!(error.to_string().contains("invalid_client"), "{error}");
    }
    assert!(server.requests().len() <= 5);
    // But at once if it is told to.
    let before = server.requests().len();
    assert!(session.refresh().is_err());
    assert_eq!(server.requests().len(), before + 1);
}

#[test]
fn a_wait_that_the_server_asks_an_app_for_is_reported_and_kept_but_not_slept() {
    let server = server(|_| {
        response(
            "429 Slow",
            "Retry-After: 79892\r\nConnection: close\r\n",
            "",
        )
    });
    let session = session_of_app(&server);
    for _ in 0..5 {
        let after = Some(Duration::from_secs(79_892));
        let error = session.access_token().unwrap_err();
        assert_eq!(error.what_now(), WhatNow::Retry { after });
    }
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn two_processes_of_an_app_ask_for_one_token_between_them() {
    let server = issuing(3600);
    let store = Arc::new(MemoryStore::new());
    let session = || ClientCredentials::new(app(&server)).store(store.clone());
    let (first, second) = (session().session().unwrap(), session().session().unwrap());
    assert_eq!(text(first.access_token()), "AT-1");
    assert_eq!(text(second.access_token()), "AT-1");
    assert_eq!(text(session().session().unwrap().access_token()), "AT-1");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn an_app_and_a_person_do_not_take_each_others_tokens() {
    let server = issuing(3600);
    let (persons, apps) = (TestStore::new(), TestStore::new());
    let app = |store: &TestStore| ClientCredentials::new(app(&server)).store(store.clone());
    let person = |store: &TestStore| login(client_of(&server)).store(store.clone());
    let others = StoreErrorKind::Unreadable(RestoreError::OtherClient);
    let is_refused = |error: Error| matches!(error, Error::Store(error) if error.kind() == others);
    person(&persons).adopt(hour()).unwrap();
    assert!(is_refused(app(&persons).session().unwrap_err()));
    let running = app(&apps).session().unwrap();
    running.access_token().unwrap();
    assert!(is_refused(person(&apps).run().unwrap_err()));
    apps.put(persons.last());
    assert!(is_refused(running.refresh().unwrap_err()));
}

#[test]
fn an_app_without_a_secret_is_refused_before_anything_is_sent() {
    let server = issuing(3600);
    let error = ClientCredentials::new(client_of(&server))
        .session()
        .unwrap_err();
    assert!(matches!(error, Error::Config(ConfigError::SecretMissing)));
    assert_eq!(server.connections(), 0);
}

#[test]
fn an_apps_session_works_against_the_fake_provider() {
    let provider = FakeProvider::builder()
        .client_secret("s3cret")
        .start()
        .unwrap();
    let session = ClientCredentials::new(provider.client()).session().unwrap();
    let first = text(session.access_token());
    assert_ne!(text(session.refresh()), first);
    assert_eq!(provider.requests(Endpoint::Token).len(), 2);
}

// --- token swap -----------------------------------------------------------------------------------

/// A backend that hands out handles, and notes what it was asked.
fn backend() -> Server {
    let count = AtomicUsize::new(0);
    server(move |request| match request.line.as_str() {
        "POST /swap HTTP/1.1" | "POST /refresh HTTP/1.1" => {
            let token = number(&count);
            answer(
                "200 OK",
                &format!(
                    r#"{{"access_token":"{token}","expires_in":"3600","refresh_token":"handle-{token}"}}"#
                ),
            )
        }
        _ => response("404 Not Found", "Connection: close\r\n", ""),
    })
}

#[test]
fn a_session_lives_on_a_backend_that_swaps() {
    let (provider, backend) = (FakeProvider::start().unwrap(), backend());
    let swap = TokenSwap::new(backend.url("/swap"), backend.url("/refresh"));
    let (opener, sight) = person(Answer::Allow);
    let store = TestStore::new();
    let client = || provider.client().token_swap(swap.clone().with_pkce());
    let session = login(client())
        .store(store.clone())
        .opener(opener)
        .run()
        .unwrap();
    sight.page();
    assert_eq!(text(session.access_token()), "AT-1");
    assert_eq!(text(session.refresh()), "AT-2");
    let bodies: Vec<_> = backend.requests().into_iter().map(|it| it.body).collect();
    assert_eq!(bodies[1], "refresh_token=handle-AT-1");
    assert!(
        provider.requests(Endpoint::Token).is_empty(),
        "the provider was not asked from here"
    );
    // Tomorrow, and refreshed by the backend without being told to.
    let tomorrow = TestStore::with(expired(&store.last()));
    let session = login(client())
        .store(tomorrow)
        .without_browser()
        .run()
        .unwrap();
    assert_eq!(text(session.access_token()), "AT-3");
}

// --- tokens from elsewhere --------------------------------------------------------------------------

#[test]
fn tokens_of_another_library_are_taken_and_refreshed() {
    let server = issuing(3600);
    let store = TestStore::new();
    let session = login(client_of(&server))
        .store(store.clone())
        .adopt(ended())
        .unwrap();
    assert_eq!(store.refresh_token().as_deref(), Some("RT-0"));
    assert_eq!(text(session.access_token()), "AT-1");
    assert_eq!(store.access_token().as_deref(), Some("AT-1"));
}

#[test]
fn tokens_that_are_none_or_cannot_be_stored_are_not_taken() {
    let server = issuing(3600);
    let login = |store: &TestStore| login(client_of(&server)).store(store.clone());
    let store = TestStore::new();
    let error = login(&store).adopt(TokenSet::new("")).unwrap_err();
    assert!(matches!(error, Error::Misuse(Misuse::InvalidToken)));
    store.fail();
    let error = login(&store).adopt(hour()).unwrap_err();
    assert!(matches!(error, Error::NotSaved { .. }));
}

// --- what is stored -------------------------------------------------------------------------------

#[test]
fn what_is_stored_is_resumed_without_a_browser_or_not_at_all() {
    let provider = FakeProvider::start().unwrap();
    let (_, store) = logged_in(&provider);
    let resume = |store: &TestStore| {
        let login = login(provider.client()).store(store.clone());
        login.opener(|_| panic!("a browser was opened")).resume()
    };
    assert!(resume(&store).unwrap().is_some());
    let stale = TestStore::with(expired(&store.last()));
    assert!(resume(&stale).unwrap().is_some(), "refreshed");
    assert!(resume(&TestStore::new()).unwrap().is_none());
    provider.revoke_refresh_tokens();
    let dead = TestStore::with(expired(&store.last()));
    assert!(resume(&dead).unwrap().is_none());
    let more = login(provider.client())
        .scopes(["more"])
        .store(store.clone());
    assert!(
        more.resume().unwrap().is_none(),
        "scopes are wanted that were not granted"
    );
}

#[test]
fn what_is_stored_and_unusable_is_replaced_by_a_login_that_worked_and_by_no_other() {
    let provider = FakeProvider::start().unwrap();
    let (_, store) = logged_in(&provider);
    let other = edited(&store.last(), |value| value["client_id"] = "another".into());
    let store = TestStore::with(other.clone());
    let login = || login(provider.client()).store(store.clone());
    let error = login().without_browser().run().unwrap_err();
    let Error::Store(unusable) = &error else {
        panic!("{error:?}")
    };
    let kind = StoreErrorKind::Unreadable(RestoreError::OtherClient);
    assert_eq!(
        (unusable.kind(), error.what_now()),
        (kind, WhatNow::Configuration)
    );
    let (opener, _sight) = person(Answer::Deny);
    assert!(login().ignore_stored().opener(opener).run().is_err());
    assert_eq!(store.last(), other);
    let (opener, _sight) = person(Answer::Allow);
    let session = login().ignore_stored().opener(opener).run().unwrap();
    assert_eq!(store.access_token(), Some(text(session.access_token())));
}

#[test]
fn what_replaces_something_unusable_is_saved_as_soon_as_it_can_be() {
    let directory = std::env::temp_dir().join(format!("authflow-kinds-{}", std::process::id()));
    let store = FileStore::at(directory.join("login.json"));
    drop(store.lock(PATIENCE).unwrap());
    std::fs::write(store.path(), "damaged").unwrap();
    let provider = FakeProvider::start().unwrap();
    let (opener, _sight) = person(Answer::Allow);
    let failing = FailsOnce(store.clone(), AtomicBool::new(true));
    let login = login(provider.client()).store(failing).ignore_stored();
    let Err(Error::NotSaved { session, .. }) = login.opener(opener).run() else {
        panic!("it was saved")
    };
    session.access_token().unwrap();
    let kept = store.load().unwrap();
    std::fs::remove_dir_all(directory).unwrap();
    assert!(kept.unwrap().has_session());
}

/// A disk that is full once.
struct FailsOnce(FileStore, AtomicBool);

impl Store for FailsOnce {
    fn load(&self) -> Result<Option<Snapshot>, StoreError> {
        self.0.load()
    }

    fn save(&self, snapshot: &Snapshot, lock: &StoreLock) -> Result<(), StoreError> {
        match self.1.swap(false, Ordering::SeqCst) {
            true => Err(store_error("the disk is full")),
            false => self.0.save(snapshot, lock),
        }
    }

    fn lock(&self, timeout: Duration) -> Result<StoreLock, StoreError> {
        self.0.lock(timeout)
    }
}

#[test]
fn a_new_login_is_not_lost_to_what_another_process_saves_meanwhile() {
    let provider = FakeProvider::start().unwrap();
    let (old, store) = logged_in(&provider);
    let mut is_first = true;
    store.rule(move |_, snapshot| {
        let is_new = json(snapshot)["session"]["scopes"] == "more";
        match is_new && std::mem::take(&mut is_first) {
            true => Err(store_error("the disk is full")),
            false => Ok(()),
        }
    });
    let (opener, _sight) = person(Answer::Allow);
    let login = login(provider.client())
        .scopes(["more"])
        .store(store.clone());
    let Err(Error::NotSaved { session, .. }) = login.opener(opener).run() else {
        panic!("it was saved")
    };
    old.refresh().unwrap();
    let token = session.access_token().unwrap();
    assert!(token.scopes().contains("more"));
    assert_eq!(
        store.access_token().as_deref(),
        Some(token.secret().expose())
    );
    assert_eq!(
        text(old.refresh()),
        text(session.access_token()),
        "and the other takes it over"
    );
}

#[test]
fn a_store_that_is_busy_does_not_keep_a_good_token_back() {
    let server = issuing(3600);
    let store = Arc::new(MemoryStore::new());
    // Due for a refresh, but good for half a minute more.
    let now = Timestamp::now();
    let tokens = TokenSet::new("AT-0").refresh_token("RT-0");
    let tokens = tokens.expires_at(now.saturating_add(Duration::from_secs(30)));
    let before = now.saturating_sub(Duration::from_secs(3600));
    let kept = saved(client_of(&server), tokens, before);
    let lock = store.lock(Duration::ZERO).unwrap();
    store.save(&kept, &lock).unwrap();
    let login = login(client_of(&server)).store(store.clone());
    within(PATIENCE, move || {
        let session = login.without_browser().run().unwrap();
        assert_eq!(text(session.access_token()), "AT-0");
        drop(lock);
        assert_eq!(text(session.access_token()), "AT-1");
    });
}
