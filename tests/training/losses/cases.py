"""Losses on random and edge inputs: what is asked of Keras, once, and of symgraph, always."""

from pathlib import Path

import numpy as np

RECORDED = Path(__file__).with_name("recorded.json")

_rng = np.random.default_rng(7)


def _softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _normal(*shape):
    return _rng.standard_normal(shape).astype(np.float32)


def _uniform(*shape):
    return _rng.random(shape).astype(np.float32)


def _unit(*shape):
    x = _normal(*shape)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


_labels = _rng.integers(0, 5, 6)
_cube_labels = _rng.integers(0, 3, (2, 4))

DATA = {
    "numbers": _normal(6, 5), "others": _normal(6, 5), "positive": 3 * _uniform(6, 5), "rates": 3 * _uniform(6, 5),
    "bits": (_uniform(6, 5) > 0.5).astype(np.float32), "signs": np.sign(_normal(6, 5)),
    "probabilities": _uniform(6, 5), "logits": 4 * _normal(6, 5),
    "one_hot": np.eye(5, dtype=np.float32)[_labels], "labels": _labels, "label_column": _labels[:, None],
    "simplex": _softmax(_normal(6, 5)).astype(np.float32), "targets": _softmax(_normal(6, 5)).astype(np.float32),
    "certain": np.eye(5, dtype=np.float32)[[0, 1, 2, 3, 4, 0]], "zeros": np.zeros((6, 5), np.float32),
    "large": 100 * _normal(6, 5), "some_ignored": np.where(np.arange(6) % 3 == 0, -1, _labels),
    "column": _normal(6, 1), "vector": _normal(6), "other_vector": _normal(6),
    "cube_logits": _normal(2, 4, 3), "cube_labels": _cube_labels, "cube_first": _normal(2, 3, 4),
    "cube_one_hot": np.eye(3, dtype=np.float32)[_cube_labels],
    "cube_ignored": np.where(_cube_labels == 1, 255, _cube_labels),
    "embeddings": _unit(6, 4), "classes": np.array([0, 1, 0, 2, 2, 0]), "lonely": np.arange(6),
    "spelling": np.array([[1, 2, 2, 3], [3, 1, 0, 0], [2, 0, 0, 0]]), "sounds": _normal(3, 9, 5),
    "weights": _uniform(6), "weight_column": _uniform(6, 1),
    "cube_weights": _uniform(2, 4), "no_weights": np.zeros(6, np.float32),
}

FUNCTIONS = [
    ("mean_squared_error", {}, "numbers", "others"),
    ("mean_squared_error", {}, "vector", "column"),
    ("mean_squared_error", {}, "vector", "other_vector"),
    ("mean_absolute_error", {}, "numbers", "others"),
    ("mean_absolute_error", {}, "column", "vector"),
    ("mean_absolute_percentage_error", {}, "numbers", "others"),
    ("mean_absolute_percentage_error", {}, "zeros", "simplex"),
    ("mean_squared_logarithmic_error", {}, "positive", "rates"),
    ("mean_squared_logarithmic_error", {}, "numbers", "others"),
    ("huber", {}, "numbers", "others"),
    ("huber", {"delta": 0.3}, "numbers", "others"),
    ("log_cosh", {}, "numbers", "others"),
    ("log_cosh", {}, "large", "numbers"),
    ("poisson", {}, "positive", "rates"),
    ("poisson", {}, "positive", "zeros"),
    ("cosine_similarity", {}, "numbers", "others"),
    ("cosine_similarity", {"axis": 0}, "numbers", "others"),
    ("cosine_similarity", {}, "numbers", "zeros"),
    ("kl_divergence", {}, "targets", "simplex"),
    ("kl_divergence", {}, "targets", "certain"),
    ("kl_divergence", {}, "certain", "zeros"),
    ("binary_crossentropy", {}, "bits", "probabilities"),
    ("binary_crossentropy", {}, "bits", "certain"),
    ("binary_crossentropy", {"from_logits": True}, "bits", "logits"),
    ("binary_crossentropy", {"from_logits": True}, "bits", "large"),
    ("binary_crossentropy", {"label_smoothing": 0.2, "axis": 0}, "bits", "probabilities"),
    ("binary_focal_crossentropy", {}, "bits", "probabilities"),
    ("binary_focal_crossentropy", {"apply_class_balancing": True, "gamma": 3.0}, "bits", "probabilities"),
    ("binary_focal_crossentropy", {"from_logits": True, "label_smoothing": 0.1}, "bits", "logits"),
    ("binary_focal_crossentropy", {"gamma": 0.0}, "bits", "certain"),
    ("categorical_crossentropy", {}, "one_hot", "simplex"),
    ("categorical_crossentropy", {}, "one_hot", "probabilities"),
    ("categorical_crossentropy", {}, "one_hot", "certain"),
    ("categorical_crossentropy", {"from_logits": True}, "targets", "logits"),
    ("categorical_crossentropy", {"from_logits": True}, "one_hot", "large"),
    ("categorical_crossentropy", {"label_smoothing": 0.1}, "one_hot", "simplex"),
    ("categorical_crossentropy", {"from_logits": True, "axis": 1}, "cube_first", "cube_first"),
    ("categorical_focal_crossentropy", {}, "one_hot", "simplex"),
    ("categorical_focal_crossentropy", {"from_logits": True, "alpha": 0.5, "gamma": 1.5}, "one_hot", "logits"),
    ("categorical_focal_crossentropy", {"label_smoothing": 0.1}, "one_hot", "certain"),
    ("sparse_categorical_crossentropy", {}, "labels", "simplex"),
    ("sparse_categorical_crossentropy", {}, "label_column", "probabilities"),
    ("sparse_categorical_crossentropy", {}, "labels", "certain"),
    ("sparse_categorical_crossentropy", {"from_logits": True}, "labels", "logits"),
    ("sparse_categorical_crossentropy", {"from_logits": True}, "labels", "large"),
    ("sparse_categorical_crossentropy", {"from_logits": True, "ignore_class": -1}, "some_ignored", "logits"),
    ("sparse_categorical_crossentropy", {"ignore_class": -1}, "some_ignored", "simplex"),
    ("sparse_categorical_crossentropy", {"from_logits": True}, "cube_labels", "cube_logits"),
    ("sparse_categorical_crossentropy", {"from_logits": True, "ignore_class": 255}, "cube_ignored", "cube_logits"),
    ("hinge", {}, "signs", "others"),
    ("hinge", {}, "bits", "others"),
    ("hinge", {}, "numbers", "others"),
    ("squared_hinge", {}, "bits", "others"),
    ("categorical_hinge", {}, "one_hot", "others"),
    ("dice", {}, "bits", "probabilities"),
    ("dice", {"axis": 1}, "bits", "probabilities"),
    ("dice", {}, "zeros", "zeros"),
    ("tversky", {"alpha": 0.3, "beta": 0.7}, "bits", "probabilities"),
    ("tversky", {"axis": [1]}, "bits", "probabilities"),
    ("circle", {}, "classes", "embeddings"),
    ("circle", {"gamma": 20.0, "margin": 0.25, "remove_diagonal": False}, "classes", "embeddings"),
    ("circle", {}, "lonely", "embeddings"),
    ("ctc", {}, "spelling", "sounds"),
]
"""A function, its arguments, and the names of targets and predictions."""

_NONE = {"reduction": "none"}

OBJECTS = [
    *((name, {"reduction": reduction}, "numbers", "others", weights)
      for name in ("MeanSquaredError",) for reduction in
      ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none")
      for weights in (None, "weights", "weight_column", "no_weights")),
    *((name, {}, "positive", "rates", weights)
      for name in ("MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredLogarithmicError", "Huber",
                   "LogCosh", "Poisson", "CosineSimilarity") for weights in (None, "weights")),
    *((name, {}, "bits", "probabilities", weights)
      for name in ("BinaryCrossentropy", "BinaryFocalCrossentropy", "Hinge", "SquaredHinge", "CategoricalHinge", "Dice",
                   "Tversky") for weights in (None, "weights")),
    *((name, {}, "one_hot", "simplex", weights)
      for name in ("CategoricalCrossentropy", "CategoricalFocalCrossentropy", "KLDivergence")
      for weights in (None, "weights")),
    ("Huber", {"delta": 0.5}, "numbers", "others", None),
    ("CosineSimilarity", {"axis": 0}, "numbers", "others", None),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "bits", "logits", "weights"),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "one_hot", "logits", "weights"),
    ("CategoricalCrossentropy", {"from_logits": True}, "cube_one_hot", "cube_logits", "cube_weights"),
    ("SparseCategoricalCrossentropy", {}, "labels", "simplex", None),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "label_column", "logits", "weights"),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "cube_labels", "cube_logits", "cube_weights"),
    ("SparseCategoricalCrossentropy", {"ignore_class": -1}, "some_ignored", "simplex", None),
    ("SparseCategoricalCrossentropy", {"ignore_class": -1}, "some_ignored", "simplex", "weights"),
    ("SparseCategoricalCrossentropy", {"ignore_class": -1, "reduction": "mean_with_sample_weight"}, "some_ignored",
     "simplex", "weights"),
    ("SparseCategoricalCrossentropy", {"ignore_class": -1, "reduction": "sum"}, "some_ignored", "simplex", "weights"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 255, "from_logits": True}, "cube_ignored", "cube_logits",
     "cube_weights"),
    ("CategoricalGeneralizedCrossEntropy", {}, "labels", "simplex", None),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.7, **_NONE}, "labels", "certain", None),
    ("Dice", {"axis": (1,), **_NONE}, "bits", "probabilities", None),
    ("Tversky", {"alpha": 0.2, "beta": 0.8, "axis": (1,)}, "bits", "probabilities", None),
    ("Circle", {}, "classes", "embeddings", None),
    ("Circle", {"remove_diagonal": False, "gamma": 10.0}, "classes", "embeddings", "weights"),
    ("Circle", {}, "lonely", "embeddings", None),
    ("CTC", {}, "spelling", "sounds", None),
]
"""A class, its arguments, and the names of targets, predictions and weights."""


def row_name(row):
    """What a row is called."""
    return " ".join(str(x) for x in row)
