//! A run as JSON lines that the example `drive` reads.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::flaw::Flaw;
use crate::provider::CheckedProvider;
use crate::{
    Client, ClientAuth, Event, HttpResponse, LoginSecrets, Snapshot, Timestamp, TokenSet, spotify,
};

/// What happened to a flow, one JSON object a line, as the example `drive` of this library reads it:
/// `cargo run --example drive < transcript.jsonl` shows what a flow that was driven rightly did and
/// asked for, line by line. A member `note` says what the line alone does not, and
/// `flaw` at the last line what the program did wrong; `drive` passes both by.
///
/// **Tokens, codes and the client's secret are in it in the clear**: a simulation's are made up, but a
/// client's secret is the one you gave it. `Debug` shows none.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Transcript {
    lines: Vec<String>,
}

impl Transcript {
    /// The lines so far.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// All lines, each with its end.
    #[must_use]
    pub fn to_jsonl(&self) -> String {
        self.lines.iter().flat_map(|line| [line, "\n"]).collect()
    }

    /// A flow begins with nobody logged in. What `drive` has no word for is left out: repair steps,
    /// other redirect rules than Spotify's, additional token parameters, and a token swap.
    pub fn begin(&mut self, client: &Client) {
        self.push(json!({ "config": config(client) }), None);
    }

    /// A flow goes on with what was saved.
    pub fn restore(&mut self, saved: &Snapshot, now: Timestamp) {
        self.push(json!({ "now": now.as_millis(), "restore": saved }), None);
    }

    /// An event. Of tokens to adopt, `drive` takes no more than [`TokenSet`]'s own setters say, but
    /// for the time of the consent.
    pub fn event(&mut self, event: &Event, now: Timestamp) {
        self.note(event, now, None);
    }

    /// The same, with a word about it.
    pub fn note(&mut self, event: &Event, now: Timestamp, note: Option<&str>) {
        self.push(
            json!({ "now": now.as_millis(), "event": self::event(event) }),
            note,
        );
    }

    /// What was wrong after the last line.
    pub(super) fn mark(&mut self, flaw: Flaw) {
        let last = self.lines.pop();
        let line = last.and_then(|line| serde_json::from_str::<Value>(&line).ok());
        if let Some(mut line) = line {
            line["flaw"] = flaw.to_string().into();
            self.push(line, None);
        }
    }

    pub(super) fn push(&mut self, mut line: Value, note: Option<&str>) {
        if let (Some(line), Some(note)) = (line.as_object_mut(), note) {
            line.insert("note".to_owned(), note.into());
        }
        self.lines.push(line.to_string());
    }
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transcript({} lines)", self.lines.len())
    }
}

fn config(client: &Client) -> Value {
    let mut config = json!({
        "provider": provider(client),
        "client_id": client.id(),
        "scopes": client.scopes().iter().collect::<Vec<_>>(),
        "leeway_ms": millis(client.leeway),
        "login_timeout_ms": millis(client.login_timeout),
        "request_timeout_ms": millis(client.request_timeout),
        "auto_refresh": client.auto_refresh,
        "extra": client.authorize_params,
    });
    if let Some(secret) = &client.secret {
        config["client_secret"] = secret.expose().into();
        config["client_auth"] = match client.auth {
            ClientAuth::Basic => "basic",
            ClientAuth::BasicUnencoded => "basic_unencoded",
            ClientAuth::Body => "body",
        }
        .into();
    }
    config
}

fn provider(client: &Client) -> Value {
    let own = &client.provider;
    let endpoints = |provider: &CheckedProvider| {
        let both = [&provider.authorization_endpoint, &provider.token_endpoint];
        both.map(|endpoint| endpoint.as_str().to_owned())
    };
    let spotify = spotify::provider().check();
    if spotify.is_ok_and(|spotify| endpoints(&spotify) == endpoints(own)) {
        return "spotify".into();
    }
    let [authorization_endpoint, token_endpoint] = endpoints(own);
    json!({
        "authorization_endpoint": authorization_endpoint,
        "token_endpoint": token_endpoint,
        "issuer": own.issuer,
        "iss_required": own.iss_required,
        "refresh_token_lifetime_ms": own.refresh_token_lifetime.map(millis),
    })
}

fn event(event: &Event) -> Value {
    match event {
        Event::BeginLogin {
            secrets,
            redirect_uri,
        } => json!({ "begin_login": {
            "entropy": entropy(secrets),
            "redirect_uri": redirect_uri.as_str(),
        }}),
        Event::Callback { url } => json!({ "callback": { "url": url.expose() } }),
        Event::CancelLogin => json!({ "cancel_login": {} }),
        Event::Response { id, result: Ok(it) } => json!({ "response": response(id.as_u64(), it) }),
        Event::Response {
            id,
            result: Err(it),
        } => json!({ "transport_error": {
            "id": id.as_u64(),
            "sent": it.may_have_been_sent,
            "kind": it.kind.name(),
        }}),
        Event::Refresh => json!({ "refresh": {} }),
        Event::TokenRejected { serial } => {
            json!({ "token_rejected": { "serial": serial.as_u64() } })
        }
        Event::AdoptTokens(tokens) => json!({ "adopt_tokens": adopted(tokens) }),
        Event::LogOut => json!({ "log_out": {} }),
        Event::Tick => json!({ "tick": {} }),
    }
}

fn response(id: u64, response: &HttpResponse) -> Value {
    let mut said = json!({ "id": id, "status": response.status });
    if let Some(retry_after) = &response.retry_after {
        said["headers"] = json!([["Retry-After", retry_after]]);
    }
    match std::str::from_utf8(&response.body) {
        Ok("") => {}
        Ok(body) => said["body"] = body.into(),
        Err(_) => said["body_base64"] = STANDARD.encode(&*response.body).into(),
    }
    said
}

fn adopted(tokens: &TokenSet) -> Value {
    let mut set = json!({ "access_token": tokens.access_token.expose() });
    if let Some(token) = &tokens.refresh_token {
        set["refresh_token"] = token.expose().into();
    }
    if let Some(at) = tokens.expires_at {
        set["expires_at"] = at.as_millis().into();
    }
    if let Some(scopes) = &tokens.scopes {
        set["scopes"] = scopes.iter().collect();
    }
    set
}

/// The bytes that the secrets were made of, as hexadecimal digits.
fn entropy(secrets: &LoginSecrets) -> String {
    let halves = [&secrets.state, &secrets.verifier];
    let bytes = halves.map(|half| URL_SAFE_NO_PAD.decode(half.expose()).unwrap_or_default());
    let bytes = bytes.concat();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
