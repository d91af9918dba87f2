"""`symgraph inspect FILE`: what a model is made of."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import Any

from symgraph.core.graph import Graph
from symgraph.core.types import ValueType
from symgraph.runtime.exporter import walk_nodes
from symgraph.runtime.importer import load_graph


def add_command(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("inspect", help="show what an ONNX file is made of")
    parser.add_argument("file", help="an ONNX file")
    parser.add_argument("--graph", action="store_true", help="print every node")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the summary of a file, and its graph where asked for."""
    graph = load_graph(options.file)
    print(describe(graph, options.file))
    if options.graph:
        print()
        print(graph)


def describe(graph: Graph, title: str) -> str:
    """Inputs, outputs, weights and operators of a graph, in a few lines."""
    operators = Counter(str(node.op) for node in walk_nodes(graph))
    weights = sum(v.size for v in graph.variables)
    size = sum(x.nbytes for x in graph.leaves)
    lines = [title]
    lines += [f"  opset       {', '.join(f'{d or chr(34) * 2} {v}' for d, v in graph.opsets.items())}"]
    for kind, names, values in (("input ", graph.input_names, graph.inputs),
                                ("output", graph.output_names, graph.outputs)):
        lines += [f"  {kind}      {name}: {_type(x.type)}" for name, x in zip(names, values, strict=True)]
    lines += [f"  parameters  {weights:,} in {len(graph.variables)} weights; {size:,} bytes with constants"]
    lines += [f"  nodes       {sum(operators.values()):,} of {len(operators)} operators"]
    lines += [f"    {count:6,}  {name}" for name, count in operators.most_common()]
    lines += [f"  {key:<11} {value}" for key, value in sorted(graph.metadata.items())]
    return "\n".join(lines)


def _type(value_type: ValueType | None) -> str:
    return str(value_type or "unknown type")
