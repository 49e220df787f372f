//! The fake provider's pages. Static text around escaped values, nothing from anywhere else.

use super::http::Reply;

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:4rem auto;\
padding:0 1rem;color:#222;background:#fafafa}h1{font-size:1.4rem}code{overflow-wrap:anywhere}\
button{font:inherit;padding:.5rem 1.5rem;margin-right:.5rem;border:1px solid #888;\
border-radius:.4rem;background:#fff;cursor:pointer}button.yes{background:#1a7f4b;color:#fff;\
border-color:#1a7f4b}.note{color:#666;font-size:.875rem}";

// `form-action` is left out on purpose: browsers apply it to the redirect after the form too, and
// that one leads to the client.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; \
base-uri 'none'";

/// What `GET /` shows.
pub(super) fn home() -> Reply {
    page(
        200,
        "Fake provider",
        "<p>This is an authorization server for tests and demonstrations. It runs on this \
         computer only, everybody is called alice, and it forgets everything when it ends.</p>",
    )
}

/// The question to the person.
pub(super) fn consent(client_id: &str, redirect_uri: &str, scope: &str, ticket: &str) -> Reply {
    let scopes = if scope.is_empty() {
        "<p>It asks for public data only.</p>".to_owned()
    } else {
        let items: String = scope
            .split(' ')
            .map(|scope| format!("<li><code>{}</code></li>", escape(scope)))
            .collect();
        format!("<p>It asks for:</p><ul>{items}</ul>")
    };
    let body = format!(
        "<p>The program <code>{client}</code> would like to use your account. You are alice.</p>\
         {scopes}\
         <form method=\"post\" action=\"/consent\">\
         <input type=\"hidden\" name=\"ticket\" value=\"{ticket}\">\
         <button class=\"yes\" name=\"answer\" value=\"allow\">Allow</button>\
         <button name=\"answer\" value=\"deny\">Deny</button></form>\
         <p class=\"note\">Then on to <code>{redirect}</code></p>",
        client = escape(client_id),
        ticket = escape(ticket),
        redirect = escape(redirect_uri),
    );
    page(200, "Allow access?", &body)
}

/// An error that has to stay here, because there is no client that it could safely be sent to.
pub(super) fn error(status: u16, message: &str) -> Reply {
    page(
        status,
        message,
        "<p>Nothing was sent anywhere. You can close this page.</p>",
    )
}

fn page(status: u16, title: &str, body: &str) -> Reply {
    let title = escape(title);
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>{STYLE}</style></head><body><h1>{title}</h1>{body}</body></html>\n"
    );
    Reply::new(status)
        .header("Content-Type", "text/html; charset=utf-8")
        .header("Cache-Control", "no-store")
        .header("Referrer-Policy", "no-referrer")
        .header("X-Content-Type-Options", "nosniff")
        .header("Content-Security-Policy", POLICY)
        .body(html)
}

fn escape(text: &str) -> String {
    text.chars()
        .fold(String::with_capacity(text.len()), |mut out, c| {
            match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                '\'' => out.push_str("&#39;"),
                c => out.push(c),
            }
            out
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_reaches_a_page_unescaped() {
        let evil = "\"><script>alert('1')</script>&";
        for reply in [consent(evil, evil, evil, evil), error(400, evil)] {
            let html = String::from_utf8(reply.body).unwrap();
            assert!(!html.contains("<script"), "{html}");
            assert!(!html.contains("'1'"), "{html}");
        }
    }

    #[test]
    fn no_scope_is_public_data_and_not_an_empty_list() {
        let html = String::from_utf8(consent("c", "r", "", "t").body).unwrap();
        assert!(html.contains("public data only") && !html.contains("<li>"));
        let html = String::from_utf8(consent("c", "r", "one two", "t").body).unwrap();
        assert!(html.contains("<li><code>one</code></li><li><code>two</code></li>"));
    }
}
