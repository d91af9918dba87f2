"""What stands in a file of a step: names, state and constants; what is written where something goes wrong."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import onnx
import pytest

import symgraph as sg
from symgraph.core.variable import Variable
from tests.training.step_file.cases import CASES, dense, layers
from tests.training.step_file.running import exported, run, session_of

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", ["model/convolutional", "model/masked_text", "model/own_step", "optimizer/muon"])
def test_a_file_is_the_same_each_time(name, tmp_path):
    model, batches, _ = exported(tmp_path / "a.onnx", name)
    model.export_train_step(tmp_path / "b.onnx", y=batches[0][1])

    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


@pytest.mark.parametrize("name", ["model/convolutional", "model/odd_variables"])
def test_every_process_writes_the_same_bytes(name, tmp_path):
    code = "import sys; from tests.training.step_file.running import exported; exported(sys.argv[1], sys.argv[2])"
    for seed in "12":
        subprocess.run([sys.executable, "-c", code, tmp_path / seed, name], check=True, cwd=ROOT,
                       env={**os.environ, "PYTHONHASHSEED": seed})

    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_the_state_is_what_changes_and_frozen_weights_are_constants(tmp_path):
    _, _, step = exported(tmp_path / "step.onnx", "model/frozen_layers")

    assert [name for name in step.state if not name.startswith("adam/")] == ["above/kernel", "above/bias"]
    assert step.state["adam/learning_rate"] == "adam/learning_rate/next"


def test_statistics_and_seeds_are_state(tmp_path):
    _, _, step = exported(tmp_path / "step.onnx", "model/convolutional")

    assert {"bn/moving_mean", "bn/moving_variance", "drop/seed_generator/state"} < set(step.state)
    assert step.initial["drop/seed_generator/state"].dtype == np.int64


def test_whatever_a_step_of_ones_own_reads_or_changes_is_state(tmp_path):
    _, _, step = exported(tmp_path / "step.onnx", "model/own_step")

    assert {"own/teacher/kernel", "sgd/learning_rate", "sgd/learning_rate_1"} < set(step.state)
    assert "strength" not in step.state  # a weight of the model that training leaves alone
    assert step.metrics == {"distance": "distance"}


def test_weights_of_losses_are_state(tmp_path):
    _, _, step = exported(tmp_path / "step.onnx", "model/changing_loss_weights")

    assert step.state["alpha"] == "alpha/next"


def test_weights_of_a_loaded_file_keep_their_names_and_targets_get_others(tmp_path):
    _, _, step = exported(tmp_path / "step.onnx", "model/imported")

    assert step.x == ["data"]
    assert [name for name in step.state if "/" not in name] == ["fc1.weight", "fc1.bias", "loss"]
    assert step.loss == "loss_1"


def test_names_that_clash_are_told_apart(tmp_path):
    _, _, step = exported(tmp_path / "step.onnx", "model/odd_variables")

    assert step.x == ["numbers"]
    assert {"numbers_1": "numbers", "scale": "scale", "scale_1": "scale_1"}.items() <= step.variables.items()
    assert "odd/last" in step.state  # written, never read


@pytest.mark.parametrize("name", [
    "convolutional", "frozen_layers", "head_on_an_imported_model", "own_step", "odd_variables", "noise_and_norms"])
def test_evaluation_and_gradients_take_no_state_that_training_does_not_give(name, tmp_path):
    model, batches, training = exported(tmp_path / "train.onnx", f"model/{name}")
    for kind in ("grad", "eval"):
        getattr(model, f"export_{kind}")(tmp_path / kind, y=batches[0][1])

        assert set(sg.TrainStep.load(tmp_path / kind).state) <= set(training.state)


@pytest.mark.parametrize(("name", "y"), [
    ("two_inputs_and_outputs", ["y_mean", "y_kind"]), ("outputs_by_name", ["y"]), ("regression", ["y"])])
def test_several_targets_are_called_after_the_outputs(name, y, tmp_path):
    assert exported(tmp_path / "step.onnx", f"model/{name}")[2].y == y


@pytest.mark.parametrize("name", ["regression", "classifier", "two_inputs_and_outputs", "speech", "transformer"])
def test_without_an_example_targets_are_such_as_the_losses_take(name, tmp_path):
    model, batches = CASES[f"model/{name}"]()
    model.export_train_step(tmp_path / "step.onnx")
    step = sg.TrainStep.load(tmp_path / "step.onnx")

    results, _ = run(session_of(tmp_path / "step.onnx"), step, batches[0], step.initial_state())

    assert float(results["loss"]) == pytest.approx(model.evaluate(*batches[0][:2], return_dict=True, verbose=0)["loss"],
                                                   abs=1 if name == "transformer" else 1e-4)  # which drops out


def test_a_model_that_was_trained_takes_targets_like_those(tmp_path):
    model, batches = CASES["model/classifier"]()
    model.fit(batches[0][0], batches[0][1].astype(np.int32)[:, None], verbose=0)
    model.export_train_step(tmp_path / "step.onnx")

    (y,) = [x for x in session_of(tmp_path / "step.onnx").get_inputs() if x.name == "y"]

    assert (y.type, y.shape) == ("tensor(int32)", ["batch", 1])


def test_sample_weights_are_one_for_each_sample_or_like_an_example(tmp_path):
    model, _ = CASES["model/binary"]()
    model.export_train_step(tmp_path / "a.onnx", sample_weight=True)
    model.export_train_step(tmp_path / "b.onnx", sample_weight=np.ones((3, 1)))

    shapes = [[x.shape for x in session_of(tmp_path / name).get_inputs() if x.name == "sample_weight"]
              for name in ("a.onnx", "b.onnx")]

    assert shapes == [[["batch"]], [["batch", 1]]]


def test_inputs_say_what_they_are_to_who_opens_the_file(tmp_path):
    exported(tmp_path / "step.onnx", "model/regression")
    said = {x.name: x.doc_string for x in onnx.load(tmp_path / "step.onnx").graph.input}

    assert (said["numbers"], said["y"]) == ("data", "target")
    assert said["dense0/kernel"] == "state; its next value is 'dense0/kernel/next'"


def test_metadata_of_ones_own_stands_beside_that_of_the_step(tmp_path):
    model, _ = CASES["model/regression"]()
    model.export_train_step(tmp_path / "step.onnx", metadata={"author": "me"})

    entries = {entry.key: entry.value for entry in onnx.load(tmp_path / "step.onnx").metadata_props}

    assert entries["author"] == "me"
    assert json.loads(entries["symgraph.step"])["kind"] == "train"
    with pytest.raises(sg.TrainingError, match=r"symgraph\.step"):
        model.export_train_step(tmp_path / "other.onnx", metadata={"symgraph.step": "mine"})


def test_exporting_changes_nothing_that_training_goes_by(tmp_path):
    def losses(exports):
        model, batches = CASES["model/convolutional"]()
        found = []
        for x, y, _ in batches:
            if exports:
                for kind in ("train_step", "grad", "eval"):
                    getattr(model, f"export_{kind}")(tmp_path / "step.onnx")
            found.append(model.train_on_batch(x, y))
        return found

    sg.random.set_seed(1)
    wanted = losses(False)
    sg.random.set_seed(1)

    assert losses(True) == wanted


def test_exporting_before_compile_or_before_inputs_are_known_is_an_error(tmp_path):
    model = sg.Sequential([layers.Dense(1)], name="early")
    with pytest.raises(sg.TrainingError, match="call compile"):
        model.export_train_step(tmp_path / "step.onnx")
    model.compile("sgd", "mse")
    for kind in ("train_step", "grad", "eval"):
        with pytest.raises(sg.TrainingError, match="its inputs are not known yet"):
            getattr(model, f"export_{kind}")(tmp_path / "step.onnx")
    assert os.listdir(tmp_path) == []


def test_a_model_without_trainable_weights_is_evaluated_and_not_trained(tmp_path):
    model, _ = CASES["model/regression"]()
    model.trainable = False
    model.compile("sgd", "mse")
    model.export_eval(tmp_path / "eval.onnx")

    assert sg.TrainStep.load(tmp_path / "eval.onnx").state == {}
    with pytest.raises(sg.TrainingError, match="no trainable weights"):
        model.export_train_step(tmp_path / "step.onnx")
    with pytest.raises(sg.TrainingError, match="no trainable weight"):
        model.export_grad(tmp_path / "grad.onnx")


def test_a_step_that_gives_no_loss_is_an_error(tmp_path):
    class Own(sg.Sequential):
        def train_step(self, data):
            return {"height": sg.max(data[0])}

    model = Own([layers.Dense(1, input_shape=(2,))], name="own")
    model.compile("sgd", "mse")

    with pytest.raises(sg.TrainingError, match='its train_step gives no "loss" among height'):
        model.export_train_step(tmp_path / "step.onnx")


def test_an_operator_that_an_opset_does_not_have_is_an_error(tmp_path):
    with pytest.raises(sg.UnsupportedOpError, match="BitwiseXor"):
        exported(tmp_path / "step.onnx", "model/convolutional", opset=17)
    assert os.listdir(tmp_path) == []


def test_more_than_two_gigabytes_are_refused_before_the_first_byte(tmp_path):
    class Huge(layers.Layer):
        """A weight of 2 GB that takes no memory."""

        def build(self, input_shape):
            self.w = Variable.adopt(np.broadcast_to(np.float32(0), (2**29 + 1,)).view(), name="w")

        def call(self, inputs):
            return inputs + sg.sum(self.w)

    model = sg.Sequential([sg.Input((1,)), Huge()], name="large")
    model.compile("sgd", "mse")

    with pytest.raises(sg.LimitError, match="2147483647"):
        model.export_train_step(tmp_path / "step.onnx")
    assert os.listdir(tmp_path) == []


FULL = """
    import os, resource, signal, sys
    import symgraph as sg

    path = sys.argv[1]
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    model = sg.Sequential([sg.layers.Dense(9, input_shape=(9,)), sg.layers.Dense(1)])
    model.compile("adam", "mse")
    model.export_train_step(path)
    old = open(path, "rb").read()
    model.fit([[1.0] * 9], [[1.0]], verbose=0)
    for limit in (0, 100, len(old) // 2, len(old) - 100):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        try:
            model.export_train_step(path)
        except sg.ResourceError as error:
            assert "was not saved" in str(error), error
        else:
            raise AssertionError(limit)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert open(path, "rb").read() == old
        assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)], limit
    print("whole")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits are those of POSIX")
def test_a_full_disk_leaves_the_old_file_whole_and_nothing_else(tmp_path):
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(FULL), tmp_path / "step.onnx"], capture_output=True,
                          text=True, timeout=120)

    assert (done.stdout, done.returncode) == ("whole\n", 0), done.stderr


def test_a_file_takes_little_more_than_its_state(tmp_path):
    model = dense(400, 500, 300)
    model.compile("adam", "mse")
    model.export_train_step(tmp_path / "step.onnx")
    step = sg.TrainStep.load(tmp_path / "step.onnx")

    size = (tmp_path / "step.onnx").stat().st_size

    assert size < sum(x.nbytes for x in step.initial.values()) + 40_000


def test_a_step_of_a_step_starts_where_the_first_one_stopped(tmp_path):
    model, batches, step = exported(tmp_path / "a.onnx", "model/convolutional")
    state = step.initial_state()
    for batch in batches:
        _, state = run(session_of(tmp_path / "a.onnx"), step, batch, state)
    step.load_into(model, state)
    model.export_train_step(tmp_path / "b.onnx")

    following = sg.TrainStep.load(tmp_path / "b.onnx").initial_state()

    assert following.keys() == state.keys()
    assert all(np.array_equal(following[name], state[name]) for name in state)
