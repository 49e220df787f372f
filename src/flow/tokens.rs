//! The tokens of a session, and what the clock says of them.

use std::time::Duration;

use crate::flow::event::TokenSerial;
use crate::provider::client::Client;
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::wire::scope::Scopes;
use crate::wire::token_response::{Extra, Lifetime, TokenType};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tokens {
    pub(crate) serial: TokenSerial,
    pub(crate) access_token: Secret,
    pub(crate) token_type: TokenType,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) scopes: Scopes,
    pub(crate) extra: Extra,
    /// When the request was sent that brought the access token.
    pub(crate) obtained_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    /// When the person gave their consent.
    pub(crate) authorized_at: Option<Timestamp>,
    pub(crate) refresh_token_expires_at: Option<Timestamp>,
}

impl Tokens {
    pub(crate) fn have_ended(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }

    /// When to refresh: the leeway before the end, but not in the first half of the token's life.
    pub(crate) fn refresh_at(&self, client: &Client) -> Option<Timestamp> {
        let end = self.expires_at?;
        let half = end.saturating_since(self.obtained_at) / 2;
        Some(end.saturating_sub(client.leeway.min(half)))
    }

    /// Whether `now` is not before the tokens were made. Their end means nothing otherwise; if they
    /// have none, nothing is lost.
    pub(crate) fn are_believable(&self, client: &Client, now: Timestamp) -> bool {
        self.expires_at.is_none() || now >= self.obtained_at.saturating_sub(client.leeway)
    }

    /// Whether the access token can be used.
    pub(crate) fn are_usable(&self, client: &Client, now: Timestamp) -> bool {
        !self.have_ended(now) && self.are_believable(client, now)
    }
}

/// Zero with a refresh token at hand means "already expired"; without one it can only mean that the
/// server does not know.
pub(crate) fn expiry(
    lifetime: Lifetime,
    sent_at: Timestamp,
    has_refresh_token: bool,
) -> Option<Timestamp> {
    match lifetime {
        Lifetime::Unknown => None,
        Lifetime::Zero => has_refresh_token.then_some(sent_at),
        Lifetime::Seconds(seconds) => Some(sent_at.saturating_add(Duration::from_secs(seconds))),
    }
}
