"""What `passes.optimize` leaves of real models and how long it takes, beside onnxslim and onnxsim where installed."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

import symgraph as sg
from benchmarks.timing import measure, table
from symgraph import passes
from symgraph.core.graph import Graph
from symgraph.runtime.exporter import to_model
from symgraph.runtime.importer import load_graph

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "onnx"
SIZES = (1_000, 10_000, 100_000)


def report() -> str:
    """Nodes and time on every model, growth with the number of nodes, and inference before and after."""
    names = [path.stem for path in sorted(DATA.glob("*.onnx")) if _is_known(path)]
    return "\n".join([_nodes(names), _growth(), _inference(names)])


def _is_known(path: Path) -> bool:
    try:
        load_graph(path)
    except sg.SymgraphError:
        return False
    return True


def _nodes(names: list[str]) -> str:
    recorded = {Path(row["f"]).stem: row for row in map(json.loads, _lines(DATA / "peers_node_counts.jsonl"))}
    peers = dict(_peers())
    head = ["nodes", "INFERENCE", "time", "ONNXRUNTIME", "time", *(c for name in peers for c in (name, "time"))]
    head += [] if "onnxslim" in peers else ["onnxslim (recorded)"]
    head += ["best recorded"]
    lines = ["### Nodes left, and time to optimise", "",
             "| | " + " | ".join(head) + " |", "|---|" + "---:|" * len(head)]
    for name in names:
        graph, model = load_graph(DATA / f"{name}.onnx"), onnx.load(DATA / f"{name}.onnx")
        cells = [str(len(graph.nodes))]
        for pipeline in (passes.INFERENCE, passes.ONNXRUNTIME):
            after, seconds = _timed(lambda p=pipeline, g=graph: passes.optimize(g, p))
            cells += [str(len(after.nodes)), f"{seconds:.2f} s"]
        for simplify in peers.values():
            try:
                after, seconds = _timed(lambda s=simplify, m=model: s(_copy(m)))
            except Exception as error:  # whatever a peer raises is its result
                cells += [type(error).__name__, "-"]
                continue
            cells += [str(sum(n.op_type != "Constant" for n in after.graph.node)), f"{seconds:.2f} s"]
        row = recorded.get(name, {})
        counts = [row[k] for k in ("onnxslim", "onnxsim", "ort_basic") if isinstance(row.get(k), int)]
        if "onnxslim" not in peers:
            cells.append(str(row.get("onnxslim", "-")))
        lines.append(f"| {name} | " + " | ".join([*cells, str(min(counts, default="-"))]) + " |")
    return "\n".join(lines) + "\n"


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.is_file() else []


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def _peers() -> Iterator[tuple[str, Callable[[onnx.ModelProto], onnx.ModelProto]]]:
    try:
        import onnxslim
    except ImportError:
        pass
    else:
        logging.disable(logging.WARNING)
        yield "onnxslim", onnxslim.slim
    try:
        import onnxsim
    except ImportError:
        return
    yield "onnxsim", lambda model: onnxsim.simplify(model)[0]


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def _chain(nodes: int) -> Graph:
    """Additions, activations and pairs of transposes, a third of which goes."""
    x = sg.Input((4, 4), name="x")
    y: Any = x
    for i in range(nodes // 5):
        y = sg.transpose(sg.tanh(sg.transpose(y, (0, 2, 1))), (0, 2, 1)) * 1.0 + float(i % 7)
    return Graph([x], [y])


def _growth() -> str:
    lines = ["### Time by number of nodes (INFERENCE)", "",
             "| nodes | left | time | µs a node |", "|---:|---:|---:|---:|"]
    for size in SIZES:
        graph = _chain(size)
        after, seconds = _timed(lambda g=graph: passes.optimize(g))
        count = len(graph.nodes)
        lines.append(f"| {count} | {len(after.nodes)} | {seconds:.2f} s | {1e6 * seconds / count:.0f} |")
    return "\n".join(lines) + "\n"


def _inference(names: list[str]) -> str:
    """ONNX Runtime with all its own optimisations, on the file as it is and on the optimised one."""
    rows = {}
    for name in names:
        path = DATA / f"{name}.onnx"
        graph = load_graph(path)
        with np.load(DATA / f"{name}.ref.npz") as saved:
            feeds = {n: saved["in__" + n.replace("/", "|")] for n in graph.input_names}
        sessions = {"original": _session(path)}
        for label, pipeline in (("INFERENCE", passes.INFERENCE), ("ONNXRUNTIME", passes.ONNXRUNTIME)):
            model = to_model(passes.optimize(graph, pipeline), allow_newer=True).model
            sessions[label] = _session(model.SerializeToString())
        rows[name] = measure({k: lambda s=s, f=feeds: s.run(None, f) for k, s in sessions.items()}, rounds=9)
    return table("Inference on ONNX Runtime (times original)", rows, "original")


def _session(source: Path | bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
