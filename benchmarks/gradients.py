"""Forward and backward of convolutions beside torch, two threads: `python -m benchmarks gradients`, where torch is.

Run it with `MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_TOP_PAD_=268435456`, without
which torch spends its time on page faults. Where torch's matrix products go through MKL on AMD it is slow there too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import symgraph as sg
from benchmarks.timing import measure, table
from symgraph.passes import TRAINING, optimize

SHAPES: dict[str, tuple[tuple[int, ...], tuple[int, ...], int, int, int]] = {
    "3x3, 64 to 64 channels, 32 of 56x56": ((32, 64, 56, 56), (64, 64, 3, 3), 1, 1, 1),
    "3x3 stride 2, 128 to 128 channels, 32 of 56x56": ((32, 128, 56, 56), (128, 128, 3, 3), 2, 1, 1),
    "1x1, 256 to 64 channels, 32 of 56x56": ((32, 256, 56, 56), (64, 256, 1, 1), 1, 0, 1),
    "3x3 depthwise, 128 channels, 32 of 56x56": ((32, 128, 56, 56), (128, 1, 3, 3), 1, 1, 128),
    "7x7 stride 2, 3 to 64 channels, 32 of 224x224": ((32, 3, 224, 224), (64, 3, 7, 7), 2, 3, 1)}
"""Shapes of x and w, stride, pads and groups: layers of ResNet-50 and of MobileNet."""


def report() -> str:
    """Times of the gradients of the sum of squares of the outputs, with respect to input, kernel and bias."""
    import torch

    torch.set_num_threads(2)
    rows, counts = {}, []
    for label in SHAPES:
        ours, nodes = _symgraph(label)
        theirs, last = _torch(label), _torch(label, channels_last=True)
        for dx, expected in zip(ours(), theirs(), strict=True):
            np.testing.assert_allclose(dx, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
        rows[label] = measure({"torch": theirs, "torch channels_last": last, "symgraph": ours}, rounds=5)
        counts.append(f"- {label}: {nodes[0]} nodes forward, {nodes[1]} with all gradients")
    return "\n".join([table("Forward and backward of convolutions (times torch)", rows, "torch"), *counts, ""])


def _arrays(label: str) -> list[Any]:
    rng = np.random.default_rng(0)
    x, w, *_ = SHAPES[label]
    return [rng.normal(0, 1, shape).astype(np.float32) for shape in (x, w, w[:1])]


def _torch(label: str, *, channels_last: bool = False) -> Callable[[], list[Any]]:
    import torch

    _, _, stride, pad, group = SHAPES[label]
    layout = torch.channels_last if channels_last else torch.contiguous_format
    leaves = [torch.tensor(a) for a in _arrays(label)]
    leaves = [a.to(memory_format=layout) if a.ndim == 4 else a for a in leaves]
    for leaf in leaves:
        leaf.requires_grad_()

    def run() -> list[Any]:
        for leaf in leaves:
            leaf.grad = None
        y = torch.nn.functional.conv2d(*leaves, stride=stride, padding=pad, groups=group)
        y.square().sum().backward()
        return [leaf.grad.numpy() for leaf in leaves]

    return run


def _symgraph(label: str) -> tuple[Callable[[], list[Any]], tuple[int, int]]:
    _, _, stride, pad, group = SHAPES[label]
    arrays = _arrays(label)
    symbols = [sg.symbol(a.shape, "float32", f"x{i}") for i, a in enumerate(arrays)]
    y = sg.ops.onnx("Conv", *symbols, strides=(stride,) * 2, pads=(pad,) * 4, group=group)
    loss = sg.sum(y * y)
    graph = sg.Graph(symbols, sg.gradients(loss, symbols))
    session = sg.runtime.Session(graph, threads=2)
    counts = tuple(len(optimize(g, TRAINING).nodes) for g in (sg.Graph(symbols, [loss]), graph))
    feeds = {f"x{i}": a for i, a in enumerate(arrays)}
    return lambda: session.run(feeds), (counts[0], counts[1])


if __name__ == "__main__":
    print(report())
