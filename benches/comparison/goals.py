"""What the project wants to reach."""

# PyTorch's time divided by ours, on two threads, by shape and cell; `custom` stands beside a loop over time in Python.
RATIOS = {
    "tiny": {"lstm": 5.0, "gru": 25.0, "tanh": 35.0, "custom": 30.0},
    "small": {"lstm": 1.8, "gru": 5.0, "tanh": 6.0, "custom": 5.0},
    "mnistrow": {"lstm": 1.4, "gru": 2.8, "tanh": 3.5, "custom": 2.6},
    "medium": {"lstm": 1.2, "gru": 2.4, "tanh": 2.5, "custom": 2.4},
    "zaremba": {"lstm": 1.15, "gru": 1.7, "tanh": 1.8, "custom": 1.6},
    "large": {"lstm": 1.1, "gru": 1.5, "tanh": 1.5, "custom": 1.4},
}

# The same in f64, and for inference one step at a time.
RATIO_OF_FEW = 1.0

# A cell of plain ops that nobody knows, against the library's: how far their times may differ.
CUSTOM_DEVIATION = 0.05

# One thread's time divided by that of two.
SPEED_UP = {shape: 1.8 for shape in ("small", "mnistrow", "medium", "zaremba", "large")}

# The time of the matrix products alone, as a share of the whole step's.
KERNEL_SHARE = {"zaremba": 0.85, "large": 0.85}

# Nanoseconds a node of the tape on [1, 8].
CHAIN_NS = {"forward_ns": 60.0, "backward_ns": 120.0}

# Our peak memory of a step divided by nn.LSTM's.
MEMORY_RATIO = 1.3

# The products of an LSTM's step in per cent of the peak of two cores.
PERCENT_OF_PEAK = {"small": 90.0, "mnistrow": 90.0, "medium": 90.0, "large": 85.0}
