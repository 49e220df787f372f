//! The handles that a program makes once and hands around: what one holds, and what a clone costs.

use std::hint::black_box;
use std::sync::Arc;

use authflow::spotify;
use authflow_benches::figure::Row;
use authflow_benches::fixture;
use authflow_benches::measure::Allocations;

use crate::Measured;

pub const PART: &str = "handles";

pub fn rows() -> Vec<Measured> {
    vec![
        ("authflow, Arc of Client", |row| {
            put(row, || Arc::new(builder().build().expect("a client")));
        }),
        ("authflow, Client", |row| {
            put(row, || builder().build().expect("a client"));
        }),
        ("authflow, ClientBuilder", |row| put(row, builder)),
        #[cfg(feature = "oauth2")]
        ("oauth2, BasicClient", |row| {
            use authflow_benches::backend::{Logins, oauth2::Oauth2};
            put(row, || Oauth2::new(&[]).client);
        }),
        #[cfg(feature = "openidconnect")]
        ("openidconnect, CoreClient", |row| {
            use authflow_benches::backend::{Logins, openidconnect::Openidconnect};
            put(row, || Openidconnect::new(&[]).client);
        }),
        #[cfg(feature = "rspotify")]
        ("rspotify, AuthCodePkceSpotify", |row| {
            use authflow_benches::backend::{Logins, rspotify::Rspotify};
            let library = Rspotify::new(&fixture::SCOPES.map(str::to_owned));
            put(row, || library.client());
        }),
    ]
}

pub fn builder() -> authflow::ClientBuilder {
    spotify::client(fixture::CLIENT_ID).scopes(fixture::SCOPES)
}

pub fn put<T: Clone>(row: &Row<'_>, make: impl Fn() -> T) {
    drop(make());
    let before = Allocations::now();
    let handle = black_box(make());
    let held = Allocations::since(before);
    let before = Allocations::now();
    let clone = black_box(handle.clone());
    let cloned = Allocations::since(before);
    drop(clone);
    row.put("inline", size_of::<T>(), "bytes");
    row.put("heap", held.live, "bytes");
    row.put("allocations", held.calls - held.freed, "allocations");
    row.put("clone: heap", cloned.live, "bytes");
    row.put("clone: allocations", cloned.calls, "allocations");
}
