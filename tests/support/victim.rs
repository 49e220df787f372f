//! A program that waits for a redirect, alone in a process of its own: whatever a probe does to it can
//! be seen from outside, and every panic in any of its threads is its end, as with `panic = "abort"`.

use std::fs;
use std::io::{self, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use authflow::loopback::{LoopbackBuilder, Page, Received};
use authflow::{Action, AuthFlow, Client, Event, LoginSecrets, Provider, Timestamp, Verdict};

use super::probes::Target;
use super::process::{listen_to, say};
use super::raw::{PATIENCE, Reply, read_reply};

/// The program: says where it listens, waits, and says how it ended.
pub fn wait_for_the_redirect(listener: LoopbackBuilder) {
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
        std::process::abort();
    }));
    let provider = Provider::new("https://as.example/authorize", "https://as.example/token");
    let client = Client::builder(provider.localhost_redirects(), "victim")
        .build()
        .unwrap();
    let mut flow = AuthFlow::new(client);
    let mut listener = listener.bind().unwrap();
    let redirect_uri = flow
        .client()
        .redirect_uri(&listener.redirect_uri())
        .unwrap();
    let secrets = LoginSecrets::from_entropy([7; 64]);
    let now = Timestamp::from_millis(1_000_000);
    let begin = Event::BeginLogin {
        secrets,
        redirect_uri,
    };
    flow.handle(begin, now).unwrap();
    let mut state = None;
    while let Some(action) = flow.poll_action() {
        if let Action::OpenUrl(url) = action {
            let url = url::Url::parse(url.as_str()).unwrap();
            state = url
                .query_pairs()
                .find(|(name, _)| name == "state")
                .map(|pair| pair.1.into_owned());
        }
    }
    say(format!("{} {}", listener.address(), state.unwrap()));
    let (mut requests, mut ignored) = (0, 0);
    loop {
        let callback = match listener.receive(3 * PATIENCE) {
            Ok(Received::Callback(callback)) => callback,
            other => return say(format!("lost {other:?}")),
        };
        let url = callback.url();
        flow.handle(Event::Callback { url }, now).unwrap();
        let mut page = Page::NotOurs;
        while let Some(action) = flow.poll_action() {
            match action {
                Action::AnswerCallback(Verdict::Accepted) => page = Page::Success,
                Action::AnswerCallback(Verdict::Denied) => page = Page::Denied,
                Action::AnswerCallback(Verdict::NotOurs) => ignored += 1,
                Action::Send(_) => requests += 1,
                _ => {}
            }
        }
        callback.answer(page);
        if page != Page::NotOurs {
            // What else was sent is looked at as well.
            let _ = listener.receive(Duration::ZERO);
            return say(format!("won {requests} {ignored}"));
        }
    }
}

/// Such a process, from outside.
pub struct Victim {
    process: Child,
    said: Box<dyn Iterator<Item = String>>,
    pub target: Target,
}

/// What the probes have cost it, as the system counts.
#[derive(Debug, Default, Clone, Copy)]
pub struct Cost {
    pub threads: u64,
    pub descriptors: u64,
    /// At its highest.
    pub kilobytes: u64,
}

impl Cost {
    /// The higher of each.
    pub fn max(self, other: Self) -> Self {
        Self {
            threads: self.threads.max(other.threads),
            descriptors: self.descriptors.max(other.descriptors),
            kilobytes: self.kilobytes.max(other.kilobytes),
        }
    }
}

impl Victim {
    pub fn start(command: Command) -> Self {
        let (process, mut said) = listen_to(command);
        let line = said.next().expect("an address");
        let (address, state) = line.split_once(' ').unwrap();
        let target = Target {
            address: address.parse().unwrap(),
            host: address.to_owned(),
            state: state.to_owned(),
        };
        Self {
            process,
            said: Box::new(said),
            target,
        }
    }

    /// The person comes back from the browser. A page, unless the connection was lost, as it may be
    /// under a flood; then a browser, or the person, tries again. How often that took.
    pub fn redirect(&self, patience: Duration) -> (Option<Reply>, u32) {
        let start = Instant::now();
        let mut attempts = 0;
        let once = |left: Duration| {
            let mut stream = TcpStream::connect_timeout(&self.target.address, left).ok()?;
            stream.set_read_timeout(Some(left)).ok()?;
            stream.write_all(self.target.genuine().as_bytes()).ok()?;
            read_reply(&mut stream)
        };
        while let Some(left) = patience
            .checked_sub(start.elapsed())
            .filter(|d| !d.is_zero())
        {
            attempts += 1;
            let page = once(left);
            if page.is_some() {
                return (page, attempts);
            }
            thread::sleep(Duration::from_millis(10));
        }
        (None, attempts)
    }

    pub fn cost(&self) -> Cost {
        let path = format!("/proc/{}", self.process.id());
        let status = fs::read_to_string(format!("{path}/status")).unwrap_or_default();
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let digits = line.and_then(|line| line.split_whitespace().next());
            digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
        };
        // What its parents have left open beyond its limit is not its own.
        let limits = fs::read_to_string(format!("{path}/limits")).unwrap_or_default();
        let limit = limits
            .lines()
            .find_map(|l| l.strip_prefix("Max open files"));
        let limit = limit.and_then(|limits| limits.split_whitespace().next()?.parse().ok());
        let is_own = |fd: io::Result<fs::DirEntry>| {
            let number = fd.ok()?.file_name().to_str()?.parse::<u64>().ok()?;
            (number < limit.unwrap_or(u64::MAX)).then_some(number)
        };
        let descriptors = fs::read_dir(format!("{path}/fd"));
        Cost {
            threads: number("Threads:"),
            descriptors: descriptors.map_or(0, |fds| fds.filter_map(is_own).count() as u64),
            kilobytes: number("VmHWM:"),
        }
    }

    /// How it ended: what it said, and whether it ended well.
    pub fn end(&mut self) -> (Option<String>, bool) {
        let last = self.said.next();
        let status = self.process.wait().unwrap();
        (last, status.success())
    }
}

/// Whoever has not ended by itself has been seen enough of.
impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
