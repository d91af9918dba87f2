"""What constructors, `build` and `call` of layers are given."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from symgraph.core.registry import get_registered_name
from symgraph.core.structure import flatten, map_structure
from symgraph.core.tensor import Operand

if TYPE_CHECKING:
    from symgraph.layers.layer import Layer

__all__ = ["build_arguments", "call_parameters", "constructor_arguments", "is_plain_data", "marking_built",
           "serialize"]


def marking_built(build: Callable[..., None]) -> Callable[..., None]:
    """`build`, after which the layer counts as built."""

    @functools.wraps(build)
    def build_once(self: Layer, *args: Any, **kwargs: Any) -> None:
        build(self, *args, **kwargs)
        self.built = True

    return build_once


def is_plain_data(value: Any) -> bool:
    """Whether this is a nesting of numbers alone."""
    leaves = flatten(value)
    return bool(leaves) and all(isinstance(x, bool | int | float | np.generic) for x in leaves)


def build_arguments(layer: Layer, args: tuple[Any, ...], kwargs: Mapping[str, Any],
                    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What `build` is given: the shape of the first argument of `call`, or those that its parameters name.

    Errors: `LayerError` where an argument that it cannot do without is not there.
    """
    wanted = inspect.signature(layer.build).parameters
    if len(wanted) > 1 and all(name.endswith("_shape") for name in wanted):
        names = list(call_parameters(type(layer)))[1:]
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        found = {name: given.get(name.removesuffix("_shape")) for name in wanted}
        absent = [name.removesuffix("_shape") for name, parameter in wanted.items()
                  if found[name] is None and parameter.default is inspect.Parameter.empty]
        if absent:
            raise layer.error(f"is called without {' and '.join(absent)}; its call has the arguments "
                              f"{', '.join(names)}")
        return (), {name: _shapes_of(x) for name, x in found.items() if x is not None}
    return (_shapes_of(args[0] if args else next(iter(kwargs.values()), None)),), {}


def _shapes_of(structure: Any) -> Any:
    return map_structure(lambda x: x.shape if isinstance(x, Operand) else None, structure)


def call_parameters(cls: type[Layer]) -> Mapping[str, inspect.Parameter]:
    """The parameters of `call`, looked up once for each class."""
    found = cls.__dict__.get("_call_signature")
    if found is None:
        found = inspect.signature(cls.call).parameters
        cls._call_signature = found  # type: ignore[attr-defined]
    return found


def constructor_arguments(cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What the constructor was called with, by name, with its defaults."""
    try:
        bound = inspect.signature(cls.__init__).bind(None, *args, **kwargs)  # type: ignore[misc]
    except TypeError:
        return {}
    bound.apply_defaults()
    given = dict(list(bound.arguments.items())[1:])
    for name, parameter in inspect.signature(cls.__init__).parameters.items():  # type: ignore[misc]
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            given.update(given.pop(name, {}))
        elif parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            given.pop(name, None)
    return given


def serialize(value: Any) -> Any:
    """An argument as plain data: objects as class name and config, functions as their names."""
    if hasattr(value, "get_config"):
        return {"class_name": get_registered_name(type(value)), "config": value.get_config()}
    if isinstance(value, list | tuple):
        return type(value)(serialize(v) for v in value)
    if callable(value) and hasattr(value, "__name__"):
        return get_registered_name(value)
    return value
