"""The programs that are compared: how each is built, found and run."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PEERS = REPOSITORY / "benches" / "peers"

# glibc keeps its heap: PyTorch takes large arrays from the system and gives them back at every step otherwise.
KEPT_HEAP = {
    "MALLOC_MMAP_THRESHOLD_": "2000000000",
    "MALLOC_TRIM_THRESHOLD_": "8000000000",
    "MALLOC_TOP_PAD_": "67108864",
}

SETUP_SPACE = 10 * 2**30
TIME_LIMIT = 1800


class Failure(Exception):
    """Something the reader of the message can put right."""


@dataclass(frozen=True)
class Program:
    """A contestant. Ours is a binary for each measurement; a peer is one program with a subcommand for each."""

    name: str
    version: str
    command: tuple[str, ...]
    cells: tuple[str, ...]
    measurements: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict, hash=False)
    # The variable that the number of threads is set by, where the argument is not enough.
    threads_variable: str = ""

    def run(self, measurement: str, *arguments: str, threads: int) -> list[dict[str, str | float]]:
        """Runs one measurement in a process of its own; its lines, read.

        Raises Failure if the program fails, or prints nothing that can be read.
        """
        command = [*self.command, measurement]
        if self.name == OURS:
            command = [str(Path(*self.command) / measurement)]
        environment = {**os.environ, **self.environment}
        if self.threads_variable:
            environment[self.threads_variable] = str(threads)
        shown = " ".join([*command, *arguments])
        try:
            done = subprocess.run(
                [*command, *arguments], env=environment, capture_output=True, text=True, timeout=TIME_LIMIT
            )
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name}: no result after {TIME_LIMIT} s: {shown}") from None
        except OSError as error:
            raise Failure(f"{self.name}: {error}") from None
        if done.returncode != 0:
            reason = done.stderr.strip().splitlines()[-1:] or ["it says nothing"]
            raise Failure(f"{self.name}: exit status {done.returncode}: {shown}: {reason[0]}")
        lines = [read_line(line) for line in done.stdout.splitlines()]
        if not lines:
            raise Failure(f"{self.name}: no result: {shown}")
        return lines


OURS = "rewind"
CELLS = ("lstm", "gru", "tanh", "custom")


def read_line(line: str) -> dict[str, str | float]:
    """`lstm tiny T=32 median_ms=0.47` as names and values; the words without `=` are `cell` and `shape`."""
    words = line.split()
    fields: dict[str, str | float] = dict(zip(("cell", "shape"), (word for word in words if "=" not in word)))
    for word in words:
        name, equals, value = word.partition("=")
        if equals:
            try:
                fields[name] = float(value)
            except ValueError:
                raise Failure(f"cannot read {word!r} in the line {line!r}: expected a number") from None
    return fields


def target_directory() -> Path:
    """Where cargo builds."""
    command = ["cargo", "metadata", "--format-version=1", "--no-deps"]
    try:
        done = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Failure(f"cargo does not answer: {error}") from None
    return Path(json.loads(done.stdout)["target_directory"])


def run_visibly(*command: str | Path, cwd: Path = REPOSITORY) -> None:
    """A build step, with its output where the reader sees it."""
    shown = " ".join(map(str, command))
    print(f"$ {shown}", file=sys.stderr)
    if subprocess.run(command, cwd=cwd, stdout=sys.stderr).returncode != 0:
        raise Failure(f"failed: {shown}")


def build_ours(target: Path) -> Program:
    """Builds the programs of this package."""
    measurements = ("training_step", "in_turn", "double", "inference", "memory", "chain", "kernel", "growth")
    # Optimised at link time, each takes a while.
    binaries = [argument for name in measurements for argument in ("--bin", name)]
    run_visibly("cargo", "build", "--release", "--locked", "--package", "rewind-benches", *binaries)
    return Program(OURS, "", (str(target / "release"),), CELLS, measurements)


# The peers in Rust, each a workspace of its own in `peers`: the crate that has its version, and what it measures.
RUST_PEERS = {
    "candle": ("candle-core", ("training_step", "memory", "chain")),
    "burn": ("burn", ("training_step", "memory")),
}


def peer_target(target: Path, name: str) -> Path:
    return target / f"peer-{name}"


def set_up(target: Path, venv: Path) -> None:
    """Makes the Python environment of the peers, and builds those in Rust."""
    existing = next(path for path in (venv, *venv.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if not (venv / "bin" / "python").exists():
        if free < SETUP_SPACE:
            raise Failure(
                f"{existing} has {free / 2**30:.1f} GiB left; the Python environment wants {SETUP_SPACE / 2**30:.0f} "
                "(name another place with --venv)"
            )
        run_visibly(sys.executable, "-m", "venv", venv)
    run_visibly(venv / "bin" / "python", "-m", "pip", "install", "--requirement", PEERS / "requirements.txt")
    for name in RUST_PEERS:
        # Within its directory, where its cargo settings lie.
        build = ("cargo", "build", "--release", "--target-dir", peer_target(target, name))
        run_visibly(*build, cwd=PEERS / name)


def python_peer(python: Path, module: str) -> str:
    """The version of a module; raises Failure if it cannot be imported."""
    if not python.exists():
        raise Failure(f"no Python environment at {python.parents[1]}")
    command = [python, "-c", f"import {module}; print({module}.__version__)"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"{module} cannot be imported: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return done.stdout.strip()


def pytorch(venv: Path) -> list[Program]:
    """Twice: with a heap that is kept, and as it comes."""
    python = venv / "bin" / "python"
    version = python_peer(python, "torch")
    command = (str(python), "-B", str(PEERS / "pytorch.py"))
    measurements = ("training_step", "double", "inference", "memory", "chain")
    return [
        Program("pytorch", version, command, CELLS, measurements, KEPT_HEAP),
        Program("pytorch plain", version, command, CELLS, measurements),
    ]


def jax(venv: Path) -> list[Program]:
    python = venv / "bin" / "python"
    version = python_peer(python, "jax")
    command = (str(python), "-B", str(PEERS / "jax_scan.py"))
    return [Program("jax", version, command, ("lstm",), ("training_step", "memory"))]


def rust_peer(target: Path, name: str) -> list[Program]:
    crate, measurements = RUST_PEERS[name]
    binary = peer_target(target, name) / "release" / f"rewind-peer-{name}"
    if not binary.exists():
        raise Failure(f"no {binary}")
    lock = (PEERS / name / "Cargo.lock").read_text()
    version = re.search(rf'name = "{crate}"\nversion = "(.*?)"', lock)
    return [
        Program(
            name,
            version[1] if version else "unknown",
            (str(binary),),
            ("lstm", "gru"),
            measurements,
            threads_variable="RAYON_NUM_THREADS",
        )
    ]


def find_peers(target: Path, venv: Path) -> tuple[list[Program], dict[str, str]]:
    """The peers that are there, and why others are left out."""
    found: list[Program] = []
    left_out = {}
    peers = {"pytorch": lambda: pytorch(venv), "jax": lambda: jax(venv)}
    peers |= {name: partial(rust_peer, target, name) for name in RUST_PEERS}
    for name, find in peers.items():
        try:
            found += find()
        except Failure as failure:
            # A page that is committed says nothing of where the checkout lies.
            reason = str(failure).replace(f"{REPOSITORY}/", "")
            left_out[name] = f"{reason}; `benches/compare --setup` makes it"
    return found, left_out
