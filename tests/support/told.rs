//! What a flow does and shows, as `model.rs` writes it.

use authflow::{AccessTokenRef, Action, AuthFlow, Notice, Timestamp, Verdict};

use super::model::{Token, Visible};

/// An action as the model writes it.
pub fn line(action: &Action) -> String {
    match action {
        Action::AnswerCallback(Verdict::Accepted) => "0 accepted".into(),
        Action::AnswerCallback(Verdict::Denied) => "0 denied".into(),
        Action::AnswerCallback(Verdict::NotOurs) => "0 not_ours".into(),
        Action::Persist => "1 persist".into(),
        Action::OpenUrl(_) => "2 open_url".into(),
        Action::Send(request) => {
            let (id, until) = (request.id().as_u64(), request.deadline().as_millis());
            let grant = ["code", "refresh_token"].into_iter().find_map(|name| {
                let value = parameter(request.body(), name)?;
                Some(format!("{name} {}", number(value)))
            });
            format!("2 send {id} {} until {until}", grant.expect("a grant"))
        }
        Action::Notify(notice) => match notice {
            Notice::RefreshFailed { failure, retry_at } => {
                let retry_at = retry_at.map(Timestamp::as_millis);
                format!("3 refresh_failed {} {retry_at:?}", failure.name())
            }
            Notice::LoginFailed(failure) => format!("3 login_failed {}", failure.name()),
            Notice::StaleResponse(id) => format!("3 stale_response {}", id.as_u64()),
            Notice::StaleRejection(serial) => format!("3 stale_rejection {}", serial.as_u64()),
            notice => format!("3 {}", notice.name()),
        },
    }
}

/// A flow as the model sees it.
pub fn visible(flow: &AuthFlow, now: Timestamp) -> Visible {
    Visible {
        state: flow.state(),
        activity: flow.activity(),
        can_refresh: flow.can_refresh(),
        deadline: flow.deadline().map(Timestamp::as_millis),
        sign_in_due: flow.sign_in_due().map(Timestamp::as_millis),
        token: flow.access_token(now).map(token),
    }
}

fn token(token: AccessTokenRef<'_>) -> Token {
    let secret = token.secret().expose();
    let header = token.authorization().expect("a bearer token");
    assert_eq!(header.expose(), format!("Bearer {secret}"));
    // Forms know no numbers.
    let in_text = || token.extras().get::<String>("extra")?.parse().ok();
    Token {
        number: number(secret),
        serial: token.serial().as_u64(),
        scope: match token.scopes().as_str() {
            "read write" => None,
            scopes => {
                let number = number(scopes);
                assert_eq!(scopes, format!("scope-{number} other-{number}"));
                Some(number)
            }
        },
        extra: token.extras().get("extra").or_else(in_text),
    }
}

pub fn parameter<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
    let mut values = pairs.filter(|(known, _)| *known == name);
    values.next().map(|(_, value)| value)
}

/// `SECRET-access-7` is number 7.
pub fn number(text: &str) -> u64 {
    let digits = text
        .rsplit('-')
        .next()
        .and_then(|digits| digits.parse().ok());
    digits.unwrap_or_else(|| panic!("no number in {text}"))
}
