"""What layers add to the loss besides the penalties of their weights: kept from one call to the next.

A layer called on values has what it added in the last call. In a trace the trace has it, as symbols; when what was
traced has run, the layers have the values (`keep_losses`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from symgraph.core.scope import current_layer, current_trace
from symgraph.core.structure import flatten
from symgraph.core.tensor import Operand, SymbolicTensor
from symgraph.ops.casting import cast
from symgraph.ops.sizes import dimension

if TYPE_CHECKING:
    from symgraph.layers.layer import Layer


def add_loss(layer: Layer, loss: Any) -> None:
    """Add a scalar, or several, to what `layer` has. Where a model is only defined there is nothing to add.

    Errors: `LayerError` for what is no tensor.
    """
    trace = current_trace()
    for x in flatten(loss):
        if not isinstance(x, Operand):
            raise layer.error(f"add_loss takes tensors, got {x!r}")
        if trace is not None:
            trace.losses.append((layer, x))
        elif not isinstance(x, SymbolicTensor):
            layer._losses.append(x)


def penalize_activity(layer: Layer, outputs: Any) -> None:
    """Add `activity_regularizer(output) / batch size` for each output."""
    assert layer.activity_regularizer is not None
    for x in flatten(outputs):
        if not isinstance(x, Operand):
            continue
        loss = layer.activity_regularizer(x)
        add_loss(layer, loss / cast(dimension(x, 0), loss.dtype) if x.ndim else loss)


def added_losses(layers: Iterable[Layer]) -> list[Operand]:
    """What these layers added, in their order: in this trace, or else in their last call on values."""
    trace = current_trace()
    if trace is None:
        return [x for layer in layers for x in layer._losses]
    return [x for layer in layers for owner, x in trace.losses if owner is layer]


def forget_losses(layers: set[Layer]) -> None:
    """Before these layers are called anew: let them have added nothing."""
    trace = current_trace()
    if trace is not None:
        trace.losses[:] = [(owner, x) for owner, x in trace.losses if owner not in layers]
        return
    for layer in layers:
        layer._losses.clear()


def keep_losses(layers: Iterable[Layer], losses: Iterable[Operand]) -> None:
    """Let each layer have the loss it added in a compiled graph that ran; not in place of others of the same call."""
    if not current_layer():
        forget_losses(set(layers))
    for layer, loss in zip(layers, losses, strict=True):
        layer._losses.append(loss)
