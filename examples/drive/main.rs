//! The machine on a line: one JSON object in, one JSON object out.
//!
//! A person, a script or a test suite in any language can drive the machine by hand:
//!
//! ```text
//! printf '%s\n' '{"config":{"provider":"spotify","client_id":"c","scopes":["user-read-email"]}}' \
//!               '{"now":0,"event":{"tick":{}}}' | cargo run -q --example drive
//! ```
//!
//! The first line is a `config`; a later one starts afresh. Then come events with the time in
//! milliseconds, `{"snapshot":true}`, or `{"restore":SNAPSHOT,"now":MS}`. Tokens are printed in the
//! clear, on purpose: use made-up ones.

mod input;
mod output;

use std::io::{BufRead, Write};

use serde_json::{Value, json};

use authflow::{AuthFlow, Client, Snapshot, Timestamp};
use input::{Fault, Line};

const HELP: &str = "\
drive: the authflow state machine, one JSON object per line in, one out.

  {\"config\":{\"provider\":\"spotify\",\"client_id\":\"…\"}}      first, or to start afresh
  {\"now\":MS,\"event\":{NAME:{…}}}                          an event; NAME is begin_login, callback,
                                                         cancel_login, response, transport_error,
                                                         refresh, token_rejected, adopt_tokens,
                                                         log_out or tick
  {\"snapshot\":true}                                      what would be saved
  {\"restore\":SNAPSHOT,\"now\":MS}                          goes on from there

Tokens, codes and verifiers are printed in the clear, on purpose: do not use real ones.
";

fn main() -> std::io::Result<()> {
    if std::env::args().len() > 1 {
        print!("{HELP}");
        return Ok(());
    }
    let mut drive = Drive::default();
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().split(b'\n') {
        let line = line?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let answer = drive.answer(&line);
        let written = writeln!(out, "{answer}").and_then(|()| out.flush());
        match written {
            // Whoever read the answers has had enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            other => other?,
        }
    }
    Ok(())
}

/// What is being driven.
#[derive(Default)]
struct Drive {
    client: Option<Client>,
    flow: Option<AuthFlow>,
    now: Option<Timestamp>,
}

impl Drive {
    fn answer(&mut self, line: &[u8]) -> Value {
        let mut saved = None;
        let taken = input::read(line).and_then(|line| self.take(line, &mut saved));
        let error = taken.err();
        let actions = self.flow.as_mut().map(output::drain).unwrap_or_default();
        let mut answer = output::describe(self.flow.as_ref(), self.now, error, actions);
        if let Some(saved) = saved {
            answer["snapshot"] = saved;
        }
        answer
    }

    fn take(&mut self, line: Line, saved: &mut Option<Value>) -> Result<(), Fault> {
        let no_config = || Fault::input("NoConfig", "the first line must be a config");
        match line {
            Line::Config(client) => {
                let client = (*client)?;
                self.flow = Some(AuthFlow::new(client.clone()));
                self.client = Some(client);
                self.now = None;
            }
            Line::Event { event, now } => {
                let client = self.client.as_ref().ok_or_else(no_config)?;
                let flow = self.flow.as_mut().ok_or_else(no_config)?;
                let event = input::event(&event, client)?;
                flow.handle(event, now).map_err(Fault::misuse)?;
                self.now = Some(now);
            }
            Line::Snapshot => {
                let flow = self.flow.as_ref().ok_or_else(no_config)?;
                *saved = Some(json!(flow.snapshot()));
            }
            Line::Restore { saved, now } => {
                let client = self.client.clone().ok_or_else(no_config)?;
                let saved = Snapshot::from_json(saved.to_string().as_bytes());
                let flow = saved.and_then(|saved| AuthFlow::restore(client, saved, now));
                self.flow = Some(flow.map_err(Fault::restore)?);
                self.now = Some(now);
            }
        }
        Ok(())
    }
}
