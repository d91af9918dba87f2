"""Files of gradients and of evaluation give what tapes, differences of losses, and `evaluate` give."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.core.structure import flatten, map_structure
from tests.training.step_file.cases import MODELS, floats, layers
from tests.training.step_file.running import exported, run, session_of

NAMES = [f"model/{name}" for name in MODELS]

TOLERANCE = {"model/mixed_precision": 2e-3}

SMOOTH = ["regression", "two_inputs_and_outputs", "penalties", "gru", "transformer", "imported", "speech"]


def close(name):
    return {"rtol": TOLERANCE.get(name, 1e-5), "atol": TOLERANCE.get(name, 1e-5)}


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_a_tape(name, tmp_path):
    sg.random.set_seed(5)
    model, batches, step = exported(tmp_path / "grad.onnx", name, "grad")
    session = session_of(tmp_path / "grad.onnx")

    for x, y, w in batches:
        results, _ = run(session, step, (x, y, w), step.initial_state())
        a, b, c = map_structure(lambda part: None if part is None else sg.tensor(part), (x, y, w))
        with sg.GradientTape() as tape:
            loss = model.compute_loss(a, b, model(a, training=False), c, training=False)
        wanted = tape.gradient(loss, model.trainable_variables)

        if name != "model/odd_variables":  # which draws random numbers: others in a file than outside
            np.testing.assert_allclose(results[step.loss], loss.numpy(), **close(name))
            assert [step.variables[v] for v in step.gradients] == [v.name for v in model.trainable_variables]
            for output, gradient in zip(step.gradients.values(), wanted, strict=True):
                np.testing.assert_allclose(results[output], gradient.numpy(), **close(name), err_msg=output)


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_are_differences_of_losses(name, tmp_path, rng):
    _, batches, step = exported(tmp_path / "grad.onnx", f"model/{name}", "grad")
    session = session_of(tmp_path / "grad.onnx")
    state = step.initial_state()
    results, _ = run(session, step, batches[0], state)
    change = {v: results[output] + rng.normal(size=state[v].shape) for v, output in step.gradients.items()}
    length = np.sqrt(sum((d**2).sum() for d in change.values()))
    change = {v: (d / length).astype(np.float32) for v, d in change.items()}

    def loss(size):
        moved = {v: x + np.float32(size) * change[v] if v in change else x for v, x in state.items()}
        return float(run(session, step, batches[0], moved)[0][step.loss])

    slope = sum(float((results[output] * change[v]).sum()) for v, output in step.gradients.items())

    assert (loss(4e-3) - loss(-4e-3)) / 8e-3 == pytest.approx(slope, rel=1e-2, abs=1e-3)


def test_gradients_in_training_are_what_a_step_takes_off_and_statistics_move(tmp_path):
    def make():
        sg.random.set_seed(2)
        model = sg.Sequential([sg.Input((4,)), layers.Dense(6, name="below"), layers.BatchNormalization(name="bn"),
                               layers.Dropout(0.4, name="drop"), layers.Dense(2, name="above")], name="net")
        model.compile(sg.optimizers.SGD(1.0), "mse")
        return model

    model, path = make(), tmp_path / "grad.onnx"
    model.export_grad(path, training=True)
    step, session = sg.TrainStep.load(path), session_of(path)
    state = step.initial_state()
    for x, y in zip(floats(4), floats(2), strict=True):
        before = {v.name: v.numpy() for v in model.weights}
        results, following = run(session, step, (x, y, None), {**state, **before})
        model.train_on_batch(x, y)

        for v in model.weights:
            wanted = following[v.name] if v.name not in step.gradients else (
                before[v.name] - results[step.gradients[v.name]])
            np.testing.assert_allclose(wanted, v.numpy(), rtol=1e-5, atol=1e-5, err_msg=v.name)
        state = following
    assert {v for v, following in step.state.items() if following} == {
        "bn/moving_mean", "bn/moving_variance", "drop/seed_generator/state"}


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_evaluation_evaluates(name, tmp_path):
    model, batches, step = exported(tmp_path / "eval.onnx", name, "eval")
    session = session_of(tmp_path / "eval.onnx")

    for x, y, w in batches:
        results, _ = run(session, step, (x, y, w), step.initial_state())
        if name == "model/odd_variables":
            continue
        logs = model.evaluate(x, y, sample_weight=w, batch_size=99, return_dict=True, verbose=0)
        predictions = flatten(model.predict_on_batch(x))

        assert logs.keys() == {"loss", *step.metrics}
        np.testing.assert_allclose(results[step.loss], logs["loss"], **close(name))
        for metric, output in step.metrics.items():
            np.testing.assert_allclose(results[output], logs[metric], **close(name), err_msg=metric)
        for output, wanted in zip(step.predictions, predictions, strict=True):
            np.testing.assert_allclose(results[output], wanted, **close(name))


def test_evaluation_takes_the_state_that_training_gives(tmp_path):
    model, batches, training = exported(tmp_path / "train.onnx", "model/convolutional")
    model.export_eval(tmp_path / "eval.onnx", y=batches[0][1])
    evaluation = sg.TrainStep.load(tmp_path / "eval.onnx")
    _, state = run(session_of(tmp_path / "train.onnx"), training, batches[0], training.initial_state())
    model.train_on_batch(*batches[0][:2])

    own = {name: state[name] for name in evaluation.state}
    results, _ = run(session_of(tmp_path / "eval.onnx"), evaluation, batches[1], own)

    assert {"bn/moving_mean", "head/kernel"} < set(evaluation.state) < set(training.state)
    wanted = model.evaluate(*batches[1][:2], return_dict=True, verbose=0)
    np.testing.assert_allclose(results[evaluation.loss], wanted["loss"], rtol=1e-5)


def test_a_test_step_of_ones_own_is_what_evaluation_does(tmp_path):
    class Own(sg.Sequential):
        def test_step(self, data):
            x, y = data
            return {"loss": sg.max(sg.abs(self(x) - y)), "height": sg.max(self(x))}

    model = Own([layers.Dense(2, input_shape=(3,))], name="own")
    model.compile("sgd", "mse")
    model.export_eval(tmp_path / "eval.onnx")
    step = sg.TrainStep.load(tmp_path / "eval.onnx")
    x, y = floats(3)[0], floats(2)[0]

    results, _ = run(session_of(tmp_path / "eval.onnx"), step, (x, y, None), step.initial_state())

    p = model.predict(x)
    assert float(results[step.loss]) == pytest.approx(abs(p - y).max())
    assert float(results[step.metrics["height"]]) == pytest.approx(p.max())


def test_weights_that_the_loss_does_not_depend_on_are_left_out_with_a_warning(tmp_path):
    x = sg.Input((3,))
    model = sg.Model(x, [layers.Dense(1, name="used")(x), layers.Dense(1, name="unused")(x)], name="two")
    model.compile("sgd", ["mse", None])

    with pytest.warns(UserWarning, match="no gradients for unused/kernel, unused/bias") as warned:
        model.export_grad(tmp_path / "grad.onnx")

    assert warned[0].filename == __file__  # the line that asked for the file
    assert list(sg.TrainStep.load(tmp_path / "grad.onnx").gradients) == ["used/kernel", "used/bias"]
