//! The time of each step, for people: `cargo bench -p authflow-benches --no-default-features --features
//! criterion --bench nanoseconds`. Counts are what to compare by: `parts/steps`.

use std::cell::Cell;
use std::time::Duration;

use authflow_benches::libraries::{self, Library};
use authflow_benches::measure::{Meter, Timed, Unmeasured};
use criterion::{BatchSize, Criterion};

fn main() {
    let mut criterion = Criterion::default()
        .without_plots()
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(400))
        .sample_size(40)
        .configure_from_args();
    let criterion = &mut criterion;
    // A peer is built alone, for its own sake; ours and the floors need nothing.
    #[cfg(feature = "oauth2")]
    measure::<libraries::oauth2::Oauth2>(criterion);
    #[cfg(feature = "openidconnect")]
    measure::<libraries::openidconnect::OpenIdConnect>(criterion);
    #[cfg(feature = "rspotify")]
    measure::<libraries::rspotify::Rspotify>(criterion);
    if !cfg!(any(
        feature = "oauth2",
        feature = "openidconnect",
        feature = "rspotify"
    )) {
        measure::<libraries::authflow::Authflow>(criterion);
        measure::<libraries::by_hand::ByHand>(criterion);
        measure::<libraries::same_crates::SameCrates>(criterion);
    }
    criterion.final_summary();
}

fn measure<L: Library>(criterion: &mut Criterion) {
    let library = L::new();
    let mut names = Names::default();
    library.flow(library.inputs(), &mut names);
    let in_a_flow = names.0.len();
    library.apart(library.inputs(), &mut names);
    let mut group = criterion.benchmark_group(L::NAME);
    if L::IS_WHOLE {
        group.bench_function("flow", |bencher| {
            bencher.iter_batched(
                || library.inputs(),
                |inputs| library.flow(inputs, &mut Unmeasured),
                BatchSize::NumIterations(10),
            );
        });
    }
    for (at, name) in names.0.iter().enumerate() {
        let clock = clock();
        group.bench_function(*name, |bencher| {
            bencher.iter_custom(|times| {
                let mut timed = Timed {
                    name,
                    total: Duration::ZERO,
                };
                for _ in 0..times {
                    let inputs = library.inputs();
                    if at < in_a_flow {
                        library.flow(inputs, &mut timed);
                    } else {
                        library.apart(inputs, &mut timed);
                    }
                }
                let clocks = clock.mul_f64(times as f64 / 1000.0);
                // Criterion takes no zero.
                timed
                    .total
                    .saturating_sub(clocks)
                    .max(Duration::from_nanos(1))
            });
        });
    }
    group.finish();
}

/// What a thousand pairs of clock readings take at least, which `Timed` counts with each step.
fn clock() -> Duration {
    let slice = || {
        let mut nothing = Timed {
            name: "nothing",
            total: Duration::ZERO,
        };
        for _ in 0..1000 {
            nothing.step("nothing", || Cell::new(0));
        }
        nothing.total
    };
    (0..100).map(|_| slice()).min().unwrap_or_default()
}

/// The steps there are.
#[derive(Default)]
struct Names(Vec<&'static str>);

impl Meter for Names {
    fn step<T>(&mut self, name: &'static str, work: impl FnOnce() -> T) -> T {
        self.0.push(name);
        work()
    }
}
