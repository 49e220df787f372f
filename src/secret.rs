//! One type for everything that must never be shown.

use std::{fmt, io};

use serde::Serialize;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A string that is never printed: a token, an authorization code, a PKCE verifier, a client secret.
///
/// `Debug` prints `[redacted]`; there is no `Display`, `Deref` or `Serialize`. Two secrets are
/// compared in constant time (for equal lengths), and the bytes are overwritten on drop.
///
/// ```
/// let token = authflow::Secret::from("AT-123");
/// assert_eq!(format!("{token:?}"), "[redacted]");
/// assert_eq!(token.expose(), "AT-123");
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text itself. The name is there to be searched for.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Without a copy.
    pub(crate) fn from_zeroizing(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// Something as JSON. It is written twice, once for its length: a buffer that grows leaves copies behind.
    pub(crate) fn of_json(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        let mut length = Length(0);
        serde_json::to_writer(&mut length, value)?;
        let mut json = Vec::with_capacity(length.0);
        serde_json::to_writer(&mut json, value)?;
        // JSON is UTF-8.
        Ok(String::from_utf8(json).unwrap_or_default().into())
    }

    /// Whether `text` is the same, in constant time for equal lengths.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.0.as_bytes().ct_eq(text.as_bytes()).into()
    }

    /// Whether it could be a token: visible ASCII, and not nothing (RFC 6749 appendix A.12).
    pub(crate) fn is_token(&self) -> bool {
        !self.is_empty() && self.0.bytes().all(|byte| byte.is_ascii_graphic())
    }

    /// Whether the text is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Counts what is written.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other.expose())
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_whole_strings() {
        assert_eq!(Secret::from("abc"), Secret::from("abc"));
        assert_ne!(Secret::from("abc"), Secret::from("abd"));
        assert_ne!(Secret::from("abc"), Secret::from("abcd"));
        assert!(Secret::from("").is_empty());
    }
}
