"""NumPy's functions on symbols and values."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.core.errors import ImmutableError, OpError
from symgraph.core.tensor import Operand
from symgraph.runtime import evaluate

X = np.float32([[1.0, -2.0, 3.0], [0.5, 4.0, -6.0]])

CALLS = {
    "np.tanh": np.tanh, "np.float32 * x": lambda x: np.float32(2) * x,
    "array - x": lambda x: np.ones(3, np.float32) - x,
    "np.sum": np.sum, "np.sum axis": lambda x: np.sum(x, axis=0), "np.sum place": lambda x: np.sum(x, 1, keepdims=True),
    "np.mean": lambda x: np.mean(x, axis=(0, 1)), "np.max": lambda x: np.max(x, 0), "np.amin": np.amin,
    "np.std": lambda x: np.std(x, axis=1), "np.clip": lambda x: np.clip(x, -1, 2), "np.clip names": lambda x: np.clip(
        x, a_min=-1, a_max=2), "np.round": lambda x: np.round(x, 1), "np.around": np.around, "np.abs": np.abs,
    "np.power": lambda x: np.power(x, 2), "np.square": np.square, "np.maximum": lambda x: np.maximum(x, 0),
    "np.add.reduce": lambda x: np.add.reduce(x), "np.maximum.reduce": lambda x: np.maximum.reduce(x, axis=1),
    "np.multiply.reduce": lambda x: np.multiply.reduce(x, axis=None), "np.isnan": np.isnan,
    "np.logical_and": lambda x: np.logical_and(x > 0, x < 3), "np.floor_divide": lambda x: np.floor_divide(x, 2),
    "np.median": lambda x: np.median(x, axis=0), "np.nan_to_num": np.nan_to_num, "np.deg2rad": np.deg2rad,
    "np.arctan2": lambda x: np.arctan2(x, np.float32(1)), "np.divmod": lambda x: np.divmod(x, np.float32(2))[1],
    "np.count_nonzero": lambda x: np.count_nonzero(x > 0), "np.any": lambda x: np.any(x > 3), "np.all": np.all,
    "np.var": np.var, "np.quantile": lambda x: np.quantile(x, 0.25), "np.isclose": lambda x: np.isclose(x, x),
    "np.concatenate": lambda x: np.concatenate([x, x], axis=1), "np.stack": lambda x: np.stack([x, x]),
    "np.transpose": np.transpose, "np.reshape": lambda x: np.reshape(x, (3, 2)),
    "np.where": lambda x: np.where(x > 0, x, -x),
    "np.matmul": lambda x: np.matmul(x, np.ones((3, 2), np.float32)), "np.expand_dims": lambda x: np.expand_dims(x, 1),
    "np.squeeze": lambda x: np.squeeze(x[:1]), "np.dot": lambda x: np.dot(x, np.ones(3, np.float32)),
    "np.tile": lambda x: np.tile(x, (2, 1)), "np.repeat": lambda x: np.repeat(x, 2, axis=0),
    "np.einsum": lambda x: np.einsum("ij,kj->ik", x, x), "np.flip": lambda x: np.flip(x, 0),
    "np.swapaxes": lambda x: np.swapaxes(x, 0, 1), "np.take": lambda x: np.take(x, [1, 0], axis=1),
    "np.zeros_like": np.zeros_like, "np.cumsum": lambda x: np.cumsum(x, axis=1), "np.sort": np.sort,
    "np.pad": lambda x: np.pad(x, 1), "np.split": lambda x: np.split(x, 3, axis=1)[1],
    "np.outer": lambda x: np.outer(x, x),
    "np.broadcast_to": lambda x: np.broadcast_to(x, (4, 2, 3)), "np.diff": np.diff, "np.ravel": np.ravel,
    "np.add dtype": lambda x: np.add(x, x, dtype=np.float64), "np.tensordot": lambda x: np.tensordot(x, x.T, 1),
}


@pytest.mark.parametrize("call", [pytest.param(call, id=name) for name, call in CALLS.items()])
def test_numpy_functions_give_the_same_on_symbols_as_on_arrays(call):
    x = sg.symbol((2, 3), name="x")

    result = call(x)

    assert isinstance(result, Operand)
    (found,) = evaluate(sg.Graph([x], [result]), X)
    np.testing.assert_allclose(found.numpy(), call(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("call", [pytest.param(call, id=name) for name, call in CALLS.items()])
def test_numpy_functions_give_values_on_values(call):
    result = call(sg.tensor(X))

    assert isinstance(result, sg.Tensor)
    np.testing.assert_allclose(result.numpy(), call(X), rtol=1e-5, atol=1e-6)


def test_shape_and_ndim_need_no_op():
    x = sg.symbol(("N", 3))

    assert np.shape(x) == ("N", 3) and np.ndim(x) == 2


def test_a_numpy_function_without_an_op_says_so_on_symbols():
    x = sg.symbol((2, 3))

    with pytest.raises(OpError, match=r"np\.linalg\.cond.*float32\[2, 3\]"):
        np.linalg.cond(x)
    with pytest.raises(OpError, match=r"np\.spacing"):
        np.spacing(x)
    with pytest.raises(OpError, match=r"np\.fft\.fft"):
        np.fft.fft(x)
    with pytest.raises(OpError, match=r"np\.add\.outer"):
        np.add.outer(x, x)


def test_a_parameter_without_a_counterpart_says_so_on_symbols():
    with pytest.raises(OpError, match=r"np.sum.*where="):
        np.sum(sg.symbol((2, 3)), where=np.ones((2, 3), bool))
    with pytest.raises(OpError, match=r"np.add.*where="):
        np.add(sg.symbol((3,)), 1, where=np.ones(3, bool))


def test_a_numpy_function_without_an_op_works_on_values():
    assert np.linalg.cond(sg.tensor(np.eye(2))) == 1.0
    np.testing.assert_array_equal(np.spacing(sg.tensor([1.0])), np.spacing(np.float32([1.0])))
    assert np.array2string(sg.tensor([1.0, 2.0])) == "[1. 2.]"


def test_an_operand_cannot_be_written_to():
    x = sg.tensor([1.0])

    with pytest.raises(ImmutableError, match="out="):
        np.add(x, x, out=x)


def test_an_array_plus_a_symbol_is_a_symbol():
    assert isinstance(np.ones(3, np.float32) + sg.symbol((3,)), sg.SymbolicTensor)
    assert isinstance(np.ones((2, 3), np.float32) @ sg.symbol((3,)), sg.SymbolicTensor)
