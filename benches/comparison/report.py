"""The tables of a record, in Markdown."""

from collections.abc import Iterable

from . import goals
from .measure import DOUBLE_SHAPES, FEW_CELLS, FEW_ROUNDS, STEP_BY_STEP, THREADS, Case, Plan, Results
from .programs import OURS

LAYERS = {"lstm": "nn.LSTM", "gru": "nn.GRU", "tanh": "nn.RNN", "custom": "a loop in Python"}
MS = "median_ms"


def report(results: Results, plan: Plan, head: dict[str, str], left_out: dict[str, str]) -> str:
    """The whole record."""
    parts = [
        f"# Rewind beside its peers: {head['processor']}, {head['vectors']}",
        "\n".join(f"- {name}: {value}" for name, value in head.items()),
        f"Figures are medians of {plan.rounds} rounds (least to greatest); in a round every contestant runs once, in a "
        f"process of its own, and takes the median of the steps of {plan.milliseconds} ms, {plan.runs} at least, after a "
        f"warm-up of a third as long. Growth, memory, f64 and inference have "
        f"at most {FEW_ROUNDS} rounds. Ratios are of medians, on two threads. `pytorch` runs with a heap that glibc "
        "keeps, which is its best and what counts; `plain` is as it comes.",
    ]
    parts += [f"Left out: {name} ({reason})." for name, reason in left_out.items()]
    parts += [f"Failed: {case} ({reason})." for case, reason in results.failures.items()]
    sections = {
        "Training step, beside PyTorch": against_pytorch,
        "Training step, beside JAX, candle and burn": against_others,
        "Training step, beside itself and the matrix kernel": ours,
        "The matrix products of a step": products,
        "Training step in f64": double,
        "Inference, one step at a time": inference,
        "A node of the tape on [1, 8]": chain,
        "Peak memory of a training step": memory,
        "Growth with T": growth,
    }
    for title, section in sections.items():
        text = section(results, plan)
        if text:
            parts.append(f"## {title}\n\n{text}")
    return "\n\n".join(parts) + "\n"


def table(header: list[str], rows: Iterable[list[str]]) -> str:
    """A Markdown table, its columns aligned; empty if there are no rows."""
    rows = list(rows)
    if not rows:
        return ""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    line = lambda cells: "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths)) + " |"  # noqa: E731
    return "\n".join([line(header), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows)])


def shown(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def significant(value: float) -> str:
    """Three significant digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(results: Results, case: Case, field: str = MS) -> str:
    """`4.81 (4.75 to 5.02)`."""
    values, middle = results.get(case, field), results.median(case, field)
    if middle is None:
        return "–"
    return f"{significant(middle)} ({significant(min(values))} to {significant(max(values))})"


def ratio(results: Results, above: Case, below: Case, field: str = MS) -> float | None:
    numerator, denominator = results.median(above, field), results.median(below, field)
    return numerator / denominator if numerator is not None and denominator else None


def least_ratio(results: Results, above: Case, below: Case) -> float | None:
    """The ratio of the shortest times of all rounds."""
    numerator, denominator = results.get(above, MS), results.get(below, MS)
    return min(numerator) / min(denominator) if numerator and denominator else None


def at_least(value: float | None, goal: float | None) -> list[str]:
    """The value, the goal, and whether it is reached."""
    return [shown(value), "" if goal is None else f"≥ {goal:g}", verdict(value, goal, lambda v, g: v >= g)]


def at_most(value: float | None, goal: float | None) -> list[str]:
    return [shown(value), "" if goal is None else f"≤ {goal:g}", verdict(value, goal, lambda v, g: v <= g)]


def verdict(value: float | None, goal: float | None, reached) -> str:
    if value is None or goal is None:
        return ""
    return "yes" if reached(value, goal) else "no"


def step(program: str, cell: str, shape: str, threads: int = 2) -> Case:
    return Case("training_step", program, cell, shape, threads)


def kernel_alone(cell: str, shape: str) -> Case:
    """The matrix products of a step. Those of the custom LSTM are the LSTM's."""
    return Case("kernel", OURS, "lstm" if cell == "custom" else cell, shape)


def against_pytorch(results: Results, plan: Plan) -> str:
    rows = []
    for shape in plan.shapes if "training" in plan.parts else []:
        for cell, layer in LAYERS.items():
            mine, best, plain = (step(program, cell, shape) for program in (OURS, "pytorch", "pytorch plain"))
            goal = goals.RATIOS.get(shape, {}).get(cell)
            products = ratio(results, best, kernel_alone(cell, shape))
            rows.append(
                [shape, f"{cell} / {layer}", spread(results, mine), spread(results, best)]
                + at_least(ratio(results, best, mine), goal)
                + [shown(least_ratio(results, best, mine)), shown(products)]
                + [spread(results, plain), shown(ratio(results, plain, mine))]
            )
    note = (
        "\n\n`least` is the ratio of the shortest times of all rounds, as they are where nobody else uses the machine: if "
        "it gives every program another share of its speed, that says more than the ratio of medians, which the goals "
        "are for."
        "\n\n`products alone` is PyTorch's time divided by that of our step's matrix products and nothing else: what the "
        "ratio would be if all the rest took no time."
    )
    ratios = ["ratio", "goal", "reached", "least", "products alone"]
    text = table(["shape", "cell", "rewind, ms", "pytorch, ms", *ratios, "plain, ms", "plain ratio"], rows)
    return text and text + note


# What the other peers have.
OTHERS = [("jax", "lstm"), ("candle", "lstm"), ("candle", "gru"), ("burn", "lstm"), ("burn", "gru")]


def against_others(results: Results, plan: Plan) -> str:
    rows = []
    for shape in plan.shapes if "training" in plan.parts else []:
        for program, cell in OTHERS:
            mine, theirs = step(OURS, cell, shape), step(program, cell, shape)
            times = [spread(results, mine), spread(results, theirs)]
            rows.append([shape, cell, program, *times, shown(ratio(results, theirs, mine))])
    return table(["shape", "cell", "peer", "rewind, ms", "peer, ms", "ratio"], rows)


def ours(results: Results, plan: Plan) -> str:
    rows = []
    for shape in plan.shapes if {"training", "kernel"} & set(plan.parts) else []:
        for pair, what, judge in (
            ("custom", "custom / lstm", near_one),
            ("one-thread", "one thread / two", lambda value: at_least(value, goals.SPEED_UP.get(shape))),
            ("kernel", "kernel alone / lstm", lambda value: at_least(value, goals.KERNEL_SHARE.get(shape))),
        ):
            case = Case("in_turn", OURS, pair, shape)
            times = [spread(results, case, field) for field in ("first_ms", "second_ms")]
            ratios = results.get(case, "ratio")
            least_and_greatest = f"{min(ratios):.2f} to {max(ratios):.2f}" if ratios else ""
            limit = spread(results, case, "limit") if results.get(case, "limit") else ""
            rows.append([shape, what, *times, *judge(results.median(case, "ratio")), least_and_greatest, limit])
    note = (
        "\n\nThe two of a row take turns in one process, and the ratio is the median over neighbouring turns, and over the rounds: "
        "an uneven minute of the machine falls on both."
        "\n\n`limit` is one thread / two, measured in the same turns, for the shards as LSTMs of their own that share nothing and do "
        "not wait for each other step by step: what the second thread brings on this machine in those minutes."
        "\n\n`kernel alone` is the matrix products of the step and nothing else, on the same shards and threads, with "
        "weights that are packed beforehand: its ratio is the share of the kernel's speed that the whole step reaches."
    )
    rows = [row for row in rows if row[4] != "–"]
    head = ["shape", "what", "first, ms", "second, ms", "ratio", "goal", "reached", "least to greatest", "limit"]
    text = table(head, rows)
    return text and text + note


def products(results: Results, plan: Plan) -> str:
    rows = []
    for shape in plan.shapes if "kernel" in plan.parts else []:
        for cell in ("lstm", "gru", "tanh"):
            case = Case("kernel", OURS, cell, shape)
            goal = goals.PERCENT_OF_PEAK.get(shape) if cell == "lstm" else None
            percent = results.median(case, "percent_of_peak")
            reached = at_least(percent, goal)
            read = [shown(results.median(case, field), 0) for field in ("read_gb_s", "readable_gb_s")]
            rows.append([shape, cell, spread(results, case), spread(results, case, "percent_of_peak"), *reached[1:], *read])
    head = ["shape", "cell", "ms", "% of the peak", "goal", "reached", "weights read, GB/s", "readable, GB/s"]
    text = table(head, rows)
    note = (
        "\n\nThe peak is that of as many cores that multiply and add in registers alone, measured in the same process. `weights "
        "read` are the recurrent weights, which every time step reads in both directions; `readable` is what these cores read of an array as "
        "large, whichever cache holds it."
    )
    return text and text + note


def double(results: Results, plan: Plan) -> str:
    return few_cells(results, plan, "double", DOUBLE_SHAPES, THREADS, "ms")


def inference(results: Results, plan: Plan) -> str:
    text = few_cells(results, plan, "inference", STEP_BY_STEP, 1, "µs a step")
    return text and text + "\n\nOne sequence on one thread, I = H = 128 and 512: `Stream` beside `LSTMCell` and `GRUCell` in inference mode."


def few_cells(results: Results, plan: Plan, part: str, shapes: Iterable[str], threads: int, unit: str) -> str:
    """A part that is measured for few cells, beside PyTorch."""
    rows = []
    for shape in shapes if part in plan.parts else []:
        for cell in FEW_CELLS:
            mine, theirs = (Case(part, program, cell, shape, threads) for program in (OURS, "pytorch"))
            judged = at_least(ratio(results, theirs, mine), goals.RATIO_OF_FEW)
            rows.append([shape, cell, spread(results, mine), spread(results, theirs), *judged])
    return table(["shape", "cell", f"rewind, {unit}", f"pytorch, {unit}", "ratio", "goal", "reached"], rows)


def near_one(value: float | None) -> list[str]:
    goal = goals.CUSTOM_DEVIATION
    reached = verdict(value, goal, lambda v, g: abs(v - 1) <= g)
    return [shown(value), f"1 ± {goal:g}", reached]


def chain(results: Results, plan: Plan) -> str:
    if "chain" not in plan.parts:
        return ""
    rows = []
    for program in (OURS, "pytorch", "pytorch plain", "candle"):
        case = Case("chain", program, threads=1)
        row = [program]
        for field, goal in goals.CHAIN_NS.items():
            row.append(spread(results, case, field))
            row += at_most(results.median(case, field), goal)[1:] if program == OURS else ["", ""]
        rows.append(row)
    head = ["program", "forward, ns a node", "goal", "reached", "backward, ns a node", "goal", "reached"]
    return table(head, (row for row in rows if row[1] != "–"))


def memory(results: Results, plan: Plan) -> str:
    if "memory" not in plan.parts:
        return ""
    rows = []
    for shape in ("medium", "long"):
        mine = Case("memory", OURS, "lstm", shape)
        for program in (OURS, "pytorch plain", "pytorch", "jax", "candle", "burn"):
            case = Case("memory", program, "lstm", shape)
            row = [shape, program, spread(results, case, "first_mb")]
            row += [shown(results.median(case, field), 1) for field in ("second_mb", "third_mb")]
            if program == OURS:
                row += ["", "", ""]
            else:
                goal = goals.MEMORY_RATIO if program == "pytorch plain" else None
                row += at_most(ratio(results, mine, case, "first_mb"), goal)
            rows.append(row)
    note = (
        "\n\nBy how much the LSTM's first step at the shape raises the peak of the resident set over what it was before "
        "(MB = 10^6 bytes; a tiny step ran before, so that code and threads do not count), and by how much the second "
        "and the third step raise it further. The plain PyTorch, which takes less as a rule, is the one "
        "that counts."
    )
    head = ["shape", "program", "first step, MB", "second, further", "third, further", "rewind / it", "goal", "reached"]
    text = table(head, (row for row in rows if row[2] != "–"))
    return text and text + note


def growth(results: Results, plan: Plan) -> str:
    del plan
    rows = []
    for case in results.values:
        if case.measurement == "growth":
            fields = ("median_ms", "ns_per_step", "peak_mb", "kb_per_step")
            kept = "ends of √T segments" if case.cell == "segments" else "every step"
            rows.append([kept, case.shape.removeprefix("T="), *(spread(results, case, field) for field in fields)])
    text = table(["kept", "T", "step, ms", "ns per time step", "peak, MB", "kB per time step"], rows)
    return text and text + "\n\nThe LSTM at B=4, I=32, H=64 on one thread, each T in a process of its own."
