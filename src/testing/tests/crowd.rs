//! Many clients at once, as processes that share one login are.

use std::sync::{Barrier, Mutex};

use super::*;
use crate::testing::{Endpoint, Fault, Rotation};

const CLIENTS: usize = 8;

fn rotating(reuse_detection: bool) -> FakeProvider {
    let rotation = Rotation::EveryRefresh { reuse_detection };
    FakeProvider::builder().rotation(rotation).start().unwrap()
}

/// All clients do the same at the same moment; what each of them got.
fn together<T: Send>(act: impl Fn() -> T + Sync) -> Vec<T> {
    let start = Barrier::new(CLIENTS);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    act()
                })
            })
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect()
    })
}

/// They all refresh with the same token; the answer of the one that got one.
fn race(provider: &FakeProvider, refresh_token: &str) -> Value {
    let form = refresh_form(refresh_token);
    let replies = together(|| send_form(provider, &form).unwrap());
    let (won, lost): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 200);
    assert_eq!((won.len(), lost.len()), (1, CLIENTS - 1));
    for reply in lost {
        assert_eq!(refused(reply, 400), "invalid_grant: Refresh token revoked");
    }
    json(won[0])
}

#[test]
fn of_many_refreshes_with_one_token_one_succeeds() {
    let provider = rotating(false);
    let (_, refresh_token) = login_over_sockets(&provider);
    let newest = race(&provider, &refresh_token);
    assert_eq!(provider.live_refresh_tokens(), 1);
    let form = refresh_form(&token(&newest, "refresh_token"));
    assert_eq!(send_form(&provider, &form).unwrap().status, 200);
}

#[test]
fn with_reuse_detection_the_same_race_ends_the_login() {
    let provider = rotating(true);
    let (_, other) = login_over_sockets(&provider);
    let (first_access, refresh_token) = login_over_sockets(&provider);
    let newest = race(&provider, &refresh_token);
    assert_eq!(provider.live_refresh_tokens(), 1);
    for access in [first_access, token(&newest, "access_token")] {
        assert_eq!(send(&provider, &api_request(&access)).unwrap().status, 401);
    }
    let form = refresh_form(&token(&newest, "refresh_token"));
    let reply = send_form(&provider, &form).unwrap();
    assert_eq!(refused(&reply, 400), "invalid_grant: Refresh token revoked");
    assert_eq!(
        send_form(&provider, &refresh_form(&other)).unwrap().status,
        200
    );
}

#[test]
fn refreshes_in_turn_keep_the_login_alive() {
    let provider = rotating(true);
    let (_, refresh_token) = login_over_sockets(&provider);
    let held = Mutex::new(refresh_token);
    let access = together(|| {
        let mut held = held.lock().unwrap();
        let tokens = json(&send_form(&provider, &refresh_form(&held)).unwrap());
        *held = token(&tokens, "refresh_token");
        token(&tokens, "access_token")
    });
    assert_eq!(provider.live_refresh_tokens(), 1);
    for access in access {
        assert_eq!(send(&provider, &api_request(&access)).unwrap().status, 200);
    }
}

#[test]
fn everything_at_once_comes_to_an_end() {
    let provider = rotating(true);
    provider.fault_for_next(
        Endpoint::Token,
        CLIENTS,
        Fault::Slow(Duration::from_millis(1)),
    );
    provider.fault_for_next(Endpoint::Api, CLIENTS, Fault::Empty { status: 503 });
    provider.fault_for_next(Endpoint::Revocation, CLIENTS, Fault::DropAfter);
    together(|| {
        let (access, refresh_token) = login_over_sockets(&provider);
        send(&provider, &api_request(&access));
        provider.set_expires_in(at(60));
        let form = format!("client_id=fake-client&token={refresh_token}");
        send(&provider, &form_request("/api/revoke", &form));
        provider.live_refresh_tokens();
        send_form(&provider, &refresh_form(&refresh_token));
        provider.expire_access_tokens();
        send(&provider, &api_request(&access));
    });
    assert_eq!(provider.live_refresh_tokens(), 0);
    assert_eq!(provider.requests(Endpoint::Token).len(), 2 * CLIENTS);
    assert_eq!(provider.requests(Endpoint::Api).len(), 2 * CLIENTS);
    assert_eq!(provider.requests(Endpoint::Revocation).len(), CLIENTS);
    let unanswered = provider.requests(Endpoint::Revocation);
    assert!(unanswered.iter().all(|request| request.status().is_none()));
}
