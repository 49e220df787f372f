"""What the parts `exchange` and `redirect` share: programs built with one library each, and the endpoint."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

from harness import BENCHES, ROOT, TARGET

LIBRESPOT = "librespot-oauth"
PATCHED = """[workspace]

[package]
name = "patched-librespot-oauth"
version = "0.0.0"
edition = "2024"
publish = false

[dependencies]
authflow-benches = {{ path = "{benches}", features = ["{library}"] }}

[patch.crates-io]
{library} = {{ path = "{library}" }}

[[bin]]
name = "exchange"
path = "{benches}/src/bin/exchange.rs"

[[bin]]
name = "redirect"
path = "{benches}/src/bin/redirect.rs"
"""


def say(text):
    print(text, file=sys.stderr, flush=True)


def build(library, *programs):
    """Programs with one other library in them ("" for none), put where no later build replaces them."""
    command = ["cargo", "build", "--release", "--quiet"]
    for program in programs:
        command += ["--bin", program]
    if library == LIBRESPOT:
        command += ["--manifest-path", patched_librespot() / "Cargo.toml"]
    else:
        command += ["--locked", "-p", "authflow-benches", "--features", library]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(TARGET)}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=sys.stderr)
    place = TARGET / "benches" / (library or "none")
    place.mkdir(parents=True, exist_ok=True)
    for program in programs:
        # A running program can't be written to, but replaced.
        shutil.copy2(TARGET / "release" / program, place / (program + ".new"))
        os.replace(place / (program + ".new"), place / program)
    return place


def patched_librespot():
    """A workspace with a copy of librespot-oauth whose token endpoint comes from the environment.

    Its endpoint is a constant, so that the published crate can talk to nobody but Spotify. Nothing else of it is
    changed, and no other workspace sees the copy.
    """
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--features", LIBRESPOT]
    command += ["--manifest-path", BENCHES / "Cargo.toml"]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    (package,) = (package for package in json.loads(told)["packages"] if package["name"] == LIBRESPOT)
    workspace = TARGET / "benches" / f"patched-{package['name']}-{package['version']}"
    copy = workspace / LIBRESPOT
    published = pathlib.Path(package["manifest_path"]).parent
    if not copy.exists():
        shutil.copytree(published, copy)
    source = (published / "src" / "lib.rs").read_text()
    constant = '"https://accounts.spotify.com/api/token".to_string()'
    if constant not in source:
        raise SystemExit(f"{LIBRESPOT} has no longer the token endpoint that is to be replaced")
    replaced = source.replace(constant, 'std::env::var("BENCH_TOKEN_URL").expect("an address")')
    write(copy / "src" / "lib.rs", replaced)
    write(workspace / "Cargo.toml", PATCHED.format(benches=BENCHES, library=LIBRESPOT))
    # The same versions of everything.
    shutil.copy2(ROOT / "Cargo.lock", workspace / "Cargo.lock")
    return workspace


def write(path, text):
    """Cargo builds anew what is newer."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


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
