//! OAuth by hand, on the crates that authflow is made of.

use std::error::Error;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use url::Url;

use crate::setup;

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Deserialize)]
pub struct Tokens {
    pub access_token: String,
    pub refresh_token: Option<String>,
    token_type: String,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
    error_description: Option<String>,
}

/// For the state and for the verifier.
pub fn random() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

pub fn authorize_url(state: &str, verifier: &str) -> Result<Url> {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    let query = [
        ("response_type", "code"),
        ("client_id", setup::CLIENT_ID),
        ("redirect_uri", &setup::redirect_uri()),
        ("scope", &setup::SCOPES.join(" ")),
        ("state", state),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    Ok(Url::parse_with_params(&setup::authorize_url(), query)?)
}

pub fn token_form(code: &str, verifier: &str) -> Result<String> {
    Ok(serde_urlencoded::to_string([
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", &setup::redirect_uri()),
        ("code_verifier", verifier),
        ("client_id", setup::CLIENT_ID),
    ])?)
}

pub fn refresh_form(refresh_token: &str) -> Result<String> {
    Ok(serde_urlencoded::to_string([
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token),
        ("client_id", setup::CLIENT_ID),
    ])?)
}

pub fn tokens(status: u16, body: &[u8]) -> Result<Tokens> {
    if status != 200 {
        let refused: Refused = serde_json::from_slice(body)?;
        let description = refused.error_description.unwrap_or_default();
        return Err(format!("{}: {description}", refused.error).into());
    }
    let tokens: Tokens = serde_json::from_slice(body)?;
    if !tokens.token_type.eq_ignore_ascii_case("bearer") {
        return Err("not a bearer token".into());
    }
    Ok(tokens)
}
