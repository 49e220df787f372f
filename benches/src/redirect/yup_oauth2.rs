//! `yup-oauth2` 12 with its listener, on the runtime that its documentation has.

use std::pin::Pin;

use ::yup_oauth2::authenticator::DefaultAuthenticator;
use ::yup_oauth2::authenticator_delegate::InstalledFlowDelegate;
use ::yup_oauth2::{AccessToken, InstalledFlowAuthenticator, InstalledFlowReturnMethod};
use tokio::runtime::Runtime;

use super::floors::text;
use super::{Login, show};
use crate::exchange::yup_oauth2::client;
use crate::fixture;

struct Showing;

impl InstalledFlowDelegate for Showing {
    fn present_user_url<'a>(
        &'a self,
        url: &'a str,
        _: bool,
    ) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>> {
        show(url);
        Box::pin(std::future::ready(Ok(String::new())))
    }
}

pub struct Installed {
    runtime: Runtime,
    token_url: String,
}

impl Login for Installed {
    type Held = (DefaultAuthenticator, AccessToken);

    fn new(token_url: &str) -> Self {
        Self {
            runtime: Runtime::new().expect("a runtime"),
            token_url: token_url.to_owned(),
        }
    }

    fn login(&self) -> Result<Self::Held, String> {
        let method = InstalledFlowReturnMethod::HTTPRedirect;
        let authenticator = InstalledFlowAuthenticator::builder(client(&self.token_url), method)
            .flow_delegate(Box::new(Showing));
        self.runtime.block_on(async {
            let authenticator = authenticator.build().await.map_err(text)?;
            let token = authenticator.token(&fixture::SCOPES).await.map_err(text)?;
            Ok((authenticator, token))
        })
    }
}
