"""What the parts have in common: builds, callgrind, and the lines they print."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

BENCHES = pathlib.Path(__file__).resolve().parent
ROOT = BENCHES.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
PACKAGE = ["-p", "authflow-benches", "--no-default-features"]

# The feature that builds a library, or none for what is always there. Each peer is built alone, so that none
# changes the features of what another is built with.
LIBRARIES = {
    "authflow": None,
    "same crates": None,
    "by hand": None,
    "oauth2": "oauth2",
    "openidconnect": "openidconnect",
    "rspotify": "rspotify",
}


def die(text):
    sys.exit(f"{pathlib.Path(sys.argv[0]).resolve().relative_to(ROOT)}: {text}")


def neutral():
    """The environment, without what changes how cargo builds."""
    changing = re.compile(r"RUSTFLAGS|RUSTDOCFLAGS|RUSTC.*|CARGO_(?!HOME$|TARGET_DIR$).*")
    return {name: value for name, value in os.environ.items() if not changing.fullmatch(name)}


def command(*arguments, **options):
    """What a program prints. Its errors go where ours go, unless they are asked for."""
    options = {"cwd": ROOT, "text": True, "stdout": subprocess.PIPE, "env": neutral(), **options}
    done = subprocess.run([str(argument) for argument in arguments], **options)
    if done.returncode:
        die(f"{' '.join(map(str, arguments))} failed ({done.returncode})\n{done.stderr or ''}")
    return done


def figure(part, row, column, value, unit):
    line = {"part": part, "row": row, "column": column, "value": value, "unit": unit}
    print(json.dumps(line), flush=True)


def build(binary, feature=None):
    """Builds one binary of ours, and keeps it under a name of its own: the next build takes its place."""
    features = ["--features", feature] if feature else []
    command("cargo", "build", "--locked", "--quiet", "--release", *PACKAGE, "--bin", binary, *features)
    kept = TARGET / "benches" / f"{binary}-{feature or 'core'}"
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(TARGET / "release" / binary, kept)
    return kept


def need_valgrind():
    if not shutil.which("valgrind"):
        die("valgrind is missing; install it (Debian: apt-get install valgrind)")


def instructions(binary, library, step, times=20):
    """How many instructions one step takes, on the average of so many."""
    need_valgrind()
    done = command(
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
        "--collect-atstart=no",
        "--toggle-collect=*measure::measured*",
        binary,
        library,
        step,
        times,
        stderr=subprocess.PIPE,
    )
    collected = re.search(r"Collected : (\d+)", done.stderr)
    if not collected or int(collected[1]) == 0:
        die(f"callgrind has seen nothing of {library}: {step}\n{done.stderr}")
    return round(int(collected[1]) / times)


def allocations(binary, library):
    """What each step allocates. It checks, too, that the library says what the others say."""
    lines = command(binary, library).stdout.splitlines()
    return {line.pop("step"): line for line in map(json.loads, lines)}


def apart(steps):
    """Reading an answer is the exchange less the request, where it can't be done alone. In place."""
    for request, response in [("token request", "token response"), ("refresh request", "refresh response")]:
        exchange = steps.pop(response.replace("response", "exchange"), None)
        if exchange is not None:
            steps[response] = exchange - steps[request]
    return steps
