"""Single operators with random operands and attributes, of which random graphs are made."""

from __future__ import annotations

import numpy as np

import symgraph as sg
from symgraph.ops import onnx
from tests.passes.fuzz import BINARY, BOOL, CODES, DOUBLE, EDGED, FLOAT, INT, LONG, REDUCTIONS, STEPS, UNARY, Misfit

NUMBERS = (FLOAT, DOUBLE, INT, LONG)
WHOLE = (INT, LONG)


def longs(*values):
    return sg.tensor(np.int64(values))


def known(size):
    """A dimension that is a number; a pattern that needs one is given up where it is open."""
    if not isinstance(size, int):
        raise Misfit
    return size


def scalar(m, x, *values):
    return sg.tensor(np.asarray(m.random.choice(values), x.type.dtype))


def unary(m):
    x = m.pick()
    names = UNARY[x.type.dtype] + (STEPS if x.type.dtype == FLOAT else ())
    return onnx(m.random.choice([name for name in names if not (m.is_mild and name in EDGED)]), x)


def binary(m):
    x = m.pick()
    y = m.partner(x)
    names = [name for name in BINARY[x.type.dtype] if not (m.is_mild and name in EDGED)]
    return onnx(m.random.choice(names), *((x, y) if m.random.random() < 0.7 else (y, x)))


def compare(m):
    x = m.pick(*(WHOLE if m.is_mild else NUMBERS))  # in mild graphs of nothing that may be a last bit off
    return onnx(m.random.choice(("Equal", "Less", "Greater", "LessOrEqual")), x, m.partner(x))


def where(m):
    x = m.pick(*NUMBERS)
    masks = [b for b in m.values if b.type.dtype == BOOL and b.ndim <= x.ndim]
    return onnx("Where", m.random.choice(masks) if masks else m.constant(BOOL, ()), x, m.partner(x))


def clip(m):
    x = m.pick(FLOAT, INT)
    low, high = scalar(m, x, -2, 0, 1), scalar(m, x, 1, 2, -1)
    return onnx("Clip", x, *m.random.choice(((low, high), (low,), (None, high))))


def cast(m):
    x = m.pick()
    targets = (FLOAT, DOUBLE) if m.is_mild else tuple(CODES)
    return onnx("Cast", x, to=CODES[m.random.choice(targets)])


def reduce(m):
    x = m.pick(FLOAT)
    axes = m.random.sample(range(x.ndim), m.random.randint(0, x.ndim))
    return onnx(m.random.choice(REDUCTIONS), x, longs(*axes), keepdims=m.random.randint(0, 1),
                noop_with_empty_axes=m.random.randint(0, 1))


def arg_max(m):
    x = m.pick(*(WHOLE if m.is_mild else (FLOAT, LONG)), least=1)
    return onnx("ArgMax", x, axis=m.axis(x), keepdims=m.random.randint(0, 1))


def matmul(m):
    x = m.pick(FLOAT, least=2)
    inner = x.shape[-1]
    fits = [y for y in m.values if y.type.dtype == FLOAT and y.ndim == 2 and y.shape[0] == inner]
    if fits and m.random.random() < 0.5:
        return onnx("MatMul", x, m.random.choice(fits))
    return onnx("MatMul", x, m.constant(FLOAT, (known(inner), m.random.randint(1, 4))))


def gemm(m):
    x = m.pick(FLOAT, rank=2)
    turned = m.random.randint(0, 1)
    size = known(x.shape[0 if turned else 1])
    w = m.constant(FLOAT, (size, 3))
    return onnx("Gemm", x, w, *m.random.choice(((), (m.constant(FLOAT, (3,)),), (m.constant(FLOAT, ()),))),
                transA=turned, alpha=m.random.choice((1.0, 0.5)), beta=m.random.choice((1.0, 2.0, 0.0)))


def transpose(m):
    x = m.pick()
    return onnx("Transpose", x, perm=m.perm(x)) if m.random.random() < 0.8 else onnx("Transpose", x)


def reshape(m):
    x = m.pick(least=1)
    wishes = [longs(-1), longs(0, -1), longs(-1, 1), longs(1, -1), longs(*(0 for _ in range(x.ndim)))]
    sizes = [d for d in x.shape if isinstance(d, int)]
    if len(sizes) == x.ndim:
        wishes += [longs(*sizes[::-1]), longs(*sizes), longs(int(np.prod(sizes)))]
    return onnx("Reshape", x, m.random.choice(wishes), allowzero=int(m.random.random() < 0.1))


def squeeze(m):
    x = m.pick()
    ones = [i for i, d in enumerate(x.shape) if d == 1]
    if not ones:
        return onnx("Unsqueeze", x, longs(m.random.randrange(x.ndim + 1)))
    return onnx("Squeeze", x, longs(*m.random.sample(ones, m.random.randint(1, len(ones)))))


def slice_of(m, x=None):
    x = m.pick(least=1) if x is None else x
    axis = m.axis(x)
    start, end = m.random.choice(((0, 2), (1, 1 << 62), (-1, -9), (-2, 1 << 31), (0, -1), (2, 1), (0, (1 << 63) - 1)))
    step = 1 if end > 9 else m.random.choice((1, 1, 1, 2, -1))  # ONNX Runtime reads INT64_MAX and a step of -1 as -1
    return onnx("Slice", x, longs(start), longs(end), longs(axis), longs(step))


def concat(m):
    x = m.pick(least=1)
    axis = m.axis(x) % x.ndim
    fits = [y for y in m.values if y.type.dtype == x.type.dtype and y.ndim == x.ndim and all(
        a == b is not None for i, (a, b) in enumerate(zip(x.shape, y.shape, strict=True)) if i != axis)]
    return onnx("Concat", *m.random.choices(fits or [x], k=m.random.randint(1, 3)), axis=axis)


def split(m):
    x = m.pick(FLOAT, INT, least=1)
    axes = [i for i, d in enumerate(x.shape) if isinstance(d, int) and d >= 2]
    axis = m.random.choice(axes)
    return onnx("Split", x, longs(1, x.shape[axis] - 1), axis=axis, outputs=2)


def pad(m):
    x = m.pick(FLOAT, INT, least=1)
    pads = [m.random.choice((0, 0, 1, 2)) for _ in range(2 * x.ndim)]
    if m.random.random() < 0.2:
        pads[0] = -1
    return onnx("Pad", x, longs(*pads), scalar(m, x, 0, 1), mode="constant")


def gather(m):
    x = m.pick(least=1)
    index = m.random.choice((np.int64(0), np.int64(-1), np.int64([0]), np.int64([[0, -1]]), np.int32([0])))
    return onnx("Gather", x, sg.tensor(index), axis=m.axis(x))


def expand(m):
    x = m.pick(FLOAT, INT, BOOL)
    other = m.random.choice((longs(1), longs(*(1 for _ in range(x.ndim))), longs(2, *(1 for _ in range(x.ndim))),
                             onnx("Shape", x), longs(*[d for d in x.shape if isinstance(d, int)])))
    return onnx("Expand", x, other)


def tile(m):
    x = m.pick(FLOAT, INT)
    return onnx("Tile", x, longs(*(m.random.choice((1, 1, 2, 0)) for _ in range(x.ndim))))


def softmax(m):
    x = m.pick(FLOAT, least=1)
    return onnx(m.random.choice(("Softmax", "LogSoftmax")), x, axis=m.axis(x))


def cumulative(m):
    x = m.pick(FLOAT, least=1)
    return onnx("CumSum", x, sg.tensor(np.int64(m.axis(x))))


def branch(m):
    x = m.pick(FLOAT)
    y = m.partner(x)
    test = onnx("Greater", onnx("ReduceSum", x, keepdims=0), sg.tensor(np.float32(m.random.choice((0.0, 3.0)))))
    return sg.cond(test, lambda: onnx("Neg", onnx("Neg", x)) * 1.0 + onnx("Abs", y),
                   lambda: onnx("Add", x, y) + onnx("Identity", x))


def constant_branch(m):
    x = m.pick(FLOAT)
    test = onnx("Not", m.variable(np.bool_(m.random.random() < 0.5)))
    return sg.cond(test, lambda: onnx("Exp", onnx("Transpose", onnx("Transpose", x))), lambda: x)


def loop(m):
    x = m.pick(FLOAT)
    return sg.fori_loop(0, m.random.choice((0, 1, 3)), lambda i, y: onnx("Add", onnx("Tanh", x), y), x)


def random_twins(m):
    """Random nodes whose draws are not looked at, only their shape: removing or sharing them may not break anything."""
    x = m.pick(FLOAT)
    a, b = (onnx("RandomNormalLike", x, seed=1.0) for _ in "ab")
    return onnx("Add", x, onnx("Mul", onnx("Cast", onnx("IsNaN", onnx("Sub", a, b)), to=1), sg.tensor(np.float32(1))))


STEPS_OF_GRAPHS = (
    unary, unary, unary, binary, binary, binary, compare, where, clip, cast, reduce, arg_max, matmul, gemm, transpose,
    transpose, reshape, squeeze, slice_of, concat, split, pad, gather, expand, tile, softmax, cumulative, branch, loop)
