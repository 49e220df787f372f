//! `rspotify` 0.16, of which everything but the two forms can be had without its HTTP client. An answer is read
//! as its source reads it (`fetch_access_token`), but for the clock.

use ::rspotify::clients::OAuthClient as _;
use ::rspotify::{AuthCodePkceSpotify, Credentials, OAuth, Token};

use super::Library;
use crate::fixture;
use crate::measure::Meter;

pub struct Rspotify {
    client: AuthCodePkceSpotify,
}

pub struct Inputs {
    client: AuthCodePkceSpotify,
    url: String,
    answers: [String; 2],
}

impl Library for Rspotify {
    const NAME: &'static str = "rspotify";
    const IS_WHOLE: bool = false;
    const DRAWS_ITS_OWN: bool = true;
    type Inputs = Inputs;

    fn new() -> Self {
        let credentials = Credentials::new_pkce(fixture::CLIENT_ID);
        let oauth = OAuth {
            redirect_uri: fixture::REDIRECT_URI.to_owned(),
            state: fixture::STATE.to_owned(),
            scopes: fixture::SCOPES.map(str::to_owned).into(),
            proxies: None,
        };
        Self {
            client: AuthCodePkceSpotify::new(credentials, oauth),
        }
    }

    fn inputs(&self) -> Inputs {
        Inputs {
            client: self.client.clone(),
            url: format!("http://127.0.0.1:8888{}", fixture::target(fixture::STATE)),
            answers: [fixture::tokens(), fixture::tokens()],
        }
    }

    fn flow(&self, mut inputs: Inputs, meter: &mut impl Meter) {
        // The verifier is drawn here; the state was when the client was made.
        let url = meter.step("authorize", || {
            inputs.client.get_authorize_url(None).expect("a URL")
        });
        meter.sees("authorize", &url);
        let code = meter.step("callback", || {
            inputs.client.parse_response_code(&inputs.url)
        });
        assert!(code.is_some());
        let [first, second] = &inputs.answers;
        meter.step("token response", || read(first));
        meter.step("refresh response", || read(second));
    }
}

fn read(body: &str) -> Token {
    serde_json::from_str(body).expect("tokens")
}
