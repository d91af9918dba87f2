"""onnxruntime-web, in Node on its WebAssembly backend, trains the same files to the same losses.

The package is installed into `web/node_modules` where it is not there yet.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import symgraph as sg
from tests.training.step_file.running import exported, feeds_of, run, session_of

WEB = Path(__file__).with_name("web")
PAGE = Path(__file__).parents[3] / "docs/training_files.md"
MODULE = files("symgraph.training") / "train_step.mjs"

TRAINED = ["model/regression", "model/convolutional", "model/lstm", "model/gru", "model/transformer",
           "model/two_inputs_and_outputs", "model/binary"]

NODE, NPM = shutil.which("node"), shutil.which("npm")

pytestmark = pytest.mark.skipif(not (NODE and NPM), reason="node and npm are absent")


@pytest.fixture(scope="session")
def web():
    """Answers of Node to tasks."""
    lock = json.loads((WEB / "package-lock.json").read_text())
    wanted = lock["packages"]["node_modules/onnxruntime-web"]["version"]
    package = WEB / "node_modules/onnxruntime-web/package.json"
    if not package.exists() or json.loads(package.read_text())["version"] != wanted:
        install()

    def ask(*tasks):
        done = subprocess.run([NODE, WEB / "run.mjs", MODULE], input=json.dumps(tasks), capture_output=True, text=True,
                              timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return ask


def install():
    """Put the packages in their place at once, whole, whoever else does the same."""
    with tempfile.TemporaryDirectory(dir=WEB, prefix=".install-") as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(WEB / name, folder)
        subprocess.run([NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True,
                       capture_output=True, timeout=300)
        shutil.rmtree(WEB / "node_modules", ignore_errors=True)
        try:
            os.rename(Path(folder) / "node_modules", WEB / "node_modules")
        except OSError:  # another process was faster
            assert (WEB / "node_modules/onnxruntime-web/package.json").exists()


def as_json(array):
    return {"type": array.dtype.name, "dims": array.shape, "data": array.ravel().tolist()}


def as_task(path, step, batches, trained=None):
    fed = [{name: as_json(x) for name, x in feeds_of(step, batch).items()} for batch in batches]
    return {"do": "train", "file": str(path), "trained": trained and str(trained), "batches": fed}


@pytest.fixture(scope="module")
def trainings(web, tmp_path_factory):
    """For each case what Node answers, and what Python finds on the same file."""
    folder = tmp_path_factory.mktemp("web")
    tasks, expected = [], []
    for i, name in enumerate(TRAINED):
        path = folder / f"{i}.onnx"
        _, batches, step = exported(path, name)
        tasks.append(as_task(path, step, batches, path.with_suffix(".trained")))
        session, state, all_results = session_of(path), step.initial_state(), []
        for batch in batches:
            results, state = run(session, step, batch, state)
            all_results.append(results)
        expected.append((step, all_results, state, path.with_suffix(".trained")))
    return dict(zip(TRAINED, zip(web(*tasks), expected, strict=True), strict=True))


@pytest.mark.parametrize("name", TRAINED)
def test_losses_and_metrics_of_training_in_javascript_are_those_of_python(name, trainings):
    answer, (step, results, _, _) = trainings[name]

    assert answer.get("error") is None
    np.testing.assert_allclose(answer["losses"], [r[step.loss] for r in results], atol=1e-4)
    for metric, output in step.metrics.items():
        np.testing.assert_allclose([m[metric] for m in answer["metrics"]], [r[output] for r in results], atol=1e-4)


@pytest.mark.parametrize("name", TRAINED)
def test_a_state_trained_in_javascript_is_read_by_python(name, trainings):
    _, (step, _, state, path) = trainings[name]

    trained = sg.TrainStep.load(path)

    assert trained.state == step.state
    for key, value in trained.initial_state().items():
        np.testing.assert_allclose(value, state[key], atol=2e-3, err_msg=key)  # Adam divides small numbers


def test_javascript_reads_the_same_roles_as_python(trainings):
    answer, (step, _, _, _) = trainings["model/two_inputs_and_outputs"]

    assert answer["step"] == {"kind": step.kind, "x": step.x, "y": step.y, "sampleWeight": step.sample_weight,
                              "state": step.state, "loss": step.loss, "predictions": [], "gradients": {}}


def test_gradients_and_evaluation_run_in_javascript(web, tmp_path):
    tasks, expected = [], []
    for kind, name in (("grad", "model/regression"), ("eval", "model/classifier")):
        path = tmp_path / f"{kind}.onnx"
        _, batches, step = exported(path, name, kind)
        tasks.append(as_task(path, step, batches))
        expected.append([run(session_of(path), step, b, step.initial_state())[0][step.loss] for b in batches])

    for answer, losses in zip(web(*tasks), expected, strict=True):
        np.testing.assert_allclose(answer["losses"], losses, atol=1e-4)


ARRAYS = {
    "float32": np.float32([1.5, -2]), "float64": np.array([[1e-300, 2.0]]), "float16": np.float16([0.5, 3]),
    "int8": np.int8([-1, 2, 3]), "uint8": np.uint8([255]), "int16": np.int16([-300]), "uint16": np.uint16([65535]),
    "int32": np.int32([-(2**31)]), "uint32": np.uint32([2**32 - 1]), "int64": np.int64([-1, 2**62 + 1]),
    "uint64": np.uint64([2**64 - 1]), "bool": np.array([True, False]), "scalar": np.float32(7),
    "empty": np.zeros((0, 3), np.float32), "cube": np.arange(24, dtype=np.int64).reshape(2, 3, 4)}


def file_of(tensors, version=1):
    """A file like those of steps that hands on a state of these tensors."""
    inputs = [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in tensors]
    outputs = [helper.make_tensor_value_info(f"{t.name}/next", t.data_type, t.dims) for t in tensors]
    nodes = [helper.make_node("Identity", [a.name], [b.name]) for a, b in zip(inputs, outputs, strict=True)]
    model = helper.make_model(helper.make_graph(nodes, "state", inputs, outputs), ir_version=10,
                              opset_imports=[helper.make_opsetid("", 21)])
    names = [t.name for t in tensors]
    roles = {"version": version, "kind": "train", "x": [], "y": [], "sample_weight": [], "loss": f"{names[0]}/next",
             "state": {n: f"{n}/next" for n in names}, "variables": {n: n for n in names},
             "places": {n: n for n in names}, "metrics": {}, "predictions": [], "gradients": {}}
    model.metadata_props.add(key="symgraph.step", value=json.dumps(roles))
    info = model.training_info.add()
    for t in tensors:
        info.initialization.initializer.add().CopyFrom(t)
        info.initialization_binding.add(key=t.name, value=t.name)
    return model


def test_javascript_reads_and_writes_every_dtype(web, tmp_path):
    tensors = [numpy_helper.from_array(np.asarray(x), name) for name, x in ARRAYS.items()]
    packed = [helper.make_tensor(name, kind, [3], b"\x21\x03", raw=True)
              for name, kind in (("int4", TensorProto.INT4), ("uint4", TensorProto.UINT4))]
    onnx.save(file_of([*tensors, *packed]), tmp_path / "a.onnx")

    (answer,) = web({"do": "read", "file": str(tmp_path / "a.onnx"), "trained": str(tmp_path / "b.onnx")})

    assert {name: found[1:] for name, found in answer.items()} == {
        **{name: [list(np.shape(x)), np.asarray(x).tobytes().hex()] for name, x in ARRAYS.items()},
        "int4": [[3], "2103"], "uint4": [[3], "2103"]}
    assert {name: found[0] for name, found in answer.items()} == {
        **{name: np.asarray(x).dtype.name for name, x in ARRAYS.items()}, "int4": "int4", "uint4": "uint4"}
    assert (tmp_path / "b.onnx").read_bytes() == (tmp_path / "a.onnx").read_bytes()
    assert sg.TrainStep.load(tmp_path / "b.onnx").initial_state()["uint64"].tolist() == [2**64 - 1]


def test_javascript_says_what_is_wrong_with_a_file(web, tmp_path):
    sound = file_of([numpy_helper.from_array(np.float32([1, 2]), "w")])
    plain, newer, cut = onnx.ModelProto(), file_of([numpy_helper.from_array(np.float32(1), "w")], version=2), b""
    plain.CopyFrom(sound)
    plain.ClearField("metadata_props")
    cut = sound.SerializeToString()[:-3]
    stateless, short, odd = onnx.ModelProto(), onnx.ModelProto(), onnx.ModelProto()
    for model in (stateless, short, odd):
        model.CopyFrom(sound)
    stateless.ClearField("training_info")
    short.training_info[0].initialization.initializer[0].raw_data = b"1234"
    odd.training_info[0].initialization.initializer[0].data_type = TensorProto.BFLOAT16
    table = [(plain.SerializeToString(), "this is no training step"), (newer.SerializeToString(), "a newer symgraph"),
             (cut, "this is no ONNX file, or only a part of one"), (b"\xff" * 40, "this is no ONNX file"),
             (b"", "this is no training step"), (stateless.SerializeToString(), "no state at the start for w"),
             (short.SerializeToString(), "w is float32[2], which takes 8 bytes; there are 4"),
             (odd.SerializeToString(), "element type 16")]
    tasks = []
    for i, (data, _) in enumerate(table):
        (tmp_path / f"{i}.onnx").write_bytes(data)
        tasks.append({"do": "read", "file": str(tmp_path / f"{i}.onnx"), "trained": str(tmp_path / "none")})

    answers = web(*tasks)

    assert [a["error"][:len(message)] if a["error"].startswith(message) else a["error"]
            for a, (_, message) in zip(answers, table, strict=True) if message not in a["error"]] == []


def test_javascript_refuses_a_state_that_does_not_fit(web, tmp_path):
    onnx.save(file_of([numpy_helper.from_array(np.float32([1, 2]), "w")]), tmp_path / "a.onnx")
    states = [({"v": np.float32([1])}, 'there is no state "v"; there are: w'),
              ({"w": np.float32([1])}, "w is float32[2], got float32[1]"),
              ({"w": np.int64([1, 2])}, "w is float32[2], got int64[2]")]

    answers = web(*({"do": "change", "file": str(tmp_path / "a.onnx"),
                     "state": {name: as_json(x) for name, x in state.items()}} for state, _ in states))

    assert [a["error"] for a in answers] == [message for _, message in states]


MISTAKES = {
    "readTrainStep('a.onnx')": "expected the bytes of the file, a Uint8Array or an ArrayBuffer, got String",
    "readTrainStep(Promise.resolve(bytes))": "a Uint8Array or an ArrayBuffer, got Promise",
    "readTrainStep()": "got Undefined",
    "step.initialState()": "initialState(ort) takes ONNX Runtime's module",
    "step.nextState({}, {})": "the results have no next value of w; run for all outputs",
    "withState(bytes, {w: undefined})": "w is float32[2], got no tensor",
    "readTrainStep(bytes.map((byte) => (byte === 123 ? 91 : byte)))": "the file is damaged: its metadata symgraph.step",
}


def test_javascript_says_what_was_expected_of_a_call(tmp_path):
    onnx.save(file_of([numpy_helper.from_array(np.float32([1, 2]), "w")]), tmp_path / "a.onnx")
    lines = [f"import {{ readTrainStep, withState }} from {json.dumps(Path(MODULE).as_uri())};",
             "import { readFileSync } from 'node:fs';",
             f"const bytes = new Uint8Array(readFileSync({json.dumps(str(tmp_path / 'a.onnx'))}));",
             "const step = readTrainStep(bytes.buffer);",
             *(f"try {{ {call}; console.log(); }} catch (e) {{ console.log(e.message); }}" for call in MISTAKES)]
    (tmp_path / "calls.mjs").write_text("\n".join(lines))

    done = subprocess.run([NODE, tmp_path / "calls.mjs"], capture_output=True, text=True, timeout=60, check=True)

    found = done.stdout.splitlines()
    assert len(found) == len(MISTAKES)
    assert [line for line, message in zip(found, MISTAKES.values(), strict=True) if message not in line] == []


def test_the_javascript_of_the_guide_trains_and_python_goes_on(web, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    code = re.findall(r"```(python|js|py)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert [language for language, _ in code].count("js") == 1
    os.symlink(WEB / "node_modules", "node_modules", target_is_directory=True)
    for language, block in code:
        if language != "js":
            exec(compile(block, PAGE.name, "exec"), names)
            continue
        Path("page.mjs").write_text(block)
        done = subprocess.run([NODE, "page.mjs"], capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        first, last = map(float, done.stdout.split())
        assert last < first / 2
