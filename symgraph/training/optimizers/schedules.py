"""Schedules: learning rates as functions of the number of steps done. Public as `sg.optimizers.schedules`.

A schedule is made of ordinary ops: called with a number it gives a value, in a compiled step it is part of the graph.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symgraph import ops
from symgraph.core.errors import TrainingError
from symgraph.core.registry import Registry
from symgraph.core.tensor import Operand

__all__ = [
    "CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay", "LearningRateSchedule",
    "PiecewiseConstantDecay", "PolynomialDecay", "deserialize", "serialize",
]


class LearningRateSchedule:
    """What gives the learning rate of a step. One of your own overrides `__call__` and `get_config`."""

    arguments: tuple[str, ...] = ()

    def __call__(self, step: Any) -> Any:
        """The learning rate after `step` steps, a float32 scalar."""
        raise TrainingError(f"schedule {type(self).__name__} defines no __call__(step)")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal schedule."""
        return {name: getattr(self, name) for name in self.arguments}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> LearningRateSchedule:
        """The schedule with these arguments."""
        return cls(**config)

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({given})"


class ExponentialDecay(LearningRateSchedule):
    """`initial · decay_rate^(step / decay_steps)`, the exponent rounded down with `staircase`.

    >>> round(float(ExponentialDecay(0.5, decay_steps=10, decay_rate=0.1)(20)), 6)
    0.005
    """

    arguments = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")

    def __init__(self, initial_learning_rate: float, decay_steps: float, decay_rate: float, staircase: bool = False,
                 name: str = "ExponentialDecay") -> None:
        self.initial_learning_rate, self.decay_rate = initial_learning_rate, decay_rate
        self.decay_steps = _positive(self, "decay_steps", decay_steps)
        self.staircase, self.name = staircase, name

    def __call__(self, step: Any) -> Operand:
        p = _periods(step, self.decay_steps, self.staircase)
        return self.initial_learning_rate * ops.power(ops.cast(float(self.decay_rate), "float32"), p)


class InverseTimeDecay(LearningRateSchedule):
    """`initial / (1 + decay_rate · step / decay_steps)`, the quotient rounded down with `staircase`."""

    arguments = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")

    def __init__(self, initial_learning_rate: float, decay_steps: float, decay_rate: float, staircase: bool = False,
                 name: str = "InverseTimeDecay") -> None:
        self.initial_learning_rate, self.decay_rate = initial_learning_rate, decay_rate
        self.decay_steps = _positive(self, "decay_steps", decay_steps)
        self.staircase, self.name = staircase, name

    def __call__(self, step: Any) -> Operand:
        p = _periods(step, self.decay_steps, self.staircase)
        return self.initial_learning_rate / (1.0 + self.decay_rate * p)


class PiecewiseConstantDecay(LearningRateSchedule):
    """`values[i]` up to and including step `boundaries[i]`, the last value after the last boundary.

    Errors: `TrainingError` unless there is one value more than boundaries.
    """

    arguments = ("boundaries", "values", "name")

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant") -> None:
        if len(boundaries) != len(values) - 1:
            raise TrainingError("PiecewiseConstantDecay: needs one value more than boundaries, "
                                f"got {len(boundaries)} boundaries and {len(values)} values")
        self.boundaries, self.values, self.name = list(boundaries), list(values), name

    def __call__(self, step: Any) -> Any:
        step = ops.convert_to_tensor(step)
        rate: Any = ops.cast(float(self.values[0]), "float32")
        for boundary, value in zip(self.boundaries, self.values[1:], strict=True):
            is_past = ops.greater(step, ops.cast(ops.convert_to_tensor(boundary), step.dtype))
            rate = ops.where(is_past, ops.cast(float(value), "float32"), rate)
        return rate


class PolynomialDecay(LearningRateSchedule):
    """`(initial - end) · (1 - step / decay_steps)^power + end`, and `end` from `decay_steps` on.

    With `cycle` the decay is stretched to the first multiple of `decay_steps` that is not yet passed.
    """

    arguments = ("initial_learning_rate", "decay_steps", "end_learning_rate", "power", "cycle", "name")

    def __init__(self, initial_learning_rate: float, decay_steps: float, end_learning_rate: float = 0.0001,
                 power: float = 1.0, cycle: bool = False, name: str = "PolynomialDecay") -> None:
        self.initial_learning_rate, self.end_learning_rate = initial_learning_rate, end_learning_rate
        self.decay_steps = _positive(self, "decay_steps", decay_steps)
        self.power, self.cycle, self.name = power, cycle, name

    def __call__(self, step: Any) -> Operand:
        step, end = _as_float(step), ops.cast(float(self.decay_steps), "float32")
        if self.cycle:
            rounds = ops.ceil(step / self.decay_steps)
            end = end * ops.where(ops.equal(step, 0.0), ops.ones_like(rounds), rounds)
        else:
            step = ops.minimum(step, end)
        fall = ops.power(1.0 - step / end, float(self.power))
        return (self.initial_learning_rate - self.end_learning_rate) * fall + self.end_learning_rate


class CosineDecay(LearningRateSchedule):
    """`initial · ((1 - alpha) · (1 + cos(π · step / decay_steps)) / 2 + alpha)` (Loshchilov and Hutter 2016).

    With a `warmup_target` the rate first grows in a line from `initial` to it, for `warmup_steps`, then decays.
    """

    arguments = ("initial_learning_rate", "decay_steps", "alpha", "name", "warmup_target", "warmup_steps")

    def __init__(self, initial_learning_rate: float, decay_steps: float, alpha: float = 0.0, name: str = "CosineDecay",
                 warmup_target: float | None = None, warmup_steps: float = 0) -> None:
        self.initial_learning_rate, self.alpha, self.name = initial_learning_rate, alpha, name
        self.decay_steps = _positive(self, "decay_steps", decay_steps)
        self.warmup_target, self.warmup_steps = warmup_target, warmup_steps

    def __call__(self, step: Any) -> Any:
        step = _as_float(step)
        if self.warmup_target is None:
            return self._decay(step, self.initial_learning_rate)
        decay = self._decay(step - float(self.warmup_steps), self.warmup_target)
        if not self.warmup_steps:
            return decay
        growth = self.warmup_target - self.initial_learning_rate
        warmup = growth * (step / float(self.warmup_steps)) + self.initial_learning_rate
        return ops.where(ops.less(step, float(self.warmup_steps)), warmup, decay)

    def _decay(self, step: Operand, start: float) -> Operand:
        share = ops.minimum(step, float(self.decay_steps)) / self.decay_steps
        return start * ((1 - self.alpha) * (0.5 * (1.0 + ops.cos(math.pi * share))) + self.alpha)


class CosineDecayRestarts(LearningRateSchedule):
    """Cosine decay that starts again and again (Loshchilov and Hutter 2016).

    Each decay takes `t_mul` times as long as the one before and starts at `m_mul` times its rate; the first takes
    `first_decay_steps`.
    """

    arguments = ("initial_learning_rate", "first_decay_steps", "t_mul", "m_mul", "alpha", "name")

    def __init__(self, initial_learning_rate: float, first_decay_steps: float, t_mul: float = 2.0, m_mul: float = 1.0,
                 alpha: float = 0.0, name: str = "SGDRDecay") -> None:
        self.initial_learning_rate, self.alpha, self.name = initial_learning_rate, alpha, name
        self.first_decay_steps = _positive(self, "first_decay_steps", first_decay_steps)
        self.t_mul, self.m_mul = t_mul, m_mul

    def __call__(self, step: Any) -> Operand:
        share, t_mul = _as_float(step) / self.first_decay_steps, float(self.t_mul)
        if t_mul == 1.0:
            restarts = ops.floor(share)
            share = share - restarts
        else:
            restarts = ops.floor(ops.log(1.0 - share * (1.0 - t_mul)) / math.log(t_mul))
            length = ops.power(ops.cast(t_mul, "float32"), restarts)
            share = (share - (1.0 - length) / (1.0 - t_mul)) / length
        height = ops.power(ops.cast(float(self.m_mul), "float32"), restarts)
        cosine = 0.5 * height * (1.0 + ops.cos(math.pi * share))
        return self.initial_learning_rate * ((1 - self.alpha) * cosine + self.alpha)


_CLASSES: dict[str, type[LearningRateSchedule]] = {
    cls.__name__: cls for cls in (
        CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay, PiecewiseConstantDecay, PolynomialDecay)}


_REGISTRY = Registry("schedule", TrainingError, ("optimizers.schedules",), _CLASSES, base=LearningRateSchedule,
                     expected="a schedule or its configuration", only_objects=True)


def serialize(learning_rate_schedule: LearningRateSchedule) -> dict[str, Any]:
    """The class name and the arguments, from which `deserialize` makes an equal schedule."""
    config: dict[str, Any] = _REGISTRY.serialize(learning_rate_schedule)
    return config


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> LearningRateSchedule:
    """The schedule that `serialize` wrote down; `custom_objects` are classes of your own by name.

    Errors: `TrainingError` for an unknown class, and for arguments the class does not take.
    """
    made: LearningRateSchedule = _REGISTRY.deserialize(config, custom_objects)
    return made


def _as_float(step: Any) -> Operand:
    return ops.cast(ops.convert_to_tensor(step), "float32")


def _periods(step: Any, length: float, staircase: bool) -> Operand:
    p = _as_float(step) / length
    return ops.floor(p) if staircase else p


def _positive(schedule: LearningRateSchedule, name: str, value: float) -> float:
    plain = value.item() if isinstance(value, np.number) else value
    if isinstance(plain, bool) or not isinstance(plain, int | float) or not plain > 0:
        raise TrainingError(f"{type(schedule).__name__}: {name} must be a number above 0, got {value!r}")
    return plain
