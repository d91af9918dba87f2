"""Activations, written out by exporters, become the operators again."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph
from symgraph.core.op import find_op
from symgraph.core.tensor import Node, Operand
from symgraph.ops.onnx_op import onnx
from symgraph.passes.exactness import relaxed
from symgraph.passes.matching import Region, dtype_of, kept_axes, made_by, number, rewrite_regions, shape_of
from symgraph.passes.rules import Rule, rule
from symgraph.runtime.opsets import choose_opsets

RELATIVE = 1e-5
"""How far a constant may be from the number it stands for: exporters write 1.41421 for the root of 2."""


@relaxed
def recognize_activations(graph: Graph) -> Graph:
    """x*(1 + erf(x/sqrt(2)))/2 -> Gelu(x), and its tanh form; HardSwish, LeakyRelu, Mish, Softplus, Clip, Softmax.

    Each where the graph's opset has it. Rounds differently; what overflowed on the way need not any more.
    log(1 + exp(x)), which is inf where Softplus is not, stays, and so does exp(x)/sum(exp(x)).
    """
    opset = choose_opsets(graph)[""]
    for each in _rules(opset):
        graph = each(graph)
    return rewrite_regions(graph, lambda node: _softmax(node, opset))


@cache
def _rules(opset: int) -> tuple[Rule, ...]:
    """The rules for operators that stand at an opset."""
    found: list[Rule] = []
    if opset >= 20:
        found += _gelu(opset)
    if opset >= 18:
        found.append(_rule("mish", _mish, "Mish", opset))
    if opset >= 14:
        found += _hard_swish(opset)
    if opset >= 11:
        found += _clip(opset)
    return (*found, _rule("softplus", _softplus, "Softplus", opset), *_leaky_relu(opset))


def _rule(name: str, before: Callable[..., Any], op: str, opset: int, *constants: float, **attributes: Any) -> Rule:
    """`before(x, *constants) -> op(x)`."""
    made = find_op(op, "", opset)

    def when(x: Operand, *given: Operand) -> bool:
        return _is_fitting(x, *given) and all(map(_is_near, given, constants))

    return rule(before, lambda x, *_: apply_op(made, x, **attributes), when=when, name=name, exact=False)


def _is_fitting(x: Operand, *constants: Operand) -> bool:
    """Whether `x` is a tensor of float32 or float16, no scalar, and constants make it no larger."""
    shape = shape_of(x)
    return dtype_of(x) in ("float32", "float16") and shape != () and all(
        not (s := shape_of(c)) or (s is not None and shape is not None and len(s) <= len(shape)) for c in constants)


def _is_near(x: Operand, wanted: float) -> bool:
    found = number(x)
    return found is not None and math.isclose(found, wanted, rel_tol=RELATIVE)


def _gelu(opset: int) -> Iterator[Rule]:
    angle = math.sqrt(2 / math.pi)
    for multiply in _ORDERS:
        divided, multiplied = _by_erf(multiply, operator.truediv), _by_erf(multiply, operator.mul)
        yield _rule("gelu", divided, "Gelu", opset, 0.5, 1, math.sqrt(2))
        yield _rule("gelu", multiplied, "Gelu", opset, 0.5, 1, math.sqrt(0.5))
        power, product = _by_tanh(multiply)
        yield _rule("gelu_tanh", power, "Gelu", opset, 0.5, 1, angle, 0.044715, 3, approximate="tanh")
        yield _rule("gelu_tanh", product, "Gelu", opset, 0.5, 1, angle, 0.044715, approximate="tanh")


_ORDERS: tuple[Callable[..., Any], ...] = (
    lambda x, y, half: (x * y) * half, lambda x, y, half: x * (y * half), lambda x, y, half: (x * half) * y)


def _by_erf(multiply: Callable[..., Any], scale: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, half, one, root: multiply(x, onnx("Erf", scale(x, root)) + one, half)


def _by_tanh(multiply: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The tanh form with the cube as a power and as a product."""
    def gelu(x: Any, half: Any, one: Any, outer: Any, inner: Any, cube: Any) -> Any:
        return multiply(x, onnx("Tanh", (x + cube * inner) * outer) + one, half)

    return (lambda x, half, one, outer, inner, three: gelu(x, half, one, outer, inner, onnx("Pow", x, three)),
            lambda x, half, one, outer, inner: gelu(x, half, one, outer, inner, (x * x) * x))


def _softplus(x: Any) -> Any:
    return onnx("Max", x, 0.0) + onnx("Log", onnx("Exp", onnx("Neg", onnx("Abs", x))) + 1.0)


def _mish(x: Any) -> Any:
    return x * onnx("Tanh", onnx("Softplus", x))


def _hard_swish(opset: int) -> Iterator[Rule]:
    def clipped(x: Any, three: Any, zero: Any, six: Any) -> Any:
        return onnx("Clip", x + three, zero, six)

    yield _rule("hard_swish", lambda x, a, b, c, d: (x * clipped(x, a, b, c)) / d, "HardSwish", opset, 3, 0, 6, 6)
    yield _rule("hard_swish", lambda x, a, b, c, d: x * (clipped(x, a, b, c) / d), "HardSwish", opset, 3, 0, 6, 6)
    yield _rule("hard_swish", lambda x, a, b, c, d: (x * clipped(x, a, b, c)) * d, "HardSwish", opset, 3, 0, 6, 1 / 6)
    yield _rule("hard_swish", lambda x, a, b, c, d: x * (clipped(x, a, b, c) * d), "HardSwish", opset, 3, 0, 6, 1 / 6)
    sixth = float(np.float32(1 / 6))
    yield _rule("hard_swish", lambda x: x * onnx("HardSigmoid", x, alpha=sixth, beta=0.5), "HardSwish", opset)


def _clip(opset: int) -> Iterator[Rule]:
    op = find_op("Clip", "", opset)

    def limits(low: Operand, high: Operand, x: Operand) -> tuple[float, float] | None:
        a, b = number(low), number(high)
        is_valid = a is not None and b is not None and a <= b and _is_fitting(x, low, high)
        return (a, b) if is_valid and a is not None and b is not None else None

    def clip(x: Operand, low: Any, high: Any) -> Any:
        return apply_op(op, x, *(np.asarray(number(y), dtype_of(x)) for y in (low, high)))

    yield rule(lambda x, high: onnx("Min", onnx("Relu", x), high), lambda x, high: apply_op(
        op, x, *(np.asarray(y, dtype_of(x)) for y in (0, number(high)))), name="clip_relu", exact=False,
        when=lambda x, high: (number(high) or -1) > 0 and _is_fitting(x, high))
    yield rule(lambda x, low, high: onnx("Min", onnx("Max", x, low), high), clip, name="clip", exact=False,
               when=lambda x, low, high: limits(low, high, x) is not None)


def _leaky_relu(opset: int) -> Iterator[Rule]:
    op = find_op("LeakyRelu", "", opset)

    def leaky(x: Any, slope: Any) -> Any:
        return apply_op(op, x, alpha=number(slope))

    def is_slope(x: Operand, slope: Operand) -> bool:
        value = number(slope)
        return value is not None and 0 < value < 1 and dtype_of(x) == "float32" and _is_fitting(x, slope)

    yield rule(lambda x, slope: onnx("Max", x, x * slope), leaky, when=is_slope, name="leaky_relu", exact=False)
    for compare in ("Greater", "GreaterOrEqual"):
        yield rule(partial(_where, compare), leaky, when=is_slope, name="leaky_relu", exact=False)


def _where(compare: str, x: Any, slope: Any) -> Any:
    return onnx("Where", onnx(compare, x, 0.0), x, x * slope)


def _softmax(node: Node, opset: int) -> Iterator[Region]:
    """e / sum(e) -> Softmax(x), where e = exp(x - max(x)), over one axis; before opset 13 over the last."""
    exponential = made_by(node.inputs[0], "Exp") if node.op.name == "Div" and not node.op.domain else None
    total = None if exponential is None else made_by(node.inputs[1], "ReduceSum")
    shifted = None if exponential is None else made_by(exponential.inputs[0], "Sub")
    largest = None if shifted is None else made_by(shifted.inputs[1], "ReduceMax")
    if exponential is None or total is None or shifted is None or largest is None:
        return
    x, axes = largest.inputs[0], kept_axes(largest)
    if x is None or shifted.inputs[0] is not x or total.inputs[0] is not exponential.outputs[0] or axes is None or (
            kept_axes(total) != axes or len(axes) != 1 or dtype_of(x) not in ("float32", "float16", "float64")):
        return
    rank = len(shape_of(x) or ())
    if opset >= 13 or axes[0] == rank - 1:
        op = find_op("Softmax", "", opset)
        yield Region((largest, shifted, exponential, total, node), (x,), lambda x: apply_op(op, x, axis=axes[0]))
