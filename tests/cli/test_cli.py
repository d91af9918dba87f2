import re
import subprocess
import sys

import onnx
import pytest

import symgraph as sg
from symgraph.cli import main


def test_the_demo_goes_all_the_way_and_keeps_the_files(capsys, tmp_path):
    assert main(["demo", "--epochs", "3", "--output", str(tmp_path)]) == 0

    lines = capsys.readouterr().out.splitlines()
    steps = [line.split("  ")[1].strip() for line in lines if re.match(r"  \w.*\d s   ", line)]
    assert steps == ["evaluate", "learning curve", "look inside", "export", "run the model", "train the file",
                     "import", "run", "look inside", "build on it", "run both modes", "export", "run the file"]
    assert sum(line.startswith("Epoch ") for line in lines) == 3
    assert (tmp_path / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    for name in ("digits", "digits_step", "resnet_with_head"):
        onnx.checker.check_model(tmp_path / f"{name}.onnx", full_check=True)
        assert {o.domain for o in onnx.load(tmp_path / f"{name}.onnx").opset_import} <= {"", "ai.onnx"}


@pytest.mark.parametrize("epochs", ["0", "-3", "many"])
def test_the_demo_refuses_to_train_for_no_epochs(epochs, capsys):
    with pytest.raises(SystemExit):
        main(["demo", "--epochs", epochs])

    assert f"expected a whole number from 1 on, got {epochs}" in capsys.readouterr().err


def test_inspect_counts_operators_and_shows_inputs(capsys, tmp_path):
    x = sg.Input((3,), name="x", batch_size="N")
    sg.Model(x, sg.layers.Dense(2, name="head")(x)).export(tmp_path / "m.onnx", metadata={"author": "us"})

    assert main(["inspect", str(tmp_path / "m.onnx"), "--graph"]) == 0

    text = capsys.readouterr().out
    assert "x: float32[N, 3]" in text and "head: float32[N, 2]" in text and "author" in text
    assert "nodes       " in text and "%head: float32[N, 2] = " in text


@pytest.mark.parametrize(("content", "reason"), [(None, "no such file"), (b"", "empty"), (b"<html></html>", "HTML")])
def test_a_bad_file_is_one_line_on_standard_error(content, reason, capsys, tmp_path):
    path = tmp_path / "bad.onnx"
    if content is not None:
        path.write_bytes(content)

    assert main(["inspect", str(path)]) == 1

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1 and reason in captured.err and "bad.onnx" in captured.err


def test_it_runs_as_a_module_and_lists_its_commands():
    result = subprocess.run([sys.executable, "-m", "symgraph", "--help"], capture_output=True, text=True, check=True)

    assert "demo" in result.stdout and "inspect" in result.stdout
