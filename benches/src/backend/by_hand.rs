//! The floor: state and verifier as arrays, strings built into one buffer each, a borrowing serde_json.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Logins, Sessions};
use crate::fixture;
use crate::libraries::{self, by_hand};

pub struct ByHand {
    program: by_hand::ByHand,
}

/// As long as those of `oauth2`.
pub type State = [u8; 22];
pub type Verifier = [u8; 43];

impl Logins for ByHand {
    const NAME: &'static str = "by hand";
    type Key = State;
    type Login = Verifier;

    fn new(scopes: &[String]) -> Self {
        let program = libraries::by_hand::ByHand::with_scope(&scopes.join(" "));
        Self { program }
    }

    fn begin(&self, entropy: [u8; 64]) -> (State, Verifier) {
        let (state, verifier) = (encoded(&entropy[..16]), encoded(&entropy[32..]));
        let url = self.program.authorize(text(&state), text(&verifier));
        assert!(url.len() > fixture::AUTHORIZE.len());
        (state, verifier)
    }
}

impl Sessions for ByHand {
    type Session = by_hand::Tokens;

    fn state(entropy: [u8; 64]) -> String {
        URL_SAFE_NO_PAD.encode(&entropy[..16])
    }

    fn finish(
        &self,
        waiting: &mut HashMap<State, Verifier>,
        target: String,
        answer: Vec<u8>,
    ) -> by_hand::Tokens {
        let (code, state) = callback(&target);
        let state: &State = state.as_bytes().try_into().expect("22 characters");
        let verifier = waiting.remove(state).expect("a login");
        let form = by_hand::token_request(&by_hand::unescape(code), text(&verifier));
        assert!(form.len() > code.len());
        by_hand::read(text(&answer)).expect("tokens")
    }

    fn session(&self) -> by_hand::Tokens {
        let answer =
            r#"{"access_token":"AT","token_type":"Bearer","expires_in":3600,"refresh_token":"RT"}"#;
        by_hand::read(answer).expect("tokens")
    }

    fn refresh(&self, tokens: &mut by_hand::Tokens, answer: Vec<u8>) -> bool {
        let refresh_token = tokens.refresh_token.as_deref().expect("a refresh token");
        let form = by_hand::refresh_request(refresh_token);
        assert!(!form.is_empty());
        let Ok(answer) = std::str::from_utf8(&answer) else {
            return false;
        };
        let Some(new) = by_hand::read(answer) else {
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

fn encoded<const LENGTH: usize>(bytes: &[u8]) -> [u8; LENGTH] {
    let mut text = [0; LENGTH];
    let written = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text);
    assert_eq!(written.ok(), Some(LENGTH));
    text
}

fn text(ascii: &[u8]) -> &str {
    std::str::from_utf8(ascii).expect("ASCII")
}

/// Code and state, as they came.
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
