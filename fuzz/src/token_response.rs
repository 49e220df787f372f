//! Anything, in the place of a token response: to an exchange and to a refresh.

use authflow::{Action, AuthFlow, Event, HttpResponse, Notice, RequestId, State};

use super::login::{NOW, drain, exchanging, refreshing, saved};

/// Two bytes choose the status and whether there is a `Retry-After`, which is then the first line; the
/// rest is the body.
pub fn run(data: &[u8]) {
    let [status, header, body @ ..] = data else {
        return;
    };
    let status = match status {
        0..=127 => 200,
        128..=160 => 400,
        byte => 100 + u16::from(*byte - 160) * 6,
    };
    let mut body = body;
    let mut retry_after = None;
    if header & 1 == 1 {
        let end = body
            .iter()
            .position(|&byte| byte == b'\n')
            .unwrap_or(body.len());
        retry_after = Some(String::from_utf8_lossy(&body[..end]).into_owned());
        body = body.get(end + 1..).unwrap_or_default();
    }
    let response = || {
        let response = HttpResponse::new(status, body);
        match &retry_after {
            Some(value) => response.with_header("Retry-After", value),
            None => response,
        }
    };
    type Make = fn() -> (AuthFlow, RequestId);
    let makes: [(Make, &str); 2] = [(exchanging, "SECRET-code"), (refreshing, "SECRET-refresh")];
    for (make, sent) in makes {
        let (mut flow, id) = make();
        let before = saved(&flow);
        let (mut twin, twin_id) = make();
        let outcome = answer(&mut flow, id, response());
        // The same bytes mean the same.
        assert_eq!(outcome, answer(&mut twin, twin_id, response()));
        assert_eq!(saved(&flow), saved(&twin));

        let has_tokens = outcome.contains("LoggedIn") || outcome.contains("Refreshed");
        assert!(
            !has_tokens || (200..300).contains(&status),
            "tokens with status {status}"
        );
        // A refresh token leaves only for another one.
        let was_there = before.contains("SECRET-refresh");
        let is_there = flow
            .snapshot()
            .to_json()
            .expose()
            .contains("\"refresh_token\":\"");
        assert!(!was_there || is_there, "the refresh token is lost");
        if !has_tokens {
            assert_eq!(was_there, saved(&flow).contains("SECRET-refresh"));
        }
        if let Some(token) = flow.access_token(NOW) {
            let text = token.secret().expose();
            assert!(!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()));
        }
        // However the server echoes them.
        for secret in [sent, "SECRET-client"] {
            assert!(!outcome.contains(secret), "{outcome}");
        }
    }
}

/// What is said, and it is one thing.
fn answer(flow: &mut AuthFlow, id: RequestId, response: HttpResponse) -> String {
    let result = Ok(response);
    flow.handle(Event::Response { id, result }, NOW)
        .expect("a response is no misuse");
    let actions = drain(flow);
    let outcomes: Vec<_> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Notify(notice) => match notice {
                Notice::LoggedIn | Notice::Refreshed => Some(format!("{notice:?}")),
                Notice::LoginFailed(failure) | Notice::RefreshFailed { failure, .. } => {
                    Some(format!("{notice:?} {failure} {:?}", failure.what_now()))
                }
                _ => None,
            },
            _ => None,
        })
        .collect();
    assert_eq!(outcomes.len(), 1, "{outcomes:?}");
    assert_ne!(flow.state(), State::AwaitingCode);
    format!("{outcomes:?} {actions:?} {flow:?}")
}
