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
    /// What is the same in all URLs.
    start: String,
}

#[derive(Deserialize)]
struct Answer<'a> {
    access_token: &'a str,
    token_type: &'a str,
    expires_in: u64,
    refresh_token: Option<&'a str>,
    scope: Option<&'a str>,
}

pub struct Tokens {
    pub access_token: String,
    pub refresh_token: Option<String>,
    pub scope: Option<String>,
    pub expires_in: u64,
}

impl Library for ByHand {
    const NAME: &'static str = "by hand";
    type Inputs = Inputs;

    fn new() -> Self {
        Self::with_scope(&fixture::SCOPES.join(" "))
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
        let form = meter.step("token request", || token_request(&code, verifier));
        meter.sees("token request", &form);
        let tokens = meter.step("token response", || response(&first));
        let refresh_token = tokens.refresh_token.as_deref().expect("a refresh token");
        let form = meter.step("refresh request", || refresh_request(refresh_token));
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
    pub(crate) fn with_scope(scope: &str) -> Self {
        let mut start = fixture::AUTHORIZE.to_owned();
        start.push_str("?response_type=code&code_challenge_method=S256&client_id=");
        escape(&mut start, fixture::CLIENT_ID);
        start.push_str("&redirect_uri=");
        escape(&mut start, fixture::REDIRECT_URI);
        start.push_str("&scope=");
        escape(&mut start, scope);
        Self { start }
    }

    pub(crate) fn authorize(&self, state: &str, verifier: &str) -> String {
        let mut challenge = [0; 43];
        let written = URL_SAFE_NO_PAD.encode_slice(Sha256::digest(verifier), &mut challenge);
        assert_eq!(written, Ok(43));
        let values = self.start.len() + state.len() + challenge.len();
        let mut url = String::with_capacity(NAMES + values);
        url.push_str(&self.start);
        url.push_str("&state=");
        escape(&mut url, state);
        url.push_str("&code_challenge=");
        url.push_str(std::str::from_utf8(&challenge).expect("base64"));
        url
    }
}

pub fn callback<'a>(target: &'a str, expected: &str) -> Cow<'a, str> {
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

pub fn token_request(code: &str, verifier: &str) -> String {
    let values =
        code.len() + fixture::REDIRECT_URI.len() + verifier.len() + fixture::CLIENT_ID.len();
    let mut form = String::with_capacity(NAMES + values);
    form.push_str("grant_type=authorization_code&code=");
    escape(&mut form, code);
    form.push_str("&redirect_uri=");
    escape(&mut form, fixture::REDIRECT_URI);
    form.push_str("&code_verifier=");
    escape(&mut form, verifier);
    form.push_str("&client_id=");
    escape(&mut form, fixture::CLIENT_ID);
    form
}

pub fn refresh_request(token: &str) -> String {
    let mut form = String::with_capacity(NAMES + token.len() + fixture::CLIENT_ID.len());
    form.push_str("grant_type=refresh_token&refresh_token=");
    escape(&mut form, token);
    form.push_str("&client_id=");
    escape(&mut form, fixture::CLIENT_ID);
    form
}

pub fn response(body: &str) -> Tokens {
    read(body).expect("tokens")
}

/// `None` if they can't be used.
pub fn read(body: &str) -> Option<Tokens> {
    let answer: Answer<'_> = serde_json::from_str(body).ok()?;
    let is_bearer = answer.token_type.eq_ignore_ascii_case("bearer");
    is_bearer.then(|| Tokens {
        access_token: answer.access_token.to_owned(),
        refresh_token: answer.refresh_token.map(str::to_owned),
        scope: answer.scope.map(str::to_owned),
        expires_in: answer.expires_in,
    })
}

pub fn escape(out: &mut String, text: &str) {
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
pub fn unescape(text: &str) -> Cow<'_, str> {
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
