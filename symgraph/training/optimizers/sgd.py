"""Gradient descent, with momentum; and Lion, which looks at signs only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph import ops
from symgraph.core.variable import Variable
from symgraph.training.optimizers.base import Optimizer


class SGD(Optimizer):
    """`w -= rate · g`; with momentum `m = momentum · m - rate · g`, `w += m`.

    With `nesterov` the step is `w += momentum · m - rate · g` (Nesterov 1983, as in Sutskever et al. 2013).
    """

    arguments = ("momentum", "nesterov")

    def __init__(self, learning_rate: object = 0.01, momentum: float = 0.0, nesterov: bool = False,
                 **options: Any) -> None:
        super().__init__(learning_rate, **options)
        self.momentum, self.nesterov = self.share("momentum", momentum), nesterov

    def build(self, variables: Sequence[Variable]) -> None:
        super().build(variables)
        self._momentums = self.add_optimizer_variables(variables, "momentum") if self.momentum else []

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        if not self.momentum:
            variable.assign_sub(gradient * learning_rate)
            return
        m = self.of(self._momentums, variable)
        m.assign(m * self.momentum - gradient * learning_rate)
        variable.assign_add(m * self.momentum - gradient * learning_rate if self.nesterov else m.latest())


class Lion(Optimizer):
    """`w -= rate · sign(beta_1 · m + (1 - beta_1) · g)`, `m = beta_2 · m + (1 - beta_2) · g` (Chen et al. 2023)."""

    arguments = ("beta_1", "beta_2")

    def __init__(self, learning_rate: object = 0.001, beta_1: float = 0.9, beta_2: float = 0.99,
                 **options: Any) -> None:
        super().__init__(learning_rate, **options)
        self.beta_1, self.beta_2 = self.share("beta_1", beta_1), self.number("beta_2", beta_2)
        if not self.beta_1:
            raise self.error("beta_1 must be above 0, got 0: only the sign of the gradient would be left")

    def build(self, variables: Sequence[Variable]) -> None:
        super().build(variables)
        self._momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        m = self.of(self._momentums, variable)
        variable.assign_sub(learning_rate * ops.sign(m * self.beta_1 + gradient * (1.0 - self.beta_1)))
        m.assign(m * self.beta_2 + gradient * (1.0 - self.beta_2))
