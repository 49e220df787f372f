"""What `benches/parts/*` of memory and growth share: they build a program and collect the lines that it
prints, also under callgrind."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def build(binary, peer=None):
    """The program's path. One peer at a time, so that none changes what another is built with."""
    command = ["cargo", "build", "--release", "--quiet", "-p", "authflow-benches", "--bin", binary]
    if peer:
        command += ["--features", peer]
    subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
    return TARGET / "release" / binary


def run(command):
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.splitlines()


def put(line):
    print(line, flush=True)


def instructions(command):
    """Runs a program that makes `Point`s under callgrind, and puts their figures."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        callgrind = [
            "valgrind",
            "--quiet",
            "--tool=callgrind",
            "--collect-atstart=no",
            "--toggle-collect=*measure*measured*",
            "--dump-before=*point_is_over*",
            f"--callgrind-out-file={out}",
        ]
        lines = run(callgrind + command)
        for number, line in enumerate(lines, 1):
            collected = total(pathlib.Path(f"{out}.{number}"))
            point = json.loads(line)
            value = collected / point.pop("divided by")
            point["value"] = round(value, 2) if value < 100 else round(value)
            put(json.dumps(point))


def total(file):
    found = re.search(r"^totals: (\d+)$", file.read_text(), re.MULTILINE)
    if not found:
        sys.exit(f"callgrind has collected nothing: {file}")
    return int(found[1])
