"""What `Model.predict` adds to a bare `session.run`, and what importing symgraph costs."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

import symgraph as sg
from benchmarks.timing import measure, table


def report() -> str:
    """Overhead of a call for one and for two inputs, and the time of `import symgraph`."""
    rows = {}
    with tempfile.TemporaryDirectory() as scratch:
        for label, model, feeds in _models():
            path = Path(scratch) / f"{label.split()[0]}.onnx"
            model.export(path)
            session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
            named = dict(zip([i.name for i in session.get_inputs()], feeds, strict=True))
            x: Any = feeds[0] if len(feeds) == 1 else list(feeds)
            rows[label] = measure({
                "session.run": lambda s=session, n=named: s.run(None, n),
                "predict": lambda m=model, x=x: m.predict(x, verbose=0),
                "model(x)": lambda m=model, x=x: m(x)}, rounds=31)
    added = [f"- {label}: predict adds {1e6 * (t['predict'].median - t['session.run'].median):.1f} µs to session.run"
             for label, t in rows.items()]
    return "\n".join([table("One call (times session.run)", rows, "session.run"), *added, "", _import_time()])


def _models() -> list[tuple[str, sg.Model, tuple[Any, ...]]]:
    x, y = sg.Input((4,), name="x"), sg.Input((4,), name="y")
    one = sg.Model(x, sg.layers.Dense(3)(x))
    two = sg.Model([x, y], sg.layers.Dense(3)(sg.layers.Add()([x, y])))
    array = np.ones((2, 4), np.float32)
    return [("one input, 12 weights", one, (array,)), ("two inputs, 12 weights", two, (array, array))]


def _import_time() -> str:
    program = "import time; t = time.perf_counter(); import symgraph; print(time.perf_counter() - t)"
    seconds = [float(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout)
               for _ in range(7)]
    return f"`import symgraph`: {statistics.median(seconds):.2f} s (median of 7; onnxruntime not loaded)\n"
