//! Renders the transition table from the machine itself, by firing every event in every state, and
//! compares it with the one in the documentation. `UPDATE_DOCS=1` writes it anew.

mod support;

use std::time::Duration;

use authflow::{Activity, CallbackUrl, Event, RequestId, State, Timestamp, TokenSerial, TokenSet};
use serde_json::json;
use support::scenario::*;
use support::table::{Column, LEEWAY, LOGIN_TIMEOUT, Row, cell, column, difference, row, table};

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/flow/transitions.md");

const EXCHANGE: &str = "authorization_code";
const REFRESH: &str = "refresh_token";
const STATES: &[Column] = &[
    column("U", false, |s| s),
    column("Aw", false, |s| s.awaiting_code()),
    column("Ax", false, |s| s.exchanging()),
    column("Z", true, |s| s),
    column("Zr", true, |s| s.refreshing()),
    column("E", true, expired),
    column("Er", true, |s| s.expired_refreshing()),
];

/// In a backoff that outlasts any login.
fn expired(s: Scenario) -> Scenario {
    let mut s = s.expired_refreshing();
    s.answer(retry_after(503, "600"));
    s
}

const LOGIN_OVER_SESSION: &[Column] = &[
    column("Aw+Z", true, |s| s.awaiting_code()),
    column("Aw+Zr", true, |s| s.refreshing().awaiting_code()),
    column("Aw+E", true, |s| expired(s).awaiting_code()),
    column("Aw+Er", true, |s| s.expired_refreshing().awaiting_code()),
    column("Ax+Z", true, |s| s.exchanging()),
    column("Ax+Zr", true, |s| s.refreshing().exchanging()),
    column("Ax+E", true, |s| expired(s).exchanging()),
    column("Ax+Er", true, |s| s.expired_refreshing().exchanging()),
];

const SPECIAL: &[Column] = &[
    column("Z backoff", true, |s| s.backoff()),
    column("Z parked", true, |s| s.parked()),
    column("Z rejected", true, |s| s.rejected()),
    Column {
        auto_refresh: false,
        ..column("Z manual", true, |s| s)
    },
    column("E parked", true, |s| s.expired().parked()),
    column("E rejected", true, |s| s.expired().rejected()),
    Column {
        auto_refresh: false,
        ..column("E manual", true, |s| s.expired())
    },
];

const ROWS: &[Row] = &[
    row("1", "BeginLogin", &[|s| Some(s.begin_login())]),
    row("2", "Callback: a code", &[|s| Some(s.callback("code=c"))]),
    row(
        "3",
        "Callback: an error",
        &[|s| Some(s.callback("error=access_denied"))],
    ),
    row(
        "4",
        "Callback: not this login's, or malformed",
        &[
            |_| callback("code=c"),
            |_| callback("code=c&state=wrong"),
            |_| callback("error=access_denied"),
            |s| Some(s.callback("state=twice&code=c")),
            |s| Some(s.callback("code=c&error=access_denied")),
            |s| Some(s.callback("nothing=at_all")),
            |s| Some(s.callback("code=c&iss=https%3A%2F%2Fevil.example")),
        ],
    ),
    row("5", "CancelLogin", &[|_| Some(Event::CancelLogin)]),
    row(
        "6",
        "Response to the exchange: tokens",
        &[|s| exchanged(s, tokens_with("AT-9", json!({ "refresh_token": "RT-9" })))],
    ),
    row(
        "6",
        "… that have ended already",
        &[|s| {
            let ended = json!({ "refresh_token": "RT-9", "expires_in": 0 });
            exchanged(s, tokens_with("AT-9", ended))
        }],
    ),
    row(
        "7",
        "… anything else",
        &[
            |s| exchanged(s, no_answer()),
            |s| exchanged(s, status(503)),
            |s| exchanged(s, status(302)),
            |s| exchanged(s, status(200)),
            |s| exchanged(s, oauth_error("invalid_grant")),
        ],
    ),
    row(
        "8",
        "Response to the refresh: tokens",
        &[|s| refreshed(s, tokens("AT-9"))],
    ),
    row(
        "9",
        "… none, or status 429 or 5xx",
        &[
            |s| refreshed(s, no_answer()),
            |s| refreshed(s, status(429)),
            |s| refreshed(s, status(500)),
            |s| refreshed(s, status(503)),
        ],
    ),
    row(
        "10",
        "… `invalid_grant`",
        &[|s| refreshed(s, oauth_error("invalid_grant"))],
    ),
    row(
        "11",
        "… another error, 3xx, unreadable",
        &[
            |s| refreshed(s, oauth_error("invalid_client")),
            |s| refreshed(s, oauth_error("made_up")),
            |s| refreshed(s, status(302)),
            |s| refreshed(s, status(200)),
        ],
    ),
    Row {
        late: true,
        ..row(
            "12",
            "Response to a refresh given up on: tokens",
            // The first request was the login's.
            &[|s| {
                let day = json!({ "expires_in": 86_400 });
                response(s.requests.get(1)?.id(), tokens_with("AT-9", day))
            }],
        )
    },
    row(
        "13",
        "Response to any other request",
        &[
            |_| response(RequestId::from_u64(404), tokens("AT-9")),
            |_| response(RequestId::from_u64(404), no_answer()),
        ],
    ),
    row("14", "Refresh", &[|_| Some(Event::Refresh)]),
    row(
        "15",
        "TokenRejected, the current one",
        &[|s| {
            let serial = s.serial();
            let known = s.flow.snapshot().has_session();
            known.then_some(Event::TokenRejected { serial })
        }],
    ),
    row(
        "16",
        "TokenRejected, another",
        &[|_| {
            let serial = TokenSerial::from_u64(404);
            Some(Event::TokenRejected { serial })
        }],
    ),
    row(
        "17",
        "AdoptTokens",
        &[|s| adopt(s.now.saturating_add(LIFETIME))],
    ),
    row("17", "… that have ended already", &[|s| adopt(s.now)]),
    row("18", "LogOut", &[|_| Some(Event::LogOut)]),
    row(
        "19",
        "Tick, login or exchange timed out",
        &[|s| {
            s.flow.authorization_url()?;
            if is_refreshing(s) {
                refreshed(s, status(503)).map(|event| s.fire(event));
                s.after(secs(10)).tick(); // the next outlasts the login
            }
            s.now = match s.in_flight(EXCHANGE) {
                Some(request) => request.deadline(),
                None => s.began.saturating_add(LOGIN_TIMEOUT),
            };
            Some(Event::Tick)
        }],
    ),
    row(
        "20",
        "Tick, refresh due or backoff over",
        &[|s| {
            let backoff = s.retry_at.filter(|at| *at > s.now);
            let due = match backoff {
                Some(at) => at,
                None if is_refreshing(s) => return None,
                None => end_ahead(s)?.saturating_sub(LEEWAY),
            };
            approach(s, due);
            tick_at(s, due)
        }],
    ),
    row(
        "21",
        "Tick, access token ended",
        &[|s| {
            let end = end_ahead(s)?;
            let refreshing = is_refreshing(s);
            approach(s, end);
            if refreshing {
                s.tick(); // that one has timed out, the next outlasts the token
                s.after(secs(2)).tick();
            }
            tick_at(s, end)
        }],
    ),
    row(
        "22",
        "Tick, refresh timed out",
        &[|s| {
            let deadline = s.in_flight(REFRESH)?.deadline();
            approach(s, deadline);
            tick_at(s, deadline)
        }],
    ),
    row(
        "23",
        "Tick, early",
        &[
            |_| Some(Event::Tick),
            |s| {
                s.after(Duration::from_millis(999));
                Some(Event::Tick)
            },
        ],
    ),
    row(
        "24",
        "Tick, clock 20 s back",
        &[|s| {
            s.clock_goes_back(secs(20));
            Some(Event::Tick)
        }],
    ),
    row(
        "24",
        "Tick, clock a day back",
        &[|s| {
            s.clock_goes_back(secs(86_400));
            Some(Event::Tick)
        }],
    ),
    row(
        "25",
        "Tick, a day later",
        &[|s| {
            s.after(secs(86_400));
            Some(Event::Tick)
        }],
    ),
];

fn callback(query: &str) -> Option<Event> {
    let url = CallbackUrl::from_query(query);
    Some(Event::Callback { url })
}

fn response(id: RequestId, result: Reply) -> Option<Event> {
    Some(Event::Response { id, result })
}

fn exchanged(s: &Scenario, reply: Reply) -> Option<Event> {
    response(s.in_flight(EXCHANGE)?.id(), reply)
}

fn refreshed(s: &Scenario, reply: Reply) -> Option<Event> {
    response(s.in_flight(REFRESH)?.id(), reply)
}

fn is_refreshing(s: &Scenario) -> bool {
    s.in_flight(REFRESH).is_some()
}

fn adopt(expires_at: Timestamp) -> Option<Event> {
    let tokens = TokenSet::new("AT-9").refresh_token("RT-9");
    Some(Event::AdoptTokens(tokens.expires_at(expires_at)))
}

/// When the access token ends, unless it has.
fn end_ahead(s: &Scenario) -> Option<Timestamp> {
    s.flow.access_token(s.now)?.expires_at()
}

/// Goes close to that time, with a login that will not time out before.
fn approach(s: &mut Scenario, at: Timestamp) {
    let login = s.state() == State::AwaitingCode;
    let exchanging = s.flow.activity() == Activity::Exchanging;
    s.now = s.now.max(at.saturating_sub(secs(40)));
    if login {
        s.fire(Event::CancelLogin).begin();
    }
    if exchanging {
        s.redirect("code=c");
    }
}

fn tick_at(s: &mut Scenario, at: Timestamp) -> Option<Event> {
    s.now = at;
    Some(Event::Tick)
}

fn render() -> String {
    let states = table(ROWS, STATES, |_, _| true);
    let kept = table(ROWS, LOGIN_OVER_SESSION, |row, _| {
        !["1", "2", "4", "13", "16", "23"].contains(&row.number)
    });
    let special = table(ROWS, SPECIAL, |row, cells| {
        if row.number == "1" {
            return false; // keeps whatever there is
        }
        let [_, _, _, z, _, e, _] = STATES else {
            unreachable!("seven states")
        };
        let base = [cell(row, z), cell(row, e)];
        cells.iter().zip(SPECIAL).any(|(cell, column)| {
            let usual = usize::from(column.name.starts_with('E'));
            *cell != base[usual]
        })
    });
    HEAD.replace("{states}", &states)
        .replace("{kept}", &kept)
        .replace("{special}", &special)
}

const HEAD: &str = "\
# Transitions

Every event in every state. This text is rendered by `tests/transition_table.rs` from what the
machine does, so it can't differ from it.

States: **U** Unauthorized; **Aw** AwaitingCode, the person is in the browser; **Ax** AwaitingCode,
the code is being exchanged; **Z** Authorized and **Zr** while refreshing; **E** Expired and **Er**
while refreshing. With automatic refresh an expired flow never idles: **E** is shown waiting in a
backoff. `Aw+Z` is a login over a kept session.

Cells: `→State (actions in order)`; `·` nothing changed; `✗` refused as that `Misuse`, nothing
changed; `—` can't be. `Accepted`, `Denied`, `NotOurs` stand for `AnswerCallback`; names after `Send`
and `Persist` are notices. Time is looked at before the event, so an event that comes when a wait has
ended also does what a `Tick` would.

{states}
A login over a kept session. When it ends without tokens, the session is still there.

{kept}
A session that does not refresh by itself: *backoff* waits after a failure, *parked* waits for
`Refresh` after one that a retry won't mend, *rejected* has a refresh token that the server refused,
*manual* is a client without automatic refresh. Only rows in which a cell differs from Z's or E's.

{special}";

#[test]
fn the_table_in_the_documentation_is_what_the_machine_does() {
    let rendered = render();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(DOCS, rendered).unwrap();
        return;
    }
    let documented = std::fs::read_to_string(DOCS).unwrap_or_default();
    let difference = difference(&documented, &rendered);
    assert!(
        difference.is_empty(),
        "\n{difference}\nIf the machine (+) is right and the documentation (-) is not: UPDATE_DOCS=1 \
         cargo test --test transition_table"
    );
}
