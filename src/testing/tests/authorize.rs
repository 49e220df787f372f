//! `/authorize` and `/consent`, without sockets.

use super::*;

fn ask(server: &mut Server, more: &[(&str, &str)]) -> Reply {
    let target = format!("/authorize?{}", authorize_query(more));
    server.handle(&Request::get(&target), at(0))
}

#[test]
fn a_wrong_client_or_redirect_uri_is_a_page_and_never_a_redirect() {
    let mut server = server(FakeProvider::builder());
    for (name, value, message) in [
        ("client_id", "other", "INVALID_CLIENT: Invalid client"),
        ("client_id", "-", "Missing required parameter: client_id"),
        ("client_id", "", "Missing required parameter: client_id"),
        (
            "redirect_uri",
            "-",
            "Missing required parameter: redirect_uri",
        ),
        (
            "redirect_uri",
            "http://localhost:4242/callback",
            "INVALID_CLIENT: Invalid redirect URI",
        ),
        (
            "redirect_uri",
            "http://127.0.0.1:4242/callback/",
            "INVALID_CLIENT: Invalid redirect URI",
        ),
        (
            "redirect_uri",
            "https://evil.example/",
            "INVALID_CLIENT: Invalid redirect URI",
        ),
    ] {
        // A second fault must not turn the page into a redirect either.
        let reply = ask(&mut server, &[(name, value), ("response_type", "token")]);
        assert_eq!(reply.status, 400, "{name}={value}");
        assert!(
            text(&reply).contains(&format!("<h1>{message}</h1>")),
            "{}",
            text(&reply)
        );
        assert_eq!(header(&reply.headers, "location"), None);
    }
    let twice = [
        ("redirect_uri", REDIRECT),
        ("redirect_uri", "https://evil.example/"),
    ];
    assert_eq!(ask(&mut server, &twice).status, 400);
}

#[test]
fn everything_else_that_is_wrong_goes_back_with_the_state() {
    let mut server = server(FakeProvider::builder().known_scopes(["streaming"]));
    for (more, error) in [
        (&[("response_type", "-")][..], "invalid_request"),
        (&[("response_type", "token")], "unsupported_response_type"),
        (&[("code_challenge", "-")], "invalid_request"),
        (
            &[("code_challenge", "-"), ("code_challenge_method", "-")],
            "invalid_request",
        ),
        (&[("code_challenge_method", "plain")], "invalid_request"),
        (&[("code_challenge_method", "-")], "invalid_request"),
        (&[("code_challenge", "short")], "invalid_request"),
        (
            &[("scope", "streaming"), ("scope", "streaming")],
            "invalid_request",
        ),
        (
            &[("scope", "streaming user-read-birthdate")],
            "invalid_scope",
        ),
    ] {
        let reply = ask(&mut server, more);
        let back = location(&reply);
        assert!(
            back.starts_with("http://127.0.0.1:4242/callback?error="),
            "{back}"
        );
        let answer = parameters(back);
        assert_eq!(answer["error"], error, "{more:?}");
        assert_eq!(answer["state"], "a state");
        assert!(!answer.contains_key("code"));
    }
}

#[test]
fn a_state_comes_back_as_it_was_sent_and_only_then() {
    let mut server = server(FakeProvider::builder());
    let wrong = ("response_type", "token");
    let back = |server: &mut Server, state| {
        let reply = ask(server, &[wrong, ("state", state)]);
        parameters(location(&reply)).remove("state")
    };
    assert_eq!(back(&mut server, "-"), None);
    assert_eq!(back(&mut server, ""), Some(String::new()));
    assert_eq!(
        back(&mut server, "a&b=c +é\r\n"),
        Some("a&b=c +é\r\n".to_owned())
    );
    let twice = ask(&mut server, &[("state", "x"), ("state", "y")]);
    assert!(!parameters(location(&twice)).contains_key("state"));
}

#[test]
fn the_consent_page_shows_client_and_scopes_and_its_ticket_works_once() {
    let mut server = server(FakeProvider::builder());
    let page = ask(&mut server, &[("scope", "user-read-email <b>")]);
    assert!(text(&page).contains("<code>fake-client</code>"));
    assert!(text(&page).contains("<code>user-read-email</code>"));
    assert!(text(&page).contains("<code>&lt;b&gt;</code>"));
    assert_eq!(header(&page.headers, "cache-control"), Some("no-store"));

    let ticket = ticket(&page);
    let mut say = |form: String, now| server.handle(&Request::post("/consent", &form), now);
    assert_eq!(say("answer=allow&ticket=guess".into(), at(1)).status, 400);
    assert_eq!(
        say(format!("answer=maybe&ticket={ticket}"), at(1)).status,
        400
    );
    let back = say(format!("answer=deny&ticket={ticket}"), at(1));
    assert_eq!(
        location(&back),
        "http://127.0.0.1:4242/callback?error=access_denied&state=a+state"
    );
    assert_eq!(
        say(format!("answer=allow&ticket={ticket}"), at(1)).status,
        400
    );
}

#[test]
fn an_old_consent_page_is_no_longer_answered() {
    let mut server = server(FakeProvider::builder());
    let ticket = ticket(&ask(&mut server, &[]));
    let late = Request::post("/consent", &format!("answer=allow&ticket={ticket}"));
    assert_eq!(server.handle(&late, at(600)).status, 400);
}

#[test]
fn a_redirect_uri_keeps_its_own_query() {
    let uri = "my-app://callback?tenant=1";
    let mut server = server(FakeProvider::builder().redirect_uris([uri]));
    let ticket = ticket(&ask(&mut server, &[("redirect_uri", uri), ("state", "-")]));
    let form = format!("answer=allow&ticket={ticket}");
    let back = server.handle(&Request::post("/consent", &form), at(0));
    assert!(location(&back).starts_with("my-app://callback?tenant=1&code=AQ"));
}

#[test]
fn a_client_with_a_secret_may_leave_out_pkce_but_not_half_of_it() {
    let mut server = server(FakeProvider::builder().client_secret("s"));
    let none = [("code_challenge", "-"), ("code_challenge_method", "-")];
    assert_eq!(ask(&mut server, &none).status, 200);
    location(&ask(&mut server, &[("code_challenge", "-")]));
    location(&ask(&mut server, &[("code_challenge_method", "plain")]));
}

#[test]
fn other_paths_and_methods_are_refused() {
    let mut server = server(FakeProvider::builder());
    let mut status = |request: Request| server.handle(&request, at(0)).status;
    assert_eq!(status(Request::get("/")), 200);
    assert_eq!(status(Request::get("/favicon.ico")), 404);
    assert_eq!(status(Request::get("/consent")), 405);
    assert_eq!(status(Request::get("/api/token")), 405);
    assert_eq!(status(Request::post("/authorize", "")), 405);
}
