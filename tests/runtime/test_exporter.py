"""Exporting and saving: names, opsets, functions, external data, and files that are whole or not there."""

import errno
import io
import os

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import parser

from symgraph.core.apply import apply_op, symbol
from symgraph.core.composite import apply_composite
from symgraph.core.errors import GraphError, LimitError, ResourceError, UnsupportedOpError
from symgraph.core.graph import Graph
from symgraph.core.op import find_op
from symgraph.core.tensor import Node
from symgraph.core.value import Tensor, tensor
from symgraph.core.variable import Variable
from symgraph.runtime import exporter, writer
from symgraph.runtime.exporter import save, to_model
from symgraph.runtime.importer import load_graph


def run(model, **feeds):
    """What ONNX Runtime alone gives for a model, after onnx has checked it."""
    onnx.checker.check_model(model, full_check=True)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def load(text):
    return load_graph(parser.parse_model(text))


def linear(size=2):
    x = symbol(("N", size), name="x")
    w = Variable(np.eye(size, dtype=np.float32) * 2, name="w")
    return Graph([x], [apply_op("MatMul", x, w)], output_names=["y"])


def test_a_default_export_loads_on_onnx_runtime_1_20():
    model = to_model(linear()).model

    assert ([(o.domain, o.version) for o in model.opset_import], model.ir_version) == ([("", 21)], 10)
    assert model.producer_name == "symgraph"


def test_names_and_dimensions_of_inputs_and_outputs_are_a_contract():
    model = to_model(linear()).model

    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert [(x.name, x.shape) for x in session.get_inputs()] == [("x", ["N", 2])]
    assert [(x.name, x.shape) for x in session.get_outputs()] == [("y", ["N", 2])]


def test_types_of_values_in_between_are_written():
    x = symbol(("N", 2), name="x")
    graph = Graph([x], [apply_op("Exp", apply_op("Relu", x))])

    (info,) = to_model(graph).model.graph.value_info

    assert (info.name, [d.dim_param or d.dim_value for d in info.type.tensor_type.shape.dim]) == ("Relu", ["N", 2])


def test_weights_can_be_handed_over_beside_the_model():
    graph = linear()

    exported = to_model(graph, keep_weights_out=True)

    assert not exported.model.graph.initializer
    assert exported.weights == {"w": graph.variables[0]}


def oddities():
    x = symbol((2,), name="x")
    y = apply_op("Relu", x)
    c, w = Tensor(np.float32([1, 2])), Variable(np.float32([3, 4]), name="w")
    a = np.float32([-1, 2])
    r = np.maximum(a, 0)
    return {
        "an-input": (Graph([x], [x]), a, [a]),
        "an-input-renamed": (Graph([x], [x], output_names=["z"]), a, [a]),
        "the-same-twice": (Graph([x], [y, y], output_names=["p", "q"]), a, [r, r]),
        "a-constant": (Graph([x], [c]), a, [np.float32([1, 2])]),
        "a-constant-renamed": (Graph([x], [c, c], output_names=["p", "q"]), a, [np.float32([1, 2])] * 2),
        "a-variable": (Graph([x], [w, y]), a, [np.float32([3, 4]), r]),
        "the-input-and-its-copy": (Graph([x], [x, x], output_names=["x", "copy"]), a, [a, a])}


@pytest.mark.parametrize("name", oddities())
def test_anything_may_be_an_output(name):
    graph, x, expected = oddities()[name]

    outputs = run(to_model(graph).model, x=x)

    for found, wanted in zip(outputs, expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_an_output_with_the_name_of_another_value_is_an_error():
    x = symbol((2,), name="x")

    with pytest.raises(GraphError, match="'x'"):
        to_model(Graph([x], [apply_op("Relu", x)], output_names=["x"]))


SUBGRAPH = '''<ir_version: 8, opset_import: ["" : 17]>
g (bool c, float[2] x) => (float[2] y) {
    h = Relu (x)
    y = If (c) <then_branch = a () => (float[2] same) { v = Neg (h)  same = Exp (v) },
                else_branch = b () => (float[2] same) <float[2] k = {5, 6}> { v = Add (h, k)  same = Identity (v) }>
}'''


def names_of(graph):
    """Every name that is defined in a graph and the graphs inside it."""
    for node in graph.node:
        yield from node.output
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from names_of(attribute.g)
    yield from (x.name for x in (*graph.input, *graph.initializer))


def test_names_are_unique_across_subgraphs():
    model = to_model(load(SUBGRAPH)).model

    names = list(names_of(model.graph))
    assert len(set(names)) == len(names)
    np.testing.assert_array_equal(run(model, c=np.array(False), x=np.float32([1, -1]))[0], [6, 6])


def test_a_subgraph_may_return_what_it_did_not_make():
    model = to_model(load('''<ir_version: 8, opset_import: ["" : 17]>
        g (bool c, float[2] x) => (float[2] y) {
            h = Relu (x)
            y = If (c) <then_branch = a () => (float[2] t) { t = Identity (h) },
                        else_branch = b () => (float[2] k) <float[2] k = {5, 6}> { }>
        }''')).model

    np.testing.assert_array_equal(run(model, c=np.array(False), x=np.float32([1, -1]))[0], [5, 6])
    np.testing.assert_array_equal(run(model, c=np.array(True), x=np.float32([1, -1]))[0], [1, 0])


def test_composite_ops_of_symgraph_are_written_as_what_they_are_made_of():
    def twice(x):
        return apply_op("Add", x, x), x

    x = symbol((2,), name="x")
    first, same = apply_composite("Twice", twice, x)
    second, _ = apply_composite("Twice", twice, first)

    model = to_model(Graph([x], [second, same], output_names=["y", "same"])).model

    assert [node.op_type for node in model.graph.node] == ["Add", "Add", "Identity"]
    y, same = run(model, x=np.float32([1, 2]))
    np.testing.assert_array_equal(y, [4, 8])
    np.testing.assert_array_equal(same, [1, 2])


FUNCTIONS = '''<ir_version: 10, opset_import: ["" : 17, "local" : 1]>
g (float[N, 2] x, float[2] z) => (float[N, 2] y) {
    a = local.scale <factor = 2.0> (x)
    b = local.scale <factor = 2.0> (z)
    c = local.scale <factor = 3.0> (a)
    y = local.both (b, c)
}
<domain: "local", opset_import: ["" : 17]> scale <factor: float = 10.0> (v) => (r) {
    f = Constant <value_float: float = @factor> ()
    r = Mul (v, f)
}
<domain: "local", opset_import: ["" : 17, "local" : 1]> both (p, q) => (r) {
    s = local.scale (p)
    r = Add (s, q)
}'''


def test_local_functions_stay_functions_one_for_each_content():
    model = to_model(load(FUNCTIONS)).model

    assert [(f.domain, f.name) for f in model.functions] == [
        ("local", "scale"), ("local", "scale_1"), ("local", "scale_2"), ("local", "both")]
    assert [n.op_type for n in model.graph.node] == ["scale", "scale", "scale_1", "both"]
    x, z = np.ones((3, 2), np.float32), np.float32([1, 2])
    np.testing.assert_array_equal(run(model, x=x, z=z)[0], x * 6 + z * 20)


def test_functions_survive_a_second_round():
    once = to_model(load(FUNCTIONS)).model

    twice = to_model(load_graph(once)).model

    assert [f.name for f in twice.functions] == [f.name for f in once.functions]
    assert str(load_graph(twice)) == str(load_graph(once))


def test_an_imported_model_keeps_its_opset():
    graph = load('<ir_version: 7, opset_import: ["" : 13]> g (float[2] x) => (float[2] y) { y = Relu (x) }')

    assert to_model(graph).model.opset_import[0].version == 13


def test_an_operator_that_needs_a_newer_opset_is_named_with_the_remedy():
    x = symbol((2, 4), name="x")
    graph = Graph([x], [apply_op(find_op("RMSNormalization", opset=23), x, np.ones(4, np.float32))])

    with pytest.raises(UnsupportedOpError, match=r"RMSNormalization \(opset 23\).*opset=23"):
        to_model(graph)

    assert to_model(graph, opset=23).model.opset_import[0].version == 23
    assert to_model(graph, allow_newer=True).model.opset_import[0].version == 23


def test_metadata_and_documentation_are_written():
    x = symbol((2,), name="x")
    graph = Graph([x], [x], metadata={"doc_string": "about it", "author": "me"})
    target = io.BytesIO()

    save(graph, target, metadata={"license": "free"})

    model = onnx.ModelProto.FromString(target.getvalue())
    assert model.doc_string == "about it"
    assert {p.key: p.value for p in model.metadata_props} == {"author": "me", "license": "free"}


@pytest.mark.parametrize("as_path", [str, lambda path: path])
def test_a_saved_file_is_what_onnx_runtime_runs(as_path, tmp_path):
    path = tmp_path / "m.onnx"

    save(linear(), as_path(path))

    np.testing.assert_array_equal(run(onnx.load(path), x=np.ones((3, 2), np.float32))[0], np.full((3, 2), 2))
    assert os.listdir(tmp_path) == ["m.onnx"]


def test_external_data_lies_beside_the_file_and_comes_back(tmp_path):
    graph = linear(32)

    save(graph, tmp_path / "m.onnx", external_data=True)

    assert sorted(os.listdir(tmp_path)) == ["m.onnx", "m.onnx.data"]
    assert (tmp_path / "m.onnx").stat().st_size < 1000
    x = np.random.default_rng(0).random((3, 32), np.float32)
    session = ort.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"x": x})[0], x * 2)
    np.testing.assert_array_equal(load_graph(tmp_path / "m.onnx").find("w").numpy(), graph.variables[0].numpy())


def test_a_file_that_would_be_too_large_gets_external_data_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(exporter, "MAX_MODEL_BYTES", 4000)

    save(linear(32), tmp_path / "m.onnx")

    assert sorted(os.listdir(tmp_path)) == ["m.onnx", "m.onnx.data"]


def huge():
    """More than 2 GB of weights that take no memory."""
    array = np.broadcast_to(np.float32(0), (2**29 + 1,)).view()
    x = symbol((1,), name="x")
    return Graph([x], [apply_op("Add", x, Variable.adopt(array, name="w"))])


def test_more_than_two_gigabytes_in_one_file_are_refused_before_the_first_byte(tmp_path):
    with pytest.raises(LimitError, match="external_data"):
        save(huge(), tmp_path / "m.onnx", external_data=False)
    with pytest.raises(LimitError, match="external_data"):
        to_model(huge())

    assert os.listdir(tmp_path) == []


def test_saving_again_replaces_the_data_file_too(tmp_path):
    path = tmp_path / "m.onnx"
    save(linear(32), path, external_data=True)
    save(linear(64), path, external_data=True)

    assert len(os.listdir(tmp_path)) == 2
    assert load_graph(path).find("w").shape == (64, 64)

    save(linear(), path)

    assert os.listdir(tmp_path) == ["m.onnx"]


def test_a_data_file_that_is_not_the_models_own_is_left_alone(tmp_path):
    (tmp_path / "m.onnx.data").write_bytes(b"mine")

    save(linear(32), tmp_path / "m.onnx", external_data=True)

    assert (tmp_path / "m.onnx.data").read_bytes() == b"mine"
    assert load_graph(tmp_path / "m.onnx").find("w").shape == (32, 32)


class FullDisk:
    """Stands for os.fsync on a disk that is full from the given call on."""

    def __init__(self, calls):
        self.calls = calls

    def __call__(self, descriptor):
        self.calls -= 1
        if self.calls < 0:
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(("external", "calls"), [(False, 0), (True, 0), (True, 2)])
def test_a_full_disk_leaves_the_old_file_and_no_other(external, calls, tmp_path, monkeypatch):
    path = tmp_path / "m.onnx"
    save(linear(32), path, external_data=external)
    before = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}
    monkeypatch.setattr(os, "fsync", FullDisk(calls))

    with pytest.raises(ResourceError, match="No space left"):
        save(linear(64), path, external_data=external)

    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == before


def test_a_graph_that_cannot_be_exported_leaves_the_old_file(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"old")
    x = symbol((2,), name="x")

    with pytest.raises(GraphError):
        save(Graph([x], [apply_op("Relu", x)], output_names=["x"]), path)

    assert path.read_bytes() == b"old"


def test_saving_through_a_symbolic_link_replaces_what_it_points_to(tmp_path):
    (tmp_path / "real.onnx").write_bytes(b"old")
    (tmp_path / "link.onnx").symlink_to("real.onnx")

    save(linear(), tmp_path / "link.onnx")

    assert (tmp_path / "link.onnx").is_symlink()
    assert onnx.load(tmp_path / "real.onnx").graph.output[0].name == "y"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int8", "uint64", "bool", "int4", "uint4",
                                   "string", "float8_e4m3fn", "complex64"])
def test_constants_of_every_dtype_survive(dtype):
    from symgraph.core.types import numpy_dtype

    array = np.array([1, 0, 1], numpy_dtype(dtype)) if dtype != "string" else np.array(["a", "", "é"], object)
    x = symbol((2,), name="x")
    graph = Graph([x], [x, Tensor(array, name="c")])

    again = load_graph(to_model(graph).model)

    assert again.outputs[1].dtype == dtype
    np.testing.assert_array_equal(again.outputs[1].numpy(), array)


def test_names_of_inlined_bodies_do_not_clash():
    def body(x):
        return apply_op("Relu", apply_op("Neg", x))

    x = symbol((2,), name="x")
    y = x
    for _ in range(5):
        y = apply_composite("NegRelu", body, y)

    names = list(names_of(to_model(Graph([x], [y])).model.graph))

    assert len(set(names)) == len(names)


def test_a_shared_constant_is_written_once():
    x = symbol((2,), name="x")
    c = tensor([1.0, 2.0])
    graph = Graph([x], [apply_op("Add", apply_op("Mul", x, c), c)])

    assert len(to_model(graph).model.graph.initializer) == 1


def test_the_limit_of_one_file_is_that_of_protobuf():
    assert writer.MAX_MODEL_BYTES == 2**31 - 1


def test_a_composite_that_hands_an_input_on_may_stand_in_a_subgraph():
    v = symbol((2,), name="v")
    handed_on, _ = apply_composite("Both", lambda x: (x, apply_op("Neg", x)), v)
    then = Graph([], [handed_on], captures=[v])
    other = Graph([], [apply_op("Neg", v)], captures=[v])
    c, x = symbol((), "bool", name="c"), symbol((2,), name="x")
    node = Node(find_op("If"), (c,), {"then_branch": then, "else_branch": other}, (x.type,), captures=(x,))

    model = to_model(Graph([c, x], node.outputs, output_names=["y"])).model

    a = np.float32([1, 2])
    np.testing.assert_array_equal(run(model, c=np.array(True), x=a)[0], a)
    np.testing.assert_array_equal(run(model, c=np.array(False), x=a)[0], -a)


def test_a_folder_that_is_not_there_is_named_as_it_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = symbol((2,), name="x")

    with pytest.raises(FileNotFoundError, match=r"'away/x\.onnx'$"):
        save(Graph([x], [apply_op(find_op("Neg"), x)]), "away/x.onnx")
