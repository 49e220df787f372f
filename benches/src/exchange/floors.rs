//! What an exchange costs without a library.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use ureq::Agent;

use super::Exchange;
use crate::fixture;
use crate::libraries::{by_hand, same_crates};

const CONTENT_TYPE: &str = "application/x-www-form-urlencoded";
/// As much of an answer as authflow reads.
const MAX_BODY: u64 = 1 << 20;

/// What authflow's driver sets, set once.
#[must_use]
pub fn agent(with_timeouts: bool) -> Agent {
    let config = Agent::config_builder()
        .user_agent("authflow/0.1.0")
        .max_redirects(0)
        .http_status_as_error(false)
        .https_only(false)
        .proxy(None);
    let config = match with_timeouts {
        true => config
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_global(Some(Duration::from_secs(30))),
        false => config,
    };
    config.build().into()
}

/// The request that authflow sends.
#[must_use]
pub fn post(agent: &Agent, url: &str, form: &str) -> Vec<u8> {
    let post = agent
        .post(url)
        .header("Content-Type", CONTENT_TYPE)
        .header("Accept", "application/json");
    let mut response = post.send(form).expect("an answer");
    assert_eq!(response.status(), 200);
    let body = response.body_mut().with_config().limit(MAX_BODY);
    body.read_to_vec().expect("a whole answer")
}

/// Carries a request that a library has made.
#[cfg(any(feature = "oauth2", feature = "openidconnect"))]
pub fn run(
    agent: &Agent,
    request: ureq::http::Request<Vec<u8>>,
) -> Result<ureq::http::Response<Vec<u8>>, ureq::Error> {
    let (head, mut body) = agent.run(request)?.into_parts();
    let body = body.with_config().limit(MAX_BODY).read_to_vec()?;
    Ok(ureq::http::Response::from_parts(head, body))
}

/// A ready form is sent, and the answer is not looked at.
pub struct BareUreq<const WITH_TIMEOUTS: bool> {
    agent: Agent,
    url: String,
    form: String,
}

impl<const WITH_TIMEOUTS: bool> Exchange for BareUreq<WITH_TIMEOUTS> {
    type Ready = ();

    fn new(token_url: &str) -> Self {
        Self {
            agent: agent(WITH_TIMEOUTS),
            url: token_url.to_owned(),
            form: by_hand::token_request(&fixture::code(), fixture::VERIFIER),
        }
    }

    fn prepare(&self) {}

    fn exchange(&mut self, (): ()) {
        let body = post(&self.agent, &self.url, &self.form);
        assert!(!body.is_empty());
    }
}

pub struct ByHand {
    agent: Agent,
    url: String,
}

impl Exchange for ByHand {
    type Ready = String;

    fn new(token_url: &str) -> Self {
        Self {
            agent: agent(true),
            url: token_url.to_owned(),
        }
    }

    fn prepare(&self) -> String {
        fixture::target(fixture::STATE)
    }

    fn exchange(&mut self, target: String) {
        let form = token_request(&target);
        let body = post(&self.agent, &self.url, &form);
        let body = std::str::from_utf8(&body).expect("JSON");
        drop(by_hand::response(body));
    }
}

fn token_request(target: &str) -> String {
    let code = by_hand::callback(target, fixture::STATE);
    by_hand::token_request(&code, fixture::VERIFIER)
}

pub struct SameCrates {
    agent: Agent,
    url: String,
}

impl Exchange for SameCrates {
    type Ready = String;

    fn new(token_url: &str) -> Self {
        Self {
            agent: agent(true),
            url: token_url.to_owned(),
        }
    }

    fn prepare(&self) -> String {
        fixture::target(fixture::STATE)
    }

    fn exchange(&mut self, target: String) {
        let code = same_crates::callback(&target, fixture::STATE);
        let form = same_crates::form(&same_crates::Form::AuthorizationCode {
            code: &code,
            redirect_uri: fixture::REDIRECT_URI,
            code_verifier: fixture::VERIFIER,
            client_id: fixture::CLIENT_ID,
        });
        let body = post(&self.agent, &self.url, &form);
        let body = std::str::from_utf8(&body).expect("JSON");
        drop(same_crates::response(body));
    }
}

/// By hand, and HTTP too.
pub struct RawSocket {
    stream: TcpStream,
    host: String,
    buffer: Vec<u8>,
}

impl Exchange for RawSocket {
    type Ready = String;

    fn new(token_url: &str) -> Self {
        let host = token_url
            .split('/')
            .nth(2)
            .expect("a host and port")
            .to_owned();
        let stream = TcpStream::connect(&host).expect("the endpoint");
        stream.set_nodelay(true).expect("a socket");
        Self {
            stream,
            host,
            buffer: vec![0; 8192],
        }
    }

    fn prepare(&self) -> String {
        fixture::target(fixture::STATE)
    }

    fn exchange(&mut self, target: String) {
        let form = token_request(&target);
        let request = format!(
            "POST /api/token HTTP/1.1\r\nHost: {}\r\nContent-Type: {CONTENT_TYPE}\r\nAccept: application/json\r\nContent-Length: {}\r\n\r\n{form}",
            self.host,
            form.len(),
        );
        self.stream.write_all(request.as_bytes()).expect("a socket");
        let body = self.answer();
        let body = std::str::from_utf8(body).expect("JSON");
        drop(by_hand::response(body));
    }
}

impl RawSocket {
    fn answer(&mut self) -> &[u8] {
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]);
            filled += read.ok().filter(|read| *read > 0).expect("an answer");
            let text = std::str::from_utf8(&self.buffer[..filled]).expect("text");
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            assert!(head.starts_with("HTTP/1.1 200 "));
            let length = head.split_once("Content-Length: ").expect("a length").1;
            let length = length.lines().next().and_then(|text| text.parse().ok());
            if Some(body.len()) == length {
                return &self.buffer[head.len() + 4..filled];
            }
        }
    }
}
