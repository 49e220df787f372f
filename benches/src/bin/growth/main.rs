//! How cost grows. `growth times` and `growth instructions` say what they can measure, with a part and a row
//! behind it they measure it; the second under callgrind. Prints lines of JSON.

/// A row for each library that is built in, measured by a generic function of it.
macro_rules! each_library {
    ($part:expr, $measure:ident) => {
        vec![
            each_library!(
                one,
                $part,
                $measure,
                authflow_benches::backend::by_hand::ByHand
            ),
            #[cfg(feature = "oauth2")]
            each_library!(
                one,
                $part,
                $measure,
                authflow_benches::backend::oauth2::Oauth2
            ),
            each_library!(
                one,
                $part,
                $measure,
                authflow_benches::backend::authflow::Authflow
            ),
        ]
    };
    (one, $part:expr, $measure:ident, $library:ty) => {{
        let name = <$library as authflow_benches::backend::Logins>::NAME;
        ($part, name.to_owned(), Box::new($measure::<$library>) as _)
    }};
}

mod bodies;
mod endpoint;
mod pending;
mod readers;
mod scopes;
mod timers;

use authflow_benches::figure::Row;

/// A part, a row, and what measures it.
type Measured = (&'static str, String, Box<dyn Fn(&Row<'_>)>);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (how, wanted) = arguments.split_first().expect("times or instructions");
    let parts: Vec<Vec<Measured>> = match &**how {
        "times" => vec![pending::times(), timers::times(), readers::times()],
        "instructions" => vec![
            pending::instructions(),
            timers::instructions(),
            scopes::instructions(),
            bodies::instructions(),
        ],
        _ => panic!("times or instructions"),
    };
    for (part, row, measure) in parts.iter().flatten() {
        match wanted {
            [] => println!("{part}\t{row}"),
            [one, other] if one == part && other == row => measure(&Row { part, row }),
            _ => {}
        }
    }
}

/// The least mean of a slice of work, of so many slices, in nanoseconds. Inputs are made beforehand.
fn least<I>(slices: u32, mut inputs: impl FnMut() -> Vec<I>, mut work: impl FnMut(I)) -> f64 {
    let mut slice = || {
        let inputs = inputs();
        let count = inputs.len() as f64;
        let start = std::time::Instant::now();
        inputs.into_iter().for_each(&mut work);
        start.elapsed().as_nanos() as f64 / count
    };
    (0..slices).map(|_| slice()).fold(f64::INFINITY, f64::min)
}
