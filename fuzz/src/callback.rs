//! Anything, in the place of the redirect.

use authflow::{Action, Activity, CallbackUrl, Event, Notice, State, Verdict};

use super::login::{NOW, drain, genuine, saved, waiting};

/// The first byte chooses the provider; the rest is what came.
pub fn run(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else {
        return;
    };
    let has_issuer = choice & 1 == 1;
    let text = String::from_utf8_lossy(rest);
    // Some inputs know the state.
    let (mut flow, state) = waiting(has_issuer);
    let text = text.replace("{STATE}", &state);
    let url = match choice & 2 {
        0 => CallbackUrl::new(&*text),
        _ => CallbackUrl::from_query(&text),
    };
    let before = saved(&flow);
    flow.handle(Event::Callback { url }, NOW)
        .expect("a callback is no misuse");
    let actions = drain(&mut flow);

    let verdicts: Vec<_> = actions
        .iter()
        .filter_map(|action| match action {
            Action::AnswerCallback(verdict) => Some(*verdict),
            _ => None,
        })
        .collect();
    let [verdict] = verdicts[..] else {
        panic!("{} verdicts", verdicts.len());
    };
    let sends = actions
        .iter()
        .filter(|action| matches!(action, Action::Send(_)))
        .count();
    match verdict {
        Verdict::Accepted => {
            assert_eq!(sends, 1);
            assert_eq!(flow.activity(), Activity::Exchanging);
        }
        Verdict::Denied => {
            assert_eq!(sends, 0);
            assert_eq!(flow.state(), State::Unauthorized);
        }
        Verdict::NotOurs => {
            assert_eq!(sends, 0);
            assert_eq!(saved(&flow), before);
            let is_told =
                |action: &&Action| matches!(action, Action::Notify(Notice::CallbackIgnored(_)));
            assert_eq!(actions.iter().filter(is_told).count(), 1);
            // The genuine one still wins.
            flow.handle(genuine(&state, has_issuer), NOW)
                .expect("a callback");
            drain(&mut flow);
            assert_eq!(flow.activity(), Activity::Exchanging);
        }
    }
    if verdict != Verdict::NotOurs {
        assert!(is_in(&state, &text), "who did not know the state got in");
    }
    let shown = format!("{actions:?}");
    assert!(!shown.contains(&state), "the state is shown");
}

/// As it is, or percent-encoded.
fn is_in(state: &str, text: &str) -> bool {
    text.contains(state) || text.contains('%')
}
