//! A login that is kept elsewhere than it was got, and one that is opened without being used.
#![cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]

mod support;

use authflow::session::{Error, Revocation};
use authflow::testing::{Answer, Endpoint, FakeProvider, Fault, Person};
use authflow::{CallbackUrl, Login, State};
use support::login::{TestStore, expired, logged_in};

#[test]
fn a_session_moves_and_what_stays_behind_is_over() {
    let provider = FakeProvider::start().unwrap();
    let (session, old) = logged_in(&provider);
    let token = session.access_token().unwrap();
    let (clone, saves) = (session.clone(), old.history().len());
    let new = TestStore::new();

    let moved = session.move_to(new.clone()).unwrap();
    assert_eq!(moved.access_token().unwrap().serial(), token.serial());
    assert_eq!(new.access_token().as_deref(), Some(token.secret().expose()));
    for over in [&session, &clone] {
        assert_eq!(over.state(), State::Unauthorized);
        assert!(matches!(over.access_token(), Err(Error::SignIn(None))));
        assert!(matches!(over.refresh(), Err(Error::SignIn(None))));
    }
    assert_eq!(old.history().len(), saves, "its store is left alone");

    // It goes on there.
    let refreshed = moved.refresh().unwrap();
    assert_eq!(
        new.access_token().as_deref(),
        Some(refreshed.secret().expose())
    );
    assert_eq!(old.history().len(), saves);
    assert_eq!(moved.log_out().unwrap(), Revocation::NotOffered);
    assert_eq!(new.access_token(), None);
}

#[test]
fn a_session_that_cannot_be_saved_there_stays() {
    let provider = FakeProvider::start().unwrap();
    let (session, old) = logged_in(&provider);
    let new = TestStore::new();
    new.fail();
    assert!(matches!(session.move_to(new.clone()), Err(Error::Store(_))));
    let token = session.refresh().unwrap();
    assert_eq!(old.access_token().as_deref(), Some(token.secret().expose()));
    new.recover();
    let moved = session.move_to(new).unwrap();
    assert_eq!(moved.access_token().unwrap().serial(), token.serial());
}

#[test]
fn a_session_that_is_over_takes_nobodys_place() {
    let provider = FakeProvider::start().unwrap();
    let (bob, bobs) = logged_in(&provider);
    let saves = bobs.history().len();
    let (ended, _) = logged_in(&provider);
    ended.log_out().unwrap();
    let (moved, _) = logged_in(&provider);
    moved.move_to(TestStore::new()).unwrap();
    for over in [ended, moved] {
        assert!(matches!(
            over.move_to(bobs.clone()),
            Err(Error::SignIn(None))
        ));
    }
    assert_eq!(bobs.history().len(), saves);
    assert!(bob.refresh().is_ok());
}

#[test]
fn a_stored_login_is_opened_and_revoked_without_being_used() {
    let provider = FakeProvider::builder().with_revocation().start().unwrap();
    let (session, store) = logged_in(&provider);
    drop(session);
    provider.clear_requests(Endpoint::Token);
    // It could not be refreshed now.
    provider.fault_for_next(Endpoint::Token, usize::MAX, Fault::Unavailable);
    let store = TestStore::with(expired(&store.last()));
    let stored = |store: &TestStore| Login::new(provider.client()).store(store.clone()).stored();
    let session = stored(&store).unwrap().expect("a login");
    assert_eq!(provider.requests(Endpoint::Token), []);
    assert_eq!(session.log_out().unwrap(), Revocation::Done);
    assert_eq!(provider.live_refresh_tokens(), 0);
    assert_eq!(provider.requests(Endpoint::Token), []);
    assert!(stored(&store).unwrap().is_none());
    assert!(stored(&TestStore::new()).unwrap().is_none());
}

#[test]
fn a_pending_login_says_which_callback_it_expects() {
    let provider = FakeProvider::start().unwrap();
    let redirect_uri = "http://127.0.0.1/callback";
    let mut pending = Login::new(provider.client()).begin(redirect_uri).unwrap();
    let back = Person::redirect_for(pending.url().as_str(), Answer::Allow).unwrap();
    assert!(!pending.expects(&CallbackUrl::from_query("code=a&state=forged")));
    let back = CallbackUrl::new(back);
    for _ in 0..2 {
        assert!(pending.expects(&back));
    }
    assert_eq!(back.state(), pending.url().state());
    pending.callback(back.clone()).unwrap();
    assert!(!pending.expects(&back), "it has had its answer");
}
