//! A login in a keyring: a mock one, one that is not there, and a real Secret Service.
#![cfg(all(
    feature = "keyring",
    feature = "ureq",
    feature = "loopback",
    feature = "os-rng"
))]

mod support;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use authflow::session::{KeyringStore, Store as _, StoreError, StoreErrorKind};
use authflow::{Client, Provider, RestoreError, Snapshot, Timestamp, TokenSet};
use keyring_core::{CredentialStore, Entry, Error, mock};
use support::directory::Directory;
use support::login::saved;

const NOW: Duration = Duration::ZERO;

fn login(token: &str) -> Snapshot {
    let provider = Provider::new("https://as.example/authorize", "https://as.example/token");
    let tokens = TokenSet::new(token).refresh_token("RT-secret-0123456789");
    saved(Client::builder(provider, "c"), tokens, Timestamp::now())
}

/// Saves, with the lock.
fn save(store: &KeyringStore, snapshot: &Snapshot) -> Result<(), StoreError> {
    store.save(snapshot, &store.lock(NOW).unwrap())
}

// --- a mock keyring -------------------------------------------------------------------------------

fn mocked() -> (KeyringStore, Arc<CredentialStore>, Directory) {
    let directory = Directory::new();
    let keyring: Arc<CredentialStore> = mock::Store::new().unwrap();
    let lock = directory.path().join("own").join("keyring");
    let store = KeyringStore::with_keyring(keyring.clone(), "app", lock);
    (store, keyring, directory)
}

/// The entry itself, to put something else in.
fn entry(keyring: &Arc<CredentialStore>) -> Entry {
    Entry::new_in_store(keyring, "app", "login").unwrap()
}

#[test]
fn what_is_saved_is_loaded_replaced_and_removed() {
    let (store, _, _directory) = mocked();
    assert_eq!(store.load().unwrap(), None);
    for token in ["AT-1", "AT-2"] {
        save(&store, &login(token)).unwrap();
        assert_eq!(store.clone().load().unwrap(), Some(login_of(&store, token)));
    }
    store.remove().unwrap();
    assert_eq!(store.load().unwrap(), None);
    store.remove().unwrap();
}

/// What was loaded, having been seen to hold this token.
fn login_of(store: &KeyringStore, token: &str) -> Snapshot {
    let loaded = store.load().unwrap().unwrap();
    assert!(loaded.to_json().expose().contains(token));
    loaded
}

#[test]
fn accounts_have_entries_and_locks_of_their_own() {
    let (store, _, _directory) = mocked();
    let (alice, bob) = (store.account("alice"), store.account("b/o b"));
    save(&alice, &login("AT-alice")).unwrap();
    save(&bob, &login("AT-bob")).unwrap();
    login_of(&alice, "AT-alice");
    login_of(&bob, "AT-bob");
    assert_eq!(store.load().unwrap(), None);
    let _held = alice.lock(NOW).unwrap();
    let _other = bob.lock(NOW).unwrap();
    let busy = store.account("alice").lock(NOW).unwrap_err();
    assert_eq!(busy.kind(), StoreErrorKind::Busy);
}

#[test]
fn what_is_no_login_is_refused_and_kept() {
    let (store, keyring, _directory) = mocked();
    let damaged = StoreErrorKind::Unreadable(RestoreError::Damaged);
    let newer = StoreErrorKind::Unreadable(RestoreError::UnknownVersion(999));
    for (text, kind) in [
        ("", damaged),
        ("AT-secret-0123456789", damaged),
        (r#"{"version":999,"x":"AT-secret-0123456789"}"#, newer),
    ] {
        entry(&keyring).set_secret(text.as_bytes()).unwrap();
        let error = store.load().unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains("the keyring entry app/login"));
        assert!(!format!("{error:?}").contains("AT-secret"), "{error:?}");
        assert_eq!(entry(&keyring).get_secret().unwrap(), text.as_bytes());
    }
}

#[test]
fn a_fault_of_the_keyring_has_a_kind_and_shows_nothing() {
    let (store, keyring, _directory) = mocked();
    save(&store, &login("AT-1")).unwrap();
    let secret = || b"AT-secret-0123456789".to_vec();
    let inner = || Box::<dyn std::error::Error + Send + Sync>::from("AT-secret-0123456789");
    let damaged = StoreErrorKind::Unreadable(RestoreError::Damaged);
    let faults = [
        (Error::PlatformFailure(inner()), StoreErrorKind::Unavailable),
        (Error::NoStorageAccess(inner()), StoreErrorKind::Refused),
        (Error::BadEncoding(secret()), damaged),
        (Error::BadDataFormat(secret(), inner()), damaged),
        (Error::TooLong("secret".into(), 2560), StoreErrorKind::Full),
        (
            Error::NotSupportedByStore(String::new()),
            StoreErrorKind::Unavailable,
        ),
    ];
    for (fault, kind) in faults {
        let own = entry(&keyring);
        let cred: &mock::Cred = own.as_any().downcast_ref().unwrap();
        cred.set_error(fault);
        let error = store.load().unwrap_err();
        assert_eq!(error.kind(), kind);
        let source = std::error::Error::source(&error).map(ToString::to_string);
        let shown = format!("{error} {error:?} {source:?} {store:?}");
        assert!(!shown.contains("AT-secret"), "{shown}");
        login_of(&store, "AT-1");
    }
}

// --- real ones, each in a process with a home and a bus of its own ---------------------------------

/// This very test, as another process.
fn child(program: &[&str], role: &str, home: &Path) -> Command {
    let own = std::env::current_exe().unwrap();
    let test = [
        "--exact",
        "a_child_of_these_tests",
        "--nocapture",
        "--include-ignored",
    ];
    let mut words = program
        .iter()
        .map(std::ffi::OsStr::new)
        .chain([own.as_os_str()]);
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        .args(test)
        .env("AUTHFLOW_KEYRING_ROLE", role)
        .env("HOME", home)
        .env("XDG_STATE_HOME", home.join("state"))
        .env("XDG_DATA_HOME", home.join("data"))
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env("XDG_RUNTIME_DIR", home)
        .env_remove("DISPLAY")
        .env_remove("DBUS_SESSION_BUS_ADDRESS");
    command
}

fn said(output: &Output) -> String {
    let all = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&all).into_owned()
}

/// What a process does that was started by the tests below.
#[test]
#[ignore = "a part of the other tests"]
fn a_child_of_these_tests() {
    let role = std::env::var("AUTHFLOW_KEYRING_ROLE").unwrap_or_default();
    let store = KeyringStore::for_app("authflow-test");
    match role.as_str() {
        "absent" => {
            let error = store.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
            println!("said: {error}");
        }
        "save" => {
            let store = store.unwrap();
            assert_eq!(store.load().unwrap(), None);
            save(&store, &login("AT-of-another-process")).unwrap();
            println!("saved");
        }
        "load" => {
            let store = store.unwrap();
            login_of(&store, "AT-of-another-process");
            store.remove().unwrap();
            assert_eq!(store.load().unwrap(), None);
            println!("loaded and removed");
        }
        _ => panic!("run by the other tests only"),
    }
}

fn holds_a_token(directory: &Path) -> bool {
    std::fs::read_dir(directory).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        match path.symlink_metadata().unwrap() {
            kind if kind.is_dir() => holds_a_token(&path),
            kind if kind.is_file() => {
                let bytes = std::fs::read(&path).unwrap();
                let text = String::from_utf8_lossy(&bytes);
                text.contains("AT-of-another") || text.contains("RT-secret")
            }
            _ => false,
        }
    })
}

#[cfg(target_os = "linux")]
#[test]
fn a_keyring_that_is_not_there_is_said_and_nothing_is_written() {
    let home = Directory::new();
    for address in ["unix:path=/nowhere", ""] {
        let mut absent = child(&[], "absent", home.path());
        absent
            .env("DBUS_SESSION_BUS_ADDRESS", address)
            .env("PATH", "/nowhere");
        let output = absent.output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        assert!(said(&output).contains("said: there is no keyring here"));
    }
    assert!(!holds_a_token(home.path()));
}

/// Needs the programs of Debian's packages dbus and gnome-keyring.
#[cfg(target_os = "linux")]
#[test]
fn what_one_process_saves_in_a_real_keyring_another_finds() {
    let home = Directory::new();
    // The daemon takes the password on its standard input, and ends with its bus.
    let script = r#"
        printf 'password' | gnome-keyring-daemon --unlock --components=secrets >"$HOME/daemon" || exit 90
        AUTHFLOW_KEYRING_ROLE=save "$@" && AUTHFLOW_KEYRING_ROLE=load "$@"
    "#;
    let program = ["dbus-run-session", "--", "sh", "-c", script, "sh"];
    let output = child(&program, "", home.path()).output();
    let output =
        output.expect("dbus-run-session is missing (Debian: apt-get install dbus gnome-keyring)");
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("saved") && text.contains("loaded and removed"),
        "{text}"
    );
    assert!(
        !holds_a_token(home.path()),
        "it is encrypted, and nowhere else"
    );
}
