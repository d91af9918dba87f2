"""Names of classes and functions: what all registries do alike, names of a user's own, and plain data."""

import json

import numpy as np
import pytest

import symgraph as sg
from symgraph.core.registry import registries
from symgraph.layers.dtype_policy import DTypePolicy
from symgraph.utils import (
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    register_serializable,
    serialize_keras_object,
)


@pytest.fixture(autouse=True)
def forget_custom_objects():
    before = dict(get_custom_objects())
    yield
    get_custom_objects().clear()
    get_custom_objects().update(before)


MODULES = {"losses": sg.losses, "metrics": sg.metrics, "optimizers": sg.optimizers, "activations": sg.activations,
           "initializers": sg.initializers, "regularizers": sg.regularizers, "constraints": sg.constraints}

NAMES = {  # a name, its class or function, and a misspelling of it
    "losses": ("huber", sg.losses.huber, "hubber"), "metrics": ("f1_score", sg.metrics.F1Score, "f1_scor"),
    "optimizers": ("rmsprop", sg.optimizers.RMSprop, "rmspropp"), "activations": ("relu", sg.activations.relu, "rellu"),
    "initializers": ("he_normal", sg.initializers.HeNormal, "he_norml"),
    "regularizers": ("l1_l2", sg.regularizers.L1L2, "l1l3_"),
    "constraints": ("non_neg", sg.constraints.NonNeg, "noneg"),
}


def plain(x):
    return json.loads(json.dumps(x))


@pytest.mark.parametrize("kind", MODULES)
def test_every_kind_finds_names_and_tells_the_nearest(kind):
    name, value, misspelt = NAMES[kind]

    found = MODULES[kind].get(name)

    assert found is value or type(found) is value
    with pytest.raises((sg.TrainingError, sg.LayerError), match=f'{misspelt}.*did you mean.*"{name}"'):
        MODULES[kind].get(misspelt)


@pytest.mark.parametrize("kind", MODULES)
def test_every_kind_reads_what_it_writes(kind):
    value = MODULES[kind].get(NAMES[kind][0])

    again = MODULES[kind].deserialize(plain(MODULES[kind].serialize(value)))

    assert type(again) is type(value)
    assert MODULES[kind].serialize(again) == MODULES[kind].serialize(value)


@pytest.mark.parametrize("kind", MODULES)
def test_every_kind_refuses_what_is_none(kind):
    for wrong in (3.5, {"config": {}}, {"class_name": None}, {"class_name": "os.system", "config": {}}):
        with pytest.raises((sg.TrainingError, sg.LayerError)):
            MODULES[kind].get(wrong)


@pytest.mark.parametrize("kind", MODULES)
def test_names_in_scope_are_found_and_come_first(kind):
    class Mine:
        pass

    with custom_object_scope({"Mine": Mine, NAMES[kind][0]: Mine}):
        assert isinstance(MODULES[kind].get("Mine"), Mine)
        assert isinstance(MODULES[kind].get(NAMES[kind][0]), Mine)
        assert isinstance(MODULES[kind].deserialize({"class_name": "Mine", "config": {}}), Mine)
    assert not isinstance(MODULES[kind].get(NAMES[kind][0]), Mine)
    assert isinstance(MODULES[kind].deserialize({"class_name": "Mine"}, {"Mine": Mine}), Mine)


@pytest.mark.parametrize("kind", [k for k in MODULES if k != "optimizers"])
def test_registered_functions_are_written_under_their_full_names(kind):
    @register_keras_serializable(package="tests", name="own")
    def function(*args):
        return 7

    assert MODULES[kind].serialize(function) == "tests>own"
    assert MODULES[kind].get("tests>own") is function is MODULES[kind].deserialize("tests>own")


def test_a_function_without_a_name_is_not_written():
    for kind in ("losses", "metrics", "initializers", "regularizers", "constraints", "activations"):
        with pytest.raises(sg.SymgraphError, match=rf"not one of sg\.{kind}"):
            MODULES[kind].serialize(lambda x: x)


def test_arguments_that_a_class_does_not_take_are_told_from_errors_inside_of_it():
    class Broken(sg.initializers.Initializer):
        def __init__(self, value=1):
            self.value = value + "1"

    with pytest.raises(sg.LayerError, match=r"initializer Broken takes \(value=1\), got \{'valu': 2\}"):
        sg.initializers.deserialize({"class_name": "Broken", "config": {"valu": 2}}, {"Broken": Broken})
    with pytest.raises(TypeError, match="unsupported operand"):
        sg.initializers.deserialize({"class_name": "Broken", "config": {}}, {"Broken": Broken})


@pytest.mark.parametrize("config", [{"class_name": "Adam", "config": {"beta_1": 0.5}},
                                    {"module": "keras.optimizers", "class_name": "Adam", "config": {"beta_1": 0.5},
                                     "registered_name": "Adam"}])
def test_the_configurations_of_keras_2_and_3_are_read(config):
    assert sg.optimizers.get(config).beta_1 == 0.5


def test_spellings_of_tensorflow_js_and_capitals_do():
    assert sg.losses.get("meanSquaredError") is sg.losses.mean_squared_error
    assert isinstance(sg.initializers.get("glorotUniform"), sg.initializers.GlorotUniform)
    assert isinstance(sg.optimizers.get("ADAM"), sg.optimizers.Adam)


# Names of one's own.


def test_a_registered_layer_is_made_again_inside_of_others():
    @register_serializable("tests")
    class Cell(sg.layers.SimpleRNNCell):
        pass

    layer = sg.layers.Bidirectional(sg.layers.RNN(Cell(3, name="inside")))
    config = plain(sg.layers.serialize(layer))

    again = sg.layers.deserialize(config)

    assert "tests>Cell" in json.dumps(config)
    assert type(again.forward_layer.cell) is Cell and sg.layers.serialize(again) == sg.layers.serialize(layer)


def test_scopes_nest_and_end():
    def outer(x):
        return 1

    def inner(x):
        return 2

    with custom_object_scope({"f": outer}):
        with custom_object_scope({"f": inner}):
            assert sg.activations.get("f") is inner
        assert sg.activations.get("f") is outer
    with pytest.raises(sg.LayerError, match="no activation 'f'"):
        sg.activations.get("f")


def test_registered_names_and_objects():
    @register_keras_serializable()
    class Thing:
        def get_config(self):
            return {}

    assert get_registered_name(Thing) == "Custom>Thing"
    assert get_registered_object("Custom>Thing") is Thing is get_custom_objects()["Custom>Thing"]
    assert get_registered_name(len) == "len"
    assert get_registered_object("nobody") is None
    assert get_registered_object("a", {"a": 1}) == 1 == get_registered_object("b", {}, {"b": 1})


def test_what_is_put_among_the_custom_objects_is_found():
    get_custom_objects()["treble"] = lambda x: 3 * x

    assert sg.activations.get("treble")(2) == 6


@pytest.mark.parametrize(("make", "words"), [
    (lambda: register_keras_serializable()(type("Bare", (), {})), "Bare has no get_config"),
    (lambda: register_keras_serializable()(3), "classes and functions, got 3"),
    (lambda: custom_object_scope([1]), r"by name, got \[1\]"),
    (lambda: custom_object_scope({"a": 1}), "classes and functions by name"),
    (lambda: get_registered_name(3), "got 3"),
])
def test_what_cannot_be_registered_is_told(make, words):
    with pytest.raises(sg.FormatError, match=words):
        make()


# Plain data.


OBJECTS = {
    "layer": lambda: sg.layers.Dense(2, activation="relu", kernel_initializer=sg.initializers.HeNormal(3)),
    "loss": lambda: sg.losses.Huber(2.0), "metric": lambda: sg.metrics.AUC(num_thresholds=9),
    "optimizer": lambda: sg.optimizers.Adam(sg.optimizers.schedules.CosineDecay(0.1, 10)),
    "schedule": lambda: sg.optimizers.schedules.PolynomialDecay(0.1, 10), "initializer": lambda: sg.initializers.Ones(),
    "regularizer": lambda: sg.regularizers.L2(0.3), "constraint": lambda: sg.constraints.MaxNorm(3),
    "policy": lambda: DTypePolicy("mixed_float16"),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_of_every_kind_survive_json(name):
    value = OBJECTS[name]()

    written = plain(serialize_keras_object(value))
    again = deserialize_keras_object(written)

    assert type(again) is type(value) and again.get_config() == value.get_config()
    assert written["module"].startswith("keras") and written["registered_name"] is None


def test_every_registry_writes_a_module_that_leads_back_to_it():
    for registry in registries():
        if registry.base is None:
            continue
        name, cls = next((k, v) for k, v in registry.names().items() if isinstance(v, type) and v.__name__ == k)
        config = {"module": f"keras.{registry.modules[0]}".rstrip("."), "class_name": name, "config": {"no": 1}}
        with pytest.raises(registry.error, match=cls.__name__):
            deserialize_keras_object(config)


def test_data_of_other_kinds_survives_json():
    data = {"none": None, "list": [1, 2.5, "a", True], "array": np.float32([[1, 2]]), "bytes": b"abc",
            "slice": slice(1, None), "dots": Ellipsis, "tensor": sg.tensor([1, 2]), "function": sg.activations.relu,
            "number": np.float32(0.5)}

    again = deserialize_keras_object(plain(serialize_keras_object(data)))

    for key in ("none", "list", "bytes", "slice", "dots", "function", "number"):
        assert again[key] == data[key]
    np.testing.assert_array_equal(again["array"], data["array"])
    assert again["array"].dtype == np.float32
    assert isinstance(again["tensor"], sg.Tensor) and again["tensor"].tolist() == [1, 2]


def test_a_class_of_ones_own_needs_a_name_to_be_found_by():
    class Mine:
        def __init__(self, x=1):
            self.x = x

        def get_config(self):
            return {"x": self.x}

    written = plain(serialize_keras_object(Mine(5)))

    assert written == {"module": None, "class_name": "Mine", "config": {"x": 5}, "registered_name": "Mine"}
    with pytest.raises(sg.FormatError, match="register_keras_serializable"):
        deserialize_keras_object(written)
    assert deserialize_keras_object(written, {"Mine": Mine}).x == 5
    register_keras_serializable("tests")(Mine)
    assert deserialize_keras_object(plain(serialize_keras_object(Mine(6)))).x == 6


def test_a_layer_of_ones_own_with_the_name_of_ours_is_not_taken_for_it():
    class Dense(sg.layers.Layer):
        pass

    written = serialize_keras_object(Dense())

    assert (written["module"], written["registered_name"]) == (None, "Dense")


def keras(module, name, **config):
    return {"module": module, "class_name": name, "config": config, "registered_name": None}


@pytest.mark.parametrize(("config", "error", "words"), [
    (keras("os", "system"), sg.UnsafeModelError, "'system' of module 'os'"),
    (keras("keras_hub.layers", "Dense", units=2), sg.UnsafeModelError, "keras_hub"),
    (keras("keras.layers", "Densee"), sg.LayerError, 'did you mean "Dense"'),
    (keras("keras.layers", "Dense", unit=3), sg.LayerError, "Dense takes .units,"),
    (keras("keras.nowhere", "Dense"), sg.FormatError, "no class 'Dense' of module"),
    (keras("keras.losses", "Adam"), sg.TrainingError, "no loss 'Adam'"),
    ({"class_name": "MeanSquaredError"}, sg.FormatError, "module"),
    ({"class_name": "Nothing"}, sg.FormatError, "no class 'Nothing'"),
    ({"class_name": 3}, sg.FormatError, "a word, got 3"),
    ({"class_name": "Dense", "config": "x"}, sg.FormatError, "must be a dict, got 'x'"),
    ({"class_name": "function", "config": "os.system"}, sg.FormatError, "no function 'os.system'"),
    ({"class_name": "__lambda__", "config": {"value": "…"}}, sg.UnsafeModelError, "not run"),
    ({"class_name": "__numpy__", "config": {}}, sg.FormatError, "__numpy__"),
    ({"class_name": "__else__", "config": {}}, sg.FormatError, "__else__"),
])
def test_what_is_not_known_is_told_and_never_imported(config, error, words):
    with pytest.raises(error, match=words):
        deserialize_keras_object(config)


@pytest.mark.parametrize("value", [object(), int, lambda x: x, sg.Input((2,))],
                         ids=["object", "class", "lambda", "symbol"])
def test_what_cannot_be_written_is_told(value):
    with pytest.raises(sg.FormatError, match="cannot be written down"):
        serialize_keras_object(value)


@pytest.mark.parametrize("module", ["keras.layers", "keras.src.layers.core.dense", "tf_keras.layers",
                                    "tensorflow.keras.layers", "keras.api.layers", None])
def test_the_modules_that_keras_has_had_are_known(module):
    assert deserialize_keras_object(keras(module, "Dense", units=3)).units == 3
