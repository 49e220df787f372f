//! One type for everything that must never be shown.

use std::hint::black_box;
use std::ops::Deref;
use std::{fmt, io, mem};

use serde::Serialize;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

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
pub struct Secret(Zeroizing<Box<str>>);

impl Secret {
    /// The text itself. The name is there to be searched for.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Something as JSON. It is written twice, once for its length: a buffer that grows leaves copies behind.
    pub(crate) fn of_json(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        let mut json = Written::default();
        serde_json::to_writer(&mut json, value)?;
        json.text = Some(Vec::with_capacity(json.length));
        serde_json::to_writer(&mut json, value)?;
        // JSON is UTF-8.
        let text = String::from_utf8(json.text.unwrap_or_default());
        Ok(text.unwrap_or_default().into())
    }

    /// Whether `text` is the same, in constant time for equal lengths.
    pub(crate) fn matches(&self, text: &str) -> bool {
        if self.0.len() != text.len() {
            return false;
        }
        let pairs = self.0.bytes().zip(text.bytes());
        let difference = pairs.fold(0, |difference, (own, other)| difference | (own ^ other));
        // Nobody may conclude that the first difference is enough, not even the compiler.
        black_box(difference).ct_eq(&0).into()
    }

    /// Whether the text is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Counts what is written, and keeps it once there is room.
#[derive(Default)]
struct Written {
    length: usize,
    text: Option<Vec<u8>>,
}

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.text {
            Some(text) => text.extend_from_slice(bytes),
            None => self.length = self.length.saturating_add(bytes.len()),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl From<String> for Secret {
    /// Without a copy if there is no room to spare. A string that is cut to its length may move, and leave
    /// its old self behind, so one with room is copied and overwritten.
    fn from(text: String) -> Self {
        if text.capacity() == text.len() {
            return Self(text.into_boxed_str().into());
        }
        let own = Self::from(text.as_str());
        drop(SecretBytes::from(text.into_bytes()));
        own
    }
}

impl From<Zeroizing<String>> for Secret {
    fn from(mut text: Zeroizing<String>) -> Self {
        mem::take(&mut *text).into()
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(Box::<str>::from(text).into())
    }
}

/// Bytes that may hold a secret, overwritten on drop as a whole: `zeroize` goes over a `Vec` one by one.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SecretBytes(Vec<u8>);

impl From<Vec<u8>> for SecretBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for SecretBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
        self.0.spare_capacity_mut().zeroize();
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
