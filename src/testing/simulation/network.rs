//! The way to the provider and back, and the provider at its end: the rules of the fake one.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::chance::Chance;
use super::plan::Plan;
use crate::testing::fault::{Fault, Outcome};
use crate::testing::http::{Reply, Request};
use crate::testing::person::{self, Answer};
use crate::testing::server::{Config, Server, Standing};
use crate::{Client, HttpRequest, HttpResponse, RequestId, TransportError, TransportErrorKind};

/// Times are counted from the start of the run.
pub(super) struct Network {
    pub(super) server: Server,
    token_endpoint: String,
    latency: Duration,
    offline_until: Duration,
    outage_until: Duration,
    queue: BTreeMap<(Duration, u64), Item>,
    queued: u64,
}

/// Something on its way.
pub(super) enum Item {
    Request(Sent, Request),
    /// The same, once it has been kept waiting.
    Admitted(Sent, Request, u64),
    Answer(Sent, Answered),
    Callback(String),
}

/// A request, and which life of the program sent it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sent {
    pub(super) life: u64,
    pub(super) id: RequestId,
}

pub(super) struct Answered {
    pub(super) result: Result<HttpResponse, TransportError>,
    pub(super) note: Option<&'static str>,
}

/// What the provider did at a request, for whoever keeps the books.
pub(super) struct Acted {
    pub(super) sent: Sent,
    /// It made a refresh token that replaces another.
    pub(super) rotated: bool,
    pub(super) duplicated: bool,
}

impl Network {
    pub(super) fn new(client: &Client, redirect_uri: &str, plan: &Plan) -> Self {
        let provider = &plan.provider;
        let config = Config {
            client_id: client.id().to_owned(),
            client_secret: client.secret.as_ref().map(|it| it.expose().to_owned()),
            redirect_uris: vec![redirect_uri.to_owned()],
            known_scopes: None,
            expires_in: Duration::from_secs(provider.expires_in.as_secs()),
            refresh_token_lifetime: provider.refresh_token_lifetime,
            rotation: provider.rotation,
            code_reuse_revokes: provider.code_reuse_revokes,
            issuer: client.provider.issuer.clone(),
        };
        Self {
            server: Server::new(config, Chance::new(1).bytes()),
            token_endpoint: client.provider.token_endpoint.as_str().to_owned(),
            latency: provider.latency,
            offline_until: Duration::ZERO,
            outage_until: Duration::ZERO,
            queue: BTreeMap::new(),
            queued: 0,
        }
    }

    pub(super) fn is_offline(&self, now: Duration) -> bool {
        now < self.offline_until
    }

    pub(super) fn is_out(&self, now: Duration) -> bool {
        now < self.outage_until
    }

    pub(super) fn go_offline(&mut self, until: Duration) {
        self.offline_until = until;
    }

    pub(super) fn fail_until(&mut self, until: Duration) {
        self.outage_until = until;
    }

    /// From now on nothing goes wrong that has not gone wrong yet.
    pub(super) fn heal(&mut self) {
        self.server.token_desk.faults.clear();
        (self.offline_until, self.outage_until) = (Duration::ZERO, Duration::ZERO);
    }

    fn put(&mut self, at: Duration, item: Item) {
        self.queued = self.queued.wrapping_add(1);
        self.queue.insert((at, self.queued), item);
    }

    pub(super) fn next_at(&self) -> Option<Duration> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn pop(&mut self) -> Option<Item> {
        self.queue.pop_first().map(|(_, item)| item)
    }

    pub(super) fn send(&mut self, sent: Sent, request: &HttpRequest, now: Duration) {
        let at = now.saturating_add(self.latency);
        if self.is_offline(now) {
            let result = lost(TransportErrorKind::Connect, false);
            return self.put(at, Item::Answer(sent, result));
        }
        let path = match request.url() == self.token_endpoint {
            true => "/api/token",
            false => "/elsewhere",
        };
        let mut arriving = Request::post(path, request.body());
        arriving.headers = request
            .headers()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        self.put(at, Item::Request(sent, arriving));
    }

    /// A request is there. `None` if it is kept waiting.
    pub(super) fn arrive(&mut self, sent: Sent, request: Request, now: Duration) -> Option<Acted> {
        let received = self
            .server
            .desk_at(&request.path)
            .map(|it| it.receive(&request));
        let (number, fault) = received.unwrap_or((0, None));
        if let Some(Fault::Slow(wait)) = fault {
            self.put(
                now.saturating_add(wait),
                Item::Admitted(sent, request, number),
            );
            return None;
        }
        Some(self.serve(sent, &request, number, fault, now))
    }

    pub(super) fn serve(
        &mut self,
        sent: Sent,
        request: &Request,
        number: u64,
        fault: Option<Fault>,
        now: Duration,
    ) -> Acted {
        let fault = match self.is_out(now) {
            true => Some(Fault::Unavailable),
            false => fault,
        };
        let duplicated = fault == Some(Fault::Duplicated);
        let note = match &fault {
            Some(Fault::DropBefore) => Some("the request was lost"),
            Some(Fault::DropAfter) => Some("the provider has acted, and its answer was lost"),
            Some(Fault::Late(_)) => Some("the provider acted at once, and its answer was late"),
            Some(Fault::Duplicated) => Some("the request reached the provider twice"),
            Some(Fault::TruncatedJson) => {
                Some("the provider has acted, and half its answer is lost")
            }
            _ => None,
        };
        let replaced = self.replaced();
        let outcome = self.server.serve(request, number, fault, now);
        let rotated = self.replaced() > replaced;
        let (wait, result) = match outcome {
            Outcome::Reply(reply) => (Duration::ZERO, received(reply)),
            Outcome::Late(wait, reply) => (wait, received(reply)),
            Outcome::HangUp => (
                Duration::ZERO,
                lost(TransportErrorKind::Closed, true).result,
            ),
            Outcome::Endless(_) => (
                Duration::ZERO,
                lost(TransportErrorKind::TooLarge, true).result,
            ),
        };
        let answered = Answered { result, note };
        self.put(
            now.saturating_add(wait).saturating_add(self.latency),
            Item::Answer(sent, answered),
        );
        Acted {
            sent,
            rotated,
            duplicated,
        }
    }

    fn replaced(&self) -> usize {
        let tokens = self.server.refresh_tokens.values();
        tokens.filter(|it| it.standing == Standing::Rotated).count()
    }

    /// Answers the provider's question at this authorization URL. Where the browser goes then.
    pub(super) fn answer(&mut self, url: &str, answer: Answer, now: Duration) -> Option<String> {
        let (_, query) = url.split_once('?')?;
        let page = Request::get(&format!("/authorize?{query}"));
        let page = self.server.handle(&page, now);
        if let Some(location) = person::redirect(&page) {
            return Some(location.to_owned());
        }
        let (action, form) = person::filled_in(&page, answer, None)?;
        let reply = self.server.handle(&Request::post(&action, &form), now);
        person::redirect(&reply).map(str::to_owned)
    }

    /// The browser is on its way back.
    pub(super) fn come_back(&mut self, url: String, now: Duration) {
        self.put(now.saturating_add(self.latency), Item::Callback(url));
    }

    /// Whether the API takes this token.
    pub(super) fn takes(&mut self, token: &str, now: Duration) -> bool {
        let request = Request::get("/v1/me");
        let request = request.with_header("Authorization", &format!("Bearer {token}"));
        self.server.handle(&request, now).status != 401
    }

    /// Whether a refresh token has reached the age at which all end.
    pub(super) fn has_lapsed(&self, token: &str, now: Duration) -> bool {
        let server = &self.server;
        let token = server.refresh_tokens.get(token);
        let age = token.map(|it| now.saturating_sub(it.authorized));
        age.is_some_and(|age| age >= server.config.refresh_token_lifetime)
    }

    /// Whether a refresh with this token would work.
    pub(super) fn is_live(&self, token: &str, now: Duration) -> bool {
        self.server.is_live(token, now)
    }
}

pub(super) fn lost(kind: TransportErrorKind, may_have_been_sent: bool) -> Answered {
    Answered {
        result: Err(TransportError {
            kind,
            may_have_been_sent,
        }),
        note: None,
    }
}

fn received(reply: Reply) -> Result<HttpResponse, TransportError> {
    let response = HttpResponse::new(reply.status, reply.body);
    let headers = reply.headers.iter();
    Ok(headers.fold(response, |it, (name, value)| it.with_header(name, value)))
}

/// Whether there are tokens in an answer.
pub(super) fn has_tokens(result: &Result<HttpResponse, TransportError>) -> bool {
    let body = result.as_ref().map(|it| serde_json::from_slice(it.body()));
    matches!(body, Ok(Ok(Value::Object(body))) if body.contains_key("access_token"))
}
