//! Processes of the backend, which die or stall when a test wants them to.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use authflow::session::{RedisStore, Store, StoreError, StoreLock};
use authflow::testing::{Endpoint, FakeProvider, FakeProviderBuilder, Rotation};
use authflow::{Client, Provider, Snapshot};
use web_backend::backend::{Backend, Config};
use web_backend::front::Front;
use web_backend::redis_server::RedisServer;

/// Whoever waits as long has found a hang.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long a lock outlives a holder that dies here. Nobody else's ends while a slow machine is at it.
const LEASE: Duration = Duration::from_millis(1500);

const SHORT: Duration = Duration::from_millis(100);

pub const REUSE_DETECTION: Rotation = Rotation::EveryRefresh {
    reuse_detection: true,
};
pub const ROTATION: Rotation = Rotation::EveryRefresh {
    reuse_detection: false,
};

pub fn provider() -> FakeProviderBuilder {
    FakeProvider::builder().client_secret("a secret")
}

pub fn logins(redis: &str) -> RedisStore {
    RedisStore::open(redis).expect("an address").prefix("web:")
}

/// A user's store, whose process ends at a certain moment, as by a power cut, or stops there.
struct Moments {
    redis: RedisStore,
    moment: String,
}

fn reached(wanted: &str, moment: &str) {
    static HAS_COME: AtomicBool = AtomicBool::new(false);
    let (signal, wanted) = match wanted.strip_prefix("stop: ") {
        Some(wanted) => ("-STOP", wanted),
        None => ("-KILL", wanted),
    };
    if wanted == moment && !HAS_COME.swap(true, Ordering::SeqCst) {
        let own = std::process::id().to_string();
        // The shell's own `kill`: not every system has the program.
        let mut shell = Command::new("sh");
        let _ = shell
            .args(["-c", r#"kill "$0" "$1""#, signal, &own])
            .status();
        // Until the signal is there.
        std::thread::sleep(Duration::from_millis(500));
    }
}

impl Store for Moments {
    fn load(&self) -> Result<Option<Snapshot>, StoreError> {
        self.redis.load()
    }

    fn save(&self, snapshot: &Snapshot, lock: &StoreLock) -> Result<(), StoreError> {
        reached(&self.moment, "refreshed");
        self.redis.save(snapshot, lock)?;
        reached(&self.moment, "refresh saved");
        Ok(())
    }

    fn rehearse(&self, snapshot: &Snapshot, lock: &StoreLock) -> Result<(), StoreError> {
        self.redis.rehearse(snapshot, lock)?;
        reached(&self.moment, "rehearsed");
        Ok(())
    }

    fn lock(&self, timeout: Duration) -> Result<StoreLock, StoreError> {
        // What somebody waits for who finds it taken all the while, in less time.
        let is_short = self.moment == "no patience";
        let timeout = if is_short { SHORT } else { timeout };
        let lock = self.redis.lock(timeout)?;
        reached(&self.moment, "locked");
        Ok(lock)
    }

    fn location(&self) -> Option<String> {
        self.redis.location()
    }
}

/// What such a process does: call it from an ignored test of this name.
pub fn serve() {
    let of = |name: &str| std::env::var(name).unwrap_or_default();
    let (redis, base, moment) = (of("WEB_REDIS"), of("WEB_PROVIDER"), of("WEB_MOMENT"));
    let endpoint = |path: &str| format!("{base}{path}");
    let provider = Provider::new(endpoint("/authorize"), endpoint("/api/token"))
        .revocation_endpoint(endpoint("/api/revoke"))
        .api_origin(&base)
        .dangerously_allow_http_on_loopback();
    let client = Client::builder(provider, "fake-client").secret("a secret");
    let front = Front::bind("127.0.0.1:0").unwrap();
    let own = format!("http://{}", front.address().unwrap());
    let public_url = Some(of("WEB_PUBLIC_URL")).filter(|url| !url.is_empty());
    let public_url = public_url.as_ref().unwrap_or(&own);
    let mut config = Config::new(client, &endpoint("/v1/me"), public_url, &redis).unwrap();
    let (mut all, wanted) = (logins(&redis), moment.clone());
    if !moment.is_empty() {
        all = all.lease(LEASE);
    }
    // One person's many browsers are what some tests are about.
    if moment != "as it comes" {
        config.calls_per_user = 16;
    }
    config.stores = Box::new(move |user| {
        Arc::new(Moments {
            redis: all.account(user),
            moment: wanted.clone(),
        })
    });
    config.on_step = Box::new(move |step| reached(&moment, step));
    println!("> {own}");
    Backend::new(config).unwrap().serve(&front);
}

/// A process of the backend, which ends when this is dropped.
pub struct Process {
    child: Child,
    pub site: String,
}

impl Process {
    /// Callbacks go to `public_url`, or to this process.
    pub fn start(
        provider: &FakeProvider,
        redis: &RedisServer,
        public_url: Option<&str>,
        moment: &str,
    ) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_process_of_these_tests", "--ignored"])
            .args(["--nocapture", "--test-threads=1"])
            .env("WEB_REDIS", redis.url())
            .env("WEB_PROVIDER", provider.base_url())
            .env("WEB_PUBLIC_URL", public_url.unwrap_or_default())
            .env("WEB_MOMENT", moment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut site = lines.find_map(|line| Some(line.ok()?.split_once("> ")?.1.to_owned()));
        // It goes on writing to nobody.
        std::thread::spawn(move || lines.count());
        Self {
            child,
            site: site.take().expect("it says where it listens"),
        }
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until it has killed itself.
    pub fn died(&mut self) {
        eventually(|| !matches!(self.child.try_wait(), Ok(None)));
    }

    /// Waits until it has stopped itself.
    pub fn has_stopped(&self) {
        eventually(|| {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
            let stat = stat.unwrap_or_default();
            let state = stat.rsplit_once(") ").map(|(_, rest)| rest.chars().next());
            state == Some(Some('T'))
        });
    }

    pub fn go_on(&self) {
        let id = self.child.id().to_string();
        let mut shell = Command::new("sh");
        let sent = shell.args(["-c", r#"kill -CONT "$0""#, &id]).status();
        let sent = sent.unwrap();
        assert!(sent.success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

pub fn eventually(mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "it never comes to that");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How often the provider was asked for this.
pub fn count(provider: &FakeProvider, grant_type: &str) -> usize {
    let requests = provider.requests(Endpoint::Token).into_iter();
    let requests = requests.filter(|it| it.grant_type() == Some(grant_type));
    requests.count()
}
