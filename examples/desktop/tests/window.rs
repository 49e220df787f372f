//! The program in a real window under Xvfb, pressed with a real pointer. `smoke` logs in to the fake
//! provider; `chromium` logs in to a real server through a real browser, and is run by `tests/real/run`.

mod support;

/// The fake provider, and a person of a few lines.
mod smoke {
    use std::process::Stdio;
    use std::thread;
    use std::time::Duration;

    use authflow::session::{FileStore, Store as _};
    use authflow::testing::{Endpoint, FakeProvider, Fault, Person, Rotation};
    use serde_json::{Value, json};

    use crate::support::{App, Desk, until};

    /// It ends the login of whoever uses a refresh token twice.
    fn strict() -> FakeProvider {
        let rotation = Rotation::EveryRefresh {
            reuse_detection: true,
        };
        let provider = FakeProvider::builder().rotation(rotation);
        provider.start().unwrap()
    }

    fn frame(screen: &Value) -> Option<u64> {
        screen["frame"].as_u64()
    }

    /// Its frames go on.
    fn is_alive(app: &App<'_>) {
        let first = app.wait("a frame", frame);
        app.wait("ten frames more", |screen| {
            frame(screen).filter(|&frame| frame > first + 10)
        });
    }

    fn names_somebody(app: &App<'_>) {
        app.wait("who it is", |screen| screen["person"].as_str().map(|_| ()));
    }

    /// To the end of a login.
    fn log_in(app: &App<'_>, desk: &Desk, nth: usize) {
        app.click("log_in");
        let page = Person::allow(&desk.opened(nth)).unwrap();
        assert!(page.body().contains("You are logged in"), "{}", page.body());
        app.wait_for("Authorized");
        names_somebody(app);
    }

    #[test]
    #[ignore = "needs Xvfb: tests/run"]
    fn logs_in_and_out() {
        let (desk, provider) = (Desk::new(), FakeProvider::start().unwrap());
        let app = desk.start_with(&provider, &[]);
        app.wait_for("Logged out");
        log_in(&app, &desk, 0);
        assert_eq!(app.shows("person"), "Alice");
        let granted = json!(["user-read-email", "user-read-private"]);
        assert_eq!(app.shows("granted"), granted);
        assert_eq!(app.shows("missing"), json!([]));

        app.gets_a_new_token_by(|| app.click("refresh"));
        assert_eq!(provider.requests(Endpoint::Token).len(), 2);

        app.click("log_out");
        app.wait_for("Logged out");
        until("both tokens are revoked", || {
            (provider.requests(Endpoint::Revocation).len() == 2).then_some(())
        });
        assert_eq!(provider.live_refresh_tokens(), 0);
        app.close();

        // Nobody is in at the next start.
        let app = desk.start_with(&provider, &[]);
        app.wait_for("Logged out");
    }

    #[test]
    #[ignore = "needs Xvfb: tests/run"]
    fn brings_a_provider_of_its_own() {
        let desk = Desk::new();
        let app = desk.start(&[]);
        app.wait_for("Logged out");
        log_in(&app, &desk, 0);
        assert_eq!(app.shows("person"), "Alice");
    }

    #[test]
    #[ignore = "needs Xvfb: tests/run"]
    fn takes_no_for_an_answer_and_can_be_cancelled() {
        let (desk, provider) = (Desk::new(), FakeProvider::start().unwrap());
        let app = desk.start_with(&provider, &[]);
        app.click("log_in");
        let page = Person::deny(&desk.opened(0)).unwrap();
        assert!(page.body().contains("Access was not granted"));
        app.wait_for("Denied");
        assert_eq!(app.shows("banner"), "Access was not allowed");

        app.click("log_in");
        let url = desk.opened(1);
        app.wait_for("Waiting for the browser");
        app.click("cancel");
        app.wait_for("Logged out");
        // Nobody listens there any more.
        until("the port is closed", || {
            Person::allow(&url).is_err().then_some(())
        });
        assert!(provider.requests(Endpoint::Token).is_empty());
    }

    #[test]
    #[ignore = "needs Xvfb: tests/run"]
    fn copies_the_link_and_opens_it_again() {
        let (desk, provider) = (Desk::new(), FakeProvider::start().unwrap());
        let app = desk.start_with(&provider, &[]);
        app.click("log_in");
        let url = desk.opened(0);
        app.wait_for("Waiting for the browser");
        app.click("open_again");
        assert_eq!(desk.opened(1), url);

        app.click("copy_link");
        let copied = until("the clipboard has the link", || {
            let mut xclip = desk.command("xclip");
            xclip.args(["-selection", "clipboard", "-out"]);
            let output = xclip.stderr(Stdio::null()).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            text.starts_with("http").then_some(text)
        });
        assert_eq!(copied, url);
        Person::allow(&copied).unwrap();
        app.wait_for("Authorized");
    }

    #[test]
    #[ignore = "needs Xvfb: tests/run"]
    fn stays_alive_while_the_token_endpoint_hangs() {
        let (desk, provider) = (Desk::new(), FakeProvider::start().unwrap());
        provider.fault(Endpoint::Token, Fault::Slow(Duration::from_secs(600)));
        let app = desk.start_with(&provider, &[]);
        app.click("log_in");
        let url = desk.opened(0);
        // The browser waits for its page as long as the exchange goes on.
        let person = thread::spawn(move || Person::allow(&url));
        app.wait_for("Exchanging");
        is_alive(&app);
        assert_eq!(app.shows("state"), "Exchanging");
        app.click("cancel");
        app.wait_for("Logged out");
        let page = person.join().unwrap().unwrap();
        assert!(page.body().contains("The login failed"), "{}", page.body());
    }

    #[test]
    #[ignore = "needs Xvfb: tests/run"]
    fn stays_alive_while_somebody_has_the_store() {
        let (desk, provider) = (Desk::new(), FakeProvider::start().unwrap());
        let app = desk.start_with(&provider, &[]);
        app.wait_for("Logged out");
        let store = FileStore::at(desk.store());
        let lock = store.lock(Duration::ZERO).unwrap();
        app.click("log_in");
        app.wait_for("Preparing");
        is_alive(&app);
        assert_eq!(app.shows("state"), "Preparing");
        app.click("cancel");
        app.wait_for("Logged out");
        drop(lock);
        log_in(&app, &desk, 0);
    }

    #[test]
    #[ignore = "needs Xvfb: tests/run"]
    fn is_still_in_after_a_crash_and_gets_a_new_token_for_a_rejected_one() {
        let provider = strict();
        let desk = Desk::new();
        let app = desk.start_with(&provider, &[]);
        log_in(&app, &desk, 0);
        app.kill();

        let app = desk.start_with(&provider, &[]);
        app.wait_for("Authorized");
        names_somebody(&app);
        assert_eq!(provider.requests(Endpoint::Token).len(), 1);
        app.kill();

        provider.expire_access_tokens();
        let app = desk.start_with(&provider, &[]);
        names_somebody(&app);
        assert_eq!(provider.requests(Endpoint::Token).len(), 2);
        app.wait_for("Authorized");
        app.kill();

        // What the refresh brought was saved.
        provider.expire_access_tokens();
        let app = desk.start_with(&provider, &[]);
        names_somebody(&app);
        assert_eq!(provider.requests(Endpoint::Token).len(), 3);
    }

    #[test]
    #[ignore = "needs Xvfb: tests/run"]
    fn goes_on_with_a_login_in_the_middle_of_which_it_was_closed() {
        let (desk, provider) = (Desk::new(), FakeProvider::start().unwrap());
        let app = desk.start_with(&provider, &[]);
        app.click("log_in");
        let url = desk.opened(0);
        app.wait_for("Waiting for the browser");
        app.close();

        let app = desk.start_with(&provider, &[]);
        app.wait_for("Waiting for the browser");
        let page = Person::allow(&url).unwrap();
        assert!(page.body().contains("You are logged in"), "{}", page.body());
        app.wait_for("Authorized");
    }

    #[test]
    #[ignore = "needs Xvfb: tests/run"]
    fn saves_what_is_being_saved_when_it_is_closed() {
        let (desk, provider) = (Desk::new(), FakeProvider::start().unwrap());
        let app = desk.start_with(&provider, &[]);
        app.click("log_in");
        let url = desk.opened(0);
        app.wait_for("Waiting for the browser");
        let store = FileStore::at(desk.store());
        let lock = store.lock(Duration::from_secs(30)).unwrap();
        let person = thread::spawn(move || Person::allow(&url));
        app.wait_for("Saving");
        app.press_close();
        drop(lock);
        app.has_ended();
        let _ = person.join().unwrap();

        let app = desk.start_with(&provider, &[]);
        app.wait_for("Authorized");
    }

    #[test]
    #[ignore = "needs Xvfb: tests/run"]
    fn two_copies_have_one_login() {
        let provider = strict();
        let desk = Desk::new();
        let one = desk.start_with(&provider, &[]);
        log_in(&one, &desk, 0);
        let other = desk.start_with(&provider, &[]);
        other.move_to("530", "0");
        other.wait_for("Authorized");

        // Both want new tokens at once. If both asked, the second would end the login for both.
        provider.fault(Endpoint::Token, Fault::Slow(Duration::from_millis(500)));
        one.gets_a_new_token_by(|| {
            other.gets_a_new_token_by(|| {
                one.click("refresh");
                other.click("refresh");
            });
        });
        for app in [&one, &other] {
            app.wait_for("Authorized");
            assert_eq!(app.shows("banner"), Value::Null);
        }
        assert_eq!(provider.requests(Endpoint::Token).len(), 2);
        assert_eq!(provider.live_refresh_tokens(), 1);

        // One logs out; the other finds out when it next wants something.
        one.click("log_out");
        one.wait_for("Logged out");
        other.click("refresh");
        other.wait_for("Logged out");
        assert_eq!(other.shows("banner"), "Logged out in another window");
    }
}

/// A server written by others, and a real browser.
mod chromium {
    use crate::support::{Desk, OidcProvider, in_chromium};

    #[test]
    #[ignore = "needs Xvfb, a real server and a browser: tests/real/run"]
    fn logs_in_and_is_still_in() {
        let (desk, server) = (Desk::new(), OidcProvider::start());
        let app = server.open(&desk);
        app.click("log_in");
        let page = in_chromium(&desk.opened(0), "allow");
        assert!(page.contains("You are logged in"), "{page}");
        app.wait_for("Authorized");
        app.wait("alice", |screen| {
            (screen["person"] == "alice").then_some(())
        });
        app.close();

        let app = server.open(&desk);
        app.wait_for("Authorized");
        app.wait("alice", |screen| {
            (screen["person"] == "alice").then_some(())
        });
        app.gets_a_new_token_by(|| app.click("refresh"));
        app.click("log_out");
        app.wait_for("Logged out");
    }

    #[test]
    #[ignore = "needs Xvfb, a real server and a browser: tests/real/run"]
    fn is_denied() {
        let (desk, server) = (Desk::new(), OidcProvider::start());
        let app = server.open(&desk);
        app.click("log_in");
        let page = in_chromium(&desk.opened(0), "deny");
        assert!(page.contains("Access was not granted"), "{page}");
        app.wait_for("Denied");
    }

    #[test]
    #[ignore = "needs Xvfb, a real server and a browser: tests/real/run"]
    fn was_closed_while_the_browser_was_open() {
        let (desk, server) = (Desk::new(), OidcProvider::start());
        let app = server.open(&desk);
        app.click("log_in");
        let url = desk.opened(0);
        app.kill();
        let app = server.open(&desk);
        app.wait_for("Waiting for the browser");
        let page = in_chromium(&url, "allow");
        assert!(page.contains("You are logged in"), "{page}");
        app.wait_for("Authorized");
    }

    #[test]
    #[ignore = "needs Xvfb, a real server and a browser: tests/real/run"]
    fn two_copies_share_a_refresh_token_that_is_good_once() {
        let (desk, server) = (Desk::new(), OidcProvider::start());
        let one = server.open(&desk);
        one.click("log_in");
        in_chromium(&desk.opened(0), "allow");
        one.wait_for("Authorized");
        let other = server.open(&desk);
        other.move_to("530", "0");
        other.wait_for("Authorized");
        // The server ends the login for both if an old refresh token comes once more.
        for _ in 0..3 {
            one.gets_a_new_token_by(|| {
                other.gets_a_new_token_by(|| {
                    one.click("refresh");
                    other.click("refresh");
                });
            });
            one.wait_for("Authorized");
            other.wait_for("Authorized");
        }
    }
}
