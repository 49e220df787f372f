//! Two processes and one Redis: what a person sees, whatever becomes of one of them.
#![cfg(unix)]

mod common;

use std::thread;
use std::time::Duration;

use authflow::Snapshot;
use authflow::session::Store as _;
use authflow::testing::{Endpoint, FakeProvider, Fault, Person, Rotation};
use common::{Process, REUSE_DETECTION, ROTATION, count, eventually, logins, provider};
use web_backend::browser::Browser;
use web_backend::redis_server::RedisServer;

#[test]
#[ignore = "a part of the other tests"]
fn a_process_of_these_tests() {
    common::serve();
}

/// One process that callbacks go to, and what else there is.
struct Place {
    provider: FakeProvider,
    redis: RedisServer,
    main: Process,
}

impl Place {
    fn new(rotation: Rotation, redis: RedisServer) -> Self {
        let provider = provider()
            .rotation(rotation)
            .code_reuse_revokes(true)
            .with_revocation()
            .start()
            .unwrap();
        let main = Process::start(&provider, &redis, None, "");
        Self {
            provider,
            redis,
            main,
        }
    }

    /// Another process, to which something happens at this moment.
    fn another(&self, moment: &str) -> Process {
        Process::start(&self.provider, &self.redis, Some(&self.main.site), moment)
    }

    fn saved(&self, user: &str) -> Option<Snapshot> {
        logins(&self.redis.url()).account(user).load().unwrap()
    }

    fn refreshes(&self) -> usize {
        count(&self.provider, "refresh_token")
    }
}

const SESSION: &str = "__Host-session";

/// The name that the provider's API gives to whoever sits there, or the status.
fn me(browser: &mut Browser, process: &Process) -> Result<String, u16> {
    let page = browser.get(&format!("{}/me", process.site)).unwrap();
    let me: Result<serde_json::Value, _> = serde_json::from_str(&page.body);
    let name = me.ok().and_then(|me| me["id"].as_str().map(str::to_owned));
    name.ok_or(page.status)
}

fn signed_in(place: &Place, name: &str) -> Browser {
    let mut browser = Browser::new();
    let page = browser.sign_in(&place.main.site, name).unwrap();
    assert_eq!((page.status, page.location.as_deref()), (303, Some("/")));
    browser
}

fn is(name: &str) -> Result<String, u16> {
    Ok(name.to_owned())
}

/// The same address at another process.
fn at(url: &str, process: &Process) -> String {
    let path = url.splitn(4, '/').nth(3).unwrap();
    format!("{}/{path}", process.site)
}

// --- logins -----------------------------------------------------------------------------------------

#[test]
fn a_login_begins_at_one_process_and_ends_at_another_in_its_own_browser_once() {
    let place = Place::new(REUSE_DETECTION, RedisServer::start());
    let other = place.another("");
    let mut browser = Browser::new();
    // A cookie that somebody else has planted is worth nothing.
    browser
        .cookies
        .insert(SESSION.to_owned(), "planted".to_owned());
    let back = Person::redirect_as(&browser.begin(&other.site).unwrap(), "alice").unwrap();
    assert!(back.starts_with(&place.main.site));

    let mut victim = Browser::new();
    victim.begin(&place.main.site).unwrap();
    for foreign in [&mut Browser::new(), &mut victim] {
        assert_eq!(foreign.get(&back).unwrap().status, 400);
        assert_eq!(me(foreign, &other), Err(401));
    }
    let junk = format!("{}/callback?code=x&state=y", place.main.site);
    assert_eq!(browser.get(&junk).unwrap().status, 400);
    assert_eq!(count(&place.provider, "authorization_code"), 0);

    // Both processes get the callback, several times.
    let statuses: Vec<_> = thread::scope(|scope| {
        let gets: Vec<_> = (0..6)
            .map(|number| {
                let mut copy = browser.clone();
                let url = match number % 2 {
                    0 => back.clone(),
                    _ => at(&back, &other),
                };
                scope.spawn(move || (copy.get(&url).unwrap().status, copy))
            })
            .collect();
        gets.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let winners = statuses.iter().filter(|(status, _)| *status == 303);
    assert_eq!(winners.count(), 1);
    assert_eq!(count(&place.provider, "authorization_code"), 1);
    for (status, mut copy) in statuses {
        let expected = if status == 303 { is("alice") } else { Err(401) };
        assert!(status == 303 || status == 400, "{status}");
        assert_eq!(me(&mut copy, &place.main), expected);
        assert_eq!(me(&mut copy, &other), expected);
        assert!(copy.cookies.get(SESSION).is_none_or(|it| it != "planted") || status == 400);
    }
    let mut planted = Browser::new();
    planted
        .cookies
        .insert(SESSION.to_owned(), "planted".to_owned());
    assert_eq!(me(&mut planted, &other), Err(401));
}

#[test]
fn cookies_are_for_this_host_over_https_and_no_script() {
    let place = Place::new(ROTATION, RedisServer::start());
    let mut browser = Browser::new();
    let began = browser.get(&format!("{}/login", place.main.site)).unwrap();
    let back = Person::redirect_as(&began.location.unwrap(), "alice").unwrap();
    let ended = browser.get(&back).unwrap();
    let [login] = began.cookies.as_slice() else {
        panic!("{:?}", began.cookies)
    };
    let [session, gone] = ended.cookies.as_slice() else {
        panic!("{:?}", ended.cookies)
    };
    for (cookie, name) in [(login, "__Host-login="), (session, "__Host-session=")] {
        assert!(cookie.starts_with(name), "{cookie}");
        let value = cookie[name.len()..].split(';').next().unwrap();
        assert_eq!(value.len(), 43, "256 bits");
        for word in ["; Path=/", "; HttpOnly", "; SameSite=Lax", "; Secure"] {
            assert!(cookie.contains(word), "{cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
    assert!(
        gone.starts_with("__Host-login=;") && gone.contains("Max-Age=0"),
        "{gone}"
    );
}

#[test]
fn who_says_no_is_told_so_and_may_try_again() {
    let place = Place::new(ROTATION, RedisServer::start());
    let other = place.another("");
    let mut browser = Browser::new();
    let url = browser.begin(&other.site).unwrap();
    let back = Person::redirect_for(&url, authflow::testing::Answer::Deny).unwrap();
    assert_eq!(browser.get(&back).unwrap().status, 403);
    assert_eq!(browser.get(&back).unwrap().status, 400);
    browser.sign_in(&other.site, "alice").unwrap();
    assert_eq!(me(&mut browser, &other), is("alice"));
}

/// The person loads the page again, begins anew, and is in. Nobody waits for longer than a lease.
#[test]
fn a_process_that_dies_during_a_login_costs_the_person_another_try() {
    for moment in [
        "began",
        "taken",
        "request sent",
        "exchanged",
        "locked",
        "before the save",
        "saved",
    ] {
        let place = Place::new(REUSE_DETECTION, RedisServer::start());
        let mut bob = signed_in(&place, "bob");
        let mut dying = place.another(moment);
        let mut browser = Browser::new();
        if moment == "began" {
            browser.begin(&dying.site).unwrap_err();
            dying.died();
        } else {
            let url = browser.begin(&place.main.site).unwrap();
            let back = Person::redirect_as(&url, "alice").unwrap();
            let there = at(&back, &dying);
            let mut copy = browser.clone();
            if moment == "request sent" {
                place.provider.fault(Endpoint::Token, Fault::Late(NEVER));
                let asking = thread::spawn(move || copy.get(&there).is_err());
                eventually(|| {
                    count(&place.provider, "authorization_code") == 2 && all_done(&place)
                });
                dying.kill();
                assert!(asking.join().unwrap(), "{moment}");
            } else {
                assert!(copy.get(&there).is_err(), "{moment}");
                dying.died();
            }
            // Its code is never sent twice.
            assert_eq!(browser.get(&back).unwrap().status, 400, "{moment}");
        }
        assert_eq!(me(&mut browser, &place.main), Err(401), "{moment}");
        assert_eq!(me(&mut bob, &place.main), is("bob"), "{moment}");
        let page = browser.sign_in(&place.main.site, "alice").unwrap();
        assert_eq!(page.status, 303, "{moment}: {}", page.body);
        assert_eq!(me(&mut browser, &place.main), is("alice"), "{moment}");
        assert_eq!(me(&mut bob, &place.main), is("bob"), "{moment}");
    }
}

/// Longer than anybody waits.
const NEVER: Duration = Duration::from_secs(3600);

/// Whether the provider has done all that it was asked, also what it has not answered yet.
fn all_done(place: &Place) -> bool {
    let asked = place.provider.requests(Endpoint::Token);
    asked.iter().all(|it| it.status().is_some())
}

// --- refreshes --------------------------------------------------------------------------------------

/// What a person sees whose tokens were being refreshed by a process that died.
#[test]
fn a_process_that_dies_during_a_refresh_loses_a_token_only_if_nobody_could_have_saved_it() {
    for (moment, rotation, sees, refreshes) in [
        ("locked", REUSE_DETECTION, is("alice"), 1),
        ("rehearsed", REUSE_DETECTION, is("alice"), 1),
        ("refresh saved", REUSE_DETECTION, is("alice"), 1),
        // The old token still works.
        ("request sent", Rotation::Never, is("alice"), 2),
        ("refreshed", Rotation::Never, is("alice"), 2),
        // The provider has given the new token to nobody else.
        ("request sent", REUSE_DETECTION, Err(401), 2),
        ("refreshed", ROTATION, Err(401), 2),
    ] {
        let place = Place::new(rotation, RedisServer::start());
        let (mut alice, mut bob) = (signed_in(&place, "alice"), signed_in(&place, "bob"));
        let mut dying = place.another(moment);
        place.provider.expire_access_tokens();
        let (mut copy, url) = (alice.clone(), format!("{}/me", dying.site));
        if moment == "request sent" {
            place.provider.fault(Endpoint::Token, Fault::Late(NEVER));
            let asking = thread::spawn(move || copy.get(&url).is_err());
            // It has done what it was asked, and nobody will be there for the answer.
            eventually(|| place.refreshes() == 1 && all_done(&place));
            dying.kill();
            assert!(asking.join().unwrap());
        } else {
            assert!(copy.get(&url).is_err(), "{moment}");
            dying.died();
        }
        // It still holds the lock, for as long as its lease. Somebody else's token is not held up.
        assert_eq!(me(&mut alice, &place.main), sees, "{moment}, {rotation:?}");
        assert_eq!(place.refreshes(), refreshes, "{moment}, {rotation:?}");
        assert_eq!(me(&mut bob, &place.main), is("bob"));
        if sees.is_err() {
            alice.sign_in(&place.main.site, "alice").unwrap();
        }
        assert_eq!(me(&mut alice, &place.main), is("alice"));
    }
}

/// It has new tokens in its hand, and sleeps past its lease.
#[test]
fn a_process_that_stalls_replaces_nothing_newer_and_loses_nothing_that_works() {
    for (rotation, meanwhile, in_the_end) in [
        (Rotation::Never, is("alice"), is("alice")),
        // The second use of the old token is refused; the first one's answer is the login now.
        (ROTATION, Err(401), is("alice")),
        // The provider takes it for theft, and ends the login.
        (REUSE_DETECTION, Err(401), Err(401)),
    ] {
        let place = Place::new(rotation, RedisServer::start());
        let mut alice = signed_in(&place, "alice");
        let stalling = place.another("stop: refreshed");
        place.provider.expire_access_tokens();
        let (mut copy, site) = (alice.clone(), stalling.site.clone());
        let asking = thread::spawn(move || {
            let page = copy.get(&format!("{site}/me")).unwrap();
            page.status
        });
        stalling.has_stopped();
        assert_eq!(me(&mut alice, &place.main), meanwhile, "{rotation:?}");
        let newer = place.saved("alice");
        stalling.go_on();
        let status = asking.join().unwrap();
        let expected = if in_the_end.is_ok() { 200 } else { 401 };
        assert_eq!(status, expected, "{rotation:?}");
        if rotation == Rotation::Never {
            assert_eq!(place.saved("alice"), newer);
        }
        for process in [&place.main, &stalling] {
            assert_eq!(me(&mut alice, process), in_the_end, "{rotation:?}");
        }
        alice.sign_in(&place.main.site, "alice").unwrap();
        for process in [&place.main, &stalling] {
            assert_eq!(me(&mut alice, process), is("alice"), "{rotation:?}");
        }
    }
}

#[test]
fn two_processes_and_many_browsers_refresh_once() {
    let place = Place::new(REUSE_DETECTION, RedisServer::start());
    let other = place.another("");
    let laptop = signed_in(&place, "alice");
    let phone = signed_in(&place, "alice");
    for process in [&place.main, &other] {
        assert_eq!(me(&mut laptop.clone(), process), is("alice"));
    }
    place.provider.expire_access_tokens();
    thread::scope(|scope| {
        for number in 0..16 {
            let mut browser = [&laptop, &phone][number % 2].clone();
            let process = [&place.main, &other][number / 2 % 2];
            scope.spawn(move || assert_eq!(me(&mut browser, process), is("alice")));
        }
    });
    assert_eq!(place.refreshes(), 1);
}

// --- logging out ------------------------------------------------------------------------------------

#[test]
fn a_log_out_everywhere_counts_in_all_processes_at_once() {
    let place = Place::new(ROTATION, RedisServer::start());
    let other = place.another("");
    let (mut laptop, mut phone) = (signed_in(&place, "alice"), signed_in(&place, "alice"));
    let mut bob = signed_in(&place, "bob");
    // Both processes have her session open.
    for process in [&place.main, &other] {
        for (browser, name) in [
            (&mut laptop, "alice"),
            (&mut phone, "alice"),
            (&mut bob, "bob"),
        ] {
            assert_eq!(me(browser, process), is(name));
        }
    }
    for forged in [&[][..], &[("csrf", "")], &[("csrf", "a guess")]] {
        let url = format!("{}/log-out-everywhere", place.main.site);
        assert_eq!(laptop.post(&url, forged).unwrap().status, 403);
    }
    assert_eq!(
        laptop
            .get(&format!("{}/log-out", other.site))
            .unwrap()
            .status,
        404
    );
    assert_eq!(me(&mut laptop, &other), is("alice"));

    // Here only: the other browser stays.
    laptop.clone().press(&other.site, "/log-out").unwrap();
    assert_eq!(me(&mut laptop, &place.main), Err(401));
    assert_eq!(me(&mut phone, &place.main), is("alice"));

    let mut laptop = signed_in(&place, "alice");
    let calls = place.provider.requests(Endpoint::Api).len();
    phone
        .clone()
        .press(&other.site, "/log-out-everywhere")
        .unwrap();
    for process in [&place.main, &other] {
        for browser in [&mut laptop, &mut phone] {
            assert_eq!(me(browser, process), Err(401));
        }
    }
    assert_eq!(place.provider.requests(Endpoint::Api).len(), calls);
    assert!(!place.saved("alice").unwrap().has_session());
    assert!(!place.provider.requests(Endpoint::Revocation).is_empty());
    assert_eq!(me(&mut bob, &place.main), is("bob"));
    phone.sign_in(&other.site, "alice").unwrap();
    assert_eq!(me(&mut phone, &place.main), is("alice"));
    assert_eq!(me(&mut laptop, &place.main), Err(401));
}

/// The browsers are out, and the tokens are still there: nobody gets at them but by signing in.
#[test]
fn a_process_that_dies_during_a_log_out_has_logged_out() {
    let place = Place::new(ROTATION, RedisServer::start());
    let (mut laptop, mut phone) = (signed_in(&place, "alice"), signed_in(&place, "alice"));
    let mut dying = place.another("signed out");
    assert!(laptop.press(&dying.site, "/log-out-everywhere").is_err());
    dying.died();
    assert_eq!(me(&mut laptop, &place.main), Err(401));
    assert_eq!(me(&mut phone, &place.main), Err(401));
    phone.sign_in(&place.main.site, "alice").unwrap();
    assert_eq!(me(&mut phone, &place.main), is("alice"));
    assert_eq!(me(&mut laptop, &place.main), Err(401));
}

/// Somebody who died has the lock on the tokens: they are left, and the person can try again.
#[test]
fn a_log_out_that_could_not_end_the_tokens_is_finished_later() {
    let place = Place::new(ROTATION, RedisServer::start());
    let impatient = place.another("no patience");
    let (mut laptop, mut phone) = (signed_in(&place, "alice"), signed_in(&place, "alice"));
    let mut bob = signed_in(&place, "bob");
    let everywhere = "/log-out-everywhere";
    let lock = logins(&place.redis.url())
        .account("alice")
        .lock(common::PATIENCE);
    let lock = lock.unwrap();
    let page = laptop.press(&impatient.site, everywhere).unwrap();
    assert_eq!(page.status, 503);
    assert!(page.body.contains("Try again"), "{}", page.body);
    assert_eq!(me(&mut laptop, &place.main), Err(401));
    assert_eq!(me(&mut phone, &place.main), Err(401));
    assert!(place.saved("alice").unwrap().has_session());
    // Not for somebody who has no cookie of hers, nor for another site's form.
    let url = format!("{}{everywhere}", place.main.site);
    let mut stranger = Browser::new();
    assert_eq!(stranger.post(&url, &[("csrf", "x")]).unwrap().status, 303);
    assert_eq!(laptop.post(&url, &[("csrf", "x")]).unwrap().status, 403);
    assert_eq!(
        laptop.press(&impatient.site, everywhere).unwrap().status,
        503
    );
    assert!(place.saved("alice").unwrap().has_session());

    drop(lock);
    let page = laptop.press(&place.main.site, everywhere).unwrap();
    assert_eq!(page.status, 303);
    assert!(!place.saved("alice").unwrap().has_session());
    assert!(!place.provider.requests(Endpoint::Revocation).is_empty());
    assert_eq!(me(&mut bob, &place.main), is("bob"));
    // All is done, and says so.
    for browser in [&mut laptop, &mut phone] {
        assert!(browser.press(&place.main.site, everywhere).is_err());
    }
}

/// Who has signed in again meanwhile is not logged out by an old browser's button.
#[test]
fn a_log_out_that_is_not_finished_ends_no_later_login() {
    let place = Place::new(ROTATION, RedisServer::start());
    let (mut laptop, mut phone) = (signed_in(&place, "alice"), signed_in(&place, "alice"));
    let mut dying = place.another("signed out");
    assert!(laptop.press(&dying.site, "/log-out-everywhere").is_err());
    dying.died();
    // The page is there after the process died, too.
    let home = laptop.get(&format!("{}/", place.main.site)).unwrap();
    let csrf = home.body.split("name=\"csrf\" value=\"").nth(1).unwrap();
    let csrf = csrf.split('"').next().unwrap();
    assert!(home.body.contains("Try again"), "{}", home.body);
    phone.sign_in(&place.main.site, "alice").unwrap();
    let url = format!("{}/log-out-everywhere", place.main.site);
    assert_eq!(laptop.post(&url, &[("csrf", csrf)]).unwrap().status, 303);
    assert_eq!(me(&mut phone, &place.main), is("alice"));
    assert_eq!(me(&mut laptop, &place.main), Err(401));
}

#[test]
fn one_user_cannot_have_all_the_workers() {
    let place = Place::new(ROTATION, RedisServer::start());
    let process = place.another("as it comes");
    let (alice, mut bob) = (signed_in(&place, "alice"), signed_in(&place, "bob"));
    place.provider.expire_access_tokens();
    let lock = logins(&place.redis.url())
        .account("alice")
        .lock(common::PATIENCE);
    let lock = lock.unwrap();
    let answers = thread::scope(|scope| {
        let (tell, told) = std::sync::mpsc::channel();
        for _ in 0..40 {
            let (mut browser, process, tell) = (alice.clone(), &process, tell.clone());
            scope.spawn(move || tell.send(me(&mut browser, process)).unwrap());
        }
        let mut answers: Vec<_> = (0..36).map(|_| told.recv().unwrap()).collect();
        assert_eq!(answers, vec![Err(429); 36]);
        assert_eq!(me(&mut bob, &process), is("bob"));
        drop(lock);
        answers.clear();
        answers.extend((0..4).map(|_| told.recv().unwrap()));
        answers
    });
    assert_eq!(answers, vec![is("alice"); 4]);
}

// --- Redis ------------------------------------------------------------------------------------------

#[test]
fn a_redis_with_a_disk_is_restarted_and_nobody_notices() {
    let mut place = Place::new(REUSE_DETECTION, RedisServer::durable());
    let other = place.another("");
    let (mut alice, mut bob) = (signed_in(&place, "alice"), signed_in(&place, "bob"));
    assert_eq!(me(&mut alice, &other), is("alice"));
    let mut half = Browser::new();
    let back = Person::redirect_as(&half.begin(&other.site).unwrap(), "carol").unwrap();
    for round in 0..2 {
        place.redis.kill();
        // Neither tokens nor pages are handed out to somebody who may have been logged out.
        assert_eq!(me(&mut alice, &place.main), Err(503));
        assert_eq!(half.get(&back).unwrap().status, 503);
        assert!(half.begin(&place.main.site).is_err());
        assert!(place.redis.resume());
        // An API that rejects each new token within seconds would be thought to be at fault.
        if round == 0 {
            place.provider.expire_access_tokens();
        }
        for process in [&other, &place.main] {
            assert_eq!(me(&mut alice, process), is("alice"));
            assert_eq!(me(&mut bob, process), is("bob"));
        }
    }
    assert_eq!(place.refreshes(), 2);
    half.sign_in(&other.site, "carol").unwrap();
    assert_eq!(me(&mut half, &place.main), is("carol"));
}

#[test]
fn a_redis_without_a_disk_is_restarted_and_everybody_signs_in_again() {
    let mut place = Place::new(REUSE_DETECTION, RedisServer::start());
    let other = place.another("");
    let (mut alice, mut bob) = (signed_in(&place, "alice"), signed_in(&place, "bob"));
    assert_eq!(me(&mut alice, &other), is("alice"));
    assert_eq!(me(&mut bob, &other), is("bob"));
    let mut half = Browser::new();
    let back = Person::redirect_as(&half.begin(&other.site).unwrap(), "carol").unwrap();
    assert!(place.redis.resume());
    assert_eq!(half.get(&back).unwrap().status, 400);
    for browser in [&mut alice, &mut bob] {
        assert_eq!(me(browser, &place.main), Err(401));
        assert_eq!(me(browser, &other), Err(401));
    }
    bob.sign_in(&other.site, "bob").unwrap();
    half.sign_in(&place.main.site, "carol").unwrap();
    for process in [&place.main, &other] {
        assert_eq!(me(&mut alice, process), Err(401));
        assert_eq!(me(&mut bob, process), is("bob"));
        assert_eq!(me(&mut half, process), is("carol"));
    }
}
