//! A Redis of one's own: the real program, on a free port of 127.0.0.1, in a directory that goes with it.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const MISSING: &str =
    "the program redis-server is missing; install it (Debian: apt-get install redis-server)";
/// Whoever waits as long has found a hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// A port below those that systems hand out, so that nobody takes it while Redis is restarted.
fn fixed_port() -> u16 {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let process = std::process::id() as usize % 300;
    loop {
        let port = 23_000 + process * 30 + NEXT.fetch_add(1, Ordering::SeqCst) % 30;
        let port = u16::try_from(port).expect("a port");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// Ends when it is dropped, by its own id.
pub struct RedisServer {
    child: Option<Child>,
    port: u16,
    directory: PathBuf,
    options: Vec<String>,
}

impl RedisServer {
    /// Keeps nothing on disk.
    pub fn start() -> Self {
        Self::with(&["--save", "", "--appendonly", "no"])
    }

    /// Has everything on disk before it answers.
    pub fn durable() -> Self {
        Self::with(&[
            "--save",
            "",
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
        ])
    }

    /// With these options.
    pub fn with(options: &[&str]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let name = format!("authflow-redis-{}-{count}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir(&directory).expect("a directory for Redis");
        let mut server = Self {
            child: None,
            port: 0,
            directory,
            options: options.iter().map(|&option| option.to_owned()).collect(),
        };
        // Somebody else may take a free port before Redis does.
        for _ in 0..5 {
            server.port = fixed_port();
            if server.resume() {
                return server;
            }
        }
        panic!("redis-server does not start; see {}", server.log());
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// From here on it says nothing.
    pub fn stop(&self) {
        self.signal("-STOP");
    }

    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        // The shell's own `kill`: not every system has the program.
        let id = self.id().to_string();
        let mut shell = Command::new("sh");
        let sent = shell
            .args(["-c", r#"kill "$0" "$1""#, signal, &id])
            .status();
        assert!(sent.is_ok_and(|sent| sent.success()), "kill {signal} {id}");
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again where it was, and waits until it answers. Whether it does.
    pub fn resume(&mut self) -> bool {
        self.kill();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--daemonize", "no", "--logfile", &self.log()])
            .arg("--dir")
            .arg(&self.directory)
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.unwrap_or_else(|error| panic!("{MISSING} ({error})")));
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let child = self.child.as_mut().expect("it was just started");
            if !matches!(child.try_wait(), Ok(None)) {
                return false;
            }
            if self.answers().is_ok_and(|answers| answers) {
                return true;
            }
            thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Whether it takes commands. One that wants a password does, too.
    fn answers(&self) -> io::Result<bool> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 7];
        stream.read_exact(&mut answer)?;
        Ok(answer.starts_with(b"+PONG") || answer.starts_with(b"-NOAUTH"))
    }

    fn log(&self) -> String {
        self.directory.join("log").display().to_string()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
