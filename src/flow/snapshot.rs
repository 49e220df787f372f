//! What is saved of a flow.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::flow::event::{Rest, TokenSerial, TokenSet};
use crate::flow::machine::{Login, Machine, Refresh, Session};
use crate::flow::tokens::Tokens;
use crate::provider::client::Client;
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::wire::pkce::LoginSecrets;
use crate::wire::scope::Scopes;
use crate::wire::text::is_token;
use crate::wire::token_response::{Extra, TokenType};

const VERSION: u64 = 1;
/// No flow counts further than this; beyond it a counter could overflow.
const MAX_COUNT: u64 = 1 << 62;

/// A saved flow: the tokens, and a login that waits for its callback. The only serializable type.
///
/// It is as secret as the tokens in it, so save it where only the person can read it. `Debug` shows
/// none of them. It belongs to one provider and client id, and says so: its tokens never go to a token
/// endpoint of another origin. Read it with [`from_json`](Self::from_json): the texts of serde's own
/// errors may quote what they could not read. Requests in flight are not
/// in it: after a restore a refresh is simply sent again, and a code that was being exchanged is
/// lost, so the login has to be begun anew.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    version: u64,
    #[serde(default)]
    provider: String,
    #[serde(default)]
    token_endpoint: String,
    #[serde(default)]
    client_id: String,
    /// Tokens of the app's own, which no person's session may take for its own, nor the reverse.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    app: bool,
    #[serde(default)]
    requests: u64,
    #[serde(default)]
    serials: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    login: Option<SavedLogin>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<SavedSession>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SavedLogin {
    #[serde(with = "secret_text")]
    state: Secret,
    #[serde(with = "secret_text")]
    verifier: Secret,
    redirect_uri: String,
    deadline: u64,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SavedSession {
    serial: u64,
    #[serde(with = "secret_text")]
    access_token: Secret,
    token_type: String,
    #[serde(
        default,
        with = "optional_secret_text",
        skip_serializing_if = "Option::is_none"
    )]
    refresh_token: Option<Secret>,
    #[serde(default)]
    refresh_token_rejected: bool,
    scopes: String,
    /// Each value as JSON text, so that any format can hold it exactly.
    #[serde(default, with = "secret_map")]
    extra: Vec<(String, Secret)>,
    obtained_at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    #[serde(default)]
    expired: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authorized_at: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_token_expires_at: Option<u64>,
}

/// A snapshot can't be restored. What was saved is untouched: keep it until a new login has worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestoreError {
    /// It is not a snapshot, or has been damaged.
    Damaged,
    /// It was saved by a newer version of this crate, in a format that this one does not know.
    UnknownVersion(u64),
    /// It was saved for another provider or client id. Tokens never go to another server.
    OtherClient,
    /// Its login came back to a redirect URI that this client does not take.
    RedirectUri,
}

impl RestoreError {
    /// The variant's name, for transcripts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Damaged => "Damaged",
            Self::UnknownVersion(_) => "UnknownVersion",
            Self::OtherClient => "OtherClient",
            Self::RedirectUri => "RedirectUri",
        }
    }
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged => f.write_str("the saved login is damaged: remove it from the store, and log in again"),
            Self::UnknownVersion(version) => write!(
                f,
                "the saved login has format {version}, this program knows {VERSION}: update the program"
            ),
            Self::OtherClient => f.write_str(
                "the saved login belongs to another provider or client id: give each a store of its own",
            ),
            Self::RedirectUri => f.write_str(
                "the saved login waits at a redirect URI that this client does not take: remove it from the store",
            ),
        }
    }
}

impl Error for RestoreError {}

impl Snapshot {
    /// Reads JSON. The text of a fault never quotes what was read.
    ///
    /// # Errors
    /// [`RestoreError::Damaged`], or [`RestoreError::UnknownVersion`] for a newer format.
    pub fn from_json(json: &[u8]) -> Result<Self, RestoreError> {
        #[derive(Deserialize)]
        struct Version {
            version: u64,
        }
        let json = std::str::from_utf8(json).map_err(|_| RestoreError::Damaged)?;
        let snapshot = serde_json::from_str::<Self>(json);
        let version = match &snapshot {
            Ok(snapshot) => snapshot.version,
            // A newer one may look otherwise.
            Err(_) => match serde_json::from_str(json) {
                Ok(Version { version }) => version,
                Err(_) => return Err(RestoreError::Damaged),
            },
        };
        if version != VERSION {
            return Err(RestoreError::UnknownVersion(version));
        }
        snapshot.map_err(|_| RestoreError::Damaged)
    }

    /// Writes JSON.
    #[must_use]
    pub fn to_json(&self) -> Secret {
        // Strings and numbers cannot fail to serialize.
        Secret::of_json(self).unwrap_or_else(|_| String::new().into())
    }

    /// Whether there are tokens in it.
    #[must_use]
    pub fn has_session(&self) -> bool {
        self.session.is_some()
    }

    /// The tokens in it, for [`Event::AdoptTokens`](crate::Event::AdoptTokens): how a process takes
    /// over what another one has refreshed.
    ///
    /// # Errors
    /// As [`AuthFlow::restore`](crate::AuthFlow::restore).
    pub fn tokens(self, client: &Client, now: Timestamp) -> Result<Option<TokenSet>, RestoreError> {
        let session = self.without_login().restore(client, now)?.session;
        Ok(session.map(|session| TokenSet {
            access_token: session.tokens.access_token,
            refresh_token: session.tokens.refresh_token,
            expires_at: session.tokens.expires_at,
            scopes: Some(session.tokens.scopes),
            authorized_at: session.tokens.authorized_at,
            rest: Some(Box::new(Rest {
                token_type: session.tokens.token_type,
                extra: session.tokens.extra,
                obtained_at: session.tokens.obtained_at,
                refresh_token_expires_at: session.tokens.refresh_token_expires_at,
                refresh_token_rejected: session.refresh == Refresh::Rejected,
                expired: session.expired,
            })),
        }))
    }

    /// The tokens as they are: the access token, and the refresh token if there is one.
    #[cfg(feature = "testing")]
    pub(crate) fn secrets(&self) -> Option<(&Secret, Option<&Secret>)> {
        let session = self.session.as_ref()?;
        Some((&session.access_token, session.refresh_token.as_ref()))
    }

    /// Only the session, for a store that keeps no login which still waits for its callback: it belongs to
    /// one process.
    #[must_use]
    pub fn without_login(mut self) -> Self {
        self.login = None;
        self
    }

    /// The same, marked as an app's own.
    #[allow(dead_code, reason = "for the session, which is not always built")]
    pub(crate) fn of_app(mut self, is_app: bool) -> Self {
        self.app = is_app;
        self
    }

    #[allow(dead_code, reason = "for the session, which is not always built")]
    pub(crate) fn is_of_app(&self) -> bool {
        self.app
    }

    /// Whether another snapshot has the same client's same tokens, and as much is known of their end.
    #[allow(dead_code, reason = "for the session, which is not always built")]
    pub(crate) fn has_tokens_of(&self, other: &Self) -> bool {
        let own = |snapshot: &Self| {
            let session = snapshot.session.as_ref()?;
            Some((
                session.access_token.clone(),
                session.refresh_token.clone(),
                session.refresh_token_rejected,
                session.expired,
            ))
        };
        let is_same_client = self.provider == other.provider
            && self.client_id == other.client_id
            && self.app == other.app;
        is_same_client && own(self) == own(other)
    }

    pub(crate) fn save(machine: &Machine, client: &Client) -> Self {
        let login = machine
            .login
            .as_ref()
            .filter(|login| login.exchange.is_none());
        Self {
            version: VERSION,
            provider: client.provider.id().to_owned(),
            token_endpoint: client.refresh_endpoint().as_str().to_owned(),
            client_id: client.id.clone(),
            app: false,
            requests: machine.requests,
            serials: machine.serials,
            login: login.map(|login| SavedLogin {
                state: login.secrets.state.clone(),
                verifier: login.secrets.verifier.clone(),
                redirect_uri: login.redirect_uri.as_str().to_owned(),
                deadline: login.deadline.as_millis(),
            }),
            session: machine.session.as_deref().map(SavedSession::save),
        }
    }

    pub(crate) fn restore(self, client: &Client, now: Timestamp) -> Result<Machine, RestoreError> {
        if self.version != VERSION {
            return Err(RestoreError::UnknownVersion(self.version));
        }
        let is_same = self.provider == client.provider.id() && self.client_id == client.id;
        if !is_same
            || !client
                .refresh_endpoint()
                .shares_origin(&self.token_endpoint)
        {
            return Err(RestoreError::OtherClient);
        }
        if self.requests.max(self.serials) > MAX_COUNT {
            return Err(RestoreError::Damaged);
        }
        let login = self
            .login
            .map(|login| login.restore(client, now).map(Box::new))
            .transpose()?;
        let session = self
            .session
            .map(|session| session.restore(client, now).map(Box::new))
            .transpose()?;
        let newest = session
            .as_ref()
            .map_or(0, |session| session.tokens.serial.0);
        Ok(Machine {
            login,
            session,
            requests: self.requests,
            serials: self.serials.max(newest),
            now: Some(now),
        })
    }
}

impl SavedLogin {
    fn restore(self, client: &Client, now: Timestamp) -> Result<Login, RestoreError> {
        let redirect_uri = client
            .redirect_uri(&self.redirect_uri)
            .map_err(|_| RestoreError::RedirectUri)?;
        let is_own = |secret: &Secret| {
            let text = secret.expose().as_bytes();
            let is_base64url = |b: &u8| b.is_ascii_alphanumeric() || b"-_".contains(b);
            text.len() == 43 && text.iter().all(is_base64url)
        };
        if !is_own(&self.state) || !is_own(&self.verifier) {
            return Err(RestoreError::Damaged);
        }
        let secrets = LoginSecrets {
            state: self.state,
            verifier: self.verifier,
        };
        let latest = now.saturating_add(client.login_timeout);
        Ok(Login {
            secrets,
            redirect_uri,
            deadline: Timestamp::from_millis(self.deadline).min(latest),
            exchange: None,
        })
    }
}

impl SavedSession {
    fn save(session: &Session) -> Self {
        let tokens = &session.tokens;
        Self {
            serial: tokens.serial.0,
            access_token: tokens.access_token.clone(),
            token_type: tokens.token_type.as_str().to_owned(),
            refresh_token: tokens.refresh_token.clone(),
            refresh_token_rejected: session.refresh == Refresh::Rejected,
            scopes: tokens.scopes.as_str().to_owned(),
            extra: tokens.extra.0.clone(),
            obtained_at: tokens.obtained_at.as_millis(),
            expires_at: tokens.expires_at.map(Timestamp::as_millis),
            expired: session.expired,
            authorized_at: tokens.authorized_at.map(Timestamp::as_millis),
            refresh_token_expires_at: tokens.refresh_token_expires_at.map(Timestamp::as_millis),
        }
    }

    fn restore(self, client: &Client, now: Timestamp) -> Result<Session, RestoreError> {
        let type_is_sound = self.token_type.bytes().all(|b| matches!(b, b' '..=b'~'));
        let is_sound = type_is_sound
            && is_token(self.access_token.expose())
            && self
                .refresh_token
                .iter()
                .all(|token| is_token(token.expose()))
            && self.serial <= MAX_COUNT;
        if !is_sound {
            return Err(RestoreError::Damaged);
        }
        let tokens = Tokens {
            serial: TokenSerial(self.serial),
            access_token: self.access_token,
            token_type: TokenType::new(&self.token_type, &client.provider.repairs),
            refresh_token: self.refresh_token,
            scopes: Scopes::saved(&self.scopes),
            extra: Extra(self.extra),
            obtained_at: Timestamp::from_millis(self.obtained_at),
            expires_at: self.expires_at.map(Timestamp::from_millis),
            authorized_at: self.authorized_at.map(Timestamp::from_millis),
            refresh_token_expires_at: self.refresh_token_expires_at.map(Timestamp::from_millis),
        };
        let mut session = Session::new(tokens);
        session.expired = self.expired || !session.tokens.are_usable(client, now);
        if self.refresh_token_rejected {
            session.refresh = Refresh::Rejected;
        }
        Ok(session)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("version", &self.version)
            .field("provider", &self.provider)
            .field("client_id", &self.client_id)
            .field("has_login", &self.login.is_some())
            .field("has_session", &self.session.is_some())
            .finish_non_exhaustive()
    }
}

mod secret_text {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::secret::Secret;

    pub(super) fn serialize<S: Serializer>(secret: &Secret, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(secret.expose())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
        String::deserialize(from).map(Secret::from)
    }
}

mod optional_secret_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::secret::Secret;

    #[expect(clippy::ref_option, reason = "serde's `with` hands over a reference")]
    pub(super) fn serialize<S: Serializer>(
        secret: &Option<Secret>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(Secret::expose).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Secret>, D::Error> {
        Option::<String>::deserialize(from).map(|text| text.map(Secret::from))
    }
}

mod secret_map {
    use super::{BTreeMap, Secret};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        extra: &[(String, Secret)],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_map(extra.iter().map(|(name, value)| (name, value.expose())))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<(String, Secret)>, D::Error> {
        let map = BTreeMap::<String, String>::deserialize(from)?;
        Ok(map
            .into_iter()
            .map(|(name, value)| (name, value.into()))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(provider: &str, client_id: &str, session: &str) -> Snapshot {
        let json = format!(
            r#"{{"version":1,"provider":"{provider}","client_id":"{client_id}","session":{{"serial":1,
            "token_type":"Bearer","scopes":"","obtained_at":1,{session}}}}}"#
        );
        Snapshot::from_json(json.as_bytes()).unwrap()
    }

    #[test]
    fn the_same_tokens_are_those_of_the_same_client_and_end_alike() {
        let session = r#""access_token":"AT","refresh_token":"RT""#;
        let one = saved("p", "c", session);
        assert!(one.has_tokens_of(&saved("p", "c", session)));
        assert!(!one.is_of_app() && one.clone().of_app(true).is_of_app());
        for other in [
            saved("q", "c", session),
            saved("p", "d", session),
            one.clone().of_app(true),
            saved("p", "c", r#""access_token":"AT-2","refresh_token":"RT""#),
            saved("p", "c", r#""access_token":"AT","refresh_token":"RT-2""#),
            saved("p", "c", &format!("{session},\"expired\":true")),
            saved(
                "p",
                "c",
                &format!("{session},\"refresh_token_rejected\":true"),
            ),
        ] {
            assert!(!one.has_tokens_of(&other) && !other.has_tokens_of(&one));
            assert!(other.has_tokens_of(&other.clone()));
        }
    }
}
