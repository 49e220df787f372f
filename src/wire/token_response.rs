//! The token response (RFC 6749 sections 5.1 and 5.2), decoded totally: any bytes are tokens, an
//! OAuth error, or a plain failure.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;

use crate::error::{BadResponse, Cause, OAuthError};
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::wire::http::HttpResponse;
use crate::wire::json::{Members, Seconds, Value};
use crate::wire::repair::{self, RepairStep};
use crate::wire::retry_after;
use crate::wire::scope::Scopes;
use crate::wire::text;

/// What a success says. Scopes and refresh token are `None` where the server left them out.
pub(crate) struct TokenResponse {
    pub(crate) access_token: Secret,
    pub(crate) token_type: TokenType,
    pub(crate) lifetime: Lifetime,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) refresh_token_lifetime: Option<u64>,
    pub(crate) scopes: Option<Scopes>,
    pub(crate) extra: Extra,
}

/// How long the access token lives, in seconds from when the request was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// Neither expired nor eternal: good until the API says 401.
    Unknown,
    /// Some servers mean "already expired" by it, some "never".
    Zero,
    Seconds(u64),
}

/// The type of an access token, as the server wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenType {
    text: String,
    bearer: bool,
}

impl TokenType {
    pub(crate) fn new(text: String, steps: &[RepairStep]) -> Self {
        let bearer = repair::is_bearer(steps, &text);
        Self { text, bearer }
    }

    /// Verbatim; `Bearer` where the server said nothing.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it goes into an `Authorization: Bearer` header (RFC 6750).
    #[must_use]
    pub fn is_bearer(&self) -> bool {
        self.bearer
    }
}

/// Members of the response that the protocol does not name, `id_token` among them: opaque, not
/// validated, numbers exact. `Debug` shows their names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Extra(pub(crate) Vec<(String, Secret)>);

impl Extra {
    /// The member `name`, read as a `T`; `None` if it is not there or is no `T`.
    #[must_use]
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let (_, raw) = self.0.iter().find(|(known, _)| known == name)?;
        serde_json::from_str(raw.expose()).ok()
    }

    /// The members' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

const RECOGNISED: [&str; 10] = [
    "access_token",
    "token_type",
    "expires_in",
    "expires",
    "refresh_token",
    "refresh_token_expires_in",
    "scope",
    "error",
    "error_description",
    "error_uri",
];

/// Decodes a response. `secrets` are what the request carried: a server may echo them.
pub(crate) fn decode(
    response: &HttpResponse,
    steps: &[RepairStep],
    secrets: &[&Secret],
    now: Timestamp,
) -> Result<TokenResponse, Cause> {
    let retry_after = response
        .retry_after
        .as_deref()
        .and_then(|value| retry_after::parse(value, now));
    let status = response.status;
    let bad = |problem: &'static str, body: Option<&str>| {
        let answer = BadResponse {
            status,
            problem,
            snippet: body.and_then(|body| text::snippet(body, secrets)),
            retry_after,
        };
        match status {
            200..=299 => Cause::Unreadable(answer),
            _ => Cause::Http(answer),
        }
    };

    if response.body.len() > HttpResponse::MAX_BODY {
        return Err(bad("the body is larger than 1 MiB", None));
    }
    let Ok(body) = std::str::from_utf8(&response.body) else {
        return Err(bad("the body is not UTF-8", None));
    };
    let body = body.strip_prefix('\u{feff}').unwrap_or(body).trim();
    let body = repair::unwrap_text(steps, body);
    let members = match body.as_bytes().first() {
        Some(b'{') => Members::from_json(body),
        // A page, in which `<a href="…?x&access_token=…">` would read as a form, or JSON that is no
        // object, in which a string could.
        Some(b'<' | b'"' | b'[') => None,
        _ => Members::from_form(body).filter(|form| form.has("access_token") || form.has("error")),
    };
    let Some(mut members) = members else {
        return Err(match status {
            200..=299 => bad("the body is no token response", Some(body)),
            _ => bad(name_of(status), Some(body)),
        });
    };
    repair::apply(steps, &mut members);
    if members.repeats_any(&RECOGNISED) {
        return Err(bad("a member stands twice in the body", None));
    }
    if let Some(error) = members.get("error") {
        let mut error = read_error(error, &members, secrets);
        error.status = Some(status);
        error.retry_after = retry_after;
        return Err(Cause::OAuth(error));
    }
    if !(200..=299).contains(&status) {
        return Err(bad(name_of(status), Some(body)));
    }
    match read_tokens(members, steps) {
        Ok(tokens) => Ok(tokens),
        Err(problem) => Err(bad(problem, Some(body))),
    }
}

fn name_of(status: u16) -> &'static str {
    match status {
        300..=399 => "the token endpoint redirects elsewhere, which is not followed",
        429 => "the server asks for fewer requests",
        500..=599 => "the server has a fault of its own",
        _ => "the server refused without an OAuth error",
    }
}

fn read_error(error: &Value<'_>, members: &Members<'_>, secrets: &[&Secret]) -> OAuthError {
    let shown = |value: Option<&Value<'_>>| text::printable(&value?.string()?, secrets);
    let mut code = error.scalar();
    let mut description = shown(members.get("error_description"));
    if let Some(object) = error.object() {
        let named = |name: &&str| object.get(name)?.scalar();
        code = ["type", "code", "status"].iter().find_map(named);
        description = description.or_else(|| shown(object.get("message")));
    }
    let uri = members.get("error_uri").and_then(Value::string);
    OAuthError {
        code: text::error_code(&code.unwrap_or_default(), secrets),
        description,
        uri: uri.and_then(|uri| text::uri(&uri, secrets)),
        status: None,
        retry_after: None,
    }
}

fn read_tokens(
    mut members: Members<'_>,
    steps: &[RepairStep],
) -> Result<TokenResponse, &'static str> {
    let access_token = credential(members.take("access_token"))
        .map_err(|()| "access_token is not a string of visible ASCII")?
        .ok_or("there is no access_token in the body")?;
    let refresh_token = credential(members.take("refresh_token"))
        .map_err(|()| "refresh_token is not a string of visible ASCII")?;
    let token_type = match members.take("token_type").filter(|value| !value.is_null()) {
        None => "Bearer".to_owned(),
        Some(value) => match value.string() {
            Some(text) if text.trim().is_empty() => "Bearer".to_owned(),
            Some(text) if text.len() <= 256 && text.bytes().all(|b| matches!(b, b' '..=b'~')) => {
                text.as_str().to_owned()
            }
            _ => return Err("token_type is not a string of printable ASCII"),
        },
    };
    let scopes = members.take("scope").and_then(|value| match value.array() {
        None => value.string().map(|text| Scopes::granted(&text)),
        Some(list) => {
            let texts: Vec<_> = list.iter().filter_map(Value::string).collect();
            let scopes = texts.iter().flat_map(|text| text.split(' '));
            Some(Scopes::listed(scopes))
        }
    });
    let expires_in = members.take("expires_in").filter(|value| !value.is_null());
    let expires_in = expires_in.or(members.take("expires"));
    let lifetime = match expires_in.and_then(|value| value.seconds()) {
        None => Lifetime::Unknown,
        Some(Seconds::Negative) => Lifetime::Seconds(0), // already expired
        Some(Seconds::Zero) => Lifetime::Zero,
        Some(Seconds::Positive(seconds)) => Lifetime::Seconds(seconds),
    };
    let refresh_lifetime = members.take("refresh_token_expires_in");
    let refresh_token_lifetime = match refresh_lifetime.and_then(|value| value.seconds()) {
        Some(Seconds::Positive(seconds)) => Some(seconds),
        _ => None,
    };
    // Of an unknown member that repeats, the last stays, as in most JSON readers.
    let extra: BTreeMap<String, Secret> = members
        .into_pairs()
        .into_iter()
        .filter(|(name, _)| !RECOGNISED.contains(&&**name))
        .map(|(name, value)| (name.into_owned(), value.raw().into()))
        .collect();
    Ok(TokenResponse {
        access_token,
        token_type: TokenType::new(token_type, steps),
        lifetime,
        refresh_token,
        refresh_token_lifetime,
        scopes,
        extra: Extra(extra.into_iter().collect()),
    })
}

/// A token: a string of visible ASCII (RFC 6749 appendix A.12). Null counts as absent, and so does an
/// empty one.
fn credential(value: Option<Value<'_>>) -> Result<Option<Secret>, ()> {
    let Some(value) = value.filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let text = Secret::from_zeroizing(value.string().ok_or(())?);
    if !text.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(());
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_named_by_its_status() {
        assert!(name_of(302).contains("redirects"));
        assert!(name_of(429).contains("fewer"));
        assert!(name_of(503).contains("fault"));
        assert!(name_of(404).contains("refused"));
    }

    fn failure(status: u16, body: &str, secrets: &[&Secret]) -> String {
        let response = HttpResponse::new(status, body);
        match decode(&response, &[], secrets, Timestamp::from_millis(0)) {
            Ok(_) => panic!("tokens in {body}"),
            Err(cause) => format!("{cause:?}"),
        }
    }

    #[test]
    fn what_is_no_token_response_is_called_that() {
        assert!(failure(200, "<html>", &[]).contains("no token response"));
        assert!(failure(404, "<html>", &[]).contains("without an OAuth error"));
    }

    #[test]
    fn what_a_server_echoes_is_not_shown() {
        let code = Secret::from("C0DE/1");
        let echoes = [
            r#"{"error":"invalid_grant: C0DE/1"}"#,
            r#"{"error":"invalid_grant","error_description":"C0DE\/1 is spent"}"#,
            r#"{"error":"invalid_grant","error_description":"C0\u0000DE/1 is spent"}"#,
            r#"{"error":"invalid_grant","error_uri":"https://as.example/?x=C0DE%2F1"}"#,
            r#"{"error":{"type":"C0DE/1","message":"C0DE/1"}}"#,
            r#"{"error":{"type":{"code":"C0DE/1"}}}"#,
            r#"{"message":"C0DE/1 is spent"}"#,
            "C0DE/1 is spent",
        ];
        for echo in echoes {
            let shown = failure(400, echo, &[&code]);
            assert!(
                !shown.contains("C0DE") && !shown.contains("DE/1"),
                "{shown}"
            );
        }
    }

    #[test]
    fn an_unknown_member_that_repeats_is_read_once() {
        let response = HttpResponse::new(200, r#"{"access_token":"AT","x":1,"y":2,"x":3}"#);
        let tokens = decode(&response, &[], &[], Timestamp::from_millis(0)).ok();
        let extra = tokens.map(|tokens| tokens.extra).unwrap_or_default();
        assert_eq!(extra.names().collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(extra.get::<u8>("x"), Some(3));
    }
}
