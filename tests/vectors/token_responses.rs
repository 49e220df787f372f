//! Decoding a token endpoint's answer.

use std::collections::{BTreeMap, BTreeSet};

use authflow::{
    Activity, Cause, Client, Event, HttpResponse, Notice, Provider, RepairStep, State, Timestamp,
    TokenSet,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::support::scenario::Scenario;
use super::support::vectors::{Asserted, Faults, Repeat, all, asserted, check, query};
use super::{
    AUTHORIZE, ENTROPY, ErrorExpected, MARKER, REDIRECT_URI, TOKEN, advice, begin, call_back,
    client, login_url, shown,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenRow {
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
    ErrorCode(String, String, String),
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
            Self::ErrorCode(member, says, code) => {
                RepairStep::error_code(member.clone(), says.clone(), code.clone())
            }
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
        let provider = Provider::new(AUTHORIZE, TOKEN);
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
        scenario.answer(Ok(row.response()));
        let verifier = URL_SAFE_NO_PAD.encode(&ENTROPY[32..]);
        let own = ["AT-HELD", "RT-HELD", "C0DE-1", "CLIENT-SECRET", &verifier];
        faults.hides(&shown(&scenario), own.into_iter().chain([MARKER]));
        match &row.expect {
            TokenExpected::Tokens(want) => tokens_arrived(want, &row.request, &scenario, faults),
            TokenExpected::OauthError(want) => {
                no_tokens_arrived(&row.request, &scenario, faults);
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
                no_tokens_arrived(&row.request, &scenario, faults);
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
        let got = token.extras().get::<Box<RawValue>>(name);
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

fn no_tokens_arrived(request: &Request, scenario: &Scenario, faults: &mut Faults) {
    let (state, held) = match request {
        Request::Exchange => (State::Unauthorized, None),
        Request::Refresh => (State::Authorized, Some("HELD")),
    };
    faults.same("state", scenario.state(), state);
    let access_token = held.map(|held| format!("AT-{held}"));
    faults.same("token", scenario.access_token(), access_token.as_deref());
    let refresh_token = held.map(|held| format!("RT-{held}"));
    faults.same("refresh token", scenario.refresh_token(), refresh_token);
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RetryAfterRow {
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
        // The machine waits for as long, but never for less than its own first second, nor by itself
        // for more than a day.
        let wait = row.seconds.unwrap_or_default().clamp(1, 86_400);
        let until = Some(Timestamp::from_millis(row.now_ms + wait * 1000));
        let until = until.map(|until| Activity::Backoff { until });
        faults.same("activity", Some(scenario.flow.activity()), until);
        faults.same("can_refresh", scenario.flow.can_refresh(), true);
    });
}
