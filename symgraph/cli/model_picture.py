"""A model as a picture of its layers. Public as `sg.utils.plot_model` and `sg.utils.model_to_dot`."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symgraph.cli.outputs import check_picture
from symgraph.cli.picture import KINDS, Box, Picture, kind_of, render
from symgraph.core.errors import LayerError, MissingDependencyError, RunError
from symgraph.core.structure import flatten
from symgraph.core.tensor import Node, SymbolicTensor
from symgraph.core.types import TensorType, format_dims
from symgraph.layers.layer import LayerCall
from symgraph.layers.network import Network, Unit
from symgraph.training.model import Model

__all__ = ["model_to_dot", "plot_model"]

DRAWN = (".svg", ".dot", ".gv")
BY_GRAPHVIZ = (".png", ".pdf", ".jpg", ".jpeg", ".ps", ".gif")

_KIND_OF_MODULE = {
    "activation": "elementwise", "merging": "elementwise", "regularization": "elementwise", "normalization": "normal",
    "spectral_normalization": "normal", "pooling": "reduce", "reshaping": "moving", "resizing": "moving",
    "masking": "moving"}
"""What layers of these files do; all others multiply by weights."""


@dataclass(frozen=True)
class _Item:
    """A layer call, an op or an input, as a box: the calls of models around it, and what it reads and makes."""

    key: Hashable
    calls: tuple[LayerCall, ...]
    title: str
    name: str
    kind: str
    inputs: tuple[SymbolicTensor, ...]
    outputs: tuple[SymbolicTensor, ...]
    layer: Any = None

    @property
    def place(self) -> str:
        """Its name, after those of the models around it."""
        return "/".join((*(call.layer.name for call in self.calls), self.name))


def plot_model(
        model: Model, to_file: str | os.PathLike[str] | None = "model.svg", show_shapes: bool = False,
        show_dtype: bool = False, show_layer_names: bool = False, rankdir: str = "TB", expand_nested: bool = False,
        dpi: int = 200, show_layer_activations: bool = False, show_trainable: bool = False, splines: str = "ortho",
        ) -> Picture:
    """Draw a model: a box a layer, and a box an op that stands outside of layers. Gives the picture, for a notebook.

    `to_file` ends in `.svg`, or in `.dot` for the text of `model_to_dot`; None writes nothing. Other kinds, such as
    `.png`, and directions other than "TB" are drawn by Graphviz's program `dot`, to which `dpi` and `splines` go. With
    `expand_nested` the layers of models inside are shown in their place.

    Errors: `LayerError` for a model without inputs yet, `GraphError` for other kinds of files, `MissingDependencyError`
    where Graphviz is needed and absent.

    >>> model = sg.Sequential([sg.Input((4,)), sg.layers.Dense(2)])
    >>> plot_model(model, None, show_shapes=True).boxes
    2
    """
    items, edges = _layers_of(model, expand_nested)
    options = {"show_shapes": show_shapes, "show_dtype": show_dtype, "show_layer_names": show_layer_names,
               "show_layer_activations": show_layer_activations, "show_trainable": show_trainable}
    picture = render({item.key: _box(item, options) for item in items}, edges)
    if to_file is None:
        return picture
    path = Path(to_file)
    check_picture(str(path), (*DRAWN, *BY_GRAPHVIZ))
    kind = path.suffix.lower()
    text = model_to_dot(model, rankdir=rankdir, expand_nested=expand_nested, dpi=dpi, splines=splines, **options)
    if kind in (".dot", ".gv"):
        path.write_text(text, encoding="utf-8")
    elif kind == ".svg" and rankdir == "TB":
        path.write_text(picture.svg, encoding="utf-8")
    else:
        _run_graphviz(text, path)
    return picture


def model_to_dot(
        model: Model, show_shapes: bool = False, show_dtype: bool = False, show_layer_names: bool = True,
        rankdir: str = "TB", expand_nested: bool = False, dpi: int = 200, subgraph: bool = False,
        show_layer_activations: bool = False, show_trainable: bool = False, splines: str = "ortho") -> str:
    """A model in Graphviz's language, as text; what `plot_model` draws. With `subgraph` it is a cluster of a graph.

    Errors: `LayerError` for a model without inputs yet, or a direction that there is not.

    >>> print(model_to_dot(sg.Sequential([sg.Input((4,), name="x"), sg.layers.Dense(2, name="head")], name="m")))
    digraph "m" {
      graph [rankdir=TB, dpi=200, splines=ortho]
      node [shape=record, fontname="Helvetica"]
      n0 [label="{InputLayer|x}"]
      n1 [label="{Dense|head}"]
      n0 -> n1
    }
    """
    if rankdir not in ("TB", "LR", "BT", "RL"):
        raise LayerError(f"model_to_dot: rankdir is TB, LR, BT or RL, got {rankdir!r}")
    items, edges = _layers_of(model, expand_nested)
    options = {"show_shapes": show_shapes, "show_dtype": show_dtype, "show_layer_names": show_layer_names,
               "show_layer_activations": show_layer_activations, "show_trainable": show_trainable}
    numbers = {item.key: f"n{i}" for i, item in enumerate(items)}
    head = f'subgraph "cluster_{_quoted(model.name)}"' if subgraph else f'digraph "{_quoted(model.name)}"'
    lines = [f"{head} {{", f"  graph [rankdir={rankdir}, dpi={dpi}, splines={splines}]",
             '  node [shape=record, fontname="Helvetica"]']
    lines += _clusters(items, (), numbers, options, itertools.count())
    lines += [f"  {numbers[a]} -> {numbers[b]}" for a, b in edges]
    return "\n".join([*lines, "}"])


def _clusters(items: list[_Item], calls: tuple[LayerCall, ...], numbers: dict[Hashable, str],
              options: dict[str, bool], counter: itertools.count[int]) -> list[str]:
    """The items inside of `calls`, those of models in there in clusters of their own."""
    lines, indent = [], "  " * (len(calls) + 1)
    inner: dict[tuple[LayerCall, ...], None] = {}
    for item in items:
        if item.calls == calls:
            text = "|".join(_escaped(line) for _, line in _lines(item, options))
            lines.append(f'{indent}{numbers[item.key]} [label="{{{text}}}"]')
        elif item.calls[:len(calls)] == calls:
            inner.setdefault(item.calls[:len(calls) + 1])
    for deeper in inner:
        lines.append(f"{indent}subgraph cluster_{next(counter)} {{")
        lines.append(f'{indent}  label="{_quoted(deeper[-1].layer.name)}"')
        lines += [*_clusters(items, deeper, numbers, options, counter), f"{indent}}}"]
    return lines


def _layers_of(model: Model, expand_nested: bool) -> tuple[list[_Item], list[tuple[Hashable, Hashable]]]:
    """The items in the order in which they run, and which reads which."""
    if not isinstance(model, Model):
        raise LayerError(f"plot_model: expects a model, got {model!r}")
    items: list[_Item] = []
    edges: dict[tuple[Hashable, Hashable], None] = {}
    sources: dict[SymbolicTensor, Hashable] = {}
    for x in model.inputs:
        items.append(_Item((x,), (), "InputLayer", x.name or "input", "end", (), (x,)))
        sources[x] = (x,)
    _collect(model._require(), (), sources, items, edges, expand_nested=expand_nested)
    return items, list(edges)


def _collect(network: Network, calls: tuple[LayerCall, ...], sources: dict[SymbolicTensor, Hashable],
             items: list[_Item], edges: dict[tuple[Hashable, Hashable], None], *, expand_nested: bool) -> None:
    """Add the units of a network; `sources` says which item made a symbol, and learns what is made here."""
    for unit in network.units:
        read = tuple(x for x in (unit.inputs if isinstance(unit, LayerCall) else unit.operands)
                     if isinstance(x, SymbolicTensor))
        made = tuple(x for x in flatten(unit.outputs) if isinstance(x, SymbolicTensor))
        inner = unit.layer if isinstance(unit, LayerCall) and isinstance(unit.layer, Model) else None
        if expand_nested and inner is not None and inner._network is not None:
            assert isinstance(unit, LayerCall)
            given = zip(inner.inputs, inner._arrange(unit.args[0]), strict=True)
            known = {x: sources[outer] for x, outer in given if outer in sources}
            _collect(inner._network, (*calls, unit), known, items, edges, expand_nested=expand_nested)
            sources.update((x, known[y]) for x, y in zip(made, inner.outputs, strict=True) if y in known)
            continue
        key: Hashable = (*calls, unit)
        items.append(_item(unit, key, calls, read, made))
        edges.update(((sources[x], key), None) for x in read if x in sources)
        sources.update((x, key) for x in made)


def _item(unit: Unit, key: Hashable, calls: tuple[LayerCall, ...], read: tuple[SymbolicTensor, ...],
          made: tuple[SymbolicTensor, ...]) -> _Item:
    if isinstance(unit, Node):
        return _Item(key, calls, str(unit.op), "", kind_of(unit), read, made)
    layer = unit.layer
    module = type(layer).__module__.rpartition(".")[2]
    kind = "inner" if isinstance(layer, Model) else _KIND_OF_MODULE.get(module, "product")
    return _Item(key, calls, type(layer).__name__, layer.name, kind, read, made, layer)


def _lines(item: _Item, options: dict[str, bool]) -> list[tuple[str, str]]:
    """What is written in a box, with the style of each line."""
    lines = [("op", item.title)]
    if options["show_layer_names"] and item.name:
        lines.append(("name", item.place))
    activation = getattr(item.layer, "activation", None)
    if options["show_layer_activations"] and activation is not None:
        lines.append(("name", f"activation: {getattr(activation, '__name__', type(activation).__name__)}"))
    if options["show_shapes"]:
        if item.inputs:
            lines.append(("type", f"input: {_shapes(item.inputs)}"))
        lines.append(("type", f"output: {_shapes(item.outputs)}"))
    if options["show_dtype"]:
        lines.append(("type", f"dtype: {', '.join(dict.fromkeys(_dtype(x) for x in item.outputs))}"))
    if options["show_trainable"] and item.layer is not None and item.layer.weights:
        lines.append(("leaf", "trainable" if item.layer.trainable_weights else "not trainable"))
    return lines


def _box(item: _Item, options: dict[str, bool]) -> Box:
    style = "end" if item.kind == "end" else ""
    lines = _lines(item, options)
    if style:  # its text is white or grey on dark
        lines = [(kind if kind == "op" else "type", text) for kind, text in lines]
    return Box(lines, item.kind if item.kind in KINDS else "other", style, item.place)


def _shapes(symbols: Iterable[SymbolicTensor]) -> str:
    return ", ".join(f"({format_dims(x.type.shape)})" if isinstance(x.type, TensorType) and x.type.shape is not None
                     else "?" for x in symbols)


def _dtype(x: SymbolicTensor) -> str:
    return x.type.dtype if isinstance(x.type, TensorType) else "?"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _escaped(text: str) -> str:
    """Text inside of a record, where some signs mean something."""
    return "".join("\\" + c if c in '\\"{}<>|' else c for c in text)


def _run_graphviz(text: str, path: Path) -> None:
    program = shutil.which("dot")
    if program is None:
        raise MissingDependencyError(f"{path.name} is drawn by Graphviz, whose program dot is not installed; install "
                                     'it, or write .svg with rankdir="TB", which needs nothing')
    done = subprocess.run([program, f"-T{path.suffix[1:].lower()}", "-o", str(path)], input=text, text=True,
                          capture_output=True, check=False)
    if done.returncode:
        raise RunError(f"Graphviz could not write {path}: {done.stderr.strip()}")
