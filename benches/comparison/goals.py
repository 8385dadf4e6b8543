"""What the project wants to reach."""

# PyTorch's time divided by ours, on two threads, by shape and cell; `custom` stands beside a loop over time in Python.
RATIOS = {
    "tiny": {"lstm": 4.0, "gru": 15.0, "tanh": 10.0, "custom": 15.0},
    "small": {"lstm": 1.3, "gru": 3.0, "tanh": 3.0, "custom": 3.5},
    "mnistrow": {"lstm": 1.15, "gru": 2.0, "tanh": 1.6, "custom": 2.0},
    "medium": {"lstm": 1.05, "gru": 1.6, "tanh": 2.0, "custom": 2.0},
    "zaremba": {"lstm": 1.0, "gru": 1.4, "tanh": 1.4, "custom": 1.5},
    "large": {"lstm": 1.0, "gru": 1.2, "tanh": 1.3, "custom": 1.4},
}

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
