//! The person: in a real browser, or, for logins in which the browser is not what is tested, a
//! few lines that know what a form and a cookie are.

use std::error::Error;
use std::process::{Command, Stdio};
use std::time::Duration;

use ureq::Agent;
use url::{Url, form_urlencoded};

use crate::server::{FOLDER, Kind};

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Clicks through the login and consent pages in headless Chromium, and returns what the script
/// printed about the page at the end.
pub fn in_chromium(kind: Kind, address: &str, answer: &str) -> Result<String> {
    let script = Command::new("node")
        .arg(format!("{FOLDER}/browser/login.mjs"))
        .args([kind.name(), address, answer])
        .stdin(Stdio::null())
        .output()?;
    if !script.status.success() {
        let stderr = String::from_utf8_lossy(&script.stderr);
        return Err(format!("login.mjs ended with {}:\n{stderr}", script.status).into());
    }
    Ok(String::from_utf8(script.stdout)?)
}

/// The page that the client shows in the end.
#[derive(Debug)]
pub struct Landing {
    pub status: u16,
    pub html: String,
}

impl Landing {
    pub fn title(&self) -> &str {
        let title = self.html.split("<title>").nth(1);
        title
            .and_then(|rest| rest.split("</title>").next())
            .unwrap_or_default()
    }
}

/// Follows redirects and agrees to each form, until the client's own page is there.
pub fn agrees(address: &str) -> Result<Landing> {
    let mut response = agent().get(lands_at(address)?).call()?;
    let status = response.status().as_u16();
    let html = response.body_mut().read_to_string()?;
    Ok(Landing { status, html })
}

/// The same, but for the client's own page: where that would have been.
pub fn lands_at(address: &str) -> Result<String> {
    let agent = agent();
    let mut url = Url::parse(address)?;
    let redirect_uri = url.query_pairs().find(|(name, _)| name == "redirect_uri");
    let client = Url::parse(&redirect_uri.ok_or("no redirect_uri")?.1)?.origin();
    let mut cookies: Vec<(String, String)> = Vec::new();
    let mut form = None;
    for _ in 0..20 {
        if url.origin() == client {
            return Ok(url.into());
        }
        let pairs: Vec<_> = cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let cookie = pairs.join("; ");
        let mut response = match form.take() {
            None => agent.get(url.as_str()).header("Cookie", cookie).call()?,
            Some(form) => agent
                .post(url.as_str())
                .header("Cookie", cookie)
                .header("Content-Type", "application/x-www-form-urlencoded")
                .send(form)?,
        };
        for cookie in response.headers().get_all("set-cookie") {
            let pair = cookie.to_str()?.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').ok_or("not a cookie")?;
            cookies.retain(|(known, _)| known != name);
            if !value.is_empty() {
                cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        if let Some(location) = response.headers().get("location") {
            url = url.join(location.to_str()?)?;
            continue;
        }
        let status = response.status().as_u16();
        let html = response.body_mut().read_to_string()?;
        let Some((action, filled_in)) = fill_in(&html) else {
            return Err(format!("no form at {url}, HTTP {status}:\n{html}").into());
        };
        url = url.join(&action)?;
        form = Some(filled_in);
    }
    Err(format!("no end to it, stopped at {url}").into())
}

/// Where the first form goes to, and what is in it once a person has filled it in who agrees. Of
/// several buttons with the same name they press the first.
fn fill_in(html: &str) -> Option<(String, String)> {
    let (tag, form) = html.split_once("<form")?.1.split_once('>')?;
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    let mut seen = Vec::new();
    for tag in form.split("</form").next()?.split('<') {
        let is_field = tag.starts_with("input") || tag.starts_with("button");
        let Some(name) = attribute(tag, "name").filter(|name| is_field && !seen.contains(name))
        else {
            continue;
        };
        match name.as_str() {
            "login" | "username" => pairs.append_pair(&name, "alice"),
            "password" => pairs.append_pair(&name, "pw"),
            _ => pairs.append_pair(&name, &attribute(tag, "value").unwrap_or_default()),
        };
        seen.push(name);
    }
    Some((attribute(tag, "action").unwrap_or_default(), pairs.finish()))
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    Some(rest.split_once('"')?.0.replace("&amp;", "&"))
}

/// What the API says to a token, without the library: HTTP 200 or 401.
pub fn api_status(address: &str, token: &str) -> u16 {
    let call = agent().get(address);
    let answer = call
        .header("Authorization", format!("Bearer {token}"))
        .call();
    answer.expect("an answer").status().as_u16()
}

/// Posts a form, as the program's own server might, behind the library's back.
pub fn post(address: &str, form: &[(&str, &str)]) -> u16 {
    let answer = agent().post(address).send_form(form.iter().copied());
    answer.expect("an answer").status().as_u16()
}

fn agent() -> Agent {
    Agent::config_builder()
        .max_redirects(0)
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .into()
}
