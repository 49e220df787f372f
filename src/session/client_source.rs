//! Where a login's client comes from.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::ConfigError;
use crate::provider::client::{Client, ClientBuilder};
use crate::wire::authorize::AuthorizationRequest;
use crate::wire::scope::Scopes;

pub(super) enum ClientSource {
    Builder(Box<ClientBuilder>),
    Client(Arc<Client>),
}

impl ClientSource {
    /// The client, or one like it that asks for these scopes too and waits for the person for so long.
    pub(super) fn build(
        self,
        scopes: &[String],
        timeout: Option<Duration>,
    ) -> Result<Arc<Client>, ConfigError> {
        match self {
            Self::Builder(builder) => {
                let mut builder = *builder;
                if let Some(timeout) = timeout {
                    builder = builder.login_timeout(timeout);
                }
                builder.scopes(scopes).build().map(Arc::new)
            }
            Self::Client(client) => {
                let timeout = timeout.unwrap_or(client.login_timeout);
                let has_all = scopes.iter().all(|scope| client.scopes.contains(scope));
                if has_all && timeout == client.login_timeout {
                    return Ok(client);
                }
                changed(&client, scopes, timeout).map(Arc::new)
            }
        }
    }
}

fn changed(client: &Client, scopes: &[String], timeout: Duration) -> Result<Client, ConfigError> {
    let own = client.scopes.iter().map(str::to_owned);
    let all: Vec<String> = own.chain(scopes.iter().cloned()).collect();
    let scopes = Scopes::new(&all)?;
    let authorization = AuthorizationRequest::new(
        &client.provider.authorization_endpoint,
        &client.id,
        &scopes,
        client.authorization.has_challenge(),
        &client.authorize_params,
    );
    Ok(Client {
        scopes,
        authorization,
        login_timeout: timeout,
        ..client.clone()
    })
}

impl fmt::Debug for ClientSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builder(builder) => builder.fmt(f),
            Self::Client(client) => client.fmt(f),
        }
    }
}
