//! Several logins, several authorization servers, one redirect URI: whose answer is it? RFC 9700
//! section 4.4 (mix-up) and section 4.7 (cross-site request forgery).

mod support;

use authflow::{
    AuthFlow, CallbackUrl, Client, Event, IgnoredReason, LoginSecrets, Misuse, Notice, Provider,
    RestoreError, State,
};
use support::scenario::*;

/// The login at a server of this name, with a state of its own.
fn login_at(name: &str, number: u8, has_issuer: bool) -> Scenario {
    let base = format!("https://{name}.example");
    let provider = Provider::new(format!("{base}/authorize"), format!("{base}/token"));
    let provider = match has_issuer {
        true => provider.issuer(&base),
        false => provider,
    };
    let client = Client::builder(provider, format!("client-at-{name}"));
    let mut scenario = Scenario::of(client);
    let redirect_uri = scenario.flow.client().redirect_uri(REDIRECT_URI).unwrap();
    scenario.fire(Event::BeginLogin {
        secrets: LoginSecrets::from_entropy([number; 64]),
        redirect_uri,
    });
    scenario
}

/// What the browser brings back, to whichever login it is given.
fn redirect(query: String) -> Event {
    Event::Callback {
        url: CallbackUrl::from_query(&query),
    }
}

/// Nothing has happened but that it was told.
#[track_caller]
fn ignores(login: &mut Scenario, event: Event, reason: IgnoredReason) {
    login.stays_put(event);
    let told = login.notices();
    let is_it =
        |notice: &&&Notice| matches!(notice, Notice::CallbackIgnored(i) if i.reason == reason);
    assert_eq!(told.iter().filter(is_it).count(), 1, "{told:?}");
    assert!(login.requests.is_empty());
}

#[test]
fn of_two_logins_in_flight_each_takes_its_own_answer_only() {
    for first in [0, 1] {
        let mut logins = [login_at("one", 1, true), login_at("two", 2, true)];
        let answers = ["one", "two"].map(|name| format!("code=code-of-{name}"));
        let states = [0, 1].map(|at| logins[at].state_parameter());
        for at in [first, 1 - first] {
            let other = 1 - at;
            let own = format!("{}&state={}", answers[at], states[at]);
            if logins[other].flow.state() == State::AwaitingCode
                && logins[other].requests.is_empty()
            {
                ignores(
                    &mut logins[other],
                    redirect(own.clone()),
                    IgnoredReason::StateMismatch,
                );
                let denied = format!("error=access_denied&state={}", states[at]);
                ignores(
                    &mut logins[other],
                    redirect(denied),
                    IgnoredReason::StateMismatch,
                );
            }
            logins[at].fire(redirect(own));
            let [request] = &logins[at].requests[..] else {
                panic!("one request");
            };
            let name = ["one", "two"][at];
            assert_eq!(request.url(), format!("https://{name}.example/token"));
            assert!(request.body().contains(&format!("code=code-of-{name}&")));
        }
    }
}

/// The person believes to log in at the attacker's server, which sends them on to the honest one with
/// the state that it was given. The honest one's code must not go to the attacker's token endpoint.
#[test]
fn an_honest_servers_code_never_goes_to_the_attackers_token_endpoint() {
    let mut login = login_at("attacker", 1, true);
    let state = login.state_parameter();
    for from in [
        "https://honest.example",
        "https://attacker.example/",
        "",
        "null",
    ] {
        let answer = format!("code=honest-code&state={state}&iss={from}");
        ignores(&mut login, redirect(answer), IgnoredReason::IssuerMismatch);
        let denied = format!("error=access_denied&state={state}&iss={from}");
        ignores(&mut login, redirect(denied), IgnoredReason::IssuerMismatch);
    }
    // Its own answer still counts.
    login.fire(redirect(format!(
        "code=own-code&state={state}&iss=https://attacker.example"
    )));
    assert_eq!(login.requests.len(), 1);
}

/// Where a server has no issuer, a redirect URI of its own tells it from the others.
#[test]
fn servers_without_an_issuer_are_told_apart_by_their_redirect_uris() {
    let mut login = login_at("attacker", 1, false);
    let state = login.state_parameter();
    let elsewhere = REDIRECT_URI.replace("/callback", "/callback/honest");
    assert_ne!(elsewhere, REDIRECT_URI);
    let event = Event::Callback {
        url: CallbackUrl::new(format!("{elsewhere}?code=honest-code&state={state}")),
    };
    ignores(&mut login, event, IgnoredReason::WrongLocation);
}

#[test]
fn a_flow_has_one_login_at_a_time_and_forgets_the_one_before() {
    let mut login = login_at("one", 1, true);
    let old = login.state_parameter();
    let second = login.begin_login();
    login.refuses(second, Misuse::LoginInProgress);
    login.fire(Event::CancelLogin);
    let third = login.begin_login();
    login.fire(third);
    assert_ne!(login.state_parameter(), old);
    ignores(
        &mut login,
        redirect(format!("code=old-code&state={old}")),
        IgnoredReason::StateMismatch,
    );
}

/// An attacker's own code, with the attacker's own state: the victim must not end up in the
/// attacker's account.
#[test]
fn a_login_that_somebody_else_began_is_not_finished_here() {
    let attackers = login_at("one", 66, true).state_parameter();
    let mut victim = login_at("one", 1, true);
    ignores(
        &mut victim,
        redirect(format!("code=attackers-code&state={attackers}")),
        IgnoredReason::StateMismatch,
    );
    let mut idle = Scenario::of(client());
    ignores(
        &mut idle,
        redirect(format!("code=attackers-code&state={attackers}")),
        IgnoredReason::NoLogin,
    );
}

/// Two programs have swapped their files.
#[test]
fn a_saved_login_goes_on_at_its_own_server_only() {
    let [one, two] = [login_at("one", 1, true), login_at("two", 2, true)];
    for (own, other) in [(&one, &two), (&two, &one)] {
        let client = other.flow.client().clone();
        let restored = AuthFlow::restore(client, own.saved(), START);
        assert_eq!(restored.unwrap_err(), RestoreError::OtherClient);
    }
}
