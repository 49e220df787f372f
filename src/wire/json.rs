//! The members of a token response, whatever they were written in: JSON kept as raw text, so that
//! numbers stay exact and no depth of nesting matters, or form values.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use smallvec::SmallVec;
use zeroize::Zeroizing;

use crate::wire::form::{self, Piece};
use crate::wire::text::all_bytes;

/// Longer lifetimes and waits than this (68 years) are cut to it.
pub(crate) const MAX_SECONDS: u64 = i32::MAX as u64;

/// A member's value: raw JSON text, or the text of a form value.
#[derive(Clone)]
pub(crate) enum Value<'a> {
    Json(&'a str),
    Text(Piece<'a>),
}

/// Seconds as a server wrote them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seconds {
    Negative,
    Zero,
    Positive(u64),
}

impl<'a> Value<'a> {
    /// The string, if it is one. It may be a secret, or quote one.
    pub(crate) fn string(&self) -> Option<Piece<'a>> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Json(raw) => unescape(raw),
        }
    }

    /// The text of a string, a number or a boolean. What an object or an array holds is not text.
    pub(crate) fn scalar(&self) -> Option<Piece<'a>> {
        match self {
            Self::Json(raw) if raw.starts_with(['{', '[']) => None,
            _ => self.string().or_else(|| Some(self.raw().into())),
        }
    }

    /// The members, if it is an object.
    pub(crate) fn object(&self) -> Option<Members<'a>> {
        match self {
            Self::Json(raw) => Members::from_json(raw),
            Self::Text(_) => None,
        }
    }

    /// The elements, if it is an array.
    pub(crate) fn array(&self) -> Option<Vec<Value<'a>>> {
        match self {
            // Otherwise serde_json would describe what it is instead.
            Self::Json(raw) if !raw.starts_with('[') => None,
            Self::Json(raw) => {
                let elements: Vec<&'a RawValue> = serde_json::from_str(raw).ok()?;
                Some(elements.iter().map(|raw| Self::Json(raw.get())).collect())
            }
            Self::Text(_) => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Json("null"))
    }

    /// The value as JSON text.
    pub(crate) fn raw(&self) -> String {
        match self {
            Self::Json(raw) => (*raw).to_owned(),
            Self::Text(text) => {
                let is_escaped = |byte: &u8| matches!(byte, ..b' ' | b'"' | b'\\');
                let escapes = text.bytes().filter(is_escaped).count();
                let mut raw = Vec::with_capacity(text.len() + escapes * 5 + 2);
                // A string cannot fail to serialize.
                let _ = serde_json::to_writer(&mut raw, &**text);
                String::from_utf8(raw).unwrap_or_default()
            }
        }
    }

    /// A number of seconds, bare or in a string: integer, decimal or with an exponent. Fractions are
    /// cut off, huge values clamp; anything else is `None`.
    pub(crate) fn seconds(&self) -> Option<Seconds> {
        let text = match self {
            Self::Json(raw) if !raw.starts_with('"') => Piece::AsItStands(raw),
            _ => self.string()?,
        };
        let text = text.trim();
        let is_number = text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
        if !is_number {
            return None;
        }
        // Exact up to 2^53, far beyond the clamp; overflow is infinity, which clamps too.
        let seconds = text.parse::<f64>().ok()?.trunc();
        Some(if seconds < 0.0 {
            Seconds::Negative
        } else if seconds < 1.0 {
            Seconds::Zero
        } else {
            // `as` saturates.
            Seconds::Positive((seconds as u64).min(MAX_SECONDS))
        })
    }
}

/// The text of a JSON string whose syntax has been checked. serde_json takes escapes out in a buffer
/// that grows and is left behind as it is.
fn unescape(raw: &str) -> Option<Piece<'_>> {
    let mut rest = raw.strip_prefix('"')?.strip_suffix('"')?;
    if all_bytes(rest, |byte| byte != b'\\') {
        return Some(Piece::AsItStands(rest));
    }
    // An escape is longer than what it stands for.
    let mut text = Zeroizing::new(String::with_capacity(rest.len()));
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        rest = escape.get(1..)?;
        text.push(match escape.as_bytes().first()? {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = code_unit(&mut rest)?;
                let second = match first {
                    0xd800..0xdc00 => {
                        rest = rest.strip_prefix("\\u")?;
                        Some(code_unit(&mut rest)?)
                    }
                    _ => None,
                };
                let units = [first].into_iter().chain(second);
                char::decode_utf16(units).next()?.ok()?
            }
            &itself => char::from(itself),
        });
    }
    text.push_str(rest);
    Some(Piece::Copied(text))
}

fn code_unit(rest: &mut &str) -> Option<u16> {
    let (digits, after) = rest.split_at_checked(4)?;
    *rest = after;
    u16::from_str_radix(digits, 16).ok()
}

/// The members of one object, in order. A token response has seldom more than eight.
#[derive(Default)]
pub(crate) struct Members<'a>(SmallVec<[(Piece<'a>, Value<'a>); 8]>);

impl<'a> Members<'a> {
    /// From a JSON object; anything else, trailing text included, is `None`. The reason is not kept:
    /// the parser's own texts quote values.
    pub(crate) fn from_json(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// From a form body.
    pub(crate) fn from_form(text: &'a str) -> Option<Self> {
        let pairs = form::decode(text).map(|pair| {
            let (name, value) = pair.ok()?;
            Some((name, Value::Text(value)))
        });
        pairs.collect::<Option<_>>().map(Self)
    }

    /// The value of a member that is there and not null.
    pub(crate) fn get(&self, name: &str) -> Option<&Value<'a>> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found
            .map(|(_, value)| value)
            .filter(|value| !value.is_null())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| *known == name)
    }

    /// Puts a member in the place of any of the same name.
    pub(crate) fn set(&mut self, name: &str, value: Value<'a>) {
        self.0.retain(|(known, _)| *known != name);
        self.0.push((Piece::from(name.to_owned()), value));
    }

    /// Gives a member another name, in the place of any that has it. One that repeats still does.
    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        if from == to || !self.has(from) {
            return;
        }
        self.0.retain(|(known, _)| *known != to);
        let named = self.0.iter_mut().filter(|(known, _)| *known == from);
        named.for_each(|(known, _)| *known = Piece::from(to.to_owned()));
    }

    /// Takes a member out.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value<'a>> {
        let at = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.remove(at).1)
    }

    /// Puts other members in the place of those with the same names.
    pub(crate) fn replace_with(&mut self, others: Self) {
        let names: HashSet<&str> = others.0.iter().map(|(name, _)| &**name).collect();
        self.0.retain(|(known, _)| !names.contains(&**known));
        self.0.extend(others.0);
    }

    pub(crate) fn into_pairs(self) -> impl Iterator<Item = (Piece<'a>, Value<'a>)> {
        self.0.into_iter()
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Members::default();
                while let Some(Name(name)) = map.next_key()? {
                    let raw: &'de RawValue = map.next_value()?;
                    members.0.push((name, Value::Json(raw.get())));
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

/// A member's name, copied only if there are escapes in it.
struct Name<'a>(Piece<'a>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Piece::AsItStands(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Name(name.to_owned().into()))
            }
        }

        deserializer.deserialize_str(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_spelling_of_seconds() {
        let of = |raw| Value::Json(raw).seconds();
        assert_eq!(of("3600"), Some(Seconds::Positive(3600)));
        assert_eq!(of("\"3600\""), Some(Seconds::Positive(3600)));
        assert_eq!(of("3600.9"), Some(Seconds::Positive(3600)));
        assert_eq!(of("1e3"), Some(Seconds::Positive(1000)));
        assert_eq!(of("1e400"), Some(Seconds::Positive(MAX_SECONDS)));
        assert_eq!(of("-1"), Some(Seconds::Negative));
        assert_eq!(of("-0.5"), Some(Seconds::Zero));
        for bad in [
            "true", "\"inf\"", "\"NaN\"", "\"\"", "\"-\"", "[1]", "\"1 2\"",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    #[test]
    fn reads_strings_as_serde_json_does() {
        let strings = [
            r#""""#,
            r#""\\""#,
            r#""a/é\u00e9\/b""#,
            r#""\\\"\/\b\f\n\r\t""#,
            r#""\\u0041\u0041\u002F\u20ac\ufffd""#,
            r#""\ud83d\ude00\uD83D\uDE00!""#,
            r#""\ud83d""#,
            r#""\ud83dx""#,
            r#""\ud83d\n""#,
            r#""\ud83d\u0041""#,
            r#""\ude00\ud83d""#,
            "1",
        ];
        for raw in strings {
            let own = Value::Json(raw).string();
            let own = own.as_deref();
            let known: Option<String> = serde_json::from_str(raw).ok();
            assert_eq!(own, known.as_deref(), "{raw}");
        }
    }

    #[test]
    fn writes_texts_as_serde_json_does() {
        for text in ["", "a/é", "\"\\\n\u{1}\u{1f}\u{7f}"] {
            let raw = Value::Text(text.to_owned().into()).raw();
            assert_eq!(raw, serde_json::to_string(text).unwrap());
        }
    }

    #[test]
    fn nesting_is_no_matter() {
        let deep = format!(
            r#"{{"x":{}{},"a":1}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        let members = Members::from_json(&deep).unwrap();
        assert_eq!(members.get("a").unwrap().raw(), "1");
        assert!(Members::from_json(r#"["a"]"#).is_none());
        assert!(Members::from_json(r#"{"a":1}x"#).is_none());
    }
}
