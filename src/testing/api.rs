//! The API: a profile and an echo, with Spotify's error object
//! (<https://developer.spotify.com/documentation/web-api/concepts/api-calls>).

use std::time::Duration;

use serde_json::json;

use super::http::{Reply, Request};
use super::server::{AccessToken, Server, json_reply};

impl Server {
    pub(super) fn api(&self, request: &Request, now: Duration) -> Reply {
        let allowed = match request.path.as_str() {
            // Spotify takes either, and rspotify asks for the second.
            "/v1/me" | "/v1/me/" => "GET",
            "/v1/echo" => "GET, POST, PUT, PATCH, DELETE",
            _ => return error(404, "Service not found"),
        };
        if !allowed.split(", ").any(|method| method == request.method) {
            return error(405, "Method not allowed").header("Allow", allowed);
        }
        match self.bearer(request, now) {
            Err(reply) => reply,
            Ok(_) if request.path == "/v1/echo" => echo(request),
            Ok(token) => self.me(token),
        }
    }

    /// The token that the request comes with, if it is good.
    fn bearer(&self, request: &Request, now: Duration) -> Result<&AccessToken, Reply> {
        let authorization = request
            .header("authorization")
            .ok_or_else(|| refuse(401, "No token provided"))?;
        let token = match authorization.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => return Err(refuse(400, "Only valid bearer authentication supported")),
        };
        match self.access_tokens.get(token) {
            None => Err(refuse(401, "Invalid access token")),
            Some(token) if now >= token.expires => Err(refuse(401, "The access token expired")),
            Some(token) => Ok(token),
        }
    }

    /// The person, with what their client was granted to see
    /// (<https://developer.spotify.com/documentation/web-api/reference/get-current-users-profile>).
    /// The links lead nowhere, so that nobody sends a token after them.
    fn me(&self, token: &AccessToken) -> Reply {
        let Some(name) = token.login.and_then(|login| self.people.get(&login)) else {
            return refuse(401, "Valid user authentication required");
        };
        let (first, rest) = name.split_at(1);
        let mut me = json!({
            "id": name,
            "display_name": format!("{}{rest}", first.to_uppercase()),
            "type": "user",
            "uri": format!("spotify:user:{name}"),
            "href": format!("https://api.example/v1/users/{name}"),
            "external_urls": {"spotify": format!("https://open.example/user/{name}")},
            "images": [{"url": format!("https://images.example/{name}.jpeg"), "height": 300, "width": 300}],
            "followers": {"href": null, "total": 7},
        });
        if let Some(members) = me.as_object_mut() {
            let granted = |scope| token.scope.split(' ').any(|granted| granted == scope);
            if granted("user-read-email") {
                members.insert("email".to_owned(), json!(format!("{name}@example.com")));
            }
            if granted("user-read-private") {
                members.insert("country".to_owned(), json!("SE"));
                members.insert("product".to_owned(), json!("premium"));
                let explicit = json!({"filter_enabled": false, "filter_locked": false});
                members.insert("explicit_content".to_owned(), explicit);
            }
        }
        json_reply(200, &me)
    }
}

/// What came, so that a test can see whether it came whole.
fn echo(request: &Request) -> Reply {
    let what = json!({
        "method": request.method,
        "content_type": request.header("content-type"),
        "query": request.query,
        "body": String::from_utf8_lossy(&request.body),
    });
    json_reply(200, &what)
}

fn refuse(status: u16, message: &str) -> Reply {
    let challenge = format!(
        "Bearer realm=\"spotify\", error=\"invalid_token\", error_description=\"{message}\""
    );
    error(status, message).header("WWW-Authenticate", challenge)
}

fn error(status: u16, message: &str) -> Reply {
    let body = json!({"error": {"status": status, "message": message}});
    json_reply(status, &body)
}
