"""Writes the tables of README.md from what was measured. A table's rows and columns are in the order in which its
part printed them, unless TABLES says otherwise."""

import json
import re

from targets import TARGETS

# By a figure's part: the order of columns, the rows that begin, and what a reader has to know. `split` gives the
# columns of one table each a title of its own.
STEPS = ["authorize", "callback", "token request", "token response", "refresh request", "refresh response", "flow"]
APART = ["randomness", "forged callback"]
TABLES = {
    "steps": {
        "columns": STEPS + APART,
        "note": "authflow takes the callback and makes the token request in one step. *flow* is all steps and the end of "
        "all they made; *randomness* (state and verifier) and *forged callback* (a wrong state) are no part of it. "
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
        "by the cookie of a browser, of 43 characters. `PendingLogin` has one `Http` for all; *by default* is without a word about it. "
        "By hand it is two arrays; oauth2 keeps state and verifier, openidconnect a nonce too, rspotify a client. None of these has "
        "a deadline in it.",
    },
    "live sessions": {
        "rows": ["by hand", "authflow", "authflow, Session", "authflow, Session by default"],
        "note": "10,000 in a list, each with the fixture's tokens: authflow's machine, or its `Session` with a `MemoryStore`, which "
        "has a copy of what is saved; oauth2's answer and its refresh token; rspotify's client.",
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
    "note": "The same small program on each library (`benches/adoption`): it prints the URL, waits for the redirect, checks, exchanges, "
    "refreshes. It is run to its end. A rebuild is one after its `main.rs` was touched; a start is until the URL is printed.",
}
REDIRECTS = ["page, least", "page, median", "token, least", "token, median"]
TABLES["exchange"] = {
    "split": {
        "Counts of one exchange": [
            "instructions",
            "instructions over bare ureq",
            "system calls",
            "system calls over bare ureq",
        ],
        "Times, the least of 60 slices": ["per second", "CPU", "wall × bare ureq", "CPU × bare ureq"],
    },
    "note": "On a kept connection, without TLS, from core 0 to an endpoint on core 1. *Bare ureq* posts a ready form with the same "
    "time limits that authflow sets; the others read a callback first, and the answer. Counts are had from runs of different "
    "lengths, so that what is made once cancels out.",
}
TABLES["redirect"] = {
    "split": {
        "From the redirect to page and token": [
            "page, least",
            "page, median",
            "token, least",
            "token, median",
            "page, least × tiny_http",
            "page, median × tiny_http",
            "token, least × tiny_http",
            "token, median × tiny_http",
        ],
        "A request for `/favicon.ico` comes first": ["survives favicon", *(f"favicon: {time}" for time in REDIRECTS)],
        "A connection that says nothing comes first, and stays two seconds": [
            "survives silent",
            *(f"silent: {time}" for time in REDIRECTS),
        ],
        "While it waits, and after": ["threads", "wake-ups", "port free at once"],
    },
    "note": "A browser-like request to a program that waits, which then exchanges the code at once on plain HTTP. authflow shows "
    "the page when it knows how the exchange ended; *page first* shows it before, as the peers do. Each is compared with bare "
    "tiny_http in the same order.",
}
# Counted in the same cell.
TOGETHER = {"allocations": "reallocations"}


def dump(results):
    """One figure a line, so that changes can be read."""
    text = json.dumps(results, indent=1, ensure_ascii=False)
    return re.sub(r"\{\n\s+(\"part\": [^{}]*?)\n\s+\}", lambda m: "{" + re.sub(r"\n\s+", " ", m[1]) + "}", text) + "\n"


def number(value):
    if isinstance(value, float) and abs(value) < 100:
        return f"{value:.3g}"
    return f"{round(value):,}"


def cell(figures, row, column, unit):
    """What a table says there, or nothing."""
    value = figures.get((row, column, unit))
    if value is None:
        return ""
    if unit == "":
        return "yes" if value else "no"
    more = figures.get((row, column, TOGETHER.get(unit)))
    return number(value) + (f" (+{number(more)})" if more else "")


def order(found, wanted):
    found = list(dict.fromkeys(found))
    return [one for one in wanted if one in found] + [one for one in found if one not in wanted]


def markdown(header, rows):
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines).replace("<", "&lt;")


def table(figures, rows, columns, unit_of):
    def header(column):
        unit = unit_of[column]
        if column.isdecimal():
            return f"{int(column):,}"
        return column if not unit or unit in column or len(set(unit_of.values())) == 1 else f"{column}, {unit}"

    body = []
    for row in rows:
        cells = [cell(figures, row, column, unit_of[column]) for column in columns]
        if any(cells):
            body.append([row, *cells])
    return markdown(["", *map(header, columns)], body)


def part(name, lines):
    """The tables of one part: one, or one for each unit if a column has more."""
    about = TABLES.get(name, {})
    figures = {(line["row"], line["column"], line["unit"]): line["value"] for line in lines}
    rows = order([line["row"] for line in lines], about.get("rows", []))
    columns = order([line["column"] for line in lines], about.get("columns", []))
    units = order([line["unit"] for line in lines], about.get("units", ["instructions"]))
    units_of = {column: [unit for unit in units if any((row, column, unit) in figures for row in rows)] for column in columns}
    text = [f"**{name[0].upper()}{name[1:]}**"]
    if about.get("note"):
        text.append(about["note"])
    if any(len(of) > 1 for of in units_of.values()):
        for unit in units:
            if unit not in TOGETHER.values():
                having = [column for column in columns if unit in units_of[column]]
                text.append(f"{unit[0].upper()}{unit[1:]}" + (" (+ reallocations):" if unit in TOGETHER else ":"))
                text.append(table(figures, rows, having, dict.fromkeys(having, unit)))
        return "\n\n".join(text)
    unit_of = {column: of[0] for column, of in units_of.items()}
    if len(set(unit_of.values())) == 1 and units[0] and units[0] not in name:
        text[0] += f" ({units[0]})"
    split = about.get("split", {"": columns})
    # What a description has forgotten is shown, too.
    shown = {column for having in split.values() for column in having}
    split = split | {"Also": [column for column in columns if column not in shown]}
    for title, having in split.items():
        having = [column for column in having if column in unit_of]
        if not having:
            continue
        text += [f"{title}:"] if title else []
        text.append(table(figures, rows, having, unit_of))
    return "\n\n".join(text)


def section(of):
    parts = dict.fromkeys(line["part"] for line in of["figures"])
    tables = [part(name, [line for line in of["figures"] if line["part"] == name]) for name in parts]
    machine = of["machine"]
    measured = (
        f"Measured {of['date']} at {of['commit']} in {of['seconds']} s: {machine['CPU']}, {machine['cores']} cores, "
        f"{machine['system']}, {machine['rustc']}."
    )
    return "\n\n".join([*tables, measured])


class Figures:
    """All that was measured, and the baseline's crates."""

    def __init__(self, results, baseline):
        lines = [line for of in results.values() for line in of["figures"]]
        self.found = {(line["part"], line["row"], line["column"], line["unit"]): line["value"] for line in lines}
        self.found |= {("baseline", "crates", name, "crates"): count for name, count in baseline["crates"].items()}

    def __call__(self, part, row, column, unit=None):
        """One of them. KeyError if it was not measured."""
        found = [value for (*key, of), value in self.found.items() if key == [part, row, column] and unit in (None, of)]
        if len(found) != 1:
            raise KeyError(f"{part}, {row}: {column}")
        return found[0]

    def rows(self, part, column):
        return {row: value for (of, row, at, _), value in self.found.items() if (of, at) == (part, column)}


def targets(results, baseline):
    figures, rows = Figures(results, baseline), []
    for name, most, reach in TARGETS:
        try:
            reached = reach(figures)
            verdict = "met" if reached <= most else "**not met**"
            rows.append([name, f"≤ {number(most)}", number(reached), verdict])
        except KeyError as missing:
            rows.append([name, f"≤ {number(most)}", "", f"not measured ({missing.args[0]})"])
    return markdown(["target", "at most", "reached", ""], rows)


def write(results, baseline, readme, names):
    text = readme.read_text()
    sections = {name: section(results[name]) if name in results else "Not measured." for name in names}
    sections["targets"] = targets(results, baseline)
    for name, body in sections.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise SystemExit(f"{readme}: {begin} and {end} have to be there once each")
        head, rest = text.split(begin)
        text = f"{head}{begin}\n{body}\n{rest[rest.index(end):]}"
    readme.write_text(text)
