"""Rounds: all contestants once, in turn, again and again, so that a slow minute of the machine is slow for all."""

import sys
from statistics import median
from typing import NamedTuple

from .programs import OURS, Failure, Program

THREADS = 2

# Rounds of what hardly varies, or takes long: memory and growth, f64 and inference.
FEW_ROUNDS = 3


# Where f64 is measured, and inference step by step, for these cells.
DOUBLE_SHAPES = ("small", "medium", "large")
STEP_BY_STEP = ("step128", "step512")
FEW_CELLS = ("lstm", "gru")

# Two steps of ours that take turns in one process: the custom LSTM beside the library's, one thread beside two, the matrix
# products of the LSTM beside the LSTM.
PAIRS = ("custom", "one-thread", "kernel")


class Case(NamedTuple):
    """One thing that is measured. A pair's name stands where the cell's does."""

    measurement: str
    program: str
    cell: str = ""
    shape: str = ""
    threads: int = THREADS

    def __str__(self) -> str:
        threads = "" if self.threads == THREADS else f"on {self.threads} thread{'s' * (self.threads > 1)}"
        return " ".join(word for word in (self.measurement, self.program, self.cell, self.shape, threads) if word)


class Results:
    """The values of every case, a list of rounds each."""

    def __init__(self) -> None:
        self.values: dict[Case, dict[str, list[float]]] = {}
        self.failures: dict[str, str] = {}
        self.sizes: dict[str, dict[str, float]] = {}

    def add(self, case: Case, line: dict[str, str | float]) -> None:
        """Keeps the values of a line; raises Failure if it is not of the case that was asked for."""
        sizes = {name: line[name] for name in ("T", "B", "I", "H") if name in line}
        expected = self.sizes.setdefault(case.shape, sizes)
        if sizes != expected or (case.cell and line.get("cell") != case.cell):
            raise Failure(f"{case}: it measured {line}; expected sizes {expected}")
        fields = self.values.setdefault(case, {})
        for name, value in line.items():
            if isinstance(value, float) and name not in ("T", "B", "I", "H", "threads", "nodes"):
                fields.setdefault(name, []).append(value)

    def get(self, case: Case, field: str) -> list[float]:
        """The values of all rounds; none if the case was not measured."""
        return self.values.get(case, {}).get(field, [])

    def median(self, case: Case, field: str) -> float | None:
        values = self.get(case, field)
        return median(values) if values else None

    @classmethod
    def from_json(cls, rows: list[dict], failures: dict[str, str]) -> "Results":
        """What `to_json` gave."""
        results = cls()
        results.failures = failures
        for row in rows:
            case = Case(*(row[name] for name in Case._fields))
            results.values[case] = row["values"]
            results.sizes[case.shape] = {name: row[name] for name in ("T", "B", "I", "H") if name in row}
        return results

    def to_json(self) -> list[dict]:
        return [{**case._asdict(), **self.sizes[case.shape], "values": fields} for case, fields in self.values.items()]


class Plan(NamedTuple):
    """What to measure, and how often."""

    parts: list[str]
    shapes: list[str]
    rounds: int
    runs: int
    milliseconds: int


def measure(plan: Plan, programs: list[Program]) -> Results:
    """Everything of the plan. A peer that fails is left out of what it failed at; if ours fails, that is the end."""
    results = Results()
    few = min(plan.rounds, FEW_ROUNDS)
    for shape in plan.shapes:
        in_turn(results, training_cases(plan, programs, shape), programs, plan.rounds, plan)
    for part, shapes, threads in (("double", DOUBLE_SHAPES, THREADS), ("inference", STEP_BY_STEP, 1)):
        for shape in shapes if part in plan.parts else []:
            contestants = [p for p in with_measurement(programs, part) if p.name != "pytorch plain"]
            cases = [Case(part, p.name, cell, shape, threads) for cell in FEW_CELLS for p in contestants]
            in_turn(results, cases, programs, few, plan)
    if "chain" in plan.parts:
        cases = [Case("chain", p.name, threads=1) for p in with_measurement(programs, "chain")]
        in_turn(results, cases, programs, plan.rounds)
    if "memory" in plan.parts:
        for shape in ("medium", "long"):
            cases = [Case("memory", p.name, "lstm", shape) for p in with_measurement(programs, "memory")]
            in_turn(results, cases, programs, few)
    if "growth" in plan.parts:
        grow(results, programs, few)
    return results


def with_measurement(programs: list[Program], measurement: str) -> list[Program]:
    return [program for program in programs if measurement in program.measurements]


def training_cases(plan: Plan, programs: list[Program], shape: str) -> list[Case]:
    """Times at one shape. What is compared runs side by side: every cell of ours beside its peers and the kernel alone. Ours
    among themselves take turns in one process."""
    peers = [program for program in programs if program.name != OURS]
    step = lambda program, cell, threads=THREADS: Case("training_step", program, cell, shape, threads)  # noqa: E731
    theirs = lambda cell: [step(peer.name, cell) for peer in peers if cell in peer.cells]  # noqa: E731
    training, kernel = "training" in plan.parts, "kernel" in plan.parts
    cases = []
    if training:
        cases += [*theirs("custom"), step(OURS, "custom")]
    if training or kernel:
        cases.append(step(OURS, "lstm"))
    if kernel:
        cases.append(Case("kernel", OURS, "lstm", shape))
    if training or kernel:
        cases += [Case("in_turn", OURS, pair, shape) for pair in PAIRS if training or pair == "kernel"]
    if training:
        cases += theirs("lstm")
        for cell in ("gru", "tanh"):
            cases += [step(OURS, cell), *theirs(cell)]
            if kernel:
                cases.append(Case("kernel", OURS, cell, shape))
    return cases


def in_turn(results: Results, cases: list[Case], programs: list[Program], rounds: int, plan: Plan | None = None) -> None:
    """A B A B: each case once a round, in a process of its own."""
    by_name = {program.name: program for program in programs}
    for number in range(1, rounds + 1):
        for case in [case for case in cases if str(case) not in results.failures]:
            progress(f"round {number} of {rounds}: {case}")
            arguments = [f"--runs={plan.runs}", f"--milliseconds={plan.milliseconds}"] if plan else []
            if case.cell:
                what = "pair" if case.measurement == "in_turn" else "cell"
                arguments += [f"--{what}={case.cell}", f"--shape={case.shape}", f"--threads={case.threads}"]
            try:
                [line] = by_name[case.program].run(case.measurement, *arguments, threads=case.threads)
                results.add(case, line)
            except Failure as failure:
                if case.program == OURS:
                    raise
                results.failures[str(case)] = str(failure)
                results.values.pop(case, None)
                progress(str(failure), end="\n")
    progress("")


def grow(results: Results, programs: list[Program], rounds: int) -> None:
    """Ours alone, at growing numbers of time steps."""
    ours = next(program for program in programs if program.name == OURS)
    for number in range(1, rounds + 1):
        progress(f"round {number} of {rounds}: growth")
        for line in ours.run("growth", threads=1):
            results.add(Case("growth", OURS, line["cell"], f"T={line['T']:.0f}", threads=1), line)
    progress("")


def progress(text: str, end: str = "") -> None:
    """One line that is written over and over, where somebody looks on."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end=end, file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr, flush=True)
