"""Pieces of networks that passes look for, near misses among them, to be planted in random graphs."""

from __future__ import annotations

import itertools

import numpy as np

import symgraph as sg
from symgraph.ops import onnx
from tests.passes.fuzz import FLOAT, INT, Misfit
from tests.passes.operators import known, longs
from tests.passes.patterns import some


def number(value):
    return sg.tensor(np.float32(value))


def rms_norm(m):
    x = m.pick(FLOAT, least=2)
    axis = longs(m.random.choice((-1, -1, -1, 0)))
    square = onnx("Mul", x, x) if m.random.random() < 0.5 else onnx("Pow", x, number(2))
    root = onnx("Sqrt", onnx("Add", onnx("ReduceMean", square, axis), number(m.random.choice((1e-5, 1e-6)))))
    y = onnx("Div", x, root) if m.random.random() < 0.5 else onnx("Mul", x, onnx("Reciprocal", root))
    scale = m.constant(FLOAT, m.random.choice(((x.shape[-1] if isinstance(x.shape[-1], int) else 1,), (1,), ())))
    return onnx("Mul", *((y, scale) if m.random.random() < 0.5 else (scale, y)))


def instance_norm(m):
    x = m.pick(FLOAT, rank=4)
    some(x.shape[1])
    axes = longs(*m.random.choice(((2, 3), (-2, -1), (1, 2))))
    d = onnx("Sub", x, onnx("ReduceMean", x, axes))
    deviation = onnx("Sqrt", onnx("Add", onnx("ReduceMean", onnx("Mul", d, d), axes), number(1e-5)))
    y = onnx("Div", d, deviation)
    shape = m.random.choice(((x.shape[1], 1, 1), (1, x.shape[1], 1, 1), ()))
    return onnx("Add", onnx("Mul", y, m.constant(FLOAT, shape)), m.constant(FLOAT, shape))


def group_norm(m):
    """ONNX Runtime's InstanceNormalization of nothing ends the process."""
    x = m.pick(FLOAT, rank=4)
    if not all(some(size) for size in x.shape[1:]):
        raise Misfit
    channels = x.shape[1]
    ones = sg.tensor(np.ones(1, np.float32))
    flat = onnx("Reshape", x, longs(0, 1, -1))
    y = onnx("InstanceNormalization", flat, ones, sg.tensor(np.zeros(1, np.float32)))
    y = onnx("Reshape", y, onnx("Shape", x))
    return onnx("Add", onnx("Mul", y, m.constant(FLOAT, (channels, 1, 1))), m.constant(FLOAT, (channels, 1, 1)))


def hard_activations(m):
    x = m.pick(FLOAT)
    if m.random.random() < 0.4:
        return onnx("Mul", x, onnx("HardSigmoid", x, alpha=m.random.choice((1 / 6, 0.2)), beta=0.5))
    high = number(m.random.choice((6, 6, 3)))
    y = onnx("Clip", onnx("Add", x, number(3)), number(0), high)
    y = y if m.random.random() < 0.4 else onnx("Mul", x, y)
    return onnx("Div", y, number(6)) if m.random.random() < 0.5 else onnx("Mul", y, number(1 / 6))


def soft_activations(m):
    x = m.pick(FLOAT)
    soft = onnx("Log", onnx("Add", onnx("Exp", x), number(m.random.choice((1, 1, 2)))))
    if m.random.random() < 0.4:
        return soft
    if m.random.random() < 0.5:
        soft = onnx("Softplus", x)
    return onnx("Mul", x, onnx("Tanh", soft))


def tanh_gelu(m):
    x = m.pick(FLOAT)
    cube = onnx("Pow", x, number(3)) if m.random.random() < 0.5 else onnx("Mul", onnx("Mul", x, x), x)
    inner = onnx("Add", x, onnx("Mul", cube, number(m.random.choice((0.044715, 0.044715, 0.05)))))
    angle = onnx("Mul", inner, number(np.sqrt(2 / np.pi)))
    return onnx("Mul", onnx("Mul", x, number(0.5)), onnx("Add", onnx("Tanh", angle), number(1)))


def leaky(m):
    x = m.pick(FLOAT)
    slope = number(m.random.choice((0.1, 0.01, 2.0, -1.0, 0.0)))
    if m.random.random() < 0.5:
        return onnx("Max", x, onnx("Mul", x, slope))
    return onnx("Where", onnx("Greater", x, number(0)), x, onnx("Mul", x, slope))


def relu_six(m):
    x = m.pick(FLOAT)
    low, high = m.random.choice(((0, 6), (0, 1), (-1, 1), (1, 0)))
    return onnx("Min", onnx("Max", x, number(low)) if low else onnx("Relu", x), number(high))


def attention(m):
    x = m.pick(FLOAT, rank=3)
    size = known(x.shape[-1])
    heads = 2 if size % 2 == 0 and size else 1
    parts = []
    for _ in "qkv":
        y = onnx("MatMul", x, m.constant(FLOAT, (size, size)))
        if m.random.random() < 0.7:
            y = onnx("Add", y, m.constant(FLOAT, (size,)))
        parts.append(onnx("Transpose", onnx("Reshape", y, longs(0, -1, heads, size // heads)), perm=[0, 2, 1, 3]))
    q, k, v = parts
    scores = onnx("MatMul", q, onnx("Transpose", k, perm=[0, 1, 3, 2]))
    scale = number(m.random.choice((0.5, np.sqrt(max(size // heads, 1)))))
    scores = onnx(m.random.choice(("Mul", "Div")), scores, scale)
    if m.random.random() < 0.4:
        scores = onnx("Add", scores, m.constant(FLOAT, m.random.choice(((1, 1, 1, 1), (), (heads, 1, 1)))))
    y = onnx("MatMul", onnx("Softmax", scores, axis=m.random.choice((-1, 3))), v)
    return onnx("Reshape", onnx("Transpose", y, perm=[0, 2, 1, 3]), longs(0, -1, size))


def padded_convolution(m):
    x = m.pick(FLOAT, rank=4)
    channels = some(x.shape[1])
    value = (number(m.random.choice((0, 0, 1))),) if m.random.random() < 0.6 else ()
    pads = longs(0, m.random.choice((0, 0, 0, 1)), 1, m.random.choice((0, 1, 2)), 0, 0, 1, 1)
    y = onnx("Pad", x, pads, *value, mode=m.random.choice(("constant", "constant", "constant", "edge")))
    w = sg.tensor(m.array.normal(size=(2, channels, 2, 2)).astype(FLOAT))
    more = m.random.choice(({}, {"pads": [1, 0, 0, 1]}, {"auto_pad": "SAME_UPPER"}, {"strides": [2, 1]}))
    return onnx("Conv", y, w, **more)


def normalized_matmul(m):
    x = m.pick(FLOAT, rank=2)
    size = some(x.shape[1])
    w = sg.tensor(m.array.normal(size=(size, 3)).astype(FLOAT))
    y = onnx("MatMul", x, w) if m.random.random() < 0.5 else onnx("Gemm", x, w, m.constant(FLOAT, (3,)))
    rows = [sg.tensor(m.array.uniform(0.5, 2, 3).astype(FLOAT)) for _ in range(4)]
    again = onnx("BatchNormalization", y, *rows)
    return (again, y) if m.random.random() < 0.2 else again


def transposed_weights(m):
    x = m.pick(FLOAT, rank=2)
    w = m.constant(FLOAT, (3, known(x.shape[1])))
    return onnx("MatMul", x, onnx("Transpose", w, perm=[1, 0])), onnx("Gemm", onnx("Transpose", x), x)


def invariant_loop(m):
    """A loop with work in it that is the same each time, a state that never changes, and one that nobody reads."""
    x = m.pick(FLOAT)
    y = m.partner(x)

    def body(i, state):
        a, b, c = state
        return onnx("Add", onnx("Tanh", onnx("Mul", x, number(2))), a), b, onnx("Mul", c, number(0.5))

    first, kept, last = sg.fori_loop(0, m.random.choice((0, 1, 3)), body, (x, onnx("Neg", y), onnx("Abs", x)))
    return m.random.choice(((first,), (first, kept), (first, last), (kept,)))


def half_used_branch(m):
    x = m.pick(FLOAT)
    y = m.partner(x)
    test = onnx("Greater", onnx("ReduceSum", x, keepdims=0), number(0.5))
    pair = sg.cond(test, lambda: (onnx("Exp", x), onnx("Sin", y)), lambda: (onnx("Neg", x), onnx("Cos", y)))
    return pair[m.random.randrange(2)]


def inner_transposes(m):
    x = m.pick(FLOAT, least=2)
    perm = m.perm(x)
    back = [perm.index(i) for i in range(x.ndim)]
    test = onnx("Greater", onnx("ReduceSum", x, keepdims=0), number(0))
    return sg.cond(test, lambda: onnx("Transpose", onnx("Transpose", x, perm=perm), perm=back) * 1.0,
                   lambda: onnx("Neg", onnx("Neg", x)))


def expanded(m):
    x = m.pick(FLOAT, INT)
    y = m.partner(x)
    shape = m.random.choice((onnx("Shape", x), longs(*(1 for _ in range(x.ndim)))))
    return onnx(m.random.choice(("Add", "Mul", "Max")), *m.random.choice((
        (onnx("Expand", y, shape), x), (x, onnx("Expand", y, shape)), (onnx("Expand", y, shape), y))))


def ranges_of_shapes(m):
    x = m.pick(FLOAT, least=1)
    place = m.random.randrange(x.ndim)
    size = onnx("Gather", onnx("Shape", x), sg.tensor(np.int64(place)))
    if m.random.random() < 0.5:
        size = onnx("Squeeze", onnx("Slice", onnx("Shape", x), longs(place), longs(place + 1)), longs(0))
    numbers = onnx("Range", sg.tensor(np.int64(0)), size, sg.tensor(np.int64(1)))
    return onnx("Gather", x, numbers, axis=place), onnx("Cast", numbers, to=1)


def slices_of_one(m):
    """Several slices of one tensor, next to each other or not."""
    x = m.pick(FLOAT, INT, least=1)
    axes = [i for i, d in enumerate(x.shape) if isinstance(d, int) and d >= 2]
    if not axes:
        raise Misfit
    axis = m.random.choice(axes)
    cuts = sorted(m.random.sample(range(x.shape[axis] + 1), 2))
    bounds = [0, *cuts, x.shape[axis]]
    return tuple(onnx("Slice", x, longs(a), longs(b), longs(axis)) for a, b in itertools.pairwise(bounds)
                 if m.random.random() < 0.9)


def elementwise_chain(m):
    x = m.pick(FLOAT)
    y = onnx("Sigmoid", onnx("Add", onnx("Mul", x, m.partner(x)), number(1)))
    return onnx("Tanh", y)


def biased_skip(m):
    """A sum that is normalised, as in a transformer."""
    x = m.pick(FLOAT, rank=3)
    size = some(x.shape[-1])
    total = onnx("Add", x, onnx("Tanh", x))
    scale, bias = (sg.tensor(m.array.normal(size=size).astype(FLOAT)) for _ in "sb")
    return onnx("LayerNormalization", total, scale, bias, axis=m.random.choice((-1, 2))), total


def composites(m):
    """What symgraph's own ops of several operators are."""
    x = m.pick(FLOAT, least=1)
    function = m.random.choice((sg.var, sg.max, sg.log1p, sg.logsumexp, lambda x: x % 2.0, lambda x: x // 2.0))
    y = function(x)
    return y, onnx("Neg", onnx("Neg", y))


def divisions(m):
    """Whole numbers divided by what may be 0 or -1 when it is run, or is so in a constant."""
    x = m.pick("int32", "int64", "int8")
    limits = np.iinfo(x.type.dtype)
    number_of = sg.tensor(np.asarray(m.random.choice((-1, -1, 0, 2, int(limits.min))), x.type.dtype))
    name = m.random.choice(("Div", "Mod"))
    kind = m.random.randrange(3)
    if kind == 0:
        return onnx(name, x, number_of)
    if kind == 1:
        return onnx(name, m.variable(np.full((2,), limits.min, x.type.dtype)), number_of)
    return onnx(name, onnx("Mul", x, number_of), onnx("Max", m.partner(x), number_of))


def transposed_operators(m):
    """Operators between transposes, with several readers."""
    x = m.pick(FLOAT, least=2)
    perm, rank = m.perm(x), x.ndim
    y, axis = onnx("Transpose", x, perm=perm), m.random.randrange(-rank, rank)
    back = [perm.index(i) for i in range(rank)] if m.random.random() < 0.7 else m.perm(x)
    operators = (
        lambda y: onnx("Concat", y, onnx("Neg", y), axis=axis), lambda y: onnx("Softmax", y, axis=axis),
        lambda y: onnx("Pad", y, longs(*(m.random.choice((0, 0, 1, 2)) for _ in range(2 * rank)))),
        lambda y: onnx("Slice", y, longs(0), longs(m.random.choice((1, 2, -1))), longs(axis)),
        lambda y: onnx("ReduceMean", y, longs(axis)), lambda y: onnx("Mul", y, onnx("Sigmoid", y)),
        lambda y: onnx("Gather", y, longs(0, -1), axis=axis), lambda y: onnx("Add", y, m.partner(y)),
        lambda y: onnx("Split", y, longs(*_halves(y.shape[axis])), outputs=2, axis=axis)[m.random.randrange(2)])
    for _ in range(m.random.choice((1, 2, 3))):
        y = m.random.choice(operators)(y)
    if m.random.random() < 0.3:
        return onnx("Squeeze", onnx("ReduceSum", y, longs(axis)), longs(axis)), y
    return (onnx("Transpose", y, perm=back), y) if m.random.random() < 0.4 else onnx("Transpose", y, perm=back)


def _halves(size):
    if not isinstance(size, int) or size < 2:
        raise Misfit
    return 1, size - 1


NETWORKS = (
    rms_norm, instance_norm, group_norm, hard_activations, soft_activations, tanh_gelu, leaky, relu_six, attention,
    padded_convolution, normalized_matmul, transposed_weights, invariant_loop, half_used_branch, inner_transposes,
    expanded, ranges_of_shapes, slices_of_one, elementwise_chain, biased_skip, composites, divisions,
    transposed_operators)
