//! Secrets are overwritten when they are dropped: another process holds them, and this one looks
//! through its memory, before and after.
#![cfg(target_os = "linux")]

mod support;

use std::fs::{self, File};
use std::io::{BufRead as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::process::Stdio;

use authflow::{
    Action, AuthFlow, CallbackUrl, Client, Event, HttpResponse, LoginSecrets, Provider, RequestId,
    Secret, Snapshot, Timestamp,
};
use support::process::{again, listen_to, role, say};

const SEED: &str = "AUTHFLOW_TEST_SEED";
const NOW: Timestamp = Timestamp::from_millis(1_000_000);

/// A secret text that stands in no program file: it is made of a number that both processes know.
fn marker(kind: char) -> String {
    made(std::env::var(SEED).unwrap().parse().unwrap(), kind)
}

fn made(seed: u32, kind: char) -> String {
    let mut number = seed ^ u32::from(kind);
    let mut text = String::with_capacity(64);
    text.push(kind);
    while text.len() < 48 {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.push(char::from(b'a' + (number >> 24) as u8 % 26));
    }
    text
}

/// Without growing: what a string leaves behind when it moves is this test's own.
fn join(parts: &[&str]) -> String {
    let mut text = String::with_capacity(2048);
    text.extend(parts.iter().copied());
    text
}

/// Lets the other process look.
fn pause(stage: &str) {
    say(stage);
    std::io::stdin()
        .lock()
        .read_line(&mut String::new())
        .unwrap();
}

// --- what holds the secrets ----------------------------------------------------------------------

#[test]
fn holder() {
    match role().as_deref() {
        Some("a secret") => hold(|| Secret::from(marker('A'))),
        Some("secrets that were cloned and compared") => hold(|| {
            let secret = Secret::from(marker('A'));
            let clones = [secret.clone(), secret.clone(), secret];
            assert!(clones[0] == clones[1]);
            clones
        }),
        Some("a flow") => hold(logged_in),
        Some("a flow that was refreshed") => hold(|| {
            let mut flow = logged_in();
            flow.handle(Event::Refresh, NOW).unwrap();
            answer(&mut flow, &['B', 'S']);
            flow
        }),
        Some("a flow that was restored") => hold(|| {
            let json = logged_in().snapshot().to_json();
            let snapshot = Snapshot::from_json(json.expose().as_bytes()).unwrap();
            AuthFlow::restore(client(), snapshot, NOW).unwrap()
        }),
        Some("a flow that is logged out") => {
            let mut flow = logged_in();
            pause("held");
            flow.handle(Event::LogOut, NOW).unwrap();
            while flow.poll_action().is_some() {}
            pause("dropped");
        }
        Some("a flow whose server echoes") => hold(|| {
            let mut flow = logged_in();
            flow.handle(Event::Refresh, NOW).unwrap();
            let id = sent(&mut flow);
            let refused = r#"{"error":"invalid_grant","error_description":""#;
            let echo = Secret::from(marker('R'));
            let body = join(&[refused, echo.expose(), r#""}"#]);
            let result = Ok(HttpResponse::new(400, body));
            flow.handle(Event::Response { id, result }, NOW).unwrap();
            while flow.poll_action().is_some() {}
            flow
        }),
        Some("a client with a secret") => hold(client),
        #[cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]
        Some("a session with a file") => hold(session),
        Some(other) => panic!("{other}"),
        None => {}
    }
}

fn hold<T>(make: impl FnOnce() -> T) {
    let held = make();
    pause("held");
    drop(held);
    pause("dropped");
}

fn client() -> Client {
    let provider = Provider::builder("https://as.example/authorize", "https://as.example/token");
    let client = Client::builder(provider, "client").secret(Secret::from(marker('C')));
    client.build().unwrap()
}

/// A login with a code, tokens and an ID token.
fn logged_in() -> AuthFlow {
    let mut flow = AuthFlow::new(client());
    let redirect_uri = flow
        .client()
        .redirect_uri("http://127.0.0.1:8888/cb")
        .unwrap();
    let secrets = LoginSecrets::from_entropy([7; 64]);
    let begin = Event::BeginLogin {
        secrets,
        redirect_uri,
    };
    flow.handle(begin, NOW).unwrap();
    while flow.poll_action().is_some() {}
    let url = flow.authorization_url().unwrap().as_str();
    let (_, state) = url.split_once("&state=").unwrap();
    let state = state.split('&').next().unwrap();
    let url = join(&[
        "/cb?code=",
        Secret::from(marker('K')).expose(),
        "&state=",
        state,
    ]);
    let url = CallbackUrl::new(url);
    flow.handle(Event::Callback { url }, NOW).unwrap();
    answer(&mut flow, &['A', 'R']);
    flow
}

/// Its tokens have been saved, read again by another one, and handed out.
#[cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]
fn session() -> (authflow::Session, authflow::Session) {
    use authflow::{Login, TokenSet};

    let directory = support::directory::Directory::new();
    let login = || {
        let provider =
            Provider::builder("https://as.example/authorize", "https://as.example/token");
        Login::new(Client::builder(provider, "client")).store(directory.store())
    };
    let tokens = TokenSet::new(Secret::from(marker('A'))).refresh_token(Secret::from(marker('R')));
    let session = login().adopt(tokens).unwrap();
    let other = login().resume().unwrap().unwrap();
    for session in [&session, &other] {
        let token = session.access_token().unwrap();
        let header = token.authorization().unwrap();
        assert!(header.expose().starts_with("Bearer A"));
    }
    (session, other)
}

fn sent(flow: &mut AuthFlow) -> RequestId {
    let mut sent = None;
    while let Some(action) = flow.poll_action() {
        if let Action::Send(request) = action {
            sent = Some(request.id());
        }
    }
    sent.unwrap()
}

/// Tokens, as the answer to what has been sent.
fn answer(flow: &mut AuthFlow, [access, refresh]: &[char; 2]) {
    let id = sent(flow);
    let [access, refresh, id_token] =
        [*access, *refresh, 'I'].map(|kind| Secret::from(marker(kind)));
    let body = join(&[
        r#"{"token_type":"Bearer","expires_in":3600,"access_token":""#,
        access.expose(),
        r#"","refresh_token":""#,
        refresh.expose(),
        r#"","id_token":""#,
        id_token.expose(),
        r#""}"#,
    ]);
    let result = Ok(HttpResponse::new(200, body));
    flow.handle(Event::Response { id, result }, NOW).unwrap();
    while flow.poll_action().is_some() {}
    assert!(flow.access_token(NOW).is_some());
}

// --- who looks -----------------------------------------------------------------------------------

/// How often the text stands in the memory that the process can write to. What stood in memory that
/// was given back may have lost its beginning to the allocator, so its second half is looked for.
fn count(process: u32, text: &str) -> usize {
    let half = &text.as_bytes()[text.len() / 2..];
    let memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let mut count = 0;
    for line in maps
        .lines()
        .filter(|line| line.split(' ').nth(1).unwrap().starts_with("rw"))
    {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [from, to] = [from, to].map(|number| u64::from_str_radix(number, 16).unwrap());
        let mut bytes = vec![0; (to - from) as usize];
        memory.read_exact_at(&mut bytes, from).unwrap();
        count += bytes
            .windows(half.len())
            .filter(|window| *window == half)
            .count();
    }
    count
}

/// While it is held, and after.
fn look(role: &str, kinds: &[char]) -> Vec<(char, usize, usize)> {
    let seed = std::process::id();
    let mut command = again("holder", role);
    command.env(SEED, seed.to_string()).stdin(Stdio::piped());
    let (mut process, mut said) = listen_to(command);
    let mut look = |stage: &str| -> Vec<usize> {
        assert_eq!(said.next().as_deref(), Some(stage), "{role}");
        let counts = kinds
            .iter()
            .map(|&kind| count(process.id(), &made(seed, kind)))
            .collect();
        process.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        counts
    };
    let (held, dropped) = (look("held"), look("dropped"));
    assert!(process.wait().unwrap().success());
    let counts = held.into_iter().zip(dropped);
    kinds
        .iter()
        .zip(counts)
        .map(|(&kind, (held, dropped))| (kind, held, dropped))
        .collect()
}

#[test]
fn a_secret_is_nowhere_in_memory_once_it_is_dropped() {
    // A: access token, R: refresh token, B and S: the next ones, I: ID token, K: code, C: client secret.
    let cases: [(&str, &[char]); 7] = [
        ("a secret", &['A']),
        ("secrets that were cloned and compared", &['A']),
        ("a flow", &['A', 'R', 'I', 'C']),
        ("a flow that was refreshed", &['B', 'S', 'I', 'C']),
        // Not its ID token: serde_json unescapes in a buffer of its own.
        ("a flow that was restored", &['A', 'R', 'C']),
        ("a flow that is logged out", &['A', 'R', 'I']),
        ("a client with a secret", &['C']),
    ];
    #[cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]
    let cases = cases
        .into_iter()
        .chain([("a session with a file", &['A', 'R'][..])]);
    for (role, kinds) in cases {
        for (kind, held, dropped) in look(role, kinds) {
            assert!(held > 0, "{role}: {kind} is not found at all");
            assert_eq!(dropped, 0, "{role}: {kind}");
        }
    }
}

/// What a flow has replaced or used is gone while the flow lives.
#[test]
fn a_secret_is_nowhere_in_memory_once_it_is_replaced_or_spent() {
    for (role, gone) in [
        ("a flow", &['K'][..]),
        ("a flow that was refreshed", &['A', 'R', 'K']),
        ("a flow that was restored", &['K']),
    ] {
        for (kind, held, _) in look(role, gone) {
            assert_eq!(held, 0, "{role}: {kind}");
        }
    }
    // What it still holds is there once, and what the server echoed of it is not kept.
    for (kind, held, dropped) in look("a flow whose server echoes", &['R']) {
        assert_eq!((held, dropped), (1, 0), "{kind}");
    }
}
