//! TLS servers with certificates of every kind, made and run by the program `openssl` (Debian:
//! `apt-get install openssl`).

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::raw::lock;

// --- certificates -----------------------------------------------------------------------------

/// An authority that nobody but the test trusts. Its files are gone with it.
pub struct Authority {
    directory: PathBuf,
    issued: AtomicUsize,
}

/// Where a certificate is.
pub struct Certificate(PathBuf);

impl Certificate {
    pub fn pem(&self) -> Vec<u8> {
        fs::read(&self.0).unwrap()
    }
}

/// Without it `openssl ca` does nothing.
const CONFIGURATION: &str = "[ca]\ndefault_ca = own\n[own]\nnew_certs_dir = .\ndatabase = index\n\
     rand_serial = yes\ndefault_md = sha256\npolicy = any\n[any]\ncommonName = supplied\n";

impl Authority {
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let name = format!("authflow-authority-{}-{count}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory).unwrap();
        let authority = Self {
            directory,
            issued: AtomicUsize::new(0),
        };
        fs::write(authority.directory.join("ca.cnf"), CONFIGURATION).unwrap();
        fs::write(authority.directory.join("index"), "").unwrap();
        authority.openssl(
            "ecparam",
            ["-genkey", "-noout", "-name", "prime256v1", "-out", "key"],
        );
        authority.signs_itself("root", "authority");
        authority
    }

    /// Its own certificate, for whoever is to trust it.
    pub fn pem(&self) -> Vec<u8> {
        fs::read(self.directory.join("root.pem")).unwrap()
    }

    /// A certificate for these names, such as `DNS:localhost,IP:127.0.0.1`. Good for two days.
    pub fn issues(&self, names: &str) -> Certificate {
        self.issues_for(names, ["-days", "2"])
    }

    /// The same, but it ended long ago.
    pub fn issued_long_ago(&self, names: &str) -> Certificate {
        let then = [
            "-startdate",
            "20200101000000Z",
            "-enddate",
            "20200103000000Z",
        ];
        self.issues_for(names, then)
    }

    /// One that no authority vouches for.
    pub fn self_signed(&self, names: &str) -> Certificate {
        let names = format!("subjectAltName={names}");
        let name = self.next();
        self.openssl(
            "req",
            ["-x509", "-key", "key", "-days", "2", "-addext", &names]
                .into_iter()
                .chain(["-subj", &format!("/CN={name}"), "-out", &name]),
        );
        Certificate(self.directory.join(name))
    }

    fn issues_for<const N: usize>(&self, names: &str, life: [&str; N]) -> Certificate {
        let name = self.next();
        let (request, names_file) = (format!("{name}.request"), format!("{name}.names"));
        let subject = format!("/CN={name}");
        let asked = ["-new", "-key", "key", "-subj", &subject, "-out", &request];
        self.openssl("req", asked);
        let names = format!("subjectAltName={names}\n");
        fs::write(self.directory.join(&names_file), names).unwrap();
        let by = [
            "-batch", "-notext", "-config", "ca.cnf", "-cert", "root.pem",
        ];
        let of = ["-keyfile", "key", "-in", &request, "-extfile", &names_file];
        let to = ["-out", &name];
        self.openssl("ca", by.into_iter().chain(of).chain(to).chain(life));
        Certificate(self.directory.join(name))
    }

    fn signs_itself(&self, file: &str, name: &str) {
        let (subject, file) = (format!("/CN={name}"), format!("{file}.pem"));
        let made = ["-x509", "-key", "key", "-days", "2", "-subj", &subject];
        self.openssl("req", made.into_iter().chain(["-out", &file]));
    }

    fn next(&self) -> String {
        format!("leaf-{}.pem", self.issued.fetch_add(1, Ordering::SeqCst))
    }

    fn openssl(&self, what: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) {
        let mut command = Command::new("openssl");
        command.arg(what).args(arguments);
        let output = command.current_dir(&self.directory).output();
        let output = output.expect("the program openssl is missing");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {what}: {text}");
    }

    fn key(&self) -> PathBuf {
        self.directory.join("key")
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

// --- servers ----------------------------------------------------------------------------------

/// `openssl s_server` on 127.0.0.1, one connection after the other. It gives every request the same
/// answer.
pub struct TlsServer {
    process: Child,
    port: u16,
    seen: Arc<Mutex<String>>,
    thread: Option<JoinHandle<()>>,
}

impl TlsServer {
    pub fn start(authority: &Authority, certificate: &Certificate, answer: String) -> Self {
        Self::with(authority, certificate, answer, &[])
    }

    /// With more options for `s_server`.
    pub fn with(
        authority: &Authority,
        certificate: &Certificate,
        answer: String,
        options: &[&str],
    ) -> Self {
        let mut process = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0"])
            .args([OsStr::new("-key"), authority.key().as_os_str()])
            .args([OsStr::new("-cert"), certificate.0.as_os_str()])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program openssl is missing");
        let mut input = process.stdin.take().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut server = Self {
            process,
            port: 0,
            seen: Arc::default(),
            thread: None,
        };
        server.port = port_in(&mut output);
        let seen = Arc::clone(&server.seen);
        // Ends with the process, whose output then does.
        server.thread = Some(thread::spawn(move || {
            let (mut answered, mut buffer) = (0, [0; 4096]);
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                let requests = {
                    let mut seen = lock(&seen);
                    seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
                    requests_in(&seen)
                };
                for _ in answered..requests {
                    let _ = input.write_all(answer.as_bytes());
                    let _ = input.flush();
                }
                answered = requests;
            }
        }));
        server
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self, host: &str) -> String {
        format!("https://{host}:{}/token", self.port)
    }

    /// What it has decrypted so far, between openssl's own remarks.
    pub fn seen(&self) -> String {
        lock(&self.seen).clone()
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// `ACCEPT 127.0.0.1:40123` is its first word.
fn port_in(output: &mut BufReader<impl std::io::Read>) -> u16 {
    let mut line = String::new();
    while output.read_line(&mut line).is_ok_and(|count| count > 0) {
        if let Some(address) = line.strip_prefix("ACCEPT ") {
            let port = address.rsplit(':').next().unwrap();
            return port.trim().parse().expect("a port");
        }
        line.clear();
    }
    panic!("openssl s_server did not start");
}

/// How many whole requests there are in it.
fn requests_in(seen: &str) -> usize {
    let is_whole = |request: &&str| {
        let Some((head, body)) = request.split_once("\r\n\r\n") else {
            return false;
        };
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        let length = lines
            .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .find_map(|(_, length)| length.parse().ok());
        body.len() >= length.unwrap_or(usize::MAX)
    };
    seen.split("POST /").skip(1).filter(is_whole).count()
}

/// Whether a server speaks this version, such as `-tls1_1`, to a client that speaks no other.
pub fn speaks(port: u16, version: &str, protocol: &str) -> bool {
    let output = Command::new("openssl")
        .args([
            "s_client",
            "-connect",
            &format!("127.0.0.1:{port}"),
            version,
        ])
        .args(["-cipher", "DEFAULT@SECLEVEL=0"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .expect("the program openssl is missing");
    String::from_utf8_lossy(&output.stdout).contains(protocol)
}
