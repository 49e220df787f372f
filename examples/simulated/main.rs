//! Looks for lives that a program does not survive, in a simulated world.
//!
//! ```text
//! cargo run --example simulated              # the first version of a program, and what is wrong with it
//! cargo run --example simulated -- mended    # the mended one, for as many seeds
//! ```
//!
//! What it finds is printed as a transcript that the example `drive` reads, from the simulated
//! provider: `cargo run -q --example simulated | cargo run -q --example drive`.

mod player;

use authflow::spotify;
use authflow::testing::Simulation;

use player::Player;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = spotify::client("player").build()?;
    let simulation = Simulation::new(client, "http://127.0.0.1:8888/callback")?;
    let seeds = 0..300;
    let result = match std::env::args().nth(1).as_deref() {
        Some("mended") => simulation.search(seeds, Player::start),
        _ => simulation.search(seeds, Player::start_first_version),
    };
    match result {
        Ok(()) => eprintln!("Nothing was found in 300 lives."),
        Err(found) => {
            eprintln!("{found}");
            print!("{}", found.transcript().to_jsonl());
        }
    }
    Ok(())
}
