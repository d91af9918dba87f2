"""Functions with a gradient of their own, and functions without one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

from symgraph.core.apply import placeholder
from symgraph.core.composite import DOMAIN, apply_body, apply_composite
from symgraph.core.errors import GradientError
from symgraph.core.gradient import not_differentiable
from symgraph.core.graph import Graph
from symgraph.core.op import intern_op
from symgraph.core.recording import recorders, watched_by
from symgraph.core.structure import flatten, pack
from symgraph.core.tensor import Operand
from symgraph.core.types import TensorType
from symgraph.core.value import Tensor
from symgraph.core.variable import Variable, read_variables
from symgraph.ops.applying import apply
from symgraph.ops.promotion import as_operand
from symgraph.ops.subgraph import captured_symbols, close, trace_function

not_differentiable("its purpose is to pass none on", "StopGradient", domain=DOMAIN)


def stop_gradient(x: object) -> Any:
    """`x`, as a constant to every gradient; of lists and dicts every leaf.

    >>> import symgraph as sg
    >>> float(sg.grad(lambda x: x * sg.stop_gradient(x))(3.0))
    3.0
    """
    return pack(x, [apply_composite("StopGradient", _same, as_operand(leaf)) for leaf in flatten(x)])


def _same(x: Operand) -> Operand:
    return apply("Identity", x)


def custom_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function a gradient of its own: `function(*xs)` returns `y, gradient`, and `gradient(dy)` the dx.

    With several results (a list or tuple) `gradient` takes as many arguments; for several `xs` it returns as many
    gradients, None for those without. Variables and tensors that the function uses without taking them as
    arguments get no gradient.

    Errors: `GradientError` where it returns something else, or gradients of the wrong number, shape or dtype.

    >>> import symgraph as sg
    >>> @sg.custom_gradient
    ... def clipped_identity(x):
    ...     return x, lambda dy: sg.clip(dy, -1.0, 1.0)
    >>> float(sg.grad(lambda x: 5.0 * clipped_identity(x))(2.0))
    1.0
    """

    @functools.wraps(function)
    def apply_function(*args: Any) -> Any:
        xs = tuple(map(as_operand, args))
        operands, is_recorded = read_variables(xs)
        return _traced(function, operands) if is_recorded else _run(function, operands)  # type: ignore[arg-type]

    return apply_function


def _run(function: Callable[..., Any], operands: Sequence[Operand]) -> Any:
    xs = [x.value if isinstance(x, Variable) else x for x in operands]
    with watched_by(()):
        result, gradient = _called(function, xs)
    ys = tuple(_fresh(y) for y in flatten(result))
    for recorder in recorders():
        recorder.record(_op(function), tuple(xs), MappingProxyType({}), ys,
                        gradient=_checked(function, gradient, tuple(xs)))
    return pack(result, ys)


def _fresh(y: object) -> Tensor:
    x = as_operand(y)
    return Tensor(x.numpy()) if isinstance(x, Tensor | Variable) else _refuse(x)


def _refuse(x: object) -> Any:
    raise GradientError(f"a custom gradient's function got values and returned {x!r}")


def _traced(function: Callable[..., Any], operands: Sequence[Operand]) -> Any:
    symbols = [placeholder(x.type, f"x{i}") for i, x in enumerate(operands)]
    found: list[Callable[..., Any]] = []

    def results() -> Any:
        result, gradient = _called(function, symbols)
        found.append(gradient)
        return result

    traced = trace_function(results, symbols, (), "custom_gradient")
    captured = dict.fromkeys(captured_symbols(traced))
    for generator, (key, _) in traced.draws.items():
        if key in captured:
            raise GradientError(f"custom_gradient: {_name(function)} draws random numbers; take seed as an argument, "
                                f"with None for its gradient, and give it {generator.name}.next()")
    if captured:
        raise GradientError(f"custom_gradient: {_name(function)} uses {next(iter(captured))!r} without taking it as an "
                            "argument; make it one, with None for its gradient")
    body = close(traced, (), _op(function).name)
    body = Graph(body.inputs, body.outputs, name=body.name, gradient=_checked(function, found[0], tuple(symbols)))
    return pack(traced.result, apply_body(_op(function), body, tuple(operands)))


def _op(function: Callable[..., Any]) -> Any:
    return intern_op(str(getattr(function, "__name__", "function")).strip("<>") or "function", f"{DOMAIN}.custom", 1,
                     None)


def _called(function: Callable[..., Any], xs: Sequence[Operand]) -> tuple[Any, Callable[..., Any]]:
    result = function(*xs)
    if not isinstance(result, tuple) or len(result) != 2 or not callable(result[1]):
        raise GradientError(f"custom_gradient: {_name(function)} must return a pair (y, gradient), the second a "
                            f"function; got {result!r}")
    return result


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", function))


def _checked(function: Callable[..., Any], gradient: Callable[..., Any], xs: tuple[Operand, ...],
             ) -> Callable[..., tuple[Operand | None, ...]]:
    """The gradient function, with what it returns made operands that look like `xs`."""

    def checked(*dys: Operand) -> tuple[Operand | None, ...]:
        found = gradient(*dys)
        results = tuple(found) if isinstance(found, list | tuple) else (found,)
        if len(results) != len(xs):
            raise GradientError(f"custom_gradient: {_name(function)} takes {len(xs)} arguments, and its gradient "
                                f"returned {len(results)}")
        return tuple(None if dx is None else _as_gradient(function, i, as_operand(dx), x)
                     for i, (dx, x) in enumerate(zip(results, xs, strict=True)))

    return checked


def _as_gradient(function: Callable[..., Any], index: int, dx: Operand, x: Operand) -> Operand:
    a, b = dx.type, x.type
    if isinstance(a, TensorType) and isinstance(b, TensorType) and a.shape is not None and b.shape is not None and (
            a.dtype != b.dtype or len(a.shape) != len(b.shape) or any(
                m != n for m, n in zip(a.shape, b.shape, strict=True) if isinstance(m, int) and isinstance(n, int))):
        raise GradientError(f"custom_gradient: the gradient of {_name(function)} returned {a} for argument {index}, "
                            f"which is {b}")
    return dx
