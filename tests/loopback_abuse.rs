//! The listener under abuse: whatever comes first, the genuine redirect wins, nothing else does, and
//! the process that waits for it neither ends nor grows. Each probe of `support/probes.rs` is made
//! against a process of its own, in which any panic would be the end.
#![cfg(all(feature = "loopback", target_os = "linux"))]

mod support;

use std::io::Write as _;
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::process::Command;

use authflow::loopback::Loopback;
use support::probes::{PROBES, Probe, pipelined};
use support::process::{again, again_after, role};
use support::raw::{PATIENCE, connect, navigation, read_reply, send};
use support::victim::{Cost, Victim, wait_for_the_redirect};

/// The role of the other process.
#[test]
fn victim() {
    match role().as_deref() {
        Some("localhost") => wait_for_the_redirect(Loopback::builder().localhost()),
        Some(_) => wait_for_the_redirect(Loopback::builder()),
        None => {}
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
    let address = victim.target.address;
    survives_at(probe, victim, address)
}

/// The same, with the redirect at this address.
fn survives_at(probe: &Probe, mut victim: Victim, address: SocketAddr) -> Cost {
    let mut held = (probe.make)(&victim.target);
    if probe.is_forged {
        for stream in &mut held {
            let status = read_reply(stream).map_or(0, |reply| reply.status());
            assert!((400..500).contains(&status), "{}: {status}", probe.name);
        }
    }
    // Whatever came before this has been looked at once it is answered.
    let other = navigation(&victim.target.host, "/other");
    let _ = read_reply(&mut send(victim.target.address, other));
    let cost = victim.cost();
    victim.target.address = address;
    is_won(probe, victim);
    drop(held);
    cost
}

/// Of many connections.
fn is_flood(probe: &Probe) -> bool {
    probe.name.starts_with(|c: char| c.is_ascii_digit())
}

fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
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
    let probes: Vec<_> = PROBES.iter().filter(|probe| is_flood(probe)).collect();
    assert!(probes.len() > 5);
    for probe in probes {
        let cost = survives(probe, again_after("ulimit -n 24", "victim", "victim"));
        assert!(cost.descriptors <= 24, "{}: {cost:?}", probe.name);
    }
}

/// What floods one of the two addresses keeps nobody from the other, and all limits are for both.
#[test]
fn localhost_has_two_addresses_and_no_more_connections() {
    if !has_descriptors("localhost_has_two_addresses_and_no_more_connections") {
        return;
    }
    if !has_ipv6() {
        support::not_tested("this needs IPv6");
        return;
    }
    let localhost = |command: Command| {
        let mut victim = Victim::start(command);
        let here = victim.target.address;
        let there = SocketAddr::new(Ipv6Addr::LOCALHOST.into(), here.port());
        victim.target.host = format!("localhost:{}", here.port());
        (victim, here, there)
    };
    let probes = PROBES.iter().filter(|probe| is_flood(probe));
    for (number, probe) in probes.enumerate() {
        let few = again_after("ulimit -n 24", "victim", "localhost");
        let many = again("victim", "localhost");
        for (command, most) in [(few, 24), (many, MOST.descriptors + 1)] {
            let (mut victim, here, there) = localhost(command);
            let (flooded, other) = [(here, there), (there, here)][number % 2];
            victim.target.address = flooded;
            let cost = survives_at(probe, victim, other);
            assert!(cost.descriptors <= most, "{}: {cost:?}", probe.name);
        }
    }
    let (victim, here, there) = localhost(again("victim", "localhost"));
    let held: Vec<_> = (0..100)
        .flat_map(|_| [here, there].map(|address| send(address, "GET /callb")))
        .collect();
    let other = navigation(&victim.target.host, "/other");
    let reply = read_reply(&mut send(there, other)).expect("an answer");
    assert_eq!(reply.status(), 404);
    let cost = victim.cost();
    assert!(cost.descriptors <= MOST.descriptors + 1, "{cost:?}");
    is_won(&PROBES[0], victim);
    drop(held);
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
