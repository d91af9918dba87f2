"""The base of all optimizers: the state, the options all of them share, and the order of a step."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from symgraph import ops
from symgraph.autodiff.tape import GradientTape
from symgraph.core.errors import TrainingError, nearest
from symgraph.core.scope import not_tracing, warn_user
from symgraph.core.tensor import Operand
from symgraph.core.types import TensorType
from symgraph.core.value import Tensor, as_array
from symgraph.core.variable import Variable
from symgraph.layers import initializers
from symgraph.training.optimizers.choosing import choose
from symgraph.training.optimizers.clipping import clip_by_global_norm, clip_by_norm
from symgraph.training.optimizers.schedules import LearningRateSchedule, deserialize, serialize

SHARED = ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "use_ema", "ema_momentum",
          "ema_overwrite_frequency", "loss_scale_factor", "gradient_accumulation_steps", "name")
"""The options of every optimizer."""


class Optimizer:
    """What changes variables by their gradients: `optimizer.apply_gradients(zip(gradients, variables))`.

    The learning rate is a number, a schedule, or a function without arguments. A step goes: divide by
    `loss_scale_factor`, average over `gradient_accumulation_steps`, clip (each gradient to the norm `clipnorm`, all
    of them to `global_clipnorm`, or each element to `±clipvalue`), `w -= w · weight_decay · learning_rate`, update,
    average the weights (`use_ema`), apply the constraints. The state is in `variables`.

    All is done with ordinary ops, so a step runs on values and, in a compiled function, is part of the graph.
    An optimizer of your own overrides `build(variables)`, which makes its state with `add_optimizer_variables`, and
    `update_step(gradient, variable, learning_rate)`, which assigns; `arguments` names what `get_config` gives back.

    >>> import symgraph as sg
    >>> w = sg.Variable([1.0, 2.0])
    >>> optimizer = sg.optimizers.SGD(0.5)
    >>> _ = optimizer.apply_gradients([(sg.tensor([1.0, -1.0]), w)])
    >>> w.numpy().tolist()
    [0.5, 2.5]
    """

    arguments: tuple[str, ...] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "build" in cls.__dict__:
            cls.build = _only_once(cls.build)  # type: ignore[method-assign]

    def __init__(
            self, learning_rate: object, weight_decay: float | None = None, clipnorm: float | None = None,
            clipvalue: float | None = None, global_clipnorm: float | None = None, use_ema: bool = False,
            ema_momentum: float = 0.99, ema_overwrite_frequency: int | None = None,
            loss_scale_factor: float | None = None, gradient_accumulation_steps: int | None = None,
            name: str | None = None, **unknown: Any) -> None:
        learning_rate = unknown.pop("lr", learning_rate)
        if unknown:
            word = next(iter(unknown))
            known = ("learning_rate", *self.arguments, *SHARED)
            raise TrainingError(f"{type(self).__name__}: no argument {word!r}; {nearest(word, known, limit=30)}")
        self.name = name or re.sub("(?<=[a-z])(?=[A-Z])", "_", type(self).__name__).lower()
        self.weight_decay = self.from_zero("weight_decay", weight_decay)
        self.clipnorm = self.from_zero("clipnorm", clipnorm)
        self.clipvalue = self.from_zero("clipvalue", clipvalue)
        self.global_clipnorm = self.from_zero("global_clipnorm", global_clipnorm)
        if sum(x is not None for x in (clipnorm, clipvalue, global_clipnorm)) > 1:
            raise self.error(f"takes one of clipnorm, clipvalue and global_clipnorm, got clipnorm={clipnorm}, "
                             f"clipvalue={clipvalue}, global_clipnorm={global_clipnorm}")
        self.use_ema = use_ema
        self.ema_momentum = self.share("ema_momentum", ema_momentum)
        self.ema_overwrite_frequency = self.whole("ema_overwrite_frequency", ema_overwrite_frequency, 1)
        self.loss_scale_factor = self.from_zero("loss_scale_factor", loss_scale_factor)
        self.gradient_accumulation_steps = self.whole("gradient_accumulation_steps", gradient_accumulation_steps, 2)
        self.built = False
        self._variables: list[Variable] = []
        self._indices: dict[Variable, int] = {}
        self._averages: list[Variable] = []
        self._accumulators: list[Variable] = []
        self._not_decayed: frozenset[Variable] = frozenset()
        self._not_decayed_names: tuple[str, ...] = ()
        self._iterations = self.add_variable((), dtype="int64", name="iteration")
        self._learning_rate = self._as_rate(learning_rate)

    # State.

    def build(self, variables: Sequence[Variable]) -> None:
        """Make the state for these variables; the first step does it too.

        Errors: `TrainingError` for what is no variable.
        """
        if self.built:
            return
        for v in variables:
            if not isinstance(v, Variable):
                raise self.error(f"trains variables, got {v!r}")
        self._indices = {v: i for i, v in enumerate(variables)}
        if self.use_ema:
            self._averages = self.add_optimizer_variables(variables, "average")
        if self.gradient_accumulation_steps:
            self._accumulators = self.add_optimizer_variables(variables, "gradient_accumulator")
        self.built = True

    @property
    def variables(self) -> list[Variable]:
        """The whole state: the iterations, the learning rate where it is a number, and what belongs to each weight."""
        return list(self._variables)

    @property
    def averages(self) -> dict[Variable, Variable]:
        """The moving average of each variable, with `use_ema`; empty without, and before it is built."""
        return dict(zip(self._indices, self._averages, strict=False))

    @property
    def iterations(self) -> Any:
        """How many updates were made: an int64 scalar."""
        if self.gradient_accumulation_steps:
            return ops.floor_divide(self._iterations, self.gradient_accumulation_steps)
        return self._iterations

    @property
    def learning_rate(self) -> Any:
        """The present learning rate: a variable, or what the schedule gives. Assign a number or a schedule to it."""
        if isinstance(self._learning_rate, LearningRateSchedule):
            return self._learning_rate(self._iterations)
        return self._learning_rate() if callable(self._learning_rate) else self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: object) -> None:
        old = self._learning_rate
        if isinstance(old, Variable):
            if not callable(value):
                old.assign(value)
                return
            self._variables = [v for v in self._variables if v is not old]
        elif isinstance(old, LearningRateSchedule) and not callable(value):
            raise self.error(f"has the schedule {old!r} as learning rate; assign another schedule, "
                             "or make the optimizer with a number")
        self._learning_rate = self._as_rate(value)

    lr = learning_rate

    def _as_rate(self, value: object) -> Any:
        if isinstance(value, Mapping):
            value = deserialize(value)
        if callable(value):
            return value
        if isinstance(value, bool | str) or value is None:
            raise self.error(f"learning_rate must be a number, a schedule or a function, got {value!r}")
        array = as_array(value)
        if array.shape != () or array.dtype.kind not in "iuf":
            raise self.error(f"learning_rate must be one number, got {value!r}")
        return self.add_variable((), initializers.Constant(float(array)), "float32", name="learning_rate")

    def add_variable(self, shape: object, initializer: object = "zeros", dtype: object = None,
                     name: str = "variable") -> Variable:
        """A variable of the state."""
        with not_tracing():
            start = initializers.get(initializer)
            variable = Variable(start, shape, dtype or "float32", trainable=False, name=f"{self.name}/{name}")
        self._variables.append(variable)
        return variable

    def add_variable_from_reference(self, reference_variable: Variable, name: str = "variable",
                                    initializer: object = "zeros") -> Variable:
        """A variable of the state with the shape and the dtype of another one."""
        path = reference_variable.path.replace("/", "_")
        return self.add_variable(reference_variable.shape, initializer, reference_variable.dtype, f"{path}_{name}")

    def add_optimizer_variables(self, trainable_variables: Iterable[Variable], name: Any,
                                initializer: object = "zeros") -> Any:
        """A variable of the state for each of the trainable variables; for several names, a list for each name."""
        names = [name] if isinstance(name, str) else list(name)
        starts = initializer if isinstance(initializer, list | tuple) else [initializer] * len(names)
        made: list[list[Variable]] = [[] for _ in names]
        for variable in trainable_variables:
            for group, each, start in zip(made, names, starts, strict=True):
                group.append(self.add_variable_from_reference(variable, each, start))
        return made[0] if isinstance(name, str) else made

    def of(self, state: Sequence[Any], variable: Variable) -> Any:
        """What in `state`, a list made by `add_optimizer_variables`, belongs to `variable`."""
        return state[self._indices[variable]]

    def set_weights(self, weights: Iterable[Any]) -> None:
        """Set the whole state, in the order of `variables`.

        Errors: `TrainingError` naming the first that does not fit; then nothing is set.
        """
        arrays = [as_array(w) for w in weights]
        if len(arrays) != len(self.variables):
            raise self.error(f"has {len(self.variables)} variables, got {len(arrays)} arrays"
                             f"{'' if self.built else '; build it first'}")
        for variable, array in zip(self.variables, arrays, strict=True):
            if variable.shape != array.shape:
                raise self.error(f"variable {variable.name!r} has shape {variable.shape}, got {array.shape}")
        for variable, array in zip(self.variables, arrays, strict=True):
            variable.assign(array)

    # Steps.

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Assign `variable` and its state their new values; gradient and rate have the variable's dtype."""
        raise self.error("defines no update_step(gradient, variable, learning_rate)")

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Variable:
        """One step with pairs of gradient and variable; gives the number of steps.

        A gradient of None leaves its variable alone, with a warning.

        Errors: `TrainingError` where all gradients are None, for a variable the optimizer was not built with, and for
        a gradient of another shape than its variable.
        """
        pairs = list(grads_and_vars)
        if any(not isinstance(pair, list | tuple) or len(pair) != 2 for pair in pairs):
            raise self.error("apply_gradients takes pairs (gradient, variable), such as zip(gradients, variables)")
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self._iterations

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """One step with gradients of these variables, or of those the optimizer was built with.

        Errors: as `apply_gradients`, and where it is not built and gets no variables.
        """
        grads = list(grads)
        if not grads:
            return
        pairs = self._present(grads, self._known(grads, trainable_variables))
        gradients, variables = [g for g, _ in pairs], [v for _, v in pairs]
        if self.loss_scale_factor:
            gradients = [g / self.loss_scale_factor for g in gradients]
        self._apply(gradients, variables)
        for v in variables:
            if v.constraint is not None:
                v.assign(v.constraint(v.latest()))
        self._iterations.assign_add(1)

    def minimize(self, loss: Any, var_list: Sequence[Variable] | None = None, tape: GradientTape | None = None) -> Any:
        """One step that lowers `loss`: a function without arguments, or a value with the tape that saw it computed.

        Without `var_list` all trainable variables count that the tape saw. Gives the loss.

        Errors: `TrainingError` for a value without its tape; as `apply_gradients`.
        """
        if tape is None and not callable(loss):
            raise self.error("minimize needs a function without arguments, or the tape that saw the loss computed")
        watching = tape or GradientTape()
        with watching:
            value = loss() if callable(loss) else loss
            scaled = self.scale_loss(value)
        variables = list(watching.watched_variables() if var_list is None else var_list)
        if not variables:
            raise self.error("minimize found no variables that the loss depends on; give var_list")
        self.apply(watching.gradient(scaled, variables), variables)
        return value

    def scale_loss(self, loss: Any) -> Any:
        """The loss times `loss_scale_factor`: what to take gradients of."""
        return loss * self.loss_scale_factor if self.loss_scale_factor else loss

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """Give the variables their averages, at the end of training with `use_ema`; before a step there are none."""
        if self.use_ema and int(self._iterations):
            if unknown := [v.name for v in var_list if v not in self._indices]:
                raise self.error(f"has no averages of {', '.join(unknown)}")
            self._overwrite_by_averages(var_list)

    def exclude_from_weight_decay(self, var_list: Iterable[Variable] | None = None,
                                  var_names: Iterable[str] | None = None) -> None:
        """Leave these variables, and those whose names contain one of these patterns, out of the weight decay.

        Errors: `TrainingError` once the optimizer is built.
        """
        if self.built:
            raise self.error("exclude_from_weight_decay comes before the optimizer is built")
        self._not_decayed = frozenset(var_list or ())
        self._not_decayed_names = tuple(var_names or ())

    def decays(self, variable: Variable) -> bool:
        """Whether weight decay applies to `variable`."""
        return variable not in self._not_decayed and not any(
            re.search(pattern, variable.name) for pattern in self._not_decayed_names)

    def decay_of(self, variable: Variable) -> float | None:
        """The weight decay of `variable`."""
        return self.weight_decay

    def _known(self, grads: Sequence[Any], variables: Sequence[Variable] | None) -> list[Variable]:
        if variables is None:
            if not self.built:
                raise self.error("is not built yet: give the variables with the gradients, or call build(variables)")
            variables = list(self._indices)
        if len(grads) != len(variables):
            raise self.error(f"got {len(grads)} gradients for {len(variables)} variables")
        self.build(variables)
        for v in variables:
            if not isinstance(v, Variable):
                raise self.error(f"trains variables, got {v!r}")
            if v not in self._indices:
                raise self.error(f"was built for other variables than {v.name!r}; "
                                 "build it with all it is to train, or make another one")
        return list(variables)

    def _present(self, grads: Sequence[Any], variables: Sequence[Variable]) -> list[tuple[Any, Variable]]:
        """The pairs whose gradient is there, each in the dtype of its variable."""
        missing = [v.path for g, v in zip(grads, variables, strict=True) if g is None]
        if len(missing) == len(grads):
            raise self.error("got no gradient for any variable: the loss depends on none of "
                             f"{', '.join(missing[:8])}{' …' if len(missing) > 8 else ''}")
        if missing:
            warn_user(f"{self.name}: no gradients for {', '.join(missing)}; they stay as they are")
        return [(self._fitted(g, v), v) for g, v in zip(grads, variables, strict=True) if g is not None]

    def _fitted(self, gradient: Any, variable: Variable) -> Any:
        g = gradient if isinstance(gradient, Operand) else Tensor(as_array(gradient))
        shape = g.type.shape if isinstance(g.type, TensorType) else None
        if shape is not None and (len(shape) != len(variable.shape) or any(
                isinstance(a, int) and a != b for a, b in zip(shape, variable.shape, strict=True))):
            raise self.error(f"variable {variable.name!r} has shape {variable.shape}, got a gradient of shape {shape}")
        return g if g.dtype == variable.dtype else ops.cast(g, variable.dtype)

    def _apply(self, gradients: list[Any], variables: list[Variable]) -> None:
        if self.gradient_accumulation_steps:
            self._accumulate(gradients, variables, self.gradient_accumulation_steps)
        else:
            self._update(gradients, variables)
        if self.use_ema:
            self._average()

    def _accumulate(self, gradients: list[Any], variables: list[Variable], steps: int) -> None:
        sums = [g + self.of(self._accumulators, v) for g, v in zip(gradients, variables, strict=True)]

        def update() -> None:
            self._update([g / steps for g in sums], variables)
            for each in self._accumulators:
                each.assign(ops.zeros_like(each))

        def wait() -> None:
            for g, v in zip(sums, variables, strict=True):
                self.of(self._accumulators, v).assign(g)

        choose(ops.equal(ops.mod(self._iterations + 1, steps), 0), update, wait)

    def _update(self, gradients: list[Any], variables: list[Variable]) -> None:
        rate = self.learning_rate
        gradients = self._clipped(gradients)
        for v in variables:
            decay = self.decay_of(v)
            if decay is not None and self.decays(v):
                v.assign(v - v * decay * ops.cast(rate, v.dtype))
        self.update_steps(gradients, variables, rate)

    def update_steps(self, gradients: list[Any], variables: list[Variable], learning_rate: Any) -> None:
        """`update_step` for each variable."""
        for g, v in zip(gradients, variables, strict=True):
            self.update_step(g, v, ops.cast(learning_rate, v.dtype))

    def _clipped(self, gradients: list[Any]) -> list[Any]:
        if self.clipnorm:
            return [clip_by_norm(g, self.clipnorm) for g in gradients]
        if self.global_clipnorm:
            return clip_by_global_norm(gradients, self.global_clipnorm)
        if self.clipvalue:
            return [ops.clip(g, -self.clipvalue, self.clipvalue) for g in gradients]
        return gradients

    def _average(self) -> None:
        is_later = ops.not_equal(self.iterations, 0)
        for v, average in zip(self._indices, self._averages, strict=True):
            momentum = ops.cast(is_later, v.dtype) * self.ema_momentum
            average.assign(momentum * average + (1.0 - momentum) * v)
        if self.ema_overwrite_frequency:
            is_due = ops.equal(ops.mod(self.iterations + 1, self.ema_overwrite_frequency), 0)
            choose(is_due, lambda: self._overwrite_by_averages(list(self._indices)), lambda: None)

    def _overwrite_by_averages(self, variables: Sequence[Variable]) -> None:
        for v in variables:
            v.assign(self.of(self._averages, v).latest())

    # Configuration.

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal optimizer, without its state."""
        rate = self._learning_rate
        if isinstance(rate, LearningRateSchedule):
            rate = serialize(rate)
        elif isinstance(rate, Variable):
            rate = float(rate)
        shared = {name: getattr(self, name) for name in SHARED}
        return {"learning_rate": rate, **shared, **{name: getattr(self, name) for name in self.arguments}}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Optimizer:
        """The optimizer with these arguments; `custom_objects` are schedules of your own by name."""
        given = dict(config)
        if isinstance(given.get("learning_rate"), Mapping):
            given["learning_rate"] = deserialize(given["learning_rate"], custom_objects)
        return cls(**given)

    # Errors.

    def error(self, message: str) -> TrainingError:
        """An error that names the optimizer."""
        return TrainingError(f"{type(self).__name__}: {message}")

    def number(self, name: str, value: Any) -> float:
        """An argument that is a number."""
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            raise self.error(f"{name} must be a number, got {value!r}")
        return float(value)

    def share(self, name: str, value: Any) -> float:
        """An argument that is a number from 0 to 1."""
        if not 0 <= self.number(name, value) <= 1:
            raise self.error(f"{name} must be a number from 0 to 1, got {value!r}")
        return float(value)

    def from_zero(self, name: str, value: Any) -> float | None:
        """An argument that is a number from 0 on, or None."""
        if value is not None and not self.number(name, value) >= 0:
            raise self.error(f"{name} must be a number from 0 on, got {value!r}")
        return None if value is None else float(value)

    def whole(self, name: str, value: Any, low: int) -> int | None:
        """An argument that is a whole number, at least `low`, or None."""
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | np.integer) or value < low):
            raise self.error(f"{name} must be a whole number from {low} on, got {value!r}")
        return None if value is None else int(value)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}{'' if self.built else ', not built'}>"


def _only_once(build: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(build)
    def build_once(self: Optimizer, variables: Sequence[Variable]) -> None:
        if not self.built:
            build(self, list(variables))

    return build_once
