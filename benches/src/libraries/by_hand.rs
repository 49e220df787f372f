//! The floor: strings built by hand into one buffer each, sha2, base64 and a borrowing serde_json. It checks
//! the state and nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::Library;
use crate::fixture;
use crate::measure::Meter;

pub struct ByHand {
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

pub struct Tokens {
    access_token: String,
    refresh_token: Option<String>,
    scope: Option<String>,
    expires_in: u64,
}

impl Library for ByHand {
    const NAME: &'static str = "by hand";

    fn new() -> Self {
        Self {
            scope: fixture::SCOPES.join(" "),
        }
    }

    fn flow(&self, meter: &mut impl Meter) {
        let url = meter.step("authorize", || self.authorize());
        assert!(url.contains(fixture::CHALLENGE));
        let target = format!(
            "/callback?code={}&state={}",
            fixture::code(),
            fixture::STATE
        );
        let code = meter.step("callback", || callback(&target));
        let form = meter.step("token request", || token_request(code));
        assert!(form.contains(fixture::VERIFIER));
        let body = fixture::tokens();
        let tokens = meter.step("token response", || response(&body));
        let refresh_token = tokens.refresh_token.as_deref().unwrap_or_default();
        let form = meter.step("refresh request", || refresh_request(refresh_token));
        assert!(form.contains("refresh_token="));
        let tokens = meter.step("refresh response", || response(&body));
        assert!(tokens.expires_in > 0 && !tokens.access_token.is_empty());
        assert!(tokens.scope.is_some());
    }
}

impl ByHand {
    fn authorize(&self) -> String {
        let mut url = String::with_capacity(512);
        url.push_str(fixture::AUTHORIZE);
        url.push_str("?response_type=code&client_id=");
        escape(&mut url, fixture::CLIENT_ID);
        url.push_str("&state=");
        escape(&mut url, fixture::STATE);
        let mut challenge = [0; 43];
        let digest = Sha256::digest(fixture::VERIFIER);
        let written = URL_SAFE_NO_PAD.encode_slice(digest, &mut challenge);
        assert_eq!(written.ok(), Some(43));
        url.push_str("&code_challenge=");
        url.push_str(std::str::from_utf8(&challenge).expect("base64"));
        url.push_str("&code_challenge_method=S256&redirect_uri=");
        escape(&mut url, fixture::REDIRECT_URI);
        url.push_str("&scope=");
        escape(&mut url, &self.scope);
        url
    }
}

pub fn callback(target: &str) -> &str {
    let query = target.split_once('?').expect("a query").1;
    let (mut code, mut state) = (None, None);
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("code", value)) => code = Some(value),
            Some(("state", value)) => state = Some(value),
            _ => {}
        }
    }
    assert_eq!(state, Some(fixture::STATE));
    code.expect("a code")
}

pub fn token_request(code: &str) -> String {
    let mut form = String::with_capacity(768);
    form.push_str("grant_type=authorization_code&code=");
    escape(&mut form, code);
    form.push_str("&redirect_uri=");
    escape(&mut form, fixture::REDIRECT_URI);
    form.push_str("&code_verifier=");
    escape(&mut form, fixture::VERIFIER);
    form.push_str("&client_id=");
    escape(&mut form, fixture::CLIENT_ID);
    form
}

fn refresh_request(token: &str) -> String {
    let mut form = String::with_capacity(512);
    form.push_str("grant_type=refresh_token&refresh_token=");
    escape(&mut form, token);
    form.push_str("&client_id=");
    escape(&mut form, fixture::CLIENT_ID);
    form
}

pub fn response(body: &str) -> Tokens {
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
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => {
                out.push('%');
                out.push(char::from(b"0123456789ABCDEF"[usize::from(byte >> 4)]));
                out.push(char::from(b"0123456789ABCDEF"[usize::from(byte & 15)]));
            }
        }
    }
}
