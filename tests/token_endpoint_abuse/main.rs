//! A token endpoint that is hostile or broken, asked by the real driver over real sockets: what the
//! driver makes of it, and what then becomes of the tokens.
#![cfg(feature = "ureq")]

#[path = "../support/mod.rs"]
mod support;

mod bodies;
mod breaks;
#[cfg(any(feature = "rustls", feature = "native-tls"))]
mod certificates;
mod heads;
mod logs;
mod meter;
mod proxies;
mod redirects;
mod statuses;

use std::error::Error;
use std::time::Duration;

use authflow::http::Http;
use authflow::{
    Activity, Cause, Client, ClientBuilder, Failure, Notice, Phase, Provider, State,
    TransportError, TransportErrorKind as Kind, WhatNow,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use support::raw::{PATIENCE, Server, within};
use support::scenario::{Reply, Scenario};
use support::shown::{ACCESS, CLIENT_SECRET, CODE, REFRESH};

/// What a hostile server would like to be taken for a token.
const EVIL: &str = "ev1lMarker-Qm2cX8sLf0Tb";

/// An answer of tokens that nobody may believe.
fn evil_tokens() -> String {
    json!({
        "access_token": EVIL,
        "token_type": "Bearer",
        "expires_in": 3600,
        "refresh_token": format!("{EVIL}-refresh"),
    })
    .to_string()
}

/// A client with a secret, so that a request has an `Authorization` header to lose as well.
fn client(token_endpoint: &str) -> ClientBuilder {
    let provider = Provider::new("https://as.example/authorize", token_endpoint);
    let client = Client::builder(provider.dangerously_allow_http_on_loopback(), "raw-client");
    client.secret(CLIENT_SECRET)
}

/// Somebody who is logged in, and whose refresh is to be sent.
fn refreshing(token_endpoint: &str) -> Scenario {
    let tokens = json!({ "access_token": ACCESS, "refresh_token": REFRESH });
    Scenario::of(client(token_endpoint))
        .logged_in_with(tokens)
        .refreshing()
}

/// Somebody who is back from the browser with a code, which is to be sent.
fn exchanging(token_endpoint: &str) -> Scenario {
    let mut scenario = Scenario::of(client(token_endpoint)).awaiting_code();
    scenario.redirect(&format!("code={CODE}"));
    assert_eq!(scenario.flow.activity(), Activity::Exchanging);
    scenario
}

/// Sends what the machine wants sent, and hands it what came of that. Hangs for no server.
fn send(http: &Http, scenario: &mut Scenario) -> Reply {
    let (http, request) = (http.clone(), scenario.request().clone());
    let reply = within(PATIENCE, move || http.execute(&request));
    scenario.answer(reply.clone());
    reply
}

/// Gives up on servers that never come to an end, and on no others: they take no part of it.
const SOON: Duration = Duration::from_secs(2);

/// A driver that gives up soon.
fn impatient() -> Http {
    impatient_by(None)
}

/// The same, by way of a proxy.
fn impatient_by(proxy: Option<ureq::Proxy>) -> Http {
    let config = ureq::Agent::config_builder().timeout_global(Some(SOON));
    #[cfg(any(feature = "rustls", feature = "native-tls"))]
    let config = config.tls_config(tls().build());
    let config = config.proxy(proxy);
    Http::with_agent(config.build().into())
}

/// ureq wants to be told where TLS is not rustls.
#[cfg(any(feature = "rustls", feature = "native-tls"))]
fn tls() -> ureq::tls::TlsConfigBuilder {
    let config = ureq::tls::TlsConfig::builder();
    #[cfg(not(feature = "rustls"))]
    let config = config.provider(ureq::tls::TlsProvider::NativeTls);
    config
}

fn sent(kind: Kind) -> TransportError {
    TransportError {
        kind,
        may_have_been_sent: true,
    }
}

fn not_sent(kind: Kind) -> TransportError {
    TransportError {
        may_have_been_sent: false,
        ..sent(kind)
    }
}

/// The refresh has failed, and cost nothing: both tokens are there.
fn keeps_its_tokens(scenario: &Scenario) {
    assert_eq!(scenario.state(), State::Authorized);
    assert_eq!(scenario.access_token(), Some(ACCESS));
    assert_eq!(scenario.refresh_token().as_deref(), Some(REFRESH));
    assert_eq!(scenario.failure().phase, Phase::Refresh);
    assert!(!scenario.flow.snapshot().to_json().expose().contains(EVIL));
}

/// … and it will be tried again by itself, after a while, with the same token.
fn tries_again(scenario: &mut Scenario) {
    keeps_its_tokens(scenario);
    let Activity::Backoff { until } = scenario.flow.activity() else {
        panic!("no backoff after {:?}", scenario.failure());
    };
    assert!(until > scenario.now);
    assert_eq!(scenario.requests.len(), 2);
    scenario.tick_at_deadline();
    let (first, again) = (&scenario.requests[1], &scenario.requests[2]);
    assert_eq!(first.body(), again.body());
}

/// … and waits to be told before it is tried again.
fn is_parked(scenario: &mut Scenario) {
    keeps_its_tokens(scenario);
    assert_eq!(scenario.flow.activity(), Activity::Idle);
    assert!(scenario.flow.can_refresh());
    for _ in 0..3 {
        scenario.after(Duration::from_secs(24 * 3600)).tick();
    }
    assert_eq!(scenario.requests.len(), 2);
}

/// The exchange has failed, and its code is never sent again: it may be spent, or known to others.
fn has_ended(scenario: &mut Scenario) -> Failure {
    let failure = match &scenario.notices()[..] {
        [Notice::LoginFailed(failure)] => failure.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(failure.phase, Phase::Exchange);
    assert_eq!(scenario.state(), State::Unauthorized);
    assert_eq!(scenario.flow.deadline(), None);
    scenario.after(Duration::from_secs(24 * 3600)).tick();
    assert_eq!(scenario.requests.len(), 1);
    assert!(!scenario.flow.snapshot().to_json().expose().contains(EVIL));
    *failure
}

/// As a refresh and as an exchange, to one server each: both fail in this way.
fn fails(serve: impl Fn() -> Server, http: &Http, expected: TransportError) {
    let server = serve();
    let mut scenario = refreshing(&server.url("/token"));
    assert_eq!(send(http, &mut scenario), Err(expected));
    tries_again(&mut scenario);

    let server = serve();
    let mut scenario = exchanging(&server.url("/token"));
    assert_eq!(send(http, &mut scenario), Err(expected));
    let failure = has_ended(&mut scenario);
    assert_eq!(failure.cause, Cause::Transport(expected));
    assert_eq!(failure.what_now(), WhatNow::Retry { after: None });
    assert_eq!(server.connections(), 1);
}

/// Nothing of what was sent is in what a program would print of it, however deep it looks.
fn shows_no_secret(scenario: &Scenario, reply: &Reply) {
    let mut shown = vec![
        format!("{reply:?} {reply:#?}"),
        format!("{:?} {:#?}", scenario.actions, scenario.flow),
    ];
    let mut errors: Vec<&dyn Error> = vec![scenario.failure()];
    errors.extend(reply.as_ref().err().map(|error| error as &dyn Error));
    for mut error in errors {
        loop {
            shown.push(format!("{error} {error:#} {error:?} {error:#?}"));
            match error.source() {
                Some(source) => error = source,
                None => break,
            }
        }
    }
    for text in shown {
        hides_the_secrets(&text);
    }
}

/// Neither the secrets nor most of one, and not as they were in the header.
fn hides_the_secrets(text: &str) {
    let basic = STANDARD.encode(format!("raw-client:{CLIENT_SECRET}"));
    for secret in [ACCESS, REFRESH, CODE, CLIENT_SECRET, EVIL, &basic] {
        let part = &secret[..secret.len() - 4];
        assert!(!text.contains(part), "{part} is shown in: {text}");
    }
}
