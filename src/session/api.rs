//! Calls to the provider's API with the session's token.

use std::fmt;

use serde::de::DeserializeOwned;
use url::Url;

use crate::session::{AccessToken, Error, Session};
use crate::time::Timestamp;
use crate::wire::http::HttpResponse;
use crate::wire::retry_after;

impl Session {
    /// `GET`s from the provider's API, with the access token in the `Authorization` header. If the
    /// answer is 401, the token is refreshed and the call made once more, unless that was done a moment
    /// ago. Redirects are not followed.
    ///
    /// # Errors
    /// [`Error::ForeignOrigin`] if the URL is not on one of the provider's API origins: the token goes
    /// nowhere else. [`Error::Transport`] if no answer came. Otherwise as
    /// [`access_token`](Self::access_token). A status of 400 or more is an answer, not an error; see
    /// [`ApiResponse::read_json`].
    pub fn get(&self, url: &str) -> Result<ApiResponse, Error> {
        let url = self.api_url(url).ok_or(Error::ForeignOrigin)?;
        let token = self.access_token()?;
        let response = self.get_with(&url, &token)?;
        if response.status != 401 {
            return Ok(ApiResponse { response });
        }
        if self.lock().keeps_being_rejected(token.serial()).is_some() {
            return Ok(ApiResponse { response });
        }
        let token = self.token_rejected(token.serial())?;
        let response = self.get_with(&url, &token)?;
        Ok(ApiResponse { response })
    }

    fn get_with(&self, url: &Url, token: &AccessToken) -> Result<HttpResponse, Error> {
        let authorization = token.authorization()?;
        let response = self.inner.http.get(url.as_str(), &authorization);
        response.map_err(Error::Transport)
    }

    /// The URL, if it is on one of the API's origins: same scheme, host and port. Parsed once, so that
    /// where the request goes is what was compared.
    fn api_url(&self, url: &str) -> Option<Url> {
        let url = Url::parse(url).ok()?;
        let shared = self.lock();
        let mut origins = shared.flow.client().provider().api_origins();
        let is_bare = url.username().is_empty() && url.password().is_none();
        let is_own = |own| {
            // The origin of `blob:https://…` is that of what follows.
            let own = Url::parse(own);
            own.is_ok_and(|own| own.scheme() == url.scheme() && own.origin() == url.origin())
        };
        (is_bare && origins.any(is_own)).then_some(url)
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

    /// The value of `Retry-After`, as it came.
    #[must_use]
    pub fn retry_after(&self) -> Option<&str> {
        self.response.retry_after.as_deref()
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
            retry_after: self
                .retry_after()
                .and_then(|value| retry_after::parse(value, Timestamp::now())),
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
