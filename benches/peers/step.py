"""What the peers in Python have in common: shapes, arguments, timing, and the lines that they print.

They are those of the Rust programs (`benches/src/command.rs`), so that one reader understands all of them.
"""

import argparse
import math
import sys
import time
from pathlib import Path
from statistics import median
from typing import Callable, NamedTuple


class Shape(NamedTuple):
    """Time steps T, sequences B, features I, units H."""

    steps: int
    batch: int
    inputs: int
    hidden: int


SHAPES = {
    "tiny": Shape(32, 1, 32, 32),
    "small": Shape(64, 16, 64, 128),
    "mnistrow": Shape(28, 128, 28, 128),
    "medium": Shape(100, 32, 128, 256),
    "zaremba": Shape(35, 20, 650, 650),
    "large": Shape(50, 64, 256, 512),
    "long": Shape(2000, 8, 64, 128),
    "step128": Shape(1000, 1, 128, 128),
    "step512": Shape(1000, 1, 512, 512),
}

# What `all` leaves out: a long sequence, and those of inference.
APART = ("long", "step128", "step512")

GATES = {"lstm": 4, "gru": 3, "tanh": 1, "custom": 4}

CHAIN_SHAPE = (1, 8)
CHAIN_ROUNDS = 100
CHAIN_NODES = 3 * CHAIN_ROUNDS

Step = Callable[[], float]
MakeStep = Callable[[str, Shape], Step]


def arguments(description: str, cells: list[str], measurements: list[str]) -> argparse.Namespace:
    """The arguments of a peer that has these cells and measurements (`training_step` and others of the programs in Rust)."""
    parser = argparse.ArgumentParser(description=description)
    commands = parser.add_subparsers(dest="measurement", required=True)
    for name in measurements:
        command = commands.add_parser(name)
        if name == "chain":
            command.add_argument("--runs", type=int, default=300, help="chains that are timed each way")
            command.set_defaults(threads=1)
            continue
        command.add_argument("--cell", choices=cells, help="all of them if left out")
        command.add_argument("--shape", choices=[*SHAPES, "all"], default="all", help="all is all but long and those of inference")
        command.add_argument("--threads", type=int, default=2)
        if name != "memory":
            command.add_argument("--runs", type=int, default=7, help="steps that are timed at least")
            command.add_argument("--milliseconds", type=int, default=0, help="for which steps are timed at least")
    return parser.parse_args()


def describe(cell: str, name: str, threads: int) -> str:
    steps, batch, inputs, hidden = SHAPES[name]
    return f"{cell} {name} T={steps} B={batch} I={inputs} H={hidden} threads={threads}"


def milliseconds(warm_up: int, runs: int, work: Callable[[], object], least: float = 0) -> float:
    """The median time of `runs` calls, or more until `least` milliseconds have passed. Before that, `warm_up` calls, or
    more until a third as much has passed, are not counted."""

    def repeat(runs: int, least: float) -> list[float]:
        times: list[float] = []
        begin = time.perf_counter()
        while len(times) < runs or (time.perf_counter() - begin) * 1e3 < least:
            start = time.perf_counter()
            work()
            times.append((time.perf_counter() - start) * 1e3)
        return times

    repeat(warm_up, least / 3)
    return median(repeat(runs, least))


def print_times(given: argparse.Namespace, cells: list[str], make: MakeStep) -> None:
    """Times every training step that was asked for."""
    for name in [name for name in SHAPES if name not in APART] if given.shape == "all" else [given.shape]:
        for cell in [given.cell] if given.cell else cells:
            shape = SHAPES[name]
            step = make(cell, shape)
            require_finite(step(), cell, name)
            took = milliseconds(2, given.runs, step, given.milliseconds)
            require_finite(step(), cell, name)
            flops = 6 * shape.steps * shape.batch * (shape.inputs + shape.hidden) * GATES[cell] * shape.hidden
            print(f"{describe(cell, name, given.threads)} median_ms={took:.3f} gflops={flops / took / 1e6:.1f}")


def print_memory(given: argparse.Namespace, make: MakeStep) -> None:
    """Prints by how much the first three steps raise the peak of the resident set, as `src/resident.rs` does."""
    if given.cell is None or given.shape == "all":
        sys.exit("memory: name one --cell and one --shape; a process can measure one step only")
    # What code and threads take is no memory of a step.
    make(given.cell, SHAPES["tiny"])()
    step = make(given.cell, SHAPES[given.shape])
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    rises = []
    for _ in range(3):
        require_finite(step(), given.cell, given.shape)
        peak = resident("VmHWM")
        rises.append(max(peak - before, 0) / 1e6)
        before = max(before, peak)
    first, second, third = rises
    print(
        f"{describe(given.cell, given.shape, given.threads)} "
        f"first_mb={first:.1f} second_mb={second:.1f} third_mb={third:.1f}"
    )


def resident(field: str) -> int:
    """A size from `/proc/self/status`, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    sys.exit(f"/proc/self/status has no line {field}")


def print_chain(forward: float, backward: float) -> None:
    """Nanoseconds a node, from milliseconds of the whole chain."""
    forward, backward = (time * 1e6 / CHAIN_NODES for time in (forward, backward))
    print(f"chain nodes={CHAIN_NODES} forward_ns={forward:.1f} backward_ns={backward:.1f}")


def require_finite(loss: float, cell: str, name: str) -> None:
    if not math.isfinite(loss):
        sys.exit(f"the loss of {cell} at {name} is {loss}")
