//! Runs every row of `tests/vectors` through the public API. `tests/vectors/README.md` says what the
//! rows mean.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use authflow::{
    Action, Activity, CallbackUrl, Cause, Client, ClientAuth, ClientBuilder, ConfigError, Event,
    Failure, HttpResponse, LoginSecrets, Notice, OAuthError, Provider, RepairStep, Scopes, State,
    Timestamp, TokenSet, WhatNow, spotify,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::value::RawValue;

use support::scenario::Scenario;
use support::vectors::{Asserted, Faults, Repeat, all, asserted, check, lines, pairs, path, query};

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
    Client::builder(Provider::builder(AUTHORIZE, TOKEN), "client-1")
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
        faults.same("what_now", failure.what_now().as_str(), want);
    }
    if let Some(wait) = wait {
        let asked = failure.retry_after().map(|wait| wait.as_secs());
        faults.same("retry_after", asked, Some(wait));
    }
    if let WhatNow::Retry { after } = failure.what_now() {
        faults.same("the wait in what_now", after, failure.retry_after());
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenRow {
    #[serde(rename = "id")]
    _id: String,
    #[serde(rename = "source")]
    _source: Option<String>,
    #[serde(rename = "req")]
    _req: Option<Vec<String>>,
    #[serde(default)]
    request: Request,
    requested_scopes: Option<Vec<String>>,
    status: u16,
    headers: Vec<(String, String)>,
    body: Option<String>,
    body_base64: Option<String>,
    body_repeat: Option<Repeat>,
    #[serde(default)]
    repair: Vec<Repair>,
    expect: TokenExpected,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Request {
    #[default]
    Exchange,
    Refresh,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Repair {
    Lift(String),
    Rename(String, String),
    StripCallback(bool),
    ErrorsArray(bool),
    BearerAlias(String),
}

impl Repair {
    fn step(&self) -> RepairStep {
        match self {
            Self::Lift(name) => RepairStep::lift(name.clone()),
            Self::Rename(from, to) => RepairStep::rename(from.clone(), to.clone()),
            Self::StripCallback(on) => {
                assert!(on, "a step is there or not");
                RepairStep::StripCallback
            }
            Self::ErrorsArray(on) => {
                assert!(on, "a step is there or not");
                RepairStep::ErrorsArray
            }
            Self::BearerAlias(name) => RepairStep::bearer_alias(name.clone()),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TokenExpected {
    Tokens(TokensExpected),
    OauthError(ErrorExpected),
    Failure(FailureExpected),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokensExpected {
    access_token: String,
    token_type: String,
    lifetime: Lifetime,
    scopes: BTreeSet<String>,
    #[serde(deserialize_with = "Option::deserialize")] // has to be said
    refresh_token: Option<String>,
    refresh_token_lifetime: Option<u64>,
    #[serde(default)]
    extra: BTreeMap<String, String>,
    bearer_ok: bool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Lifetime {
    Seconds(u64),
    Said(Said),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    Unknown,
    /// To the machine both are an end at the time of the request.
    Expired,
    Due,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FailureExpected {
    kind: String,
    #[serde(default, deserialize_with = "asserted")]
    snippet: Asserted<String>,
    snippet_contains: Option<String>,
    what_now: Option<String>,
    retry_after: Option<u64>,
}

impl TokenRow {
    fn response(&self) -> HttpResponse {
        let body = match (&self.body, &self.body_base64, &self.body_repeat) {
            (Some(text), None, None) => text.clone().into_bytes(),
            (None, Some(text), None) => STANDARD.decode(text).expect("base64"),
            (None, None, Some(repeat)) => repeat.text().into_bytes(),
            _ => panic!("one of body, body_base64 and body_repeat"),
        };
        let response = HttpResponse::new(self.status, body);
        let with = |response: HttpResponse, (name, value): &(String, String)| {
            response.with_header(name, value)
        };
        self.headers.iter().fold(response, with)
    }

    /// The flow just before the response.
    fn waiting(&self) -> Scenario {
        let provider = Provider::builder(AUTHORIZE, TOKEN);
        let steps = self.repair.iter().map(Repair::step);
        let provider = steps.fold(provider, |provider, step| provider.repair(step));
        let scopes = match &self.requested_scopes {
            None => vec!["read", "write"],
            Some(scopes) => scopes.iter().map(String::as_str).collect(),
        };
        let client = Client::builder(provider, "client-1").secret("CLIENT-SECRET");
        let mut scenario = Scenario::of(client.scopes(scopes));
        if self.request == Request::Refresh {
            let held = TokenSet::new("AT-HELD").refresh_token("RT-HELD");
            scenario.fire(Event::AdoptTokens(held)).refresh();
        } else {
            begin(&mut scenario, REDIRECT_URI, ENTROPY);
            let state = all(&query(&login_url(&scenario)), "state")[0].to_owned();
            call_back(&mut scenario, &format!("?code=C0DE-1&state={state}"));
        }
        scenario
    }
}

#[test]
fn token_responses() {
    check("token_responses", |row: &TokenRow, faults| {
        let mut scenario = row.waiting();
        let before = scenario.view();
        scenario.answer(Ok(row.response()));
        let verifier = URL_SAFE_NO_PAD.encode(&ENTROPY[32..]);
        let own = ["AT-HELD", "RT-HELD", "C0DE-1", "CLIENT-SECRET", &verifier];
        faults.hides(&shown(&scenario), own.into_iter().chain([MARKER]));
        match &row.expect {
            TokenExpected::Tokens(want) => tokens_arrived(want, &row.request, &scenario, faults),
            TokenExpected::OauthError(want) => {
                no_tokens_arrived(&row.request, &before, &scenario, faults);
                let failure = scenario.failure();
                match &failure.cause {
                    Cause::OAuth(error) => {
                        want.check(error, failure, faults);
                        faults.same("status", error.status, Some(row.status));
                    }
                    other => faults.add(format!("expected an OAuth error, got {other:?}")),
                }
            }
            TokenExpected::Failure(want) => {
                no_tokens_arrived(&row.request, &before, &scenario, faults);
                let failure = scenario.failure();
                faults.same("kind", failure.name(), want.kind.as_str());
                let (Cause::Http(answer) | Cause::Unreadable(answer)) = &failure.cause else {
                    return;
                };
                faults.same("status", answer.status, row.status);
                if let Some(snippet) = &want.snippet {
                    faults.same("snippet", &answer.snippet, snippet);
                }
                if let Some(part) = &want.snippet_contains {
                    faults.contains("snippet", answer.snippet.as_deref(), part);
                }
                advice(failure, want.what_now.as_deref(), want.retry_after, faults);
            }
        }
    });
}

fn tokens_arrived(want: &TokensExpected, request: &Request, scenario: &Scenario, f: &mut Faults) {
    let text = |name: &str| scenario.in_session(name).as_str().map(str::to_owned);
    let notice = match request {
        Request::Exchange => Notice::LoggedIn,
        Request::Refresh => Notice::Refreshed,
    };
    f.same("notices", scenario.notices(), vec![&notice]);
    f.same(
        "access_token",
        text("access_token"),
        Some(want.access_token.clone()),
    );
    f.same(
        "token_type",
        text("token_type"),
        Some(want.token_type.clone()),
    );
    let scopes = text("scopes").unwrap_or_default();
    let scopes = scopes.split_whitespace().map(str::to_owned).collect();
    f.same("scopes", &scopes, &want.scopes);
    let kept = (*request == Request::Refresh).then(|| "RT-HELD".to_owned());
    let refresh_token = want.refresh_token.clone().or(kept);
    f.same("refresh_token", text("refresh_token"), refresh_token);

    let now = scenario.now.as_millis();
    let end = match &want.lifetime {
        Lifetime::Said(Said::Unknown) => None,
        Lifetime::Said(Said::Expired | Said::Due) => Some(now),
        Lifetime::Seconds(seconds) => Some(now + seconds * 1000),
    };
    f.same("end", scenario.in_session("expires_at").as_u64(), end);
    if let Some(lifetime) = want.refresh_token_lifetime {
        let due = scenario.flow.sign_in_due().map(Timestamp::as_millis);
        f.same("sign_in_due", due, Some(now + lifetime * 1000));
    }
    let tokens = [Some(&want.access_token), want.refresh_token.as_ref()];
    f.hides(
        &shown(scenario),
        tokens.into_iter().flatten().map(String::as_str),
    );

    let token = scenario.flow.access_token(scenario.now);
    if end == Some(now) {
        // There is nothing to make a header of, and no member to ask for.
        f.same("state", scenario.state(), State::Expired);
        f.same("usable", token.is_some(), false);
        f.same("members asserted", want.extra.len(), 0);
        return;
    }
    f.same("state", scenario.state(), State::Authorized);
    let Some(token) = token else {
        return f.add("there is no usable token");
    };
    for (name, want) in &want.extra {
        let got = token.extra::<Box<RawValue>>(name);
        let got = got.map(|raw| raw.get().to_owned());
        f.same(name, got.as_ref(), Some(want));
    }
    let header = token.authorization();
    f.same("bearer_ok", header.is_ok(), want.bearer_ok);
    match header {
        Ok(header) => f.same(
            "header",
            header.expose(),
            &format!("Bearer {}", want.access_token),
        ),
        Err(error) => f.same(
            "the type refused",
            error.token_type,
            want.token_type.clone(),
        ),
    }
}

fn no_tokens_arrived(
    request: &Request,
    before: &support::scenario::View,
    scenario: &Scenario,
    faults: &mut Faults,
) {
    let view = scenario.view();
    match request {
        Request::Exchange => faults.same("state", view.state, State::Unauthorized),
        Request::Refresh => {
            faults.same("state", view.state, before.state);
            faults.same("the token", view.usable, before.usable);
            let kept = scenario.refresh_token();
            faults.same("the refresh token", kept.as_deref(), Some("RT-HELD"));
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CallbackRow {
    #[serde(rename = "id")]
    _id: String,
    #[serde(rename = "source")]
    _source: Option<String>,
    #[serde(rename = "req")]
    _req: Vec<String>,
    redirect_uri: Option<String>,
    issuer: Option<String>,
    #[serde(default)]
    iss_required: bool,
    callback: Option<String>,
    callback_repeat: Option<Repeat>,
    expect: CallbackExpected,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CallbackExpected {
    accepted: Option<Accepted>,
    denied: Option<ErrorExpected>,
    ignored: Option<String>,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Accepted {
    Code(String),
    CodeRepeat(Repeat),
}

impl CallbackRow {
    fn waiting(&self) -> Scenario {
        let mut provider = Provider::builder(AUTHORIZE, TOKEN);
        if let Some(issuer) = &self.issuer {
            provider = provider.issuer(issuer);
        }
        if self.iss_required {
            provider = provider.iss_required();
        }
        let mut scenario = Scenario::of(Client::builder(provider, "client-1"));
        begin(&mut scenario, self.redirect_uri(), ENTROPY);
        scenario
    }

    fn redirect_uri(&self) -> &str {
        self.redirect_uri.as_deref().unwrap_or(REDIRECT_URI)
    }

    fn callback(&self, state: &str) -> String {
        let text = match (&self.callback, &self.callback_repeat) {
            (Some(text), None) => text.clone(),
            (None, Some(repeat)) => repeat.text(),
            _ => panic!("one of callback and callback_repeat"),
        };
        text.replace("{STATE}", state)
            .replace("{STATE_UPPER}", &state.to_ascii_uppercase())
            .replace("{STATE_MINUS_ONE}", &state[..state.len() - 1])
    }

    /// The callback that ends every login well.
    fn right(&self, state: &str) -> String {
        let uri = self.redirect_uri();
        let sign = if uri.contains('?') { '&' } else { '?' };
        let mut url = format!("{uri}{sign}code=RIGHT&state={state}");
        if let Some(issuer) = &self.issuer {
            let issuer: String = url::form_urlencoded::byte_serialize(issuer.as_bytes()).collect();
            url += &format!("&iss={issuer}");
        }
        url
    }
}

#[test]
fn callbacks() {
    check("callbacks", |row: &CallbackRow, faults| {
        let mut scenario = row.waiting();
        let state = all(&query(&login_url(&scenario)), "state")[0].to_owned();
        assert!(state.contains(|c: char| c.is_ascii_lowercase()));
        let before = scenario.view();
        call_back(&mut scenario, &row.callback(&state));
        faults.hides(&shown(&scenario), [MARKER, &state]);
        let (accepted, denied) = (&row.expect.accepted, &row.expect.denied);
        match (accepted, denied, &row.expect.ignored) {
            (Some(accepted), None, None) => {
                let code = match accepted {
                    Accepted::Code(code) => code.clone(),
                    Accepted::CodeRepeat(repeat) => repeat.text(),
                };
                faults.same("activity", scenario.flow.activity(), Activity::Exchanging);
                let sent = scenario.requests.last();
                let body = sent.map(|request| pairs(request.body()));
                faults.same(
                    "code sent",
                    all(&body.unwrap_or_default(), "code"),
                    vec![&*code],
                );
            }
            (None, Some(want), None) => {
                faults.same("state", scenario.state(), State::Unauthorized);
                let failure = scenario.notices().into_iter().find_map(failure_in);
                match failure.map(|failure| (failure, &failure.cause)) {
                    Some((failure, Cause::Denied(error))) => want.check(error, failure, faults),
                    other => faults.add(format!("expected a denial, got {other:?}")),
                }
            }
            (None, None, Some(reason)) => {
                match scenario.notices()[..] {
                    [Notice::CallbackIgnored(ignored)] => {
                        faults.same("reason", ignored.reason.as_str(), reason);
                        faults.same("error", &ignored.error, &row.expect.error);
                    }
                    _ => faults.add(format!(
                        "expected {reason}, got {} {:?}",
                        scenario.said(),
                        scenario.notices()
                    )),
                }
                faults.same("the waiting login", scenario.view(), before);
                call_back(&mut scenario, &row.right(&state));
                let activity = scenario.flow.activity();
                faults.same("then the right one", activity, Activity::Exchanging);
            }
            _ => faults.add("expect one of accepted, denied and ignored"),
        }
    });
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RedirectRow {
    #[serde(rename = "id")]
    _id: String,
    #[serde(rename = "req")]
    _req: Vec<String>,
    provider: RedirectProvider,
    uri: String,
    ok: bool,
    says: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RedirectProvider {
    Spotify,
    Custom,
    CustomLocalhost,
}

#[test]
fn redirect_uris() {
    check("redirect_uris", |row: &RedirectRow, faults| {
        let custom = Provider::builder(AUTHORIZE, TOKEN);
        let client = match row.provider {
            RedirectProvider::Spotify => spotify::client("client-1"),
            RedirectProvider::Custom => Client::builder(custom, "client-1"),
            RedirectProvider::CustomLocalhost => {
                Client::builder(custom.localhost_redirects(), "client-1")
            }
        };
        let uri = client.build().expect("a client").redirect_uri(&row.uri);
        faults.same("ok", uri.is_ok(), row.ok);
        match uri {
            Ok(uri) => faults.same("verbatim", uri.as_str(), &row.uri),
            Err(error) => refused(&error, "RedirectUri", row.says.as_deref(), faults),
        }
    });
}

fn refused(error: &ConfigError, name: &str, says: Option<&str>, faults: &mut Faults) {
    faults.same("error", error.name(), name);
    faults.contains("text", Some(&error.to_string()), says.unwrap_or_default());
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndpointRow {
    #[serde(rename = "id")]
    _id: String,
    #[serde(rename = "req")]
    _req: Vec<String>,
    kind: EndpointKind,
    url: String,
    loopback_http: bool,
    ok: bool,
    says: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EndpointKind {
    Authorization,
    Token,
}

#[test]
fn endpoints() {
    check("endpoints", |row: &EndpointRow, faults| {
        let mut provider = match row.kind {
            EndpointKind::Authorization => Provider::builder(&row.url, TOKEN),
            EndpointKind::Token => Provider::builder(AUTHORIZE, &row.url),
        };
        if row.loopback_http {
            provider = provider.dangerously_allow_http_on_loopback();
        }
        match provider.clone().build() {
            Err(error) => {
                faults.same("ok", false, row.ok);
                let text = error.to_string();
                faults.contains("text", Some(&text), row.says.as_deref().unwrap_or_default());
            }
            Ok(_) => {
                faults.same("ok", true, row.ok);
                let mut scenario = Scenario::of(Client::builder(provider, "client-1"));
                begin(&mut scenario, REDIRECT_URI, ENTROPY);
                match row.kind {
                    EndpointKind::Authorization => {
                        let url = login_url(&scenario);
                        faults.same("verbatim", url.starts_with(&row.url), true);
                    }
                    EndpointKind::Token => {
                        scenario.redirect("code=a");
                        faults.same("verbatim", scenario.request().url(), &row.url);
                        faults.same("method", scenario.request().method(), "POST");
                    }
                }
            }
        }
    });
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthorizeRow {
    #[serde(rename = "id")]
    _id: String,
    #[serde(rename = "req")]
    _req: Vec<String>,
    authorization_endpoint: String,
    client_id: String,
    client_secret: Option<String>,
    redirect_uri: String,
    scopes: Vec<String>,
    extra: Vec<(String, String)>,
    expect: AuthorizeExpected,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AuthorizeExpected {
    Params(Vec<(String, String)>),
    Error(String),
}

#[test]
fn authorize() {
    check("authorize", |row: &AuthorizeRow, faults| {
        let provider = Provider::builder(&row.authorization_endpoint, TOKEN);
        let mut client = Client::builder(provider, &row.client_id).scopes(&row.scopes);
        if let Some(secret) = &row.client_secret {
            client = client.secret(secret.as_str());
        }
        for (name, value) in &row.extra {
            client = client.authorize_param(name, value);
        }
        let params = match (&row.expect, client.clone().build()) {
            (AuthorizeExpected::Params(params), Ok(_)) => params,
            (AuthorizeExpected::Error(part), Err(error)) => {
                return faults.contains("text", Some(&error.to_string()), part);
            }
            (want, got) => return faults.add(format!("expected {want:?}, got {got:?}")),
        };
        let mut scenario = Scenario::of(client);
        begin(&mut scenario, &row.redirect_uri, ENTROPY);
        let url = login_url(&scenario);
        let mut sent = query(&url);
        for once in ["state", "code_challenge"] {
            faults.same(once, all(&sent, once).len(), 1);
        }
        sent.retain(|(name, _)| name != "state" && name != "code_challenge");
        sent.sort();
        let mut params = params.clone();
        params.sort();
        faults.same("parameters", sent, params);
        let opened: Vec<_> = scenario
            .actions
            .iter()
            .filter_map(|action| match action {
                Action::OpenUrl(opened) => Some(opened.as_str()),
                _ => None,
            })
            .collect();
        faults.same("opened", opened, vec![url.as_str()]);
        faults.hides(
            &format!("{url} {}", shown(&scenario)),
            row.client_secret.as_deref(),
        );

        // The token request names the same redirect URI (RFC 6749 section 4.1.3).
        scenario.redirect("code=a");
        let body = pairs(scenario.request().body());
        faults.same(
            "redirect_uri",
            all(&body, "redirect_uri"),
            vec![row.redirect_uri.as_str()],
        );
    });
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthRow {
    #[serde(rename = "id")]
    _id: String,
    #[serde(rename = "source")]
    _source: Option<String>,
    #[serde(rename = "req")]
    _req: Vec<String>,
    client_id: String,
    client_secret: Option<String>,
    auth: Option<Auth>,
    expect: AuthExpected,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Auth {
    Basic,
    BasicUnencoded,
    Body,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum AuthExpected {
    Refused {
        error: bool,
    },
    Sent {
        authorization: Option<String>,
        body_has: Vec<(String, String)>,
        body_lacks: Vec<String>,
    },
}

#[test]
fn client_auth() {
    check("client_auth", |row: &AuthRow, faults| {
        let provider = Provider::builder(AUTHORIZE, TOKEN);
        let mut client = Client::builder(provider, &row.client_id);
        if let Some(secret) = &row.client_secret {
            client = client.secret(secret.as_str());
        }
        client = match row.auth {
            None => client,
            Some(Auth::Basic) => client.auth(ClientAuth::Basic),
            Some(Auth::BasicUnencoded) => client.auth(ClientAuth::BasicUnencoded),
            Some(Auth::Body) => client.auth(ClientAuth::Body),
        };
        let secret = row.client_secret.as_deref();
        let (authorization, body_has, body_lacks) = match (&row.expect, client.clone().build()) {
            (AuthExpected::Refused { error: true }, Err(error)) => {
                return faults.hides(&format!("{error} {error:?}"), secret);
            }
            (
                AuthExpected::Sent {
                    authorization,
                    body_has,
                    body_lacks,
                },
                Ok(_),
            ) => (authorization, body_has, body_lacks),
            (want, got) => return faults.add(format!("expected {want:?}, got {got:?}")),
        };
        // The same in an exchange and in a refresh.
        let scenario = Scenario::of(client).authorized().refreshing();
        for request in &scenario.requests {
            let header = request.headers().find(|(name, _)| *name == "Authorization");
            let header = header.map(|(_, value)| value);
            faults.same("authorization", header, authorization.as_deref());
            let body = pairs(request.body());
            for (name, value) in body_has {
                faults.same(name, all(&body, name), vec![value.as_str()]);
            }
            for name in body_lacks {
                faults.same(name, all(&body, name), vec![]);
            }
            faults.hides(&format!("{request:?} {:?}", scenario.flow.client()), secret);
        }
        faults.same("requests", scenario.requests.len(), 2);
    });
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScopeRow {
    #[serde(rename = "id")]
    _id: String,
    #[serde(rename = "source")]
    _source: Option<String>,
    #[serde(rename = "req")]
    _req: Vec<String>,
    scopes: Vec<String>,
    ok: bool,
    param: Option<String>,
}

#[test]
fn scopes() {
    check("scopes", |row: &ScopeRow, faults| {
        let client = client().scopes(&row.scopes);
        faults.same("Scopes::new", Scopes::new(&row.scopes).is_ok(), row.ok);
        match client.clone().build() {
            Err(error) => {
                faults.same("ok", false, row.ok);
                refused(&error, "Scope", None, faults);
            }
            Ok(_) => {
                faults.same("ok", true, row.ok);
                let mut scenario = Scenario::of(client);
                begin(&mut scenario, REDIRECT_URI, ENTROPY);
                let sent = query(&login_url(&scenario));
                let param = row.param.as_deref().into_iter().collect::<Vec<_>>();
                faults.same("scope", all(&sent, "scope"), param);
            }
        }
    });
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PkceRow {
    #[serde(rename = "id")]
    _id: String,
    #[serde(rename = "source")]
    _source: Option<String>,
    #[serde(rename = "req")]
    _req: Vec<String>,
    entropy: Option<String>,
    state: Option<String>,
    verifier: String,
    code_challenge: String,
}

impl PkceRow {
    /// Where only the verifier is given, the entropy that makes it.
    fn entropy(&self) -> [u8; 64] {
        let mut entropy = [0; 64];
        match &self.entropy {
            None => {
                let half = URL_SAFE_NO_PAD.decode(&self.verifier).expect("base64url");
                entropy[32..].copy_from_slice(&half);
            }
            Some(hex) => {
                assert_eq!(hex.len(), 128);
                for (at, byte) in entropy.iter_mut().enumerate() {
                    *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hex");
                }
            }
        }
        entropy
    }
}

#[test]
fn pkce() {
    check("pkce", |row: &PkceRow, faults| {
        let mut scenario = Scenario::of(client());
        begin(&mut scenario, REDIRECT_URI, row.entropy());
        let url = login_url(&scenario);
        let sent = query(&url);
        if let Some(state) = &row.state {
            faults.same("state", all(&sent, "state"), vec![state.as_str()]);
        }
        let challenge = all(&sent, "code_challenge");
        faults.same("challenge", challenge, vec![row.code_challenge.as_str()]);
        let method = all(&sent, "code_challenge_method");
        faults.same("method", method, vec!["S256"]);
        faults.same("verifier in the URL", url.contains(&row.verifier), false);
        scenario.redirect("code=a");
        let body = pairs(scenario.request().body());
        let verifier = all(&body, "code_verifier");
        faults.same("verifier", verifier, vec![row.verifier.as_str()]);
    });
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RetryAfterRow {
    #[serde(rename = "id")]
    _id: String,
    #[serde(rename = "source")]
    _source: Option<String>,
    value: Option<String>,
    now_ms: u64,
    seconds: Option<u64>,
}

#[test]
fn retry_after() {
    check("retry_after", |row: &RetryAfterRow, faults| {
        let mut scenario = Scenario::of(client());
        scenario.now = Timestamp::from_millis(row.now_ms);
        let held = TokenSet::new("AT-HELD").refresh_token("RT-HELD");
        scenario.fire(Event::AdoptTokens(held)).refresh();
        let mut response = HttpResponse::new(429, "");
        if let Some(value) = &row.value {
            response = response.with_header("retry-after", value);
        }
        scenario.answer(Ok(response));
        let asked = scenario.failure().retry_after();
        faults.same("seconds", asked.map(|wait| wait.as_secs()), row.seconds);
        faults.same(
            "sub-seconds",
            asked.map_or(0, |wait| wait.subsec_nanos()),
            0,
        );
        // The machine waits for as long, and never for less than its own first second.
        let wait = row.seconds.unwrap_or_default().max(1);
        let until = Some(Timestamp::from_millis(row.now_ms + wait * 1000));
        let until = until.map(|until| Activity::Backoff { until });
        faults.same("activity", Some(scenario.flow.activity()), until);
        faults.same("can_refresh", scenario.flow.can_refresh(), true);
    });
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequirementRow {
    id: String,
    #[serde(rename = "topic")]
    _topic: String,
    covered_by: Vec<String>,
    policy: Option<String>,
    later: Option<String>,
}

#[test]
fn requirements() {
    let ids: Vec<_> = lines("requirements")
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    let all: Vec<_> = (1..=106).map(|number| format!("R{number}")).collect();
    assert_eq!(ids, all);

    // Which requirements each vector names.
    let files = ["token_responses", "callbacks", "redirect_uris", "endpoints"]
        .into_iter()
        .chain(["authorize", "client_auth", "scopes", "pkce", "retry_after"]);
    let mut vectors = BTreeMap::new();
    for file in files {
        for (id, line) in lines(file) {
            let row: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            for requirement in row["req"].as_array().into_iter().flatten() {
                let known = requirement
                    .as_str()
                    .is_some_and(|r| ids.contains(&r.to_owned()));
                assert!(known, "{file}:{id} names {requirement}");
            }
            vectors.insert(format!("{file}:{id}"), row["req"].to_string());
        }
    }
    check("requirements", |row: &RequirementRow, faults| {
        let excused = [&row.policy, &row.later].into_iter().flatten();
        let mut excused = excused.map(|sentence| sentence.trim());
        if row.covered_by.is_empty() && excused.all(str::is_empty) {
            faults.add("nothing covers it, and no policy says why");
        }
        for proof in &row.covered_by {
            match proof.split_once(':') {
                Some(("vector", name)) => match vectors.get(name) {
                    None => faults.add(format!("there is no {proof}")),
                    Some(req) if req == "null" => {} // retry_after names none
                    Some(req) => {
                        if !req.contains(&format!("\"{}\"", row.id)) {
                            faults.add(format!("{proof} does not name it"));
                        }
                    }
                },
                Some(("test", name)) => {
                    if !is_test(name) {
                        faults.add(format!("there is no {proof}"));
                    }
                }
                _ => faults.add(format!("neither a vector nor a test: {proof}")),
            }
        }
    });
}

/// Whether `FILE::NAME` is a test: `fn NAME` under `#[test]` in that file.
fn is_test(name: &str) -> bool {
    let Some((file, function)) = name.split_once("::") else {
        return false;
    };
    let text = std::fs::read_to_string(path(file)).unwrap_or_default();
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let head = format!("fn {function}()");
    lines
        .windows(2)
        .any(|pair| pair[0] == "#[test]" && pair[1].starts_with(&head))
}
