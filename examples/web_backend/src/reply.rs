//! Answers and cookies.

use crate::request::Request;

pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// Nobody else may show these pages in a frame, keep them, or learn their addresses.
const HEADERS: [(&str, &str); 5] = [
    ("Cache-Control", "no-store"),
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
];

pub fn reply(status: u16, kind: &str, body: String) -> Reply {
    let mut reply = Reply {
        status,
        headers: Vec::new(),
        body,
    };
    for (name, value) in HEADERS {
        add(&mut reply, name, value);
    }
    add(&mut reply, "Content-Type", kind);
    reply
}

/// A few words, where there is no page.
pub fn plain(status: u16, text: &str) -> Reply {
    reply(status, "text/plain; charset=utf-8", format!("{text}\n"))
}

pub fn redirect(location: &str) -> Reply {
    let mut reply = reply(303, "text/plain; charset=utf-8", String::new());
    add(&mut reply, "Location", location);
    reply
}

pub fn add(reply: &mut Reply, name: &str, value: &str) {
    // What can't be a header is left out; none of ours is such.
    if value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        reply.headers.push((name.to_owned(), value.to_owned()));
    }
}

impl Reply {
    /// As it is sent, on a connection that ends with it.
    pub(crate) fn to_bytes(&self, with_body: bool) -> Vec<u8> {
        let Self { status, body, .. } = self;
        let length = body.len();
        let mut text = format!(
            "HTTP/1.1 {status} {}\r\nConnection: close\r\nContent-Length: {length}\r\n",
            reason(*status)
        );
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        if with_body {
            text.push_str(body);
        }
        text.into_bytes()
    }
}

/// For people who look at it; no program does.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        303 => "See Other",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        413 => "Content Too Large",
        417 => "Expectation Failed",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

/// How cookies are called and protected. `__Host-` keeps other hosts of the same domain from setting them.
/// Both that and `Secure` want https, for which Chromium takes `http://127.0.0.1` too; other browsers may
/// not, so that they can be left out there.
#[derive(Clone, Copy)]
pub struct Cookies {
    pub are_plain: bool,
}

impl Cookies {
    fn name(self, name: &str) -> String {
        let prefix = if self.are_plain { "" } else { "__Host-" };
        format!("{prefix}{name}")
    }

    /// `Lax` is what lets the cookie come along when the provider sends the browser back, and keeps it from
    /// coming along with another site's form.
    pub fn set(self, reply: &mut Reply, name: &str, value: &str, seconds: u64) {
        let secure = if self.are_plain { "" } else { "; Secure" };
        let name = self.name(name);
        let cookie =
            format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
        add(reply, "Set-Cookie", &cookie);
    }

    pub fn clear(self, reply: &mut Reply, name: &str) {
        self.set(reply, name, "", 0);
    }

    pub fn get(self, request: &Request, name: &str) -> Option<String> {
        let wanted = self.name(name);
        let mut pairs = request
            .headers("Cookie")
            .flat_map(|cookies| cookies.split(';'));
        let value = pairs.find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == wanted).then(|| value.to_owned())
        });
        value.filter(|value| !value.is_empty())
    }
}
