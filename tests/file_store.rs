//! A login in a file: files that hold something else, readers beside a writer, names.
//! `file_store_unix` has owners, modes, links and disks.
#![cfg(all(unix, feature = "ureq", feature = "loopback", feature = "os-rng"))]

mod support;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use authflow::session::{Error, FileStore, Store as _, StoreError, StoreErrorKind};
use authflow::testing::{Answer, FakeProvider};
use authflow::{Client, Provider, RestoreError, Snapshot, Timestamp, TokenSet};
use support::directory::Directory;
use support::login::{login, person, saved};

const SECRET: &str = "AT-secret-0123456789";

fn snapshot(token: &str) -> Snapshot {
    let provider = Provider::builder("https://as.example/authorize", "https://as.example/token");
    let tokens = TokenSet::new(token).refresh_token("RT-secret-0123456789");
    saved(Client::builder(provider, "c"), tokens, Timestamp::now())
}

fn save(store: &FileStore, token: &str) -> Result<(), StoreError> {
    store.save(&snapshot(token), &store.lock(Duration::ZERO)?)
}

/// Every error names the file, and says nothing of what is in it.
fn kind<T>(store: &FileStore, result: Result<T, StoreError>) -> StoreErrorKind {
    let error = result.err().expect("an error");
    let own = store.path().parent().unwrap().display().to_string();
    assert!(error.to_string().contains(&own), "{error}");
    assert!(
        !format!("{error} {error:?}").contains("secret"),
        "{error:?}"
    );
    error.kind()
}

fn files(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

// --- what else may be in it ------------------------------------------------------------------------

#[test]
fn what_is_no_login_is_said_and_kept_byte_for_byte() {
    use RestoreError::{Damaged, UnknownVersion};
    let directory = Directory::new();
    let store = directory.store();
    save(&store, SECRET).unwrap();
    let whole = fs::read(store.path()).unwrap();
    let large = vec![b' '; 10 << 20];
    let newer = br#"{"version":999,"session":{"access_token":"AT-secret-0123456789"}}"#;
    let wrong: [(&[u8], RestoreError); 8] = [
        (b"", Damaged),
        (b"AT-secret-0123456789", Damaged),
        (&whole[..whole.len() / 2], Damaged),
        (b"[\"AT-secret-0123456789\"]", Damaged),
        (b"\xff\xfe", Damaged),
        (b"{}", Damaged),
        (&large, Damaged),
        (newer, UnknownVersion(999)),
    ];
    for (bytes, error) in wrong {
        fs::write(store.path(), bytes).unwrap();
        let expected = StoreErrorKind::Unreadable(error);
        assert_eq!(kind(&store, store.load()), expected);
        let provider = FakeProvider::start().unwrap();
        let login = login(provider.client()).store(store.clone());
        let opened = login.opener(|_| panic!("a browser was opened")).run();
        assert!(matches!(opened, Err(Error::Store(error)) if error.kind() == expected));
        assert!(fs::read(store.path()).unwrap() == bytes, "it is kept");
    }
}

#[test]
fn another_clients_login_is_replaced_only_by_one_that_worked() {
    let directory = Directory::new();
    let store = directory.store();
    save(&store, SECRET).unwrap();
    let before = fs::read(store.path()).unwrap();
    let provider = FakeProvider::start().unwrap();
    let login = || login(provider.client()).store(store.clone());
    let Err(Error::Store(error)) = login().without_browser().run() else {
        panic!("it was used");
    };
    let others = StoreErrorKind::Unreadable(RestoreError::OtherClient);
    assert_eq!(kind::<()>(&store, Err(error)), others);
    let (opener, _sight) = person(Answer::Deny);
    assert!(login().ignore_stored().opener(opener).run().is_err());
    assert_eq!(fs::read(store.path()).unwrap(), before);
    let (opener, _sight) = person(Answer::Allow);
    login().ignore_stored().opener(opener).run().unwrap();
    assert_ne!(fs::read(store.path()).unwrap(), before);
    login().without_browser().run().unwrap();
}

// --- replacing it ---------------------------------------------------------------------------------

#[test]
fn what_a_writer_that_died_left_behind_is_swept_up_and_nothing_else() {
    let directory = Directory::new();
    let store = directory.store();
    save(&store, SECRET).unwrap();
    let own = store.path().parent().unwrap();
    let left = ".login.json.0123456789abcdef.tmp";
    let others = [
        "other.tmp",
        ".login.json.tmp",
        ".other.json.0123456789abcdef.tmp",
    ];
    for name in others.iter().chain([&left]) {
        fs::write(own.join(name), "left").unwrap();
    }
    save(&store, SECRET).unwrap();
    assert!(!own.join(left).exists());
    assert!(others.iter().all(|name| own.join(name).exists()));
}

#[test]
fn a_reader_never_sees_half_a_file() {
    let directory = Directory::new();
    let store = directory.store();
    save(&store, SECRET).unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    while !is_over.load(Ordering::SeqCst) {
                        assert!(store.load().unwrap().is_some());
                    }
                })
            })
            .collect();
        for round in 0..200 {
            save(&store, &SECRET.repeat(1 + round % 50)).unwrap();
        }
        is_over.store(true, Ordering::SeqCst);
        readers
            .into_iter()
            .for_each(|reader| reader.join().unwrap());
    });
}

#[test]
fn a_damaged_file_can_be_removed() {
    let directory = Directory::new();
    let store = directory.store();
    store.remove().unwrap();
    save(&store, SECRET).unwrap();
    fs::write(store.path(), "damaged").unwrap();
    store.remove().unwrap();
    assert!(store.load().unwrap().is_none());
    assert_eq!(files(store.path().parent().unwrap()), ["login.json.lock"]);
}

// --- names ----------------------------------------------------------------------------------------

#[test]
fn every_account_has_a_file_of_its_own_in_the_same_directory() {
    let directory = Directory::new();
    let store = directory.store();
    assert!(store.accounts().unwrap().is_empty());
    let mut names = [
        "",
        "alice",
        "Alice",
        "ALICE@example.com",
        "../../evil",
        "a/b",
        "ü ñ",
        ".",
        "%2f",
    ];
    for name in names {
        let account = store.account(name);
        assert_eq!(account.path().parent(), store.path().parent(), "{name}");
        save(&account, &format!("AT-of-{}", name.len())).unwrap();
    }
    save(&store, SECRET).unwrap();
    fs::write(store.path().with_file_name("login@NOT%ESCAPED.json"), "").unwrap();
    names.sort_unstable();
    assert_eq!(store.accounts().unwrap(), names);
    store.account("alice").remove().unwrap();
    assert!(!store.accounts().unwrap().contains(&"alice".to_owned()));
    assert!(store.account("Alice").load().unwrap().is_some());
}

#[test]
fn a_name_that_is_too_long_is_refused() {
    let directory = Directory::new();
    let store = directory.store().account(&"a".repeat(300));
    assert_eq!(kind(&store, save(&store, SECRET)), StoreErrorKind::Refused);
}

#[test]
fn an_app_has_a_name_for_a_directory() {
    for name in ["", ".", "..", "a/b", "/a", "../a"] {
        let error = FileStore::for_app(name).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Refused, "{name}");
    }
}
