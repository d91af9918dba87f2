"""Metrics on random and edge inputs, batch by batch: what is asked of Keras, once, and of symgraph, always."""

from pathlib import Path

import numpy as np

RECORDED = Path(__file__).with_name("recorded.json")

_rng = np.random.default_rng(11)


def _softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return (e / e.sum(-1, keepdims=True)).astype(np.float32)


def _normal(*shape):
    return _rng.standard_normal(shape).astype(np.float32)


def _uniform(*shape):
    return _rng.random(shape).astype(np.float32)


_labels = _rng.integers(0, 5, 16)

DATA = {
    "numbers": _normal(16, 5), "others": _normal(16, 5), "positive": 3 * _uniform(16, 5), "rates": 3 * _uniform(16, 5),
    "vector": _normal(16), "column": _normal(16, 1), "constant": np.ones((16, 5), np.float32),
    "bits": (_uniform(16, 5) > 0.5).astype(np.float32), "probabilities": _uniform(16, 5),
    "bit_vector": (_uniform(16) > 0.4).astype(np.float32), "probability_vector": _uniform(16),
    "bit_column": (_uniform(16, 1) > 0.4).astype(np.float32), "probability_column": _uniform(16, 1),
    "coarse": np.round(_uniform(16) * 10).astype(np.float32) / 10, "ends": np.repeat([0.0, 1.0], 8).astype(np.float32),
    "all_ones": np.ones(16, np.float32), "all_zeros": np.zeros(16, np.float32), "logits": 3 * _normal(16, 5),
    "logit_vector": 3 * _normal(16), "labels": _labels, "label_column": _labels[:, None],
    "one_hot": np.eye(5, dtype=np.float32)[_labels], "simplex": _softmax(2 * _normal(16, 5)),
    "targets": _softmax(_normal(16, 5)), "guesses": _rng.integers(0, 5, 16), "ranked": np.argsort(_normal(16, 5)),
    "wild_labels": np.where(np.arange(16) % 5 == 0, 9, _labels), "bit_labels": _rng.integers(0, 2, 16),
    "some_ignored": np.where(np.arange(16) % 3 == 0, -1, _labels),
    "cube_labels": _rng.integers(0, 3, (8, 4)), "cube_scores": _softmax(_normal(8, 4, 3)),
    "cube_one_hot": np.eye(3, dtype=np.float32)[_rng.integers(0, 3, (8, 4))], "cube_weights": _uniform(8, 4),
    "channels_first": np.moveaxis(np.eye(3, dtype=np.float32)[_rng.integers(0, 3, (8, 4))], -1, 1),
    "scores_first": np.moveaxis(_softmax(_normal(8, 4, 3)), -1, 1),
    "weights": _uniform(16), "weight_column": _uniform(16, 1), "weight_matrix": _uniform(16, 5),
    "counts": _rng.integers(0, 3, 16), "no_weights": np.zeros(16, np.float32),
}

_MEANS = [
    *((name, {}, "numbers", "others") for name in ("MeanSquaredError", "MeanAbsoluteError", "RootMeanSquaredError",
                                                   "MeanAbsolutePercentageError", "LogCoshError", "CosineSimilarity",
                                                   "PearsonCorrelation", "ConcordanceCorrelation", "R2Score")),
    *((name, {}, "positive", "rates") for name in ("MeanSquaredLogarithmicError", "Poisson")),
    *((name, {}, "bits", "probabilities") for name in ("BinaryCrossentropy", "Hinge", "SquaredHinge",
                                                       "BinaryAccuracy", "CategoricalHinge")),
    *((name, {}, "one_hot", "simplex") for name in ("CategoricalCrossentropy", "CategoricalAccuracy", "KLDivergence",
                                                    "F1Score", "FBetaScore")),
    *((name, {}, "labels", "simplex") for name in ("SparseCategoricalCrossentropy", "SparseCategoricalAccuracy")),
    ("TopKCategoricalAccuracy", {"k": 2}, "one_hot", "simplex"),
    ("SparseTopKCategoricalAccuracy", {"k": 3}, "labels", "simplex"),
    *((name, {}, "bit_vector", "probability_vector") for name in (
        "TruePositives", "TrueNegatives", "FalsePositives", "FalseNegatives", "Precision", "Recall", "AUC")),
]

METRICS = [
    *((*row, weights) for row in _MEANS for weights in (None, "weights")),
    ("MeanSquaredError", {}, "numbers", "others", "weight_column"),
    ("MeanSquaredError", {}, "vector", "column", None),
    ("MeanSquaredError", {}, "numbers", "others", "no_weights"),
    ("RootMeanSquaredError", {}, "numbers", "others", "weight_matrix"),
    ("RootMeanSquaredError", {}, "vector", "column", "weights"),
    ("CosineSimilarity", {"axis": 0}, "numbers", "others", None),
    ("ConcordanceCorrelation", {}, "constant", "others", None),
    ("Accuracy", {}, "labels", "guesses", None),
    ("Accuracy", {}, "label_column", "guesses", "weights"),
    ("BinaryAccuracy", {"threshold": 0.3}, "bit_column", "probability_vector", None),
    ("BinaryAccuracy", {}, "bits", "probabilities", "weight_matrix"),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "bits", "logits", None),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "one_hot", "logits", None),
    ("CategoricalCrossentropy", {}, "cube_one_hot", "cube_scores", "cube_weights"),
    ("CategoricalAccuracy", {}, "cube_one_hot", "cube_scores", "cube_weights"),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "label_column", "logits", None),
    ("SparseCategoricalCrossentropy", {"ignore_class": -1}, "some_ignored", "simplex", None),
    ("SparseCategoricalCrossentropy", {"ignore_class": -1}, "some_ignored", "simplex", "weights"),
    ("SparseCategoricalAccuracy", {}, "label_column", "simplex", "weights"),
    ("SparseCategoricalAccuracy", {}, "cube_labels", "cube_scores", "cube_weights"),
    ("SparseTopKCategoricalAccuracy", {"k": 2, "from_sorted_ids": True}, "labels", "ranked", None),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, "cube_labels", "cube_scores", None),
    *(("R2Score", {"class_aggregation": how, "num_regressors": number}, "numbers", "others", weights)
      for how in (None, "uniform_average", "variance_weighted_average") for number in (0, 2)
      for weights in (None, "weights")),
    ("R2Score", {}, "constant", "others", None),
    *(("FBetaScore", {"average": average, "beta": 0.5, "threshold": threshold}, "bits", "probabilities", weights)
      for average in (None, "micro", "macro", "weighted") for threshold in (None, 0.4)
      for weights in (None, "weights")),
    ("F1Score", {"average": "weighted", "threshold": 0.5}, "bits", "probabilities", None),
    *((name, {"thresholds": thresholds}, y, p, weights)
      for name in ("TruePositives", "TrueNegatives", "FalsePositives", "FalseNegatives", "Precision", "Recall")
      for thresholds in (0.2, [0.0, 0.5, 0.8], [0.0, 0.5, 1.0])
      for y, p, weights in (("bits", "probabilities", "weights"), ("bit_vector", "coarse", None))),
    *((name, {"top_k": 2}, "one_hot", "simplex", None) for name in ("Precision", "Recall")),
    *((name, {"top_k": 2, "class_id": 1}, "bits", "probabilities", "weights") for name in ("Precision", "Recall")),
    *((name, {"class_id": 3, "thresholds": [0.2, 0.7]}, "bits", "probabilities", None)
      for name in ("Precision", "Recall")),
    ("Precision", {}, "all_zeros", "ends", None),
    *((name, {what: 0.6}, "bit_vector", "probability_vector", weights)
      for name, what in (("SensitivityAtSpecificity", "specificity"), ("SpecificityAtSensitivity", "sensitivity"),
                         ("PrecisionAtRecall", "recall"), ("RecallAtPrecision", "precision"))
      for weights in (None, "weights")),
    ("SensitivityAtSpecificity", {"specificity": 0.5, "num_thresholds": 1}, "bit_vector", "coarse", None),
    ("SensitivityAtSpecificity", {"specificity": 0.5, "num_thresholds": 11}, "bit_vector", "coarse", None),
    ("PrecisionAtRecall", {"recall": 0.3, "class_id": 2}, "bits", "probabilities", "weights"),
    *(("AUC", {"curve": curve, "summation_method": method}, "bit_vector", "probability_vector", weights)
      for curve in ("ROC", "PR", "PRGAIN") for method in ("interpolation", "majoring", "minoring")
      for weights in (None, "weights")),
    *(("AUC", {"curve": curve, "num_thresholds": 11}, "bit_vector", "coarse", None) for curve in ("ROC", "PR")),
    *(("AUC", {"curve": curve}, y, "ends", None) for curve in ("ROC", "PR")
      for y in ("bit_vector", "all_ones", "all_zeros")),
    ("AUC", {"thresholds": [0.9, 0.1, 0.3]}, "bits", "probabilities", "weights"),
    ("AUC", {"thresholds": [0.25, 0.5, 0.75]}, "bits", "probabilities", None),
    ("AUC", {"from_logits": True}, "bit_vector", "logit_vector", None),
    ("AUC", {"multi_label": True}, "bits", "probabilities", "weights"),
    ("AUC", {"multi_label": True, "num_labels": 5, "curve": "PR"}, "bits", "probabilities", None),
    ("AUC", {"multi_label": True, "label_weights": [1.0, 2.0, 0.0, 1.0, 0.5]}, "bits", "probabilities", None),
    ("AUC", {"multi_label": True, "thresholds": [0.1, 0.3, 0.9]}, "bits", "probabilities", "weights"),
    ("AUC", {"label_weights": [1.0, 2.0, 0.0, 1.0, 0.5]}, "bits", "probabilities", None),
    ("IoU", {"num_classes": 5, "target_class_ids": [0, 3]}, "labels", "guesses", None),
    ("IoU", {"num_classes": 5, "target_class_ids": [1]}, "labels", "guesses", "counts"),
    ("IoU", {"num_classes": 5, "target_class_ids": [1, 2], "dtype": "float32"}, "labels", "guesses", "weights"),
    ("IoU", {"num_classes": 5, "target_class_ids": [0, 1], "ignore_class": 4}, "wild_labels", "guesses", None),
    ("IoU", {"num_classes": 5, "target_class_ids": [0, 1], "sparse_y_pred": False}, "labels", "simplex", None),
    ("BinaryIoU", {}, "bit_vector", "probability_vector", None),
    ("BinaryIoU", {"target_class_ids": [1], "threshold": 0.3, "dtype": "float32"}, "bit_labels", "probability_vector",
     "weights"),
    ("MeanIoU", {"num_classes": 5}, "labels", "guesses", None),
    ("MeanIoU", {"num_classes": 9, "ignore_class": 0}, "labels", "guesses", None),
    ("OneHotIoU", {"num_classes": 3, "target_class_ids": [0, 2]}, "cube_one_hot", "cube_scores", None),
    ("OneHotIoU", {"num_classes": 3, "target_class_ids": [0, 2], "dtype": "float32"}, "cube_one_hot", "cube_scores",
     "cube_weights"),
    ("OneHotMeanIoU", {"num_classes": 3}, "cube_one_hot", "cube_scores", None),
]
"""A class, its arguments, and the names of targets, predictions and weights. Each takes two batches."""

REDUCTIONS = [(name, values, weights) for name in ("Mean", "Sum") for values, weights in (
    ("vector", None), ("vector", "weights"), ("numbers", None), ("numbers", "weights"), ("numbers", "weight_column"),
    ("numbers", "weight_matrix"), ("column", "weights"), ("vector", "no_weights"))]
"""A class, and the names of values and weights."""

FUNCTIONS = [
    ("binary_accuracy", {"threshold": 0.4}, "bits", "probabilities"),
    ("categorical_accuracy", {}, "one_hot", "simplex"),
    ("categorical_accuracy", {}, "cube_one_hot", "cube_scores"),
    ("sparse_categorical_accuracy", {}, "labels", "simplex"),
    ("sparse_categorical_accuracy", {}, "label_column", "simplex"),
    ("sparse_categorical_accuracy", {}, "cube_labels", "cube_scores"),
    ("top_k_categorical_accuracy", {"k": 2}, "one_hot", "simplex"),
    ("top_k_categorical_accuracy", {"k": 2}, "cube_one_hot", "cube_scores"),
    ("sparse_top_k_categorical_accuracy", {"k": 2}, "labels", "simplex"),
    ("sparse_top_k_categorical_accuracy", {"k": 3, "from_sorted_ids": True}, "labels", "ranked"),
    ("pearson_correlation", {}, "numbers", "others"),
    ("concordance_correlation", {}, "numbers", "others"),
]


def batches(keys):
    """The data under these names, in two batches of different sizes; None stays None."""
    cut = 5
    return [[None if key is None else DATA[key][part] for key in keys] for part in (slice(cut), slice(cut, None))]


def row_name(row):
    """What a row is called."""
    return " ".join(str(x) for x in row)
