//! A session: tokens when they are asked for, one refresh at a time, and nothing lost.
#![cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use authflow::session::{AccessToken, Error};
use authflow::testing::{Endpoint, FakeProvider, Fault, Rotation};
use authflow::{AuthFlow, Cause, Session, State, Timestamp, TokenSet, WhatNow};
use support::login::{
    TestStore, at_once, client_of, edited, ended, hour, logged_in, number, saved, server, session,
    session_of, store_error, text,
};
use support::raw::{PATIENCE, Server, eventually, json, response, tokens, within};

/// A token endpoint whose answers bring `AT-1`, `AT-2` and so on.
fn counting(refresh_token: Option<&'static str>) -> Server {
    let count = AtomicUsize::new(0);
    server(move |_| tokens(&number(&count), refresh_token))
}

/// A token endpoint that answers once it is told to.
fn gated() -> (Server, Arc<AtomicBool>) {
    let open = Arc::new(AtomicBool::new(false));
    let (inside, count) = (open.clone(), AtomicUsize::new(0));
    let server = server(move |_| {
        eventually(|| inside.load(Ordering::SeqCst));
        tokens(&number(&count), None)
    });
    (server, open)
}

fn in_background<T: Send + 'static>(
    session: &Session,
    work: impl FnOnce(Session) -> T + Send + 'static,
) -> JoinHandle<T> {
    let session = session.clone();
    thread::spawn(move || work(session))
}

fn is_sign_in(result: &Result<AccessToken, Error>) -> bool {
    matches!(result, Err(Error::SignIn(_)))
}

fn assert_send_sync<T: Clone + Send + Sync + 'static>() {}

#[test]
fn a_session_can_be_cloned_and_used_from_any_thread() {
    assert_send_sync::<Session>();
    assert_send_sync::<AccessToken>();
}

// --- asking for a token --------------------------------------------------------------------------

#[test]
fn a_token_that_is_valid_costs_no_request() {
    let server = counting(None);
    let (session, store) = session(&server, hour());
    for _ in 0..10 {
        assert_eq!(text(session.access_token()), "AT-0");
    }
    assert_eq!(server.connections(), 0);
    assert_eq!(store.attempts(), 0);
    assert_eq!(session.state(), State::Authorized);
}

#[test]
fn a_token_of_unknown_life_is_used_until_the_api_says_otherwise() {
    let server = counting(None);
    let (session, _) = session(&server, TokenSet::new("AT-0").refresh_token("RT-0"));
    let token = session.access_token().unwrap();
    assert_eq!(token.expires_at(), None);
    assert_eq!(server.connections(), 0);
    assert_eq!(text(session.token_rejected(token.serial())), "AT-1");
}

#[test]
fn a_token_that_is_about_to_end_is_refreshed_once() {
    let server = counting(None);
    let now = Timestamp::now();
    let soon = now.saturating_add(Duration::from_secs(30));
    let issued = now.saturating_sub(Duration::from_secs(3600));
    let (session, store) = session_of(client_of(&server), hour().expires_at(soon), issued);
    let session = session.unwrap();
    for _ in 0..10 {
        assert_eq!(text(session.access_token()), "AT-1");
    }
    assert_eq!(server.requests().len(), 1);
    assert_eq!(store.access_token().as_deref(), Some("AT-1"));
}

#[test]
fn many_threads_at_the_end_of_a_token_cause_one_refresh_and_get_its_token() {
    let (server, open) = gated();
    let end = Timestamp::now().saturating_add(Duration::from_millis(1500));
    let issued = Timestamp::now().saturating_sub(Duration::from_secs(3600));
    let client = client_of(&server).leeway(Duration::ZERO);
    let (session, _) = session_of(client, hour().expires_at(end), issued);
    let session = session.unwrap();
    eventually(|| Timestamp::now() >= end);
    let opener = thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        open.store(true, Ordering::SeqCst);
    });
    let tokens = at_once(32, &session, |session| text(session.access_token()));
    assert_eq!(tokens, ["AT-1"; 32]);
    assert_eq!(server.requests().len(), 1);
    opener.join().unwrap();
}

#[test]
fn while_a_slow_refresh_is_on_its_way_the_old_token_is_handed_out_at_once() {
    let (server, open) = gated();
    let (session, _) = session(&server, hour());
    let refresh = in_background(&session, |session| text(session.refresh()));
    server.wait_for_requests(1);
    let tokens = at_once(8, &session, |session| text(session.access_token()));
    assert_eq!(tokens, ["AT-0"; 8]);
    assert!(!refresh.is_finished());
    open.store(true, Ordering::SeqCst);
    assert_eq!(refresh.join().unwrap(), "AT-1");
    assert_eq!(text(session.access_token()), "AT-1");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_refresh_that_is_asked_for_joins_the_one_on_its_way() {
    let (server, open) = gated();
    let (session, _) = session(&server, hour());
    let first = in_background(&session, |session| text(session.refresh()));
    server.wait_for_requests(1);
    let opener = thread::spawn(move || {
        thread::sleep(Duration::from_millis(500));
        open.store(true, Ordering::SeqCst);
    });
    let joined = at_once(8, &session, |session| text(session.refresh()));
    assert_eq!(joined, ["AT-1"; 8]);
    assert_eq!(first.join().unwrap(), "AT-1");
    assert_eq!(server.requests().len(), 1);
    opener.join().unwrap();
    assert_eq!(text(session.refresh()), "AT-2");
}

// --- a token that the API has refused ------------------------------------------------------------

#[test]
fn many_threads_whose_token_was_rejected_cause_one_refresh() {
    let server = counting(None);
    let (session, _) = session(&server, hour());
    let serial = session.access_token().unwrap().serial();
    let tokens = at_once(32, &session, move |session| {
        text(session.token_rejected(serial))
    });
    assert_eq!(tokens, ["AT-1"; 32]);
    assert_eq!(server.requests().len(), 1);
    // Late news of the old token is no news of the new one.
    assert_eq!(text(session.token_rejected(serial)), "AT-1");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_token_that_was_rejected_is_not_handed_out_while_it_is_replaced() {
    let (server, open) = gated();
    let (session, _) = session(&server, hour());
    let serial = session.access_token().unwrap().serial();
    let rejected = in_background(&session, move |session| {
        text(session.token_rejected(serial))
    });
    server.wait_for_requests(1);
    let opener = thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        open.store(true, Ordering::SeqCst);
    });
    let tokens = at_once(4, &session, |session| text(session.access_token()));
    assert_eq!(tokens, ["AT-1"; 4]);
    assert_eq!(rejected.join().unwrap(), "AT-1");
    assert_eq!(server.requests().len(), 1);
    opener.join().unwrap();
}

// --- refreshes that fail -------------------------------------------------------------------------

#[test]
fn a_refresh_that_fails_leaves_the_old_token_in_use() {
    let server = server(|_| response("503 Service Unavailable", "", "down"));
    let now = Timestamp::now();
    let soon = now.saturating_add(Duration::from_secs(30));
    let issued = now.saturating_sub(Duration::from_secs(3600));
    let (session, _) = session_of(client_of(&server), hour().expires_at(soon), issued);
    let session = session.unwrap();
    assert_eq!(text(session.access_token()), "AT-0");
    assert!(!server.requests().is_empty());
    // Who asked for a refresh is told.
    let error = session.refresh().unwrap_err();
    assert!(matches!(error, Error::NotNow { .. }), "{error:?}");
    assert_eq!(text(session.access_token()), "AT-0");
}

#[test]
fn a_refresh_that_fails_when_the_token_has_ended_says_when_it_is_tried_again() {
    let server = server(|_| response("503 Service Unavailable", "Retry-After: 7\r\n", "down"));
    let (session, store) = session(&server, hour());
    let serial = session.access_token().unwrap().serial();
    let before = Timestamp::now();
    let errors = at_once(8, &session, move |session| {
        session.token_rejected(serial).unwrap_err()
    });
    for error in errors {
        let Error::NotNow { failure, retry_at } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(failure.as_ref().unwrap().status(), Some(503));
        let after = Duration::from_secs(7);
        assert!(*retry_at >= Some(before.saturating_add(after)));
        assert_eq!(error.what_now(), WhatNow::Retry { after: Some(after) });
    }
    // Before that nothing is tried.
    assert!(matches!(session.access_token(), Err(Error::NotNow { .. })));
    assert_eq!(server.requests().len(), 1);
    assert_eq!(store.refresh_token().as_deref(), Some("RT-0"));
}

#[test]
fn a_pause_of_years_is_reported_and_ends_within_a_day() {
    let server = server(|_| {
        response(
            "503 Service Unavailable",
            "Retry-After: 99999999999\r\n",
            "",
        )
    });
    let (session, _) = session(&server, hour());
    let serial = session.access_token().unwrap().serial();
    let error = session.token_rejected(serial).unwrap_err();
    let end = Timestamp::now().saturating_add(Duration::from_secs(86_400));
    let Error::NotNow { failure, retry_at } = error else {
        panic!("{error:?}")
    };
    let asked = failure.unwrap().retry_after().unwrap();
    assert!(asked > Duration::from_secs(60 * 365 * 86_400), "{asked:?}");
    assert!(retry_at.unwrap() <= end, "{retry_at:?}");
    // And whoever knows better need not wait.
    assert!(session.refresh().is_err());
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn after_a_failure_a_refresh_that_is_asked_for_is_tried_at_once() {
    let up = Arc::new(AtomicBool::new(false));
    let inside = up.clone();
    let server = server(move |_| match inside.load(Ordering::SeqCst) {
        true => tokens("AT-1", None),
        false => response("503 Service Unavailable", "Retry-After: 79892\r\n", "down"),
    });
    let (session, _) = session(&server, hour());
    let serial = session.access_token().unwrap().serial();
    assert!(session.token_rejected(serial).is_err());
    up.store(true, Ordering::SeqCst);
    assert!(session.access_token().is_err());
    assert_eq!(text(session.refresh()), "AT-1");
    assert_eq!(text(session.access_token()), "AT-1");
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn invalid_grant_asks_for_a_new_login_and_is_never_tried_again() {
    let server = server(|_| json("400 Bad Request", r#"{"error":"invalid_grant"}"#));
    let (session, store) = session(&server, hour());
    let serial = session.access_token().unwrap().serial();
    let results = at_once(8, &session, move |session| session.token_rejected(serial));
    assert!(results.iter().all(is_sign_in), "{results:?}");
    for _ in 0..5 {
        for result in [
            session.access_token(),
            session.refresh(),
            session.token_rejected(serial),
        ] {
            let error = result.unwrap_err();
            assert_eq!(error.what_now(), WhatNow::SignIn);
            let Error::SignIn(Some(failure)) = &error else {
                panic!("no reason: {error:?}")
            };
            assert_eq!(failure.oauth_error().unwrap().code, "invalid_grant");
        }
    }
    assert_eq!(server.requests().len(), 1);
    // It is the person's to give up, not ours.
    assert_eq!(store.refresh_token().as_deref(), Some("RT-0"));
}

#[test]
fn an_error_of_the_configuration_is_not_tried_again_by_itself() {
    let server = server(|_| json("401 Unauthorized", r#"{"error":"invalid_client"}"#));
    let (session, _) = session(&server, hour());
    let serial = session.access_token().unwrap().serial();
    for _ in 0..5 {
        let error = session.token_rejected(serial).unwrap_err();
        assert_eq!(error.what_now(), WhatNow::Configuration);
    }
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_session_without_a_refresh_token_asks_for_a_new_login() {
    let server = counting(None);
    let (session, _) = session(&server, TokenSet::new("AT-0"));
    let serial = session.access_token().unwrap().serial();
    assert!(is_sign_in(&session.refresh()));
    assert_eq!(text(session.access_token()), "AT-0");
    assert!(is_sign_in(&session.token_rejected(serial)));
    assert!(is_sign_in(&session.access_token()));
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_server_whose_tokens_end_at_once_is_not_stormed() {
    let server = server(|_| {
        let body = r#"{"access_token":"AT-1","expires_in":0,"refresh_token":"RT-1"}"#;
        json("200 OK", body)
    });
    let (session, _) = session(&server, hour());
    let serial = session.access_token().unwrap().serial();
    let results = at_once(16, &session, move |session| session.token_rejected(serial));
    assert!(results.iter().all(Result::is_err));
    for _ in 0..100 {
        let error = session.access_token().unwrap_err();
        assert!(matches!(
            error,
            Error::NotNow {
                retry_at: Some(_),
                ..
            }
        ));
    }
    // One, and another for each second that this took on a slow machine.
    assert!(server.requests().len() <= 3);
}

// --- refresh tokens ------------------------------------------------------------------------------

#[test]
fn a_refresh_without_a_new_refresh_token_keeps_the_old_one() {
    let server = counting(None);
    let (session, store) = session(&server, hour());
    for round in 1..=10 {
        assert_eq!(text(session.refresh()), format!("AT-{round}"));
        assert_eq!(store.refresh_token().as_deref(), Some("RT-0"));
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 10);
    for request in requests {
        assert_eq!(request.form("refresh_token").as_deref(), Some("RT-0"));
    }
}

#[test]
fn a_new_refresh_token_takes_the_place_of_the_old_one() {
    let rotation = Rotation::EveryRefresh {
        reuse_detection: true,
    };
    let provider = FakeProvider::builder().rotation(rotation).start().unwrap();
    let (session, store) = logged_in(&provider);
    let mut seen = vec![store.refresh_token()];
    for _ in 0..10 {
        let token = text(session.refresh());
        assert_eq!(store.access_token(), Some(token));
        assert!(!seen.contains(&store.refresh_token()));
        seen.push(store.refresh_token());
    }
    assert_eq!(session.get(&provider.me_url()).unwrap().status(), 200);
}

#[test]
fn a_new_token_is_saved_before_anybody_gets_it() {
    let server = counting(Some("RT-1"));
    let (session, store) = session(&server, hour());
    let open = Arc::new(AtomicBool::new(false));
    let inside = open.clone();
    store.rule(move |attempt, _| {
        // The first is before the refresh.
        eventually(|| attempt == 1 || inside.load(Ordering::SeqCst));
        Ok(())
    });
    let refresh = in_background(&session, |session| text(session.refresh()));
    eventually(|| store.attempts() == 2);
    assert_eq!(text(session.access_token()), "AT-0");
    assert!(!refresh.is_finished());
    open.store(true, Ordering::SeqCst);
    assert_eq!(refresh.join().unwrap(), "AT-1");
    assert_eq!(text(session.access_token()), "AT-1");
    assert_eq!(store.refresh_token().as_deref(), Some("RT-1"));
}

#[test]
fn a_rotation_whose_answer_was_lost_ends_in_a_new_login_and_not_in_a_loop() {
    let rotation = Rotation::EveryRefresh {
        reuse_detection: false,
    };
    let provider = FakeProvider::builder().rotation(rotation).start().unwrap();
    let (session, store) = logged_in(&provider);
    let old = store.refresh_token();
    provider.fault(Endpoint::Token, Fault::DropAfter);
    let Err(Error::NotNow { failure, .. }) = session.refresh() else {
        panic!("there was no answer");
    };
    let Cause::Transport(error) = failure.unwrap().cause else {
        panic!("there was no answer");
    };
    assert!(error.may_have_been_sent);
    assert_eq!(store.refresh_token(), old);
    // The access token is as good as before.
    assert_eq!(session.get(&provider.me_url()).unwrap().status(), 200);
    for _ in 0..3 {
        assert!(is_sign_in(&session.refresh()));
    }
    assert_eq!(provider.requests(Endpoint::Token).len(), 3);
    assert_eq!(store.refresh_token(), old);
}

// --- stores that fail ----------------------------------------------------------------------------

#[test]
fn if_the_new_token_cannot_be_saved_the_old_one_is_handed_out() {
    let server = counting(Some("RT-1"));
    let (session, store) = session(&server, hour());
    store.fail_for_new();
    let error = session.refresh().unwrap_err();
    assert!(matches!(error, Error::Store(_)));
    assert!(error.to_string().contains("the disk is full"));
    let attempts = store.attempts();
    assert_eq!(text(session.access_token()), "AT-0");
    assert_eq!(store.attempts(), attempts + 1, "saving is tried again");
    store.recover();
    assert_eq!(text(session.access_token()), "AT-1");
    assert_eq!(store.refresh_token().as_deref(), Some("RT-1"));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn if_the_new_token_cannot_be_saved_and_the_old_one_is_dead_there_is_none() {
    let server = counting(Some("RT-1"));
    let (session, store) = session(&server, hour());
    let serial = session.access_token().unwrap().serial();
    store.fail_for_new();
    for _ in 0..3 {
        assert!(matches!(
            session.token_rejected(serial),
            Err(Error::Store(_))
        ));
        assert!(matches!(session.access_token(), Err(Error::Store(_))));
    }
    store.recover();
    assert_eq!(text(session.access_token()), "AT-1");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn what_cannot_be_saved_is_not_asked_for() {
    let server = counting(Some("RT-1"));
    let (session, store) = session(&server, hour());
    store.fail();
    for _ in 0..3 {
        let error = session.refresh().unwrap_err();
        assert!(matches!(error, Error::Store(_)), "{error:?}");
        assert_eq!(error.what_now(), WhatNow::Retry { after: None });
        assert_eq!(text(session.access_token()), "AT-0");
    }
    assert_eq!(server.connections(), 0);
    // A program that has ended by now has lost nothing.
    drop(session);
    store.recover();
    let login = support::login::login(client_of(&server)).store(store.clone());
    let next = login.resume().unwrap().unwrap();
    assert_eq!(text(next.refresh()), "AT-1");
    assert_eq!(store.refresh_token().as_deref(), Some("RT-1"));
}

#[test]
fn a_token_that_is_due_is_handed_out_though_it_cannot_be_replaced() {
    let server = counting(Some("RT-1"));
    let now = Timestamp::now();
    let due = hour().expires_at(now.saturating_add(Duration::from_secs(300)));
    let client = client_of(&server).leeway(Duration::from_secs(600));
    let issued = now.saturating_sub(Duration::from_secs(3600));
    let store = TestStore::with(saved(client.clone(), due, issued));
    store.fail();
    let login = support::login::login(client).store(store.clone());
    let session = login
        .opener(|_| panic!("a browser was opened"))
        .run()
        .unwrap();
    for _ in 0..100 {
        assert_eq!(text(session.access_token()), "AT-0");
    }
    assert_eq!(server.connections(), 0);
    let attempts = store.attempts();
    assert!(
        attempts > 0,
        "it was tried, and not a hundred times: {attempts}"
    );
    assert!(attempts < 50, "{attempts}");
}

#[test]
fn while_a_store_stays_broken_the_token_is_handed_out_until_its_end_and_mending_it_is_enough() {
    let server = counting(Some("RT-1"));
    let (session, store) = session(&server, hour());
    let serial = session.access_token().unwrap().serial();
    store.fail();
    assert!(matches!(session.refresh(), Err(Error::Store(_))));
    assert_eq!(text(session.access_token()), "AT-0");
    for _ in 0..3 {
        let attempts = store.attempts();
        assert!(matches!(
            session.token_rejected(serial),
            Err(Error::Store(_))
        ));
        assert!(matches!(session.access_token(), Err(Error::Store(_))));
        assert!(store.attempts() > attempts, "saving is tried again");
    }
    assert_eq!(server.connections(), 0);
    store.recover();
    assert_eq!(text(session.access_token()), "AT-1", "without any pause");
    assert_eq!(server.requests().len(), 1);
}

/// The first save of a refresh is before it, the second after.
const SAVES_OF_A_REFRESH: [usize; 2] = [1, 2];

#[test]
fn a_store_that_panics_leaves_the_session_usable() {
    for panics in SAVES_OF_A_REFRESH {
        let server = counting(Some("RT-1"));
        let (session, store) = session(&server, hour());
        let serial = session.access_token().unwrap().serial();
        store.rule(move |attempt, _| {
            assert_ne!(attempt, panics, "the store panics");
            Ok(())
        });
        let panicked = in_background(&session, move |session| session.token_rejected(serial));
        assert!(panicked.join().is_err());
        // What was not saved is not handed out before it is.
        let tokens = at_once(8, &session, |session| text(session.access_token()));
        assert_eq!(tokens, ["AT-1"; 8]);
        assert_eq!(store.refresh_token().as_deref(), Some("RT-1"));
        assert_eq!(server.requests().len(), 1);
        assert_eq!(text(session.refresh()), "AT-2");
    }
}

#[test]
fn after_a_panic_what_another_process_has_saved_is_not_written_over() {
    let server = counting(Some("RT-1"));
    let (session, store) = session(&server, hour());
    let before = store.last();
    store.rule(|attempt, _| {
        assert_ne!(attempt, 1, "the store panics");
        Ok(())
    });
    let panicked = in_background(&session, |session| session.refresh().map(drop));
    assert!(panicked.join().is_err());
    store.put(edited(&before, |saved| {
        saved["session"]["access_token"] = "AT-2".into();
        saved["session"]["refresh_token"] = "RT-2".into();
    }));
    assert_eq!(text(session.refresh()), "AT-2");
    assert_eq!(store.refresh_token().as_deref(), Some("RT-2"));
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_log_out_ends_what_a_broken_store_has_caused() {
    let server = counting(Some("RT-1"));
    let (session, store) = session(&server, hour());
    store.fail();
    assert!(matches!(session.refresh(), Err(Error::Store(_))));
    store.recover();
    session.log_out().unwrap();
    assert!(matches!(session.access_token(), Err(Error::SignIn(_))));
}

#[test]
fn threads_that_wait_for_a_store_that_panics_do_not_wait_for_ever() {
    for panics in SAVES_OF_A_REFRESH {
        let server = counting(None);
        let (session, store) = session(&server, hour());
        let serial = session.access_token().unwrap().serial();
        let go = Arc::new(AtomicBool::new(false));
        let inside = go.clone();
        store.rule(move |attempt, _| {
            eventually(|| attempt != panics || inside.load(Ordering::SeqCst));
            assert_ne!(attempt, panics, "the store panics");
            Ok(())
        });
        let panicking = in_background(&session, move |session| session.token_rejected(serial));
        eventually(|| store.attempts() == panics);
        let opener = thread::spawn(move || {
            thread::sleep(Duration::from_millis(200));
            go.store(true, Ordering::SeqCst);
        });
        let tokens = at_once(8, &session, |session| text(session.access_token()));
        assert_eq!(tokens, ["AT-1"; 8]);
        assert!(panicking.join().is_err());
        opener.join().unwrap();
    }
}

#[test]
fn a_store_may_ask_the_session_that_it_is_saving() {
    let server = counting(None);
    let (session, store) = session(&server, hour());
    let serial = session.access_token().unwrap().serial();
    let known = Arc::new(OnceLock::new());
    let inside = known.clone();
    store.rule(move |attempt, _| {
        let session: &Session = inside.get().unwrap();
        assert!(session.access_token().is_err(), "nothing is saved yet");
        assert!(session.refresh().is_err());
        if attempt == 1 {
            // Before the refresh.
            assert_eq!(session.state(), State::Expired);
            return Ok(());
        }
        assert_eq!(session.state(), State::Authorized);
        Err(store_error("asked"))
    });
    assert!(known.set(session.clone()).is_ok());
    let rejected = session.clone();
    within(PATIENCE, move || {
        assert!(rejected.token_rejected(serial).is_err());
    });
    store.recover();
    assert_eq!(text(session.access_token()), "AT-1");
}

#[test]
fn a_stored_token_that_has_ended_is_refreshed_before_the_session_is_there() {
    let server = counting(None);
    let (session, store) = session_of(client_of(&server), ended(), Timestamp::from_millis(1));
    assert_eq!(text(session.unwrap().access_token()), "AT-1");
    assert_eq!(store.access_token().as_deref(), Some("AT-1"));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_rejected_token_is_not_believed_by_the_next_run_either() {
    let server = counting(None);
    let alone = TokenSet::new("AT-0");
    let (session, store) = session(&server, alone);
    let serial = session.access_token().unwrap().serial();
    assert!(is_sign_in(&session.token_rejected(serial)));
    let saved = store.last();
    let client = client_of(&server).build().unwrap();
    let flow = AuthFlow::restore(client, saved, Timestamp::now()).unwrap();
    assert_eq!(flow.state(), State::Expired);
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_client_that_refreshes_only_when_told_is_told_by_whoever_needs_a_token() {
    let server = counting(None);
    let client = client_of(&server).auto_refresh(false);
    let (session, _) = session_of(client, ended(), Timestamp::from_millis(1));
    assert_eq!(text(session.unwrap().access_token()), "AT-1");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_page_of_somebody_elses_in_place_of_tokens_is_not_the_end() {
    let server = server(|_| {
        response(
            "200 OK",
            "Content-Type: text/html\r\n",
            "<html>hotel</html>",
        )
    });
    let (session, _) = session_of(client_of(&server), ended(), Timestamp::from_millis(1));
    let Err(Error::NotNow { retry_at, .. }) = session.map(drop) else {
        panic!("there is no token");
    };
    assert!(retry_at.is_some(), "it is tried again");
    assert_eq!(server.requests().len(), 1, "but not at once");
}
