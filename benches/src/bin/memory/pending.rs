//! 100,000 logins that wait for their callback, in a `HashMap`.

use std::collections::HashMap;
use std::hash::Hash;

use authflow_benches::backend::authflow::Authflow;
use authflow_benches::backend::by_hand::ByHand;
use authflow_benches::backend::{Logins, entropy};
use authflow_benches::figure::Row;
use authflow_benches::fixture;

use crate::{Measured, held};

pub const PART: &str = "pending logins";
const COUNT: usize = 100_000;

pub fn rows() -> Vec<Measured> {
    vec![
        ("raw bytes", raw),
        (ByHand::NAME, library::<ByHand>),
        (Authflow::NAME, library::<Authflow>),
        ("authflow, Snapshot as JSON", snapshot),
        #[cfg(feature = "oauth2")]
        (
            "oauth2",
            library::<authflow_benches::backend::oauth2::Oauth2>,
        ),
        #[cfg(feature = "openidconnect")]
        (
            "openidconnect",
            library::<authflow_benches::backend::openidconnect::Openidconnect>,
        ),
        #[cfg(feature = "rspotify")]
        (
            "rspotify",
            library::<authflow_benches::backend::rspotify::Rspotify>,
        ),
    ]
}

/// `make` is told a number that differs for each.
pub fn put<K: Eq + Hash, V>(row: &Row<'_>, make: impl Fn(u64) -> (K, V)) {
    // What is made once is made now.
    drop(make(u64::MAX));
    held::put(row, size_of::<(K, V)>(), COUNT, || {
        // With its final size, so that no smaller table's memory is left over.
        let mut map = HashMap::with_capacity(COUNT);
        map.extend((0..COUNT as u64).map(make));
        assert_eq!(map.len(), COUNT);
        map
    });
}

fn raw(row: &Row<'_>) {
    put(row, |number| {
        let entropy = entropy(number);
        let state: [u8; 16] = std::array::from_fn(|at| entropy[at]);
        let verifier: [u8; 32] = std::array::from_fn(|at| entropy[32 + at]);
        (state, verifier)
    });
}

fn library<L: Logins>(row: &Row<'_>) {
    let library = L::new(&fixture::SCOPES.map(str::to_owned));
    put(row, |number| library.begin(entropy(number)));
}

/// Of the browser that began a login, which is what finds it if there are many browsers: 43 characters.
pub fn cookie(number: u64) -> String {
    format!("{number:043}")
}

fn snapshot(row: &Row<'_>) {
    let library = Authflow::new(&fixture::SCOPES.map(str::to_owned));
    put(row, |number| {
        let (_, flow) = library.begin(entropy(number));
        (cookie(number), flow.snapshot().to_json())
    });
}
