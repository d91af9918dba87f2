"""Reading files of steps, good and bad, and setting a model to a state."""

import json
import re

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import symgraph as sg
from symgraph.training.step_variables import variables_of
from tests.training.step_file.cases import CASES, dense, layers, regression
from tests.training.step_file.running import exported, run, session_of


def test_a_step_says_what_it_takes_and_gives(tmp_path):
    _, _, step = exported(tmp_path / "step.onnx", "model/two_inputs_and_outputs")

    assert step.kind == "train"
    assert (step.x, step.y, step.sample_weight) == (["a", "b"], ["y_mean", "y_kind"], [])
    assert set(step.metrics) == {"mean_loss", "kind_loss", "mean_mae", "kind_accuracy"}
    assert repr(step) == ("<TrainStep of kind 'train': x=['a', 'b'], y=['y_mean', 'y_kind'], 20 tensors of state, "
                          f"metrics={list(step.metrics)}>")


def test_a_step_is_read_from_bytes_as_well(tmp_path):
    _, _, step = exported(tmp_path / "step.onnx", "model/regression")

    assert sg.TrainStep.load((tmp_path / "step.onnx").read_bytes()).state == step.state


def test_the_state_at_the_start_is_that_of_the_model_and_ones_own(tmp_path):
    model, _, step = exported(tmp_path / "step.onnx", "model/regression")

    state = step.initial_state()
    state["dense0/kernel"][:] = 7

    assert np.array_equal(step.initial_state()["dense0/kernel"], model.weights[0].numpy())


def test_a_file_is_also_a_model_like_any_other(tmp_path):
    _, batches, step = exported(tmp_path / "eval.onnx", "model/regression", "eval")
    model = sg.load_onnx(tmp_path / "eval.onnx")

    results = model.execute({"numbers": batches[0][0], "y": batches[0][1], **step.initial_state()})

    assert float(results[0]) == pytest.approx(float(run(session_of(tmp_path / "eval.onnx"), step, batches[0],
                                                        step.initial_state())[0]["loss"]))


# Files that are no steps, or are not sound.

def roles(**changes):
    def change(model):
        entry = next(e for e in model.metadata_props if e.key == "symgraph.step")
        entry.value = json.dumps({**json.loads(entry.value), **changes})

    return change


def text(value):
    def change(model):
        next(e for e in model.metadata_props if e.key == "symgraph.step").value = value

    return change


def initializer(array=None, **fields):
    def change(model):
        tensor = model.training_info[0].initialization.initializer[0]
        if array is not None:
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        for name, value in fields.items():
            setattr(tensor, name, value)

    return change


def without(path):
    def change(model):
        for name in path.split("."):
            model = model[0] if hasattr(model, "append") else model
            last, model = model, getattr(model, name)
        last.ClearField(name)

    return change


def twice(model):
    model.training_info.add().CopyFrom(model.training_info[0])


STATE = {"dense0/kernel": "dense0/kernel/next"}

BAD = {
    "no_metadata": (without("metadata_props"), "is no training step; Model.export_train_step"),
    "newer": (roles(version=2), "written by a newer symgraph"),
    "no_version": (roles(version=None), "says no version"),
    "version_true": (roles(version=True), "says no version"),
    "version_0": (roles(version=0), "says no version"),
    "kind": (roles(kind="other"), "'other' as 'kind', expected one of train, grad, eval"),
    "kind_of_a_list": (roles(kind=["train"]), "expected one of train"),
    "x_text": (roles(x="numbers"), "'numbers' as 'x', expected a list of names"),
    "x_numbers": (roles(x=[1]), r"\[1\] as 'x'"),
    "x_missing": (roles(x=None), "None as 'x'"),
    "x_other": (roles(x=["digits"]), "do not fit: 'digits', 'numbers'"),
    "x_twice": (roles(x=["numbers", "y"]), "do not fit: 'y'"),
    "state_list": (roles(state=[]), "expected names or null by name"),
    "state_number": (roles(state={"a": 1}), "expected names or null by name"),
    "state_too_short": (roles(state=STATE), "do not fit: 'adam/dense0_bias_momentum'"),
    "variables": (roles(variables={"a": None}), "as 'variables'"),
    "variables_other": (roles(variables={"a": "b"}), "'a' in 'variables' and not in 'state'"),
    "places": (roles(places=None), "as 'places'"),
    "places_other": (roles(places={"a": "weight 0 of 1"}), "'a' in 'places' and not in 'state'"),
    "variables_too_short": (roles(variables={}), "no 'dense0/kernel' in 'variables'"),
    "loss": (roles(loss=None), "None as 'loss', expected a name"),
    "loss_other": (roles(loss="cost"), "outputs that it does not have: 'cost'"),
    "metrics": (roles(metrics={"mae": "mae"}), "outputs that it does not have: 'mae'"),
    "predictions": (roles(predictions=["p"]), "outputs that it does not have: 'p'"),
    "gradients": (roles(gradients={"a": "loss"}), "'a' in 'gradients' and not in 'state'"),
    "no_json": (text("kind=train"), "is not valid JSON"),
    "a_list": (text("[]"), "says no version"),
    "nothing": (text(""), "is not valid JSON"),
    "deep": (text("[" * 100_000), "nested too deep"),
    "nan": (text('{"version": NaN}'), "NaN is no number"),
    "twice_a_key": (text('{"version": 1, "version": 1}'), "a key stands twice"),
    "no_training_info": (without("training_info"), "0 entries of training_info"),
    "two_training_infos": (twice, "2 entries of training_info"),
    "no_bindings": (without("training_info.initialization_binding"), "no state at the start for 'dense0/kernel'"),
    "no_values": (without("training_info.initialization.initializer"), "no state at the start for 'dense0/kernel'"),
    "other_shape": (initializer(np.zeros((6, 4), np.float32)), r"float32\[6, 4\], the input is float32\[4, 6\]"),
    "other_dtype": (initializer(np.zeros((4, 6))), r"float64\[4, 6\], the input is float32\[4, 6\]"),
    "cut_values": (initializer(raw_data=b"1234"), "raw data has 4"),
    "unknown_dtype": (initializer(data_type=99), "element type 99"),
    "data_elsewhere": (initializer(data_location=1), "external data without a location"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_no_sound_step_is_an_error_that_says_why(name, tmp_path):
    change, message = BAD[name]
    exported(tmp_path / "step.onnx", "model/regression")
    model = onnx.load(tmp_path / "step.onnx")
    change(model)

    with pytest.raises((sg.FormatError, sg.DtypeError), match=message):
        sg.TrainStep.load(model.SerializeToString())


@pytest.mark.parametrize(("data", "message"), [
    (b"", "an empty file"), (b"\xff" * 50, "not an ONNX model"), (b'{"version": 1}', "starts as JSON does"),
    (b"PK\x03\x04" + bytes(50), "a zip archive")])
def test_what_is_no_onnx_file_is_an_error_that_says_so(data, message, tmp_path):
    (tmp_path / "step.onnx").write_bytes(data)

    with pytest.raises(sg.FormatError, match=message):
        sg.TrainStep.load(tmp_path / "step.onnx")


def test_every_cut_of_a_file_is_an_error(tmp_path):
    exported(tmp_path / "step.onnx", "model/regression")
    data = (tmp_path / "step.onnx").read_bytes()

    for end in range(0, len(data), 97):
        with pytest.raises(sg.SymgraphError):
            sg.TrainStep.load(data[:end])


@pytest.mark.parametrize("text", [b'"version"', b"numbers", b"dense0/kernel"])
def test_a_text_that_is_not_utf8_is_an_error_of_ours(text, tmp_path):
    exported(tmp_path / "step.onnx", "model/regression")
    data = (tmp_path / "step.onnx").read_bytes()
    errors = []

    for place in re.finditer(re.escape(text), data):
        try:
            sg.TrainStep.load(data[:place.start()] + b"\xff" + data[place.start() + 1:])
        except sg.SymgraphError as error:
            errors.append(error)

    assert errors


def test_files_that_are_not_there_and_models_without_steps_are_errors(tmp_path):
    dense(2, 1).export(tmp_path / "model.onnx")

    with pytest.raises(sg.FormatError, match="no such file"):
        sg.TrainStep.load(tmp_path / "absent.onnx")
    with pytest.raises(sg.FormatError, match="is no training step"):
        sg.TrainStep.load(tmp_path / "model.onnx")


# A state and a model.

CONTINUED = [
    "model/regression", "model/convolutional", "model/odd_variables", "model/own_step", "model/imported",
    "model/frozen_layers", "model/transformer", "model/masked_text", "model/noise_and_norms", "model/mixed_precision",
    "optimizer/ema", "optimizer/loss_scale", "optimizer/accumulation", "optimizer/cosine_decay"]


@pytest.mark.parametrize("name", CONTINUED)
def test_a_model_goes_on_where_the_file_stopped(name, tmp_path):
    _, batches, step = exported(tmp_path / "step.onnx", name)
    session, state = session_of(tmp_path / "step.onnx"), step.initial_state()
    for batch in batches:
        _, state = run(session, step, batch, state)
    fresh, _ = CASES[name]()  # its weights differ, and its layers may be called otherwise
    if name == "model/frozen_layers":
        fresh.layers[0].set_weights(exported(tmp_path / "other.onnx", name)[0].layers[0].get_weights())
    sg.random.set_seed(99)

    step.load_into(fresh, state)
    fresh.reset_metrics()
    loss = fresh.train_on_batch(*batches[0], return_dict=True)["loss"]

    tolerance = 2e-3 if name == "model/mixed_precision" else 1e-5
    results, _ = run(session, step, batches[0], state)
    assert loss == pytest.approx(float(results[step.loss]), rel=tolerance)


def trained(tmp_path):
    _, batches, step = exported(tmp_path / "step.onnx", "model/regression")
    return step, run(session_of(tmp_path / "step.onnx"), step, batches[0], step.initial_state())[1]


def test_weights_go_into_a_model_that_is_not_compiled(tmp_path):
    step, state = trained(tmp_path)
    model = dense(4, 6, 2)

    step.load_into(model, state)

    assert np.array_equal(model.weights[0].numpy(), state["dense0/kernel"])


def test_weights_go_into_a_model_with_another_optimizer(tmp_path):
    step, state = trained(tmp_path)
    model, _ = regression(sg.optimizers.SGD(0.5, momentum=0.9))

    step.load_into(model, state)

    assert np.array_equal(model.weights[0].numpy(), state["dense0/kernel"])
    assert float(model.optimizer.learning_rate) == 0.5
    assert int(model.optimizer.iterations) == 0


def test_weights_are_found_by_name_before_their_order_counts(tmp_path):
    step, state = trained(tmp_path)
    x = sg.Input((4,))
    first, second = layers.Dense(6, "tanh", name="dense0"), layers.Dense(2, "tanh", name="dense1")
    model = sg.Model(x, second(first(layers.Dense(4, name="other")(x))))

    step.load_into(model, state)

    assert np.array_equal(first.kernel.numpy(), state["dense0/kernel"])
    assert np.array_equal(second.kernel.numpy(), state["dense1/kernel"])


def test_what_the_optimizer_remembers_goes_with_the_weights_of_a_model_whose_layers_are_called_otherwise(tmp_path):
    step, state = trained(tmp_path)
    model = sg.Sequential([sg.Input((4,)), layers.Dense(6, "tanh", name="a"), layers.Dense(2, "tanh", name="b")])
    model.compile("adam", "mse")

    step.load_into(model, state)

    by_name = {found.name: v.numpy() for v, found in variables_of(model).items()}
    assert np.array_equal(by_name["adam/b_kernel_velocity"], state["adam/dense1_kernel_velocity"])
    assert by_name["adam/iteration"] == 1


def wrong(**changes):
    return lambda state: {**state, **{name.replace("__", "/"): value for name, value in changes.items()}}


WRONG = {
    "missing": (lambda state: {k: v for k, v in state.items() if k != "dense1/bias"}, ["dense1/bias is missing"]),
    "unknown": (wrong(dense1__bia=1), ['there is no dense1/bia; did you mean "dense1/bias"']),
    "shape": (wrong(dense1__bias=np.zeros(3, np.float32)), ["dense1/bias", "shape (2,)", "shape (3,)"]),
    "rank": (wrong(adam__iteration=np.zeros(1, np.int64)), ["adam/iteration", "shape (1,)"]),
    "dtype": (wrong(adam__iteration=np.float32(1)), ["adam/iteration", "is int64, got float32"]),
    "text": (wrong(dense1__bias=np.array(["a", "b"])), ["dense1/bias: "]),
    "nothing": (wrong(dense1__bias=None), ["dense1/bias: "]),
    "ragged": (wrong(dense1__bias=[[1], [1, 2]]), ["dense1/bias: "]),
    "several": (wrong(dense1__bias=[1.0], dense0__bias=[1.0], other=1), ["dense1/bias", "dense0/bias", "no other"]),
    "empty": (lambda state: {}, ["dense0/kernel is missing", "and 6 more"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_state_that_does_not_fit_is_one_error_and_nothing_is_set(name, tmp_path):
    step, state = trained(tmp_path)
    change, words = WRONG[name]
    model, _ = regression()
    before = [v.numpy().copy() for v in model.weights]

    with pytest.raises(sg.TrainingError, match="does not fit") as error:
        step.load_into(model, change(state))

    assert [word for word in words if word not in str(error.value)] == []
    assert "nothing was set" in str(error.value)
    assert all(np.array_equal(v.numpy(), x) for v, x in zip(model.weights, before, strict=True))


@pytest.mark.parametrize(("sizes", "words"), [
    ((4, 6), ["dense1/kernel (weight 2 of 4) has no counterpart"]),
    ((4, 6, 3), ["dense1/kernel", "shape (6, 3)", "shape (6, 2)"]),
    ((4, 6, 2, 2), [])])
def test_a_model_of_another_making_is_an_error_unless_it_has_all_weights_by_name(sizes, words, tmp_path):
    step, state = trained(tmp_path)
    model = dense(*sizes)
    if not words:
        step.load_into(model, state)
        assert np.array_equal(model.weights[2].numpy(), state["dense1/kernel"])
        return

    with pytest.raises(sg.TrainingError) as error:
        step.load_into(model, state)

    assert [word for word in words if word not in str(error.value)] == []


def test_a_model_without_weights_is_an_error_that_says_what_to_do(tmp_path):
    step, state = trained(tmp_path)

    with pytest.raises(sg.TrainingError, match="has no weights yet; call it on data"):
        step.load_into(sg.Sequential([layers.Dense(1)]), state)


@pytest.mark.parametrize("state", [None, [np.zeros((4, 6))], np.zeros(3), "state.npz"])
def test_what_is_no_state_is_an_error_that_says_what_one_is(state, tmp_path):
    step, _ = trained(tmp_path)

    with pytest.raises(sg.TrainingError, match=f"a dict of arrays by input name.*got {type(state).__name__}"):
        step.load_into(regression()[0], state)


def test_what_is_no_model_is_an_error(tmp_path):
    step, state = trained(tmp_path)

    for other in (None, "model.onnx", layers.Dense(1)):
        with pytest.raises(sg.TrainingError, match=f"weights of a model, got {type(other).__name__}"):
            step.load_into(other, state)


def test_numbers_and_lists_are_a_state_as_well(tmp_path):
    step, state = trained(tmp_path)
    model, _ = regression()

    step.load_into(model, {name: value.tolist() for name, value in state.items()})

    assert np.array_equal(model.weights[0].numpy(), state["dense0/kernel"])
