//! Sends token requests with [ureq](https://docs.rs/ureq).
//!
//! ureq's defaults are made for fetching pages: ten redirects, no time limit, error bodies dropped.
//! Here redirects are never followed, every status is an answer, a request is sent once, and time and
//! size have limits, whatever the agent is set to.
//!
//! ureq logs, and hides secrets in it, down to the level of debug. At the level of trace it shows URLs
//! whole, and the `Location` of a redirect, and `ureq_proto` below it writes down the bytes: the header
//! `Authorization`, and every answer with its tokens. Keep the target `ureq_proto` at debug where a trace
//! may be read by others. A token request has no secret in its URL; keep yours out of those you call the
//! API with.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use ureq::Agent;
use ureq::http::Uri;
use ureq::http::uri::Scheme;
use url::Url;

use crate::wire::http::{HttpRequest, HttpResponse, TransportError, TransportErrorKind};

/// The blocking HTTP driver. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Http {
    agent: Agent,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);
/// Far more than any page of an API's lists.
#[cfg(all(feature = "loopback", feature = "os-rng"))]
const MAX_API_BODY: u64 = 10 << 20;

impl Http {
    /// With an agent of its own: 10 seconds to connect, 30 in all, and the proxy that `ALL_PROXY`,
    /// `HTTPS_PROXY` and `NO_PROXY` name. A proxy sees the provider's name, not what is said to it.
    /// Loopback addresses are never asked for through a proxy.
    #[must_use]
    pub fn new() -> Self {
        Self::with_agent(agent().build().into())
    }

    /// Without any proxy, whatever the environment says.
    #[must_use]
    pub fn without_proxy() -> Self {
        Self::with_agent(agent().proxy(None).build().into())
    }

    /// Through this proxy, such as `http://proxy.example:8080`.
    ///
    /// # Errors
    /// [`InvalidProxy`] if it is no proxy address.
    pub fn with_proxy(proxy: &str) -> Result<Self, InvalidProxy> {
        let proxy = ureq::Proxy::new(proxy).map_err(|_| InvalidProxy)?;
        Ok(Self::with_agent(agent().proxy(Some(proxy)).build().into()))
    }

    /// With an agent of the caller's: its TLS, proxy and timeouts count (where it has no total
    /// timeout, 30 seconds do). Its choices about redirects, status codes and body sizes do not.
    /// A middleware of the agent's that rewrites a URL is not watched: where it sends a request, the
    /// secrets in it go.
    #[must_use]
    pub fn with_agent(agent: Agent) -> Self {
        Self { agent }
    }

    /// Sends a request and reads the response, blocking.
    ///
    /// # Errors
    /// [`TransportError`] if no complete response came; it says whether the request may have arrived.
    pub fn execute(&self, request: &HttpRequest) -> Result<HttpResponse, TransportError> {
        let mut body = Form {
            rest: request.body().as_bytes(),
            is_going_out: false,
        };
        let result = self.send(request, &mut body);
        let result = result.map_err(|error| TransportError {
            may_have_been_sent: body.is_going_out,
            ..transport_error(&error)
        });
        note("POST", request.url(), &result);
        result
    }

    /// A session's call to the API.
    #[cfg(all(feature = "loopback", feature = "os-rng"))]
    pub(crate) fn call(&self, call: &ApiCall<'_>) -> Result<HttpResponse, TransportError> {
        let result = self.call_api(call);
        let result = result.map_err(|error| transport_error(&error));
        note(call.method, call.url, &result);
        result
    }

    #[cfg(all(feature = "loopback", feature = "os-rng"))]
    fn call_api(&self, call: &ApiCall<'_>) -> Result<HttpResponse, ureq::Error> {
        let agent = &self.agent;
        let response = match call.method {
            "POST" => self.safe(agent.post(call.url))?.with(call)?,
            "PUT" => self.safe(agent.put(call.url))?.with(call)?,
            "PATCH" => self.safe(agent.patch(call.url))?.with(call)?,
            "DELETE" if call.body.is_some() => {
                let delete = self.safe(agent.delete(call.url))?;
                delete.force_send_body().with(call)?
            }
            "DELETE" => self.safe(agent.delete(call.url))?.with(call)?,
            _ => self.safe(agent.get(call.url))?.with(call)?,
        };
        read(response, MAX_API_BODY)
    }

    fn send(&self, request: &HttpRequest, body: &mut Form) -> Result<HttpResponse, ureq::Error> {
        let mut post = self.safe(self.agent.post(request.url()))?;
        for (name, value) in request.headers() {
            post = post.header(name, value);
        }
        let post = post.header("Content-Length", body.rest.len());
        let response = post.send(ureq::SendBody::from_reader(body))?;
        read(response, HttpResponse::MAX_BODY as u64)
    }

    /// What no agent may do otherwise.
    fn safe<Any>(
        &self,
        request: ureq::RequestBuilder<Any>,
    ) -> Result<ureq::RequestBuilder<Any>, ureq::Error> {
        let on_loopback = match request.uri_ref() {
            Some(uri) => is_on_loopback(uri)?,
            // ureq says what is wrong with it.
            None => false,
        };
        let config = self.agent.config();
        let timeout = config.timeouts().global;
        let is_safe = config.max_redirects() == 0
            && !config.http_status_as_error()
            && !config.https_only()
            && timeout.is_some();
        let goes_by_proxy = on_loopback && config.proxy().is_some();
        if is_safe && !goes_by_proxy {
            return Ok(request);
        }
        let config = request
            .config()
            .max_redirects(0)
            .http_status_as_error(false)
            .https_only(!on_loopback)
            .timeout_global(timeout.or(Some(TOTAL_TIMEOUT)));
        Ok(match on_loopback {
            true => config.proxy(None).build(),
            false => config.build(),
        })
    }
}

/// Whether it goes to a loopback address. An error if it goes anywhere else without TLS.
fn is_on_loopback(uri: &Uri) -> Result<bool, ureq::Error> {
    let host = uri.host().unwrap_or_default();
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse();
    if ip.is_ok_and(|ip: IpAddr| ip.is_loopback()) {
        return Ok(true);
    }
    match uri.scheme() == Some(&Scheme::HTTPS) {
        true => Ok(false),
        false => Err(ureq::Error::RequireHttpsOnly(host.to_owned())),
    }
}

/// A request's body, which knows whether ureq has begun to send it. Before that there was a connection,
/// and a proxy and TLS if need be: an error alone does not tell whether it came from one of them.
struct Form<'a> {
    rest: &'a [u8],
    is_going_out: bool,
}

impl io::Read for Form<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.is_going_out = true;
        self.rest.read(buffer)
    }
}

/// A call to an API, with the token in its header.
#[cfg(all(feature = "loopback", feature = "os-rng"))]
pub(crate) struct ApiCall<'a> {
    pub(crate) method: &'static str,
    pub(crate) url: &'a str,
    pub(crate) headers: &'a [(String, String)],
    pub(crate) body: Option<&'a [u8]>,
    pub(crate) authorization: &'a crate::secret::Secret,
}

#[cfg(all(feature = "loopback", feature = "os-rng"))]
impl ApiCall<'_> {
    fn dress<Any>(&self, mut request: ureq::RequestBuilder<Any>) -> ureq::RequestBuilder<Any> {
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let says = |name: &str| {
            self.headers
                .iter()
                .any(|(own, _)| own.eq_ignore_ascii_case(name))
        };
        if !says("Accept") {
            request = request.header("Accept", "application/json");
        }
        request.header("Authorization", self.authorization.expose())
    }
}

/// ureq has two kinds of request builders, for methods with a body and for those without.
#[cfg(all(feature = "loopback", feature = "os-rng"))]
trait Dressed {
    fn with(self, call: &ApiCall<'_>) -> Result<ureq::http::Response<ureq::Body>, ureq::Error>;
}

#[cfg(all(feature = "loopback", feature = "os-rng"))]
impl Dressed for ureq::RequestBuilder<ureq::typestate::WithBody> {
    fn with(self, call: &ApiCall<'_>) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let request = call.dress(self);
        match call.body {
            Some(body) => request.send(body),
            None => request.send_empty(),
        }
    }
}

#[cfg(all(feature = "loopback", feature = "os-rng"))]
impl Dressed for ureq::RequestBuilder<ureq::typestate::WithoutBody> {
    fn with(self, call: &ApiCall<'_>) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        call.dress(self).call()
    }
}

fn read(
    mut response: ureq::http::Response<ureq::Body>,
    limit: u64,
) -> Result<HttpResponse, ureq::Error> {
    let status = response.status().as_u16();
    let retry_after = response.headers().get("retry-after");
    let retry_after = retry_after.and_then(|value| value.to_str().ok().map(str::to_owned));
    let body = response
        .body_mut()
        .with_config()
        .limit(limit)
        .read_to_vec()?;
    let mut answer = HttpResponse::new(status, body);
    answer.retry_after = retry_after;
    Ok(answer)
}

/// Logs where a request went, and no more of the address than that, and what came of it.
fn note(method: &str, url: &str, result: &Result<HttpResponse, TransportError>) {
    if !log::log_enabled!(log::Level::Debug) {
        return;
    }
    let to = Url::parse(url).map(|url| url.origin().ascii_serialization());
    let to = to.unwrap_or_default();
    match result {
        Ok(response) => log::debug!("{method} {to}: HTTP {}", response.status),
        Err(error) => log::debug!("{method} {to}: {error}"),
    }
}

fn agent() -> ureq::config::ConfigBuilder<ureq::typestate::AgentScope> {
    let config = Agent::config_builder()
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_global(Some(TOTAL_TIMEOUT))
        .max_redirects(0)
        .http_status_as_error(false)
        .user_agent(concat!("authflow/", env!("CARGO_PKG_VERSION")));
    #[cfg(any(
        feature = "native-tls",
        all(feature = "platform-verifier", feature = "rustls")
    ))]
    let config = config.tls_config(tls());
    config
}

/// ureq wants the choice made by hand where it is not rustls with Mozilla's roots.
#[cfg(any(
    feature = "native-tls",
    all(feature = "platform-verifier", feature = "rustls")
))]
fn tls() -> ureq::tls::TlsConfig {
    use ureq::tls::TlsConfig;
    let config = TlsConfig::builder();
    #[cfg(all(feature = "native-tls", not(feature = "rustls")))]
    let config = config.provider(ureq::tls::TlsProvider::NativeTls);
    #[cfg(feature = "platform-verifier")]
    let config = config.root_certs(ureq::tls::RootCerts::PlatformVerifier);
    config.build()
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

/// Says nothing of the agent, which may know a proxy's password.
impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}

/// Not a proxy address: write one like `http://proxy.example:8080`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidProxy;

impl fmt::Display for InvalidProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a proxy address: write one like http://proxy.example:8080")
    }
}

impl std::error::Error for InvalidProxy {}

/// What a fault of ureq's means here. When in doubt, the request may have arrived; where a [`Form`] was
/// watched, there is none.
fn transport_error(error: &ureq::Error) -> TransportError {
    use TransportErrorKind as Kind;
    use ureq::Timeout;
    let (kind, may_have_been_sent) = match error {
        ureq::Error::HostNotFound => (Kind::Dns, false),
        ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => (Kind::Timeout, false),
        ureq::Error::Timeout(_) => (Kind::Timeout, true),
        ureq::Error::ConnectionFailed
        | ureq::Error::ConnectProxyFailed(_)
        | ureq::Error::InvalidProxyUrl => (Kind::Connect, false),
        ureq::Error::Tls(_) | ureq::Error::TlsRequired => (Kind::Tls, false),
        #[cfg(feature = "rustls")]
        ureq::Error::Rustls(_) => (Kind::Tls, false),
        #[cfg(feature = "native-tls")]
        ureq::Error::NativeTls(_) => (Kind::Tls, false),
        ureq::Error::RequireHttpsOnly(_) | ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
            (Kind::Other, false)
        }
        ureq::Error::BodyExceedsLimit(_) => (Kind::TooLarge, true),
        ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..) => (Kind::Protocol, true),
        // The connection has ended within the line that says how large a chunk is.
        ureq::Error::BodyStalled => (Kind::Closed, true),
        ureq::Error::Io(error) if is_lookup_failure(error) => (Kind::Dns, false),
        ureq::Error::Io(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::AddrNotAvailable => (Kind::Connect, false),
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => (Kind::Timeout, true),
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
            | io::ErrorKind::UnexpectedEof => (Kind::Closed, true),
            // rustls reports a refused certificate in this way.
            io::ErrorKind::InvalidData if error.get_ref().is_some() => (Kind::Tls, true),
            _ => (Kind::Other, true),
        },
        _ => (Kind::Other, true),
    };
    TransportError {
        kind,
        may_have_been_sent,
    }
}

/// The standard library has a text for a name that can't be resolved, but no kind.
fn is_lookup_failure(error: &io::Error) -> bool {
    match error.raw_os_error() {
        // Windows: WSAHOST_NOT_FOUND to WSANO_DATA.
        Some(code) => cfg!(windows) && matches!(code, 11001..=11004),
        None => error.to_string().starts_with("failed to lookup address"),
    }
}
