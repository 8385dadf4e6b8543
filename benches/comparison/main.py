"""The command line of `benches/compare`."""

import argparse
import datetime
import json
import os
import sys
from pathlib import Path

from . import machine
from .measure import Plan, Results, measure
from .programs import OURS, REPOSITORY, Failure, build_ours, find_peers, set_up, target_directory
from .report import report

PEERS = ["pytorch", "pytorch plain", "jax", "candle", "burn"]
PARTS = ["training", "double", "inference", "chain", "memory", "growth", "kernel"]
SHAPES = ["tiny", "small", "mnistrow", "medium", "zaremba", "large", "long"]
QUICK_SHAPES = ["tiny", "small", "medium"]


def subset(allowed: list[str]):
    """A list with commas, of allowed words."""

    def parse(text: str) -> list[str]:
        words = text.split(",")
        for word in words:
            if word not in allowed:
                raise argparse.ArgumentTypeError(f"{word!r} is none of {', '.join(allowed)}")
        return [word for word in allowed if word in words]

    return parse


def positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 up")
    return int(text)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benches/compare",
        description="Runs Rewind's benches and those of its peers in turn; prints and records the ratios.",
    )
    parser.add_argument(
        "--setup", action="store_true", help="first make the Python environment and build the peers in Rust"
    )
    parser.add_argument("--setup-only", action="store_true", help="do that and nothing else")
    parser.add_argument("--venv", type=Path, help="the Python environment (target/peers-venv)")
    parser.add_argument("--only", type=subset(PARTS), default=PARTS, metavar="PART,…", help=", ".join(PARTS))
    parser.add_argument("--shapes", type=subset(SHAPES), metavar="SHAPE,…", help=", ".join(SHAPES))
    parser.add_argument(
        "--peers", type=subset(PEERS), default=PEERS, metavar="PEER,…", help=", ".join(PEERS) + "; all that are there"
    )
    parser.add_argument("--rounds", type=positive, help="times that each contestant runs (7; 2 if quick)")
    parser.add_argument("--quick", action="store_true", help="few rounds and shapes: to see that everything works")
    parser.add_argument("--record", type=Path, default=REPOSITORY / "benches" / "record", help="the folder of records")
    parser.add_argument(
        "--tables",
        type=Path,
        metavar="RECORD.json",
        help="measure nothing: write the tables of a record again from its values",
    )
    return parser.parse_args()


def write(path: Path, text: str) -> None:
    """All or nothing: a record is never half there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def unused(folder: Path, name: str) -> str:
    """The name, or with a number behind it: a second record of a day leaves the first where it is."""
    names = [name, *(f"{name}-{n}" for n in range(2, 1000))]
    return next(name for name in names if not (folder / f"{name}.md").exists())


def write_tables(record: Path) -> None:
    """The tables of a record, again."""
    try:
        data = json.loads(record.read_text(encoding="utf-8"))
        results = Results.from_json(data["results"], data["failed"])
        if {"training", "kernel"} & set(data["plan"]["parts"]) and not any(c.measurement == "in_turn" for c in results.values):
            raise Failure(f"{record} is older than the pairs that take turns: its tables stay as they are")
        text = report(results, Plan(**data["plan"]), data["head"], data["left_out"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failure(f"{record} is no record: {type(error).__name__}: {error}") from None
    write(record.with_suffix(".md"), text)


def compare(given: argparse.Namespace) -> None:
    if given.tables:
        return write_tables(given.tables)
    target = target_directory()
    venv = (given.venv or target / "peers-venv").absolute()
    if given.setup or given.setup_only:
        set_up(target, venv)
    if given.setup_only:
        return
    shapes = given.shapes or (QUICK_SHAPES if given.quick else SHAPES)
    plan = Plan(given.only, shapes, given.rounds or (2 if given.quick else 7), *((3, 50) if given.quick else (5, 300)))

    programs = [build_ours(target)]
    peers, left_out = find_peers(target, venv)
    programs += [peer for peer in peers if peer.name in given.peers]
    left_out |= {peer.name: "not asked for" for peer in peers if peer.name not in given.peers}
    for name, reason in left_out.items():
        print(f"left out: {name}: {reason}", file=sys.stderr)

    now = datetime.datetime.now().astimezone()
    head = {"date": now.strftime("%Y-%m-%d %H:%M %Z"), **machine.describe(REPOSITORY)}
    head |= {peer.name: peer.version for peer in peers if peer.name != "pytorch plain"}
    before, times = machine.load(), machine.times()
    if float(before) > 0.5:
        print(f"note: the load average is {before}; on a busy machine the figures say little", file=sys.stderr)
    results = measure(plan, programs)
    head["load average"] = f"{before} before, {machine.load()} after"
    head["stolen by the host"] = machine.stolen(times, machine.times())

    text = report(results, plan, head, left_out)
    print(text)
    whole = plan.parts == PARTS and given.peers == PEERS and plan.shapes == SHAPES and plan.rounds >= 7
    name = f"{now:%Y-%m-%d}-{machine.slug(head)}" + ("" if whole else "-partial")
    data = {"head": head, "plan": plan._asdict(), "left_out": left_out, "failed": results.failures}
    name = unused(given.record, name)
    write(given.record / f"{name}.json", json.dumps({**data, "results": results.to_json()}, indent=1) + "\n")
    write(given.record / f"{name}.md", text)
    print(f"recorded in {given.record / name}.md and .json", file=sys.stderr)


def main() -> int:
    try:
        compare(arguments())
    except Failure as failure:
        print(f"benches/compare: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("benches/compare: stopped; nothing was recorded", file=sys.stderr)
        return 130
    return 0
