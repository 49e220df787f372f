//! The same login with each library. What a program makes once, its client, is made beforehand.

use crate::measure::Meter;

pub mod authflow;
pub mod by_hand;
#[cfg(feature = "oauth2")]
pub mod oauth2;
#[cfg(feature = "openidconnect")]
pub mod openidconnect;
#[cfg(feature = "rspotify")]
pub mod rspotify;
pub mod same_crates;

/// A login and a refresh with one library.
pub trait Library {
    const NAME: &'static str;
    /// Whether all of a login can be done without its HTTP client.
    const IS_WHOLE: bool = true;
    /// Whether state and verifier are its own, and not the fixture's.
    const DRAWS_ITS_OWN: bool = false;
    /// What goes into one login: drawn, brought by the browser, answered by the server.
    type Inputs;

    /// What a program makes once.
    fn new() -> Self;

    fn inputs(&self) -> Self::Inputs;

    /// One login and one refresh, each step told to the meter. What a step makes is dropped outside of it.
    fn flow(&self, inputs: Self::Inputs, meter: &mut impl Meter);

    /// Steps that are measured, and are no part of a flow.
    fn apart(&self, _inputs: Self::Inputs, _meter: &mut impl Meter) {}
}

/// Ends an exchange where its request is made.
#[derive(Debug)]
pub struct Stopped;

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the request is made, and goes nowhere")
    }
}

impl std::error::Error for Stopped {}
