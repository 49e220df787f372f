//! What a login costs, here and with other libraries, step by step. `README.md` has the figures and says
//! how to read them.

pub mod exchange;
pub mod fixture;
pub mod libraries;
pub mod measure;
pub mod redirect;
