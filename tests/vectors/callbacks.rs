//! Judging a redirect.

use authflow::{Activity, Cause, Client, Notice, Provider, State};
use serde::Deserialize;

use super::support::scenario::Scenario;
use super::support::vectors::{Repeat, all, check, pairs, query};
use super::{
    AUTHORIZE, ENTROPY, ErrorExpected, MARKER, REDIRECT_URI, TOKEN, begin, call_back, failure_in,
    login_url, shown,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CallbackRow {
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
        let mut provider = Provider::new(AUTHORIZE, TOKEN).localhost_redirects();
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
                        faults.same("reason", ignored.reason.name(), reason);
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
