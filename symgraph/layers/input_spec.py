"""What a layer says of its inputs, so that others are refused before it is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from symgraph.core.errors import LayerError
from symgraph.core.structure import flatten
from symgraph.core.tensor import Operand
from symgraph.core.types import Shape, TensorType, as_dtype, as_shape

if TYPE_CHECKING:
    from symgraph.layers.layer import Layer

__all__ = ["InputSpec", "check_inputs"]


class InputSpec:
    """Rank, sizes and dtype that an input must have; what is None may be anything.

    A layer of one's own sets `self.input_spec`, to one of these or to a list with one for each input. `shape` includes
    the batch; `axes` has the sizes along some axes. With `allow_last_axis_squeeze` a last axis of size 1 may be there
    or not. `name` is the key of the input in a dict, `optional` lets it be None.

    Errors: `LayerError` for an axis that the rank does not have.

    >>> import symgraph as sg
    >>> sg.layers.InputSpec(min_ndim=2, axes={-1: 3})
    InputSpec(min_ndim=2, axes={-1: 3})
    """

    def __init__(
            self, dtype: object = None, shape: object = None, ndim: int | None = None, max_ndim: int | None = None,
            min_ndim: int | None = None, axes: Mapping[Any, int | None] | None = None,
            allow_last_axis_squeeze: bool = False, name: str | None = None, optional: bool = False) -> None:
        self.dtype = None if dtype is None else as_dtype(dtype)
        self.shape: Shape | None = None if shape is None else as_shape(shape)
        self.ndim = ndim if self.shape is None else len(self.shape)
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.axes = {int(axis): size for axis, size in (axes or {}).items()}
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name = name
        self.optional = optional
        most = self.ndim if self.ndim is not None else max_ndim
        if self.axes and most is not None and max(self.axes) >= most:
            raise LayerError(f"InputSpec: axes has axis {max(self.axes)}, but there are {most} at most")

    def misfit(self, x: Operand) -> str | None:
        """What `x` should be and is not; None where it fits."""
        if not isinstance(x.type, TensorType) or x.type.shape is None:
            return None
        given, wanted = x.shape, self.shape
        if self.allow_last_axis_squeeze:
            given, wanted = _squeezed(given), None if wanted is None else _squeezed(wanted)
        ranks = ((self.ndim if wanted is None else len(wanted), len(given).__ne__, ""),
                 (self.max_ndim, len(given).__gt__, "at most "), (self.min_ndim, len(given).__lt__, "at least "))
        for rank, is_off, word in ranks:
            if rank is not None and not (self.allow_last_axis_squeeze and wanted is None and not word) and is_off(rank):
                return f"{word}{rank} dimensions"
        if self.dtype is not None and x.dtype != self.dtype:
            return self.dtype
        sizes = dict(enumerate(wanted or ()))
        for axis, size in [*sizes.items(), *self.axes.items()]:
            dim = given[axis] if -len(given) <= axis < len(given) else 0
            if isinstance(size, int) and isinstance(dim, int) and dim != size:
                return f"size {size} along axis {axis}"
        return None

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal one."""
        return {"dtype": self.dtype, "shape": self.shape, "ndim": self.ndim, "max_ndim": self.max_ndim,
                "min_ndim": self.min_ndim, "axes": self.axes,
                "allow_last_axis_squeeze": self.allow_last_axis_squeeze, "name": self.name, "optional": self.optional}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> InputSpec:
        """The one with these arguments."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"InputSpec({', '.join(f'{k}={v!r}' for k, v in self.get_config().items() if v)})"


def _squeezed(shape: Shape) -> Shape:
    return shape[:-1] if shape and shape[-1] == 1 else shape


def check_inputs(layer: Layer, spec: Any, inputs: Any) -> None:
    """Errors: `LayerError` where the inputs are not as `spec`, an InputSpec or a nesting of them, says."""
    specs = flatten(spec)
    if isinstance(inputs, Mapping) and all(isinstance(s, InputSpec) and s.name for s in specs):
        missing = [s.name for s in specs if s.name not in inputs and not s.optional]
        if missing:
            raise layer.error(f"expects inputs named {', '.join(repr(s.name) for s in specs)}, got "
                              f"{', '.join(map(repr, inputs))}")
        given = [inputs.get(s.name) for s in specs]
    else:
        given = flatten(inputs)
    if len(given) != len(specs):
        raise layer.error(f"expects {len(specs)} inputs, got {len(given)}")
    for number, (x, each) in enumerate(zip(given, specs, strict=True)):
        if each is None or (x is None and each.optional):
            continue
        what = f"input {each.name or number}" if len(specs) > 1 else "an input"
        if not isinstance(x, Operand):
            raise layer.error(f"expects tensors, got {x!r} as {what}")
        if misfit := each.misfit(x):
            raise layer.error(f"expects {what} of {misfit}, got {x.type}")
