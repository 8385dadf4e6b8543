"""Training steps of the cells of xLSTM in plain PyTorch, in the form of the authors' code (Beck et al. 2024), beside Rewind's.

    target/peers-venv/bin/python -B benches/peers/xlstm.py --ours target/release/xlstm

`slstm` and `mlstm` are loops over time with the input projected beforehand; the peer of `chunks` is the parallel form over all time steps,
which the authors train with. Both programs take turns, so that a slow minute of the machine is slow for both.
"""

import argparse
import math
import subprocess
from statistics import median
from typing import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import step
from step import Shape

HEADS = 4
SHAPES = {"narrow": Shape(64, 8, 32, 32), "wide": Shape(100, 16, 128, 128)}


def uniform(*shape: int, bound: float) -> nn.Parameter:
    return nn.Parameter(torch.empty(*shape).uniform_(-bound, bound))


class Slstm(nn.Module):
    """Gates i, f, z, o; a recurrent weight of four blocks."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.width = hidden // HEADS
        self.weight_ih = uniform(inputs, 4 * hidden, bound=hidden**-0.5)
        self.weight_hh = uniform(HEADS, self.width, 4 * self.width, bound=self.width**-0.5)
        self.bias = uniform(4 * hidden, bound=hidden**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        batch, width = x.shape[1], self.width
        h = c = n = x.new_zeros(batch, HEADS * width)
        m = torch.full_like(h, -1e30)
        outputs = []
        for projected in (x @ self.weight_ih + self.bias).unbind(0):
            by_head = torch.bmm(h.view(batch, HEADS, width).transpose(0, 1), self.weight_hh)
            recurrent = by_head.view(HEADS, batch, 4, width).permute(1, 2, 0, 3).reshape(batch, -1)
            i, f, z, o = (projected + recurrent).chunk(4, 1)
            kept = m + F.logsigmoid(f)
            m = torch.maximum(i, kept)
            i, f = torch.exp(i - m), torch.exp(kept - m)
            c = f * c + i * torch.tanh(z)
            n = f * n + i
            h = torch.sigmoid(o) * c / n
            outputs.append(h)
        return torch.stack(outputs)


class Mlstm(nn.Module):
    """Step by step, or all time steps at once."""

    def __init__(self, inputs: int, hidden: int, parallel: bool) -> None:
        super().__init__()
        self.parallel = parallel
        self.weight_ih = uniform(inputs, 4 * hidden, bound=inputs**-0.5)
        self.weight_gates = nn.Parameter(torch.zeros(inputs, 2 * HEADS))
        self.bias = nn.Parameter(torch.zeros(4 * hidden))
        self.bias_gates = nn.Parameter(torch.cat([torch.randn(HEADS) * 0.1, torch.linspace(3, 6, HEADS)]))

    def forward(self, x: Tensor) -> Tensor:
        steps, batch, _ = x.shape
        q, k, v, o = (x @ self.weight_ih + self.bias).chunk(4, 2)
        i, f = (x @ self.weight_gates + self.bias_gates).chunk(2, 2)
        q, k, v = (part.view(steps, batch, HEADS, -1) for part in (q, k, v))
        k = k / math.sqrt(k.shape[3])
        h = self.at_once(q, k, v, i, f) if self.parallel else self.by_step(q, k, v, i, f)
        return torch.sigmoid(o) * h.reshape(steps, batch, -1)

    def by_step(self, q: Tensor, k: Tensor, v: Tensor, i: Tensor, f: Tensor) -> Tensor:
        _, batch, _, width = q.shape
        c, n = q.new_zeros(batch, HEADS, width, width), q.new_zeros(batch, HEADS, width, 1)
        m = q.new_full((batch, HEADS, 1, 1), -1e30)
        outputs = []
        parts = (q.unsqueeze(3), k.unsqueeze(4), v.unsqueeze(3), i[..., None, None], F.logsigmoid(f)[..., None, None])
        for q, k, v, i, f in zip(*(part.unbind(0) for part in parts)):
            kept = f + m
            m = torch.maximum(kept, i)
            f, i = torch.exp(kept - m), torch.exp(i - m)
            c = f * c + i * (k @ v)
            n = f * n + i * k
            outputs.append((q @ c) / torch.maximum((q @ n).abs(), torch.exp(-m)))
        return torch.stack(outputs)

    def at_once(self, q: Tensor, k: Tensor, v: Tensor, i: Tensor, f: Tensor) -> Tensor:
        steps = q.shape[0]
        q, k, v = (part.permute(1, 2, 0, 3) for part in (q, k, v))
        i, f = i.permute(1, 2, 0), F.logsigmoid(f).permute(1, 2, 0)
        total = f.cumsum(2)
        logarithms = total.unsqueeze(3) - total.unsqueeze(2) + i.unsqueeze(2)
        future = torch.ones(steps, steps, dtype=torch.bool).triu(1)
        logarithms = logarithms.masked_fill(future, -math.inf)
        m = logarithms.amax(3, keepdim=True)
        weights = torch.exp(logarithms - m) * (q @ k.transpose(2, 3))
        norm = torch.maximum(weights.sum(3, keepdim=True).abs(), torch.exp(-m))
        return ((weights / norm) @ v).permute(2, 0, 1, 3)


def module(cell: str, shape: Shape) -> nn.Module:
    if cell == "slstm":
        return Slstm(shape.inputs, shape.hidden)
    return Mlstm(shape.inputs, shape.hidden, parallel=cell == "chunks")


def training_step(cell: str, shape: Shape) -> Callable[[], float]:
    torch.manual_seed(1)
    layer = module(cell, shape)
    x = torch.empty(shape.steps, shape.batch, shape.inputs).uniform_(-1, 1)

    def run() -> float:
        layer.zero_grad(set_to_none=True)
        loss = layer(x).square().mean()
        loss.backward()
        return loss.item()

    return run


def check_forms() -> None:
    """Both forms of the mLSTM must agree, or one of them is not what it is said to be."""
    x = torch.randn(33, 3, 8, dtype=torch.float64)
    torch.manual_seed(1)
    layer = Mlstm(8, 16, parallel=True).double()
    at_once = layer(x)
    layer.parallel = False
    assert torch.allclose(at_once, layer(x), atol=1e-12), "the forms of the mLSTM differ"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", required=True, help="the program `xlstm` of the benches")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--milliseconds", type=int, default=300, help="for which a turn lasts at least")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    check_forms()
    for name, shape in SHAPES.items():
        for cell in ("slstm", "mlstm", "chunks"):
            run = training_step(cell, shape)
            arguments = ["--cell", cell, "--shape", name, "--threads", given.threads, "--milliseconds", given.milliseconds]
            ours, theirs = [], []
            for _ in range(given.rounds):
                done = subprocess.run([given.ours, *map(str, arguments)], capture_output=True, text=True, check=True)
                ours.append(float(done.stdout.split("median_ms=")[1]))
                theirs.append(step.milliseconds(2, 7, run, given.milliseconds))
            shown = f"T={shape.steps} B={shape.batch} I={shape.inputs} H={shape.hidden} heads={HEADS}"
            ratios = [b / a for a, b in zip(ours, theirs)]
            print(
                f"{cell} {name} {shown} threads={given.threads} rewind_ms={median(ours):.2f} pytorch_ms={median(theirs):.2f} "
                f"ratio={median(ratios):.2f} from={min(ratios):.2f} to={max(ratios):.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
