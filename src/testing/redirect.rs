//! Redirect URIs: which one is registered, and how an answer is put on it.

use url::Url;

use super::form;

/// Is `asked` the `registered` URI? Byte for byte, with one exception: a loopback literal that is
/// registered without a port matches with any port.
/// Source: <https://developer.spotify.com/documentation/web-api/concepts/redirect_uri>.
pub(super) fn matches(registered: &str, asked: &str) -> bool {
    registered == asked
        || ["http://127.0.0.1", "http://[::1]"].iter().any(|origin| {
            match (registered.strip_prefix(origin), asked.strip_prefix(origin)) {
                (Some(path), Some(rest)) if !path.starts_with(':') => {
                    without_port(rest) == Some(path)
                }
                _ => false,
            }
        })
}

/// `:4242/callback` is `/callback`; anything but a port of 1 to 65535 in front is `None`.
fn without_port(rest: &str) -> Option<&str> {
    let rest = rest.strip_prefix(':')?;
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (port, path) = rest.split_at(end);
    let port: u16 = port.parse().ok()?;
    (port != 0).then_some(path)
}

/// Can this URI be registered at all? An absolute URI without a fragment (RFC 6749 section
/// 3.1.2), in visible ASCII, since it goes into a header as it is.
pub(super) fn is_registrable(uri: &str) -> bool {
    uri.bytes().all(|byte| byte.is_ascii_graphic()) && !uri.contains('#') && Url::parse(uri).is_ok()
}

/// The redirect URI with the answer behind it. A query of its own is kept.
pub(super) fn with_answer(redirect_uri: &str, answer: &[(&str, &str)]) -> String {
    let separator = match redirect_uri.find('?') {
        None => "?",
        Some(_) if redirect_uri.ends_with(['?', '&']) => "",
        Some(_) => "&",
    };
    format!("{redirect_uri}{separator}{}", form::write(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_literal_without_port_matches_any_port_and_nothing_else() {
        let registered = "http://127.0.0.1/callback";
        for yes in [
            "http://127.0.0.1/callback",
            "http://127.0.0.1:1/callback",
            "http://127.0.0.1:65535/callback",
        ] {
            assert!(matches(registered, yes), "{yes}");
        }
        for no in [
            "http://127.0.0.1:0/callback",
            "http://127.0.0.1:65536/callback",
            "http://127.0.0.1:/callback",
            "http://127.0.0.1:+1/callback",
            "http://127.0.0.1:1/callback/",
            "http://127.0.0.1:1/Callback",
            "http://127.0.0.1:1/callback?x=1",
            "http://127.0.0.1:1",
            "http://127.0.0.1.evil.example/callback",
            "http://127.0.0.1:1@evil.example/callback",
            "http://[::1]:1/callback",
            "http://localhost:1/callback",
            "https://127.0.0.1:1/callback",
        ] {
            assert!(!matches(registered, no), "{no}");
        }
        assert!(matches("http://[::1]/callback", "http://[::1]:9/callback"));
        assert!(matches("http://127.0.0.1", "http://127.0.0.1:9"));
        assert!(!matches("http://127.0.0.1", "http://127.0.0.1:9/"));
    }

    #[test]
    fn everything_else_is_compared_byte_for_byte() {
        assert!(matches(
            "http://127.0.0.1:8888/cb",
            "http://127.0.0.1:8888/cb"
        ));
        assert!(!matches(
            "http://127.0.0.1:8888/cb",
            "http://127.0.0.1:8889/cb"
        ));
        assert!(!matches("http://127.0.0.1:8888/cb", "http://127.0.0.1/cb"));
        assert!(!matches(
            "https://app.example/cb",
            "https://app.example:443/cb"
        ));
        assert!(!matches("https://app.example", "https://app.example/"));
        assert!(!matches("http://localhost/cb", "http://localhost:1/cb"));
    }

    #[test]
    fn an_answer_keeps_the_query_that_was_there() {
        let answer = [("code", "a b"), ("state", "&")];
        assert_eq!(
            with_answer("http://[::1]/", &answer),
            "http://[::1]/?code=a+b&state=%26"
        );
        assert_eq!(
            with_answer("my-app://cb?x=1", &answer),
            "my-app://cb?x=1&code=a+b&state=%26"
        );
        assert_eq!(
            with_answer("my-app://cb?", &answer),
            "my-app://cb?code=a+b&state=%26"
        );
    }

    #[test]
    fn a_uri_that_could_break_a_header_is_not_registrable() {
        assert!(is_registrable("my-app://callback"));
        for no in [
            "",
            "/callback",
            "https://a.example/#x",
            "https://a.example/\r\nX: y",
            "https://a.example/é",
        ] {
            assert!(!is_registrable(no), "{no}");
        }
    }
}
