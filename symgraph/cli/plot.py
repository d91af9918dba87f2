"""`symgraph plot FILE OUT.svg`: a picture of a graph, or of a part of it."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Collection
from html import escape
from pathlib import Path
from typing import Any

from symgraph.cli.outputs import PAGES, check_picture
from symgraph.cli.picture import KINDS, Picture, count_boxes, draw, scope_of
from symgraph.core.errors import GraphError
from symgraph.core.graph import Graph
from symgraph.core.tensor import Node, SymbolicTensor
from symgraph.runtime.importer import load_graph

MAX_BOXES = 600
"""More boxes than that are no picture any more."""

MAX_COMPARED = 150
"""Of larger graphs side by side, only what changed is drawn."""

PAGE_STYLE = """
body { font-family: "Inter", "Helvetica Neue", "DejaVu Sans", Arial, sans-serif; color: #1c2330; margin: 0;
       background: #fbfcfe }
header { padding: 22px 28px 14px; border-bottom: 1px solid #e3e7ee; background: #ffffff }
h1 { font-size: 19px; margin: 0 0 6px } h2 { font-size: 15px; margin: 18px 24px 0 }
p { margin: 4px 0; color: #4c5667; font-size: 13px } .key { margin-right: 16px; white-space: nowrap }
.key i { display: inline-block; width: 12px; height: 12px; border-radius: 3px; border: 1.5px solid; margin-right: 6px;
         vertical-align: -2px }
.sides { display: flex } .side { flex: 1 1 50%; overflow: auto; max-height: 100vh } .side + .side {
         border-left: 1px solid #e3e7ee } .side p { margin: 4px 24px }
.scroll { overflow: auto } svg { display: block; margin: 0 auto }
"""


def add_command(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("plot", help="draw a graph as SVG or HTML")
    parser.add_argument("file", metavar="FILE", help="an ONNX file")
    parser.add_argument("output", metavar="OUT", help="the picture to write: .svg or .html")
    parser.add_argument("--depth", type=int, metavar="N", help="one box for what lies in the same layers, N deep")
    parser.add_argument("--around", metavar="TENSOR", help="only the neighbourhood of a tensor")
    parser.add_argument("--steps", type=int, default=4, metavar="N", help="how far --around reaches (4)")
    parser.add_argument("--first", type=int, metavar="N", help="only the first N nodes")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Draw a file."""
    check_picture(options.output, (".svg", *PAGES))
    graph = load_graph(options.file)
    nodes = _selected(graph, options.around, options.steps, options.first)
    count = count_boxes(graph, nodes, options.depth)
    if count > MAX_BOXES:
        has_layers = options.depth is None and any(map(scope_of, graph.nodes))
        raise GraphError(f"{options.file} would be a picture of {count:,} boxes, which nobody can read; give "
                         f"{'--depth 1, ' if has_layers else ''}--around TENSOR or --first N (up to {MAX_BOXES})")
    picture = draw(graph, nodes, options.depth)
    shown = len(graph.nodes) if nodes is None else len(nodes)
    write_picture(picture, graph, options.output, f"{Path(options.file).name}", shown)
    print(f"{options.output}: {shown:,} of {len(graph.nodes):,} nodes, "
          f"{picture.width:.0f} by {picture.height:.0f} pixels")


def write_picture(picture: Picture, graph: Graph, output: str, title: str, shown: int) -> None:
    """Write an SVG file, or an HTML page around it."""
    if output.lower().endswith(".svg"):
        Path(output).write_text(picture.svg, encoding="utf-8")
        return
    text = f"{shown:,} of {len(graph.nodes):,} nodes · {_operators(graph)}"
    Path(output).write_text(_page(title, text, f'<div class="scroll">{picture.svg}</div>'), encoding="utf-8")


def write_comparison(before: Graph, after: Graph, output: str) -> None:
    """Write an HTML page with two graphs side by side: red what went, green what came.

    Graphs of more than `MAX_COMPARED` nodes are drawn where they differ.
    """
    kept = _lines(before) & _lines(after)
    sides = []
    for title, graph, style in (("before", before, "removed"), ("after", after, "added")):
        marked = {node: style for node in graph.nodes if _line(graph, node) not in kept}
        nodes = _around(graph, marked, 1) if len(graph.nodes) > MAX_COMPARED else None
        is_large = nodes is not None and len(nodes) > MAX_BOXES
        if is_large:
            nodes = list(nodes or ())[:MAX_BOXES]
        note = "" if nodes is None else f", drawn {len(nodes):,} around what changed"
        sides.append(f'<div class="side"><h2>{title}: {len(graph.nodes):,} nodes</h2>'
                     f"<p>{len(marked):,} {style}{note}</p>"
                     f"{draw(graph, nodes, marked=marked).svg}</div>")
    text = "Red frames: nodes that went. Green frames: nodes that came. " + _difference(before, after)
    Path(output).write_text(_page(f"{before.name}, optimised", text, f'<div class="sides">{"".join(sides)}</div>'),
                            encoding="utf-8")


def _selected(graph: Graph, around: str | None, steps: int, first: int | None) -> list[Node] | None:
    """The nodes to draw; None for all."""
    if around is not None:
        x = graph.find(around)
        centre = [node for node in graph.nodes if any(x is y for y in (*node.operands, *node.outputs))]
        if isinstance(x, SymbolicTensor) and x.node is not None:
            centre = [x.node]
        return _around(graph, centre, steps)
    return None if first is None else list(graph.nodes[:first])


def _around(graph: Graph, centre: Collection[Node], steps: int) -> list[Node]:
    """The nodes that can be reached from `centre` in so many steps, up or down, in order."""
    readers: dict[Node, list[Node]] = {}
    for node in graph.nodes:
        for x in node.operands:
            if isinstance(x, SymbolicTensor) and x.node is not None:
                readers.setdefault(x.node, []).append(node)
    found = edge = set(centre)
    for _ in range(steps):
        edge = {near for node in edge for near in (
            *(x.node for x in node.operands if isinstance(x, SymbolicTensor) and x.node is not None),
            *readers.get(node, ()))} - found
        found = found | edge
    return [node for node in graph.nodes if node in found]


def _line(graph: Graph, node: Node) -> tuple[str, str]:
    return str(node.op), next(graph.names[x] for x in node.outputs if x is not None)


def _lines(graph: Graph) -> set[tuple[str, str]]:
    return {_line(graph, node) for node in graph.nodes}


def _operators(graph: Graph) -> str:
    count = Counter(str(node.op) for node in graph.nodes)
    shown = ", ".join(f"{number} {name}" for name, number in count.most_common(8))
    return shown + (f" and {len(count) - 8} other operators" if len(count) > 8 else "")


def _difference(before: Graph, after: Graph) -> str:
    """`-2 BatchNormalization, +1 Gemm`."""
    old, new = (Counter(str(node.op) for node in graph.nodes) for graph in (before, after))
    return ", ".join(f"{new[name] - old[name]:+d} {name}" for name in sorted({*old, *new}) if new[name] != old[name])


def _page(title: str, text: str, content: str) -> str:
    keys = "".join(f'<span class="key"><i style="background:{fill};border-color:{line}"></i>{name}</span>'
                   for name, fill, line in KINDS.values())
    return (f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
            f"<style>{PAGE_STYLE}</style>\n<header><h1>{escape(title)}</h1><p>{escape(text)}</p><p>{keys}</p></header>\n"
            f"{content}\n</html>\n")
