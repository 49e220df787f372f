//! The sketch, and its copy in the guide.

#[path = "../src/door.rs"]
mod door;
#[path = "../src/login.rs"]
mod login;

use std::io::Write as _;
use std::net::TcpStream;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use authflow::testing::{Answer, Endpoint, FakeProvider, Fault, Landing, Person};
use authflow::{AuthFlow, ClientBuilder, State};

/// Runs it with a browser that does this with the URL, and waits for both.
fn run<T: Send + 'static>(
    client: ClientBuilder,
    browse: impl FnOnce(&str) -> T + Send + 'static,
) -> (Result<AuthFlow, String>, T) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let browser: Arc<Mutex<Option<JoinHandle<T>>>> = Arc::default();
    let started = browser.clone();
    let browse = Mutex::new(Some(browse));
    let open = move |url: &str| {
        let (browse, url) = (browse.lock().unwrap().take().unwrap(), url.to_owned());
        *started.lock().unwrap() = Some(thread::spawn(move || browse(&url)));
    };
    let login = login::login(client.build().unwrap(), open);
    let result = runtime.block_on(login).map_err(|error| error.to_string());
    let browser = browser.lock().unwrap().take().unwrap();
    (result, browser.join().unwrap())
}

fn title(page: &Landing) -> &str {
    let text = page.body().split("<title>").nth(1).unwrap_or_default();
    text.split("</title>").next().unwrap_or_default()
}

#[test]
fn logs_in() {
    let provider = FakeProvider::start().unwrap();
    let (flow, page) = run(provider.client(), |url| Person::allow(url).unwrap());
    assert_eq!(flow.unwrap().state(), State::Authorized);
    assert_eq!(title(&page), "You are logged in");
    assert_eq!(provider.requests(Endpoint::Token).len(), 1);
}

#[test]
fn whoever_else_comes_changes_nothing() {
    let provider = FakeProvider::start().unwrap();
    let (flow, (page, strays)) = run(provider.client(), |url| {
        let redirect = Person::redirect_for(url, Answer::Allow).unwrap();
        let (place, _) = redirect.split_once("/callback").unwrap();
        let address = place.strip_prefix("http://").unwrap();
        let connect = |sends: &[u8]| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(sends).unwrap();
            stream
        };
        let _silent: Vec<TcpStream> = (0..20).map(|_| connect(b"")).collect();
        let _half: Vec<TcpStream> = (0..20).map(|_| connect(b"GET /callback?")).collect();
        let strays = ["/favicon.ico", "/callback", "/callback?code=x&state=forged"];
        let strays = strays.map(|stray| Person::open(&format!("{place}{stray}")).unwrap().status());
        (Person::open(&redirect).unwrap(), strays)
    });
    assert_eq!(flow.unwrap().state(), State::Authorized);
    assert_eq!(title(&page), "You are logged in");
    assert_eq!(strays, [404, 400, 400]);
}

#[test]
fn a_login_that_fails_says_so() {
    let provider = FakeProvider::start().unwrap();
    let (flow, page) = run(provider.client(), |url| Person::deny(url).unwrap());
    assert!(flow.unwrap_err().contains("the person said no"));
    assert_eq!(title(&page), "You are not logged in");

    provider.fault(Endpoint::Token, Fault::Unavailable);
    let (flow, page) = run(provider.client(), |url| Person::allow(url).unwrap());
    assert!(flow.unwrap_err().contains("503"));
    assert_eq!(title(&page), "The login failed");

    let client = provider.client().login_timeout(Duration::from_millis(200));
    let (flow, ()) = run(client, |_| ());
    assert!(flow.unwrap_err().contains("nobody came back"));
}

/// As somebody runs it who has just cloned the project.
#[test]
fn the_demonstration_logs_in() {
    let program = env!("CARGO_BIN_EXE_authflow-tokio-example");
    let output = Command::new(program).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("Authorized, with user-read-email"), "{text}");
}

/// The guide is read where there is no tokio, so its copy is compiled here: they are the same.
#[test]
fn the_guide_shows_this_code() {
    let guide = include_str!("../../../src/guide/event_loops.md");
    assert!(
        guide.contains(include_str!("../src/login.rs")),
        "src/guide/event_loops.md and examples/tokio_login/src/login.rs differ"
    );
}
