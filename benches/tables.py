"""What the tables of README.md say beside their figures, and in which order."""

# By a figure's part: the order of columns, the rows that begin, and what a reader has to know. `split` gives the
# columns of one table each a title of its own.
STEPS = ["authorize", "callback", "token request", "token response", "refresh request", "refresh response", "flow"]
APART = ["randomness", "forged callback", "client", "redirect URI"]
TABLES = {
    "steps": {
        "columns": STEPS + APART,
        "note": "authflow takes the callback and makes the token request in one step. *flow* is all steps and the end of "
        "all they made; *randomness* (state and verifier), *forged callback* (a wrong state), *client* (what a program makes once) and *redirect URI* (checked once for each address) are no part of it. "
        "rspotify draws its verifier in *authorize*, and its forms can't be had without its HTTP client. "
        "openidconnect has a nonce and the scope `openid`, and validates no ID token. "
        "SHA-256 is in software under callgrind, for all.",
    },
    "nanoseconds": {"columns": STEPS + APART, "note": "The least of 40 samples each. They drift with the machine; compare within a column."},
}
SHAPES = ["one long token", "many scopes", "many unknown members", "one long unknown member", "nested, 100 deep", "nested without end"]
LIBRARIES = ["by hand", "authflow", "oauth2", "openidconnect", "rspotify"]
WAITING = (
    "A login begins, its callback finds it by its state, its code is exchanged, and all is dropped, while so many others wait "
    "in a `HashMap`. What is finished is the oldest, which is in no cache."
)
TABLES |= {
    "pending logins": {
        "rows": ["raw bytes", "by hand", "authflow", "authflow, PendingLogin", "authflow, PendingLogin by default"],
        "note": "100,000 in a `HashMap`. *Heap, table included* is all that is held for one; *resident* is what the process grew "
        "by, with what malloc adds. `AuthFlow` is kept by its state, as the peers' are; `PendingLogin`, and a snapshot of it as JSON, "
        "by the cookie of a browser, of 43 characters. `PendingLogin` has one client and one `Http` for all; *by default* has a client of its own. "
        "By hand it is two arrays; oauth2 keeps state and verifier, openidconnect a nonce too, rspotify a client. None of these has "
        "a deadline in it.",
    },
    "live sessions": {
        "rows": ["by hand", "authflow", "authflow, Session", "authflow, Session by default"],
        "note": "10,000 in a list, each with the fixture's tokens: authflow's machine, or its `Session` with a `MemoryStore`, which "
        "has a copy of what is saved, and one client and one `Http` for all; oauth2's answer and its refresh token; rspotify's client.",
    },
    "handles": {"note": "What a program makes once and hands around."},
    "snapshots": {
        "columns": [
            "JSON",
            *(f"{step}: {of}" for step in ("save", "restore") for of in ("instructions", "allocations", "allocated", "time")),
        ],
        "note": "Saved is `snapshot` and `to_json`; restored is `from_json` and `AuthFlow::restore`.",
    },
    "a login while others wait, time": {"rows": LIBRARIES, "note": WAITING},
    "a login while others wait, instructions": {"rows": LIBRARIES, "note": "The same, as far as callgrind gets."},
    "a refresh among sessions, time": {
        "rows": LIBRARIES,
        "note": "The session that is due next is taken from the caller's heap, refreshed, and put back.",
    },
    "a refresh among sessions, instructions": {"rows": LIBRARIES},
    "reads of one token by so many threads, together": {
        "rows": ["by hand, a Mutex", "by hand, an RwLock"],
        "note": "By hand it is an `Arc` of the token, cloned under the lock; rspotify copies the token, as its own calls do. The clock "
        "is read each time, by all.",
    },
    "a refresh with so many scopes, instructions": {"rows": LIBRARIES, "note": "The request and its answer, which grants them all."},
    "an authorize URL with so many scopes, instructions": {"rows": LIBRARIES},
    "a refresh with a long answer, instructions per byte": {
        "rows": [f"{shape}: {library}" for shape in SHAPES for library in LIBRARIES],
        "note": "The request and its answer, of so many bytes. What is unknown is kept by authflow, and passed over by the others. "
        "oauth2 refuses what is nested without end.",
    },
}
TABLES["adoption"] = {
    "split": {
        "Size": ["crates", "async runtimes", "units compiled", "lines", "bytes, stripped", "with fat LTO"],
        "CPU time of builds, and the start": [
            "clean release CPU",
            "clean check CPU",
            "rebuild, release CPU",
            "rebuild, debug CPU",
            "rebuild, check CPU",
            "start",
            "start, instructions",
        ],
    },
    "note": "The same small program on each library (`benches/adoption`; *authflow core* has `os-rng`, two crates more than none): it prints the URL, waits for the redirect, checks, exchanges, "
    "refreshes. It is run to its end. Clean release builds of *authflow* and *same crates* are the least of three, in turns; others were made once. A rebuild is one after its `main.rs` was touched; a start is until the URL is printed.",
}
TABLES |= {
    "exchange": {
        "split": {
            "Counted": ["instructions", "instructions over bare ureq", "system calls", "system calls over bare ureq"],
            "Timed": ["per second", "CPU", "wall × bare ureq", "CPU × bare ureq"],
        },
        "note": "One code exchanged on a kept connection, plain HTTP, with an endpoint in a process of its own. *bare ureq* "
        "sends a ready form, by an agent that is set up as authflow's is; *by hand*, *same crates*, *oauth2 by closure* and "
        "*openidconnect* have the same agent. *oauth2 by ureq* is its own adaptor on ureq 2 as its documentation shows it, "
        "without a time limit; rspotify's ureq 2 has one. yup-oauth2 and librespot-oauth refresh, because they exchange only "
        "what their own listeners received, and make a connection or a client for each; librespot-oauth is a copy whose "
        "token endpoint is not a constant. Times are the least of 150 slices.",
    },
    "redirect": {
        "split": {
            "While it waits, and at its end": ["threads", "wake-ups", "port free at once"],
            "From the browser's request on": [
                "page, least",
                "page, median",
                "token, least",
                "token, median",
                *(f"{what} × tiny_http" for what in ("page, least", "page, median", "token, least", "token, median")),
            ],
            **{
                title: [f"survives {case}", *(f"{case}: {what}" for what in ("page, least", "page, median", "token, least", "token, median"))]
                for title, case in (("After a request for `/favicon.ico`", "favicon"), ("With a silent connection held", "silent"))
            },
        },
        "note": "A browser's request reaches the program that waits; the token comes from an endpoint on loopback, by plain "
        "HTTP, on a new connection. Each login has a listener and a client of its own. authflow's page tells how the exchange "
        "ended, and so comes after it; *page first* is its listener and machine by hand, with the page before. They are "
        "compared with the tiny_http of the same order. All others show their page before they know. The silent connection "
        "is opened first and held for two seconds, or until the token is there. librespot-oauth is a copy whose token "
        "endpoint is not a constant.",
    },
}
