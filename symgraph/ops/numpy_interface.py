"""NumPy's own functions on operands: `np.tanh(x)`, `np.float32(2) * x`, `np.concatenate([x, y])`.

They become the op of the same name. What symgraph has no op for works on values, as NumPy computes it, and
is an error on symbols.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from symgraph.core.errors import ImmutableError, OpError
from symgraph.core.tensor import METHODS, Operand, method
from symgraph.core.value import Tensor
from symgraph.core.variable import Variable
from symgraph.ops.promotion import as_operand
from symgraph.ops.sizes import is_symbolic

__all__: list[str] = []

_REDUCED = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min", "logical_and": "all",
            "logical_or": "any"}
_ACCUMULATED = {"add": "cumsum", "multiply": "cumprod"}
_NAMES = {"around": "round", "permute_dims": "transpose", "row_stack": "vstack"}
_PARAMETERS = {"a_min": "x_min", "a_max": "x_max", "min": "x_min", "max": "x_max"}
_IGNORED = {"order", "subok", "casting", "like", "device", "signature", "sig"}
_WITHOUT_OP = {"numpy.fft", "numpy.linalg.cond"}
"""Where an op of the same name is something else."""


def _unwrap(value: object) -> Any:
    """`value` with NumPy arrays for the tensors and variables in it."""
    if isinstance(value, Tensor | Variable):
        return value.numpy()
    if isinstance(value, list | tuple):
        items = [_unwrap(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, dict):
        return {key: _unwrap(item) for key, item in value.items()}
    return value


def _operands(values: object) -> Iterator[Operand]:
    if isinstance(values, Operand):
        yield values
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _operands(value)
    elif isinstance(values, Mapping):
        yield from _operands(list(values.values()))


def _find(name: str) -> Callable[..., Any] | None:
    """The op called `name`, wherever it is defined."""
    import symgraph.ops

    name = _NAMES.get(name, name)
    found = METHODS.get(name) or getattr(symgraph.ops, name, None)
    return found if callable(found) else None


def _missing(what: str, values: object) -> OpError:
    names = sorted(name for name in METHODS if hasattr(np, name))
    kinds = ", ".join(str(x.type) for x in _operands(values))
    return OpError(f"{what} of {kinds}: symgraph has no op for it that works on symbols; there are: {', '.join(names)}")


@method
def numpy_ufunc(ufunc: np.ufunc, how: str, inputs: Sequence[object], options: Mapping[str, Any]) -> Any:
    """A NumPy ufunc (`np.exp`, `np.add`) applied to operands: the op of its name.

    `np.add.reduce` and its like are the reductions, `np.add.accumulate` is cumsum.

    Errors: `OpError` on symbols where there is no such op; `ImmutableError` for `out=` an operand.
    """
    shown = f"np.{ufunc.__name__}" if how == "__call__" else f"np.{ufunc.__name__}.{how}"
    options = {name: value for name, value in options.items()
               if name not in _IGNORED and (value is not None or name == "axis")}
    for out in _operands(options.get("out")):
        raise ImmutableError(f"{shown}: out= is a {type(out).__name__}, which never changes; use the result")
    names = {"__call__": ufunc.__name__, "reduce": _REDUCED.get(ufunc.__name__),
             "accumulate": _ACCUMULATED.get(ufunc.__name__)}
    op = _find(names.get(how) or "")
    extra = set(options) - ({"dtype"} if how == "__call__" else {"axis", "keepdims", "dtype", "initial"})
    if op is None or extra:
        if not any(is_symbolic(x) for x in _operands(inputs)):
            return getattr(ufunc, how)(*_unwrap(list(inputs)), **_unwrap(dict(options)))
        raise _missing(f"{shown}({', '.join(f'{name}=' for name in sorted(extra))})" if op else shown, inputs)
    if how == "__call__":
        dtype = options.get("dtype")
        return op(*(inputs if dtype is None else [as_operand(x, dtype) for x in inputs]))
    options.setdefault("axis", 0)
    return op(*inputs, **options)


@method
def numpy_function(function: Callable[..., Any], args: Sequence[object], kwargs: Mapping[str, object]) -> Any:
    """A NumPy function (`np.sum`, `np.concatenate`) applied to operands: the op of its name.

    Errors: `OpError` on symbols where there is no such op, or it has no such parameter.
    """
    name = function.__name__
    if name in ("shape", "ndim") and len(args) == 1 and isinstance(args[0], Operand):
        return getattr(args[0], name)
    path = f"{function.__module__}.{name}"
    op = None if path in _WITHOUT_OP or function.__module__ in _WITHOUT_OP else _find(name)
    call = None if op is None else _arguments(function, op, args, kwargs)
    if op is not None and call is not None:
        return op(*call[0], **call[1])
    values = [list(args), dict(kwargs)]
    if not any(is_symbolic(x) for x in _operands(values)):
        return function(*_unwrap(list(args)), **_unwrap(dict(kwargs)))
    shown = path.replace("numpy", "np", 1)
    if op is None:
        raise _missing(shown, values)
    raise OpError(f"{shown}: the op sg.ops.{name}{inspect.signature(op)} cannot take {_shown(args, kwargs)}")


def _shown(args: Sequence[object], kwargs: Mapping[str, object]) -> str:
    names = ", ".join(f"{name}=" for name in kwargs)
    return f"{len(args)} arguments" + (f" and {names}" if names else "")


def _arguments(function: Callable[..., Any], op: Callable[..., Any], args: Sequence[object],
               kwargs: Mapping[str, object]) -> tuple[list[object], dict[str, object]] | None:
    """NumPy's arguments as the op's: required ones by place, others by name; None where they do not fit."""
    accepted = _signature(op).parameters
    signature = _numpy_signature(function)
    if signature is None or any(p.kind is p.VAR_POSITIONAL for p in signature.parameters.values()):
        return _checked(op, list(args), dict(kwargs))
    try:
        bound = signature.bind(*args, **kwargs).arguments
    except TypeError:
        return None
    places: list[object] = []
    names: dict[str, object] = {}
    for name, value in bound.items():
        parameter = signature.parameters[name]
        own = name if name in accepted else _PARAMETERS.get(name, name)
        if parameter.default is parameter.empty or parameter.kind is parameter.POSITIONAL_ONLY:
            places.append(value)
        elif own in accepted:
            names[own] = value
        elif name not in _IGNORED and value is not parameter.default and value is not None:
            return None
    return _checked(op, places, names)


@lru_cache(maxsize=1024)
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


def _numpy_signature(function: Callable[..., Any]) -> inspect.Signature | None:
    """The parameters of a NumPy function; None for those that do not tell."""
    try:
        return _signature(function)
    except (TypeError, ValueError):
        return None


def _checked(op: Callable[..., Any], args: list[object], kwargs: dict[str, object],
             ) -> tuple[list[object], dict[str, object]] | None:
    try:
        _signature(op).bind(*args, **kwargs)
    except TypeError:
        return None
    return args, kwargs
