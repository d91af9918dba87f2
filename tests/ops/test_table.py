"""Every row of every `table_*.py`: symbols = values = NumPy."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from symgraph.core.apply import symbol
from symgraph.core.graph import Graph
from symgraph.core.tensor import Operand
from symgraph.core.types import TensorType, as_dtype, is_floating
from symgraph.core.value import tensor
from symgraph.runtime import evaluate

HERE = Path(__file__).parent


def load(path):
    """Import a file of this folder by its path, so that the tests need no `sys.path`."""
    name = f"tests.ops.{path.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


load(HERE / "table.py")
ROWS = [row for path in sorted(HERE.glob("table_*.py")) for row in load(path).ROWS]
ENTRIES = [pytest.param(row, dtype, id=f"{row.name}-{dtype}")
           for row in ROWS for dtype in row.dtypes if dtype not in row.not_dtypes]


def inputs(row, dtype):
    for number, (name, make) in enumerate(row.cases().items()):
        yield name, make(np.random.default_rng(number), dtype)


def flat(results):
    return list(results) if isinstance(results, tuple | list) else [results]


def values(row, arrays):
    return flat(row.function(*(tensor(x) for x in arrays)))


def check_symbols(row, dtype, shape_of):
    for name, arrays in inputs(row, dtype):
        expected = [x.numpy() for x in values(row, arrays)]
        symbols = [symbol(shape_of(x), as_dtype(x.dtype), name=f"x{i}") for i, x in enumerate(arrays)]
        results = flat(row.function(*symbols))
        assert all(isinstance(x, Operand) for x in results)
        found = evaluate(Graph(symbols, results), *arrays)
        assert len(found) == len(expected)
        for symbolic, x, value in zip(results, found, expected, strict=True):
            check_type(symbolic.type, value, name)
            assert x.numpy().dtype == value.dtype and x.shape == value.shape, f"case {name}"
            np.testing.assert_array_equal(x.numpy(), value, f"case {name}")


def check_type(inferred, value, name):
    assert isinstance(inferred, TensorType) and inferred.dtype == as_dtype(value.dtype), f"case {name}: {inferred}"
    assert inferred.shape is not None and len(inferred.shape) == value.ndim, f"case {name}: {inferred}"
    assert all(not isinstance(d, int) or d == n for d, n in zip(inferred.shape, value.shape, strict=True)), (
        f"case {name}: {inferred}, but the value has shape {value.shape}")


@pytest.mark.parametrize(("row", "dtype"), ENTRIES)
def test_values_equal_the_reference(row, dtype):
    for name, arrays in inputs(row, dtype):
        found = [x.numpy() for x in values(row, arrays)]
        expected = row.expected(arrays, dtype)
        assert len(found) == len(expected)
        for x, y in zip(found, expected, strict=True):
            assert x.dtype == y.dtype, f"case {name}: {x.dtype} instead of {y.dtype}"
            assert x.shape == y.shape, f"case {name}: {x.shape} instead of {y.shape}"
            if is_floating(as_dtype(y.dtype)):
                tolerance = row.tolerance(as_dtype(y.dtype))
                np.testing.assert_allclose(x.astype(np.float64), y.astype(np.float64), rtol=tolerance,
                                           atol=tolerance, err_msg=f"case {name}")
            else:
                np.testing.assert_array_equal(x, y, f"case {name}")


@pytest.mark.parametrize(("row", "dtype"), ENTRIES)
def test_symbols_with_exact_shapes_equal_values(row, dtype):
    check_symbols(row, dtype, lambda array: array.shape)


@pytest.mark.parametrize(("row", "dtype"), ENTRIES)
def test_symbols_with_open_dimensions_equal_values(row, dtype):
    check_symbols(row, dtype, lambda array: (None,) * array.ndim)
