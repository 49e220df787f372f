//! The protocol as pure functions: text in, values out. No state, no clock, no IO.

pub(crate) mod authorize;
pub(crate) mod callback;
pub(crate) mod endpoint;
pub(crate) mod form;
pub(crate) mod http;
pub(crate) mod json;
pub(crate) mod pkce;
pub(crate) mod redirect;
pub(crate) mod repair;
pub(crate) mod retry_after;
pub(crate) mod scope;
pub(crate) mod text;
pub(crate) mod token_request;
pub(crate) mod token_response;
