//! Forms and queries, read as most servers do: nothing is refused. The library's own reader is strict.

pub(super) fn read(form: &[u8]) -> Vec<(String, String)> {
    serde_urlencoded::from_bytes(form).unwrap_or_default()
}

/// Strings in pairs can't fail to serialize.
pub(super) fn write(pairs: &[(&str, &str)]) -> String {
    serde_urlencoded::to_string(pairs).unwrap_or_default()
}
