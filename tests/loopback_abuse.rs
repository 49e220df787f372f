//! The listener under abuse: whatever comes first, the genuine redirect wins, nothing else does, and
//! the process that waits for it neither ends nor grows. Each probe of `support/probes.rs` is made
//! against a process of its own, in which any panic would be the end.
#![cfg(all(feature = "loopback", target_os = "linux"))]

mod support;

use std::io::Write as _;
use std::process::Command;

use support::probes::{PROBES, Probe, pipelined};
use support::process::{again, again_after, role};
use support::raw::{PATIENCE, connect, navigation, read_reply, send};
use support::victim::{Cost, Victim, wait_for_the_redirect};

/// The role of the other process.
#[test]
fn victim() {
    if role().is_some() {
        wait_for_the_redirect();
    }
}

/// Whoever makes the probes holds thousands of connections, for which many systems give too few
/// descriptors at first. Returns whether this process is the one to make them.
fn has_descriptors(test: &str) -> bool {
    if role().is_some() {
        return true;
    }
    let output = again_after("ulimit -n 10000", test, "prober")
        .output()
        .unwrap();
    let [out, err] =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{out}\n{err}");
    false
}

/// The redirect wins, and one request follows from it. A browser comes once, unless a flood that goes on
/// takes its connection; how long it takes is for the bench to say.
fn is_won(probe: &Probe, mut victim: Victim) {
    let name = probe.name;
    let (page, attempts) = victim.redirect(PATIENCE);
    assert_eq!(page.map(|page| page.status()), Some(200), "{name}");
    let most = if probe.goes_on { 20 } else { 1 };
    assert!(attempts <= most, "{name}: {attempts} attempts");
    let (said, ended_well) = victim.end();
    let said = said.unwrap_or_default();
    assert!(said.starts_with("won 1 "), "{name}: {said}");
    assert!(ended_well, "{name}");
}

/// Makes the probe, sees what it costs, and then lets the redirect come.
fn survives(probe: &Probe, command: Command) -> Cost {
    let victim = Victim::start(command);
    let mut held = (probe.make)(&victim.target);
    if probe.is_forged {
        for stream in &mut held {
            let status = read_reply(stream).map_or(0, |reply| reply.status());
            assert!((400..500).contains(&status), "{}: {status}", probe.name);
        }
    }
    // Whatever came before this has been looked at once it is answered.
    let other = navigation(victim.target.address, "/other");
    let _ = read_reply(&mut send(victim.target.address, other));
    let cost = victim.cost();
    is_won(probe, victim);
    drop(held);
    cost
}

/// 64 connections of at most 100 KiB each, and what a program opens anyway.
const MOST: Cost = Cost {
    threads: 2, // the test harness has two
    descriptors: 64 + 16,
    kilobytes: 16 << 10,
};

#[test]
fn the_genuine_redirect_wins_after_every_probe_at_a_bounded_cost() {
    if !has_descriptors("the_genuine_redirect_wins_after_every_probe_at_a_bounded_cost") {
        return;
    }
    let own = survives(&PROBES[0], again("victim", "victim")).kilobytes;
    for probe in PROBES {
        let cost = survives(probe, again("victim", "victim"));
        let name = probe.name;
        assert!(cost.threads <= MOST.threads, "{name}: {cost:?}");
        assert!(cost.descriptors <= MOST.descriptors, "{name}: {cost:?}");
        assert!(cost.kilobytes <= own + MOST.kilobytes, "{name}: {cost:?}");
    }
}

#[test]
fn a_program_that_may_open_few_descriptors_gives_up_its_own_first() {
    if !has_descriptors("a_program_that_may_open_few_descriptors_gives_up_its_own_first") {
        return;
    }
    let many = |probe: &&Probe| probe.name.starts_with(|c: char| c.is_ascii_digit());
    let probes: Vec<_> = PROBES.iter().filter(many).collect();
    assert!(probes.len() > 5);
    for probe in probes {
        let cost = survives(probe, again_after("ulimit -n 24", "victim", "victim"));
        assert!(cost.descriptors <= 24, "{}: {cost:?}", probe.name);
    }
}

#[test]
fn of_two_genuine_ones_on_one_connection_the_first_counts() {
    let mut victim = Victim::start(again("victim", "victim"));
    let mut browser = send(victim.target.address, pipelined(&victim.target));
    let page = read_reply(&mut browser).map(|page| page.status());
    assert_eq!(page, Some(200));
    assert_eq!(victim.end(), (Some("won 1 0".to_owned()), true));
}

#[test]
fn a_request_that_comes_byte_by_byte_is_a_request() {
    let mut victim = Victim::start(again("victim", "victim"));
    let mut browser = connect(victim.target.address);
    browser.set_nodelay(true).unwrap();
    for byte in victim.target.genuine().bytes() {
        browser.write_all(&[byte]).unwrap();
    }
    assert_eq!(
        read_reply(&mut browser).map(|page| page.status()),
        Some(200)
    );
    assert_eq!(victim.end(), (Some("won 1 0".to_owned()), true));
}

/// Programs on 127.0.0.1 share their cookies, whatever their ports and their encodings.
#[test]
fn cookies_of_other_programs_are_no_hindrance() {
    for cookie in ["a".repeat(16 << 10), "name=J\u{f6}rg; \u{2603}".to_owned()] {
        let mut victim = Victim::start(again("victim", "victim"));
        let field = format!("\r\nCookie: {cookie}\r\n\r\n");
        let request = victim.target.genuine().replacen("\r\n\r\n", &field, 1);
        let page = read_reply(&mut send(victim.target.address, request));
        assert_eq!(page.map(|page| page.status()), Some(200));
        assert_eq!(victim.end(), (Some("won 1 0".to_owned()), true));
    }
}
