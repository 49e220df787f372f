//! `application/x-www-form-urlencoded`, strictly (RFC 6749 appendix B).

use std::mem;
use std::ops::Deref;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Serialize;
use zeroize::{Zeroize, Zeroizing};

/// RFC 3986 unreserved characters stay bare, all else is escaped. A space becomes `%20`, which
/// decodes alike with and without the form rule for `+`.
const ESCAPE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Not a form: a broken escape, or not UTF-8 once decoded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// A name or value, decoded. It may be a secret, so what had to be copied is overwritten on drop.
#[derive(Clone)]
pub(crate) enum Decoded<'a> {
    AsItStands(&'a str),
    Copied(Zeroizing<String>),
}

impl Decoded<'_> {
    pub(crate) fn into_owned(self) -> String {
        match self {
            Self::AsItStands(text) => text.to_owned(),
            Self::Copied(mut text) => mem::take(&mut *text),
        }
    }
}

impl From<String> for Decoded<'_> {
    fn from(text: String) -> Self {
        Self::Copied(text.into())
    }
}

impl Deref for Decoded<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::AsItStands(text) => text,
            Self::Copied(text) => text,
        }
    }
}

impl PartialEq<&str> for Decoded<'_> {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

/// The pairs of a query or form body. Unlike the URL standard's decoder this one refuses broken
/// escapes and bytes that are not UTF-8, where that one would put something else in their place.
pub(crate) fn decode(
    form: &str,
) -> impl Iterator<Item = Result<(Decoded<'_>, Decoded<'_>), Malformed>> {
    form.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decode_text(name)?, decode_text(value)?))
    })
}

/// Whether what follows a `%` makes it an escape.
pub(crate) fn is_escape(rest: &str) -> bool {
    matches!(rest.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())
}

fn decode_text(text: &str) -> Result<Decoded<'_>, Malformed> {
    if !text.contains(['%', '+']) {
        return Ok(Decoded::AsItStands(text));
    }
    let escapes_are_whole = text.split('%').skip(1).all(is_escape);
    if !escapes_are_whole {
        return Err(Malformed);
    }
    // Nothing becomes longer, so this does not grow, which would leave copies behind.
    let mut bytes = Vec::with_capacity(text.len());
    for (at, piece) in text.split('+').enumerate() {
        if at > 0 {
            bytes.push(b' ');
        }
        bytes.extend(percent_decode_str(piece));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.into()),
        Err(error) => {
            error.into_bytes().zeroize();
            Err(Malformed)
        }
    }
}

/// A form body.
pub(crate) fn encode(pairs: &[(&str, &str)]) -> Zeroizing<String> {
    // Enough for all escapes: a string that grows leaves copies of its secrets behind.
    let length: usize = pairs.iter().map(|(k, v)| k.len() + v.len() + 2).sum();
    let mut form = url::form_urlencoded::Serializer::new(String::with_capacity(length * 3));
    // Strings in pairs cannot fail to serialize.
    let _ = pairs.serialize(serde_urlencoded::Serializer::new(&mut form));
    form.finish().into()
}

/// Appends `name=value` to a query, escaped.
pub(crate) fn push_query(url: &mut String, name: &str, value: &str) {
    match url.find('?') {
        None => url.push('?'),
        Some(at) if at + 1 == url.len() || url.ends_with('&') => {}
        Some(_) => url.push('&'),
    }
    url.extend(percent_encode(name));
    url.push('=');
    url.extend(percent_encode(value));
}

/// `text` with everything but the unreserved characters escaped.
pub(crate) fn percent_encode(text: &str) -> impl Iterator<Item = &str> {
    utf8_percent_encode(text, ESCAPE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(form: &str) -> Result<Vec<(String, String)>, Malformed> {
        decode(form)
            .map(|pair| pair.map(|(k, v)| (k.into_owned(), v.into_owned())))
            .collect()
    }

    #[test]
    fn decodes_once() {
        let got = pairs("c%6Fde=a%2Bb+c&&x&state=%252B").unwrap();
        let want = [("code", "a+b c"), ("x", ""), ("state", "%2B")];
        assert_eq!(got, want.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn refuses_what_others_repair() {
        for bad in ["a=%zz", "a=%2", "a=%", "a=%ff", "a=+%ff", "%ff=a", "a=%+1"] {
            assert_eq!(pairs(bad), Err(Malformed), "{bad}");
        }
    }

    #[test]
    fn encodes_what_it_decodes() {
        let body = encode(&[("code", "a+b c%/é"), ("empty", "")]);
        assert_eq!(*body, "code=a%2Bb+c%25%2F%C3%A9&empty=");
        for (url, joined) in [
            ("https://as.example/a", "https://as.example/a?x=y"),
            ("https://as.example/a?", "https://as.example/a?x=y"),
            ("https://as.example/a?b&", "https://as.example/a?b&x=y"),
            ("https://as.example/a?b", "https://as.example/a?b&x=y"),
        ] {
            let mut url = url.to_owned();
            push_query(&mut url, "x", "y");
            assert_eq!(url, joined);
        }
        let mut url = String::from("https://as.example/a?tenant=1");
        push_query(&mut url, "x", "a b~");
        assert_eq!(url, "https://as.example/a?tenant=1&x=a%20b~");
    }
}
