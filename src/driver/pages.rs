//! What the person sees in the browser at the end. Every byte is known beforehand: nothing of the
//! request is ever in a page.

use std::borrow::Cow;

use tiny_http::StatusCode;

/// The pages that the listener shows. The default ones are plain English.
///
/// A page of your own is HTML, shown as it is. It may have inline styles and `data:` images; scripts
/// and anything from elsewhere are forbidden by its Content-Security-Policy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Pages {
    success: Cow<'static, str>,
    denied: Cow<'static, str>,
    failed: Cow<'static, str>,
}

/// Which page to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The login worked, and the tokens are saved.
    Success,
    /// The person, or the server, said no.
    Denied,
    /// The login failed afterwards.
    Failed,
    /// This was not for the login that waits here.
    NotOurs,
}

macro_rules! page {
    ($title:literal, $text:literal) => {
        concat!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">",
            "<meta name=\"viewport\" content=\"width=device-width\"><title>",
            $title,
            "</title><style>:root{color-scheme:light dark}",
            "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem}",
            "</style></head><body><h1>",
            $title,
            "</h1><p>",
            $text,
            "</p></body></html>\n"
        )
    };
}

const NOT_OURS: &str = page!(
    "Not this login",
    "This page is not the answer to the login that is waiting here. If you were logging in, go back to the program and start again."
);

const CLEAN_ADDRESS: &str = "history.replaceState(null,'',location.pathname)";
/// The hash is that script's, as SHA-256 in base64.
const POLICY: &str = "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-UBodp8UhLR9ASBc1PNRKcs3r2CjAFWxCbrUGPN7u1jo='; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n";

impl Default for Pages {
    fn default() -> Self {
        Self {
            success: Cow::Borrowed(page!(
                "You are logged in",
                "You can close this window and go back to the program."
            )),
            denied: Cow::Borrowed(page!(
                "You are not logged in",
                "Access was not granted. You can close this window; to try again, start the login anew."
            )),
            failed: Cow::Borrowed(page!(
                "The login failed",
                "Something went wrong after you agreed. The program says what; you can close this window."
            )),
        }
    }
}

impl Pages {
    /// The default ones.
    pub fn new() -> Self {
        Self::default()
    }

    /// The HTML for a login that worked.
    pub fn success(mut self, html: impl Into<Cow<'static, str>>) -> Self {
        self.success = html.into();
        self
    }

    /// The HTML for a login that was refused.
    pub fn denied(mut self, html: impl Into<Cow<'static, str>>) -> Self {
        self.denied = html.into();
        self
    }

    /// The HTML for a login that failed after the person agreed.
    pub fn failed(mut self, html: impl Into<Cow<'static, str>>) -> Self {
        self.failed = html.into();
        self
    }

    /// The whole HTTP response, for those who have their own sockets. Behind the page goes the one script
    /// there is, which takes the query, and with it the code, out of the address bar and the history.
    #[must_use]
    pub fn response(&self, page: Page) -> Vec<u8> {
        let (status, html) = match page {
            Page::Success => (200, &*self.success),
            Page::Denied => (200, &*self.denied),
            Page::Failed => (200, &*self.failed),
            Page::NotOurs => (400, NOT_OURS),
        };
        let body = format!("{html}<script>{CLEAN_ADDRESS}</script>\n");
        response(StatusCode(status), "text/html", POLICY, &body)
    }
}

/// A short answer to what is no callback.
pub(super) fn refusal(status: StatusCode) -> Vec<u8> {
    let headers = match status.0 {
        405 => "Allow: GET\r\n",
        _ => "",
    };
    let StatusCode(code) = status;
    let body = format!("{code} {}\n", status.default_reason_phrase());
    response(status, "text/plain", headers, &body)
}

fn response(status: StatusCode, kind: &str, headers: &str, body: &str) -> Vec<u8> {
    let StatusCode(code) = status;
    let reason = status.default_reason_phrase();
    let length = body.len();
    format!(
        "HTTP/1.1 {code} {reason}\r\n\
         Content-Type: {kind}; charset=utf-8\r\n\
         Content-Length: {length}\r\n\
         Cache-Control: no-store\r\n\
         Referrer-Policy: no-referrer\r\n\
         X-Content-Type-Options: nosniff\r\n\
         {headers}\
         Connection: close\r\n\
         \r\n\
         {body}"
    )
    .into_bytes()
}
