"""The training step, in either precision, its memory, inference step by step, and the chain of small nodes in PyTorch.

`lstm`, `gru` and `tanh` are the fused layers; `custom` is an LSTM as a user writes it, a loop over time in Python.
"""

import torch
from torch import nn

import step
from step import Shape, Step

LAYERS = {"lstm": nn.LSTM, "gru": nn.GRU, "tanh": nn.RNN}


class LoopLstm(nn.Module):
    """An LSTM in plain ops. The input is projected for all time steps at once, and the steps are unbound: indexing
    would give each of the T slices a gradient of full size."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        bound = hidden**-0.5
        self.weight_ih = nn.Parameter(torch.empty(inputs, 4 * hidden).uniform_(-bound, bound))
        self.weight_hh = nn.Parameter(torch.empty(hidden, 4 * hidden).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(4 * hidden).uniform_(-bound, bound))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        h = c = x.new_zeros(x.shape[1], self.hidden)
        outputs = []
        for projected in (x @ self.weight_ih + self.bias).unbind(0):
            i, f, g, o = torch.addmm(projected, h, self.weight_hh).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            outputs.append(h)
        return torch.stack(outputs), (h, c)


CELLS = [*LAYERS, "custom"]


def training_step(cell: str, shape: Shape) -> Step:
    torch.manual_seed(1)
    module = LAYERS.get(cell, LoopLstm)(shape.inputs, shape.hidden)
    x = torch.empty(shape.steps, shape.batch, shape.inputs).uniform_(-1, 1)

    def run() -> float:
        module.zero_grad(set_to_none=True)
        outputs, _ = module(x)
        loss = outputs.square().mean()
        loss.backward()
        return loss.item()

    return run


CELLS_OF_A_STEP = {"lstm": nn.LSTMCell, "gru": nn.GRUCell, "tanh": nn.RNNCell}


def inference(cell: str, shape: Shape) -> Step:
    """A sequence that comes one time step at a time."""
    torch.manual_seed(1)
    module = CELLS_OF_A_STEP[cell](shape.inputs, shape.hidden)
    x = torch.empty(shape.steps, shape.batch, shape.inputs).uniform_(-1, 1)

    @torch.inference_mode()
    def run() -> float:
        state = None
        for step_input in x.unbind(0):
            state = module(step_input, state)
        return (state[0] if cell == "lstm" else state).sum().item()

    return run


def chain(runs: int) -> None:
    x, y = (torch.empty(step.CHAIN_SHAPE).uniform_(-1, 1).requires_grad_() for _ in range(2))

    def forward() -> torch.Tensor:
        z = x
        for _ in range(step.CHAIN_ROUNDS):
            z = (z * y + y).tanh()
        return z

    recorded = forward()
    seed = torch.ones(step.CHAIN_SHAPE)
    step.print_chain(
        step.milliseconds(runs // 10, runs, forward),
        step.milliseconds(runs // 10, runs, lambda: torch.autograd.grad(recorded, (x, y), seed, retain_graph=True)),
    )


def main() -> None:
    measurements = ["training_step", "double", "memory", "inference", "chain"]
    given = step.arguments(__doc__, CELLS, measurements)
    torch.set_num_threads(given.threads)
    match given.measurement:
        case "training_step":
            step.print_times(given, CELLS, training_step)
        case "double":
            torch.set_default_dtype(torch.float64)
            step.print_times(given, CELLS, training_step)
        case "inference":
            step.print_times(given, list(CELLS_OF_A_STEP), inference)
        case "memory":
            step.print_memory(given, training_step)
        case _:
            chain(given.runs)


if __name__ == "__main__":
    main()
