//! Redirect URIs (RFC 6749 section 3.1.2, RFC 8252 section 7): kept verbatim for the wire, because
//! servers compare them byte for byte, and parsed only to be checked.

use std::sync::Arc;

use url::{Host, Url};

use crate::error::ConfigError;
use crate::wire::endpoint::{authority, is_loopback, is_uri_text};
use crate::wire::form;

/// A checked redirect URI. Made by [`Client::redirect_uri`](crate::Client::redirect_uri).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUri(Arc<Checked>);

/// Shared by all logins that come back to it.
#[derive(Debug, PartialEq, Eq)]
struct Checked {
    text: String,
    escaped: String,
    /// As it is written.
    path: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Https,
    Loopback,
    Localhost,
    ReverseDomainScheme,
    OtherScheme,
}

/// Which redirect URIs a provider takes beyond `https`, loopback literals and private-use schemes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RedirectRules {
    /// `http://localhost`, which RFC 8252 section 8.3 advises against.
    pub(crate) localhost: bool,
    /// Private-use schemes without a dot, which RFC 8252 section 7.1 rules out.
    pub(crate) any_scheme: bool,
}

impl RedirectRules {
    pub(crate) fn allow(self, uri: &RedirectUri) -> bool {
        match uri.0.kind {
            Kind::Https | Kind::Loopback | Kind::ReverseDomainScheme => true,
            Kind::Localhost => self.localhost,
            Kind::OtherScheme => self.any_scheme,
        }
    }
}

impl RedirectUri {
    pub(crate) fn parse(text: &str, rules: RedirectRules) -> Result<Self, ConfigError> {
        let fault = |problem| Err(ConfigError::RedirectUri { problem });
        if !is_uri_text(text) {
            return fault("write an absolute URI in ASCII, without spaces, quotes or backslashes");
        }
        if text.contains('#') {
            return fault("leave out the # and what follows it (RFC 6749 section 3.1.2)");
        }
        let Ok(url) = Url::parse(text) else {
            return fault("write an absolute URI, such as http://127.0.0.1:8888/callback");
        };
        let authority = authority(text).unwrap_or_default();
        if authority.contains('@') {
            return fault("leave out the user name and password before the @");
        }
        let kind = match url.scheme() {
            "https" | "http" if authority.is_empty() => {
                return fault("write two slashes and a host, such as https://app.example/cb");
            }
            "https" => Kind::Https,
            "http" if is_loopback(&url) => Kind::Loopback,
            "http" if url.host() == Some(Host::Domain("localhost")) => Kind::Localhost,
            "http" => {
                return fault(
                    "plain http is for loopback only: write https, or http://127.0.0.1 with a port",
                );
            }
            "javascript" | "vbscript" | "data" | "file" | "ftp" | "ws" | "wss" | "blob"
            | "about" | "mailto" | "view-source" | "filesystem" => {
                return fault(
                    "this scheme runs or opens something else: write https, http://127.0.0.1 or a scheme of your own",
                );
            }
            scheme if scheme.contains('.') => Kind::ReverseDomainScheme,
            _ => Kind::OtherScheme,
        };
        let uri = Self(Arc::new(Checked {
            text: text.to_owned(),
            escaped: form::escape(text).into_owned(),
            path: raw_path(without_query(text)).to_owned(),
            kind,
        }));
        if rules.allow(&uri) {
            return Ok(uri);
        }
        fault(match kind {
            Kind::Localhost => {
                "localhost is not accepted: write 127.0.0.1 instead, here and where the app is registered"
            }
            _ => {
                "write a private-use scheme as a reversed domain of yours, such as com.example.app:/callback (RFC 8252 section 7.1)"
            }
        })
    }

    /// The URI, exactly as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The URI as it stands in a form or a query.
    pub(crate) fn escaped(&self) -> &str {
        &self.0.escaped
    }

    /// Whether `callback` (a full URL without query and fragment, or an absolute path) is this
    /// redirect URI's address, as a browser would write it. The path is compared as it came, so that
    /// no dot segment or doubled slash gets past.
    pub(crate) fn is_at(&self, callback: &str) -> bool {
        // As a listener sees it: nothing needs to be parsed.
        if callback.starts_with('/') && callback == self.0.path {
            return true;
        }
        let own = without_query(&self.0.text);
        if callback == own {
            return true;
        }
        // A parser would drop line breaks and turn backslashes.
        if !is_uri_text(callback) {
            return false;
        }
        let Ok(own_url) = Url::parse(own) else {
            return false;
        };
        if callback.starts_with('/') {
            // A browser asks for the normalized path.
            return callback == own_url.path();
        }
        let Ok(url) = Url::parse(callback) else {
            return false;
        };
        let same_place = url.scheme() == own_url.scheme()
            && url.host() == own_url.host()
            && url.port_or_known_default() == own_url.port_or_known_default()
            && !authority(callback).is_some_and(|authority| authority.contains('@'));
        let path = raw_path(callback);
        same_place && (path == own_url.path() || path == self.0.path)
    }

    /// The URI's own query, which comes back in front of the response's.
    pub(crate) fn query(&self) -> &str {
        self.0.text.split_once('?').map_or("", |(_, query)| query)
    }
}

fn without_query(uri: &str) -> &str {
    uri.split('?').next().unwrap_or_default()
}

/// The path as written: what follows the authority, or the scheme where there is none.
fn raw_path(url: &str) -> &str {
    let Some((_, rest)) = url.split_once(':') else {
        return "";
    };
    match rest.strip_prefix("//") {
        Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mends_nothing() {
        let parse = |text| RedirectUri::parse(text, RedirectRules::default());
        for bad in [
            "http:127.0.0.1:8888/cb",
            "http:///127.0.0.1:8888/cb",
            "http://@127.0.0.1:8888/cb",
            "https:app.example/cb?x=://",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let uri = parse("http://127.0.0.1:8888/cb").unwrap();
        assert!(uri.is_at("http://127.0.0.1:8888/cb"));
        for elsewhere in [
            "http://127.0.0.1:8888\\cb",
            "http:\\\\127.0.0.1:8888/cb",
            "ht\ntp://127.0.0.1:8888/cb",
            "http:127.0.0.1:8888/cb",
            "http:////127.0.0.1:8888/cb",
            "http://@127.0.0.1:8888/cb",
            "http://\u{ff11}27.0.0.1:8888/cb",
        ] {
            assert!(!uri.is_at(elsewhere), "{elsewhere}");
        }
    }
}
