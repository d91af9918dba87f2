"""Small models that are trained by `fit` here and by Keras, from the same weights on the same data.

`k` is the library, symgraph or Keras.
"""

from pathlib import Path

import numpy as np

RECORDED_WEIGHTS = Path(__file__).with_name("fit_cases.npz")
RECORDED_LOGS = Path(__file__).with_name("fit_cases.json")
ROWS, TRAINED = 30, 22

rng = np.random.default_rng(30)

DATA = {
    "x": rng.normal(size=(ROWS, 4)).astype(np.float32), "z": rng.normal(size=(ROWS, 6, 3)).astype(np.float32),
    "c": rng.integers(0, 3, ROWS), "t": rng.normal(size=(ROWS, 1)).astype(np.float32),
    "w": (rng.random(ROWS) * 2).astype(np.float32), "v": rng.integers(0, 3, ROWS).astype(np.float32),
    "b": rng.integers(0, 2, (ROWS, 1)), "ids": rng.integers(0, 7, (ROWS, 6)),
    "tags": rng.integers(0, 4, (ROWS, 6)),
}
DATA["ids"][:, 4:] *= rng.integers(0, 2, (ROWS, 2))
"""Inputs x, z and ids; class numbers c, b and tags, numbers t; weights w and v."""


def two_outputs(k):
    x = k.Input((4,), name="x")
    h = k.layers.BatchNormalization(name="norm")(k.layers.Dense(6, activation="tanh", name="hidden")(x))
    return k.Model(x, [k.layers.Dense(3, activation="softmax", name="kind")(h),
                       k.layers.Dense(1, kernel_regularizer=k.regularizers.L2(0.01), name="size")(h)])


def two_outputs_by_key(k):
    x = k.Input((4,), name="x")
    h = k.layers.Dense(6, activation="relu", name="hidden")(x)
    return k.Model(x, {"size": k.layers.Dense(1, name="number")(h),
                       "kind": k.layers.Dense(3, activation="softmax", name="class")(h)})


def one_output(k):
    return k.Sequential([k.Input((4,)), k.layers.Dense(6, activation="tanh", name="hidden"),
                         k.layers.Dense(3, activation="softmax", name="kind")])


def binary(k):
    return k.Sequential([k.Input((4,)), k.layers.Dense(5, activation="tanh", name="hidden"),
                         k.layers.Dense(1, activation="sigmoid", name="yes")])


def convolution(k):
    return k.Sequential([k.Input((6, 3)), k.layers.Conv1D(4, 3, activation="relu", name="conv"), k.layers.Flatten(),
                         k.layers.Dense(3, name="kind")])


def tagger(k):
    """A mask that travels from an embedding to loss and metrics."""
    ids = k.Input((6,), dtype="int32", name="ids")
    h = k.layers.Embedding(7, 5, mask_zero=True, name="embedding")(ids)
    return k.Model(ids, k.layers.Dense(4, activation="softmax", name="tag")(h))


SPARSE = "sparse_categorical_crossentropy"

CASES = {
    "two_outputs_sgd": {
        "model": two_outputs, "x": "x", "y": ["c", "t"], "sample_weight": ["w", "v"],
        "optimizer": lambda k: k.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
        "compile": {"loss": [SPARSE, "mse"], "loss_weights": [1.0, 0.3], "metrics": [["accuracy"], ["mae", "mse"]],
                    "weighted_metrics": [["accuracy"], ["mae"]]}},
    "two_outputs_adam": {
        "model": two_outputs, "x": "x", "y": ["c", "t"], "sample_weight": None,
        "optimizer": lambda k: k.optimizers.Adam(0.02),
        "compile": {"loss": {"kind": SPARSE, "size": "huber"}, "loss_weights": {"kind": 0.5, "size": 2.0},
                    "metrics": {"size": ["mae"]}}},
    "two_outputs_by_key": {
        "model": two_outputs_by_key, "x": "x", "y": {"kind": "c", "size": "t"},
        "sample_weight": {"kind": "w", "size": "v"}, "optimizer": lambda k: k.optimizers.Adam(0.02, clipnorm=0.5),
        "compile": {"loss": {"kind": SPARSE, "size": "mse"}, "metrics": {"kind": ["accuracy"], "size": ["mae"]}}},
    "sample_weight": {
        "model": one_output, "x": "x", "y": "c", "sample_weight": "w",
        "optimizer": lambda k: k.optimizers.AdamW(0.02, weight_decay=0.1),
        "compile": {"loss": SPARSE, "metrics": ["accuracy"], "weighted_metrics": ["accuracy", SPARSE]}},
    "class_weight": {
        "model": one_output, "x": "x", "y": "c", "sample_weight": None, "class_weight": {0: 0.5, 1: 2.0, 2: 1.0},
        "optimizer": lambda k: k.optimizers.SGD(0.2),
        "compile": {"loss": SPARSE, "metrics": ["accuracy"], "weighted_metrics": ["accuracy"]}},
    "binary": {
        "model": binary, "x": "x", "y": "b", "sample_weight": None, "optimizer": lambda k: k.optimizers.RMSprop(0.01),
        "compile": lambda k: {"loss": k.losses.BinaryCrossentropy(label_smoothing=0.1),
                              "metrics": ["accuracy", k.metrics.AUC(name="auc"), k.metrics.Precision(name="precision"),
                                          k.metrics.Recall(name="recall")]}},
    "convolution": {
        "model": convolution, "x": "z", "y": "c", "sample_weight": None,
        "optimizer": lambda k: k.optimizers.SGD(0.05, momentum=0.5),
        "compile": lambda k: {"loss": k.losses.SparseCategoricalCrossentropy(from_logits=True),
                              "metrics": ["accuracy"]}},
    "masked": {
        "model": tagger, "x": "ids", "y": "tags", "sample_weight": None, "optimizer": lambda k: k.optimizers.Adam(0.05),
        "compile": {"loss": SPARSE, "metrics": ["accuracy"], "weighted_metrics": ["accuracy"]}},
}
"""Five epochs each, in batches of 8 of the first 22 rows; the last 8 are for validation and evaluation."""


def part(names, rows):
    """Data in the nesting of its names."""
    if isinstance(names, dict):
        return {key: part(name, rows) for key, name in names.items()}
    if isinstance(names, list):
        return [part(name, rows) for name in names]
    return None if names is None else DATA[names][rows]


def trained(k, case, initial=None):
    """The model after `fit`, its history, its weights before by layer, and what `evaluate` gives."""
    row = CASES[case]
    model = row["model"](k)
    if initial is not None:
        for layer in model.layers:
            if layer.get_weights():
                layer.set_weights([initial[f"{layer.name}/{i}"] for i in range(len(layer.get_weights()))])
    before = weights_of(model)
    options = row["compile"](k) if callable(row["compile"]) else row["compile"]
    model.compile(row["optimizer"](k), **options)
    train, rest = slice(0, TRAINED), slice(TRAINED, ROWS)
    validation = tuple(part(row[what], rest) for what in ("x", "y", "sample_weight"))
    history = model.fit(
        part(row["x"], train), part(row["y"], train), sample_weight=part(row["sample_weight"], train),
        class_weight=row.get("class_weight"), validation_data=validation[:2] if validation[2] is None else validation,
        batch_size=8, epochs=5, shuffle=False, verbose=0)
    x, y, w = validation
    evaluated = model.evaluate(x, y, sample_weight=w, batch_size=3, verbose=0, return_dict=True)
    return model, history.history, before, evaluated


def weights_of(model):
    """Arrays by layer and number."""
    return {f"{layer.name}/{i}": np.asarray(w) for layer in model.layers for i, w in enumerate(layer.get_weights())}
