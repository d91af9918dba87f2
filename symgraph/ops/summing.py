"""Summing a gradient to the shape of the operand that was broadcast."""

from __future__ import annotations

from typing import cast

import numpy as np

from symgraph.core.composite import DOMAIN, apply_composite
from symgraph.core.gradient import Gradients, gradient_of
from symgraph.core.tensor import Operand
from symgraph.core.types import TensorType
from symgraph.ops.applying import apply
from symgraph.ops.sizes import ints


def sum_to(dx: Operand, x: Operand) -> Operand:
    """`dx` summed over the axes along which `x` was broadcast, so that it has the shape of `x`.

    Where open dimensions leave it unknown which axes these are, one node `SumTo(dx, x)` finds out when it runs.
    """
    given, wanted = _shape(dx), _shape(x)
    if given is None or wanted is None or any(
            w != 1 and (g is None or g != w) for g, w in zip(given[len(given) - len(wanted):], wanted, strict=True)):
        return cast(Operand, apply_composite("SumTo", _sum_to_shape_of, dx, x))
    lead = len(given) - len(wanted)
    stretched = [lead + i for i, (g, w) in enumerate(zip(given[lead:], wanted, strict=True)) if w == 1 and g != 1]
    if stretched:
        dx = apply("ReduceSum", dx, ints(*stretched), keepdims=1)
    return apply("ReduceSum", dx, ints(*range(lead)), keepdims=0) if lead else dx


@gradient_of("SumTo", domain=DOMAIN)
def _sum_to_gradient(dy: Operand, y: Operand, dx: Operand, x: Operand) -> Gradients:
    return apply("Expand", dy, apply("Shape", dx)), None


def _shape(x: Operand) -> tuple[int | str | None, ...] | None:
    return x.type.shape if isinstance(x.type, TensorType) else None


def _sum_to_shape_of(dx: Operand, x: Operand) -> Operand:
    shape = apply("Shape", x)
    missing = apply("Sub", apply("Size", apply("Shape", dx)), apply("Size", shape))
    ones = apply("Expand", np.int64(1), apply("Reshape", missing, ints(1)))
    is_one = apply("Equal", apply("Concat", ones, shape, axis=0), np.int64(1))
    axes = apply("Reshape", apply("NonZero", is_one), ints(-1))
    return apply("Reshape", apply("ReduceSum", dx, axes, keepdims=1, noop_with_empty_axes=1), shape, allowzero=1)
