//! Foreign text made fit to be shown.

use zeroize::Zeroizing;

use crate::secret::Secret;
use crate::wire::form::percent_encode;

const MAX_TEXT: usize = 256;
const MAX_SNIPPET: usize = 120;
/// How much of a body a snippet is made from: enough to reach past white space and markup.
const MAX_SCAN: usize = 4096;
/// Words that stand beside a secret in some body.
const TELLING: [&str; 9] = [
    "token",
    "secret",
    "verifier",
    "passw",
    "bearer",
    "assertion",
    "cookie",
    "credential",
    "apikey",
];
/// What may hide such a word, or a secret that we know, from the search.
const ESCAPES: [&str; 4] = ["\\u", "&#", "%2", "%3"];

/// At most 256 bytes of the characters that RFC 6749 section 5.2 allows in a description: printable
/// ASCII without `"` and `\`. Control characters end here, before they reach a terminal; so does any
/// of the `secrets` that a server echoes.
pub(crate) fn printable(text: &str, secrets: &[&Secret]) -> Option<String> {
    clean(text, secrets, MAX_TEXT)
}

/// The same for an error URI, which has no spaces either.
pub(crate) fn uri(text: &str, secrets: &[&Secret]) -> Option<String> {
    let solid: String = text.split_whitespace().collect();
    clean(&solid, secrets, MAX_TEXT)
}

/// An error code: verbatim, unless it is nothing that could be shown.
pub(crate) fn error_code(code: &str, secrets: &[&Secret]) -> String {
    let is_plain = code.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let cleaned = clean(code, secrets, MAX_TEXT).unwrap_or_else(|| "unknown".to_owned());
    // Quotes and backslashes are all that cleaning would take from these.
    let is_safe = is_plain && code.len() <= MAX_TEXT && !code.trim().is_empty();
    if is_safe && !cleaned.contains(REDACTED) {
        return code.to_owned();
    }
    cleaned
}
