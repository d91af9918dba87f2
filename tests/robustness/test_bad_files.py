"""Every malformed file ends in a clear error: in a process of its own, in little memory, without a crash."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from symgraph.core.errors import LimitError, UnsafeModelError
from symgraph.runtime import Session
from symgraph.runtime.files import Limits
from symgraph.runtime.importer import load_graph
from tests.robustness.bad_files import (
    BAD_FILES,
    BadFile,
    doubling,
    external,
    model,
    nested_ifs,
    saved,
    value,
    with_data,
)

RUNNER = Path(__file__).with_name("guarded.py")


def run_guarded(tasks: list[str]) -> list[dict]:
    done = subprocess.run([sys.executable, RUNNER, *tasks], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"the process died: {done.returncode} {done.stderr[-2000:]}"
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> dict[BadFile, dict]:
    """What came of each bad file; all are tried in one process."""
    tasks = {}
    for bad in BAD_FILES:
        folder = tmp_path_factory.mktemp("bad")
        tasks[bad] = f"{bad.action}:{bad.write(folder)}"
    return dict(zip(tasks, run_guarded(list(tasks.values())), strict=True))


@pytest.mark.parametrize("bad", BAD_FILES, ids=lambda bad: f"{bad.number}-{bad.write.__name__}")
def test_a_bad_file_ends_in_a_clear_error(bad, outcomes):
    outcome = outcomes[bad]

    assert outcome["classes"][:1] == [bad.error], outcome
    assert "SymgraphError" in outcome["classes"]
    assert [word for word in bad.words if word not in outcome["message"]] == [], outcome["message"]
    assert outcome["seconds"] < 5


def test_the_size_behind_doubling_functions_is_predicted_in_less_than_a_second(tmp_path):
    proto = doubling(90)

    start = time.perf_counter()
    with pytest.raises(LimitError):
        load_graph(proto)

    assert time.perf_counter() - start < 1


def test_doubling_functions_within_the_limit_share_their_bodies():
    graph = load_graph(doubling(12))

    (x,) = Session(graph).run({"x": np.ones(2, np.float32)})

    np.testing.assert_array_equal(x, np.ones(2))
    outer = graph.nodes[0].body
    assert outer.nodes[0].body is outer.nodes[1].body


def test_subgraphs_as_deep_as_protobuf_reads_are_loaded():
    proto = onnx.ModelProto.FromString(nested_ifs(31))
    branches = proto.graph
    while branches.node and branches.node[0].op_type == "If":
        branch = branches.node[0].attribute[0]
        branches.node[0].attribute.add(name="else_branch", type=branch.type).g.CopyFrom(
            helper.make_graph([helper.make_node("Neg", ["x"], ["z"])], "leaf", [], [value("z")]))
        branches = branch.g

    assert load_graph(proto).find("y") is not None


@pytest.mark.parametrize(("nodes", "outputs"), [
    ([], ["x"]),
    ([helper.make_node("Relu", ["x"], ["y"])], ["y", "y"]),
    ([helper.make_node("Relu", ["x"], ["y"])], ["x", "y"]),
    ([], ["w"])], ids=["output-is-input", "same-output-twice", "input-and-result", "output-is-weight"])
def test_valid_oddities_are_accepted_and_survive(nodes, outputs, tmp_path):
    from symgraph.runtime.exporter import to_model

    w = numpy_helper.from_array(np.float32([3, 4]), "w")
    source = model(nodes, outputs=[value(name) for name in outputs], initializers=[w] if "w" in outputs else [])
    x = np.float32([-1, 2])

    again = load_graph(to_model(load_graph(source)).model)

    assert list(again.output_names) == outputs
    known = {"x": x, "y": np.maximum(x, 0), "w": np.float32([3, 4])}
    for name, found in zip(outputs, Session(again).run({"x": x}), strict=True):
        np.testing.assert_array_equal(found, known[name])


def test_symlinks_as_the_hugging_face_cache_has_them_are_followed(tmp_path):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "abc"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    (blobs / "1111").write_bytes(external("model.onnx_data").SerializeToString())
    (blobs / "2222").write_bytes(np.float32([1, 2]).tobytes())
    (snapshot / "model.onnx").symlink_to("../../blobs/1111")
    (snapshot / "model.onnx_data").symlink_to("../../blobs/2222")

    graph = load_graph(snapshot / "model.onnx")

    np.testing.assert_array_equal(graph.find("w").numpy(), [1, 2])


def test_a_hard_link_is_read_where_it_is_allowed(tmp_path):
    (tmp_path / "other.bin").write_bytes(np.float32([1, 2]).tobytes())
    os.link(tmp_path / "other.bin", tmp_path / "data.bin")

    graph = load_graph(saved(tmp_path, external()), allow_hardlinks=True)

    np.testing.assert_array_equal(graph.find("w").numpy(), [1, 2])


def test_an_unknown_external_data_key_is_ignored_with_a_warning(tmp_path):
    path = with_data(tmp_path, external(__class__="os.system"))

    with pytest.warns(UserWarning, match="__class__"):
        graph = load_graph(path)

    assert graph.find("w").shape == (2,)


def test_tied_weights_may_share_a_range_of_the_data_file(tmp_path):
    proto = external()
    proto.graph.initializer.add().CopyFrom(proto.graph.initializer[0])
    proto.graph.initializer[1].name = "v"

    graph = load_graph(with_data(tmp_path, proto))

    np.testing.assert_array_equal(graph.find("v").numpy(), graph.find("w").numpy())


def test_limits_can_be_raised_and_lowered():
    w = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1, 1, 1], raw_data=bytes(4))
    with pytest.raises(LimitError, match=r"Limits\.rank"):
        load_graph(model(initializers=[w]), limits=Limits(rank=2))


def test_external_data_of_a_model_without_a_path_is_refused():
    with pytest.raises(ValueError, match="from its path"):
        load_graph(external().SerializeToString())


def test_the_same_checks_hold_for_a_links_target_as_for_a_path(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "in").mkdir()
    (tmp_path / "out" / "data.bin").write_bytes(bytes(8))
    (tmp_path / "in" / "sub").symlink_to(tmp_path / "out")

    with pytest.raises(UnsafeModelError, match="link"):
        load_graph(saved(tmp_path / "in", external("sub/data.bin")))


def test_files_with_random_bytes_changed_end_in_a_graph_or_a_clear_error(tmp_path):
    paths = []
    for number, proto in enumerate((model(), doubling(3), onnx.ModelProto.FromString(nested_ifs(3)))):
        paths.append(tmp_path / f"{number}.onnx")
        paths[-1].write_bytes(proto.SerializeToString())

    outcomes = run_guarded([f"mutate:{path}" for path in paths])

    assert [outcome["odd"] for outcome in outcomes] == [{}, {}, {}]
    assert all(outcome["refused"] > 100 for outcome in outcomes)
