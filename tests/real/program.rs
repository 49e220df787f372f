//! Programs that log in: one with `Login` and a `Session`, one with the machine and the drivers.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use authflow::http::Http;
use authflow::loopback::{Loopback, Page, PendingCallback, Received};
use authflow::session::{Error, FileStore, Store as _};
use authflow::{
    Action, AuthFlow, ClientBuilder, Event, Login, LoginSecrets, Notice, Secret, Session, Snapshot,
    State, Timestamp, Verdict,
};
use serde_json::Value;
use ureq::middleware::MiddlewareNext;
use ureq::{Agent, SendBody};

use crate::person::{self, Landing};

/// A directory that is gone with whoever uses it.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let name = format!("authflow-real-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A program with a login of its own, which counts its token requests.
pub struct Program {
    client: ClientBuilder,
    store: FileStore,
    directory: Arc<Directory>,
    requests: Arc<AtomicUsize>,
}

impl Program {
    pub fn new(client: ClientBuilder) -> Self {
        let directory = Arc::new(Directory::new());
        Self {
            client,
            store: FileStore::at(directory.0.join("login.json")),
            directory,
            requests: Arc::default(),
        }
    }

    /// Another program that shares its login: the same file.
    pub fn sibling(&self) -> Self {
        Self {
            client: self.client.clone(),
            store: self.store.clone(),
            directory: Arc::clone(&self.directory),
            requests: Arc::default(),
        }
    }

    /// Another run of it, with a copy of what it has saved so far.
    pub fn restarted(&self) -> Self {
        self.restarted_with(|_| ())
    }

    /// The same, with a change to the copy.
    pub fn restarted_with(&self, change: impl FnOnce(&mut Value)) -> Self {
        let new = Self::new(self.client.clone());
        let lock = new.store.lock(Duration::ZERO).unwrap();
        let changed = changed(&self.saved(), change);
        new.store.save(&changed, &lock).unwrap();
        new
    }

    /// Logs in with a person who agrees.
    pub fn log_in(&self) -> Session {
        let (outcome, landing) = self.log_in_by(person::agrees);
        match (outcome, landing) {
            (Ok(session), Ok(page)) if page.title() == "You are logged in" => session,
            (outcome, landing) => panic!("{outcome:?}, {landing:?}"),
        }
    }

    /// Logs in with somebody who visits the authorization URL, and returns what came of it on
    /// either side.
    pub fn log_in_by<Seen: Send + 'static>(
        &self,
        visit: impl FnOnce(&str) -> person::Result<Seen> + Send + 'static,
    ) -> (Result<Session, Error>, person::Result<Seen>) {
        let (tell, told) = mpsc::channel();
        let login = self.login().opener(move |url| {
            let url = url.as_str().to_owned();
            let _ = tell.send(thread::spawn(move || visit(&url)));
        });
        let outcome = login.run();
        let seen = match told.recv() {
            Ok(visit) => visit.join().expect("no panic in the person"),
            Err(_) => Err("no browser was opened".into()),
        };
        if let Err(error) = &seen {
            eprintln!("the person got nowhere: {error}");
        }
        (outcome, seen)
    }

    /// The session that was saved, which needs no browser.
    pub fn resume(&self) -> Session {
        let login = self.login().opener(|_| panic!("a browser was opened"));
        login.run().unwrap()
    }

    pub fn login(&self) -> Login {
        let requests = Arc::clone(&self.requests);
        let agent = Agent::config_builder()
            .middleware(
                move |request: ureq::http::Request<SendBody<'_>>, next: MiddlewareNext<'_>| {
                    if request.method() == "POST" {
                        requests.fetch_add(1, Ordering::SeqCst);
                    }
                    next.handle(request)
                },
            )
            .build();
        Login::new(self.client.clone())
            .store(self.store.clone())
            .http(Http::with_agent(agent.into()))
            .on_prompt(|_| ())
    }

    /// How many token requests it has sent.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    pub fn saved(&self) -> Snapshot {
        let saved = self.store.load().unwrap();
        saved.expect("something was saved")
    }

    pub fn refresh_token(&self) -> Secret {
        let saved = json(&self.saved());
        let token = saved["session"]["refresh_token"].as_str();
        token.expect("a refresh token").into()
    }
}

fn json(saved: &Snapshot) -> Value {
    serde_json::from_str(saved.to_json().expose()).unwrap()
}

fn changed(saved: &Snapshot, change: impl FnOnce(&mut Value)) -> Snapshot {
    let mut json = json(saved);
    change(&mut json);
    Snapshot::from_json(json.to_string().as_bytes()).unwrap()
}

/// A program that drives the machine itself.
pub struct ByHand {
    pub flow: AuthFlow,
    pub requests: usize,
    listener: Loopback,
    http: Http,
    waiting: Option<PendingCallback>,
    notices: Vec<Notice>,
}

impl ByHand {
    pub fn new(client: ClientBuilder) -> Self {
        Self {
            flow: AuthFlow::new(client.build().unwrap()),
            requests: 0,
            listener: Loopback::builder().bind().unwrap(),
            http: Http::new(),
            waiting: None,
            notices: Vec::new(),
        }
    }

    /// Begins a login and returns the authorization URL.
    pub fn begin(&mut self) -> String {
        let redirect_uri = self.listener.redirect_uri();
        let redirect_uri = self.flow.client().redirect_uri(&redirect_uri).unwrap();
        let secrets = LoginSecrets::generate().unwrap();
        self.handle(Event::BeginLogin {
            secrets,
            redirect_uri,
        });
        let url = self.flow.authorization_url().expect("a login");
        url.as_str().to_owned()
    }

    /// Goes on from a snapshot in which the login's verifier is another.
    pub fn mix_up_the_verifier(&mut self) {
        let mixed_up = changed(&self.flow.snapshot(), |saved| {
            saved["login"]["verifier"] = "A".repeat(43).into();
        });
        let client = self.flow.client().clone();
        self.flow = AuthFlow::restore(client, mixed_up, Timestamp::now()).unwrap();
    }

    /// Sends a person there who agrees, and goes on until the login has ended. Returns what there
    /// was to tell, and what the person saw.
    pub fn finish(&mut self, address: &str) -> (Vec<Notice>, Landing) {
        let address = address.to_owned();
        let person = thread::spawn(move || person::agrees(&address));
        while self.flow.state() == State::AwaitingCode {
            let deadline = self.flow.deadline().expect("a login has one");
            let left = deadline.saturating_since(Timestamp::now());
            let event = match self.listener.receive(left).unwrap() {
                Received::Callback(callback) => {
                    let url = callback.url();
                    self.waiting = Some(callback);
                    Event::Callback { url }
                }
                Received::TimedOut => Event::Tick,
                Received::Cancelled => Event::CancelLogin,
            };
            self.handle(event);
        }
        let notices = std::mem::take(&mut self.notices);
        let landing = person.join().expect("no panic in the person");
        let landing = landing.unwrap_or_else(|error| panic!("{notices:?}, {error}"));
        (notices, landing)
    }

    fn handle(&mut self, event: Event) {
        self.flow.handle(event, Timestamp::now()).unwrap();
        while let Some(action) = self.flow.poll_action() {
            match action {
                Action::Persist
                | Action::OpenUrl(_)
                | Action::AnswerCallback(Verdict::Accepted) => {}
                Action::AnswerCallback(Verdict::Denied) => self.show(Page::Denied),
                Action::AnswerCallback(Verdict::NotOurs) => self.show(Page::NotOurs),
                Action::Send(request) => {
                    self.requests += 1;
                    let id = request.id();
                    let result = self.http.execute(&request);
                    let event = Event::Response { id, result };
                    self.flow.handle(event, Timestamp::now()).unwrap();
                }
                Action::Notify(notice) => {
                    match notice {
                        Notice::LoggedIn => self.show(Page::Success),
                        Notice::LoginFailed(_) => self.show(Page::Failed),
                        _ => {}
                    }
                    self.notices.push(notice);
                }
            }
        }
    }

    fn show(&mut self, page: Page) {
        if let Some(callback) = self.waiting.take() {
            callback.answer(page);
        }
    }
}
