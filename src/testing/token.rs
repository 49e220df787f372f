//! The token endpoint: who asks, for which grant, and Spotify's words for what is wrong with it.
//!
//! Spotify answers all of these with 400, `invalid_client` too. The descriptions are those its
//! users report; they are prose, so a client branches on `error`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use percent_encoding::percent_decode_str;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::http::{Reply, Request};
use super::server::{
    AccessToken, CODE_LIFETIME, RefreshToken, Rotation, Server, Single, Standing, json_reply,
    single,
};

pub(super) type Pairs = [(String, String)];

/// Why there is no token: `error` and `error_description` of RFC 6749 section 5.2.
pub(super) type Refusal = (&'static str, &'static str);

impl Server {
    pub(super) fn token(&mut self, request: &Request, now: Duration) -> Reply {
        let form = match form(request) {
            Ok(form) => form,
            Err(reply) => return reply,
        };
        match self.grant(request, &form, now) {
            Ok(answer) => json_reply(200, &answer),
            Err((error, description)) => refusal(400, error, description),
        }
    }

    fn grant(
        &mut self,
        request: &Request,
        form: &Pairs,
        now: Duration,
    ) -> Result<serde_json::Value, Refusal> {
        let grant_type = one(form, "grant_type")?
            .ok_or(("unsupported_grant_type", "grant_type parameter is missing"))?;
        self.authenticate(request, form)?;
        match grant_type {
            "authorization_code" => self.exchange(form, now),
            "refresh_token" => self.refresh(form, now),
            "client_credentials" => self.client_credentials(now),
            _ => Err(("unsupported_grant_type", "Unknown grant_type")),
        }
    }

    /// A client without a secret gives its id in the body; one with a secret gives both, by Basic
    /// or in the body, and never by both (RFC 6749 section 2.3).
    pub(super) fn authenticate(&self, request: &Request, form: &Pairs) -> Result<(), Refusal> {
        const CLIENT: Refusal = ("invalid_client", "Invalid client");
        const SECRET: Refusal = ("invalid_client", "Invalid client secret");
        let id_in_body = one(form, "client_id")?;
        let secret_in_body = one(form, "client_secret")?;
        let (id, secret) = match request.header("authorization") {
            None => (
                id_in_body.map(str::to_owned),
                secret_in_body.map(str::to_owned),
            ),
            Some(_) if secret_in_body.is_some() => {
                return Err((
                    "invalid_request",
                    "Only one client authentication is allowed",
                ));
            }
            Some(authorization) => {
                let (id, secret) = basic(authorization).ok_or(CLIENT)?;
                if id_in_body.is_some_and(|other| other != id) {
                    return Err(CLIENT);
                }
                (Some(id), Some(secret))
            }
        };
        if id.as_ref() != Some(&self.config.client_id) {
            return Err(CLIENT);
        }
        if secret != self.config.client_secret {
            return Err(SECRET);
        }
        Ok(())
    }

    fn exchange(&mut self, form: &Pairs, now: Duration) -> Result<serde_json::Value, Refusal> {
        const UNKNOWN: Refusal = ("invalid_grant", "Invalid authorization code");
        let name = one(form, "code")?.ok_or(("invalid_request", "code must be supplied"))?;
        let redirect_uri = one(form, "redirect_uri")?
            .ok_or(("invalid_request", "redirect_uri must be supplied"))?;
        let verifier = one(form, "code_verifier")?;

        let code = self.codes.get_mut(name).ok_or(UNKNOWN)?;
        if let Some(login) = code.spent {
            if self.config.code_reuse_revokes {
                self.end_login(login);
            }
            return Err(UNKNOWN);
        }
        if now.saturating_sub(code.issued) >= CODE_LIFETIME {
            return Err(("invalid_grant", "Authorization code expired"));
        }
        if code.ask.redirect_uri != redirect_uri {
            return Err(("invalid_grant", "Invalid redirect URI"));
        }
        match (&code.ask.challenge, verifier) {
            (None, None) => {}
            (Some(challenge), Some(verifier)) if s256(verifier) == *challenge => {}
            (Some(_), None) => return Err(("invalid_request", "code_verifier required")),
            // A verifier for a code without a challenge: a downgrade (RFC 9700 section 4.8.2).
            (_, Some(_)) => return Err(("invalid_grant", "code_verifier was incorrect")),
        }
        self.logins = self.logins.wrapping_add(1);
        let login = self.logins;
        code.spent = Some(login);
        self.people.insert(login, code.person.clone());
        let scope = code.ask.scope.clone();
        let mut answer = self.access_token(Some(login), &scope, now);
        put(
            &mut answer,
            "refresh_token",
            self.refresh_token(login, scope, now),
        );
        Ok(answer)
    }

    fn refresh(&mut self, form: &Pairs, now: Duration) -> Result<serde_json::Value, Refusal> {
        let name = one(form, "refresh_token")?
            .ok_or(("invalid_request", "refresh_token must be supplied"))?;
        let token = self
            .refresh_tokens
            .get_mut(name)
            .ok_or(("invalid_grant", "Invalid refresh token"))?;
        let (login, scope, authorized) = (token.login, token.scope.clone(), token.authorized);
        match (token.standing, self.config.rotation) {
            (Standing::Live, _) => {}
            (standing, rotation) => {
                let replayed = standing == Standing::Rotated;
                if replayed
                    && rotation
                        == (Rotation::EveryRefresh {
                            reuse_detection: true,
                        })
                {
                    self.end_login(login);
                }
                return Err(("invalid_grant", "Refresh token revoked"));
            }
        }
        if now.saturating_sub(authorized) >= self.config.refresh_token_lifetime {
            return Err(("invalid_grant", "Refresh token expired"));
        }
        // Fewer scopes than granted may be asked for, more may not (RFC 6749 section 6).
        let narrowed = match one(form, "scope")? {
            None => scope.clone(),
            Some(asked) => {
                let asked: Vec<&str> = asked.split_whitespace().collect();
                if !asked
                    .iter()
                    .all(|asked| scope.split(' ').any(|granted| granted == *asked))
                {
                    return Err(("invalid_scope", "Illegal scope"));
                }
                asked.join(" ")
            }
        };
        let rotate = matches!(self.config.rotation, Rotation::EveryRefresh { .. });
        if rotate {
            token.standing = Standing::Rotated;
        }
        let mut answer = self.access_token(Some(login), &narrowed, now);
        if self.config.rotation == Rotation::Repeated {
            put(&mut answer, "refresh_token", name.to_owned());
        }
        if rotate {
            put(
                &mut answer,
                "refresh_token",
                self.refresh_token(login, scope, authorized),
            );
        }
        Ok(answer)
    }

    fn client_credentials(&mut self, now: Duration) -> Result<serde_json::Value, Refusal> {
        if self.config.client_secret.is_none() {
            return Err(("invalid_client", "Invalid client secret"));
        }
        // No scope, no refresh token, and a lower-case token type: as in Spotify's own sample,
        // <https://developer.spotify.com/documentation/web-api/tutorials/client-credentials-flow>.
        let mut answer = self.access_token(None, "", now);
        put(&mut answer, "token_type", "bearer".to_owned());
        if let Some(members) = answer.as_object_mut() {
            members.remove("scope");
        }
        Ok(answer)
    }

    fn access_token(
        &mut self,
        login: Option<u64>,
        scope: &str,
        now: Duration,
    ) -> serde_json::Value {
        let name = self.mint.next("BQ");
        let token = AccessToken {
            login,
            scope: scope.to_owned(),
            expires: now.saturating_add(self.config.expires_in),
        };
        self.access_tokens.insert(name.clone(), token);
        json!({
            "access_token": name,
            "token_type": "Bearer",
            "scope": scope,
            "expires_in": self.config.expires_in.as_secs(),
        })
    }

    fn refresh_token(&mut self, login: u64, scope: String, authorized: Duration) -> String {
        let name = self.mint.next("AQ");
        let token = RefreshToken {
            login,
            scope,
            authorized,
            standing: Standing::Live,
        };
        self.refresh_tokens.insert(name.clone(), token);
        name
    }
}

/// The parameters of a request that says it is a form; the refusal of any other.
pub(super) fn form(request: &Request) -> Result<Vec<(String, String)>, Reply> {
    let media_type = request.header("content-type").unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        Ok(request.form())
    } else {
        Err(refusal(415, "server_error", "Unexpected status: 415"))
    }
}

pub(super) fn one<'a>(form: &'a Pairs, name: &str) -> Result<Option<&'a str>, Refusal> {
    match single(form, name) {
        Single::None => Ok(None),
        Single::One(value) => Ok(Some(value)),
        Single::Many => Err(("invalid_request", "A parameter was sent twice")),
    }
}

/// Client id and secret of `Basic base64(id ":" secret)`, where both are form-encoded first
/// (RFC 6749 section 2.3.1).
fn basic(authorization: &str) -> Option<(String, String)> {
    let (scheme, credentials) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let credentials = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (id, secret) = credentials.split_once(':')?;
    Some((form_decode(id)?, form_decode(secret)?))
}

fn form_decode(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    let text = percent_decode_str(&text).decode_utf8().ok()?;
    Some(text.into_owned())
}

fn s256(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

fn put(answer: &mut serde_json::Value, name: &str, value: String) {
    if let Some(members) = answer.as_object_mut() {
        members.insert(name.to_owned(), value.into());
    }
}

pub(super) fn refusal(status: u16, error: &str, description: &str) -> Reply {
    json_reply(
        status,
        &json!({"error": error, "error_description": description}),
    )
}
