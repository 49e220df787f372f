//! `openidconnect` 4: as `oauth2`, and a nonce.

use ::openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreJsonWebKeySet};
use ::openidconnect::{
    AuthType, AuthUrl, ClientId, CsrfToken, EndpointNotSet, EndpointSet, IssuerUrl, Nonce,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenUrl,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Logins;
use crate::fixture;

pub type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
    EndpointNotSet,
>;

pub struct Openidconnect {
    pub client: Client,
    scopes: Vec<String>,
}

impl Logins for Openidconnect {
    const NAME: &'static str = "openidconnect";
    type Key = String;
    type Login = (PkceCodeVerifier, Nonce);

    fn new(scopes: &[String]) -> Self {
        let issuer = IssuerUrl::new("https://accounts.spotify.com".into()).expect("a URL");
        let id = ClientId::new(fixture::CLIENT_ID.into());
        let client = CoreClient::new(id, issuer, CoreJsonWebKeySet::new(Vec::new()))
            .set_auth_type(AuthType::RequestBody)
            .set_auth_uri(AuthUrl::new(fixture::AUTHORIZE.into()).expect("a URL"))
            .set_token_uri(TokenUrl::new(fixture::TOKEN.into()).expect("a URL"))
            .set_redirect_uri(RedirectUrl::new(fixture::REDIRECT_URI.into()).expect("a URL"));
        Self {
            client,
            scopes: scopes.to_vec(),
        }
    }

    fn begin(&self, entropy: [u8; 64]) -> (String, (PkceCodeVerifier, Nonce)) {
        let state = CsrfToken::new(URL_SAFE_NO_PAD.encode(&entropy[..16]));
        let nonce = Nonce::new(URL_SAFE_NO_PAD.encode(&entropy[16..32]));
        let verifier = PkceCodeVerifier::new(URL_SAFE_NO_PAD.encode(&entropy[32..]));
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let request = self.client.authorize_url(flow, || state, || nonce);
        let (url, state, nonce) = request
            .add_scopes(self.scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .url();
        assert!(url.as_str().len() > fixture::AUTHORIZE.len());
        (state.into_secret(), (verifier, nonce))
    }
}
