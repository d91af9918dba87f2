"""`symgraph check A B`: whether ONNX Runtime makes the same of two files, and if not, where they part."""

from __future__ import annotations

import argparse
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import NodeProto

from symgraph.cli.sizes import add_sizes, parse_sizes
from symgraph.core.errors import FormatError, GraphError, RunError, ShapeError, SymgraphError
from symgraph.core.types import Dim, TensorType, ValueType, is_integer, numpy_dtype, type_from_proto
from symgraph.runtime.files import Limits, read_model
from symgraph.runtime.ort import failure_reason, onnxruntime, session_options

Array = np.ndarray[Any, Any]


class Subject:
    """A model file as ONNX Runtime runs it, with its own optimiser off; any tensor of it can be asked for."""

    def __init__(self, path: str) -> None:
        self.model, place, self.who = read_model(path, Limits())
        self.folder = str((place or Path()).resolve().parent)
        graph = self.model.graph
        weights = {x.name for x in graph.initializer}
        self.inputs: dict[str, ValueType | None] = {
            x.name: type_from_proto(x.type) for x in graph.input if x.name not in weights}
        self.outputs = [x.name for x in graph.output]
        self.makers: dict[str, NodeProto] = {name: node for node in graph.node for name in node.output if name}

    def run(self, names: Sequence[str], feeds: Mapping[str, Array]) -> dict[str, Any]:
        """Values of these tensors.

        Errors: `RunError` with ONNX Runtime's reason.
        """
        model = type(self.model)()
        model.CopyFrom(self.model)
        for name in names:
            if name not in self.outputs:
                model.graph.output.add(name=name)
        options = session_options(optimize=False)
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", self.folder)
        try:
            session = onnxruntime().InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"])
            return dict(zip(names, session.run(list(names), dict(feeds)), strict=True))
        except Exception as error:
            raise RunError(f"{self.who}: {failure_reason(error)}") from None


@dataclass(frozen=True)
class Comparison:
    """One tensor of two models: whether it agrees, and how far it is apart."""

    name: str
    is_same: bool
    text: str


def add_command(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("check", help="compare two models, and find the first tensor that differs")
    parser.add_argument("first", metavar="A", help="an ONNX file")
    parser.add_argument("second", metavar="B", help="the ONNX file to compare with it")
    parser.add_argument("--rtol", type=float, default=1e-4, help="relative tolerance (1e-4)")
    parser.add_argument("--atol", type=float, default=1e-5, help="absolute tolerance (1e-5)")
    parser.add_argument("--seed", type=int, default=0, help="of the random inputs (0)")
    parser.add_argument("--inputs", metavar="FILE.npz", help="values for the inputs by name, in place of random ones")
    add_sizes(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Compare two files; 1 where they differ."""
    first, second = Subject(options.first), Subject(options.second)
    if options.inputs:
        feeds, origin = stored_inputs(options.inputs, first), options.inputs
    else:
        feeds, origin = fitting_inputs(first, second, parse_sizes(options.size), options.seed), f"seed {options.seed}"
    shapes = ", ".join(f"{name} {x.dtype}{list(x.shape)}" for name, x in feeds.items())
    print(f"inputs  {shapes or 'none'}; {origin}")
    compared = compare(first, second, first.outputs, feeds, options.rtol, options.atol)
    for row in compared:
        print(f"{'same   ' if row.is_same else 'DIFFERS'} {row.name}: {row.text}")
    if all(row.is_same for row in compared):
        print(f"the models agree in {len(compared)} output{'s'[:len(compared) != 1]}")
        return 0
    print(first_difference(first, second, feeds, options.rtol, options.atol))
    return 1


DEFAULT_SIZES = (1, 2, 8, 64, 512)
"""What open dimensions are bound to, one after the other, until the first model runs."""


def stored_inputs(path: str, model: Subject) -> dict[str, Array]:
    """Values for the inputs from a NumPy file.

    Errors: `FormatError` for what is no such file, `GraphError` naming the inputs that are not in it.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise FormatError(f"{path}: no NumPy file of named arrays (.npz): {error}") from None
    missing = [name for name in model.inputs if name not in arrays]
    if missing:
        raise GraphError(f"{path} has no values for {', '.join(missing)}; it has {', '.join(arrays) or 'none'}")
    return {name: arrays[name] for name in model.inputs}


def fitting_inputs(first: Subject, second: Subject, sizes: Mapping[str, int], seed: int) -> dict[str, Array]:
    """Random inputs on which the first model runs: the sizes of open dimensions are tried.

    Errors: as `random_inputs`; `RunError` where it runs on none.
    """
    feeds = random_inputs(first, second, sizes, seed)
    smallest, reasons = feeds, list[str]()
    for size in DEFAULT_SIZES:
        feeds = random_inputs(first, second, sizes, seed, size)
        if reasons and all(a.shape == b.shape for a, b in zip(feeds.values(), smallest.values(), strict=True)):
            break
        try:
            first.run(first.outputs, feeds)
            return feeds
        except RunError as error:
            reasons.append(str(error))
    raise RunError(f"{reasons[0]}; no inputs were found on which it runs: give --size NAME=SIZE, or --inputs FILE.npz")


def random_inputs(first: Subject, second: Subject, sizes: Mapping[str, int], seed: int, default: int = 1,
                  ) -> dict[str, Array]:
    """Random values for the inputs; a named dimension has one size everywhere, `default` where none is given.

    Errors: `GraphError` where inputs or outputs of the models differ in name, or an input in type; `ShapeError`
    for a size of a dimension that no input has.
    """
    for kind, a, b in (("input", list(first.inputs), list(second.inputs)), ("output", first.outputs, second.outputs)):
        if sorted(a) != sorted(b):
            raise GraphError(f"the models have different {kind}s, so they cannot be compared: "
                             f"A has {', '.join(a) or 'none'}; B has {', '.join(b) or 'none'}")
    both = [*first.inputs.values(), *second.inputs.values()]
    known = {d for t in both if isinstance(t, TensorType) for d in t.shape or () if isinstance(d, str)}
    for name in sizes:
        if name not in known:
            raise ShapeError(f"no input has a dimension {name!r}; there are: {', '.join(sorted(known)) or 'none'}")
    rng = np.random.default_rng(seed)
    return {name: _random(name, first.inputs[name], second.inputs[name], sizes, default, rng)
            for name in first.inputs}


def _random(name: str, a: ValueType | None, b: ValueType | None, sizes: Mapping[str, int], default: int,
            rng: np.random.Generator) -> Array:
    misfit = f"input {name!r} is {a or 'of unknown type'} in one model and {b or 'of unknown type'} in the other"
    if not isinstance(a, TensorType) or not isinstance(b, TensorType) or a.shape is None or b.shape is None:
        raise GraphError(f"{misfit}; values can be made up for tensors of known rank")
    if a.dtype != b.dtype or len(a.shape) != len(b.shape):
        raise GraphError(misfit)
    shape = []
    for dims in zip(a.shape, b.shape, strict=True):
        known = {size for size in (_size(d, sizes) for d in dims) if size is not None}
        if len(known) > 1:
            raise GraphError(misfit)
        shape.append(known.pop() if known else default)
    if a.dtype == "bool":
        return rng.random(shape) < 0.5
    if a.dtype == "string":
        return np.array([f"text {i}" for i in range(int(np.prod(shape)))], object).reshape(shape)
    if is_integer(a.dtype):
        return rng.integers(0, 2, shape).astype(numpy_dtype(a.dtype))
    return rng.normal(size=shape).astype(numpy_dtype(a.dtype))


def _size(dim: Dim, sizes: Mapping[str, int]) -> int | None:
    return sizes.get(dim) if isinstance(dim, str) else dim


def compare(first: Subject, second: Subject, names: Iterable[str], feeds: Mapping[str, Array], rtol: float,
            atol: float) -> list[Comparison]:
    """Tensors of these names, as both models compute them."""
    labels = list(names)
    a, b = (model.run(labels, feeds) for model in (first, second))
    return [_compare(name, a[name], b[name], rtol, atol) for name in labels]


def _compare(name: str, a: Any, b: Any, rtol: float, atol: float) -> Comparison:
    if not isinstance(a, np.ndarray) or not isinstance(b, np.ndarray):
        parts, others = _parts(a), _parts(b)
        if len(parts) != len(others):
            return Comparison(name, False, f"{len(parts)} arrays and {len(others)}")
        rows = [_compare(name, x, y, rtol, atol) for x, y in zip(parts, others, strict=True)]
        worst = next((row for row in rows if not row.is_same), None)
        return worst or Comparison(name, True, f"a list, {len(rows)} arrays of which agree")
    kind = f"{a.dtype}{list(a.shape)}"
    if a.shape != b.shape or a.dtype != b.dtype:
        return Comparison(name, False, f"{kind} and {b.dtype}{list(b.shape)}")
    if a.dtype.kind in "OSUTb":
        wrong = int(np.count_nonzero(a != b))
        return Comparison(name, not wrong, f"{kind}, {wrong} of {a.size} values differ" if wrong else f"{kind}, equal")
    x, y = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.where((x == y) | (np.isnan(x) & np.isnan(y)), 0.0, np.abs(x - y))
        close = (apart == 0.0) | (np.isfinite(x) & (apart <= atol + rtol * np.abs(x)))
    if not apart.any():
        return Comparison(name, True, f"{kind}, equal")
    looked_at = apart if close.all() else np.where(close, -1.0, np.nan_to_num(apart, nan=np.inf))
    where = tuple(int(i) for i in np.unravel_index(int(np.argmax(looked_at)), a.shape))
    text = f"{kind}, at most {apart[where]:.2g} apart, at {list(where)}: {x[where]:.7g} and {y[where]:.7g}"
    if not close.all():
        text += f"; {np.count_nonzero(~close):,} of {a.size:,} values are beyond the tolerance"
    return Comparison(name, bool(close.all()), text)


def _parts(value: Any) -> list[Array]:
    """The arrays in a sequence or a map."""
    if isinstance(value, Mapping):
        return [np.array(list(value)), *_parts(list(value.values()))]
    if isinstance(value, list):
        if value and all(isinstance(x, int | float | str) for x in value):
            return [np.array(value)]
        return [part for x in value for part in _parts(x)]
    return [] if value is None else [np.asarray(value)]


def first_difference(first: Subject, second: Subject, feeds: Mapping[str, Array], rtol: float, atol: float) -> str:
    """A sentence on the first tensor, in the order of the nodes of A, that both have by name and that differs."""
    shared = [name for name in first.makers if name in second.makers]
    try:
        rows = compare(first, second, shared, feeds, rtol, atol)
    except SymgraphError as error:
        return f"where they part cannot be told: {error}"
    for position, row in enumerate(rows):
        if not row.is_same:
            return (f"of {len(shared)} tensors with the same name the first {position} agree; "
                    f"the first to differ is {row.name}\n  {row.text}\n"
                    f"  A  {_line(first.makers[row.name])}\n  B  {_line(second.makers[row.name])}")
    return f"all {len(shared)} tensors that nodes make under the same name agree"


def _line(node: NodeProto) -> str:
    """`y = Conv(x, w)`."""
    op = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
    label = f", node {node.name!r}" if node.name else ""
    return f"{', '.join(node.output)} = {op}({', '.join(node.input)}){label}"
