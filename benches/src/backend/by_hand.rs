//! The floor: state and verifier as arrays, strings built into one buffer each, a borrowing serde_json.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::{Logins, Sessions};
use crate::fixture;
use crate::libraries::by_hand::{Tokens, escape, read, refresh_request};

pub struct ByHand {
    scope: String,
}

/// As long as those of `oauth2`.
pub type State = [u8; 22];
pub type Verifier = [u8; 43];

impl Logins for ByHand {
    const NAME: &'static str = "by hand";
    type Key = State;
    type Login = Verifier;

    fn new(scopes: &[String]) -> Self {
        Self {
            scope: scopes.join(" "),
        }
    }

    fn begin(&self, entropy: [u8; 64]) -> (State, Verifier) {
        let state = encoded(&entropy[..16]);
        let verifier = encoded(&entropy[32..]);
        let url = self.authorize(&state, &verifier);
        assert!(url.len() > fixture::AUTHORIZE.len());
        (state, verifier)
    }
}

impl Sessions for ByHand {
    type Session = Tokens;

    fn state(entropy: [u8; 64]) -> String {
        URL_SAFE_NO_PAD.encode(&entropy[..16])
    }

    fn finish(
        &self,
        waiting: &mut HashMap<State, Verifier>,
        target: String,
        answer: Vec<u8>,
    ) -> Tokens {
        let (code, state) = callback(&target);
        let state: &State = state.as_bytes().try_into().expect("22 characters");
        let verifier = waiting.remove(state).expect("a login");
        let form = token_request(code, &verifier);
        assert!(form.len() > code.len());
        read(text(&answer)).expect("tokens")
    }

    fn session(&self) -> Tokens {
        read(
            r#"{"access_token":"AT","token_type":"Bearer","expires_in":3600,"refresh_token":"RT"}"#,
        )
        .expect("tokens")
    }

    fn refresh(&self, tokens: &mut Tokens, answer: Vec<u8>) -> bool {
        let form = refresh_request(tokens.refresh_token.as_deref().unwrap_or_default());
        assert!(!form.is_empty());
        let Ok(answer) = std::str::from_utf8(&answer) else {
            return false;
        };
        let Some(new) = read(answer) else {
            return false;
        };
        let old = std::mem::replace(tokens, new);
        // RFC 6749 section 6: the old one stays if there is no new one.
        if tokens.refresh_token.is_none() {
            tokens.refresh_token = old.refresh_token;
        }
        true
    }
}

impl ByHand {
    fn authorize(&self, state: &State, verifier: &Verifier) -> String {
        let mut url = String::with_capacity(384 + self.scope.len() * 2);
        url.push_str(fixture::AUTHORIZE);
        url.push_str("?response_type=code&client_id=");
        escape(&mut url, fixture::CLIENT_ID);
        url.push_str("&state=");
        url.push_str(text(state));
        url.push_str("&code_challenge=");
        let challenge: [u8; 43] = encoded(&Sha256::digest(verifier));
        url.push_str(text(&challenge));
        url.push_str("&code_challenge_method=S256&redirect_uri=");
        escape(&mut url, fixture::REDIRECT_URI);
        url.push_str("&scope=");
        escape(&mut url, &self.scope);
        url
    }
}

fn encoded<const LENGTH: usize>(bytes: &[u8]) -> [u8; LENGTH] {
    let mut text = [0; LENGTH];
    let written = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text);
    assert_eq!(written.ok(), Some(LENGTH));
    text
}

fn text(ascii: &[u8]) -> &str {
    std::str::from_utf8(ascii).expect("ASCII")
}

fn callback(target: &str) -> (&str, &str) {
    let query = target.split_once('?').expect("a query").1;
    let (mut code, mut state) = (None, None);
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("code", value)) => code = Some(value),
            Some(("state", value)) => state = Some(value),
            _ => {}
        }
    }
    (code.expect("a code"), state.expect("a state"))
}

fn token_request(code: &str, verifier: &Verifier) -> String {
    let mut form = String::with_capacity(768);
    form.push_str("grant_type=authorization_code&code=");
    escape(&mut form, code);
    form.push_str("&redirect_uri=");
    escape(&mut form, fixture::REDIRECT_URI);
    form.push_str("&code_verifier=");
    form.push_str(text(verifier));
    form.push_str("&client_id=");
    escape(&mut form, fixture::CLIENT_ID);
    form
}
