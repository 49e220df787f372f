//! The `Retry-After` header (RFC 9110 section 10.2.3).

use std::time::Duration;

use crate::time::Timestamp;
use crate::wire::json::MAX_SECONDS;

/// The wait a `Retry-After` asks for: seconds, or an HTTP date in any of its three spellings.
/// Anything else is `None`; a date in the past is no wait, one far ahead the longest there is.
pub(crate) fn parse(value: &str, now: Timestamp) -> Option<Duration> {
    let longest = Duration::from_secs(MAX_SECONDS);
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = value.parse().unwrap_or(MAX_SECONDS);
        return Some(Duration::from_secs(seconds).min(longest));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let wait = Timestamp::from_system_time(date).saturating_since(now);
    Some(wait.min(longest))
}
