//! What a backend does with each library for many people at once: it keeps the logins that wait for their
//! callback, finds one by its state, and refreshes the sessions of those who are in.

use std::collections::HashMap;
use std::hash::Hash;

pub mod authflow;
pub mod by_hand;
#[cfg(feature = "oauth2")]
pub mod oauth2;
#[cfg(feature = "openidconnect")]
pub mod openidconnect;
#[cfg(feature = "rspotify")]
pub mod rspotify;

/// The logins that wait. What a program makes once, its client, is made by `new`.
pub trait Logins: Sized {
    const NAME: &'static str;
    /// What the callback's state is looked up by.
    type Key: Eq + Hash;
    /// What has to be kept until then.
    type Login;

    /// With these scopes.
    fn new(scopes: &[String]) -> Self;

    /// Makes state, verifier and authorize URL. The URL goes to the browser and is not kept.
    fn begin(&self, entropy: [u8; 64]) -> (Self::Key, Self::Login);
}

/// The exchange, and the sessions that come of it.
pub trait Sessions: Logins {
    type Session;

    /// The state that the browser brings back, of a login of this entropy.
    fn state(entropy: [u8; 64]) -> String;

    /// Takes the login out that the callback's target (`/callback?code=…&state=…`) is for, and exchanges the
    /// code. `answer` is what the token endpoint says.
    fn finish(
        &self,
        waiting: &mut HashMap<Self::Key, Self::Login>,
        target: String,
        answer: Vec<u8>,
    ) -> Self::Session;

    /// A session that any answer can be given to.
    fn session(&self) -> Self::Session;

    /// Asks for new tokens and reads the answer; whether it was taken.
    fn refresh(&self, session: &mut Session<Self>, answer: Vec<u8>) -> bool;
}

pub type Session<L> = <L as Sessions>::Session;

/// Entropy that differs for each number. Not random: the same figures each time.
#[must_use]
pub fn entropy(number: u64) -> [u8; 64] {
    let mut bytes = [0; 64];
    for (at, chunk) in bytes.chunks_exact_mut(8).enumerate() {
        let seed = number.wrapping_mul(8).wrapping_add(at as u64);
        chunk.copy_from_slice(&mixed(seed).to_le_bytes());
    }
    bytes
}

/// SplitMix64.
fn mixed(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
