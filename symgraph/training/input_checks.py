"""Inputs before training starts: whether they are there, and are what the model takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.core.errors import DtypeError, LayerError, ShapeError
from symgraph.core.tensor import SymbolicTensor
from symgraph.core.types import FLOATS, SIGNED, UNSIGNED, Shape, TensorType, is_floating, numpy_dtype

NUMBERS = frozenset((*FLOATS, *SIGNED, *UNSIGNED, "bool"))
"""The dtypes that an input for floats takes, and casts."""


def check_inputs(model: Any, types: Any) -> None:
    """Raise where data of these types, nested as they were given, are not what the inputs of `model` take.

    The number of samples is left open. A last axis of 1 may be missing or too many, as a model takes it. Models with a
    `call` of their own say themselves what they take.

    Errors: `LayerError` for missing and unknown inputs, `ShapeError` and `DtypeError` naming the input.

    >>> import symgraph as sg
    >>> model = sg.Sequential([sg.Input((4,), name="x"), sg.layers.Dense(1)])
    >>> check_inputs(model, TensorType("float32", (None, 3)))
    Traceback (most recent call last):
    ...
    symgraph.core.errors.ShapeError: input 'x': got float32[?, 3], expected float32[?, 4]
    """
    if model._is_subclass:
        return
    for wanted, name, given in zip(model.inputs, model.input_names, model._arrange(types), strict=True):
        if not isinstance(given, TensorType):
            raise LayerError(f'model "{model.name}" has one input ({name}), got {len(given)} arrays')
        if isinstance(wanted.type, TensorType):
            _check(name, given, wanted)


def _check(name: str, given: TensorType, wanted: SymbolicTensor) -> None:
    what = f"input {name!r}: got {given}, expected {wanted.type}"
    if (given.dtype == "string") != (wanted.dtype == "string"):
        raise DtypeError(what)
    if is_floating(given.dtype) and not is_floating(wanted.dtype) and not wanted.dtype.startswith("complex"):
        raise DtypeError(f"{what}; cast it with .astype({wanted.dtype!r})")
    shape = fitted_shape(given.shape or (), wanted.shape)
    if shape is None or any(isinstance(a, int) and isinstance(b, int) and a != b
                            for a, b in zip(shape[1:], wanted.shape[1:], strict=True)):
        raise ShapeError(what)


def fitted_shape(given: Shape, wanted: Shape) -> Shape | None:
    """The shape with the number of axes that is wanted, where a last one of 1 is all it has too many or too few.

    >>> fitted_shape((None,), (None, 1)), fitted_shape((None, 4, 1), (None, 4)), fitted_shape((None,), (None, 4))
    ((None, 1), (None, 4), None)
    """
    if len(given) == len(wanted):
        return given
    if len(given) == len(wanted) - 1 and len(given) > 0 and wanted[-1] == 1:
        return (*given, 1)
    return given[:-1] if len(given) == len(wanted) + 1 and given[-1] == 1 else None


def fitted_array(array: Any, wanted: object) -> Any:
    """An array as an input of this type takes it: with numbers cast to its floats, or to its whole numbers where they
    are whole and fit, and a last axis of 1 added or left out. What does not fit stays as it is.

    >>> fitted_array(np.array([1, 2]), TensorType("float32", (None, 1))).tolist()
    [[1.0], [2.0]]
    """
    if not isinstance(array, np.ndarray) or not isinstance(wanted, TensorType) or wanted.shape is None:
        return array
    if array.ndim != len(wanted.shape):
        shape = fitted_shape(array.shape, wanted.shape)
        array = array if shape is None else array.reshape(shape)
    dtype = numpy_dtype(wanted.dtype)
    if array.dtype == dtype or array.dtype.kind not in "fiub":
        return array
    if wanted.dtype in FLOATS or _holds(dtype, array):
        return array.astype(dtype)
    return array


def _holds(dtype: np.dtype[Any], array: np.ndarray[Any, Any]) -> bool:
    """Whether a dtype of whole numbers has all that are in the array."""
    if dtype.kind not in "iu" or array.dtype.kind not in "iub":
        return False
    info = np.iinfo(dtype)
    return not array.size or bool(info.min <= array.min() and array.max() <= info.max)
