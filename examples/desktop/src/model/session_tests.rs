//! Once somebody is in: refreshes, other copies, the store, the end.

use super::*;

#[test]
fn the_next_start_is_still_in() {
    let rig = Rig::new(saved());
    assert!(matches!(rig.job(), Job::AskMe { .. }));
    assert_eq!(rig.state(), "Authorized");
}

#[test]
fn what_cannot_be_read_is_said_and_replaced_only_by_a_login() {
    let mut rig = Rig::unloaded();
    let error = StoreError::new(
        StoreErrorKind::Unreadable(authflow::RestoreError::Damaged),
        "damaged",
    );
    rig.hear(Report::Loaded(Err(error)));
    assert_eq!(rig.state(), "Saved login unreadable");
    rig.no_job();
    rig.press(Press::LogIn);
    let jobs = rig.jobs.borrow();
    assert!(matches!(jobs[..], [Job::ReplaceStored, Job::Listen { .. }]));
}

#[test]
fn a_refresh_keeps_the_lock_until_its_tokens_are_saved() {
    let mut rig = Rig::logged_in();
    rig.press(Press::Refresh);
    assert_eq!(rig.state(), "Refreshing");
    let id = rig.takes_refresh();
    rig.hear(refreshed(
        id,
        200,
        r#"{"access_token":"AT-2","expires_in":3600}"#,
    ));
    assert!(matches!(rig.job(), Job::Save(_)));
    rig.hear(Report::Saved(Ok(Saved::Done)));
    let jobs = std::mem::take(&mut *rig.jobs.borrow_mut());
    assert!(
        matches!(jobs[..], [Job::AskMe { .. }, Job::Release]),
        "{jobs:?}"
    );
    assert_eq!(rig.state(), "Authorized");
}

#[test]
fn a_refresh_that_fails_says_when_it_is_tried_again() {
    let mut rig = Rig::logged_in();
    rig.press(Press::Refresh);
    let id = rig.takes_refresh();
    rig.hear(refreshed(id, 503, "down"));
    assert!(matches!(rig.job(), Job::Release));
    let screen = rig.screen();
    assert_eq!(screen.state, "Refresh failing");
    let banner = screen.banner.unwrap();
    assert!(banner.text.contains("tried again in"), "{}", banner.text);
    let wait = rig.model.wake_in(rig.now);
    assert!(wait <= Duration::from_secs(2));
    rig.later(wait);
    let id = rig.takes_refresh();
    rig.hear(refreshed(
        id,
        200,
        r#"{"access_token":"AT-2","expires_in":3600}"#,
    ));
    rig.saves();
    assert_eq!((rig.state(), rig.screen().banner), ("Authorized", None));
}

#[test]
fn the_end_of_a_refresh_token_asks_for_a_sign_in() {
    let mut rig = Rig::logged_in();
    rig.later(HOUR);
    assert_eq!(rig.state(), "Refreshing");
    let id = rig.takes_refresh();
    rig.hear(refreshed(id, 400, r#"{"error":"invalid_grant"}"#));
    rig.saves();
    let screen = rig.screen();
    assert_eq!(screen.state, "Sign in again");
    assert_eq!(screen.buttons[0], (Press::LogIn, "Log in again"));
    assert_eq!(
        screen.banner.unwrap().title,
        "This log-in has come to its end"
    );
}

#[test]
fn a_token_that_the_api_refuses_is_refreshed_once() {
    let mut rig = Rig::new(saved());
    let Job::AskMe { serial, .. } = rig.job() else {
        panic!("nobody asks");
    };
    let rejected = || Err(ApiError::Rejected);
    let result = rejected();
    rig.hear(Report::Me { serial, result });
    let id = rig.takes_refresh();
    rig.hear(refreshed(
        id,
        200,
        r#"{"access_token":"AT-2","expires_in":3600}"#,
    ));
    assert!(matches!(rig.job(), Job::Save(_)));
    rig.hear(Report::Saved(Ok(Saved::Done)));
    let jobs = std::mem::take(&mut *rig.jobs.borrow_mut());
    let [Job::AskMe { serial, .. }, Job::Release] = jobs[..] else {
        panic!("{jobs:?}");
    };
    let result = rejected();
    rig.hear(Report::Me { serial, result });
    rig.no_job();
    assert!(matches!(rig.screen().person, Some(Err(_))));
}

#[test]
fn another_copy_has_refreshed_already() {
    let mut rig = Rig::new(saved());
    rig.jobs.borrow_mut().clear();
    rig.press(Press::Refresh);
    let id = rig.takes_refresh();
    let mut theirs = AuthFlow::new(client());
    let tokens = TokenSet::new("AT-9").refresh_token("RT-9");
    theirs.handle(Event::AdoptTokens(tokens), START).unwrap();
    let stored = Some(Box::new(theirs.snapshot()));
    rig.hear(Report::Outdated { id, stored });
    let jobs = std::mem::take(&mut *rig.jobs.borrow_mut());
    assert!(
        jobs.iter().any(|job| matches!(job, Job::Adopted(Some(_)))),
        "{jobs:?}"
    );
    rig.hear(Report::Saved(Ok(Saved::Done)));
    // No word of a failure, which there was none of.
    assert_eq!((rig.state(), rig.screen().banner), ("Authorized", None));
    let token = rig.model.flow.access_token(rig.now).unwrap();
    assert_eq!(token.secret().expose(), "AT-9");
    assert_eq!(rig.model.flow.activity(), Activity::Idle);
}

#[test]
fn another_copy_has_logged_out() {
    let mut rig = Rig::new(saved());
    rig.jobs.borrow_mut().clear();
    rig.press(Press::Refresh);
    let id = rig.takes_refresh();
    let stored = Some(Box::new(AuthFlow::new(client()).snapshot()));
    rig.hear(Report::Outdated { id, stored });
    rig.hear(Report::Saved(Ok(Saved::Done)));
    let screen = rig.screen();
    assert_eq!(screen.state, "Logged out");
    assert_eq!(screen.banner.unwrap().title, "Logged out in another window");
}

#[test]
fn another_copy_has_logged_in_while_this_one_was_about_to() {
    let mut rig = Rig::new(None);
    rig.listens(Ok(HERE));
    assert!(matches!(rig.job(), Job::Save(_)));
    rig.hear(Report::Saved(Ok(Saved::Outdated(saved()))));
    rig.hear(Report::Saved(Ok(Saved::Done)));
    assert_eq!(rig.state(), "Authorized");
    // No browser was opened for it.
    let jobs = rig.jobs.borrow();
    assert!(
        !jobs.iter().any(|job| matches!(job, Job::Open(_))),
        "{jobs:?}"
    );
}

#[test]
fn tokens_that_cannot_be_saved_wait() {
    let mut rig = Rig::new(None);
    let state = rig.log_in();
    let id = rig.exchanges(&state);
    rig.hear(ok(id, TOKENS));
    let full = || StoreError::new(StoreErrorKind::Full, "no room in /home");
    assert!(matches!(rig.job(), Job::Save(_)));
    rig.hear(Report::Saved(Err(full())));
    let screen = rig.screen();
    assert_eq!((screen.state, screen.tone), ("Cannot save", Tone::Bad));
    assert!(screen.banner.unwrap().text.contains("no room in /home"));
    rig.later(Duration::from_secs(1));
    rig.no_job();

    rig.press(Press::SaveAgain);
    assert!(matches!(rig.job(), Job::Save(_)));
    rig.hear(Report::Saved(Err(full())));
    rig.press(Press::GoOnUnsaved);
    let screen = rig.screen();
    assert_eq!(screen.state, "Authorized");
    assert_eq!(
        screen.banner.map(|banner| banner.title),
        Some("Not saved".to_owned())
    );
}

#[test]
fn no_browser_is_opened_for_a_login_that_cannot_be_saved() {
    let mut rig = Rig::new(None);
    rig.listens(Ok(HERE));
    assert!(matches!(rig.job(), Job::Save(_)));
    let error = StoreError::new(StoreErrorKind::Refused, "read-only");
    rig.hear(Report::Saved(Err(error)));
    assert_eq!(rig.state(), "Cannot save");
    rig.press(Press::Cancel);
    assert!(matches!(rig.job(), Job::StopListening { .. }));
    assert_eq!(rig.state(), "Logged out");
}

#[test]
fn a_log_out_is_saved_and_then_told() {
    let mut rig = Rig::logged_in();
    rig.press(Press::LogOut);
    assert!(matches!(rig.job(), Job::Save(snapshot) if !snapshot.has_session()));
    rig.hear(Report::Saved(Ok(Saved::Done)));
    assert!(matches!(rig.job(), Job::Revoke(requests) if requests.len() == 2));
    assert_eq!(rig.state(), "Logged out");
    rig.hear(Report::Revoked(Some("HTTP 503".to_owned())));
    let banner = rig.screen().banner.unwrap();
    assert_eq!(banner.title, "The provider did not hear of it");
}

#[test]
fn the_program_was_closed_in_the_middle_of_a_login() {
    let mut before = Rig::new(None);
    let state = before.log_in();
    let stored = || Some(Box::new(before.model.flow.snapshot()));

    // Its port is free again: the browser that is still open may come back.
    let mut rig = Rig::new(stored());
    let Job::Listen {
        attempt,
        redirect_uri: Some(uri),
    } = rig.job()
    else {
        panic!("nobody listens");
    };
    assert_eq!(uri, "http://127.0.0.1:4242/callback");
    let redirect_uri = Ok(uri);
    rig.hear(Report::Listening {
        attempt,
        redirect_uri,
    });
    assert_eq!(rig.state(), "Waiting for the browser");
    let id = rig.exchanges(&state);
    rig.hear(ok(id, TOKENS));
    rig.saves();
    assert_eq!(rig.state(), "Authorized");

    // It is not: another copy waits there.
    let mut rig = Rig::new(stored());
    assert!(matches!(rig.job(), Job::Listen { .. }));
    let redirect_uri = Err("taken".to_owned());
    rig.hear(Report::Listening {
        attempt: 1,
        redirect_uri,
    });
    rig.saves();
    assert_eq!((rig.state(), rig.screen().banner), ("Logged out", None));
}

#[test]
fn a_lost_answer_is_no_end() {
    let mut rig = Rig::logged_in();
    rig.press(Press::Refresh);
    let id = rig.takes_refresh();
    let result = Err(TransportError {
        kind: TransportErrorKind::Timeout,
        may_have_been_sent: true,
    });
    rig.hear(Report::Refreshed { id, result });
    assert_eq!(rig.state(), "Refresh failing");
    assert!(
        rig.screen()
            .facts
            .iter()
            .any(|(name, _)| *name == "This token ends")
    );
}
