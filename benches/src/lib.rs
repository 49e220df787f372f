//! What a login costs, here and with other libraries, step by step. `README.md` has the figures and says
//! how to read them.

pub mod backend;
pub mod check;
#[cfg(feature = "drivers")]
pub mod exchange;
pub mod figure;
pub mod fixture;
pub mod libraries;
pub mod measure;
pub mod points;
#[cfg(feature = "drivers")]
pub mod redirect;
