import numpy as np
import pytest

import symgraph as sg
from symgraph.cli import main
from symgraph.runtime.exporter import save


def write(path, factor, output="y", inner="half"):
    x = sg.Input((3,), name="x", batch_size="N")
    half = x * np.float32(factor)
    half.hint = inner
    late = sg.exp(half)
    late.hint = "late"
    save(sg.Graph([x], [sg.tanh(late)], output_names=[output]), path)
    return str(path)


def test_equal_models_agree(tmp_path, capsys):
    a, b = write(tmp_path / "a.onnx", 0.5), write(tmp_path / "b.onnx", 0.5)

    assert main(["check", a, b, "--size", "N=5"]) == 0

    out = capsys.readouterr().out
    assert "x float32[5, 3]" in out and "same    y: float32[5, 3], equal" in out


def test_the_first_tensor_that_differs_is_found_with_its_node(tmp_path, capsys):
    a, b = write(tmp_path / "a.onnx", 0.5), write(tmp_path / "b.onnx", 0.6)

    assert main(["check", a, b]) == 1

    out = capsys.readouterr().out
    assert "DIFFERS y" in out
    assert "of 3 tensors with the same name the first 0 agree; the first to differ is half" in out
    assert "A  half = Mul(x, " in out


def test_the_tolerance_decides(tmp_path):
    a, b = write(tmp_path / "a.onnx", 0.5), write(tmp_path / "b.onnx", 0.51)

    assert main(["check", a, b]) == 1
    assert main(["check", a, b, "--rtol", "0.1"]) == 0


def test_the_same_seed_gives_the_same_inputs_and_another_gives_others(tmp_path, capsys):
    a, b = write(tmp_path / "a.onnx", 0.5), write(tmp_path / "b.onnx", 0.6)
    seen = []
    for seed in ("1", "1", "2"):
        main(["check", a, b, "--seed", seed])
        seen.append(capsys.readouterr().out)

    assert seen[0] == seen[1] != seen[2]


@pytest.mark.parametrize(("options", "reason"), [
    ({"output": "z"}, "other outputs: y and z"), ({}, "no input has a dimension 'M'")])
def test_models_that_cannot_be_compared_say_why(options, reason, tmp_path, capsys):
    a, b = write(tmp_path / "a.onnx", 0.5), write(tmp_path / "b.onnx", 0.5, **options)

    assert main(["check", a, b, "--size", "M=2"]) == 1
    assert reason in capsys.readouterr().err


def test_a_fused_file_is_run_by_onnx_runtime_itself(shared_data, tmp_path, capsys):
    model = str(shared_data / "onnx" / "ort_bert_toy_optimized.onnx")

    assert main(["optimize", model, str(tmp_path / "fused.onnx"), "--target", "onnxruntime"]) == 0
    assert main(["check", model, str(tmp_path / "fused.onnx"), "--size", "batch=2"]) == 0
