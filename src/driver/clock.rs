//! The real clock and the operating system's entropy, for programs that don't bring their own.

use std::fmt;
use std::time::SystemTime;

use zeroize::Zeroizing;

use crate::time::Timestamp;
use crate::wire::pkce::LoginSecrets;

impl Timestamp {
    /// What the system's clock says.
    #[must_use]
    pub fn now() -> Self {
        Self::from_system_time(SystemTime::now())
    }
}

impl LoginSecrets {
    /// From the operating system's random generator.
    ///
    /// # Errors
    /// [`NoEntropy`] if it has none to give.
    pub fn generate() -> Result<Self, NoEntropy> {
        let mut entropy = Zeroizing::new([0; 64]);
        getrandom::fill(entropy.as_mut_slice()).map_err(|_| NoEntropy)?;
        Ok(Self::from_entropy(*entropy))
    }
}

/// The operating system's random generator failed. Without it no login is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoEntropy;

impl fmt::Display for NoEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the operating system's random generator failed, and without it no login is safe",
        )
    }
}

impl std::error::Error for NoEntropy {}
