//! Named repair steps: what a provider does differently, as data.

use std::borrow::Cow;

use crate::wire::json::{Members, Value};

/// One way in which a provider's token responses differ from RFC 6749 section 5, to be mended before
/// they are decoded. A provider carries a list of them; the decoder itself knows no provider.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RepairStep {
    /// The token stands in a nested object of this name, whose members replace the outer ones
    /// (Slack's `authed_user`, Withings' `body`).
    Lift(Cow<'static, str>),
    /// A member has another name.
    Rename {
        /// The provider's name for it.
        from: Cow<'static, str>,
        /// The name of RFC 6749.
        to: Cow<'static, str>,
    },
    /// The JSON is wrapped in a function call, `callback( … );`.
    StripCallback,
    /// Errors come as `{"errors":[{"errorType":…,"message":…}]}` (Fitbit).
    ErrorsArray,
    /// This `token_type` means a bearer token.
    BearerAlias(Cow<'static, str>),
    /// An error that the provider names in a way of its own (GitHub's `bad_refresh_token`, Twitch's
    /// `message`). Its text becomes the description, if there is none.
    ErrorCode {
        /// The member that says it.
        member: Cow<'static, str>,
        /// What that member says. The case of letters is no matter.
        says: Cow<'static, str>,
        /// The code of RFC 6749 section 5.2 that it means.
        code: Cow<'static, str>,
    },
}

impl RepairStep {
    /// [`Lift`](Self::Lift).
    #[must_use]
    pub fn lift(name: impl Into<Cow<'static, str>>) -> Self {
        Self::Lift(name.into())
    }

    /// [`Rename`](Self::Rename).
    #[must_use]
    pub fn rename(from: impl Into<Cow<'static, str>>, to: impl Into<Cow<'static, str>>) -> Self {
        Self::Rename {
            from: from.into(),
            to: to.into(),
        }
    }

    /// [`BearerAlias`](Self::BearerAlias).
    #[must_use]
    pub fn bearer_alias(token_type: impl Into<Cow<'static, str>>) -> Self {
        Self::BearerAlias(token_type.into())
    }

    /// [`ErrorCode`](Self::ErrorCode).
    #[must_use]
    pub fn error_code(
        member: impl Into<Cow<'static, str>>,
        says: impl Into<Cow<'static, str>>,
        code: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::ErrorCode {
            member: member.into(),
            says: says.into(),
            code: code.into(),
        }
    }
}

/// Takes a function call off, if the steps say so.
pub(crate) fn unwrap_text<'a>(steps: &[RepairStep], text: &'a str) -> &'a str {
    if !steps.contains(&RepairStep::StripCallback) {
        return text;
    }
    let call = text.trim_end_matches(|c: char| c == ';' || c.is_whitespace());
    let inner = call.strip_suffix(')').and_then(|call| {
        let (name, inner) = call.split_once('(')?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.' || c == '$';
        name.trim().chars().all(is_name).then_some(inner.trim())
    });
    inner.unwrap_or(text)
}

/// Applies the steps to an object's members.
pub(crate) fn apply(steps: &[RepairStep], members: &mut Members<'_>) {
    for step in steps {
        match step {
            RepairStep::Lift(name) => {
                if let Some(inner) = members.get(name).and_then(|value| value.object()) {
                    // The outer tokens, if any, are somebody else's: a bot's beside the person's.
                    for outer in ["access_token", "refresh_token", "token_type", "scope"] {
                        members.take(outer);
                    }
                    for outer in ["expires_in", "expires", "refresh_token_expires_in", name] {
                        members.take(outer);
                    }
                    members.replace_with(inner);
                }
            }
            RepairStep::Rename { from, to } => members.rename(from, to),
            RepairStep::ErrorsArray => {
                let errors = members.get("errors").and_then(|value| value.array());
                let first = errors.and_then(|list| list.first()?.object());
                if let Some(mut first) = first {
                    if let Some(code) = first.take("errorType") {
                        members.set("error", code);
                    }
                    if let Some(text) = first.take("message") {
                        members.set("error_description", text);
                    }
                }
            }
            RepairStep::ErrorCode { member, says, code } => {
                let said = members.get(member).and_then(Value::string);
                if said.is_some_and(|said| said.eq_ignore_ascii_case(says)) {
                    let text = |text: &str| Value::Text(text.to_owned().into());
                    if members.get("error_description").is_none() {
                        members.set("error_description", text(says));
                    }
                    members.set("error", text(code));
                }
            }
            RepairStep::StripCallback | RepairStep::BearerAlias(_) => {}
        }
    }
}

/// Whether a token type is a bearer token: by its name (RFC 6750, letter case is no matter), or
/// because a step says so.
pub(crate) fn is_bearer(steps: &[RepairStep], token_type: &str) -> bool {
    let aliased = |step: &RepairStep| match step {
        RepairStep::BearerAlias(name) => name.eq_ignore_ascii_case(token_type),
        _ => false,
    };
    token_type.eq_ignore_ascii_case("bearer") || steps.iter().any(aliased)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_of_any_name_is_taken_off_and_nothing_else_is() {
        let steps = [RepairStep::StripCallback];
        for name in ["callback", "jQuery_1.cb", "$", "a.b_c$1", ""] {
            assert_eq!(
                unwrap_text(&steps, &format!("{name}( {{}} );")),
                "{}",
                "{name}"
            );
        }
        for text in ["call back({})", "a-b({})", "callback({}", "{}"] {
            assert_eq!(unwrap_text(&steps, text), text);
            assert_eq!(unwrap_text(&[], "f({})"), "f({})");
        }
    }
}
