//! What the tests of `Login` and `Session` share: a store to look into, people to send to the
//! browser, and sessions that need none.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use authflow::session::{
    AccessToken, Error, LocalLock, Store, StoreError, StoreErrorKind, StoreLock,
};
use authflow::testing::{Answer, FakeProvider, Landing, Person};
use authflow::{
    AuthFlow, AuthorizationUrl, Client, ClientBuilder, Event, Login, Provider, Session, Snapshot,
    Timestamp, TokenSet,
};
use serde_json::Value;

use super::raw::{PATIENCE, Request, Server, lock, within};

// --- stores -----------------------------------------------------------------------------------

type Rule = Box<dyn FnMut(usize, &Snapshot) -> Result<(), StoreError> + Send>;

/// A store that remembers everything and fails when the test says so. Clones are the same store.
#[derive(Clone, Default)]
pub struct TestStore {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    saved: Mutex<Vec<Snapshot>>,
    attempts: AtomicUsize,
    rule: Mutex<Option<Rule>>,
    lock: LocalLock,
}

impl TestStore {
    pub fn new() -> Self {
        Self::default()
    }

    /// One that holds this.
    pub fn with(snapshot: Snapshot) -> Self {
        let store = Self::default();
        lock(&store.inner.saved).push(snapshot);
        store
    }

    /// As if another program had saved this.
    pub fn put(&self, snapshot: Snapshot) {
        lock(&self.inner.saved).push(snapshot);
    }

    /// From now on each attempt to save, counted from 1, asks this first.
    pub fn rule(
        &self,
        rule: impl FnMut(usize, &Snapshot) -> Result<(), StoreError> + Send + 'static,
    ) {
        *lock(&self.inner.rule) = Some(Box::new(rule));
    }

    pub fn fail(&self) {
        self.rule(|_, _| Err(store_error("the disk is full")));
    }

    /// As if there were room for what is there, and for nothing new: a save of other tokens fails.
    pub fn fail_for_new(&self) {
        let token = self.access_token();
        self.rule(move |_, snapshot| {
            let is_same = json(snapshot)["session"]["access_token"].as_str() == token.as_deref();
            match is_same {
                true => Ok(()),
                false => Err(store_error("the disk is full")),
            }
        });
    }

    pub fn recover(&self) {
        *lock(&self.inner.rule) = None;
    }

    pub fn attempts(&self) -> usize {
        self.inner.attempts.load(Ordering::SeqCst)
    }

    /// Everything that was ever saved.
    pub fn history(&self) -> Vec<Snapshot> {
        lock(&self.inner.saved).clone()
    }

    pub fn last(&self) -> Snapshot {
        self.history().pop().expect("something saved")
    }

    pub fn refresh_token(&self) -> Option<String> {
        Some(
            json(&self.last())["session"]["refresh_token"]
                .as_str()?
                .to_owned(),
        )
    }

    pub fn access_token(&self) -> Option<String> {
        Some(
            json(&self.last())["session"]["access_token"]
                .as_str()?
                .to_owned(),
        )
    }
}

impl Store for TestStore {
    fn load(&self) -> Result<Option<Snapshot>, StoreError> {
        Ok(lock(&self.inner.saved).last().cloned())
    }

    fn save(&self, snapshot: &Snapshot, _: &StoreLock) -> Result<(), StoreError> {
        let attempt = self.inner.attempts.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(rule) = &mut *lock(&self.inner.rule) {
            rule(attempt, snapshot)?;
        }
        lock(&self.inner.saved).push(snapshot.clone());
        Ok(())
    }

    fn lock(&self, timeout: Duration) -> Result<StoreLock, StoreError> {
        self.inner.lock.lock(timeout)
    }
}

/// A fault of a store's.
pub fn store_error(message: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Other, message)
}

pub fn json(snapshot: &Snapshot) -> Value {
    serde_json::from_str(snapshot.to_json().expose()).unwrap()
}

/// The snapshot, changed as no program should.
pub fn edited(snapshot: &Snapshot, edit: impl FnOnce(&mut Value)) -> Snapshot {
    let mut value = json(snapshot);
    edit(&mut value);
    Snapshot::from_json(value.to_string().as_bytes()).unwrap()
}

/// The same login with an access token that has ended.
pub fn expired(snapshot: &Snapshot) -> Snapshot {
    edited(snapshot, |value| {
        value["session"]["obtained_at"] = 1.into();
        value["session"]["expires_at"] = 2.into();
    })
}

// --- people -----------------------------------------------------------------------------------

/// What the person finally sees.
pub struct Sight(Receiver<io::Result<Landing>>);

impl Sight {
    pub fn page(self) -> Landing {
        self.0.recv_timeout(PATIENCE).unwrap().unwrap()
    }
}

/// An opener behind which a person answers, in a thread of their own.
pub fn person(answer: Answer) -> (impl FnOnce(&AuthorizationUrl) + Send + 'static, Sight) {
    person_after(answer, |_| ())
}

/// The same, and something happens before.
pub fn person_after(
    answer: Answer,
    before: impl FnOnce(&str) + Send + 'static,
) -> (impl FnOnce(&AuthorizationUrl) + Send + 'static, Sight) {
    let (sees, sight) = channel();
    let opener = move |url: &AuthorizationUrl| {
        let url = url.as_str().to_owned();
        thread::spawn(move || {
            before(&url);
            sees.send(Person::answer(&url, answer))
        });
    };
    (opener, Sight(sight))
}

/// An opener that only counts.
pub fn counter() -> (
    impl FnOnce(&AuthorizationUrl) + Send + 'static,
    Arc<AtomicUsize>,
) {
    let count = Arc::new(AtomicUsize::new(0));
    let inside = Arc::clone(&count);
    let opener = move |_: &AuthorizationUrl| {
        inside.fetch_add(1, Ordering::SeqCst);
    };
    (opener, count)
}

/// A login that says nothing on standard error.
pub fn login(client: ClientBuilder) -> Login {
    Login::new(client).on_prompt(|_| ()).timeout(PATIENCE)
}

/// Somebody who has logged in to this provider, and where it is kept.
pub fn logged_in(provider: &FakeProvider) -> (Session, TestStore) {
    let store = TestStore::new();
    let (opener, sight) = person(Answer::Allow);
    let session = login(provider.client())
        .store(store.clone())
        .opener(opener)
        .run()
        .unwrap();
    sight.page();
    (session, store)
}

/// A parameter of an authorization URL.
pub fn parameter(url: &str, name: &str) -> String {
    let url = url::Url::parse(url).unwrap();
    let value = url.query_pairs().find(|(own, _)| own == name);
    value.expect("the parameter").1.into_owned()
}

// --- sessions without a login -----------------------------------------------------------------

/// A client of a server by hand, which is its API as well.
pub fn client_of(server: &Server) -> ClientBuilder {
    let provider = Provider::new(server.url("/authorize"), server.url("/token"))
        .api_origin(server.url(""))
        .dangerously_allow_http_on_loopback();
    Client::builder(provider, "raw-client")
}

/// These tokens, as this client would have saved them at that time.
pub fn saved(client: ClientBuilder, tokens: TokenSet, at: Timestamp) -> Snapshot {
    let mut flow = AuthFlow::new(client.build().unwrap());
    flow.handle(Event::AdoptTokens(tokens), at).unwrap();
    flow.snapshot()
}

/// A session of these tokens, and its store. No browser is there to be opened.
pub fn session_of(
    client: ClientBuilder,
    tokens: TokenSet,
    at: Timestamp,
) -> (Result<Session, Error>, TestStore) {
    let store = TestStore::with(saved(client.clone(), tokens, at));
    let login = login(client).store(store.clone());
    let session = login.opener(|_| panic!("a browser was opened")).run();
    (session, store)
}

/// An access token for an hour and a refresh token.
pub fn hour() -> TokenSet {
    let end = Timestamp::now().saturating_add(std::time::Duration::from_secs(3600));
    TokenSet::new("AT-0").refresh_token("RT-0").expires_at(end)
}

/// The same, but the access token has ended.
pub fn ended() -> TokenSet {
    TokenSet::new("AT-0")
        .refresh_token("RT-0")
        .expires_at(Timestamp::from_millis(2))
}

/// A token endpoint and an API by hand: each request is answered by this.
pub fn server(answer: impl Fn(&Request) -> String + Send + Sync + 'static) -> Server {
    Server::start(move |mut connection| {
        while let Some(request) = connection.request() {
            let answer = answer(&request);
            connection.write(answer);
        }
    })
}

pub fn number(count: &AtomicUsize) -> String {
    format!("AT-{}", count.fetch_add(1, Ordering::SeqCst) + 1)
}

pub fn session(server: &Server, tokens: TokenSet) -> (Session, TestStore) {
    let (session, store) = session_of(client_of(server), tokens, Timestamp::now());
    (session.unwrap(), store)
}

pub fn text(token: Result<AccessToken, Error>) -> String {
    token.unwrap().secret().expose().to_owned()
}

/// Does this in so many threads at once.
pub fn at_once<T: Send + 'static>(
    threads: usize,
    session: &Session,
    work: impl Fn(&Session) -> T + Send + Sync + Clone + 'static,
) -> Vec<T> {
    let barrier = Arc::new(Barrier::new(threads));
    let threads: Vec<_> = (0..threads)
        .map(|_| {
            let (session, barrier, work) = (session.clone(), barrier.clone(), work.clone());
            thread::spawn(move || {
                barrier.wait();
                work(&session)
            })
        })
        .collect();
    within(PATIENCE, move || {
        threads.into_iter().map(|it| it.join().unwrap()).collect()
    })
}
