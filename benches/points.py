"""What `parts/memory` and `parts/growth` have in common: many figures from one run of a program."""

import json
import pathlib
import re
import sys
import tempfile

import harness


def build(binary, peer=None):
    """With the drivers, because sessions are measured, too."""
    return harness.build(binary, ",".join(filter(None, ["drivers", peer])))


def run(*command):
    return harness.command(*command).stdout.splitlines()


def put(lines):
    for line in lines:
        print(line, flush=True)


def instructions(*command):
    """The figures of a program that makes `Point`s, under callgrind."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        callgrind = [
            "valgrind",
            "--quiet",
            "--tool=callgrind",
            "--collect-atstart=no",
            "--toggle-collect=*measure::measured*",
            "--dump-before=*point_is_over*",
            f"--callgrind-out-file={out}",
        ]
        for number, line in enumerate(run(*callgrind, *command), 1):
            point = json.loads(line)
            value = collected(pathlib.Path(f"{out}.{number}")) / point.pop("divided by")
            point["value"] = round(value, 2) if value < 100 else round(value)
            put([json.dumps(point, ensure_ascii=False)])


def collected(file):
    found = re.search(r"^totals: (\d+)$", file.read_text(), re.M)
    if not found or int(found[1]) == 0:
        harness.die(f"callgrind has seen nothing: {file.name}")
    return int(found[1])


def rows(program, *how):
    """What the program can measure, as part and row."""
    return [tuple(line.split("\t")) for line in run(program, *how)]
