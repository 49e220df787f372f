//! The redirect back from the authorization server (RFC 6749 section 4.1.2, RFC 9207), judged state
//! first: until the state is right, nothing in it is believed.

use std::fmt;

use crate::error::OAuthError;
use crate::secret::Secret;
use crate::wire::form::{self, Piece};
use crate::wire::redirect::RedirectUri;
use crate::wire::text;

/// What reached the redirect URI: a full URL, a request target (`/callback?code=…`), or a query
/// behind a `?`. `Debug` hides it, because it carries a code.
#[derive(Clone, PartialEq, Eq)]
pub struct CallbackUrl(Secret);

impl CallbackUrl {
    /// A full URL (pasted by the person, or handed over by the operating system), or what stands in
    /// the HTTP request line. White space around it is dropped.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self(Secret::from(url.into()))
    }

    #[cfg(feature = "testing")]
    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Just the query, from a web framework that has taken the path off already, and mostly the `?`.
    #[must_use]
    pub fn from_query(query: &str) -> Self {
        let query = query.strip_prefix('?').unwrap_or(query);
        Self::new(format!("?{query}"))
    }

    /// The state in it, unproven, for a program with many logins on one redirect URI: it says which flow to
    /// ask ([`AuthorizationUrl::state`](crate::AuthorizationUrl::state)), and the flow compares it. `None` if
    /// there is none, or more than one. A web backend must not go by this but by the browser's cookie.
    #[must_use]
    pub fn state(&self) -> Option<Secret> {
        let text = without_fragment(self.0.expose().trim());
        let (_, query) = text.split_once('?')?;
        let mut states = form::decode(query)
            .flatten()
            .filter(|(name, _)| **name == *"state");
        match (states.next(), states.next()) {
            (Some((_, state)), None) => given(Some(state)).map(|state| state.into_owned().into()),
            _ => None,
        }
    }
}

impl fmt::Debug for CallbackUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallbackUrl([redacted])")
    }
}

/// Why something that reached the redirect URI was not taken. The login goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IgnoredCallback {
    /// Why.
    pub reason: IgnoredReason,
    /// The `error` it carried, if it came without a state of ours. Some servers drop the state from
    /// an error, so a program may tell the person and offer to cancel; it may also be forged.
    pub error: Option<String>,
}

/// Why a callback was ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IgnoredReason {
    /// No login waits for one: none was begun, or it has ended.
    NoLogin,
    /// This login has had its callback; the code is being exchanged.
    Duplicate,
    /// It came to another address than the redirect URI.
    WrongLocation,
    /// It is larger than 64 KiB.
    TooLarge,
    /// A broken escape, something that is not UTF-8, or a control character in a value that counts.
    Malformed,
    /// A parameter that counts is there twice (RFC 6749 section 3.1).
    RepeatedParameter,
    /// There is no state in it.
    StateMissing,
    /// It has another login's state, or a forged one.
    StateMismatch,
    /// It has a code and an error.
    CodeAndError,
    /// It has neither a code nor an error.
    Nothing,
    /// The provider always says who it is, but this does not (RFC 9207).
    IssuerMissing,
    /// It comes from another authorization server (RFC 9207).
    IssuerMismatch,
    /// It has a token or a response object in it, which no code response has.
    UnexpectedParameter,
    /// Another person's program on this machine has brought it
    /// ([`Login`](crate::Login) sees to that, not the machine).
    AnotherUser,
}

impl IgnoredReason {
    /// Its name in transcripts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoLogin => "no_login",
            Self::Duplicate => "duplicate",
            Self::WrongLocation => "wrong_location",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::RepeatedParameter => "repeated_parameter",
            Self::StateMissing => "state_missing",
            Self::StateMismatch => "state_mismatch",
            Self::CodeAndError => "code_and_error",
            Self::Nothing => "nothing",
            Self::IssuerMissing => "issuer_missing",
            Self::IssuerMismatch => "issuer_mismatch",
            Self::UnexpectedParameter => "unexpected_parameter",
            Self::AnotherUser => "another_user",
        }
    }
}

impl fmt::Display for IgnoredCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reason {
            IgnoredReason::NoLogin => "no login waits for this",
            IgnoredReason::Duplicate => "this login has had its answer already",
            IgnoredReason::WrongLocation => {
                "this is another address than the one the browser was to come back to"
            }
            IgnoredReason::TooLarge => "this is far too long to be the answer",
            IgnoredReason::Malformed => "the address is damaged: copy it whole",
            IgnoredReason::RepeatedParameter => "the address has a parameter twice",
            IgnoredReason::StateMissing => {
                "the state is missing: copy the whole address, not only the code"
            }
            IgnoredReason::StateMismatch => "this is the answer to another login, or a forged one",
            IgnoredReason::CodeAndError => "the address has both a code and an error",
            IgnoredReason::Nothing => {
                "there is no code in this: copy the whole address that the browser ended up at"
            }
            IgnoredReason::IssuerMissing => "the address does not say which server it comes from",
            IgnoredReason::IssuerMismatch => "this comes from another authorization server",
            IgnoredReason::UnexpectedParameter => "the address has a token in it",
            IgnoredReason::AnotherUser => {
                "another user of this machine has sent this (if that is the person: Login::allow_other_users)"
            }
        })?;
        match &self.error {
            Some(error) => write!(f, " (it says {error})"),
            None => Ok(()),
        }
    }
}

impl From<IgnoredReason> for IgnoredCallback {
    fn from(reason: IgnoredReason) -> Self {
        Self {
            reason,
            error: None,
        }
    }
}

/// What a callback must agree with.
pub(crate) struct Expected<'a> {
    pub(crate) redirect_uri: &'a RedirectUri,
    pub(crate) state: &'a Secret,
    pub(crate) issuer: Option<&'a str>,
    pub(crate) iss_required: bool,
}

/// A callback that was ours.
pub(crate) enum Answer {
    Code(AuthorizationCode),
    Error(OAuthError),
}

/// A code that came with the right state. Only [`validate`] makes one, and the token request takes
/// nothing else.
pub(crate) struct AuthorizationCode(Secret);

impl AuthorizationCode {
    pub(crate) fn secret(&self) -> &Secret {
        &self.0
    }

    pub(crate) fn into_secret(self) -> Secret {
        self.0
    }
}

const MAX_LENGTH: usize = 64 << 10;

/// Judges a callback.
pub(crate) fn validate(
    callback: &CallbackUrl,
    expected: &Expected<'_>,
) -> Result<Answer, IgnoredCallback> {
    let text = callback.0.expose().trim();
    if text.len() > MAX_LENGTH {
        return Err(IgnoredReason::TooLarge.into());
    }
    let text = without_fragment(text);
    let (location, query) = text.split_once('?').unwrap_or((text, ""));
    if !location.is_empty() && !expected.redirect_uri.is_at(location) {
        return Err(IgnoredReason::WrongLocation.into());
    }
    let seen = Parameters::read(without_own(query, expected.redirect_uri.query()))?;

    match &seen.state {
        Some(state) if expected.state.matches(state) => {}
        state => {
            return Err(IgnoredCallback {
                reason: match state.as_deref() {
                    None | Some("") => IgnoredReason::StateMissing,
                    Some(_) => IgnoredReason::StateMismatch,
                },
                error: given(seen.error).map(|code| text::error_code(&code, &[expected.state])),
            });
        }
    }
    if seen.unexpected {
        return Err(IgnoredReason::UnexpectedParameter.into());
    }
    match (seen.iss.as_deref(), expected.issuer) {
        (Some(iss), Some(issuer)) if iss != issuer => {
            return Err(IgnoredReason::IssuerMismatch.into());
        }
        (None, _) if expected.iss_required => return Err(IgnoredReason::IssuerMissing.into()),
        _ => {}
    }
    // RFC 6749 section 3.1: a parameter without a value counts as omitted.
    match (given(seen.code), given(seen.error)) {
        (Some(_), Some(_)) => Err(IgnoredReason::CodeAndError.into()),
        (None, None) => Err(IgnoredReason::Nothing.into()),
        (Some(code), None) => Ok(Answer::Code(AuthorizationCode(code.into_owned().into()))),
        (None, Some(error)) => {
            let secrets = [expected.state];
            let description = given(seen.description);
            let uri = given(seen.uri);
            Ok(Answer::Error(OAuthError {
                code: text::error_code(&error, &secrets),
                description: description.and_then(|value| text::printable(&value, &secrets)),
                uri: uri.and_then(|value| text::uri(&value, &secrets)),
                status: None,
                retry_after: None,
            }))
        }
    }
}

/// Fragments are never read: a server that answers in one was asked for something else.
fn without_fragment(text: &str) -> &str {
    text.split('#').next().unwrap_or_default()
}

fn given(value: Option<Piece<'_>>) -> Option<Piece<'_>> {
    value.filter(|text| !text.is_empty())
}

/// The response's part of the query: a redirect URI's own query comes back in front of it
/// (RFC 6749 section 4.1.2).
fn without_own<'a>(query: &'a str, own: &str) -> &'a str {
    match query.strip_prefix(own) {
        Some(rest) if rest.is_empty() || rest.starts_with('&') => rest,
        _ => query,
    }
}

#[derive(Default)]
struct Parameters<'a> {
    state: Option<Piece<'a>>,
    code: Option<Piece<'a>>,
    error: Option<Piece<'a>>,
    description: Option<Piece<'a>>,
    uri: Option<Piece<'a>>,
    iss: Option<Piece<'a>>,
    unexpected: bool,
}

impl<'a> Parameters<'a> {
    fn read(query: &'a str) -> Result<Self, IgnoredCallback> {
        let mut seen = Self::default();
        for pair in form::decode(query) {
            let (name, value) = pair.map_err(|_| IgnoredReason::Malformed)?;
            let slot = match &*name {
                "state" => &mut seen.state,
                "code" => &mut seen.code,
                "error" => &mut seen.error,
                "error_description" => &mut seen.description,
                "error_uri" => &mut seen.uri,
                "iss" => &mut seen.iss,
                "id_token" | "access_token" | "token" | "response" => {
                    seen.unexpected = true;
                    continue;
                }
                _ => continue,
            };
            // Texts for people are cleaned where they are shown.
            let is_prose = matches!(&*name, "error_description" | "error_uri");
            if !is_prose && text::has_control(&value) {
                return Err(IgnoredReason::Malformed.into());
            }
            if slot.replace(value).is_some() {
                return Err(IgnoredReason::RepeatedParameter.into());
            }
        }
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_told_if_there_is_one() {
        let state = |url: &str| {
            let state = CallbackUrl::new(url).state();
            state.map(|state| state.expose().to_owned())
        };
        assert_eq!(state("/cb?code=c&state=b-_9").as_deref(), Some("b-_9"));
        let whole = "http://127.0.0.1/?state=a%20b#state=c";
        assert_eq!(state(whole).as_deref(), Some("a b"));
        let none = [
            "",
            "/cb",
            "/cb?code=c",
            "?state=",
            "?xstate=b",
            "#?state=a",
            "?state=a&state=a",
            "?state=%",
        ];
        for none in none {
            assert_eq!(state(none), None, "{none}");
        }
    }
}
