//! The threads. One keeps the login, in order; whatever else takes time gets a thread of its own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use authflow::http::Http;
use authflow::loopback::{Canceller, Loopback, Page, PendingCallback, Received};
use authflow::session::Store;
use authflow::{Client, RevocationRequest, Timestamp, browser};

use crate::api;
use crate::jobs::{Job, Report};
use crate::keeper::Keeper;

/// Browsers that wait for their page at a time.
const MOST_BROWSERS: usize = 32;

/// Takes jobs and sets threads to work on them.
pub struct Workers {
    shared: Arc<Shared>,
    keeper: Sender<Job>,
    port: Option<u16>,
    client: Arc<Client>,
    me_url: String,
}

/// What the threads share.
struct Shared {
    http: Http,
    reports: Sender<Report>,
    /// Tells the window that there is a report.
    wake: Box<dyn Fn() + Send + Sync>,
    /// Browsers that wait for their page.
    browsers: Mutex<HashMap<u64, PendingCallback>>,
    tickets: AtomicU64,
    listeners: Mutex<HashMap<u64, Listener>>,
}

/// A login's listener.
enum Listener {
    Binding,
    Bound(Canceller),
}

impl Workers {
    pub fn start(
        client: Arc<Client>,
        store: Box<dyn Store>,
        me_url: String,
        port: Option<u16>,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> (Self, Receiver<Report>) {
        let http = Http::new();
        let (reports, received) = mpsc::channel();
        let shared = Arc::new(Shared {
            http: http.clone(),
            reports,
            wake: Box::new(wake),
            browsers: Mutex::default(),
            tickets: AtomicU64::new(0),
            listeners: Mutex::default(),
        });
        let (keeper, jobs) = mpsc::channel();
        let keeping = Keeper::new(store, Arc::clone(&client), http);
        let told = Arc::clone(&shared);
        thread::spawn(move || keep(keeping, &jobs, &told));
        let workers = Self {
            shared,
            keeper,
            port,
            client,
            me_url,
        };
        (workers, received)
    }

    /// Never waits.
    pub fn give(&self, job: Job) {
        let shared = Arc::clone(&self.shared);
        match job {
            Job::Load
            | Job::ReplaceStored
            | Job::Save(_)
            | Job::Adopted(_)
            | Job::Refresh(_)
            | Job::Release => {
                // It ends only with this program.
                let _ = self.keeper.send(job);
            }
            Job::Exchange(request) => spawn(move || {
                let id = request.id();
                let result = shared.http.execute(&request);
                shared.report(Report::Token { id, result });
            }),
            Job::Listen {
                attempt,
                redirect_uri,
            } => {
                shared.lock_listeners().insert(attempt, Listener::Binding);
                let port = port_of(redirect_uri.as_deref()).or(self.port);
                spawn(move || shared.listen(attempt, port));
            }
            Job::StopListening { attempt } => {
                if let Some(Listener::Bound(listener)) = shared.lock_listeners().remove(&attempt) {
                    listener.cancel();
                }
            }
            Job::Answer { ticket, page } => spawn(move || shared.answer(ticket, page)),
            Job::Open(url) => spawn(move || {
                let opened = browser::open(&url).is_ok();
                shared.report(Report::Opened(opened));
            }),
            Job::AskMe {
                serial,
                authorization,
            } => {
                let url = self.me_url.clone();
                spawn(move || {
                    let result = api::me(&url, &authorization);
                    shared.report(Report::Me { serial, result });
                });
            }
            Job::Revoke(requests) => {
                let client = Arc::clone(&self.client);
                spawn(move || {
                    let fault = revoke(&shared.http, &client, &requests);
                    shared.report(Report::Revoked(fault));
                });
            }
        }
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) {
    thread::spawn(work);
}

fn keep(mut keeper: Keeper, jobs: &Receiver<Job>, shared: &Shared) {
    for job in jobs {
        match job {
            Job::Load => shared.report(Report::Loaded(keeper.load())),
            Job::Save(snapshot) => shared.report(Report::Saved(keeper.save(snapshot))),
            Job::Refresh(request) => shared.report(keeper.refresh(&request)),
            Job::ReplaceStored => keeper.replace_stored(),
            Job::Adopted(stored) => keeper.adopted(stored),
            Job::Release => keeper.release(),
            _ => {}
        }
    }
}

fn revoke(http: &Http, client: &Client, requests: &[RevocationRequest]) -> Option<String> {
    let mut fault = None;
    for revocation in requests {
        let result = http.execute(revocation.request());
        if let Err(failure) = revocation.read(client, result, Timestamp::now()) {
            fault = Some(failure.to_string());
        }
    }
    fault
}

/// The port of a login that began in the last run.
fn port_of(redirect_uri: Option<&str>) -> Option<u16> {
    url::Url::parse(redirect_uri?).ok()?.port()
}

impl Shared {
    fn report(&self, report: Report) {
        // Nobody hears it once the window is closed.
        let _ = self.reports.send(report);
        (self.wake)();
    }

    fn listen(&self, attempt: u64, port: Option<u16>) {
        let mut builder = Loopback::builder();
        if let Some(port) = port {
            builder = builder.port(port);
        }
        let mut listener = match builder.bind() {
            Ok(listener) => listener,
            Err(error) => {
                return self.report(Report::Listening {
                    attempt,
                    redirect_uri: Err(error.to_string()),
                });
            }
        };
        match self.lock_listeners().get_mut(&attempt) {
            Some(waits) => *waits = Listener::Bound(listener.canceller()),
            // The login was given up in the meantime.
            None => return,
        }
        self.report(Report::Listening {
            attempt,
            redirect_uri: Ok(listener.redirect_uri()),
        });
        // Until it is cancelled, or the system takes the socket away: then the login times out.
        while let Ok(received) = listener.receive(Duration::from_secs(60)) {
            match received {
                Received::Callback(browser) if browser.is_of_another_user() => {
                    browser.answer(Page::NotOurs);
                }
                // Far more than a browser opens: somebody on this machine makes them up.
                Received::Callback(browser) if self.lock_browsers().len() >= MOST_BROWSERS => {
                    browser.answer(Page::NotOurs);
                }
                Received::Callback(browser) => {
                    let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
                    let url = browser.url();
                    self.lock_browsers().insert(ticket, browser);
                    self.report(Report::Callback { ticket, url });
                }
                Received::TimedOut => {}
                Received::Cancelled => break,
            }
        }
    }

    fn answer(&self, ticket: u64, page: Page) {
        let browser = self.lock_browsers().remove(&ticket);
        if let Some(browser) = browser {
            browser.answer(page);
        }
    }

    fn lock_browsers(&self) -> std::sync::MutexGuard<'_, HashMap<u64, PendingCallback>> {
        self.browsers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_listeners(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Listener>> {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
