"""Loss scaling: gradients of a loss made larger, so that small ones do not vanish in float16."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from symgraph import ops
from symgraph.core.registry import get_registered_name
from symgraph.core.variable import Variable
from symgraph.layers.initializers import Constant
from symgraph.training.optimizers.base import SHARED, Optimizer
from symgraph.training.optimizers.choosing import choose


class LossScaleOptimizer(Optimizer):
    """Another optimizer, given the gradients of a loss that `scale_loss` multiplied, divided by the same factor.

    The factor doubles after `dynamic_growth_steps` steps without an infinite or NaN gradient; a step with one is
    left out and halves it (Micikevicius et al. 2018).
    """

    arguments = ("initial_scale", "dynamic_growth_steps")

    def __init__(self, inner_optimizer: Optimizer, initial_scale: float = 2.0**15, dynamic_growth_steps: int = 2000,
                 name: str | None = None, **options: Any) -> None:
        if given := [option for option in SHARED if options.get(option)]:
            raise self.error(f"takes no {given[0]}; give it to the optimizer inside")
        if not isinstance(inner_optimizer, Optimizer):
            raise self.error(f"needs an optimizer, got {inner_optimizer!r}")
        super().__init__(0.0, name=name, **{k: v for k, v in options.items() if k not in SHARED})
        self.inner_optimizer = inner_optimizer
        self.initial_scale = self.number("initial_scale", initial_scale)
        self.dynamic_growth_steps = self.whole("dynamic_growth_steps", dynamic_growth_steps, 1) or 1
        inner_optimizer.loss_scale_factor = None
        self.step_counter: Variable | None = None
        self.dynamic_scale: Variable | None = None

    def build(self, variables: Sequence[Variable]) -> None:
        super().build(variables)
        self.step_counter = self.add_variable((), dtype="int64", name="step_counter")
        self.dynamic_scale = self.add_variable((), Constant(self.initial_scale), "float32", "dynamic_scale")
        self.inner_optimizer.build(variables)

    @property
    def variables(self) -> list[Variable]:
        """The whole state, that of the optimizer inside last."""
        return [*self._variables, *self.inner_optimizer.variables]

    @property
    def iterations(self) -> Any:
        """How many updates the optimizer inside made."""
        return self.inner_optimizer.iterations

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the optimizer inside."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: object) -> None:
        self.inner_optimizer.learning_rate = value

    lr = learning_rate

    def scale_loss(self, loss: Any) -> Any:
        """The loss times the present factor: what to take gradients of."""
        return loss * (self.initial_scale if self.dynamic_scale is None else ops.cast(self.dynamic_scale, loss.dtype))

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """One step of the optimizer inside; none where a gradient is infinite or NaN.

        Errors: as those of any optimizer.
        """
        grads = list(grads)
        if not grads:
            return
        pairs = self._present(grads, self._known(grads, trainable_variables))
        counter, scale = self.step_counter, self.dynamic_scale
        assert counter is not None and scale is not None

        def step() -> None:
            self.inner_optimizer.apply([g / ops.cast(scale, g.dtype) for g, _ in pairs], [v for _, v in pairs])
            is_due = ops.equal(counter, self.dynamic_growth_steps - 1)
            choose(is_due, lambda: restart(2.0), lambda: count())

        def count() -> None:
            counter.assign_add(1)

        def restart(factor: float) -> None:
            counter.assign(0)
            scale.assign(scale * factor)

        finite = ops.all(ops.stack([ops.all(ops.isfinite(g)) for g, _ in pairs]))
        choose(finite, step, lambda: restart(0.5))

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """Give the variables their averages, where the optimizer inside keeps them."""
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal optimizer, without its state."""
        inner = {"class_name": get_registered_name(type(self.inner_optimizer)),
                 "config": self.inner_optimizer.get_config()}
        return {"name": self.name, "inner_optimizer": inner, "initial_scale": self.initial_scale,
                "dynamic_growth_steps": self.dynamic_growth_steps}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Optimizer:
        """The optimizer with these arguments; `custom_objects` are classes of your own by name."""
        from symgraph.training.optimizers.lookup import deserialize  # which knows this class

        given = dict(config)
        return cls(deserialize(given.pop("inner_optimizer"), custom_objects), **given)
