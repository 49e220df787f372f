//! What a token endpoint says, and the numbers that most tests share.

use std::time::Duration;

use authflow::{HttpResponse, Timestamp, TransportError, TransportErrorKind};
use serde_json::{Value, json};

/// When every scenario begins.
pub const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
pub const REDIRECT_URI: &str = "http://127.0.0.1:8888/callback";
/// The client's defaults, which most scenarios keep.
pub const LEEWAY: Duration = secs(60);
pub const REQUEST_TIMEOUT: Duration = secs(60);
pub const LOGIN_TIMEOUT: Duration = secs(300);
/// How long the tokens of [`tokens`] live.
pub const LIFETIME: Duration = secs(3600);

pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What a driver hands back.
pub type Reply = Result<HttpResponse, TransportError>;

/// An access token for an hour, and nothing else.
pub fn tokens(access_token: &str) -> Reply {
    tokens_with(access_token, json!({}))
}

/// The same with more members; null takes one away.
pub fn tokens_with(access_token: &str, more: Value) -> Reply {
    let mut body = json!({
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": LIFETIME.as_secs(),
    });
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body.as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    answer(200, &body.to_string())
}

pub fn oauth_error(code: &str) -> Reply {
    answer(400, &json!({ "error": code }).to_string())
}

/// A status with a body that says nothing.
pub fn status(status: u16) -> Reply {
    answer(status, "no such luck")
}

pub fn retry_after(code: u16, value: &str) -> Reply {
    status(code).map(|response| response.with_header("Retry-After", value))
}

pub fn answer(status: u16, body: &str) -> Reply {
    Ok(HttpResponse::new(status, body))
}

/// No answer came, and who knows whether the request arrived.
pub fn no_answer() -> Reply {
    Err(TransportError {
        kind: TransportErrorKind::Closed,
        may_have_been_sent: true,
    })
}
