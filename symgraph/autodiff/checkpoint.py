"""Checkpoints: what lies inside is computed again for the gradient, instead of being kept."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from symgraph.autodiff.backward import backpropagate, carries_gradient
from symgraph.autodiff.bodies import Found, body_gradient
from symgraph.autodiff.lifting import lift_variables
from symgraph.core.apply import placeholder
from symgraph.core.composite import DOMAIN, apply_body
from symgraph.core.gradient import Application, gradient_of
from symgraph.core.graph import Graph
from symgraph.core.op import intern_op
from symgraph.core.scope import autocast_dtype
from symgraph.core.structure import flatten, pack
from symgraph.core.tensor import Operand, SymbolicTensor
from symgraph.core.value import Tensor, as_array
from symgraph.core.variable import Variable
from symgraph.ops.applying import apply
from symgraph.ops.promotion import cast_to
from symgraph.ops.sizes import ints, is_symbolic
from symgraph.ops.subgraph import Traced, captured_symbols, close, keys_for, refill, trace_function


def checkpoint(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that keeps only its arguments for the gradient, and runs again when that is computed.

    It takes and returns tensors, with the masks they carry, or lists and dicts of them; other arguments are constants.
    It is traced once for each kind of argument, so it must not look at values. What it draws at random, it draws again
    for the gradient. Chen et al. 2016.

    >>> import symgraph as sg
    >>> block = sg.checkpoint(lambda x: sg.tanh(sg.exp(x)))
    >>> round(float(sg.grad(block)(0.0)), 4)
    0.42
    """
    traces: dict[object, tuple[Graph, Traced]] = {}

    def masked(*args: Any) -> Any:
        result = function(*args)
        return result, [_mask_of(x) for x in flatten(result)]

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        leaves = [Tensor(as_array(x)) if isinstance(x, np.ndarray | np.generic) else x for x in flatten(args)]
        operands = [x for x in leaves if isinstance(x, Operand)]
        masks = {i: x.mask for i, x in enumerate(operands) if x.mask is not None}
        kinds = tuple(x.type if isinstance(x, Operand) else (type(x), x) for x in leaves)
        key = kinds, repr(pack(args, [0] * len(leaves))), tuple(
            (i, mask.type) for i, mask in masks.items()), autocast_dtype()
        operands += masks.values()
        if key not in traces:
            symbols = [placeholder(x.type, f"x{i}") for i, x in enumerate(operands)]
            for i, mask in zip(masks, symbols[len(symbols) - len(masks):], strict=True):
                symbols[i].mask = mask
            given = iter(symbols)
            arguments = pack(args, [next(given) if isinstance(x, Operand) else x for x in leaves])
            traced = trace_function(masked, symbols, arguments, "checkpoint")
            drawn = {key: None for key, _ in traced.draws.values()}
            captured = [x for x in captured_symbols(traced) if x not in drawn]
            body = close(traced, (*drawn, *captured), "Checkpoint")
            graph = Graph((*body.inputs, *body.captures), body.outputs, name="Checkpoint")
            if captured:  # of the graph around this very call, so not for the next one
                return _results(traced.result, _apply(graph, [*operands, *_keys(traced, operands), *captured]))
            traces[key] = graph, traced
        graph, traced = traces[key]
        return _results(traced.result, _apply(graph, [*operands, *_keys(traced, operands)]))

    return call


def _keys(traced: Traced, operands: list[Operand]) -> Iterable[Operand]:
    """The keys that this call draws from, and again when the gradient is computed."""
    return keys_for(traced, is_symbolic=any(map(is_symbolic, operands))).values()


def _mask_of(x: Any) -> Operand | None:
    return x.mask if isinstance(x, Operand) else None


def _results(traced: Any, outputs: tuple[Any, ...]) -> Any:
    """The outputs, nested as the function returned them, carrying the masks that follow them."""
    result, masks = refill(traced, outputs)
    for x, mask in zip(flatten(result), masks, strict=True):
        if mask is not None:
            x.mask = mask
    return result


def _apply(body: Graph, operands: list[Operand]) -> tuple[Any, ...]:
    lifted, variables = lift_variables(body)
    return apply_body(intern_op("Checkpoint", DOMAIN, 1, None), lifted, (*operands, *variables))


@gradient_of("Checkpoint", domain=DOMAIN, whole=True)
def _checkpoint_gradient(each: Application, dys: Found, wanted: Sequence[bool]) -> Found:
    """The body runs again behind a barrier: on operands that wait for the gradient, so that nothing can be shared."""
    assert each.body is not None
    first = next(dy for dy in dys if dy is not None)
    operands = [behind(x, first) if carries_gradient(x) else x for x in each.operands if x is not None]
    graph, is_found = body_gradient(each.body, tuple(dy is not None for dy in dys), tuple(wanted), backpropagate)
    if graph is None:
        return (None,) * len(operands)
    op = intern_op("CheckpointGrad", DOMAIN, 1, None)
    results = iter(apply_body(op, graph, (*operands, *(dy for dy in dys if dy is not None))))
    return tuple(next(results) if found else None for found in is_found)


def behind(x: Operand, dy: Operand) -> Operand:
    """`x`, once `dy` is there: reshaped to its own shape, which 0 is added to, read off `dy`."""
    if not isinstance(x, SymbolicTensor | Variable):
        return x
    some = apply("ReduceSum", apply("Slice", apply("Reshape", dy, ints(-1)), ints(0), ints(1)), keepdims=0)
    nothing = cast_to(apply("And", apply("IsNaN", some), apply("Not", apply("IsNaN", some))), "int64")
    return apply("Reshape", x, apply("Add", apply("Shape", x), nothing), allowzero=1)
