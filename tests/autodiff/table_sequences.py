"""Sequences of tensors and optionals, which exist in graphs only: each function is the body of a composite."""

from __future__ import annotations

from typing import Any

import numpy as np

import symgraph as sg
from symgraph.core.composite import apply_composite
from symgraph.core.op import find_op
from symgraph.core.tensor import Node
from symgraph.core.types import SequenceType
from tests.autodiff.cases import Case, normal


def _op(name: str, *inputs: Any, **attributes: Any) -> Any:
    return sg.ops.onnx(name, *inputs, **attributes)


def _list(*xs: Any) -> Any:
    return _op("SequenceConstruct", *xs)


def _ends(sequence: Any) -> Any:
    """The product of the second element and the last one."""
    return _op("SequenceAt", sequence, np.int64(1)) * _op("SequenceAt", sequence, np.int64(-1))


def _split(x: Any) -> Any:
    return _op("ConcatFromSequence", _op("SplitToSequence", x * x, np.array([1, 3]), axis=1), axis=-1)


def _map(function: Any, *operands: Any) -> Any:
    """SequenceMap of a function of elements, each with two axes."""
    symbols = [sg.symbol((None, None), x.dtype if hasattr(x.type, "shape") else x.type.element.dtype) for x in operands]
    body = sg.Graph(symbols, [function(*symbols)])
    return Node(find_op("SequenceMap"), tuple(operands), {"body": body}, (SequenceType(body.outputs[0].type),)).output


FUNCTIONS = {
    "construct, at": lambda x: _ends(_list(x, x * x, 2.0 * x)),
    "insert": lambda x: _ends(_op("SequenceInsert", _list(x, x * x), 2.0 * x, np.int64(-1))),
    "insert at the end": lambda x: _ends(_op("SequenceInsert", _list(x, x * x), 2.0 * x)),
    "erase": lambda x: _ends(_op("SequenceErase", _list(x, x * x, x, 2.0 * x), np.int64(-3))),
    "erase the last": lambda x: _ends(_op("SequenceErase", _list(x, x * x, x))),
    "split, concat": _split,
    "split, at": lambda x: _ends(_op("SplitToSequence", x * x, np.int64(2), axis=1)),
    "split into slices": lambda x: _ends(_op("SplitToSequence", x * x, axis=1, keepdims=0)),
    "stack": lambda x: _op("ConcatFromSequence", _list(x, x * x), axis=1, new_axis=1),
    "concat of different sizes": lambda x: _op("ConcatFromSequence", _list(x, x[:1] * x[1:]), axis=0),
    "identity": lambda x: _ends(_op("Identity", _list(x, x * x))),
    "map": lambda x: _ends(_map(lambda a: a * a, _list(x, 2.0 * x, x * x))),
    "map two": lambda x: _ends(_map(lambda a, b: a * b, _list(x, 2.0 * x), _list(x * x, x))),
    "map with a tensor": lambda x: _ends(_map(lambda a, b: a * b, _list(x, 2.0 * x), x * x)),
    "an optional": lambda x: _op("OptionalGetElement", _op("Optional", x * x)),
}


def _inside(name: str) -> Any:
    return lambda x: apply_composite("Sequences", FUNCTIONS[name], x)


CASES = [Case(f"sequences: {name}", _inside(name), (normal(2, 4),)) for name in FUNCTIONS]
