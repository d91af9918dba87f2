import numpy as np
import pytest

import symgraph as sg
from symgraph.core.apply import apply_op, symbol
from symgraph.core.errors import DtypeError, OpError, UnsupportedOpError
from symgraph.core.op import find_op
from symgraph.core.scope import layer_scope, tracing


def test_a_symbol_gives_a_symbol_and_a_value_a_value():
    assert isinstance(apply_op("Relu", symbol((2,))), sg.SymbolicTensor)
    assert apply_op("Relu", np.float32([-1, 2])).tolist() == [0, 2]


@pytest.mark.parametrize(("op", "shapes", "attributes", "expected"), [
    ("MatMul", [("N", 3), (3, 5)], {}, ("N", 5)),
    ("Add", [("N", 1, 4), (7, 1)], {}, ("N", 7, 4)),
    ("Conv", [("N", 3, 8, None), (5, 3, 3, 3)], {"strides": [2, 2]}, ("N", 5, 3, None)),
    ("Transpose", [("a", "b", 2)], {"perm": [2, 0, 1]}, (2, "a", "b")),
])
def test_shapes_are_inferred_and_names_kept(op, shapes, attributes, expected):
    assert apply_op(op, *map(symbol, shapes), **attributes).shape == expected


@pytest.mark.parametrize(("wanted", "expected"), [
    ([0, -1], ("N", 12)), ([-1, 6], (None, 6)), ([-1, 3, 4], ("N", 3, 4)), ([-1], (None,))])
def test_a_reshape_keeps_the_name_of_an_open_dimension(wanted, expected):
    assert apply_op("Reshape", symbol(("N", 3, 4)), wanted).shape == expected


def test_shapes_computed_in_the_graph_stay_known():
    x = symbol(("N", 3, 4))
    count = apply_op("Gather", apply_op("Shape", x), np.int64(0))
    wanted = apply_op("Concat", apply_op("Unsqueeze", count, [0]), [2, -1], axis=0)

    assert apply_op("Reshape", x, wanted).shape == ("N", 2, 6)
    assert apply_op("Expand", symbol((1, 2, 1)), apply_op("Concat", apply_op("Unsqueeze", count, [0]), [2, 5], axis=0)
                    ).shape == ("N", 2, 5)


def test_a_misfit_says_op_operands_layer_and_line():
    message = r'MatMul\(A: float32\[N, 3\], B: float32\[4, 2\]\).*"head".*test_apply.py:\d+'

    with pytest.raises(OpError, match=message), layer_scope("head"):
        apply_op("MatMul", symbol(("N", 3)), symbol((4, 2)))


@pytest.mark.parametrize(("call", "message"), [
    (lambda: apply_op("Softmax", symbol((2,)), axs=1), "axs.*axis"),
    (lambda: apply_op("Concat", symbol((2,))), "Concat.*axis.*required"),
    (lambda: apply_op("Conv", symbol((2,))), "takes 2 to 3 inputs, got 1"),
    (lambda: apply_op("Softmax", symbol((2,)), axis=1.5), "axis.*int.*1.5"),
    (lambda: apply_op("Softmax", symbol((2,)), axis=3), "axis"),
])
def test_a_wrong_call_is_refused(call, message):
    with pytest.raises(OpError, match=message):
        call()


def test_an_unknown_operator_names_the_nearest():
    with pytest.raises(UnsupportedOpError, match=r'Sofmax.*"Softmax"'):
        apply_op("Sofmax", symbol((2,)))


def test_an_operator_newer_than_the_default_opset_is_found_at_its_first_version():
    assert find_op("Attention").version == 23
    assert find_op("Relu").version == 14
    assert find_op("Squeeze", "", 11).version == 11


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8"])
def test_python_numbers_take_the_other_operands_dtype(dtype):
    assert apply_op("Mul", sg.tensor([3], dtype=dtype), 2).dtype == dtype


@pytest.mark.parametrize(("number", "dtype"), [(0.5, "int32"), (300, "uint8"), (-1, "uint8"), (2**31, "int32")])
def test_a_number_that_the_dtype_cannot_hold_is_refused(number, dtype):
    with pytest.raises(DtypeError, match=f"{dtype}.*{number}"):
        apply_op("Add", sg.tensor([3], dtype=dtype), number)


def test_variables_are_read_when_run_outside_a_trace_and_recorded_inside():
    v = sg.Variable([1.0])

    assert apply_op("Neg", v).tolist() == [-1.0]
    with tracing():
        assert isinstance(apply_op("Neg", v), sg.SymbolicTensor)


def test_absent_inputs_and_outputs_are_left_out():
    x = symbol((4, 2, 3))
    w, r = np.zeros((1, 20, 3), np.float32), np.zeros((1, 20, 5), np.float32)

    y, h, c = apply_op("LSTM", x, w, r, None, None, outputs=(False, True, False), hidden_size=5)

    assert y is None and c is None
    assert h.shape == (1, 2, 5)
