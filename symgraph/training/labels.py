"""Targets and features made ready for a model: `to_categorical`, `normalize`. Public in `sg.utils`."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph import ops
from symgraph.core.errors import TrainingError
from symgraph.core.tensor import Operand
from symgraph.core.types import is_integer
from symgraph.core.value import Tensor, as_array
from symgraph.core.variable import Variable
from symgraph.ops.sizes import as_axis, is_symbolic

__all__ = ["normalize", "to_categorical"]


def to_categorical(x: Any, num_classes: int | None = None) -> Any:
    """Class numbers as rows of 0 and 1: `y[..., k] = (x[...] == k)`.

    `x` are whole numbers from 0 on, of any shape; a last axis of size 1 is taken away. `num_classes` is one more than
    the largest unless given. The rows are float32, which models train on (Keras 3 gives float64 for arrays).

    Errors: `TrainingError` for labels that are no whole numbers, negative or not below `num_classes`; where they are
    known only when a graph runs, such rows are 0. A symbol needs `num_classes`.

    >>> to_categorical([0, 2, 1])
    array([[1., 0., 0.],
           [0., 0., 1.],
           [0., 1., 0.]], dtype=float32)
    """
    if num_classes is not None and (isinstance(num_classes, bool) or not isinstance(num_classes, int | np.integer)
                                    or num_classes < 1):
        raise TrainingError(f"to_categorical: num_classes must be a whole number from 1 on, got {num_classes!r}")
    if isinstance(x, Operand) and is_symbolic(x):
        return _of_symbol(x, num_classes)
    labels = _whole(x)
    if len(labels.shape) > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if num_classes is None and not labels.size:
        raise TrainingError("to_categorical: there are no labels to tell num_classes from; give it")
    count = int(labels.max()) + 1 if num_classes is None else int(num_classes)
    if labels.size and (labels.min() < 0 or labels.max() >= count):
        wrong = labels[(labels < 0) | (labels >= count)].flat[0]
        range_text = f"0 to {count - 1}" if num_classes is not None else "0 on"
        raise TrainingError(f"to_categorical: labels must be whole numbers from {range_text}, got {wrong}")
    rows = (labels[..., None] == np.arange(count)).astype(np.float32)
    return Tensor(rows) if isinstance(x, Operand) else rows


def _of_symbol(x: Operand, num_classes: int | None) -> Operand:
    if num_classes is None:
        raise TrainingError(f"to_categorical: the values of a symbol are not known, give num_classes for {x!r}")
    if not is_integer(x.dtype):
        raise TrainingError(f"to_categorical: labels are whole numbers, got a symbol of {x.dtype}; cast it")
    if x.ndim > 1 and isinstance(x.shape[-1], int) and x.shape[-1] == 1:
        x = ops.squeeze(x, -1)
    return ops.one_hot(x, num_classes)


def _whole(x: Any) -> np.ndarray[Any, Any]:
    """Labels as whole numbers, of an integer dtype that holds them."""
    array = x.numpy() if isinstance(x, Tensor | Variable) else as_array(x)
    if not array.size:
        return array.astype(np.int64)
    if array.dtype.kind in "iub":
        return array if array.dtype.kind != "b" else array.astype(np.int64)
    if array.dtype.kind != "f":
        raise TrainingError(f"to_categorical: labels are whole numbers, got {array.dtype} such as {array.flat[0]!r}")
    is_whole = np.isfinite(array) & (array == np.floor(array))
    if not is_whole.all():
        raise TrainingError(f"to_categorical: labels are whole numbers, got {array[~is_whole].flat[0]}")
    return array.astype(np.int64)


def normalize(x: Any, axis: int = -1, order: float = 2) -> Any:
    """`x / ‖x‖` along `axis`, the norm of the `order` given; rows whose norm is 0 stay as they are.

    Arrays give arrays, of float64 where they were of whole numbers; lists, tensors and symbols give tensors and symbols
    (`sg.ops.normalize`).

    Errors: `OpError` for an order below 1, `ShapeError` for an axis that is not there.

    >>> normalize(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    if not isinstance(order, int | float | np.number) or isinstance(order, bool) or not order >= 1:
        raise TrainingError(f"normalize: order is a number from 1 on, or infinity, got {order!r}")
    if not isinstance(x, np.ndarray):
        return ops.normalize(x, axis, order)
    if x.dtype.kind not in "fiub":
        raise TrainingError(f"normalize: takes numbers, got an array of {x.dtype}")
    values = x if x.dtype.kind == "f" else x.astype(np.float64)
    place = as_axis(axis, max(values.ndim, 1), "normalize")
    norms = np.linalg.norm(np.atleast_1d(values), order, place, keepdims=True)
    return values / np.where(norms == 0, 1, norms).astype(values.dtype).reshape(norms.shape if values.ndim else ())
