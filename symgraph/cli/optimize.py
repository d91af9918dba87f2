"""`symgraph optimize IN OUT`: a model made smaller and faster, with the same results."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from symgraph import passes
from symgraph.cli.outputs import PAGES, check_picture, check_writable
from symgraph.cli.plot import write_comparison
from symgraph.cli.sizes import add_sizes, parse_sizes
from symgraph.core.errors import SymgraphError
from symgraph.core.graph import Graph
from symgraph.passes.cost import Cost, count
from symgraph.passes.report import Report
from symgraph.passes.verify import Pass
from symgraph.runtime.exporter import save
from symgraph.runtime.importer import load_graph

TARGETS: dict[str, tuple[Pass, ...]] = {
    "inference": passes.INFERENCE, "portable": passes.PORTABLE, "onnxruntime": passes.ONNXRUNTIME,
    "training": passes.TRAINING}


def add_command(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("optimize", help="make a model smaller and faster, with the same results")
    parser.add_argument("input", metavar="IN", help="an ONNX file")
    parser.add_argument("output", metavar="OUT", help="the ONNX file to write")
    parser.add_argument("--target", choices=TARGETS, default="inference",
                        help="inference: weights become constants, an old file gets newer standard operators where it "
                             "has use for them (default); portable: opset 21 in any case; onnxruntime: its own fused "
                             "operators too; training: weights stay weights")
    parser.add_argument("--verify", action="store_true", help="prove every pass on random and on edge inputs")
    parser.add_argument("--reproducer", metavar="FILE", help="where to save what shows a pass to be wrong")
    parser.add_argument("--report", action="store_true", help="say what each pass did, and the cost before and after")
    parser.add_argument("--picture", metavar="FILE.html", help="draw the graph before and after")
    add_sizes(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Optimise a file, and say in a line what came of it."""
    sizes = parse_sizes(options.size)
    check_writable(options.output)
    if options.picture:
        check_picture(options.picture, PAGES)
    before = load_graph(options.input)
    cost_before = _cost(before, sizes) if options.report or sizes else None
    old = Path(options.input).stat().st_size
    start = time.perf_counter()
    after, report = passes.optimize(before, TARGETS[options.target], verify=options.verify, report=True,
                                    reproducer=options.reproducer)
    seconds = time.perf_counter() - start
    save(after, options.output)
    proof = ", every pass proved" if options.verify else ""
    print(f"{options.output}: {len(before.nodes):,} nodes became {len(after.nodes):,}, "
          f"{old:,} bytes became {Path(options.output).stat().st_size:,}, in {seconds:.2f} s{proof}")
    if options.report and cost_before is not None:
        print(f"\n{_changes(report)}\n\n{compare_costs(cost_before, _cost(after, sizes))}")
    if options.picture:
        write_comparison(before, after, options.picture)
        print(f"\n{options.picture}: the graph before and after")


def _changes(report: Report) -> str:
    """The passes that found something; of the others, how many they are."""
    shown = tuple(row for row in report if row.removed or row.added)
    rest = [row for row in report if not (row.removed or row.added)]
    text = str(Report(shown, report.nodes_before, report.nodes_after))
    spent = 1e3 * sum(row.seconds for row in rest)
    return f"{text}\n{len(rest)} passes took no operator away and put none in, in {spent:.1f} ms" if rest else text


def _cost(graph: Graph, sizes: dict[str, int]) -> Cost:
    """The cost where open dimensions that have no size are 1; where that does not fit, of what is known."""
    try:
        return passes.cost(graph, sizes, default_size=1)
    except SymgraphError:
        return passes.cost(graph, sizes)


def compare_costs(before: Cost, after: Cost) -> str:
    """A line for each of arithmetic, memory and weights, before and after."""
    lines = [f"{'cost':<16} {'before':>12} {'after':>12}"]
    for title, unit, old, new in (
            ("nodes", "", len(before.rows), len(after.rows)), ("arithmetic", "FLOPs", before.flops, after.flops),
            ("bytes read", "B", before.read, after.read), ("bytes written", "B", before.written, after.written),
            ("peak memory", "B", before.peak, after.peak), ("parameters", "", before.parameters, after.parameters)):
        shown = [f"{n:,}" if title == "nodes" else (count(n) + unit).strip() if n is not None else "unknown"
                 for n in (old, new)]
        change = f"{100 * (new - old) / old:+8.1f} %" if old and new is not None and new != old else ""
        lines.append(f"{title:<16} {shown[0]:>12} {shown[1]:>12} {change}".rstrip())
    unknown = [sum(row.flops is None for row in cost.rows) for cost in (before, after)]
    if any(unknown):
        known = [count(sum(row.flops for row in cost.rows if row.flops is not None)) for cost in (before, after)]
        lines.append(f"without the {unknown[0]} and {unknown[1]} nodes of unknown arithmetic it is {known[0]}FLOPs "
                     f"and {known[1]}FLOPs")
    return "\n".join(lines)
