//! Long lists of scopes: asked for, and granted by the answer to a refresh.

use authflow_benches::backend::{Logins, Sessions, entropy};
use authflow_benches::figure::Row;
use authflow_benches::points::Point;

use crate::Measured;

const AUTHORIZE: &str = "an authorize URL with so many scopes, instructions";
const REFRESH: &str = "a refresh with so many scopes, instructions";
const SIZES: [usize; 7] = [1, 2, 5, 10, 20, 50, 100];

pub fn instructions() -> Vec<Measured> {
    let mut rows: Vec<Measured> = each_library!(AUTHORIZE, authorize);
    rows.extend::<Vec<Measured>>(each_library!(REFRESH, refresh));
    rows
}

/// Of 18 characters each, as Spotify's are on average.
fn scopes(count: usize) -> Vec<String> {
    (0..count)
        .map(|at| format!("user-modify-no-{at:03}"))
        .collect()
}

fn authorize<L: Logins>(row: &Row<'_>) {
    for size in SIZES {
        let library = L::new(&scopes(size));
        let mut point = Point::new(row, size.to_string());
        for number in 0..100 {
            let entropy = entropy(number);
            point.measured(|| drop(library.begin(entropy)));
        }
        point.over();
    }
}

fn refresh<L: Sessions>(row: &Row<'_>) {
    for size in SIZES {
        let scopes = scopes(size);
        let library = L::new(&scopes);
        let answer = format!(
            r#"{{"access_token":"AT","token_type":"Bearer","expires_in":3600,"refresh_token":"RT","scope":"{}"}}"#,
            scopes.join(" "),
        );
        let mut session = library.session();
        let mut point = Point::new(row, size.to_string());
        for _ in 0..100 {
            let answer = answer.clone().into_bytes();
            assert!(point.measured(|| library.refresh(&mut session, answer)));
        }
        point.over();
    }
}
