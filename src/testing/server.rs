//! The provider's rules, without a socket, a clock or a source of randomness: a request in, a
//! reply out. Times are counted from the provider's start. Here is what the person's browser meets;
//! the endpoints that programs send to are in `token`, `revocation` and `api`.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::desk::Desk;
use super::http::{Reply, Request};
use super::recorded::Endpoint;
use super::{pages, redirect};

/// "A few minutes" is all that Spotify's users report of a code's life; ten is the most that
/// RFC 6749 section 4.1.2 recommends.
pub(super) const CODE_LIFETIME: Duration = Duration::from_secs(600);

/// Whether a refresh answer brings a new refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Rotation {
    /// Never: the refresh token of the login is used over and over. Spotify since July 2026:
    /// "When a refresh token is not returned, continue using the existing token"
    /// (<https://developer.spotify.com/documentation/web-api/tutorials/refreshing-tokens>).
    #[default]
    Never,
    /// Never, and each answer repeats it, as some servers do for clients with a secret.
    Repeated,
    /// Always, and the old one is `invalid_grant` from then on. Spotify with PKCE before that.
    EveryRefresh {
        /// An old refresh token that is presented again ends the whole login: its newest refresh
        /// token and all its access tokens are dead too (RFC 9700 section 4.14.2).
        reuse_detection: bool,
    },
}

#[derive(Clone)]
pub(super) struct Config {
    pub(super) client_id: String,
    pub(super) client_secret: Option<String>,
    pub(super) redirect_uris: Vec<String>,
    pub(super) known_scopes: Option<Vec<String>>,
    pub(super) expires_in: Duration,
    pub(super) refresh_token_lifetime: Duration,
    pub(super) rotation: Rotation,
    pub(super) code_reuse_revokes: bool,
    /// What is sent back as `iss` (RFC 9207).
    pub(super) issuer: Option<String>,
}

/// What a client asked for and a person was shown.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) redirect_uri: String,
    pub(super) scope: String,
    pub(super) state: Option<String>,
    pub(super) challenge: Option<String>,
}

pub(super) struct Code {
    pub(super) ask: Ask,
    pub(super) issued: Duration,
    /// Who has allowed it.
    pub(super) person: String,
    /// The login that it was exchanged for.
    pub(super) spent: Option<u64>,
}

pub(super) struct RefreshToken {
    pub(super) login: u64,
    pub(super) scope: String,
    pub(super) authorized: Duration,
    pub(super) standing: Standing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Live,
    Rotated,
    Revoked,
}

pub(super) struct AccessToken {
    /// `None` for a token of the client's own, from client credentials.
    pub(super) login: Option<u64>,
    pub(super) scope: String,
    pub(super) expires: Duration,
}

pub(super) struct Server {
    pub(super) config: Config,
    pub(super) mint: Mint,
    tickets: HashMap<String, (Ask, Duration)>,
    pub(super) codes: HashMap<String, Code>,
    pub(super) refresh_tokens: HashMap<String, RefreshToken>,
    pub(super) access_tokens: HashMap<String, AccessToken>,
    pub(super) logins: u64,
    /// Whose login it is.
    pub(super) people: HashMap<u64, String>,
    pub(super) token_desk: Desk,
    pub(super) revocation_desk: Desk,
    pub(super) api_desk: Desk,
}

impl Server {
    pub(super) fn new(config: Config, seed: [u8; 32]) -> Self {
        Self {
            config,
            mint: Mint { seed, minted: 0 },
            tickets: HashMap::new(),
            codes: HashMap::new(),
            refresh_tokens: HashMap::new(),
            access_tokens: HashMap::new(),
            logins: 0,
            people: HashMap::new(),
            token_desk: Desk::default(),
            revocation_desk: Desk::default(),
            api_desk: Desk::default(),
        }
    }

    pub(super) fn desk(&mut self, endpoint: Endpoint) -> &mut Desk {
        match endpoint {
            Endpoint::Token => &mut self.token_desk,
            Endpoint::Revocation => &mut self.revocation_desk,
            Endpoint::Api => &mut self.api_desk,
        }
    }

    /// The desk that a request to this path goes by.
    pub(super) fn desk_at(&mut self, path: &str) -> Option<&mut Desk> {
        match path {
            "/api/token" => Some(self.desk(Endpoint::Token)),
            "/api/revoke" => Some(self.desk(Endpoint::Revocation)),
            _ if path.starts_with("/v1/") => Some(self.desk(Endpoint::Api)),
            _ => None,
        }
    }

    pub(super) fn handle(&mut self, request: &Request, now: Duration) -> Reply {
        if request.path.starts_with("/v1/") {
            return self.api(request, now);
        }
        let allowed = match request.path.as_str() {
            "/" | "/authorize" => "GET",
            "/consent" | "/api/token" | "/api/revoke" => "POST",
            _ => return pages::error(404, "There is nothing here"),
        };
        if request.method != allowed {
            return pages::error(405, "Method not allowed").header("Allow", allowed);
        }
        match request.path.as_str() {
            "/authorize" => self.authorize(request, now),
            "/consent" => self.consent(request, now),
            "/api/token" => self.token(request, now),
            "/api/revoke" => self.revoke(request),
            _ => pages::home(),
        }
    }

    fn authorize(&mut self, request: &Request, now: Duration) -> Reply {
        let pairs = request.query_pairs();
        // Who asks, and where an answer may go: until both are right, nothing is redirected.
        let client_id = match single(&pairs, "client_id") {
            Single::One(id) => id,
            Single::None => return pages::error(400, "Missing required parameter: client_id"),
            Single::Many => return pages::error(400, "INVALID_CLIENT: Invalid client"),
        };
        if client_id != self.config.client_id {
            return pages::error(400, "INVALID_CLIENT: Invalid client");
        }
        let redirect_uri = match single(&pairs, "redirect_uri") {
            Single::One(uri) => uri,
            Single::None => return pages::error(400, "Missing required parameter: redirect_uri"),
            Single::Many => return pages::error(400, "INVALID_CLIENT: Invalid redirect URI"),
        };
        let registered = &self.config.redirect_uris;
        if !registered
            .iter()
            .any(|known| redirect::matches(known, redirect_uri))
        {
            return pages::error(400, "INVALID_CLIENT: Invalid redirect URI");
        }

        match self.check(&pairs, redirect_uri) {
            Ok(ask) => {
                let ticket = self.mint.next("");
                let page = pages::consent(client_id, redirect_uri, &ask.scope, &ticket);
                self.tickets
                    .retain(|_, (_, shown)| now.saturating_sub(*shown) < CODE_LIFETIME);
                self.tickets.insert(ticket, (ask, now));
                page
            }
            Err((error, description)) => {
                let mut answer = vec![("error", error), ("error_description", description)];
                if let Single::One(state) = single(&pairs, "state") {
                    answer.push(("state", state));
                }
                self.back(redirect_uri, answer)
            }
        }
    }

    /// Everything about the request that the client is told by redirect: an error code of
    /// RFC 6749 section 4.1.2.1 or RFC 7636 section 4.4.1, and a description.
    fn check(
        &self,
        pairs: &[(String, String)],
        redirect_uri: &str,
    ) -> Result<Ask, (&'static str, &'static str)> {
        let one = |name| match single(pairs, name) {
            Single::One(value) => Ok(Some(value)),
            Single::None => Ok(None),
            Single::Many => Err(("invalid_request", "A parameter was sent twice")),
        };
        match one("response_type")? {
            Some("code") => {}
            Some(_) => return Err(("unsupported_response_type", "response_type must be code")),
            None => return Err(("invalid_request", "response_type must be supplied")),
        }
        let challenge = match (one("code_challenge")?, one("code_challenge_method")?) {
            (Some(challenge), Some("S256")) if is_s256_challenge(challenge) => Some(challenge),
            (Some(_), Some("S256")) => {
                return Err(("invalid_request", "code_challenge is no S256 challenge"));
            }
            (None, None) if self.config.client_secret.is_some() => None,
            (None, _) => return Err(("invalid_request", "code_challenge must be supplied")),
            (Some(_), _) => return Err(("invalid_request", "code_challenge_method must be S256")),
        };
        let scopes: Vec<&str> = one("scope")?
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        if let Some(known) = &self.config.known_scopes
            && !scopes
                .iter()
                .all(|scope| known.iter().any(|known| known == scope))
        {
            return Err(("invalid_scope", "Illegal scope"));
        }
        Ok(Ask {
            redirect_uri: redirect_uri.to_owned(),
            scope: scopes.join(" "),
            state: one("state")?.map(str::to_owned),
            challenge: challenge.map(str::to_owned),
        })
    }

    fn consent(&mut self, request: &Request, now: Duration) -> Reply {
        let form = request.form();
        let allowed = match single(&form, "answer") {
            Single::One("allow") => true,
            Single::One("deny") => false,
            _ => return pages::error(400, "Neither allowed nor denied"),
        };
        let person = match single(&form, "person") {
            Single::None => "alice",
            Single::One(name) if is_name(name) => name,
            _ => return pages::error(400, "No such person"),
        };
        let ticket = match single(&form, "ticket") {
            Single::One(ticket) => self.tickets.remove(ticket),
            _ => None,
        };
        let ask = match ticket {
            Some((ask, shown)) if now.saturating_sub(shown) < CODE_LIFETIME => ask,
            _ => return pages::error(400, "This question was already answered, or is too old"),
        };
        let redirect_uri = ask.redirect_uri.clone();
        let state = ask.state.clone();
        let (name, value) = if allowed {
            let code = self.mint.next("AQ");
            self.codes.insert(
                code.clone(),
                Code {
                    ask,
                    issued: now,
                    person: person.to_owned(),
                    spent: None,
                },
            );
            ("code", code)
        } else {
            ("error", "access_denied".to_owned())
        };
        let mut answer = vec![(name, value.as_str())];
        if let Some(state) = &state {
            answer.push(("state", state));
        }
        self.back(&redirect_uri, answer)
    }

    /// Sends the person's browser back to the client. The client wants the code, not the form that
    /// led to it: 303.
    fn back<'a>(&'a self, redirect_uri: &str, mut answer: Vec<(&'a str, &'a str)>) -> Reply {
        answer.extend(self.config.issuer.as_deref().map(|issuer| ("iss", issuer)));
        Reply::new(303)
            .header("Location", redirect::with_answer(redirect_uri, &answer))
            .header("Cache-Control", "no-store")
            .header("Referrer-Policy", "no-referrer")
    }

    /// From now on every access token issued so far is dead.
    pub(super) fn expire_access_tokens(&mut self) {
        for token in self.access_tokens.values_mut() {
            token.expires = Duration::ZERO;
        }
    }

    /// From now on every refresh token issued so far is `invalid_grant`.
    pub(super) fn revoke_refresh_tokens(&mut self) {
        for token in self.refresh_tokens.values_mut() {
            token.standing = Standing::Revoked;
        }
    }

    /// How many refresh tokens a refresh would work with.
    pub(super) fn live_refresh_tokens(&self, now: Duration) -> usize {
        let names = self.refresh_tokens.keys();
        names.filter(|name| self.is_live(name, now)).count()
    }

    /// Whether a refresh would work with this one.
    pub(super) fn is_live(&self, name: &str, now: Duration) -> bool {
        self.refresh_tokens.get(name).is_some_and(|token| {
            token.standing == Standing::Live
                && now.saturating_sub(token.authorized) < self.config.refresh_token_lifetime
        })
    }

    /// Everything that came from this login is dead.
    pub(super) fn end_login(&mut self, login: u64) {
        for token in self
            .refresh_tokens
            .values_mut()
            .filter(|token| token.login == login)
        {
            token.standing = Standing::Revoked;
        }
        for token in self
            .access_tokens
            .values_mut()
            .filter(|token| token.login == Some(login))
        {
            token.expires = Duration::ZERO;
        }
    }
}

/// Values that nobody can guess who doesn't know the seed.
pub(super) struct Mint {
    seed: [u8; 32],
    minted: u64,
}

impl Mint {
    pub(super) fn next(&mut self, prefix: &str) -> String {
        self.minted = self.minted.wrapping_add(1);
        let digest = Sha256::new()
            .chain_update(self.seed)
            .chain_update(self.minted.to_be_bytes())
            .finalize();
        format!("{prefix}{}", URL_SAFE_NO_PAD.encode(digest))
    }
}

/// A parameter "MUST NOT be included more than once" (RFC 6749 section 3.1), and an empty one
/// counts as left out, except that `state` comes back as it was sent.
pub(super) enum Single<'a> {
    None,
    One(&'a str),
    Many,
}

pub(super) fn single<'a>(pairs: &'a [(String, String)], name: &str) -> Single<'a> {
    let mut values = pairs
        .iter()
        .filter(|(key, _)| key == name)
        .map(|(_, value)| value);
    match (values.next(), values.next()) {
        (Some(value), None) if !value.is_empty() || name == "state" => Single::One(value),
        (_, None) => Single::None,
        (_, Some(_)) => Single::Many,
    }
}

fn is_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.len() <= 64 && name.bytes().all(is_letter)
}

fn is_s256_challenge(challenge: &str) -> bool {
    URL_SAFE_NO_PAD
        .decode(challenge)
        .is_ok_and(|digest| digest.len() == 32)
}

pub(super) fn json_reply(status: u16, body: &serde_json::Value) -> Reply {
    Reply::new(status)
        .header("Content-Type", "application/json")
        .header("Cache-Control", "no-store")
        .body(body.to_string())
}
