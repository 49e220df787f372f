//! The same login with each library. What a program makes once, its client, is made beforehand.

use crate::measure::Meter;

pub mod authflow;
pub mod by_hand;
#[cfg(feature = "oauth2")]
pub mod oauth2;

/// A login and a refresh with one library.
pub trait Library {
    const NAME: &'static str;

    /// What a program makes once.
    fn new() -> Self;

    /// One login and one refresh, each step told to the meter. Values that go in (entropy, what the browser
    /// brings, what the server answers) are made outside of the steps; what a step makes is dropped there too.
    fn flow(&self, meter: &mut impl Meter);
}
