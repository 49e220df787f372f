//! Many threads that want the token of one session: while it is good, while a refresh hangs, and at its end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use authflow::http::Http;
use authflow::{Client, Login, Provider, Session, Timestamp, TokenSet};
use authflow_benches::figure::{Row, rounded};
use authflow_benches::fixture;

use crate::Measured;
use crate::endpoint::Endpoint;

const READS: &str = "reads of one token by so many threads, together";
const SLOW: &str = "the slowest read in a thousand, so many threads on one session";
const WAITS: &str = "the longest wait at the token's end, so many threads on one session";
const REFRESHES: &str = "refreshes at the token's end, so many threads on one session";
const HANGING: &str = "authflow, while a refresh hangs";
const THREADS: [usize; 4] = [1, 2, 4, 8];
const HOUR: Duration = Duration::from_secs(3600);

pub fn times() -> Vec<Measured> {
    let row = |part, name: &str, measure: fn(&Row<'_>)| -> Measured {
        (part, name.to_owned(), Box::new(measure))
    };
    vec![
        row(READS, "by hand, a Mutex", by_mutex),
        row(READS, "by hand, an RwLock", by_lock),
        #[cfg(feature = "rspotify")]
        row(READS, "rspotify", by_rspotify),
        row(READS, "authflow", by_session),
        row(READS, HANGING, while_it_hangs),
        row(SLOW, "authflow", slow),
        row(SLOW, HANGING, slow_while_it_hangs),
        row(WAITS, "authflow, less the endpoint's 50 ms", wait_at_end),
        row(REFRESHES, "authflow", refreshes_at_end),
    ]
}

/// The most that a round of 100 ms came to, of three.
fn reads(threads: usize, read: &(impl Fn() + Sync)) -> f64 {
    let round = || {
        let is_over = AtomicBool::new(false);
        let start = Instant::now();
        let count: u64 = thread::scope(|scope| {
            let reader = || {
                let mut count = 0;
                while !is_over.load(Ordering::Relaxed) {
                    read();
                    count += 1;
                }
                count
            };
            let readers: Vec<_> = (0..threads).map(|_| scope.spawn(reader)).collect();
            thread::sleep(Duration::from_millis(100));
            is_over.store(true, Ordering::Relaxed);
            let counts = readers.into_iter().map(|reader| reader.join());
            counts.map(|count| count.expect("nobody panics")).sum()
        });
        count as f64 / start.elapsed().as_micros() as f64
    };
    (0..3).map(|_| round()).fold(0.0, f64::max)
}

fn put_reads(row: &Row<'_>, read: impl Fn() + Sync) {
    for threads in THREADS {
        let reads = reads(threads, &read);
        row.put(threads, rounded(reads), "million per second");
    }
}

struct Tokens {
    access_token: String,
    expires_at: SystemTime,
}

impl Tokens {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            access_token: "t".repeat(207),
            expires_at: SystemTime::now() + HOUR,
        })
    }

    fn check(&self) {
        assert!(SystemTime::now() < self.expires_at && !self.access_token.is_empty());
    }
}

fn by_mutex(row: &Row<'_>) {
    let tokens = Mutex::new(Tokens::new());
    put_reads(row, || {
        tokens.lock().expect("nobody panics").clone().check()
    });
}

fn by_lock(row: &Row<'_>) {
    let tokens = RwLock::new(Tokens::new());
    put_reads(row, || {
        tokens.read().expect("nobody panics").clone().check()
    });
}

/// As its own calls do it: the token is copied under its mutex.
#[cfg(feature = "rspotify")]
fn by_rspotify(row: &Row<'_>) {
    use authflow_benches::backend::{Logins, rspotify::Rspotify};
    use rspotify::clients::BaseClient;

    let client = Rspotify::new(&fixture::SCOPES.map(str::to_owned)).client();
    let mut tokens: serde_json::Value = serde_json::from_str(&fixture::tokens()).expect("JSON");
    tokens["expires_at"] = "2999-01-01T00:00:00Z".into();
    let token: rspotify::Token = serde_json::from_value(tokens).expect("tokens");
    *client.token.lock().expect("nobody panics") = Some(token);
    put_reads(row, || {
        let token = client.get_token();
        let token = token.lock().expect("nobody panics").clone();
        assert!(token.is_some_and(|token| !token.is_expired()));
    });
}

/// Its tokens have so long to live.
fn session(endpoint: &str, life: Duration) -> Session {
    let provider = Provider::new("https://as.example/authorize", endpoint)
        .dangerously_allow_http_on_loopback();
    let tokens = TokenSet::new("t".repeat(207))
        .refresh_token("r".repeat(131))
        .expires_at(Timestamp::now().saturating_add(life));
    let login = Login::new(Client::builder(provider, fixture::CLIENT_ID));
    let login = login.http(Http::without_proxy());
    login.adopt(tokens).expect("a session")
}

fn read(session: &Session) {
    assert!(!session.access_token().expect("a token").secret().is_empty());
}

fn by_session(row: &Row<'_>) {
    let session = session("https://as.example/token", HOUR);
    put_reads(row, || read(&session));
}

/// Does something while another thread's refresh is on its way.
fn hanging<T>(work: impl FnOnce(&Session) -> T) -> T {
    let endpoint = Endpoint::start(Duration::ZERO);
    let session = session(&endpoint.address, HOUR);
    endpoint.hold();
    thread::scope(|scope| {
        let refresh = scope.spawn(|| session.refresh().is_ok());
        while endpoint.requests() == 0 {
            thread::sleep(Duration::from_millis(1));
        }
        let result = work(&session);
        assert!(!refresh.is_finished(), "the refresh does not hang");
        endpoint.release();
        assert!(refresh.join().expect("nobody panics"), "no refresh");
        result
    })
}

fn while_it_hangs(row: &Row<'_>) {
    hanging(|session| put_reads(row, || read(session)));
}

fn slow(row: &Row<'_>) {
    let session = session("https://as.example/token", HOUR);
    put_slow(row, &session);
}

fn slow_while_it_hangs(row: &Row<'_>) {
    hanging(|session| put_slow(row, session));
}

/// Of a thousand reads one takes longer. The longest of all is the system's doing, which lets other threads
/// run.
fn put_slow(row: &Row<'_>, session: &Session) {
    let timed = || {
        let start = Instant::now();
        read(session);
        start.elapsed().as_nanos() as u64
    };
    for threads in THREADS {
        let reader = || (0..50_000).map(|_| timed()).collect::<Vec<_>>();
        let mut times: Vec<u64> = thread::scope(|scope| {
            let readers: Vec<_> = (0..threads).map(|_| scope.spawn(reader)).collect();
            let times = readers.into_iter().map(|reader| reader.join());
            times
                .flat_map(|times| times.expect("nobody panics"))
                .collect()
        });
        times.sort_unstable();
        let slow = times[times.len() - times.len() / 1000];
        row.put(threads, rounded(slow as f64 / 1000.0), "µs");
    }
}

const DELAY: Duration = Duration::from_millis(50);

/// All at once want a token when it has ended: how many requests that makes, and the longest wait.
fn at_end(threads: usize) -> (usize, Duration) {
    let endpoint = Endpoint::start(DELAY);
    let session = session(&endpoint.address, Duration::ZERO);
    let barrier = Barrier::new(threads);
    let one = || {
        barrier.wait();
        let start = Instant::now();
        read(&session);
        start.elapsed()
    };
    let longest = thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        let waits = all
            .into_iter()
            .map(|one| one.join().expect("nobody panics"));
        waits.max().expect("a thread")
    });
    (endpoint.requests(), longest)
}

fn wait_at_end(row: &Row<'_>) {
    for threads in THREADS {
        let least = (0..5).map(|_| at_end(threads).1).min().expect("a wait");
        let own = least.saturating_sub(DELAY).as_micros() as f64 / 1000.0;
        row.put(threads, rounded(own), "ms");
    }
}

/// The most of five.
fn refreshes_at_end(row: &Row<'_>) {
    for threads in THREADS {
        let most = (0..5).map(|_| at_end(threads).0).max().expect("a count");
        row.put(threads, most, "requests");
    }
}
