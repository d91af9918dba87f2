"""A graph as a picture: SVG, a box for every operator, coloured by what kind it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from symgraph.cli.layout import Layout, lay_out
from symgraph.core.graph import Graph
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import TensorType, format_dims
from symgraph.core.value import Tensor
from symgraph.core.variable import Variable
from symgraph.passes.flops import MOVING
from symgraph.passes.traits import BROADCASTING, ELEMENTWISE

KINDS = {
    "product": ("products", "#dfe9ff", "#3866c6"), "elementwise": ("elementwise", "#fff0cc", "#b27a06"),
    "normal": ("normalisation", "#daf3e4", "#23855a"), "reduce": ("reductions and pools", "#fde1e7", "#bb3f62"),
    "moving": ("data movement", "#eef0f4", "#6b7585"), "inner": ("with a graph inside", "#ece2fb", "#7548bd"),
    "other": ("others", "#e4f3f7", "#2b7d93")}

PRODUCTS = frozenset({
    "MatMul", "Gemm", "Conv", "ConvTranspose", "Einsum", "Attention", "LSTM", "GRU", "RNN", "MatMulInteger",
    "QLinearMatMul", "QLinearConv", "ConvInteger", "FusedMatMul", "FusedGemm", "FusedConv", "MultiHeadAttention"})

STYLE = """
text { font-family: "Inter", "Helvetica Neue", "DejaVu Sans", Arial, sans-serif; text-anchor: middle; fill: #1c2330 }
.op { font-size: 13px; font-weight: bold }
.name { font-size: 10.5px; fill: #414a5a }
.type { font-size: 10.5px; fill: #6b7585 }
.leaf { font-size: 10px; font-style: italic; fill: #7b8494 }
.end .op { font-size: 12px; fill: #ffffff } .end .type { fill: #c5ccd8 } .end rect { fill: #2b3442; stroke: none }
.cut rect { fill: #ffffff; stroke: #a8b0bd; stroke-dasharray: 4 3 } .cut .op { font-size: 11px; fill: #6b7585 }
.edge { fill: none; stroke: #9aa3b2; stroke-width: 1.4 }
.tip { fill: #9aa3b2 }
.group rect { stroke-width: 2.4 }
.removed rect { stroke: #d42a3c; stroke-width: 2.6 } .added rect { stroke: #12934b; stroke-width: 2.6 }
"""

MARGIN = 24.0
MAX_SHARED = 3
"""A value from outside of a picture is drawn anew at each reader where it has so many."""

MAX_TEXT = 34


@dataclass
class Box:
    """What is written in a box, line by line with the style of each, and how it looks."""

    lines: list[tuple[str, str]]
    kind: str
    style: str = ""
    note: str = ""
    nodes: list[Node] = field(default_factory=list)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height."""
        widths = [len(text) * {"op": 8.4, "name": 6.5, "type": 6.5, "leaf": 5.9}[style] for style, text in self.lines]
        return max(64.0, max(widths) + 22), 14.0 + sum(LINE[style] for style, _ in self.lines)


LARGEST = (2**31 - 1, 2**63 - 1)
"""What exporters write for "to the end"."""

LINE = {"op": 16.0, "name": 13.5, "type": 13.5, "leaf": 12.5}


@dataclass(frozen=True)
class Picture:
    """A picture of a graph, and what of it is seen."""

    svg: str
    boxes: int
    width: float
    height: float

    def _repr_svg_(self) -> str:
        """What a notebook shows."""
        return self.svg


def draw(graph: Graph, nodes: Collection[Node] | None = None, depth: int | None = None,
         marked: Mapping[Node, str] | None = None) -> Picture:
    """Draw a graph, or some of its nodes. With `depth`, neighbours in the same layers to that depth are one box.

    `marked` gives nodes a style: `"removed"` or `"added"`.
    """
    shown = [node for node in graph.nodes if nodes is None or node in nodes]
    return render(*_boxes(graph, _groups(shown, depth), marked or {}, depth))


def render(boxes: Mapping[Hashable, Box], edges: Sequence[tuple[Hashable, Hashable]]) -> Picture:
    """Lay boxes out, which come in an order in which edges go forwards, and draw them."""
    layout = lay_out({key: box.size for key, box in boxes.items()}, edges)
    width, height = layout.width + 2 * MARGIN, layout.height + 2 * MARGIN
    body = [*_edge_shapes(layout, edges), *(_box_shape(box, layout.places[key]) for key, box in boxes.items())]
    svg = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
           f'viewBox="{-MARGIN:.0f} {-MARGIN:.0f} {width:.0f} {height:.0f}">\n<style>{STYLE}</style>\n'
           + "\n".join(body) + "\n</svg>\n")
    return Picture(svg, len(boxes), width, height)


def count_boxes(graph: Graph, nodes: Collection[Node] | None = None, depth: int | None = None) -> int:
    """How many boxes of operators a picture would have."""
    return len(_groups([node for node in graph.nodes if nodes is None or node in nodes], depth))


def scope_of(node: Node) -> tuple[str, ...]:
    """The layers a node lies in, or what an exporter wrote into its name: `/encoder/attention/MatMul`."""
    return node.layer or tuple(part for part in node.name.split("/")[:-1] if part)


def _groups(nodes: Sequence[Node], depth: int | None) -> list[list[Node]]:
    """Nodes that follow each other in one scope; cutting the order into runs makes no cycles."""
    groups: list[list[Node]] = []
    for node in nodes:
        scope = scope_of(node)[:depth]
        if depth is not None and scope and groups and scope_of(groups[-1][-1])[:depth] == scope:
            groups[-1].append(node)
        else:
            groups.append([node])
    return groups


def _boxes(graph: Graph, groups: Sequence[list[Node]], marked: Mapping[Node, str], depth: int | None,
           ) -> tuple[dict[Hashable, Box], list[tuple[Hashable, Hashable]]]:
    """The boxes in order, and the edges between them."""
    home: dict[Node, Node] = {node: group[0] for group in groups for node in group}
    ends = {x: Box([("op", _cut(graph.names[x])), ("type", _type(x))], "end", "end") for x in graph.inputs}
    boxes: dict[Hashable, Box] = {}
    edges: dict[tuple[Hashable, Hashable], None] = {}
    reads = Counter(x for group in groups for x in {x for node in group for x in node.operands if x is not None})
    drawn = []
    for group in groups:
        first = group[0]
        for x in dict.fromkeys(x for node in group for x in node.operands if isinstance(x, SymbolicTensor)):
            source: Hashable
            if x in ends:
                source = x
                boxes.setdefault(x, ends[x])
            elif x.node in home:
                source = home[x.node]
            else:
                source = x if reads[x] < MAX_SHARED else (x, first)
                lines = [("op", _cut(graph.names.get(x, x.name))), ("type", _type(x))]
                boxes.setdefault(source, Box(lines, "cut", "cut"))
            if source is not first:
                edges[source, first] = None
        drawn.append((first, _box(graph, group, marked, depth)))
    boxes.update(drawn)
    for name, y in zip(graph.output_names, graph.outputs, strict=True):
        if isinstance(y, SymbolicTensor) and y.node in home:
            boxes[name, "output"] = Box([("op", _cut(name)), ("type", _type(y))], "end", "end")
            edges[home[y.node], (name, "output")] = None
    return boxes, list(edges)


def _box(graph: Graph, group: list[Node], marked: Mapping[Node, str], depth: int | None) -> Box:
    last = group[-1]
    made = next(x for x in last.outputs if x is not None)
    notes = [_note(graph, node) for node in group]
    style = next((marked[node] for node in group if node in marked), "")
    if len(group) > 1:
        scope = "/".join(scope_of(last)[:depth])
        lines = [("op", _cut(scope)), ("name", f"{len(group)} operators"), ("type", _type(made))]
        heavy = next((node for node in group if kind_of(node) == "product"), last)
        return Box(lines, kind_of(heavy), f"group {style}", "\n".join(notes), group)
    lines = [("op", str(last.op)), ("name", _cut(graph.names[made])), ("type", _type(made))]
    lines += [("leaf", text) for text in _leaves(graph, last)]
    return Box(lines, kind_of(last), style, notes[0], group)


def kind_of(node: Node) -> str:
    """The kind of an operator, for its colour."""
    name = node.op.name
    if node.body is not None or any(True for _ in node.subgraphs()):
        return "inner"
    if name in PRODUCTS:
        return "product"
    if name.endswith("Normalization") or name in ("Softmax", "LogSoftmax", "LRN"):
        return "normal"
    if name.startswith("Reduce") or name.endswith("Pool") or name in ("ArgMax", "ArgMin", "TopK", "CumSum"):
        return "reduce"
    if name in ELEMENTWISE | BROADCASTING | {"PRelu", "Swish", "QuickGelu", "BiasGelu"}:
        return "elementwise"
    return "moving" if name in MOVING else "other"


def _leaves(graph: Graph, node: Node) -> list[str]:
    """Weights by name and shape, small constants by value; at most three."""
    found = []
    for x in node.inputs:
        if isinstance(x, Variable):
            found.append(_cut(f"{graph.names[x].rsplit('/', 1)[-1]} [{format_dims(x.shape)}]"))
        elif isinstance(x, Tensor):
            small = x.size <= 4 and x.ndim <= 1
            found.append(_cut(_number(x) if small else f"{x.dtype}[{format_dims(x.shape)}]"))
    return found[:3]


def _number(x: Tensor) -> str:
    values = [f"{v:.4g}" if isinstance(v, float) else "max" if v in LARGEST else str(v)
              for v in x.numpy().reshape(-1).tolist()]
    return values[0] if x.ndim == 0 else f"[{', '.join(values)}]"


def _note(graph: Graph, node: Node) -> str:
    """What a pointer over the box shows."""
    attributes = [f"  {name} = {value!r}"[:120] for name, value in sorted(node.attributes.items())]
    made = ", ".join(f"{graph.names[x]}: {x.type or '?'}" for x in node.outputs if x is not None)
    return "\n".join([f"{made} = {node.describe()}", *attributes])


def _type(x: Operand) -> str:
    if isinstance(x.type, TensorType) and x.type.shape is not None:
        return _cut(f"{x.type.dtype} [{format_dims(x.type.shape)}]")
    return _cut(str(x.type or "?"))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:12]}…{text[12 - MAX_TEXT + 1:]}"


def _edge_shapes(layout: Layout, edges: Sequence[tuple[Hashable, Hashable]]) -> list[str]:
    """Smooth curves that leave and arrive vertically, with a small arrow at the end."""
    shapes = []
    for edge in edges:
        points = layout.routes[edge]
        path = f"M{points[0][0]:.1f},{points[0][1]:.1f}"
        end = points[-1][0], points[-1][1] - 5
        for i, ((x0, y0), (x1, y1)) in enumerate(zip(points, (*points[1:-1], end), strict=False)):
            bend = (y1 - y0) / 2
            path += (f" L{x1:.1f},{y1:.1f}" if i % 2 and x0 == x1 else
                     f" C{x0:.1f},{y0 + bend:.1f} {x1:.1f},{y1 - bend:.1f} {x1:.1f},{y1:.1f}")
        x, y = points[-1]
        shapes.append(f'<path class="edge" d="{path}"/>'
                      f'<path class="tip" d="M{x:.1f},{y:.1f} l-3.6,-6.6 h7.2 z"/>')
    return shapes


def _box_shape(box: Box, place: tuple[float, float]) -> str:
    (width, height), (x, y) = box.size, place
    _, fill, line = KINDS.get(box.kind, ("", "#ffffff", "#6b7585"))
    radius = height / 2 if box.style in ("end", "cut") else 7
    look = "" if box.style in ("end", "cut") else f' fill="{fill}" stroke="{line}"'
    parts = [f'<g class="{box.style}"><title>{escape(box.note or box.lines[0][1])}</title>'
             f'<rect x="{x - width / 2:.1f}" y="{y - height / 2:.1f}" width="{width:.1f}" height="{height:.1f}" '
             f'rx="{radius:g}"{look}/>']
    top = y - height / 2 + 7
    for style, text in box.lines:
        top += LINE[style]
        parts.append(f'<text class="{style}" x="{x:.1f}" y="{top - 3.5:.1f}">{escape(text)}</text>')
    return "".join(parts) + "</g>"
