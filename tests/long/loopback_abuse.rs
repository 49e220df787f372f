//! How long the redirect takes to win after each probe of `tests/support/probes.rs`, and what the probe
//! costs the process that waits; beside it the same for tiny_http's own server, used in the obvious
//! way. `cargo bench --bench loopback_abuse`

#[path = "../support/mod.rs"]
mod support;

use std::io::Write as _;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use authflow::loopback::Loopback;
use support::probes::{PROBES, Probe};
use support::process::{again, again_after, role, say};
use support::victim::{Cost, Victim, wait_for_the_redirect};

fn main() {
    match role().as_deref() {
        Some("authflow") => return wait_for_the_redirect(Loopback::builder()),
        Some("tiny_http") => return wait_with_tiny_http(),
        Some(_) => {}
        // Thousands of connections are held, for which many systems give too few descriptors at first.
        None => {
            let mut bench = again_after("ulimit -n 10000", "", "bench");
            let status = bench.stdout(Stdio::inherit()).status().unwrap();
            std::process::exit(status.code().unwrap_or(1));
        }
    }
    println!("after | authflow: ms, threads, descriptors, KiB | tiny_http's server: the same");
    let mut totals = [Total::default(), Total::default()];
    for probe in PROBES {
        print!("{:45}", probe.name);
        for ((name, times), total) in [("authflow", 3), ("tiny_http", 1)]
            .into_iter()
            .zip(&mut totals)
        {
            let (took, cost) = measure(probe, name, times);
            match took {
                Some(took) => print!(" | {:7.1}", took.as_secs_f64() * 1000.0),
                None => print!(" |    LOST"),
            }
            let Cost {
                threads,
                descriptors,
                kilobytes,
            } = cost;
            print!(" {threads:5} {descriptors:5} {kilobytes:7}");
            std::io::stdout().flush().unwrap();
            total.add(took, cost);
        }
        println!();
    }
    let mut is_good = true;
    for (name, total) in ["authflow", "tiny_http"].into_iter().zip(totals) {
        let Total {
            won,
            slow,
            lost,
            threads,
            kilobytes,
        } = total;
        println!(
            "{name}: {won} won, {slow} of them after more than a second, {lost} lost; at most {threads} threads, {kilobytes} KiB"
        );
        is_good &= name != "authflow" || (slow, lost) == (0, 0);
    }
    assert!(is_good, "the redirect has to win within a second");
}

#[derive(Default)]
struct Total {
    won: u32,
    slow: u32,
    lost: u32,
    threads: u64,
    kilobytes: u64,
}

impl Total {
    fn add(&mut self, took: Option<Duration>, cost: Cost) {
        match took {
            Some(took) => {
                self.won += 1;
                self.slow += u32::from(took > Duration::from_secs(1));
            }
            None => self.lost += 1,
        }
        self.threads = self.threads.max(cost.threads);
        self.kilobytes = self.kilobytes.max(cost.kilobytes);
    }
}

/// The longest of so many times, and the most that it cost.
fn measure(probe: &Probe, name: &str, times: u32) -> (Option<Duration>, Cost) {
    let mut longest = Duration::ZERO;
    let mut cost = Cost::default();
    for _ in 0..times {
        let mut victim = Victim::start(again(name, name));
        let held = (probe.make)(&victim.target);
        thread::sleep(Duration::from_millis(300));
        cost = cost.max(victim.cost());
        let start = Instant::now();
        let (page, _) = victim.redirect(Duration::from_secs(3));
        let took = start.elapsed();
        // Another's mistake may have ended the wait before.
        let (said, ended_well) = match page {
            Some(_) => victim.end(),
            None => (None, false),
        };
        let has_won = ended_well && said.is_some_and(|said| said.starts_with("won 1 "));
        if !has_won {
            return (None, cost);
        }
        longest = longest.max(took);
        drop(held);
    }
    (Some(longest), cost)
}

/// As its documentation shows it: what has the path and the state is the redirect, whatever else it
/// is; all else is not found.
fn wait_with_tiny_http() {
    let server = tiny_http::Server::http("127.0.0.1:0").unwrap();
    let state = "the-state-of-this-login";
    say(format!("{} {state}", server.server_addr()));
    loop {
        let request = server.recv().unwrap();
        let is_ours = request.url().starts_with("/callback") && request.url().contains(state);
        let status = if is_ours { 200 } else { 404 };
        let _ = request.respond(tiny_http::Response::empty(status));
        if is_ours {
            return say("won 1 0");
        }
    }
}
