"""What a metric is: state kept in variables, a rule that updates it batch by batch, and a result."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from symgraph.core.errors import TrainingError
from symgraph.core.scope import not_tracing
from symgraph.core.structure import flatten
from symgraph.core.tensor import Operand
from symgraph.core.types import Shape, as_dtype, as_shape, numpy_dtype
from symgraph.core.variable import Variable
from symgraph.layers import initializers
from symgraph.layers.layer import unique_layer_name


class Metric:
    """A number (or several) about what went by since the last `reset_state()`.

    `update_state(y_true, y_pred, sample_weight=None)` takes a batch in, `result()` says the number, calling the metric
    does both. A metric of your own makes its variables with `add_variable` and overrides these two; written with ops
    and `assign` they work in a compiled function as well. Variables and metrics that are attributes, in lists and dicts
    too, belong to its state.

    >>> import symgraph as sg
    >>> class Largest(sg.metrics.Metric):
    ...     def __init__(self, name="largest", dtype=None):
    ...         super().__init__(name=name, dtype=dtype)
    ...         self.value = self.add_variable((), "zeros", name="value")
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.value.assign(sg.maximum(self.value, sg.max(sg.abs(sg.subtract(y_pred, y_true)))))
    ...     def result(self):
    ...         return self.value
    >>> metric = Largest()
    >>> float(metric([1.0, 2.0], [1.5, 2.0])), float(metric([0.0], [3.0]))
    (0.5, 3.0)
    """

    _arguments: dict[str, Any]
    _variables: list[Variable]

    def __new__(cls, *args: Any, **kwargs: Any) -> Metric:
        self = super().__new__(cls)
        self.__dict__.update(_variables=[], _arguments=_given(cls, args, kwargs))
        return self

    def __init__(self, dtype: object = None, name: str | None = None) -> None:
        self.name = name or unique_layer_name(snake_case(type(self).__name__))
        self.dtype = as_dtype("float32" if dtype is None else "int32" if dtype == "int" else dtype)

    def add_variable(self, shape: object = (), initializer: object = "zeros", dtype: object = None,
                     aggregation: str | None = "sum", name: str | None = None) -> Variable:
        """A variable of the metric's state, that training leaves alone; zeros unless an initializer says otherwise."""
        del aggregation
        with not_tracing():
            variable = Variable(
                initializers.get(initializer or "zeros"), shape=as_shape(shape), dtype=as_dtype(dtype or self.dtype),
                trainable=False, name=f"{self.name}/{name or f'variable_{len(self._variables)}'}")
        self._variables.append(variable)
        return variable

    def add_weight(self, shape: object = (), initializer: object = "zeros", dtype: object = None,
                   name: str | None = None) -> Variable:
        """The same as `add_variable`."""
        return self.add_variable(shape, initializer, dtype, name=name)

    @property
    def variables(self) -> list[Variable]:
        """The state, with that of the metrics inside."""
        held = flatten([value for name, value in vars(self).items() if name != "_arguments"])
        own = [x for x in held if isinstance(x, Variable)]
        return list(dict.fromkeys([*own, *(v for x in held if isinstance(x, Metric) for v in x.variables)]))

    def reset_state(self) -> None:
        """Start anew: all variables 0."""
        for variable in self.variables:
            variable.assign(np.zeros(as_known(variable.shape), numpy_dtype(variable.dtype)))

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Take a batch in."""
        raise TrainingError(f"metric {type(self).__name__} does not define update_state")

    def result(self) -> Operand:
        """The number now."""
        raise TrainingError(f"metric {type(self).__name__} does not define result")

    def __call__(self, *args: Any, **kwargs: Any) -> Operand:
        """Take a batch in and say the number now."""
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal metric."""
        return {**self._arguments, "name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Metric:
        """A metric made of what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


def as_known(shape: Shape) -> tuple[int, ...]:
    """A shape of which every size is known."""
    assert all(isinstance(size, int) for size in shape)
    return shape  # type: ignore[return-value]


def _given(cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What the constructor was called with, by name, with its defaults."""
    signature = inspect.signature(cls.__init__)  # type: ignore[misc]
    try:
        bound = signature.bind(None, *args, **kwargs)
    except TypeError:
        return {}
    bound.apply_defaults()
    given = dict(list(bound.arguments.items())[1:])
    for name, parameter in signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            given.update(given.pop(name, {}))
    return given


def snake_case(name: str) -> str:
    """`MeanIoU` as Keras names it: `mean_io_u`."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
