//! Two copies of the program on one store.

use authflow::session::{MemoryStore, StoreErrorKind};
use authflow::testing::{Endpoint, FakeProvider, Rotation};
use authflow::{Action, AuthFlow, Event, TokenSet};

use super::*;

/// A store that both copies have.
type Both = Arc<MemoryStore>;

fn keeper(store: &Both, client: &Arc<Client>) -> Keeper {
    Keeper::new(
        Box::new(Arc::clone(store)),
        Arc::clone(client),
        Http::without_proxy(),
    )
}

fn client(provider: &FakeProvider) -> Arc<Client> {
    Arc::new(provider.client().build().unwrap())
}

fn with_tokens(client: &Arc<Client>, access_token: &str) -> Box<Snapshot> {
    let mut flow = AuthFlow::new(Arc::clone(client));
    let tokens = TokenSet::new(access_token).refresh_token("RT");
    flow.handle(Event::AdoptTokens(tokens), Timestamp::now())
        .unwrap();
    while flow.poll_action().is_some() {}
    Box::new(flow.snapshot())
}

fn without_tokens(client: &Arc<Client>) -> Box<Snapshot> {
    Box::new(AuthFlow::new(Arc::clone(client)).snapshot())
}

fn refresh_of(client: &Arc<Client>, saved: &Snapshot) -> HttpRequest {
    let now = Timestamp::now();
    let mut flow = AuthFlow::restore(Arc::clone(client), saved.clone(), now).unwrap();
    flow.handle(Event::Refresh, now).unwrap();
    while let Some(action) = flow.poll_action() {
        if let Action::Send(request) = action {
            return request;
        }
    }
    panic!("nothing was sent");
}

fn is_done(saved: &Result<Saved, StoreError>) -> bool {
    matches!(saved, Ok(Saved::Done))
}

/// Two copies of the program, of which one has saved this and the other has read it.
fn two_who_know(saved: &Snapshot, store: &Both, client: &Arc<Client>) -> (Keeper, Keeper) {
    let (mut one, mut other) = (keeper(store, client), keeper(store, client));
    assert!(is_done(&one.save(Box::new(saved.clone()))));
    assert!(other.load().unwrap().is_some());
    (one, other)
}

#[test]
fn what_is_saved_is_there_the_next_time() {
    let provider = FakeProvider::start().unwrap();
    let client = client(&provider);
    let store = Both::default();
    let mut first = keeper(&store, &client);
    assert!(first.load().unwrap().is_none());
    let given = with_tokens(&client, "AT");
    assert!(is_done(&first.save(given.clone())));
    let stored = keeper(&store, &client).load().unwrap().unwrap();
    let tokens = |saved: Box<Snapshot>| saved.tokens(&client, Timestamp::from_millis(0)).unwrap();
    assert_eq!(tokens(stored), tokens(given));
    // The lock was given back.
    assert!(store.lock(Duration::ZERO).is_ok());
}

#[test]
fn nothing_new_never_takes_the_place_of_something_new() {
    let provider = FakeProvider::start().unwrap();
    let client = client(&provider);
    let store = Both::default();
    let old = with_tokens(&client, "AT-1");
    let (mut one, mut other) = two_who_know(&old, &store, &client);
    assert!(is_done(&one.save(with_tokens(&client, "AT-2"))));

    // Such as when a login begins: the snapshot is a new one, its tokens are not.
    let Ok(Saved::Outdated(Some(stored))) = other.save(old.clone()) else {
        panic!("old tokens were saved over new ones");
    };
    // And not by asking twice either, as long as the machine has not taken over what there is.
    assert!(matches!(other.save(old), Ok(Saved::Outdated(Some(_)))));
    other.adopted(Some(stored.clone()));
    assert!(is_done(&other.save(stored)));
}

#[test]
fn a_log_out_goes_before_what_another_copy_has_saved() {
    let provider = FakeProvider::start().unwrap();
    let client = client(&provider);
    let store = Both::default();
    let old = with_tokens(&client, "AT-1");
    let (mut one, mut other) = two_who_know(&old, &store, &client);
    assert!(is_done(&one.save(with_tokens(&client, "AT-2"))));
    assert!(is_done(&other.save(without_tokens(&client))));
    assert!(!store.load().unwrap().unwrap().has_session());
}

#[test]
fn of_two_copies_one_refreshes() {
    let provider = FakeProvider::builder()
        .rotation(Rotation::EveryRefresh {
            reuse_detection: true,
        })
        .start()
        .unwrap();
    let client = client(&provider);
    let store = Both::default();
    let old = with_tokens(&client, "AT-1");
    let (mut one, mut other) = two_who_know(&old, &store, &client);
    let request = refresh_of(&client, &old);

    // The provider does not know this token, which is all the same here: it was asked.
    assert!(matches!(one.refresh(&request), Report::Refreshed { .. }));
    assert_eq!(provider.requests(Endpoint::Token).len(), 1);
    // Until the answer is saved, nobody else gets the lock.
    let busy = store.lock(Duration::ZERO).unwrap_err();
    assert_eq!(busy.kind(), StoreErrorKind::Busy);
    assert!(is_done(&one.save(with_tokens(&client, "AT-2"))));
    one.release();

    let Report::Outdated {
        stored: Some(_), ..
    } = other.refresh(&request)
    else {
        panic!("the old refresh token was used once more");
    };
    assert_eq!(provider.requests(Endpoint::Token).len(), 1);
    assert!(store.lock(Duration::ZERO).is_ok());
}

#[test]
fn the_end_of_the_session_elsewhere_is_found_at_the_next_refresh() {
    let provider = FakeProvider::start().unwrap();
    let client = client(&provider);
    let store = Both::default();
    let old = with_tokens(&client, "AT-1");
    let (mut one, mut other) = two_who_know(&old, &store, &client);
    assert!(is_done(&one.save(without_tokens(&client))));
    let Report::Outdated {
        stored: Some(stored),
        ..
    } = other.refresh(&refresh_of(&client, &old))
    else {
        panic!("a session that has ended was refreshed");
    };
    assert!(!stored.has_session());
    assert!(provider.requests(Endpoint::Token).is_empty());
}

/// A store that has room for what it holds, or has not.
struct Full(MemoryStore);

impl Store for Full {
    fn load(&self) -> Result<Option<Snapshot>, StoreError> {
        self.0.load()
    }

    fn save(&self, _: &Snapshot, _: &StoreLock) -> Result<(), StoreError> {
        Err(StoreError::new(StoreErrorKind::Full, "no room"))
    }

    fn lock(&self, timeout: Duration) -> Result<StoreLock, StoreError> {
        self.0.lock(timeout)
    }
}

#[test]
fn nothing_is_refreshed_that_could_not_be_saved() {
    let provider = FakeProvider::start().unwrap();
    let client = client(&provider);
    let old = with_tokens(&client, "AT-1");
    let store = MemoryStore::new();
    let lock = store.lock(Duration::ZERO).unwrap();
    store.save(&old, &lock).unwrap();
    drop(lock);
    let mut keeper = Keeper::new(Box::new(Full(store)), client.clone(), Http::without_proxy());
    assert!(keeper.load().unwrap().is_some());
    let Report::NotSent { error, .. } = keeper.refresh(&refresh_of(&client, &old)) else {
        panic!("it was sent");
    };
    assert_eq!(error.kind(), StoreErrorKind::Full);
    assert!(provider.requests(Endpoint::Token).is_empty());
}

#[test]
fn what_cannot_be_read_stays_until_there_are_tokens() {
    let provider = FakeProvider::start().unwrap();
    let client = client(&provider);
    let store = Both::default();
    let mut other = keeper(&store, &client);
    assert!(is_done(&other.save(with_tokens(&client, "AT-1"))));
    let mut keeper = keeper(&store, &client);
    keeper.replace_stored();
    assert!(is_done(&keeper.save(without_tokens(&client))));
    assert!(store.load().unwrap().unwrap().has_session());
    assert!(is_done(&keeper.save(with_tokens(&client, "AT-2"))));
    // From then on it is a store like any other.
    assert!(is_done(&keeper.save(without_tokens(&client))));
    assert!(!store.load().unwrap().unwrap().has_session());
}
