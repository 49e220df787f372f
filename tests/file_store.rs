//! A login in a file: who may read it, what may stand in its place, and what happens when the disk is
//! full, read-only, or holds something else.
#![cfg(all(unix, feature = "ureq", feature = "loopback", feature = "os-rng"))]

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use authflow::session::{Error, FileStore, Store as _, StoreError, StoreErrorKind};
use authflow::testing::{Answer, FakeProvider};
use authflow::{Client, Provider, RestoreError, Snapshot, Timestamp, TokenSet};
use support::login::{login, person, saved};
use support::raw::{PATIENCE, within};

const SECRET: &str = "AT-secret-0123456789";

/// A directory that is gone with the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let name = format!("authflow-file-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn store(&self) -> FileStore {
        FileStore::at(self.0.join("own").join("login.json"))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn snapshot(token: &str) -> Snapshot {
    let provider = Provider::builder("https://as.example/authorize", "https://as.example/token");
    let tokens = TokenSet::new(token).refresh_token("RT-secret-0123456789");
    saved(Client::builder(provider, "c"), tokens, Timestamp::now())
}

fn save(store: &FileStore, token: &str) -> Result<(), StoreError> {
    store.save(&snapshot(token), &store.lock(Duration::ZERO)?)
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
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

// --- who may read it ------------------------------------------------------------------------------

#[test]
fn what_is_made_is_the_owners_alone() {
    let directory = Directory::new();
    let store = directory.store();
    save(&store, SECRET).unwrap();
    let own = store.path().parent().unwrap();
    assert_eq!((mode(own), mode(store.path())), (0o700, 0o600));
    assert_eq!(files(own), ["login.json", "login.json.lock"]);
    assert_eq!(mode(&own.join("login.json.lock")), 0o600);
}

#[test]
fn what_stood_there_for_all_to_read_is_private_after_a_load_and_after_a_save() {
    let directory = Directory::new();
    let store = directory.store();
    save(&store, SECRET).unwrap();
    set_mode(store.path(), 0o644);
    store.load().unwrap();
    assert_eq!(mode(store.path()), 0o600);
    set_mode(store.path(), 0o666);
    save(&store, SECRET).unwrap();
    assert_eq!(mode(store.path()), 0o600);
}

#[test]
fn a_directory_that_others_can_write_to_is_no_place_for_a_login() {
    let directory = Directory::new();
    let store = directory.store();
    save(&store, SECRET).unwrap();
    let own = store.path().parent().unwrap();
    for open in [0o777, 0o770, 0o1777, 0o702] {
        set_mode(own, open);
        assert_eq!(
            kind(&store, store.load()),
            StoreErrorKind::Refused,
            "{open:o}"
        );
        assert_eq!(kind(&store, save(&store, SECRET)), StoreErrorKind::Refused);
    }
    set_mode(own, 0o755);
    assert!(store.load().unwrap().is_some());
}

// --- what may stand in its place ------------------------------------------------------------------

#[test]
fn a_link_in_its_place_is_refused_and_what_it_points_at_is_untouched() {
    let directory = Directory::new();
    let store = directory.store();
    drop(store.lock(Duration::ZERO).unwrap());
    let victim = directory.0.join("victim");
    for is_there in [true, false] {
        if is_there {
            fs::write(&victim, "the victim").unwrap();
            set_mode(&victim, 0o644);
        }
        for link in ["login.json", "login.json.lock"] {
            let link = store.path().with_file_name(link);
            let _ = fs::remove_file(&link);
            symlink(&victim, &link).unwrap();
            assert_eq!(kind(&store, save(&store, SECRET)), StoreErrorKind::Refused);
            if link == store.path() {
                assert_eq!(kind(&store, store.load()), StoreErrorKind::Refused);
            }
            fs::remove_file(&link).unwrap();
        }
        match is_there {
            true => assert_eq!(fs::read_to_string(&victim).unwrap(), "the victim"),
            false => assert!(!victim.exists()),
        }
        if is_there {
            assert_eq!(mode(&victim), 0o644);
            fs::remove_file(&victim).unwrap();
        }
    }
}

#[test]
fn a_directory_or_a_pipe_in_its_place_is_refused_and_hangs_nobody() {
    let directory = Directory::new();
    let store = directory.store();
    drop(store.lock(Duration::ZERO).unwrap());
    fs::create_dir(store.path()).unwrap();
    assert_eq!(kind(&store, store.load()), StoreErrorKind::Refused);
    assert_eq!(kind(&store, save(&store, SECRET)), StoreErrorKind::Refused);
    fs::remove_dir(store.path()).unwrap();
    let made = Command::new("mkfifo").arg(store.path()).status().unwrap();
    assert!(made.success());
    let pipe = store.clone();
    within(PATIENCE, move || {
        assert_eq!(kind(&pipe, pipe.load()), StoreErrorKind::Refused);
        assert_eq!(kind(&pipe, save(&pipe, SECRET)), StoreErrorKind::Refused);
    });
}

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

// --- disks ----------------------------------------------------------------------------------------

/// A tiny file system of its own, which only root can have.
struct Mount(PathBuf);

impl Mount {
    fn new(path: &Path, options: &str) -> Option<Self> {
        fs::create_dir(path).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(path)
            .status();
        mount
            .is_ok_and(|status| status.success())
            .then(|| Self(path.to_owned()))
    }

    fn remount(&self, options: &str) {
        let mut mount = Command::new("mount");
        let status = mount
            .args(["-o", &format!("remount,{options}")])
            .arg(&self.0)
            .status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Run as root, these make a file system of their own; as anybody else, there is no way to.
#[cfg(target_os = "linux")]
fn as_root(test: impl FnOnce(&Directory, Mount)) {
    let directory = Directory::new();
    let is_root = fs::metadata(&directory.0).unwrap().uid() == 0;
    match Mount::new(&directory.0.join("disk"), "size=64k,mode=0700") {
        Some(mount) => test(&directory, mount),
        None if is_root => panic!("root can't mount a tmpfs here: run this where it can"),
        None => eprintln!("not run: only root can mount a file system"),
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said_and_what_was_there_is_still_there() {
    as_root(|_directory, mount| {
        let store = FileStore::at(mount.0.join("login.json"));
        save(&store, SECRET).unwrap();
        let before = fs::read(store.path()).unwrap();
        let _ = fs::write(mount.0.join("other"), vec![0; 1 << 20]);
        assert_eq!(
            kind(&store, save(&store, &SECRET.repeat(500))),
            StoreErrorKind::Full
        );
        assert_eq!(fs::read(store.path()).unwrap(), before);
        assert_eq!(files(&mount.0), ["login.json", "login.json.lock", "other"]);
        fs::remove_file(mount.0.join("other")).unwrap();
        save(&store, "AT-2").unwrap();
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_read_only_disk_is_said_and_can_be_read() {
    as_root(|_directory, mount| {
        let store = FileStore::at(mount.0.join("login.json"));
        save(&store, SECRET).unwrap();
        mount.remount("ro");
        assert!(store.load().unwrap().is_some());
        assert_eq!(kind(&store, save(&store, SECRET)), StoreErrorKind::Refused);
        assert_eq!(kind(&store, store.remove()), StoreErrorKind::Refused);
        let elsewhere = FileStore::at(mount.0.join("new").join("login.json"));
        assert!(elsewhere.load().unwrap().is_none());
        assert_eq!(
            kind(&elsewhere, save(&elsewhere, SECRET)),
            StoreErrorKind::Refused
        );
    });
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
fn an_apps_file_is_where_programs_keep_their_state() {
    let directory = Directory::new();
    let in_child = |state: &str, home: &str| {
        let own = std::env::current_exe().unwrap();
        let output = Command::new(own)
            .args([
                "--exact",
                "a_part_of_the_other_tests",
                "--ignored",
                "--nocapture",
            ])
            .env("XDG_STATE_HOME", state)
            .env("HOME", home)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}");
        let (_, path) = text.split_once("path: ").unwrap();
        path.lines().next().unwrap().to_owned()
    };
    let base = directory.0.display().to_string();
    if cfg!(target_vendor = "apple") {
        let expected = format!("{base}/Library/Application Support/my-app/login.json");
        return assert_eq!(in_child("", &base), expected);
    }
    let state = format!("{base}/state");
    assert_eq!(
        in_child(&state, &base),
        format!("{state}/my-app/login.json")
    );
    for none in ["", "relative"] {
        let expected = format!("{base}/.local/state/my-app/login.json");
        assert_eq!(in_child(none, &base), expected);
    }
    assert_eq!(mode(&directory.0.join(".local/state/my-app")), 0o700);
}

#[test]
#[ignore = "a part of the other tests"]
fn a_part_of_the_other_tests() {
    let store = FileStore::for_app("my-app").unwrap();
    save(&store, SECRET).unwrap();
    // The directory is its own, so its mode is set right.
    set_mode(store.path().parent().unwrap(), 0o777);
    save(&store, SECRET).unwrap();
    assert_eq!(mode(store.path().parent().unwrap()), 0o700);
    println!("path: {}", store.path().display());
}

#[test]
fn an_app_has_a_name_for_a_directory() {
    for name in ["", ".", "..", "a/b", "/a", "../a"] {
        let error = FileStore::for_app(name).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Refused, "{name}");
    }
}
