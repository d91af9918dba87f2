"""Class weights: every sample weighs what its class does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from symgraph.core.errors import TrainingError
from symgraph.training.data.columns import Array


def check_class_weight(class_weight: Any) -> dict[int, float]:
    """The weights by class number.

    Errors: `TrainingError` for what is not a dict of whole numbers to numbers.
    """
    if not isinstance(class_weight, Mapping):
        raise TrainingError(f"class_weight is a dict of class numbers to weights, such as {{0: 1.0, 1: 5.0}}, "
                            f"got {type(class_weight).__name__}")
    checked = {}
    for key, weight in class_weight.items():
        if isinstance(key, bool) or not isinstance(key, int | np.integer):
            raise TrainingError(f"class_weight has the key {key!r}; classes are whole numbers, as in y")
        if isinstance(weight, bool) or not isinstance(weight, int | float | np.integer | np.floating):
            raise TrainingError(f"class_weight gives class {key} the weight {weight!r}, which is no number")
        checked[int(key)] = float(weight)
    return checked


def weights_by_class(y: Array, class_weight: Mapping[int, float]) -> Array:
    """The weight of every sample, float32: that of its class, 1 for classes without one, as in Keras.

    `y` is sparse, `(samples,)` or `(samples, 1)`, or one row of scores a sample (one-hot), whose largest is its class.

    Errors: `TrainingError` for other shapes, and for classes beyond the columns of one-hot rows.

    >>> weights_by_class(np.array([0, 1, 1, 2]), {0: 0.5, 1: 3.0}).tolist()
    [0.5, 3.0, 3.0, 1.0]
    """
    if y.ndim not in (1, 2) or y.dtype.kind not in "biuf":
        raise TrainingError(f"class_weight needs y with one class a sample, of shape (samples,), (samples, 1) or "
                            f"one-hot (samples, classes); got {y.dtype} of shape {y.shape}; give sample_weight instead")
    if y.ndim == 2 and y.shape[1] > 1:
        beyond = [key for key in class_weight if not 0 <= key < y.shape[1]]
        if beyond:
            raise TrainingError(f"class_weight has the unknown class {beyond[0]}; y has {y.shape[1]} columns, the "
                                f"classes 0 to {y.shape[1] - 1}")
        classes = y.argmax(axis=1)
    else:
        classes = np.round(y).astype(np.int64).reshape(-1)
    known, places = np.unique(classes, return_inverse=True)
    weights = np.array([class_weight.get(int(c), 1.0) for c in known], np.float32)
    result: Array = weights[places.reshape(-1)]
    return result
