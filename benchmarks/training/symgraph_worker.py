"""Our side: `python -m benchmarks.training.symgraph_worker CASE step`."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

import symgraph as sg
from benchmarks.training.cases import BETA_1, BETA_2, EPSILON, Case
from benchmarks.training.models import make
from benchmarks.training.worker import THREADS, Step, serve
from symgraph.core.types import TensorType
from symgraph.runtime.devices import Device
from symgraph.runtime.state import State
from symgraph.runtime.step import Step as Compiled
from symgraph.training.function import HOLE
from symgraph.training.steps import trace_step


def graph_of(name: str, case: Case) -> tuple[Any, Any]:
    model = make(name, case)
    optimizer = sg.optimizers.Adam(0.001, BETA_1, BETA_2, EPSILON)
    optimizer.build(model.trainable_variables)
    loss_of = sg.losses.SparseCategoricalCrossentropy(from_logits=True)

    def update(batch: Any) -> Any:
        x, y = batch
        with sg.GradientTape() as tape:
            loss = loss_of(y, model(x, training=True))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    types = [TensorType(str(a.dtype), a.shape) for a in (case.x, case.y)]
    return trace_step(update, types, (HOLE, HOLE), name), optimizer


def build(case: Case, variant: str) -> Step:
    traced, optimizer = graph_of(sys.argv[1], case)
    state = State(traced.assigned, Device("CPU", 0))
    compiled = Compiled(traced.graph, state, threads=THREADS)
    rate = 0.0

    def step(wanted: float) -> Any:
        nonlocal rate
        if wanted != rate:
            rate = wanted
            optimizer.learning_rate = wanted
        compiled.run([case.x, case.y])
        return np.asarray(compiled.results()[0])

    return step


if __name__ == "__main__":
    serve(build, sys.argv[2], sys.argv[1])
