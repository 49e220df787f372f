//! The loop against a provider and people, good ones and others.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use authflow::testing::{Endpoint, FakeProvider, Fault};
use authflow::{Cause, Client, ClientBuilder, Failure, Provider};
use authflow_mio_example::world::{Page, Visit, World};
use authflow_mio_example::{App, Limits, Outcome, Plan, Report};

/// So that a loop that hangs fails its test. Nothing here is measured in time.
const GUARD: Duration = Duration::from_secs(120);
const FOREVER: Duration = Duration::from_secs(3600);

/// The people and the provider have their sockets in this process too: with these, and one test at a time,
/// it stays below the 1024 descriptors that there may be.
const LIMITS: Limits = Limits {
    browsers: 128,
    grace: FOREVER,
    calls: 32,
};

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const fn plan(logins: usize) -> Plan {
    Plan {
        logins,
        refreshes: 1,
        first_at_once: true,
    }
}

/// Nothing of theirs ends before its time, however slow this machine is.
fn patient(world: &World) -> ClientBuilder {
    let client = world.provider.client();
    client.login_timeout(FOREVER).request_timeout(FOREVER)
}

fn shared(client: ClientBuilder) -> impl Fn(usize) -> Arc<Client> {
    let client = Arc::new(client.build().unwrap());
    move |_| client.clone()
}

/// Starts the loop in a thread: one, as it is said to need.
fn start(app: App, client: impl Fn(usize) -> Arc<Client> + Send + 'static) -> Receiver<Report> {
    let (done, report) = channel();
    thread::spawn(move || {
        let result = app.run(client).map_err(|error| error.to_string());
        let _ = done.send(result.unwrap());
    });
    report
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < GUARD, "{what} never came");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The pages that people see, once all of these have theirs.
fn pages(world: &World, comes_back: impl Fn(usize) -> bool) -> Vec<Option<Page>> {
    let is_there = |(at, page): (usize, &Option<Page>)| page.is_some() || !comes_back(at);
    wait_until("a page", || world.pages().iter().enumerate().all(is_there));
    world.pages()
}

/// The outcome in a word or two.
fn kind(outcome: &Outcome) -> String {
    let cause = |failure: &Failure| match &failure.cause {
        Cause::Denied(error) | Cause::OAuth(error) => error.code.clone(),
        Cause::TimedOut => "timed out".to_owned(),
        Cause::Http(answer) => format!("http {}", answer.status),
        Cause::Unreadable(_) => "unreadable".to_owned(),
        Cause::Transport(error) => error.kind.name().to_owned(),
        other => format!("{other:?}"),
    };
    match outcome {
        Outcome::Complete => "complete".to_owned(),
        Outcome::LoginFailed(failure) => format!("login: {}", cause(failure)),
        Outcome::RefreshFailed(failure) => format!("refresh: {}", cause(failure)),
    }
}

/// By flow. Every flow has come to an end, once.
fn kinds(report: &Report) -> Vec<String> {
    let mut order = report.order.clone();
    order.sort_unstable();
    assert!(order.into_iter().eq(0..report.outcomes.len()));
    let outcomes = report.outcomes.iter().map(|o| o.as_ref().unwrap());
    outcomes.map(kind).collect()
}

fn count(kinds: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for kind in kinds {
        *counts.entry(kind.as_str()).or_default() += 1;
    }
    counts
}

fn granted(world: &World, grant_type: &str) -> usize {
    let requests = world.provider.requests(Endpoint::Token);
    let is_it = |r: &&authflow::testing::RecordedRequest| {
        r.grant_type() == Some(grant_type) && r.status() == Some(200)
    };
    requests.iter().filter(is_it).count()
}

#[test]
fn a_thousand_at_once() {
    let _alone = alone();
    let world = World::start(FakeProvider::builder(), 1000, |_| Visit::Allow).unwrap();
    let app = App::new(world.address, LIMITS, plan(1000)).unwrap();
    let report = start(app, shared(patient(&world)))
        .recv_timeout(GUARD)
        .unwrap();
    assert_eq!(count(&kinds(&report)), [("complete", 1000)].into());
    assert_eq!((report.logins, report.refreshes), (1000, 1000));
    assert_eq!((report.most_logins, report.most_refreshes), (1000, 1000));
    assert!(report.most_sockets <= LIMITS.browsers + LIMITS.calls + 2);
    assert_eq!(report.ignored, 0);
    // Each request was made once.
    assert_eq!(granted(&world, "authorization_code"), 1000);
    assert_eq!(granted(&world, "refresh_token"), 1000);
    assert_eq!(world.provider.requests(Endpoint::Token).len(), 2000);
    let page = Some(Page(200, "You are logged in".to_owned()));
    assert!(pages(&world, |_| true).iter().all(|seen| *seen == page));
}

fn mixed(at: usize) -> Visit {
    match at % 10 {
        0 => Visit::Deny,
        1 => Visit::Never,
        2 | 3 => Visit::AllowAmongStrays,
        _ => Visit::Allow,
    }
}

#[test]
fn each_flow_ends_as_the_world_lets_it() {
    let _alone = alone();
    const LOGINS: usize = 500;
    let world = World::start(FakeProvider::builder(), LOGINS, mixed).unwrap();
    let oauth_error = |code: &str| Fault::Custom {
        status: 400,
        headers: Vec::new(),
        body: format!(r#"{{"error":"{code}"}}"#).into_bytes(),
    };
    // There are so many exchanges, and the refreshes begin only when the last of them is over.
    let exchanges = 8 * LOGINS / 10;
    let faults = [
        (Fault::Unavailable, 10),
        (Fault::Html { status: 500 }, 11),
        (Fault::Empty { status: 200 }, 12),
        (Fault::DropBefore, 6),
        (Fault::DropAfter, 7),
        (Fault::Endless { bytes: 2 << 20 }, 3),
        (oauth_error("invalid_grant"), 4),
        (Fault::Slow(Duration::from_millis(500)), 20),
    ];
    let faulty: usize = faults.iter().map(|(_, requests)| requests).sum();
    for (fault, requests) in faults {
        world
            .provider
            .fault_for_next(Endpoint::Token, requests, fault);
    }
    let good = Fault::Slow(Duration::ZERO);
    world
        .provider
        .fault_for_next(Endpoint::Token, exchanges - faulty, good);
    // These are tried again, when the machine wants to be woken for it, and work then.
    world
        .provider
        .fault_for_next(Endpoint::Token, 9, Fault::Unavailable);
    world
        .provider
        .fault_for_next(Endpoint::Token, 5, Fault::DropBefore);
    // These are not.
    let refused = oauth_error("invalid_grant");
    world.provider.fault_for_next(Endpoint::Token, 8, refused);
    world
        .provider
        .fault_for_next(Endpoint::Token, 2, Fault::Empty { status: 200 });

    let app = App::new(world.address, LIMITS, plan(LOGINS)).unwrap();
    let some = shared(patient(&world));
    let short = Duration::from_secs(1);
    let others = shared(patient(&world).login_timeout(short));
    let client = move |at| match mixed(at) {
        Visit::Never => others(at),
        _ => some(at),
    };
    let report = start(app, client).recv_timeout(GUARD).unwrap();

    let kinds = kinds(&report);
    let expected = [
        ("login: access_denied", LOGINS / 10),
        ("login: timed out", LOGINS / 10),
        ("login: http 503", 10),
        ("login: http 500", 11),
        ("login: unreadable", 12),
        ("login: closed", 6 + 7),
        ("login: too_large", 3),
        ("login: invalid_grant", 4),
        ("refresh: invalid_grant", 8),
        ("refresh: unreadable", 2),
        ("complete", exchanges - (faulty - 20) - 10),
    ];
    assert_eq!(count(&kinds), expected.into());
    // Each of these has brought two that reached the machine, or would have.
    assert_eq!(report.ignored, 2 * (2 * LOGINS / 10));

    let pages = pages(&world, |at| mixed(at) != Visit::Never);
    for (at, (kind, page)) in kinds.iter().zip(&pages).enumerate() {
        let page = page.as_ref().map(|Page(status, text)| (*status, &**text));
        match mixed(at) {
            Visit::Deny => assert_eq!(kind, "login: access_denied"),
            Visit::Never => assert_eq!((&**kind, page), ("login: timed out", None)),
            _ => {}
        }
        let heading = match kind.split(": ").collect::<Vec<_>>()[..] {
            ["login", "access_denied"] => "You are not logged in",
            ["login", "timed out"] => continue,
            ["login", _] => "The login failed",
            _ => "You are logged in",
        };
        assert_eq!(page, Some((200, heading)), "{at}: {kind}");
    }
}

/// The one whose call is never answered is the last, however long the others take.
#[test]
fn a_silent_provider_and_silent_browsers_keep_nobody_else_waiting() {
    let _alone = alone();
    const LOGINS: usize = 300;
    let provider = FakeProvider::builder().expires_in(Duration::from_secs(2));
    let world = World::start(provider, LOGINS, |_| Visit::Allow).unwrap();
    world.provider.fault(Endpoint::Token, Fault::Slow(FOREVER));
    let limits = Limits {
        browsers: 64,
        grace: Duration::from_secs(2),
        calls: 4,
    };
    // It refreshes by its own clock, not when all are in: one never is.
    let client = patient(&world).leeway(Duration::from_secs(1));
    let by_itself = Plan {
        first_at_once: false,
        ..plan(LOGINS)
    };
    let (tell, ends) = channel();
    let app = App::new(world.address, limits, by_itself).unwrap();
    let app = app.on_end(move |at| tell.send(at).unwrap());
    let uri = app.redirect_uri();
    let address = uri.trim_start_matches("http://").split('/').next();
    let silent = (0..100).map(|at| {
        let mut stream = TcpStream::connect(address.unwrap()).unwrap();
        let half = &b"GET /callback?code=x&state=y HTTP/1.1\r\nHost"[..at % 42];
        stream.write_all(half).unwrap();
        stream
    });
    let silent: Vec<TcpStream> = silent.collect();

    let report = start(app, shared(client));
    for _ in 1..LOGINS {
        ends.recv_timeout(GUARD).unwrap();
    }
    // Only now is the silent call answered at all, by hanging up.
    drop(world);
    let report = report.recv_timeout(GUARD).unwrap();
    drop(silent);
    let kinds = kinds(&report);
    let expected = [("complete", LOGINS - 1), ("login: closed", 1)];
    assert_eq!(count(&kinds), expected.into());
    assert_eq!(kinds[*report.order.last().unwrap()], "login: closed");
}

/// A token endpoint that sends its answers byte by byte, each in a thread of its own.
fn drip() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let serve = |mut stream: TcpStream| {
        let (mut request, mut chunk) = (Vec::new(), [0; 4096]);
        while !request
            .windows(12)
            .any(|w| w == b"grant_type=a" || w == b"grant_type=r")
        {
            let count = stream.read(&mut chunk).unwrap();
            request.extend_from_slice(&chunk[..count]);
        }
        let body =
            r#"{"access_token":"AT","token_type":"Bearer","expires_in":3600,"refresh_token":"RT"}"#;
        let length = body.len();
        let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
        for byte in reply.bytes() {
            stream.write_all(&[byte]).unwrap();
            thread::sleep(Duration::from_millis(1));
        }
    };
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || serve(stream.unwrap()));
        }
    });
    url
}

#[test]
fn slow_replies_are_read_side_by_side() {
    const LOGINS: usize = 50;
    let _alone = alone();
    let world = World::start(FakeProvider::builder(), LOGINS, |_| Visit::Allow).unwrap();
    let provider = Provider::new(world.provider.authorization_endpoint(), drip());
    let provider = provider.dangerously_allow_http_on_loopback();
    let client = Client::builder(provider, world.provider.client_id());
    let client = client.login_timeout(FOREVER).request_timeout(FOREVER);
    let app = App::new(world.address, LIMITS, plan(LOGINS)).unwrap();
    let report = start(app, shared(client)).recv_timeout(GUARD).unwrap();
    assert_eq!(count(&kinds(&report)), [("complete", LOGINS)].into());
}

/// With one call at a time, those behind it in the queue have no better luck: their time counts too.
#[test]
fn calls_that_never_end_are_given_up() {
    let _alone = alone();
    let world = World::start(FakeProvider::builder(), 4, |_| Visit::Allow).unwrap();
    world
        .provider
        .fault_for_next(Endpoint::Token, 4, Fault::Slow(FOREVER));
    let limits = Limits {
        browsers: 8,
        grace: FOREVER,
        calls: 1,
    };
    let client = patient(&world).request_timeout(Duration::from_secs(1));
    let app = App::new(world.address, limits, plan(4)).unwrap();
    let report = start(app, shared(client)).recv_timeout(GUARD).unwrap();
    for kind in kinds(&report) {
        // The second if this machine was so slow that the flow's own deadline came first.
        let expected = ["login: timeout", "login: timed out"];
        assert!(expected.contains(&&*kind), "{kind}");
    }
}
