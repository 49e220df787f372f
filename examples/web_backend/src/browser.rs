//! A browser, as far as the demonstration and the tests need one: it keeps cookies, and follows a redirect
//! when it is told to.

use std::collections::BTreeMap;

use authflow::testing::Person;

use crate::Error;

#[derive(Clone, Default)]
pub struct Browser {
    pub cookies: BTreeMap<String, String>,
}

pub struct Page {
    pub status: u16,
    pub location: Option<String>,
    /// As they were set, with all that is said about them.
    pub cookies: Vec<String>,
    pub body: String,
}

impl Browser {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn get(&mut self, url: &str) -> Result<Page, Error> {
        let get = agent().get(url).header("Cookie", self.cookie());
        self.read(get.call()?)
    }

    pub fn post(&mut self, url: &str, form: &[(&str, &str)]) -> Result<Page, Error> {
        let post = agent().post(url).header("Cookie", self.cookie());
        self.read(post.send_form(form.iter().copied())?)
    }

    /// Begins to sign in: where the provider's page is.
    pub fn begin(&mut self, site: &str) -> Result<String, Error> {
        let page = self.get(&format!("{site}/login"))?;
        Ok(page
            .location
            .ok_or_else(|| format!("HTTP {}: {}", page.status, page.body))?)
    }

    /// Signs in as this person, from the beginning to the first page.
    pub fn sign_in(&mut self, site: &str, name: &str) -> Result<Page, Error> {
        let back = Person::redirect_as(&self.begin(site)?, name)?;
        self.get(&back)
    }

    /// Presses a button of the first page's that sends a form there.
    pub fn press(&mut self, site: &str, path: &str) -> Result<Page, Error> {
        let home = self.get(&format!("{site}/"))?;
        let csrf = home.body.split("name=\"csrf\" value=\"").nth(1);
        let csrf = csrf.and_then(|rest| rest.split('"').next());
        let csrf = csrf.ok_or("nobody is signed in here")?;
        self.post(&format!("{site}{path}"), &[("csrf", csrf)])
    }

    fn cookie(&self) -> String {
        let pairs = self.cookies.iter();
        let pairs: Vec<_> = pairs
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("; ")
    }

    fn read(&mut self, mut response: ureq::http::Response<ureq::Body>) -> Result<Page, Error> {
        let mut cookies = Vec::new();
        for cookie in response.headers().get_all("set-cookie") {
            cookies.push(cookie.to_str()?.to_owned());
            let pair = cookie.to_str()?.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').ok_or("not a cookie")?;
            match value {
                "" => self.cookies.remove(name),
                _ => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        let location = response.headers().get("location");
        let location = location
            .map(|to| to.to_str().map(str::to_owned))
            .transpose()?;
        Ok(Page {
            status: response.status().as_u16(),
            location,
            cookies,
            body: response.body_mut().read_to_string()?,
        })
    }
}

/// One connection for each request, so that a balancer sends each elsewhere.
fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .max_redirects(0)
        .http_status_as_error(false)
        .max_idle_connections(0)
        .proxy(None)
        .timeout_global(Some(std::time::Duration::from_secs(90)))
        .build()
        .into()
}
