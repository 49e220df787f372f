//! Whether a library says the same as the others: URLs and forms are equal as sets to those made by hand.

use std::collections::{BTreeMap, BTreeSet};

use crate::fixture;
use crate::libraries::Library;
use crate::libraries::by_hand::ByHand;
use crate::measure::Meter;

/// Keeps what is seen.
#[derive(Default)]
struct Seeing(BTreeMap<&'static str, String>);

impl Meter for Seeing {
    fn step<T>(&mut self, _: &'static str, work: impl FnOnce() -> T) -> T {
        work()
    }

    fn sees(&mut self, step: &'static str, text: &str) {
        self.0.insert(step, text.to_owned());
    }
}

/// # Panics
/// If a URL or a form says anything else than that made by hand.
pub fn check<L: Library>() {
    let by_hand = seen::<ByHand>();
    let theirs = seen::<L>();
    let url = &by_hand["authorize"];
    assert!(url.contains(&format!("code_challenge={}", fixture::CHALLENGE)));
    assert!(theirs.contains_key("authorize"));
    for (step, text) in &theirs {
        let (ours, theirs) = (&by_hand[step], said::<L>(text));
        assert_eq!(theirs, said::<L>(ours), "{}: {step}: {text}", L::NAME);
    }
    assert!(
        theirs.len() == 3 || !L::IS_WHOLE,
        "{} hides a form",
        L::NAME
    );
}

fn seen<L: Library>() -> BTreeMap<&'static str, String> {
    let library = L::new();
    let mut seeing = Seeing::default();
    library.flow(library.inputs(), &mut seeing);
    library.apart(library.inputs(), &mut seeing);
    seeing.0
}

/// Where it goes to, and each parameter. OpenID Connect has a nonce and a scope more.
fn said<L: Library>(text: &str) -> BTreeSet<(String, String)> {
    let (address, query) = text.split_once('?').unwrap_or(("", text));
    let pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned();
    let mut said: BTreeSet<_> = pairs
        .filter(|(name, _)| name != "nonce")
        .map(|(name, value)| {
            let value = match &*name {
                "scope" => scopes(&value),
                "state" | "code_challenge" | "code_verifier" if L::DRAWS_ITS_OWN => {
                    assert!(value.len() >= 22, "{name} is short");
                    String::new()
                }
                _ => value,
            };
            (name, value)
        })
        .collect();
    said.insert(("address".to_owned(), address.to_owned()));
    said
}

fn scopes(value: &str) -> String {
    let mut scopes: Vec<_> = value.split(' ').filter(|one| *one != "openid").collect();
    scopes.sort_unstable();
    scopes.join(" ")
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::libraries;

    #[test]
    fn all_say_the_same() {
        check::<libraries::authflow::Authflow>();
        check::<libraries::by_hand::ByHand>();
        check::<libraries::same_crates::SameCrates>();
    }
}
