//! Whom to log in to, and where to keep it: from the command line and the environment.

use std::sync::Arc;
use std::time::Duration;

use authflow::session::{FileStore, MemoryStore, Store};
use authflow::testing::FakeProvider;
use authflow::{Client, Provider, spotify};

pub const USAGE: &str = "\
usage: authflow-desktop [OPTIONS]

Without any, it logs in to Spotify if SPOTIFY_CLIENT_ID is set, and else to a fake provider that it
brings along. For any other provider, say:
  --authorize URL          the authorization endpoint
  --token URL              the token endpoint
  --client-id ID           the client's id there
  --me URL                 the API's answer to who is logged in
  --scopes 'ONE TWO'       what to ask for
  --revoke URL             the revocation endpoint, if there is one
  --refresh-token-days N   how long its refresh tokens last, if that is known
  --store FILE             where to keep the login
  --port PORT              where the browser comes back to; a free one by default
  --login-timeout SECONDS  how long to wait for the browser; 300 by default
  --theme light|dark       the desktop's by default
  --trace                  says on standard output what is to be seen, for tests";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub struct Config {
    pub client: Arc<Client>,
    pub me_url: String,
    pub store: Box<dyn Store>,
    pub port: Option<u16>,
    pub is_dark: Option<bool>,
    pub is_traced: bool,
    /// Whom this logs in to, for people.
    pub provider: String,
    /// It ends with this program.
    pub fake: Option<FakeProvider>,
}

#[derive(Default)]
struct Options {
    authorize: Option<String>,
    token: Option<String>,
    client_id: Option<String>,
    me: Option<String>,
    scopes: Option<String>,
    revoke: Option<String>,
    refresh_token_days: Option<u32>,
    store: Option<String>,
    port: Option<u16>,
    login_timeout: Option<u64>,
    is_dark: Option<bool>,
    is_traced: bool,
}

impl Config {
    /// From the arguments after the program's name.
    ///
    /// # Errors
    /// What to write instead.
    pub fn from_args(
        args: impl Iterator<Item = String>,
        spotify_client_id: Option<String>,
    ) -> Result<Self, String> {
        let options = Options::parse(args)?;
        match (options.authorize.clone(), options.token.clone()) {
            (Some(authorize), Some(token)) => options.any(&authorize, &token),
            (None, None) => match spotify_client_id.filter(|id| !id.is_empty()) {
                Some(id) => options.spotify(id),
                None => options.fake(),
            },
            _ => Err("--authorize and --token belong together".to_owned()),
        }
    }
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        while let Some(name) = args.next() {
            if name == "--trace" {
                options.is_traced = true;
                continue;
            }
            let mut value = || args.next().ok_or(format!("{name} needs a value"));
            match name.as_str() {
                "--authorize" => options.authorize = Some(value()?),
                "--token" => options.token = Some(value()?),
                "--client-id" => options.client_id = Some(value()?),
                "--me" => options.me = Some(value()?),
                "--scopes" => options.scopes = Some(value()?),
                "--revoke" => options.revoke = Some(value()?),
                "--refresh-token-days" => {
                    options.refresh_token_days = Some(number(&name, &value()?)?);
                }
                "--store" => options.store = Some(value()?),
                "--port" => options.port = Some(number(&name, &value()?)?),
                "--login-timeout" => options.login_timeout = Some(number(&name, &value()?)?),
                "--theme" => {
                    options.is_dark = Some(match value()?.as_str() {
                        "light" => false,
                        "dark" => true,
                        other => return Err(format!("--theme is light or dark, not {other}")),
                    });
                }
                _ => return Err(format!("{name} is unknown\n\n{USAGE}")),
            }
        }
        Ok(options)
    }

    fn spotify(self, id: String) -> Result<Config, String> {
        let store = FileStore::for_app("authflow-desktop").map_err(|error| error.to_string())?;
        let me = "https://api.spotify.com/v1/me".to_owned();
        self.config(
            spotify::client(id),
            me,
            Box::new(store),
            "Spotify".to_owned(),
        )
    }

    fn any(self, authorize: &str, token: &str) -> Result<Config, String> {
        let id = self.client_id.clone().ok_or("--client-id is missing")?;
        let me = self.me.clone().ok_or("--me is missing")?;
        let api = url::Url::parse(&me).map_err(|error| format!("--me: {error}"))?;
        let mut provider =
            Provider::new(authorize, token).api_origin(api.origin().ascii_serialization());
        if let Some(revoke) = &self.revoke {
            provider = provider.revocation_endpoint(revoke);
        }
        if let Some(days) = self.refresh_token_days {
            provider = provider.refresh_token_lifetime(DAY.saturating_mul(days));
        }
        // Plain http is for test servers on this machine; the library refuses it elsewhere.
        if authorize.starts_with("http://") {
            provider = provider.dangerously_allow_http_on_loopback();
        }
        let host = url::Url::parse(authorize)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned));
        let store = FileStore::for_app("authflow-desktop").map_err(|error| error.to_string())?;
        self.config(
            Client::builder(provider, id),
            me,
            Box::new(store),
            host.unwrap_or_default(),
        )
    }

    fn fake(self) -> Result<Config, String> {
        let started = FakeProvider::builder().with_revocation().start();
        let fake = started.map_err(|error| format!("the fake provider does not start: {error}"))?;
        // As Spotify's, its refresh tokens last for six months.
        let provider = fake.provider().refresh_token_lifetime(DAY * 181);
        let client = Client::builder(provider, fake.client_id());
        let me = fake.me_url();
        // It knows nobody any more at the next start, so nothing needs to be kept.
        let name = "a fake provider, which ends with this window".to_owned();
        let mut config = self.config(client, me, Box::new(MemoryStore::new()), name)?;
        config.fake = Some(fake);
        Ok(config)
    }

    fn config(
        self,
        client: authflow::ClientBuilder,
        me_url: String,
        store: Box<dyn Store>,
        provider: String,
    ) -> Result<Config, String> {
        let scopes = self
            .scopes
            .as_deref()
            .unwrap_or("user-read-email user-read-private");
        let mut client = client.scopes(scopes.split_whitespace());
        if let Some(seconds) = self.login_timeout {
            client = client.login_timeout(Duration::from_secs(seconds));
        }
        let store = match self.store {
            Some(path) => Box::new(FileStore::at(path)),
            None => store,
        };
        let client = client.build().map_err(|error| error.to_string())?;
        // The token goes to the provider's API only.
        let me_url = client
            .api_url(&me_url)
            .ok_or("--me is not on the provider's API")?;
        Ok(Config {
            client: Arc::new(client),
            me_url,
            store,
            port: self.port,
            is_dark: self.is_dark,
            is_traced: self.is_traced,
            provider,
            fake: None,
        })
    }
}

fn number<N: std::str::FromStr>(name: &str, value: &str) -> Result<N, String> {
    value
        .parse()
        .map_err(|_| format!("{name} needs a number, not {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(args: &[&str], spotify: Option<&str>) -> Result<Config, String> {
        let args = args.iter().map(|&arg| arg.to_owned());
        Config::from_args(args, spotify.map(str::to_owned))
    }

    #[test]
    fn without_a_client_id_the_provider_is_a_fake() {
        let fake = config(&[], None).unwrap();
        assert!(fake.fake.is_some());
        assert!(config(&[], Some("")).unwrap().fake.is_some());
        assert_eq!(fake.client.id(), "fake-client");
        let spotify = config(&["--store", "/nowhere/login.json"], Some("abc")).unwrap();
        assert!(spotify.fake.is_none());
        assert_eq!(spotify.client.id(), "abc");
        assert_eq!(
            spotify.store.location().as_deref(),
            Some("/nowhere/login.json")
        );
    }

    #[test]
    fn any_provider_will_do_but_not_over_plain_http_elsewhere() {
        let any = |authorize: &str| {
            let token = authorize.replace("auth", "token");
            let args = [
                "--authorize",
                authorize,
                "--token",
                &token,
                "--client-id",
                "c",
            ];
            config(
                &[&args[..], &["--me", "https://api.example/me"]].concat(),
                None,
            )
        };
        assert_eq!(
            any("https://as.example/auth").unwrap().provider,
            "as.example"
        );
        assert!(any("http://127.0.0.1:1234/auth").is_ok());
        assert!(any("http://as.example/auth").is_err());
        assert!(config(&["--authorize", "https://as.example/auth"], None).is_err());
        assert!(config(&["--port", "many"], None).is_err());
        assert!(config(&["--nonsense"], None).is_err());
    }
}
