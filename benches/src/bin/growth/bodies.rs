//! Long answers of the token endpoint: a refresh with each, per byte of the answer.

use std::fmt::Write as _;

use authflow_benches::backend::Sessions;
use authflow_benches::backend::authflow::Authflow;
use authflow_benches::backend::by_hand::ByHand;
#[cfg(feature = "oauth2")]
use authflow_benches::backend::oauth2::Oauth2;
use authflow_benches::figure::Row;
use authflow_benches::fixture;
use authflow_benches::points::Point;

use crate::Measured;

const PART: &str = "a refresh with a long answer, instructions per byte";
const SIZES: [usize; 5] = [200, 2_000, 20_000, 200_000, 1 << 20];

/// Makes an answer of about so many bytes, and not more.
type Shape = (&'static str, fn(usize) -> String);

static SHAPES: [Shape; 6] = [
    ("one long token", |size| {
        answer(&"t".repeat(size - LEAST), "a", "")
    }),
    ("many scopes", |size| {
        answer("t", &listed(size - LEAST, |at| format!("s{at} ")), "")
    }),
    ("many unknown members", |size| {
        let members = listed(size - LEAST, |at| format!(r#","m{at}":"a value of it""#));
        answer("t", "a", &members)
    }),
    ("one long unknown member", |size| {
        let value = "v".repeat(size - LEAST - 7);
        answer("t", "a", &format!(r#","m":"{value}""#))
    }),
    ("nested, 100 deep", |size| {
        let nest = |at| format!(r#","m{at}":{}{}"#, "[".repeat(100), "]".repeat(100));
        answer("t", "a", &listed(size - LEAST, nest))
    }),
    ("nested without end", |size| {
        let depth = (size - LEAST - 5) / 2;
        let nest = format!(r#","m":{}{}"#, "[".repeat(depth), "]".repeat(depth));
        answer("t", "a", &nest)
    }),
];

/// As long as an answer is with the least of everything.
const LEAST: usize = 100;

pub fn instructions() -> Vec<Measured> {
    let rows = SHAPES.iter().flat_map(|shape| {
        [
            row::<ByHand>(shape),
            #[cfg(feature = "oauth2")]
            row::<Oauth2>(shape),
            row::<Authflow>(shape),
        ]
    });
    rows.collect()
}

fn row<L: Sessions>((name, shape): &'static Shape) -> Measured {
    let row = format!("{name}: {}", L::NAME);
    (PART, row, Box::new(|row| count::<L>(row, *shape)))
}

fn count<L: Sessions>(row: &Row<'_>, shape: fn(usize) -> String) {
    let library = L::new(&fixture::SCOPES.map(str::to_owned));
    for size in SIZES {
        let answer = shape(size);
        assert!(answer.len() <= size);
        let mut point = Point::new(row, size.to_string()).per(answer.len());
        let mut taken = true;
        for _ in 0..2 {
            let (mut session, answer) = (library.session(), answer.clone().into_bytes());
            taken &= point.measured(|| library.refresh(&mut session, answer));
        }
        if !taken {
            eprintln!("{}, {size} bytes: refused", row.row);
        }
        point.over();
    }
}

fn answer(token: &str, scope: &str, more: &str) -> String {
    format!(
        r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":3600,"scope":"{scope}"{more}}}"#
    )
}

/// As many as there is room for.
fn listed(size: usize, one: impl Fn(usize) -> String) -> String {
    let mut list = String::with_capacity(size);
    for at in 0.. {
        let next = one(at);
        if list.len() + next.len() > size {
            break;
        }
        list.write_str(&next).expect("room");
    }
    list
}
