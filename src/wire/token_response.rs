//! The token response (RFC 6749 sections 5.1 and 5.2), decoded totally: any bytes are tokens, an
//! OAuth error, or a plain failure.

use std::borrow::Cow;
use std::fmt;
use std::mem;
use std::time::Duration;

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
    text: Cow<'static, str>,
    bearer: bool,
}

impl TokenType {
    pub(crate) fn new(text: &str, steps: &[RepairStep]) -> Self {
        Self {
            bearer: repair::is_bearer(steps, text),
            text: match text {
                "Bearer" => "Bearer".into(),
                other => other.to_owned().into(),
            },
        }
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
    /// By name. Of members that repeat, the last stays, as in most JSON readers.
    pub(crate) fn sorted(mut members: Vec<(String, Secret)>) -> Self {
        members.reverse();
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
        members.dedup_by(|(one, _), (other, _)| one == other);
        Self(members)
    }

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

/// The members of a response, sorted by what the protocol makes of them.
#[derive(Default)]
struct Body<'a> {
    access_token: Option<Value<'a>>,
    token_type: Option<Value<'a>>,
    expires_in: Option<Value<'a>>,
    expires: Option<Value<'a>>,
    refresh_token: Option<Value<'a>>,
    refresh_token_expires_in: Option<Value<'a>>,
    scope: Option<Value<'a>>,
    error: Option<Value<'a>>,
    error_description: Option<Value<'a>>,
    error_uri: Option<Value<'a>>,
    extra: Vec<(String, Secret)>,
}

impl<'a> Body<'a> {
    /// `None` if a member that the protocol knows is there twice. One that is null counts as absent.
    fn sort(members: Members<'a>) -> Option<Self> {
        let mut body = Self::default();
        for (name, value) in members.into_pairs() {
            let slot = match &*name {
                "access_token" => &mut body.access_token,
                "token_type" => &mut body.token_type,
                "expires_in" => &mut body.expires_in,
                "expires" => &mut body.expires,
                "refresh_token" => &mut body.refresh_token,
                "refresh_token_expires_in" => &mut body.refresh_token_expires_in,
                "scope" => &mut body.scope,
                "error" => &mut body.error,
                "error_description" => &mut body.error_description,
                "error_uri" => &mut body.error_uri,
                _ => {
                    body.extra.push((name.into_owned(), value.raw().into()));
                    continue;
                }
            };
            if slot.replace(value).is_some() {
                return None;
            }
        }
        Some(body)
    }
}

fn given<'a, 'b>(value: Option<&'b Value<'a>>) -> Option<&'b Value<'a>> {
    value.filter(|value| !value.is_null())
}

/// Why there are no tokens in a response. A server may echo what the request carried, so it is told only with
/// that taken out.
pub(crate) struct Refusal<'a> {
    status: u16,
    retry_after: Option<Duration>,
    reason: Reason<'a>,
}

enum Reason<'a> {
    OAuth(Box<Body<'a>>),
    Other {
        problem: &'static str,
        body: Option<&'a str>,
    },
}

impl Refusal<'_> {
    /// The refusal without the `secrets`.
    pub(crate) fn told(&self, secrets: &[&Secret]) -> Cause {
        let (problem, body) = match &self.reason {
            Reason::OAuth(body) => {
                let mut error = read_error(body, secrets);
                error.status = Some(self.status);
                error.retry_after = self.retry_after;
                return Cause::OAuth(error);
            }
            Reason::Other { problem, body } => (*problem, *body),
        };
        let answer = BadResponse {
            status: self.status,
            problem,
            snippet: body.and_then(|body| text::snippet(body, secrets)),
            retry_after: self.retry_after,
        };
        match self.status {
            200..=299 => Cause::Unreadable(answer),
            _ => Cause::Http(answer),
        }
    }
}

/// Decodes a response.
pub(crate) fn decode<'a>(
    response: &'a HttpResponse,
    steps: &[RepairStep],
    now: Timestamp,
) -> Result<TokenResponse, Refusal<'a>> {
    read(response, steps).map_err(|reason| {
        let retry_after = response.retry_after.as_deref();
        Refusal {
            status: response.status,
            retry_after: retry_after.and_then(|value| retry_after::parse(value, now)),
            reason,
        }
    })
}

fn read<'a>(response: &'a HttpResponse, steps: &[RepairStep]) -> Result<TokenResponse, Reason<'a>> {
    let is_success = (200..=299).contains(&response.status);
    let other = |problem, body| Reason::Other { problem, body };
    if response.body.len() > HttpResponse::MAX_BODY {
        return Err(other("the body is larger than 1 MiB", None));
    }
    let Ok(body) = std::str::from_utf8(&response.body) else {
        return Err(other("the body is not UTF-8", None));
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
        let problem = match is_success {
            true => "the body is no token response",
            false => name_of(response.status),
        };
        return Err(other(problem, Some(body)));
    };
    repair::apply(steps, &mut members);
    let Some(mut sorted) = Body::sort(members) else {
        return Err(other("a member stands twice in the body", None));
    };
    if given(sorted.error.as_ref()).is_some() {
        return Err(Reason::OAuth(Box::new(sorted)));
    }
    if !is_success {
        return Err(other(name_of(response.status), Some(body)));
    }
    read_tokens(&mut sorted, steps).map_err(|problem| other(problem, Some(body)))
}

fn name_of(status: u16) -> &'static str {
    match status {
        300..=399 => "the token endpoint redirects elsewhere, which is not followed",
        429 => "the server asks for fewer requests",
        500..=599 => "the server has a fault of its own",
        _ => "the server refused without an OAuth error",
    }
}

fn read_error(body: &Body<'_>, secrets: &[&Secret]) -> OAuthError {
    let shown = |value: Option<&Value<'_>>| text::printable(&value?.string()?, secrets);
    let mut code = body.error.as_ref().and_then(Value::scalar);
    let mut description = shown(body.error_description.as_ref());
    if let Some(object) = body.error.as_ref().and_then(Value::object) {
        let named = |name: &&str| object.get(name)?.scalar();
        code = ["type", "code", "status"].iter().find_map(named);
        description = description.or_else(|| shown(object.get("message")));
    }
    let uri = body.error_uri.as_ref().and_then(Value::string);
    OAuthError {
        code: text::error_code(code.as_deref().unwrap_or_default(), secrets),
        description,
        uri: uri.and_then(|uri| text::uri(&uri, secrets)),
        status: None,
        retry_after: None,
    }
}

fn read_tokens(body: &mut Body<'_>, steps: &[RepairStep]) -> Result<TokenResponse, &'static str> {
    let access_token = credential(body.access_token.as_ref())
        .map_err(|()| "access_token is not a string of visible ASCII")?
        .ok_or("there is no access_token in the body")?;
    let refresh_token = credential(body.refresh_token.as_ref())
        .map_err(|()| "refresh_token is not a string of visible ASCII")?;
    let token_type = match given(body.token_type.as_ref()) {
        None => TokenType::new("Bearer", steps),
        Some(value) => match value.string() {
            Some(text) if text.trim().is_empty() => TokenType::new("Bearer", steps),
            Some(text) if text.len() <= 256 && text.bytes().all(|b| matches!(b, b' '..=b'~')) => {
                TokenType::new(&text, steps)
            }
            _ => return Err("token_type is not a string of printable ASCII"),
        },
    };
    let scopes = given(body.scope.as_ref()).and_then(|value| match value.array() {
        None => value.string().map(|text| Scopes::granted(&text)),
        Some(list) => {
            let texts: Vec<_> = list.iter().filter_map(Value::string).collect();
            let scopes = texts.iter().flat_map(|text| text.split(' '));
            // A list of anything but strings says as little as a number does.
            let says_something = list.is_empty() || !texts.is_empty();
            says_something.then(|| Scopes::listed(scopes))
        }
    });
    let expires_in = given(body.expires_in.as_ref()).or(body.expires.as_ref());
    let lifetime = match expires_in.and_then(Value::seconds) {
        None => Lifetime::Unknown,
        Some(Seconds::Negative) => Lifetime::Seconds(0), // already expired
        Some(Seconds::Zero) => Lifetime::Zero,
        Some(Seconds::Positive(seconds)) => Lifetime::Seconds(seconds),
    };
    let refresh_lifetime = body.refresh_token_expires_in.as_ref();
    let refresh_token_lifetime = match refresh_lifetime.and_then(Value::seconds) {
        Some(Seconds::Positive(seconds)) => Some(seconds),
        _ => None,
    };
    Ok(TokenResponse {
        access_token,
        token_type,
        lifetime,
        refresh_token,
        refresh_token_lifetime,
        scopes,
        extra: Extra::sorted(mem::take(&mut body.extra)),
    })
}

/// A token: a string of visible ASCII (RFC 6749 appendix A.12). Null counts as absent, and so does an
/// empty one.
fn credential(value: Option<&Value<'_>>) -> Result<Option<Secret>, ()> {
    let Some(value) = given(value) else {
        return Ok(None);
    };
    let text = value.string().ok_or(())?;
    match &*text {
        "" => Ok(None),
        text if text::is_token(text) => Ok(Some(text.into())),
        _ => Err(()),
    }
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
        match decode(&response, &[], Timestamp::from_millis(0)) {
            Ok(_) => panic!("tokens in {body}"),
            Err(refusal) => format!("{:?}", refusal.told(secrets)),
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
    fn scopes_that_are_no_strings_say_nothing_and_an_empty_list_says_none() {
        let granted = |scope: &str| {
            let body = format!(r#"{{"access_token":"AT","scope":{scope}}}"#);
            let response = HttpResponse::new(200, body);
            let tokens = decode(&response, &[], Timestamp::from_millis(0)).ok();
            let scopes = tokens.and_then(|tokens| tokens.scopes);
            scopes.map(|scopes| scopes.as_str().to_owned())
        };
        assert_eq!(granted(r#"["a","b c"]"#).as_deref(), Some("a b c"));
        assert_eq!(granted("[]").as_deref(), Some(""));
        for nothing in ["5", "null", r#"[["a"],["b"]]"#, "[1]", r#"{"a":1}"#] {
            assert_eq!(granted(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn an_unknown_member_that_repeats_is_read_once() {
        let response = HttpResponse::new(200, r#"{"access_token":"AT","x":1,"y":2,"x":3}"#);
        let tokens = decode(&response, &[], Timestamp::from_millis(0)).ok();
        let extra = tokens.map(|tokens| tokens.extra).unwrap_or_default();
        assert_eq!(extra.names().collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(extra.get::<u8>("x"), Some(3));
    }
}
