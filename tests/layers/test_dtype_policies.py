"""Dtype policies: their names, the global one, what layers and models of mixed precision do, and the configuration."""

import copy
import json
import pickle

import numpy as np
import pytest

import symgraph as sg
from symgraph import layers
from symgraph.core.defaults import floatx
from symgraph.core.errors import DtypeError
from symgraph.layers import dtype_policy as dtype_policies
from symgraph.layers.dtype_policy import DTypePolicy, config
from symgraph.runtime import devices
from symgraph.training import mixed_precision


@pytest.fixture(autouse=True)
def settings():
    """Give every test the settings symgraph starts with."""
    yield
    config.set_dtype_policy(None)
    config.set_floatx("float32")
    config.set_epsilon(1e-7)


NAMES = [("float32", "float32", "float32"), ("float16", "float16", "float16"), ("bfloat16", "bfloat16", "bfloat16"),
         ("float64", "float64", "float64"), ("mixed_float16", "float16", "float32"),
         ("mixed_bfloat16", "bfloat16", "float32"), ("int32", "int32", "int32")]


@pytest.mark.parametrize(("name", "compute", "variable"), NAMES)
def test_a_policy_is_the_dtypes_of_its_name(name, compute, variable):
    policy = DTypePolicy(name)

    assert (policy.name, policy.compute_dtype, policy.variable_dtype) == (name, compute, variable)
    assert repr(policy) == f'<DTypePolicy "{name}">' and policy.quantization_mode is None


@pytest.mark.parametrize("identifier", [
    "mixed_float16", DTypePolicy("mixed_float16"), {"class_name": "DTypePolicy", "config": {"name": "mixed_float16"}},
    {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "mixed_float16"}, "registered_name": None}])
def test_a_policy_is_found_by_all_that_means_it(identifier):
    assert dtype_policies.get(identifier) == DTypePolicy("mixed_float16")
    assert layers.Dense(2, dtype=identifier).dtype_policy == DTypePolicy("mixed_float16")


def test_a_policy_is_found_by_a_dtype():
    assert dtype_policies.get(np.float64).name == dtype_policies.get(np.dtype("float64")).name == "float64"


def test_policies_of_a_name_are_equal_and_survive_their_configuration():
    policy = DTypePolicy("mixed_bfloat16")

    assert policy == dtype_policies.deserialize(json.loads(json.dumps(dtype_policies.serialize(policy))))
    assert policy == DTypePolicy.from_config(policy.get_config()) and hash(policy) == hash(copy.deepcopy(policy))
    assert policy != DTypePolicy("bfloat16") and policy != "mixed_bfloat16"


@pytest.mark.parametrize(("call", "message"), [
    (lambda: DTypePolicy("mixed_float8"), "no dtype policy 'mixed_float8'; .*mixed_float16"),
    (lambda: layers.Dense(2, dtype="flot32"), "no dtype policy 'flot32'"),
    (lambda: dtype_policies.get(3.5), "a dtype policy is given by its name"),
    (lambda: dtype_policies.get({"class_name": "QuantizedDTypePolicy", "config": {}}),
     "no dtype policy of class 'QuantizedDTypePolicy'"),
    (lambda: config.set_floatx("int32"), "set_floatx takes float16, bfloat16, float32, float64, got int32"),
    (lambda: config.set_epsilon(0), "set_epsilon takes a positive number, got 0"),
])
def test_mistakes_are_told(call, message):
    with pytest.raises(DtypeError, match=message):
        call()


def test_the_global_policy_is_for_layers_made_from_then_on():
    before = layers.Dense(2)
    config.set_dtype_policy("mixed_float16")

    after, own = layers.Dense(2), layers.Dense(2, dtype="float32")

    assert [each.compute_dtype for each in (before, after, own)] == ["float32", "float16", "float32"]
    assert config.dtype_policy() == mixed_precision.global_policy() == DTypePolicy()


def test_layers_inside_take_the_policy_of_the_one_around():
    inner = {"class_name": "Dense", "config": {"units": 2}}
    cell = {"class_name": "GRUCell", "config": {"units": 2}}

    assert layers.TimeDistributed(inner, dtype="mixed_float16").layer.compute_dtype == "float16"
    assert layers.RNN(cell, dtype="mixed_float16").cell.compute_dtype == "float16"
    assert layers.Bidirectional({"class_name": "LSTM", "config": {"units": 2}},
                                dtype="mixed_float16").backward_layer.cell.compute_dtype == "float16"


def test_floatx_is_the_dtype_where_none_is_said():
    config.set_floatx("float64")

    assert layers.Input((3,)).dtype == layers.Dense(2).dtype == config.dtype_policy().name == "float64"
    assert layers.initializers.Ones()((2,)).dtype == floatx() == "float64"
    config.set_dtype_policy("mixed_float16")
    assert layers.Input((3,)).dtype == "float64" and layers.Dense(2).compute_dtype == "float16"


def test_epsilon_is_what_losses_and_constraints_keep_from_zero():
    config.set_epsilon(1e-3)

    assert sg.losses.binary_crossentropy([[1.0]], [[0.0]]).item() == pytest.approx(-np.log(1e-3), rel=1e-4)
    assert sg.constraints.UnitNorm()(np.float32([[0.001]])).item() == pytest.approx(0.5)


def test_config_has_one_state_with_that_of_the_devices():
    try:
        sg.config.set_strict()
        assert devices.config.is_strict and config is sg.config
    finally:
        devices.config.set_strict(False)
    assert not sg.config.is_strict


def test_the_older_names_are_the_same():
    mixed_precision.set_global_policy(mixed_precision.Policy("mixed_float16"))

    assert config.dtype_policy().name == "mixed_float16"
    assert mixed_precision.LossScaleOptimizer is sg.optimizers.LossScaleOptimizer


def test_a_layer_of_mixed_precision_says_its_dtypes():
    layer = layers.Dense(2, dtype="mixed_float16")
    layer(np.ones((1, 3), np.float32))

    assert (layer.dtype, layer.variable_dtype, layer.compute_dtype) == ("float32", "float32", "float16")
    assert [v.dtype for v in layer.weights] == ["float32", "float32"]


def test_the_policy_of_a_layer_can_be_changed():
    layer = layers.Dense(2)
    layer(np.ones((1, 3), np.float32))
    layer.dtype_policy = "mixed_bfloat16"

    assert layer(np.ones((1, 3), np.float32)).dtype == "bfloat16" and layer.kernel.dtype == "float32"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int32", "bool"])
def test_inputs_in_floating_point_are_cast_and_others_are_not(dtype):
    seen = []

    class Look(layers.Layer):
        def call(self, inputs):
            seen.append(inputs.dtype)
            return inputs

    Look(dtype="mixed_float16")(sg.cast(sg.ones((2,)), dtype))
    Look(dtype="mixed_float16", autocast=False)(sg.cast(sg.ones((2,)), dtype))

    assert seen == ["float16" if dtype.startswith(("float", "bfloat")) else dtype, dtype]


class Scale(layers.Layer):
    """A layer as users write them: weights of several kinds, read by operators, methods and slices."""

    def build(self, input_shape):
        self.scale = self.add_weight((input_shape[-1],), initializer="ones", name="scale")
        self.exact = self.add_weight((), initializer="ones", name="exact", autocast=False)
        self.count = self.add_weight((), initializer="zeros", dtype="int32", trainable=False, name="count")
        self.total = self.add_weight((), initializer="zeros", trainable=False, name="total")

    def call(self, inputs):
        self.seen = [(inputs * self.scale).dtype, self.scale.square().dtype, self.scale[0].dtype,
                     (self.exact * 2.0).dtype, sg.ops.cast(self.count, "int64").dtype, sg.transpose(self.scale).dtype]
        self.count.assign_add(1)
        self.total.assign_add(sg.sum(inputs))
        return inputs * self.scale


def test_weights_are_read_in_the_dtype_of_the_computation_unless_they_say_not_to():
    layer = Scale(dtype="mixed_float16")

    y = layer(np.ones((2, 3), np.float32))

    assert y.dtype == "float16"
    assert layer.seen == ["float16", "float16", "float16", "float32", "int64", "float16"]
    assert (layer.scale * 1.0).dtype == "float32"


@pytest.mark.parametrize("wrap", [sg.function, sg.checkpoint])
def test_a_compiled_function_reads_weights_as_the_layer_that_calls_it(wrap):
    weight = sg.Variable([1.0, 2.0])
    doubled = wrap(lambda x: weight * x)

    class Double(layers.Layer):
        def call(self, inputs):
            return doubled(sg.ops.cast(inputs, inputs.dtype))

    half, full = Double(dtype="mixed_float16"), Double()
    x = np.ones(2, np.float32)

    assert [half(x).dtype, full(x).dtype, half(x).dtype] == ["float16", "float32", "float16"]
    with sg.GradientTape() as tape:
        y = sg.sum(half(x))
    assert tape.gradient(y, weight).dtype == "float32"


def test_state_is_kept_in_its_own_dtype():
    layer = Scale(dtype="mixed_float16")
    layer(np.ones((2, 3), np.float32))
    compiled = sg.function(lambda x: layer(x))

    compiled(np.ones((2, 3), np.float32))

    assert (layer.total.dtype, layer.total.item(), layer.count.item()) == ("float32", 12.0, 2)


def test_a_value_in_the_dtype_of_the_computation_is_assigned_in_that_of_the_variable():
    class Last(layers.Layer):
        def build(self, input_shape):
            self.last = self.add_weight(input_shape, initializer="zeros", trainable=False)

        def call(self, inputs):
            self.last.assign(inputs * 2.0)
            return inputs + self.last

    layer = Last(dtype="mixed_float16")
    x = np.full((2,), 1.5, np.float32)

    assert layer(x).tolist() == sg.function(lambda x: layer(x))(x).tolist() == [4.5, 4.5]
    assert layer.last.dtype == "float32" and layer.last.numpy().tolist() == [3.0, 3.0]


def test_a_layer_inside_has_its_own_policy():
    class Block(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.inner = layers.Dense(2, dtype="float32")
            self.half = layers.Dense(2)

        def build(self, input_shape):
            self.own = self.add_weight((2,), initializer="ones")

        def call(self, inputs):
            self.seen = [self.inner(inputs).dtype, self.half(inputs).dtype, (self.own * 1.0).dtype]
            return self.inner(inputs) * self.own

    block = Block(dtype="mixed_float16")
    y = block(np.ones((1, 3), np.float32))

    assert block.seen == ["float32", "float32", "float16"] and y.dtype == "float32"


def test_token_numbers_given_as_floats_are_not_rounded_to_half_precision():
    table = np.arange(3000, dtype=np.float32)[:, None]
    layer = layers.Embedding(3000, 1, weights=[table], dtype="mixed_float16")

    assert layer(np.float32([2999.0])).tolist() == [[3000.0]]  # the number nearest to 2999 in float16


def test_statistics_are_those_of_float32(rng):
    x = (300 + 50 * rng.standard_normal((64, 32))).astype(np.float32)
    for make in (layers.LayerNormalization, layers.BatchNormalization, layers.RMSNormalization):
        half, full = make(dtype="mixed_float16"), make()

        y, expected = half(x, training=True), full(x, training=True)

        assert y.dtype == "float16"
        np.testing.assert_allclose(y.numpy().astype(np.float32), expected.numpy(), rtol=2e-3, atol=2e-3)
        for a, b in zip(half.get_weights(), full.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def network(policy):
    """A small network as Keras's guide has it: mixed precision inside, float32 where it ends."""
    config.set_dtype_policy(policy)
    x = layers.Input((6,))
    y = layers.Dense(16, activation="relu")(x)
    y = layers.BatchNormalization()(y)
    y = layers.Dropout(0.25, seed=1)(y)
    y = layers.Reshape((4, 4))(y)
    y = layers.MultiHeadAttention(2, 4)(y, y, use_causal_mask=True)
    y = layers.LayerNormalization()(y)
    y = layers.Flatten()(y)
    y = layers.Dense(3, activation="softmax", dtype="float32")(y)
    config.set_dtype_policy(None)
    return sg.Model(x, y)


POLICIES = pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])


@POLICIES
def test_a_model_computes_in_half_and_ends_in_float32(rng, policy):
    half, full = network(policy), network("float32")
    half.set_weights(full.get_weights())
    x = rng.standard_normal((8, 6)).astype(np.float32)

    assert half.layers[1].output.dtype == policy.removeprefix("mixed_") and half.output.dtype == "float32"
    assert {v.dtype for v in half.weights} == {"float32"}
    tolerance = 5e-3 if policy == "mixed_float16" else 4e-2
    for y in (half.predict(x), half(x).numpy(), half(x.astype(np.float64)).numpy()):
        assert y.dtype == np.float32
        np.testing.assert_allclose(y, full.predict(x), atol=tolerance)


@POLICIES
def test_gradients_come_in_the_dtype_of_the_weights_eager_and_compiled(rng, policy):
    model = network(policy)
    x = rng.standard_normal((8, 6)).astype(np.float32)
    labels = rng.integers(0, 3, 8)

    def gradients(x):
        with sg.GradientTape() as tape:
            loss = sg.losses.sparse_categorical_crossentropy(labels, model(x))
        return tape.gradient(loss, model.trainable_weights)

    eager, compiled = gradients(sg.tensor(x)), sg.function(gradients)(sg.tensor(x))

    tolerance = 2e-2 if policy == "mixed_float16" else 2e-1
    for dx, same in zip(eager, compiled, strict=True):
        assert dx.dtype == same.dtype == "float32"
        np.testing.assert_allclose(same.numpy(), dx.numpy(), atol=tolerance * max(1, np.abs(dx.numpy()).max()))


@POLICIES
def test_a_model_trains_in_mixed_precision(rng, policy):
    model = network(policy)
    optimizer = mixed_precision.LossScaleOptimizer(sg.optimizers.Adam(0.01))
    x = rng.standard_normal((32, 6)).astype(np.float32)
    labels = (x[:, 0] > 0).astype(np.int32)
    optimizer.build(model.trainable_weights)

    @sg.function
    def step(x):
        with sg.GradientTape() as tape:
            loss = sg.mean(sg.losses.sparse_categorical_crossentropy(labels, model(x, training=True)))
            scaled = optimizer.scale_loss(loss)
        optimizer.apply(tape.gradient(scaled, model.trainable_weights), model.trainable_weights)
        return loss

    losses = [float(step(sg.tensor(x))) for _ in range(30)]

    assert losses[-1] < 0.6 * losses[0] and {v.dtype for v in model.weights} == {"float32"}


def test_a_model_of_functions_takes_its_inputs_as_they_are():
    config.set_dtype_policy("mixed_float16")
    x = layers.Input((2,))
    model = sg.Model(x, layers.Dense(1, dtype="float32", use_bias=False, kernel_initializer="ones")(x))

    y = model(np.float32([[70000.0, 1.0]]))  # more than float16 holds

    assert (model.compute_dtype, y.dtype, y.item()) == ("float16", "float32", 70001.0)


def test_a_model_of_ones_own_class_computes_in_its_policy():
    class Own(sg.Model):
        def __init__(self, **options):
            super().__init__(**options)
            self.dense = layers.Dense(2)
            self.bias = sg.Variable(np.ones(2, np.float32))

        def call(self, inputs):
            self.seen = [inputs.dtype, (self.bias * 1.0).dtype]
            return self.dense(inputs)

    model = Own(dtype="mixed_float16")
    model(np.ones((1, 3), np.float32))

    assert model.seen == ["float16", "float16"]


def test_a_shared_table_is_read_in_half_precision_at_both_ends(rng):
    layer = layers.ReversibleEmbedding(7, 4, dtype="mixed_float16", logit_soft_cap=3.0)
    y = layer(np.array([[1, 2]]))

    scores = layer(y, reverse=True)

    table = layer.embeddings.numpy().astype(np.float16).astype(np.float64)
    expected = 3 * np.tanh(table[[1, 2]] @ table.T / 3)
    assert (y.dtype, scores.dtype) == ("float16", "float16")
    np.testing.assert_allclose(scores.numpy()[0], expected, atol=1e-4)
    assert layers.ReversibleEmbedding(7, 4, reverse_dtype="float32", dtype="mixed_float16")(
        np.ones((1, 4), np.float32), reverse=True).dtype == "float32"


@pytest.mark.parametrize("policy", ["float32", "float64", "bfloat16", "mixed_float16", "mixed_bfloat16"])
def test_the_configuration_keeps_the_policy(policy):
    layer = layers.MultiHeadAttention(2, 4, dtype=DTypePolicy(policy))
    config_ = json.loads(json.dumps(layer.get_config()))

    twin = layers.MultiHeadAttention.from_config(config_)
    keras = layers.Dense.from_config({"units": 2, "dtype": {
        "module": "keras", "class_name": "DTypePolicy", "config": {"name": policy}, "registered_name": None}})

    assert config_["dtype"] == policy and twin.dtype_policy == layer.dtype_policy == keras.dtype_policy


def test_a_variable_remembers_whether_it_is_cast():
    layer = layers.BatchNormalization(dtype="mixed_float16")
    layer(np.ones((1, 2), np.float32))
    variable = layer.add_weight((), autocast=False)

    assert not pickle.loads(pickle.dumps(variable)).autocast and not copy.deepcopy(variable).autocast


def test_an_exported_model_of_mixed_precision_runs(rng, tmp_path):
    model = network("mixed_float16")
    x = rng.standard_normal((4, 6)).astype(np.float32)
    model.export(tmp_path / "mixed.onnx")

    found = sg.load_onnx(tmp_path / "mixed.onnx").predict(x)

    np.testing.assert_allclose(found, model.predict(x), atol=5e-3)
