//! A web server with a client secret: it sends the browser away, the browser comes back to it, and no
//! listener of the library's is involved.
//!
//! ```text
//! cargo run --example web_login
//! ```
//!
//! What counts is the cookie: a login that waits belongs to the browser that began it. A callback that
//! any other browser brings, an attacker's link for instance, finds no login.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::thread;

use authflow::session::PendingLogin;
use authflow::testing::{Answer, FakeProvider, Person};
use authflow::{CallbackUrl, Client, Login};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tiny_http::{Header, Request, Response, Server};

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let server = Arc::new(Server::http("127.0.0.1:0")?);
    let base = format!("http://{}", server.server_addr());
    let provider = FakeProvider::builder()
        .client_secret("a secret")
        .redirect_uris([format!("{base}/callback")])
        .start()?;
    println!("This is a fake provider, and a web server at {base}.");
    let mut site = Site {
        callback: format!("{base}/callback"),
        me: provider.me_url(),
        client: Arc::new(provider.client().build()?),
        pending: HashMap::new(),
    };
    let listening = server.clone();
    let serving = thread::spawn(move || {
        while let Ok(request) = listening.recv() {
            site.serve(request);
        }
    });

    // Two browsers. One begins a login, and the person allows it.
    let began = ask(&format!("{base}/login"), None)?;
    let (location, cookie) = (header(&began, "location")?, header(&began, "set-cookie")?);
    let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
    let callback = Person::redirect_for(&location, Answer::Allow)?;
    let other = ask(&callback, Some("id=another-browser"))?;
    println!("Another browser brings the callback: {}", other.status());
    let mut own = ask(&callback, Some(&cookie))?;
    println!(
        "The same browser brings it: {} {}",
        own.status(),
        own.body_mut().read_to_string()?
    );
    let again = ask(&callback, Some(&cookie))?;
    println!("And once more: {}", again.status());

    server.unblock();
    let _ = serving.join();
    Ok(())
}

struct Site {
    callback: String,
    me: String,
    client: Arc<Client>,
    /// Logins that wait, by the browser that began them. A real server also forgets them after a while.
    pending: HashMap<String, PendingLogin>,
}

impl Site {
    fn serve(&mut self, request: Request) {
        let (path, query) = request.url().split_once('?').unwrap_or((request.url(), ""));
        let response = match path {
            "/login" => self.begin(),
            "/callback" => self.finish(&cookie(&request), query),
            _ => Ok(Response::from_string("nothing here").with_status_code(404)),
        };
        let response = response.unwrap_or_else(|error| {
            println!("(the server says: {error})");
            Response::from_string("the login failed").with_status_code(400)
        });
        let _ = request.respond(response);
    }

    fn begin(&mut self) -> Result<Response<std::io::Cursor<Vec<u8>>>, Box<dyn Error>> {
        let login = Login::with_client(Arc::clone(&self.client));
        let pending = login.begin(&self.callback)?;
        let mut id = [0; 32];
        getrandom::fill(&mut id)?;
        let id = URL_SAFE_NO_PAD.encode(id);
        // Behind https, also `Secure`.
        let cookie = format!("Set-Cookie: id={id}; HttpOnly; SameSite=Lax; Path=/");
        let location = format!("Location: {}", pending.url().as_str());
        self.pending.insert(id, pending);
        let mut response = Response::from_string("").with_status_code(302);
        for header in [cookie, location] {
            let header: Header = header.parse().map_err(|()| "a header")?;
            response.add_header(header);
        }
        Ok(response)
    }

    /// The login is taken out, so that its callback works once.
    fn finish(
        &mut self,
        id: &str,
        query: &str,
    ) -> Result<Response<std::io::Cursor<Vec<u8>>>, Box<dyn Error>> {
        let mut pending = self
            .pending
            .remove(id)
            .ok_or("this browser began no login")?;
        let session = pending.callback(CallbackUrl::from_query(query))?;
        let me: serde_json::Value = session.get(&self.me)?.read_json()?;
        let name = me["display_name"].as_str().unwrap_or("somebody");
        Ok(Response::from_string(format!("Hello, {name}.")))
    }
}

fn cookie(request: &Request) -> String {
    let mut headers = request.headers().iter();
    let cookie = headers.find(|header| header.field.equiv("Cookie"));
    let cookie = cookie.map_or("", |header| header.value.as_str());
    cookie.strip_prefix("id=").unwrap_or_default().to_owned()
}

// --- a browser, as far as one is needed -----------------------------------------------------------

type Reply = ureq::http::Response<ureq::Body>;

fn ask(url: &str, cookie: Option<&str>) -> Result<Reply, ureq::Error> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .max_redirects(0)
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .into();
    let get = agent.get(url);
    match cookie {
        Some(cookie) => get.header("Cookie", cookie).call(),
        None => get.call(),
    }
}

fn header(reply: &Reply, name: &str) -> Result<String, Box<dyn Error + Send + Sync>> {
    let value = reply.headers().get(name).ok_or("a header is missing")?;
    Ok(value.to_str()?.to_owned())
}
