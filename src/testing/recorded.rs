//! What came to the endpoints that programs send to.

use std::fmt;

use super::http::{self, Headers, Request};

/// An endpoint that programs send requests to, each with [`Fault`](super::Fault)s and a record of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// Where codes and refresh tokens go (RFC 6749 section 3.2): `/api/token`.
    Token,
    /// Where tokens are revoked (RFC 7009): `/api/revoke`.
    Revocation,
    /// The provider's API: whatever is below `/v1/`.
    Api,
}

/// A request that reached the fake provider, for a test to look at.
///
/// `Debug` prints names, never values: the values are codes, tokens and secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordedRequest {
    method: String,
    path: String,
    query: String,
    parameters: Vec<(String, String)>,
    headers: Headers,
    status: Option<u16>,
}

impl RecordedRequest {
    pub(super) fn new(request: &Request, status: Option<u16>) -> Self {
        Self {
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            parameters: request.form(),
            headers: request.headers.clone(),
            status,
        }
    }

    /// The method, as it was written.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path, as it was written, without the query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query, as it was written, without the question mark; empty if there was none. May hold secrets.
    pub fn query(&self) -> &str {
        &self.query
    }

    /// The body's form parameters in the order sent, decoded. Contains secrets.
    ///
    /// A body that isn't a form gives whatever it decodes to.
    pub fn parameters(&self) -> &[(String, String)] {
        &self.parameters
    }

    /// The body's first form parameter of this name. May be a secret.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let (_, value) = self.parameters.iter().find(|(key, _)| key == name)?;
        Some(value)
    }

    /// The `grant_type` parameter, if there was one.
    pub fn grant_type(&self) -> Option<&str> {
        self.parameter("grant_type")
    }

    /// The first header of this name, in any case. `Authorization` holds a secret or a token.
    pub fn header(&self, name: &str) -> Option<&str> {
        http::header(&self.headers, name)
    }

    /// Was there an `Authorization` header?
    pub fn has_authorization(&self) -> bool {
        self.header("authorization").is_some()
    }

    /// The status that was sent back; `None` while there is no answer, and for good if the
    /// connection was dropped instead.
    pub fn status(&self) -> Option<u16> {
        self.status
    }
}

impl fmt::Debug for RecordedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.parameters.iter().map(|(name, _)| name.as_str());
        f.debug_struct("RecordedRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("parameters", &names.collect::<Vec<_>>())
            .field("has_authorization", &self.has_authorization())
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_names_and_no_value() {
        let request = Request::post("/api/token", "grant_type=refresh_token&refresh_token=hush")
            .with_header("Authorization", "Basic aHVzaA==");
        let recorded = RecordedRequest::new(&request, None);
        assert_eq!(recorded.grant_type(), Some("refresh_token"));
        assert_eq!(recorded.parameter("refresh_token"), Some("hush"));
        assert_eq!(recorded.header("AUTHORIZATION"), Some("Basic aHVzaA=="));
        let shown = format!("{recorded:?}");
        assert!(
            !shown.contains("hush") && !shown.contains("aHVzaA"),
            "{shown}"
        );
        assert!(shown.contains("refresh_token"), "{shown}");

        let request = Request::get("/v1/me?access_token=hush").with_header("Authorization", "hush");
        let recorded = RecordedRequest::new(&request, Some(200));
        assert_eq!((recorded.method(), recorded.path()), ("GET", "/v1/me"));
        assert_eq!(recorded.query(), "access_token=hush");
        assert!(recorded.has_authorization() && recorded.status() == Some(200));
        let shown = format!("{recorded:?}");
        assert!(!shown.contains("hush"), "{shown}");
        assert!(shown.contains("/v1/me"), "{shown}");
    }
}
