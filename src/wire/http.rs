//! Descriptions of HTTP requests and responses: what a driver executes and hands back.

use std::fmt;
use std::sync::Arc;

use crate::error::Phase;
use crate::secret::{Secret, SecretBytes};
use crate::time::Timestamp;

/// Names one request of one flow. The count is in the snapshot, so ids go on after a restore. Sending is
/// not saved, though: a flow restored from an older snapshot must not be handed the answers to what was
/// sent since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(crate) u64);

impl RequestId {
    /// From the number of a transcript. A made-up id is harmless: its response is reported as stale.
    #[must_use]
    pub const fn from_u64(id: u64) -> Self {
        Self(id)
    }

    /// The number, for transcripts.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// A request to the token endpoint, to be sent once and answered with one
/// [`Event::Response`](crate::Event::Response).
///
/// The driver must not follow redirects, must not send it twice, and must treat every status as an
/// answer. `Debug` shows neither body nor headers.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest(Box<Parts>);

/// In a box, because every action is as large as the largest.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) id: RequestId,
    pub(crate) phase: Phase,
    pub(crate) url: Arc<str>,
    pub(crate) authorization: Option<Secret>,
    pub(crate) body: Secret,
    pub(crate) deadline: Timestamp,
}

impl HttpRequest {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Box::new(parts))
    }

    /// To be handed back with the response.
    #[must_use]
    pub fn id(&self) -> RequestId {
        self.0.id
    }

    /// What it is for. A refresh is to be sent with the store's lock held where several programs share
    /// a store, an exchange need not be.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.0.phase
    }

    /// Always `POST` (RFC 6749 section 3.2).
    #[must_use]
    pub fn method(&self) -> &'static str {
        "POST"
    }

    /// The token endpoint.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// All headers to send; `Host` and `Content-Length` are the driver's. The value of
    /// `Authorization`, where there is one, is a secret.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let authorization = self.0.authorization.as_ref();
        [
            ("Accept", "application/json"),
            // Without a charset: one real server refuses anything but the bare type.
            ("Content-Type", "application/x-www-form-urlencoded"),
        ]
        .into_iter()
        .chain(authorization.map(|value| ("Authorization", value.expose())))
    }

    /// The form body. It holds secrets: a code and a verifier, or a refresh token.
    #[must_use]
    pub fn body(&self) -> &str {
        self.0.body.expose()
    }

    /// When the machine stops waiting for the response. A reply that comes later is still welcome.
    #[must_use]
    pub fn deadline(&self) -> Timestamp {
        self.0.deadline
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("id", &self.0.id)
            .field("phase", &self.0.phase)
            .field("method", &self.method())
            .field("url", &self.0.url)
            .field("deadline", &self.0.deadline)
            .finish_non_exhaustive()
    }
}

/// What came back. `Debug` does not show the body.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpResponse {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: SecretBytes,
}

impl HttpResponse {
    /// The largest body the decoder reads, 1 MiB after decompression. A driver may stop reading one
    /// byte past it.
    pub const MAX_BODY: usize = 1 << 20;

    /// A status and a body.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            retry_after: None,
            body: SecretBytes::from(body.into()),
        }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The body. It may hold tokens.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Adds a header. All may be handed in; only `Retry-After` is kept, because nothing else decides
    /// anything (`Content-Type` is too often wrong to be asked).
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if name.eq_ignore_ascii_case("retry-after") {
            self.retry_after = Some(value.to_owned());
        }
        self
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse")
            .field("status", &self.status)
            .field("body_length", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// No response came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportError {
    /// What went wrong.
    pub kind: TransportErrorKind,
    /// Whether the request may have reached the server. If so, a single-use code or a rotating
    /// refresh token may have been spent. When in doubt this is `true`.
    pub may_have_been_sent: bool,
}

/// Why no response came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The host name could not be resolved.
    Dns,
    /// No connection could be made.
    Connect,
    /// TLS failed: the certificate was refused, or no TLS feature is built in.
    Tls,
    /// It took too long.
    Timeout,
    /// The connection ended before the response did.
    Closed,
    /// What came back is not HTTP.
    Protocol,
    /// The body is larger than [`HttpResponse::MAX_BODY`].
    TooLarge,
    /// The driver was told to stop.
    Cancelled,
    /// Anything else.
    Other,
}

impl TransportErrorKind {
    /// Its name in transcripts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Protocol => "protocol",
            Self::TooLarge => "too_large",
            Self::Cancelled => "cancelled",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            TransportErrorKind::Dns => "the server's name could not be resolved",
            TransportErrorKind::Connect => "no connection to the server could be made",
            TransportErrorKind::Tls => {
                "TLS failed: the server's certificate was refused (behind a company's proxy, switch on the feature platform-verifier), or no TLS is built in (the feature rustls)"
            }
            TransportErrorKind::Timeout => "the server took too long to answer",
            TransportErrorKind::Closed => "the connection ended before the answer was complete",
            TransportErrorKind::Protocol => "the server's answer is not valid HTTP",
            TransportErrorKind::TooLarge => "the server's answer is larger than 1 MiB",
            TransportErrorKind::Cancelled => "the request was cancelled",
            TransportErrorKind::Other => "the request could not be carried out",
        })
    }
}

impl std::error::Error for TransportError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_read_as_it_was_made() {
        let response = HttpResponse::new(418, "tea").with_header("Retry-After", "5");
        assert_eq!(response.status(), 418);
        assert_eq!(response.body(), b"tea");
        let shown = format!("{response:?}");
        assert!(shown.contains("418") && shown.contains('3'), "{shown}");
        assert!(!shown.contains("tea"), "{shown}");
    }
}
