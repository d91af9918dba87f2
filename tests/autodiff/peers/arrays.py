"""Reductions, running sums, products of matrices, and what moves elements about."""

import numpy as np

import symgraph as sg
from tests.autodiff.cases import apart, normal, positive
from tests.autodiff.peers.libraries import F, jax, jnp, torch
from tests.autodiff.peers.peer import EVERY, USUAL, row

x, p, a = normal(2, 3), positive(2, 3), apart(2, 3, 2)
TIES = [[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]
ZEROS = [[0.0, 2.0, 3.0], [0.0, 0.0, 5.0]]
square = normal(3, 3) + 2 * np.eye(3)
onnx = sg.ops.onnx


def same(name, *point, asks=USUAL, title="", **options):
    """Ours and NumPy's function of the same name and the same keywords."""
    return row(f"{name}{title}", lambda *xs: getattr(sg, name)(*xs, **options), f"jax.numpy.{name}", *point, asks=asks,
               theirs=lambda *xs: getattr(jnp, name)(*xs, **options))


def listed(name, *point, title="", **options):
    """Such a function of a list of arrays."""
    return row(f"{name}{title}", lambda *xs: getattr(sg, name)(list(xs), **options), f"jax.numpy.{name}", *point,
               theirs=lambda *xs: getattr(jnp, name)(list(xs), **options))


def einsum(equation, *shapes):
    """A row about an equation."""
    return row(f"einsum {equation}", lambda *xs: sg.einsum(equation, *xs), "jax.numpy.einsum",
               *(normal(*shape, seed=i) for i, shape in enumerate(shapes)),
               theirs=lambda *xs: jnp.einsum(equation, *xs))


REDUCTIONS = [
    *(same(name, x, axis=1, title=" along an axis") for name in ("sum", "prod", "mean", "var", "std")),
    *(same(name, a, axis=(0, -1), keepdims=True, title=" along two")
      for name in ("sum", "mean", "max", "min", "var", "std")),
    *(same(name, x, title=" of all", asks=EVERY) for name in ("sum", "prod", "mean", "var", "std")),
    *(same(name, TIES, axis=1, title=" of ties") for name in ("max", "min")),
    *(same(name, a, axis=1) for name in ("ptp", "median", "nanmax", "nanmin")),
    *(same(name, [[1.0, np.nan, 3.0], [2.0, 5.0, np.nan]], axis=1, title=" beside NaN")
      for name in ("nansum", "nanmean", "nanvar", "nanmax", "nanprod")),
    same("average", x, axis=0),
    row("average by weights", lambda x, w: sg.average(x, 1, w), "jax.numpy.average", x, p[0],
        theirs=lambda x, w: jnp.average(x, 1, w)),
    row("quantile", lambda x: sg.quantile(x, 0.3, axis=1), "jax.numpy.quantile", a,
        theirs=lambda x: jnp.quantile(x, 0.3, axis=1)),
    row("percentile", lambda x: sg.percentile(x, 60.0), "jax.numpy.percentile", a,
        theirs=lambda x: jnp.percentile(x, 60.0)),
    row("prod of zeros", lambda x: sg.prod(x, axis=1), "torch.prod", ZEROS, theirs=lambda x: torch.prod(x, 1)),
    row("amax of ties", lambda x: sg.max(x, axis=1), "torch.amax", TIES, theirs=lambda x: torch.amax(x, 1)),
    row("logsumexp", lambda x: sg.logsumexp(x, axis=1), "jax.scipy.special.logsumexp", x,
        theirs=lambda x: jax.scipy.special.logsumexp(x, axis=1), asks=EVERY),
    row("logsumexp far apart", sg.logsumexp, "jax.scipy.special.logsumexp", [1e4, -1e4, -np.inf]),
    row("logsumexp beside almost nothing", sg.logsumexp, "torch.logsumexp", [0.0, 1.0, -1e30],
        theirs=lambda x: torch.logsumexp(x, 0)),
    *(row(f"norm {order}", lambda x, order=order: sg.norm(x, order, axis=1), "jax.numpy.linalg.norm", apart(2, 3),
          theirs=lambda x, order=order: jnp.linalg.norm(x, order, axis=1))
          for order in (1, 2, 3, 2.5, np.inf)),
    row("norm of a matrix", sg.norm, "torch.linalg.norm", [[0.0, 0.0], [3.0, 4.0]]),
    row("norm of zeros", lambda x: sg.norm(x, axis=1), "torch.linalg.norm", [[0.0, 0.0], [3.0, 4.0]],
        theirs=lambda x: torch.linalg.norm(x, dim=1)),
    row("ReduceLogSum", lambda x: onnx("ReduceLogSum", x, np.array([1]), keepdims=0), "torch.log", p,
        theirs=lambda x: torch.log(x.sum(1))),
    row("ReduceSumSquare", lambda x: onnx("ReduceSumSquare", x, np.array([1])), "torch.sum", x,
        theirs=lambda x: torch.sum(x * x, 1, keepdim=True)),
    row("moments", lambda x: sg.ops.moments(x, [0]), "torch.var_mean", x,
        theirs=lambda x: torch.var_mean(x, 0, correction=0)[::-1]),
    row("corrcoef", sg.ops.corrcoef, "jax.numpy.corrcoef", normal(2, 4)),
    same("trapezoid", x),
    *(same(name, x, axis=1) for name in ("cumsum", "cumprod")),
    row("cumprod of zeros", lambda x: sg.cumprod(x, axis=1), "torch.cumprod", ZEROS,
        theirs=lambda x: torch.cumprod(x, 1)),
    row("cummax", lambda x: sg.ops.cummax(x, axis=1), "jax.lax.cummax", apart(2, 5),
        theirs=lambda x: jax.lax.cummax(x, 1)),
    row("cummin", lambda x: sg.ops.cummin(x, axis=1), "torch.cummin", apart(2, 5),
        theirs=lambda x: torch.cummin(x, 1)[0]),
    row("CumSum, exclusive, in reverse", lambda x: onnx("CumSum", x, np.int64(1), exclusive=1, reverse=1),
        "jax.lax.cumsum", x,
        theirs=lambda x: jax.lax.cumsum(x, 1, reverse=True) - x),
    same("diff", normal(2, 4), n=2),
]

PRODUCTS = [
    *(same("matmul", normal(*m), normal(*n), title=f" of {m} and {n}") for m, n in [
        ((2, 3), (3, 4)), ((3,), (3, 4)), ((2, 3), (3,)), ((3,), (3,)), ((2, 1, 2, 3), (4, 3, 2)), ((3,), (2, 3, 2))]),
    same("dot", normal(2, 3), normal(2, 3, 2)),
    same("vdot", x, x + 1),
    same("inner", x, normal(4, 3)),
    same("outer", normal(2), normal(3)),
    same("tensordot", normal(2, 3, 4), normal(4, 3, 2), axes=([1, 2], [1, 0])),
    same("kron", normal(2, 2), normal(2, 3)),
    same("cross", x, x[0] + 1),
    same("vecdot", x, x + 1),
    einsum("ij,jk->ik", (2, 3), (3, 2)), einsum("bij,bjk->bik", (2, 2, 3), (2, 3, 2)), einsum("ii->i", (3, 3)),
    einsum("ij->", (2, 3)), einsum("ij->ji", (2, 3)), einsum("i,j->ij", (2,), (3,)),
    einsum("...ij,jk", (2, 2, 3), (3, 2)),
    einsum("bhqd,bhkd->bhqk", (1, 2, 2, 3), (1, 2, 3, 3)), einsum("ij,jk,kl->il", (2, 3), (3, 2), (2, 2)),
    einsum("ii", (3, 3)),
    einsum("ijk,ijk->j", (2, 3, 2), (2, 3, 2)),
    row("Gemm", lambda x, y, z: onnx("Gemm", x, y, z, alpha=0.5, beta=2.0, transA=1, transB=1), "torch.addmm",
        normal(3, 2), normal(4, 3), normal(4), theirs=lambda x, y, z: torch.addmm(z, x.T, y.T, alpha=0.5, beta=2.0)),
    row("det", sg.ops.det, "jax.numpy.linalg.det", square, asks=EVERY),
    row("det of many", sg.ops.det, "torch.linalg.det", normal(2, 2, 2)),
    row("slogdet", lambda x: sg.ops.slogdet(x)[1], "jax.numpy.linalg.slogdet", square,
        theirs=lambda x: jnp.linalg.slogdet(x)[1]),
    row("logdet", sg.ops.logdet, "torch.logdet", square @ square.T),
    row("matrix_power", lambda x: sg.ops.matrix_power(x, 3), "jax.numpy.linalg.matrix_power", square,
        theirs=lambda x: jnp.linalg.matrix_power(x, 3)),
    row("cdist", sg.ops.cdist, "torch.cdist", normal(3, 2), normal(4, 2), asks=("vjp",)),
    same("trace", normal(3, 3), offset=1),
]

SHAPES = [
    same("transpose", a, axes=(2, 0, 1)), same("moveaxis", a, source=0, destination=-1),
    same("swapaxes", a, axis1=0, axis2=2),
    same("roll", a, shift=2, axis=1), same("rot90", x), same("flip", a, axis=(0, 2)),
    row("tile", lambda x: sg.tile(x, (2, 1, 2)), "jax.numpy.tile", x, theirs=lambda x: jnp.tile(x, (2, 1, 2))),
    same("repeat", x, repeats=3, axis=1), same("broadcast_to", x[0], shape=(2, 2, 3)), same("diagonal", a, offset=1),
    same("diag", normal(3), k=1), same("tril", normal(3, 3)), same("triu", normal(3, 3), k=1),
    same("expand_dims", x, axis=1),
    same("ravel", a), same("squeeze", normal(1, 3, 1)), same("vander", normal(3), N=4),
    listed("concatenate", x, normal(1, 3), axis=0), listed("stack", x, x + 1, axis=1), listed("vstack", x, x[0]),
    listed("hstack", x, x), listed("dstack", x, x),
    row("split", lambda x: sg.split(x, [1, 4], axis=1), "jax.numpy.split", normal(2, 5),
        theirs=lambda x: jnp.split(x, [1, 4], axis=1)),
    row("array_split", lambda x: sg.ops.array_split(x, 3), "jax.numpy.array_split", normal(5, 2),
        theirs=lambda x: jnp.array_split(x, 3)),
    row("meshgrid", lambda x, y: sg.ops.meshgrid(x, y), "jax.numpy.meshgrid", normal(2), normal(3)),
    *(same("pad", normal(3, 4), pad_width=((1, 2), (0, 3)), mode=mode, title=f" {mode}")
      for mode in ("constant", "reflect", "edge", "wrap", "symmetric")),
    *(row(f"Pad {mode}", lambda x, mode=mode: onnx("Pad", x, np.array([0, 0, 1, 2, 0, 0, 2, 1]), mode=mode),
          "torch.nn.functional.pad", normal(1, 2, 4, 3),
          theirs=lambda x, theirs=theirs: F.pad(x, (2, 1, 1, 2), mode=theirs))
      for mode, theirs in [("reflect", "reflect"), ("edge", "replicate"), ("wrap", "circular")]),
    row("Pad that crops", lambda x: onnx("Pad", x, np.array([-1, 1, 0, -2])), "torch.nn.functional.pad", normal(3, 4),
        theirs=lambda x: F.pad(x, (1, -2, -1, 0))),
    row("linspace", lambda x, y: sg.linspace(x, y, 5), "jax.numpy.linspace", 0.5, 2.0,
        theirs=lambda x, y: jnp.linspace(x, y, 5)),
    row("correlate", lambda x, y: sg.ops.correlate(x, y, "full"), "jax.numpy.correlate", normal(5), normal(3),
        theirs=lambda x, y: jnp.correlate(x, y, "full")),
]

PEERS = REDUCTIONS + PRODUCTS + SHAPES
