//! A store in Redis, with a real one. `tests/stores.rs` has the contract for the other stores.
#![cfg(all(
    feature = "redis",
    feature = "ureq",
    feature = "loopback",
    feature = "os-rng"
))]

mod support;

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use authflow::session::{Error, RedisStore, Store as _, StoreError, StoreErrorKind, StoreLock};
use authflow::testing::{Answer, Endpoint, FakeProvider, Person, check_store};
use authflow::{CallbackUrl, IgnoredReason, Login, Snapshot, WhatNow};
use support::directory::snapshot;
use support::raw::{PATIENCE, eventually};
use support::redis_server::RedisServer;
use support::shown::ACCESS;

fn open(server: &RedisServer) -> RedisStore {
    RedisStore::open(&server.url()).unwrap()
}

/// Its leases end while a test waits.
fn brief(server: &RedisServer) -> RedisStore {
    open(server).lease(Duration::from_millis(50))
}

fn numbered(number: u32) -> Snapshot {
    snapshot(&format!("AT-{number}"), 0)
}

fn put(store: &RedisStore, number: u32) {
    let lock = store.lock(PATIENCE).unwrap();
    store.save(&numbered(number), &lock).unwrap();
}

fn holds(store: &RedisStore, number: u32) {
    assert_eq!(store.load().unwrap(), Some(numbered(number)));
}

/// Redis itself, behind the library's back.
fn ask<T: redis::FromRedisValue>(server: &RedisServer, words: &[&str]) -> T {
    let client = redis::Client::open(server.url()).unwrap();
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command
        .query(&mut client.get_connection().unwrap())
        .unwrap()
}

#[track_caller]
fn kind(result: Result<(), StoreError>) -> StoreErrorKind {
    result.unwrap_err().kind()
}

// --- the contract ---------------------------------------------------------------------------------

#[test]
fn redis_keeps_the_contract() {
    let server = RedisServer::start();
    check_store(|| open(&server));
    // Handles that share their connections, and one that has no more than one.
    let one = open(&server).account("alice");
    check_store(|| one.clone());
    let narrow = open(&server).max_connections(1).account("bob");
    check_store(|| narrow.clone());
    assert!(open(&server).account("carol").load().unwrap().is_none());
}

#[test]
fn each_account_and_each_prefix_is_a_login_of_its_own() {
    let server = RedisServer::start();
    let stores = [
        open(&server),
        open(&server).prefix("other:"),
        open(&server).account("a"),
        open(&server).account("A"),
        open(&server).account(""),
        open(&server).account("}:lock"),
        open(&server).account("login@a"),
        open(&server).prefix("other:").account("a"),
    ];
    for (number, store) in (0..).zip(&stores) {
        assert!(store.load().unwrap().is_none(), "{number}");
        put(store, number);
    }
    for (number, store) in (0..).zip(&stores) {
        holds(store, number);
    }
    stores[2].remove().unwrap();
    assert!(stores[2].load().unwrap().is_none());
    holds(&stores[3], 3);
}

// --- locks ------------------------------------------------------------------------------------------

#[test]
fn a_holder_that_dies_keeps_others_out_until_its_lease_ends() {
    let server = RedisServer::start();
    let store = open(&server);
    std::mem::forget(store.lock(PATIENCE).unwrap());
    assert_eq!(
        kind(store.lock(Duration::ZERO).map(drop)),
        StoreErrorKind::Busy
    );
    let lock = "authflow:{login}:lock";
    let left: i64 = ask(&server, &["PTTL", lock]);
    assert!((1..=40_000).contains(&left), "{left}");
    // Its end comes sooner here.
    let _: i64 = ask(&server, &["PEXPIRE", lock, "1"]);
    drop(store.lock(PATIENCE).unwrap());
}

/// A stopped process that goes on has its reads ended by that.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_while_redis_is_asked_is_no_fault() {
    const ALONE: &str = "AUTHFLOW_ALONE";
    if std::env::var_os(ALONE).is_none() {
        // In a process of its own: the other tests are not to be stopped.
        let name = "a_signal_while_redis_is_asked_is_no_fault";
        let mut own = Command::new(std::env::current_exe().unwrap());
        let output = own
            .args(["--exact", name])
            .env(ALONE, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{said}"
        );
        return;
    }
    let server = RedisServer::start();
    let store = open(&server);
    put(&store, 1);
    let own = std::process::id().to_string();
    let script = r#"for _ in 1 2 3; do kill -STOP "$0"; sleep 0.02; kill -CONT "$0"; sleep 0.02; done
        kill -CONT "$1""#;
    // Redis says nothing until the signals are over.
    server.stop();
    let mut signals = Command::new("sh")
        .args(["-c", script, &own, &server.id().to_string()])
        .spawn()
        .unwrap();
    holds(&store, 1);
    assert!(signals.wait().unwrap().success());
    put(&store, 2);
}

#[test]
fn a_holder_that_stalls_replaces_nothing_newer() {
    let server = RedisServer::start();
    let (store, other) = (brief(&server), brief(&server));
    put(&store, 1);
    let stalled = store.lock(PATIENCE).unwrap();
    // It waits for the lease to end.
    let next = other.lock(PATIENCE).unwrap();
    other.save(&numbered(3), &next).unwrap();
    for _ in 0..2 {
        let error = store.save(&numbered(2), &stalled).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Lost);
        assert_eq!(error.what_now(), WhatNow::Retry { after: None });
        assert_eq!(
            kind(store.rehearse(&numbered(2), &stalled)),
            StoreErrorKind::Lost
        );
        holds(&store, 3);
    }
    // Nor is the other's lock given back by it, or after the other has given it back.
    let (last, patient) = (open(&server), open(&server));
    drop(next);
    let held = last.lock(PATIENCE).unwrap();
    drop(stalled);
    assert_eq!(
        kind(patient.lock(Duration::ZERO).map(drop)),
        StoreErrorKind::Busy
    );
    drop(held);
    drop(patient.lock(Duration::ZERO).unwrap());
    holds(&store, 3);
}

#[test]
fn a_lease_that_has_ended_is_no_harm_if_nobody_took_the_lock() {
    let server = RedisServer::start();
    let store = brief(&server);
    let late = store.lock(PATIENCE).unwrap();
    eventually(|| ask::<i64>(&server, &["EXISTS", "authflow:{login}:lock"]) == 0);
    store.save(&numbered(1), &late).unwrap();
    holds(&store, 1);
    // The rehearsal takes it again, for a whole lease.
    let long = open(&server);
    long.rehearse(&numbered(1), &late).unwrap();
    assert_eq!(
        kind(store.lock(Duration::ZERO).map(drop)),
        StoreErrorKind::Busy
    );
    let left: i64 = ask(&server, &["PTTL", "authflow:{login}:lock"]);
    assert!(left > 30_000, "{left}");
    drop(late);
    drop(store.lock(Duration::ZERO).unwrap());
}

#[test]
fn what_redis_has_forgotten_does_not_stop_the_last_holder() {
    let server = RedisServer::start();
    let store = open(&server);
    let fence = || ask::<Option<String>>(&server, &["HGET", "authflow:{login}", "fence"]);
    put(&store, 1);
    let before = fence().unwrap();
    let lock = store.lock(PATIENCE).unwrap();
    // A replica took over that had not heard of the lock.
    let _: i64 = ask(&server, &["HSET", "authflow:{login}", "fence", &before]);
    let _: i64 = ask(&server, &["DEL", "authflow:{login}:lock"]);
    store.rehearse(&numbered(1), &lock).unwrap();
    store.save(&numbered(2), &lock).unwrap();
    holds(&store, 2);
    // Nor had it heard that the one before had given it back: it can't be told who has it.
    let _: i64 = ask(&server, &["HSET", "authflow:{login}", "fence", &before]);
    let _: () = ask(&server, &["SET", "authflow:{login}:lock", &before]);
    let error = store.rehearse(&numbered(2), &lock).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Lost);
    // Nothing at all is left.
    let _: () = ask(&server, &["FLUSHALL"]);
    store.save(&numbered(3), &lock).unwrap();
    holds(&store, 3);
    // Somebody has taken the lock since: it is not known what they did with it.
    let _: () = ask(&server, &["FLUSHALL"]);
    drop(open(&server).lock(PATIENCE).unwrap());
    assert_eq!(kind(store.save(&numbered(4), &lock)), StoreErrorKind::Lost);
    assert!(store.load().unwrap().is_none());
}

#[test]
fn a_login_that_was_removed_is_not_brought_back_by_who_stalled() {
    let server = RedisServer::start();
    let store = brief(&server);
    put(&store, 1);
    let stalled = store.lock(PATIENCE).unwrap();
    store.remove().unwrap();
    assert_eq!(
        kind(store.save(&numbered(2), &stalled)),
        StoreErrorKind::Lost
    );
    assert!(store.load().unwrap().is_none());
}

#[test]
fn a_lock_of_another_store_opens_nothing() {
    let server = RedisServer::start();
    let (store, other) = (open(&server), open(&server).account("other"));
    let foreign = StoreLock::new(());
    assert_eq!(
        kind(store.save(&numbered(1), &foreign)),
        StoreErrorKind::Refused
    );
    let lock = other.lock(PATIENCE).unwrap();
    assert_eq!(
        kind(store.save(&numbered(1), &lock)),
        StoreErrorKind::Refused
    );
    assert!(store.load().unwrap().is_none());
}

// --- how long things are kept -------------------------------------------------------------------

#[test]
fn a_login_is_kept_for_good_unless_it_is_told_otherwise() {
    let server = RedisServer::start();
    let left = || ask::<i64>(&server, &["PTTL", "authflow:{login}"]);
    let nobody = {
        let mut json = support::login::json(&numbered(1));
        json.as_object_mut().unwrap().remove("session");
        Snapshot::from_json(json.to_string().as_bytes()).unwrap()
    };
    let (store, day) = (open(&server), Duration::from_secs(24 * 3600));
    drop(store.lock(PATIENCE).unwrap());
    let week = 7 * 24 * 3600 * 1000;
    assert!(
        (1..=week).contains(&left()),
        "a lock alone leaves something"
    );
    put(&store, 1);
    assert_eq!(left(), -1);
    let save =
        |store: &RedisStore, it: &Snapshot| store.save(it, &store.lock(PATIENCE).unwrap()).unwrap();
    save(&store, &nobody);
    assert!((1..=week).contains(&left()));
    save(&store.clone().forget_after(day), &numbered(2));
    assert!((1..=24 * 3600 * 1000).contains(&left()));
    save(&store, &numbered(2));
    assert_eq!(left(), -1);
    save(&store.clone().forget_after(Duration::ZERO), &numbered(2));
    eventually(|| store.load().unwrap().is_none());
    save(&store.forget_after(Duration::MAX), &numbered(2));
    assert!(left() > week);
}

// --- a Redis that fails ---------------------------------------------------------------------------

#[test]
fn a_redis_that_is_restarted_is_found_again() {
    let mut server = RedisServer::durable();
    let store = open(&server).account("alice");
    put(&store, 1);
    let lock = store.lock(PATIENCE).unwrap();
    assert!(server.resume());
    holds(&store, 1);
    // The lock has survived, too, and is given back on a connection that is new.
    assert_eq!(
        kind(store.lock(Duration::ZERO).map(drop)),
        StoreErrorKind::Busy
    );
    store.save(&numbered(2), &lock).unwrap();
    assert!(server.resume());
    drop(lock);
    drop(store.lock(Duration::ZERO).unwrap());
    holds(&store, 2);

    server.kill();
    let error = store.load().unwrap_err();
    assert_eq!(error.what_now(), WhatNow::Retry { after: None });
    assert!(error.to_string().ends_with("Redis is not there"), "{error}");
    assert!(store.lock(PATIENCE).is_err());
    assert!(server.resume());
    holds(&store, 2);
}

#[test]
fn a_redis_without_a_disk_forgets_all_at_once() {
    let mut server = RedisServer::start();
    let store = open(&server);
    put(&store, 1);
    let lock = store.lock(PATIENCE).unwrap();
    assert!(server.resume());
    assert!(store.load().unwrap().is_none());
    // Whoever was at it keeps what they have.
    store.save(&numbered(2), &lock).unwrap();
    holds(&store, 2);
}

#[test]
fn while_redis_is_away_a_valid_token_is_handed_out_and_nothing_is_refreshed() {
    let (mut server, provider) = (RedisServer::durable(), FakeProvider::start().unwrap());
    let store = open(&server).account("alice");
    let session = support::login::login(provider.client())
        .store(store.clone())
        .opener(support::login::person(Answer::Allow).0)
        .run()
        .unwrap();
    let token = session.access_token().unwrap();
    let requests = provider.requests(Endpoint::Token).len();
    server.kill();
    assert_eq!(session.access_token().unwrap().secret(), token.secret());
    let error = session.refresh().unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error:?}");
    assert_eq!(error.what_now(), WhatNow::Retry { after: None });
    assert_eq!(session.access_token().unwrap().secret(), token.secret());
    assert_eq!(provider.requests(Endpoint::Token).len(), requests);
    assert!(server.resume());
    let new = session.refresh().unwrap();
    assert_ne!(new.secret(), token.secret());
    let saved = store.load().unwrap().unwrap().to_json();
    assert!(saved.expose().contains(new.secret().expose()));
}

#[test]
fn a_redis_that_takes_no_writes_is_found_out_before_a_refresh() {
    let server = RedisServer::start();
    let store = open(&server);
    put(&store, 1);
    let lock = store.lock(PATIENCE).unwrap();
    store.rehearse(&numbered(1), &lock).unwrap();
    let _: () = ask(&server, &["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(
        kind(store.rehearse(&numbered(1), &lock)),
        StoreErrorKind::Full
    );
    assert_eq!(kind(store.save(&numbered(2), &lock)), StoreErrorKind::Full);
    holds(&store, 1);
    let _: () = ask(&server, &["CONFIG", "SET", "maxmemory", "0"]);

    let _: () = ask(&server, &["REPLICAOF", "127.0.0.1", "1"]);
    let error = store.rehearse(&numbered(1), &lock).unwrap_err();
    assert!(error.to_string().contains("read-only replica"), "{error}");
    let _: () = ask(&server, &["REPLICAOF", "NO", "ONE"]);

    // A background save that fails, as on a full disk, stops all writes. A directory that is gone does it.
    std::fs::remove_dir_all(server.directory()).unwrap();
    let _: () = ask(&server, &["CONFIG", "SET", "save", "3600 1"]);
    let _: String = ask(&server, &["BGSAVE"]);
    eventually(|| {
        let info: String = ask(&server, &["INFO", "persistence"]);
        info.contains("rdb_last_bgsave_status:err")
    });
    let error = store.rehearse(&numbered(1), &lock).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Full, "{error}");
    assert!(error.to_string().contains("MISCONF"), "{error}");
    holds(&store, 1);
}

#[test]
fn a_key_of_somebody_elses_is_left_alone() {
    let server = RedisServer::start();
    let _: () = ask(&server, &["SET", "authflow:{login}", "mine"]);
    assert_eq!(
        kind(open(&server).load().map(drop)),
        StoreErrorKind::Refused
    );
    assert_eq!(
        kind(open(&server).lock(PATIENCE).map(drop)),
        StoreErrorKind::Refused
    );
    assert_eq!(ask::<String>(&server, &["GET", "authflow:{login}"]), "mine");
    let _: i64 = ask(&server, &["DEL", "authflow:{login}"]);
    let _: i64 = ask(&server, &["HSET", "authflow:{login}", "login", ACCESS]);
    let error = open(&server).load().unwrap_err();
    assert!(matches!(error.kind(), StoreErrorKind::Unreadable(_)));
    open(&server).remove().unwrap();
    assert!(open(&server).load().unwrap().is_none());
}

#[test]
fn a_redis_that_says_nothing_is_given_up_in_time() {
    // The system takes the connection, and nobody reads from it.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", silent.local_addr().unwrap());
    let timeout = Duration::from_millis(200);
    let store = RedisStore::open(&url).unwrap().timeout(timeout);
    let start = Instant::now();
    let error = store.load().unwrap_err();
    assert!(
        error.to_string().ends_with("does not answer in time"),
        "{error}"
    );
    assert!(start.elapsed() < PATIENCE);
}

/// An answer that comes too late is nobody's: least of all that of whoever asks next.
#[test]
fn an_answer_that_comes_too_late_is_not_taken_for_the_next_one() {
    let server = RedisServer::start();
    put(&open(&server).account("alice"), 1);
    put(&open(&server).account("bob"), 2);
    let all = open(&server).max_connections(1);
    let all = all.timeout(Duration::from_millis(200));
    let (alice, bob) = (all.account("alice"), all.account("bob"));
    for _ in 0..3 {
        server.stop();
        let error = alice.load().unwrap_err();
        assert!(error.to_string().ends_with("in time"), "{error}");
        server.go_on();
        let mut loaded = None;
        eventually(|| {
            loaded = bob.load().ok();
            loaded.is_some()
        });
        assert_eq!(loaded, Some(Some(numbered(2))));
        let mut loaded = None;
        eventually(|| {
            loaded = alice.load().ok();
            loaded.is_some()
        });
        assert_eq!(loaded, Some(Some(numbered(1))));
    }
}

/// In front of a Redis: the answer to whoever takes a lock is lost.
fn lossy(server: &RedisServer) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let redis = server.url().trim_start_matches("redis://").to_owned();
    let redis = redis.split('/').next().unwrap().to_owned();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let redis = redis.clone();
            thread::spawn(move || -> io::Result<()> {
                let (mut client, mut redis) = (client, TcpStream::connect(redis)?);
                let (mut answers, mut back) = (redis.try_clone()?, client.try_clone()?);
                let is_lost = Arc::new(AtomicBool::new(false));
                let loses = Arc::clone(&is_lost);
                thread::spawn(move || -> io::Result<()> {
                    let mut buffer = [0; 4096];
                    loop {
                        match answers.read(&mut buffer)? {
                            0 => return back.shutdown(Shutdown::Both),
                            _ if loses.load(Ordering::SeqCst) => {}
                            count => back.write_all(&buffer[..count])?,
                        }
                    }
                });
                let mut buffer = [0; 4096];
                loop {
                    let count = client.read(&mut buffer)?;
                    if count == 0 {
                        return redis.shutdown(Shutdown::Both);
                    }
                    if String::from_utf8_lossy(&buffer[..count]).contains("'PX'") {
                        is_lost.store(true, Ordering::SeqCst);
                    }
                    redis.write_all(&buffer[..count])?;
                }
            });
        }
    });
    url
}

#[test]
fn a_lock_that_was_taken_without_an_answer_is_given_back() {
    let server = RedisServer::start();
    let lossy = RedisStore::open(&lossy(&server)).unwrap();
    let lossy = lossy.timeout(Duration::from_millis(300));
    let error = lossy.lock(PATIENCE).unwrap_err();
    assert!(error.to_string().ends_with("in time"), "{error}");
    // It had been taken: the fence says so.
    let fence: Option<String> = ask(&server, &["HGET", "authflow:{login}", "fence"]);
    assert!(fence.is_some());
    assert!(open(&server).lock(Duration::ZERO).is_ok());
}

#[test]
fn a_name_that_nobody_knows_is_named() {
    let store = RedisStore::open("redis://redis.invalid").unwrap();
    let error = store.load().unwrap_err();
    assert_eq!(error.what_now(), WhatNow::Retry { after: None });
    let text = error.to_string();
    assert!(text.contains("redis.invalid:6379"), "{text}");
    assert!(text.contains("Redis can't be asked: "), "{text}");
}

#[test]
fn many_users_share_a_few_connections() {
    let server = RedisServer::start();
    let all = open(&server).max_connections(3);
    thread::scope(|scope| {
        for thread in 0..16 {
            let all = &all;
            scope.spawn(move || {
                for round in 0..20 {
                    let store = all.account(&format!("{thread}-{round}"));
                    put(&store, round);
                    holds(&store, round);
                }
            });
        }
    });
    let clients: String = ask(&server, &["CLIENT", "LIST"]);
    // One of them asks for the list.
    assert!(clients.lines().count() <= 4, "{clients}");
}

#[test]
fn no_password_and_no_token_is_shown() {
    const PASSWORD: &str = "password-of-the-redis-server";
    let server = RedisServer::with(&["--save", "", "--requirepass", PASSWORD]);
    let with = |password: &str| {
        let url = format!("redis://:{password}@127.0.0.1:{}/2", server.port());
        RedisStore::open(&url).unwrap()
    };
    let store = with(PASSWORD);
    put(&store, 1);
    holds(&store, 1);
    let mut shown = vec![
        format!("{store:?} {:?}", store.pending_logins()),
        store.location().unwrap(),
    ];
    for wrong in [with(&PASSWORD.replace("pass", "Pass")), open(&server)] {
        let error = wrong.load().unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Refused, "{error:?}");
        shown.push(format!("{error} {error:?}"));
    }
    for bad in [
        format!("http://{PASSWORD}@h"),
        format!("redis://:{PASSWORD}@h:x"),
    ] {
        let error = RedisStore::open(&bad).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Refused);
        shown.push(format!("{error} {error:?}"));
    }
    // A Redis that does not know a command quotes what it was sent.
    let quoting = RedisServer::with(&["--save", "", "--rename-command", "SET", ""]);
    let provider = FakeProvider::start().unwrap();
    let pending = Login::new(provider.client()).begin(CALLBACK).unwrap();
    let quoted: Result<(), _> = redis::cmd("SET")
        .arg(pending.snapshot().to_json().expose())
        .query(
            &mut redis::Client::open(quoting.url())
                .unwrap()
                .get_connection()
                .unwrap(),
        );
    assert!(quoted.unwrap_err().to_string().contains("version"));
    let error = open(&quoting)
        .pending_logins()
        .keep("cookie", &pending)
        .unwrap_err();
    shown.push(format!("{error} {error:?}"));
    for text in shown {
        let text = text.to_lowercase();
        assert!(!text.contains(PASSWORD), "{text}");
        assert!(!text.contains("version"), "{text}");
        assert!(
            text.contains("127.0.0.1") || text.contains("no address"),
            "{text}"
        );
    }
}

// --- logins that wait -------------------------------------------------------------------------------

const CALLBACK: &str = "http://127.0.0.1:4242/callback";

fn reason(result: Result<authflow::session::PendingLogin, Error>) -> IgnoredReason {
    match result {
        Err(Error::CallbackIgnored(ignored)) => ignored.reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_login_begins_on_one_machine_and_ends_on_another_once() {
    let (server, provider) = (RedisServer::start(), FakeProvider::start().unwrap());
    let (here, there) = (open(&server), open(&server));
    let login = || Login::new(provider.client());
    let pending = login().begin(CALLBACK).unwrap();
    here.pending_logins().keep("cookie", &pending).unwrap();
    let back = Person::redirect_for(pending.url().as_str(), Answer::Allow).unwrap();
    let url = CallbackUrl::new(back.clone());

    // Neither another browser nor another callback uses it up.
    let there = there.pending_logins();
    assert_eq!(
        reason(there.take("another", login(), &url)),
        IgnoredReason::NoLogin
    );
    for (foreign, why) in [
        ("code=x&state=y", IgnoredReason::StateMismatch),
        ("error=access_denied", IgnoredReason::StateMissing),
        ("", IgnoredReason::Nothing),
    ] {
        let foreign = CallbackUrl::new(format!("{CALLBACK}?{foreign}"));
        let ignored = reason(there.take("cookie", login(), &foreign));
        assert!(
            ignored == why || ignored == IgnoredReason::StateMissing,
            "{ignored:?}"
        );
    }
    assert!(provider.requests(Endpoint::Token).is_empty());

    // Of eight machines that get it at once, one has it.
    let taken: Vec<_> = thread::scope(|scope| {
        let machines: Vec<_> = (0..8)
            .map(|_| {
                let (pending, url) = (open(&server).pending_logins(), url.clone());
                let login = login();
                scope.spawn(move || pending.take("cookie", login, &url).ok())
            })
            .collect();
        let taken = machines.into_iter().filter_map(|it| it.join().unwrap());
        taken.collect()
    });
    let [mut pending] = <[_; 1]>::try_from(taken).unwrap();
    assert_eq!(
        reason(there.take("cookie", login(), &url)),
        IgnoredReason::NoLogin
    );
    let session = pending.callback(url).unwrap();
    session.access_token().unwrap();
    assert_eq!(provider.requests(Endpoint::Token).len(), 1);
    assert_eq!(ask::<i64>(&server, &["DBSIZE"]), 0);
}

#[test]
fn a_pending_login_ends_with_its_time() {
    let (server, provider) = (RedisServer::start(), FakeProvider::start().unwrap());
    let redis = open(&server).pending_logins();
    let login = |seconds| Login::new(provider.client()).timeout(Duration::from_secs(seconds));
    let pending = login(120).begin(CALLBACK).unwrap();
    redis.keep("cookie", &pending).unwrap();
    let keys: Vec<String> = ask(&server, &["KEYS", "*"]);
    let [key] = keys.as_slice() else {
        panic!("{keys:?}")
    };
    assert!(key.starts_with("authflow:pending:") && !key.contains("cookie"));
    let left: i64 = ask(&server, &["PTTL", key]);
    assert!((1..=120_000).contains(&left), "{left}");
    // The next one of the same browser takes its place.
    let brief = Login::new(provider.client())
        .timeout(Duration::from_millis(1))
        .begin(CALLBACK)
        .unwrap();
    redis.keep("cookie", &brief).unwrap();
    eventually(|| ask::<i64>(&server, &["DBSIZE"]) == 0);
    let url = CallbackUrl::new(format!("{CALLBACK}?code=x&state=y"));
    assert_eq!(
        reason(redis.take("cookie", login(120), &url)),
        IgnoredReason::NoLogin
    );
}
