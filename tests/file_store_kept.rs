//! A login in a file that is damaged, removed, very large or beside others: what is there stays there
//! until something better has worked.
#![cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use authflow::session::{Error, FileStore, Store as _, StoreError, StoreErrorKind, StoreLock};
use authflow::testing::{Answer, Endpoint, FakeProvider};
use authflow::{Client, RestoreError, Session, Snapshot, Timestamp, WhatNow};
use support::directory::{Directory, names, save, snapshot};
use support::login::{client_of, edited, hour, login, person, saved, server, text};
use support::raw::response;
use support::shown::{ACCESS, REFRESH, Shown};

/// A directory with a store in it in which somebody has written this.
fn holding(content: &[u8]) -> (Directory, FileStore) {
    let directory = Directory::new();
    let store = directory.store();
    drop(store.lock(Duration::ZERO).unwrap());
    fs::write(store.path(), content).unwrap();
    (directory, store)
}

/// Somebody who has logged in, and where it is kept.
fn logged_in(provider: &FakeProvider) -> (Directory, FileStore, Session) {
    let directory = Directory::new();
    let store = directory.store();
    let (opener, sight) = person(Answer::Allow);
    let login = login(provider.client()).store(store.clone());
    let session = login.opener(opener).run().unwrap();
    sight.page();
    provider.clear_requests(Endpoint::Token);
    (directory, store, session)
}

fn kind<T>(result: Result<T, StoreError>) -> Option<StoreErrorKind> {
    result.err().map(|error| error.kind())
}

/// A fault of a store's that a session has met.
fn store_fault<T>(result: Result<T, Error>) -> StoreError {
    match result.err().expect("the store is no good") {
        Error::Store(error) => error,
        other => panic!("{other:?}"),
    }
}

// --- what is damaged ------------------------------------------------------------------------------

/// What can't be used, and why. Most was a login of the fake provider's client, with the markers in it.
fn damaged(provider: &FakeProvider) -> Vec<(Vec<u8>, RestoreError)> {
    let good = saved(provider.client(), hour(), Timestamp::now());
    let good = edited(&good, |value| {
        value["session"]["access_token"] = ACCESS.into();
        value["session"]["refresh_token"] = REFRESH.into();
    });
    let good = good.to_json().expose().to_owned();
    let changed = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replace(from, to).into_bytes()
    };
    let mut not_utf8 = good.clone().into_bytes();
    not_utf8[good.find(REFRESH).unwrap()] = 0xff;
    let damaged = [
        Vec::new(),
        b"{".to_vec(),
        b"null".to_vec(),
        vec![0; 4096],
        good.as_bytes()[..good.len() / 2].to_vec(),
        good.as_bytes()[..good.len() - 1].to_vec(),
        format!("{good}{good}").into_bytes(),
        format!("[{good}]").into_bytes(),
        changed(r#""serial":"#, r#""cereal":"#),
        changed(r#""version":1"#, r#""version":"1""#),
        not_utf8,
        format!("{}{good}", " ".repeat(12 << 20)).into_bytes(),
        changed("{", &format!(r#"{{"x":"{}","#, "x".repeat(12 << 20))),
    ];
    let mut all = damaged
        .map(|content| (content, RestoreError::Damaged))
        .to_vec();
    let newer = changed(r#""version":1"#, r#""version":999"#);
    all.push((newer, RestoreError::UnknownVersion(999)));
    let other = Client::builder(provider.provider(), "another-client");
    let other = saved(other, hour(), Timestamp::now()).to_json();
    all.push((other.expose().into(), RestoreError::OtherClient));
    all
}

#[test]
fn what_cannot_be_used_is_said_and_left_as_it_is() {
    let provider = FakeProvider::start().unwrap();
    let mut shown = Shown::new();
    for (content, why) in damaged(&provider) {
        let (directory, store) = holding(&content);
        let unreadable = StoreErrorKind::Unreadable(why);
        // Whose it is, is not the store's to know.
        if why != RestoreError::OtherClient {
            let error = store.load().unwrap_err();
            assert_eq!(error.kind(), unreadable);
            shown.error(&error);
        }
        let login = || login(provider.client()).store(store.clone());
        let opener = |_: &_| panic!("a browser was opened");
        let errors = [
            store_fault(login().resume()),
            store_fault(login().opener(opener).run()),
        ];
        for error in errors {
            assert_eq!(error.kind(), unreadable);
            assert_eq!(error.what_now(), WhatNow::Configuration);
            assert!(error.to_string().contains(store.path().to_str().unwrap()));
            shown.error(&error);
            shown.error(&Error::Store(error));
        }
        assert_eq!(fs::read(store.path()).unwrap(), content);
        let own = directory.path().join("own");
        assert_eq!(names(&own), ["login.json", "login.json.lock"]);
    }
    assert_eq!(provider.requests(Endpoint::Token), []);
    shown.check();
}

#[test]
fn what_cannot_be_used_is_replaced_by_a_login_that_has_worked_and_by_no_other() {
    let provider = FakeProvider::start().unwrap();
    for (content, _) in damaged(&provider) {
        let (_directory, store) = holding(&content);
        let login = || login(provider.client()).store(store.clone());
        let (opener, sight) = person(Answer::Deny);
        let denied = login().ignore_stored().opener(opener).run();
        assert!(matches!(denied, Err(Error::Login(_))), "{denied:?}");
        sight.page();
        assert_eq!(fs::read(store.path()).unwrap(), content);
        let (opener, sight) = person(Answer::Allow);
        let session = login().ignore_stored().opener(opener).run().unwrap();
        sight.page();
        let resumed = login().resume().unwrap().expect("a login that is kept");
        let token = |session: &Session| session.access_token().unwrap().secret().clone();
        assert_eq!(token(&resumed), token(&session));
    }
}

#[test]
fn a_refresh_does_not_touch_what_has_been_damaged_meanwhile() {
    let provider = FakeProvider::start().unwrap();
    let (_directory, store, session) = logged_in(&provider);
    let good = fs::read(store.path()).unwrap();
    fs::write(store.path(), "{").unwrap();
    let error = store_fault(session.refresh());
    let unreadable = StoreErrorKind::Unreadable(RestoreError::Damaged);
    assert_eq!(error.kind(), unreadable);
    assert!(session.access_token().is_ok(), "its own is still good");
    assert_eq!(fs::read(store.path()).unwrap(), b"{");
    assert_eq!(provider.requests(Endpoint::Token), []);
    fs::write(store.path(), good).unwrap();
    session.refresh().unwrap();
}

#[test]
fn a_log_out_clears_even_what_has_been_damaged_meanwhile() {
    let provider = FakeProvider::start().unwrap();
    let (_directory, store, session) = logged_in(&provider);
    fs::write(store.path(), "{").unwrap();
    session.log_out().unwrap();
    let kept = store.load().unwrap();
    assert!(!kept.as_ref().is_some_and(Snapshot::has_session));
}

// --- what is removed ------------------------------------------------------------------------------

#[test]
fn a_session_whose_file_was_removed_finds_itself_logged_out() {
    let provider = FakeProvider::start().unwrap();
    let (_directory, store, session) = logged_in(&provider);
    store.remove().unwrap();
    assert!(matches!(session.refresh(), Err(Error::SignIn(None))));
    assert_eq!(provider.requests(Endpoint::Token), []);
    assert!(store.load().unwrap().is_none());
}

#[test]
fn a_file_that_is_being_saved_is_not_removed_before_that_is_done() {
    let (_directory, store) = holding(b"{");
    let lock = store.lock(Duration::ZERO).unwrap();
    let other = store.clone();
    let removing = thread::spawn(move || other.remove());
    thread::sleep(Duration::from_millis(100));
    assert!(store.path().exists());
    store.save(&snapshot("AT-1", 0), &lock).unwrap();
    drop(lock);
    removing.join().unwrap().unwrap();
    assert!(!store.path().exists());
}

// --- sizes and names ------------------------------------------------------------------------------

#[test]
fn the_largest_answer_that_is_read_can_be_kept() {
    // Quotes and backslashes take twice their room.
    let quoted = r#"\""#.repeat((1 << 20) / 2);
    let large = edited(&snapshot("AT-1", 0), |value| {
        value["session"]["extra"]["more"] = quoted.into();
    });
    let directory = Directory::new();
    save(&directory.store(), &large);
    assert_eq!(directory.store().load().unwrap(), Some(large));
}

#[test]
fn whatever_an_answer_holds_it_is_kept() {
    // What takes most room when it is quoted, and quoted again, in a form as large as any may be.
    for (name, value) in [("x", "\u{1}"), ("x", "\""), ("x", "\\"), ("\u{1}", "x")] {
        let form = "access_token=AT-1&token_type=bearer&expires_in=3600&refresh_token=RT-1";
        let room = (1 << 20) - form.len() - 16;
        let [name, value] = [name, value].map(|text| match text {
            "x" => text.to_owned(),
            text => text.repeat(room),
        });
        let body = format!("{form}&{name}={value}");
        let server = server(move |_| response("200 OK", "", &body));
        let directory = Directory::new();
        let login = || login(client_of(&server)).store(directory.store());
        let session = login().adopt(hour()).unwrap();
        assert_eq!(text(session.refresh()), "AT-1");
        let kept = login().resume().unwrap().expect("a login that is kept");
        let (kept, own) = (
            kept.access_token().unwrap(),
            session.access_token().unwrap(),
        );
        assert_eq!(kept.extras(), own.extras());
        assert_eq!(kept.extras().names().collect::<String>(), name);
    }
}

#[test]
fn what_could_not_be_read_again_is_not_saved() {
    let directory = Directory::new();
    let store = directory.store();
    save(&store, &snapshot("AT-1", 0));
    let lock = store.lock(Duration::ZERO).unwrap();
    let result = store.save(&snapshot("AT-2", 12 << 20), &lock);
    assert_eq!(kind(result), Some(StoreErrorKind::Full));
    assert_eq!(store.load().unwrap(), Some(snapshot("AT-1", 0)));
}

#[test]
fn a_path_that_names_no_file_is_refused() {
    let refused = Some(StoreErrorKind::Refused);
    let directory = Directory::new();
    let below = |path| directory.path().join(path);
    let paths = ["", "/", "..", "a/.."].map(PathBuf::from);
    for path in paths.into_iter().chain([below("a/.."), below("a/b/..")]) {
        let store = FileStore::at(&path);
        assert_eq!(kind(store.load()), refused, "{path:?}");
        assert_eq!(kind(store.lock(Duration::ZERO)), refused, "{path:?}");
        let lock = StoreLock::new(());
        assert_eq!(kind(store.save(&snapshot("AT", 0), &lock)), refused);
        assert_eq!(kind(store.remove()), refused, "{path:?}");
    }
    assert!(names(directory.path()).is_empty(), "nothing was made");
    assert!(!Path::new("a").exists() && !Path::new(".lock").exists());
}

#[test]
fn no_accounts_name_leads_elsewhere_or_to_another() {
    let accounts = [
        "",
        " ",
        "%",
        "%2e",
        "%2E",
        ".",
        "..",
        "../..",
        "/",
        "/etc/passwd",
        "A",
        "Alice",
        "a",
        "a b",
        "a@b",
        "a\n",
        "alice",
        "alice.lock",
        "con",
        "\u{e9}",
        "e\u{301}",
        "日本",
        "😀",
        "\u{202e}a",
        "\0",
        "\\",
        "login",
        "x.json",
    ];
    let directory = Directory::new();
    let store = directory.store();
    let kept = |name: &str| snapshot(&format!("AT-{}", name.escape_unicode()), 0);
    for name in accounts {
        save(&store.account(name), &kept(name));
    }
    for name in accounts {
        let loaded = store.account(name).load().unwrap();
        assert_eq!(loaded, Some(kept(name)), "{name:?}");
    }
    let mut sorted = accounts.to_vec();
    sorted.sort_unstable();
    assert_eq!(store.accounts().unwrap(), sorted);
    assert_eq!(names(directory.path()), ["own"]);
    let files = names(&directory.path().join("own"));
    let mut folded: Vec<_> = files.iter().map(|file| file.to_lowercase()).collect();
    folded.sort();
    folded.dedup();
    assert_eq!(
        folded.len(),
        files.len(),
        "also where capitals mean nothing"
    );
    assert!(store.load().unwrap().is_none());
}

#[test]
fn only_files_of_accounts_are_accounts() {
    let directory = Directory::new();
    let store = directory.store();
    save(&store, &snapshot("AT-0", 0));
    save(&store.account("alice"), &snapshot("AT-1", 0));
    drop(store.account("bob").lock(Duration::ZERO).unwrap());
    let own = directory.path().join("own");
    for stranger in [
        "login@B.json",
        "login@%41%4.json",
        "login@c.json.bak",
        "x@d.json",
    ] {
        fs::write(own.join(stranger), "").unwrap();
    }
    fs::create_dir(own.join("login@directory.json")).unwrap();
    assert_eq!(store.accounts().unwrap(), ["alice"]);
    store.account("alice").remove().unwrap();
    assert_eq!(store.accounts().unwrap(), [""; 0]);
}

#[test]
fn an_account_of_a_file_without_an_extension_is_found_again() {
    let directory = Directory::new();
    let store = FileStore::at(directory.path().join("own").join("login"));
    save(&store.account("alice"), &snapshot("AT-1", 0));
    assert_eq!(store.accounts().unwrap(), ["alice"]);
}

// --- what is left behind --------------------------------------------------------------------------

#[test]
fn only_what_a_save_has_left_is_swept_up_by_the_next() {
    let directory = Directory::new();
    let store = directory.store();
    save(&store, &snapshot("AT-1", 0));
    let own = directory.path().join("own");
    let left = [
        ".login.json.0123456789abcdef.tmp",
        ".login.json.ffffffffffffffff.tmp",
    ];
    let strangers = [
        ".login.json.tmp",
        ".login.json..tmp",
        ".login.json.mine.tmp",
        ".login.json.0123456789abcdefg.tmp",
        ".login.json.0123456789abcdeg.tmp",
        ".login.json.0123456789abcdef.tmp.bak",
        ".login.json.0123456789abcdef",
        ".login@a.json.0123456789abcdef.tmp",
        "login.json.0123456789abcdef.tmp",
        "x.login.json.0123456789abcdef.tmp",
    ];
    for name in left.iter().chain(&strangers) {
        fs::write(own.join(name), "half of a").unwrap();
    }
    store.load().unwrap();
    drop(store.lock(Duration::ZERO).unwrap());
    assert_eq!(names(&own).len(), 2 + left.len() + strangers.len());
    save(&store, &snapshot("AT-2", 0));
    let mut expected = strangers.to_vec();
    expected.extend(["login.json", "login.json.lock"]);
    expected.sort_unstable();
    assert_eq!(names(&own), expected);
}

#[test]
fn what_a_save_has_left_is_removed_with_the_file_or_without_one() {
    let directory = Directory::new();
    let store = directory.store();
    let own = directory.path().join("own");
    save(&store, &snapshot("AT-1", 0));
    for _ in 0..2 {
        let left = own.join(".login.json.0123456789abcdef.tmp");
        fs::write(left, snapshot("AT-1", 0).to_json().expose()).unwrap();
        fs::write(own.join(".login@a.json.0123456789abcdef.tmp"), "").unwrap();
        store.remove().unwrap();
        assert_eq!(
            names(&own),
            [".login@a.json.0123456789abcdef.tmp", "login.json.lock"]
        );
    }
}

#[test]
fn two_files_beside_each_other_do_not_sweep_each_other_up() {
    let directory = Directory::new();
    let own = directory.path().join("own");
    let longer = FileStore::at(own.join("login.json"));
    let shorter = FileStore::at(own.join("login"));
    save(&longer, &snapshot("AT-1", 0));
    // As if another process were just about to rename it.
    let temporary = own.join(".login.json.0123456789abcdef.tmp");
    fs::write(&temporary, "").unwrap();
    save(&shorter, &snapshot("AT-2", 0));
    assert!(temporary.exists());
}
