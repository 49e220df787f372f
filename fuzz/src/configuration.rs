//! Anything, in the place of what a program configures.

use std::time::Duration;

use authflow::{
    Action, AuthFlow, CallbackUrl, Client, ClientAuth, ConfigError, Event, HttpRequest,
    HttpResponse, LoginSecrets, Provider, TokenSwap, Verdict,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use url::{Url, form_urlencoded};

use super::login::{NOW, drain};

const CODE: &str = "SECRET code/+1";
const REFRESH_TOKEN: &str = "SECRET-refresh/+1";

/// One value on each line.
struct Input<'a> {
    switches: &'a str,
    authorization: &'a str,
    token: &'a str,
    redirect: &'a str,
    scopes: &'a str,
    name: &'a str,
    value: &'a str,
    id: &'a str,
    secret: &'a str,
    issuer: String,
    swap: &'a str,
    all: &'a str,
}

pub fn run(data: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(data);
    let input = Input::read(&text);
    let client = match input.client() {
        Ok(client) => client,
        Err(error) => {
            // It says what to write instead, and no secret.
            let shown = format!("{error}\n{error:?}");
            assert!(!input.has_secret_in(&shown));
            return vec![format!("refused: {}", error.name())];
        }
    };
    let redirect_uri = match client.redirect_uri(input.redirect) {
        Ok(uri) => uri,
        Err(error) => return vec![format!("refused: {}", error.name())],
    };
    assert_eq!(redirect_uri.as_str(), input.redirect);
    let scopes = client.scopes().as_str().to_owned();
    let mut flow = AuthFlow::new(client);
    let begin = Event::BeginLogin {
        secrets: LoginSecrets::from_entropy([7; 64]),
        redirect_uri,
    };
    flow.handle(begin, NOW).expect("a URI of this very client");
    drain(&mut flow);
    let url = flow.authorization_url().expect("a login");
    let (state, challenge) = input.judge_authorization(url.as_str(), &scopes);

    let exchange = sent(&mut flow, input.genuine(&state));
    let verifier = input.judge_exchange(&exchange);
    let hash = verifier.map(|verifier| URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)));
    assert_eq!(hash, challenge);

    let body = format!(r#"{{"access_token":"a","refresh_token":"{REFRESH_TOKEN}"}}"#);
    let result = Ok(HttpResponse::new(200, body));
    let id = exchange.id();
    flow.handle(Event::Response { id, result }, NOW)
        .expect("a response");
    drain(&mut flow);
    let refresh = sent(&mut flow, Event::Refresh);
    let grant = match input.has('s') {
        true => vec![("refresh_token", REFRESH_TOKEN)],
        false => vec![
            ("grant_type", "refresh_token"),
            ("refresh_token", REFRESH_TOKEN),
        ],
    };
    input.judge_request(&refresh, input.token, &grant);

    let scheme = Url::parse(exchange.url()).expect("a URL");
    vec![
        format!("requested: {}", input.auth()),
        format!("requested over {}", scheme.scheme()),
    ]
}

/// The one request that this leads to.
fn sent(flow: &mut AuthFlow, event: Event) -> HttpRequest {
    let is_callback = matches!(event, Event::Callback { .. });
    flow.handle(event, NOW).expect("no misuse");
    let actions = drain(flow);
    if is_callback {
        assert!(actions.contains(&Action::AnswerCallback(Verdict::Accepted)));
    }
    let mut requests = actions.into_iter().filter_map(|action| match action {
        Action::Send(request) => Some(request),
        _ => None,
    });
    let request = requests.next().expect("a request");
    assert_eq!(requests.next(), None);
    request
}

impl<'a> Input<'a> {
    fn read(all: &'a str) -> Self {
        let mut lines = all.split('\n');
        let mut next = || lines.next().unwrap_or_default();
        Self {
            switches: next(),
            authorization: next(),
            token: next(),
            redirect: next(),
            scopes: next(),
            name: next(),
            value: next(),
            id: next(),
            secret: next(),
            // No callback can bring back what is no text.
            issuer: next().replace(char::is_control, ""),
            swap: next(),
            all,
        }
    }

    fn has(&self, letter: char) -> bool {
        self.switches.contains(letter)
    }

    /// How the client shows who it is.
    fn auth(&self) -> &'static str {
        match self.secret {
            _ if self.has('s') => "swap",
            "" => "public",
            _ if self.has('b') => "body",
            _ if self.has('e') => "unencoded",
            _ => "basic",
        }
    }

    /// A swap has a challenge only if it is told to.
    fn has_pkce(&self) -> bool {
        !self.has('k') && (!self.has('s') || self.has('v'))
    }

    fn client(&self) -> Result<Client, ConfigError> {
        let mut provider = Provider::new(self.authorization, self.token);
        if self.has('i') {
            provider = provider.issuer(&self.issuer);
        }
        if self.has('r') {
            provider = provider.iss_required();
        }
        if self.has('l') {
            provider = provider.localhost_redirects();
        }
        if self.has('h') {
            provider = provider.dangerously_allow_http_on_loopback();
        }
        if self.has('u') {
            provider = provider.undotted_redirect_schemes();
        }
        let mut client = Client::builder(provider, self.id).secret(self.secret);
        client = client.scopes(self.scopes.split(' ').filter(|scope| !scope.is_empty()));
        if self.has('p') {
            client = client.authorize_param(self.name, self.value);
        }
        if self.has('t') {
            client = client.token_param(self.name, self.value);
        }
        match self.auth() {
            "body" => client = client.auth(ClientAuth::Body),
            "unencoded" => client = client.auth(ClientAuth::BasicUnencoded),
            _ => {}
        }
        if self.has('k') {
            client = client.dangerously_without_pkce();
        }
        if self.has('s') {
            let swap = TokenSwap::new(self.swap, self.token);
            client = client.token_swap(if self.has('v') {
                swap.with_pkce()
            } else {
                swap
            });
        }
        let leeway = Duration::from_millis(self.all.len() as u64);
        client.leeway(leeway).build()
    }

    /// The redirect that the server answers with.
    fn genuine(&self, state: &str) -> Event {
        let mut answer = form_urlencoded::Serializer::new(String::new());
        answer.append_pair("code", CODE).append_pair("state", state);
        if self.has('i') {
            answer.append_pair("iss", &self.issuer);
        }
        let joint = if self.redirect.contains('?') {
            '&'
        } else {
            '?'
        };
        let url = format!("{}{joint}{}", self.redirect, answer.finish());
        Event::Callback {
            url: CallbackUrl::new(url),
        }
    }

    /// What the endpoint has and what the login adds, each once, and nothing else. Gives the state and
    /// the challenge.
    fn judge_authorization(&self, url: &str, scopes: &str) -> (String, Option<String>) {
        self.judge_address(url);
        assert!(url.starts_with(self.authorization));
        let pairs = |url: &str| -> Vec<_> {
            let url = Url::parse(url).expect("a URL");
            url.query_pairs().into_owned().collect()
        };
        let all = pairs(url);
        let mut found = all.clone();
        for own in pairs(self.authorization) {
            take(&mut found, |pair| *pair == own);
        }
        let (_, state) = take(&mut found, |(name, _)| name == "state");
        assert_eq!(state.len(), 43);
        let challenge = self.has_pkce().then(|| {
            let method = ("code_challenge_method", "S256");
            take(&mut found, |(name, value)| (&**name, &**value) == method);
            take(&mut found, |(name, _)| name == "code_challenge").1
        });
        let mut wanted = vec![
            ("response_type", "code"),
            ("client_id", self.id),
            ("redirect_uri", self.redirect),
        ];
        let scopes = (!scopes.is_empty()).then_some(("scope", scopes));
        wanted.extend(scopes);
        if self.has('p') && !self.value.is_empty() {
            wanted.push((self.name, self.value));
        }
        assert_eq!(sorted(&found), sorted(&wanted), "{url}");
        is_there_once(&wanted, &all);
        (state, challenge)
    }

    /// Gives the verifier.
    fn judge_exchange(&self, request: &HttpRequest) -> Option<String> {
        let url = if self.has('s') { self.swap } else { self.token };
        let mut body = form_urlencoded::parse(request.body().as_bytes());
        let verifier = body.find(|(name, _)| name == "code_verifier");
        let verifier = verifier.map(|(_, value)| value.into_owned());
        let mut grant = vec![("code", CODE)];
        if !self.has('s') {
            grant.push(("grant_type", "authorization_code"));
        }
        if !self.has('s') || self.has_pkce() {
            grant.push(("redirect_uri", self.redirect));
        }
        if self.has_pkce() {
            let verifier = verifier.as_deref().expect("a verifier");
            assert_eq!(verifier.len(), 43);
            grant.push(("code_verifier", verifier));
        }
        self.judge_request(request, url, &grant);
        verifier
    }

    /// A post of exactly this to exactly there, the secret in its place and nowhere else.
    fn judge_request(&self, request: &HttpRequest, url: &str, grant: &[(&str, &str)]) {
        assert_eq!(request.method(), "POST");
        assert_eq!(request.url(), url);
        self.judge_address(url);
        assert!(!self.has_secret_in(&format!("{request:?}")));

        let mut wanted = grant.to_vec();
        if self.has('t') {
            wanted.push((self.name, self.value));
        }
        match self.auth() {
            "public" => wanted.push(("client_id", self.id)),
            "body" => wanted.extend([("client_id", self.id), ("client_secret", self.secret)]),
            _ => {}
        }
        let body: Vec<_> = form_urlencoded::parse(request.body().as_bytes()).collect();
        assert_eq!(sorted(&body), sorted(&wanted), "{}", request.body());
        is_there_once(&wanted, &body);

        let mut headers: Vec<_> = request.headers().collect();
        let authorization = match self.auth() {
            "basic" | "unencoded" => headers.pop(),
            _ => None,
        };
        let usual = [
            ("Accept", "application/json"),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        assert_eq!(headers, usual);
        if let Some((name, value)) = authorization {
            assert_eq!(name, "Authorization");
            let pair = STANDARD.decode(value.strip_prefix("Basic ").expect("Basic"));
            let pair = String::from_utf8(pair.expect("base64")).expect("UTF-8");
            let (id, secret) = pair.split_once(':').expect("a pair");
            let told = match self.auth() {
                "basic" => (decoded(id), decoded(secret)),
                _ => (id.to_owned(), secret.to_owned()),
            };
            assert_eq!(told, (self.id.to_owned(), self.secret.to_owned()));
        }
    }

    /// Over TLS or, where that was allowed, on this machine; no user, no fragment, no secret.
    fn judge_address(&self, address: &str) {
        let url = Url::parse(address).expect("a URL");
        let is_loopback = match url.host() {
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            _ => false,
        };
        let is_local = self.has('h') && url.scheme() == "http" && is_loopback;
        assert!(url.scheme() == "https" || is_local, "{address}");
        assert!(
            url.username().is_empty() && url.password().is_none(),
            "{address}"
        );
        assert_eq!(url.fragment(), None, "{address}");
        assert!(!self.has_secret_in(address), "{address}");
    }

    /// Only of a secret that stands nowhere else in the input, nor in our own words, however they are
    /// encoded, it can be said.
    fn has_secret_in(&self, shown: &str) -> bool {
        let secret = self.secret;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        secret.len() >= 8
            && secret.starts_with("SECRET")
            && secret.bytes().all(is_plain)
            && self.all.matches(secret).count() == 1
            && shown.contains(secret)
    }
}

fn decoded(text: &str) -> String {
    let text = format!("x={text}");
    let mut pairs = form_urlencoded::parse(text.as_bytes());
    pairs.next().expect("a pair").1.into_owned()
}

/// Takes out the first of its kind, which must be there.
fn take<T>(from: &mut Vec<T>, is_it: impl Fn(&T) -> bool) -> T {
    from.remove(from.iter().position(is_it).expect("it is there"))
}

/// What a program adds may not come beside what the login itself sends.
fn is_there_once<T: AsRef<str>>(wanted: &[(&str, &str)], all: &[(T, T)]) {
    for (name, _) in wanted {
        let named = all.iter().filter(|(known, _)| known.as_ref() == *name);
        assert_eq!(named.count(), 1, "{name}");
    }
}

fn sorted<T: AsRef<str>>(pairs: &[(T, T)]) -> Vec<(&str, &str)> {
    let mut pairs: Vec<_> = pairs
        .iter()
        .map(|(name, value)| (name.as_ref(), value.as_ref()))
        .collect();
    pairs.sort_unstable();
    pairs
}
