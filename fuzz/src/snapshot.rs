//! Anything, in the place of a saved login.

use authflow::{Action, AuthFlow, Event, RestoreError, Snapshot, State, Timestamp};

use super::login::{NOW, client, drain, saved};

pub fn run(data: &[u8]) -> Vec<String> {
    let snapshot = match Snapshot::from_json(data) {
        Ok(snapshot) => snapshot,
        Err(error) => {
            is_quiet(error);
            return vec![format!("unreadable: {}", error.name())];
        }
    };
    let mut flow = match AuthFlow::restore(client(false), snapshot, NOW) {
        Ok(flow) => flow,
        Err(error) => {
            is_quiet(error);
            return vec![format!("refused: {}", error.name())];
        }
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
    let mut reached = vec![format!("restored: {:?}", flow.state())];

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
        tick(&mut flow, now, &mut reached);
    }
    tick(&mut flow, Timestamp::from_millis(u64::MAX), &mut reached);
    tick(&mut flow, Timestamp::from_millis(0), &mut reached);
    reached
}

fn tick(flow: &mut AuthFlow, now: Timestamp, reached: &mut Vec<String>) {
    flow.handle(Event::Tick, now).expect("a tick is no misuse");
    for action in drain(flow) {
        match action {
            Action::Send(request) => {
                assert_eq!(request.url(), "https://as.example/token");
                reached.push("lives on: sends a refresh".to_owned());
            }
            Action::Notify(notice) => reached.push(format!("lives on: {}", notice.name())),
            _ => {}
        }
    }
}

/// Its texts say the same of a file with nothing in it that could be quoted, but for the version.
/// (Looking for pieces of the input in them would not do: the fuzzer watches what is compared, and puts
/// our own words into the input.)
fn is_quiet(error: RestoreError) {
    let own = r#""provider":"https://as.example/token","token_endpoint":"https://as.example/token","client_id":"client""#;
    let dull = match error {
        RestoreError::Damaged => String::new(),
        RestoreError::UnknownVersion(version) => format!(r#"{{"version":{version}}}"#),
        RestoreError::OtherClient => {
            let login = r#"{"state":"","verifier":"","redirect_uri":"","deadline":0}"#;
            format!(r#"{{"version":1,"login":{login}}}"#)
        }
        RestoreError::RedirectUri => {
            let login = r#"{"state":"","verifier":"","redirect_uri":"","deadline":0}"#;
            format!(r#"{{"version":1,{own},"login":{login}}}"#)
        }
        other => panic!("{other:?}"),
    };
    let snapshot = Snapshot::from_json(dull.as_bytes());
    let restored = snapshot.and_then(|snapshot| AuthFlow::restore(client(false), snapshot, NOW));
    let dull = restored.expect_err("the same fault");
    assert_eq!(format!("{error} {error:?}"), format!("{dull} {dull:?}"));
}
