//! The servers, as child processes.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use authflow::{Client, ClientBuilder, Provider};
use serde_json::Value;

pub const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real");
pub const SCOPES: [&str; 2] = ["user-read-private", "playlist-read-private"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    OidcProvider,
    Django,
    NodeOauth,
}

impl Kind {
    /// Its name in `browser/login.mjs`.
    pub fn name(self) -> &'static str {
        match self {
            Self::OidcProvider => "oidc-provider",
            Self::Django => "django",
            Self::NodeOauth => "node-oauth",
        }
    }

    fn command(self) -> Command {
        let (program, script) = match self {
            Self::OidcProvider => ("node", "oidc-provider/server.mjs"),
            Self::Django => (".venv/bin/python", "django-oauth-toolkit/server.py"),
            Self::NodeOauth => ("node", "node-oauth/server.mjs"),
        };
        let program = match program.split_once('/') {
            Some(_) => format!("{FOLDER}/{program}"),
            None => program.to_owned(),
        };
        let mut command = Command::new(program);
        command.arg(format!("{FOLDER}/{script}")).env("LOG", "1");
        command
    }
}

/// A server of a test's own. Dropped, it stops; if the test failed, its standard error is shown.
pub struct Server {
    pub kind: Kind,
    process: Child,
    /// It lives for as long as this is open.
    stdin: Option<ChildStdin>,
    _stdout: BufReader<ChildStdout>,
    stderr: Option<JoinHandle<String>>,
    addresses: Value,
}

impl Server {
    /// Starts one with these knobs, and waits until it listens.
    pub fn start(kind: Kind, knobs: &[(&str, &str)]) -> Self {
        let mut process = kind
            .command()
            .envs(knobs.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}; has tests/real/setup run?", kind.name()));
        let stdin = process.stdin.take();
        let mut stdout = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut pipe = process.stderr.take().expect("a pipe");
        let stderr = thread::spawn(move || {
            let mut text = Vec::new();
            let _ = pipe.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        let mut line = String::new();
        let read = stdout.read_line(&mut line);
        // A server from here on, so that it is stopped, and heard, if it has said something else.
        let mut server = Self {
            kind,
            process,
            stdin,
            _stdout: stdout,
            stderr: Some(stderr),
            addresses: Value::Null,
        };
        read.expect("a pipe");
        server.addresses = serde_json::from_str(&line).unwrap_or_else(|_| {
            panic!(
                "{} did not start; has tests/real/setup run? It said: {line}",
                kind.name()
            )
        });
        server
    }

    /// An address from the line that it printed.
    pub fn address(&self, name: &str) -> &str {
        let address = self.addresses[name].as_str();
        address.unwrap_or_else(|| panic!("{} has no {name} address", self.kind.name()))
    }

    pub fn provider(&self) -> Provider {
        Provider::new(self.address("authorize"), self.address("token"))
            .api_origin(self.address("api").trim_end_matches("/api"))
            .dangerously_allow_http_on_loopback()
    }

    /// The client without a secret.
    pub fn client(&self) -> ClientBuilder {
        self.client_of(self.provider(), "native-public")
    }

    pub fn client_of(&self, provider: Provider, id: &str) -> ClientBuilder {
        Client::builder(provider, id)
            .scopes(SCOPES)
            .login_timeout(Duration::from_secs(60))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let start = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) {
            if start.elapsed() > Duration::from_secs(5) {
                let _ = self.process.kill();
                let _ = self.process.wait();
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let stderr = self.stderr.take().and_then(|reader| reader.join().ok());
        if thread::panicking() {
            let stderr = stderr.unwrap_or_default();
            eprintln!("{} on standard error:\n{stderr}", self.kind.name());
        }
    }
}
