"""Loops: a function repeated when the graph runs (ONNX Loop and Scan)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from symgraph.core.apply import placeholder
from symgraph.core.errors import DtypeError, GraphError, LimitError, ShapeError
from symgraph.core.op import find_op
from symgraph.core.structure import flatten, in_order_of, map_structure, pack
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import TensorType, ValueType
from symgraph.core.value import Tensor
from symgraph.core.variable import Variable
from symgraph.ops.applying import apply
from symgraph.ops.control import as_scalar_condition
from symgraph.ops.joining import stack
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.seeds import key_at
from symgraph.ops.sizes import Size, as_size, dimension, is_symbolic, minus
from symgraph.ops.subgraph import Traced, captured_symbols, close, keys_for, leaves, merge_types, refill, trace_function

__all__ = ["fori_loop", "map", "scan", "vectorized_map", "while_loop"]


def while_loop(cond: Callable[..., Any], body: Callable[..., Any], loop_vars: Any,
               maximum_iterations: object = None) -> Any:
    """`while cond(*v): v = body(*v)`, at most `maximum_iterations` times; the last `v`, nested as `loop_vars`.

    On values this is a Python loop. On symbols it runs when the graph does (ONNX Loop); the functions may use
    outer symbols and variables, and draw random numbers, other ones in every turn.

    Errors: `DtypeError` where a variable changes its dtype, `GraphError` where `body` returns another nesting,
    `ShapeError` where a rank changes or a condition is not a scalar.

    >>> import symgraph as sg
    >>> int(sg.ops.while_loop(lambda i: i < 5, lambda i: i + 1, (0,))[0])
    5
    """
    is_single = not isinstance(loop_vars, list | tuple)
    variables: Any = (loop_vars,) if is_single else tuple(loop_vars)
    limit = None if maximum_iterations is None else as_size(maximum_iterations, "while_loop")
    variables = map_structure(_loop_value, variables)
    count = 0
    while not any(is_symbolic(x) for x in flatten(variables)) and (limit is None or isinstance(limit, int)):
        if limit is not None and count >= limit:
            return variables[0] if is_single else pack(loop_vars, flatten(variables))
        goes_on = cond(*variables)
        if is_symbolic(goes_on):
            break
        if not bool(goes_on):
            return variables[0] if is_single else pack(loop_vars, flatten(variables))
        variables = _next_values(body(*variables), variables, is_single=is_single)
        count += 1
    if isinstance(limit, int):
        limit -= count

    def step(number: SymbolicTensor, *values: Any) -> Any:
        return body(*values)

    results = loop(step, variables, limit, cond, "while_loop", is_single=is_single)
    return results[0] if is_single else pack(loop_vars, flatten(results))


def _loop_value(leaf: object) -> Operand:
    """An operand as it stands now: a variable stands for its value, or what was assigned to it in this trace."""
    x = as_operand(leaf)
    if isinstance(x, Variable):
        return x.latest() if is_symbolic(x) else x.value
    return x


def _next_values(result: Any, variables: Any, *, is_single: bool) -> Any:
    """What a body returns, in the nesting of the loop variables."""
    is_bare = is_single or (len(variables) == 1 and not isinstance(result, list | tuple))
    wrapped = (result,) if is_bare else tuple(result)
    leaves, expected = flatten(in_order_of(wrapped, variables)), flatten(variables)
    if len(leaves) != len(expected) or len(wrapped) != len(variables):
        raise GraphError(f"while_loop: body must return {len(expected)} values, as it takes them, got {len(leaves)}")
    return pack(variables, (as_operand(x, v.dtype) if isinstance(x, bool | int | float) else as_operand(x)
                            for x, v in zip(leaves, expected, strict=True)))


def loop(step: Callable[..., Any], variables: tuple[Any, ...], trips: Size | None,
         cond: Callable[..., Any] | None, who: str, *, is_single: bool = False) -> tuple[Any, ...]:
    """An ONNX Loop: `v = step(number, *v)` for `trips` times and as long as `cond(*v)`; the last `v`."""
    start = [as_operand(x) for x in flatten(variables)]
    types: list[ValueType | None] = [x.type for x in start]
    while True:
        number = placeholder(TensorType("int64", ()), "number")
        goes_on = placeholder(TensorType("bool", ()), "goes_on")
        symbols = [placeholder(t, f"v{i}") for i, t in enumerate(types)]

        def body(*values: Any, number: SymbolicTensor = number) -> Any:
            nexts = _next_values(step(number, *values), values, is_single=is_single)
            again = as_scalar_condition(cond(*nexts), who) if cond is not None else Tensor(np.array(True))
            return again, nexts

        traced = trace_function(body, [number, goes_on, *symbols], pack(variables, symbols), who)
        merged = [_loop_type(who, i, t, x) for i, (t, x) in enumerate(zip(types, traced.outputs[1:], strict=True))]
        if merged == types:
            break
        types = merged
    first = as_scalar_condition(cond(*pack(variables, start)), who) if cond is not None else None
    captured, keys = captured_symbols(traced), keys_for(traced)
    node = Node(find_op("Loop"), (_trip_count(trips), first, *start),
                {"body": close(traced, captured, "body", turn=number)}, tuple(types),
                captures=tuple(keys.get(x, x) for x in captured))
    results: tuple[Any, ...] = pack(variables, node.outputs)
    return results


def _trip_count(trips: Size | None) -> Operand | None:
    if trips is None:
        return None
    return Tensor(np.array(trips, np.int64)) if isinstance(trips, int) else _loop_value(trips)


def _loop_type(who: str, index: int, given: ValueType | None, x: Operand) -> ValueType | None:
    """The type of a loop variable that enters as `given` and comes out as `x`."""
    if isinstance(given, TensorType) and isinstance(x.type, TensorType):
        if given.dtype != x.type.dtype:
            raise DtypeError(f"{who}: variable {index} enters as {given.dtype} and comes out as {x.type.dtype}; "
                             "cast it")
        if given.shape is not None and x.type.shape is not None and len(given.shape) != len(x.type.shape):
            raise ShapeError(f"{who}: variable {index} enters as {given} and comes out as {x.type}; "
                             "its rank must not change")
    return merge_types(given, x.type)


def fori_loop(lower: object, upper: object, body_fun: Callable[[Any, Any], Any], init_val: Any) -> Any:
    """`for i in range(lower, upper): v = body_fun(i, v)`; the last `v`. `i` is an int32 scalar.

    On values this is a Python loop, on symbols an ONNX Loop.

    Errors: as `while_loop`.
    """
    first, last = as_size(lower, "fori_loop"), as_size(upper, "fori_loop")
    value = map_structure(_loop_value, init_val)
    if isinstance(first, int) and isinstance(last, int) and not any(is_symbolic(x) for x in flatten(value)):
        for i in range(first, last):
            value = body_fun(Tensor(np.array(i, np.int32)), value)
        return value

    def step(number: SymbolicTensor, inner: Any) -> Any:
        return body_fun(cast_to(apply("Add", number, first), "int32"), inner)

    return loop(step, (value,), minus(last, first), None, "fori_loop", is_single=True)[0]


def scan(f: Callable[[Any, Any], tuple[Any, Any]], init: Any = None, xs: Any = None, length: object = None,
         reverse: bool = False, unroll: int = 1) -> tuple[Any, Any]:
    """`for x in xs: carry, y = f(carry, x)`; the last carry and all y, stacked along a new first axis.

    `xs` is any nesting of tensors of one length; without it `f` gets None, `length` times. Either may be None.
    With `reverse` from the last to the first, y in the order of `xs`. On values this is a Python loop, on
    symbols an ONNX Scan, which ONNX Runtime refuses to run over no elements at all. Random numbers that `f` draws are
    others for every x.

    Errors: `ShapeError` for lengths that differ or none; `DtypeError` and `GraphError` where the carry changes.

    >>> import symgraph as sg
    >>> total, sums = sg.ops.scan(lambda c, x: (c + x, c + x), 0, sg.tensor([1, 2, 3]))
    >>> int(total), sums.tolist()
    (6, [1, 3, 6])
    """
    del unroll
    rows = [_loop_value(x) for x in leaves(xs)]
    count = _scan_length(rows, length)
    carry = map_structure(_carry_value, init)
    everything = [*rows, *leaves(carry)]
    if isinstance(count, int) and not any(is_symbolic(x) for x in everything):
        return _python_scan(f, carry, xs, rows, range(count)[::-1] if reverse else range(count))
    return _onnx_scan(f, carry, xs, rows, count, is_reversed=reverse)


def _carry_value(leaf: object) -> Operand | None:
    return None if leaf is None else _loop_value(leaf)


def _scan_length(rows: list[Operand], length: object) -> Size:
    if not rows and length is None:
        raise ShapeError("scan: without xs it needs a length")
    known = [x.shape[0] for x in rows if x.ndim]
    if len(known) < len(rows):
        raise ShapeError("scan: every tensor of xs needs a first axis to go along, got a scalar")
    fixed = {d for d in known if isinstance(d, int)}
    wanted = None if length is None else as_size(length, "scan")
    if isinstance(wanted, int):
        fixed.add(wanted)
    if len(fixed) > 1:
        raise ShapeError(f"scan: lengths differ: {', '.join(str(d) for d in sorted(fixed))}")
    if fixed:
        return fixed.pop()
    return dimension(rows[0], 0) if rows else wanted  # type: ignore[return-value]


def _python_scan(f: Callable[[Any, Any], tuple[Any, Any]], carry: Any, xs: Any, rows: list[Operand],
                 order: range) -> tuple[Any, Any]:
    results: list[Any] = []
    for i in order:
        x = refill(xs, [apply("Gather", row, np.int64(i), axis=0) for row in rows])
        carry, y = f(carry, x)
        results.append(y)
    if not results:
        raise LimitError("scan: of no steps at all nothing can be stacked; give it at least one")
    if order.step < 0:
        results.reverse()
    columns = zip(*(flatten(in_order_of(y, results[0])) for y in results), strict=True)
    return carry, pack(results[0], [None if column[0] is None else stack(list(column)) for column in columns])


def _onnx_scan(f: Callable[[Any, Any], tuple[Any, Any]], carry: Any, xs: Any, rows: list[Operand], count: Size,
               *, is_reversed: bool) -> tuple[Any, Any]:
    sequences = rows or [apply("Range", np.int64(0), count, np.int64(1))]
    start = leaves(carry)
    types: list[ValueType | None] = [x.type for x in start]
    elements = [placeholder(TensorType(x.dtype, x.shape[1:]), f"x{i}") for i, x in enumerate(sequences)]
    while True:
        states = [placeholder(t, f"carry{i}") for i, t in enumerate(types)]
        traced = trace_function(
            f, [*states, *elements], (refill(carry, states), refill(xs, elements if rows else [])),
            "scan")
        nexts, outs = _scan_outputs(traced, carry, start)
        merged = [_loop_type("scan", i, t, x) for i, (t, x) in enumerate(zip(types, nexts, strict=True))]
        if merged == types:
            break
        types = merged
    length = sequences[0].shape[0]
    keys = keys_for(traced)
    if keys:
        turns = apply("Range", np.int64(0), count, np.int64(1))
        sequences = [*sequences, *(key_at(key, turns) for key in keys.values())]
    traced = replace(traced, outputs=(*nexts, *outs), inputs=(*traced.inputs, *keys))  # type: ignore[arg-type]
    captured = captured_symbols(traced)
    stacked = tuple(TensorType(y.dtype, (length, *y.shape)) for y in outs)
    directions = (1,) if is_reversed else (0,)
    attributes = {"body": close(traced, captured, "body"), "num_scan_inputs": len(sequences),
                  "scan_input_directions": directions * len(sequences),
                  "scan_output_directions": directions * len(outs)}
    node = Node(find_op("Scan"), (*start, *sequences), attributes, (*types, *stacked), captures=captured)
    found = list(node.outputs)
    last, ys = found[:len(start)], iter(found[len(start):])
    result = traced.result[1]
    return refill(carry, last), refill(result, ys)


def _scan_outputs(traced: Traced, carry: Any, start: list[Any]) -> tuple[list[Operand], list[Operand]]:
    """The new carry and the results among what `f` has returned."""
    if not isinstance(traced.result, list | tuple) or len(traced.result) != 2:
        raise GraphError(f"scan: f must return a pair (carry, y), got {traced.result!r}")
    new, ys = leaves(in_order_of(traced.result[0], carry)), leaves(traced.result[1])
    if len(new) != len(start):
        raise GraphError(f"scan: f must return the carry as it takes it, {len(start)} values, got {len(new)}")
    nexts = [as_operand(x, s.dtype) if isinstance(x, bool | int | float) else as_operand(x)
             for x, s in zip(new, start, strict=True)]
    return nexts, [as_operand(y) for y in ys]


def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """`f(x)` for every `x` along the first axis of `xs` (any nesting of tensors), stacked (ONNX Scan).

    Errors: as `scan`.
    """
    return scan(lambda carry, x: (None, f(x)), None, xs)[1]


def vectorized_map(function: Callable[[Any], Any], elements: Any) -> Any:
    """`function` of every element along the first axis, stacked, as `map`."""
    return map(function, elements)
