"""Runs the models of the example `cases` in ONNX Runtime and compares the outputs with those of the project, within 1e-5.

    python check.py FOLDER

Every file is also checked against the specification by onnx.checker, with its shapes.
"""

import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime

TOLERANCE = 1e-5


def read(path):
    """The tensors of a safetensors file of 32-bit numbers."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)

    def tensor(entry):
        begin, end = entry["data_offsets"]
        return np.frombuffer(data[start + begin : start + end], "<f4").reshape(entry["shape"])

    return {name: tensor(entry) for name, entry in header.items()}


def difference(path):
    """The largest difference of a model's outputs to those expected."""
    onnx.checker.check_model(onnx.load(path), full_check=True)
    tensors = read(path.with_suffix(".safetensors"))
    inputs = {name.removeprefix("input/"): value for name, value in tensors.items() if name.startswith("input/")}
    if "lengths" in tensors:
        inputs["lengths"] = tensors["lengths"].astype(np.int32)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    expected = {name.removeprefix("output/"): value for name, value in tensors.items() if name.startswith("output/")}
    if set(names) != set(expected):
        raise ValueError(f"outputs {names}; expected {sorted(expected)}")
    worst = 0.0
    for name, found in zip(names, session.run(names, inputs)):
        if found.shape != expected[name].shape:
            raise ValueError(f"{name} has shape {found.shape}; expected {expected[name].shape}")
        error = np.max(np.abs(found - expected[name]), initial=0.0)
        worst = max(worst, error if np.isfinite(error) else np.inf)
    return worst


def main():
    paths = sorted(pathlib.Path(sys.argv[1]).glob("*.onnx"))
    wrong, worst = 0, 0.0
    for path in paths:
        try:
            error = difference(path)
        except Exception as problem:  # of any library: the next model is checked all the same
            print(f"{path.stem}: {type(problem).__name__}: {problem}")
            wrong += 1
            continue
        worst = max(worst, error)
        if not error < TOLERANCE:
            print(f"{path.stem}: differs by {error:.3g}")
            wrong += 1
    print(f"{len(paths) - wrong} of {len(paths)} models agree; largest difference {worst:.2g}")
    return 1 if wrong or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
