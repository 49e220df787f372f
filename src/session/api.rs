//! Calls to the provider's API with the session's token.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::driver::http::ApiCall;
use crate::session::{AccessToken, Error, Session};
use crate::time::Timestamp;
use crate::wire::http::HttpResponse;
use crate::wire::retry_after;

impl Session {
    /// `GET`s from the provider's API: [`call`](Self::call) with [`ApiRequest::get`].
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn get(&self, url: &str) -> Result<ApiResponse, Error> {
        self.call(&ApiRequest::get(url))
    }

    /// Calls the provider's API, with the access token in the `Authorization` header. If the answer is
    /// 401, the token is refreshed and the call made once more, unless that was done a moment ago; no
    /// other status causes a refresh. Redirects are not followed, and nothing is waited for: what a
    /// `Retry-After` asks for is in the answer.
    ///
    /// # Errors
    /// [`Error::ForeignOrigin`] if the URL is not on one of the provider's API origins: the token goes
    /// nowhere else. [`Error::Request`] if the request can't be sent. [`Error::Transport`] if no answer
    /// came. Otherwise as [`access_token`](Self::access_token). A status of 400 or more is an answer,
    /// not an error; see [`ApiResponse::read_json`].
    pub fn call(&self, request: &ApiRequest) -> Result<ApiResponse, Error> {
        if let Some(problem) = request.problem {
            return Err(Error::Request(problem));
        }
        let url = self.inner.client.api_url(&request.url);
        let url = url.ok_or(Error::ForeignOrigin)?;
        let token = self.access_token()?;
        let response = self.send_call(request, &url, &token)?;
        if response.status != 401 {
            return Ok(ApiResponse { response });
        }
        if self.lock().keeps_being_rejected(token.serial()).is_some() {
            return Ok(ApiResponse { response });
        }
        let token = self.token_rejected(token.serial())?;
        let response = self.send_call(request, &url, &token)?;
        Ok(ApiResponse { response })
    }

    fn send_call(
        &self,
        request: &ApiRequest,
        url: &str,
        token: &AccessToken,
    ) -> Result<HttpResponse, Error> {
        let call = ApiCall {
            method: request.method,
            url,
            headers: &request.headers,
            body: request.body.as_deref().map(Vec::as_slice),
            authorization: token.header()?,
        };
        self.inner.http.call(&call).map_err(Error::Transport)
    }
}

/// A call to the provider's API. `Debug` shows neither headers nor body, nor the URL's query.
#[derive(Clone)]
#[must_use]
pub struct ApiRequest {
    method: &'static str,
    url: String,
    headers: Vec<(String, String)>,
    body: Option<Zeroizing<Vec<u8>>>,
    problem: Option<&'static str>,
}

/// What the session, or the HTTP driver, says itself.
const RESERVED: [&str; 8] = [
    "authorization",
    "proxy-authorization",
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "expect",
    "upgrade",
];

impl ApiRequest {
    fn new(method: &'static str, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: None,
            problem: None,
        }
    }

    /// A `GET` of this URL, an absolute one on the provider's API.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// A `POST`.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// A `PUT`.
    pub fn put(url: impl Into<String>) -> Self {
        Self::new("PUT", url)
    }

    /// A `PATCH`.
    pub fn patch(url: impl Into<String>) -> Self {
        Self::new("PATCH", url)
    }

    /// A `DELETE`.
    pub fn delete(url: impl Into<String>) -> Self {
        Self::new("DELETE", url)
    }

    /// With this header. `Authorization` and those that belong to the connection are refused.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        if RESERVED.iter().any(|own| own.eq_ignore_ascii_case(&name)) {
            self.problem = Some("leave out that header: it is set by the session itself");
        } else if !is_header(&name, &value) {
            self.problem = Some("a header holds a character that can't be sent");
        }
        self.headers.push((name, value));
        self
    }

    /// With a body of JSON.
    pub fn json(self, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.body("application/json", body),
            Err(_) => Self {
                problem: Some("the body can't be written as JSON"),
                ..self
            },
        }
    }

    /// With a body of any other kind.
    pub fn body(self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut request = self.header("Content-Type", content_type);
        if request.method == "GET" {
            request.problem = Some("a GET has no body");
        }
        request.body = Some(Zeroizing::new(body.into()));
        request
    }
}

/// RFC 9110 section 5.
fn is_header(name: &str, value: &str) -> bool {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_value = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
    !name.is_empty() && name.bytes().all(is_name) && value.bytes().all(is_value)
}

impl fmt::Debug for ApiRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url.split(['?', '#']).next().unwrap_or_default();
        f.debug_struct("ApiRequest")
            .field("method", &self.method)
            .field("url", &url)
            .finish_non_exhaustive()
    }
}

/// What an API answered. `Debug` does not show the body.
pub struct ApiResponse {
    response: HttpResponse,
}

impl ApiResponse {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.response.status
    }

    /// What `Retry-After` asks for, in full however long it is; nothing has been waited for.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let value = self.response.retry_after.as_deref()?;
        retry_after::parse(value, Timestamp::now())
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.response.body
    }

    /// The body of a success, read from JSON.
    ///
    /// # Errors
    /// [`Error::Api`] if the status is not 2xx, or the body is no JSON of a `T`.
    pub fn read_json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let status = self.status();
        let is_success = (200..=299).contains(&status);
        let body = is_success.then(|| serde_json::from_slice(self.body()));
        body.and_then(Result::ok).ok_or_else(|| Error::Api {
            status,
            retry_after: self.retry_after(),
        })
    }
}

impl fmt::Debug for ApiResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiResponse")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
