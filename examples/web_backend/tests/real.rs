//! Two processes of the real program, a real Redis, a real authorization server, a real browser: a login
//! begins at one process and ends at the other. `tests/real/run` installs what that takes and runs this.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::Value;
use web_backend::redis_server::RedisServer;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/real");

/// Ends when it is dropped, by its own id.
struct Process {
    child: Child,
    line: String,
    /// The authorization server lives for as long as this is open.
    _stdin: Option<ChildStdin>,
}

impl Process {
    /// Started, once it has said its first line.
    fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .expect("it starts; has tests/real/setup run?");
        let mut line = String::new();
        let out = child.stdout.take().expect("a pipe");
        BufReader::new(out).read_line(&mut line).expect("a pipe");
        assert!(
            !line.is_empty(),
            "it does not start; has tests/real/setup run?"
        );
        Self {
            _stdin: child.stdin.take(),
            child,
            line,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Place {
    server: Process,
    redis: RedisServer,
}

impl Place {
    fn new() -> Self {
        let script = format!("{FOLDER}/oidc-provider/server.mjs");
        Self {
            server: Process::start(Command::new("node").arg(script).env("LOG", "1")),
            redis: RedisServer::durable(),
        }
    }

    fn backend(&self, public_url: Option<&str>) -> (Process, String) {
        let addresses: Value = serde_json::from_str(&self.server.line).unwrap();
        let address = |name: &str| addresses[name].as_str().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_web_backend"));
        command.args(["serve", "--redis", &self.redis.url(), "--port", "0"]);
        if let Some(public_url) = public_url {
            command.args(["--public-url", public_url]);
        }
        command
            .env("CLIENT_ID", "native-secret")
            .env("CLIENT_SECRET", "native-secret-value")
            .env("SCOPES", "user-read-private playlist-read-private")
            .env("AUTHORIZATION_ENDPOINT", address("authorize"))
            .env("TOKEN_ENDPOINT", address("token"))
            .env("REVOCATION_ENDPOINT", address("revoke"))
            .env("ME_URL", address("api"));
        let process = Process::start(&mut command);
        let site = process.line.trim().rsplit(' ').next().unwrap().to_owned();
        (process, site)
    }
}

fn in_chromium(address: &str, client: &str, then: &str, answer: &str) -> Value {
    let script = Command::new("node")
        .arg(format!("{FOLDER}/browser/login.mjs"))
        .args(["oidc-provider", address, answer])
        .env("CLIENT", client)
        .env("THEN", then)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&script.stderr);
    assert!(script.status.success(), "{error}");
    serde_json::from_slice(&script.stdout).unwrap()
}

#[test]
#[ignore = "needs a real server and a browser: tests/real/run"]
fn a_login_in_chromium_begins_at_one_process_and_ends_at_the_other() {
    let place = Place::new();
    let (_ends, ends) = place.backend(None);
    let (_begins, begins) = place.backend(Some(&ends));
    assert_ne!(begins, ends);
    let then = format!("{begins}/me");
    let page = in_chromium(&format!("{begins}/login"), &ends, &then, "allow");
    assert_eq!(page["title"], "Hello, alice", "{page}");
    assert_eq!(page["status"], 200, "{page}");
    // The browser ends at a page whose address says nothing.
    assert_eq!(page["address_bar"], format!("{ends}/"), "{page}");
    assert_eq!(page["headers"]["cache-control"], "no-store", "{page}");
    // The cookies (`__Host-`, Secure) have come back, and the first process knows who it is.
    assert_eq!(page["then"]["status"], 200, "{page}");
    assert_eq!(page["then"]["text"], r#"{"id":"alice"}"#, "{page}");
}

#[test]
#[ignore = "needs a real server and a browser: tests/real/run"]
fn who_says_no_in_chromium_is_told_so() {
    let place = Place::new();
    let (_ends, ends) = place.backend(None);
    let (_begins, begins) = place.backend(Some(&ends));
    let page = in_chromium(
        &format!("{begins}/login"),
        &ends,
        &format!("{begins}/me"),
        "deny",
    );
    assert_eq!(page["title"], "You said no", "{page}");
    assert_eq!(page["status"], 403, "{page}");
    assert_eq!(page["then"]["status"], 401, "{page}");
}
