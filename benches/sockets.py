"""What the parts `exchange` and `redirect` share: programs built with one library each, and the endpoint."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def figure(part, row, column, value, unit):
    line = {"part": part, "row": row, "column": column, "value": value, "unit": unit}
    print(json.dumps(line), flush=True)


def say(text):
    print(text, file=sys.stderr, flush=True)


def build(library, *programs):
    """Programs with one other library in them ("" for none), put where no later build replaces them."""
    command = ["cargo", "build", "--release", "--locked", "--quiet", "-p", "authflow-benches"]
    for program in programs:
        command += ["--bin", program]
    if library:
        command += ["--features", library]
    subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
    place = TARGET / "benches" / (library or "none")
    place.mkdir(parents=True, exist_ok=True)
    for program in programs:
        # A running program can't be written to, but replaced.
        shutil.copy2(TARGET / "release" / program, place / (program + ".new"))
        os.replace(place / (program + ".new"), place / program)
    return place


def pinned(core, command):
    """On one core, where there are two and taskset; on any, where the core is None."""
    command = [str(part) for part in command]
    if core is not None and shutil.which("taskset") and (os.cpu_count() or 1) > 1:
        return ["taskset", "-c", str(core), *command]
    return command


class Endpoint:
    """The fake token endpoint, which ends with us."""

    def __init__(self, place, core=1):
        self.process = subprocess.Popen(
            pinned(core, [place / "endpoint"]), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.url = self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
