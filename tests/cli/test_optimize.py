import numpy as np
import onnx
import pytest

import symgraph as sg
from symgraph.cli import main
from symgraph.runtime.exporter import save

ORT = pytest.importorskip("onnxruntime")


@pytest.fixture
def network(tmp_path):
    x = sg.Input((3, 8, 8), name="x", batch_size="N")
    y = sg.layers.Conv2D(4, 3, data_format="channels_first", name="conv")(x)
    y = sg.layers.BatchNormalization(axis=1, name="norm")(y)
    path = tmp_path / "in.onnx"
    save(sg.Graph([x], [sg.relu(y) * 1.0], output_names=["y"]), path)
    return path


@pytest.mark.parametrize("target", ["inference", "portable", "onnxruntime", "training"])
def test_every_target_writes_a_file_with_the_same_results(target, network, tmp_path, capsys):
    out = tmp_path / "out.onnx"

    assert main(["optimize", str(network), str(out), "--target", target, "--verify"]) == 0

    x = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
    a, b = (ORT.InferenceSession(p, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0] for p in (network, out))
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    before, after = (len(onnx.load(path).graph.node) for path in (network, out))
    assert after <= before if target == "training" else after <= 2
    assert "every pass proved" in capsys.readouterr().out


def test_the_report_has_passes_and_the_cost_before_and_after(network, tmp_path, capsys):
    assert main(["optimize", str(network), str(tmp_path / "out.onnx"), "--report", "--size", "N=4"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("fold_into_convolution") and "BatchNormalization" in line for line in lines)
    assert not any(line.startswith("remove_casts") for line in lines)
    assert next(line for line in lines if line.endswith("ms") and "passes took no operator away" in line)
    costs = {line[:16].strip(): line[16:].split() for line in lines[lines.index("") :]}
    assert costs["nodes"][:2] == ["7", "2"]
    assert "kFLOPs" in costs["arithmetic"] and costs["arithmetic"][-1] == "%"
    assert {"bytes read", "bytes written", "peak memory", "parameters"} <= set(costs)


def test_the_picture_shows_both_graphs_and_marks_what_changed(network, tmp_path):
    page = tmp_path / "change.html"

    assert main(["optimize", str(network), str(tmp_path / "out.onnx"), "--picture", str(page)]) == 0

    text = page.read_text()
    assert text.count("<svg") == 2
    assert 'class="removed"' in text and "-1 BatchNormalization" in text


def test_nothing_is_done_where_the_result_could_not_be_written(network, tmp_path, capsys):
    assert main(["optimize", str(network), str(tmp_path / "no" / "out.onnx")]) == 1
    assert "there is no directory" in capsys.readouterr().err

    assert main(["optimize", str(network), str(tmp_path / "out.onnx"), "--picture", str(tmp_path / "x.png")]) == 1
    assert ".html" in capsys.readouterr().err and not (tmp_path / "out.onnx").exists()


def test_a_size_that_does_not_exist_is_named_before_anything_is_written(network, tmp_path, capsys):
    assert main(["optimize", str(network), str(tmp_path / "out.onnx"), "--report", "--size", "M=2"]) == 1
    assert "no dimension 'M'" in capsys.readouterr().err and not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize(("given", "reason"), [("N", "not NAME=SIZE"), ("M=2", "no dimension 'M'")])
def test_a_wrong_size_is_one_line(given, reason, network, tmp_path, capsys):
    assert main(["optimize", str(network), str(tmp_path / "out.onnx"), "--report", "--size", given]) == 1
    assert reason in capsys.readouterr().err
