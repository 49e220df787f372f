//! Logs in at authorization servers written by others, through a real browser and without.
//! `tests/real/run` installs what that takes and runs this; `tests/real/README.md` says more.
#![cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]

#[path = "real/person.rs"]
mod person;
#[path = "real/program.rs"]
mod program;
#[path = "real/server.rs"]
mod server;
#[path = "real/session.rs"]
mod session;

use std::thread;
use std::time::{Duration, Instant};

use authflow::session::{AccessToken, Error};
use authflow::{
    Activity, Cause, ClientAuth, Failure, IgnoredReason, Notice, Phase, Scopes, Session, State,
    Timestamp, WhatNow,
};
use person::{agrees, api_status, in_chromium, post};
use program::{ByHand, Program};
use serde_json::Value;
use server::Kind::{self, Django, NodeOauth, OidcProvider};
use server::{SCOPES, Server};
use session::{
    comes_back_to_a_web_server, is_logged_out, is_mended_by_a_new_login,
    is_one_login_for_two_programs, lives_through_restarts,
};

/// Each server gets its own test of each of these.
macro_rules! tests {
    ($($server:ident: $kind:expr => $($test:ident)+;)+) => {$(
        mod $server {
            $(
                #[test]
                #[ignore = "needs real servers and a browser: tests/real/run"]
                fn $test() {
                    super::$test($kind);
                }
            )+
        }
    )+};
}

tests! {
    oidc_provider: super::OidcProvider =>
        allowed_in_chromium
        denied_in_chromium
        rotates_the_refresh_token
        keeps_the_refresh_token
        refuses_a_reused_refresh_token
        refuses_a_wrong_verifier
        refreshes_what_has_ended
        replaces_a_rejected_token
        ends_with_a_revocation
        lives_through_restarts
        is_one_login_for_two_programs
        is_logged_out
        is_mended_by_a_new_login
        comes_back_to_a_web_server
        knows_the_client_by_its_secret
        says_who_it_is
        is_not_the_one_expected;
    django_oauth_toolkit: super::Django =>
        allowed_in_chromium
        denied_in_chromium
        rotates_the_refresh_token
        keeps_the_refresh_token
        refuses_a_reused_refresh_token
        refuses_a_wrong_verifier
        refreshes_what_has_ended
        replaces_a_rejected_token
        ends_with_a_revocation
        lives_through_restarts
        is_one_login_for_two_programs
        is_logged_out
        is_mended_by_a_new_login
        comes_back_to_a_web_server
        knows_the_client_by_its_secret
        says_who_it_is
        is_not_the_one_expected;
    node_oauth: super::NodeOauth =>
        allowed_in_chromium
        denied_in_chromium
        rotates_the_refresh_token
        keeps_the_refresh_token
        refuses_a_reused_refresh_token
        refuses_a_wrong_verifier
        refreshes_what_has_ended
        replaces_a_rejected_token
        lives_through_restarts
        is_one_login_for_two_programs
        is_logged_out
        comes_back_to_a_web_server
        knows_the_client_by_its_secret;
}

// In the browser.

fn allowed_in_chromium(kind: Kind) {
    let server = Server::start(kind, &[]);
    let program = Program::new(server.client());
    let (outcome, landing) = program.log_in_by(move |address| in_chromium(kind, address, "allow"));
    let (Ok(session), Ok(report)) = (&outcome, &landing) else {
        panic!("{outcome:?}, {landing:?}");
    };
    check_page(report, "You are logged in", "You can close this window");

    assert_eq!(session.state(), State::Authorized);
    let token = session.access_token().unwrap();
    assert_eq!(token.scopes(), &Scopes::new(SCOPES).unwrap());
    assert_eq!(token.missing_scopes().next(), None);
    assert!(token.expires_at().is_some_and(|end| end > Timestamp::now()));
    assert_eq!(program.requests(), 1);
    check_api(&server, session);

    // What was saved does for the next start: no browser, no request.
    let next = program.restarted();
    check_api(&server, &next.resume());
    assert_eq!(next.requests(), 0);
}

fn denied_in_chromium(kind: Kind) {
    let server = Server::start(kind, &[]);
    let program = Program::new(server.client());
    let (outcome, landing) = program.log_in_by(move |address| in_chromium(kind, address, "deny"));
    let (Err(Error::Login(failure)), Ok(report)) = (&outcome, &landing) else {
        panic!("{outcome:?}, {landing:?}");
    };
    check_page(report, "You are not logged in", "Access was not granted");

    assert!(matches!(failure.cause, Cause::Denied(_)), "{failure:?}");
    assert_eq!(failure.phase, Phase::Authorization);
    assert_eq!(code(failure), "access_denied");
    assert_eq!(failure.what_now(), WhatNow::Denied);
    assert_eq!(program.requests(), 0);
    assert!(!program.saved().has_session());
}

/// The page that Chromium ended on, as `login.mjs` reports it.
#[track_caller]
fn check_page(report: &str, title: &str, text: &str) {
    let page: Value = serde_json::from_str(report).unwrap();
    assert_eq!(page["title"], title, "{report}");
    assert!(page["text"].as_str().unwrap().contains(text), "{report}");
    assert_eq!(page["status"], 200, "{report}");
    let headers = &page["headers"];
    assert_eq!(headers["cache-control"], "no-store", "{report}");
    assert_eq!(headers["referrer-policy"], "no-referrer", "{report}");
    let policy = headers["content-security-policy"].as_str().unwrap();
    assert!(policy.starts_with("default-src 'none';"), "{report}");
    // Neither the address bar nor anything else still shows what came with the redirect.
    let bar = page["address_bar"].as_str().unwrap();
    assert!(
        bar.starts_with("http://127.0.0.1:") && bar.ends_with("/callback"),
        "{report}"
    );
    assert_eq!(page["reached"], bar, "{report}");
    for secret in ["code=", "state=", "error=", "iss="] {
        assert!(!report.contains(secret), "{report}");
    }
}

// Refresh.

fn rotates_the_refresh_token(kind: Kind) {
    let server = Server::start(kind, &[]);
    let program = Program::new(server.client());
    let session = program.log_in();
    let mut refresh_tokens = vec![program.refresh_token()];
    for round in 1..=3 {
        let old = session.access_token().unwrap();
        let new = session.refresh().unwrap();
        assert_eq!(program.requests(), 1 + round);
        assert_ne!(new.secret(), old.secret());
        assert!(new.serial() > old.serial());
        assert_eq!(new.scopes(), &Scopes::new(SCOPES).unwrap());
        let refresh_token = program.refresh_token();
        assert!(!refresh_tokens.contains(&refresh_token), "round {round}");
        refresh_tokens.push(refresh_token);
        check_api(&server, &session);
    }
}

fn keeps_the_refresh_token(kind: Kind) {
    let knob = match kind {
        OidcProvider => "never",
        Django | NodeOauth => "0",
    };
    let server = Server::start(kind, &[("ROTATE", knob)]);
    let program = Program::new(server.client());
    let session = program.log_in();
    let refresh_token = program.refresh_token();
    for round in 1..=10 {
        let old = session.access_token().unwrap();
        let new = session.refresh().unwrap();
        assert_eq!(program.requests(), 1 + round);
        assert_ne!(new.secret(), old.secret());
        assert_eq!(new.scopes(), &Scopes::new(SCOPES).unwrap());
        assert_eq!(program.refresh_token(), refresh_token, "round {round}");
        check_api(&server, &session);
    }
}

fn refuses_a_reused_refresh_token(kind: Kind) {
    let server = Server::start(kind, &[]);
    let program = Program::new(server.client());
    let session = program.log_in();
    // A copy of what was saved, from before the rotation.
    let copy = program.restarted();
    let old = copy.refresh_token();
    session.refresh().unwrap();
    assert_ne!(program.refresh_token(), old);

    let stale = copy.resume();
    let error = stale.refresh().unwrap_err();
    let Error::SignIn(Some(failure)) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(
        (failure.phase, code(failure)),
        (Phase::Refresh, "invalid_grant")
    );
    assert_eq!(failure.what_now(), WhatNow::SignIn);
    assert_eq!(error.what_now(), WhatNow::SignIn);

    // It is kept, but never sent again: not now, not after a restart.
    assert_eq!(copy.refresh_token(), old);
    assert!(matches!(stale.refresh(), Err(Error::SignIn(_))));
    assert_eq!(copy.requests(), 1);
    let restarted = copy.restarted();
    assert!(matches!(
        restarted.resume().refresh(),
        Err(Error::SignIn(_))
    ));
    assert_eq!(restarted.refresh_token(), old);
    assert_eq!(restarted.requests(), 0);

    // What the server makes of the newest one then is its own affair.
    let newest = session.refresh();
    match kind {
        OidcProvider | Django => {
            assert!(matches!(newest, Err(Error::SignIn(Some(_)))), "{newest:?}")
        }
        NodeOauth => check_api(&server, &session),
    }
}

fn refreshes_what_has_ended(kind: Kind) {
    let server = Server::start(kind, &[("AT_TTL", "2")]);
    let program = Program::new(server.client().leeway(Duration::ZERO));
    let session = program.log_in();
    let first = session.access_token().unwrap();
    assert_eq!(program.requests(), 1);

    wait_for_the_end(&server, &first);
    let second = session.access_token().unwrap();
    assert_eq!(program.requests(), 2);
    assert_ne!(second.secret(), first.secret());
    assert!(second.expires_at() > first.expires_at());
    assert_eq!(session.state(), State::Authorized);
    check_api(&server, &session);
}

/// The token has ended and the program can't know: only the API tells.
fn replaces_a_rejected_token(kind: Kind) {
    let server = Server::start(kind, &[("AT_TTL", "1")]);
    let program = Program::new(server.client());
    program.log_in();
    let unaware = program.restarted_with(|saved| {
        saved["session"]["expires_at"].take();
    });
    let session = unaware.resume();
    let first = session.access_token().unwrap();
    assert_eq!(first.expires_at(), None);

    wait_for_the_end(&server, &first);
    if kind == Django {
        // It says 403 where RFC 6750 section 3.1 says 401, so the program has to do it.
        let answer = session.get(server.address("api")).unwrap();
        assert_eq!((answer.status(), unaware.requests()), (403, 0));
        session.token_rejected(first.serial()).unwrap();
    }
    check_api(&server, &session);
    assert_eq!(unaware.requests(), 1);
    assert_ne!(session.access_token().unwrap().secret(), first.secret());
}

/// The person takes their consent back at the server.
fn ends_with_a_revocation(kind: Kind) {
    let server = Server::start(kind, &[]);
    let program = Program::new(server.client());
    let session = program.log_in();
    let refresh_token = program.refresh_token();
    let form = [
        ("token", refresh_token.expose()),
        ("client_id", "native-public"),
    ];
    assert_eq!(post(server.address("revoke"), &form), 200);

    let token = session.access_token().unwrap();
    let error = session.token_rejected(token.serial()).unwrap_err();
    let Error::SignIn(Some(failure)) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(code(failure), "invalid_grant");
    assert_eq!(session.state(), State::Expired);
    assert!(matches!(session.access_token(), Err(Error::SignIn(_))));
    assert_eq!(program.requests(), 2);

    // With what is saved, the next login asks the person again.
    let next = program.restarted();
    check_api(&server, &next.log_in());
    assert_eq!(next.requests(), 1);
}

/// On both sides: some servers count in whole seconds, so theirs may end a little earlier or later.
fn wait_for_the_end(server: &Server, token: &AccessToken) {
    if let Some(end) = token.expires_at() {
        thread::sleep(end.saturating_since(Timestamp::now()));
    }
    let start = Instant::now();
    while api_status(server.address("api"), token.secret().expose()) == 200 {
        assert!(start.elapsed() < Duration::from_secs(10), "it does not end");
        thread::sleep(Duration::from_millis(100));
    }
}

// Who asks, and who answers.

fn refuses_a_wrong_verifier(kind: Kind) {
    let server = Server::start(kind, &[]);
    let mut by_hand = ByHand::new(server.client());
    let address = by_hand.begin();
    by_hand.mix_up_the_verifier();
    let (notices, landing) = by_hand.finish(&address);
    let [Notice::LoginFailed(failure)] = notices.as_slice() else {
        panic!("{notices:?}, {landing:?}");
    };
    assert_eq!(
        (failure.phase, code(failure)),
        (Phase::Exchange, "invalid_grant")
    );
    assert_eq!(failure.what_now(), WhatNow::SignIn);
    assert_eq!(landing.title(), "The login failed");
    // Nothing is tried again, and nothing is left to wait for.
    assert_eq!(by_hand.requests, 1);
    assert_eq!(by_hand.flow.state(), State::Unauthorized);
    assert_eq!(by_hand.flow.activity(), Activity::Idle);
    assert_eq!(by_hand.flow.deadline(), None);

    // The same flow, from the beginning.
    let address = by_hand.begin();
    let (notices, landing) = by_hand.finish(&address);
    assert_eq!(notices, [Notice::LoggedIn]);
    assert_eq!(landing.title(), "You are logged in");
    assert_eq!(by_hand.flow.state(), State::Authorized);
    let token = by_hand.flow.access_token(Timestamp::now()).unwrap();
    assert_eq!(
        api_status(server.address("api"), token.secret().expose()),
        200
    );
}

fn knows_the_client_by_its_secret(kind: Kind) {
    use ClientAuth::{Basic, BasicUnencoded, Body};
    let server = Server::start(kind, &[]);
    let program = |id, secret, auth| {
        let client = server.client_of(server.provider(), id);
        Program::new(client.secret(secret).auth(auth))
    };
    // One of the three takes the Basic header as it is.
    let (id, secret, auth) = match kind {
        OidcProvider | Django => ("odd:id+/%", "s e:c+r/e%t&=?", Basic),
        NodeOauth => ("odd-secret", "s e+/%t&=?", BasicUnencoded),
    };
    for program in [
        program("native-secret", "native-secret-value", Basic),
        program("native-secret", "native-secret-value", Body),
        program(id, secret, auth),
        program(id, secret, Body),
    ] {
        let session = program.log_in();
        session.refresh().unwrap();
        check_api(&server, &session);
    }

    let mut wrong = vec![
        program("native-secret", "another", Basic),
        program("native-secret", "another", Body),
    ];
    if kind == NodeOauth {
        wrong.push(program(id, secret, Basic));
    }
    for program in wrong {
        let (outcome, landing) = program.log_in_by(agrees);
        let Err(Error::Login(failure)) = &outcome else {
            panic!("{outcome:?}, {landing:?}");
        };
        let seen = (failure.phase, code(failure));
        assert_eq!(seen, (Phase::Exchange, "invalid_client"));
        assert_eq!(failure.what_now(), WhatNow::Configuration);
        assert_eq!(landing.unwrap().title(), "The login failed");
        assert_eq!(program.requests(), 1);
    }
}

fn says_who_it_is(kind: Kind) {
    let server = Server::start(kind, &[("ISS", "1")]);
    let issuer = server.address("issuer");
    let provider = server.provider().issuer(issuer).iss_required();
    let program = Program::new(server.client_of(provider, "native-public"));
    check_api(&server, &program.log_in());
}

fn is_not_the_one_expected(kind: Kind) {
    let server = Server::start(kind, &[]);
    let (issuer, reason) = match kind {
        // It says who it is, and is another.
        OidcProvider => ("https://issuer.example", IgnoredReason::IssuerMismatch),
        // It does not say.
        Django | NodeOauth => (server.address("issuer"), IgnoredReason::IssuerMissing),
    };
    let provider = server.provider().issuer(issuer).iss_required();
    let client = server.client_of(provider, "native-public");
    let mut by_hand = ByHand::new(client.login_timeout(Duration::from_secs(3)));
    let address = by_hand.begin();
    let (notices, landing) = by_hand.finish(&address);
    let [
        Notice::CallbackIgnored(ignored),
        Notice::LoginFailed(failure),
    ] = notices.as_slice()
    else {
        panic!("{notices:?}, {landing:?}");
    };
    assert_eq!(ignored.reason, reason);
    assert_eq!((landing.status, landing.title()), (400, "Not this login"));
    assert_eq!(
        (failure.phase, &failure.cause),
        (Phase::Authorization, &Cause::TimedOut)
    );
    assert_eq!(by_hand.requests, 0);
}

fn code(failure: &Failure) -> &str {
    let error = failure.oauth_error();
    error.map_or("none", |error| &error.code)
}

#[track_caller]
pub fn check_api(server: &Server, session: &Session) {
    let answer = session.get(server.address("api")).unwrap();
    assert_eq!(answer.status(), 200);
    let person: Value = answer.read_json().unwrap();
    assert!(person["id"].is_string(), "{person}");
}
