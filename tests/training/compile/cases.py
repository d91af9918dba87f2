"""What is compiled and compared with Keras: outputs, targets, losses, weights, metrics, as data.

`k` is the library, symgraph or Keras: functions of it make what has a class of its own.
"""

from pathlib import Path

import numpy as np

RECORDED = Path(__file__).with_name("recorded.json")
BATCHES = (slice(0, 4), slice(4, 7))

rng = np.random.default_rng(20)


def _share(*shape):
    x = rng.random(shape) + 0.1
    return (x / x.sum(-1, keepdims=True)).astype(np.float32)


DATA = {
    "p2": rng.normal(size=(7, 2)).astype(np.float32), "y2": rng.normal(size=(7, 2)).astype(np.float32),
    "p3": _share(7, 3), "y3": np.eye(3, dtype=np.float32)[[0, 2, 1, 1, 0, 2, 0]], "c3": np.array([0, 2, 1, 1, 0, 2, 0]),
    "i3": np.array([0, -1, 1, 1, -1, 2, 0]), "c31": np.array([[0], [2], [1], [1], [0], [2], [0]]),
    "p1": (rng.random((7, 1)) * 0.9 + 0.05).astype(np.float32), "b1": rng.integers(0, 2, (7, 1)).astype(np.float32),
    "s": rng.normal(size=(7, 5, 2)).astype(np.float32), "ys": rng.normal(size=(7, 5, 2)).astype(np.float32),
    "s1": (rng.random((7, 5, 1)) * 0.9 + 0.05).astype(np.float32),
    "b5": rng.integers(0, 2, (7, 5, 1)).astype(np.float32), "s3": _share(7, 5, 3), "c5": rng.integers(0, 3, (7, 5)),
    "w": (rng.random(7) * 2).astype(np.float32), "v": rng.integers(0, 3, 7).astype(np.float32),
    "w1": (rng.random((7, 1)) * 2).astype(np.float32), "w5": (rng.random((7, 5)) * 2).astype(np.float32),
    "m": np.arange(5) < np.array([5, 3, 0, 1, 2, 5, 4])[:, None], "m2": np.arange(7) < 5,
}
"""Seven samples of everything: p and s are predictions, y, b, c and i targets, w and v weights, m masks."""


def square(y_true, y_pred):
    return ((y_true - y_pred) ** 2).mean(-1)


def both(y_true, y_pred):
    return (abs(y_true[0] - y_pred[0]) + (y_true[1] - y_pred[1]) ** 2).mean(-1)


def largest_and_smallest(k):
    """A metric whose result is a dict."""
    backend = getattr(k, "ops", k)

    class Range(k.metrics.Metric):
        def __init__(self, name="range", dtype=None):
            super().__init__(name=name, dtype=dtype)
            self.top = self.add_variable((), "zeros", name="top")
            self.low = self.add_variable((), "zeros", name="low")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.top.assign(backend.maximum(self.top, backend.max(y_pred)))
            self.low.assign(backend.minimum(self.low, backend.min(y_pred)))

        def result(self):
            return {"top": self.top.value, "low": self.low.value}

    return Range()


def wrapped(reduction):
    return lambda k: k.losses.LossFunctionWrapper(square, reduction=reduction, name="own")


def row(name, outputs, targets, loss, *, weights=None, metrics=None, weighted=None, w=None, names=None, masks=None,
        logs=True):
    return {"name": name, "outputs": outputs, "targets": targets, "loss": loss, "loss_weights": weights,
            "metrics": metrics, "weighted_metrics": weighted, "sample_weight": w, "names": names, "masks": masks or {},
            "logs": logs}


NESTED = {"p": ["p2", "p1"], "q": "p3"}
NESTED_Y = {"p": ["y2", "b1"], "q": "c3"}

ROWS = [
    row("one", "p2", "y2", "mse", metrics=["mae"], names=["out"]),
    row("one_in_a_list", ["p2"], ["y2"], ["mse"], metrics=[["mae", "mse"]], names=["out"]),
    row("one_by_name", "p2", "y2", {"out": "mse"}, metrics={"out": ["mae"]}, weighted={"out": "mae"}, w="w",
        names=["out"]),
    row("one_with_weights", "p3", "c3", "crossentropy", metrics=["accuracy"], weighted=["acc", "accuracy"], w="w"),
    row("one_with_axis", "p3", "c31", "ce", metrics=["acc"]),
    row("one_hot", "p3", "y3", "categorical_crossentropy", metrics=["accuracy", "AUC", "categorical_accuracy"]),
    row("binary", "p1", "b1", "crossentropy", metrics=["Accuracy", "Precision"],
        weighted=["AUC"], w="v"),
    row("class_names", "p2", "y2", "MeanSquaredError", metrics=["MeanAbsoluteError", "RootMeanSquaredError"]),
    row("scalar_loss_weight", "p2", "y2", "mae", weights=0.25),
    row("same_for_each", ["p2", "p1"], ["y2", "b1"], "mse", names=["a", "b"]),
    row("same_for_each_weighted", ["p2", "p1"], ["y2", "b1"], "mse", weights=0.5, w="w", names=["a", "b"]),
    row("lists", ["p2", "p1"], ["y2", "b1"], ["mse", "binary_crossentropy"], weights=[0.5, 2.0],
        metrics=[["mae", "mse"], ["accuracy"]], weighted=[["mae"], None], w=["w", "v"], names=["a", "b"]),
    row("no_names", ["p2", "p1"], ["y2", "b1"], ["mse", "mae"], metrics=["mae", "mae"]),
    row("by_name", ["p2", "p1"], ["y2", "b1"], {"b": "binary_crossentropy", "a": "mse"}, weights={"a": 0.5, "b": 2.0},
        metrics={"b": ["accuracy", "mae"]}, weighted={"a": "mae"}, w=["w", "v"], names=["a", "b"]),
    row("targets_by_name", ["p2", "p1"], {"b": "b1", "a": "y2"}, ["mse", "mae"], metrics=["mae", None],
        names=["a", "b"]),
    row("dict", {"z": "p2", "a": "p1"}, {"a": "b1", "z": "y2"}, {"z": "mse", "a": "mae"}, weights={"z": 3.0, "a": 0.1},
        metrics={"a": ["mae", "mse"], "z": ["mae"]}, weighted={"z": ["mae"]}, w={"z": "w", "a": "v"}),
    row("dict_in_part", {"z": "p2", "a": "p1"}, {"a": "b1", "z": "y2"}, {"a": "mae"}, metrics={"z": ["mae"]}),
    row("dict_by_order", {"a": "p2", "b": "p1"}, ["y2", "b1"], ["mse", "mae"]),
    row("several_for_one", {"a": "p2", "b": "p1"}, {"a": "y2", "b": "b1"}, {"a": ["mse", "mae"], "b": "mse"},
        weights={"a": [1.0, 0.5], "b": 2.0}, logs=False),
    row("nested", NESTED, NESTED_Y, {"p": ["mse", "binary_crossentropy"], "q": "sparse_categorical_crossentropy"},
        weights={"p": [0.5, 0.25], "q": 2.0}, metrics={"p": [["mae"], ["accuracy"]], "q": ["accuracy"]},
        weighted={"p": [None, ["accuracy"]], "q": None}, w="w", names=["a", "b", "c"]),
    row("nested_flat_weights", NESTED, NESTED_Y, {"p": ["mse", None], "q": "ce"}, w={"p": ["w", "v"], "q": "v"},
        names=["a", "b", "c"]),
    row("nested_in_tuples", (["p2", "p1"], "p3"), (["y2", "b1"], "y3"), (["mse", "mae"], "kld"),
        metrics=[[["mae"], None], "KLDivergence"], names=["a", "b", "c"]),
    row("part_of_nested", {"p": ["p1", "p1"], "q": "p3"}, {"p": ["b1", "b1"], "q": "c3"},
        {"p": both, "q": "ce"}, weights={"p": 0.5, "q": 1.0}, names=["a", "b", "c"]),
    row("without_loss", ["p2", "p1"], ["y2", "b1"], ["mse", None], metrics=[None, ["mae"]], names=["a", "b"]),
    row("without_target", ["p2", "p1"], ["y2"], ["mse", None], names=["a", "b"]),
    row("same_names", "p2", "y2", "mse", metrics=["mae", "mae", "mse"], weighted=["mae", "mae", "mae", "mse", "mape"],
        w="w", names=["out"]),
    row("same_names_of_several", ["p2", "p1"], ["y2", "b1"], "mse", metrics=[["mae", "mae"], "mae"],
        weighted=[["mae", "mae", "mse"], ["mae"]], w=["w", "v"], names=["a", "b"]),
    row("functions", "p2", "y2", square, metrics=[square, lambda y, p: y - p], weighted=[square], w="w"),
    row("functions_of_several", ["p2", "p1"], ["y2", "b1"], [square, lambda y, p: abs(y - p)],
        metrics=[[square], square], names=["a", "b"]),
    row("objects", ["p2", "p3"], ["y2", "i3"],
        lambda k: [k.losses.Huber(delta=0.5), k.losses.SparseCategoricalCrossentropy(ignore_class=-1)],
        metrics=lambda k: [[k.metrics.MeanAbsoluteError(name="off"), k.metrics.MeanAbsoluteError], None],
        names=["a", "b"], weights=[2, 1]),
    row("loss_as_metric", "p2", "y2", lambda k: k.losses.LogCosh(),
        metrics=lambda k: [k.losses.Huber(), k.losses.mean_absolute_error]),
    row("reduction_none", "p2", "y2", wrapped("none"), w="w"),
    row("reduction_none_of_several", ["p2", "p1"], ["y2", "b1"],
        lambda k: [wrapped(None)(k), k.losses.MeanSquaredError(reduction="sum")], names=["a", "b"], logs=False),
    row("reduction_sum", "p2", "y2", wrapped("sum"), w="w"),
    row("reduction_by_weight", "p2", "y2", wrapped("mean_with_sample_weight"), w="w"),
    row("f1", "p3", "y3", "categorical_crossentropy", metrics=lambda k: [k.metrics.F1Score()],
        weighted=lambda k: [k.metrics.F1Score(average="macro", name="f")], w="w"),
    row("auc_and_iou", ["p1", "p3"], ["b1", "c3"], ["bce", "sparse_categorical_crossentropy"],
        metrics=lambda k: [[k.metrics.AUC(name="auc"), k.metrics.BinaryIoU(name="iou")],
                           [k.metrics.MeanIoU(num_classes=3, sparse_y_pred=False, name="iou")]],
        weighted=lambda k: [[k.metrics.AUC(curve="PR", name="auc")], None], w=["w", "v"], names=["a", "b"]),
    row("dict_result", "p2", "y2", "mse", metrics=lambda k: [largest_and_smallest(k), "mae"], names=["out"]),
    row("steps", "s", "ys", "mse", metrics=["mae"], weighted=["mae"], w="w1"),
    row("steps_weighted", "s", "ys", "mse", metrics=["mae"], weighted=["mae", "mse"], w="w5"),
    row("steps_of_classes", "s3", "c5", "sparse_categorical_crossentropy", metrics=["accuracy"], weighted=["accuracy"],
        w="w5"),
    row("masked", "s", "ys", "mse", metrics=["mae"], weighted=["mae", "mse"], masks={"s": "m"}),
    row("masked_and_weighted", "s", "ys", "mae", metrics=["mae"], weighted=["mae", "mse"], masks={"s": "m"}, w="w5"),
    row("masked_sum", "s", "ys", lambda k: k.losses.MeanSquaredError(reduction="sum"), masks={"s": "m"}, w="w5"),
    row("masked_classes", "s3", "c5", "sparse_categorical_crossentropy", metrics=["accuracy"], weighted=["accuracy"],
        masks={"s3": "m"}, w="w5"),
    row("masked_metric_without_mask", "s1", "b5", "bce", metrics=lambda k: [k.metrics.Precision(name="precision")],
        masks={"s1": "m"}),
    row("masked_samples", "p2", "y2", "mse", metrics=["mae"], weighted=["mse"], w="w", masks={"p2": "m2"}),
    row("masked_one_of_two", ["s", "p2"], ["ys", "y2"], "mse", metrics=[["mae"], ["mae"]], masks={"s": "m"},
        names=["a", "b"], w=["w5", "w"]),
]


def structure_of(names, batch=slice(None)):
    """Data in the nesting of its names."""
    if isinstance(names, dict):
        return {key: structure_of(part, batch) for key, part in names.items()}
    if isinstance(names, list | tuple):
        return type(names)(structure_of(part, batch) for part in names)
    return None if names is None else DATA[names][batch]


def leaves(structure):
    """The names in any nesting, in order."""
    if isinstance(structure, dict):
        return [x for part in structure.values() for x in leaves(part)]
    if isinstance(structure, list | tuple):
        return [x for part in structure for x in leaves(part)]
    return [structure]


def made(given, k):
    """Losses or metrics as this library has them."""
    return given(k) if callable(given) and given.__code__.co_varnames[:1] == ("k",) else given
