"""Regularizers: functions of a weight that give a penalty to add to the loss. Public as `sg.regularizers`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from symgraph.core.errors import LayerError, ShapeError
from symgraph.core.registry import Registry
from symgraph.ops.arithmetic import absolute, maximum, square
from symgraph.ops.creation import eye
from symgraph.ops.linalg import matmul
from symgraph.ops.powers import sqrt
from symgraph.ops.reductions import sum as reduce_sum
from symgraph.ops.shape import transpose

__all__ = ["L1", "L1L2", "L2", "OrthogonalRegularizer", "Regularizer", "deserialize", "get", "l1", "l1_l2", "l2",
           "orthogonal_regularizer", "serialize"]


class Regularizer:
    """What gives a weight its penalty: called with the weight, it returns a scalar.

    One of your own overrides `__call__`, and `get_config` where it has arguments; a plain function does as well.
    """

    def __call__(self, x: Any) -> Any:
        """The penalty of `x`."""
        raise LayerError(f"regularizer {type(self).__name__} defines no __call__")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal regularizer."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Regularizer:
        """The regularizer with these arguments."""
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


class L1L2(Regularizer):
    """`l1 · sum(|x|) + l2 · sum(x²)`.

    >>> float(L1L2(l1=0.5, l2=2.0)([1.0, -3.0]))
    22.0
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1 = _strength("L1L2", "l1", 0.0 if l1 is None else l1)
        self.l2 = _strength("L1L2", "l2", 0.0 if l2 is None else l2)

    def __call__(self, x: Any) -> Any:
        if not self.l2:
            return self.l1 * reduce_sum(absolute(x))
        squares = self.l2 * reduce_sum(square(x))
        return self.l1 * reduce_sum(absolute(x)) + squares if self.l1 else squares

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


class L1(Regularizer):
    """`l1 · sum(|x|)`."""

    def __init__(self, l1: float | None = 0.01) -> None:
        self.l1 = _strength("L1", "l1", 0.01 if l1 is None else l1)

    def __call__(self, x: Any) -> Any:
        return self.l1 * reduce_sum(absolute(x))

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


class L2(Regularizer):
    """`l2 · sum(x²)`."""

    def __init__(self, l2: float | None = 0.01) -> None:
        self.l2 = _strength("L2", "l2", 0.01 if l2 is None else l2)

    def __call__(self, x: Any) -> Any:
        return self.l2 * reduce_sum(square(x))

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """`factor` times the mean |cosine| between two different rows (or columns) of a matrix.

    Errors: `ShapeError` for a weight that is no matrix.
    """

    MODES = ("rows", "columns")

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = _strength("OrthogonalRegularizer", "factor", factor)
        if mode not in self.MODES:
            raise LayerError(f'OrthogonalRegularizer: mode must be "rows" or "columns", got {mode!r}')
        self.mode = mode

    def __call__(self, x: Any) -> Any:
        shape = getattr(x, "shape", ())
        if len(shape) != 2:
            raise ShapeError(f"OrthogonalRegularizer: needs a matrix, got a weight of shape {tuple(shape)}")
        axis = 1 if self.mode == "rows" else 0
        unit = x / sqrt(maximum(reduce_sum(square(x), axis=axis, keepdims=True), 1e-12))
        product = matmul(unit, transpose(unit)) if axis == 1 else matmul(transpose(unit), unit)
        size = shape[1 - axis]
        pairs = size * (size - 1.0) / 2.0
        different = product * (1.0 - eye(size, dtype=product.dtype))
        return self.factor * 0.5 * reduce_sum(absolute(different)) / pairs

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor, "mode": self.mode}


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer

_NAMES: dict[str, type[Regularizer]] = {
    "L1": L1, "l1": L1, "L2": L2, "l2": L2, "L1L2": L1L2, "l1_l2": L1L2, "l1l2": L1L2,
    "OrthogonalRegularizer": OrthogonalRegularizer, "orthogonal_regularizer": OrthogonalRegularizer}

_REGISTRY = Registry("regularizer", LayerError, ("regularizers",), _NAMES, base=Regularizer,
                     expected="a name, a configuration or a function of the weight")


def get(identifier: object) -> Callable[..., Any] | None:
    """The regularizer that `identifier` names: a name, a configuration, a class, or the regularizer itself.

    A configuration is what `serialize` gives. None stays None.

    Errors: `LayerError` listing the nearest names.

    >>> get("l2")
    L2(l2=0.01)
    """
    found: Callable[..., Any] | None = _REGISTRY.get(identifier)
    return found


def serialize(regularizer: Callable[..., Any]) -> Any:
    """The class name and the arguments, from which `deserialize` makes an equal regularizer; the name of a function."""
    return _REGISTRY.serialize(regularizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The regularizer that `serialize` wrote down, or of a name; `custom_objects` are classes of your own by name.

    Errors: `LayerError` for an unknown class, and for arguments the class does not take.
    """
    return _REGISTRY.deserialize(config, custom_objects)


def _strength(who: str, name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, float | int) or not math.isfinite(value) or value < 0:
        raise LayerError(f"{who}: {name} must be a finite number from 0 on, got {value!r}")
    return float(value)
