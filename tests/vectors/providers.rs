//! One login at a provider that is here as data: what goes out, and what its answers become.

use std::collections::BTreeSet;

use authflow::{
    AuthFlow, Cause, Client, ClientBuilder, HttpRequest, HttpResponse, Timestamp, discord, github,
    google, microsoft, spotify, twitch,
};
use serde::Deserialize;

use super::support::scenario::Scenario;
use super::support::vectors::{Faults, all, check, pairs, query};
use super::{ENTROPY, ErrorExpected, begin, call_back, login_url, shown};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderRow {
    provider: Known,
    client_secret: Option<String>,
    scopes: Vec<String>,
    redirect_uri: String,
    authorize: Option<Going>,
    #[serde(default)]
    callback: String,
    exchange: Option<Going>,
    answer: Answer,
    expect: Expected,
    refresh: Option<Refresh>,
    /// Not there: not asserted. Empty: the provider has no endpoint for it.
    revoke: Option<Vec<Going>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Known {
    Spotify,
    Github,
    Google,
    Microsoft,
    Discord,
    Twitch,
}

impl Known {
    pub(super) fn client(&self) -> ClientBuilder {
        match self {
            Self::Spotify => spotify::client("client-1"),
            Self::Github => github::client("client-1"),
            Self::Google => google::client("client-1"),
            Self::Microsoft => microsoft::client("common", "client-1"),
            Self::Discord => discord::client("client-1"),
            Self::Twitch => twitch::client("client-1"),
        }
    }
}

/// A URL without its query, the header if there is one, and the parameters of query or body. A value
/// of `*` stands for one that is made by the flow.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Going {
    url: String,
    authorization: Option<String>,
    params: Vec<(String, String)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Expected {
    Tokens(Tokens),
    OauthError(ErrorExpected),
    Failure { status: u16, what_now: String },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tokens {
    access_token: String,
    #[serde(deserialize_with = "Option::deserialize")]
    lifetime: Option<u64>,
    #[serde(deserialize_with = "Option::deserialize")]
    refresh_token: Option<String>,
    granted: BTreeSet<String>,
    missing: BTreeSet<String>,
    sign_in_due: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refresh {
    sends: Vec<(String, String)>,
    answer: Answer,
    expect: Expected,
    can_refresh: bool,
}

impl Answer {
    fn response(&self) -> HttpResponse {
        let response = HttpResponse::new(self.status, self.body.as_bytes());
        let with = |response: HttpResponse, (name, value): &(String, String)| {
            response.with_header(name, value)
        };
        self.headers.iter().fold(response, with)
    }
}

impl Going {
    fn same(
        &self,
        url: &str,
        authorization: Option<&str>,
        got: &[(String, String)],
        f: &mut Faults,
    ) {
        f.same("url", url, &self.url);
        f.same(
            "authorization",
            authorization,
            self.authorization.as_deref(),
        );
        same_params(&self.params, got, f);
    }

    fn sent(&self, request: &HttpRequest, faults: &mut Faults) {
        let headers: Vec<_> = request.headers().collect();
        let header = |name: &str| {
            let named = headers
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(name));
            named.map(|(_, value)| *value)
        };
        // GitHub answers in a form otherwise.
        faults.same("accept", header("accept"), Some("application/json"));
        let body = pairs(request.body());
        self.same(request.url(), header("authorization"), &body, faults);
    }
}

fn same_params(want: &[(String, String)], got: &[(String, String)], faults: &mut Faults) {
    let names = |pairs: &[(String, String)]| -> Vec<String> {
        let mut names: Vec<_> = pairs.iter().map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        names
    };
    faults.same("parameters", names(got), names(want));
    for (name, value) in want.iter().filter(|(_, value)| value != "*") {
        let got: Vec<_> = all(got, name);
        faults.same(name, got, vec![value.as_str()]);
    }
}

impl Tokens {
    fn arrived(&self, scenario: &Scenario, faults: &mut Faults) {
        let now = scenario.now;
        let Some(token) = scenario.flow.access_token(now) else {
            return faults.add(format!("no token: {:?}", scenario.actions));
        };
        let set = |scopes: Vec<&str>| -> BTreeSet<String> {
            scopes.into_iter().map(str::to_owned).collect()
        };
        let (secret, end) = (token.secret().expose(), token.expires_at());
        faults.same("access_token", secret, self.access_token.as_str());
        let after = |seconds: u64| Timestamp::from_millis(now.as_millis() + seconds * 1000);
        faults.same("end", end, self.lifetime.map(after));
        faults.same(
            "granted",
            &set(token.scopes().iter().collect()),
            &self.granted,
        );
        faults.same(
            "missing",
            &set(token.missing_scopes().collect()),
            &self.missing,
        );
        faults.same("bearer", token.authorization().is_ok(), true);
        let refresh_token = self.refresh_token.clone();
        faults.same("refresh_token", scenario.refresh_token(), refresh_token);
        let due = scenario.flow.sign_in_due();
        faults.same("sign_in_due", due, self.sign_in_due.map(after));
    }
}

impl Expected {
    fn came(&self, scenario: &Scenario, faults: &mut Faults) {
        match self {
            Self::Tokens(tokens) => tokens.arrived(scenario, faults),
            Self::OauthError(want) => match &scenario.failure().cause {
                Cause::OAuth(error) => want.check(error, scenario.failure(), faults),
                other => faults.add(format!("expected an OAuth error, got {other:?}")),
            },
            Self::Failure { status, what_now } => {
                let failure = scenario.failure();
                faults.same("status", failure.status(), Some(*status));
                faults.same("what_now", failure.what_now().name(), what_now);
            }
        }
    }
}

#[test]
fn providers() {
    check("providers", |row: &ProviderRow, faults| {
        let mut client = row.provider.client().scopes(&row.scopes);
        if let Some(secret) = &row.client_secret {
            client = client.secret(secret.clone());
        }
        let mut scenario = Scenario::of(client);
        begin(&mut scenario, &row.redirect_uri, ENTROPY);
        let url = login_url(&scenario);
        let login = query(&url);
        if let Some(authorize) = &row.authorize {
            let endpoint = url.split('?').next().unwrap_or_default();
            authorize.same(endpoint, None, &login, faults);
        }
        let state = all(&login, "state")[0].to_owned();
        let callback = format!("?code=C0DE-1&state={state}{}", row.callback);
        call_back(&mut scenario, &callback);
        if let Some(exchange) = &row.exchange {
            exchange.sent(scenario.request(), faults);
        }
        scenario.answer(Ok(row.answer.response()));
        row.expect.came(&scenario, faults);
        if let Some(refresh) = &row.refresh {
            scenario.refresh();
            same_params(&refresh.sends, &pairs(scenario.request().body()), faults);
            scenario.answer(Ok(refresh.answer.response()));
            refresh.expect.came(&scenario, faults);
            faults.same(
                "can_refresh",
                scenario.flow.can_refresh(),
                refresh.can_refresh,
            );
        }
        if let Some(revoke) = &row.revoke {
            let requests: Vec<_> = scenario.flow.revocation_requests(scenario.now).collect();
            faults.same("revocations", requests.len(), revoke.len());
            for (request, want) in requests.iter().zip(revoke) {
                want.sent(request.request(), faults);
            }
        }
        let secrets = ["C0DE-1", "AT-1", "AT-2", "RT-1", "RT-2", "S3CRET-1"];
        faults.hides(&shown(&scenario), secrets);
    });
}

/// A login that is saved is found again by the same provider, and by no other; a token goes to its API,
/// and to no other's.
#[test]
fn no_provider_is_another() {
    let apis = [
        (Known::Spotify, "https://api.spotify.com/v1/me"),
        (Known::Github, "https://api.github.com/user"),
        (
            Known::Google,
            "https://openidconnect.googleapis.com/v1/userinfo",
        ),
        (Known::Microsoft, "https://graph.microsoft.com/v1.0/me"),
        (Known::Discord, "https://discord.com/api/users/@me"),
        (Known::Twitch, "https://api.twitch.tv/helix/users"),
    ];
    let now = Timestamp::from_millis(0);
    for (at, (known, _)) in apis.iter().enumerate() {
        let client: Client = known.client().build().unwrap();
        let saved = AuthFlow::new(client.clone()).snapshot();
        for (other, (known, api)) in apis.iter().enumerate() {
            assert_eq!(client.api_url(api).is_some(), at == other, "{api}");
            let restored = AuthFlow::restore(known.client().build().unwrap(), saved.clone(), now);
            assert_eq!(restored.is_ok(), at == other, "{known:?}");
        }
    }
}
