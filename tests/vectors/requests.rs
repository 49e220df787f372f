//! What goes out.

use authflow::{Action, Client, ClientAuth, Provider, Scopes};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::support::scenario::Scenario;
use super::support::vectors::{all, check, pairs, query};
use super::{AUTHORIZE, ENTROPY, REDIRECT_URI, TOKEN, begin, client, login_url, refused, shown};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthorizeRow {
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
        let provider = Provider::new(&row.authorization_endpoint, TOKEN);
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
        let provider = Provider::new(AUTHORIZE, TOKEN);
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
            let shown = format!("{request:?} {:?}", scenario.flow.client());
            faults.hides(&shown.replace(&row.client_id, ""), secret);
        }
        faults.same("requests", scenario.requests.len(), 2);
    });
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScopeRow {
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
        if all(&sent, "state") != [row.verifier.as_str()] {
            faults.hides(&url, [row.verifier.as_str()]);
        }
        scenario.redirect("code=a");
        let body = pairs(scenario.request().body());
        let verifier = all(&body, "code_verifier");
        faults.same("verifier", verifier, vec![row.verifier.as_str()]);
    });
}
