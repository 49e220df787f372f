//! The one call to the API that this program makes.

use std::time::Duration;

use authflow::Secret;
use serde_json::Value;
use ureq::Agent;

use crate::jobs::{ApiError, Person};

/// Far more than a profile.
const MAX_BODY: u64 = 1 << 20;

/// Who is logged in. Blocks, so call it on a worker.
pub fn me(url: &str, authorization: &Secret) -> Result<Person, ApiError> {
    // The token goes to this address and nowhere else: no redirect is followed, and plain http is for
    // this machine only.
    let on_this_machine = url.starts_with("http://127.0.0.1:") || url.starts_with("http://[::1]:");
    let config = Agent::config_builder()
        .max_redirects(0)
        .http_status_as_error(false)
        .https_only(!on_this_machine)
        .timeout_global(Some(Duration::from_secs(30)));
    let agent: Agent = match on_this_machine {
        true => config.proxy(None).build().into(),
        false => config.build().into(),
    };
    let call = agent
        .get(url)
        .header("Accept", "application/json")
        .header("Authorization", authorization.expose());
    let mut response = call
        .call()
        .map_err(|error| ApiError::Other(error.to_string()))?;
    let status = response.status().as_u16();
    match status {
        200 => {}
        401 => return Err(ApiError::Rejected),
        _ => return Err(ApiError::Other(format!("the API answered HTTP {status}"))),
    }
    let body = response.body_mut().with_config().limit(MAX_BODY);
    let body = body
        .read_to_vec()
        .map_err(|error| ApiError::Other(error.to_string()))?;
    read(&body).ok_or_else(|| ApiError::Other("the API's answer names nobody".to_owned()))
}

fn read(body: &[u8]) -> Option<Person> {
    let me: Value = serde_json::from_slice(body).ok()?;
    let text = |name: &str| me[name].as_str().filter(|text| !text.is_empty());
    let name = text("display_name")
        .or(text("name"))
        .or(text("id"))
        .or(text("sub"))?;
    let details = [text("email"), text("country"), text("product")];
    let detail = details
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" · ");
    Some(Person {
        name: name.to_owned(),
        detail: Some(detail).filter(|detail| !detail.is_empty()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_read_whoever_wrote_it() {
        let spotify =
            br#"{"display_name":"Alice","id":"a","email":"a@b.example","product":"premium"}"#;
        let person = read(spotify).unwrap();
        assert_eq!(person.name, "Alice");
        assert_eq!(person.detail.as_deref(), Some("a@b.example · premium"));
        let nameless = read(br#"{"display_name":null,"id":"alice"}"#).unwrap();
        assert_eq!((nameless.name.as_str(), nameless.detail), ("alice", None));
        assert_eq!(read(b"{}"), None);
        assert_eq!(read(b"<html>"), None);
    }
}
