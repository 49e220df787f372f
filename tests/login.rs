//! A whole login, from nothing to a session: the person, the browser, the exchange, the store.
#![cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]

mod support;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use authflow::loopback::{BindError, Pages};
use authflow::session::{Error, MemoryStore, Store as _, StoreError, StoreErrorKind, StoreLock};
use authflow::testing::{Answer, Endpoint, FakeProvider, Fault, Person, RecordedRequest, Rotation};
use authflow::{
    AuthFlow, Cause, Client, ClientAuth, ClientBuilder, ConfigError, Event, Failure, Login,
    LoginSecrets, Phase, Provider, RestoreError, Scopes, Session, State, Timestamp,
    TransportErrorKind, WhatNow,
};
use support::login::{
    TestStore, counter, edited, expired, hour, json, logged_in, login, parameter, person,
    person_after, saved, store_error,
};
use support::raw::{PATIENCE, ask, lock, navigation, within};

fn failure(result: Result<Session, Error>) -> Failure {
    match result.unwrap_err() {
        Error::Login(failure) => *failure,
        other => panic!("{other:?}"),
    }
}

/// A port below those that systems hand out, so that nobody takes it between two uses.
fn fixed_port() -> u16 {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let process = std::process::id() as usize % 500;
    loop {
        let port = 11_000 + process * 20 + NEXT.fetch_add(1, Ordering::SeqCst);
        let port = u16::try_from(port).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

// --- the person ----------------------------------------------------------------------------------

#[test]
fn a_person_who_agrees_is_logged_in_and_sees_it() {
    let provider = FakeProvider::start().unwrap();
    let (opener, sight) = person(Answer::Allow);
    let session = login(provider.client())
        .scopes(["user-read-email"])
        .opener(opener)
        .run()
        .unwrap();
    let page = sight.page();
    assert_eq!(page.status(), 200);
    assert!(page.body().contains("You are logged in"));
    assert_eq!(session.state(), State::Authorized);
    let token = session.access_token().unwrap();
    assert!(token.scopes().contains("user-read-email"));
    let me = session.get(&provider.me_url()).unwrap();
    let me: serde_json::Value = me.read_json().unwrap();
    assert_eq!(me["email"], "alice@example.com");
    assert_eq!(provider.requests(Endpoint::Token).len(), 1);
}

#[test]
fn success_is_shown_only_once_the_tokens_are_there_and_saved() {
    let provider = Arc::new(FakeProvider::start().unwrap());
    provider.fault(Endpoint::Token, Fault::Slow(Duration::from_millis(300)));
    let store = TestStore::new();
    let seen = Arc::new(Mutex::new(None));
    let (inside, at_provider, saved) = (seen.clone(), provider.clone(), store.clone());
    let session = login(provider.client())
        .store(store.clone())
        .opener(move |url| {
            let url = url.as_str().to_owned();
            thread::spawn(move || {
                let page = Person::allow(&url).unwrap();
                let answered = at_provider.requests(Endpoint::Token)[0].status();
                *lock(&inside) = Some((page, answered, saved.last().has_session()));
            });
        })
        .run()
        .unwrap();
    support::raw::eventually(|| lock(&seen).is_some());
    let (page, answered, saved) = lock(&seen).take().unwrap();
    assert!(page.body().contains("You are logged in"));
    assert_eq!(answered, Some(200));
    assert!(saved);
    drop(session);
}

#[test]
fn a_person_who_says_no_is_told_so_and_so_is_the_program() {
    let provider = FakeProvider::start().unwrap();
    let store = TestStore::new();
    let (opener, sight) = person(Answer::Deny);
    let login = login(provider.client()).store(store.clone());
    let failure = failure(login.opener(opener).run());
    assert_eq!(failure.phase, Phase::Authorization);
    assert!(matches!(&failure.cause, Cause::Denied(error) if error.code == "access_denied"));
    assert_eq!(failure.what_now(), WhatNow::Denied);
    assert!(sight.page().body().contains("You are not logged in"));
    assert!(provider.requests(Endpoint::Token).is_empty());
    assert_eq!(json(&store.last()).get("login"), None);
}

#[test]
fn if_nobody_comes_the_login_ends_in_time_and_the_port_is_free() {
    let provider = FakeProvider::start().unwrap();
    let port = fixed_port();
    let start = Instant::now();
    let login = Login::new(provider.client())
        .on_prompt(|_| ())
        .without_browser()
        .port(port)
        .timeout(Duration::from_secs(1));
    let failure = failure(login.run());
    // To the millisecond, and by another clock.
    assert!(start.elapsed() >= Duration::from_millis(900));
    assert!(start.elapsed() < PATIENCE);
    assert_eq!(failure.cause, Cause::TimedOut);
    assert_eq!(failure.phase, Phase::Authorization);
    assert!(TcpListener::bind(("127.0.0.1", port)).is_ok());
}

#[test]
fn forged_callbacks_do_not_end_a_login() {
    let provider = FakeProvider::start().unwrap();
    let (opener, sight) = person_after(Answer::Allow, |url| {
        let redirect_uri = parameter(url, "redirect_uri");
        let state = parameter(url, "state");
        let forged = [
            "?code=forged&state=forged".to_owned(),
            "?code=forged".to_owned(),
            "?error=access_denied".to_owned(),
            "?error=access_denied&state=forged".to_owned(),
            format!("?state={state}"),
            format!("?code=1&code=2&state={state}"),
            format!("?code=1&error=2&state={state}"),
            format!("?code=1&state={state}&state={state}"),
            "?code=%zz".to_owned(),
            String::new(),
        ];
        for query in forged {
            let page = Person::open(&format!("{redirect_uri}{query}")).unwrap();
            assert_eq!(page.status(), 400, "{query}");
            assert!(page.body().contains("Not this login"));
        }
        // An attacker's page in another tab.
        let address = redirect_uri.strip_prefix("http://").unwrap();
        let address = address.strip_suffix("/callback").unwrap().parse().unwrap();
        let preflight = navigation(address, &format!("/callback?code=1&state={state}"));
        let reply = ask(address, preflight.replacen("GET", "OPTIONS", 1));
        assert_eq!(reply.unwrap().status(), 405);
    });
    let session = login(provider.client()).opener(opener).run().unwrap();
    assert!(sight.page().body().contains("You are logged in"));
    assert_eq!(session.state(), State::Authorized);
    assert_eq!(provider.requests(Endpoint::Token).len(), 1);
}

#[test]
fn a_second_callback_of_the_same_login_changes_nothing() {
    let provider = FakeProvider::start().unwrap();
    provider.fault(Endpoint::Token, Fault::Slow(Duration::from_millis(800)));
    let (sees, sight) = std::sync::mpsc::channel();
    let session = login(provider.client())
        .opener(move |url| {
            let back = Person::redirect_for(url.as_str(), Answer::Allow).unwrap();
            for _ in 0..2 {
                let (back, sees) = (back.clone(), sees.clone());
                thread::spawn(move || sees.send(Person::open(&back).unwrap().status()));
            }
        })
        .run()
        .unwrap();
    let mut statuses = [0; 2].map(|_| sight.recv_timeout(PATIENCE).unwrap());
    statuses.sort_unstable();
    // The page of the one that was first, and a refusal at the end of the listener.
    assert_eq!(statuses, [200, 410]);
    assert_eq!(provider.requests(Endpoint::Token).len(), 1);
    assert_eq!(session.state(), State::Authorized);
}

#[test]
fn an_opener_that_does_nothing_leaves_the_url_on_the_screen() {
    let provider = FakeProvider::start().unwrap();
    let (show, sight) = person(Answer::Allow);
    let session = Login::new(provider.client())
        .without_browser()
        .on_prompt(show)
        .timeout(PATIENCE)
        .run()
        .unwrap();
    assert_eq!(sight.page().status(), 200);
    assert_eq!(session.state(), State::Authorized);
}

#[test]
fn the_url_is_shown_before_it_is_opened() {
    let provider = FakeProvider::start().unwrap();
    let shown = Arc::new(Mutex::new(Vec::new()));
    let (open, sight) = person(Answer::Allow);
    let (one, other) = (shown.clone(), shown.clone());
    Login::new(provider.client())
        .on_prompt(move |url| lock(&one).push(("shown", url.as_str().to_owned())))
        .opener(move |url| {
            lock(&other).push(("opened", url.as_str().to_owned()));
            open(url);
        })
        .timeout(PATIENCE)
        .run()
        .unwrap();
    sight.page();
    let shown = lock(&shown);
    assert_eq!(shown.len(), 2);
    assert_eq!((shown[0].0, shown[1].0), ("shown", "opened"));
    assert_eq!(shown[0].1, shown[1].1);
    assert!(shown[0].1.starts_with(&provider.authorization_endpoint()));
}

#[test]
fn the_programs_own_page_is_shown() {
    let provider = FakeProvider::start().unwrap();
    let (opener, sight) = person(Answer::Allow);
    login(provider.client())
        .pages(Pages::new().success("<h1>Welcome to my-app"))
        .opener(opener)
        .run()
        .unwrap();
    assert!(sight.page().body().starts_with("<h1>Welcome to my-app"));
}

// --- before the browser --------------------------------------------------------------------------

#[test]
fn a_configuration_that_cannot_work_opens_no_browser() {
    let provider = FakeProvider::start().unwrap();
    let of = |token_endpoint: &str| {
        let provider = Provider::new("https://as.example/authorize", token_endpoint);
        Client::builder(provider, "client")
    };
    let logins = [
        login(of("http://as.example/token")),
        login(of("http://localhost:8888/token")),
        login(of("as.example/token")),
        login(Client::builder(provider.provider(), "")),
        login(provider.client()).scopes(["two scopes"]),
        login(provider.client().authorize_param("state", "mine")),
    ];
    for login in logins {
        let (opener, opened) = counter();
        let error = login.opener(opener).run().unwrap_err();
        assert!(matches!(error, Error::Config(_)), "{error:?}");
        assert_eq!(error.what_now(), WhatNow::Configuration);
        assert_eq!(opened.load(Ordering::SeqCst), 0);
    }
    assert!(matches!(
        provider
            .client()
            .build()
            .unwrap()
            .redirect_uri("http://localhost:8888/callback"),
        Err(ConfigError::RedirectUri { .. })
    ));
}

#[test]
fn a_path_that_is_none_opens_no_browser() {
    let provider = FakeProvider::start().unwrap();
    let (opener, opened) = counter();
    let login = login(provider.client()).path("callback").opener(opener);
    let error = login.run().unwrap_err();
    assert!(matches!(error, Error::Bind(BindError::Path)));
    assert_eq!(opened.load(Ordering::SeqCst), 0);
}

#[test]
fn a_port_that_is_taken_opens_no_browser_and_is_named() {
    let provider = FakeProvider::start().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let (opener, opened) = counter();
    let login = login(provider.client()).port(address.port());
    let error = login.opener(opener).run().unwrap_err();
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    assert_eq!(error.what_now(), WhatNow::Configuration);
    assert_eq!(opened.load(Ordering::SeqCst), 0);
}

/// A client whose provider knows the redirect URI under the name `localhost`.
fn of_localhost(port: u16) -> (FakeProvider, ClientBuilder) {
    let provider = FakeProvider::builder()
        .redirect_uris([format!("http://localhost:{port}/callback")])
        .start()
        .unwrap();
    let rules = provider.provider().localhost_redirects();
    let client = Client::builder(rules, provider.client_id());
    (provider, client)
}

#[test]
fn a_login_at_localhost_is_reached_at_either_address() {
    let port = fixed_port();
    let host = format!("localhost:{port}");
    let mut addresses = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
    if TcpListener::bind("[::1]:0").is_ok() {
        addresses.push((Ipv6Addr::LOCALHOST, port).into());
    }
    for address in addresses {
        let (provider, client) = of_localhost(port);
        let (sees, sight) = std::sync::mpsc::channel();
        let host = host.clone();
        let session = login(client)
            .localhost()
            .port(port)
            .opener(move |url| {
                let back = Person::redirect_for(url.as_str(), Answer::Allow).unwrap();
                let target = back.strip_prefix(&format!("http://{host}")).unwrap();
                let request = navigation(host, target);
                thread::spawn(move || sees.send(ask(address, request).unwrap()));
            })
            .run()
            .unwrap();
        let page = sight.recv_timeout(PATIENCE).unwrap();
        assert_eq!(page.status(), 200);
        assert!(page.body.contains("You are logged in"));
        assert_eq!(session.state(), State::Authorized);
        assert_eq!(provider.requests(Endpoint::Token).len(), 1);
    }
    // And as a browser finds it.
    let (_provider, client) = of_localhost(port);
    let (opener, sight) = person(Answer::Allow);
    let login = login(client).localhost().port(port).opener(opener);
    login.run().unwrap();
    assert_eq!(sight.page().status(), 200);
}

#[test]
fn localhost_is_refused_before_anything_is_bound_where_the_provider_takes_it_not() {
    let provider = FakeProvider::start().unwrap();
    // Were it bound, this would be the error.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let (opener, opened) = counter();
    let login = login(provider.client()).localhost().port(port);
    let error = login.opener(opener).run().unwrap_err();
    assert!(
        matches!(error, Error::Config(ConfigError::RedirectUri { .. })),
        "{error:?}"
    );
    assert!(error.to_string().contains("write 127.0.0.1"), "{error}");
    assert_eq!(opened.load(Ordering::SeqCst), 0);
}

// --- several logins ------------------------------------------------------------------------------

#[test]
fn two_logins_at_once_do_not_meet() {
    let provider = Arc::new(FakeProvider::start().unwrap());
    let logins: Vec<_> = (0..2)
        .map(|_| {
            let provider = provider.clone();
            thread::spawn(move || logged_in(&provider).0)
        })
        .collect();
    let tokens: Vec<_> = logins
        .into_iter()
        .map(|login| login.join().unwrap().access_token().unwrap())
        .collect();
    assert_ne!(tokens[0].secret(), tokens[1].secret());
    assert_eq!(provider.requests(Endpoint::Token).len(), 2);
}

#[test]
fn logins_follow_each_other_on_one_port() {
    let provider = FakeProvider::start().unwrap();
    let port = fixed_port();
    for round in 0..10 {
        let (opener, sight) = person([Answer::Allow, Answer::Deny][round % 2]);
        let result = login(provider.client()).port(port).opener(opener).run();
        assert_eq!(result.is_ok(), round % 2 == 0, "{result:?}");
        assert_eq!(sight.page().status(), 200);
    }
}

// --- the exchange --------------------------------------------------------------------------------

/// A login whose exchange fails like this.
fn fails(fault: Fault) -> Failure {
    let shown = format!("{fault:?}");
    let provider = FakeProvider::start().unwrap();
    // Never again, should the code be sent a second time.
    provider.fault_for_next(Endpoint::Token, usize::MAX, fault);
    let store = TestStore::new();
    let (opener, sight) = person(Answer::Allow);
    let login = login(provider.client()).store(store.clone());
    let failure = failure(login.opener(opener).run());
    assert_eq!(failure.phase, Phase::Exchange, "{shown}");
    let page = sight.page();
    assert!(page.body().contains("The login failed"), "{shown}");
    assert_eq!(
        provider.requests(Endpoint::Token).len(),
        1,
        "{shown}: sent again"
    );
    assert!(!store.last().has_session(), "{shown}");
    failure
}

fn retry(seconds: Option<u64>) -> WhatNow {
    WhatNow::Retry {
        after: seconds.map(Duration::from_secs),
    }
}

#[test]
fn an_exchange_without_a_sensible_answer_is_a_failure_and_is_not_repeated() {
    for fault in [
        Fault::Unavailable,
        Fault::Html { status: 200 },
        Fault::Html { status: 500 },
        Fault::Empty { status: 200 },
        Fault::Empty { status: 502 },
        Fault::TruncatedJson,
    ] {
        let shown = format!("{fault:?}");
        let failure = fails(fault);
        assert_eq!(failure.what_now(), retry(None), "{shown}");
        assert!(
            matches!(failure.cause, Cause::Http(_) | Cause::Unreadable(_)),
            "{shown}"
        );
    }
}

#[test]
fn an_exchange_without_any_answer_is_a_failure_and_is_not_repeated() {
    for (fault, kind) in [
        (Fault::DropBefore, TransportErrorKind::Closed),
        (Fault::DropAfter, TransportErrorKind::Closed),
        (
            Fault::Endless { bytes: 8 << 20 },
            TransportErrorKind::TooLarge,
        ),
    ] {
        let failure = fails(fault);
        assert_eq!(failure.what_now(), retry(None));
        let Cause::Transport(error) = failure.cause else {
            panic!("{failure:?}")
        };
        assert_eq!(error.kind, kind);
        assert!(error.may_have_been_sent);
    }
}

#[test]
fn an_exchange_that_is_put_off_says_for_how_long() {
    let failure = fails(Fault::TooManyRequests {
        retry_after: "79892".into(),
    });
    assert_eq!(failure.what_now(), retry(Some(79_892)));
    assert_eq!(failure.status(), Some(429));
}

#[test]
fn an_exchange_that_is_sent_elsewhere_is_a_matter_of_configuration() {
    let elsewhere = support::raw::Server::answering(support::raw::tokens("stolen", None));
    for status in [302, 307] {
        let failure = fails(Fault::Redirect {
            status,
            location: elsewhere.url("/token"),
        });
        assert_eq!(failure.what_now(), WhatNow::Configuration);
        assert_eq!(failure.status(), Some(status));
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[test]
fn an_oauth_error_of_the_exchange_is_handed_over_verbatim() {
    for (code, what_now) in [
        ("invalid_grant", WhatNow::SignIn),
        ("invalid_client", WhatNow::Configuration),
        ("temporarily_unavailable", retry(None)),
    ] {
        let failure = fails(Fault::Custom {
            status: 400,
            headers: Vec::new(),
            body: format!(r#"{{"error":"{code}","error_description":"why"}}"#).into(),
        });
        assert_eq!(failure.what_now(), what_now);
        let error = failure.oauth_error().unwrap();
        assert_eq!(error.code, code);
        assert_eq!(error.description.as_deref(), Some("why"));
    }
}

#[test]
fn a_client_with_a_secret_shows_it_in_the_way_it_was_told_to() {
    let provider = FakeProvider::builder()
        .client_secret("s3cret: with % and +")
        .start()
        .unwrap();
    for (auth, in_header) in [(ClientAuth::Basic, true), (ClientAuth::Body, false)] {
        provider.clear_requests(Endpoint::Token);
        let (opener, sight) = person(Answer::Allow);
        let session = login(provider.client().auth(auth)).opener(opener).run();
        sight.page();
        session.unwrap().refresh().unwrap();
        let requests = provider.requests(Endpoint::Token);
        assert_eq!(requests.len(), 2);
        for request in requests {
            assert_eq!(request.has_authorization(), in_header);
            assert_eq!(request.parameter("client_secret").is_some(), !in_header);
        }
    }
}

// --- the store -----------------------------------------------------------------------------------

/// A login with this store at which nobody may be asked.
fn silently(provider: &FakeProvider, store: &TestStore) -> Result<Session, Error> {
    let (opener, opened) = counter();
    let result = login(provider.client())
        .store(store.clone())
        .opener(opener)
        .run();
    assert_eq!(opened.load(Ordering::SeqCst), 0, "a browser was opened");
    result
}

#[test]
fn a_stored_login_that_still_works_asks_nobody() {
    let provider = FakeProvider::start().unwrap();
    let (first, store) = logged_in(&provider);
    let token = first.access_token().unwrap();
    let attempts = store.attempts();
    let again = silently(&provider, &store).unwrap();
    assert_eq!(again.access_token().unwrap().secret(), token.secret());
    assert_eq!(provider.requests(Endpoint::Token).len(), 1);
    assert_eq!(store.attempts(), attempts, "nothing has changed");
    // The crate's own store does as well.
    let memory = Arc::new(MemoryStore::new());
    let lock = memory.lock(Duration::ZERO).unwrap();
    memory.save(&store.last(), &lock).unwrap();
    drop(lock);
    let (opener, opened) = counter();
    let login = login(provider.client()).store(memory).opener(opener);
    assert_eq!(login.run().unwrap().state(), State::Authorized);
    assert_eq!(opened.load(Ordering::SeqCst), 0);
}

#[test]
fn a_stored_login_that_has_expired_is_refreshed_without_a_word() {
    let provider = FakeProvider::start().unwrap();
    let (_, store) = logged_in(&provider);
    let store = TestStore::with(expired(&store.last()));
    let session = silently(&provider, &store).unwrap();
    let token = session.access_token().unwrap();
    let requests = provider.requests(Endpoint::Token);
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].grant_type(), Some("refresh_token"));
    assert_eq!(
        store.access_token().as_deref(),
        Some(token.secret().expose())
    );
}

#[test]
fn a_stored_login_that_the_server_refuses_in_words_of_its_own_asks_again() {
    let provider = FakeProvider::start().unwrap();
    let (_, store) = logged_in(&provider);
    let stored = expired(&store.last());
    let fault = |body: &str| Fault::Custom {
        status: 400,
        headers: Vec::new(),
        body: body.into(),
    };
    provider.fault(Endpoint::Token, fault(r#"{"error":"grant_gone"}"#));
    let store = TestStore::with(stored.clone());
    let (opener, sight) = person(Answer::Allow);
    let again = login(provider.client()).store(store.clone()).opener(opener);
    again.run().unwrap();
    drop(sight);
    assert_eq!(
        provider.requests(Endpoint::Token).len(),
        3,
        "and it was exchanged"
    );
    // A fault of the configuration is not the person's to mend.
    provider.fault(Endpoint::Token, fault(r#"{"error":"invalid_client"}"#));
    let store = TestStore::with(stored);
    let error = silently(&provider, &store).unwrap_err();
    assert_eq!(error.what_now(), WhatNow::Configuration);
}

#[test]
fn a_stored_login_of_fewer_scopes_asks_again_and_is_kept_if_the_answer_is_no() {
    let provider = FakeProvider::start().unwrap();
    let (_, store) = logged_in(&provider);
    let old = store.refresh_token();
    let more = |answer| {
        let (opener, sight) = person(answer);
        let login = login(provider.client()).scopes(["user-read-email"]);
        let result = login.store(store.clone()).opener(opener).run();
        (result, sight.page())
    };
    let (refused, page) = more(Answer::Deny);
    assert_eq!(failure(refused).what_now(), WhatNow::Denied);
    assert!(page.body().contains("You are not logged in"));
    assert_eq!(store.refresh_token(), old);

    let (granted, page) = more(Answer::Allow);
    let token = granted.unwrap().access_token().unwrap();
    assert!(page.body().contains("You are logged in"));
    assert!(token.scopes().contains("user-read-email"));
    assert_ne!(store.refresh_token(), old);
}

#[test]
fn a_scope_that_is_granted_without_being_named_opens_no_browser() {
    let resumes = |rules: fn(Provider) -> Provider, granted: &[&str]| {
        let provider = Provider::new("https://as.example/authorize", "https://as.example/token");
        let client = Client::builder(rules(provider), "client-1").scopes(["mail", "offline"]);
        let tokens = hour().scopes(Scopes::new(granted).unwrap());
        let store = TestStore::with(saved(client.clone(), tokens, Timestamp::now()));
        login(client).store(store).resume().unwrap().is_some()
    };
    assert!(resumes(|rules| rules, &["mail", "offline"]));
    assert!(!resumes(|rules| rules, &["mail"]));
    assert!(resumes(|rules| rules.unlisted_scope("offline"), &["mail"]));
    assert!(!resumes(|rules| rules.unlisted_scope("offline"), &[]));
    let implied = |rules: Provider| rules.implied_scope("mail", "all").unlisted_scope("offline");
    assert!(resumes(implied, &["all"]));
    assert!(resumes(implied, &["mail"]));
    assert!(!resumes(implied, &["some"]));
}

#[test]
fn while_a_login_waits_for_the_person_it_does_not_refresh_what_it_will_replace() {
    let refreshes = |provider: &FakeProvider| {
        let requests = provider.requests(Endpoint::Token);
        let is_refresh = |it: &&RecordedRequest| it.grant_type() == Some("refresh_token");
        requests.iter().filter(is_refresh).count()
    };
    for seconds in [3, 6, 12, 24, 48] {
        let provider = FakeProvider::start().unwrap();
        provider.set_expires_in(Duration::from_secs(seconds));
        let (_, store) = logged_in(&provider);
        // A refresh would have the person wait for its answer.
        provider.set_expires_in(Duration::from_secs(3600));
        let end = json(&store.last())["session"]["expires_at"]
            .as_u64()
            .unwrap();
        let end = Timestamp::from_millis(end).saturating_add(Duration::from_millis(1500));
        let (say, said) = std::sync::mpsc::channel();
        let (opener, sight) = person_after(Answer::Allow, move |_| {
            say.send(()).unwrap();
            thread::sleep(end.saturating_since(Timestamp::now()));
        });
        let client = provider.client();
        let login = login(client).scopes(["user-read-email"]).store(store);
        let run = thread::spawn(move || login.opener(opener).run().map(drop));
        said.recv_timeout(PATIENCE).unwrap();
        // On a slow machine the token was due before the login began.
        let is_late = refreshes(&provider) > 0;
        run.join().unwrap().unwrap();
        assert!(sight.page().body().contains("You are logged in"));
        if !is_late {
            assert_eq!(refreshes(&provider), 0, "the old token has come to its end");
            return;
        }
    }
    panic!("the machine is too slow for this test");
}

#[test]
fn a_stored_login_that_the_server_has_ended_asks_again() {
    let provider = FakeProvider::start().unwrap();
    let (_, store) = logged_in(&provider);
    provider.revoke_refresh_tokens();
    let store = TestStore::with(expired(&store.last()));
    let (opener, sight) = person(Answer::Allow);
    let login = login(provider.client()).store(store.clone()).opener(opener);
    assert_eq!(login.run().unwrap().state(), State::Authorized);
    assert!(sight.page().body().contains("You are logged in"));
}

#[test]
fn a_stored_login_is_not_given_up_because_the_server_is_down() {
    let provider = FakeProvider::start().unwrap();
    let (_, store) = logged_in(&provider);
    let stored = expired(&store.last());
    let store = TestStore::with(stored.clone());
    provider.fault(Endpoint::Token, Fault::Unavailable);
    let error = silently(&provider, &store).unwrap_err();
    assert!(matches!(
        error,
        Error::NotNow {
            retry_at: Some(_),
            ..
        }
    ));
    assert_eq!(error.what_now(), retry(None));
    assert_eq!(
        json(&store.last())["session"]["refresh_token"],
        json(&stored)["session"]["refresh_token"]
    );
    // And the next run works.
    assert_eq!(
        silently(&provider, &store).unwrap().state(),
        State::Authorized
    );
}

#[test]
fn a_login_that_another_run_began_is_begun_anew() {
    let provider = FakeProvider::start().unwrap();
    let client = provider.client().build().unwrap();
    let redirect_uri = client.redirect_uri("http://127.0.0.1/callback").unwrap();
    let mut flow = AuthFlow::new(client);
    let secrets = LoginSecrets::generate().unwrap();
    let event = Event::BeginLogin {
        secrets,
        redirect_uri,
    };
    flow.handle(event, Timestamp::now()).unwrap();
    let pending = flow.snapshot();
    assert!(json(&pending).get("login").is_some());
    let store = TestStore::with(pending);
    let (opener, sight) = person(Answer::Allow);
    let login = login(provider.client()).store(store.clone()).opener(opener);
    assert_eq!(login.run().unwrap().state(), State::Authorized);
    assert_eq!(sight.page().status(), 200);
}

#[test]
fn a_login_that_failed_under_a_wrong_client_id_leaves_the_store_to_the_right_one() {
    let provider = FakeProvider::start().unwrap();
    let store = TestStore::new();
    let wrong = Client::builder(provider.provider(), "wrong");
    let wrong = login(wrong)
        .store(store.clone())
        .timeout(Duration::from_secs(1));
    assert_eq!(failure(wrong.run()).cause, Cause::TimedOut);
    assert!(!store.last().has_session());
    let (opener, _) = person(Answer::Allow);
    let session = login(provider.client())
        .store(store.clone())
        .opener(opener)
        .run();
    assert_eq!(session.unwrap().state(), State::Authorized);
    assert!(store.last().has_session());
}

#[test]
fn a_login_of_another_client_is_refused_and_kept() {
    let provider = FakeProvider::start().unwrap();
    let (_, store) = logged_in(&provider);
    let kept = store.history().len();
    let others = [
        edited(&store.last(), |value| value["client_id"] = "another".into()),
        edited(&store.last(), |value| {
            value["provider"] = "https://evil.example".into()
        }),
    ];
    for other in others {
        let store = TestStore::with(other);
        let error = silently(&provider, &store).unwrap_err();
        let Error::Store(error) = error else {
            panic!("{error:?}")
        };
        let expected = StoreErrorKind::Unreadable(RestoreError::OtherClient);
        assert_eq!(error.kind(), expected);
        assert_eq!(store.attempts(), 0);
    }
    assert_eq!(store.history().len(), kept);
}

struct Unreadable;

impl authflow::session::Store for Unreadable {
    fn load(&self) -> Result<Option<authflow::Snapshot>, StoreError> {
        let why = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        Err(store_error("cannot read it").with_source(why))
    }

    fn save(&self, _: &authflow::Snapshot, _: &StoreLock) -> Result<(), StoreError> {
        panic!("what can't be read must not be replaced");
    }

    fn lock(&self, _: Duration) -> Result<StoreLock, StoreError> {
        panic!("what can't be read needs no lock");
    }
}

#[test]
fn a_store_that_cannot_be_read_is_not_written_to_and_opens_no_browser() {
    let provider = FakeProvider::start().unwrap();
    let (opener, opened) = counter();
    let login = login(provider.client()).store(Unreadable).opener(opener);
    let error = login.run().unwrap_err();
    assert!(matches!(error, Error::Store(_)));
    assert!(error.to_string().contains("cannot read it"));
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.to_string().contains("permission denied"), "{source}");
    assert_eq!(opened.load(Ordering::SeqCst), 0);
}

#[test]
fn a_store_that_cannot_save_opens_no_browser() {
    let provider = FakeProvider::start().unwrap();
    let store = TestStore::new();
    store.fail();
    let error = silently(&provider, &store).unwrap_err();
    assert!(matches!(error, Error::NotSaved { .. }), "{error:?}");
    assert!(error.to_string().contains("the disk is full"));
    assert!(provider.requests(Endpoint::Token).is_empty());
}

#[test]
fn a_login_that_cannot_be_saved_at_the_end_is_not_lost() {
    let provider = FakeProvider::start().unwrap();
    let store = TestStore::new();
    store.rule(|attempt, _| match attempt {
        1 => Ok(()), // before the browser
        _ => Err(store_error("the disk is full")),
    });
    let (opener, sight) = person(Answer::Allow);
    let login = login(provider.client()).store(store.clone()).opener(opener);
    let Err(Error::NotSaved { error, session }) = login.run() else {
        panic!("it was saved");
    };
    assert_eq!(error.to_string(), "the disk is full");
    assert!(sight.page().body().contains("The login failed"));
    assert_eq!(session.state(), State::Authorized);
    // Not handed out before it is saved, and no further request.
    assert!(matches!(session.access_token(), Err(Error::Store(_))));
    store.recover();
    let token = session.access_token().unwrap();
    assert_eq!(
        store.access_token().as_deref(),
        Some(token.secret().expose())
    );
    assert_eq!(provider.requests(Endpoint::Token).len(), 1);
}

#[test]
fn after_a_new_login_that_cannot_be_saved_the_old_token_is_not_handed_out() {
    let provider = FakeProvider::start().unwrap();
    let (_, store) = logged_in(&provider);
    let first = store.attempts() + 1;
    store.rule(move |attempt, _| match attempt == first {
        true => Ok(()),
        false => Err(store_error("the disk is full")),
    });
    // It may have been another person this time.
    let (opener, _sight) = person(Answer::Allow);
    let login = login(provider.client()).scopes(["user-read-email"]);
    let result = login.store(store.clone()).opener(opener).run();
    let Err(Error::NotSaved { session, .. }) = result else {
        panic!("{result:?}");
    };
    assert!(matches!(session.access_token(), Err(Error::Store(_))));
    store.recover();
    let token = session.access_token().unwrap();
    assert!(token.scopes().contains("user-read-email"));
}

#[test]
fn a_person_who_says_no_to_a_program_that_cannot_save_has_said_no() {
    let provider = FakeProvider::start().unwrap();
    let store = TestStore::new();
    store.rule(|attempt, _| match attempt {
        1 => Ok(()),
        _ => Err(store_error("the disk is full")),
    });
    let (opener, sight) = person(Answer::Deny);
    let login = login(provider.client()).store(store.clone()).opener(opener);
    assert_eq!(failure(login.run()).what_now(), WhatNow::Denied);
    assert!(sight.page().body().contains("You are not logged in"));
}

#[test]
fn a_rotated_token_of_a_stored_login_is_not_lost_if_it_cannot_be_saved() {
    let rotation = Rotation::EveryRefresh {
        reuse_detection: true,
    };
    let provider = FakeProvider::builder().rotation(rotation).start().unwrap();
    let (_, store) = logged_in(&provider);
    let store = TestStore::with(expired(&store.last()));
    let old = store.refresh_token();
    store.fail_for_new();
    let Err(Error::NotSaved { session, .. }) = silently(&provider, &store) else {
        panic!("the session, and with it the only refresh token that works, is gone");
    };
    assert_eq!(store.refresh_token(), old);
    store.recover();
    let token = session.access_token().unwrap();
    assert_ne!(store.refresh_token(), old);
    assert_eq!(
        store.access_token().as_deref(),
        Some(token.secret().expose())
    );
    assert_eq!(provider.requests(Endpoint::Token).len(), 2);
    session.refresh().unwrap();
}

#[test]
fn a_program_that_cannot_save_does_not_spend_the_stored_refresh_token() {
    let rotation = Rotation::EveryRefresh {
        reuse_detection: true,
    };
    let provider = FakeProvider::builder().rotation(rotation).start().unwrap();
    let (_, store) = logged_in(&provider);
    let store = TestStore::with(expired(&store.last()));
    store.fail();
    for _ in 0..2 {
        let error = silently(&provider, &store).map(drop).unwrap_err();
        assert!(matches!(error, Error::Store(_)), "{error:?}");
        assert_eq!(error.what_now(), WhatNow::Retry { after: None });
    }
    assert_eq!(
        provider.requests(Endpoint::Token).len(),
        1,
        "the login's own"
    );
    store.recover();
    silently(&provider, &store).unwrap();
    assert_eq!(provider.requests(Endpoint::Token).len(), 2);
}

#[test]
fn a_store_that_panics_lets_the_browser_go() {
    let provider = FakeProvider::start().unwrap();
    let store = TestStore::new();
    store.rule(|attempt, _| {
        assert_eq!(attempt, 1, "the store panics");
        Ok(())
    });
    let (opener, sight) = person(Answer::Allow);
    let login = login(provider.client()).store(store).opener(opener);
    within(PATIENCE, move || {
        let result = thread::spawn(|| login.run().map(drop)).join();
        assert!(result.is_err());
    });
    assert!(sight.page().body().contains("The login failed"));
}
