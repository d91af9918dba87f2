"""What `fit` costs beside the session: time a step, memory over many steps, sessions compiled."""

from __future__ import annotations

import gc
import io
import os
import statistics
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import symgraph as sg
from symgraph.runtime import compiling
from symgraph.runtime.step import Step

ROWS, COLUMNS, BATCH = 1_000_000, 20, 32
STEPS = 10_000
ROUNDS = 5


def report() -> str:
    """Tables of time, memory and sessions."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, COLUMNS)).astype(np.float32)
    y = x[:, :1].copy()
    return "\n".join([*_times(x, y), *_memory(x, y), *_sessions(x[:3200], y[:3200])]) + "\n"


def _model() -> sg.Model:
    model = sg.Sequential([sg.Input((COLUMNS,)), sg.layers.Dense(8, activation="relu"), sg.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def _times(x: Any, y: Any) -> list[str]:
    model = _model()
    model.fit(x[:3200], y[:3200], verbose=0)
    ways = {"arrays, shuffled": (x, y, {}), "arrays in order": (x, y, {"shuffle": False}),
            "arrays, progress bar on a terminal": (x, y, {"verbose": 1}),
            "arrays, a callback reads the logs of each batch": (x, y, {"callbacks": [_Reads()]}),
            "dataset": (sg.data.Dataset.from_tensor_slices((x, y)).batch(BATCH), None, {})}
    lines = [f"## The loop of fit, {ROWS} x {COLUMNS} rows in batches of {BATCH} (`python -m benchmarks loop`)", "",
             "| data | µs a step | in the session | outside |", "|---|---:|---:|---:|"]
    for name, (data, targets, options) in ways.items():
        rounds = [_timed(model, data, targets, options) for _ in range(ROUNDS)]
        total, inside = (statistics.median(r[i] for r in rounds) for i in range(2))
        outside = statistics.median(a - b for a, b in rounds)
        lines.append(f"| {name} | {total:.1f} | {inside:.1f} | {outside:.1f} |")
    return [*lines, ""]


def _timed(model: sg.Model, x: Any, y: Any, options: dict[str, Any]) -> tuple[float, float]:
    """Microseconds of a step, and of its run in the session."""
    step: Step = model._step_functions["train"]._last.step  # type: ignore[union-attr]
    run, inside = step._run, 0.0

    def timed(binding: Any) -> None:
        nonlocal inside
        start = time.perf_counter()
        run(binding)
        inside += time.perf_counter() - start

    step._run = timed
    try:
        with _terminal():
            start = time.perf_counter()
            model.fit(x, y, batch_size=None if y is None else BATCH, **{"verbose": 0, **options})
            total = time.perf_counter() - start
    finally:
        step._run = run
    steps = ROWS // BATCH
    return total / steps * 1e6, inside / steps * 1e6


class _Reads(sg.callbacks.Callback):
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        _ = logs["loss"]


@contextmanager
def _terminal() -> Iterator[None]:
    """Output that says of itself that it is a terminal."""
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    known, sys.stdout = sys.stdout, Terminal()
    try:
        yield
    finally:
        sys.stdout = known


def _memory(x: Any, y: Any) -> list[str]:
    """Growth between step 1000 and step 11000."""
    model = _model()
    grown: dict[str, list[float]] = {"resident": [], "traced": [], "objects": []}

    class Looks(sg.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            gc.collect()
            grown["resident"].append(_resident())
            grown["traced"].append(tracemalloc.get_traced_memory()[0])
            grown["objects"].append(len(gc.get_objects()))

    tracemalloc.start()
    model.fit(x, y, batch_size=BATCH, steps_per_epoch=1000, epochs=1 + STEPS // 1000, verbose=0, callbacks=[Looks()])
    tracemalloc.stop()
    change = {name: values[-1] - values[0] for name, values in grown.items()}
    return [f"## Memory over {STEPS} steps", "", "| | growth |", "|---|---:|",
            f"| resident memory of the process | {change['resident'] / 1024:.0f} kB |",
            f"| memory of Python objects | {change['traced'] / 1024:.1f} kB |",
            f"| Python objects | {change['objects']:.0f} |", ""]


def _resident() -> float:
    with open(f"/proc/{os.getpid()}/statm") as file:
        return float(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _sessions(x: Any, y: Any) -> list[str]:
    """Sessions made by ten epochs, each followed by validation, evaluation and prediction."""
    counts = []
    opened = 0
    known = compiling.onnxruntime

    def counting() -> Any:
        nonlocal opened
        opened += 1
        return known()

    class Uses(sg.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.evaluate(x, y, verbose=0)
            self.model.predict(x, verbose=0)
            counts.append(opened)

    compiling.onnxruntime = counting  # called once for each session
    try:
        _model().fit(x, y, epochs=10, validation_data=(x, y), verbose=0, callbacks=[Uses()])
    finally:
        compiling.onnxruntime = known
    return ["## Sessions compiled in ten epochs with validation, evaluate and predict after each", "",
            "| after epoch | sessions |", "|---|---:|", *(f"| {i} | {counts[i - 1]} |" for i in (1, 2, 3, 10)), ""]
