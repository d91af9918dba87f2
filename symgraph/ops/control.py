"""Branches: one function or another, chosen by a value when the graph runs (ONNX If)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from symgraph.core.errors import DtypeError, GraphError, ShapeError
from symgraph.core.op import find_op
from symgraph.core.structure import in_order_of
from symgraph.core.tensor import Node, Operand
from symgraph.core.types import TensorType
from symgraph.core.variable import Variable
from symgraph.ops.applying import apply
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.sizes import as_size, is_symbolic
from symgraph.ops.subgraph import Traced, captured_symbols, close, keys_for, leaves, merge_types, refill, trace_function

__all__ = ["cond", "switch"]


def cond(pred: object, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """`true_fn()` where `pred` is true, else `false_fn()`.

    On values one of the functions is called. On a symbol both are traced and one runs when the graph does
    (ONNX If); they may use outer symbols and variables and return any nesting of lists, tuples and dicts.

    Errors: `ShapeError` for a `pred` that is not a scalar; `GraphError` where the two return different nestings
    or assign variables; `DtypeError` where dtypes differ.

    >>> import symgraph as sg
    >>> sg.ops.cond(True, lambda: "yes", lambda: "no")
    'yes'
    """
    if not isinstance(pred, Operand) or not is_symbolic(pred):
        return true_fn() if bool(pred) else false_fn()
    condition = as_scalar_condition(pred, "cond")
    then = trace_function(true_fn, (), (), "cond")
    other = trace_function(lambda: in_order_of(false_fn(), then.result), (), (), "cond", then)
    _check_alike(then, other)
    then, other = _of_one_dtype(then, other), _of_one_dtype(other, then)
    for i, (a, b) in enumerate(zip(then.outputs, other.outputs, strict=True)):
        if a.dtype != b.dtype:
            raise DtypeError(f"cond: output {i} is {a.dtype} where true and {b.dtype} where false; cast one of them")
    if not then.outputs:
        return then.result
    captured = tuple(dict.fromkeys((*captured_symbols(then), *captured_symbols(other))))
    types = tuple(merge_types(a.type, b.type) for a, b in zip(then.outputs, other.outputs, strict=True))
    attributes = {"then_branch": close(then, captured, "then"), "else_branch": close(other, captured, "else")}
    keys = keys_for(other)
    node = Node(find_op("If"), (condition,), attributes, types, captures=tuple(keys.get(x, x) for x in captured))
    return refill(then.result, node.outputs)


def as_scalar_condition(pred: object, who: str) -> Operand:
    """A boolean scalar; a tensor with one element is made one."""
    x = cast_to(as_operand(pred), "bool")
    x = x.latest() if isinstance(x, Variable) else x
    if isinstance(x.type, TensorType) and x.type.shape not in (None, ()):
        if any(d != 1 for d in x.shape):
            raise ShapeError(f"{who}: the condition must be a scalar, got {x.type}; "
                             "sg.where chooses element by element")
        x = apply("Squeeze", x)
    return x


def _check_alike(then: Traced, other: Traced) -> None:
    def shape(result: Any) -> Any:
        return refill(result, ["*"] * len(leaves(result)))

    if shape(then.result) != shape(other.result):
        raise GraphError(f"cond: both functions must return the same nesting, got {shape(then.result)} and "
                         f"{shape(other.result)}")


def _of_one_dtype(traced: Traced, other: Traced) -> Traced:
    """Python numbers that one function returns take the dtype of what the other does."""
    outputs = tuple(
        as_operand(leaf, y.dtype) if isinstance(leaf, bool | int | float) and _fits(leaf, y.dtype) else x
        for leaf, x, y in zip(leaves(traced.result), traced.outputs, other.outputs, strict=True))
    return replace(traced, outputs=outputs)


def _fits(number: complex, dtype: str) -> bool:
    from symgraph.core.value import scalar_fits

    return scalar_fits(number, dtype)


def switch(index: object, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """`branches[index](*operands)`; an index outside counts as the nearest one.

    On a symbol all branches are traced (nested ONNX If).

    Errors: as `cond`; `ShapeError` for no branches.
    """
    if not branches:
        raise ShapeError("switch: needs at least one branch")
    number = as_size(index, "switch")
    if isinstance(number, int):
        return branches[min(max(number, 0), len(branches) - 1)](*operands)

    def choose(first: int) -> Any:
        if first == len(branches) - 1:
            return branches[first](*operands)
        return cond(apply("LessOrEqual", number, first), lambda: branches[first](*operands), lambda: choose(first + 1))

    return choose(0)
