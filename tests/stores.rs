//! The contract of a store, on each store there is; and a login that is read again from its file between
//! all refreshes.
#![cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use authflow::session::{MemoryStore, Store as _};
use authflow::testing::check_store;
use authflow::{Snapshot, Timestamp};
use support::directory::Directory;
#[cfg(feature = "keyring")]
use support::directory::snapshot;
use support::login::{client_of, ended, expired, json, login, number, saved, server};
use support::raw::{Server, tokens};

// --- the contract ---------------------------------------------------------------------------------

#[test]
fn memory_keeps_the_contract() {
    let place = Arc::new(MemoryStore::new());
    check_store(|| Arc::clone(&place));
}

#[test]
fn a_file_keeps_the_contract() {
    let directory = Directory::new();
    check_store(|| directory.store());
}

#[test]
fn an_accounts_file_keeps_the_contract_and_leaves_the_others_alone() {
    let directory = Directory::new();
    check_store(|| directory.store().account("alice@example.com"));
    assert!(directory.store().load().unwrap().is_none());
    assert_eq!(directory.store().accounts().unwrap(), ["alice@example.com"]);
}

#[cfg(feature = "keyring")]
#[test]
fn a_keyring_keeps_the_contract() {
    let directory = Directory::new();
    let keyring: Arc<keyring_core::CredentialStore> = keyring_core::mock::Store::new().unwrap();
    let lock = directory.path().join("own").join("keyring");
    let open = || authflow::session::KeyringStore::with_keyring(keyring.clone(), "app", &lock);
    check_store(open);
}

#[cfg(feature = "keyring")]
#[test]
fn what_could_not_be_read_again_is_not_saved_in_a_keyring() {
    use authflow::session::{KeyringStore, StoreErrorKind};
    let directory = Directory::new();
    let keyring: Arc<keyring_core::CredentialStore> = keyring_core::mock::Store::new().unwrap();
    let store = KeyringStore::with_keyring(keyring, "app", directory.path().join("keyring"));
    let (small, large) = (snapshot("AT-1", 0), snapshot("AT-2", 12 << 20));
    let save = |it: &Snapshot| store.save(it, &store.lock(Duration::ZERO).unwrap());
    save(&small).unwrap();
    let error = save(&large).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Full);
    assert_eq!(store.load().unwrap(), Some(small));
    let most = snapshot("AT-3", 11 << 20);
    save(&most).unwrap();
    assert_eq!(store.load().unwrap(), Some(most));
}

// --- refreshes in a row ---------------------------------------------------------------------------

/// Ten refreshes, each by a program that has just been started, with these refresh tokens in the
/// answers. What was sent, and what is kept in the end.
fn refreshes_in_a_row(answers: [Option<&'static str>; 10]) -> (Vec<String>, String) {
    let count = AtomicUsize::new(0);
    let answered = AtomicUsize::new(0);
    let server: Server = server(move |_| {
        let at = answered.fetch_add(1, Ordering::SeqCst);
        tokens(&number(&count), answers[at])
    });
    let directory = Directory::new();
    let store = directory.store();
    let put = |snapshot: &Snapshot| {
        store
            .save(snapshot, &store.lock(Duration::ZERO).unwrap())
            .unwrap();
    };
    put(&saved(client_of(&server), ended(), Timestamp::now()));
    for round in 1..=10 {
        let login = login(client_of(&server)).store(store.clone());
        let session = login.without_browser().run().unwrap();
        let token = session.access_token().unwrap();
        assert_eq!(token.secret().expose(), format!("AT-{round}"));
        drop(session);
        put(&expired(&store.load().unwrap().unwrap()));
    }
    let sent = server.requests();
    let sent = sent
        .iter()
        .map(|request| request.form("refresh_token").unwrap());
    let kept = json(&store.load().unwrap().unwrap());
    (
        sent.collect(),
        kept["session"]["refresh_token"]
            .as_str()
            .unwrap()
            .to_owned(),
    )
}

#[test]
fn ten_refreshes_without_a_new_refresh_token_keep_the_old_one() {
    let (sent, kept) = refreshes_in_a_row([None; 10]);
    assert_eq!(
        (sent, kept),
        (vec!["RT-0".to_owned(); 10], "RT-0".to_owned())
    );
}

#[test]
fn ten_refreshes_with_rotation_send_each_token_once() {
    let tokens = ["R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8", "R9", "R10"];
    let (sent, kept) = refreshes_in_a_row(tokens.map(Some));
    assert_eq!(
        sent,
        ["RT-0", "R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8", "R9"]
    );
    assert_eq!(kept, "R10");
}

#[test]
fn ten_refreshes_of_either_kind_send_the_newest_token_there_is() {
    let answers = [
        None,
        Some("R2"),
        None,
        Some(""),
        Some("R5"),
        Some("R5"),
        None,
        Some("R8"),
        None,
        None,
    ];
    let (sent, kept) = refreshes_in_a_row(answers);
    assert_eq!(
        sent,
        [
            "RT-0", "RT-0", "R2", "R2", "R2", "R5", "R5", "R5", "R8", "R8"
        ]
    );
    assert_eq!(kept, "R8");
}
