//! What each step of one library allocates, or one step under callgrind: `steps oauth2`,
//! `valgrind --tool=callgrind --collect-atstart=no --toggle-collect='*measured*' steps oauth2 callback 100`.

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
        "by-hand" => run::<libraries::by_hand::ByHand>(&rest),
        #[cfg(feature = "oauth2")]
        "oauth2" => run::<libraries::oauth2::Oauth2>(&rest),
        other => panic!("{other} is not built in"),
    }
}

fn run<L: Library>(rest: &[String]) {
    let library = L::new();
    // What is made once is made now.
    library.flow(&mut Unmeasured);
    match rest {
        [] => {
            let mut steps = Allocating::default();
            library.flow(&mut steps);
            let mut sum = Allocations::default();
            for (name, step) in &steps.0 {
                println!("{name:18} {step:?}");
                sum.calls += step.calls;
                sum.grown += step.grown;
                sum.bytes += step.bytes;
            }
            println!("{:18} {sum:?}", "flow");
        }
        [step, times] => {
            let times: u32 = times.parse().expect("a number");
            for _ in 0..times {
                library.flow(&mut Seen(step));
            }
        }
        _ => panic!("steps LIBRARY [STEP TIMES]"),
    }
    let _ = measured(|| 0);
}
