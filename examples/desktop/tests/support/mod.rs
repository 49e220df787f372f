//! A desk: an X server without a screen, a browser to be sent to, and the program in a window of its own.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use authflow::testing::FakeProvider;
use serde_json::Value;

/// A hang is a failure, not a long wait. Nothing is decided by it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until there is something.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// An X server, a home directory, and a note of every address that a browser was asked to open.
pub struct Desk {
    server: Child,
    display: String,
    home: PathBuf,
}

impl Desk {
    pub fn new() -> Self {
        let desk = Self::without_browser();
        // What the desktop opens an address with. The test decides what becomes of it.
        let opener = desk.home.join("bin/xdg-open");
        let script = format!(
            "#!/bin/sh\nprintf '%s\\n' \"$1\" >> '{}/opened'\n",
            desk.home.display()
        );
        fs::write(&opener, script).unwrap();
        make_executable(&opener);
        desk
    }

    pub fn without_browser() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let name = format!("authflow-desk-{}-{count}", std::process::id());
        let home = std::env::temp_dir().join(name);
        fs::create_dir_all(home.join("bin")).unwrap();
        // It picks a number that is free, and says which. Without -noreset it resets itself when the
        // last program has gone, and turns away who comes just then: a program that is started again.
        let mut server = Command::new("Xvfb")
            .args([
                "-displayfd",
                "1",
                "-screen",
                "0",
                "1060x700x24",
                "-nolisten",
                "tcp",
                "-noreset",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb is missing: tests/real/setup installs it");
        let mut line = String::new();
        let mut said = BufReader::new(server.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        let display = format!(":{}", line.trim());
        assert!(display.len() > 1, "Xvfb did not start");
        Self {
            server,
            display,
            home,
        }
    }

    /// A program of the desk's.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("DISPLAY", &self.display)
            .env_remove("WAYLAND_DISPLAY")
            .env("HOME", &self.home);
        command
    }

    #[track_caller]
    pub fn run(&self, program: &str, args: &[&str]) -> String {
        let output = self.command(program).args(args).output();
        let output = output.unwrap_or_else(|error| {
            panic!("{program}: {error}; tests/real/setup installs it");
        });
        assert!(
            output.status.success(),
            "{program} {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn store(&self) -> String {
        self.home.join("state/login.json").display().to_string()
    }

    /// What the program that was started last says on its error output.
    fn errors(&self) -> PathBuf {
        self.home.join("errors")
    }

    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The nth address that a browser was asked to open.
    #[track_caller]
    pub fn opened(&self, nth: usize) -> String {
        until("a browser is opened", || {
            let opened = fs::read_to_string(self.home.join("opened")).ok()?;
            let mut whole = opened
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'));
            whole.nth(nth).map(|line| line.trim().to_owned())
        })
    }

    pub fn start(&self, args: &[&str]) -> App<'_> {
        App::start(self, args)
    }

    /// The program, with this provider.
    pub fn start_with(&self, provider: &FakeProvider, args: &[&str]) -> App<'_> {
        let store = self.store();
        let addresses = [
            provider.authorization_endpoint(),
            provider.token_endpoint(),
            provider.me_url(),
            provider.revocation_endpoint(),
        ];
        let [authorize, token, me, revoke] = &addresses;
        let usual = [
            "--authorize",
            authorize,
            "--token",
            token,
            "--me",
            me,
            "--revoke",
            revoke,
            "--client-id",
            provider.client_id(),
            "--store",
            &store,
        ];
        self.start(&[&usual[..], args].concat())
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = fs::remove_dir_all(&self.home);
    }
}

fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
}

/// The program in its window.
pub struct App<'a> {
    desk: &'a Desk,
    process: Child,
    window: String,
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

/// What it has said last is to be seen.
#[derive(Default)]
struct Seen {
    screen: Value,
    states: Vec<String>,
    has_ended: bool,
}

impl<'a> App<'a> {
    fn start(desk: &'a Desk, args: &[&str]) -> Self {
        let mut process = desk
            .command(env!("CARGO_BIN_EXE_authflow-desktop"))
            .env_remove("SPOTIFY_CLIENT_ID")
            .env_remove("BROWSER")
            // No browser of this machine's.
            .env("PATH", desk.home.join("bin"))
            .args(args)
            .arg("--trace")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(desk.errors()).unwrap())
            .spawn()
            .unwrap();
        let said = BufReader::new(process.stdout.take().unwrap());
        let seen = Arc::<(Mutex<Seen>, Condvar)>::default();
        let noted = Arc::clone(&seen);
        thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                let mut seen = lock(&noted.0);
                seen.screen = serde_json::from_str(&line).unwrap();
                let state = seen.screen["state"].as_str().unwrap().to_owned();
                if seen.states.last() != Some(&state) {
                    seen.states.push(state);
                }
                noted.1.notify_all();
            }
            lock(&noted.0).has_ended = true;
            noted.1.notify_all();
        });
        let pid = process.id().to_string();
        let search = [
            "search",
            "--all",
            "--onlyvisible",
            "--pid",
            &pid,
            "--name",
            "authflow",
        ];
        let mut app = Self {
            desk,
            process,
            window: String::new(),
            seen,
        };
        app.wait("the first frame", |_| Some(()));
        app.window = until("its window", || {
            let found = desk.command("xdotool").args(search).output().unwrap();
            let found = String::from_utf8(found.stdout).unwrap();
            found.lines().next().map(str::to_owned)
        });
        app
    }

    /// Waits until what is to be seen has what is looked for.
    #[track_caller]
    pub fn wait<T>(&self, what: &str, look: impl Fn(&Value) -> Option<T>) -> T {
        let start = Instant::now();
        let mut seen = lock(&self.seen.0);
        loop {
            if let Some(found) = look(&seen.screen).filter(|_| !seen.screen.is_null()) {
                return found;
            }
            let left = PATIENCE.saturating_sub(start.elapsed());
            assert!(
                !seen.has_ended && !left.is_zero(),
                "waited in vain: {what}; there was {:?}, there is {}, it says {:?}",
                seen.states,
                seen.screen,
                fs::read_to_string(self.desk.errors())
            );
            let waited = self.seen.1.wait_timeout(seen, left);
            seen = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for a state, and reads it off the window's title too.
    #[track_caller]
    pub fn wait_for(&self, state: &str) {
        self.wait(state, |screen| (screen["state"] == state).then_some(()));
        let title = format!("authflow desktop: {state}");
        until(&title, || (self.title() == title).then_some(()));
    }

    pub fn title(&self) -> String {
        let title = self.desk.run("xdotool", &["getwindowname", &self.window]);
        title.trim().to_owned()
    }

    pub fn shows(&self, member: &str) -> Value {
        lock(&self.seen.0).screen[member].clone()
    }

    /// All states that there have been.
    pub fn states(&self) -> Vec<String> {
        lock(&self.seen.0).states.clone()
    }

    /// Clicks, as a mouse does.
    #[track_caller]
    pub fn click(&self, button: &str) {
        let (x, y) = self.wait(button, |screen| {
            let place = &screen["places"][button];
            Some((place[0].as_f64()?, place[1].as_f64()?))
        });
        let (x, y) = (format!("{x:.0}"), format!("{y:.0}"));
        let to = ["mousemove", "--window", &self.window, &x, &y, "click", "1"];
        self.desk.run("xdotool", &to);
    }

    /// Does this, and waits until there is another token than before.
    #[track_caller]
    pub fn gets_a_new_token_by(&self, act: impl FnOnce()) {
        let before = self.wait("a token", |screen| screen["token"].as_u64());
        act();
        self.wait("another token", |screen| {
            screen["token"].as_u64().filter(|&token| token > before)
        });
    }

    pub fn move_to(&self, x: &str, y: &str) {
        self.desk
            .run("xdotool", &["windowmove", &self.window, x, y]);
    }

    /// A picture of its window.
    pub fn picture(&self, path: &Path) {
        // Without the pointer on a button.
        self.desk
            .run("xdotool", &["mousemove", "1055", "695", "sleep", "0.4"]);
        let path = format!("PNG8:{}", path.display());
        let args = [
            "-window",
            &self.window,
            "-dither",
            "None",
            "-colors",
            "128",
            "-strip",
            &path,
        ];
        self.desk.run("import", &args);
    }

    /// Closes it by its key.
    pub fn close(self) {
        self.press_close();
        self.has_ended();
    }

    pub fn press_close(&self) {
        let key = ["windowfocus", "--sync", &self.window, "key", "ctrl+q"];
        // It waits for the focus, for ever if there is none to be had.
        self.desk
            .run("timeout", &[&["30", "xdotool"], &key[..]].concat());
    }

    pub fn has_ended(mut self) {
        until("it ends", || self.process.try_wait().unwrap());
    }

    /// Ends it as a crash does.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for App<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A test that has failed holds it while it says so.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const REAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/real");

/// A real authorization server.
pub struct OidcProvider {
    process: Child,
    /// It lives for as long as this is open.
    _stdin: ChildStdin,
    addresses: Value,
}

impl OidcProvider {
    pub fn start() -> Self {
        let mut process = Command::new("node")
            .arg(format!("{REAL}/oidc-provider/server.mjs"))
            .env("ROTATE", "always")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node is missing");
        let mut line = String::new();
        let mut said = BufReader::new(process.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        let addresses = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("no server; has tests/real/setup run? It said: {line}"));
        Self {
            _stdin: process.stdin.take().unwrap(),
            process,
            addresses,
        }
    }

    /// The program, with this provider.
    pub fn open<'a>(&self, desk: &'a Desk) -> App<'a> {
        let store = desk.store();
        let address = |name: &str| self.addresses[name].as_str().unwrap();
        desk.start(&[
            "--authorize",
            address("authorize"),
            "--token",
            address("token"),
            "--me",
            address("api"),
            "--revoke",
            address("revoke"),
            "--client-id",
            "native-public",
            "--scopes",
            "user-read-private playlist-read-private",
            "--store",
            &store,
        ])
    }
}

impl Drop for OidcProvider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A person in headless Chromium, who fills in the server's pages. Returns what the last page said.
pub fn in_chromium(address: &str, answer: &str) -> String {
    let script = Command::new("node")
        .arg(format!("{REAL}/browser/login.mjs"))
        .args(["oidc-provider", address, answer])
        .stdin(Stdio::null())
        .output()
        .expect("node is missing");
    assert!(
        script.status.success(),
        "{}",
        String::from_utf8_lossy(&script.stderr)
    );
    String::from_utf8(script.stdout).unwrap()
}
