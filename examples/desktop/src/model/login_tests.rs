//! The program without a window and without workers: each test is both.

#[path = "session_tests.rs"]
mod session;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc::{Sender, channel};

use authflow::loopback::Page;
use authflow::session::StoreErrorKind;
use authflow::{
    Activity, HttpResponse, Provider, Snapshot, TokenSet, TransportError, TransportErrorKind,
};

use super::*;
use crate::jobs::Saved;
use crate::screen::{Screen, Tone};

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const TOKENS: &str = r#"{"access_token":"AT-1","token_type":"Bearer","expires_in":3600,
                         "refresh_token":"RT-1","scope":"one"}"#;

const HERE: &str = "http://127.0.0.1:4242/callback";

struct Rig {
    model: Model,
    jobs: Rc<RefCell<Vec<Job>>>,
    reports: Sender<Report>,
    now: Timestamp,
}

fn client() -> Arc<Client> {
    let provider = Provider::new("https://as.example/auth", "https://as.example/token")
        .revocation_endpoint("https://as.example/revoke")
        .refresh_token_lifetime(HOUR * 24 * 180);
    let client = Client::builder(provider, "client").scopes(["one", "two"]);
    Arc::new(client.build().unwrap())
}

fn saved() -> Stored {
    let mut flow = AuthFlow::new(client());
    let tokens = TokenSet::new("AT-0")
        .refresh_token("RT-0")
        .expires_at(START.saturating_add(HOUR));
    flow.handle(Event::AdoptTokens(tokens), START).unwrap();
    while flow.poll_action().is_some() {}
    Some(Box::new(flow.snapshot()))
}

impl Rig {
    /// Started, with this in the store.
    fn new(stored: Stored) -> Self {
        let mut rig = Self::unloaded();
        rig.hear(Report::Loaded(Ok(stored)));
        rig
    }

    fn unloaded() -> Self {
        let (reports, received) = channel();
        let jobs: Rc<RefCell<Vec<Job>>> = Rc::default();
        let given = Rc::clone(&jobs);
        let give = Box::new(move |job| given.borrow_mut().push(job));
        let model = Model::new(client(), give, received);
        assert!(matches!(jobs.borrow_mut().pop(), Some(Job::Load)));
        Self {
            model,
            jobs,
            reports,
            now: START,
        }
    }

    fn hear(&mut self, report: Report) {
        self.reports.send(report).unwrap();
        self.model.pump(self.now);
    }

    fn press(&mut self, press: Press) {
        let offered = self.screen().buttons;
        assert!(offered.iter().any(|(one, _)| *one == press), "{offered:?}");
        self.model.press(press, self.now);
    }

    fn later(&mut self, wait: Duration) {
        self.now = self.now.saturating_add(wait);
        self.model.pump(self.now);
    }

    fn screen(&self) -> Screen {
        self.model.screen(self.now)
    }

    fn state(&self) -> &'static str {
        self.screen().state
    }

    /// The one job that there is.
    #[track_caller]
    fn job(&self) -> Job {
        let mut jobs = self.jobs.borrow_mut();
        assert_eq!(jobs.len(), 1, "{jobs:?}");
        jobs.remove(0)
    }

    #[track_caller]
    fn no_job(&self) {
        assert!(self.jobs.borrow().is_empty(), "{:?}", self.jobs.borrow());
    }

    #[track_caller]
    fn saves(&mut self) -> Box<Snapshot> {
        let Job::Save(snapshot) = self.job() else {
            panic!("nothing is saved");
        };
        self.hear(Report::Saved(Ok(Saved::Done)));
        snapshot
    }

    /// To where the redirect can be received, or can't be.
    fn listens(&mut self, redirect_uri: Result<&str, &str>) {
        self.press(Press::LogIn);
        let Job::Listen { attempt, .. } = self.job() else {
            panic!("nobody listens");
        };
        self.hear(Report::Listening {
            attempt,
            redirect_uri: redirect_uri.map(str::to_owned).map_err(str::to_owned),
        });
    }

    /// To the browser. Returns the login's state parameter.
    fn log_in(&mut self) -> String {
        self.listens(Ok(HERE));
        self.saves();
        let Job::Open(url) = self.job() else {
            panic!("no browser");
        };
        self.hear(Report::Opened(true));
        let url = url::Url::parse(url.as_str()).unwrap();
        let state = url.query_pairs().find(|(name, _)| name == "state");
        state.unwrap().1.into_owned()
    }

    fn comes_back(&mut self, query: &str) {
        let url = CallbackUrl::from_query(query);
        self.hear(Report::Callback { ticket: 7, url });
    }

    fn exchanges(&mut self, state: &str) -> RequestId {
        self.comes_back(&format!("code=c&state={state}"));
        let Job::Exchange(request) = self.job() else {
            panic!("no exchange");
        };
        request.id()
    }

    fn takes_refresh(&mut self) -> RequestId {
        let Job::Refresh(request) = self.job() else {
            panic!("no refresh");
        };
        request.id()
    }

    fn logged_in() -> Self {
        let mut rig = Self::new(None);
        let state = rig.log_in();
        let id = rig.exchanges(&state);
        rig.hear(ok(id, TOKENS));
        rig.saves();
        rig.jobs.borrow_mut().clear();
        rig
    }
}

fn ok(id: RequestId, body: &str) -> Report {
    let result = Ok(HttpResponse::new(200, body));
    Report::Token { id, result }
}

fn refreshed(id: RequestId, status: u16, body: &str) -> Report {
    let result = Ok(HttpResponse::new(status, body));
    Report::Refreshed { id, result }
}

fn person() -> Person {
    Person {
        name: "Alice".to_owned(),
        detail: None,
    }
}

#[test]
fn a_login_from_the_button_to_the_name() {
    let mut rig = Rig::unloaded();
    assert_eq!(rig.state(), "Starting");
    rig.hear(Report::Loaded(Ok(None)));
    assert_eq!(rig.state(), "Logged out");

    let state = rig.log_in();
    let screen = rig.screen();
    assert_eq!(screen.state, "Waiting for the browser");
    assert!(screen.link.is_some_and(|link| link.contains(&state)));
    assert_eq!(screen.facts, [("Time left", "5:00".to_owned())]);

    let id = rig.exchanges(&state);
    assert_eq!(rig.state(), "Exchanging");
    rig.hear(ok(id, TOKENS));
    // Not used, nor shown to anybody, before they are saved.
    let Job::Save(snapshot) = rig.job() else {
        panic!("not saved");
    };
    assert!(snapshot.has_session());
    rig.no_job();
    let screen = rig.screen();
    assert_eq!((screen.state, screen.buttons), ("Saving", vec![]));
    rig.hear(Report::Saved(Ok(Saved::Done)));
    let jobs = std::mem::take(&mut *rig.jobs.borrow_mut());
    let [
        Job::Answer {
            ticket: 7,
            page: Page::Success,
        },
        Job::StopListening { .. },
        Job::AskMe { serial, .. },
    ] = jobs[..]
    else {
        panic!("{jobs:?}");
    };

    let result = Ok(person());
    rig.hear(Report::Me { serial, result });
    let screen = rig.screen();
    assert_eq!((screen.state, screen.tone), ("Authorized", Tone::Good));
    assert_eq!(screen.person, Some(Ok(person())));
    let scopes: Vec<_> = screen
        .scopes
        .iter()
        .map(|s| (&*s.name, s.granted))
        .collect();
    assert_eq!(scopes, [("one", true), ("two", false)]);
    let facts = [
        ("This token ends", "in 60 minutes".to_owned()),
        ("Next sign-in", "in 6 months".to_owned()),
    ];
    assert_eq!(screen.facts, facts);
    // The frame loop sleeps until the machine has something to do, but not through a suspend.
    assert_eq!(rig.model.wake_in(rig.now), LONGEST_SLEEP);
}

#[test]
fn a_no_is_said_in_plain_words_and_the_browser_is_told() {
    let mut rig = Rig::new(None);
    let state = rig.log_in();
    rig.comes_back(&format!("error=access_denied&state={state}"));
    let jobs = std::mem::take(&mut *rig.jobs.borrow_mut());
    assert!(matches!(
        jobs[..],
        [
            Job::Answer {
                page: Page::Denied,
                ..
            },
            Job::Save(_)
        ]
    ));
    rig.hear(Report::Saved(Ok(Saved::Done)));
    let screen = rig.screen();
    assert_eq!(screen.state, "Denied");
    let banner = screen.banner.unwrap();
    assert_eq!(banner.title, "Access was not allowed");
    assert!(banner.text.contains("choose Allow"), "{}", banner.text);
    assert_eq!(screen.buttons, [(Press::LogIn, "Log in again")]);
}

#[test]
fn a_stray_callback_changes_nothing_but_is_mentioned() {
    let mut rig = Rig::new(None);
    rig.log_in();
    rig.comes_back("code=forged&state=wrong");
    let answer = Job::Answer {
        ticket: 7,
        page: Page::NotOurs,
    };
    assert_eq!(format!("{:?}", rig.job()), format!("{answer:?}"));
    let screen = rig.screen();
    assert_eq!(screen.state, "Waiting for the browser");
    assert_eq!(screen.banner.map(|banner| banner.tone), Some(Tone::Calm));
}

#[test]
fn cancel_works_at_every_step() {
    // Before anybody listens.
    let mut rig = Rig::new(None);
    rig.press(Press::LogIn);
    rig.jobs.borrow_mut().clear();
    rig.press(Press::Cancel);
    assert!(matches!(rig.job(), Job::StopListening { attempt: 1 }));
    assert_eq!(rig.state(), "Logged out");
    rig.hear(Report::Listening {
        attempt: 1,
        redirect_uri: Ok(HERE.to_owned()),
    });
    rig.no_job();

    // While it is saved, which can take long.
    let mut rig = Rig::new(None);
    rig.listens(Ok(HERE));
    assert!(matches!(rig.job(), Job::Save(_)));
    rig.press(Press::Cancel);
    assert_eq!(rig.state(), "Logged out");
    assert!(matches!(rig.job(), Job::StopListening { .. }));
    rig.hear(Report::Saved(Ok(Saved::Done)));
    rig.saves();
    rig.no_job();

    // While the browser is open, and while the code is exchanged.
    for exchanging in [false, true] {
        let mut rig = Rig::new(None);
        let state = rig.log_in();
        let id = exchanging.then(|| rig.exchanges(&state));
        rig.press(Press::Cancel);
        assert!(!rig.saves().has_session());
        assert_eq!((rig.state(), rig.screen().banner), ("Logged out", None));
        if let Some(id) = id {
            rig.jobs.borrow_mut().clear();
            rig.hear(ok(id, TOKENS));
            rig.no_job();
            assert_eq!(rig.state(), "Logged out");
        }
    }
}

#[test]
fn nobody_comes_back_in_time() {
    let mut rig = Rig::new(None);
    rig.log_in();
    assert!(rig.model.wake_in(rig.now) <= LONGEST_SLEEP);
    rig.later(Duration::from_secs(299));
    assert_eq!(rig.model.wake_in(rig.now), Duration::from_secs(1));
    rig.later(Duration::from_secs(1));
    rig.saves();
    assert_eq!(rig.state(), "Timed out");
}

#[test]
fn without_a_browser_there_is_the_link() {
    let mut rig = Rig::new(None);
    rig.log_in();
    rig.hear(Report::Opened(false));
    let screen = rig.screen();
    assert!(screen.text.starts_with("No browser"));
    assert!(screen.link.is_some());
}

#[test]
fn a_port_that_is_taken_is_named() {
    let mut rig = Rig::new(None);
    rig.listens(Err("another program is using it"));
    let screen = rig.screen();
    assert_eq!(screen.state, "Login failed");
    let detail = screen.banner.and_then(|banner| banner.detail);
    assert_eq!(detail.as_deref(), Some("another program is using it"));
}
