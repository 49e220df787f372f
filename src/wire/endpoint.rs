//! Endpoint addresses, checked once.

use std::sync::Arc;

use url::{Host, Url};

use crate::error::ConfigError;

/// An authorization or token endpoint, kept as written and shared by the requests to it. `https`, or `http`
/// on a loopback address where the provider was built with the switch for it; no userinfo and no fragment
/// (RFC 6749 sections 3.1 and 3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint(Arc<str>);

impl Endpoint {
    pub(crate) fn parse(
        name: &'static str,
        address: &str,
        http_on_loopback: bool,
    ) -> Result<Self, ConfigError> {
        let fault = |problem| ConfigError::Endpoint { name, problem };
        if !is_uri_text(address) {
            return Err(fault(
                "write an absolute https URL in ASCII, without spaces, quotes or backslashes",
            ));
        }
        let url = Url::parse(address)
            .map_err(|_| fault("write an absolute URL, such as https://as.example/token"))?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) && http_on_loopback => {}
            "http" if is_loopback(&url) => {
                return Err(fault(
                    "plain http carries secrets in the clear: write https, or for a test server on loopback call dangerously_allow_http_on_loopback()",
                ));
            }
            "http" => {
                return Err(fault(
                    "plain http carries secrets in the clear: write https",
                ));
            }
            _ => return Err(fault("write an https URL")),
        }
        let authority = authority(address).unwrap_or_default();
        if authority.is_empty() {
            return Err(fault(
                "write a URL with a host, such as https://as.example/token",
            ));
        }
        if authority.contains('@') {
            return Err(fault(
                "leave out the user name and password before the @: the client authenticates by its own id and secret",
            ));
        }
        // What is parsed here is parsed again by whoever connects. Only a host that is written as it
        // is understood is the same to both.
        let host = authority
            .rsplit_once(':')
            .map_or(authority, |(host, port)| {
                let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
                if is_port { host } else { authority }
            });
        if !url
            .host_str()
            .is_some_and(|own| own.eq_ignore_ascii_case(host))
        {
            return Err(fault(
                "write the host plainly: a name in ASCII, or an IP address in its usual form",
            ));
        }
        if url.fragment().is_some() {
            return Err(fault("leave out the # and what follows it"));
        }
        Ok(Self(address.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// For a request.
    pub(crate) fn share(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// Whether there is nothing after the authority.
    pub(crate) fn is_origin(&self) -> bool {
        let rest = self.0.split_once("//").map_or("", |(_, rest)| rest);
        Some(rest.strip_suffix('/').unwrap_or(rest)) == authority(&self.0)
    }

    /// Whether another address has the same scheme, host and port.
    pub(crate) fn shares_origin(&self, other: &str) -> bool {
        match (Url::parse(&self.0), Url::parse(other)) {
            (Ok(own), Ok(other)) => own.origin() == other.origin(),
            _ => false,
        }
    }

    pub(crate) fn query(&self) -> &str {
        self.0.split_once('?').map_or("", |(_, query)| query)
    }
}

/// Whether the host is an IP literal of the loopback range. Names do not count, not even `localhost`:
/// who answers to a name is up to a resolver.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        _ => false,
    }
}

/// What stands between the `//` and the path, as written: a parser would mend `https:as.example` and
/// `https:///as.example`, and drop an empty user name.
pub(crate) fn authority(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once(':')?;
    rest.strip_prefix("//")?.split(['/', '?', '#']).next()
}

/// The characters of RFC 3986, nothing that a parser would drop or rewrite.
pub(crate) fn is_uri_text(text: &str) -> bool {
    let is_uri_byte = |byte: u8| match byte {
        b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => false,
        _ => byte.is_ascii_graphic(),
    };
    !text.is_empty() && text.bytes().all(is_uri_byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_switch_for_loopback_is_named_where_it_would_help() {
        let advice = |address| Endpoint::parse("token endpoint", address, false).err();
        let advice = |address| advice(address).map_or_else(String::new, |e| e.to_string());
        assert!(advice("http://127.0.0.1:1/token").contains("dangerously"));
        let elsewhere = advice("http://as.example/token");
        assert!(elsewhere.contains("write https") && !elsewhere.contains("dangerously"));
    }

    #[test]
    fn mends_nothing() {
        let parse = |address| Endpoint::parse("token endpoint", address, true).is_ok();
        assert!(parse("https://as.example/token?x=a@b"));
        for bad in [
            "https:as.example/token",
            "https:/as.example/token",
            "https:///as.example/token",
            "https:as.example/token?x=https://as.example",
            "https://@as.example/token",
            "https://:@as.example/token",
            "http://@127.0.0.1/token",
        ] {
            assert!(!parse(bad), "{bad}");
        }
    }

    #[test]
    fn an_origin_has_no_path() {
        let is_origin = |address: &str| Endpoint(address.into()).is_origin();
        assert!(is_origin("https://api.example"));
        assert!(is_origin("https://api.example:8443/"));
        for more in ["/v1", "//", "/api.example", "?x=1", "/?x=//api.example"] {
            assert!(!is_origin(&format!("https://api.example{more}")), "{more}");
        }
    }
}
