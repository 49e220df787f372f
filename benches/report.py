"""Writes the tables of README.md from what was measured. A table's rows and columns are in the order in which its
part printed them, unless tables.py says otherwise."""

import json
import re

from tables import TABLES
from targets import TARGETS

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
