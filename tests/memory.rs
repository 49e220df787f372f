//! Secrets are overwritten when they are dropped: another process holds them, and this one looks
//! through its memory, before and after.
#![cfg(target_os = "linux")]

mod support;

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufRead as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::process::Stdio;

use authflow::{
    Action, AuthFlow, CallbackUrl, Client, ClientAuth, ClientBuilder, Event, HttpResponse,
    LoginSecrets, Provider, RequestId, Secret, Snapshot, Timestamp,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use support::process::{again, listen_to, role, say};

const SEED: &str = "AUTHFLOW_TEST_SEED";
const NOW: Timestamp = Timestamp::from_millis(1_000_000);
/// What a listener says before its address.
#[cfg(feature = "loopback")]
const AT: &str = "at ";
const REDIRECT_URI: &str = "http://127.0.0.1:8888/cb";

/// A secret text that stands in no program file: it is made of a number that both processes know.
fn marker(kind: char) -> String {
    text(seed(), kind)
}

fn seed() -> u32 {
    std::env::var(SEED).unwrap().parse().unwrap()
}

/// A and B: access tokens, R and S: refresh tokens, I: ID token, K: code, C: client secret, H: the
/// header that shows it, T: state, V: verifier.
fn text(seed: u32, kind: char) -> String {
    match kind {
        'T' | 'V' => URL_SAFE_NO_PAD.encode(random(seed, kind)),
        'H' => STANDARD.encode(format!("client:{}", made(seed, 'C'))),
        _ => made(seed, kind),
    }
}

fn random(seed: u32, kind: char) -> [u8; 32] {
    made(seed, kind).as_bytes()[..32].try_into().unwrap()
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

/// The text with a secret in the place of each `<A>`. Without growing: what a string leaves behind
/// when it moves is this test's own.
fn fill(template: &str) -> String {
    let mut text = String::with_capacity(2048);
    for (at, piece) in template.split('<').enumerate() {
        match piece.split_once('>').filter(|_| at > 0) {
            Some((kind, rest)) => {
                let secret = Secret::from(marker(kind.parse().unwrap()));
                text.extend([secret.expose(), rest]);
            }
            None => text.push_str(piece),
        }
    }
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
    let _between = make_holes();
    match role().as_deref() {
        Some("a secret") => hold(|| Secret::from(marker('A'))),
        Some("secrets that were cloned and compared") => hold(|| {
            let secret = Secret::from(marker('A'));
            let clones = [secret.clone(), secret.clone(), secret];
            assert!(clones[0] == clones[1]);
            clones
        }),
        Some("a flow") => hold(logged_in),
        Some("a flow whose code has an escape") => hold(|| {
            let mut flow = begun(client(), REDIRECT_URI);
            come_back(&mut flow, "/cb?code=4%2F<K>&state=<T>");
            answer(&mut flow, TOKENS);
            flow
        }),
        Some("a flow with a bare code") => hold(|| {
            let mut flow = begun(client(), REDIRECT_URI);
            let code = Secret::from(fill("4/<K>"));
            let url = flow.callback_of_bare_code(code.expose()).unwrap();
            flow.handle(Event::Callback { url }, NOW).unwrap();
            answer(&mut flow, TOKENS);
            flow
        }),
        #[cfg(feature = "loopback")]
        Some("a flow with a listener") => hold(heard),
        Some("a flow whose answer is a form") => hold(|| {
            let mut flow = called_back();
            answer(
                &mut flow,
                "access_token=%2F<A>&refresh_token=%2F<R>&id_token=+%2F<I>",
            );
            flow
        }),
        Some("a flow whose answer has escapes") => hold(|| {
            let mut flow = called_back();
            answer(
                &mut flow,
                r#"{"access_token":"\/<A>","refresh_token":"<R>\u002f<R><R><R>","id_token":"\/<I>"}"#,
            );
            flow
        }),
        Some("a flow that was refreshed") => hold(|| {
            let mut flow = logged_in();
            flow.handle(Event::Refresh, NOW).unwrap();
            answer(
                &mut flow,
                r#"{"access_token":"<B>","refresh_token":"<S>","id_token":"<I>"}"#,
            );
            flow
        }),
        Some("a flow that was restored") => hold(|| restored(logged_in())),
        Some("a login that was restored") => hold(|| restored(begun(client(), REDIRECT_URI))),
        Some("a login with a long address") => hold(|| {
            let scopes = (0..100).map(|number| format!("https://api.example/scope/{number}"));
            let client = client_builder().scopes(scopes);
            let client = client.authorize_param("audience", "x".repeat(5000));
            begun(client.build().unwrap(), REDIRECT_URI)
        }),
        Some("a login that was cancelled") => hold(|| {
            let mut flow = begun(client(), REDIRECT_URI);
            flow.handle(Event::CancelLogin, NOW).unwrap();
            drain(&mut flow);
            flow
        }),
        Some("a login that was denied") => hold(|| {
            let mut flow = begun(client(), REDIRECT_URI);
            let echo = "/cb?error=access_denied&error_description=%2F<T>&state=<T>";
            come_back(&mut flow, echo);
            drain(&mut flow);
            flow
        }),
        Some("a login whose code was refused") => hold(|| {
            let mut flow = called_back();
            respond(
                &mut flow,
                400,
                r#"{"error":"invalid_grant","error_description":"\/<K> <T> <V>"}"#,
            );
            flow
        }),
        Some("a flow that is logged out") => {
            let mut flow = logged_in();
            pause("held");
            flow.handle(Event::LogOut, NOW).unwrap();
            drain(&mut flow);
            pause("dropped");
        }
        Some("a flow whose server echoes") => hold(|| {
            let mut flow = logged_in();
            flow.handle(Event::Refresh, NOW).unwrap();
            let refused = r#"{"error":"invalid_grant","error_description":"<R>"}"#;
            respond(&mut flow, 400, refused);
            flow
        }),
        Some("a flow whose answers are no good") => hold(|| {
            let mut flow = logged_in();
            for body in [
                "%2F<B>",
                "access_token=%2F<B>&access_token=2",
                "access_token=+%2F<B>",
                "access_token=%2F<B>%ff",
                r#"{"access_token":"\/<B>","access_token":2}"#,
                r#"{"access_token":"\/<B> \n"}"#,
                r#"{"access_token":"\/<B>"#,
            ] {
                flow.handle(Event::Refresh, NOW).unwrap();
                respond(&mut flow, 200, body);
            }
            flow
        }),
        Some("requests to revoke") => hold(|| {
            let flow = logged_in();
            let requests: Vec<_> = flow.revocation_requests(NOW).collect();
            assert_eq!(requests.len(), 2);
            let echo = fill(r#"{"error":"unsupported_token_type","error_description":"\/<R>"}"#);
            let result = Ok(HttpResponse::new(400, echo));
            requests[0].read(flow.client(), result, NOW).unwrap_err();
            (flow, requests)
        }),
        Some("a client with a secret") => hold(client),
        Some("a client that shows its secret in the body") => hold(|| {
            let client = client_builder().auth(ClientAuth::Body).build().unwrap();
            let mut flow = begun(client, REDIRECT_URI);
            come_back(&mut flow, CALLBACK);
            answer(&mut flow, TOKENS);
            flow
        }),
        #[cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]
        Some("a session with a file") => hold(session),
        Some(other) => panic!("{other}"),
        None => {}
    }
}

/// Frees memory here and there, so that what grows has to move.
fn make_holes() -> Vec<Vec<u8>> {
    let sizes = (5..14).flat_map(|power| [1 << power; 12]);
    let (between, _holes) = sizes
        .map(|size| (Vec::with_capacity(32), Vec::<u8>::with_capacity(size)))
        .unzip::<_, _, _, Vec<_>>();
    between
}

fn hold<T>(make: impl FnOnce() -> T) {
    let held = make();
    pause("held");
    drop(held);
    pause("dropped");
}

const CALLBACK: &str = "/cb?code=<K>&state=<T>";
const TOKENS: &str = r#"{"access_token":"<A>","refresh_token":"<R>","id_token":"<I>"}"#;

fn client() -> Client {
    client_builder().build().unwrap()
}

fn client_builder() -> ClientBuilder {
    let provider = Provider::new("https://as.example/authorize", "https://as.example/token")
        .revocation_endpoint("https://as.example/revoke");
    Client::builder(provider, "client").secret(Secret::from(marker('C')))
}

/// A login that waits for its callback.
fn begun(client: Client, redirect_uri: &str) -> AuthFlow {
    let mut flow = AuthFlow::new(client);
    let redirect_uri = flow.client().redirect_uri(redirect_uri).unwrap();
    let mut entropy = [0; 64];
    entropy[..32].copy_from_slice(&random(seed(), 'T'));
    entropy[32..].copy_from_slice(&random(seed(), 'V'));
    let begin = Event::BeginLogin {
        secrets: LoginSecrets::from_entropy(entropy),
        redirect_uri,
    };
    flow.handle(begin, NOW).unwrap();
    overwrite_stack();
    drain(&mut flow);
    flow
}

/// Where SHA-256 has left the end of the verifier: nobody can overwrite a stack that is in use.
#[inline(never)]
fn overwrite_stack() {
    black_box([0_u8; 32 << 10]);
}

fn come_back(flow: &mut AuthFlow, target: &str) {
    let url = CallbackUrl::new(fill(target));
    flow.handle(Event::Callback { url }, NOW).unwrap();
}

/// A login whose code is on its way.
fn called_back() -> AuthFlow {
    let mut flow = begun(client(), REDIRECT_URI);
    come_back(&mut flow, CALLBACK);
    flow
}

/// A login with a code, tokens and an ID token.
fn logged_in() -> AuthFlow {
    let mut flow = called_back();
    answer(&mut flow, TOKENS);
    flow
}

fn restored(flow: AuthFlow) -> AuthFlow {
    let json = flow.snapshot().to_json();
    let snapshot = Snapshot::from_json(json.expose().as_bytes()).unwrap();
    let flow = AuthFlow::restore(client(), snapshot, NOW).unwrap();
    overwrite_stack();
    flow
}

/// The other process is the browser.
#[cfg(feature = "loopback")]
fn heard() -> (AuthFlow, authflow::loopback::Loopback) {
    use authflow::loopback::{Loopback, Page, Received};

    let mut listener = Loopback::builder().path("/cb").bind().unwrap();
    let mut flow = begun(client(), &listener.redirect_uri());
    say(format_args!("{AT}{}", listener.address()));
    match listener.receive(support::raw::PATIENCE).unwrap() {
        Received::Callback(callback) => {
            let url = callback.url();
            flow.handle(Event::Callback { url }, NOW).unwrap();
            callback.answer(Page::Success);
        }
        other => panic!("{other:?}"),
    }
    answer(&mut flow, TOKENS);
    (flow, listener)
}

/// Its tokens have been saved, read again by another one, and handed out.
#[cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]
fn session() -> (authflow::Session, authflow::Session) {
    use authflow::{Login, Scopes, TokenSet};

    let directory = support::directory::Directory::new();
    let login = || {
        let provider = Provider::new("https://as.example/authorize", "https://as.example/token");
        Login::new(Client::builder(provider, "client")).store(directory.store())
    };
    // So many scopes that the file is read in more than one piece, if that is how it is read.
    let scopes = Scopes::new((0..200).map(|number| format!("scope-{number}"))).unwrap();
    let tokens = TokenSet::new(Secret::from(marker('A'))).refresh_token(Secret::from(marker('R')));
    let tokens = tokens.scopes(scopes);
    let session = login().adopt(tokens).unwrap();
    let other = login().resume().unwrap().unwrap();
    for session in [&session, &other] {
        let token = session.access_token().unwrap();
        let header = token.authorization().unwrap();
        assert!(header.expose().starts_with("Bearer A"));
    }
    (session, other)
}

fn drain(flow: &mut AuthFlow) {
    while flow.poll_action().is_some() {}
}

/// The answer to what has been sent.
fn respond(flow: &mut AuthFlow, status: u16, body: &str) {
    let mut sent: Option<RequestId> = None;
    while let Some(action) = flow.poll_action() {
        if let Action::Send(request) = action {
            sent = Some(request.id());
        }
    }
    let result = Ok(HttpResponse::new(status, fill(body)));
    let id = sent.unwrap();
    flow.handle(Event::Response { id, result }, NOW).unwrap();
    drain(flow);
}

fn answer(flow: &mut AuthFlow, tokens: &str) {
    respond(flow, 200, tokens);
    assert!(flow.access_token(NOW).is_some());
}

// --- who looks -----------------------------------------------------------------------------------

/// How often the text stands in the memory that the process can write to. What stood in memory that
/// was given back may have lost its beginning to the allocator, and its end to whoever came next, so
/// its middle and its last part are looked for.
fn count(process: u32, text: &str) -> usize {
    let parts: Vec<_> = text.as_bytes().chunks(16).skip(1).collect();
    let mut counts = vec![0; parts.len()];
    let memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    for line in maps
        .lines()
        .filter(|line| line.split(' ').nth(1).unwrap().starts_with("rw"))
    {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [from, to] = [from, to].map(|number| u64::from_str_radix(number, 16).unwrap());
        let mut bytes = vec![0; (to - from) as usize];
        memory.read_exact_at(&mut bytes, from).unwrap();
        for (part, count) in parts.iter().zip(&mut counts) {
            let found = bytes.windows(part.len()).filter(|window| window == part);
            *count += found.count();
        }
    }
    counts.into_iter().max().unwrap()
}

/// While it is held, and after.
fn look(role: &str, kinds: &str) -> Vec<(char, usize, usize)> {
    let seed = std::process::id();
    let mut command = again("holder", role);
    command.env(SEED, seed.to_string()).stdin(Stdio::piped());
    let (mut process, said) = listen_to(command);
    let mut said = said.peekable();
    #[cfg(feature = "loopback")]
    let _browsers = said
        .next_if(|said| said.starts_with(AT))
        .map(|said| browse(said[AT.len()..].parse().unwrap(), seed));
    let mut look = |stage: &str| -> Vec<usize> {
        assert_eq!(said.next().as_deref(), Some(stage), "{role}");
        let counts = kinds
            .chars()
            .map(|kind| count(process.id(), &text(seed, kind)))
            .collect();
        process.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        counts
    };
    let (held, dropped) = (look("held"), look("dropped"));
    assert!(process.wait().unwrap().success());
    let counts = held.into_iter().zip(dropped);
    kinds
        .chars()
        .zip(counts)
        .map(|(kind, (held, dropped))| (kind, held, dropped))
        .collect()
}

/// Comes to a listener at a wrong path, at length and in pieces, and then as it should.
#[cfg(feature = "loopback")]
fn browse(address: std::net::SocketAddr, seed: u32) -> [std::net::TcpStream; 2] {
    use support::raw::{connect, navigation, send};

    let [code, state] = ['K', 'T'].map(|kind| text(seed, kind));
    let query = format!("code=4%2F{code}&state={state}");
    let long = format!("\r\nCookie: {}\r\n\r\n", "x".repeat(20_000));
    let lost = navigation(address, &format!("/other?{query}")).replace("\r\n\r\n", &long);
    let mut stream = connect(address);
    for part in lost.as_bytes().chunks(90) {
        stream.write_all(part).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let request = navigation(address, &format!("/cb?{query}"));
    [stream, send(address, request)]
}

#[test]
fn a_secret_is_nowhere_in_memory_once_it_is_dropped() {
    let cases = [
        ("a secret", "A"),
        ("secrets that were cloned and compared", "A"),
        ("a flow", "ARICH"),
        ("a flow whose code has an escape", "ARIC"),
        ("a flow with a bare code", "ARIC"),
        ("a flow whose answer is a form", "ARIC"),
        ("a flow whose answer has escapes", "ARIC"),
        ("a flow that was refreshed", "BSIC"),
        // Not its ID token: serde_json unescapes in a buffer of its own.
        ("a flow that was restored", "ARC"),
        ("a flow that is logged out", "ARI"),
        ("a login that was restored", "TVC"),
        ("a login with a long address", "TVC"),
        ("requests to revoke", "ARICH"),
        ("a client with a secret", "C"),
        ("a client that shows its secret in the body", "ARIC"),
        #[cfg(feature = "loopback")]
        ("a flow with a listener", "ARIC"),
        #[cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]
        ("a session with a file", "AR"),
    ];
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
    let cases = [
        ("a flow", "KTV"),
        ("a flow whose code has an escape", "KTV"),
        ("a flow with a bare code", "KTV"),
        ("a flow whose answer is a form", "KTV"),
        ("a flow whose answer has escapes", "KTV"),
        ("a flow whose answers are no good", "BKTV"),
        ("a flow that was refreshed", "ARKTV"),
        ("a flow that was restored", "KTV"),
        ("a login that was cancelled", "TV"),
        ("a login that was denied", "TV"),
        ("a login whose code was refused", "KTV"),
        ("a client that shows its secret in the body", "KTV"),
        #[cfg(feature = "loopback")]
        ("a flow with a listener", "KTV"),
    ];
    for (role, gone) in cases {
        for (kind, held, dropped) in look(role, gone) {
            assert_eq!((held, dropped), (0, 0), "{role}: {kind}");
        }
    }
    // What it still holds is there once, and what the server echoed of it is not kept.
    for (kind, held, dropped) in look("a flow whose server echoes", "R") {
        assert_eq!((held, dropped), (1, 0), "{kind}");
    }
}
