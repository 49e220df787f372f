//! The floor: strings built by hand into one buffer each, sha2, base64 and a borrowing serde_json. It checks
//! the state and nothing else.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::Library;
use crate::fixture::{self, Inputs};
use crate::measure::Meter;

/// What a buffer has beside the values: the names, and some escapes.
const NAMES: usize = 128;

pub struct ByHand {
    authorize: String,
    client_id: String,
    redirect_uri: String,
    scope: String,
}

#[derive(Deserialize)]
struct Answer<'a> {
    access_token: &'a str,
    token_type: &'a str,
    expires_in: u64,
    refresh_token: Option<&'a str>,
    scope: Option<&'a str>,
}

struct Tokens {
    access_token: String,
    refresh_token: Option<String>,
    scope: Option<String>,
    expires_in: u64,
}

impl Library for ByHand {
    const NAME: &'static str = "by hand";
    type Inputs = Inputs;

    fn new() -> Self {
        Self {
            authorize: fixture::AUTHORIZE.to_owned(),
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
        meter.sees("authorize", &url);
        let code = meter.step("callback", || callback(&target, state));
        let form = meter.step("token request", || self.token_request(&code, verifier));
        meter.sees("token request", &form);
        let tokens = meter.step("token response", || response(&first));
        let refresh_token = tokens.refresh_token.as_deref().expect("a refresh token");
        let form = meter.step("refresh request", || self.refresh_request(refresh_token));
        meter.sees("refresh request", &form);
        let tokens = meter.step("refresh response", || response(&second));
        assert!(tokens.expires_in > 0 && !tokens.access_token.is_empty() && tokens.scope.is_some());
    }

    fn apart(&self, _: Inputs, meter: &mut impl Meter) {
        meter.step("randomness", || {
            let mut entropy = [0; 48];
            getrandom::fill(&mut entropy).expect("entropy");
            let (mut state, mut verifier) = ([0; 22], [0; 43]);
            let written = [
                URL_SAFE_NO_PAD.encode_slice(&entropy[..16], &mut state),
                URL_SAFE_NO_PAD.encode_slice(&entropy[16..], &mut verifier),
            ];
            assert_eq!(written, [Ok(22), Ok(43)]);
            (state, verifier)
        });
    }
}

impl ByHand {
    fn authorize(&self, state: &str, verifier: &str) -> String {
        let mut challenge = [0; 43];
        let written = URL_SAFE_NO_PAD.encode_slice(Sha256::digest(verifier), &mut challenge);
        assert_eq!(written, Ok(43));
        let values = self.authorize.len()
            + self.client_id.len()
            + state.len()
            + challenge.len()
            + self.redirect_uri.len()
            + self.scope.len();
        let mut url = String::with_capacity(NAMES + values);
        url.push_str(&self.authorize);
        url.push_str("?response_type=code&client_id=");
        escape(&mut url, &self.client_id);
        url.push_str("&state=");
        escape(&mut url, state);
        url.push_str("&code_challenge=");
        url.push_str(std::str::from_utf8(&challenge).expect("base64"));
        url.push_str("&code_challenge_method=S256&redirect_uri=");
        escape(&mut url, &self.redirect_uri);
        url.push_str("&scope=");
        escape(&mut url, &self.scope);
        url
    }

    fn token_request(&self, code: &str, verifier: &str) -> String {
        let values = code.len() + self.redirect_uri.len() + verifier.len() + self.client_id.len();
        let mut form = String::with_capacity(NAMES + values);
        form.push_str("grant_type=authorization_code&code=");
        escape(&mut form, code);
        form.push_str("&redirect_uri=");
        escape(&mut form, &self.redirect_uri);
        form.push_str("&code_verifier=");
        escape(&mut form, verifier);
        form.push_str("&client_id=");
        escape(&mut form, &self.client_id);
        form
    }

    fn refresh_request(&self, token: &str) -> String {
        let mut form = String::with_capacity(NAMES + token.len() + self.client_id.len());
        form.push_str("grant_type=refresh_token&refresh_token=");
        escape(&mut form, token);
        form.push_str("&client_id=");
        escape(&mut form, &self.client_id);
        form
    }
}

fn callback<'a>(target: &'a str, expected: &str) -> Cow<'a, str> {
    let query = target.split_once('?').expect("a query").1;
    let (mut code, mut state) = (None, None);
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("code", value)) => code = Some(value),
            Some(("state", value)) => state = Some(value),
            _ => {}
        }
    }
    assert_eq!(state, Some(expected));
    unescape(code.expect("a code"))
}

fn response(body: &str) -> Tokens {
    let answer: Answer<'_> = serde_json::from_str(body).expect("tokens");
    assert!(answer.token_type.eq_ignore_ascii_case("bearer"));
    Tokens {
        access_token: answer.access_token.to_owned(),
        refresh_token: answer.refresh_token.map(str::to_owned),
        scope: answer.scope.map(str::to_owned),
        expires_in: answer.expires_in,
    }
}

fn escape(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| !is_plain(byte)) {
        let byte = usize::from(rest.as_bytes()[at]);
        out.push_str(&rest[..at]);
        out.push('%');
        out.push(char::from(b"0123456789ABCDEF"[byte >> 4]));
        out.push(char::from(b"0123456789ABCDEF"[byte & 15]));
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Codes seldom have anything to unescape.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next().expect("a digit")).to_digit(16);
                let (high, low) = (digit().expect("hex"), digit().expect("hex"));
                (high * 16 + low) as u8
            }
            byte => byte,
        });
    }
    Cow::Owned(String::from_utf8(out).expect("UTF-8"))
}
