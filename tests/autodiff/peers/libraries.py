"""JAX and PyTorch where they are installed, for development alone: the tests replay what they said."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from tests.autodiff.peers.peer import Array, Peer, directions, factors

HAS = {name: find_spec(name) is not None for name in ("jax", "torch")}

jax: Any = None
jnp: Any = None
torch: Any = None
F: Any = None

if HAS["jax"]:
    jax, jnp = import_module("jax"), import_module("jax.numpy")
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")
if HAS["torch"]:
    torch, F = import_module("torch"), import_module("torch.nn.functional")
    torch.set_num_threads(1)


def versions() -> dict[str, str]:
    """The versions of what answers here."""
    return {name: import_module(name).__version__ for name, is_here in HAS.items() if is_here}


def said(peer: Peer, ask: str) -> list[Array]:
    """What the peer's library says, in float64."""
    return _by_jax(peer, ask) if peer.library == "jax" else _by_torch(peer, ask)


def resolved(source: str) -> Any:
    """The function of a dotted name, which may begin with several modules."""
    parts = source.split(".")
    for count in range(len(parts) - 1, 0, -1):
        try:
            found = import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            found = getattr(found, part)
        return found
    raise LookupError(source)


def _function(peer: Peer) -> Callable[..., tuple[Any, ...]]:
    theirs = peer.theirs or resolved(peer.source)

    def function(*xs: Any) -> tuple[Any, ...]:
        y = theirs(*xs)
        return tuple(y) if isinstance(y, tuple | list) else (y,)

    return function


def _by_jax(peer: Peer, ask: str) -> list[Array]:
    function, point = _function(peer), [jnp.asarray(x) for x in peer.point]
    dys = tuple(jnp.asarray(dy) for dy in factors(function(*point)))
    vectors = tuple(jnp.asarray(v) for v in directions(peer))

    def scalar(*xs: Any) -> Any:
        return sum(jnp.sum(y * dy) for y, dy in zip(function(*xs), dys, strict=True))

    if ask in ("vjp", "tape"):
        ys, pull = jax.vjp(function, *point)
        found = [*ys, *pull(dys if ask == "vjp" else (jnp.ones_like(ys[0]),))]
    elif ask == "jvp":
        ys, changes = jax.jvp(function, tuple(point), vectors)
        found = [*ys, *changes]
    elif ask == "hvp":
        found = list(jax.jvp(jax.grad(scalar, tuple(range(len(point)))), tuple(point), vectors)[1])
    elif ask == "jacobian":
        found = [jax.jacobian(lambda *xs: function(*xs)[0])(*point)]
    else:
        found = [jax.hessian(scalar)(*point)]
    return [np.asarray(x) for x in found]


def _by_torch(peer: Peer, ask: str) -> list[Array]:
    function, point = _function(peer), [torch.tensor(x, requires_grad=True) for x in peer.point]
    ys = function(*point)
    dys = [torch.tensor(dy) for dy in factors([y.detach() for y in ys])]
    vectors = tuple(torch.tensor(v) for v in directions(peer))
    first, *others = point

    def scalar(*xs: Any) -> Any:
        return sum((y * dy).sum() for y, dy in zip(function(*xs), dys, strict=True))

    if ask in ("vjp", "tape"):
        seeds = dys if ask == "vjp" else None
        found = [*ys, *torch.autograd.grad(ys, point, seeds, allow_unused=True, materialize_grads=True)]
    elif ask == "jvp":
        found = [*ys, *_listed(torch.autograd.functional.jvp(function, tuple(point), vectors)[1])]
    elif ask == "hvp":
        found = _listed(torch.autograd.functional.hvp(scalar, tuple(point), vectors)[1])
    elif ask == "jacobian":
        found = [torch.autograd.functional.jacobian(lambda x: function(x, *others)[0], first)]
    else:
        found = [torch.autograd.functional.hessian(lambda x: scalar(x, *others), first)]
    return [x.detach().numpy() for x in found]


def _listed(x: Any) -> list[Any]:
    return list(x) if isinstance(x, tuple) else [x]
