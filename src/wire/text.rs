//! Foreign text made fit to be shown.

use crate::secret::Secret;

const MAX_TEXT: usize = 256;
const MAX_SNIPPET: usize = 120;
/// Words that stand beside a secret in some body.
const TELLING: [&str; 5] = ["token", "secret", "verifier", "password", "bearer"];

/// At most 256 bytes of the characters that RFC 6749 section 5.2 allows in a description: printable
/// ASCII without `"` and `\`. Control characters end here, before they reach a terminal; so does any
/// of the `secrets` that a server echoes.
pub(crate) fn printable(text: &str, secrets: &[&Secret]) -> Option<String> {
    clean(text, secrets, MAX_TEXT)
}

/// An error code: verbatim, unless it is nothing that could be shown.
pub(crate) fn error_code(code: &str) -> String {
    if (1..=MAX_TEXT).contains(&code.len()) && code.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return code.to_owned();
    }
    printable(code, &[]).unwrap_or_else(|| "unknown".to_owned())
}

/// A short piece of a body that could not be read, or nothing where it may hold a secret that we
/// don't know: a token response that was cut off, for instance.
pub(crate) fn snippet(body: &str, secrets: &[&Secret]) -> Option<String> {
    // Enough for the scan; a snippet comes from the start.
    let mut end = body.len().min(4096);
    while !body.is_char_boundary(end) {
        end -= 1;
    }
    let start = &body[..end];
    let flat: String = start
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    if TELLING.iter().any(|word| flat.contains(word)) || start.contains("code=") {
        return None;
    }
    // A long unbroken run may be a token that stands alone.
    let words: Vec<&str> = start
        .split_ascii_whitespace()
        .map(|word| if word.len() > 32 { "..." } else { word })
        .collect();
    clean(&words.join(" "), secrets, MAX_SNIPPET)
}

fn clean(text: &str, secrets: &[&Secret], max: usize) -> Option<String> {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        if text.contains(secret.expose()) {
            text = text.replace(secret.expose(), "[redacted]");
        }
    }
    let mut shown: String = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\'))
        .collect();
    shown.truncate(max);
    let trimmed = shown.trim();
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_no_secret() {
        let code = Secret::from("c0de");
        let shown = printable("bad\u{1b}[31m \"code\"\r\n c0de", &[&code]);
        assert_eq!(shown.as_deref(), Some("bad[31m code   [redacted]"));
        assert_eq!(snippet("{\"access_token\":\"AT", &[]), None);
        assert_eq!(snippet("oops access%5ftoken=x", &[]).as_deref(), None);
        assert_eq!(snippet("wrong code", &[]).as_deref(), Some("wrong code"));
        let run = "x".repeat(40);
        assert_eq!(snippet(&run, &[]).as_deref(), Some("..."));
    }

    #[test]
    fn is_short() {
        let long = "é".repeat(5000) + &"a".repeat(5000);
        assert_eq!(printable(&long, &[]).map(|text| text.len()), Some(256));
        assert_eq!(
            snippet(&"a b ".repeat(5000), &[]).map(|t| t.len()),
            Some(120 - 1)
        );
    }
}
