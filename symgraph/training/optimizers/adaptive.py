"""Optimizers that divide each gradient by its own size so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph import ops
from symgraph.core.variable import Variable
from symgraph.layers.initializers import Constant
from symgraph.training.optimizers.base import Optimizer


class RMSprop(Optimizer):
    """`v = rho · v + (1 - rho) · g²`, `w -= rate · g / sqrt(v + epsilon)` (Hinton 2012).

    With momentum the step is `m = momentum · m + …`; `centered` subtracts the square of the mean gradient from v.
    """

    arguments = ("rho", "momentum", "epsilon", "centered")

    def __init__(self, learning_rate: object = 0.001, rho: float = 0.9, momentum: float = 0.0, epsilon: float = 1e-7,
                 centered: bool = False, **options: Any) -> None:
        super().__init__(learning_rate, **options)
        self.rho, self.momentum = self.number("rho", rho), self.number("momentum", momentum)
        self.epsilon, self.centered = self.number("epsilon", epsilon), centered

    def build(self, variables: Sequence[Variable]) -> None:
        super().build(variables)
        self._velocities = self.add_optimizer_variables(variables, "velocity")
        self._momentums = self.add_optimizer_variables(variables, "momentum") if self.momentum > 0 else []
        self._means = self.add_optimizer_variables(variables, "average_gradient") if self.centered else []

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        v = self.of(self._velocities, variable)
        v.assign(self.rho * v + (1 - self.rho) * ops.square(gradient))
        size: Any = v
        if self.centered:
            mean = self.of(self._means, variable)
            mean.assign(self.rho * mean + (1 - self.rho) * gradient)
            size = v - ops.square(mean)
        step = learning_rate * gradient / ops.sqrt(size + self.epsilon)
        if self.momentum > 0:
            m = self.of(self._momentums, variable)
            step = m.assign(self.momentum * m + step).latest()
        variable.assign_sub(step)


class Adagrad(Optimizer):
    """`a += g²`, `w -= rate · g / sqrt(a + epsilon)` (Duchi et al. 2011)."""

    arguments = ("initial_accumulator_value", "epsilon")

    def __init__(self, learning_rate: object = 0.001, initial_accumulator_value: float = 0.1, epsilon: float = 1e-7,
                 **options: Any) -> None:
        super().__init__(learning_rate, **options)
        self.initial_accumulator_value = self.number("initial_accumulator_value", initial_accumulator_value)
        self.epsilon = self.number("epsilon", epsilon)

    def build(self, variables: Sequence[Variable]) -> None:
        super().build(variables)
        start = Constant(self.initial_accumulator_value)
        self._accumulators_of_squares = self.add_optimizer_variables(variables, "accumulator", start)

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        a = self.of(self._accumulators_of_squares, variable)
        a.assign_add(ops.square(gradient))
        variable.assign_sub(learning_rate * gradient / ops.sqrt(a + self.epsilon))


class Adadelta(Optimizer):
    """`w -= rate · d`, `d = g · sqrt(mean(d²) + epsilon) / sqrt(mean(g²) + epsilon)`, running means (Zeiler 2012)."""

    arguments = ("rho", "epsilon")

    def __init__(self, learning_rate: object = 0.001, rho: float = 0.95, epsilon: float = 1e-7, **options: Any) -> None:
        super().__init__(learning_rate, **options)
        self.rho, self.epsilon = self.number("rho", rho), self.number("epsilon", epsilon)

    def build(self, variables: Sequence[Variable]) -> None:
        super().build(variables)
        self._gradients, self._deltas = self.add_optimizer_variables(
            variables, ["accumulated_grad", "accumulated_delta_var"])

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        squares, deltas = self.of(self._gradients, variable), self.of(self._deltas, variable)
        squares.assign(self.rho * squares + (1 - self.rho) * ops.square(gradient))
        delta = ops.sqrt(deltas + self.epsilon) * gradient / ops.sqrt(squares + self.epsilon)
        deltas.assign(self.rho * deltas + (1 - self.rho) * ops.square(delta))
        variable.assign_sub(learning_rate * delta)


class Ftrl(Optimizer):
    """Follow the regularized leader (McMahan et al. 2013), with L1, L2 and shrinkage penalties.

    `n' = n + g²`, `z += g - (n'^-p - n^-p) / rate · w`, `w = (clip(z, ±l1) - z) / (n'^-p / rate + 2 · l2)`, where p is
    `learning_rate_power`, and g is first added `2 · l2_shrinkage · w`, though not for n.
    """

    arguments = ("learning_rate_power", "initial_accumulator_value", "l1_regularization_strength",
                 "l2_regularization_strength", "l2_shrinkage_regularization_strength", "beta")

    def __init__(self, learning_rate: object = 0.001, learning_rate_power: float = -0.5,
                 initial_accumulator_value: float = 0.1, l1_regularization_strength: float = 0.0,
                 l2_regularization_strength: float = 0.0, l2_shrinkage_regularization_strength: float = 0.0,
                 beta: float = 0.0, **options: Any) -> None:
        super().__init__(learning_rate, **options)
        self.learning_rate_power, self.beta = self.number("learning_rate_power", learning_rate_power), beta
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        for name in self.arguments[1:]:
            self.from_zero(name, getattr(self, name))
        if learning_rate_power > 0:
            raise self.error(f"learning_rate_power must be a number up to 0, got {learning_rate_power!r}")

    def build(self, variables: Sequence[Variable]) -> None:
        super().build(variables)
        self._squares, self._linears = self.add_optimizer_variables(
            variables, ["accumulator", "linear"], [Constant(self.initial_accumulator_value), "zeros"])

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        n, z = self.of(self._squares, variable), self.of(self._linears, variable)
        power, l1 = -self.learning_rate_power, float(self.l1_regularization_strength)
        l2 = self.l2_regularization_strength + self.beta / (2.0 * learning_rate)
        new = n + ops.square(gradient)
        shrunk = gradient + 2.0 * self.l2_shrinkage_regularization_strength * variable
        z.assign_add(shrunk - (ops.power(new, power) - ops.power(n, power)) / learning_rate * variable)
        quadratic = ops.power(new, power) / learning_rate + 2.0 * l2
        variable.assign((ops.clip(z, -l1, l1) - z) / quadratic)
        n.assign(new)
