"""Taking, putting, sorting, choosing; the branches and loops."""

import numpy as np

import symgraph as sg
from tests.autodiff.cases import apart, normal, positive
from tests.autodiff.peers.libraries import jax, jnp, torch
from tests.autodiff.peers.peer import EVERY, row

x, a = normal(3, 4), apart(3, 4)
PLACES = np.array([[0, 2, 2, 0], [1, 1, 1, 2]])
ROWS = np.array([0, 2, 2, -1])
PAIRS = np.array([[0, 1], [2, 3], [0, 1]])
SEGMENTS = np.array([0, 0, 2])
REDUCED = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}
onnx = sg.ops.onnx


def indexed(name, key):
    """`x[key]`."""
    return row(f"x[{name}]", lambda x: x[key], "jax.numpy.ndarray", x, theirs=lambda x: x[key])


def put(reduction):
    """`scatter_update` beside `x.at[...]` of JAX, at places of which one comes twice where that says something."""
    places = PAIRS if reduction == "add" else PAIRS[:2]
    method = {"mul": "multiply", None: "set"}.get(reduction, reduction)
    return row(f"scatter_update {reduction}", lambda x, u: sg.ops.scatter_update(x, places, u, reduction),
               "jax.numpy.ndarray.at", x, normal(len(places)),
               theirs=lambda x, u: getattr(x.at[tuple(places.T)], method)(u, unique_indices=reduction == "mul"))


def scattered(reduction, updates, title=""):
    """ScatterElements beside scatter_reduce of PyTorch."""
    return row(f"ScatterElements {reduction}{title}",
               lambda x, u: onnx("ScatterElements", x, PLACES, u, reduction=reduction),
               "torch.scatter_reduce", apart(3, 4), updates,
               theirs=lambda x, u: torch.scatter_reduce(x, 0, torch.tensor(PLACES), u, REDUCED[reduction]))


def segments(name, title, at):
    """A reduction by segments."""
    theirs = lambda x: getattr(jax.ops, f"segment_{name}")(x, jnp.asarray(SEGMENTS), 3)[jnp.array([0, 2])]  # noqa: E731
    return row(f"segment_{name}{title}", lambda x: getattr(sg.ops, f"segment_{name}")(x, SEGMENTS, 3)[np.array([0, 2])],
               f"jax.ops.segment_{name}", at, theirs=theirs)


INDEXING = [
    indexed("1", 1), indexed("-1, 1:3", (-1, slice(1, 3))),
    indexed("::-1, ::2", (slice(None, None, -1), slice(None, None, 2))),
    indexed("..., None", (..., None)), indexed("rows", ROWS),
    indexed("rows and columns", (ROWS, np.array([1, 1, 1, 0]))),
    indexed("mask", np.array([True, False, True])),
    row("take", lambda x: sg.take(x, PLACES, axis=1), "jax.numpy.take", x,
        theirs=lambda x: jnp.take(x, PLACES, axis=1)),
    row("take_along_axis", lambda x: sg.take_along_axis(x, PLACES, axis=0), "jax.numpy.take_along_axis", x,
        theirs=lambda x: jnp.take_along_axis(x, jnp.asarray(PLACES), axis=0)),
    row("GatherElements", lambda x: onnx("GatherElements", x, PLACES), "torch.gather", x,
        theirs=lambda x: torch.gather(x, 0, torch.tensor(PLACES))),
    row("Gather of an embedding", lambda x: onnx("Gather", x, np.array([2, 0, 2])), "torch.nn.functional.embedding", x,
        theirs=lambda x: torch.nn.functional.embedding(torch.tensor([2, 0, 2]), x)),
    row("gather_nd", lambda x: sg.ops.gather_nd(x, PAIRS), "jax.numpy.ndarray", x, theirs=lambda x: x[tuple(PAIRS.T)]),
    row("index_select", lambda x: onnx("Gather", x, np.array([3, 3, 0]), axis=1), "torch.index_select", x,
        theirs=lambda x: torch.index_select(x, 1, torch.tensor([3, 3, 0]))),
    *map(put, ("add", "mul", "max", "min", None)),
    scattered("add", normal(2, 4)), scattered("mul", positive(2, 4)), scattered("max", apart(2, 4) * 1.1),
    scattered("min", apart(2, 4) * 1.1), scattered("max", np.full((2, 4), 9.0), " of ties"),
    row("ScatterElements", lambda x, u: onnx("ScatterElements", x, PLACES[:1], u), "torch.scatter", x, normal(1, 4),
        theirs=lambda x, u: torch.scatter(x, 0, torch.tensor(PLACES[:1]), u)),
    row("slice", lambda x: sg.ops.slice(x, (1, 1), (2, 2)), "jax.lax.dynamic_slice", x,
        theirs=lambda x: jax.lax.dynamic_slice(x, (1, 1), (2, 2))),
    row("slice_update", lambda x, u: sg.ops.slice_update(x, (1, 1), u), "jax.lax.dynamic_update_slice", x, normal(2, 2),
        theirs=lambda x, u: jax.lax.dynamic_update_slice(x, u, (1, 1))),
    segments("sum", "", x), segments("max", "", a), segments("min", "", a),
    row("segment_prod", lambda x: sg.ops.segment_prod(x, SEGMENTS, 3), "torch.prod", x,
        theirs=lambda x: torch.stack([x[:2].prod(0), torch.ones_like(x[0]), x[2]])),
    segments("max", " of ties", [[1.0, 2.0], [1.0, 3.0], [0.0, 0.0]]),
    row("sort", lambda x: sg.sort(x, axis=1), "jax.numpy.sort", a, theirs=lambda x: jnp.sort(x, axis=1)),
    row("sort of ties", sg.sort, "jax.numpy.sort", [2.0, 1.0, 2.0, 1.0]),
    row("top_k", lambda x: sg.ops.top_k(x, 2)[0], "jax.lax.top_k", a, theirs=lambda x: jax.lax.top_k(x, 2)[0]),
    row("top_k of ties", lambda x: sg.ops.top_k(x, 2)[0], "jax.lax.top_k", [1.0, 2.0, 2.0, 2.0],
        theirs=lambda x: jax.lax.top_k(x, 2)[0]),
    row("TopK, smallest", lambda x: onnx("TopK", x, np.array([2]), axis=0, largest=0, outputs=2)[0], "torch.topk", a,
        theirs=lambda x: torch.topk(x, 2, 0, largest=False)[0]),
    row("boolean_mask", lambda x: sg.ops.boolean_mask(x, np.array([True, False, True])), "torch.masked_select", x,
        theirs=lambda x: x[torch.tensor([True, False, True])]),
    row("select", lambda x: sg.ops.select([x > 1, x > 0], [x * x, sg.exp(x)], 1.0), "jax.numpy.select", x,
        theirs=lambda x: jnp.select([x > 1, x > 0], [x * x, jnp.exp(x)], 1.0)),
    row("compress", lambda x: sg.ops.compress([True, False, True], x, axis=0), "jax.numpy.compress", x,
        theirs=lambda x: jnp.compress(jnp.array([True, False, True]), x, axis=0)),
    row("unique", lambda x: sg.ops.unique(x), "torch.sort", [3.0, 1.0, 2.0], theirs=lambda x: torch.sort(x)[0]),
    row("ReverseSequence", lambda x: onnx("ReverseSequence", x, np.array([1, 3, 2, 3]), batch_axis=1, time_axis=0),
        "torch.gather", x,
        theirs=lambda x: torch.gather(x, 0, torch.tensor([[0, 2, 1, 2], [1, 1, 0, 1], [2, 0, 2, 0]]))),
]

v, w = normal(2), normal(2, seed=1)
rows = normal(3, 2)

CONTROL = [
    row("cond, true", lambda x, y: sg.cond(sg.sum(x) > 0, lambda: x * y, lambda: sg.sin(x)), "jax.lax.cond",
        positive(2), w,
        theirs=lambda x, y: jax.lax.cond(jnp.sum(x) > 0, lambda: x * y, lambda: jnp.sin(x)), asks=EVERY),
    row("cond, false", lambda x, y: sg.cond(sg.sum(x) > 0, lambda: x * y, lambda: sg.sin(x)), "jax.lax.cond",
        -positive(2), w,
        theirs=lambda x, y: jax.lax.cond(jnp.sum(x) > 0, lambda: x * y, lambda: jnp.sin(x))),
    row("switch", lambda x: sg.ops.switch(1, [sg.sin, sg.exp, sg.cos], x), "jax.lax.switch", v,
        theirs=lambda x: jax.lax.switch(1, [jnp.sin, jnp.exp, jnp.cos], x)),
    row("fori_loop", lambda x, y: sg.fori_loop(0, 3, lambda i, s: sg.tanh(s * y + x), x), "jax.lax.fori_loop", v, w,
        theirs=lambda x, y: jax.lax.fori_loop(0, 3, lambda i, s: jnp.tanh(s * y + x), x), asks=EVERY),
    row("while_loop", lambda x, y: sg.while_loop(lambda s: sg.sum(s * s) < 50, lambda s: (s * y + s,), (x,))[0],
        "jax.lax.while_loop", positive(2), positive(2, seed=1), asks=("jvp",),
        theirs=lambda x, y: jax.lax.while_loop(lambda s: jnp.sum(s * s) < 50, lambda s: s * y + s, x)),
    row("scan", lambda xs, c, w: sg.scan(lambda c, x: (sg.tanh(c * w + x), c * x), c, xs), "jax.lax.scan", rows, v, w,
        theirs=lambda xs, c, w: jax.lax.scan(lambda c, x: (jnp.tanh(c * w + x), c * x), c, xs), asks=EVERY),
    row("scan in reverse", lambda xs, c: sg.scan(lambda c, x: (sg.sin(c) * x, c), c, xs, reverse=True), "jax.lax.scan",
        rows, v,
        theirs=lambda xs, c: jax.lax.scan(lambda c, x: (jnp.sin(c) * x, c), c, xs, reverse=True)),
    row("map", lambda xs, w: sg.map(lambda x: sg.exp(x * w), xs), "jax.lax.map", rows, w,
        theirs=lambda xs, w: jax.lax.map(lambda x: jnp.exp(x * w), xs)),
    row("associative_scan", lambda x: sg.ops.associative_scan(lambda a, b: a * b, x), "jax.lax.associative_scan",
        normal(5, 2),
        theirs=lambda x: jax.lax.associative_scan(lambda a, b: a * b, x)),
]

PEERS = INDEXING + CONTROL
