"""What dtypes operands of different kinds become."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import ops
from symgraph.core.errors import DtypeError
from symgraph.core.tensor import SymbolicTensor
from symgraph.ops.promotion import as_operand, promote, promote_to_float


def tensor(dtype):
    return sg.tensor([1, 0, 1], dtype=dtype)


@pytest.mark.parametrize(("value", "dtype", "expected"), [
    (2, "float32", "float32"), (2, "float64", "float64"), (2, "float16", "float16"), (2, "int8", "int8"),
    (2, "bool", "int32"), (True, "bool", "bool"), (True, "int64", "int64"), (True, "float32", "float32"),
    (2.5, "float64", "float64"), (2.5, "float16", "float16"), (2.5, "bfloat16", "bfloat16"), (2.5, "int64", "float32"),
    (2.5, "bool", "float32"), ([1, 2, 3], "float64", "float64"), ([1, 2, 3], "int8", "int8"),
    ([1.5, 2, 3], "int32", "float32"), ([1.5, 2, 3], "float16", "float16"), ([True, False, True], "int32", "int32"),
    (range(3), "int64", "int64"),
])
@pytest.mark.parametrize("is_first", [True, False])
def test_python_numbers_follow_tensors(value, dtype, expected, is_first):
    pair = promote(value, tensor(dtype)) if is_first else promote(tensor(dtype), value)

    assert [x.dtype for x in pair] == [expected, expected]


@pytest.mark.parametrize(("a", "b", "expected"), [
    ("int32", "float16", "float16"), ("int64", "float32", "float32"), ("float32", "float64", "float64"),
    ("int8", "uint8", "int16"), ("uint32", "int32", "int64"), ("bool", "uint8", "uint8"),
    ("float16", "bfloat16", "float32"), ("uint64", "int64", "float32")])
def test_tensors_of_two_dtypes_promote(a, b, expected):
    assert ops.multiply(tensor(a), tensor(b)).dtype == expected
    assert (tensor(b) * tensor(a)).dtype == expected


def test_numpy_values_keep_their_dtype():
    assert (np.float64(2) * tensor("float32")).dtype == "float64"
    assert (tensor("float32") * np.ones(3)).dtype == "float64"
    assert (np.float32(2) * tensor("int32")).dtype == "float32"


def test_python_numbers_alone_are_int32_and_float32():
    assert ops.add(1, 2).dtype == "int32"
    assert ops.add(1, 2.0).dtype == "float32"
    assert ops.add(True, 2).dtype == "int32"


@pytest.mark.parametrize(("dtype", "number"), [("uint8", 300), ("uint8", -1), ("int8", 128), ("int32", 2**31)])
def test_a_number_out_of_range_is_an_error_with_both(dtype, number):
    with pytest.raises(DtypeError, match=rf"{dtype}.*{number}"):
        tensor(dtype) + number
    with pytest.raises(DtypeError, match=rf"{dtype}.*{number}"):
        ops.add(tensor(dtype), [number, 0, 0])


def test_dtypes_without_a_common_one_are_an_error():
    with pytest.raises(DtypeError, match="string"):
        ops.equal(sg.tensor(["a"]), sg.tensor([1]))
    with pytest.raises(DtypeError, match="complex64"):
        tensor("float32") + 1j


def test_strings_compare_with_a_python_string():
    assert ops.equal(sg.tensor(["a", "b"]), "a").tolist() == [True, False]


def test_operands_of_one_dtype_are_handed_on():
    x, y = tensor("float32"), tensor("float32")

    assert promote(x, y)[0] is x and promote(x, y)[1] is y


def test_patterns_pass_through():
    pattern = SymbolicTensor(None)

    assert promote(pattern, 2) == (pattern, 2) or promote(pattern, 2)[0] is pattern
    assert promote_to_float(pattern)[0] is pattern


def test_as_operand_casts():
    assert as_operand([1, 2], "float64").dtype == "float64"
    assert as_operand(tensor("int32"), "bool").dtype == "bool"
    assert as_operand(sg.symbol((3,)), "float16").dtype == "float16"
    with pytest.raises(DtypeError, match=r"int8.*1000"):
        as_operand(1000, "int8")


def test_two_values_of_different_dtypes_are_cast_in_the_graph():
    graph = sg.Graph([x := sg.symbol((2,), "int32", "x")], [x * 1.5])

    assert [node.op.name for node in graph.nodes] == ["Cast", "Mul"]
