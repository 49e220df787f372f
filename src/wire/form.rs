//! `application/x-www-form-urlencoded`, strictly (RFC 6749 appendix B).

use std::mem;
use std::ops::Deref;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use zeroize::{Zeroize, Zeroizing};

use crate::secret::Secret;
use crate::wire::text::all_bytes;

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

/// A name or value, decoded or escaped. It may be a secret, so what had to be copied is overwritten on drop.
#[derive(Clone)]
pub(crate) enum Piece<'a> {
    AsItStands(&'a str),
    Copied(Zeroizing<String>),
}

impl Piece<'_> {
    pub(crate) fn into_owned(self) -> String {
        match self {
            Self::AsItStands(text) => text.to_owned(),
            Self::Copied(mut text) => mem::take(&mut *text),
        }
    }
}

impl From<String> for Piece<'_> {
    fn from(text: String) -> Self {
        Self::Copied(text.into())
    }
}

impl Deref for Piece<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::AsItStands(text) => text,
            Self::Copied(text) => text,
        }
    }
}

impl PartialEq<&str> for Piece<'_> {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

/// The pairs of a query or form body. Unlike the URL standard's decoder this one refuses broken
/// escapes and bytes that are not UTF-8, where that one would put something else in their place.
pub(crate) fn decode(
    form: &str,
) -> impl Iterator<Item = Result<(Piece<'_>, Piece<'_>), Malformed>> {
    // Most have nothing to decode: that is looked for once, not in each piece.
    let is_plain = all_bytes(form, |byte| (byte != b'%') & (byte != b'+'));
    let read = move |text| match is_plain {
        true => Ok(Piece::AsItStands(text)),
        false => decode_text(text),
    };
    let pairs = form.split('&').filter(|pair| !pair.is_empty());
    pairs.map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((read(name)?, read(value)?))
    })
}

/// Whether what follows a `%` makes it an escape.
pub(crate) fn is_escape(rest: &str) -> bool {
    matches!(rest.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())
}

fn decode_text(text: &str) -> Result<Piece<'_>, Malformed> {
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

/// A form or a query, without what stands before it.
pub(crate) fn encode<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Secret {
    let pairs = pairs.into_iter();
    let pairs: Vec<_> = pairs
        .map(|(name, value)| (escape(name), escape(value)))
        .collect();
    let mut pieces = Vec::with_capacity(pairs.len() * 4);
    for (name, value) in &pairs {
        pieces.extend([if pieces.is_empty() { "" } else { "&" }, name, "=", value]);
    }
    pieces.concat().into()
}

/// `text` as it stands in a form or a query. In most of what is sent nothing has to be escaped.
pub(crate) fn escape(text: &str) -> Piece<'_> {
    let is_bare =
        |byte: u8| byte.is_ascii_alphanumeric() | matches!(byte, b'-' | b'.' | b'_' | b'~');
    if all_bytes(text, is_bare) {
        return Piece::AsItStands(text);
    }
    let mut escaped = Zeroizing::new(String::with_capacity(text.len() * 3));
    escaped.extend(percent_encode(text));
    Piece::Copied(escaped)
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
        assert_eq!(pairs("+").unwrap(), [(" ".to_owned(), String::new())]);
    }

    #[test]
    fn what_is_plain_is_not_copied() {
        assert!(matches!(escape("az09-._~"), Piece::AsItStands(_)));
        assert!(matches!(escape("a b"), Piece::Copied(_)));
    }

    #[test]
    fn refuses_what_others_repair() {
        for bad in [
            "%", "a=%zz", "a=%2", "a=%", "a=%ff", "a=+%ff", "%ff=a", "a=%+1",
        ] {
            assert_eq!(pairs(bad), Err(Malformed), "{bad}");
        }
    }

    #[test]
    fn encodes_what_it_decodes() {
        let body = encode([("code", "a+b c%/é~"), ("empty", "")]);
        assert_eq!(body.expose(), "code=a%2Bb%20c%25%2F%C3%A9~&empty=");
        assert!(encode([]).is_empty());
    }

    #[test]
    fn every_character_is_escaped_or_stands_as_it_is() {
        for character in (0..=255).map(char::from) {
            let text = character.to_string();
            let all = percent_encode(&text).collect::<String>();
            assert_eq!(&*escape(&text), all, "{character:?}");
        }
    }
}
