"""The model definitions: each builds, trains a little on real data, exports, and shows an intermediate output."""

import os
import subprocess
import sys
from importlib import import_module

import numpy as np
import onnxruntime
import pytest

import symgraph as sg
from symgraph.models.datasets import Text, digits, python_topics

IMAGES = {
    "convnet": (lambda: sg.models.convnet((8, 8, 1)), "relu1", 0.85),
    "resnet": (lambda: sg.models.resnet((8, 8, 1), blocks=1, filters=(8, 16)), "stage1_block1", 0.85),
    "mlp": (lambda: sg.models.mlp(64, 10), "hidden1", 0.85),
}

TEXTS = {
    "lstm_text": (lambda n: sg.models.lstm_text(n, units=64), "lstm1"),
    "gpt": (lambda n: sg.models.gpt(n, length=32, width=32, depth=2, heads=2), "block1"),
}


@pytest.mark.parametrize("name", IMAGES)
def test_a_classifier_learns_digits_shows_what_is_inside_and_its_file_agrees(name, tmp_path):
    make, inner, least = IMAGES[name]
    sg.random.set_seed(0)
    data = digits()
    model = make()
    x_train, x_test = (x.reshape(-1, *model.input.shape[1:]) for x in (data.x_train, data.x_test))
    model.compile(sg.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x_train, data.y_train, epochs=4, verbose=0)

    assert model.evaluate(x_test, data.y_test, verbose=0)[1] > least
    assert model.execute(x_test[:3], inner).shape[0] == 3
    model.export(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    (alone,) = session.run(None, {session.get_inputs()[0].name: x_test})
    np.testing.assert_allclose(alone, model.predict(x_test, verbose=0), atol=1e-5)


@pytest.mark.parametrize("name", TEXTS)
def test_a_language_model_learns_text_of_any_length_and_writes(name, tmp_path):
    make, inner = TEXTS[name]
    sg.random.set_seed(0)
    text = python_topics(40_000)
    x, y = text.windows(32)
    model = make(len(text.characters))
    model.compile(sg.optimizers.Adam(1e-2), sg.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(x, y, epochs=2, verbose=0).history["loss"]

    assert history[-1] < 3.0 < np.log(len(text.characters))
    assert model.execute(x[:2, :5], inner).shape[:2] == (2, 5)
    written = sg.models.generate(model, x[0, :4], 20, window=32, seed=1)
    assert len(text.decode(written)) == 24
    np.testing.assert_array_equal(written, sg.models.generate(model, x[0, :4], 20, window=32, seed=1))
    model.export(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    (alone,) = session.run(None, {"text": x[:1, :7]})
    np.testing.assert_allclose(alone, model.predict(x[:1, :7], verbose=0), atol=1e-4)


def test_gpt_sees_nothing_that_comes_later():
    model = sg.models.gpt(11, length=16, width=16, depth=2, heads=2)
    first = np.arange(10, dtype=np.int32)[None]
    other = np.array(first)
    other[0, 6:] = 3

    np.testing.assert_allclose(model.predict(first)[0, :6], model.predict(other)[0, :6], atol=1e-5)


def test_resnet_20_has_the_weights_of_the_paper():
    assert sg.models.resnet().count_params() == pytest.approx(272_474, abs=3_000)


@pytest.mark.parametrize("name", ["mlp", "convnet", "resnet", "lstm_text"])
def test_the_example_of_a_file_runs_and_leaves_its_files(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    import_module(f"symgraph.models.{name}").main(epochs=1)

    assert sorted(os.listdir(tmp_path)) == [f"{name}.onnx", f"{name}_step.onnx"]
    assert "val_loss" in capsys.readouterr().out


@pytest.mark.parametrize(("content", "message"), [
    (None, "No such file or directory, expected a text"), (b"", "0 characters, expected 1,000 or more"),
    (b"\xff" * 2000, "not text in UTF-8, expected a text")])
def test_a_file_that_is_no_text_to_learn_from_is_one_line_that_says_why(content, message, tmp_path):
    if content is not None:
        (tmp_path / "text.txt").write_bytes(content)

    done = subprocess.run([sys.executable, "-m", "symgraph.models", "gpt", "text.txt"], cwd=tmp_path,
                          capture_output=True, text=True, timeout=120)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"python -m symgraph.models: text.txt: {done.stderr.partition('txt: ')[2]}"
    assert message in done.stderr and done.stderr.count("\n") == 1


def test_a_gpt_writes_more_than_it_sees_at_once_unless_told_otherwise():
    assert len(sg.models.generate(sg.models.gpt(9, width=8, depth=1, heads=2), [1], 70)) == 71


@pytest.mark.parametrize(("start", "temperature"), [([], 1.0), ([1], 0.0), ([1], float("nan"))])
def test_writing_needs_a_start_and_a_temperature(start, temperature):
    with pytest.raises(sg.SymgraphError, match="a number to start from, and a temperature above 0"):
        sg.models.generate(sg.models.gpt(9, width=8, depth=1, heads=2), start, 3, temperature)


def test_windows_of_a_text_are_followed_by_the_same_one_later():
    text = Text("abcdefghij")

    x, y = text.windows(3)

    assert [text.decode(row) for row in x] == ["abc", "def", "ghi"]
    assert [text.decode(row) for row in y] == ["bcd", "efg", "hij"]


def test_a_part_of_a_text_starts_where_asked():
    x, _ = Text("abcdefghij").windows(2, start=0.5)

    assert Text("abcdefghij").decode(x[0]) == "fg"
