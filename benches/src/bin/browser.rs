//! The browser that comes back, to several programs in turn: `browser TOKEN_URL RUNS PROGRAM ROW ...`.
//!
//! Prints what it saw, in tab-separated fields: `plain` (nothing else happens), `silent` (a connection that
//! says nothing came first, and stays two seconds) and `favicon` (that was asked for first), each with the
//! name, whether the login lived (1 or 0), microseconds until the page, microseconds until the token, and
//! whether the port was free at once; and `waiting` with threads and wake-ups a second.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use authflow_benches::fixture;
use authflow_benches::redirect::{now, port, redirect_uri};

/// For whatever ought to come at once.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the silent connection stays, and the browser waits at one that is not answered.
const SILENCE: Duration = Duration::from_secs(2);
/// A login that takes longer needn't be seen often.
const SLOW_US: f64 = 1_000_000.0;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, runs, programs @ ..] = arguments.as_slice() else {
        panic!("browser TOKEN_URL RUNS PROGRAM ROW ...");
    };
    let runs: usize = runs.parse().expect("a number");
    let mut programs: Vec<Program> = programs
        .chunks(2)
        .map(|pair| Program::start(&pair[0], &pair[1], url))
        .collect();
    waiting(&mut programs);
    visits(&mut programs, "warm-up", 2);
    visits(&mut programs, "plain", runs);
    visits(&mut programs, "favicon", runs.div_ceil(4));
    visits(&mut programs, "silent", runs.div_ceil(4));
}

/// The programs take turns.
fn visits(programs: &mut [Program], case: &str, runs: usize) {
    for run in 0..runs {
        for program in &mut *programs {
            let slow = case != "plain" && program.slow.as_deref() == Some(case);
            if !(slow && run >= 3) {
                visit(program, case, run);
            }
        }
    }
}

fn visit(program: &mut Program, case: &str, run: usize) {
    let place = program.begin();
    // Never at the same beat as a program that looks now and then.
    thread::sleep(Duration::from_micros(4000 + (run as u64 * 1_700) % 6_000));
    let silent = (case == "silent").then(|| silent(&place));
    if case == "favicon"
        && let Some((mut stream, _)) = program.connect(&place)
    {
        let _ = get(&mut stream, &place.host, "/favicon.ico");
    }
    let (mut start, mut page) = (now(), None);
    // A browser keeps its connection.
    let stream = program.connect(&place).map(|(mut stream, since)| {
        start = since;
        let answer = get(&mut stream, &place.host, &place.target);
        let took = now().saturating_sub(start);
        page = answer
            .ok()
            .filter(|answer| answer.starts_with("HTTP/1.1 200"))
            .map(|_| took);
        stream
    });
    let outcome = program.outcome();
    drop((silent, stream));
    let line = match (page, outcome) {
        (Some(page), Some((token, rebound))) => {
            let [page, token] = [page, token.saturating_sub(start)].map(|ns| ns as f64 / 1e3);
            if token > SLOW_US {
                program.slow = Some(case.to_owned());
            }
            format!("1\t{page}\t{token}\t{rebound}")
        }
        _ => {
            program.slow = Some(case.to_owned());
            "0\t\t\t".to_owned()
        }
    };
    if case != "warm-up" {
        println!("{case}\t{}\t{line}", program.name);
    }
}

/// All wait, and nobody comes for three seconds. The first logins: threads of earlier ones may linger.
fn waiting(programs: &mut [Program]) {
    let places: Vec<Place> = programs.iter_mut().map(Program::begin).collect();
    thread::sleep(Duration::from_millis(500));
    let before: Vec<_> = programs.iter().map(Program::threads).collect();
    let start = Instant::now();
    thread::sleep(Duration::from_secs(3));
    for ((program, place), before) in programs.iter_mut().zip(&places).zip(before) {
        let after = program.threads();
        let woken = after
            .iter()
            .map(|(id, switches)| switches - before.get(id).unwrap_or(&0));
        let rate = woken.sum::<u64>() as f64 / start.elapsed().as_secs_f64();
        println!("waiting\t{}\t{}\t{rate:.2}", program.name, after.len());
        if let Some((mut stream, _)) = program.connect(place) {
            let _ = get(&mut stream, &place.host, &place.target);
        }
        program.outcome();
    }
}

/// Where a browser is sent back to.
struct Place {
    port: u16,
    host: String,
    target: String,
}

impl Place {
    fn of(authorize: &str) -> Self {
        let uri = redirect_uri(authorize).expect("a redirect URI");
        let (host, path) = match uri["http://".len()..].split_once('/') {
            Some((host, path)) => (host, path),
            None => (&uri["http://".len()..], ""),
        };
        let state = authorize.split_once("state=");
        let state = state.map_or("", |(_, rest)| rest.split('&').next().unwrap_or_default());
        Self {
            port: port(authorize).expect("a port"),
            host: host.to_owned(),
            target: format!("/{path}?code={}&state={state}", fixture::code()),
        }
    }
}

/// A connection that says nothing, until two seconds are over or what is returned is dropped.
fn silent(place: &Place) -> mpsc::Sender<()> {
    let stream = TcpStream::connect(("127.0.0.1", place.port)).expect("a listener");
    thread::sleep(Duration::from_millis(20));
    let (over, is_over) = mpsc::channel();
    thread::spawn(move || {
        let _ = is_over.recv_timeout(SILENCE);
        drop(stream);
    });
    over
}

/// A program that logs in when it is told to, and is ended with us.
struct Program {
    name: String,
    child: Child,
    orders: ChildStdin,
    says: Receiver<String>,
    ended: Option<String>,
    slow: Option<String>,
}

impl Program {
    fn start(path: &str, row: &str, url: &str) -> Self {
        let mut child = Command::new(path)
            .args([row, url])
            // Some libraries open one if they can: a browser that does nothing.
            .env("BROWSER", "true")
            .env("BENCH_TOKEN_URL", url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a program");
        let orders = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let (say, says) = mpsc::channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = say.send(line);
            }
        });
        Self {
            name: row.to_owned(),
            child,
            orders,
            says,
            ended: None,
            slow: None,
        }
    }

    /// Begins a login.
    fn begin(&mut self) -> Place {
        self.ended = None;
        writeln!(self.orders, "log in").expect("a program that runs");
        loop {
            let line = self.says.recv_timeout(PATIENCE).expect("an address");
            if let Some(at) = line.find("http") {
                // Some say more after it.
                return Place::of(line[at..].split(' ').next().unwrap_or_default());
            }
        }
    }

    /// A connection, as soon as somebody listens, and when it was begun; none if the login has ended.
    fn connect(&mut self, place: &Place) -> Option<(TcpStream, u128)> {
        loop {
            let start = now();
            match TcpStream::connect(("127.0.0.1", place.port)) {
                Ok(stream) => return Some((stream, start)),
                Err(_) if self.listen(Duration::from_millis(5)) => return None,
                Err(_) => {}
            }
        }
    }

    /// Whether the login has ended, after this time at the latest.
    fn listen(&mut self, timeout: Duration) -> bool {
        if self.ended.is_some() {
            return true;
        }
        match self.says.recv_timeout(timeout) {
            Ok(line) if line.starts_with("token ") || line.starts_with("failed") => {
                self.ended = Some(line);
            }
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => panic!("{} has ended", self.name),
        }
        self.ended.is_some()
    }

    /// When the token was there, and whether the port was free after that.
    fn outcome(&mut self) -> Option<(u128, String)> {
        let start = Instant::now();
        while !self.listen(PATIENCE) {
            assert!(start.elapsed() < PATIENCE, "{} says nothing", self.name);
        }
        let line = self.ended.as_deref().expect("a line");
        if line.starts_with("failed") {
            eprintln!("{}: {line}", self.name);
        }
        let mut words = line.strip_prefix("token ")?.split(' ');
        let time = words.next()?.parse().ok()?;
        Some((time, words.next()?.to_owned()))
    }

    /// Its threads, and how often each gave up the processor.
    fn threads(&self) -> HashMap<OsString, u64> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let tasks = tasks.expect("/proc").flatten();
        tasks
            .filter_map(|task| {
                let status = std::fs::read_to_string(task.path().join("status")).ok()?;
                Some((task.file_name(), voluntary(&status)?))
            })
            .collect()
    }
}

fn voluntary(status: &str) -> Option<u64> {
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
    line.trim().parse().ok()
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What browsers send.
fn get(stream: &mut TcpStream, host: &str, target: &str) -> io::Result<String> {
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\nUpgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: cross-site\r\n\r\n"
    );
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 8192];
    while !is_whole(&answer) {
        match stream.read(&mut buffer)? {
            0 => break,
            read => answer.extend_from_slice(&buffer[..read]),
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.split_once("content-length:");
    let length = length.and_then(|(_, rest)| rest.lines().next()?.trim().parse().ok());
    match length {
        Some(length) => body.len() >= length,
        None => head.contains("chunked") && body.ends_with("0\r\n\r\n"),
    }
}
