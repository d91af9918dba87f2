"""Forward and backward of LSTM and GRU beside torch: sequence 50, batch 32, input 64, hidden 128, two threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import symgraph as sg
from benchmarks.timing import measure, table

STEPS, BATCH, SIZE, HIDDEN = 50, 32, 64, 128
GATES = {"LSTM": 4, "GRU": 3}


def report() -> str:
    """Times of the gradients of the sum of squares of all outputs, with respect to input, weights and biases."""
    import torch

    torch.set_num_threads(2)
    rows = {}
    for kind in GATES:
        ours, theirs = _symgraph(kind), _torch(kind)
        for dx, expected in zip(ours(), theirs(), strict=True):
            np.testing.assert_allclose(dx, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
        rows[kind] = measure({"torch": theirs, "symgraph": ours}, target=0.1)
    return table(f"Forward and backward of recurrent layers, {STEPS} steps of {BATCH} (times torch)", rows, "torch")


def _weights(kind: str) -> list[Any]:
    """x, W, R and the two biases, with gates in the order of torch."""
    rng = np.random.default_rng(0)
    rows = GATES[kind] * HIDDEN
    shapes = [(STEPS, BATCH, SIZE), (rows, SIZE), (rows, HIDDEN), (rows,), (rows,)]
    return [rng.normal(0, 0.1, shape).astype(np.float32) for shape in shapes]


def _torch(kind: str) -> Callable[[], list[Any]]:
    import torch

    x, *weights = map(torch.tensor, _weights(kind))
    layer = getattr(torch.nn, kind)(SIZE, HIDDEN)
    with torch.no_grad():
        for parameter, value in zip(layer.parameters(), weights, strict=True):
            parameter.copy_(value)
    x.requires_grad_()

    def run() -> list[Any]:
        for leaf in (x, *layer.parameters()):
            leaf.grad = None
        y, _ = layer(x)
        y.square().sum().backward()
        return [leaf.grad.numpy() for leaf in (x, *layer.parameters())]

    return run


def _symgraph(kind: str) -> Callable[[], list[Any]]:
    arrays = _weights(kind)
    symbols = [sg.symbol(a.shape, "float32", f"x{i}") for i, a in enumerate(arrays)]
    x, w, r, bw, br = symbols
    moved = [_reordered(kind, a) for a in (w, r, bw, br)]
    one = [sg.expand_dims(a, 0) for a in (moved[0], moved[1], sg.concat(moved[2:], 0))]
    options = {"linear_before_reset": 1} if kind == "GRU" else {}
    y = sg.ops.onnx(kind, x, *one, hidden_size=HIDDEN, **options)
    graph = sg.passes.optimize(sg.Graph(symbols, sg.gradients(sg.sum(y * y), symbols)), sg.passes.TRAINING)
    graph = sg.passes.prepare_step(graph)  # as a step of training runs
    session = sg.runtime.Session(graph, threads=2)
    feeds = {f"x{i}": a for i, a in enumerate(arrays)}
    return lambda: session.run(feeds)


def _reordered(kind: str, x: Any) -> Any:
    """torch has the gates in the orders ifgo and rzn, ONNX in iofc and zrh."""
    parts = sg.split(x, GATES[kind], axis=0)
    order = (0, 3, 1, 2) if kind == "LSTM" else (1, 0, 2)
    return sg.concat([parts[i] for i in order], axis=0)


if __name__ == "__main__":
    print(report())
