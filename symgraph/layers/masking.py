"""Masks: which steps of a sequence count.

A mask is a bool tensor, most often `(batch, steps)`, that a tensor carries as `x.mask`. Layers set it and nothing else
does: what an op makes carries none. A layer takes the masks of its inputs where its `call` has an argument for them
(`take_masks`), and says which mask its outputs carry (`hand_on`). A tensor's mask never changes once it is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from inspect import Parameter
from typing import TYPE_CHECKING, Any

import numpy as np

from symgraph.core.recording import recorders
from symgraph.core.scope import warn_user
from symgraph.core.structure import flatten, map_structure, pack
from symgraph.core.tensor import Operand, SymbolicTensor
from symgraph.core.types import TensorType, format_dims
from symgraph.core.value import Tensor, as_array
from symgraph.ops.applying import apply
from symgraph.ops.casting import cast
from symgraph.ops.shape import squeeze

if TYPE_CHECKING:
    from symgraph.layers.layer import Layer


def mask_of(x: object) -> Operand | None:
    """The mask that `x` carries: True where a step counts. None where all of them do.

    >>> import symgraph as sg
    >>> from symgraph.layers.masking import mask_of
    >>> mask_of(sg.layers.Embedding(9, 2, mask_zero=True)(np.array([[5, 3, 0]]))).tolist()
    [[True, True, False]]
    """
    return x.mask if isinstance(x, Operand) else None


def masks_of(structure: Any) -> Any:
    """The masks in any nesting of tensors, nested alike, None where there is none."""
    return map_structure(mask_of, structure)


def with_mask(x: Operand, mask: Operand | None) -> Operand:
    """`x` carrying `mask`, or none: another symbol, or another tensor of the same memory. Tapes follow it there."""
    if x.mask is mask:
        return x
    if isinstance(x, Tensor):
        assert isinstance(x.type, TensorType)
        y: Operand = Tensor(x.buffer, x.type, x.hint)
        for recorder in recorders():
            recorder.alias(x, y)  # type: ignore[arg-type]
    else:
        y = apply("Identity", x)
    return carry(y, mask)


def carry(x: Operand, mask: Operand | None) -> Operand:
    """`x`, which was just made, so that nobody has seen it without: from now on it carries `mask`."""
    assert isinstance(x, SymbolicTensor | Tensor)
    x.mask = mask
    return x


def take_masks(layer: Layer, parameters: Mapping[str, Parameter], args: tuple[Any, ...], kwargs: Mapping[str, Any],
               ) -> tuple[Any, Any, Any]:
    """What `call` is given besides what was said: masks of the inputs; then the first input, and its mask.

    `parameters` are those of `call`. Of one argument with tensors the mask is `mask`; of several, each has its own
    `NAME_mask`. Only arguments that `call` has and that were not given are filled, as in Keras.

    Errors: `LayerError` where `mask` is given and `call` has no such argument.
    """
    names = list(parameters)[1:]
    if "mask" in kwargs and "mask" not in names and all(
            p.kind is not Parameter.VAR_KEYWORD for p in parameters.values()):
        raise layer.error(f"takes no mask; its call has the arguments {', '.join(names)}")
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    first = args[0] if args else given.get(names[0]) if names else None
    taken: dict[str, Any] = {}
    if any(name == "mask" or name.endswith("_mask") for name in names):
        tensors = {name: x for name, x in given.items() if _is_tensors(x)}
        wanted = [(f"{name}_mask", x) for name, x in tensors.items()] if len(tensors) > 1 else (
            [("mask", x) for x in tensors.values()])
        taken = {name: masks_of(x) for name, x in wanted if name in names and given.get(name) is None}
    said = given.get("mask")
    previous = said if said is not None else taken.get("mask")
    return taken, first, masks_of(first) if previous is None else previous


def _is_tensors(x: Any) -> bool:
    leaves = flatten(x)
    return any(isinstance(leaf, Operand) for leaf in leaves) and all(
        leaf is None or isinstance(leaf, Operand) for leaf in leaves)


def hand_on(layer: Layer, inputs: Iterable[Any], first: Any, outputs: Any, previous: Any) -> Any:
    """The outputs with the masks that `compute_mask` says, but those that layers inside have set already.

    Where a layer does not support masks and one ends here, it warns. An output that is an input itself counts as
    carrying none.
    """
    if previous is None and isinstance(outputs, Operand) and outputs.mask is None and not layer._has_own_mask:
        return outputs  # the common case of eager mode, where microseconds count
    leaves = flatten(outputs)
    sources = [x for x in inputs if isinstance(x, Operand)]
    masks = [None if any(x is source for source in sources) else mask_of(x) for x in leaves]
    if layer.supports_masking:
        if any(mask is None for mask in masks):
            computed = [_as_mask(layer, mask) for mask in flatten(layer.compute_mask(first, previous))]
            computed += [None] * (len(masks) - len(computed))
            masks = [a if a is not None else b for a, b in zip(masks, computed, strict=False)]
    elif any(m is not None for m in flatten(previous)) and all(m is None for m in masks):
        warn_user(f'layer "{layer.name}" ({type(layer).__name__}) does not support masks: that of its input ends here, '
                  "and later layers count every step; a layer of your own hands it on with supports_masking = True")
    if all(mask_of(x) is mask for x, mask in zip(leaves, masks, strict=True)):
        return outputs
    return pack(outputs, [carry(x, mask) if isinstance(x, SymbolicTensor) else with_mask(x, mask) if isinstance(
        x, Operand) else x for x, mask in zip(leaves, masks, strict=True)])


def _as_mask(layer: Layer, mask: Any) -> Operand | None:
    """What `compute_mask` has returned, as a bool tensor."""
    if mask is None:
        return None
    if isinstance(mask, np.ndarray):
        mask = Tensor(as_array(mask))
    if not isinstance(mask, Operand):
        raise layer.error(f"compute_mask must return a tensor or None for each output, got {mask!r}")
    return _as_bool(layer, mask, "compute_mask must return")


def _as_bool(layer: Layer, mask: Operand, expected: str) -> Operand:
    if not isinstance(mask.type, TensorType) or mask.dtype == "string":
        raise layer.error(f"{expected} bool, got {mask.type}")
    return mask if mask.dtype == "bool" else cast(mask, "bool")


def as_step_mask(
        layer: Layer, mask: Any, x: Operand, axes: Sequence[int] = (0, 1), *, is_whole: bool = True) -> Operand:
    """The argument `mask` as a bool tensor of these `axes` of `x`, most often `(batch, steps)`.

    Numbers count as True where they are not 0. Axes of size 1 behind are let go; others may follow unless `is_whole`.

    Errors: `LayerError` for a mask of another shape or of strings.
    """
    if isinstance(mask, list | tuple) and not any(isinstance(m, Operand) for m in flatten(mask)):
        mask = np.asarray(mask)
    if isinstance(mask, np.ndarray):
        mask = Tensor(as_array(mask))
    sizes = tuple(x.shape[axis] for axis in axes)
    expected = f"mask must be ({format_dims(sizes)}{'' if is_whole else ', ...'}), as the input is {x.type}"
    if not isinstance(mask, Operand):
        raise layer.error(f"{expected}; got {mask!r}")
    given = _as_bool(layer, mask, f"{expected}, and")
    while is_whole and given.ndim > len(sizes) and given.shape[-1] == 1:
        given = squeeze(given, axis=-1)
    differs = any(isinstance(a, int) and isinstance(b, int) and a != b
                  for a, b in zip(given.shape, sizes, strict=False))
    if differs or given.ndim < len(sizes) or (is_whole and given.ndim > len(sizes)):
        raise layer.error(f"{expected}; got {given.type}")
    return given


def adopt_mask(mask: Operand | None, call: object, path: tuple[str, ...]) -> None:
    """Let a mask that the layer `path` has made belong to its call, and be named after it."""
    if isinstance(mask, SymbolicTensor) and mask.call is None and mask.node is not None and (
            mask.node.layer[:len(path)] == path):
        mask.call = call
        mask.hint = mask.hint or f"{'/'.join(path)}/mask"


def symbols_among(masks: Any) -> tuple[SymbolicTensor, ...]:
    """The symbols in any nesting of masks."""
    return tuple(x for x in flatten(masks) if isinstance(x, SymbolicTensor))


__all__ = ["adopt_mask", "as_step_mask", "carry", "hand_on", "mask_of", "masks_of", "symbols_among", "take_masks",
           "with_mask"]
