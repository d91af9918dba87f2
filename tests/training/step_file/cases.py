"""Compiled models with batches to train them on: what files of training steps are compared with.

`MODELS` and `OPTIMIZERS` map a name to a function; `case(name)` gives the compiled model and its batches, of different
sizes, as `(x, y, sample_weight)`.
"""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

import symgraph as sg

SIZES = (8, 8, 5)

layers = sg.layers


def rng():
    return np.random.default_rng(7)


def floats(*shape):
    g = rng()
    return [g.normal(size=(n, *shape)).astype(np.float32) for n in SIZES]


def numbers(top, *shape):
    g = rng()
    return [g.integers(0, top, (n, *shape)) for n in SIZES]


def batches(x, y, w=None):
    return list(zip(x, y, w or [None] * len(SIZES), strict=True))


def together(*parts):
    """Batches of lists, of what comes in several parts."""
    return [list(x) for x in zip(*parts, strict=True)]


def dense(*sizes, **options):
    made = [layers.Dense(n, "tanh", name=f"dense{i}", **(options if i else {})) for i, n in enumerate(sizes[1:])]
    return sg.Sequential([sg.Input((sizes[0],), name="numbers"), *made], name="net")


def regression(optimizer="adam", **options):
    model = dense(4, 6, 2)
    model.compile(optimizer, "mse", **options)
    return model, batches(floats(4), floats(2))


def classifier():
    model = sg.Sequential([layers.Dense(5, "relu", input_shape=(4,)), layers.Dense(3, "softmax")], name="classes")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy", "crossentropy"])
    return model, batches(floats(4), numbers(3))


def binary():
    model = sg.Sequential([layers.Dense(5, "relu", input_shape=(4,)), layers.Dense(1, "sigmoid")], name="yes_or_no")
    model.compile("adam", "binary_crossentropy", metrics=[
        "accuracy", sg.metrics.AUC(20), sg.metrics.Precision(), sg.metrics.RecallAtPrecision(0.5)],
                  weighted_metrics=["mae"])
    g = rng()
    return model, batches(floats(4), [x.astype(np.float32) for x in numbers(2, 1)],
                          [g.random(n).astype(np.float32) for n in SIZES])


def many_metrics():
    model = sg.Sequential([layers.Dense(3, "sigmoid", input_shape=(4,))], name="measured")
    model.compile("sgd", "mse", metrics=[
        sg.metrics.F1Score(threshold=0.5), "r2_score", "cosine_similarity", "root_mean_squared_error"])
    return model, batches(floats(4), [np.eye(3, dtype=np.float32)[n] for n in numbers(3)])


def convolutional():
    model = sg.Sequential([
        layers.Conv2D(4, 3, use_bias=False, input_shape=(8, 8, 2), name="conv"),
        layers.BatchNormalization(name="bn"), layers.ReLU(), layers.MaxPooling2D(),
        layers.Dropout(0.3, seed=3, name="drop"), layers.Conv2D(3, 2, padding="same"),
        layers.SpatialDropout2D(0.2, seed=4), layers.Flatten(), layers.Dense(3, "softmax", name="head")], name="images")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, batches(floats(8, 8, 2), numbers(3))


def convolutions_of_all_kinds():
    model = sg.Sequential([
        sg.Input((8, 8, 2)), layers.SeparableConv2D(4, 3, strides=2, padding="same", activation="gelu"),
        layers.DepthwiseConv2D(2), layers.AveragePooling2D(2, 1),
        layers.Conv2DTranspose(2, 3, strides=2, use_bias=False), layers.UpSampling2D(2, interpolation="bilinear"),
        layers.GroupNormalization(2), layers.Cropping2D(1),
        layers.GlobalAveragePooling2D(), layers.PReLU(), layers.UnitNormalization(), layers.Dense(2)], name="kinds")
    model.compile("adam", "huber")
    return model, batches(floats(8, 8, 2), floats(2))


def frozen_layers():
    model = sg.Sequential([
        layers.Dense(5, "relu", input_shape=(4,), name="below"), layers.BatchNormalization(name="bn", trainable=False),
        layers.Dense(2, name="above")], name="tuned")
    model.layers[0].trainable = False
    model.compile("adam", "mse")
    return model, batches(floats(4), floats(2))


def two_inputs_and_outputs():
    a, b = sg.Input((3,), name="a"), sg.Input((2,), name="b")
    h = layers.Concatenate()([layers.Dense(4, "relu")(a), b])
    model = sg.Model([a, b], [layers.Dense(1, name="mean")(h), layers.Dense(3, name="kind")(h)], name="branched")
    model.compile("adam", {"mean": "mse", "kind": sg.losses.SparseCategoricalCrossentropy(from_logits=True)},
                  {"mean": 0.5, "kind": 2.0}, {"mean": "mae", "kind": ["accuracy"]})
    return model, batches(together(floats(3), floats(2)), together(floats(1), numbers(3)))


def outputs_by_name():
    x = sg.Input((3,), name="x")
    p = layers.Dense(1, name="p")(x)
    model = sg.Model({"x": x}, {"p": p, "q": layers.Dense(2, name="q")(p)}, name="named")
    model.compile("sgd", {"q": "mae"})
    return model, batches([{"x": v} for v in floats(3)], [{"q": v} for v in floats(2)])


def penalties():
    class Sparse(layers.Layer):
        def call(self, inputs):
            self.add_loss(0.01 * sg.mean(sg.abs(inputs)))
            return inputs

    model = sg.Sequential([
        layers.Dense(5, "tanh", input_shape=(4,), kernel_regularizer="l2", activity_regularizer="l1",
                     kernel_constraint="max_norm"), Sparse(),
        layers.Dense(2, kernel_regularizer=sg.regularizers.L1L2(0.01, 0.02), kernel_constraint="non_neg",
                     bias_regularizer="l1")], name="penalised")
    model.compile("adam", "mse")
    return model, batches(floats(4), floats(2))


def sequences(layer, **options):
    def make():
        model = sg.Sequential([sg.Input((6, 3)), layer(4, **options), layers.Dense(1)], name="sequences")
        model.compile("adam", "mse")
        return model, batches(floats(6, 3), floats(1))

    return make


def masked_text():
    model = sg.Sequential([
        sg.Input((None,), dtype="int64"), layers.Embedding(9, 4, mask_zero=True),
        layers.Bidirectional(layers.LSTM(3, return_sequences=True, dropout=0.2, seed=5)),
        layers.GRU(3, recurrent_dropout=0.1, seed=6), layers.Dense(2)], name="text")
    model.compile("adam", sg.losses.SparseCategoricalCrossentropy(from_logits=True))
    x = [np.sort(n, 1)[:, ::-1].copy() for n in numbers(9, 5)]
    return model, batches(x, numbers(2))


def tagging():
    """A target for each step, and a weight for each."""
    model = sg.Sequential([sg.Input((5, 3)), layers.Masking(), layers.SimpleRNN(4, return_sequences=True),
                           layers.TimeDistributed(layers.Dense(3, "softmax"))], name="tags")
    model.compile("adam", "sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
    g = rng()
    x = floats(5, 3)
    for part in x:
        part[1:3, 3:] = 0
    return model, batches(x, numbers(3, 5), [g.random((n, 5)).astype(np.float32) for n in SIZES])


def transformer():
    x = sg.Input((6,), dtype="int64", name="tokens")
    embedding = layers.ReversibleEmbedding(11, 8, name="embedding")
    h = embedding(x)
    a = layers.LayerNormalization()(h)
    h = h + layers.MultiHeadAttention(2, 4, dropout=0.1, seed=8, name="attention")(a, a, use_causal_mask=True)
    h = h + layers.Dense(8)(layers.Dense(16, "gelu")(layers.RMSNormalization()(h)))
    model = sg.Model(x, embedding(h, reverse=True), name="gpt")
    model.compile(sg.optimizers.AdamW(1e-2, global_clipnorm=1.0),
                  sg.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    tokens = numbers(11, 7)
    return model, batches([t[:, :-1] for t in tokens], [t[:, 1:] for t in tokens])


def onnx_model():
    """An ONNX file as another tool would write it: names of its own, a weight used twice."""
    g = rng()
    weights = {"fc1.weight": g.normal(size=(6, 4)), "fc1.bias": g.normal(size=6), "loss": g.normal(size=(6, 2))}
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["data", "fc1.weight", "fc1.bias"], ["h"], transB=1),
         helper.make_node("Relu", ["h"], ["r"]), helper.make_node("MatMul", ["r", "loss"], ["scores"])], "main",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 2])],
        [numpy_helper.from_array(w.astype(np.float32), name) for name, w in weights.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def imported():
    model = sg.load_onnx(onnx_model(), trainable=True)
    model.compile(sg.optimizers.SGD(0.1, momentum=0.9), sg.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model, batches(floats(4), numbers(2))


def head_on_an_imported_model():
    base = sg.load_onnx(onnx_model())
    model = sg.Model(base.inputs, layers.Dense(1, name="head")(base.outputs[0]), name="headed")
    model.compile("adam", "mse")
    return model, batches(floats(4), floats(1))


class Subclassed(sg.Model):
    def __init__(self):
        super().__init__(name="own")
        self.hidden, self.head = layers.Dense(5, "relu"), layers.Dense(2)
        self.drop = layers.Dropout(0.4, seed=9)

    def call(self, inputs, training=False):
        return self.head(self.drop(self.hidden(inputs), training=training))


def subclassed():
    model = Subclassed()
    model.compile("adam", "mse")
    model.predict(np.zeros((1, 4), np.float32))
    return model, batches(floats(4), floats(2))


class Teaching(Subclassed):
    """A step of its own: two optimizers, a metric, and a teacher that follows the pupil's weights."""

    def __init__(self):
        super().__init__()
        self.teacher = layers.Dense(2, name="teacher", trainable=False)
        self.second = sg.optimizers.SGD(0.05, momentum=0.5)
        self.distance = sg.metrics.Mean(name="distance")
        self.strength = sg.Variable(0.7, trainable=False, name="strength")

    def call(self, inputs, training=False):
        self.teacher(self.hidden(inputs))
        return super().call(inputs, training)

    def train_step(self, data):
        x, y = data
        with sg.GradientTape(persistent=True) as tape:
            h = self.drop(self.hidden(x), training=True)
            p, t = self.head(h), self.teacher(h)
            loss = sg.mean((p - y) ** 2) + self.strength * sg.mean((p - sg.stop_gradient(t)) ** 2)
        below, above = self.hidden.trainable_variables, self.head.trainable_variables
        self.optimizer.apply(tape.gradient(loss, below), below)
        self.second.apply(tape.gradient(loss, above), above)
        for a, b in zip(self.teacher.weights, self.head.weights, strict=True):
            a.assign(0.9 * a + 0.1 * b)
        self.distance.update_state(sg.mean(sg.abs(p - t)))
        return {"loss": loss, "distance": self.distance.result()}


def own_step():
    model = Teaching()
    model.compile("sgd", "mse")
    model.predict(np.zeros((1, 4), np.float32))
    model.optimizer.build(model.hidden.trainable_variables)
    return model, batches(floats(4), floats(2))


def odd_variables():
    """A variable that is written and never read, two of one name, one called like an input, draws without a seed."""

    class Odd(layers.Layer):
        def build(self, input_shape):
            self.last = self.add_weight((2,), trainable=False, name="last", initializer="zeros")
            self.scales = [sg.Variable(v, name="scale") for v in (1.5, 0.5)]
            self.first, self.second = self.scales
            self.shift = sg.Variable(0.25, name="numbers")

        def call(self, inputs):
            noise = sg.random.normal(sg.ops.shape(inputs))
            y = inputs * self.first + noise * self.second + self.shift
            self.last.assign(sg.mean(y, axis=0))
            return y

    model = sg.Sequential([sg.Input((4,), name="numbers"), layers.Dense(2, name="y"), Odd(name="odd")], name="odd")
    model.compile("sgd", "mse")
    return model, batches(floats(4), floats(2))


def noise_and_norms():
    spectral = layers.SpectralNormalization(layers.Dense(5, name="inner"))
    model = sg.Sequential([
        sg.Input((4,)), layers.GaussianNoise(0.1, seed=1), spectral, layers.AlphaDropout(0.2, seed=2),
        layers.BatchNormalization(momentum=0.8), layers.GaussianDropout(0.1, seed=3),
        layers.Dense(2)], name="noisy")
    model.compile("adam", "mse")
    return model, batches(floats(4), floats(2))


def frozen_beside_trained_statistics():
    """Constants of as many channels as a normalization in training has, whose inputs ONNX Runtime writes moments to."""
    model = sg.Sequential([
        sg.Input((4,)), layers.Dense(3, name="a"), layers.BatchNormalization(name="trained"),
        layers.Dense(3, bias_initializer="zeros", name="b", trainable=False),
        layers.BatchNormalization(name="frozen", trainable=False), layers.Activation("tanh"),
        layers.BatchNormalization(center=False, scale=False, name="plain"), layers.Dense(2, name="c")], name="moments")
    model.compile("sgd", "mse")
    return model, batches(floats(4), floats(2))


def mixed_precision():
    dtype = "mixed_float16"
    model = sg.Sequential([sg.Input((4,)), layers.Dense(6, "relu", dtype=dtype), layers.Dense(2, dtype=dtype),
                           layers.Activation("linear", dtype="float32")], name="mixed")
    model.compile(sg.optimizers.LossScaleOptimizer(sg.optimizers.Adam(0.01), dynamic_growth_steps=2), "mse")
    return model, batches(floats(4), floats(2))


def double_precision():
    model = sg.Sequential([sg.Input((4,), dtype="float64"), layers.Dense(3, "tanh", dtype="float64"),
                           layers.Dense(2, dtype="float64")], name="doubles")
    model.compile("sgd", "mse")
    return model, batches([v.astype(np.float64) for v in floats(4)], floats(2))


def speech():
    model = sg.Sequential([sg.Input((7, 3)), layers.Dense(5)], name="speech")
    model.compile("sgd", "ctc")
    return model, batches(floats(7, 3), [n + 1 for n in numbers(4, 3)])


def changing_loss_weights():
    x = sg.Input((3,))
    model = sg.Model(x, [layers.Dense(1, name="p")(x), layers.Dense(1, name="q")(x)], name="annealed")
    model.compile("sgd", "mse", loss_weights=[sg.Variable(0.3, trainable=False, name="alpha"), 1.0])
    return model, batches(floats(3), together(floats(1), floats(1)))


MODELS = {
    "regression": regression, "classifier": classifier, "binary": binary, "many_metrics": many_metrics,
    "convolutional": convolutional, "convolutions_of_all_kinds": convolutions_of_all_kinds,
    "frozen_layers": frozen_layers, "two_inputs_and_outputs": two_inputs_and_outputs,
    "outputs_by_name": outputs_by_name, "penalties": penalties, "lstm": sequences(layers.LSTM),
    "gru": sequences(layers.GRU), "simple_rnn": sequences(layers.SimpleRNN), "masked_text": masked_text,
    "tagging": tagging, "transformer": transformer, "imported": imported,
    "head_on_an_imported_model": head_on_an_imported_model, "subclassed": subclassed, "own_step": own_step,
    "odd_variables": odd_variables, "noise_and_norms": noise_and_norms,
    "frozen_beside_trained_statistics": frozen_beside_trained_statistics, "mixed_precision": mixed_precision,
    "double_precision": double_precision, "speech": speech, "changing_loss_weights": changing_loss_weights}

o = sg.optimizers
schedules = o.schedules

OPTIMIZERS = {
    "sgd": lambda: o.SGD(0.1), "nesterov": lambda: o.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: o.Adam(0.01), "amsgrad": lambda: o.Adam(0.01, amsgrad=True),
    "adamw": lambda: o.AdamW(0.01, weight_decay=0.1), "rmsprop": lambda: o.RMSprop(0.01, momentum=0.5, centered=True),
    "adagrad": lambda: o.Adagrad(0.1), "adadelta": lambda: o.Adadelta(1.0), "adamax": lambda: o.Adamax(0.01),
    "nadam": lambda: o.Nadam(0.01), "ftrl": lambda: o.Ftrl(0.1, l1_regularization_strength=0.01),
    "lion": lambda: o.Lion(0.01), "lamb": lambda: o.Lamb(0.01), "adafactor": lambda: o.Adafactor(0.01),
    "muon": lambda: o.Muon(0.01), "clipnorm": lambda: o.SGD(0.1, clipnorm=0.1),
    "global_clipnorm": lambda: o.Adam(0.01, global_clipnorm=0.1), "clipvalue": lambda: o.SGD(0.1, clipvalue=0.01),
    "ema": lambda: o.SGD(0.1, use_ema=True, ema_momentum=0.6, ema_overwrite_frequency=2),
    "accumulation": lambda: o.Adam(0.01, gradient_accumulation_steps=2),
    "loss_scale": lambda: o.LossScaleOptimizer(o.SGD(0.1, momentum=0.5), 8.0, dynamic_growth_steps=2),
    "loss_scale_factor": lambda: o.SGD(0.1, loss_scale_factor=4.0),
    "exponential_decay": lambda: o.SGD(schedules.ExponentialDecay(0.1, 2, 0.5, staircase=True)),
    "cosine_decay": lambda: o.Adam(schedules.CosineDecay(0.1, 5, warmup_target=0.2, warmup_steps=2)),
    "piecewise": lambda: o.SGD(schedules.PiecewiseConstantDecay([1, 2], [0.1, 0.05, 0.01])),
    "function": lambda: o.SGD(lambda: 0.2)}

CASES = {**{f"model/{name}": make for name, make in MODELS.items()},
         **{f"optimizer/{name}": lambda make=make: regression(make()) for name, make in OPTIMIZERS.items()}}


def case(name):
    """The compiled model and its batches, the same ones at every call."""
    sg.random.set_seed(11)
    return CASES[name]()
