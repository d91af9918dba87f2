"""Adafactor: squares of gradients kept as row and column means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph import ops
from symgraph.core.variable import Variable
from symgraph.training.optimizers.base import Optimizer


class Adafactor(Optimizer):
    """Adam without momentum, whose mean squares are an outer product (Shazeer and Stern 2018).

    For matrices `r`, `c` are running means of `g² + epsilon_1` over rows and columns, with the rate
    `1 - t^beta_2_decay`, and `v = r · c / mean(r)`; for vectors `v` is such a mean itself. The update is
    `u = g / sqrt(v)`, divided by `max(1, rms(u) / clip_threshold)`, times `max(epsilon_2, rms(w)) · min(rate, 1 / √t)`.
    """

    arguments = ("beta_2_decay", "epsilon_1", "epsilon_2", "clip_threshold", "relative_step")

    def __init__(self, learning_rate: object = 0.001, beta_2_decay: float = -0.8, epsilon_1: float = 1e-30,
                 epsilon_2: float = 1e-3, clip_threshold: float = 1.0, relative_step: bool = True,
                 **options: Any) -> None:
        super().__init__(learning_rate, **options)
        self.beta_2_decay, self.epsilon_1 = self.number("beta_2_decay", beta_2_decay), epsilon_1
        self.epsilon_2, self.clip_threshold = epsilon_2, self.number("clip_threshold", clip_threshold)
        self.relative_step = relative_step

    def build(self, variables: Sequence[Variable]) -> None:
        super().build(variables)
        self._rows: list[Variable | None] = []
        self._columns: list[Variable | None] = []
        self._velocities: list[Variable] = []
        for w in variables:
            is_factored = len(w.shape) >= 2
            path, shape = w.path.replace("/", "_"), w.shape
            self._rows.append(self.add_variable(
                shape[:-1], dtype=w.dtype, name=f"{path}_row") if is_factored else None)
            self._columns.append(self.add_variable(
                (*shape[:-2], shape[-1]), dtype=w.dtype, name=f"{path}_column") if is_factored else None)
            self._velocities.append(self.add_variable_from_reference(w, "velocity"))

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        step = ops.cast(self.iterations + 1, variable.dtype)
        rho = ops.minimum(learning_rate, 1 / ops.sqrt(step))
        alpha = ops.maximum(_rms(variable), self.epsilon_2) * rho
        share = 1 - ops.power(step, float(self.beta_2_decay))
        squares = ops.square(gradient) + self.epsilon_1
        r, c, v = (self.of(state, variable) for state in (self._rows, self._columns, self._velocities))
        if r is None:
            v.assign(share * v + (1 - share) * squares)
        else:
            r.assign(share * r + (1 - share) * ops.mean(squares, axis=-1))
            c.assign(share * c + (1 - share) * ops.mean(squares, axis=-2))
            part = r / ops.mean(r, axis=-1, keepdims=True)
            v.assign(ops.expand_dims(part, -1) * ops.expand_dims(c, -2))
        update = gradient / ops.sqrt(v)
        variable.assign_sub(alpha * (update / ops.maximum(_rms(update) / self.clip_threshold, 1.0)))


def _rms(x: Any) -> Any:
    return ops.sqrt(ops.mean(ops.square(x)))
