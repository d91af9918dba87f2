"""Our side, `model.fit`: `python -m benchmarks.training.symgraph_worker CASE fit`; `operators` tells of each."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import defaultdict
from typing import Any

import numpy as np

import symgraph as sg
from benchmarks.training.cases import BETA_1, BETA_2, CASES, EPSILON, Case
from benchmarks.training.models import make
from benchmarks.training.worker import THREADS, Train, serve
from symgraph.runtime.step import Step

BATCHES = {"mlp": 64, "lstm": 16}
"""How many batches an epoch has; 4 elsewhere."""

RUNS = 20
"""So many steps are profiled."""


def compiled(name: str, case: Case) -> Any:
    """The network with Adam, ready to train."""
    model = make(name, case)
    model.compile(sg.optimizers.Adam(0.001, BETA_1, BETA_2, EPSILON),
                  sg.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def build(case: Case, variant: str) -> Train:
    name = sys.argv[1]
    model, batches = compiled(name, case), BATCHES.get(name, 4)
    x, y = (np.concatenate([a] * batches) for a in (case.x, case.y))
    rate = 0.001

    def train(count: int, wanted: float) -> tuple[int, float]:
        nonlocal rate
        if wanted != rate:
            rate = wanted
            model.optimizer.learning_rate = wanted
        if count == 1:
            model.reset_metrics()
            return 1, float(model.train_on_batch(case.x, case.y))
        epochs = -(-count // batches)
        history = model.fit(x, y, batch_size=len(case.x), epochs=epochs, shuffle=False, verbose=0)
        return epochs * batches, history.history["loss"][-1]

    return train


def operators(name: str) -> dict[str, float]:
    """Seconds of one step by operator, as ONNX Runtime tells."""
    case = CASES[name]()
    model = compiled(name, case)
    model.train_on_batch(case.x, case.y)
    function = model._step_function("train")
    (graph,) = function.graphs
    step = _Profiled(graph, function.state, threads=THREADS)
    model.optimizer.learning_rate = 1e-8
    for _ in range(RUNS):
        step.run([x.reshape(known.type.shape) for x, known in zip((case.x, case.y), graph.inputs, strict=True)])
    return step.seconds()


class _Profiled(Step):
    """A compiled step that tells what its nodes take."""

    def _options(self, threads: int | None) -> Any:
        options = super()._options(threads)
        options.enable_profiling = True
        options.profile_file_prefix = os.path.join(tempfile.mkdtemp(), "step")
        return options

    def seconds(self) -> dict[str, float]:
        """The median of all runs for each node, added up by operator."""
        path = self._native.end_profiling()
        with open(path, encoding="utf-8") as file:
            events = [e for e in json.load(file) if e.get("cat") == "Node" and e["name"].endswith("_kernel_time")]
        os.unlink(path)
        times: dict[tuple[str, str], list[float]] = defaultdict(list)
        for event in events:
            times[event["args"]["op_name"], event["name"]].append(event["dur"] / 1e6)
        found: dict[str, float] = defaultdict(float)
        for (operator, _), each in times.items():
            found[operator] += float(np.median(each)) * len(each) / RUNS
        return dict(found)


if __name__ == "__main__":
    if sys.argv[2] == "operators":
        print(json.dumps(operators(sys.argv[1])))
    else:
        serve(build, *sys.argv[1:])
