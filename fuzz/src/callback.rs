//! Anything, in the place of the redirect.

use authflow::{Action, Activity, CallbackUrl, Event, HttpRequest, Notice, State, Verdict};
use url::{Url, form_urlencoded};

use super::login::{NOW, REDIRECT_URI, drain, genuine, saved, waiting};

/// The first byte chooses the provider, the kind of address and whether it is far too long; the rest is
/// what came.
pub fn run(data: &[u8]) -> Vec<String> {
    let Some((&choice, rest)) = data.split_first() else {
        return Vec::new();
    };
    let has_issuer = choice & 1 == 1;
    let (mut flow, state) = waiting(has_issuer);
    // Some inputs know the state.
    let mut text = String::from_utf8_lossy(rest).replace("{STATE}", &state);
    if choice & 4 == 4 {
        text.push_str(&"a".repeat(64 << 10));
    }
    let url = match choice & 2 {
        0 => CallbackUrl::new(&*text),
        _ => CallbackUrl::from_query(&text),
    };
    if choice & 2 == 2 {
        text.insert(0, '?');
    }
    let before = saved(&flow);
    flow.handle(Event::Callback { url: url.clone() }, NOW)
        .expect("a callback is no misuse");
    let actions = drain(&mut flow);
    let shown = format!("{actions:?}");
    assert!(!shown.contains(&state), "the state is shown");

    let requests: Vec<_> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Send(request) => Some(request),
            _ => None,
        })
        .collect();
    let mut reached = Vec::new();
    match verdict(&actions) {
        Verdict::Accepted => {
            reached.push("accepted".to_owned());
            let Answer { code, error } = Answer::read(&text, &state, has_issuer);
            assert_eq!(error, None);
            let [request] = requests[..] else {
                panic!("{} requests", requests.len());
            };
            let code = code.expect("a code");
            assert_eq!(code_in(request), code);
            assert!(!code.starts_with("SECRET") || !shown.contains(&code));
            assert_eq!(flow.activity(), Activity::Exchanging);
        }
        Verdict::Denied => {
            reached.push("denied".to_owned());
            let Answer { code, error } = Answer::read(&text, &state, has_issuer);
            assert_eq!(code, None);
            assert!(error.is_some());
            assert!(requests.is_empty());
            assert_eq!(flow.state(), State::Unauthorized);
        }
        Verdict::NotOurs => {
            reached.push(ignored(&actions));
            assert!(requests.is_empty());
            assert_eq!(saved(&flow), before);
            // The genuine one still wins.
            flow.handle(genuine(&state, has_issuer), NOW)
                .expect("a callback");
            drain(&mut flow);
            assert_eq!(flow.activity(), Activity::Exchanging);
        }
    }

    // An answer counts once.
    let (state, activity) = (flow.state(), flow.activity());
    flow.handle(Event::Callback { url }, NOW)
        .expect("a callback is no misuse");
    let actions = drain(&mut flow);
    assert_eq!(actions.len(), 2, "{actions:?}");
    assert_eq!(verdict(&actions), Verdict::NotOurs);
    assert_eq!((flow.state(), flow.activity()), (state, activity));
    reached.push(ignored(&actions));
    reached
}

/// The one verdict that there is.
fn verdict(actions: &[Action]) -> Verdict {
    let mut verdicts = actions.iter().filter_map(|action| match action {
        Action::AnswerCallback(verdict) => Some(*verdict),
        _ => None,
    });
    let verdict = verdicts.next().expect("a verdict");
    assert_eq!(verdicts.next(), None);
    verdict
}

/// Why it was ignored, which is said once.
fn ignored(actions: &[Action]) -> String {
    let mut reasons = actions.iter().filter_map(|action| match action {
        Action::Notify(Notice::CallbackIgnored(ignored)) => Some(ignored.reason.name()),
        _ => None,
    });
    let reason = reasons.next().expect("a reason");
    assert_eq!(reasons.next(), None);
    format!("ignored: {reason}")
}

fn code_in(request: &HttpRequest) -> String {
    let mut pairs = form_urlencoded::parse(request.body().as_bytes());
    let code = pairs.find(|(name, _)| name == "code");
    code.expect("a code").1.into_owned()
}

/// What is in an address that got in, read in another way than the library does.
struct Answer {
    code: Option<String>,
    error: Option<String>,
}

impl Answer {
    /// Whoever gets in knows the state, comes to the right place, and says everything once.
    fn read(text: &str, state: &str, has_issuer: bool) -> Self {
        let text = text.trim().split('#').next().unwrap_or_default();
        let (location, query) = text.split_once('?').expect("a query");
        let own = Url::parse(REDIRECT_URI).expect("a URL");
        let at = own.join(location).expect("a URL");
        assert_eq!(at.origin(), own.origin());
        assert_eq!(at.path(), own.path());

        let once = |wanted: &str| {
            let pairs = form_urlencoded::parse(query.as_bytes());
            let mut values = pairs.filter(|(name, _)| name == wanted);
            let value = values.next().map(|(_, value)| value.into_owned());
            assert_eq!(values.next(), None, "{wanted} twice");
            value
        };
        assert_eq!(once("state").as_deref(), Some(state));
        for token in ["id_token", "access_token", "token", "response"] {
            assert_eq!(once(token), None);
        }
        let issuer = once("iss");
        assert!(!has_issuer || issuer.as_deref() == Some("https://as.example"));
        let given = |name| once(name).filter(|value: &String| !value.is_empty());
        Self {
            code: given("code"),
            error: given("error"),
        }
    }
}
