//! What is refused before anything is opened or sent.

use authflow::{Client, Provider};
use serde::Deserialize;

use super::providers::Known;
use super::support::scenario::Scenario;
use super::support::vectors::check;
use super::{AUTHORIZE, ENTROPY, REDIRECT_URI, TOKEN, begin, login_url, refused};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RedirectRow {
    provider: RedirectProvider,
    uri: String,
    ok: bool,
    says: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RedirectProvider {
    Custom,
    CustomLocalhost,
    #[serde(untagged)]
    Known(Known),
}

#[test]
fn redirect_uris() {
    check("redirect_uris", |row: &RedirectRow, faults| {
        let custom = Provider::new(AUTHORIZE, TOKEN);
        let client = match &row.provider {
            RedirectProvider::Known(known) => known.client(),
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndpointRow {
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
            EndpointKind::Authorization => Provider::new(&row.url, TOKEN),
            EndpointKind::Token => Provider::new(AUTHORIZE, &row.url),
        };
        if row.loopback_http {
            provider = provider.dangerously_allow_http_on_loopback();
        }
        match Client::builder(provider.clone(), "client-1").build() {
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
