//! Anything, in the place of what a program configures.

use std::time::Duration;

use authflow::{Client, ClientAuth, Event, LoginSecrets, Provider};
use url::Url;

use super::login::{NOW, drain};

/// One value on each line.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let mut next = || lines.next().unwrap_or_default();
    let [
        switches,
        authorization,
        token,
        redirect,
        scopes,
        name,
        value,
        id,
        secret,
        issuer,
    ] = std::array::from_fn(|_| next());
    let has = |letter: char| switches.contains(letter);

    let mut provider = Provider::builder(authorization, token);
    if has('i') {
        provider = provider.issuer(issuer);
    }
    if has('l') {
        provider = provider.localhost_redirects();
    }
    if has('h') {
        provider = provider.dangerously_allow_http_on_loopback();
    }
    if has('u') {
        provider = provider.undotted_redirect_schemes();
    }
    let mut client = Client::builder(provider, id).secret(secret);
    client = client.scopes(scopes.split(' ').filter(|scope| !scope.is_empty()));
    if has('p') {
        client = client.authorize_param(name, value);
    }
    if has('t') {
        client = client.token_param(name, value);
    }
    if has('b') {
        client = client.auth(ClientAuth::Body);
    }
    client = client.leeway(Duration::from_millis(data.len() as u64));
    let client = match client.build() {
        Ok(client) => client,
        Err(error) => {
            // It says what to write instead, and no secret.
            let shown = format!("{error}\n{error:?}");
            assert!(!is_ours(secret, &text) || !shown.contains(secret));
            return;
        }
    };
    let Ok(redirect_uri) = client.redirect_uri(redirect) else {
        return;
    };
    assert_eq!(redirect_uri.as_str(), redirect);
    let mut flow = authflow::AuthFlow::new(client);
    let begin = Event::BeginLogin {
        secrets: LoginSecrets::from_entropy([7; 64]),
        redirect_uri,
    };
    flow.handle(begin, NOW).expect("a URI of this very client");
    drain(&mut flow);
    let url = flow.authorization_url().expect("a login").as_str();
    let parsed = Url::parse(url).expect("a URL");
    let is_loopback = matches!(parsed.host(), Some(url::Host::Ipv4(ip)) if ip.is_loopback())
        || matches!(parsed.host(), Some(url::Host::Ipv6(ip)) if ip.is_loopback());
    assert!(parsed.scheme() == "https" || (has('h') && parsed.scheme() == "http" && is_loopback));
    assert!(
        parsed.username().is_empty() && parsed.password().is_none() && parsed.fragment().is_none()
    );
    // Each once, and the redirect URI byte for byte.
    let pairs: Vec<_> = parsed.query_pairs().collect();
    for name in [
        "response_type",
        "client_id",
        "redirect_uri",
        "state",
        "code_challenge",
        "code_challenge_method",
    ] {
        let values: Vec<_> = pairs.iter().filter(|(known, _)| known == name).collect();
        assert_eq!(values.len(), 1, "{name} in {url}");
    }
    let redirect_sent = pairs.iter().find(|(name, _)| name == "redirect_uri");
    assert_eq!(redirect_sent.map(|(_, value)| &**value), Some(redirect));
    assert!(
        !is_ours(secret, &text) || !url.contains(secret),
        "the secret is in {url}"
    );
}

/// Whether it is a secret that stands nowhere else, also not in our own words.
fn is_ours(secret: &str, text: &str) -> bool {
    secret.len() >= 8 && secret.starts_with("SECRET") && text.matches(secret).count() == 1
}
