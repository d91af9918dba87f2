"""Gradients straight through quantised values, as if nothing had been rounded."""

from __future__ import annotations

from collections.abc import Iterator, Set
from contextlib import contextmanager
from contextvars import ContextVar

from symgraph.core.gradient import Application
from symgraph.core.tensor import Operand
from symgraph.core.types import TensorType

_IS_STRAIGHT: ContextVar[bool] = ContextVar("straight_through", default=False)


@contextmanager
def straight_through() -> Iterator[None]:
    """Inside, gradients pass through QuantizeLinear and DequantizeLinear as if nothing were rounded.

    They are zero where a number lies beyond the range of the integers, and scales have theirs: `y = clip(x/s) s`. Ops
    that only move integers between the two, such as Reshape, are passed too. Otherwise integers have no gradient.
    A tape must record inside as well; a compiled function keeps what held when it was traced.

    Bengio, Léonard and Courville 2013; Esser et al. 2020.

    >>> import symgraph as sg
    >>> def rounded(x):
    ...     q = sg.ops.onnx("QuantizeLinear", x, np.float32(0.5), np.int8(0))
    ...     return sg.ops.onnx("DequantizeLinear", q, np.float32(0.5), np.int8(0))
    >>> with sg.straight_through():
    ...     sg.grad(lambda x: sg.sum(rounded(x)))(sg.tensor([0.1, 3.4, 1000.0])).tolist()
    [1.0, 1.0, 0.0]
    """
    token = _IS_STRAIGHT.set(True)
    try:
        yield
    finally:
        _IS_STRAIGHT.reset(token)


def is_straight_through() -> bool:
    """Whether gradients pass through quantised values now."""
    return _IS_STRAIGHT.get()


def is_quantized(each: Application, y: Operand, carriers: Set[Operand]) -> bool:
    """Whether gradients go straight through `y`: integers made of carriers by QuantizeLinear, or moved from such."""
    if not is_straight_through() or not isinstance(y.type, TensorType):
        return False
    if each.op.name in ("QuantizeLinear", "DynamicQuantizeLinear"):
        return y is each.outputs[0]
    return any(x is not None and x in carriers and isinstance(x.type, TensorType) and x.type.dtype == y.type.dtype
               for x in each.operands)
