//! A web backend that runs as any number of processes, on any number of machines, with one Redis. A login
//! may begin in one and end in another; each user's tokens are refreshed by one of them at a time.
//!
//! `cargo run -p authflow-web-backend-example` shows it. The guide `authflow::guide::web_backend` says why
//! each part is as it is.

pub mod backend;
pub mod balancer;
pub mod browser;
pub mod browsers;
pub mod front;
mod page;
pub mod reply;
pub mod request;
pub mod sessions;
pub mod turns;

/// Of the library's own tests: a Redis that ends with whoever started it.
#[path = "../../../tests/support/redis_server.rs"]
pub mod redis_server;

pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What nobody can guess: 256 random bits, as text for a cookie.
pub fn random() -> Result<String, Error> {
    use base64::Engine as _;
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}

/// Whether it looks like one of those. Who made it, nobody can say.
pub fn is_random(text: &str) -> bool {
    let is_of_it = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text.len() == 43 && text.bytes().all(is_of_it)
}
