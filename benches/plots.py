#!/usr/bin/env python3
"""Three plots from results.json: `plots.py results.json FOLDER [svg|png]`. A plot whose figures are missing is not
made, and said to be missing."""

import json
import pathlib
import sys

import matplotlib

matplotlib.use("svg" if sys.argv[3:] != ["png"] else "agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, NullLocator

# A paper of its own, so that it is read on light and dark pages alike. The colours differ in lightness, too.
plt.rcParams.update(
    {
        "svg.hashsalt": "authflow",
        "figure.facecolor": "#ffffff",
        "axes.facecolor": "#ffffff",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.titlelocation": "left",
        "axes.titlesize": 12,
        "grid.color": "#dddddd",
        "font.size": 10,
        "legend.frameon": False,
    }
)
COLORS = {
    "authflow": "#0b5fff",
    "by hand": "#b5b5b5",
    "same crates": "#6e6e6e",
    "oauth2": "#e07b00",
    "openidconnect": "#a83232",
    "rspotify": "#1c7c3c",
}
THOUSANDS = FuncFormatter(lambda value, _: f"{value:,.0f}")


class Missing(Exception):
    pass


def figures(results, part, unit=None):
    """By row and column."""
    found = {}
    for of in results.values():
        for line in of["figures"]:
            if line["part"] == part and unit in (None, line["unit"]):
                found.setdefault(line["row"], {})[line["column"]] = line["value"]
    if not found:
        raise Missing(f"no figures of {part}")
    return found


def steps(results):
    """The callback and the token request are one group, because authflow does both in one."""
    found = figures(results, "steps", "instructions")
    groups = {
        "authorize URL": ["authorize"],
        "callback and\ntoken request": ["callback", "token request"],
        "token response": ["token response"],
        "refresh request": ["refresh request"],
        "refresh response": ["refresh response"],
    }
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), width_ratios=[5, 1.3])
    bars(left, found, groups)
    bars(right, found, {"all steps, and the end\nof all they made": ["flow"]})
    left.set_ylabel("thousand instructions")
    left.set_title("What each step of a login and a refresh costs")
    right.set_title("The whole")
    left.legend(ncols=5, loc="upper right", fontsize=9)
    left.margins(y=0.2)
    return figure


def bars(axes, found, groups):
    names = [name for name in ["by hand", "authflow", "same crates", "oauth2", "openidconnect"] if name in found]
    width = 0.84 / len(names)
    for at, name in enumerate(names):
        heights = [sum(found[name].get(step, 0) for step in of) / 1000 for of in groups.values()]
        places = [group + (at - (len(names) - 1) / 2) * width for group in range(len(groups))]
        drawn = axes.bar(places, heights, width * 0.92, color=COLORS[name], label=name)
        axes.bar_label(drawn, [f"{height:.1f}" if height < 99.5 else f"{height:.0f}" for height in heights], fontsize=7, padding=2)
    axes.set_xticks(range(len(groups)), groups)
    axes.yaxis.set_major_formatter(THOUSANDS)
    axes.grid(axis="x", visible=False)


def growth(results):
    panels = {"instructions": "a login while others wait, instructions", "ns": "a login while others wait, time"}
    figure, both = plt.subplots(1, 2, figsize=(9.5, 4))
    for axes, (unit, part) in zip(both, panels.items()):
        for name, points in figures(results, part).items():
            line = sorted((int(column), value) for column, value in points.items())
            axes.plot(*zip(*line), marker="o", markersize=4, color=COLORS.get(name), label=name)
        axes.set_xscale("log")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_formatter(THOUSANDS)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.tick_params(axis="x", labelsize=8)
        axes.yaxis.set_major_formatter(THOUSANDS)
        axes.set_xlabel("logins that wait")
        axes.set_title(f"{unit} per login")
    names = both[0].get_legend_handles_labels()
    figure.legend(*names, ncols=len(names[1]), loc="upper right", fontsize=9)
    figure.suptitle("One login more, while others wait", x=0.01, ha="left")
    return figure


def adoption(results):
    found = figures(results, "adoption")
    if "same crates" not in found:
        raise Missing("no figures of the same crates")
    panels = {"crates": "crates", "clean release CPU": "clean release build, CPU s", "bytes, stripped": "binary, stripped, MB"}
    names = [name for name in found if all(column in found[name] for column in panels)]
    # Whole programs, as they are by default.
    names = [name for name in names if "core" not in name and "," not in name and name != "nothing"]
    names.sort(key=lambda name: found[name]["clean release CPU"], reverse=True)
    figure, all_axes = plt.subplots(1, len(panels), figsize=(9.5, 0.7 + 0.42 * len(names)), sharey=True)
    for axes, (column, title) in zip(all_axes, panels.items()):
        scale = 1e6 if "bytes" in column else 1
        values = [found[name][column] / scale for name in names]
        floor = found["same crates"][column] / scale
        drawn = axes.barh(names, values, color=[COLORS["authflow"] if name == "authflow" else "#9a9a9a" for name in names])
        axes.axvline(floor, color="#222222", linewidth=0.8, linestyle="--", zorder=0)
        labels = [f"{value:.3g} ({value / floor:.2f} ×)" for value in values]
        axes.bar_label(drawn, labels, fontsize=8, padding=3, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})
        axes.set_title(title)
        axes.grid(axis="y", visible=False)
        axes.margins(x=0.42)
    figure.suptitle("What a program takes on, beside the same program on the same crates (1.00 ×)", x=0.01, ha="left")
    return figure


def main():
    results = json.loads(pathlib.Path(sys.argv[1]).read_text())
    folder = pathlib.Path(sys.argv[2])
    ending = sys.argv[3] if len(sys.argv) > 3 else "svg"
    folder.mkdir(exist_ok=True)
    for name, draw in {"steps": steps, "growth": growth, "adoption": adoption}.items():
        try:
            figure = draw(results)
        except Missing as missing:
            print(f"plots: {name} is not drawn: {missing}", file=sys.stderr)
            continue
        figure.tight_layout()
        metadata = {"Date": None} if ending == "svg" else None
        figure.savefig(folder / f"{name}.{ending}", metadata=metadata, dpi=110)


main()
