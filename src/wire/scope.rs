//! Scopes (RFC 6749 section 3.3).

use std::collections::HashSet;
use std::fmt;

use smallvec::SmallVec;

use crate::error::ConfigError;
use crate::wire::text::{all_bytes, has_control};

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
        let scopes: Vec<S> = scopes.into_iter().collect();
        let is_bad = |scope: &&S| {
            let scope = scope.as_ref();
            scope.is_empty() || !scope.bytes().all(is_scope_byte)
        };
        match scopes.iter().find(is_bad) {
            Some(bad) => Err(ConfigError::Scope(bad.as_ref().to_owned())),
            None => Ok(Self::once_each(&mut scopes.iter().map(AsRef::as_ref))),
        }
    }

    /// What a server said: nothing is refused, scopes are parted by spaces, or by commas where there
    /// is no space.
    pub(crate) fn granted(text: &str) -> Self {
        let is_plain = |byte| is_scope_byte(byte) | (byte == b' ');
        if text.trim().contains(' ') && all_bytes(text, is_plain) {
            // As most write it: each piece is a scope as it stands.
            return Self::once_each(&mut text.split_ascii_whitespace());
        }
        let separator = if text.trim().contains(' ') { ' ' } else { ',' };
        Self::listed(text.split(separator))
    }

    /// What [`as_str`](Self::as_str) gave.
    pub(crate) fn saved(text: &str) -> Self {
        Self::listed(text.split(' '))
    }

    /// What a server listed one by one.
    pub(crate) fn listed<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Self {
        let scopes = scopes.into_iter().map(str::trim);
        let is_plain = |scope: &&str| !scope.contains(' ') && !has_control(scope);
        Self::once_each(&mut scopes.filter(is_plain))
    }

    /// A server's list may be a megabyte long, so the repeated are found by a set; few are compared faster.
    /// Compiled once for all that lists them.
    fn once_each(scopes: &mut dyn Iterator<Item = &str>) -> Self {
        const FEW: usize = 16;
        const SOME: usize = 112;
        let mut scopes = scopes.filter(|scope| !scope.is_empty());
        let mut fresh: SmallVec<[&str; FEW]> = SmallVec::new();
        for scope in scopes.by_ref() {
            if !fresh.contains(&scope) {
                fresh.push(scope);
            }
            if fresh.len() == FEW {
                break;
            }
        }
        let mut more = scopes.peekable();
        if more.peek().is_some() {
            // A set that grows hashes all it has again, and few lists are longer. What is repeated must
            // not make it larger.
            let mut seen = HashSet::with_capacity(SOME);
            seen.extend(fresh.iter().copied());
            fresh.extend(more.filter(|scope| seen.insert(scope)));
        }
        Self(fresh.join(" "))
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
    pub(crate) fn without<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a str> {
        let others: HashSet<&str> = other.iter().collect();
        self.iter().filter(move |scope| !others.contains(scope))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_a_set() {
        let two = Scopes::new(["read", "write"]).unwrap();
        assert!(two.contains("write") && !two.contains("Write") && !two.contains("rea"));
        assert!(!two.is_empty() && Scopes::default().is_empty());
        assert_eq!(two, Scopes::new(["write", "read"]).unwrap());
        assert_ne!(two, Scopes::new(["read"]).unwrap());
        assert_ne!(Scopes::new(["read"]).unwrap(), two);
        assert_ne!(two, Scopes::new(["read", "other"]).unwrap());
        assert_eq!(two.to_string(), "read write");
        assert!(format!("{two:?}").contains("write"));
    }

    #[test]
    fn a_list_has_each_scope_once_and_nothing_that_is_none() {
        let scopes = Scopes::listed(["read", "", "read", " write ", "a b", "c\u{7}", "read"]);
        assert_eq!(scopes.as_str(), "read write");
        let many: Vec<_> = (0..40).map(|number| format!("s{number}")).collect();
        let twice = [many.join(" "), many.join(" ")].join(" ");
        assert_eq!(Scopes::granted(&twice).as_str(), many.join(" "));
    }

    #[test]
    fn reads_what_servers_say() {
        let of = |text| Scopes::granted(text).as_str().to_owned();
        assert_eq!(of(" a  b a "), "a b");
        assert_eq!(of("a,b,,a"), "a b");
        assert_eq!(of("a,b "), "a b");
        assert_eq!(of(" ,"), "");
        assert_eq!(of("a,b c"), "a,b c");
        assert_eq!(of("a \u{1b}[31m b"), "a b");
        assert_eq!(of(""), "");
    }

    #[test]
    fn a_megabyte_of_scopes_takes_no_time() {
        let text = |first: u32| {
            let scopes = (first..first + 150_000).map(|number| format!("{number:x}"));
            scopes.collect::<Vec<_>>().join(" ")
        };
        let (some, others) = (Scopes::granted(&text(0)), Scopes::granted(&text(1)));
        assert_eq!(some.without(&others).collect::<Vec<_>>(), ["0"]);
        assert_ne!(some, others);
    }
}
