"""Checks of gradient rules, driven by tables of functions and points.

The judge is the central difference `(f(x + h) - f(x - h)) / 2h` in float64, on ONNX Runtime's kernels, or those of
`onnx.reference` where it has none.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import symgraph as sg
from symgraph.core.structure import flatten
from symgraph.runtime import KernelFallbackWarning

EPS, ATOL, RTOL = 1e-6, 1e-5, 1e-3
MOST = 24
"""So many elements of an input are moved one by one; of larger inputs as many random directions are taken."""

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Case:
    """A function of tensors, and a point in float64 where its gradients are checked, up to derivatives of `order`.

    `dtype` is "float32" for operators without float64: differences say less there.
    `dynamic=False` where the function needs to know sizes; `float32=False` where float32 says nothing (steep points).
    """

    name: str
    function: Callable[..., Any]
    point: tuple[Array, ...]
    order: int = 2
    dynamic: bool = True
    float32: bool = True
    dtype: str = "float64"

    def __str__(self) -> str:
        return self.name


def normal(*shape: int, seed: int = 0) -> Array:
    """Standard normal numbers; `seed` tells one array from another."""
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def positive(*shape: int, seed: int = 0) -> Array:
    """Numbers between 0.5 and 2."""
    return np.random.default_rng([seed, *shape]).uniform(0.5, 2, shape)


def apart(*shape: int, seed: int = 0) -> Array:
    """Numbers with no two nearer than 0.1 and none near 0, in random order: for kinks and ties."""
    size = int(np.prod(shape))
    values = (np.arange(size) - size // 2 + 0.5) * 0.25
    return np.random.default_rng([seed, *shape]).permutation(values).reshape(shape)


def check(case: Case) -> None:
    """Every check of a case."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KernelFallbackWarning)
        point = tuple(x.astype(case.dtype) for x in case.point)
        coarse = {} if case.dtype == "float64" else {"rtol": 2e-2, "atol": 5e-3}
        scalar = weighted(case.function, point)
        found = slopes(scalar, point)
        compare(f"{case}: gradient", found, differences(scalar, point), **coarse)
        deeper = scalar
        for order in range(2, case.order + 1):
            deeper = weighted(_slopes_of(deeper), point)
            compare(f"{case}: order {order}", slopes(deeper, point), differences(deeper, point), **coarse)
        if case.float32:
            for dynamic in (False, True)[:1 + case.dynamic]:
                kind = "dynamic" if dynamic else "static"
                compare(f"{case}: compiled in float32, {kind}", compiled(scalar, case.point, dynamic=dynamic), found,
                        rtol=2e-3, atol=2e-4)


def weighted(function: Callable[..., Any], point: tuple[Array, ...]) -> Callable[..., Any]:
    """The scalar `Σ r·f(x)` with fixed random r, so that every output has a gradient of its own."""
    sizes = [np.shape(np.array(y)) for y in flatten(function(*map(sg.tensor, point)))]
    factors = [normal(*size, seed=100 + i) for i, size in enumerate(sizes)]

    def scalar(*xs: Any) -> Any:
        terms = [sg.sum(y * sg.cast(r, y.dtype)) for y, r in zip(flatten(function(*xs)), factors, strict=True)]
        return sum(terms[1:], terms[0])

    return scalar


def _slopes_of(scalar: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *xs: sg.grads(scalar)(*xs)


def slopes(scalar: Callable[..., Any], point: tuple[Array, ...]) -> list[Array]:
    """The gradients by a tape, in float64."""
    return [np.array(dx) for dx in sg.grads(scalar)(*map(sg.tensor, point))]


def differences(scalar: Callable[..., Any], point: tuple[Array, ...]) -> list[Array]:
    """What central differences say: along every element, or along random directions, contracted with the gradient."""
    found = []
    for i, x in enumerate(point):
        eps = EPS if x.dtype == np.float64 else 1e-2
        slope = [(step, (_at(scalar, point, i, eps * step) - _at(scalar, point, i, -eps * step)) / (2 * eps))
                 for step in _steps(x)]
        found.append(slope)
    return found


def _steps(x: Array) -> list[Array]:
    if x.size <= MOST:
        return [unit.reshape(x.shape) for unit in np.eye(x.size)]
    rng = np.random.default_rng(1)
    return [rng.normal(size=x.shape) for _ in range(MOST)]


def _at(scalar: Callable[..., Any], point: tuple[Array, ...], i: int, step: Array) -> float:
    moved = [(x + step).astype(x.dtype) if i == j else x for j, x in enumerate(point)]
    return float(scalar(*map(sg.tensor, moved)))


def compiled(scalar: Callable[..., Any], point: tuple[Array, ...], *, dynamic: bool) -> list[Array]:
    """The symbolic gradients, compiled in float32 for these sizes, or for any."""
    symbols = [sg.symbol([None] * x.ndim if dynamic else x.shape, "float32", f"x{i}") for i, x in enumerate(point)]
    gradients = sg.gradients(scalar(*symbols), symbols, unconnected_gradients="zero")
    session = sg.runtime.Session(sg.Graph(symbols, gradients), optimize=False)
    return session.run({f"x{i}": x.astype(np.float32) for i, x in enumerate(point)})


def compare(what: str, found: list[Array], wanted: list[Any], rtol: float = RTOL, atol: float = ATOL) -> None:
    """Equal within tolerance; `wanted` are arrays, or slopes along steps."""
    for i, (dx, expected) in enumerate(zip(found, wanted, strict=True)):
        if isinstance(expected, list):
            got = np.array([np.sum(dx * step) for step, _ in expected])
            expected = np.array([slope for _, slope in expected])
        else:
            got = dx
        scale = max(1.0, np.abs(expected).max(initial=0))
        np.testing.assert_allclose(got, expected, rtol, atol * scale, err_msg=f"{what} of input {i}")
