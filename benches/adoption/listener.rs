//! Waits for the redirect, where a library leaves that to its user.

use std::error::Error;

use tiny_http::{Method, Response, Server};

use crate::callback;

/// The code. Whatever is not the answer to this login is answered, and waited on.
pub fn wait(server: &Server, state: &str) -> Result<String, Box<dyn Error + Send + Sync>> {
    loop {
        let request = server.recv()?;
        let (path, query) = request.url().split_once('?').unwrap_or((request.url(), ""));
        if *request.method() != Method::Get || path != "/callback" {
            request.respond(Response::from_string("nothing here").with_status_code(404))?;
            continue;
        }
        let Some(code) = callback::read(query, state) else {
            request.respond(Response::from_string("not this login").with_status_code(400))?;
            continue;
        };
        let page = match &code {
            Ok(_) => "You are logged in.",
            Err(_) => "The login failed.",
        };
        request.respond(Response::from_string(page))?;
        return Ok(code?);
    }
}
