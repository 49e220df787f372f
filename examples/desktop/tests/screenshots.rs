//! Takes a picture of each state, into `examples/desktop/screenshots`, light and dark:
//! `examples/desktop/screenshots/take`.

mod support;

use std::path::Path;
use std::thread;
use std::time::Duration;

use authflow::testing::{FakeProvider, Fault, Person};

use support::{App, Desk};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/screenshots");

fn take(app: &App<'_>, name: &str) {
    app.picture(&Path::new(FOLDER).join(format!("{name}.png")));
}

/// Granted less than was asked for.
fn tokens(expires_in: u64) -> Fault {
    let body = format!(
        r#"{{"access_token":"AT","token_type":"Bearer","expires_in":{expires_in},
            "refresh_token":"RT","scope":"user-read-email"}}"#
    );
    custom(200, &body)
}

fn custom(status: u16, body: &str) -> Fault {
    Fault::Custom {
        status,
        headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
        body: body.as_bytes().to_vec(),
    }
}

#[test]
#[ignore = "writes into the source: examples/desktop/screenshots/take"]
fn each_state() {
    in_theme("light");
    in_theme("dark");
}

fn in_theme(theme: &str) {
    let provider = FakeProvider::start().unwrap();
    let start = |desk| {
        let app: App<'_> = Desk::start_with(
            desk,
            &provider,
            &["--theme", theme, "--refresh-token-days", "181"],
        );
        app
    };
    let named = |name: &str| format!("{name}-{theme}");

    let desk = Desk::new();
    let app = start(&desk);
    app.wait_for("Logged out");
    take(&app, &named("logged-out"));
    app.click("log_in");
    let url = desk.opened(0);
    app.wait_for("Waiting for the browser");
    take(&app, &named("waiting"));
    Person::deny(&url).unwrap();
    app.wait_for("Denied");
    take(&app, &named("denied"));

    provider.fault(Fault::Slow(Duration::from_secs(3)));
    app.click("log_in");
    let url = desk.opened(1);
    let person = thread::spawn(move || Person::allow(&url));
    app.wait_for("Exchanging");
    take(&app, &named("exchanging"));
    person.join().unwrap().unwrap();
    app.wait("who it is", |screen| screen["person"].as_str().map(|_| ()));
    take(&app, &named("authorized"));

    provider.fault(Fault::TooManyRequests {
        retry_after: "40".to_owned(),
    });
    app.click("refresh");
    app.wait_for("Refresh failing");
    take(&app, &named("refresh-failing"));

    provider.fault(custom(
        400,
        r#"{"error":"invalid_grant","error_description":"Refresh token expired"}"#,
    ));
    provider.expire_access_tokens();
    app.kill();
    let app = start(&desk);
    app.wait_for("Sign in again");
    take(&app, &named("sign-in-again"));
    app.kill();

    // What only one of the two themes needs to show.
    if theme == "dark" {
        return;
    }
    let desk = Desk::new();
    let app = start(&desk);
    provider.fault(custom(
        401,
        r#"{"error":"invalid_client","error_description":"Unknown client"}"#,
    ));
    app.click("log_in");
    Person::allow(&desk.opened(0)).unwrap();
    app.wait_for("Login failed");
    take(&app, "login-failed");

    provider.fault(tokens(3600));
    provider.api_fault(custom(200, r#"{"display_name":"Alice"}"#));
    app.click("log_in");
    Person::allow(&desk.opened(1)).unwrap();
    app.wait("who it is", |screen| screen["person"].as_str().map(|_| ()));
    take(&app, "scopes-missing");
    app.click("log_out");
    app.wait_for("Logged out");

    // A file where the directory should be.
    std::fs::remove_dir_all(desk.home().join("state")).unwrap();
    std::fs::write(desk.home().join("state"), "").unwrap();
    app.click("log_in");
    app.wait_for("Cannot save");
    take(&app, "cannot-save");
    app.kill();

    let desk = Desk::new();
    let app = desk.start_with(&provider, &["--theme", theme, "--login-timeout", "1"]);
    app.click("log_in");
    app.wait_for("Timed out");
    take(&app, "timed-out");
    app.kill();

    let desk = Desk::without_browser();
    let app = start(&desk);
    app.click("log_in");
    app.wait("no browser", |screen| {
        let text = screen["text"].as_str()?;
        text.starts_with("No browser").then_some(())
    });
    take(&app, "no-browser");
}
