import os
import re
import xml.etree.ElementTree as ElementTree

import pytest

import symgraph as sg
from symgraph.utils import model_to_dot, plot_model

layers = sg.layers


@pytest.fixture
def model():
    x = sg.Input((4,), name="x")
    inner = sg.Sequential([sg.Input((4,)), layers.Dense(3, activation="relu", name="a"), layers.Dense(2, name="b")],
                          name="inner")
    frozen = layers.Dense(4, name="frozen", trainable=False)
    y = layers.add([frozen(x), x], name="sum")
    return sg.Model(x, [inner(y), sg.softmax(inner(y * 0.5))], name="outer")


def words(svg):
    return [x.text for x in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_every_layer_and_op_is_a_box(model, tmp_path):
    picture = plot_model(model, tmp_path / "model.svg")

    text = words((tmp_path / "model.svg").read_text())
    assert sorted(text) == sorted(["InputLayer", "Dense", "Add", "Sequential", "Mul", "Sequential", "Softmax"])
    assert picture.boxes == 7 and picture._repr_svg_() == picture.svg == (tmp_path / "model.svg").read_text()


@pytest.mark.parametrize(("option", "shown"), [
    ("show_shapes", ["input: (?, 4), (?, 4)", "output: (?, 2)"]), ("show_layer_names", ["frozen", "sum", "inner", "x"]),
    ("show_dtype", ["dtype: float32"]), ("show_layer_activations", ["activation: linear"]),
    ("show_trainable", ["trainable", "not trainable"])])
def test_options_show_more(model, option, shown):
    plain, more = words(plot_model(model, None).svg), words(plot_model(model, None, **{option: True}).svg)

    assert set(shown) <= set(more) and not set(shown) & set(plain)


def test_models_inside_can_be_opened_at_each_of_their_calls(model):
    text = words(plot_model(model, None, expand_nested=True, show_layer_names=True).svg)

    assert text.count("inner/a") == text.count("inner/b") == 2
    assert "Sequential" not in text


def edges(dot):
    names = dict(re.findall(r"(n\d+) \[label=\"{(\w+)", dot))
    return [(names[a], names[b]) for a, b in re.findall(r"(n\d+) -> (n\d+)", dot)]


def test_edges_run_from_what_makes_to_what_reads(model):
    assert sorted(edges(model_to_dot(model))) == sorted([
        ("InputLayer", "Dense"), ("InputLayer", "Add"), ("Dense", "Add"), ("Add", "Sequential"), ("Add", "Mul"),
        ("Mul", "Sequential"), ("Sequential", "Softmax")])


def test_edges_run_through_models_that_are_opened(model):
    dot = model_to_dot(model, expand_nested=True)

    assert sorted(edges(dot)) == sorted([
        ("InputLayer", "Dense"), ("InputLayer", "Add"), ("Dense", "Add"), ("Add", "Dense"), ("Dense", "Dense"),
        ("Add", "Mul"), ("Mul", "Dense"), ("Dense", "Dense"), ("Dense", "Softmax")])
    assert dot.count("subgraph cluster_") == 2 and dot.count('label="inner"') == 2
    assert dot.count("{") == dot.count("}")


def test_text_for_graphviz_escapes_what_it_would_read():
    x = sg.Input((2,), name='a"b|c')

    dot = model_to_dot(sg.Model(x, layers.Dense(1)(x), name='m"'), rankdir="LR", subgraph=True)

    assert r"{InputLayer|a\"b\|c}" in dot and dot.startswith('subgraph "cluster_m\\""') and "rankdir=LR" in dot


def test_a_file_for_graphviz_holds_the_text(model, tmp_path):
    plot_model(model, tmp_path / "model.dot", show_shapes=True)

    assert (tmp_path / "model.dot").read_text() == model_to_dot(model, show_shapes=True, show_layer_names=False)


def test_other_kinds_are_drawn_by_graphviz(model, tmp_path, monkeypatch):
    program = tmp_path / "dot"
    program.write_text('#!/bin/sh\nhead -c 7 > "$3"\necho "$1" >> "$3"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")

    plot_model(model, tmp_path / "model.png")

    assert (tmp_path / "model.png").read_text() == "digraph-Tpng\n"


def test_a_failure_of_graphviz_is_told(model, tmp_path, monkeypatch):
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\necho no fonts >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")

    with pytest.raises(sg.RunError, match="no fonts"):
        plot_model(model, tmp_path / "model.svg", rankdir="LR")


def test_without_graphviz_there_is_a_way_out(model, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(sg.MissingDependencyError, match="install it, or write"):
        plot_model(model, tmp_path / "model.png")


def test_a_model_of_a_file_is_drawn_by_its_operators(tmp_path):
    sg.Sequential([sg.Input((4,)), layers.Dense(2, activation="relu")]).export(tmp_path / "model.onnx")

    text = words(plot_model(sg.load_onnx(tmp_path / "model.onnx"), None).svg)

    assert "Relu" in text


@pytest.mark.parametrize(("make", "words"), [
    (lambda m: plot_model(m, "model.bmp"), "not as 'model.bmp'"),
    (lambda m: plot_model(m, "nowhere/model.svg"), "no directory"),
    (lambda m: plot_model(sg.Sequential([layers.Dense(2)])), "no inputs and outputs yet"),
    (lambda m: plot_model(layers.Dense(2)), "expects a model"),
    (lambda m: model_to_dot(m, rankdir="UP"), "TB, LR, BT or RL, got 'UP'"),
])
def test_what_cannot_be_drawn_is_told(model, make, words):
    with pytest.raises(sg.SymgraphError, match=words):
        make(model)
