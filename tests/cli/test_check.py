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
    ({"output": "z"}, "different outputs, so they cannot be compared: A has y; B has z"),
    ({}, "no input has a dimension 'M'")])
def test_models_that_cannot_be_compared_say_why(options, reason, tmp_path, capsys):
    a, b = write(tmp_path / "a.onnx", 0.5), write(tmp_path / "b.onnx", 0.5, **options)

    assert main(["check", a, b, "--size", "M=2"]) == 1
    assert reason in capsys.readouterr().err


def test_a_fused_file_is_run_by_onnx_runtime_itself(shared_data, tmp_path, capsys):
    model = str(shared_data / "onnx" / "ort_bert_toy_optimized.onnx")

    assert main(["optimize", model, str(tmp_path / "fused.onnx"), "--target", "onnxruntime"]) == 0
    assert main(["check", model, str(tmp_path / "fused.onnx"), "--size", "batch=2"]) == 0


def test_sizes_are_tried_until_the_model_runs(tmp_path, capsys):
    x = sg.Input((None,), name="x", batch_size="N")
    path = str(tmp_path / "a.onnx")
    save(sg.Graph([x], [sg.pad(x, [[0, 0], [1, 1]], mode="reflect")]), path)

    assert main(["check", path, path]) == 0
    assert "x float32[2, 2]" in capsys.readouterr().out


def test_values_may_come_from_a_file(tmp_path, capsys):
    a, b = write(tmp_path / "a.onnx", 0.5), write(tmp_path / "b.onnx", 0.6)
    np.savez(tmp_path / "zeros.npz", x=np.zeros((4, 3), np.float32))
    np.savez(tmp_path / "other.npz", z=np.zeros((4, 3), np.float32))

    assert main(["check", a, b, "--inputs", str(tmp_path / "zeros.npz")]) == 0
    assert "x float32[4, 3]; " in capsys.readouterr().out
    assert main(["check", a, b, "--inputs", str(tmp_path / "other.npz")]) == 1
    assert "no values for x; it has z" in capsys.readouterr().err
    assert main(["check", a, b, "--inputs", a]) == 1
    assert "no NumPy file" in capsys.readouterr().err


def test_lists_and_maps_are_compared_number_by_number(shared_data, capsys):
    model = str(shared_data / "onnx" / "lr_mnist_scikit.onnx")

    assert main(["check", model, model]) == 0
    assert "a list, 2 arrays of which agree" in capsys.readouterr().out


def test_a_directory_and_a_missing_file_are_told_apart(tmp_path, capsys):
    assert main(["check", str(tmp_path), "b.onnx"]) == 1
    assert "a directory, expected an ONNX model" in capsys.readouterr().err
    assert main(["check", str(tmp_path / "a.onnx"), "b.onnx"]) == 1
    assert "no such file" in capsys.readouterr().err
