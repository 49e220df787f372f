//! Runs a thousand logins at once against a fake provider, then a thousand refreshes at once, then each
//! refresh that comes due by itself, and says what it took.
//!
//! ```text
//! cargo run -p authflow-mio-example            a thousand
//! cargo run -p authflow-mio-example -- 50      fifty
//! ```
//!
//! The provider and the people are another process, which this one starts (`--world`), so that what is
//! counted is the program alone. It exits with 1 if a single login is lost.

use std::env;
use std::error::Error;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use authflow::testing::FakeProvider;
use authflow::{Client, Provider};
use authflow_mio_example::world::{Visit, World};
use authflow_mio_example::{App, Limits, Outcome, Plan, usage};

const USAGE: &str = "usage: authflow-mio-example [LOGINS]";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        [] => with_a_world(1000),
        ["--world", logins] => number(logins).and_then(world).map(|()| true),
        // The provider and the people are elsewhere already.
        ["--join", provider, people, logins] => {
            number(logins).and_then(|logins| log_in(provider, people, logins))
        }
        [logins] => number(logins).and_then(with_a_world),
        _ => Err(USAGE.into()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn number(text: &str) -> Result<usize, Box<dyn Error>> {
    text.parse().map_err(|_| USAGE.into())
}

fn with_a_world(logins: usize) -> Result<bool, Box<dyn Error>> {
    let mut world = Command::new(env::current_exe()?)
        .args(["--world", &logins.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let result = join(&mut world, logins);
    let _ = world.kill();
    let _ = world.wait();
    result
}

fn join(world: &mut Child, logins: usize) -> Result<bool, Box<dyn Error>> {
    let mut line = String::new();
    let output = world.stdout.take().ok_or("the world has no output")?;
    BufReader::new(output).read_line(&mut line)?;
    let (provider, people) = line.trim().split_once(' ').ok_or("the world has ended")?;
    log_in(provider, people, logins)
}

/// The other process: says where it is, and lives until its input ends.
fn world(people: usize) -> Result<(), Box<dyn Error>> {
    let provider = FakeProvider::builder().expires_in(Duration::from_secs(3));
    let world = World::start(provider, people, |_| Visit::Allow)?;
    println!("{} {}", world.provider.base_url(), world.address);
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn log_in(provider: &str, people: &str, logins: usize) -> Result<bool, Box<dyn Error>> {
    let start = Instant::now();
    let limits = Limits::default().granted();
    let plan = Plan {
        logins,
        refreshes: 2,
        first_at_once: true,
    };
    let client = Arc::new(client(provider)?);
    let report = App::new(people.parse()?, limits, plan)?.run(|_| client.clone())?;

    let is_complete = |outcome: &&Option<Outcome>| **outcome == Some(Outcome::Complete);
    let complete = report.outcomes.iter().filter(is_complete).count();
    let known = |count: Option<usize>| count.map_or("unknown here".to_owned(), |n| n.to_string());
    let cpu = usage::cpu_time().map_or("unknown here".to_owned(), |time| format!("{time:.2?}"));
    println!("logins                    {}", report.logins);
    println!("refreshes                 {}", report.refreshes);
    println!("in, refreshed twice, out   {complete} of {logins}");
    println!("threads                   {}", known(usage::threads()));
    println!("logins at once            {}", report.most_logins);
    println!("refreshes at once         {}", report.most_refreshes);
    println!(
        "sockets at once           {} (at most {} browsers, {} calls)",
        report.most_sockets, limits.browsers, limits.calls
    );
    println!("turns of the loop         {}", report.turns);
    println!("CPU time                  {cpu}");
    println!("elapsed                   {:.2?}", start.elapsed());
    for outcome in report
        .outcomes
        .iter()
        .flatten()
        .filter(|o| **o != Outcome::Complete)
    {
        println!("lost: {outcome:?}");
    }
    Ok(complete == logins)
}

fn client(provider: &str) -> Result<Client, Box<dyn Error>> {
    let authorize = format!("{provider}/authorize");
    let provider = Provider::new(authorize, format!("{provider}/api/token"))
        .dangerously_allow_http_on_loopback();
    let client = Client::builder(provider, "fake-client").leeway(Duration::from_secs(1));
    Ok(client.build()?)
}
