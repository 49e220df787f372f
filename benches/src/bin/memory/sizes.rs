//! `size_of` the public types.

use authflow_benches::figure::Row;

use crate::Measured;

pub const PART: &str = "sizes of types";

macro_rules! sizes {
    ($($(#[$on:meta])* $name:literal: $type:ty,)*) => {
        vec![$($(#[$on])* ($name, |row: &Row<'_>| row.put("size_of", size_of::<$type>(), "bytes"))),*]
    };
}

pub fn rows() -> Vec<Measured> {
    sizes![
        "authflow, AuthFlow": authflow::AuthFlow,
        "authflow, Client": authflow::Client,
        "authflow, ClientBuilder": authflow::ClientBuilder,
        "authflow, Event": authflow::Event,
        "authflow, Action": authflow::Action,
        "authflow, Notice": authflow::Notice,
        "authflow, Failure": authflow::Failure,
        "authflow, Snapshot": authflow::Snapshot,
        "authflow, TokenSet": authflow::TokenSet,
        "authflow, Secret": authflow::Secret,
        "authflow, LoginSecrets": authflow::LoginSecrets,
        "authflow, RedirectUri": authflow::RedirectUri,
        "authflow, HttpRequest": authflow::HttpRequest,
        "authflow, HttpResponse": authflow::HttpResponse,
        #[cfg(feature = "oauth2")]
        "oauth2, BasicClient": authflow_benches::backend::oauth2::Client,
        #[cfg(feature = "oauth2")]
        "oauth2, BasicTokenResponse": oauth2::basic::BasicTokenResponse,
        #[cfg(feature = "oauth2")]
        "oauth2, RequestTokenError": oauth2::basic::BasicRequestTokenError<
            oauth2::HttpClientError<std::io::Error>,
        >,
        #[cfg(feature = "openidconnect")]
        "openidconnect, CoreClient": authflow_benches::backend::openidconnect::Client,
        #[cfg(feature = "openidconnect")]
        "openidconnect, CoreTokenResponse": openidconnect::core::CoreTokenResponse,
        #[cfg(feature = "rspotify")]
        "rspotify, AuthCodePkceSpotify": rspotify::AuthCodePkceSpotify,
        #[cfg(feature = "rspotify")]
        "rspotify, Token": rspotify::Token,
        #[cfg(feature = "rspotify")]
        "rspotify, ClientError": rspotify::ClientError,
    ]
}
