"""Adam and its kin: steps from running means of the gradient and of its square."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from symgraph import ops
from symgraph.core.variable import Variable
from symgraph.training.optimizers.base import Optimizer


class MomentOptimizer(Optimizer):
    """An optimizer with running means `m` of the gradient and `v` of a size of it, with rates `beta_1`, `beta_2`."""

    arguments: tuple[str, ...] = ("beta_1", "beta_2", "epsilon")

    def __init__(self, learning_rate: object = 0.001, beta_1: float = 0.9, beta_2: float = 0.999,
                 epsilon: float = 1e-7, **options: Any) -> None:
        super().__init__(learning_rate, **options)
        self.beta_1, self.beta_2 = self.number("beta_1", beta_1), self.number("beta_2", beta_2)
        self.epsilon = self.number("epsilon", epsilon)

    def build(self, variables: Sequence[Variable]) -> None:
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])

    def step_number(self, dtype: str, further: int = 1) -> Any:
        """The number of this step, counted from 1."""
        return ops.cast(self.iterations + further, dtype)

    def power(self, base: float, dtype: str) -> Any:
        """`base^t` in step t."""
        return ops.power(ops.cast(base, dtype), self.step_number(dtype))

    def moments(self, gradient: Any, variable: Variable) -> tuple[Variable, Variable]:
        """The running means, after `m = beta_1 m + (1 - beta_1) g` and `v = beta_2 v + (1 - beta_2) g²`.

        Both come of `s = √(1 - beta_2) g`, a factor that the product which gives g takes in, as `v = beta_2 v + s²`.
        """
        m, v = self.of(self._momentums, variable), self.of(self._velocities, variable)
        left = 1 - self.beta_2
        root = math.sqrt(left) if left > 0 else 1.0
        scaled = gradient * root if left > 0 else gradient
        m.assign(m * self.beta_1 + scaled * ((1 - self.beta_1) / root))
        v.assign(v * self.beta_2 + (ops.square(scaled) if left > 0 else ops.square(scaled) * left))
        return m, v


class Adam(MomentOptimizer):
    """`w -= rate · sqrt(1 - beta_2^t) / (1 - beta_1^t) · m / (sqrt(v) + epsilon)` (Kingma and Ba 2014).

    With `amsgrad` v is the largest so far (Reddi et al. 2018).
    """

    arguments = (*MomentOptimizer.arguments, "amsgrad")

    def __init__(self, learning_rate: object = 0.001, beta_1: float = 0.9, beta_2: float = 0.999,
                 epsilon: float = 1e-7, amsgrad: bool = False, **options: Any) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **options)
        self.amsgrad = amsgrad

    def build(self, variables: Sequence[Variable]) -> None:
        super().build(variables)
        self._velocity_hats = self.add_optimizer_variables(variables, "velocity_hat") if self.amsgrad else []

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        beta_1_power, beta_2_power = self.power(self.beta_1, variable.dtype), self.power(self.beta_2, variable.dtype)
        alpha = learning_rate * ops.sqrt(1 - beta_2_power) / (1 - beta_1_power)
        m, v = self.moments(gradient, variable)
        if self.amsgrad:
            largest = self.of(self._velocity_hats, variable)
            v = largest.assign(ops.maximum(largest, v))
        variable.assign_sub(m / (ops.sqrt(v) + self.epsilon) * alpha)


class AdamW(Adam):
    """`Adam` with weight decay on by default (Loshchilov and Hutter 2017)."""

    def __init__(self, learning_rate: object = 0.001, weight_decay: float = 0.004, beta_1: float = 0.9,
                 beta_2: float = 0.999, epsilon: float = 1e-7, amsgrad: bool = False, **options: Any) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **options)
        if weight_decay is None:
            raise self.error("weight_decay must be a number, got None; take Adam to have none")


class Adamax(MomentOptimizer):
    """`u = max(beta_2 · u, |g|)`, `w -= rate / (1 - beta_1^t) · m / (u + epsilon)` (Kingma and Ba 2014)."""

    def build(self, variables: Sequence[Variable]) -> None:
        Optimizer.build(self, variables)
        self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "norm"])

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        m, u = self.of(self._momentums, variable), self.of(self._velocities, variable)
        m.assign_add((gradient - m) * (1 - self.beta_1))
        u.assign(ops.maximum(self.beta_2 * u, ops.absolute(gradient)))
        correction = 1 - self.power(self.beta_1, variable.dtype)
        variable.assign_sub(learning_rate * m / (correction * (u + self.epsilon)))


class Nadam(MomentOptimizer):
    """Adam with Nesterov's momentum (Dozat 2015), which grows with the schedule `beta_1 · (1 - 0.96^t / 2)`."""

    def build(self, variables: Sequence[Variable]) -> None:
        super().build(variables)
        dtype = variables[0].dtype if variables else "float32"
        self._u_product = self.add_variable((), "ones", dtype, "u_product")

    def update_steps(self, gradients: list[Any], variables: list[Variable], learning_rate: Any) -> None:
        u = self._u_product
        u.assign(u * self._momentum(u.dtype, 1))
        super().update_steps(gradients, variables, learning_rate)

    def _momentum(self, dtype: str, further: int) -> Any:
        return self.beta_1 * (1.0 - 0.5 * ops.power(ops.cast(0.96, dtype), self.step_number(dtype, further)))

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        dtype = variable.dtype
        now, following = self._momentum(dtype, 1), self._momentum(dtype, 2)
        u_product = ops.cast(self._u_product, dtype)
        m, v = self.moments(gradient, variable)
        mean = following * m / (1 - u_product * following) + (1 - now) * gradient / (1 - u_product)
        square = v / (1 - self.power(self.beta_2, dtype))
        variable.assign_sub(mean * learning_rate / (ops.sqrt(square) + self.epsilon))


class Lamb(MomentOptimizer):
    """Adam's step `u`, as long as the weight: `w -= rate · ‖w‖ / ‖u‖ · u` (You et al. 2019)."""

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        dtype = variable.dtype
        m, v = self.moments(gradient, variable)
        size = ops.sqrt(v / (1.0 - self.power(self.beta_2, dtype))) + self.epsilon
        update = m / (1.0 - self.power(self.beta_1, dtype)) / size
        w_norm, u_norm = (ops.sqrt(ops.sum(ops.square(x))) for x in (variable, update))
        one = ops.ones_like(w_norm)
        ratio = ops.where(ops.greater(w_norm, 0.0), ops.where(ops.greater(u_norm, 0.0), w_norm / u_norm, one), one)
        variable.assign_sub(ratio * learning_rate * update)
