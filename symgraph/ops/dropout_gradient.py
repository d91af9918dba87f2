"""The gradient rule of Dropout: through what was kept, with the factor it was kept with."""

from __future__ import annotations

from symgraph.core.gradient import gradient_of
from symgraph.core.tensor import Operand
from symgraph.ops.applying import apply
from symgraph.ops.promotion import cast_to

Many = tuple[Operand | None, ...]


@gradient_of("Dropout", every_output=True)
def _dropout_gradient(dys: Many, ys: Many, x: Operand, ratio: Operand | float | None = None,
                      training_mode: Operand | None = None, *, seed: int | None = None) -> Operand:
    """`dx = dy·mask/(1 - ratio)`; where the mask is no output, it is `y/x`, and 0 where x is 0.

    Versions before 12 have the ratio as an attribute and are for inference, where y is x.
    """
    dy, y = dys[0], ys[0]
    assert dy is not None and y is not None
    if training_mode is None:
        return dy
    mask = ys[1] if len(ys) > 1 else None
    if mask is None:
        is_zero = apply("Equal", x, 0)
        return dy * apply("Where", is_zero, 0, y / apply("Where", is_zero, 1, x))
    kept = 1 - (cast_to(ratio, x.dtype) if isinstance(ratio, Operand) else 0.5)
    factor = apply("Where", training_mode, apply("Reciprocal", kept), 1)
    return dy * cast_to(mask, x.dtype) * factor
