//! The `Retry-After` header (RFC 9110 section 10.2.3).

use std::time::Duration;

use crate::time::Timestamp;
use crate::wire::json::MAX_SECONDS;

/// The wait a `Retry-After` asks for: seconds, or an HTTP date in any of its three spellings.
/// Anything else is `None`; a date in the past is no wait.
pub(crate) fn parse(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = value.parse().unwrap_or(MAX_SECONDS);
        return Some(Duration::from_secs(seconds.min(MAX_SECONDS)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(Timestamp::from_system_time(date).saturating_since(now))
}
