//! Requirements of the specifications that no row of data can show. `tests/vectors/requirements.jsonl`
//! says which they are.

mod support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use authflow::{
    Action, AuthFlow, CallbackUrl, Cause, Client, ClientAuth, Event, HttpRequest, HttpResponse,
    IgnoredReason, LoginSecrets, Notice, Provider, RequestId, RestoreError, State, Timestamp,
    TokenSet,
};
use serde_json::json;

use support::scenario::*;
use support::vectors::{all, pairs, query};

fn login_query(scenario: &Scenario) -> Vec<(String, String)> {
    query(scenario.flow.authorization_url().expect("a login").as_str())
}

/// A parameter that is in the authorization URL exactly once.
fn sent(scenario: &Scenario, name: &str) -> String {
    let query = login_query(scenario);
    let [value] = all(&query, name)[..] else {
        panic!("{name} in {query:?}");
    };
    value.to_owned()
}

fn body(request: &HttpRequest) -> BTreeSet<(String, String)> {
    let pairs = pairs(request.body());
    let set: BTreeSet<_> = pairs.iter().cloned().collect();
    assert_eq!(set.len(), pairs.len(), "twice the same in {pairs:?}");
    set
}

fn set<const N: usize>(pairs: [(&str, &str); N]) -> BTreeSet<(String, String)> {
    let owned = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    owned.into_iter().collect()
}

fn headers(request: &HttpRequest) -> Vec<(&str, &str)> {
    request.headers().collect()
}

fn time(run: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    run();
    begun.elapsed()
}

#[test]
fn each_login_has_a_state_and_a_challenge_of_its_own() {
    let mut scenario = Scenario::new();
    let redirect_uri = scenario.flow.client().redirect_uri(REDIRECT_URI).unwrap();
    let (mut states, mut challenges) = (BTreeSet::new(), BTreeSet::new());
    for number in 0..10_000_u64 {
        let mut entropy = [0x5a; 64];
        entropy[8..16].copy_from_slice(&number.to_le_bytes());
        entropy[40..48].copy_from_slice(&number.to_le_bytes());
        scenario.fire(Event::BeginLogin {
            secrets: LoginSecrets::from_entropy(entropy),
            redirect_uri: redirect_uri.clone(),
        });
        let state = sent(&scenario, "state");
        assert_eq!(state.len(), 43, "256 bits in base64url");
        let is_base64url = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        assert!(state.chars().all(is_base64url), "{state}");
        assert!(states.insert(state));
        assert!(challenges.insert(sent(&scenario, "code_challenge")));
        scenario.fire(Event::CancelLogin);
    }
}

#[test]
fn no_url_has_a_secret_in_it() {
    let mut login = Scenario::with(|client| client.secret("SECRET-1"));
    let redirect_uri = login.flow.client().redirect_uri(REDIRECT_URI).unwrap();
    // Two halves, so that the verifier is not the state.
    let secrets = LoginSecrets::from_entropy(std::array::from_fn(|at| at as u8));
    login.fire(Event::BeginLogin {
        secrets,
        redirect_uri,
    });
    let mut urls = vec![login.flow.authorization_url().unwrap().as_str().to_owned()];
    let scenario = login.authorized().refreshing();
    urls.extend(scenario.requests.iter().map(|r| r.url().to_owned()));
    let exchange = pairs(scenario.requests[0].body());
    let verifier = all(&exchange, "code_verifier")[0];
    assert_eq!(urls.len(), 3);
    for url in urls {
        for secret in [verifier, "SECRET-1", "c0de", "AT-1", "RT-1"] {
            assert!(!url.contains(secret), "{secret} in {url}");
        }
    }
}

#[test]
fn a_waiting_login_goes_on_only_with_its_own_server_and_client() {
    let saved = Scenario::new().awaiting_code().saved();
    let others = [
        Client::builder(
            Provider::new("https://evil.example/a", "https://evil.example/t"),
            "client-1",
        ),
        Client::builder(
            Provider::new("https://as.example/authorize", "https://as.example/token")
                .issuer("https://other.example"),
            "client-1",
        ),
        Client::builder(
            Provider::new("https://as.example/authorize", "https://as.example/token")
                .issuer("https://as.example"),
            "client-2",
        ),
    ];
    for other in others {
        let restored = AuthFlow::restore(other.build().unwrap(), saved.clone(), START);
        assert_eq!(restored.unwrap_err(), RestoreError::OtherClient);
    }
    let own = AuthFlow::restore(client().build().unwrap(), saved, START).unwrap();
    assert_eq!(own.state(), State::AwaitingCode);
}

#[test]
fn a_huge_callback_costs_no_time() {
    let mut scenario = Scenario::new().awaiting_code();
    let url = CallbackUrl::new("x".repeat(8 << 20));
    let took = time(|| {
        scenario.fire(Event::Callback { url });
    });
    assert!(took < secs(1), "{took:?}");
    assert_eq!(scenario.ignored().reason, IgnoredReason::TooLarge);
}

#[test]
fn no_callback_of_64_kib_costs_much_time() {
    let state = Scenario::new().awaiting_code().state_parameter();
    for unit in [
        "&", "%", "%41", "+", "&code=", "&x", "=", "?", "#", "/", "é", "[", "\u{3000}",
    ] {
        let mut scenario = Scenario::new().awaiting_code();
        let filler = unit.repeat((60 << 10) / unit.len());
        let took = time(|| {
            for url in [
                format!("/callback?state={state}&{filler}"),
                format!("/callback?state={state}&error=a&error_description={filler}"),
                format!("http://{filler}/callback?state={state}"),
                filler,
            ] {
                let url = CallbackUrl::new(url);
                scenario
                    .flow
                    .handle(Event::Callback { url }, START)
                    .unwrap();
            }
        });
        assert!(took < secs(2), "{took:?}: {unit}");
    }
}

#[test]
fn no_answer_of_a_mebibyte_costs_much_time() {
    let numbered = |sign: &str, before: &str, after: &str| -> String {
        let numbers = (0..60_000).map(|number| format!("{before}{number:x}{after}"));
        numbers.collect::<Vec<_>>().join(sign)
    };
    let bodies = [
        format!(
            "{{\"access_token\":\"AT-9\",{}}}",
            numbered(",", "\"x", "\":1")
        ),
        format!(
            "{{\"access_token\":\"AT-9\",\"scope\":\"{}\"}}",
            numbered(" ", "s", "")
        ),
        format!(
            "{{\"access_token\":\"AT-9\",\"scope\":[{}]}}",
            numbered(",", "\"s", "\"")
        ),
        format!("access_token=AT-9&{}", numbered("&", "x", "=1")),
        format!("{{\"error\":\"{}\"}}", "c0de".repeat(250_000)),
        format!("{{\"error\":{}}}", "[".repeat(500_000)),
        format!(
            "{{\"error\":\"x\",\"error_description\":\"{}\"}}",
            "c0de ".repeat(200_000)
        ),
        "%".repeat(1 << 20),
        "access_token=".repeat(80_000),
        "c0d".repeat(300_000),
        "\"\\u00".repeat(200_000),
    ];
    for reply in bodies {
        let mut scenario = Scenario::new().exchanging();
        let took = time(|| {
            scenario.answer(answer(200, &reply));
        });
        assert!(took < secs(2), "{took:?}: {}", &reply[..60]);
    }
}

#[test]
fn after_a_refusal_the_next_login_shares_nothing_with_the_last() {
    let mut scenario = Scenario::new().awaiting_code();
    let (state, challenge) = (sent(&scenario, "state"), sent(&scenario, "code_challenge"));
    let old = scenario.callback("code=c0de");
    scenario.redirect("error=access_denied");
    assert_eq!(scenario.state(), State::Unauthorized);
    scenario.begin();
    assert_ne!(sent(&scenario, "state"), state);
    assert_ne!(sent(&scenario, "code_challenge"), challenge);
    scenario.stays_put(old);
    assert_eq!(scenario.ignored().reason, IgnoredReason::StateMismatch);
}

#[test]
fn a_callback_that_nobody_waits_for_changes_nothing() {
    let states = [
        Scenario::new(),
        Scenario::new().exchanging(),
        Scenario::new().authorized(),
        Scenario::new().authorized().refreshing(),
        Scenario::new().authorized().expired(),
        Scenario::new().authorized().expired_refreshing(),
    ];
    // The one of the login that has ended, and a forged one.
    let mut login = Scenario::new().awaiting_code();
    let state = login.state_parameter();
    for mut scenario in states {
        for query in ["code=c0de", "error=access_denied", "code=c0de&error=x", ""] {
            for state in [&*state, "forged"] {
                let url = CallbackUrl::from_query(&format!("{query}&state={state}"));
                scenario.stays_put(Event::Callback { url });
                let reason = scenario.ignored().reason;
                let expected = [IgnoredReason::NoLogin, IgnoredReason::Duplicate];
                assert!(expected.contains(&reason), "{reason:?}");
            }
        }
    }
    login.redirect("code=c0de");
    assert_eq!(login.requests.len(), 1);
}

#[test]
fn a_bare_code_is_never_enough() {
    let mut scenario = Scenario::new().awaiting_code();
    let state = scenario.state_parameter();
    for pasted in [
        "c0de",
        "code=c0de",
        &state,
        &format!("code=c0de&state={state}"),
        "",
    ] {
        let url = CallbackUrl::new(pasted);
        scenario.stays_put(Event::Callback { url });
        assert_eq!(scenario.requests.len(), 0, "{pasted}");
    }
}

#[test]
fn pkce_is_on_for_every_client_and_off_only_by_its_ugly_name() {
    for secret in ["", "SECRET-1"] {
        let scenario = Scenario::with(|client| client.secret(secret)).awaiting_code();
        assert_eq!(sent(&scenario, "code_challenge_method"), "S256");
        assert_eq!(sent(&scenario, "code_challenge").len(), 43);
        let scenario = scenario.exchanging();
        assert_eq!(
            all(&pairs(scenario.request().body()), "code_verifier").len(),
            1
        );

        let without = |client: authflow::ClientBuilder| client.dangerously_without_pkce();
        let scenario = Scenario::with(|client| without(client.secret(secret))).awaiting_code();
        for name in ["code_challenge", "code_challenge_method"] {
            assert!(all(&login_query(&scenario), name).is_empty());
        }
        let scenario = scenario.exchanging();
        assert!(all(&pairs(scenario.request().body()), "code_verifier").is_empty());
    }
}

#[test]
fn a_failed_exchange_is_followed_by_a_login_with_another_verifier() {
    let mut scenario = Scenario::new().exchanging();
    scenario.answer(oauth_error("invalid_grant"));
    let scenario = scenario.exchanging();
    let verifiers = scenario.requests.iter().map(|request| {
        let pairs = pairs(request.body());
        all(&pairs, "code_verifier")[0].to_owned()
    });
    assert_eq!(verifiers.collect::<BTreeSet<_>>().len(), 2);
}

#[test]
fn pkce_does_not_replace_the_state() {
    let mut scenario = Scenario::new().awaiting_code();
    assert!(!sent(&scenario, "state").is_empty());
    let url = CallbackUrl::from_query("code=c0de");
    scenario.stays_put(Event::Callback { url });
    assert_eq!(scenario.ignored().reason, IgnoredReason::StateMissing);
}

#[test]
fn token_requests_are_posted_to_the_endpoint_as_written() {
    let token_endpoint = "https://as.example/token?tenant=a%20b";
    let provider = Provider::new("https://as.example/authorize", token_endpoint);
    let scenario = Scenario::of(Client::builder(provider, "client-1"));
    let scenario = scenario.authorized().refreshing();
    assert_eq!(scenario.requests.len(), 2);
    for request in &scenario.requests {
        assert_eq!(request.method(), "POST");
        assert_eq!(request.url(), token_endpoint);
    }
}

#[test]
fn an_exchange_has_these_parameters_and_headers_and_no_others() {
    let accept = ("Accept", "application/json");
    let form = ("Content-Type", "application/x-www-form-urlencoded");

    let public = Scenario::new().exchanging();
    let request = public.request();
    let verifier = all(&pairs(request.body()), "code_verifier")[0].to_owned();
    let common = [
        ("grant_type", "authorization_code"),
        ("code", "c0de"),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", &verifier),
    ];
    let mut expected = set(common);
    expected.extend(set([("client_id", "client-1")]));
    assert_eq!(body(request), expected);
    assert_eq!(headers(request), [accept, form]);

    let confidential = Scenario::with(|client| client.secret("s")).exchanging();
    assert_eq!(body(confidential.request()), set(common));
    let basic = ("Authorization", "Basic Y2xpZW50LTE6cw==");
    assert_eq!(headers(confidential.request()), [accept, form, basic]);
}

#[test]
fn a_refresh_has_these_parameters_and_headers_and_no_others() {
    let accept = ("Accept", "application/json");
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let common = [("grant_type", "refresh_token"), ("refresh_token", "RT-1")];

    let public = Scenario::new().authorized().refreshing();
    let mut expected = set(common);
    expected.extend(set([("client_id", "client-1")]));
    assert_eq!(body(public.request()), expected);
    assert_eq!(headers(public.request()), [accept, form]);

    let confidential = Scenario::with(|client| client.secret("s"));
    let confidential = confidential.authorized().refreshing();
    assert_eq!(body(confidential.request()), set(common));
    let basic = ("Authorization", "Basic Y2xpZW50LTE6cw==");
    assert_eq!(headers(confidential.request()), [accept, form, basic]);

    let by_body = Scenario::with(|client| client.secret("s").auth(ClientAuth::Body));
    let by_body = by_body.authorized().refreshing();
    expected.extend(set([("client_secret", "s")]));
    assert_eq!(body(by_body.request()), expected);
    assert_eq!(headers(by_body.request()), [accept, form]);
}

#[test]
fn debug_shows_no_secret() {
    let secrets = LoginSecrets::from_entropy(std::array::from_fn(|at| at as u8));
    let mut scenario = Scenario::with(|client| client.secret("SECRET-1"));
    let redirect_uri = scenario.flow.client().redirect_uri(REDIRECT_URI).unwrap();
    let begin = Event::BeginLogin {
        secrets,
        redirect_uri,
    };
    let mut shown = format!("{begin:?} {:?}", scenario.flow.client());
    let mut see = |scenario: &Scenario| {
        let token = scenario.flow.access_token(scenario.now);
        let (flow, actions, saved) = (&scenario.flow, &scenario.actions, scenario.saved());
        shown += &format!(
            "{flow:?} {actions:?} {saved:?} {token:?} {:?}\n",
            scenario.requests
        );
        shown += &format!("{:?}\n", token.map(|token| token.authorization()));
    };
    scenario.fire(begin);
    see(&scenario);
    let state = scenario.state_parameter();
    let callback = scenario.callback("code=C0DE-1");
    let mut events = format!("{callback:?}");
    scenario.fire(callback);
    see(&scenario);
    let verifier = all(&pairs(scenario.request().body()), "code_verifier")[0].to_owned();
    let reply = tokens_with(
        "AT-SECRET",
        json!({ "refresh_token": "RT-SECRET", "id_token": "ID-SECRET" }),
    );
    let response = Event::Response {
        id: scenario.request().id(),
        result: reply,
    };
    events += &format!("{response:?}");
    scenario.fire(response);
    see(&scenario);
    scenario.refresh();
    see(&scenario);
    scenario.answer(oauth_error("RT-SECRET"));
    see(&scenario);
    let adopted = TokenSet::new("AT-SECRET").refresh_token("RT-SECRET");
    events += &format!("{:?}", Event::AdoptTokens(adopted));
    shown += &events;
    let basic = "Y2xpZW50LTE6U0VDUkVULTE=";
    for secret in [
        &*state,
        &verifier,
        "C0DE-1",
        "SECRET-1",
        "AT-SECRET",
        "RT-SECRET",
        "ID-SECRET",
        basic,
    ] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[test]
fn one_callback_makes_one_request() {
    let mut scenario = Scenario::new().exchanging();
    assert_eq!(scenario.requests.len(), 1);
    scenario.drain();
    assert_eq!(scenario.actions, []);
    assert_eq!(scenario.requests.len(), 1);
}

#[test]
fn depth_of_nesting_needs_no_stack() {
    let deep = |open: &str, close: &str| {
        let inner = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        [
            format!("{{\"access_token\":\"AT-9\",\"x\":{inner}}}"),
            format!("{{\"error\":{inner}}}"),
            format!("{{\"access_token\":{inner}}}"),
            format!("{{\"access_token\":\"AT-9\",\"scope\":{inner},\"expires_in\":{inner}}}"),
            inner,
        ]
    };
    let run = move || {
        for body in [deep("[", "]"), deep("{\"a\":", "}")].concat() {
            Scenario::new().exchanging().answer(answer(200, &body));
        }
    };
    let small = std::thread::Builder::new().stack_size(256 << 10);
    small.spawn(run).unwrap().join().unwrap();
}

#[test]
fn a_response_to_no_request_of_ours_changes_nothing_in_any_state() {
    let states = [
        Scenario::new(),
        Scenario::new().awaiting_code(),
        Scenario::new().exchanging(),
        Scenario::new().authorized(),
        Scenario::new().authorized().refreshing(),
        Scenario::new().authorized().backoff(),
        Scenario::new().authorized().rejected(),
        Scenario::new().authorized().expired(),
        Scenario::new().authorized().expired_refreshing(),
    ];
    for mut scenario in states {
        let id = RequestId::from_u64(99);
        scenario.stays_put(Event::Response {
            id,
            result: tokens("AT-9"),
        });
        assert_eq!(scenario.notices(), [&Notice::StaleResponse(id)]);
    }
}

#[test]
fn the_refresh_token_sent_is_the_one_kept_or_the_one_that_came() {
    for rotates in [false, true] {
        let mut scenario = Scenario::new().authorized();
        for number in 1..=10 {
            scenario.refresh();
            let expected = if rotates {
                format!("RT-{number}")
            } else {
                "RT-1".to_owned()
            };
            let pairs = pairs(scenario.request().body());
            assert_eq!(all(&pairs, "refresh_token"), [expected.as_str()]);
            let next = rotates.then(|| format!("RT-{}", number + 1));
            scenario.answer(tokens_with("AT-2", json!({ "refresh_token": next })));
        }
    }
}

#[test]
fn a_rotated_token_is_saved_before_anybody_hears_of_it() {
    let mut scenario = Scenario::new().authorized().refreshing();
    scenario.answer(tokens_with("AT-2", json!({ "refresh_token": "RT-2" })));
    let refreshed = Action::Notify(Notice::Refreshed);
    assert_eq!(scenario.actions, [Action::Persist, refreshed]);
    // The program saves, and dies before it is told.
    let scenario = scenario.restarted().refreshing();
    let pairs = pairs(scenario.request().body());
    assert_eq!(all(&pairs, "refresh_token"), ["RT-2"]);
}

#[test]
fn a_slow_answer_makes_no_token_live_longer() {
    let mut scenario = Scenario::new().exchanging();
    scenario.after(secs(20)).answer(tokens("AT-1"));
    let end = START.saturating_add(LIFETIME);
    assert_eq!(scenario.token().expires_at(), Some(end));
    let mut scenario = Scenario::new().authorized().refreshing();
    scenario.after(secs(20)).answer(tokens("AT-2"));
    assert_eq!(scenario.token().expires_at(), Some(end));
}

#[test]
fn a_year_of_sleep_costs_one_refresh() {
    let mut scenario = Scenario::new().authorized();
    scenario.after(secs(365 * 24 * 3600)).tick();
    assert_eq!(scenario.state(), State::Expired);
    assert_eq!(scenario.requests.len(), 2);
    scenario.answer(tokens("AT-2")).tick();
    assert_eq!(scenario.state(), State::Authorized);
    assert_eq!(scenario.requests.len(), 2);
    assert!(scenario.wait() >= Some(secs(1)));
}

#[test]
fn no_time_and_no_lifetime_overflows() {
    // At the very end of time a login has timed out as soon as it begins.
    let ends = [0, 1, START.as_millis(), u64::MAX / 2, u64::MAX - 1];
    let lifetimes = [
        "0",
        "1",
        "-1",
        "2147483647",
        "18446744073709551615",
        "1e400",
        "-1e400",
    ];
    for begun in ends {
        for lifetime in lifetimes {
            for later in ends.into_iter().chain([u64::MAX]) {
                let mut scenario = Scenario::new();
                scenario.now = Timestamp::from_millis(begun);
                let mut scenario = scenario.exchanging();
                let members = format!(
                    r#"{{"access_token":"AT-1","refresh_token":"RT-1","expires_in":{lifetime},"refresh_token_expires_in":{lifetime}}}"#
                );
                scenario.answer(answer(200, &members));
                scenario.now = Timestamp::from_millis(later);
                scenario.tick().tick();
                let _ = (scenario.flow.deadline(), scenario.view());
                let scenario = scenario.restarted();
                assert!(scenario.flow.can_refresh());
            }
        }
    }
}

#[test]
fn a_saved_token_ends_when_it_would_have_ended() {
    let scenario = Scenario::new().authorized();
    let end = scenario.token().expires_at();
    let mut scenario = scenario;
    scenario.after(secs(1000));
    let mut scenario = scenario.restarted();
    assert_eq!(scenario.token().expires_at(), end);
    scenario.now = end.unwrap();
    scenario.tick();
    assert_eq!(scenario.state(), State::Expired);
}

#[test]
fn a_failure_says_which_status_it_had_and_has_no_source_that_says_more() {
    for status in [302, 400, 401, 404, 418, 500, 503] {
        let mut scenario = Scenario::new().exchanging();
        scenario.answer(Ok(HttpResponse::new(status, "no such luck")));
        let failure = scenario.failure();
        assert_eq!(failure.status(), Some(status));
        assert!(matches!(failure.cause, Cause::Http(_)), "{failure}");
        assert!(failure.to_string().contains(&status.to_string()));
        assert!(std::error::Error::source(failure).is_none());
    }
}
