"""Gradients of functions: of tensors, of variables; Jacobians, Hessians and their products with vectors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from symgraph.autodiff.symbolic import gradients, require_real, seed_symbol, variables_before
from symgraph.autodiff.tape import GradientTape
from symgraph.core.errors import GradientError
from symgraph.core.structure import flatten, in_order_of, map_structure, pack
from symgraph.core.tensor import Operand, SymbolicTensor
from symgraph.core.variable import Variable
from symgraph.ops.applying import apply
from symgraph.ops.arithmetic import multiply
from symgraph.ops.creation import eye, zeros_like
from symgraph.ops.loops import map as map_rows
from symgraph.ops.promotion import as_operand
from symgraph.ops.reductions import sum as sum_all
from symgraph.ops.shape import reshape, shape, size


def grad(f: Callable[..., Any]) -> Callable[..., Any]:
    """`x -> ∂f/∂x`: a function that gives the gradient of `f(x)`, nested as `x`, at values and at symbols.

    Where `f(x)` is no scalar it is the gradient of the sum, or of `Σ dy·f(x)` with `dy=`. More arguments are handed on
    to `f`.

    Errors: `GradientError` for integers, and where an op has no gradient rule.

    >>> import symgraph as sg
    >>> float(sg.grad(lambda x: x**3)(2.0))
    12.0
    """
    return lambda x, *rest, dy=None: value_and_grad(f)(x, *rest, dy=dy)[1]


def value_and_grad(f: Callable[..., Any]) -> Callable[..., Any]:
    """`x -> (f(x), ∂f/∂x)`; the rest as `grad`."""

    @functools.wraps(f)
    def differentiated(x: Any, *rest: Any, dy: Any = None) -> Any:
        value, found = _differentiate(lambda given: f(given, *rest), [x], dy)
        return value, found[0]

    return differentiated


def grads(f: Callable[..., Any]) -> Callable[..., Any]:
    """`(*xs) -> [∂f/∂x …]`: a function that gives the gradients of `f(*xs)` for all arguments; the rest as `grad`.

    >>> import symgraph as sg
    >>> [float(dx) for dx in sg.grads(lambda x, y: x * y)(3.0, 4.0)]
    [4.0, 3.0]
    """
    return lambda *xs, dy=None: value_and_grads(f)(*xs, dy=dy)[1]


def value_and_grads(f: Callable[..., Any]) -> Callable[..., Any]:
    """`(*xs) -> (f(*xs), [∂f/∂x …])`; the rest as `grad`."""

    @functools.wraps(f)
    def differentiated(*xs: Any, dy: Any = None) -> Any:
        given = list(xs[0]) if len(xs) == 1 and isinstance(xs[0], list | tuple) else list(xs)
        return _differentiate(f, given, dy)

    return differentiated


def _differentiate(f: Callable[..., Any], xs: list[Any], dy: Any = None) -> tuple[Any, list[Any]]:
    """The value of `f(*xs)` and the gradients, zeros where it does not depend on an argument."""
    value, pull, arguments = _pulled(f, xs)
    return value, pack(arguments, pull(dy))


def _pulled(f: Callable[..., Any], xs: Sequence[Any]) -> tuple[Any, Callable[[Any], list[Any]], list[Any]]:
    """The value of `f(*xs)`, the function from its gradient to those of the leaves of `xs`, and `xs` as operands."""
    arguments = map_structure(_own, list(xs))
    leaves = flatten(arguments)
    require_real(leaves, "a gradient with respect to")
    if _is_traced(leaves):
        value = f(*arguments)
        return value, lambda dy: gradients(flatten(value), leaves, _listed(dy, value), "zero"), arguments
    with GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(leaves)
        value = f(*arguments)
    return value, lambda dy: tape.gradient(value, leaves, dy, "zero"), arguments


def _own(x: Any) -> Operand:
    """An argument as an operand of its own: what else is the same tensor, another argument or around, is not it."""
    given = as_operand(x)
    own: Any = apply("Identity", given)
    own.mask = given.mask
    return own  # type: ignore[no-any-return]


def _listed(dy: Any, value: Any) -> Any:
    return None if dy is None else flatten(in_order_of(dy, value))


def _is_traced(leaves: Sequence[Operand]) -> bool:
    return any(isinstance(x, SymbolicTensor) for x in leaves)


def variable_grads(f: Callable[[], Any], variables: Sequence[Variable] | None = None) -> tuple[Any, dict[str, Any]]:
    """The value of `f()`, and its gradients with respect to `variables`, by their names.

    Without `variables` to all trainable ones that `f` reads. Those it does not depend on are left out.

    Errors: `GradientError` where two variables have one name, where no variable is trainable or read, and as `grad`.

    >>> import symgraph as sg
    >>> w = sg.Variable(3.0, name="w")
    >>> value, grads = sg.variable_grads(lambda: w * w)
    >>> float(value), float(grads["w"])
    (9.0, 6.0)
    """
    with GradientTape() as tape:
        tape.watch(list(variables or ()))
        value = f()
    found = list(variables) if variables is not None else list(_variables_of(value, tape))
    if not found:
        raise GradientError("variable_grads: the function reads no trainable variable; give it variables, or use "
                            "sg.grad for gradients with respect to tensors")
    names = [v.name for v in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise GradientError(f"variable_grads: two variables are called {twice!r}, so gradients by name would hide one; "
                            "use sg.GradientTape")
    gradients_found = tape.gradient(value, found)
    return value, {name: dx for name, dx in zip(names, gradients_found, strict=True) if dx is not None}


def _variables_of(value: Any, tape: GradientTape) -> Sequence[Variable]:
    if not any(isinstance(y, SymbolicTensor) for y in flatten(value)):
        return tape.watched_variables()
    return [v for v in variables_before(flatten(value)) if v.trainable]


def vjp(f: Callable[..., Any], *xs: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """`f(*xs)`, and the function `dy -> (dyᵀ·∂f/∂x …)`, one gradient an argument.

    >>> import symgraph as sg
    >>> y, pull = sg.vjp(lambda x: x * x, sg.tensor([1.0, 2.0]))
    >>> pull(sg.tensor([1.0, 10.0]))[0].tolist()
    [2.0, 40.0]
    """
    value, pull, arguments = _pulled(f, xs)
    return value, lambda dy: tuple(pack(arguments, pull(dy)))


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """`f(*primals)`, and the change of it along the tangents: `Σ ∂f/∂x·v`, nested as the value.

    It is the gradient of a gradient: `u -> uᵀ·∂f/∂x` is linear in u, and `∂f/∂x·v` its gradient along v.

    Errors: `GradientError` for tangents that do not look like the primals, and as `grad`.

    >>> import symgraph as sg
    >>> y, dy = sg.jvp(lambda x: x**3, (2.0,), (1.0,))
    >>> float(y), float(dy)
    (8.0, 12.0)
    """
    points, vectors = _alike("jvp", primals, tangents)
    if _is_traced(flatten(points)):
        value = f(*points)
        ys = [as_operand(y) for y in flatten(value)]
        symbols = [seed_symbol(zeros_like(y)) for y in ys]
        pulled = gradients(ys, flatten(points), symbols, "zero")
        changes = gradients(pulled, symbols, flatten(vectors), "zero")
        return value, pack(value, changes)
    with GradientTape(watch_accessed_variables=False) as outer:
        with GradientTape(watch_accessed_variables=False) as inner:
            inner.watch(flatten(points))
            value = f(*points)
        seeds = [zeros_like(y) for y in flatten(value)]
        outer.watch(seeds)
        pulled = inner.gradient(flatten(value), flatten(points), seeds, "zero")
    return value, pack(value, outer.gradient(pulled, seeds, flatten(vectors), "zero"))


def hvp(f: Callable[..., Any], primals: Any, tangents: Any) -> Any:
    """The Hessian of the scalar `f` times a vector, `∂²f/∂x²·v`, nested as `primals`, without making the Hessian.

    `primals` is a tensor, or a list or tuple of the arguments of `f`.

    Errors: `GradientError` where `f` is no scalar or a tangent does not look like its primal.

    >>> import symgraph as sg
    >>> sg.hvp(lambda x: sg.sum(x**3), sg.tensor([1.0, 2.0]), sg.tensor([1.0, 1.0])).tolist()
    [6.0, 12.0]
    """
    is_bare = not isinstance(primals, list | tuple)
    points, vectors = _alike("hvp", [primals] if is_bare else primals, [tangents] if is_bare else tangents)

    def slope(*xs: Any) -> Any:
        found = _scalar_gradients(f, xs, "hvp")
        return functools.reduce(lambda a, b: a + b, [
            sum_all(multiply(dx, v)) for dx, v in zip(flatten(found), flatten(vectors), strict=True)])

    products = value_and_grads(slope)(*points)[1]
    return products[0] if is_bare else pack(primals, flatten(products))


def _scalar_gradients(f: Callable[..., Any], xs: Sequence[Any], who: str) -> list[Any]:
    def scalar(*arguments: Any) -> Any:
        y = as_operand(f(*arguments))
        if y.shape != ():
            raise GradientError(f"{who} needs a function with a scalar result, got {y.type}; sum or average it")
        return y

    return _differentiate(scalar, list(xs))[1]


def jacobian(f: Callable[..., Any]) -> Callable[..., Any]:
    """`x -> J`, `J[i…, j…] = ∂f(x)[i…] / ∂x[j…]`, at values and at symbols.

    Errors: as `grad`.

    >>> import symgraph as sg
    >>> sg.jacobian(lambda x: x * x)(sg.tensor([1.0, 2.0])).tolist()
    [[2.0, 0.0], [0.0, 4.0]]
    """

    @functools.wraps(f)
    def differentiated(x: Any, *rest: Any) -> Any:
        point = _own(x)
        require_real([point], "a Jacobian with respect to")
        if _is_traced([point]):
            return _symbolic_jacobian(as_operand(f(point, *rest)), point)
        with GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(point)
            y = as_operand(f(point, *rest))
        return tape.jacobian(y, point, "zero")

    return differentiated


def _symbolic_jacobian(y: Operand, x: Operand) -> Operand:
    count = size(y)

    def row(unit: Operand) -> Operand:
        (dx,) = gradients([y], [x], [reshape(unit, shape(y))], "zero")
        return as_operand(dx)

    return reshape(map_rows(row, eye(count, dtype=y.dtype)), (*shape(y), *shape(x)))


def hessian(f: Callable[..., Any]) -> Callable[..., Any]:
    """`x -> H`, `H[i…, j…] = ∂²f(x) / ∂x[i…]∂x[j…]` of a scalar function.

    Errors: `GradientError` where `f` is no scalar, and as `grad`.

    >>> import symgraph as sg
    >>> sg.hessian(lambda x: sg.sum(x**3))(sg.tensor([1.0, 2.0])).tolist()
    [[6.0, 0.0], [0.0, 12.0]]
    """

    @functools.wraps(f)
    def differentiated(x: Any, *rest: Any) -> Any:
        return jacobian(lambda point: _scalar_gradients(lambda p: f(p, *rest), [point], "hessian")[0])(x)

    return differentiated


def _alike(who: str, primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
    """Points and vectors as operands of equal types."""
    for given_as, what in ((primals, "primals"), (tangents, "tangents")):
        if not isinstance(given_as, list | tuple):
            raise GradientError(f"{who}: {what} are a list or tuple with one tensor an argument, got {given_as!r}")
    points = map_structure(_own, list(primals))
    leaves, given = flatten(points), flatten(in_order_of(list(tangents), points))
    if len(leaves) != len(given):
        raise GradientError(f"{who}: {len(leaves)} primals need as many tangents, got {len(given)}")
    vectors = [as_operand(v, x.dtype) if isinstance(v, bool | int | float | list) else as_operand(v)
               for x, v in zip(leaves, given, strict=True)]
    for x, v in zip(leaves, vectors, strict=True):
        if x.dtype != v.dtype or len(x.shape) != len(v.shape) or any(
                m != n for m, n in zip(x.shape, v.shape, strict=True) if isinstance(m, int) and isinstance(n, int)):
            raise GradientError(f"{who}: a tangent must look like its primal, {x.type}; got {v.type}")
    return points, pack(points, vectors)
