"""A model as a table: layers, output shapes, parameters, what each is connected to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symgraph.core.structure import flatten
from symgraph.core.tensor import SymbolicTensor
from symgraph.core.types import format_dims
from symgraph.core.variable import Variable
from symgraph.layers.layer import Layer

if TYPE_CHECKING:
    from symgraph.training.model import Model

MAX_ROWS = 60
"""Of an imported model's nodes no more than these are shown."""


def format_summary(model: Model, line_length: int = 100) -> str:
    """The text that `Model.summary` prints."""
    rows = _layer_rows(model) if model.layers else _node_rows(model)
    head = ("Layer (type)", "Output Shape", "Param #", "Connected to")
    table = [head, *rows]
    share = [max(len(row[i]) for row in table) for i in range(3)]
    share.append(max(line_length - sum(share) - 6, 12))
    lines = [f'Model: "{model.name}"', "=" * line_length, _line(head, share), "-" * line_length]
    lines += [_line(row, share) for row in rows]
    total, trainable = _size(model.weights), _size(model.trainable_weights)
    lines += ["=" * line_length,
              f"Total params: {total:,} ({_bytes(model.weights)})",
              f"Trainable params: {trainable:,}",
              f"Non-trainable params: {total - trainable:,}"]
    return "\n".join(lines)


def _line(row: tuple[str, ...], share: list[int]) -> str:
    return "  ".join(cell[:width].ljust(width) for cell, width in zip(row, share, strict=True)).rstrip()


def _layer_rows(model: Model) -> list[tuple[str, ...]]:
    return [(f"{layer.name} ({type(layer).__name__})", _shape_of(layer), f"{_size(layer.weights):,}",
             ", ".join(_sources(layer))) for layer in model.layers]


def _shape_of(layer: Layer) -> str:
    if not layer._calls:
        return "?"
    shapes = [f"({format_dims(x.shape)})" for x in flatten(layer.output) if isinstance(x, SymbolicTensor)]
    return ", ".join(shapes)


def _sources(layer: Layer) -> list[str]:
    if not layer._calls:
        return []
    return [x.call.layer.name if x.call is not None else x.name for x in layer._first_call().inputs]


def _node_rows(model: Model) -> list[tuple[str, ...]]:
    names = model.graph.names
    rows: list[tuple[str, ...]] = []
    for node in model.graph.nodes[:MAX_ROWS]:
        variables = [x for x in node.inputs if isinstance(x, Variable)]
        first = next(x for x in node.outputs if x is not None)
        sources = [names[x] for x in node.inputs if isinstance(x, SymbolicTensor)]
        rows.append((f"{names[first]} ({node.op})", str(first.type or "?"), f"{_size(variables):,}",
                     ", ".join(sources)))
    hidden = len(model.graph.nodes) - len(rows)
    if hidden > 0:
        rows.append((f"... {hidden} more nodes", "", "", ""))
    return rows


def _size(variables: list[Variable]) -> int:
    return sum(v.size for v in variables)


def _bytes(variables: list[Variable]) -> str:
    size = float(sum(v.nbytes for v in variables))
    for unit in ("B", "KB", "MB"):
        if size < 1024:
            return f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} GB"
