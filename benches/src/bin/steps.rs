//! What one library costs, step by step.
//!
//! `steps LIBRARY` checks that it says what the others say, and prints what each step allocates, as JSON;
//! `steps LIBRARY STEP TIMES` does one step where callgrind sees it (`--toggle-collect='*measure::measured*'`),
//! `flow` being all of them, and the end of all that they made.

use authflow_benches::check::check;
use authflow_benches::libraries::{self, Library};
use authflow_benches::measure::{Allocating, Allocations, Counting, Seen, Unmeasured, measured};

#[global_allocator]
static COUNTING: Counting = Counting;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let library = arguments.next().expect("a library");
    let rest: Vec<String> = arguments.collect();
    match library.as_str() {
        "authflow" => run::<libraries::authflow::Authflow>(&rest),
        "by hand" => run::<libraries::by_hand::ByHand>(&rest),
        "same crates" => run::<libraries::same_crates::SameCrates>(&rest),
        #[cfg(feature = "oauth2")]
        "oauth2" => run::<libraries::oauth2::Oauth2>(&rest),
        #[cfg(feature = "openidconnect")]
        "openidconnect" => run::<libraries::openidconnect::OpenIdConnect>(&rest),
        #[cfg(feature = "rspotify")]
        "rspotify" => run::<libraries::rspotify::Rspotify>(&rest),
        other => panic!("{other} is not built in"),
    }
}

fn run<L: Library>(rest: &[String]) {
    let library = L::new();
    // What is made once is made now.
    library.flow(library.inputs(), &mut Unmeasured);
    library.apart(library.inputs(), &mut Unmeasured);
    match rest {
        [] => {
            check::<L>();
            allocations(&library);
        }
        [step, times] => {
            let times: u32 = times.parse().expect("a number");
            for _ in 0..times {
                let (inputs, others) = (library.inputs(), library.inputs());
                if step == "flow" {
                    measured(|| library.flow(inputs, &mut Unmeasured));
                } else {
                    library.flow(inputs, &mut Seen(step));
                    library.apart(others, &mut Seen(step));
                }
            }
        }
        _ => panic!("steps LIBRARY [STEP TIMES]"),
    }
}

fn allocations<L: Library>(library: &L) {
    let mut steps = Allocating::default();
    library.flow(library.inputs(), &mut steps);
    library.apart(library.inputs(), &mut steps);
    if L::IS_WHOLE {
        let inputs = library.inputs();
        let before = Allocations::now();
        library.flow(inputs, &mut Unmeasured);
        steps.0.insert("flow", Allocations::since(before));
    }
    for (step, counts) in steps.0 {
        let Allocations {
            calls,
            grown,
            bytes,
            ..
        } = counts;
        println!(
            r#"{{"step":"{step}","allocations":{calls},"reallocations":{grown},"bytes":{bytes}}}"#
        );
    }
}
