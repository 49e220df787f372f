//! What came to the token endpoint.

use std::fmt;

use super::http::{self, Request};

/// A request that reached the fake provider's token endpoint, for a test to look at.
///
/// `Debug` prints names, never values: the values are codes, tokens and secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRequest {
    parameters: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    status: Option<u16>,
}

impl TokenRequest {
    pub(super) fn new(request: &Request) -> Self {
        Self {
            parameters: request.form(),
            headers: request.headers.clone(),
            status: None,
        }
    }

    pub(super) fn answered(&mut self, status: u16) {
        self.status = Some(status);
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
        let (_, value) = self.parameters.iter().find(|(key, _)| key == name)?;
        Some(value)
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
        let names: Vec<&str> = self
            .parameters
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        f.debug_struct("TokenRequest")
            .field("parameters", &names)
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
        let recorded = TokenRequest::new(&request);
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
}
