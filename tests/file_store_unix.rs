//! A login in a file, where files have owners and modes: who can read it, what stands in its place, and
//! file systems that are full or read-only.
#![cfg(all(unix, feature = "ureq", feature = "loopback", feature = "os-rng"))]

mod support;

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use authflow::session::{Error, FileStore, Store as _, StoreError, StoreErrorKind};
use authflow::testing::{Endpoint, FakeProvider};
use authflow::{Session, Snapshot, Timestamp};
use support::directory::{Directory, names, save, snapshot};
use support::login::{expired, hour, login, saved};
use support::not_tested;
use support::process::{again, again_after, role, said, say};
use support::raw::{PATIENCE, within};

const REFUSED: Option<StoreErrorKind> = Some(StoreErrorKind::Refused);
const FULL: Option<StoreErrorKind> = Some(StoreErrorKind::Full);

fn kind<T>(result: Result<T, StoreError>) -> Option<StoreErrorKind> {
    result.err().map(|error| error.kind())
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A store, and the directory that it is in.
fn store_in(directory: &Directory) -> (FileStore, PathBuf) {
    let store = directory.store();
    let own = store.path().parent().unwrap().to_owned();
    (store, own)
}

// --- what other processes do ----------------------------------------------------------------------

const PROCESS: &str = "a_process_of_these_tests";
const FILE: &str = "AUTHFLOW_TEST_FILE";

/// What a process does that was started by the tests below. Otherwise nothing.
#[test]
fn a_process_of_these_tests() {
    let Some(role) = role() else { return };
    let file = || FileStore::at(std::env::var_os(FILE).unwrap());
    match role.as_str() {
        "save" => save(&file(), &snapshot("AT-1", 0)),
        "save often" => (0..200).for_each(|_| save(&file(), &snapshot("AT-1", 20_000))),
        "save too much" => {
            let store = file();
            let lock = store.lock(PATIENCE).unwrap();
            for _ in 0..2 {
                let result = store.save(&snapshot("AT-2", 1 << 20), &lock);
                assert_eq!(kind(result), FULL);
            }
            say("full");
        }
        "for the app" => match FileStore::for_app("my-app") {
            Ok(store) => say(store.path().display()),
            Err(error) => say(format!("{:?}", error.kind())),
        },
        "load the app's" => match FileStore::for_app("my-app").unwrap().load() {
            Ok(loaded) => say(loaded.is_some()),
            Err(error) => say(format!("{:?}", error.kind())),
        },
        "save the app's" => save(&FileStore::for_app("my-app").unwrap(), &snapshot("AT-1", 0)),
        other => panic!("{other}"),
    }
}

// --- modes ----------------------------------------------------------------------------------------

#[test]
fn what_is_new_is_private_whatever_the_umask() {
    let directory = Directory::new();
    let store = FileStore::at(directory.path().join("a").join("b").join("login.json"));
    let mut process = again_after("umask 0", PROCESS, "save");
    process.env(FILE, store.path());
    said(process);
    let (a, b) = (directory.path().join("a"), directory.path().join("a/b"));
    assert_eq!((mode(&a), mode(&b)), (0o700, 0o700));
    assert_eq!(names(&b), ["login.json", "login.json.lock"]);
    for name in names(&b) {
        assert_eq!(mode(&b.join(&name)), 0o600, "{name}");
    }
}

#[test]
fn nothing_is_visible_with_another_mode_while_it_is_saved() {
    let directory = Directory::new();
    let (store, own) = store_in(&directory);
    save(&store, &snapshot("AT-0", 0));
    let mut process = again_after("umask 0", PROCESS, "save often");
    process.env(FILE, store.path());
    let mut process = process.spawn().unwrap();
    let status = loop {
        for name in names(&own) {
            // It may be gone already.
            if let Ok(metadata) = fs::symlink_metadata(own.join(&name)) {
                assert_eq!(metadata.mode() & 0o777, 0o600, "{name}");
            }
        }
        if let Some(status) = process.try_wait().unwrap() {
            break status;
        }
    };
    assert!(status.success());
}

#[test]
fn a_file_that_others_could_read_is_private_after_a_load_and_after_a_save() {
    let directory = Directory::new();
    let (store, _) = store_in(&directory);
    save(&store, &snapshot("AT-0", 0));
    set_mode(store.path(), 0o644);
    assert!(store.load().unwrap().is_some());
    assert_eq!(mode(store.path()), 0o600);
    set_mode(store.path(), 0o666);
    save(&store, &snapshot("AT-1", 0));
    assert_eq!(mode(store.path()), 0o600);
}

/// `for_app` in a process of its own, with this for its home and its state.
fn for_app(role: &str, home: &Path, state: Option<&str>) -> String {
    let mut process = again(PROCESS, role);
    process.env("HOME", home).env_remove("XDG_STATE_HOME");
    if let Some(state) = state {
        process.env("XDG_STATE_HOME", state);
    }
    said(process).concat()
}

#[test]
fn the_apps_own_directory_is_private_after_a_load_and_after_a_save() {
    let home = Directory::new();
    let file = PathBuf::from(for_app("for the app", home.path(), None));
    let own = file.parent().unwrap();
    for_app("save the app's", home.path(), None);
    assert_eq!((mode(own), mode(&file)), (0o700, 0o600));
    for open in [0o755, 0o777] {
        for then in ["load the app's", "save the app's"] {
            set_mode(own, open);
            set_mode(&file, 0o644);
            for_app(then, home.path(), None);
            assert_eq!((mode(own), mode(&file)), (0o700, 0o600), "{then}");
        }
    }
}

#[test]
fn a_linked_directory_of_the_apps_keeps_its_mode() {
    let home = Directory::new();
    let file = PathBuf::from(for_app("for the app", home.path(), None));
    let (own, shared) = (file.parent().unwrap(), home.path().join("shared"));
    fs::create_dir(&shared).unwrap();
    fs::create_dir_all(own.parent().unwrap()).unwrap();
    symlink(&shared, own).unwrap();
    for then in ["save the app's", "load the app's"] {
        set_mode(&shared, 0o755);
        for_app(then, home.path(), None);
        assert_eq!((mode(&shared), mode(&file)), (0o755, 0o600), "{then}");
    }
    // And if others can write to it, it is no place for a login.
    set_mode(&shared, 0o777);
    assert_eq!(for_app("load the app's", home.path(), None), "Refused");
    assert_eq!(mode(&shared), 0o777);
}

#[test]
#[cfg(not(target_vendor = "apple"))]
fn the_apps_file_is_where_the_convention_says() {
    let at = |home: &str, state| for_app("for the app", Path::new(home), state);
    assert_eq!(at("/h", Some("/s/t")), "/s/t/my-app/login.json");
    let default = "/h/.local/state/my-app/login.json";
    assert_eq!(at("/h", None), default);
    assert_eq!(at("/h", Some("")), default);
    assert_eq!(at("/h", Some("not/absolute")), default);
    assert_eq!(at("not/absolute", None), "Unavailable");
}

#[test]
fn a_path_that_is_not_absolute_is_below_where_the_process_is() {
    let directory = Directory::new();
    set_mode(directory.path(), 0o700);
    let mut process = again(PROCESS, "save");
    process
        .env(FILE, "login.json")
        .current_dir(directory.path());
    said(process);
    assert_eq!(names(directory.path()), ["login.json", "login.json.lock"]);
}

// --- what stands in its place ---------------------------------------------------------------------

/// Somebody's file, which nobody may touch.
struct Victim {
    path: PathBuf,
    content: Vec<u8>,
}

impl Victim {
    fn new(directory: &Directory) -> Self {
        let path = directory.path().join("victim");
        let content = snapshot("AT-VICTIM", 0).to_json().expose().into();
        fs::write(&path, &content).unwrap();
        set_mode(&path, 0o644);
        Self { path, content }
    }

    fn assert_untouched(&self) {
        assert_eq!(mode(&self.path), 0o644);
        assert_eq!(fs::read(&self.path).unwrap(), self.content);
    }
}

#[test]
fn a_link_in_the_files_place_is_refused_and_what_it_points_to_left_alone() {
    let directory = Directory::new();
    let victim = Victim::new(&directory);
    let (store, own) = store_in(&directory);
    let lock = store.lock(Duration::ZERO).unwrap();
    symlink(&victim.path, store.path()).unwrap();
    let error = store.load().unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused);
    assert!(error.to_string().contains(store.path().to_str().unwrap()));
    assert_eq!(kind(store.save(&snapshot("AT-1", 0), &lock)), REFUSED);
    drop(lock);
    drop(store.lock(Duration::ZERO).unwrap());
    assert!(store.path().is_symlink());
    victim.assert_untouched();
    // The link is nobody's login.
    store.remove().unwrap();
    assert_eq!(names(&own), ["login.json.lock"]);
    victim.assert_untouched();
}

#[test]
fn a_link_in_the_locks_place_is_refused_and_what_it_points_to_left_alone() {
    let directory = Directory::new();
    let victim = Victim::new(&directory);
    let (store, own) = store_in(&directory);
    save(&store, &snapshot("AT-1", 0));
    let lock = own.join("login.json.lock");
    fs::remove_file(&lock).unwrap();
    symlink(&victim.path, &lock).unwrap();
    let error = store.lock(PATIENCE).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused);
    assert!(error.to_string().contains(lock.to_str().unwrap()));
    assert_eq!(kind(store.remove()), REFUSED);
    assert_eq!(store.load().unwrap(), Some(snapshot("AT-1", 0)));
    victim.assert_untouched();
}

#[test]
fn a_link_to_nothing_is_refused_and_makes_nothing() {
    let directory = Directory::new();
    let (store, own) = store_in(&directory);
    let lock = store.lock(Duration::ZERO).unwrap();
    let nothing = directory.path().join("nothing");
    symlink(&nothing, store.path()).unwrap();
    assert_eq!(kind(store.load()), REFUSED);
    assert_eq!(kind(store.save(&snapshot("AT-1", 0), &lock)), REFUSED);
    let lock = own.join("login.json.lock");
    fs::remove_file(&lock).unwrap();
    symlink(&nothing, &lock).unwrap();
    assert_eq!(kind(store.lock(PATIENCE)), REFUSED);
    assert!(!nothing.exists());
}

#[test]
fn a_link_with_the_name_of_a_temporary_file_is_swept_up_alone() {
    let directory = Directory::new();
    let victim = Victim::new(&directory);
    let (store, own) = store_in(&directory);
    save(&store, &snapshot("AT-1", 0));
    let left = own.join(".login.json.0123456789abcdef.tmp");
    symlink(&victim.path, &left).unwrap();
    save(&store, &snapshot("AT-2", 0));
    assert!(!left.is_symlink());
    victim.assert_untouched();
}

fn pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

#[test]
fn a_directory_or_a_pipe_in_the_files_place_is_refused_and_nobody_hangs() {
    for put in [pipe, |path: &Path| fs::create_dir(path).unwrap()] {
        let directory = Directory::new();
        let (store, own) = store_in(&directory);
        let lock = store.lock(Duration::ZERO).unwrap();
        put(store.path());
        let reader = store.clone();
        assert_eq!(within(PATIENCE, move || kind(reader.load())), REFUSED);
        let writer = store.clone();
        let save = move || kind(writer.save(&snapshot("AT-1", 0), &lock));
        assert_eq!(within(PATIENCE, save), REFUSED);
        assert_eq!(names(&own), ["login.json", "login.json.lock"]);
        let lock = own.join("login.json.lock");
        fs::remove_file(&lock).unwrap();
        put(&lock);
        let locker = move || kind(store.lock(PATIENCE * 10));
        assert_eq!(within(PATIENCE, locker), REFUSED);
    }
}

#[test]
fn a_file_in_the_directorys_place_is_refused() {
    let directory = Directory::new();
    let (store, own) = store_in(&directory);
    fs::write(&own, "a file").unwrap();
    let error = store.load().unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused);
    assert!(error.to_string().contains(store.path().to_str().unwrap()));
    assert!(store.lock(PATIENCE).is_err());
    assert_eq!(fs::read(&own).unwrap(), b"a file");
}

#[test]
fn a_directory_that_others_can_write_to_is_refused_and_nothing_is_read() {
    for open in [0o777, 0o770, 0o722, 0o1777] {
        let directory = Directory::new();
        let (store, own) = store_in(&directory);
        save(&store, &snapshot("AT-1", 0));
        let lock = store.lock(Duration::ZERO).unwrap();
        set_mode(store.path(), 0o644);
        set_mode(&own, open);
        let error = store.load().unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Refused);
        assert!(error.to_string().contains(store.path().to_str().unwrap()));
        assert_eq!(kind(store.save(&snapshot("AT-2", 0), &lock)), REFUSED);
        drop(lock);
        assert_eq!(kind(store.lock(PATIENCE)), REFUSED);
        assert_eq!(kind(store.account("alice").load()), REFUSED);
        // Whoever had opened it would have made it private.
        assert_eq!(mode(store.path()), 0o644);
        assert_eq!(mode(&own), open, "it is the program's own to mend");
        set_mode(&own, 0o755);
        assert_eq!(store.load().unwrap(), Some(snapshot("AT-1", 0)));
    }
}

// --- read-only and full ---------------------------------------------------------------------------

/// A small file system in memory, which is gone with the test.
struct Mounted(PathBuf);

impl Mounted {
    /// `None` if this process may not mount anything.
    fn new(directory: &Directory) -> Option<Self> {
        let path = directory.path().join("mounted");
        fs::create_dir(&path).unwrap();
        let options = ["-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs"];
        let mut mount = Command::new("mount");
        let is_mounted = mount.args(options).arg(&path).output();
        let is_mounted = is_mounted.is_ok_and(|output| output.status.success());
        is_mounted.then_some(Self(path))
    }

    fn make_read_only(&self) {
        let mut mount = Command::new("mount");
        let status = mount.args(["-o", "remount,ro"]).arg(&self.0).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

fn is_root() -> bool {
    let directory = Directory::new();
    fs::metadata(directory.path()).unwrap().uid() == 0
}

fn resume(provider: &FakeProvider, store: &FileStore) -> Result<Option<Session>, Error> {
    login(provider.client()).store(store.clone()).resume()
}

#[test]
fn from_a_read_only_directory_a_login_is_read_and_it_is_said_that_it_cannot_be_refreshed() {
    let directory = Directory::new();
    let mounted = Mounted::new(&directory);
    if mounted.is_none() && is_root() {
        return not_tested("nothing can be mounted here");
    }
    let own = match &mounted {
        Some(mounted) => mounted.0.clone(),
        None => directory.path().join("own"),
    };
    let provider = FakeProvider::start().unwrap();
    let good = saved(provider.client(), hour(), Timestamp::now());
    let (fresh, ended) = (
        FileStore::at(own.join("fresh.json")),
        FileStore::at(own.join("ended.json")),
    );
    save(&fresh, &good);
    save(&ended, &expired(&good));
    let lock = fresh.lock(Duration::ZERO).unwrap();
    match &mounted {
        Some(mounted) => {
            drop(lock);
            mounted.make_read_only();
        }
        None => {
            set_mode(&own, 0o500);
            let result = fresh.save(&good, &lock);
            assert_eq!(kind(result), REFUSED);
            drop(lock);
        }
    }
    assert_eq!(fresh.load().unwrap(), Some(good));
    let session = resume(&provider, &fresh).unwrap().expect("a login");
    assert!(session.access_token().is_ok());
    if mounted.is_some() {
        let Err(Error::Store(error)) = resume(&provider, &ended) else {
            panic!("it can't be refreshed")
        };
        assert_eq!(error.kind(), StoreErrorKind::Refused);
        assert!(error.to_string().contains("ended.json"), "{error}");
        assert_eq!(kind(ended.lock(PATIENCE)), REFUSED);
        // Nobody is sent to the browser for a login that could not be saved.
        let again = login(provider.client())
            .store(fresh.clone())
            .ignore_stored();
        let again = again.opener(|_| panic!("a browser was opened")).run();
        assert!(matches!(again, Err(Error::Store(_))), "{again:?}");
    }
    assert_eq!(
        provider.requests(Endpoint::Token),
        [],
        "no token was spent in vain"
    );
    set_mode_if_possible(&own, 0o700);
    drop(session);
    drop(mounted);
}

/// So that it can be removed.
fn set_mode_if_possible(path: &Path, mode: u32) {
    let _ = fs::set_permissions(path, Permissions::from_mode(mode));
}

/// After a save that had no room: what was there is there, and nothing is left over.
fn assert_kept(store: &FileStore, kept: &Snapshot) {
    assert_eq!(store.load().unwrap().as_ref(), Some(kept));
    let own = names(store.path().parent().unwrap());
    let strays: Vec<_> = own.iter().filter(|name| name.ends_with(".tmp")).collect();
    assert!(strays.is_empty(), "{strays:?}");
}

#[test]
fn on_a_full_disk_the_old_login_stays_and_nothing_is_left_behind() {
    let directory = Directory::new();
    let Some(mounted) = Mounted::new(&directory) else {
        return not_tested("nothing can be mounted here");
    };
    let store = FileStore::at(mounted.0.join("own").join("login.json"));
    let (old, new) = (snapshot("AT-1", 1000), snapshot("AT-2", 20_000));
    save(&store, &old);
    let filler = mounted.0.join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 1024]).is_ok() {}
    let lock = store.lock(Duration::ZERO).unwrap();
    for _ in 0..3 {
        let error = store.save(&new, &lock).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Full);
        assert!(error.to_string().contains(store.path().to_str().unwrap()));
        assert_kept(&store, &old);
    }
    fs::remove_file(&filler).unwrap();
    drop(file);
    store.save(&new, &lock).unwrap();
    assert_kept(&store, &new);
}

#[test]
fn a_file_that_may_not_grow_any_more_leaves_the_old_login_and_nothing_behind() {
    let directory = Directory::new();
    let (store, _) = store_in(&directory);
    let old = snapshot("AT-1", 1000);
    save(&store, &old);
    let limit = "trap '' XFSZ && ulimit -f 16";
    let mut process = again_after(limit, PROCESS, "save too much");
    process.env(FILE, store.path());
    assert_eq!(said(process), ["full"]);
    assert_kept(&store, &old);
}
