"""Patterns that passes look for, near misses among them, to be planted in random graphs."""

from __future__ import annotations

import numpy as np

import symgraph as sg
from symgraph.ops import onnx
from tests.passes.fuzz import BINARY, CODES, DOUBLE, EDGED, FLOAT, INT, LONG, UNARY, Misfit
from tests.passes.operators import NUMBERS, constant_branch, known, longs, random_twins, scalar, slice_of


def one_and_zero(m):
    x = m.pick(*NUMBERS)
    c = sg.tensor(np.full(m.random.choice(((), (1,), (1, 1), (1,) * (x.ndim + 1), (2,))),
                          m.random.choice((1, 0, -0.0, -1)), x.type.dtype))
    name = m.random.choice(("Mul", "Add", "Sub", "Div", "Pow") if x.type.dtype in (FLOAT, DOUBLE) else
                           ("Mul", "Add", "Sub"))
    return onnx(name, *((x, c) if m.random.random() < 0.7 or name in ("Div", "Pow") else (c, x)))


def same_with_itself(m):
    x = m.pick(*NUMBERS)
    names = ("Sub", "Equal", "Max", "Min", "Add", "Mul", "Less") + (("Div",) if x.type.dtype in (FLOAT, DOUBLE) else ())
    return onnx(m.random.choice(names), x, x)


def twice(m):
    x = m.pick(*NUMBERS)
    names = ("Abs", "Neg", "Sign") if x.type.dtype != FLOAT else (
        "Abs", "Neg", "Relu", "Reciprocal", "Ceil", "Floor", "Sqrt", "Sigmoid", "Identity")
    name = m.random.choice(tuple(n for n in names if not (m.is_mild and n in EDGED)))
    return onnx(name, onnx(name, x))


def inverse_pair(m):
    x = m.pick(FLOAT)
    edged = () if m.is_mild else (("Log", "Exp"),)
    first, second = m.random.choice((("Exp", "Log"), *edged, ("Abs", "Relu"), ("Relu", "Abs"), ("Neg", "Abs"),
                                     ("Neg", "Relu")))
    return onnx(second, onnx(first, x))


def not_of(m):
    x = m.pick(*NUMBERS)
    test = onnx(m.random.choice(("Less", "Greater", "Equal")), x, m.partner(x))
    y = onnx("Not", test)
    return onnx("Not", y) if m.random.random() < 0.5 else y


def duplicates(m):
    x = m.pick(FLOAT)
    c = m.random.choice(((0.0, -0.0), (1.0, 1.0), (np.nan, np.nan), (2.0, 2.0), (1e-42, 0.0)))
    name = m.random.choice(("Mul", "Add", "Max"))
    one, two = (onnx("Sigmoid", onnx(name, x, sg.tensor(np.float32(number)))) for number in c)
    return onnx("Sub", one, two), one


def swapped_duplicates(m):
    x = m.pick(FLOAT, INT)
    y = m.partner(x)
    name = m.random.choice(("Add", "Mul", "Sub", "Max"))
    return onnx("Sub", onnx(name, x, y), onnx(name, y, x))


def transpose_pair(m):
    x = m.pick(least=2)
    perm = m.perm(x)
    back = [perm.index(i) for i in range(x.ndim)] if m.random.random() < 0.6 else m.perm(x)
    middle = onnx("Transpose", x, perm=perm)
    if m.random.random() < 0.7:
        middle = onnx(m.random.choice(UNARY[x.type.dtype]), middle)
    y = onnx("Transpose", middle, perm=back)
    return (y, middle) if m.random.random() < 0.3 else y


def transposed_sum(m):
    x = m.pick(FLOAT, INT, least=2)
    perm = m.perm(x)
    other = m.random.choice((x, onnx("Neg", x), m.constant(x.type.dtype), m.pick(x.type.dtype, rank=x.ndim)))
    left = onnx("Transpose", x, perm=perm)
    right = other if other.ndim != x.ndim or m.random.random() < 0.3 else onnx("Transpose", other, perm=perm)
    total = onnx(m.random.choice(("Add", "Mul", "Max")), left, right)
    if total.ndim != x.ndim:  # ONNX's inference takes an order of too few axes
        raise Misfit
    return onnx("Transpose", total, perm=perm)


def transposed_reduction(m):
    x = m.pick(FLOAT, least=2)
    perm = m.perm(x)
    y = onnx(m.random.choice(("ReduceMax", "ReduceMean", "ReduceSum")), onnx("Transpose", x, perm=perm),
             longs(m.axis(x)), keepdims=m.random.randint(0, 1))
    return onnx("Transpose", y)


def transposed_rest(m):
    """A transpose before operators with axes of their own."""
    x = m.pick(FLOAT, least=2)
    y = onnx("Transpose", x, perm=m.perm(x))
    axis = m.axis(x)
    kind = m.random.randrange(6)
    if kind == 0:
        return onnx("Transpose", onnx("Softmax", y, axis=axis), perm=m.perm(x))
    if kind == 1:
        return onnx("Transpose", onnx("Concat", y, onnx("Neg", y), axis=axis), perm=m.perm(x))
    if kind == 2:
        return onnx("Transpose", slice_of(m, y), perm=m.perm(x))
    if kind == 3:
        return onnx("Transpose", onnx("Pad", y, longs(*[1] * x.ndim, *[0] * x.ndim)), perm=m.perm(x))
    if kind == 4:
        return onnx("Squeeze", onnx("Unsqueeze", y, longs(axis)), longs(axis))
    return onnx("Reshape", y, onnx("Shape", y))


def transposed_matmul(m):
    x = m.pick(FLOAT, rank=2)
    y = onnx("Transpose", x, perm=[1, 0])
    z = onnx("MatMul", *m.random.choice(((x, y), (y, x), (y, onnx("Identity", x)))))
    return onnx("Transpose", z, perm=[1, 0]) if m.random.random() < 0.5 else z


def reshape_chain(m):
    x = m.pick(least=1)
    first = m.random.choice((longs(-1), longs(1, -1), longs(0, -1), longs(-1, 1), onnx("Shape", x)))
    second = m.random.choice((onnx("Shape", x), longs(-1), longs(0, -1), longs(0, 1, -1), longs(-1, 1, 1)))
    y = onnx("Reshape", x, first)
    return onnx("Reshape", y, second) if m.random.random() < 0.7 else onnx("Flatten", y, axis=m.axis(y))


def squeeze_pair(m):
    x = m.pick()
    axis = m.random.randrange(x.ndim + 1)
    y = onnx("Unsqueeze", x, longs(axis))
    if m.random.random() < 0.4:
        y = onnx("Unsqueeze", y, longs(m.random.randrange(y.ndim + 1)))
    ones = [i for i, d in enumerate(y.shape) if d == 1]
    return onnx("Squeeze", y, longs(m.random.choice(ones)))


def cast_chain(m):
    x = m.pick()
    codes = [CODES[d] for d in ((FLOAT, DOUBLE) if m.is_mild else tuple(CODES))]
    y = onnx("Cast", x, to=m.random.choice(codes))
    y = onnx("Cast", y, to=m.random.choice(codes))
    return onnx("Cast", y, to=m.random.choice((CODES[x.type.dtype], m.random.choice(codes))))


def clip_chain(m):
    x = m.pick(FLOAT, INT)
    first = (scalar(m, x, -1, 0, 2), scalar(m, x, 1, 3, -1))
    second = (scalar(m, x, -2, 0, 1), scalar(m, x, 0, 2, 5))
    y = onnx("Clip", x, *m.random.choice((first, first[:1], (None, first[1]))))
    if m.random.random() < 0.3:
        y = onnx("Relu", y) if x.type.dtype == FLOAT else y
    return onnx("Clip", y, *m.random.choice((second, second[:1])))


def slice_chain(m):
    x = m.pick(least=1)
    y = slice_of(m, x)
    y = slice_of(m, y)
    return slice_of(m, y) if m.random.random() < 0.3 else y


def slices_joined(m):
    x = m.pick(least=1)
    axis, cut = m.axis(x), m.random.choice((1, 2, -1))
    gap = m.random.choice((0, 0, 1))
    head = onnx("Slice", x, longs(0), longs(cut), longs(axis))
    tail = onnx("Slice", x, longs(cut + gap), longs((1 << 63) - 1), longs(axis))
    return onnx("Concat", *((head, tail) if m.random.random() < 0.8 else (tail, head)), axis=axis)


def split_joined(m):
    x = m.pick(FLOAT, INT, least=1)
    axis = m.random.choice([i for i, d in enumerate(x.shape) if isinstance(d, int) and d >= 2])
    parts = onnx("Split", x, longs(1, x.shape[axis] - 1), axis=axis, outputs=2)
    return onnx("Concat", *(parts if m.random.random() < 0.6 else parts[::-1]), axis=axis), parts[0]


def concat_chain(m):
    x = m.pick(least=1)
    axis = m.axis(x)
    inner = onnx("Concat", x, x, axis=axis)
    if m.random.random() < 0.7:
        return onnx("Concat", inner, x, axis=axis)
    return onnx("Concat", inner, onnx("Neg", inner) if x.type.dtype in NUMBERS else inner, axis=m.axis(x))


def pad_chain(m):
    x = m.pick(FLOAT, INT, least=1)
    number = scalar(m, x, 0, 0, 1)
    y = onnx("Pad", x, longs(*(m.random.choice((0, 1)) for _ in range(2 * x.ndim))), number)
    again = number if m.random.random() < 0.6 else scalar(m, x, 0, 2)
    return onnx("Pad", y, longs(*(m.random.choice((0, 0, 1, -1)) for _ in range(2 * x.ndim))), again)


def padded_pieces(m):
    x = m.pick(FLOAT, least=1)
    axis = m.axis(x) % x.ndim
    size = known(x.shape[axis])
    before, after = ([0] * (2 * x.ndim) for _ in range(2))
    before[axis] = after[axis + x.ndim] = size + m.random.choice((0, 0, 1, -1) if size > 1 else (0, 0, 1))
    return onnx("Pad", x, longs(*after)) + onnx("Pad", onnx("Neg", x), longs(*before))


def pad_then_pool(m):
    x = m.pick(FLOAT, rank=4)
    number = sg.tensor(np.float32(m.random.choice((0.0, -np.inf))))
    y = onnx("Pad", x, longs(0, 0, 1, 1, 0, 0, 1, m.random.choice((0, 1))), number)
    if m.random.random() < 0.5:
        return onnx("MaxPool", y, kernel_shape=[2, 2], strides=[1, 1])
    return onnx("AveragePool", y, kernel_shape=[2, 2], strides=[1, 1], count_include_pad=m.random.randint(0, 1))


def shape_arithmetic(m):
    x = m.pick(FLOAT, least=1)
    shape = onnx("Shape", x)
    sizes = [onnx("Gather", shape, longs(i)) for i in range(x.ndim)]
    if m.random.random() < 0.5:
        sizes[m.random.randrange(x.ndim)] = longs(-1)
    if m.random.random() < 0.3:
        sizes.append(longs(1))
    if m.random.random() < 0.3:
        sizes = [*sizes[:-2], onnx("Mul", sizes[-2], sizes[-1])] if x.ndim >= 2 else sizes
    return onnx("Reshape", x, onnx("Concat", *sizes, axis=0))


def shape_slices(m):
    x = m.pick(FLOAT, least=2)
    shape = onnx("Shape", x)
    head = onnx("Slice", shape, longs(0), longs(1))
    tail = onnx("Slice", shape, longs(1), longs(1 << 62))
    total = onnx("ReduceProd", tail, keepdims=1)
    return onnx("Reshape", x, onnx("Concat", head, total, axis=0)), onnx("Expand", x, shape), total


def shape_filled(m):
    x = m.pick(FLOAT)
    value = sg.core.value.Tensor(np.float32([m.random.choice((0.0, 1.0, -0.0))]))
    filled = onnx("ConstantOfShape", onnx("Shape", x), value=value)
    return onnx(m.random.choice(("Add", "Mul")), x, filled), onnx("Size", x)


def expanded_sum(m):
    x = m.pick(FLOAT, INT)
    y = m.partner(x)
    return onnx("Add", onnx("Expand", y, onnx("Shape", x)), x)


def linear(m):
    x = m.pick(FLOAT, least=2)
    out = m.random.randint(1, 4)
    y = onnx("MatMul", x, m.constant(FLOAT, (known(x.shape[-1]), out)))
    bias = m.random.choice(((out,), (1, out), (), (1,), (1, 1, 1, out), (2, 1)))
    return onnx("Add", *((y, m.constant(FLOAT, bias)) if m.random.random() < 0.5 else (m.constant(FLOAT, bias), y)))


def parallel_linear(m):
    x = m.pick(FLOAT, least=2)
    size = known(x.shape[-1])
    return tuple(onnx("MatMul", x, m.constant(FLOAT, (size, n))) for n in (2, 2, 3))


def gemm_chain(m):
    x = m.pick(FLOAT, rank=2)
    y = onnx("Gemm", x, m.constant(FLOAT, (known(x.shape[1]), 4)), m.constant(FLOAT, (4,)))
    kind = m.random.randrange(3)
    if kind == 0:
        return onnx("Add", y, m.constant(FLOAT, m.random.choice(((4,), (), (1, 4)))))
    if kind == 1:
        return onnx("Mul", y, m.constant(FLOAT, m.random.choice(((4,), (), (1, 4)))))
    return onnx("Gemm", y, m.constant(FLOAT, (4, 2)))


def some(channels):
    """A number of channels: ONNX Runtime's Conv of none gives memory as it finds it."""
    if not known(channels):
        raise Misfit
    return channels


def convolution(m):
    x = m.pick(FLOAT, rank=4)
    channels, out = some(x.shape[1]), m.random.choice((2, 3))
    k = m.random.choice((1, 3))
    bias = (m.constant(FLOAT, (out,)),) if m.random.random() < 0.5 else ()
    y = onnx("Conv", x, sg.tensor(m.array.normal(size=(out, channels, k, k)).astype(FLOAT)), *bias, pads=[1, 1, 1, 1])
    kind, again = m.random.randrange(5), y
    if kind == 0:
        rows = [sg.tensor(m.array.uniform(0.5, 2, out).astype(FLOAT)) for _ in range(4)]
        again = onnx("BatchNormalization", y, *rows)
    elif kind == 1:
        shape = m.random.choice(((out, 1, 1), (1, out, 1, 1), (), (1,), (1, 1)))
        again = onnx(m.random.choice(("Add", "Mul", "Sub", "Div")), y, m.constant(FLOAT, shape))
    elif kind == 2:
        again = onnx("Relu", y)
    elif kind == 3:
        again = onnx("Transpose", onnx("Add", onnx("Transpose", y, perm=[0, 2, 3, 1]), m.constant(FLOAT, (out,))),
                     perm=[0, 3, 1, 2])
    return (again, y) if m.random.random() < 0.25 else again


def channels_last(m):
    x = m.pick(FLOAT, rank=4)
    channels = some(x.shape[3])
    y = onnx("Conv", onnx("Transpose", x, perm=[0, 3, 1, 2]),
             sg.tensor(m.array.normal(size=(2, channels, 1, 1)).astype(FLOAT)))
    y = onnx("Relu", onnx("Transpose", y, perm=[0, 2, 3, 1]))
    y = onnx("MaxPool", onnx("Transpose", y, perm=[0, 3, 1, 2]), kernel_shape=[1, 1])
    return onnx("Transpose", y, perm=[0, 2, 3, 1])


def dropout(m):
    x = m.pick(FLOAT)
    if m.random.random() < 0.3:
        return onnx("Dropout", x, sg.tensor(np.float32(0.5)), sg.tensor(np.bool_(False)), outputs=2)
    return onnx("Dropout", x, sg.tensor(np.float32(0.5)))


def gelu(m):
    x = m.pick(FLOAT)
    c = m.random.choice((np.sqrt(2), np.sqrt(2), 1.4))
    y = onnx("Erf", onnx("Div", x, sg.tensor(np.float32(c))))
    y = onnx("Mul", x, onnx("Add", y, sg.tensor(np.float32(1))))
    return onnx("Mul", y, sg.tensor(np.float32(m.random.choice((0.5, 0.5, 2.0)))))


def silu(m):
    x = m.pick(FLOAT)
    y = m.random.choice((x, x, m.partner(x)))
    return onnx("Mul", y, onnx("Sigmoid", x))


def layer_norm(m):
    x = m.pick(FLOAT, least=1)
    axes = longs(m.random.choice((-1, -1, 0)))
    d = onnx("Sub", x, onnx("ReduceMean", x, axes))
    square = onnx("Pow", d, sg.tensor(np.float32(2))) if m.random.random() < 0.5 else onnx("Mul", d, d)
    deviation = onnx("Sqrt", onnx("Add", onnx("ReduceMean", square, axes), sg.tensor(np.float32(1e-5))))
    y = onnx("Mul", onnx("Div", d, deviation), m.constant(FLOAT, m.random.choice(((4,), (1,), ()))))
    return onnx("Add", y, m.constant(FLOAT, m.random.choice(((4,), (1,), ()))))


def soft_max_by_hand(m):
    x = m.pick(FLOAT, least=1)
    axis = longs(m.axis(x))
    e = onnx("Exp", onnx("Sub", x, onnx("ReduceMax", x, axis)))
    return onnx("Div", e, onnx("ReduceSum", e, axis))


def reassociated(m):
    x = m.pick(*NUMBERS)
    a, b = (sg.tensor(np.asarray(n, x.type.dtype)) for n in m.random.choice(((3, 5), (1e8, -1e8), (2, 2), (0, -0.0))))
    first, second = m.random.choice((("Add", "Add"), ("Mul", "Mul"), ("Add", "Sub"), ("Add", "Mul")))
    return onnx(second, onnx(first, x, a), b)


def reciprocal_product(m):
    x = m.pick(FLOAT)
    return onnx("Mul", onnx("Reciprocal", x), m.partner(x))


def where_constant(m):
    x = m.pick(*NUMBERS)
    test = sg.tensor(np.full(m.random.choice(((), (1,), (1,) * (x.ndim + 1))), m.random.random() < 0.5))
    y = m.partner(x) if m.random.random() < 0.6 else x
    return onnx("Where", test, *((x, y) if m.random.random() < 0.5 else (y, x)))


def folded_constants(m):
    dtype = m.random.choice(NUMBERS)
    a, b = m.variable(m.constant(dtype, (3, 1)).numpy()), m.constant(dtype, (4,))
    y = onnx(m.random.choice(BINARY[dtype][:5]), onnx("Neg", a), b)
    return y, onnx("Cast", y, to=CODES[m.random.choice((FLOAT, DOUBLE))])


def gathers(m):
    x = m.pick(least=2)
    y = onnx("Gather", x, sg.tensor(np.int64(0)), axis=m.axis(x))
    return onnx("Gather", y, sg.tensor(np.int64([0])), axis=m.axis(y))


def shared_gathers(m):
    shape = onnx("Shape", m.pick(FLOAT, least=1))
    one = onnx("Gather", shape, sg.tensor(np.int64(0)))
    two = onnx("Gather", shape, sg.tensor(np.int64(0)))
    return onnx("Range", sg.tensor(np.int64(0)), onnx("Min", onnx("Mul", one, two), sg.tensor(np.int64(9))),
                sg.tensor(np.int64(1)))


def tiled(m):
    x = m.pick(FLOAT, INT, least=1)
    return onnx("Tile", onnx("Tile", x, longs(*[m.random.choice((1, 2)) for _ in range(x.ndim)])),
                longs(*[m.random.choice((1, 1, 2)) for _ in range(x.ndim)]))


def summed(m):
    x = m.pick(FLOAT)
    return onnx("Sum", *m.random.choice(((x,), (x, x), (x, m.partner(x)))))


def extreme_of_one(m):
    x = m.pick(FLOAT, INT)
    return onnx(m.random.choice(("Max", "Min")), *m.random.choice(((x,), (x, x), (x, m.partner(x), x))))


def powers(m):
    x = m.pick(FLOAT)
    return onnx("Pow", x, sg.tensor(np.asarray(m.random.choice((1, 2, 0.5, 0, -1)),
                                               m.random.choice((np.float32, np.int64)))))


def divided(m):
    x = m.pick(FLOAT, INT, LONG)
    number = m.random.choice((2, 4, 3, 1, -1))
    return onnx("Div", x, sg.tensor(np.asarray(number, x.type.dtype)))


PATTERNS = (
    one_and_zero, one_and_zero, same_with_itself, twice, inverse_pair, not_of, duplicates, swapped_duplicates,
    transpose_pair, transpose_pair, transposed_sum, transposed_reduction, transposed_rest, transposed_matmul,
    reshape_chain, squeeze_pair, cast_chain, cast_chain, clip_chain, slice_chain, slices_joined, split_joined,
    concat_chain, pad_chain, padded_pieces, pad_then_pool, shape_arithmetic, shape_slices, shape_filled, expanded_sum,
    linear, parallel_linear, gemm_chain, convolution, convolution, channels_last, dropout, gelu, silu, layer_norm,
    soft_max_by_hand, reassociated, reciprocal_product, where_constant, folded_constants, gathers, shared_gathers,
    tiled, summed, extreme_of_one, powers, divided, constant_branch, random_twins)
