//! Anything, in the place of a token response: to an exchange and to a refresh.

use authflow::{Action, AuthFlow, Event, HttpResponse, Notice, RequestId, State};
use serde_json::Value;

use super::login::{NOW, drain, exchanging, refreshing, saved};

/// Two bytes choose the status and whether there is a `Retry-After`, which is then the first line; the
/// rest is the body.
pub fn run(data: &[u8]) -> Vec<String> {
    let [status, header, body @ ..] = data else {
        return Vec::new();
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
    let makes: [(&str, Make, &str); 2] = [
        ("exchange", exchanging, "SECRET-code"),
        ("refresh", refreshing, "SECRET-refresh"),
    ];
    let mut reached = Vec::new();
    for (phase, make, sent) in makes {
        let (mut flow, id) = make();
        let before = saved(&flow);
        let (mut twin, twin_id) = make();
        let (name, shown) = answer(&mut flow, id, response());
        reached.push(format!("{phase}: {name}"));
        // The same bytes mean the same.
        let (_, twin_shown) = answer(&mut twin, twin_id, response());
        assert_eq!(shown, twin_shown);
        assert_eq!(saved(&flow), saved(&twin));

        let has_tokens = name == "tokens";
        assert!(
            !has_tokens || (200..300).contains(&status),
            "tokens with status {status}"
        );
        // A refresh token leaves only for another one, which comes with tokens.
        let (old, new) = (refresh_token(&before), refresh_token(&saved(&flow)));
        assert!(old.is_none() || new.is_some(), "the refresh token is lost");
        assert!(has_tokens || new == old);
        let became = match (old, new) {
            (None, None) => "missing",
            (None, Some(_)) => "given",
            (old, new) if old == new => "kept",
            _ => "replaced",
        };
        if has_tokens {
            reached.push(format!("{phase}: refresh token {became}"));
        }
        if let Some(token) = flow.access_token(NOW) {
            let text = token.secret().expose();
            assert!(!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()));
        }
        // However the server echoes them.
        for secret in [sent, "SECRET-client"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
    reached
}

fn refresh_token(saved: &str) -> Option<String> {
    let saved: Value = serde_json::from_str(saved).expect("JSON");
    let token = &saved["session"]["refresh_token"];
    token.as_str().map(str::to_owned)
}

/// What is said, which is one thing: its name, and all that is shown.
fn answer(flow: &mut AuthFlow, id: RequestId, response: HttpResponse) -> (&'static str, String) {
    let result = Ok(response);
    flow.handle(Event::Response { id, result }, NOW)
        .expect("a response is no misuse");
    let actions = drain(flow);
    let outcomes: Vec<_> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Notify(notice) => match notice {
                Notice::LoggedIn | Notice::Refreshed => Some(("tokens", String::new())),
                Notice::LoginFailed(failure) | Notice::RefreshFailed { failure, .. } => {
                    let shown = format!("{failure} {:?}", failure.what_now());
                    Some((failure.name(), shown))
                }
                _ => None,
            },
            _ => None,
        })
        .collect();
    let [(name, said)] = &outcomes[..] else {
        panic!("{outcomes:?}");
    };
    assert_ne!(flow.state(), State::AwaitingCode);
    (name, format!("{said} {actions:?} {flow:?}"))
}
