import itertools
import xml.etree.ElementTree as ElementTree

import pytest

import symgraph as sg
from symgraph.cli import main
from symgraph.cli.layout import lay_out
from symgraph.cli.picture import draw
from symgraph.runtime.exporter import save


@pytest.fixture
def chain(tmp_path):
    y = x = sg.Input((3,), name="x", batch_size="N")
    for number in range(12):
        y = sg.tanh(y)
        y.hint = f"step_{number}"
    path = tmp_path / "chain.onnx"
    save(sg.Graph([x], [y], output_names=["y"]), path)
    return path


def words(svg):
    return [x.text for x in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_a_picture_is_sound_svg_with_operators_names_and_types(chain, tmp_path):
    out = tmp_path / "chain.svg"

    assert main(["plot", str(chain), str(out)]) == 0

    text = words(out.read_text())
    assert text.count("Tanh") == 12
    assert {"x", "step_0", "y", "float32 [N, 3]"} <= set(text)


def test_a_page_holds_the_picture(chain, tmp_path):
    out = tmp_path / "chain.html"

    assert main(["plot", str(chain), str(out), "--first", "3"]) == 0
    assert out.read_text().startswith("<!doctype html>") and "3 of 12 nodes" in out.read_text()


def test_around_shows_the_neighbourhood_of_a_tensor(chain, tmp_path):
    out = tmp_path / "part.svg"

    assert main(["plot", str(chain), str(out), "--around", "step_5", "--steps", "1"]) == 0
    assert [x for x in words(out.read_text()) if x.startswith("step")] == ["step_3", "step_4", "step_5", "step_6"]


def test_a_large_graph_is_refused_with_a_way_out(shared_data, tmp_path, capsys):
    model = str(shared_data / "onnx" / "ort_TFBertForQuestionAnswering.onnx")

    assert main(["plot", model, str(tmp_path / "big.svg")]) == 1

    error = capsys.readouterr().err
    assert "3,836 boxes" in error and "--around TENSOR" in error and "--first N" in error


@pytest.mark.parametrize(("output", "options", "reason"), [
    ("x.pdf", [], ".svg or .html"), ("x.svg", ["--around", "nothing"], "no tensor 'nothing'")])
def test_what_cannot_be_drawn_is_one_line(output, options, reason, chain, tmp_path, capsys):
    assert main(["plot", str(chain), str(tmp_path / output), *options]) == 1
    assert reason in capsys.readouterr().err


def test_layers_fold_into_boxes_at_a_depth():
    x = sg.Input((4,), name="x")
    y = sg.layers.Dense(3, activation="relu", name="first")(x)
    graph = sg.Graph([x], [sg.layers.Dense(2, activation="softmax", name="second")(y)])

    picture = draw(graph, depth=1)

    assert picture.boxes == 1 + 2 + 1
    assert {"first", "second", "3 operators"} <= set(words(picture.svg))


def test_boxes_do_not_overlap_and_edges_run_downwards():
    boxes = {n: (60.0, 30.0) for n in range(40)}
    edges = [(a, b) for a, b in itertools.combinations(range(40), 2) if (a * 7 + b * 3) % 11 == 0]
    layout = lay_out(boxes, edges)

    for a, b in itertools.combinations(boxes, 2):
        (x, y), (u, v) = layout.places[a], layout.places[b]
        assert abs(x - u) >= 60 or abs(y - v) >= 30
    for route in layout.routes.values():
        assert all(lower[1] >= upper[1] for upper, lower in itertools.pairwise(route))


def test_a_chain_is_a_straight_line():
    layout = lay_out({n: (60.0 + n, 30.0) for n in range(9)}, [(n, n + 1) for n in range(8)])

    assert len({round(x, 6) for x, _ in layout.places.values()}) == 1


def test_parts_that_do_not_hang_together_stand_on_shelves():
    boxes = {n: (60.0, 30.0) for n in range(200)}
    layout = lay_out(boxes, [(n, n + 1) for n in range(0, 200, 2)])

    assert 0.4 < layout.width / layout.height < 2.5
    for a, b in itertools.combinations(boxes, 2):
        (x, y), (u, v) = layout.places[a], layout.places[b]
        assert abs(x - u) >= 60 or abs(y - v) >= 30


@pytest.mark.parametrize("name", ["ort_gpt2_past", "gtcrn_simple"])
def test_large_graphs_are_compared_where_they_differ(name, shared_data, tmp_path):
    page = tmp_path / "page.html"

    main(["optimize", str(shared_data / "onnx" / f"{name}.onnx"), str(tmp_path / "out.onnx"), "--picture", str(page)])

    assert "drawn" in page.read_text() and page.read_text().count("<svg") == 2
