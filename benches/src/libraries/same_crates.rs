//! What a careful user writes on authflow's crates: `Url`, serde_urlencoded, derived serde, sha2, base64.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::Url;

use super::Library;
use crate::fixture::{self, Inputs};
use crate::measure::Meter;

pub struct SameCrates {
    authorize: Url,
    client_id: String,
    redirect_uri: String,
    scope: String,
}

#[derive(Serialize)]
#[serde(tag = "grant_type", rename_all = "snake_case")]
pub(crate) enum Form<'a> {
    AuthorizationCode {
        code: &'a str,
        redirect_uri: &'a str,
        code_verifier: &'a str,
        client_id: &'a str,
    },
    RefreshToken {
        refresh_token: &'a str,
        client_id: &'a str,
    },
}

#[derive(Deserialize)]
pub struct Tokens {
    access_token: String,
    token_type: String,
    expires_in: u64,
    refresh_token: Option<String>,
    scope: Option<String>,
}

impl Library for SameCrates {
    const NAME: &'static str = "same crates";
    type Inputs = Inputs;

    fn new() -> Self {
        Self {
            authorize: Url::parse(fixture::AUTHORIZE).expect("a URL"),
            client_id: fixture::CLIENT_ID.to_owned(),
            redirect_uri: fixture::REDIRECT_URI.to_owned(),
            scope: fixture::SCOPES.join(" "),
        }
    }

    fn inputs(&self) -> Inputs {
        Inputs::new()
    }

    fn flow(&self, inputs: Inputs, meter: &mut impl Meter) {
        let Inputs {
            verifier,
            state,
            target,
            answers: [first, second],
        } = inputs;
        let url = meter.step("authorize", || self.authorize(state, verifier));
        meter.sees("authorize", url.as_str());
        let code = meter.step("callback", || callback(&target, state));
        let form = meter.step("token request", || {
            form(&Form::AuthorizationCode {
                code: &code,
                redirect_uri: &self.redirect_uri,
                code_verifier: verifier,
                client_id: &self.client_id,
            })
        });
        meter.sees("token request", &form);
        let tokens = meter.step("token response", || response(&first));
        let refresh_token = tokens.refresh_token.as_deref().expect("a refresh token");
        let form = meter.step("refresh request", || {
            self::form(&Form::RefreshToken {
                refresh_token,
                client_id: &self.client_id,
            })
        });
        meter.sees("refresh request", &form);
        let tokens = meter.step("refresh response", || response(&second));
        assert!(tokens.expires_in > 0 && !tokens.access_token.is_empty() && tokens.scope.is_some());
    }

    fn apart(&self, _: Inputs, meter: &mut impl Meter) {
        meter.step("randomness", || {
            let mut entropy = [0; 48];
            getrandom::fill(&mut entropy).expect("entropy");
            let (state, verifier) = entropy.split_at(16);
            (
                URL_SAFE_NO_PAD.encode(state),
                URL_SAFE_NO_PAD.encode(verifier),
            )
        });
    }
}

impl SameCrates {
    fn authorize(&self, state: &str, verifier: &str) -> Url {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        let mut url = self.authorize.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client_id)
            .append_pair("state", state)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256")
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("scope", &self.scope);
        url
    }
}

/// With a base, as the documentation of `url` has it: a listener is asked for a path.
pub(crate) fn callback(target: &str, expected: &str) -> String {
    let url = Url::parse(&format!("http://127.0.0.1{target}")).expect("a target");
    let (mut code, mut state) = (None, None);
    for (name, value) in url.query_pairs() {
        match &*name {
            "code" => code = Some(value),
            "state" => state = Some(value),
            _ => {}
        }
    }
    assert_eq!(state.as_deref(), Some(expected));
    code.map(Cow::into_owned).expect("a code")
}

pub(crate) fn form(form: &Form<'_>) -> String {
    serde_urlencoded::to_string(form).expect("a form")
}

pub(crate) fn response(body: &str) -> Tokens {
    let tokens: Tokens = serde_json::from_str(body).expect("tokens");
    assert!(tokens.token_type.eq_ignore_ascii_case("bearer"));
    tokens
}
