//! The backend: it swaps codes and handles for access tokens, and keeps the secret and the provider's
//! refresh tokens to itself.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tiny_http::{Header, Method, Request, Response, Server};

pub struct Backend {
    server: Arc<Server>,
    desk: Arc<Desk>,
    thread: Option<thread::JoinHandle<()>>,
}

struct Desk {
    agent: ureq::Agent,
    token_endpoint: String,
    authorization: String,
    /// What the program has in place of a refresh token, and what it stands for.
    handles: Mutex<HashMap<String, String>>,
}

/// A status and a body.
type Answer = (u16, Value);

/// Codes and handles are short; whatever is longer is none.
const MAX_BODY: usize = 16 << 10;

impl Backend {
    pub fn start(
        token_endpoint: String,
        client_id: &str,
        client_secret: &str,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let basic = STANDARD.encode(format!("{client_id}:{}", client_secret.replace(' ', "%20")));
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(20)));
        let desk = Arc::new(Desk {
            agent: config.build().into(),
            token_endpoint,
            authorization: format!("Basic {basic}"),
            handles: Mutex::default(),
        });
        let server = Arc::new(Server::http("127.0.0.1:0")?);
        let (listening, serving) = (server.clone(), desk.clone());
        let thread = thread::spawn(move || {
            while let Ok(request) = listening.recv() {
                serving.serve(request);
            }
        });
        Ok(Self {
            server,
            desk,
            thread: Some(thread),
        })
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.server_addr())
    }

    /// What nobody else should have, so that the example can look whether anybody does.
    pub fn refresh_tokens(&self) -> Vec<String> {
        self.desk.handles().values().cloned().collect()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Desk {
    fn handles(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut request: Request) {
        let (status, body) = self.answer(&mut request);
        let headers = ["Content-Type: application/json", "Cache-Control: no-store"];
        let headers = headers
            .into_iter()
            .filter_map(|header| header.parse::<Header>().ok());
        let mut response = Response::from_string(body.to_string()).with_status_code(status);
        headers.for_each(|header| response.add_header(header));
        // Whoever asked may have gone.
        let _ = request.respond(response);
    }

    fn answer(&self, request: &mut Request) -> Answer {
        let path = request.url().to_owned();
        if *request.method() != Method::Post || !["/swap", "/refresh"].contains(&path.as_str()) {
            return (404, json!({"error": "invalid_request"}));
        }
        let is_form = request.headers().iter().any(|header| {
            header.field.equiv("Content-Type")
                && header.value == "application/x-www-form-urlencoded"
        });
        if !is_form || request.body_length().is_none_or(|length| length > MAX_BODY) {
            return (400, json!({"error": "invalid_request"}));
        }
        let mut body = String::new();
        if request.as_reader().read_to_string(&mut body).is_err() {
            return (400, json!({"error": "invalid_request"}));
        }
        let form: Vec<(String, String)> = url::form_urlencoded::parse(body.as_bytes())
            .into_owned()
            .collect();
        match path.as_str() {
            "/swap" => self.swap(&form),
            _ => self.refresh(&form),
        }
    }

    fn swap(&self, form: &[(String, String)]) -> Answer {
        let Some(code) = only(form, "code") else {
            return (400, json!({"error": "invalid_request"}));
        };
        let mut pairs = vec![("grant_type", "authorization_code"), ("code", code)];
        for name in ["redirect_uri", "code_verifier"] {
            pairs.extend(only(form, name).map(|value| (name, value)));
        }
        let answer = self.ask(&pairs);
        self.with_handle(answer, None)
    }

    fn refresh(&self, form: &[(String, String)]) -> Answer {
        let handle = only(form, "refresh_token").unwrap_or_default();
        let Some(token) = self.handles().get(handle).cloned() else {
            return (400, json!({"error": "invalid_grant"}));
        };
        let answer = self.ask(&[("grant_type", "refresh_token"), ("refresh_token", &token)]);
        self.with_handle(answer, Some(handle))
    }

    /// Takes the refresh token out, and puts a handle in its place. A handle whose token was replaced
    /// stands for the new one, so that the program loses nothing if this answer gets lost.
    fn with_handle(&self, (status, mut body): Answer, known: Option<&str>) -> Answer {
        let token = body
            .as_object_mut()
            .and_then(|body| body.remove("refresh_token"));
        if let Some(token) = token.as_ref().and_then(Value::as_str) {
            let handle = match known {
                Some(handle) => handle.to_owned(),
                None => match new_handle() {
                    Some(handle) => handle,
                    None => return (503, json!({"error": "temporarily_unavailable"})),
                },
            };
            self.handles().insert(handle.clone(), token.to_owned());
            body["refresh_token"] = handle.into();
        }
        (status, body)
    }

    /// Asks the provider. What it says about errors is passed on; what it says otherwise is not.
    fn ask(&self, pairs: &[(&str, &str)]) -> Answer {
        let post = self.agent.post(&self.token_endpoint);
        let sent = post
            .header("Authorization", &self.authorization)
            .send_form(pairs.iter().copied());
        let unavailable = || (503, json!({"error": "temporarily_unavailable"}));
        let Ok(mut response) = sent else {
            return unavailable();
        };
        let status = response.status().as_u16();
        let body = response
            .body_mut()
            .with_config()
            .limit(1 << 20)
            .read_to_vec();
        let body = body
            .ok()
            .and_then(|body| serde_json::from_slice::<Value>(&body).ok());
        match body {
            Some(body) if body.is_object() => (status, body),
            _ => unavailable(),
        }
    }
}

/// The value of a field that is there exactly once and not empty.
fn only<'a>(form: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut values = form.iter().filter(|(own, _)| own == name);
    let (_, value) = values.next()?;
    (values.next().is_none() && !value.is_empty()).then_some(value)
}

/// 256 bits that nobody guesses.
fn new_handle() -> Option<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}
