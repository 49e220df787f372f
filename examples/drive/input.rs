//! Lines in.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use authflow::{
    CallbackUrl, Client, ClientAuth, ConfigError, Event, HttpResponse, LoginSecrets, Misuse,
    Provider, RequestId, RestoreError, Scopes, Timestamp, TokenSerial, TokenSet, TransportError,
    TransportErrorKind, spotify,
};

/// One line, read.
pub enum Line {
    Config(Box<Result<Client, Fault>>),
    Event {
        event: Map<String, Value>,
        now: Timestamp,
    },
    Snapshot,
    Restore {
        saved: Value,
        now: Timestamp,
    },
}

/// Why a line was not taken.
pub struct Fault {
    pub kind: &'static str,
    pub name: String,
    pub message: String,
}

impl Fault {
    pub fn input(name: &str, message: &str) -> Self {
        Self {
            kind: "input",
            name: name.to_owned(),
            message: message.to_owned(),
        }
    }

    pub fn misuse(misuse: Misuse) -> Self {
        Self {
            kind: "misuse",
            name: misuse.name().to_owned(),
            message: misuse.to_string(),
        }
    }

    pub fn restore(error: RestoreError) -> Self {
        Self {
            kind: "restore",
            name: error.name().to_owned(),
            message: error.to_string(),
        }
    }

    fn config(error: &ConfigError) -> Self {
        Self {
            kind: "config",
            name: error.name().to_owned(),
            message: error.to_string(),
        }
    }

    fn missing(member: &str, what: &str) -> Self {
        Self::input("Member", &format!("{member:?} must be {what}"))
    }
}

/// Reads a line. What kind it is follows from its members.
pub fn read(line: &[u8]) -> Result<Line, Fault> {
    let value: Value = serde_json::from_slice(line)
        .map_err(|_| Fault::input("Json", "the line is not one JSON object"))?;
    let Value::Object(mut line) = value else {
        return Err(Fault::input("Json", "the line is not one JSON object"));
    };
    if let Some(config) = line.remove("config") {
        let config = object(Some(&config), "config")?;
        return Ok(Line::Config(Box::new(self::config(config))));
    }
    if line.get("snapshot") == Some(&Value::Bool(true)) {
        return Ok(Line::Snapshot);
    }
    let now = || {
        let millis = line.get("now").and_then(Value::as_u64);
        let millis = millis.ok_or_else(|| Fault::missing("now", "milliseconds, a whole number"))?;
        Ok(Timestamp::from_millis(millis))
    };
    if let Some(saved) = line.get("restore") {
        return Ok(Line::Restore {
            saved: saved.clone(),
            now: now()?,
        });
    }
    let now = now()?;
    let event = object(line.get("event"), "event")?;
    if event.len() != 1 {
        return Err(Fault::missing("event", "an object with one member"));
    }
    Ok(Line::Event {
        event: event.clone(),
        now,
    })
}

fn config(config: &Map<String, Value>) -> Result<Client, Fault> {
    let id = text(config, "client_id")?;
    let provider = match config.get("provider") {
        Some(Value::String(name)) if name == "spotify" => spotify::provider(),
        Some(Value::Object(provider)) => {
            let authorization_endpoint = text(provider, "authorization_endpoint")?;
            let token_endpoint = text(provider, "token_endpoint")?;
            let mut builder = Provider::new(authorization_endpoint, token_endpoint);
            if let Some(issuer) = optional_text(provider, "issuer")? {
                builder = builder.issuer(issuer);
            }
            if optional_bool(provider, "iss_required")?.unwrap_or(false) {
                builder = builder.iss_required();
            }
            builder
        }
        _ => return Err(Fault::missing("provider", "\"spotify\" or an object")),
    };
    let mut builder = Client::builder(provider, id);
    if let Some(secret) = optional_text(config, "client_secret")? {
        builder = builder.secret(secret);
    }
    match optional_text(config, "client_auth")? {
        None | Some("basic") => {}
        Some("body") => builder = builder.auth(ClientAuth::Body),
        Some(_) => return Err(Fault::missing("client_auth", "\"basic\" or \"body\"")),
    }
    if let Some(scopes) = optional_texts(config, "scopes")? {
        builder = builder.scopes(scopes);
    }
    if let Some(extra) = config.get("extra") {
        let pair = |pair: &Value| match pair.as_array().map(Vec::as_slice) {
            Some([Value::String(name), Value::String(value)]) => {
                Some((name.clone(), value.clone()))
            }
            _ => None,
        };
        let pairs: Option<Vec<_>> = extra
            .as_array()
            .and_then(|list| list.iter().map(pair).collect());
        let pairs = pairs.ok_or_else(|| Fault::missing("extra", "a list of [name, value]"))?;
        for (name, value) in pairs {
            builder = builder.authorize_param(name, value);
        }
    }
    if let Some(leeway) = optional_number(config, "leeway_ms")? {
        builder = builder.leeway(Duration::from_millis(leeway));
    }
    if let Some(on) = optional_bool(config, "auto_refresh")? {
        builder = builder.auto_refresh(on);
    }
    builder.build().map_err(|error| Fault::config(&error))
}

/// Reads an event.
pub fn event(event: &Map<String, Value>, client: &Client) -> Result<Event, Fault> {
    let (name, fields) = event
        .iter()
        .next()
        .ok_or_else(|| Fault::missing("event", "an object with one member"))?;
    let fields = object(Some(fields), name)?;
    Ok(match name.as_str() {
        "begin_login" => {
            let entropy = entropy(text(fields, "entropy")?)
                .ok_or_else(|| Fault::missing("entropy", "128 hexadecimal digits"))?;
            let redirect_uri = client
                .redirect_uri(text(fields, "redirect_uri")?)
                .map_err(|error| Fault::config(&error))?;
            Event::BeginLogin {
                secrets: LoginSecrets::from_entropy(entropy),
                redirect_uri,
            }
        }
        "callback" => Event::Callback {
            url: CallbackUrl::new(text(fields, "url")?),
        },
        "cancel_login" => Event::CancelLogin,
        "response" => Event::Response {
            id: RequestId::from_u64(number(fields, "id")?),
            result: Ok(response(fields)?),
        },
        "transport_error" => Event::Response {
            id: RequestId::from_u64(number(fields, "id")?),
            result: Err(transport_error(fields)?),
        },
        "refresh" => Event::Refresh,
        "token_rejected" => Event::TokenRejected {
            serial: TokenSerial::from_u64(number(fields, "serial")?),
        },
        "adopt_tokens" => Event::AdoptTokens(token_set(fields)?),
        "log_out" => Event::LogOut,
        "tick" => Event::Tick,
        _ => return Err(Fault::input("Event", "there is no event of this name")),
    })
}

fn entropy(hex: &str) -> Option<[u8; 64]> {
    let digits = hex.as_bytes();
    if digits.len() != 128 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut entropy = [0; 64];
    for (byte, at) in entropy.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&hex[at..at + 2], 16).ok()?;
    }
    Some(entropy)
}

fn response(fields: &Map<String, Value>) -> Result<HttpResponse, Fault> {
    let status = number(fields, "status")?;
    let status = u16::try_from(status).map_err(|_| Fault::missing("status", "an HTTP status"))?;
    let body = match (
        optional_text(fields, "body")?,
        optional_text(fields, "body_base64")?,
    ) {
        (Some(body), None) => body.as_bytes().to_vec(),
        (None, Some(body)) => STANDARD
            .decode(body)
            .map_err(|_| Fault::missing("body_base64", "base64"))?,
        (None, None) => Vec::new(),
        (Some(_), Some(_)) => return Err(Fault::missing("body", "given once")),
    };
    let mut response = HttpResponse::new(status, body);
    let headers = match fields.get("headers") {
        None => &[],
        Some(Value::Array(headers)) => headers.as_slice(),
        Some(_) => return Err(Fault::missing("headers", "a list of [name, value]")),
    };
    for header in headers {
        let pair = header.as_array().map(Vec::as_slice);
        let Some([Value::String(name), Value::String(value)]) = pair else {
            return Err(Fault::missing("headers", "a list of [name, value]"));
        };
        response = response.with_header(name, value);
    }
    Ok(response)
}

fn transport_error(fields: &Map<String, Value>) -> Result<TransportError, Fault> {
    let sent = optional_bool(fields, "sent")?;
    let kinds = [
        TransportErrorKind::Dns,
        TransportErrorKind::Connect,
        TransportErrorKind::Tls,
        TransportErrorKind::Timeout,
        TransportErrorKind::Closed,
        TransportErrorKind::Protocol,
        TransportErrorKind::TooLarge,
        TransportErrorKind::Cancelled,
    ];
    let name = text(fields, "kind")?;
    let kind = kinds.into_iter().find(|kind| kind.name() == name);
    Ok(TransportError {
        kind: kind.unwrap_or(TransportErrorKind::Other),
        may_have_been_sent: sent.ok_or_else(|| Fault::missing("sent", "true or false"))?,
    })
}

fn token_set(fields: &Map<String, Value>) -> Result<TokenSet, Fault> {
    let mut set = TokenSet::new(text(fields, "access_token")?);
    if let Some(token) = optional_text(fields, "refresh_token")? {
        set = set.refresh_token(token);
    }
    if let Some(at) = optional_number(fields, "expires_at")? {
        set = set.expires_at(Timestamp::from_millis(at));
    }
    if let Some(scopes) = optional_texts(fields, "scopes")? {
        set = set.scopes(Scopes::new(scopes).map_err(|error| Fault::config(&error))?);
    }
    Ok(set)
}

fn object<'a>(value: Option<&'a Value>, name: &str) -> Result<&'a Map<String, Value>, Fault> {
    value
        .and_then(Value::as_object)
        .ok_or_else(|| Fault::missing(name, "an object"))
}

/// An optional member: absent or null is none, another type is a fault.
fn optional<'a, T>(
    fields: &'a Map<String, Value>,
    name: &str,
    what: &str,
    read: impl FnOnce(&'a Value) -> Option<T>,
) -> Result<Option<T>, Fault> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => read(value)
            .map(Some)
            .ok_or_else(|| Fault::missing(name, what)),
    }
}

fn optional_text<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Fault> {
    optional(fields, name, "a string", Value::as_str)
}

fn optional_number(fields: &Map<String, Value>, name: &str) -> Result<Option<u64>, Fault> {
    optional(fields, name, "a whole number", Value::as_u64)
}

fn optional_bool(fields: &Map<String, Value>, name: &str) -> Result<Option<bool>, Fault> {
    optional(fields, name, "true or false", Value::as_bool)
}

fn optional_texts<'a>(
    fields: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<Vec<&'a str>>, Fault> {
    optional(fields, name, "a list of strings", |value| {
        value.as_array()?.iter().map(Value::as_str).collect()
    })
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<&'a str, Fault> {
    optional_text(fields, name)?.ok_or_else(|| Fault::missing(name, "a string"))
}

fn number(fields: &Map<String, Value>, name: &str) -> Result<u64, Fault> {
    optional_number(fields, name)?.ok_or_else(|| Fault::missing(name, "a whole number"))
}
