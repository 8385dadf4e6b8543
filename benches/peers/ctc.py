"""The CTC loss and its gradient by the logits: PyTorch's `F.ctc_loss` beside Rewind's.

    target/peers-venv/bin/python -B benches/peers/ctc.py --ours target/release/ctc

Both compute the same numbers, which is checked. They take turns, so that a slow minute of the machine is slow for both.
"""

import argparse
import subprocess
from statistics import median
from typing import Callable, NamedTuple

import torch
import torch.nn.functional as F

import step


class Shape(NamedTuple):
    """Time steps T, sequences B, classes C with the blank, labels L."""

    steps: int
    batch: int
    classes: int
    labels: int


SHAPES = {"batch": Shape(200, 16, 40, 30), "long": Shape(1000, 1, 40, 200)}


def loss_and_gradient(shape: Shape) -> Callable[[], float]:
    """The logits and labels of `benches/src/ctc.rs`."""
    places = torch.arange(shape.steps * shape.batch * shape.classes, dtype=torch.float64)
    logits = (3 * torch.sin(0.7 * places)).float().view(shape.steps, shape.batch, shape.classes)
    rows = [[1 + (k * k + b) % (shape.classes - 1) for k in range(shape.labels)] for b in range(shape.batch)]
    targets = torch.tensor(rows)
    lengths = [torch.full((shape.batch,), length) for length in (shape.steps, shape.labels)]

    def run() -> float:
        x = logits.clone().requires_grad_()
        loss = F.ctc_loss(x.log_softmax(2), targets, *lengths, reduction="sum")
        loss.backward()
        return loss.item()

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", required=True, help="the program `ctc` of the benches")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--milliseconds", type=int, default=300, help="for which a turn lasts at least")
    given = parser.parse_args()
    for threads in given.threads:
        torch.set_num_threads(threads)
        for name, shape in SHAPES.items():
            run = loss_and_gradient(shape)
            arguments = ["--shape", name, "--threads", threads, "--milliseconds", given.milliseconds]
            ours, theirs = [], []
            for _ in range(given.rounds):
                done = subprocess.run([given.ours, *map(str, arguments)], capture_output=True, text=True, check=True)
                loss, took = (float(done.stdout.split(f"{key}=")[1].split()[0]) for key in ("loss", "median_ms"))
                assert abs(loss - run()) < 1e-4 * loss, f"the losses differ: {loss} and {run()}"
                ours.append(took)
                theirs.append(step.milliseconds(2, 7, run, given.milliseconds))
            shown = f"T={shape.steps} B={shape.batch} C={shape.classes} L={shape.labels}"
            ratios = [b / a for a, b in zip(ours, theirs)]
            print(
                f"ctc {name} {shown} threads={threads} rewind_ms={median(ours):.2f} pytorch_ms={median(theirs):.2f} "
                f"ratio={median(ratios):.2f} from={min(ratios):.2f} to={max(ratios):.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
