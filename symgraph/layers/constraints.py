"""Constraints: functions that bring a weight back to where it may be, after each update. Public as `sg.constraints`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from symgraph.core.defaults import epsilon
from symgraph.core.errors import LayerError
from symgraph.core.registry import Registry
from symgraph.core.tensor import Operand
from symgraph.ops.arithmetic import maximum, square
from symgraph.ops.powers import sqrt
from symgraph.ops.reductions import Axis
from symgraph.ops.reductions import sum as reduce_sum
from symgraph.ops.rounding import clip

__all__ = ["Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "deserialize", "get", "max_norm",
           "min_max_norm", "non_neg", "serialize", "unit_norm"]


class Constraint:
    """What keeps a weight where it may be: called with the weight, it returns the value to have instead.

    One of your own overrides `__call__`, and `get_config` where it has arguments; a plain function does as well.
    """

    def __call__(self, w: Any) -> Any:
        """The nearest allowed value to `w`."""
        return w

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal constraint."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Constraint:
        """The constraint with these arguments."""
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


class MaxNorm(Constraint):
    """`w · min(‖w‖, max_value) / (‖w‖ + 1e-7)`, the norms along `axis`.

    The axis of a Dense kernel is 0, the inputs of each unit; that of a Conv2D kernel (0, 1, 2).
    """

    def __init__(self, max_value: float = 2, axis: Axis = 0) -> None:
        self.max_value, self.axis = max_value, axis

    def __call__(self, w: Any) -> Any:
        norms = _norms(w, self.axis)
        return w * (clip(norms, 0.0, float(self.max_value)) / (epsilon() + norms))

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}


class MinMaxNorm(Constraint):
    """Norms along `axis` between `min_value` and `max_value`, or the share `rate` of the way there.

    `w · (rate · clip(‖w‖, min_value, max_value) + (1 - rate) · ‖w‖) / (‖w‖ + 1e-7)`.
    """

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Axis = 0) -> None:
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def __call__(self, w: Any) -> Any:
        norms = _norms(w, self.axis)
        desired = self.rate * clip(norms, float(self.min_value), float(self.max_value)) + (1 - self.rate) * norms
        return w * (desired / (epsilon() + norms))

    def get_config(self) -> dict[str, Any]:
        return {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, "axis": self.axis}


class NonNeg(Constraint):
    """`max(w, 0)`."""

    def __call__(self, w: Any) -> Any:
        return maximum(w, 0.0)


class UnitNorm(Constraint):
    """`w / (‖w‖ + 1e-7)`, the norms along `axis`."""

    def __init__(self, axis: Axis = 0) -> None:
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        return w / (epsilon() + _norms(w, self.axis))

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm

_NAMES: dict[str, type[Constraint]] = {
    "MaxNorm": MaxNorm, "max_norm": MaxNorm, "MinMaxNorm": MinMaxNorm, "min_max_norm": MinMaxNorm,
    "NonNeg": NonNeg, "non_neg": NonNeg, "UnitNorm": UnitNorm, "unit_norm": UnitNorm}

_REGISTRY = Registry("constraint", LayerError, ("constraints",), _NAMES, base=Constraint,
                     expected="a name, a configuration or a function of the weight")


def get(identifier: object) -> Callable[..., Any] | None:
    """The constraint that `identifier` names: a name, a configuration, a class, or the constraint itself.

    A configuration is what `serialize` gives. None stays None.

    Errors: `LayerError` listing the nearest names.

    >>> get("max_norm")
    MaxNorm(max_value=2, axis=0)
    """
    found: Callable[..., Any] | None = _REGISTRY.get(identifier)
    return found


def serialize(constraint: Callable[..., Any]) -> Any:
    """The class name and the arguments, from which `deserialize` makes an equal constraint; the name of a function."""
    return _REGISTRY.serialize(constraint)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The constraint that `serialize` wrote down, or of a name; `custom_objects` are classes of your own by name.

    Errors: `LayerError` for an unknown class, and for arguments the class does not take.
    """
    return _REGISTRY.deserialize(config, custom_objects)


def _norms(w: Any, axis: Axis) -> Operand:
    return sqrt(reduce_sum(square(w), axis=axis, keepdims=True))
