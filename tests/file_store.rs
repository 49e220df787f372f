//! A login in a file, beside what `file_store_kept` and `file_store_unix` have: readers beside a writer,
//! and names.
#![cfg(all(feature = "ureq", feature = "loopback", feature = "os-rng"))]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use authflow::session::{FileStore, Store as _, StoreErrorKind};
use support::directory::{Directory, names, save, snapshot};

/// There are file systems without locks, on which somebody else may save meanwhile.
#[test]
fn a_rehearsal_touches_nothing() {
    let directory = Directory::new();
    let store = directory.store();
    save(&store, &snapshot("AT-1", 10));
    let lock = store.lock(Duration::ZERO).unwrap();
    let files = || names(store.path().parent().unwrap());
    let before = (
        files(),
        std::fs::metadata(store.path()).unwrap().modified().unwrap(),
    );
    store.rehearse(&snapshot("AT-0", 10), &lock).unwrap();
    let after = (
        files(),
        std::fs::metadata(store.path()).unwrap().modified().unwrap(),
    );
    assert_eq!(before, after);
    assert_eq!(store.load().unwrap(), Some(snapshot("AT-1", 10)));
}

#[test]
fn a_reader_never_sees_half_a_file() {
    let directory = Directory::new();
    let store = directory.store();
    save(&store, &snapshot("AT", 1));
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let read = || {
            while !is_over.load(Ordering::SeqCst) {
                assert!(store.load().unwrap().is_some());
            }
        };
        let readers = [scope.spawn(read), scope.spawn(read)];
        for round in 0..200 {
            save(&store, &snapshot("AT", 1 + round % 50 * 100));
        }
        is_over.store(true, Ordering::SeqCst);
        readers
            .into_iter()
            .for_each(|reader| reader.join().unwrap());
    });
}

#[test]
fn a_name_that_is_too_long_is_refused() {
    let directory = Directory::new();
    let store = directory.store().account(&"a".repeat(300));
    let error = store.lock(Duration::ZERO).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused, "{error}");
}

#[test]
fn an_app_has_a_name_for_a_directory() {
    for name in ["", ".", "..", "a/b", "/a", "../a"] {
        let error = FileStore::for_app(name).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Refused, "{name}");
    }
}
