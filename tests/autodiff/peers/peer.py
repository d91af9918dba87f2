"""What is compared with JAX and PyTorch: a function of ours beside the same function as the library's own call.

A comparison is one answer (`ASKS`) to one row. The peers always answer in float64.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import symgraph as sg
from symgraph.core.structure import flatten
from symgraph.runtime import KernelFallbackWarning
from tests.autodiff.cases import normal

Array = np.ndarray[Any, Any]

USUAL = ("vjp", "jvp", "hvp")
EVERY = (*USUAL, "jacobian", "hessian")


@dataclass(frozen=True)
class Peer:
    """A function, the call of the library that it is compared with (`source` names it), and a point.

    `theirs` is the source itself unless given. `dtype` is what ours is computed in, where not float64.
    Jacobians and Hessians are those with respect to the first argument. "tape" is a `GradientTape` over variables.
    """

    name: str
    ours: Callable[..., Any]
    source: str
    point: tuple[Array, ...]
    theirs: Callable[..., Any] | None = None
    asks: tuple[str, ...] = USUAL
    dtype: str = "float64"
    rtol: float = 1e-7

    @property
    def library(self) -> str:
        """jax or torch."""
        return self.source.partition(".")[0]


def row(name: str, ours: Callable[..., Any], source: str, *point: Any, theirs: Callable[..., Any] | None = None,
        asks: tuple[str, ...] = USUAL, dtype: str = "float64", rtol: float | None = None) -> Peer:
    """A `Peer` at a point of arrays or lists."""
    rtol = rtol or (1e-7 if dtype == "float64" else 1e-4)
    return Peer(name, ours, source, tuple(np.float64(x) for x in point), theirs, asks, dtype, rtol)


def factors(ys: Sequence[Any]) -> list[Array]:
    """The fixed random dy of every output; they make a scalar `Σ dy·f(x)` of any function too."""
    return [normal(*np.shape(y), seed=100 + i) for i, y in enumerate(ys)]


def directions(peer: Peer) -> list[Array]:
    """The fixed random directions of jvp and hvp."""
    return [normal(*x.shape, seed=200 + i) for i, x in enumerate(peer.point)]


def answer(peer: Peer, ask: str) -> list[Array]:
    """What symgraph says: for "vjp" and "jvp" the outputs, then the derivatives."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KernelFallbackWarning)
        return [np.asarray(y) for y in ANSWERS[ask](peer)]


def _point(peer: Peer) -> list[Any]:
    return [sg.tensor(x.astype(peer.dtype)) for x in peer.point]


def _function(peer: Peer) -> Callable[..., list[Any]]:
    return lambda *xs: flatten(peer.ours(*xs))


def _scalar(peer: Peer) -> Callable[..., Any]:
    dys = factors(_function(peer)(*_point(peer)))

    def scalar(*xs: Any) -> Any:
        ys = _function(peer)(*xs)
        return sum(sg.sum(y * dy.astype(peer.dtype)) for y, dy in zip(ys, dys, strict=True))

    return scalar


def _vjp(peer: Peer) -> list[Any]:
    ys, pull = sg.vjp(_function(peer), *_point(peer))
    return [*ys, *pull([sg.tensor(dy.astype(peer.dtype)) for dy in factors(ys)])]


def _jvp(peer: Peer) -> list[Any]:
    ys, changes = sg.jvp(_function(peer), _point(peer), [v.astype(peer.dtype) for v in directions(peer)])
    return [*ys, *changes]


def _hvp(peer: Peer) -> list[Any]:
    return list(sg.hvp(_scalar(peer), _point(peer), [sg.tensor(v.astype(peer.dtype)) for v in directions(peer)]))


def _jacobian(peer: Peer) -> list[Any]:
    return [sg.jacobian(lambda *xs: _function(peer)(*xs)[0])(*_point(peer))]


def _hessian(peer: Peer) -> list[Any]:
    return [sg.hessian(_scalar(peer))(*_point(peer))]


def _tape(peer: Peer) -> list[Any]:
    variables = [sg.Variable(x) for x in _point(peer)]
    with sg.GradientTape() as tape:
        loss = peer.ours(*variables)
    return [loss, *tape.gradient(loss, variables)]


ASKS = ("vjp", "jvp", "hvp", "jacobian", "hessian", "tape")
ANSWERS = dict(zip(ASKS, (_vjp, _jvp, _hvp, _jacobian, _hessian, _tape), strict=True))
