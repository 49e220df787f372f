//! Anything, in the place of a saved login.

use authflow::{Action, AuthFlow, Event, RestoreError, Snapshot, State, Timestamp};

use super::login::{NOW, client, drain, saved};

pub fn run(data: &[u8]) {
    let snapshot = match Snapshot::from_json(data) {
        Ok(snapshot) => snapshot,
        Err(error) => return is_quiet(&error),
    };
    let mut flow = match AuthFlow::restore(client(false), snapshot, NOW) {
        Ok(flow) => flow,
        Err(error) => return is_quiet(&error),
    };
    // What is saved again is the same flow.
    let json = saved(&flow);
    let again = Snapshot::from_json(json.as_bytes()).expect("what was written can be read");
    let twin =
        AuthFlow::restore(client(false), again, NOW).expect("what was saved can be restored");
    assert_eq!(saved(&twin), json);
    assert_eq!(twin.state(), flow.state());
    assert_eq!(twin.deadline(), flow.deadline());
    assert_eq!(twin.can_refresh(), flow.can_refresh());

    // It lives on, however long, and tells its secrets to its own server only.
    let mut now = NOW;
    for _ in 0..8 {
        if flow.state() == State::Authorized {
            let token = flow.access_token(now).expect("Authorized has a token");
            assert!(
                token
                    .secret()
                    .expose()
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic())
            );
        }
        let Some(deadline) = flow.deadline() else {
            break;
        };
        now = deadline.max(now);
        tick(&mut flow, now);
    }
    tick(&mut flow, Timestamp::from_millis(u64::MAX));
    tick(&mut flow, Timestamp::from_millis(0));
}

fn tick(flow: &mut AuthFlow, now: Timestamp) {
    flow.handle(Event::Tick, now).expect("a tick is no misuse");
    for action in drain(flow) {
        if let Action::Send(request) = action {
            assert_eq!(request.url(), "https://as.example/token");
        }
    }
}

/// Its text is our own but for a number, whatever was in the file.
fn is_quiet(error: &RestoreError) {
    let text = match error {
        RestoreError::Damaged => {
            "the saved login is damaged: remove it from the store, and log in again".to_owned()
        }
        RestoreError::UnknownVersion(version) => format!(
            "the saved login has format {version}, this program knows 1: update the program"
        ),
        RestoreError::OtherClient => {
            "the saved login belongs to another provider or client id: give each a store of its own".to_owned()
        }
        RestoreError::RedirectUri => {
            "the saved login waits at a redirect URI that this client does not take: remove it from the store".to_owned()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(error.to_string(), text);
    assert!(format!("{error:?}").len() < 40);
}
