//! A login that lives for a while: through restarts, shared by programs, ended, and begun anew.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use authflow::session::{Error, Revocation};
use authflow::{CallbackUrl, Session, State, Timestamp};

use crate::check_api;
use crate::person::{agrees, api_status, lands_at, post};
use crate::program::Program;
use crate::server::Kind::{self, NodeOauth};
use crate::server::Server;

/// Long enough not to be due at once, short enough to wait for. Some servers round it down by a second.
const TTL: (&str, &str) = ("AT_TTL", "5");
const LEEWAY: Duration = Duration::from_secs(1);

/// A program whose tokens are due a leeway before their end, whatever a server makes of their life.
fn program_at(server: &Server) -> Program {
    Program::new(server.client().leeway(LEEWAY))
}

/// Until the access token is due, by a margin, because clocks are set now and then.
fn wait_until_due(session: &Session) {
    let end = session.access_token().unwrap().expires_at().unwrap();
    let due = end.saturating_sub(LEEWAY / 2);
    thread::sleep(due.saturating_since(Timestamp::now()));
}

pub fn lives_through_restarts(kind: Kind) {
    let server = Server::start(kind, &[TTL]);
    let program = program_at(&server);
    let session = program.log_in();
    let mut tokens = vec![program.refresh_token()];
    wait_until_due(&session);
    drop(session);
    for _ in 0..3 {
        let session = program.resume();
        check_api(&server, &session);
        let token = program.refresh_token();
        assert!(!tokens.contains(&token), "it was due, and rotates");
        tokens.push(token);
        wait_until_due(&session);
    }
    assert_eq!(program.requests(), 4);
}

pub fn is_one_login_for_two_programs(kind: Kind) {
    let server = Server::start(kind, &[TTL]);
    let program = program_at(&server);
    let other = program.sibling();
    let sessions = [program.log_in(), other.resume()];
    for round in 1..=3 {
        wait_until_due(&sessions[0]);
        // All threads of both at once.
        let barrier = Arc::new(Barrier::new(8));
        let threads: Vec<_> = (0..8)
            .map(|at| {
                let (session, barrier) = (sessions[at % 2].clone(), barrier.clone());
                thread::spawn(move || {
                    barrier.wait();
                    session.access_token().map(drop)
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap().unwrap();
        }
        // Whoever had a good token had no reason to wait for the other.
        for session in &sessions {
            check_api(&server, session);
        }
        let requests = program.requests() + other.requests();
        assert_eq!(requests, 1 + round, "one refresh for all");
    }
}

pub fn is_logged_out(kind: Kind) {
    let server = Server::start(kind, &[]);
    let provider = match kind {
        NodeOauth => server.provider(),
        _ => server
            .provider()
            .revocation_endpoint(server.address("revoke")),
    };
    for id in ["native-public", "native-secret"] {
        let mut client = server.client_of(provider.clone(), id);
        if id == "native-secret" {
            client = client.secret("native-secret-value");
        }
        let program = Program::new(client);
        let other = program.sibling();
        let (session, second) = (program.log_in(), other.resume());
        let token = session.access_token().unwrap();
        let refresh_token = program.refresh_token();
        let outcome = session.log_out().unwrap();
        assert!(!program.saved().has_session());
        assert!(matches!(session.access_token(), Err(Error::SignIn(_))));
        assert!(matches!(second.refresh(), Err(Error::SignIn(_))));
        if kind == NodeOauth {
            assert_eq!(outcome, Revocation::NotOffered);
            continue;
        }
        assert_eq!(outcome, Revocation::Done);
        assert_ne!(
            api_status(server.address("api"), token.secret().expose()),
            200
        );
        if id == "native-public" {
            let form = [
                ("grant_type", "refresh_token"),
                ("refresh_token", refresh_token.expose()),
                ("client_id", id),
            ];
            assert_eq!(post(server.address("token"), &form), 400);
        }
    }
}

/// Somebody has used an old refresh token, so the server has ended the whole family.
pub fn is_mended_by_a_new_login(kind: Kind) {
    let server = Server::start(kind, &[]);
    let program = Program::new(server.client());
    let session = program.log_in();
    let old = program.refresh_token();
    session.refresh().unwrap();
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", old.expose()),
        ("client_id", "native-public"),
    ];
    assert_eq!(post(server.address("token"), &form), 400);

    let told = Arc::new(AtomicUsize::new(0));
    let tells = Arc::clone(&told);
    session.on_sign_in_needed(move |failure| {
        assert!(failure.is_some());
        tells.fetch_add(1, Ordering::SeqCst);
    });
    let requests = program.requests();
    for _ in 0..5 {
        assert!(matches!(session.refresh(), Err(Error::SignIn(_))));
    }
    assert_eq!(
        (program.requests(), told.load(Ordering::SeqCst)),
        (requests + 1, 1)
    );

    // A new login on the same file, by another program, mends this one as well.
    let other = program.sibling();
    let again = other.login().ignore_stored();
    let again = again.opener(|url| {
        let url = url.as_str().to_owned();
        thread::spawn(move || agrees(&url).map(drop));
    });
    let new = again.run().unwrap();
    check_api(&server, &new);
    let token = session.refresh().unwrap();
    assert_eq!(token.secret(), new.access_token().unwrap().secret());
    check_api(&server, &session);
}

/// A web server with a secret: the URL goes out, the callback comes in, and nobody listens here.
pub fn comes_back_to_a_web_server(kind: Kind) {
    let server = Server::start(kind, &[]);
    let client = server.client_of(server.provider(), "native-secret");
    let program = Program::new(client.secret("native-secret-value"));
    // Any port of 127.0.0.1 is registered, and nobody is behind this one.
    let mut pending = program
        .login()
        .begin("http://127.0.0.1:9/callback")
        .unwrap();
    let landed = lands_at(pending.url().as_str()).unwrap();
    let session = pending.callback(CallbackUrl::new(landed)).unwrap();
    assert_eq!(session.state(), State::Authorized);
    check_api(&server, &session);
    check_api(&server, &program.sibling().resume());
}
