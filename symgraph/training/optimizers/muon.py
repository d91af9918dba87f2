"""Muon: momentum, made orthogonal."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from symgraph import ops
from symgraph.core.variable import Variable
from symgraph.training.optimizers.base import Optimizer


class Muon(Optimizer):
    """`w -= rate · rms_rate · sqrt(max(rows, columns)) · orthogonal(momentum)` for matrices (Jordan et al. 2024).

    The momentum is `m = momentum · m + g`, or with `nesterov` `g + momentum · m`; `ns_steps` Newton-Schulz iterations
    `x ← a x + (b x xᵀ + c (x xᵀ)²) x` make it nearly orthogonal. AdamW at `adam_lr_ratio` of the rate trains what is no
    matrix, embeddings (unless `exclude_embeddings=False`), and what matches a pattern of `exclude_layers`.
    """

    arguments = ("adam_beta_1", "adam_beta_2", "adam_weight_decay", "epsilon", "exclude_layers", "exclude_embeddings",
                 "muon_a", "muon_b", "muon_c", "adam_lr_ratio", "momentum", "ns_steps", "nesterov", "rms_rate")

    def __init__(self, learning_rate: object = 0.001, adam_beta_1: float = 0.9, adam_beta_2: float = 0.999,
                 adam_weight_decay: float | None = 0.004, epsilon: float = 1e-7, weight_decay: float | None = 0.004, *,
                 exclude_layers: Sequence[str] | None = None, exclude_embeddings: bool = True, muon_a: float = 3.4445,
                 muon_b: float = -4.7750, muon_c: float = 2.0315, adam_lr_ratio: float = 1, momentum: float = 0.95,
                 ns_steps: int = 5, nesterov: bool = True, rms_rate: float | None = 0.2, **options: Any) -> None:
        super().__init__(learning_rate, weight_decay, **options)
        self.adam_beta_1, self.adam_beta_2 = self.number("adam_beta_1", adam_beta_1), adam_beta_2
        self.adam_weight_decay = self.from_zero("adam_weight_decay", adam_weight_decay)
        self.epsilon, self.momentum = self.number("epsilon", epsilon), self.number("momentum", momentum)
        self.exclude_layers, self.exclude_embeddings = list(exclude_layers or ()), exclude_embeddings
        self.muon_a, self.muon_b, self.muon_c = muon_a, muon_b, muon_c
        self.adam_lr_ratio, self.rms_rate = adam_lr_ratio, self.from_zero("rms_rate", rms_rate)
        self.ns_steps, self.nesterov = self.whole("ns_steps", ns_steps, 0) or 0, nesterov

    def build(self, variables: Sequence[Variable]) -> None:
        super().build(variables)
        self._momentums = self.add_optimizer_variables(variables, "momentum")
        self._velocities = [
            self.add_variable_from_reference(v, "velocity") if self.is_for_adam(v) else None for v in variables]

    def is_for_adam(self, variable: Variable) -> bool:
        """Whether AdamW trains this variable."""
        is_embedding = self.exclude_embeddings and "embedding" in variable.path.lower()
        return len(variable.shape) != 2 or is_embedding or any(
            re.search(pattern, variable.path) for pattern in self.exclude_layers)

    def decay_of(self, variable: Variable) -> float | None:
        return self.adam_weight_decay if self.is_for_adam(variable) else self.weight_decay

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        m, v = self.of(self._momentums, variable), self.of(self._velocities, variable)
        if v is not None:
            self._adam_step(gradient, variable, learning_rate * self.adam_lr_ratio, m, v)
            return
        m.assign_add(gradient + m * (self.momentum - 1))
        update = learning_rate * self._orthogonal(gradient + self.momentum * m if self.nesterov else m)
        if self.rms_rate is not None:
            update = update * (math.sqrt(max(variable.numpy().shape)) * self.rms_rate)
        variable.assign_sub(update)

    def _orthogonal(self, x: Any) -> Any:
        is_tall = x.shape[0] > x.shape[1]
        x = ops.transpose(x) if is_tall else x
        x = x / (ops.sqrt(ops.sum(ops.square(x))) + 1e-7)
        for _ in range(self.ns_steps):
            square = ops.matmul(x, ops.transpose(x))
            x = self.muon_a * x + ops.matmul(self.muon_b * square + self.muon_c * ops.matmul(square, square), x)
        return ops.transpose(x) if is_tall else x

    def _adam_step(self, gradient: Any, variable: Variable, rate: Any, m: Variable, v: Variable) -> None:
        dtype = variable.dtype
        step = ops.cast(self.iterations + 1, dtype)
        power_1, power_2 = (ops.power(ops.cast(b, dtype), step) for b in (self.adam_beta_1, self.adam_beta_2))
        m.assign_add((gradient - m) * (1 - self.adam_beta_1))
        v.assign_add((ops.square(gradient) - v) * (1 - self.adam_beta_2))
        alpha = rate * ops.sqrt(1 - power_2) / (1 - power_1)
        variable.assign_sub(m * alpha / (ops.sqrt(v) + self.epsilon))
