//! Lines out.

use serde_json::{Map, Value, json};

use authflow::{Action, AuthFlow, Failure, Notice, Timestamp, Verdict};

use crate::input::Fault;

/// The answer to a line: whether it was taken, what the flow looks like now, and what it wants done.
pub fn describe(
    flow: Option<&mut AuthFlow>,
    now: Option<Timestamp>,
    error: Option<Fault>,
) -> Value {
    let mut answer = json!({ "ok": error.is_none() });
    if let Some(Fault {
        kind,
        name,
        message,
    }) = error
    {
        answer["error"] = json!({ "kind": kind, "name": name, "message": message });
    }
    let mut actions = Vec::new();
    let mut set = |name: &str, value: Value| answer[name] = value;
    let Some(flow) = flow else {
        for name in ["state", "activity", "deadline"]
            .iter()
            .chain(&TOKEN_MEMBERS)
        {
            set(name, Value::Null);
        }
        set("can_refresh", false.into());
        set("actions", actions.into());
        return answer;
    };
    while let Some(action) = flow.poll_action() {
        actions.push(self::action(&action, flow));
    }
    set("state", flow.state().name().into());
    set("activity", flow.activity().name().into());
    set("deadline", flow.deadline().map(Timestamp::as_millis).into());
    let token = now.and_then(|now| flow.access_token(now));
    for name in TOKEN_MEMBERS {
        let value = token.map_or(Value::Null, |token| match name {
            "access_token" => token.secret().expose().into(),
            "serial" => token.serial().as_u64().into(),
            "token_type" => token.token_type().as_str().into(),
            "expires_at" => token.expires_at().map(Timestamp::as_millis).into(),
            _ => token.scopes().iter().collect(),
        });
        set(name, value);
    }
    set("can_refresh", flow.can_refresh().into());
    set("actions", actions.into());
    answer
}

const TOKEN_MEMBERS: [&str; 5] = [
    "access_token",
    "serial",
    "token_type",
    "expires_at",
    "scopes",
];

fn action(action: &Action, flow: &AuthFlow) -> Value {
    match action {
        Action::OpenUrl(url) => json!({ "open_url": url.as_str() }),
        Action::Send(request) => {
            let headers: Vec<_> = request.headers().map(|(k, v)| json!([k, v])).collect();
            json!({ "send": {
                "id": request.id().as_u64(),
                "method": request.method(),
                "url": request.url(),
                "headers": headers,
                "body": request.body(),
            }})
        }
        Action::AnswerCallback(verdict) => json!({ "answer_callback": match verdict {
            Verdict::Accepted => "accepted",
            Verdict::Denied => "denied",
            Verdict::NotOurs => "not_ours",
        }}),
        Action::Persist => json!({ "persist": flow.snapshot() }),
        Action::Notify(notice) => json!({ "notify": self::notice(notice) }),
    }
}

fn notice(notice: &Notice) -> Value {
    let mut said = Map::new();
    said.insert("kind".to_owned(), notice.name().into());
    let mut say = |name: &str, value: Option<Value>| {
        said.extend(value.map(|value| (name.to_owned(), value)));
    };
    match notice {
        Notice::LoginFailed(failure) => failed(failure, &mut say),
        Notice::RefreshFailed { failure, retry_at } => {
            failed(failure, &mut say);
            say("retry_at", retry_at.map(|at| at.as_millis().into()));
        }
        Notice::CallbackIgnored(ignored) => {
            say("reason", Some(ignored.reason.name().into()));
            say("code", ignored.error.as_deref().map(Value::from));
        }
        _ => {}
    }
    say("what_now", notice.what_now().map(|now| now.name().into()));
    Value::Object(said)
}

fn failed(failure: &Failure, say: &mut impl FnMut(&str, Option<Value>)) {
    say("reason", Some(failure.name().into()));
    say("status", failure.status().map(Value::from));
    if let Some(error) = failure.oauth_error() {
        say("code", Some(error.code.as_str().into()));
        say("description", error.description.as_deref().map(Value::from));
    }
}
