//! What goes in.

use crate::secret::Secret;
use crate::time::Timestamp;
use crate::wire::callback::CallbackUrl;
use crate::wire::http::{HttpResponse, RequestId, TransportError};
use crate::wire::pkce::LoginSecrets;
use crate::wire::redirect::RedirectUri;
use crate::wire::scope::Scopes;
use crate::wire::text::is_token;
use crate::wire::token_response::{Extra, TokenType};

/// Something that happened, to be handed to [`AuthFlow::handle`](crate::AuthFlow::handle) with the
/// time.
#[doc(alias = "exchange_code")]
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Send the person through a login. A session that is there is kept until new tokens arrive.
    BeginLogin {
        /// Fresh for each login.
        secrets: LoginSecrets,
        /// Where the browser is to come back to. Something must be listening there already.
        redirect_uri: RedirectUri,
    },
    /// Something reached the redirect URI. It may be anything: all checks are the machine's.
    Callback {
        /// As it came.
        url: CallbackUrl,
    },
    /// Give the login up.
    CancelLogin,
    /// The answer to an [`Action::Send`](crate::Action::Send): exactly one for each.
    Response {
        /// The request's.
        id: RequestId,
        /// What came, whatever its status, or why nothing did.
        result: Result<HttpResponse, TransportError>,
    },
    /// Refresh now. Overrides a backoff; joins a refresh that is in flight.
    Refresh,
    /// The API answered 401 to this access token. The token counts as ended, and is refreshed. Make
    /// the call once more with the new one, and then give up: an API that says 401 to every token
    /// would otherwise be refreshed for without end.
    TokenRejected {
        /// The token's, so that a report about an older token changes nothing.
        serial: TokenSerial,
    },
    /// Take tokens from elsewhere: another process of this program
    /// ([`Snapshot::tokens`](crate::Snapshot::tokens)), or another library's store.
    AdoptTokens(TokenSet),
    /// Forget everything.
    LogOut,
    /// Nothing but time has passed. Due at [`AuthFlow::deadline`](crate::AuthFlow::deadline);
    /// harmless at any other time.
    Tick,
}

/// Names one set of tokens of one flow. Never repeats, not even after a restore or a log-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenSerial(pub(crate) u64);

impl TokenSerial {
    /// From the number of a transcript.
    #[must_use]
    pub const fn from_u64(serial: u64) -> Self {
        Self(serial)
    }

    /// The number, for transcripts.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// Tokens to adopt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct TokenSet {
    pub(crate) access_token: Secret,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) scopes: Option<Scopes>,
    pub(crate) authorized_at: Option<Timestamp>,
    /// What is known of tokens that come out of a snapshot.
    pub(crate) rest: Option<Box<Rest>>,
}

/// What is known of one's own tokens besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rest {
    pub(crate) token_type: TokenType,
    pub(crate) extra: Extra,
    pub(crate) obtained_at: Timestamp,
    pub(crate) refresh_token_expires_at: Option<Timestamp>,
    pub(crate) refresh_token_rejected: bool,
    pub(crate) expired: bool,
}

impl Rest {
    /// Of tokens of which nobody said more: bearer tokens, as old as this moment.
    pub(crate) fn unknown(now: Timestamp, refresh_token_expires_at: Option<Timestamp>) -> Self {
        Self {
            token_type: TokenType::new("Bearer", &[]),
            extra: Extra::default(),
            obtained_at: now,
            refresh_token_expires_at,
            refresh_token_rejected: false,
            expired: false,
        }
    }
}

impl TokenSet {
    /// A bearer token of unknown lifetime: it is used until the API says 401, or until somebody asks for
    /// a refresh. Say when it [ends](Self::expires_at) to have it refreshed in time. Its scopes are those of the session it replaces, or else
    /// those that the client asks for.
    pub fn new(access_token: impl Into<Secret>) -> Self {
        Self {
            access_token: access_token.into(),
            refresh_token: None,
            expires_at: None,
            scopes: None,
            authorized_at: None,
            rest: None,
        }
    }

    /// With a refresh token. An empty one is none.
    pub fn refresh_token(mut self, token: impl Into<Secret>) -> Self {
        self.refresh_token = Some(token.into()).filter(|token| !token.is_empty());
        self
    }

    /// When the access token ends.
    pub fn expires_at(mut self, at: Timestamp) -> Self {
        self.expires_at = Some(at);
        self
    }

    /// The scopes that were granted.
    pub fn scopes(mut self, scopes: Scopes) -> Self {
        self.scopes = Some(scopes);
        self
    }

    /// When the person gave their consent, which is what a refresh token's life is counted from.
    /// Unknown if not said; then [`sign_in_due`](crate::AuthFlow::sign_in_due) is unknown too.
    pub fn authorized_at(mut self, at: Timestamp) -> Self {
        self.authorized_at = Some(at);
        self
    }

    /// Tokens are visible ASCII (RFC 6749 appendix A.12); anything else could not be sent.
    pub(crate) fn is_sound(&self) -> bool {
        let tokens = [Some(&self.access_token), self.refresh_token.as_ref()];
        tokens
            .into_iter()
            .flatten()
            .all(|token| is_token(token.expose()))
    }
}
