//! The person, between the provider and a client's listener.

use std::io::ErrorKind;

use super::*;

fn landing_page() -> Reply {
    Reply::new(200)
        .header("Content-Type", "text/html")
        .body("<p>Welcome</p>")
}

fn url(provider: &FakeProvider, port: u16) -> String {
    let redirect_uri = format!("http://127.0.0.1:{port}/callback");
    authorize_url(provider, &[("redirect_uri", &redirect_uri)])
}

#[test]
fn a_yes_reaches_the_clients_listener_with_a_code() {
    let provider = FakeProvider::start().unwrap();
    let (port, client) = client_listener(vec![landing_page()]);
    let landing = Person::allow(&url(&provider, port)).unwrap();
    assert_eq!((landing.status(), landing.body()), (200, "<p>Welcome</p>"));
    assert_eq!(landing.header("content-type"), Some("text/html"));
    assert!(!format!("{landing:?}").contains("Welcome"));

    let requests = client.join().unwrap();
    let request = &requests[0];
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("GET", "/callback")
    );
    assert_eq!(
        request.header("host"),
        Some(format!("127.0.0.1:{port}").as_str())
    );
    let pairs = request.query_pairs();
    assert_eq!(pairs[0].0, "code");
    assert_eq!(pairs[1], ("state".to_owned(), "a state".to_owned()));
}

#[test]
fn a_no_reaches_the_clients_listener_as_access_denied() {
    let provider = FakeProvider::start().unwrap();
    let (port, client) = client_listener(vec![Reply::new(400).body("No?")]);
    let landing = Person::deny(&url(&provider, port)).unwrap();
    assert_eq!((landing.status(), landing.body()), (400, "No?"));
    assert_eq!(
        client.join().unwrap()[0].query,
        "error=access_denied&state=a+state"
    );
}

#[test]
fn a_client_that_sends_the_browser_on_is_followed_on_loopback() {
    let provider = FakeProvider::start().unwrap();
    let on = Reply::new(303).header("Location", "/done");
    let (port, client) = client_listener(vec![on, landing_page()]);
    let landing = Person::allow(&url(&provider, port)).unwrap();
    assert_eq!(landing.body(), "<p>Welcome</p>");
    assert_eq!(client.join().unwrap()[1].path, "/done");

    let away = Reply::new(302).header("Location", "https://app.example/");
    let (port, client) = client_listener(vec![away]);
    let landing = Person::allow(&url(&provider, port)).unwrap();
    assert_eq!(landing.status(), 302);
    client.join().unwrap();
}

#[test]
fn the_redirect_can_be_had_without_going_there() {
    let uri = "my-app://callback";
    let provider = FakeProvider::builder()
        .redirect_uris([uri])
        .start()
        .unwrap();
    let url = authorize_url(&provider, &[("redirect_uri", uri)]);
    let back = Person::redirect_for(&url, Answer::Allow).unwrap();
    assert!(back.starts_with("my-app://callback?code="), "{back}");
    assert_eq!(
        Person::allow(&url).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );

    let refused = authorize_url(
        &provider,
        &[("redirect_uri", uri), ("response_type", "token")],
    );
    let back = Person::redirect_for(&refused, Answer::Allow).unwrap();
    assert_eq!(parameters(&back)["error"], "unsupported_response_type");
}

#[test]
fn a_page_without_a_question_is_an_error_with_its_heading() {
    let provider = FakeProvider::start().unwrap();
    let url = authorize_url(
        &provider,
        &[("redirect_uri", "http://localhost:1/callback")],
    );
    let error = Person::allow(&url).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert_eq!(
        error.to_string(),
        "not a consent page but status 400: INVALID_CLIENT: Invalid redirect URI"
    );
}

#[test]
fn nobody_at_the_redirect_uri_is_an_error() {
    let provider = FakeProvider::start().unwrap();
    // Nobody listens on port 1.
    assert!(Person::allow(&url(&provider, 1)).is_err());
    assert_eq!(
        Person::allow("https://accounts.spotify.com/authorize")
            .unwrap_err()
            .kind(),
        ErrorKind::InvalidInput
    );
}

#[cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]
#[test]
fn each_person_has_a_profile_of_their_own() {
    let provider = FakeProvider::start().unwrap();
    let me = |name: &str| {
        let mut pending = crate::Login::new(provider.client())
            .begin(REDIRECT)
            .unwrap();
        let back = Person::redirect_as(pending.url().as_str(), name)?;
        let session = pending.callback(crate::CallbackUrl::new(back)).unwrap();
        session.refresh().unwrap();
        let me: Value = session
            .get(&provider.me_url())
            .unwrap()
            .read_json()
            .unwrap();
        Ok::<_, std::io::Error>(format!("{} {}", me["id"], me["display_name"]))
    };
    assert_eq!(me("bob").unwrap(), r#""bob" "Bob""#);
    assert_eq!(me("user-17").unwrap(), r#""user-17" "User-17""#);
    assert_eq!(me("alice").unwrap(), r#""alice" "Alice""#);
    for name in ["<b>", "Bob", "é"] {
        assert_eq!(me(name).unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
