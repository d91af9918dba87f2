"""The table of ops: one row says what an op must equal; `test_table.py` runs every row.

A `tests/ops/table_FAMILY.py` defines `ROWS`, a list of `Row`. For each row, dtype and case the driver checks:
values (eager) = the reference, in numbers, dtype and shape; symbols with the exact shapes, and with all
dimensions open, = values bit for bit; the types inferred for the symbols hold.

    Row("clip", lambda x: ops.clip(x, -1, 1), shapes(1), lambda x: np.clip(x, -1, 1))
    Row("take", lambda x, i: ops.take(x, i, axis=1), lambda rng, dtype: (normal(rng, (3, 4), dtype), np.int32([2])),
        lambda x, i: np.take(x, i, axis=1), dtypes=NUMBER_DTYPES)

`inputs` is a tuple of arrays (cast to each dtype where they are float32), a function of (rng, dtype) giving a
tuple of arrays, or a dictionary of such functions by case name: `shapes(arity)` gives the table of shapes.
The reference gets the arrays and gives an array or a tuple of them; `result` is the dtype it must have,
where that is not the reference's own (float64 made of other dtypes counts as float32). `rtol` is for
float32 and scales with the dtype's precision. `not_dtypes` says why a dtype is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symgraph.core.types import is_floating, numpy_dtype

Arrays = tuple[np.ndarray, ...]
Case = Callable[[np.random.Generator, str], Arrays]

FLOAT_DTYPES = ("float32", "float64")
INT_DTYPES = ("int32", "int64")
NUMBER_DTYPES = FLOAT_DTYPES + INT_DTYPES
ALL_DTYPES = (*NUMBER_DTYPES, "bool")


@dataclass(frozen=True)
class Row:
    """One op and what it must equal; see the module's docstring."""

    name: str
    function: Callable[..., Any]
    inputs: Arrays | Case | Mapping[str, Case]
    reference: Callable[..., Any]
    dtypes: tuple[str, ...] = FLOAT_DTYPES
    result: str | Callable[[str], str] | None = None
    rtol: float = 2e-6
    not_dtypes: Mapping[str, str] = field(default_factory=dict)

    def cases(self) -> Mapping[str, Case]:
        """The inputs by the name of the case."""
        if isinstance(self.inputs, Mapping):
            return self.inputs
        if callable(self.inputs):
            return {"case": self.inputs}
        fixed = self.inputs
        return {"fixed": lambda rng, dtype: tuple(
            x.astype(numpy_dtype(dtype)) if x.dtype == np.float32 else x for x in map(np.asarray, fixed))}

    def expected(self, arrays: Arrays, dtype: str) -> Arrays:
        """What the op must give, in the dtype it must have."""
        with np.errstate(all="ignore"):
            results = self.reference(*arrays)
        results = results if isinstance(results, tuple | list) else (results,)
        return tuple(np.asarray(x).astype(self._result_dtype(np.asarray(x), arrays, dtype)) for x in results)

    def _result_dtype(self, result: np.ndarray, arrays: Arrays, dtype: str) -> np.dtype:
        if self.result is not None:
            return numpy_dtype(self.result if isinstance(self.result, str) else self.result(dtype))
        if result.dtype == np.float64 and all(x.dtype != np.float64 for x in arrays):
            return np.dtype(np.float32)
        return result.dtype

    def tolerance(self, dtype: str) -> float:
        """The relative and absolute difference allowed in `dtype`."""
        eps = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
        return self.rtol * eps[dtype] / eps["float32"] if dtype in eps else 0.0


SHAPES: Mapping[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = {
    "scalar": ((), (), ()),
    "empty": ((0, 3), (0, 3), (0, 3)),
    "empty broadcast": ((0, 3), (3,), (1, 1)),
    "size 1": ((1, 1), (1, 1), (1, 1)),
    "ordinary": ((3, 4), (3, 4), (3, 4)),
    "scalar right": ((2, 3), (), ()),
    "scalar left": ((), (2, 3), (3,)),
    "rows and columns": ((3, 1), (1, 4), (4,)),
    "more ranks": ((2, 1, 3), (4, 1), (2, 4, 3)),
}


def shapes(arity: int, low: float = -3.0, high: float = 3.0, *, is_nonzero: bool = False) -> dict[str, Case]:
    """The table of shapes for an elementwise op of `arity` operands with numbers from `low` to `high`."""
    names = list(SHAPES) if arity > 1 else ["scalar", "empty", "size 1", "ordinary"]

    def case(name: str) -> Case:
        return lambda rng, dtype: tuple(
            uniform(rng, shape, dtype, low, high, is_nonzero=is_nonzero) for shape in SHAPES[name][:arity])

    return {name: case(name) for name in names}


def uniform(rng: np.random.Generator, shape: tuple[int, ...], dtype: str, low: float = -3.0, high: float = 3.0,
            *, is_nonzero: bool = False) -> np.ndarray:
    """Numbers between `low` and `high` in `dtype`: whole ones for integers (from 0 for unsigned), coins for bool."""
    if dtype == "bool":
        return np.asarray(rng.integers(0, 2, shape).astype(bool))
    if is_floating(dtype):
        return np.asarray(rng.uniform(low, high, shape)).astype(numpy_dtype(dtype))
    first = max(int(np.ceil(low)), 0) if dtype.startswith("u") else int(np.ceil(low))
    numbers = np.asarray(rng.integers(first, int(np.floor(high)) + 1, shape))
    return np.where(numbers == 0, 1 if is_nonzero else 0, numbers).astype(numpy_dtype(dtype))


def normal(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Normal numbers in a float dtype; whole numbers from -9 to 9 (0 to 9 for unsigned) in an integer one."""
    if is_floating(dtype):
        return np.asarray(rng.normal(size=shape)).astype(numpy_dtype(dtype))
    return uniform(rng, shape, dtype, -9, 9)


def special(*columns: tuple[float, ...]) -> Case:
    """The numbers given, one column an operand: NaN, infinities, signed zeros, limits."""
    return lambda rng, dtype: tuple(np.array(column).astype(numpy_dtype(dtype)) for column in columns)
