"""Compiled graphs: a session of ONNX Runtime that takes and gives values under the graph's own names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from symgraph.core.errors import GraphError, RunError
from symgraph.core.graph import Graph
from symgraph.core.value import Tensor, as_array
from symgraph.runtime.exporter import to_model
from symgraph.runtime.ort import onnxruntime


class Session:
    """A graph compiled for ONNX Runtime, with the weights as they are now.

    `run(feeds)` takes arrays by input name and returns a list of NumPy arrays that later calls never change.
    """

    def __init__(self, graph: Graph, providers: list[str] | None = None, *, optimize: bool = True) -> None:
        ort = onnxruntime()
        self.graph = graph
        options = ort.SessionOptions()
        options.log_severity_level = 3
        if not optimize:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        model = to_model(graph).model
        try:
            self.session = ort.InferenceSession(
                model.SerializeToString(), options, providers=providers or ["CPUExecutionProvider"])
        except Exception as error:
            raise RunError(f"ONNX Runtime cannot compile graph {graph.name!r}: {error}") from None
        self.input_names = graph.input_names
        self.output_names = graph.output_names

    def run(self, feeds: Mapping[str, Any]) -> list[np.ndarray[Any, Any]]:
        """Run once on arrays given by input name."""
        try:
            result: list[np.ndarray[Any, Any]] = self.session.run(None, dict(feeds))
        except Exception as error:
            raise RunError(f"graph {self.graph.name!r}: {error}") from None
        return result


def evaluate(graph: Graph, *values: object) -> list[Tensor]:
    """Run a graph once on values, in the order of its inputs, with ONNX Runtime's own optimiser off."""
    if len(values) != len(graph.inputs):
        raise GraphError(f"graph {graph.name!r} has {len(graph.inputs)} inputs, got {len(values)} values")
    session = Session(graph, optimize=False)
    feeds = dict(zip(graph.input_names, map(as_array, values), strict=True))
    return [Tensor(x) for x in session.run(feeds)]
