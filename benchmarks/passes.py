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
from symgraph.passes.verify import Pass
from symgraph.runtime.exporter import to_model
from symgraph.runtime.importer import load_graph

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "onnx"
SIZES = (1_000, 10_000, 100_000)
ROUNDS = 3

Optimizer = Callable[[onnx.ModelProto], onnx.ModelProto]

PIPELINES: dict[str, tuple[Pass, ...]] = {
    "INFERENCE": passes.INFERENCE, "PORTABLE": passes.PORTABLE, "ONNXRUNTIME": passes.ONNXRUNTIME}


def report() -> str:
    """Nodes and time on every model, growth with the number of nodes, and inference before and after."""
    names = [path.stem for path in sorted(DATA.glob("*.onnx")) if _is_known(path)]
    return "\n".join(["## Rewrite passes\n", _optimizers(names), _growth(), _inference(names)])


def _is_known(path: Path) -> bool:
    try:
        load_graph(path)
    except sg.SymgraphError:
        return False
    return True


def _optimizers(names: list[str]) -> str:
    """Nodes left by each optimiser, and the least time of a few rounds in turn, from model to model in memory."""
    recorded = {Path(row["f"]).stem: row for row in map(json.loads, _lines(DATA / "peers_node_counts.jsonl"))}
    candidates = {**{name: _ours(pipeline) for name, pipeline in PIPELINES.items()}, **dict(_peers())}
    counts: dict[str, list[str]] = {}
    times: dict[str, list[str]] = {}
    for name in names:
        model = onnx.load(DATA / f"{name}.onnx")
        best: dict[str, float] = {}
        left: dict[str, str] = {}
        for _ in range(ROUNDS):
            for label, optimize in candidates.items():
                copy = _copy(model)
                try:
                    after, seconds = _timed(lambda f=optimize, m=copy: f(m))
                except Exception as error:  # whatever a peer raises is its result
                    left[label] = type(error).__name__
                    continue
                left[label] = str(_count(after))
                best[label] = min(seconds, best.get(label, seconds))
        row = recorded.get(name, {})
        known = [row[k] for k in ("onnxslim", "onnxsim", "ort_basic") if isinstance(row.get(k), int)]
        counts[name] = [str(_count(model)), *left.values(), str(min(known, default="-"))]
        times[name] = [f"{1e3 * best[label]:.1f} ms" if label in best else "-" for label in candidates]
    return "\n".join([
        _markdown("Nodes left", ["nodes", *candidates, "best recorded of peers"], counts),
        _markdown("Time to optimise, from model to model in memory", list(candidates), times)])


def _ours(pipeline: tuple[Pass, ...]) -> Optimizer:
    return lambda model: to_model(passes.optimize(load_graph(model), pipeline), allow_newer=True).model


def _count(model: onnx.ModelProto) -> int:
    return sum(node.op_type != "Constant" for node in model.graph.node)


def _markdown(title: str, columns: list[str], rows: dict[str, list[str]]) -> str:
    lines = [f"### {title}", "", "| | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    return "\n".join([*lines, *(f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows.items())]) + "\n"


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.is_file() else []


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def _peers() -> Iterator[tuple[str, Optimizer]]:
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
    """ONNX Runtime with all its own optimisations on one thread, on the file as it is and on the optimised one."""
    rows = {}
    for name in names:
        path = DATA / f"{name}.onnx"
        graph = load_graph(path)
        with np.load(DATA / f"{name}.ref.npz") as saved:
            feeds = {n: saved["in__" + n.replace("/", "|")] for n in graph.input_names}
        sessions = {"original": _session(path)}
        for label, pipeline in PIPELINES.items():
            model = to_model(passes.optimize(graph, pipeline), allow_newer=True).model
            sessions[label] = _session(model.SerializeToString())
        rows[name] = measure({k: lambda s=s, f=feeds: s.run(None, f) for k, s in sessions.items()},
                             clock=time.thread_time)
    return table("Inference on ONNX Runtime (times original)", rows, "original")


def _session(source: Path | bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
