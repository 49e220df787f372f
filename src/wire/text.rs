//! Foreign text made fit to be shown.

use std::borrow::Cow;

use zeroize::Zeroizing;

use crate::secret::Secret;
use crate::wire::form::{is_escape, percent_encode};

const MAX_TEXT: usize = 256;
const MAX_SNIPPET: usize = 120;
/// How much of a body a snippet is looked for in: enough to reach past white space and markup.
const MAX_SCAN: usize = 4096;
/// Less is no secret, and taking it out would leave no readable text.
const MIN_SECRET: usize = 4;
const REDACTED: &str = "[redacted]";
/// In the place of what nobody can read.
const RANDOM: &str = "...";
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

/// Whether all bytes are so. It looks at every one, which is faster than to stop: the compiler takes many at
/// once.
pub(crate) fn all_bytes(text: &str, is_so: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |all, byte| all & is_so(byte))
}

/// Whether it could be a token: visible ASCII, and not nothing (RFC 6749 appendix A.12).
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && all_bytes(text, |byte| byte.is_ascii_graphic())
}

/// Whether there is a control character in it.
pub(crate) fn has_control(text: &str) -> bool {
    let is_plain = all_bytes(text, |byte| matches!(byte, b' '..=b'~'));
    !is_plain && text.contains(char::is_control)
}

/// At most 256 bytes of the characters that RFC 6749 section 5.2 allows in a description: printable
/// ASCII without `"` and `\`. Control characters end here, before they reach a terminal; so does any
/// of the `secrets` that a server echoes, and whatever looks like somebody's token.
pub(crate) fn printable(text: &str, secrets: &[&Secret]) -> Option<String> {
    clean(text, secrets, MAX_TEXT)
}

/// The same for an error URI, which has no spaces either, and is a page: a program may open it.
pub(crate) fn uri(text: &str, secrets: &[&Secret]) -> Option<String> {
    let mut solid = room_for(text);
    solid.extend(text.split_whitespace());
    let shown = clean(&solid, secrets, MAX_TEXT)?;
    let is_page = ["https://", "http://"]
        .iter()
        .any(|scheme| shown.starts_with(scheme));
    // With a part left out it is another page.
    let is_whole = !shown.contains(RANDOM) && !shown.contains(REDACTED);
    (is_page && is_whole).then_some(shown)
}

/// An error code: verbatim, unless it is nothing that could be shown.
pub(crate) fn error_code(code: &str, secrets: &[&Secret]) -> String {
    let is_plain = code.len() <= MAX_TEXT
        && code.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && !code.trim().is_empty();
    if is_plain && *without_random(&redact(code, secrets)) == code {
        return code.to_owned();
    }
    printable(code, secrets).unwrap_or_else(|| "unknown".to_owned())
}

/// A short piece of a body that could not be read, or nothing where it may hold a secret that we
/// don't know: a token response that was cut off, for instance.
pub(crate) fn snippet(body: &str, secrets: &[&Secret]) -> Option<String> {
    // Before the cut, so that no part of a secret is left standing at it.
    let body = redact(body, secrets);
    let mut end = body.len().min(MAX_SCAN);
    while !body.is_char_boundary(end) {
        end -= 1;
    }
    let mut start = &body[..end];
    if end < body.len() {
        start = start.trim_end_matches(is_token_char);
    }
    let mut letters = room_for(start);
    let alphanumeric = start.chars().filter(char::is_ascii_alphanumeric);
    letters.extend(alphanumeric.map(|c| c.to_ascii_lowercase()));
    let tells = TELLING.iter().any(|word| letters.contains(word)) || start.contains("code=");
    if tells || has_escapes(start) {
        return None;
    }
    clean(&without_tokens(start), secrets, MAX_SNIPPET)
}

/// Whether a telling word could be written in another way: `\u0074oken`, `%74oken`, `&#116;oken`.
fn has_escapes(text: &str) -> bool {
    text.contains("\\u") || text.contains("&#") || text.split('%').skip(1).any(is_escape)
}

/// The text with `...` in the place of whatever looks like a token that stands alone: a long run, or
/// a shorter one of letters and digits mixed.
fn without_tokens(text: &str) -> Zeroizing<String> {
    let mut shown = room_for(text);
    for (run, end) in runs(text, is_token_char) {
        shown.push_str(if may_be_token(run) { RANDOM } else { run });
        shown.push_str(end);
    }
    shown
}

/// The same for a text that was written for people, which may name a class, a page or an address: only
/// what does not read as words is left out.
fn without_random(text: &str) -> Zeroizing<String> {
    let mut shown = room_for(text);
    for (run, end) in runs(text, is_token_char) {
        let is_suspect = may_be_token(run);
        for (part, slash) in runs(run, |c| c != '/') {
            let is_random = is_suspect && !reads_as_words(part) && !is_uuid(part);
            shown.push_str(if is_random { RANDOM } else { part });
            shown.push_str(slash);
        }
        shown.push_str(end);
    }
    shown
}

/// Whether it is written as a UUID is (RFC 9562 section 4), by which servers name a request to those who
/// ask about it.
fn is_uuid(part: &str) -> bool {
    // It may end a sentence.
    let groups = part.trim_end_matches('.').split('-');
    let is_hex = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b'-' | b'.');
    groups.map(str::len).eq([8, 4, 4, 4, 12]) && part.bytes().all(is_hex)
}

/// What the text is made of: runs of such characters, each with the one behind it.
fn runs(text: &str, is_inside: fn(char) -> bool) -> impl Iterator<Item = (&str, &str)> {
    text.split_inclusive(move |c| !is_inside(c))
        .map(move |piece| piece.split_at(piece.trim_end_matches(|c| !is_inside(c)).len()))
}

fn may_be_token(run: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| run.as_bytes().iter().any(kind);
    let is_mixed = has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic);
    run.len() > 32 || (run.len() >= 16 && is_mixed)
}

/// Whether upper case, lower case and digits follow each other as in `InvalidGrantException`,
/// `AADSTS70008` or a date, rather than as in a random string: every fifth character begins a word there,
/// at most.
fn reads_as_words(run: &str) -> bool {
    let is_new = |pair: &&[u8]| match [pair[0], pair[1]] {
        [a, b] if a.is_ascii_digit() || b.is_ascii_digit() => {
            a.is_ascii_digit() != b.is_ascii_digit()
        }
        [a, b] => a.is_ascii_lowercase() && b.is_ascii_uppercase(),
    };
    let words = |piece: &str| 1 + piece.as_bytes().windows(2).filter(is_new).count();
    run.split(|c: char| !c.is_ascii_alphanumeric())
        .all(|piece| piece.len() <= 8 || piece.len() >= 5 * words(piece))
}

/// The characters of base64, of base64url, and of a JWT.
fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~' | '+' | '/' | '=')
}

fn clean(text: &str, secrets: &[&Secret], max: usize) -> Option<String> {
    // After what can't be shown is gone: it may have parted a secret.
    let mut shown = without_random(&redact(&showable(text), secrets));
    shown.truncate(max);
    let trimmed = shown.trim();
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

fn showable(text: &str) -> Zeroizing<String> {
    let spaced = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c });
    let mut shown = room_for(text);
    shown.extend(spaced.filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')));
    shown
}

/// For a text that may hold a secret: a string that grows leaves copies behind.
fn room_for(text: &str) -> Zeroizing<String> {
    Zeroizing::new(String::with_capacity(text.len()))
}

/// `%2f` for `%2F`; anything else as it is.
fn lower_escape(piece: &str) -> Cow<'_, str> {
    match piece.starts_with('%') {
        true => Cow::Owned(piece.to_ascii_lowercase()),
        false => Cow::Borrowed(piece),
    }
}

/// Takes the secrets out: as they are, as they are shown, percent-encoded, and decoded once too often.
fn redact(text: &str, secrets: &[&Secret]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(text.to_owned());
    for secret in secrets.iter().map(|secret| secret.expose()) {
        let shown = showable(secret);
        let encode = || {
            let encoded = String::with_capacity(secret.len() * 3);
            (Zeroizing::new(encoded), percent_encode(secret))
        };
        let (mut encoded, pieces) = encode();
        encoded.extend(pieces);
        let (mut lower, pieces) = encode();
        lower.extend(pieces.map(lower_escape));
        let decoded = Zeroizing::new(secret.replace('+', " "));
        for spelling in [secret, &shown, &encoded, &lower, &decoded] {
            if spelling.len() >= MIN_SECRET && text.contains(spelling) {
                text = without(&text, spelling);
            }
        }
    }
    text
}

fn without(text: &str, spelling: &str) -> Zeroizing<String> {
    let mut shown = Zeroizing::new(String::with_capacity(text.len() * REDACTED.len()));
    for (at, piece) in text.split(spelling).enumerate() {
        if at > 0 {
            shown.push_str(REDACTED);
        }
        shown.push_str(piece);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_no_secret_that_it_knows() {
        let code = Secret::from("c0de/1\"");
        let echoes = [
            "bad c0de/1\" here",
            "bad c0de/1 here",
            "bad c0\u{1b}de/\u{0}1 here",
            "bad c0de%2F1%22 here",
            "bad c0de%2f1%22 here",
        ];
        for echo in echoes {
            let shown = printable(echo, &[&code]);
            assert_eq!(shown.as_deref(), Some("bad [redacted] here"), "{echo}");
            assert_eq!(error_code(echo, &[&code]), "bad [redacted] here");
        }
        let page = "https://as.example/ errors";
        assert_eq!(
            uri(page, &[&code]).as_deref(),
            Some("https://as.example/errors")
        );
        assert_eq!(uri("https://as.example/ c0de/1", &[&code]), None);
    }

    #[test]
    fn what_is_too_short_to_be_a_secret_is_no_hole_in_a_text() {
        let short = Secret::from("ab");
        assert_eq!(printable("about", &[&short]).as_deref(), Some("about"));
    }

    #[test]
    fn a_snippet_ends_at_a_character() {
        let body = format!("{}\u{e9}{}", "\u{1}".repeat(MAX_SCAN - 1), "x".repeat(9));
        assert_eq!(snippet(&body, &[]), None);
    }

    #[test]
    fn a_long_run_may_be_a_token_and_a_shorter_one_if_it_is_mixed() {
        assert!(!may_be_token(&"x".repeat(32)) && may_be_token(&"x".repeat(33)));
        assert!(!may_be_token("abcdefgh1234567") && may_be_token("abcdefgh12345678"));
        // Three borders between words are too many for sixteen characters.
        assert!(!reads_as_words("abcdefgh12ijkLmn"));
        assert!(!reads_as_words(&"aB".repeat(17)));
    }

    #[test]
    fn shows_nothing_beside_a_telling_word() {
        let bodies = [
            "{\"access_token\":\"AT",
            "access%5ftoken=x",
            "{\"t\\u006fken\":\"AT\"}",
            "{\"%74oken\":\"AT\"}",
            "<b>&#116;oken AT</b>",
            "code=AT",
            "Set-Cookie: id=AT",
        ];
        for body in bodies {
            assert_eq!(snippet(body, &[]), None, "{body}");
        }
    }

    #[test]
    fn a_snippet_holds_nothing_that_looks_like_a_token() {
        let short = |body: &str| snippet(body, &[]).unwrap_or_default();
        assert_eq!(short("wrong code"), "wrong code");
        assert_eq!(
            short(r#"{"message":"Invalid code"}"#),
            "{message:Invalid code}"
        );
        assert_eq!(short(&"x".repeat(40)), "...");
        assert_eq!(short("got 7a9f7a9f7a9f7a9f, sorry"), "got ..., sorry");
        assert_eq!(
            short("disconnect/reset before headers"),
            "disconnect/reset before headers"
        );
    }

    #[test]
    fn what_was_written_for_people_holds_no_token_and_keeps_its_words() {
        let tokens = [
            "BQDkV3fX0eU2v9bQmZ7rT1yWcN5hJ8sLpKxGd4uVi6oRaEtCfBzMnPqSwYhUjIkOl",
            "AQD3kfX0eU2v9bQm",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
            "8f14e45fceea167a5a36dedd4bea2543",
            "3f2504e0-4f89-11d3-9a0c-0305e82c330g",
            "3f2504e0-4f89-11d3-9a0c0-305e82c3301",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        ];
        for token in tokens {
            let text = format!("Token {token} was revoked (see https://as.example/t/{token}).");
            let shown = printable(&text, &[]);
            let expected = "Token ... was revoked (see https://as.example/t/...).";
            assert_eq!(shown.as_deref(), Some(expected), "{token}");
            let page = format!("https://as.example/t?x={token}");
            assert_eq!(uri(&page, &[]), None, "{token}");
            assert!(!error_code(&format!("no-{token}"), &[]).contains(token));
        }
        let slashes = "AbCd3/fGh1Jk4Mn/o9Qr5tUv2xYz0bC7dE8fG+hIjK1lM2nO3pQ=";
        let shown = printable(slashes, &[]).unwrap();
        assert!(shown.len() < slashes.len() / 2, "{shown}");
        let honest = [
            "AADSTS70008: The provided authorization code has expired. 2026-11-23 19:00:00Z",
            "org.springframework.security.oauth2.common.exceptions.InvalidGrantException: no",
            "no such URI: http://127.0.0.1:8888/callback/of/the/application, nor com.example.application:/x",
            "the code_challenge_method is not supported_by_this_authorization_server",
            "see https://developer.example.com/documentation/web-api/concepts/authorization#2026-09-01",
            "0123456789012345678901234567890123456789",
            "Trace ID: 3f2504e0-4f89-11d3-9a0c-0305e82c3301.",
            "https://as.example/t/3F2504E0-4F89-11D3-9A0C-0305E82C3301",
        ];
        for text in honest {
            assert_eq!(printable(text, &[]).as_deref(), Some(text));
            assert_eq!(error_code(text, &[]), text);
        }
    }

    #[test]
    fn no_secret_is_cut_in_two() {
        let code = Secret::from("c0de-c0de-c0de");
        for length in MAX_SCAN - 20..MAX_SCAN + 5 {
            // Dropped characters make the end of the scan the start of the snippet.
            let body = format!("{}{} tail", "\u{1}".repeat(length), code.expose());
            let shown = snippet(&body, &[&code]).unwrap_or_default();
            assert!(!shown.contains("c0de"), "{length}: {shown}");
            let shown = snippet(&body, &[]).unwrap_or_default();
            assert!(shown.is_empty() || shown.contains(code.expose()), "{shown}");
        }
    }

    #[test]
    fn is_short() {
        let long = "é".repeat(5000) + &"a".repeat(5000);
        assert_eq!(printable(&long, &[]).map(|text| text.len()), Some(256));
        let snippet = snippet(&"a b ".repeat(5000), &[]);
        assert_eq!(snippet.map(|text| text.len()), Some(119));
    }

    #[test]
    fn keeps_a_code_as_it_is() {
        assert_eq!(error_code("in\"valid\\", &[]), "in\"valid\\");
        assert_eq!(error_code("é\u{7}", &[]), "unknown");
        assert_eq!(error_code(" ", &[]), "unknown");
        assert_eq!(error_code(&"x".repeat(300), &[]).len(), 256);
    }
}
