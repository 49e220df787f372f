//! Scopes (RFC 6749 section 3.3).

use std::fmt;

use crate::error::ConfigError;

/// A list of scopes: what was asked for, or what was granted.
#[derive(Clone, Default)]
pub struct Scopes(String);

impl Scopes {
    /// A checked list. Each scope must consist of the characters that RFC 6749 section 3.3 allows;
    /// repeated scopes are kept once.
    ///
    /// # Errors
    /// [`ConfigError::Scope`] names the first scope that holds a space, a quote, a backslash, a
    /// control or non-ASCII character, or nothing at all.
    pub fn new<S: AsRef<str>>(scopes: impl IntoIterator<Item = S>) -> Result<Self, ConfigError> {
        let mut list = Self::default();
        for scope in scopes {
            let scope = scope.as_ref();
            if scope.is_empty() || !scope.bytes().all(is_scope_byte) {
                return Err(ConfigError::Scope(scope.to_owned()));
            }
            list.push(scope);
        }
        Ok(list)
    }

    /// What a server said: nothing is refused, scopes are parted by spaces, or by commas where there
    /// is no space.
    pub(crate) fn granted(text: &str) -> Self {
        let separator = if text.trim().contains(' ') { ' ' } else { ',' };
        let mut list = Self::default();
        for scope in text.split(separator).map(str::trim) {
            if !scope.contains(|c: char| c.is_control() || c == ' ') {
                list.push(scope);
            }
        }
        list
    }

    pub(crate) fn push(&mut self, scope: &str) {
        if scope.is_empty() || self.contains(scope) {
            return;
        }
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        self.0.push_str(scope);
    }

    /// The scopes, in the order given.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|scope| !scope.is_empty())
    }

    /// Whether `scope` is one of them. Scopes are case-sensitive.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.iter().any(|known| known == scope)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of `self` that `other` lacks.
    pub fn without<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a str> {
        self.iter().filter(|scope| !other.contains(scope))
    }

    /// The value of the `scope` parameter: parted by single spaces.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Order means nothing: two lists are equal if they hold the same scopes.
impl PartialEq for Scopes {
    fn eq(&self, other: &Self) -> bool {
        self.without(other).next().is_none() && other.without(self).next().is_none()
    }
}

impl Eq for Scopes {}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const fn is_scope_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)
}
