//! Fires events in states and renders what comes of it as Markdown tables.

use std::fmt::Write as _;
use std::time::Duration;

use authflow::{Activity, Event, State};

use super::scenario::*;

/// Short enough that one wait can end without another.
pub const LEEWAY: Duration = secs(30);
pub const LOGIN_TIMEOUT: Duration = secs(50);

/// A column: a state, and the walk to it, from a login of an hour where `session` says so.
pub struct Column {
    pub name: &'static str,
    pub session: bool,
    pub auto_refresh: bool,
    pub walk: Walk,
}

pub const fn column(name: &'static str, session: bool, walk: Walk) -> Column {
    Column {
        name,
        session,
        auto_refresh: true,
        walk,
    }
}

/// A row: an event, in all its variants. A case may walk on before it; it is `None` where the event
/// can't be: no such request, no such time.
pub struct Row {
    pub number: &'static str,
    pub event: &'static str,
    /// A refresh was given up on before.
    pub late: bool,
    pub cases: &'static [fn(&mut Scenario) -> Option<Event>],
}

pub const fn row(
    number: &'static str,
    event: &'static str,
    cases: &'static [fn(&mut Scenario) -> Option<Event>],
) -> Row {
    Row {
        number,
        event,
        late: false,
        cases,
    }
}

impl Column {
    fn scenario(&self, late: bool) -> Option<Scenario> {
        let s = Scenario::with(|client| {
            client
                .leeway(LEEWAY)
                .login_timeout(LOGIN_TIMEOUT)
                .auto_refresh(self.auto_refresh)
        });
        match (self.session, late) {
            (false, false) => Some((self.walk)(s)),
            (false, true) => None,
            (true, false) => Some((self.walk)(s.authorized())),
            (true, true) => Some((self.walk)(s.authorized().given_up())),
        }
    }
}

/// What one event did: `→State [actions]`, `· [actions]` if nothing has changed, `✗Misuse`, or `—`.
fn outcome(row: &Row, case: fn(&mut Scenario) -> Option<Event>, column: &Column) -> Option<String> {
    let mut s = column.scenario(row.late)?;
    let event = case(&mut s)?;
    let before = s.view();
    let state_before = {
        let mut twin = column.scenario(row.late)?;
        case(&mut twin)?;
        state_of(twin, column)
    };
    if let Err(misuse) = s.try_fire(event) {
        assert_eq!(s.view(), before, "a misuse changed something");
        return Some(format!("✗{}", misuse.name()));
    }
    let after = s.view();
    let said = match s.said() {
        said if said.is_empty() => said,
        said => format!(" ({said})"),
    };
    let no_action = s.actions.is_empty();
    let state = state_of(s, column);
    if after == before && state == state_before {
        return Some(format!("·{said}"));
    }
    let waits_less = no_action && state == state_before && after.deadline < before.deadline;
    let rest = if waits_less { ", waits less" } else { "" };
    Some(format!("→{state}{said}{rest}"))
}

/// The state's name in the table. What cannot be seen from outside is found out by cancelling the
/// login that hides it.
fn state_of(mut s: Scenario, column: &Column) -> String {
    let activity = s.flow.activity();
    let name = match s.state() {
        State::Unauthorized => return "U".to_owned(),
        State::Authorized => "Z",
        State::Expired => "E",
        State::AwaitingCode => {
            let login = match activity {
                Activity::Exchanging => "Ax",
                _ => "Aw",
            };
            s.fire(Event::CancelLogin);
            return match state_of(s, column).as_str() {
                "U" => login.to_owned(),
                kept => format!("{login}+{kept}"),
            };
        }
    };
    let sleeps_past_refresh = match s.flow.deadline() {
        None => true,
        Some(at) => s.state() == State::Authorized && at == s.expires_at(),
    };
    let rest = match activity {
        Activity::Refreshing => "r",
        Activity::Backoff { .. } => " backoff",
        _ if s.refresh_token().is_some() && !s.flow.can_refresh() => " rejected",
        _ if column.auto_refresh && sleeps_past_refresh => " parked",
        _ => "",
    };
    format!("{name}{rest}")
}

pub fn cell(row: &Row, column: &Column) -> String {
    let mut outcomes: Vec<_> = row
        .cases
        .iter()
        .map(|case| outcome(row, *case, column).unwrap_or_else(|| "—".to_owned()))
        .collect();
    outcomes.dedup();
    outcomes.join(" / ")
}

/// A table of the rows of which `shown` takes the cells.
pub fn table(rows: &[Row], columns: &[Column], shown: impl Fn(&Row, &[String]) -> bool) -> String {
    let names: Vec<_> = columns.iter().map(|column| column.name).collect();
    let mut text = format!("| # | event | {} |\n", names.join(" | "));
    writeln!(text, "|---|---{}|", "|---".repeat(columns.len())).unwrap();
    for row in rows {
        let cells: Vec<_> = columns.iter().map(|column| cell(row, column)).collect();
        if shown(row, &cells) {
            let cells = cells.join(" | ");
            writeln!(text, "| {} | {} | {cells} |", row.number, row.event).unwrap();
        }
    }
    text
}

/// The lines that differ, and of table rows the cells.
pub fn difference(documented: &str, rendered: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (documented.lines().collect(), rendered.lines().collect());
    let mut text = String::new();
    for at in 0..old.len().max(new.len()) {
        let (old, new) = (old.get(at).unwrap_or(&""), new.get(at).unwrap_or(&""));
        if old != new {
            writeln!(text, "line {}:\n- {old}\n+ {new}", at + 1).unwrap();
        }
    }
    text
}
