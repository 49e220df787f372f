//! What a flow is handed.

use proptest::prelude::*;
use proptest::sample::select;

use super::responses;
use crate::{
    CallbackUrl, Client, Event, LoginSecrets, RedirectUri, RequestId, Scopes, Timestamp,
    TokenSerial, TokenSet,
};

/// Any event, for a flow of this client that is driven by hand. A few login secrets, request ids and
/// serials come again and again, so that some callbacks, responses and rejections are meant.
pub fn events(client: &Client, redirect_uri: &RedirectUri) -> impl Strategy<Value = Event> + use<> {
    let issuer = client.provider.issuer.clone();
    let redirect_uri = redirect_uri.clone();
    let uri = redirect_uri.clone();
    let begin_login = (0..2u8).prop_map(move |number| Event::BeginLogin {
        secrets: secrets(number),
        redirect_uri: redirect_uri.clone(),
    });
    let query = prop_oneof![1 => Just(CALLBACKS[0]), 1 => select(&CALLBACKS[..])];
    let callback = (0..2u8, query).prop_map(move |(number, query)| {
        let secrets = secrets(number);
        let query = query.replace("STATE", secrets.state.expose());
        let query = match &issuer {
            Some(issuer) => format!("{query}&iss={issuer}"),
            None => query,
        };
        let mark = if uri.as_str().contains('?') { '&' } else { '?' };
        let url = CallbackUrl::new(format!("{}{mark}{query}", uri.as_str()));
        Event::Callback { url }
    });
    let response = (1..4u64, responses()).prop_map(|(id, result)| Event::Response {
        id: RequestId::from_u64(id),
        result,
    });
    let rejected = (1..6u64).prop_map(|serial| Event::TokenRejected {
        serial: TokenSerial::from_u64(serial),
    });
    prop_oneof![
        4 => Just(Event::Tick),
        3 => begin_login,
        4 => callback,
        8 => response,
        3 => Just(Event::Refresh),
        2 => rejected,
        1 => token_sets().prop_map(Event::AdoptTokens),
        1 => Just(Event::CancelLogin),
        1 => Just(Event::LogOut),
    ]
}

const CALLBACKS: [&str; 6] = [
    "code=SECRET-code&state=STATE",
    "error=access_denied&state=STATE",
    "code=SECRET-code&state=forged",
    "code=SECRET-code&error=access_denied&state=STATE",
    "error=access_denied",
    "state=STATE",
];

fn secrets(number: u8) -> LoginSecrets {
    LoginSecrets::from_entropy([number; 64])
}

/// Tokens to adopt: `SECRET-access-1` and so on.
pub fn token_sets() -> impl Strategy<Value = TokenSet> {
    let end = proptest::option::of(0..1u64 << 42);
    (0..4u8, any::<bool>(), any::<bool>(), end).prop_map(|(number, refresh, scope, end)| {
        let mut set = TokenSet::new(format!("SECRET-access-{number}"));
        if refresh {
            set = set.refresh_token(format!("SECRET-refresh-{number}"));
        }
        if let (true, Ok(scopes)) = (scope, Scopes::new(["read", "write"])) {
            set = set.scopes(scopes);
        }
        match end {
            Some(end) => set.expires_at(Timestamp::from_millis(end)),
            None => set,
        }
    })
}
