//! `yup-oauth2` 12 on its hyper. An exchange needs a browser, so this is a refresh, of a token that came by the
//! flow where a person types the code.

use std::pin::Pin;

use ::yup_oauth2::authenticator::DefaultAuthenticator;
use ::yup_oauth2::authenticator_delegate::InstalledFlowDelegate;
use ::yup_oauth2::{ApplicationSecret, InstalledFlowAuthenticator, InstalledFlowReturnMethod};
use tokio::runtime::Runtime;

use super::Exchange;
use crate::fixture;

/// The fixture's client. It has no PKCE, and wants a secret.
#[must_use]
pub fn client(token_url: &str) -> ApplicationSecret {
    ApplicationSecret {
        client_id: fixture::CLIENT_ID.to_owned(),
        auth_uri: fixture::AUTHORIZE.to_owned(),
        token_uri: token_url.to_owned(),
        ..ApplicationSecret::default()
    }
}

struct Typing;

impl InstalledFlowDelegate for Typing {
    fn present_user_url<'a>(
        &'a self,
        _: &'a str,
        _: bool,
    ) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>> {
        Box::pin(std::future::ready(Ok(fixture::code())))
    }
}

pub struct Refresh {
    runtime: Runtime,
    authenticator: DefaultAuthenticator,
}

impl Exchange for Refresh {
    type Ready = ();

    fn new(token_url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let method = InstalledFlowReturnMethod::Interactive;
        let authenticator = InstalledFlowAuthenticator::builder(client(token_url), method)
            .flow_delegate(Box::new(Typing));
        let authenticator = runtime.block_on(async {
            let authenticator = authenticator.build().await.expect("an authenticator");
            authenticator.token(&fixture::SCOPES).await.expect("tokens");
            authenticator
        });
        Self {
            runtime,
            authenticator,
        }
    }

    fn prepare(&self) {}

    fn exchange(&mut self, (): ()) {
        let refreshed = self.authenticator.force_refreshed_token(&fixture::SCOPES);
        self.runtime.block_on(refreshed).expect("tokens");
    }
}
