//! One code exchanged over a socket, again and again. `endpoint` answers, in a process of its own.

use std::io::BufRead as _;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

pub mod authflow;
pub mod floors;
#[cfg(feature = "librespot-oauth")]
pub mod librespot_oauth;
#[cfg(feature = "oauth2")]
pub mod oauth2;
#[cfg(feature = "openidconnect")]
pub mod openidconnect;
#[cfg(feature = "rspotify")]
pub mod rspotify;
#[cfg(feature = "yup-oauth2")]
pub mod yup_oauth2;

/// A program that exchanges codes. What it makes once, its client, is made in `new`.
pub trait Exchange {
    /// A login whose browser has come back.
    type Ready;

    fn new(token_url: &str) -> Self;

    fn prepare(&self) -> Self::Ready;

    /// Reads the callback, sends the code, reads the tokens.
    fn exchange(&mut self, ready: Self::Ready);
}

/// The program `exchange ROW TOKEN_URL MODE [N]`.
pub fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [row, url, mode @ ..] = arguments.as_slice() else {
        panic!("exchange ROW TOKEN_URL serve | prepare N | count N");
    };
    match row.as_str() {
        "raw socket" => run::<floors::RawSocket>(url, mode),
        "bare ureq" => run::<floors::BareUreq<true>>(url, mode),
        "bare ureq without timeouts" => run::<floors::BareUreq<false>>(url, mode),
        "by hand" => run::<floors::ByHand>(url, mode),
        "same crates" => run::<floors::SameCrates>(url, mode),
        "authflow" => run::<authflow::Machine>(url, mode),
        "authflow, Session::refresh" => run::<authflow::Refresh>(url, mode),
        #[cfg(feature = "oauth2")]
        "oauth2 by ureq" => run::<oauth2::ByUreq<false>>(url, mode),
        #[cfg(feature = "oauth2")]
        "oauth2 by ureq, time limits" => run::<oauth2::ByUreq<true>>(url, mode),
        #[cfg(feature = "oauth2")]
        "oauth2 by closure" => run::<oauth2::ByClosure>(url, mode),
        #[cfg(feature = "openidconnect")]
        "openidconnect" => run::<openidconnect::ByClosure>(url, mode),
        #[cfg(feature = "rspotify")]
        "rspotify" => run::<rspotify::Rspotify>(url, mode),
        #[cfg(feature = "yup-oauth2")]
        "yup-oauth2, refresh" => run::<yup_oauth2::Refresh>(url, mode),
        #[cfg(feature = "librespot-oauth")]
        "librespot-oauth, refresh" => run::<librespot_oauth::Refresh>(url, mode),
        other => panic!("{other} is not built in"),
    }
}

fn run<E: Exchange>(url: &str, mode: &[String]) {
    let mut program = E::new(url);
    match mode {
        [mode] if mode == "serve" => serve(&mut program),
        // What `count` does before it begins.
        [mode, times] if mode == "prepare" => drop(prepare(&program, number(times))),
        [mode, times] if mode == "count" => {
            let ready = prepare(&program, number(times));
            ready.into_iter().for_each(|ready| program.exchange(ready));
        }
        _ => panic!("serve, prepare N or count N"),
    }
}

fn number(text: &str) -> usize {
    text.trim().parse().expect("a number")
}

fn prepare<E: Exchange>(program: &E, times: usize) -> Vec<E::Ready> {
    (0..times).map(|_| program.prepare()).collect()
}

/// For each number that comes in, exchanges as many codes, and says how long it took, by the clock and of the
/// processor, in nanoseconds.
fn serve<E: Exchange>(program: &mut E) {
    for line in std::io::stdin().lock().lines() {
        let ready = prepare(program, number(&line.expect("a line")));
        let (wall, cpu) = (Instant::now(), cpu());
        ready.into_iter().for_each(|ready| program.exchange(ready));
        let cpu = self::cpu() - cpu;
        println!("{} {}", wall.elapsed().as_nanos(), cpu.as_nanos());
    }
}

/// Of all threads, also those that have ended.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("a time since the start")
}
