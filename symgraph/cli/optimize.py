"""`symgraph optimize IN OUT`: a model made smaller and faster, with the same results."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from symgraph import passes
from symgraph.cli.plot import write_comparison
from symgraph.cli.sizes import add_sizes, parse_sizes
from symgraph.core.errors import SymgraphError
from symgraph.core.graph import Graph
from symgraph.passes.manager import Pass
from symgraph.runtime.exporter import save
from symgraph.runtime.importer import load_graph

TARGETS: dict[str, tuple[Pass, ...]] = {
    "inference": passes.INFERENCE, "portable": passes.PORTABLE, "onnxruntime": passes.ONNXRUNTIME,
    "training": passes.TRAINING}

DOMAINS = ("", "ai.onnx.ml", "com.microsoft")


def add_command(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("optimize", help="make a model smaller and faster, with the same results")
    parser.add_argument("input", metavar="IN", help="an ONNX file")
    parser.add_argument("output", metavar="OUT", help="the ONNX file to write")
    parser.add_argument("--target", choices=TARGETS, default="inference",
                        help="inference: weights become constants (default); portable: newer standard operators too; "
                             "onnxruntime: its own fused operators too; training: weights stay weights")
    parser.add_argument("--verify", action="store_true", help="prove every pass on random and on edge inputs")
    parser.add_argument("--reproducer", metavar="FILE", help="where to save what shows a pass to be wrong")
    parser.add_argument("--report", action="store_true", help="say what each pass did, and the cost before and after")
    parser.add_argument("--picture", metavar="FILE.html", help="draw the graph before and after")
    add_sizes(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Optimise a file, and say in a line what came of it."""
    sizes = parse_sizes(options.size)
    before = load_graph(options.input, domains=DOMAINS)
    start = time.perf_counter()
    after, report = passes.optimize(before, TARGETS[options.target], verify=options.verify, report=True,
                                    reproducer=options.reproducer)
    seconds = time.perf_counter() - start
    save(after, options.output)
    old, new = Path(options.input).stat().st_size, Path(options.output).stat().st_size
    proof = ", every pass proved" if options.verify else ""
    print(f"{options.output}: {len(before.nodes):,} nodes became {len(after.nodes):,}, "
          f"{old:,} bytes became {new:,}, in {seconds:.2f} s{proof}")
    if options.report:
        print(f"\n{report}\n\nbefore  {_cost(before, sizes)}\nafter   {_cost(after, sizes)}")
    if options.picture:
        write_comparison(before, after, options.picture)
        print(f"\n{options.picture}: the graph before and after")


def _cost(graph: Graph, sizes: dict[str, int]) -> str:
    """The cost where open dimensions that have no size are 1; where that does not fit, of what is known."""
    try:
        counted = passes.cost(graph, sizes, default_size=1)
    except SymgraphError:
        counted = passes.cost(graph, sizes)
    return counted.summary()
