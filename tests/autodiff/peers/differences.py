"""Where a peer chooses otherwise at a kink, a tie or a singular point: what we say there, and why."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import symgraph as sg
from tests.autodiff.peers.libraries import jnp, torch
from tests.autodiff.peers.peer import Peer, factors, row

inf = np.inf


@dataclass(frozen=True)
class Difference:
    """A row whose gradients are not the peer's: ours are `dy` times these slopes."""

    peer: Peer
    slopes: tuple[list[float], ...]
    reason: str


def differs(name: str, ours: Callable[..., Any], source: str, *point: list[float], slopes: Any, reason: str,
            theirs: Callable[..., Any] | None = None) -> Difference:
    """A `Difference`; one list of slopes is for the one argument."""
    slopes = slopes if isinstance(slopes, tuple) else (slopes,)
    return Difference(row(name, ours, source, *point, theirs=theirs, asks=("vjp",)), slopes, reason)


SIGN = "the sign of 0 is 0, as in PyTorch and NumPy; JAX takes the right-hand slope"
CLIP = "it is ONNX's Clip, which passes at its bounds as torch.clamp does"
HALVES = "bounds and ties of max and min share equally, as in JAX; PyTorch passes all at a bound"
ORIGIN = "no NaN at the origin, where the slope is 0 as in PyTorch's norm"
INFINITE = "no NaN: what is infinitely far has no weight, equal infinities share"
ABSENT = "no NaN: a factor or an exponent of 0 cuts the slope off"

DIFFERENCES = [
    differs("absolute at 0, jax", sg.absolute, "jax.numpy.abs", [0.0], slopes=[0.0], reason=SIGN),
    differs("leaky_relu at 0, jax", lambda x: sg.leaky_relu(x, 0.2), "jax.nn.leaky_relu", [0.0], slopes=[0.2],
            reason="at 0 the slope below, as relu has 0 there and PyTorch says too; JAX takes the one above"),
    differs("relu6 at its bounds", sg.relu6, "jax.nn.relu6", [0.0, 6.0], slopes=[1.0, 1.0], reason=CLIP),
    differs("hard_sigmoid at its bounds", sg.hard_sigmoid, "torch.nn.functional.hardsigmoid", [-3.0, 3.0],
            slopes=[1 / 6, 1 / 6], reason=CLIP),
    differs("hard_silu at its bounds", sg.hard_silu, "jax.nn.hard_silu", [-3.0, 3.0], slopes=[-0.5, 1.5], reason=CLIP),
    differs("hard_tanh at its bounds, torch", sg.hard_tanh, "torch.nn.functional.hardtanh", [-1.0, 1.0],
            slopes=[1.0, 1.0], reason="as in JAX; " + CLIP),
    differs("clip at its bounds, torch", lambda x: sg.clip(x, 0.0, 1.0), "torch.clamp", [0.0, 1.0], slopes=[0.5, 0.5],
            theirs=lambda x: torch.clamp(x, 0.0, 1.0), reason=HALVES),
    differs("Clip at its bounds, jax", lambda x: sg.ops.onnx("Clip", x, np.float64(0), np.float64(1)), "jax.numpy.clip",
            [0.0, 1.0], slopes=[1.0, 1.0], theirs=lambda x: jnp.clip(x, 0.0, 1.0), reason=CLIP),
    differs("sparse_sigmoid at its bounds", sg.sparse_sigmoid, "jax.nn.sparse_sigmoid", [-1.0, 1.0], slopes=[0.5, 0.5],
            reason=CLIP),
    differs("fmax of a tie", sg.fmax, "jax.numpy.fmax", [1.0], [1.0], slopes=([0.5], [0.5]),
            reason="ties share equally as in maximum; JAX gives all to the second, PyTorch to the first"),
    differs("max of ties, torch", lambda x: sg.max(x, 0), "torch.max", [1.0, 1.0], theirs=lambda x: torch.max(x, 0)[0],
            slopes=[0.5, 0.5],
            reason="ties share equally as in jax.numpy.max and torch.amax; torch.max along a dimension picks one"),
    differs("maximum beside NaN", sg.maximum, "torch.maximum", [np.nan, 1.0], [1.0, np.nan],
            slopes=([0.0, 0.0], [0.0, 0.0]), reason="a NaN is no extremum of either, as in JAX"),
    differs("arctan2 at the origin", sg.arctan2, "jax.numpy.arctan2", [0.0], [0.0], slopes=([0.0], [0.0]),
            reason=ORIGIN),
    differs("hypot at the origin", sg.hypot, "torch.hypot", [0.0], [0.0], slopes=([0.0], [0.0]), reason=ORIGIN),
    differs("norm at the origin", sg.norm, "jax.numpy.linalg.norm", [0.0, 0.0], slopes=[0.0, 0.0], reason=ORIGIN),
    differs("std of equal numbers", sg.std, "jax.numpy.std", [1.0, 1.0], slopes=[0.0, 0.0], reason=ORIGIN + " and std"),
    differs("logaddexp of equal infinities", sg.logaddexp, "jax.numpy.logaddexp", [-inf, inf], [-inf, inf],
            slopes=([0.5, 0.5], [0.5, 0.5]), reason=INFINITE),
    differs("logsumexp of minus infinities", sg.logsumexp, "torch.logsumexp", [-inf, -inf], slopes=[0.0, 0.0],
            theirs=lambda x: torch.logsumexp(x, 0), reason=INFINITE),
    differs("power 0 of 0", sg.power, "jax.numpy.power", [0.0], [0.0], slopes=([0.0], [0.0]), reason=ABSENT),
    differs("xlogy of two zeros", sg.xlogy, "jax.scipy.special.xlogy", [0.0], [0.0], slopes=([0.0], [0.0]),
            reason=ABSENT),
    differs("nanmean of NaN alone", sg.nanmean, "torch.nanmean", [np.nan, np.nan], slopes=[0.0, 0.0],
            reason="as in JAX: what is left out has no slope"),
    differs("det of a singular matrix", lambda x: sg.ops.det(x.reshape((2, 2))), "torch.linalg.det",
            [1.0, 2.0, 2.0, 4.0], slopes=[4.0, -2.0, -2.0, 1.0], theirs=lambda x: torch.linalg.det(x.reshape(2, 2)),
            reason="the determinant is smooth everywhere: its slopes are the cofactors, as JAX says; PyTorch says 0"),
]


def wanted(difference: Difference) -> list[Any]:
    """Our gradients there."""
    (dy,) = factors([np.array(difference.peer.ours(*map(sg.tensor, difference.peer.point)))])
    return [np.multiply(dy, slope) for slope in difference.slopes]
