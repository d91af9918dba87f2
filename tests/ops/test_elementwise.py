"""What the table cannot say of elementwise ops: errors, methods, exactness, the nodes they make."""

import warnings

import numpy as np
import pytest

import symgraph as sg
from symgraph import ops
from symgraph.core.apply import apply_op
from symgraph.core.errors import DtypeError, OpError, RunError, ShapeError


def nodes(result):
    return [node.op.name for node in sg.Graph(inputs(result), [result]).nodes]


def inputs(result):
    found, waiting = [], [result]
    while waiting:
        x = waiting.pop()
        if getattr(x, "node", None) is not None:
            waiting.extend(x.node.operands)
        elif isinstance(x, sg.SymbolicTensor) and not any(x is y for y in found):
            found.append(x)
    return found


def test_a_polynomial_with_python_numbers_is_exact():
    x = sg.tensor(2.0)

    assert float(2 * x**2 + 4 * x + 8) == 24.0


def test_a_square_is_one_multiplication():
    assert nodes(sg.symbol((3,)) ** 2) == ["Mul"]
    assert nodes(sg.symbol((3,), "int64") ** 3) == ["Mul", "Mul"]


def test_large_whole_powers_are_exact():
    assert int(sg.tensor(3, dtype="int64") ** 39) == 3**39
    assert int(ops.power(sg.tensor(3, dtype="int64"), sg.tensor(39, dtype="int64"))) == 3**39


@pytest.mark.parametrize("exponent", [-1, [-1, 2], np.int32(-2)])
def test_whole_numbers_to_negative_powers_are_an_error(exponent):
    with pytest.raises(OpError, match=r"int32.*negative"):
        ops.power(sg.tensor([2, 3]), exponent)
    with pytest.raises(OpError, match=r"int32.*negative"):
        ops.power(sg.symbol((2,), "int32"), exponent)


@pytest.mark.parametrize("op", [ops.floor_divide, ops.mod, ops.fmod, ops.divmod])
def test_whole_numbers_divided_by_0_are_an_error(op):
    with pytest.raises(OpError, match="divided by 0"):
        op(sg.tensor([1, 2]), 0)
    with pytest.raises(OpError, match="divided by 0"):
        op(sg.symbol((2,), "int64"), [1, 0])
    with pytest.raises((OpError, RunError), match="zero"):
        op(sg.tensor([1, 2]), sg.Variable([1, 0]))


def test_sizes_divide_by_one_operator():
    x = sg.symbol(("N", 4))

    assert nodes(apply_op("Shape", x) // 2) == ["Shape", "Div"]


@pytest.mark.parametrize(("function", "expected"), [
    (lambda x: x.sub(1.0), [1.0, 3.0]), (lambda x: x.mul(2), [4.0, 8.0]), (lambda x: x.div(2), [1.0, 2.0]),
    (lambda x: x.neg(), [-2.0, -4.0]), (lambda x: x.pow(2), [4.0, 16.0]), (lambda x: x.add(x).square(), [16.0, 64.0]),
    (lambda x: x.mod(3), [2.0, 1.0]), (lambda x: x.squared_difference(1), [1.0, 9.0]), (lambda x: x.mean(), 3.0),
    (lambda x: x.max(), 4.0),
    (lambda x: -x, [-2.0, -4.0]), (lambda x: abs(-x), [2.0, 4.0]), (lambda x: 1 - x, [-1, -3]),
    (lambda x: 8 / x, [4, 2]), (lambda x: 3 % x, [1, 3]), (lambda x: 5 // x, [2, 1]), (lambda x: 2**x, [4, 16]),
    (lambda x: divmod(x, 3)[1], [2, 1]), (lambda x: round(x / 3, 1), [0.7, 1.3]), (lambda x: +x, [2, 4]),
    (lambda x: x.astype("int32") << 1, [4, 8]), (lambda x: ~(x > 2), [True, False]), (lambda x: x == 2, [True, False])])
def test_ops_are_methods_and_operators(function, expected):
    np.testing.assert_allclose(function(sg.tensor([2.0, 4.0])).numpy(), expected, rtol=1e-6)
    assert isinstance(function(sg.symbol((2,))), sg.SymbolicTensor)


def test_booleans_have_no_difference():
    with pytest.raises(DtypeError, match="xor"):
        sg.tensor([True]) - sg.tensor([False])
    with pytest.raises(DtypeError, match="logical_not"):
        -sg.tensor([True])


def test_bits_of_floats_are_an_error():
    with pytest.raises(DtypeError, match=r"bitwise_and.*float32"):
        sg.tensor([1.0]) & 1


def test_shapes_that_do_not_broadcast_are_an_error():
    with pytest.raises(OpError, match=r"Add.*float32\[2\].*float32\[3\]"):
        sg.symbol((2,)) + sg.symbol((3,))


@pytest.mark.parametrize("op", [ops.max, ops.min, ops.argmax, ops.argmin, ops.nanmax])
def test_the_extreme_of_nothing_is_an_error(op):
    with pytest.raises(ShapeError, match=r"float32\[0, 3\].*axis 0"):
        op(np.zeros((0, 3), np.float32), axis=0)
    with pytest.raises(ShapeError, match=r"float32\[0, N\]"):
        op(sg.symbol((0, "N")))


def test_the_mean_of_nothing_is_nan():
    with warnings.catch_warnings():
        assert np.isnan(ops.mean(np.zeros((0, 3), np.float32)).numpy())


@pytest.mark.parametrize("axis", [2, -3, (0, 5)])
def test_an_axis_that_is_not_there_is_an_error(axis):
    with pytest.raises(ShapeError, match=r"not among the 2 axes of float32\[2, 3\]"):
        ops.sum(sg.symbol((2, 3)), axis=axis)


def test_an_axis_named_twice_is_an_error():
    with pytest.raises(ShapeError, match="twice"):
        ops.sum(sg.symbol((2, 3)), axis=(1, -1))


def test_the_sign_of_zero_survives_copysign():
    assert np.signbit(ops.copysign(sg.tensor([0.0, 1.0]), sg.tensor([-0.0, -0.0])).numpy()).all()


@pytest.mark.parametrize(("dtype", "expected"), [
    ("uint8", [0, 255, 0, 0, 200]), ("int8", [-128, 127, 0, -5, 127]), ("int32", [-(2**31), 2**31 - 1, 0, -5, 200]),
    ("int64", [-(2**63), 2**63 - 1, 0, -5, 200]), ("bool", [True, True, True, True, True])])
def test_saturate_cast_stays_in_range(dtype, expected):
    x = np.float32([-1e30, 1e30, np.nan, -5.5, 200.7])

    assert ops.saturate_cast(x, dtype).tolist() == expected


def test_saturate_cast_of_integers_stays_in_range():
    assert ops.saturate_cast(np.int64([-(2**40), 2**40, 7]), "int32").tolist() == [-(2**31), 2**31 - 1, 7]
    assert ops.saturate_cast(np.uint8([200, 7]), "int8").tolist() == [127, 7]
    assert ops.saturate_cast(np.int8([-3, 7]), "uint64").tolist() == [0, 7]


def test_questions_about_dtypes():
    x = sg.tensor([1.0])

    assert ops.is_float(x) and not ops.is_int(x) and not ops.is_bool("float16") and ops.is_int("uint8")
    assert ops.is_tensor(x) and ops.is_tensor(sg.symbol(())) and not ops.is_tensor(np.ones(1))
    assert ops.result_type(x, "float64") == "float64"


def test_arrays_of_different_shapes_are_not_equal():
    assert not bool(ops.array_equal(np.ones(2), np.ones(3)))
    assert not bool(ops.array_equal(np.ones(2), np.ones((2, 1))))


def test_quantiles_outside_of_0_to_1_are_an_error():
    with pytest.raises(OpError, match=r"1\.5"):
        ops.quantile(np.ones(3), 1.5)
    with pytest.raises(OpError, match="linear"):
        ops.quantile(np.ones(3), 0.5, method="cubic")
