//! Runs every row of the files beside this one through the public API. README.md says what the rows
//! mean.

#[path = "../support/mod.rs"]
mod support;

mod callbacks;
mod configuration;
mod providers;
mod requests;
mod requirements;
mod token_responses;

use authflow::{
    CallbackUrl, Cause, Client, ClientBuilder, ConfigError, Event, Failure, LoginSecrets, Notice,
    OAuthError, Provider, WhatNow,
};
use serde::Deserialize;

use support::scenario::Scenario;
use support::vectors::{Asserted, Faults, asserted};

const AUTHORIZE: &str = "https://as.example/authorize";
const TOKEN: &str = "https://as.example/token";
const REDIRECT_URI: &str = "http://127.0.0.1:8888/callback";
/// Its state has lower-case letters.
const ENTROPY: [u8; 64] = [0x5a; 64];
const MARKER: &str = "SECRETVALUE";

fn begin(scenario: &mut Scenario, redirect_uri: &str, entropy: [u8; 64]) {
    let redirect_uri = scenario.flow.client().redirect_uri(redirect_uri);
    scenario.fire(Event::BeginLogin {
        secrets: LoginSecrets::from_entropy(entropy),
        redirect_uri: redirect_uri.expect("a sound redirect URI"),
    });
}

fn login_url(scenario: &Scenario) -> String {
    let url = scenario.flow.authorization_url().expect("a login");
    url.as_str().to_owned()
}

fn call_back(scenario: &mut Scenario, url: &str) {
    let url = CallbackUrl::new(url);
    scenario.fire(Event::Callback { url });
}

fn client() -> ClientBuilder {
    Client::builder(Provider::new(AUTHORIZE, TOKEN), "client-1")
}

/// All that a program might print after an event.
fn shown(scenario: &Scenario) -> String {
    let mut shown = format!("{:?}\n{:?}\n", scenario.flow, scenario.actions);
    shown += &format!("{:?}\n", scenario.flow.access_token(scenario.now));
    for failure in scenario.notices().into_iter().filter_map(failure_in) {
        shown += &format!("{failure}\n");
        match &failure.cause {
            Cause::Denied(error) | Cause::OAuth(error) => shown += &error.to_string(),
            Cause::Http(answer) | Cause::Unreadable(answer) => shown += &answer.to_string(),
            _ => {}
        }
    }
    shown
}

fn failure_in(notice: &Notice) -> Option<&Failure> {
    match notice {
        Notice::LoginFailed(failure) | Notice::RefreshFailed { failure, .. } => Some(failure),
        _ => None,
    }
}

/// What RFC 6749 section 5.2 allows in a description; in a URI there is no space either.
fn is_fit(text: &str, also: &[u8]) -> bool {
    let fits = |byte: u8| matches!(byte, b'!'..=b'~') && !matches!(byte, b'"' | b'\\');
    text.len() <= 256 && text.bytes().all(|byte| fits(byte) || also.contains(&byte))
}

fn refused(error: &ConfigError, name: &str, says: Option<&str>, faults: &mut Faults) {
    faults.same("error", error.name(), name);
    faults.contains("text", Some(&error.to_string()), says.unwrap_or_default());
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ErrorExpected {
    code: String,
    #[serde(deserialize_with = "asserted")]
    description: Asserted<String>,
    description_contains: Option<String>,
    #[serde(deserialize_with = "asserted")]
    uri: Asserted<String>,
    what_now: Option<String>,
    retry_after: Option<u64>,
}

impl ErrorExpected {
    fn check(&self, error: &OAuthError, failure: &Failure, faults: &mut Faults) {
        faults.same("code", &error.code, &self.code);
        if let Some(description) = &self.description {
            faults.same("description", &error.description, description);
        }
        if let Some(part) = &self.description_contains {
            faults.contains("description", error.description.as_deref(), part);
        }
        if let Some(uri) = &self.uri {
            faults.same("uri", &error.uri, uri);
        }
        if let Some(text) = error.description.as_deref().filter(|t| !is_fit(t, b" ")) {
            faults.add(format!("a description not fit to be shown: {text:?}"));
        }
        if let Some(text) = error.uri.as_deref().filter(|t| !is_fit(t, b"")) {
            faults.add(format!("an error URI not fit to be shown: {text:?}"));
        }
        advice(failure, self.what_now.as_deref(), self.retry_after, faults);
    }
}

fn advice(failure: &Failure, want: Option<&str>, wait: Option<u64>, faults: &mut Faults) {
    if let Some(want) = want {
        faults.same("what_now", failure.what_now().name(), want);
    }
    if let Some(wait) = wait {
        let asked = failure.retry_after().map(|wait| wait.as_secs());
        faults.same("retry_after", asked, Some(wait));
    }
    if let WhatNow::Retry { after } = failure.what_now() {
        faults.same("the wait in what_now", after, failure.retry_after());
    }
}
