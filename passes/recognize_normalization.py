"""Layer and instance normalisation, written out by exporters, become the operators again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph, constant_array
from symgraph.core.op import find_op
from symgraph.core.tensor import Node, Operand
from symgraph.core.value import Array, Tensor
from symgraph.passes.exactness import relaxed
from symgraph.passes.matching import (
    Region,
    dtype_of,
    in_both_orders,
    made_by,
    rewrite_all_regions,
    shape_of,
)
from symgraph.passes.moments import Moments, deviation, inverse, uncast, variance
from symgraph.runtime.opsets import choose_opsets

Operator = Callable[..., Operand]


@relaxed
def recognize_normalization(graph: Graph) -> Graph:
    """(x - mean) / sqrt(mean((x - mean)^2) + e) -> LayerNormalization(x, 1), where the mean is over the last axes.

    y*w -> LayerNormalization(x, w) and y+b -> LayerNormalization(x, w, b) for such a y;
    x*s + (b - mean*s) -> LayerNormalization(x, w, b), where s = w / sqrt(mean((x - mean)^2) + e).
    InstanceNormalization where the mean is over all axes after the second, which are known not to be empty. Rounds
    differently.
    """
    opset = choose_opsets(graph)[""]
    if opset < 7:
        return graph
    return rewrite_all_regions(graph, lambda node: _find(node, opset))


def _find(node: Node, opset: int) -> Iterator[Region]:
    if node.op.domain or node.op.name not in ("Add", "Sub", "Mul", "Div", "Cast"):
        return
    if node.op.name == "Cast":
        yield from uncast(node, "LayerNormalization")
        return
    yield from _standardized(node, opset)
    yield from _from_factors(node, opset)
    yield from _scaled(node)


def _standardized(node: Node, opset: int) -> Iterator[Region]:
    """(x - mean) / sqrt(v + e), or times the reciprocal."""
    pairs: list[tuple[Operand | None, Moments | None]] = []
    if node.op.name == "Div":
        pairs = [(node.inputs[0], deviation(node.inputs[1], variance))]
    elif node.op.name == "Mul":
        pairs = [(a, inverse(b, variance)) for a, b in in_both_orders(node)]
    for difference, moments in pairs:
        centred = made_by(difference, "Sub")
        operator = None if moments is None else _operator(moments, opset)
        if centred is None or moments is None or operator is None or centred.inputs[0] is not moments.x or (
                centred.inputs[1] is not moments.mean):
            continue
        inside = dict.fromkeys((*moments.nodes, centred, *_mean_node(moments), node))
        yield Region(tuple(inside), (moments.x,), lambda x, make=operator: make(x, None, None))


def _from_factors(node: Node, opset: int) -> Iterator[Region]:
    """x*s + (b - mean*s), or x*s - mean*s, where s = w / sqrt(v + e), or without w."""
    if node.op.name == "Add":
        pairs = in_both_orders(node)
    elif node.op.name == "Sub":
        pairs = iter([(node.inputs[0], node.inputs[1])])
    else:
        return
    for left, right in pairs:
        for x, factor in in_both_orders(made_by(left, "Mul")):
            if x is None or factor is None:
                continue
            for moments, weight, own in _factors(factor):
                operator = _operator(moments, opset)
                if moments.x is not x or operator is None:
                    continue
                offset = made_by(right, "Sub") if node.op.name == "Add" else None
                bias = None if offset is None else offset.inputs[0]
                shifted = made_by(right if offset is None else offset.inputs[1], "Mul")
                matches = any(a is moments.mean and b is factor for a, b in in_both_orders(shifted))
                if not matches or shifted is None or (node.op.name == "Add") != (bias is not None):
                    continue
                size = _parameters(moments)
                w, b = (None if given is None else _parameter(given, size) for given in (weight, bias))
                if (weight is not None and w is None) or (bias is not None and b is None):
                    continue
                scaled = made_by(left, "Mul")
                assert scaled is not None
                nodes = (*moments.nodes, *own, scaled, shifted, *((offset,) if offset is not None else ()),
                         *_mean_node(moments), node)
                given = tuple(p for p in (w, b) if p is not None)
                yield Region(nodes, (x, *given), lambda x, *ps, make=operator, has_w=w is not None: make(
                    x, ps[0] if has_w else None, ps[-1] if len(ps) > has_w else None))


def _factors(factor: Operand) -> Iterator[tuple[Moments, Operand | None, tuple[Node, ...]]]:
    """The moments in s = w / sqrt(v + e), and w; the nodes between."""
    moments = inverse(factor, variance)
    if moments is not None:
        yield moments, None, ()
    product = made_by(factor, "Mul")
    for inner, weight in in_both_orders(product):
        moments = inverse(inner, variance)
        if moments is not None and product is not None:
            yield moments, weight, (product,)


def _mean_node(moments: Moments) -> tuple[Node, ...]:
    node = made_by(moments.mean, "ReduceMean")
    return () if node is None else (node,)


def _parameters(moments: Moments) -> tuple[int, ...] | None:
    """The shape of weight and bias; None where it is not wholly known, or no operator normalises over these axes.

    The last axes are those of layer normalisation; all of four or more but the first two, of instance normalisation,
    where none of them can be 0: ONNX Runtime's kernel would end the process.
    """
    shape = shape_of(moments.x)
    if shape is None or not moments.axes or moments.axes != tuple(range(moments.axes[0], len(shape))):
        return None
    sizes = shape[moments.axes[0]:] if not _is_instance(moments) else (shape[1], *(1 for _ in shape[2:]))
    if _is_instance(moments) and not all(isinstance(size, int) and size > 0 for size in shape[2:]):
        return None
    known = tuple(size for size in sizes if isinstance(size, int) and size > 0)
    return known if len(known) == len(sizes) else None


def _is_instance(moments: Moments) -> bool:
    return moments.axes[0] == 2 and len(moments.axes) > 1


def _operator(moments: Moments, opset: int) -> Operator | None:
    """What makes the normalisation of (x, weight or None, bias or None)."""
    size, dtype = _parameters(moments), dtype_of(moments.x)
    if size is None or dtype not in ("float32", "float16") or (opset < 17 and not _is_instance(moments)):
        return None
    zeros, ones = np.zeros(size, dtype), np.ones(size, dtype)
    if _is_instance(moments):
        op = find_op("InstanceNormalization", "", opset)

        def instance(x: Operand, w: Operand | None, b: Operand | None) -> Any:
            arrays = (ones if w is None else constant_array(w), zeros if b is None else constant_array(b))
            weights = (Tensor(np.ascontiguousarray(a).reshape(-1)) for a in arrays if a is not None)
            return apply_op(op, x, *weights, epsilon=moments.epsilon)

        return instance
    op, axis = find_op("LayerNormalization", "", opset), -len(size)

    def layer(x: Operand, w: Operand | None, b: Operand | None) -> Any:
        weights = (Tensor(ones) if w is None else w, *(() if b is None else (b,)))
        return apply_op(op, x, *weights, axis=axis, epsilon=moments.epsilon)

    return layer


def _parameter(x: Operand, size: tuple[int, ...] | None, *, is_constant: bool = False) -> Operand | None:
    """A weight or bias in the shape that the operator wants; None where it is of another."""
    array = constant_array(x)
    if size is None or (array is None and is_constant):
        return None
    if array is None:
        return x if shape_of(x) == size else None
    fitted = _fitted(array, size)
    return None if fitted is None else x if fitted.shape == array.shape else Tensor(fitted)


def _fitted(array: Array, size: tuple[int, ...]) -> Array | None:
    """An array stretched to `size`, where it broadcasts to that, leading axes of one element aside."""
    while array.ndim > len(size) and array.shape[0] == 1:
        array = array[0]
    if array.ndim > len(size) or any(a not in (1, b) for a, b in zip(
            array.shape[::-1], size[::-1], strict=False)):
        return None
    return np.ascontiguousarray(np.broadcast_to(array, size))


def _scaled(node: Node) -> Iterator[Region]:
    """A weight of ones is replaced by what the result is multiplied with; a bias is what is added to it."""
    if node.op.name not in ("Mul", "Add"):
        return
    for x, other in in_both_orders(node):
        inner = made_by(x, "LayerNormalization", "InstanceNormalization")
        if inner is None or other is None or any(y is not None for y in inner.outputs[1:]):
            continue
        make = _rescaled_layer if inner.op.name == "LayerNormalization" else _rescaled_instance
        parameters = make(node.op.name, inner, x, other)
        if parameters is not None:
            source, attributes = inner.inputs[0], dict(inner.attributes)
            assert source is not None
            yield Region((inner, node), (source, *parameters), lambda *inputs, op=inner.op, given=attributes: apply_op(
                op, *inputs, **given))


def _rescaled_layer(name: str, inner: Node, result: Operand | None, other: Operand) -> tuple[Operand, ...] | None:
    weight, bias = inner.inputs[1], inner.inputs[2] if len(inner.inputs) > 2 else None
    size, shape = shape_of(weight), shape_of(result)
    if weight is None or bias is not None or size is None or shape is None or None in size:
        return None
    parameter = _parameter(other, tuple(d for d in size if isinstance(d, int)))
    if parameter is None or (len(shape_of(other) or ()) > len(shape)):
        return None
    if name == "Add":
        return weight, parameter
    ones = constant_array(weight)
    return (parameter,) if ones is not None and bool((ones == 1).all()) else None


def _rescaled_instance(name: str, inner: Node, result: Operand | None, other: Operand) -> tuple[Operand, ...] | None:
    weight, bias = (None if x is None else constant_array(x) for x in inner.inputs[1:3])
    shape, array = shape_of(result), constant_array(other)
    if weight is None or bias is None or shape is None or array is None or array.ndim > len(shape):
        return None
    fitted = _fitted(array, (len(weight), *(1 for _ in shape[2:])))
    if fitted is None:
        return None
    values = fitted.reshape(-1)
    if name == "Add":
        return Tensor(weight), Tensor(bias + values)
    with np.errstate(all="ignore"):  # NaN stays NaN
        return Tensor(weight * values), Tensor(bias * values)
