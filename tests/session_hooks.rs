//! What a program is told of its session, and the end of one.
#![cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]

mod support;

use std::sync::{Arc, Mutex};
use std::thread;

use authflow::session::{Error, MemoryStore, Revocation, Store as _};
use authflow::testing::FakeProvider;
use authflow::{Client, ClientBuilder, Provider, Session, State, Timestamp, TokenSet};
use support::login::{
    TestStore, client_of, hour, json, logged_in, login, number, saved, server, session, session_of,
    text,
};
use support::raw::{PATIENCE, Server, json as answer, lock, response, tokens, within};

type Heard = Arc<Mutex<Vec<String>>>;

/// Hears of everything.
fn heard(session: &Session) -> Heard {
    let heard = Heard::default();
    let (changes, ends) = (heard.clone(), heard.clone());
    session.on_change(move |token| lock(&changes).push(token.secret().expose().to_owned()));
    session.on_sign_in_needed(move |failure| {
        let code = failure.and_then(|failure| Some(failure.oauth_error()?.code.clone()));
        lock(&ends).push(format!("sign in: {code:?}"));
    });
    heard
}

fn counting() -> Server {
    let count = std::sync::atomic::AtomicUsize::new(0);
    server(move |_| tokens(&number(&count), None))
}

fn refusing() -> Server {
    server(|_| answer("400 Bad Request", r#"{"error":"invalid_grant"}"#))
}

// --- hooks ----------------------------------------------------------------------------------------

#[test]
fn each_new_token_is_told_once_and_the_first_is_not() {
    let server = counting();
    let (session, _) = session(&server, hour());
    let heard = heard(&session);
    session.access_token().unwrap();
    session.refresh().unwrap();
    session.access_token().unwrap();
    session.clone().refresh().unwrap();
    assert_eq!(*lock(&heard), ["AT-1", "AT-2"]);
}

#[test]
fn a_token_is_saved_before_it_is_told() {
    let server = counting();
    let (session, store) = session(&server, hour());
    let (seen, inside) = (Heard::default(), store.clone());
    let told = seen.clone();
    session.on_change(move |token| {
        assert_eq!(
            inside.access_token().as_deref(),
            Some(token.secret().expose())
        );
        lock(&told).push("told".to_owned());
    });
    session.refresh().unwrap();
    assert_eq!(*lock(&seen), ["told"]);
    // And one that can't be saved is not told at all, until it is.
    store.fail_for_new();
    assert!(session.refresh().is_err());
    assert_eq!(lock(&seen).len(), 1);
    store.recover();
    session.access_token().unwrap();
    assert_eq!(lock(&seen).len(), 2);
}

#[test]
fn the_end_of_the_refresh_token_is_told_once() {
    let server = refusing();
    let (session, _) = session(&server, hour());
    let heard = heard(&session);
    assert!(session.refresh().is_err());
    assert!(session.refresh().is_err());
    session.access_token().unwrap();
    assert_eq!(*lock(&heard), [r#"sign in: Some("invalid_grant")"#]);
}

#[test]
fn a_failure_that_will_pass_is_not_told() {
    let server = server(|_| response("503 Busy", "Connection: close\r\n", ""));
    let (session, _) = session(&server, hour());
    let heard = heard(&session);
    assert!(session.refresh().is_err());
    assert!(lock(&heard).is_empty());
}

#[test]
fn a_hook_may_use_the_session() {
    let server = counting();
    let (session, _) = session(&server, hour());
    let (inside, seen) = (session.clone(), Heard::default());
    let told = seen.clone();
    session.on_change(move |_| {
        let token = text(inside.access_token());
        if token == "AT-1" {
            inside.refresh().unwrap();
        }
        inside.on_change(|_| ());
        lock(&told).push(token);
    });
    within(PATIENCE, move || session.refresh().map(drop).unwrap());
    assert_eq!(*lock(&seen), ["AT-2", "AT-1"]);
}

#[test]
fn a_hook_that_panics_ends_one_call_and_nothing_else() {
    let server = counting();
    let (session, store) = session(&server, hour());
    session.on_change(|token| assert_ne!(token.secret().expose(), "AT-1", "the hook panics"));
    let panicking = session.clone();
    assert!(
        thread::spawn(move || panicking.refresh().map(drop))
            .join()
            .is_err()
    );
    within(PATIENCE, move || {
        assert_eq!(text(session.access_token()), "AT-1");
        assert_eq!(store.access_token().as_deref(), Some("AT-1"));
        assert_eq!(text(session.refresh()), "AT-2");
    });
}

#[test]
fn no_lock_of_the_store_is_held_while_a_hook_runs() {
    let server = counting();
    let store = Arc::new(MemoryStore::new());
    let lock_it = || store.lock(std::time::Duration::ZERO);
    let kept = saved(client_of(&server), hour(), Timestamp::now());
    store.save(&kept, &lock_it().unwrap()).unwrap();
    let session = login(client_of(&server))
        .store(store.clone())
        .run()
        .unwrap();
    let (inside, seen) = (store.clone(), Heard::default());
    let told = seen.clone();
    session.on_change(move |_| {
        drop(inside.lock(std::time::Duration::ZERO).unwrap());
        lock(&told).push("free".to_owned());
    });
    session.refresh().unwrap();
    assert_eq!(*lock(&seen), ["free"]);
}

// --- two sessions on one store --------------------------------------------------------------------

/// Two sessions that share a store, as two processes would.
fn pair(server: &Server, tokens: TokenSet) -> (Session, Session, TestStore) {
    let (first, store) = session_of(client_of(server), tokens, Timestamp::now());
    let second = login(client_of(server)).store(store.clone()).run();
    (first.unwrap(), second.unwrap(), store)
}

#[test]
fn what_one_session_refreshed_the_other_takes_over() {
    let server = counting();
    let (first, second, _) = pair(&server, hour());
    let heard = heard(&second);
    first.refresh().unwrap();
    assert_eq!(text(second.access_token()), "AT-0", "its own is still good");
    assert_eq!(text(second.refresh()), "AT-1", "which joins the other's");
    assert_eq!(server.requests().len(), 1);
    assert_eq!(*lock(&heard), ["AT-1"]);
    assert_eq!(text(second.refresh()), "AT-2");
}

#[test]
fn a_rejected_token_that_the_other_has_replaced_causes_no_refresh() {
    let server = counting();
    let (first, second, _) = pair(&server, hour());
    let serial = second.access_token().unwrap().serial();
    first.refresh().unwrap();
    assert_eq!(text(second.token_rejected(serial)), "AT-1");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn invalid_grant_is_believed_only_once_the_store_has_been_read_again() {
    // Somebody saves without the lock, while the refresh is on its way.
    let store = TestStore::new();
    let newer = Arc::new(Mutex::new(None));
    let (behind, inside) = (store.clone(), newer.clone());
    let server = server(move |_| {
        if let Some(newer) = lock(&inside).take() {
            behind.put(newer);
        }
        answer("400 Bad Request", r#"{"error":"invalid_grant"}"#)
    });
    store.put(saved(client_of(&server), hour(), Timestamp::now()));
    let session = login(client_of(&server))
        .store(store.clone())
        .run()
        .unwrap();
    let fresh = TokenSet::new("AT-9").refresh_token("RT-9");
    *lock(&newer) = Some(saved(client_of(&server), fresh, Timestamp::now()));
    let heard = heard(&session);
    assert_eq!(text(session.refresh()), "AT-9");
    assert_eq!(*lock(&heard), ["AT-9"], "nobody has to sign in");
    assert_eq!(store.refresh_token().as_deref(), Some("RT-9"));
    assert_eq!(server.requests().len(), 1);
}

/// A token endpoint where each refresh token works once. What a used one is answered.
fn rotating(used: fn() -> String) -> Server {
    let count = std::sync::atomic::AtomicUsize::new(0);
    server(move |request| {
        let next = count.load(std::sync::atomic::Ordering::SeqCst);
        match request.form("refresh_token") == Some(format!("RT-{next}")) {
            true => tokens(&number(&count), Some(&format!("RT-{}", next + 1))),
            false => used(),
        }
    })
}

/// The first session has rotated its refresh token and can't save the new one. The second knows only
/// the old one, and saves what it learns about that.
fn one_that_cannot_save(
    used: fn() -> String,
    learn: impl FnOnce(&Session),
) -> (Session, Session, TestStore) {
    let server = rotating(used);
    let (first, second, store) = pair(&server, hour());
    store.fail_for_new();
    assert!(matches!(first.refresh(), Err(Error::Store(_))));
    store.recover();
    let before = json(&store.last());
    learn(&second);
    assert_ne!(json(&store.last()), before, "it has saved something");
    assert_eq!(store.refresh_token().as_deref(), Some("RT-0"));
    assert_eq!(text(first.access_token()), "AT-1");
    assert_eq!(store.refresh_token().as_deref(), Some("RT-1"));
    assert_eq!(text(first.refresh()), "AT-2");
    (first, second, store)
}

#[test]
fn a_refresh_token_that_could_not_be_saved_is_not_lost_to_the_refusal_of_the_one_before_it() {
    let refused = || answer("400 Bad Request", r#"{"error":"invalid_grant"}"#);
    let (_, second, store) = one_that_cannot_save(refused, |second| {
        assert!(matches!(second.refresh(), Err(Error::SignIn(_))));
    });
    assert_eq!(store.refresh_token().as_deref(), Some("RT-2"));
    // Nobody had to sign in after all.
    let serial = second.access_token().unwrap().serial();
    assert_eq!(text(second.token_rejected(serial)), "AT-2");
}

#[test]
fn a_refresh_token_that_could_not_be_saved_is_not_lost_to_news_of_an_older_access_token() {
    let busy = || response("503 Busy", "Connection: close\r\n", "");
    let (_, second, _) = one_that_cannot_save(busy, |second| {
        let serial = second.access_token().unwrap().serial();
        assert!(second.token_rejected(serial).is_err());
    });
    assert_eq!(text(second.refresh()), "AT-2");
}

#[test]
fn without_rotation_what_the_other_has_saved_is_newer_and_taken_over() {
    let server = counting();
    let (first, second, store) = pair(&server, hour());
    store.fail_for_new();
    assert!(matches!(first.refresh(), Err(Error::Store(_))));
    store.recover();
    assert_eq!(text(second.refresh()), "AT-2");
    assert_eq!(text(first.access_token()), "AT-2");
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_log_out_elsewhere_is_found_out_at_the_next_refresh() {
    let server = counting();
    let (first, second, store) = pair(&server, hour());
    let heard = heard(&second);
    first.log_out().unwrap();
    assert!(!store.last().has_session());
    assert!(matches!(second.refresh(), Err(Error::SignIn(None))));
    assert_eq!(second.state(), State::Unauthorized);
    assert_eq!(*lock(&heard), ["sign in: None"]);
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_new_login_elsewhere_mends_a_session_whose_refresh_token_is_dead() {
    let server = refusing();
    let (first, second, store) = pair(&server, hour());
    assert!(matches!(first.refresh(), Err(Error::SignIn(_))));
    assert!(matches!(second.refresh(), Err(Error::SignIn(_))));
    assert_eq!(server.requests().len(), 1, "one has asked for both");
    store.put(saved(
        client_of(&server),
        TokenSet::new("AT-9"),
        Timestamp::now(),
    ));
    for session in [first, second] {
        let serial = session.access_token().unwrap().serial();
        assert_eq!(text(session.token_rejected(serial)), "AT-9");
    }
}

#[test]
fn a_store_that_becomes_another_clients_is_not_touched() {
    let server = counting();
    let (session, store) = session(&server, hour());
    let other = saved(
        Client::builder(provider_of(&server), "another"),
        hour(),
        Timestamp::now(),
    );
    store.put(other);
    assert!(matches!(session.refresh(), Err(Error::Store(_))));
    assert_eq!(
        text(session.access_token()),
        "AT-0",
        "its own is still good"
    );
    assert_eq!(json(&store.last())["client_id"], "another");
    assert_eq!(server.requests().len(), 0);
}

fn provider_of(server: &Server) -> authflow::Provider {
    Provider::new(server.url("/authorize"), server.url("/token"))
        .dangerously_allow_http_on_loopback()
}

// --- logging out ----------------------------------------------------------------------------------

/// A client of a provider that revokes.
fn revocable(server: &Server) -> ClientBuilder {
    let provider = provider_of(server).revocation_endpoint(server.url("/revoke"));
    Client::builder(provider, "raw-client")
}

fn log_out(answer: &'static str) -> (Result<Revocation, Error>, TestStore, Server) {
    let server = server(move |_| response(answer, "Connection: close\r\n", ""));
    let (session, store) = session_of(revocable(&server), hour(), Timestamp::now());
    let session = session.unwrap();
    let outcome = session.log_out();
    assert_eq!(session.state(), State::Unauthorized);
    assert!(matches!(session.access_token(), Err(Error::SignIn(None))));
    assert!(!store.last().has_session());
    (outcome, store, server)
}

#[test]
fn a_log_out_revokes_both_tokens() {
    let (outcome, _, server) = log_out("200 OK");
    assert_eq!(outcome.unwrap(), Revocation::Done);
    let revoked: Vec<_> = server
        .requests()
        .iter()
        .map(|it| it.form("token").unwrap())
        .collect();
    assert_eq!(revoked, ["RT-0", "AT-0"]);
}

#[test]
fn a_log_out_clears_everything_even_if_the_provider_does_not_revoke() {
    for status in ["500 Broken", "400 Bad Request", "302 Elsewhere"] {
        let (outcome, store, _) = log_out(status);
        assert!(matches!(outcome, Ok(Revocation::Failed(_))), "{status}");
        let text = store.last().to_json();
        assert!(!text.expose().contains("-0"), "{}", text.expose());
    }
}

#[test]
fn a_provider_that_cannot_be_told_is_said() {
    let provider = FakeProvider::start().unwrap();
    let (session, _) = logged_in(&provider);
    assert_eq!(session.log_out().unwrap(), Revocation::NotOffered);
}

#[test]
fn what_another_session_has_refreshed_is_revoked_too() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let server = server(move |request| match request.line.contains("/revoke") {
        true => response("200 OK", "Connection: close\r\n", ""),
        false => tokens(&number(&count), Some("RT-1")),
    });
    let (first, store) = session_of(revocable(&server), hour(), Timestamp::now());
    let second = login(revocable(&server))
        .store(store.clone())
        .run()
        .unwrap();
    first.unwrap().refresh().unwrap();
    assert_eq!(second.log_out().unwrap(), Revocation::Done);
    let requests = server.requests();
    let revoked: Vec<_> = requests.iter().filter_map(|it| it.form("token")).collect();
    assert!(revoked.contains(&"RT-1".to_owned()) && revoked.contains(&"AT-1".to_owned()));
    assert!(!store.last().has_session());
}

#[test]
fn a_store_that_cannot_be_cleared_is_said_and_the_session_is_over_all_the_same() {
    let server = server(|_| response("200 OK", "Connection: close\r\n", ""));
    let (session, store) = session_of(revocable(&server), hour(), Timestamp::now());
    let session = session.unwrap();
    store.fail();
    assert!(matches!(session.log_out(), Err(Error::Store(_))));
    assert_eq!(session.state(), State::Unauthorized);
    assert!(session.access_token().is_err());
    assert_eq!(server.requests().len(), 2, "the provider has been told");
    store.recover();
    session.log_out().unwrap();
    assert!(!store.last().has_session());
}

#[test]
fn nothing_brings_back_a_session_that_was_ended() {
    let server = counting();
    let (session, store) = session(&server, hour());
    let kept = store.last();
    session.log_out().unwrap();
    store.put(kept);
    assert!(matches!(session.access_token(), Err(Error::SignIn(None))));
    assert!(matches!(session.refresh(), Err(Error::SignIn(None))));
    assert_eq!(server.requests().len(), 0);
}
