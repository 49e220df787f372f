//! The pages: static text around escaped values.

use crate::browsers::Browser;
use crate::reply::{Reply, add, reply};

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:4rem auto;\
padding:0 1rem;color:#222;background:#fafafa}h1{font-size:1.4rem}a,button{font:inherit;\
display:inline-block;padding:.5rem 1.5rem;margin:0 .5rem .5rem 0;border:1px solid #888;\
border-radius:.4rem;background:#fff;color:inherit;text-decoration:none;cursor:pointer}\
form{display:inline}";

pub fn home(browser: Option<&Browser>) -> Reply {
    let Some(browser) = browser else {
        let sign_in = "<p>Nobody is signed in at this browser.</p><a href=\"/login\">Sign in</a>";
        return page(200, "Welcome", sign_in);
    };
    let title = format!("Hello, {}", browser.name);
    let body = format!(
        "<p>You are signed in.</p><a href=\"/me\">What the provider says of you</a>{}{}",
        form(browser, "/log-out", "Sign out here"),
        form(browser, "/log-out-everywhere", "Sign out everywhere"),
    );
    page(200, &title, &body)
}

/// A log-out everywhere of which only the tokens are left.
pub fn half_out(status: u16, browser: &Browser) -> Reply {
    let body = format!(
        "<p>But what we may do for you at the provider could not be ended yet.</p>{}<a href=\"/login\">Sign in</a>",
        form(browser, "/log-out-everywhere", "Try again"),
    );
    page(status, "You are signed out everywhere", &body)
}

pub fn too_many() -> Reply {
    let mut reply = trouble(429, "One after the other", "Try again in a moment.");
    add(&mut reply, "Retry-After", "1");
    reply
}

fn form(browser: &Browser, path: &str, text: &str) -> String {
    format!(
        "<form method=\"post\" action=\"{path}\"><input type=\"hidden\" name=\"csrf\" \
         value=\"{}\"><button>{text}</button></form>",
        escape(&browser.csrf)
    )
}

/// Something that the person can do something about.
pub fn trouble(status: u16, title: &str, what_now: &str) -> Reply {
    let body = format!("<p>{}</p><a href=\"/\">Back</a>", escape(what_now));
    page(status, title, &body)
}

fn page(status: u16, title: &str, body: &str) -> Reply {
    let title = escape(title);
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>{STYLE}</style></head><body><h1>{title}</h1>{body}</body></html>\n"
    );
    reply(status, "text/html; charset=utf-8", html)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_name_is_text() {
        assert_eq!(super::escape("<b>\"'&"), "&lt;b&gt;&quot;&#39;&amp;");
    }
}
