"""What was aimed at, as ratios within one run. Each has a name, the most it may be, and how it is had from the
figures."""

STEPS, LOGIN, BYTES = "steps", "flow", "bytes"
WAITING = "a login while others wait, time"
# The listener alone: by default a page waits for the exchange, to say how it ended.
PAGE_FIRST = "authflow, page first"


def ratio(part, column, row="authflow", to="oauth2", unit=None):
    return lambda figures: figures(part, row, column, unit) / figures(part, to, column, unit)


def figure(part, column, row="authflow", unit=None):
    return lambda figures: figures(part, row, column, unit)


def allocations(figures):
    return figures(STEPS, "authflow", LOGIN, "allocations") + figures(STEPS, "authflow", LOGIN, "reallocations")


def more_than(part, column, to, row="authflow"):
    return lambda figures: figures(part, row, column) - figures(part, to, column)


def against_the_best_peer(part, column):
    """Beside the best of those that are no floor."""

    def reach(figures):
        own = figures(part, "authflow", column)
        rows = figures.rows(part, column)
        names = ("oauth2", "openidconnect", "rspotify", "yup-oauth2", "librespot-oauth")
        peers = [value for row, value in rows.items() if row.startswith(names)]
        if not peers:
            raise KeyError(f"{part}, peers: {column}")
        return own / min(peers)

    return reach


def growth(part, first, last, row="authflow"):
    return lambda figures: figures(part, row, last) / figures(part, row, first)


TARGETS = [
    ("instructions per flow × `oauth2`", 0.45, ratio(STEPS, LOGIN, unit="instructions")),
    ("instructions per flow × by hand", 1.5, ratio(STEPS, LOGIN, to="by hand", unit="instructions")),
    ("allocations per flow, reallocations counted", 20, allocations),
    ("bytes allocated per flow × `oauth2`", 0.35, ratio(STEPS, LOGIN, unit=BYTES)),
    ("bytes per pending login, its place in a table included", 512, figure("pending logins", "heap, table included")),
    (
        "exchange over loopback: instructions above bare ureq",
        18000,
        figure("exchange", "instructions over bare ureq"),
    ),
    ("exchange over loopback: system calls above bare ureq", 0, figure("exchange", "system calls over bare ureq")),
    ("redirect to page, before the exchange × bare tiny_http, least", 1.1, figure("redirect", "page, least × tiny_http", row=PAGE_FIRST)),
    ("redirect to page, before the exchange × bare tiny_http, median", 1.1, figure("redirect", "page, median × tiny_http", row=PAGE_FIRST)),
    ("redirect to page, after it × tiny_http after it, least", 1.1, ratio("redirect", "page, least", to="bare tiny_http, page last")),
    ("redirect to page, after it × tiny_http after it, median", 1.1, ratio("redirect", "page, median", to="bare tiny_http, page last")),
    ("redirect to token × the best peer, least", 1.0, against_the_best_peer("redirect", "token, least")),
    ("redirect to token × the best peer, median", 1.0, against_the_best_peer("redirect", "token, median")),
    ("crates by default, above the same crates", 4, more_than("adoption", "crates", "same crates")),
    ("crates of the core, itself counted", 55, lambda figures: figures("baseline", "crates", "core") + 1),
    ("clean release build, CPU × the same crates", 1.1, ratio("adoption", "clean release CPU", to="same crates")),
    ("… where both can open the browser", 1.1, ratio("adoption", "clean release CPU", to="same crates, browser")),
    (
        "… where neither can",
        1.1,
        ratio("adoption", "clean release CPU", row="authflow, no browser", to="same crates"),
    ),
    ("binary × the same crates", 1.05, ratio("adoption", "bytes, stripped", to="same crates")),
    ("… where both can open the browser", 1.05, ratio("adoption", "bytes, stripped", to="same crates, browser")),
    ("… where neither can", 1.05, ratio("adoption", "bytes, stripped", row="authflow, no browser", to="same crates")),
    (
        "instructions per login at 100,000 pending × at 1",
        1.1,
        growth("a login while others wait, instructions", "1", "100000"),
    ),
    (
        "time per login at 1,000,000 pending × at 1, beside by hand's growth",
        1.0,
        lambda figures: growth(WAITING, "1", "1000000")(figures) / growth(WAITING, "1", "1000000", "by hand")(figures),
    ),
    (
        "reads per second by 2 threads × by 1, inverted",
        0.6,
        lambda figures: figures("reads of one token by so many threads, together", "authflow", "1")
        / figures("reads of one token by so many threads, together", "authflow", "2"),
    ),
    (
        "reads while a refresh hangs: 1 thread without × 1 thread with",
        1.1,
        lambda figures: figures("reads of one token by so many threads, together", "authflow", "1")
        / figures("reads of one token by so many threads, together", "authflow, while a refresh hangs", "1"),
    ),
]
