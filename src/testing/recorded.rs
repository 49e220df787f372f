//! What came to the endpoints that programs send to.

use std::fmt;

use super::http::{self, Headers, Request};

/// A request that reached the fake provider's token endpoint, for a test to look at.
///
/// `Debug` prints names, never values: the values are codes, tokens and secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRequest {
    parameters: Vec<(String, String)>,
    headers: Headers,
    status: Option<u16>,
}

impl TokenRequest {
    pub(super) fn new(request: &Request, status: Option<u16>) -> Self {
        Self {
            parameters: request.form(),
            headers: request.headers.clone(),
            status,
        }
    }

    /// The `grant_type` parameter, if there was one.
    pub fn grant_type(&self) -> Option<&str> {
        self.parameter("grant_type")
    }

    /// The form's parameters in the order sent, decoded. Contains secrets.
    ///
    /// A body that isn't a form gives whatever it decodes to.
    pub fn parameters(&self) -> &[(String, String)] {
        &self.parameters
    }

    /// The first parameter of this name. May be a secret.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        first(&self.parameters, name)
    }

    /// The first header of this name, in any case. `Authorization` holds the client's secret.
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

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRequest")
            .field("parameters", &names(&self.parameters))
            .field("has_authorization", &self.has_authorization())
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// A request that reached the fake provider's revocation endpoint, for a test to look at.
///
/// `Debug` prints names, never values: the values are tokens and secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct RevokeRequest {
    parameters: Vec<(String, String)>,
    headers: Headers,
    status: Option<u16>,
}

impl RevokeRequest {
    pub(super) fn new(request: &Request, status: Option<u16>) -> Self {
        Self {
            parameters: request.form(),
            headers: request.headers.clone(),
            status,
        }
    }

    /// The `token` parameter, if there was one. A secret, unless it was revoked.
    pub fn token(&self) -> Option<&str> {
        self.parameter("token")
    }

    /// The `token_type_hint` parameter, if there was one: `access_token` or `refresh_token`
    /// (RFC 7009 section 2.1).
    pub fn token_type_hint(&self) -> Option<&str> {
        self.parameter("token_type_hint")
    }

    /// The first parameter of this name. May be a secret.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        first(&self.parameters, name)
    }

    /// The first header of this name, in any case. `Authorization` holds the client's secret.
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

impl fmt::Debug for RevokeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevokeRequest")
            .field("parameters", &names(&self.parameters))
            .field("has_authorization", &self.has_authorization())
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// A request that reached the fake provider's API, for a test to look at.
///
/// `Debug` leaves out the query and the headers: the token is in there.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiRequest {
    method: String,
    path: String,
    query: String,
    headers: Headers,
    status: Option<u16>,
}

impl ApiRequest {
    pub(super) fn new(request: &Request, status: Option<u16>) -> Self {
        Self {
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
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

    /// The query, as it was written, without the question mark; empty if there was none.
    pub fn query(&self) -> &str {
        &self.query
    }

    /// The first header of this name, in any case. `Authorization` holds the token.
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

impl fmt::Debug for ApiRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("has_authorization", &self.has_authorization())
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

fn first<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let (_, value) = parameters.iter().find(|(key, _)| key == name)?;
    Some(value)
}

fn names(parameters: &[(String, String)]) -> Vec<&str> {
    parameters.iter().map(|(name, _)| name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_names_and_no_value() {
        let request = Request::post("/api/token", "grant_type=refresh_token&refresh_token=hush")
            .with_header("Authorization", "Basic aHVzaA==");
        let recorded = TokenRequest::new(&request, None);
        assert_eq!(recorded.grant_type(), Some("refresh_token"));
        assert_eq!(recorded.parameter("refresh_token"), Some("hush"));
        assert_eq!(recorded.header("AUTHORIZATION"), Some("Basic aHVzaA=="));
        let shown = format!("{recorded:?}");
        assert!(
            !shown.contains("hush") && !shown.contains("aHVzaA"),
            "{shown}"
        );
        assert!(shown.contains("refresh_token"), "{shown}");
    }

    #[test]
    fn debug_of_the_others_shows_no_value_either() {
        let request = Request::post("/api/revoke", "token=hush&token_type_hint=access_token")
            .with_header("Authorization", "Basic aHVzaA==");
        let recorded = RevokeRequest::new(&request, Some(200));
        assert_eq!(recorded.token(), Some("hush"));
        assert_eq!(recorded.token_type_hint(), Some("access_token"));
        let shown = format!("{recorded:?}");
        assert!(
            !shown.contains("hush") && !shown.contains("aHVzaA"),
            "{shown}"
        );
        assert!(shown.contains("token_type_hint"), "{shown}");

        let request = Request::get("/v1/me?access_token=hush").with_header("Authorization", "hush");
        let recorded = ApiRequest::new(&request, None);
        assert_eq!((recorded.method(), recorded.path()), ("GET", "/v1/me"));
        assert_eq!(recorded.query(), "access_token=hush");
        assert!(recorded.has_authorization());
        let shown = format!("{recorded:?}");
        assert!(!shown.contains("hush"), "{shown}");
        assert!(shown.contains("/v1/me"), "{shown}");
    }
}
