//! People who are logged in: 10,000 in a list.

use authflow_benches::backend::authflow::Authflow;
use authflow_benches::backend::by_hand::ByHand;
use authflow_benches::backend::{Logins, Sessions, entropy};
use authflow_benches::figure::Row;
use authflow_benches::fixture;

use crate::{Measured, held};

pub const PART: &str = "live sessions";
const COUNT: usize = 10_000;

pub fn rows() -> Vec<Measured> {
    vec![
        (ByHand::NAME, library::<ByHand>),
        (Authflow::NAME, library::<Authflow>),
        #[cfg(feature = "oauth2")]
        (
            "oauth2",
            library::<authflow_benches::backend::oauth2::Oauth2>,
        ),
        #[cfg(feature = "rspotify")]
        ("rspotify", rspotify),
    ]
}

pub fn put<T>(row: &Row<'_>, make: impl Fn(u64) -> T) {
    drop(make(u64::MAX));
    held::put(row, size_of::<T>(), COUNT, || {
        let mut list = Vec::with_capacity(COUNT);
        list.extend((0..COUNT as u64).map(make));
        list
    });
}

/// As an exchange leaves it.
fn library<L: Sessions>(row: &Row<'_>) {
    let library = L::new(&fixture::SCOPES.map(str::to_owned));
    put(row, |number| {
        let (key, login) = library.begin(entropy(number));
        let state = L::state(entropy(number));
        let mut waiting = [(key, login)].into();
        let target = fixture::target(&state);
        library.finish(&mut waiting, target, fixture::tokens().into_bytes())
    });
}

#[cfg(feature = "rspotify")]
fn rspotify(row: &Row<'_>) {
    use authflow_benches::backend::rspotify::Rspotify;
    use rspotify::Token;

    let library = Rspotify::new(&fixture::SCOPES.map(str::to_owned));
    put(row, |_| {
        let client = library.client();
        let token: Token = serde_json::from_str(&fixture::tokens()).expect("tokens");
        *client.token.lock().expect("nobody panics") = Some(token);
        client
    });
}
