"""Reading, building and writing graphs, beside the onnx package's own load, check and save."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import symgraph as sg
from benchmarks.timing import Timing, measure, table
from symgraph.runtime.exporter import save
from symgraph.runtime.importer import load_graph

BERT = Path(__file__).parents[2] / "shared/data/onnx/ort_TFBertForQuestionAnswering.onnx"


def report() -> str:
    """Import and export times of a chain and of BERT, and growth with the number of nodes."""
    with tempfile.TemporaryDirectory() as scratch:
        return "\n".join([_against_onnx(Path(scratch)), _growth(Path(scratch))])


def chain(nodes: int) -> sg.Graph:
    """x + c0 - c1 + … with `nodes` nodes."""
    x = y = sg.Input((8,), batch_size="N", name="x")
    for i in range(nodes):
        y = y + float(i) if i % 2 else y * 0.5
    return sg.Graph([x], [y])


def _against_onnx(scratch: Path) -> str:
    path, out = scratch / "chain.onnx", scratch / "out.onnx"
    save(chain(10_000), path)
    rows = {}
    for label, file in (("10,000-node chain", path), ("BERT, 3,836 nodes", BERT)):
        if not file.exists():
            continue
        model, graph = onnx.load(file), load_graph(file)
        rows[f"{label}: load"] = measure(
            {"symgraph": lambda f=file: load_graph(f), "onnx": lambda f=file: onnx.load(f),
             "onnx load + check": lambda f=file: onnx.checker.check_model(onnx.load(f), full_check=True)}, rounds=5)
        rows[f"{label}: save"] = measure(
            {"symgraph": lambda g=graph: save(g, out), "onnx": lambda m=model: onnx.save(m, out)}, rounds=5)
    rows["10,000-node chain: build"] = measure({"symgraph": lambda: chain(10_000), "onnx": _onnx_chain}, rounds=5)
    return table("Files (times onnx)", rows, "onnx")


def _onnx_chain() -> Any:
    """The same chain made by onnx.helper, with shapes inferred."""
    helper = onnx.helper
    nodes, initializers, last = [], [], "x"
    for i in range(10_000):
        initializers.append(onnx.numpy_helper.from_array(np.float32(i if i % 2 else 0.5), f"c{i}"))
        nodes.append(helper.make_node("Add" if i % 2 else "Mul", [last, f"c{i}"], [f"y{i}"]))
        last = f"y{i}"
    graph = helper.make_graph(
        nodes, "chain", [helper.make_tensor_value_info("x", 1, ["N", 8])],
        [helper.make_tensor_value_info(last, 1, ["N", 8])], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return onnx.shape_inference.infer_shapes(model)


def _growth(scratch: Path) -> str:
    rows: dict[str, dict[str, Timing]] = {}
    for count in (1_000, 10_000, 100_000):
        path = scratch / f"chain_{count}.onnx"
        graph = chain(count)
        steps = {"build": lambda n=count: chain(n), "save": lambda g=graph, p=path: save(g, p),
                 "load": lambda p=path: load_graph(p)}
        rows[f"{count:,} nodes"] = {name: _once(step, count) for name, step in steps.items()}
    return table("Growth: time for each node", rows, "")


def _once(step: Any, count: int) -> Timing:
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        step()
        seconds.append((time.perf_counter() - start) / count)
    seconds.sort()
    return Timing(seconds[1], seconds[0], seconds[2])
