//! The machine in an event loop of your own: one thread and non-blocking sockets. Of authflow's drivers
//! it uses the listener for the redirect, which has no thread either and does not wait if it is given no
//! time. A game or a window's loop works in the same way.
//!
//! ```text
//! cargo run --example event_loop                 plays the person too, who says yes
//! cargo run --example event_loop -- --deny       … who says no
//! cargo run --example event_loop -- --nobody     … who never comes
//! cargo run --example event_loop -- --browser    prints the URL, and waits for you
//! ```
//!
//! It logs in to a fake provider whose tokens live for three seconds, asks it who has logged in, waits
//! for the refresh that comes by itself, asks again, and logs out. What happens is printed with the
//! milliseconds since the start; secrets are not (the URL of `--browser` has to be). It exits with 0 if
//! somebody was logged in, and with 1 if nobody was.
//!
//! `App::run` is the loop: receive, handle, drain, wait. The [`Loopback`] is the side that the browser
//! asks, [`call`] the side that asks the provider. Both go on as far as they can whenever they are
//! polled, and never wait.

mod call;

use std::collections::VecDeque;
use std::error::Error;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use authflow::loopback::{Loopback, Page, PendingCallback, Received};
use authflow::testing::{Answer, FakeProvider, Person};
use authflow::{
    Action, Activity, AuthFlow, AuthorizationUrl, Event, HttpResponse, LoginSecrets, Notice,
    RequestId, State, Timestamp, TokenSerial, TransportError, Verdict,
};
use call::{Call, Reply};

/// `std` can't wait for several sockets at once, so while any is open they are looked at this often.
/// With mio, polling or a window's own loop, register them there instead, and let it wait until
/// `AuthFlow::deadline`.
const NAP: Duration = Duration::from_millis(5);
/// A sleep stands still while the computer is suspended, and the deadline does not: look now and then.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

const USAGE: &str = "usage: event_loop [--deny | --nobody | --browser]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let visitor = match arguments[..] {
        [] => Visitor::Played(Answer::Allow),
        ["--deny"] => Visitor::Played(Answer::Deny),
        ["--nobody"] => Visitor::Nobody,
        ["--browser"] => Visitor::Real,
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(visitor) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(visitor: Visitor) -> Result<bool, Box<dyn Error>> {
    let provider = FakeProvider::builder()
        .expires_in(Duration::from_secs(3))
        .start()?;
    let client = provider
        .client()
        .scopes(["user-read-email"])
        .leeway(Duration::from_secs(1));
    let client = match visitor {
        Visitor::Nobody => client.login_timeout(Duration::from_secs(2)),
        Visitor::Played(_) | Visitor::Real => client,
    };
    let mut app = App {
        start: Instant::now(),
        visitor,
        me_url: provider.me_url(),
        flow: AuthFlow::new(client.build()?),
        inbox: VecDeque::new(),
        login: None,
        calls: Vec::new(),
        shown: (State::Unauthorized, Activity::Idle),
        was_refreshed: false,
        outcome: None,
    };
    app.begin_login()?;
    app.run()
}

/// Who comes to the provider's consent page.
#[derive(Clone, Copy)]
enum Visitor {
    Played(Answer),
    Nobody,
    Real,
}

/// What a call is for, and so what to do with its reply.
enum Purpose {
    Token(RequestId),
    Api(TokenSerial),
    /// The played person's browser, on its way to our listener.
    Browser,
}

/// A login under way.
struct Login {
    listener: Loopback,
    /// The browser that the machine has been asked about.
    asked: Option<PendingCallback>,
    /// The browser that came back from the login. Its page waits for the exchange to end.
    held: Option<PendingCallback>,
}

struct App {
    start: Instant,
    visitor: Visitor,
    me_url: String,
    flow: AuthFlow,
    /// What has happened and is not handled yet.
    inbox: VecDeque<Event>,
    login: Option<Login>,
    calls: Vec<(Purpose, Call)>,
    shown: (State, Activity),
    was_refreshed: bool,
    /// Whether somebody was logged in, once all is over.
    outcome: Option<bool>,
}

impl App {
    /// The loop.
    fn run(&mut self) -> Result<bool, Box<dyn Error>> {
        loop {
            self.receive()?;
            while let Some(event) = self.inbox.pop_front() {
                // A `Misuse` is a bug of the loop's, and nothing that the world did.
                self.flow.handle(event, now())?;
                self.show_state();
                while let Some(action) = self.flow.poll_action() {
                    self.carry_out(action)?;
                }
            }
            match self.outcome {
                Some(outcome) if !self.has_open_sockets() => return Ok(outcome),
                _ => thread::sleep(self.idle_time()),
            }
        }
    }

    /// The listener comes first: its port is part of the redirect URI.
    fn begin_login(&mut self) -> Result<(), Box<dyn Error>> {
        let listener = Loopback::builder().bind()?;
        let redirect_uri = self.flow.client().redirect_uri(&listener.redirect_uri())?;
        self.say("listening", redirect_uri.as_str());
        self.login = Some(Login {
            listener,
            asked: None,
            held: None,
        });
        self.inbox.push_back(Event::BeginLogin {
            secrets: LoginSecrets::from_entropy(entropy()?),
            redirect_uri,
        });
        Ok(())
    }

    /// Everything that can happen, as events: a request of the browser's, the end of a call, and the
    /// passing of time.
    fn receive(&mut self) -> Result<(), Box<dyn Error>> {
        // One at a time: the machine's verdict is about the last one it was given.
        if let Some(login) = &mut self.login
            && let Received::Callback(callback) = login.listener.receive(Duration::ZERO)?
        {
            if callback.is_of_another_user() {
                callback.answer(Page::NotOurs);
            } else {
                let url = callback.url();
                login.asked = Some(callback);
                self.inbox.push_back(Event::Callback { url });
            }
        }
        let mut ended = Vec::new();
        for (purpose, mut call) in std::mem::take(&mut self.calls) {
            match call.poll() {
                Some(result) => ended.push((purpose, result)),
                None => self.calls.push((purpose, call)),
            }
        }
        for (purpose, result) in ended {
            self.call_ended(purpose, result);
        }
        // A Tick too early would do no harm. None at all would: nothing would ever time out.
        if self.flow.deadline().is_some_and(|due| now() >= due) {
            self.inbox.push_back(Event::Tick);
        }
        Ok(())
    }

    fn call_ended(&mut self, purpose: Purpose, result: Result<Reply, TransportError>) {
        match (purpose, result) {
            // Whatever came, or that nothing did: the machine reads it.
            (Purpose::Token(id), result) => self.inbox.push_back(Event::Response {
                id,
                result: result.map(HttpResponse::from),
            }),
            // The API has the last word on a token, whatever its lifetime was said to be. Once: if a
            // fresh one is refused too, another won't help, and to try on is to hammer the provider.
            (Purpose::Api(serial), Ok(reply)) if reply.status == 401 && !self.was_refreshed => {
                self.say("api", "refuses the token");
                self.inbox.push_back(Event::TokenRejected { serial });
            }
            (Purpose::Api(_), result) => {
                match result {
                    Ok(reply) => self.say("api", String::from_utf8_lossy(&reply.body)),
                    Err(error) => self.say("api", error),
                }
                if self.was_refreshed {
                    self.inbox.push_back(Event::LogOut);
                }
            }
            (Purpose::Browser, Ok(reply)) => {
                self.say("browser", format_args!("has its page, {}", reply.status));
            }
            (Purpose::Browser, Err(error)) => self.say("browser", error),
        }
    }

    fn carry_out(&mut self, action: Action) -> io::Result<()> {
        match action {
            Action::AnswerCallback(verdict) => {
                self.say("action", format_args!("AnswerCallback {verdict:?}"));
                if let Some(login) = &mut self.login
                    && let Some(browser) = login.asked.take()
                {
                    match verdict {
                        Verdict::Accepted => login.held = Some(browser),
                        Verdict::Denied => browser.answer(Page::Denied),
                        Verdict::NotOurs => browser.answer(Page::NotOurs),
                    }
                }
            }
            Action::Persist => {
                // Here a real program writes `self.flow.snapshot()` to its store, and goes on only
                // once that is safe on disk.
                self.say("action", "Persist");
            }
            Action::OpenUrl(url) => {
                self.say("action", "OpenUrl");
                self.open(&url)?;
            }
            Action::Send(request) => {
                self.say("action", format_args!("Send to {}", request.url()));
                let id = request.id();
                self.start(Purpose::Token(id), Call::token(&request));
            }
            Action::Notify(notice) => self.take_note(&notice),
        }
        Ok(())
    }

    fn open(&mut self, url: &AuthorizationUrl) -> io::Result<()> {
        match self.visitor {
            Visitor::Real => self.say("open", url.as_str()),
            Visitor::Nobody => self.say("person", "never comes"),
            Visitor::Played(answer) => {
                // The person clicks in no time, so this may be waited for. Their browser then asks our
                // own listener, so that may not: it is one more socket of the loop.
                let back = Person::redirect_for(url.as_str(), answer)?;
                self.say("person", format_args!("{answer:?}"));
                self.start(Purpose::Browser, Call::get(&back, None));
            }
        }
        Ok(())
    }

    fn take_note(&mut self, notice: &Notice) {
        let name = notice.name();
        match notice {
            Notice::LoginFailed(failure) => {
                let what_now = failure.what_now();
                self.say("notice", format_args!("{failure}; what now? {what_now}"));
                self.finish_login(Page::Failed);
                self.outcome = Some(false);
            }
            Notice::RefreshFailed { failure, retry_at } => {
                let what_now = failure.what_now();
                self.say("notice", format_args!("{failure}; what now? {what_now}"));
                // The machine tries again by itself, or nobody does in a demonstration.
                if retry_at.is_none() {
                    self.outcome = Some(false);
                }
            }
            Notice::CallbackIgnored(ignored) => {
                self.say("notice", format_args!("{name}: {}", ignored.reason.name()));
            }
            Notice::LoggedIn => {
                self.say("notice", name);
                self.finish_login(Page::Success);
                self.ask_api();
            }
            Notice::Refreshed => {
                self.say("notice", name);
                self.was_refreshed = true;
                self.ask_api();
            }
            Notice::SessionEnded => {
                self.say("notice", name);
                self.outcome = Some(true);
            }
            _ => self.say("notice", name),
        }
    }

    fn finish_login(&mut self, page: Page) {
        // After this nobody listens any more.
        if let Some(login) = self.login.take()
            && let Some(browser) = login.held
        {
            browser.answer(page);
        }
    }

    /// Asks who is logged in. The token is looked up for each call, and not kept.
    fn ask_api(&mut self) {
        let Some(token) = self.flow.access_token(now()) else {
            return self.say("api", "there is no token that could be used now");
        };
        let serial = token.serial();
        match token.authorization() {
            Ok(value) => self.start(Purpose::Api(serial), Call::get(&self.me_url, Some(&value))),
            Err(error) => self.say("api", error),
        }
    }

    fn start(&mut self, purpose: Purpose, call: Result<Call, TransportError>) {
        match call {
            Ok(call) => self.calls.push((purpose, call)),
            Err(error) => self.call_ended(purpose, Err(error)),
        }
    }

    fn has_open_sockets(&self) -> bool {
        self.login.is_some() || !self.calls.is_empty()
    }

    /// How long nothing can happen. Without a socket, only the deadline can.
    fn idle_time(&self) -> Duration {
        let longest = match self.has_open_sockets() {
            true => NAP,
            false => LONGEST_SLEEP,
        };
        let due = self.flow.deadline();
        due.map_or(longest, |due| due.saturating_since(now()).min(longest))
    }

    fn show_state(&mut self) {
        let seen = (self.flow.state(), self.flow.activity());
        if seen != self.shown {
            self.shown = seen;
            self.say("state", format_args!("{} {}", seen.0.name(), seen.1.name()));
        }
    }

    fn say(&self, what: &str, text: impl Display) {
        let elapsed = self.start.elapsed().as_millis();
        println!("{elapsed:>5} ms  {what:<9}  {text}");
    }
}

/// The one clock. The machine has none, and takes what it is told.
fn now() -> Timestamp {
    Timestamp::from_system_time(SystemTime::now())
}

/// Fresh for each login, from the system's random generator. Where there is no such file, on Windows
/// above all, use `getrandom::fill`, or authflow's feature `os-rng`: `LoginSecrets::generate`.
fn entropy() -> io::Result<[u8; 64]> {
    let mut bytes = [0; 64];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
