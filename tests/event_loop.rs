//! Runs the example `event_loop` as a program, in each of its modes, and plays the browser and those
//! who are no browser. Then its call by itself, because it is there to be copied.
#![cfg(all(feature = "testing", feature = "loopback", unix))]

#[path = "../examples/event_loop/call.rs"]
mod call;

use std::env;
use std::io::{BufRead, BufReader, ErrorKind, Lines, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime};

use authflow::loopback::Loopback;
use authflow::testing::{Answer, Endpoint, FakeProvider, Fault, Person};
use authflow::{
    Action, AuthFlow, CallbackUrl, Event, HttpRequest, HttpResponse, LoginSecrets, Notice, State,
    Timestamp, TransportError, TransportErrorKind,
};
use call::{Call, Reply};

// The program.

#[test]
fn logs_in_refreshes_and_logs_out() {
    let run = run(&[]);
    assert_eq!(run.code, Some(0), "{}", run.output);
    run.shows_in_order(&[
        "listening  http://127.0.0.1:",
        "state      AwaitingCode Idle",
        "action     Persist",
        "action     OpenUrl",
        "person     Allow",
        "state      AwaitingCode Exchanging",
        "action     AnswerCallback Accepted",
        "action     Send to http://127.0.0.1:",
        "state      Authorized Idle",
        "action     Persist",
        "notice     logged_in",
        "api        {\"display_name\":\"Alice\"",
        "state      Authorized Refreshing",
        "action     Send to http://127.0.0.1:",
        "state      Authorized Idle",
        "action     Persist",
        "notice     refreshed",
        "api        {\"display_name\":\"Alice\"",
        "state      Unauthorized Idle",
        "action     Persist",
        "notice     session_ended",
    ]);
    run.shows_in_order(&["notice     logged_in", "browser    has its page, 200"]);
    run.shows_no_secret();
}

#[test]
fn a_person_who_says_no_sees_so() {
    let run = run(&["--deny"]);
    assert_eq!(run.code, Some(1), "{}", run.output);
    run.shows_in_order(&[
        "state      AwaitingCode Idle",
        "person     Deny",
        "state      Unauthorized Idle",
        "action     AnswerCallback Denied",
        "notice     login failed: the person said no (access_denied); what now? nothing to do: the person said no",
        "browser    has its page, 200",
    ]);
    assert!(!run.output.contains("Authorized Idle\n"), "{}", run.output);
    assert!(!run.output.contains("action     Send"), "{}", run.output);
    run.shows_no_secret();
}

#[test]
fn a_login_that_nobody_comes_to_times_out() {
    let run = run(&["--nobody"]);
    assert_eq!(run.code, Some(1), "{}", run.output);
    run.shows_in_order(&[
        "state      AwaitingCode Idle",
        "person     never comes",
        "state      Unauthorized Idle",
        "action     Persist",
        "notice     login failed: nobody came back from the browser in time",
        "what now? sign in again",
    ]);
    run.shows_no_secret();
}

#[test]
fn an_unknown_argument_is_refused() {
    for arguments in [&["--maybe"][..], &["--deny", "--nobody"], &[""]] {
        let run = run(arguments);
        assert_eq!(run.code, Some(2), "{}", run.output);
        assert_eq!(run.output, "");
    }
}

#[test]
fn the_listener_withstands_what_is_no_callback() {
    let mut login = Waiting::start();
    let host = login.host.clone();

    let mut half = login.connect();
    half.write_all(b"GET /favicon.ico HTTP/1.1\r\nHo").unwrap();

    let get = |target: &str, headers: &str| format!("GET {target} HTTP/1.1\r\n{headers}\r\n");
    let own = format!("Host: {host}\r\n");
    let callback = "/callback?code=a&state=b";
    let padding = |length| format!("{own}X-Padding: {}\r\n", "x".repeat(length));
    for (status, request) in [
        (404, get("/favicon.ico", &own)),
        (404, get("/", &own)),
        (404, get("/callback/", &own)),
        (404, get("//callback", &own)),
        (404, get("/%63allback?code=a", &own)),
        (404, get(&format!("http://{host}{callback}"), &own)),
        (
            405,
            format!("POST {callback} HTTP/1.1\r\n{own}Content-Length: 9\r\n\r\ncode=evil"),
        ),
        (405, format!("OPTIONS {callback} HTTP/1.1\r\n{own}\r\n")),
        (405, format!("get {callback} HTTP/1.1\r\n{own}\r\n")),
        (421, get(callback, "")),
        (421, get(callback, "Host: attacker.example\r\n")),
        (421, get(callback, "Host: 127.0.0.1\r\n")),
        (421, get(callback, &format!("{own}{own}"))),
        (400, get(callback, &format!("Host : {host}\r\n"))),
        (
            403,
            get(callback, &format!("{own}Sec-Fetch-Mode: no-cors\r\n")),
        ),
        (
            403,
            get(callback, &format!("{own}Sec-Fetch-Dest: iframe\r\n")),
        ),
        (400, "GET\r\n\r\n".to_owned()),
        (400, format!("GET {callback} HTTP/2.0\r\n{own}\r\n")),
        (400, format!("GET {callback} junk HTTP/1.1\r\n{own}\r\n")),
        (431, get(callback, &padding(100_000))),
        // These get as far as the machine, which says that they are not its own.
        (400, get("/callback", &own)),
        (400, get(callback, &own)),
        (400, get(callback, &padding(8 << 10))),
        (400, get(callback, &padding(80 << 10))),
        (400, get("/callback?error=access_denied", &own)),
    ] {
        let line = request.lines().next().unwrap_or_default();
        let reply = login.ask(request.as_bytes());
        assert!(
            reply.starts_with(&format!("HTTP/1.1 {status} ")),
            "{line:?} was answered with {reply:?}"
        );
        assert!(reply.contains("\r\nConnection: close\r\n"), "{reply}");
        assert!(reply.contains("\r\nCache-Control: no-store\r\n"), "{reply}");
    }
    for reason in [
        "state_missing",
        "state_mismatch",
        "state_mismatch",
        "state_mismatch",
        "state_missing",
    ] {
        login.wait_for(&format!("callback_ignored: {reason}"));
    }

    // The half of a request may still become a whole one.
    half.write_all(format!("st: {host}\r\n\r\n").as_bytes())
        .unwrap();
    assert!(read(&mut half).starts_with("HTTP/1.1 404 "));

    login.ends_well();
}

#[test]
fn a_flood_of_silent_connections_does_not_keep_the_browser_out() {
    let login = Waiting::start();
    let mut silent: Vec<TcpStream> = (0..80).map(|_| login.connect()).collect();
    for half in silent.iter_mut().step_by(2) {
        half.write_all(b"GET /callback?code=a").unwrap();
    }
    login.ends_well();
}

#[test]
fn bytes_that_are_no_http_are_survived() {
    let login = Waiting::start();
    let mut hello = login.connect();
    hello
        .write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        .unwrap();
    let mut gone = login.connect();
    gone.write_all(b"GET /callback HTTP/1.1\r\n").unwrap();
    drop(gone);
    assert!(login.ask(b"\xff\xfe\r\n\r\n").starts_with("HTTP/1.1 400 "));
    assert!(login.ask(b"\r\n\r\n").starts_with("HTTP/1.1 400 "));
    login.ends_well();
}

#[test]
#[ignore = "waits for ten seconds"]
fn a_silent_connection_is_closed_in_the_end() {
    let login = Waiting::start();
    let mut silent = login.connect();
    let mut half = login.connect();
    half.write_all(b"GET /callback?").unwrap();
    assert!(read(&mut silent).starts_with("HTTP/1.1 408 "));
    assert!(read(&mut half).starts_with("HTTP/1.1 408 "));
    login.ends_well();
}

// The call.

#[test]
fn a_call_brings_tokens() {
    let provider = FakeProvider::start().unwrap();
    let (mut flow, request) = exchange(&provider);
    let reply = outcome(Call::token(&request)).unwrap();
    let event = Event::Response {
        id: request.id(),
        result: Ok(HttpResponse::from(reply)),
    };
    flow.handle(event, now()).unwrap();
    assert_eq!(flow.state(), State::Authorized);
}

#[test]
fn every_status_is_an_answer_and_no_redirect_is_followed() {
    let provider = FakeProvider::start().unwrap();
    let redirect = |status| Fault::Redirect {
        status,
        location: provider.token_endpoint(),
    };
    for (fault, status) in [
        (Fault::Unavailable, 503),
        (Fault::Html { status: 404 }, 404),
        (Fault::Empty { status: 200 }, 200),
        (redirect(302), 302),
        (redirect(307), 307),
    ] {
        provider.clear_requests(Endpoint::Token);
        provider.fault(Endpoint::Token, fault);
        let reply = outcome(Call::get(&provider.token_endpoint(), None)).unwrap();
        assert_eq!(reply.status, status);
        assert_eq!(provider.requests(Endpoint::Token).len(), 1);
    }
}

#[test]
fn retry_after_reaches_the_machine() {
    let provider = FakeProvider::start().unwrap();
    let (mut flow, request) = exchange(&provider);
    let retry_after = "7".to_owned();
    provider.fault(Endpoint::Token, Fault::TooManyRequests { retry_after });
    let reply = outcome(Call::token(&request)).unwrap();
    let event = Event::Response {
        id: request.id(),
        result: Ok(HttpResponse::from(reply)),
    };
    flow.handle(event, now()).unwrap();
    let failure = std::iter::from_fn(|| flow.poll_action()).find_map(|action| match action {
        Action::Notify(Notice::LoginFailed(failure)) => Some(failure),
        _ => None,
    });
    assert_eq!(failure.unwrap().retry_after(), Some(Duration::from_secs(7)));
}

#[test]
fn a_body_ends_with_its_length_or_with_the_connection_or_at_a_mebibyte() {
    let provider = FakeProvider::start().unwrap();
    let body_length = |fault| {
        provider.fault(Endpoint::Token, fault);
        let reply = outcome(Call::get(&provider.token_endpoint(), None));
        reply.map(|reply| reply.body.len())
    };
    let failed = |kind| {
        Err(TransportError {
            kind,
            may_have_been_sent: true,
        })
    };
    let custom = |headers: &[(&str, &str)]| Fault::Custom {
        status: 200,
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: b"12345".to_vec(),
    };
    let endless = |bytes| Fault::Endless { bytes };
    let mebibyte = HttpResponse::MAX_BODY;

    assert_eq!(body_length(custom(&[])), Ok(5));
    assert_eq!(body_length(custom(&[("content-length", "3")])), Ok(3));
    assert_eq!(body_length(endless(5000)), Ok(5000));
    assert_eq!(body_length(endless(mebibyte as u64)), Ok(mebibyte));

    let too_large = failed(TransportErrorKind::TooLarge);
    let length = (mebibyte + 1).to_string();
    assert_eq!(body_length(endless(mebibyte as u64 + 1)), too_large);
    assert_eq!(body_length(endless(100 << 20)), too_large);
    assert_eq!(
        body_length(custom(&[("Content-Length", &length)])),
        too_large
    );

    let closed = failed(TransportErrorKind::Closed);
    assert_eq!(body_length(custom(&[("Content-Length", "6")])), closed);
    assert_eq!(body_length(Fault::DropBefore), closed);

    let protocol = failed(TransportErrorKind::Protocol);
    let chunked = [("Transfer-Encoding", "chunked")];
    let twice = [("Content-Length", "5"), ("Content-Length", "4")];
    assert_eq!(body_length(custom(&[("Content-Length", "-5")])), protocol);
    assert_eq!(body_length(custom(&chunked)), protocol);
    assert_eq!(body_length(custom(&twice)), protocol);
}

#[test]
fn a_reply_may_come_in_pieces() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", server.local_addr().unwrap());
    for reply in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345",
        "HTTP/1.1 200 OK\r\n\r\n12345",
    ] {
        let mut call = Call::get(&url, None).unwrap_or_else(|error| panic!("{error}"));
        let mut stream = server.accept().unwrap().0;
        for byte in reply.as_bytes() {
            assert!(call.poll().is_none());
            stream.write_all(&[*byte]).unwrap();
        }
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(outcome(Ok(call)).unwrap().body, b"12345");
    }
}

#[test]
fn a_call_that_cannot_begin_sends_nothing() {
    let nobody = Loopback::builder().bind().unwrap().redirect_uri();
    for (url, kind) in [
        (nobody.as_str(), TransportErrorKind::Connect),
        ("https://127.0.0.1:443/token", TransportErrorKind::Other),
        ("http://as.example:80/token", TransportErrorKind::Other),
        ("http://192.0.2.1:80/token", TransportErrorKind::Other),
        ("http://127.0.0.1:80/a\r\nb", TransportErrorKind::Other),
    ] {
        let error = outcome(Call::get(url, None)).err();
        let expected = TransportError {
            kind,
            may_have_been_sent: false,
        };
        assert_eq!(error, Some(expected), "{url:?}");
    }
}

/// A flow that has its code, and the request that it wants sent.
fn exchange(provider: &FakeProvider) -> (AuthFlow, HttpRequest) {
    let mut flow = AuthFlow::new(provider.client().build().unwrap());
    let uri = "http://127.0.0.1:4242/callback";
    let login = Event::BeginLogin {
        secrets: LoginSecrets::from_entropy([7; 64]),
        redirect_uri: flow.client().redirect_uri(uri).unwrap(),
    };
    flow.handle(login, now()).unwrap();
    while let Some(action) = flow.poll_action() {
        match action {
            Action::OpenUrl(url) => {
                let back = Person::redirect_for(url.as_str(), Answer::Allow).unwrap();
                let url = CallbackUrl::new(back);
                flow.handle(Event::Callback { url }, now()).unwrap();
            }
            Action::Send(request) => return (flow, request),
            _ => {}
        }
    }
    panic!("nothing to send");
}

fn outcome(call: Result<Call, TransportError>) -> Result<Reply, TransportError> {
    let mut call = call?;
    loop {
        match call.poll() {
            Some(outcome) => return outcome,
            None => thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn now() -> Timestamp {
    Timestamp::from_system_time(SystemTime::now())
}

// How the program is run.

/// A run that has ended.
struct Run {
    code: Option<i32>,
    output: String,
}

fn run(arguments: &[&str]) -> Run {
    let mut child = Command::new(example())
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // So that a loop that never ends fails its test.
    for _ in 0..6000 {
        if child.try_wait().unwrap().is_some() {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let run = child.wait_with_output().unwrap();
    Run {
        code: run.status.code(),
        output: String::from_utf8(run.stdout).unwrap(),
    }
}

impl Run {
    fn shows_in_order(&self, parts: &[&str]) {
        let mut rest = self.output.as_str();
        for part in parts {
            let Some((_, after)) = rest.split_once(part) else {
                panic!("{part:?} is not where it should be in\n{}", self.output);
            };
            rest = after;
        }
    }

    /// Codes, tokens, states, verifiers and challenges are all longer than any word that is shown.
    fn shows_no_secret(&self) {
        let is_base64url = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        for word in self.output.split(|c| !is_base64url(c)) {
            assert!(word.len() < 32, "{word:?} in\n{}", self.output);
        }
        for name in ["access_token", "refresh_token", "code=", "state=", "Bearer"] {
            assert!(!self.output.contains(name), "{name:?} in\n{}", self.output);
        }
    }
}

/// A run that waits for a browser, which the test is.
struct Waiting {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    host: String,
    url: String,
}

impl Waiting {
    fn start() -> Self {
        let mut child = Command::new(example())
            .arg("--browser")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut this = Self {
            child,
            lines,
            host: String::new(),
            url: String::new(),
        };
        let callback = this.wait_for("listening  http://");
        this.host = callback.strip_suffix("/callback").unwrap().to_owned();
        this.url = this.wait_for("open       ");
        this
    }

    /// Reads on to the line with this in it, and returns what comes behind it.
    fn wait_for(&mut self, part: &str) -> String {
        for line in self.lines.by_ref().map(Result::unwrap) {
            if let Some((_, rest)) = line.split_once(part) {
                return rest.to_owned();
            }
        }
        panic!("the example ended without {part:?}");
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.host).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream
    }

    fn ask(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        read(&mut stream)
    }

    /// The genuine redirect, after whatever went before it.
    fn ends_well(mut self) {
        let page = Person::allow(&self.url).unwrap();
        assert_eq!(page.status(), 200);
        assert!(page.body().contains("<h1>You are logged in</h1>"));
        for (name, value) in [
            ("Cache-Control", "no-store"),
            ("Connection", "close"),
            ("Content-Type", "text/html; charset=utf-8"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
        ] {
            assert_eq!(page.header(name), Some(value), "{name}");
        }
        self.wait_for("Authorized Idle");
        self.wait_for("logged_in");
        self.wait_for("refreshed");
        // Nobody listens any more.
        assert!(TcpStream::connect(&self.host).is_err());
        self.wait_for("Unauthorized Idle");
        self.wait_for("session_ended");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All that comes until the other side closes.
fn read(stream: &mut TcpStream) -> String {
    let mut reply = Vec::new();
    match stream.read_to_end(&mut reply) {
        Ok(_) => String::from_utf8(reply).unwrap(),
        // With bytes of ours unread, a close is a reset.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => String::new(),
        Err(error) => panic!("neither an answer nor a close: {error}"),
    }
}

/// Built by `cargo test`, but not by `cargo test --test event_loop`.
fn example() -> PathBuf {
    let this = env::current_exe().unwrap();
    let target = this.ancestors().nth(2).unwrap();
    let name = format!("event_loop{}", env::consts::EXE_SUFFIX);
    let example = target.join("examples").join(name);
    let built = modified(&example);
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/event_loop");
    for source in ["main.rs", "listener.rs", "call.rs"] {
        assert!(
            built >= modified(&sources.join(source)),
            "{} is missing or old: run `cargo build --example event_loop` first",
            example.display()
        );
    }
    example
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|file| file.modified()).ok()
}
