//! Answers, cookies and forms.

use std::io::{Cursor, Read as _, Write as _};

use tiny_http::{Header, Request, Response};

pub type Reply = Response<Cursor<Vec<u8>>>;

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
    let mut reply = Response::from_string(body).with_status_code(status);
    for (name, value) in HEADERS {
        add(&mut reply, name, value);
    }
    add(&mut reply, "Content-Type", kind);
    reply
}

pub fn redirect(location: &str) -> Reply {
    let mut reply = reply(303, "text/plain; charset=utf-8", String::new());
    add(&mut reply, "Location", location);
    reply
}

pub fn add(reply: &mut Reply, name: &str, value: &str) {
    // What can't be a header is left out; none of ours is such.
    if let Ok(header) = Header::from_bytes(name, value) {
        reply.add_header(header);
    }
}

/// Sends it, and has the client hang up. A connection that stays open would keep a thread of tiny_http's,
/// and a request that came just then could wait for it.
pub fn send(request: Request, reply: Reply) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let version = request.http_version().clone();
    reply.raw_print(&mut bytes, version, &[], false, None)?;
    let end_of_line = bytes.iter().position(|&byte| byte == b'\n');
    let at = end_of_line.map_or(0, |at| at + 1);
    bytes.splice(at..at, *b"Connection: close\r\n");
    let mut writer = request.into_writer();
    writer.write_all(&bytes)?;
    writer.flush()
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
        let headers = request.headers().iter();
        let cookies = headers.filter(|header| header.field.equiv("Cookie"));
        let mut pairs = cookies.flat_map(|header| header.value.as_str().split(';'));
        let value = pairs.find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == wanted).then(|| value.to_owned())
        });
        value.filter(|value| !value.is_empty())
    }
}

/// A field of a small form.
pub fn field(request: &mut Request, name: &str) -> Option<String> {
    const MOST: usize = 4096;
    if request.body_length().is_none_or(|length| length > MOST) {
        return None;
    }
    let mut body = Vec::new();
    let mut reader = request.as_reader().take(MOST as u64);
    reader.read_to_end(&mut body).ok()?;
    let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(&body).ok()?;
    let mut values = pairs.into_iter().filter(|(field, _)| field == name);
    values.next().map(|(_, value)| value)
}
