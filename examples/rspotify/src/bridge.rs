//! The bridge, to be copied: the session's token goes into rspotify's client before each use.

use std::error::Error;

use authflow::Session;
use authflow::session::AccessToken;
use rspotify::http::HttpError;
use rspotify::prelude::*;
use rspotify::{AuthCodeSpotify, ClientError, ClientResult, Config, Credentials, OAuth, Token};

pub struct Bridge {
    session: Session,
    client: AuthCodeSpotify,
}

impl Bridge {
    /// rspotify refreshes nothing and keeps nothing: that is the session's.
    pub fn new(session: Session, api_base_url: &str) -> Self {
        let config = Config {
            api_base_url: api_base_url.to_owned(),
            token_refreshing: false,
            token_cached: false,
            ..Config::default()
        };
        let none = (Credentials::default(), OAuth::default());
        let client = AuthCodeSpotify::with_config(none.0, none.1, config);
        Self { session, client }
    }

    /// rspotify's client, with a token that is good now.
    pub fn client(&self) -> Result<&AuthCodeSpotify, Box<dyn Error>> {
        let token = self.session.access_token()?;
        self.set(&token)?;
        Ok(&self.client)
    }

    /// A call that is made once more, with a new token, if the API says 401.
    pub fn call<T>(
        &self,
        call: impl Fn(&AuthCodeSpotify) -> ClientResult<T>,
    ) -> Result<T, Box<dyn Error>> {
        let token = self.session.access_token()?;
        self.set(&token)?;
        match call(&self.client) {
            Err(error) if is_unauthorized(&error) => {
                self.set(&self.session.token_rejected(token.serial())?)?;
                Ok(call(&self.client)?)
            }
            result => Ok(result?),
        }
    }

    fn set(&self, token: &AccessToken) -> Result<(), Box<dyn Error>> {
        let token = Token {
            access_token: token.secret().expose().to_owned(),
            // The session knows when it ends. rspotify is to believe that it is good.
            expires_in: chrono::TimeDelta::hours(1),
            expires_at: Some(chrono::DateTime::<chrono::Utc>::MAX_UTC),
            refresh_token: None,
            scopes: token.scopes().iter().map(str::to_owned).collect(),
        };
        let own = self.client.get_token();
        let mut own = own.lock().map_err(|_| "rspotify's token is locked")?;
        *own = Some(token);
        Ok(())
    }
}

fn is_unauthorized(error: &ClientError) -> bool {
    match error {
        ClientError::Http(error) => matches!(
            &**error,
            HttpError::StatusCode(response) if response.status() == 401
        ),
        _ => false,
    }
}
