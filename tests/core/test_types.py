import ml_dtypes
import numpy as np
import onnx
import pytest

from symgraph.core.errors import DtypeError, ShapeError
from symgraph.core.types import (
    ELEM_TYPES,
    MapType,
    OptionalType,
    SequenceType,
    SparseTensorType,
    TensorType,
    as_dtype,
    as_shape,
    numpy_dtype,
    promote_dtypes,
    type_from_proto,
    type_to_proto,
)

TYPES = [
    TensorType("float32", ("N", None, 3)),
    TensorType("bfloat16", ()),
    TensorType("int64", None),
    SequenceType(TensorType("string", (None,))),
    OptionalType(SequenceType(TensorType("bool", (2,)))),
    MapType("int64", TensorType("float32", None)),
    SparseTensorType("float64", (3, "K")),
]


@pytest.mark.parametrize("value_type", TYPES, ids=str)
def test_a_type_survives_the_way_through_onnx(value_type):
    assert type_from_proto(type_to_proto(value_type)) == value_type


@pytest.mark.parametrize(("given", "name"), [
    (np.float32, "float32"), (np.dtype(">i4"), "int32"), (float, "float32"), (int, "int32"), (bool, "bool"),
    ("double", "float64"), (ml_dtypes.bfloat16, "bfloat16"), (onnx.TensorProto.INT8, "int8"), (np.str_, "string"),
    (ml_dtypes.int4, "int4"),
])
def test_a_dtype_has_one_name_however_it_is_given(given, name):
    assert as_dtype(given) == name


def test_an_unknown_dtype_names_the_nearest():
    with pytest.raises(DtypeError, match=r"float23.*float32"):
        as_dtype("float23")


def test_every_onnx_element_type_has_a_numpy_dtype():
    assert all(numpy_dtype(name) is not None for name in ELEM_TYPES)


@pytest.mark.parametrize("a", ["bool", "int8", "uint8", "int16", "int32", "uint32", "int64", "float16", "float32"])
@pytest.mark.parametrize("b", ["bool", "int8", "uint8", "int16", "int32", "uint32", "int64", "float16", "float32"])
def test_promotion_is_symmetric_and_numpy_agrees_within_a_kind(a, b):
    promoted = promote_dtypes(a, b)

    assert promoted == promote_dtypes(b, a)
    if np.dtype(a).kind == np.dtype(b).kind or "bool" in (a, b):
        assert promoted == np.promote_types(a, b).name


@pytest.mark.parametrize(("shape", "expected"), [
    (3, (3,)), ([2, None], (2, None)), ((np.int64(2), "N"), (2, "N")), ((), ()), (None, (None,))])
def test_shapes_are_taken_in_many_forms(shape, expected):
    assert as_shape(shape) == expected


@pytest.mark.parametrize("shape", [(-1, 2), (2.5,), (True,)])
def test_what_is_no_dimension_is_refused(shape):
    with pytest.raises(ShapeError, match="dimension"):
        as_shape(shape)
