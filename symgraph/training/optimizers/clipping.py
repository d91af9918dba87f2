"""Gradients brought down to a largest norm."""

from __future__ import annotations

from typing import Any

from symgraph import ops


def clip_by_norm(gradient: Any, norm: float) -> Any:
    """`g · norm / max(‖g‖, norm)`."""
    return gradient * norm / ops.maximum(ops.sqrt(ops.sum(ops.square(gradient))), norm)


def clip_by_global_norm(gradients: list[Any], norm: float) -> list[Any]:
    """Every gradient times `norm / max(n, norm)`, n the norm of all of them together; NaN where n is not finite."""
    total = ops.sqrt(sum(ops.sum(ops.square(ops.cast(g, "float32"))) for g in gradients))
    scale = norm * ops.minimum(1.0 / total, 1.0 / norm) + (total - total)
    return [g * ops.cast(scale, g.dtype) for g in gradients]
