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
    "nanoseconds": {"columns": STEPS + APART, "note": "Medians of 40 samples. They drift with the machine; compare within a column."},
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
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


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
    for title, having in split.items():
        having = [column for column in having if column in unit_of]
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
    """All that was measured."""

    def __init__(self, results):
        lines = [line for of in results.values() for line in of["figures"]]
        self.found = {(line["part"], line["row"], line["column"], line["unit"]): line["value"] for line in lines}

    def __call__(self, part, row, column, unit=None):
        """One of them. KeyError if it was not measured."""
        found = [value for (*key, of), value in self.found.items() if key == [part, row, column] and unit in (None, of)]
        if len(found) != 1:
            raise KeyError(f"{part}, {row}: {column}")
        return found[0]

    def rows(self, part, column):
        return {row: value for (of, row, at, _), value in self.found.items() if (of, at) == (part, column)}


def targets(results):
    figures, rows = Figures(results), []
    for name, most, reach in TARGETS:
        try:
            reached = reach(figures)
            verdict = "met" if reached <= most else "**not met**"
            rows.append([name, f"≤ {number(most)}", number(reached), verdict])
        except KeyError as missing:
            rows.append([name, f"≤ {number(most)}", "", f"not measured ({missing.args[0]})"])
    return markdown(["target", "at most", "reached", ""], rows)


def write(results, readme, names):
    text = readme.read_text()
    sections = {name: section(results[name]) if name in results else "Not measured." for name in names}
    sections["targets"] = targets(results)
    for name, body in sections.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise SystemExit(f"{readme}: {begin} and {end} have to be there once each")
        head, rest = text.split(begin)
        text = f"{head}{begin}\n{body}\n{rest[rest.index(end):]}"
    readme.write_text(text)
