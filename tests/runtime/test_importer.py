"""Importing: names, types, weights, subgraphs, functions and metadata of ONNX files."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, parser

from symgraph.core.errors import DtypeError, GraphError, OpError
from symgraph.core.types import MapType, OptionalType, SequenceType, TensorType
from symgraph.core.value import Tensor
from symgraph.core.variable import Variable
from symgraph.runtime import evaluate
from symgraph.runtime.files import Limits
from symgraph.runtime.importer import load_graph


def load(text, **options):
    return load_graph(parser.parse_model(text), **options)


def run(graph, *values):
    return [x.numpy() for x in evaluate(graph, *values)]


HEAD = '<ir_version: 8, opset_import: ["" : 17]>\n'


def test_a_graph_reads_like_its_file():
    graph = load(HEAD + """g (float[N, 3] x) => (float[N, 3] y)
        <float[3] b = {1, 2, 3}> { s = Add (x, b)  y = Relu (s) }""")

    assert str(graph) == """graph(%x: float32[N, 3]):
  %s: float32[N, 3] = Add(%x, %b)
  %y: float32[N, 3] = Relu(%s)
  return %y"""


def test_a_file_can_be_given_by_path_as_bytes_and_as_a_message(tmp_path):
    proto = parser.parse_model(HEAD + "g (float[2] x) => (float[2] y) { y = Relu (x) }")
    onnx.save(proto, tmp_path / "m.onnx")

    for source in (tmp_path / "m.onnx", str(tmp_path / "m.onnx"), proto.SerializeToString(), proto):
        assert [node.op.name for node in load_graph(source).nodes] == ["Relu"]


def test_float_initializers_become_variables_and_others_constants():
    graph = load(HEAD + """g (float[4] x) => (float[2, 2] y)
        <float[4] w = {1, 2, 3, 4}, int64[2] shape = {2, 2}> { a = Mul (x, w)  y = Reshape (a, shape) }""")

    (w,) = graph.variables
    (shape,) = graph.constants
    assert (w.name, w.trainable, shape.hint) == ("w", False, "shape")
    assert graph.find("w") is w and graph.find("shape") is shape


def test_variables_are_trainable_where_asked():
    text = HEAD + "g (float[1] x) => (float[1] y) <float[1] w = {2}> { y = Mul (x, w) }"

    assert load(text, trainable=True).variables[0].trainable


def test_scales_of_a_resize_are_a_constant_not_a_weight():
    graph = load(HEAD + """g (float[1, 1, 2, 2] x) => (y)
        <float[4] scales = {1, 1, 2, 2}> { y = Resize <mode = "nearest"> (x, , scales) }""")

    assert graph.variables == ()
    assert graph.outputs[0].shape == (1, 1, 4, 4)


def test_an_initializer_that_is_also_an_input_is_a_weight():
    proto = parser.parse_model(HEAD + "g (float[2] x, float[2] w) => (float[2] y) { y = Add (x, w) }")
    proto.graph.initializer.append(numpy_helper.from_array(np.float32([1, 2]), "w"))

    graph = load_graph(proto)

    assert graph.input_names == ("x",)
    assert isinstance(graph.find("w"), Variable)


@pytest.mark.parametrize(("attribute", "expected"), [
    ("value_int = 3", np.int64(3)), ("value_ints = [1, 2]", np.int64([1, 2])),
    ("value_float = 1.5", np.float32(1.5)), ("value_floats = [1.5, 2.5]", np.float32([1.5, 2.5])),
    ("value_string = \"a\"", np.array("a", object)), ("value_strings = [\"a\", \"b\"]", np.array(["a", "b"], object)),
    ("value = float[2] {1, 2}", np.float32([1, 2]))])
def test_a_constant_node_is_a_constant_under_its_name(attribute, expected):
    graph = load(HEAD + f"g () => (y) {{ c = Constant <{attribute}> ()  y = Identity (c) }}")

    (node,) = graph.nodes
    assert isinstance(node.inputs[0], Tensor)
    assert node.inputs[0].hint == "c"
    np.testing.assert_array_equal(node.inputs[0].numpy(), expected)
    assert node.inputs[0].numpy().dtype == expected.dtype


def sparse(name, values, indices, dims):
    proto = onnx.SparseTensorProto(dims=dims)
    proto.values.CopyFrom(numpy_helper.from_array(np.float32(values), name))
    proto.indices.CopyFrom(numpy_helper.from_array(np.int64(indices), name + "_indices"))
    return proto


@pytest.mark.parametrize("indices", [[1, 5], [[0, 1], [1, 2]]], ids=["linear", "coordinates"])
def test_sparse_initializers_become_dense_weights(indices):
    proto = parser.parse_model(HEAD + "g (float[2, 3] x) => (float[2, 3] y) { y = Add (x, w) }")
    proto.graph.sparse_initializer.append(sparse("w", [7, 8], indices, [2, 3]))

    (y,) = run(load_graph(proto), np.zeros((2, 3), np.float32))

    np.testing.assert_array_equal(y, [[0, 7, 0], [0, 0, 8]])


def test_nodes_may_stand_in_any_order():
    graph = load(HEAD + "g (float[2] x) => (float[2] y) { y = Exp (b)  b = Neg (a)  a = Relu (x) }")

    assert [node.op.name for node in graph.nodes] == ["Relu", "Neg", "Exp"]


def test_sorted_nodes_keep_the_order_of_the_file():
    graph = load(HEAD + "g (float[2] x) => (c, a) { c = Exp (x)  b = Neg (x)  a = Relu (b) }")

    assert [node.op.name for node in graph.nodes] == ["Exp", "Neg", "Relu"]


def test_every_tensor_is_found_by_name_even_one_that_no_output_needs():
    graph = load(HEAD + """g (float[2] x) => (float[2] y) <float[2] w = {1, 2}>
        { a = Add (x, w)  dead = Neg (a)  y = Exp (x) }""")

    dead = graph.find("dead")

    np.testing.assert_array_equal(run(graph.with_outputs([dead]), np.float32([1, 1]))[0], [-2, -3])


def test_a_node_keeps_its_name_and_knows_no_source_line():
    proto = parser.parse_model(HEAD + "g (float[2] x) => (float[2] y) { y = Relu (x) }")
    proto.graph.node[0].name = "the_relu"

    (node,) = load_graph(proto).nodes

    assert (node.name, node.layer, node.source) == ("the_relu", (), None)


def test_types_follow_from_the_inputs_where_the_file_says_nothing():
    graph = load(HEAD + """g (float[N, 4] x) => (y) <int64[2] s = {-1, 2}>
        { a = Transpose (x)  b = Reshape (a, s)  y, i = Split <axis = 1> (b) }""")

    assert graph.find("a").type == TensorType("float32", (4, "N"))
    assert graph.find("i").type.dtype == "float32"


def test_a_declared_output_type_stays():
    graph = load(HEAD + "g (float[N, 4] x) => (float[batch, 4] y) { y = Relu (x) }")

    assert graph.outputs[0].shape == ("batch", 4)


@pytest.mark.parametrize(("declared", "expected"), [
    ("seq(float[2])", SequenceType(TensorType("float32", (2,)))),
    ("optional(float[N])", OptionalType(TensorType("float32", ("N",)))),
    ("map(int64, float[1])", MapType("int64", TensorType("float32", (1,))))])
def test_inputs_may_be_sequences_optionals_and_maps(declared, expected):
    graph = load(HEAD + f"g ({declared} x) => ({declared} x) {{ }}")

    assert graph.inputs[0].type == expected


IF = HEAD + """g (bool c, float[2] x) => (float[2] y) <float[2] w = {1, 2}> {
    h = Relu (x)
    y = If (c) <
        then_branch = a () => (float[2] t) { t = Add (h, w) },
        else_branch = b () => (float[2] e) <float[2] v = {5, 6}> { n = Neg (h)  e = Mul (n, v) }>
}"""


def test_subgraphs_are_closed_by_captures():
    graph = load(IF)

    node = graph.nodes[-1]
    assert node.captures == (graph.find("h"),)
    for name, body in node.subgraphs():
        assert [x.name for x in body.captures] == ["h"], name
    np.testing.assert_array_equal(run(graph, np.bool_(True), np.float32([3, -1]))[0], [4, 2])
    np.testing.assert_array_equal(run(graph, np.bool_(False), np.float32([3, -1]))[0], [-15, 0])


def test_weights_inside_and_outside_of_subgraphs_are_variables_of_the_graph():
    assert sorted(v.name for v in load(IF).variables) == ["v", "w"]


def test_values_inside_subgraphs_have_types_even_where_the_body_declares_none():
    graph = load(HEAD + """g (int64 n, float[2] x) => (y, z) {
        cond = Constant <value = bool {1}> ()
        y, z = Loop (n, cond, x) <body = b (i, go, s) => (go2, s2, out) {
            go2 = Identity (go)  s2 = Add (s, s)  out = Identity (s2) }>
    }""")

    (body,) = [g for _, g in graph.nodes[-1].subgraphs()]
    assert [x.type.dtype for x in body.inputs] == ["int64", "bool", "float32"]
    y, z = run(graph, np.int64(3), np.float32([1, 2]))
    np.testing.assert_array_equal(y, [8, 16])
    assert z.shape == (3, 2)


def test_a_name_of_the_main_graph_is_not_taken_by_a_weight_of_a_subgraph():
    graph = load(HEAD + """g (bool c, float[2] x) => (float[2] y) {
        h = If (c) <then_branch = a () => (float[2] t) <float[2] late = {1, 2}> { t = Add (x, late) },
                    else_branch = b () => (float[2] e) { e = Neg (x) }>
        late = Exp (h)
        y = Neg (late)
    }""")

    assert graph.find("late").node.op.name == "Exp"


FUNCTIONS = '''<ir_version: 10, opset_import: ["" : 17, "local" : 1]>
g (float[N, 2] x, float[N, 2] z) => (float[N, 2] y) {
    a = local.scale <factor = 2.0> (x)
    b = local.scale <factor = 2.0> (z)
    c = local.scale <factor = 3.0> (a)
    d = local.scale (c)
    y = Add (b, d)
}
<domain: "local", opset_import: ["" : 17]> scale <factor: float = 10.0> (v) => (r) {
    f = Constant <value_float: float = @factor> ()
    r = Mul (v, f)
}'''


def test_a_local_function_is_one_node_with_a_body():
    graph = load(FUNCTIONS)

    assert [str(node.op) for node in graph.nodes] == ["local::scale"] * 4 + ["Add"]
    assert [node.attributes.get("factor") for node in graph.nodes[:4]] == [2.0, 2.0, 3.0, None]
    x = np.ones((1, 2), np.float32)
    np.testing.assert_array_equal(run(graph, x, x)[0], x * 62)


def test_calls_with_equal_attributes_and_types_share_a_body():
    first, second, third, last = (node.body for node in load(FUNCTIONS).nodes[:4])

    assert first is second
    assert len({first, third, last}) == 3


def test_values_of_a_function_have_types():
    body = load(FUNCTIONS).nodes[0].body

    assert body.outputs[0].type == TensorType("float32", ("N", 2))


def test_a_function_may_be_called_without_its_last_or_a_middle_input():
    graph = load('''<ir_version: 10, opset_import: ["" : 17, "local" : 1]>
        g (float[2] x) => (float[2] y) { y = local.bounded (x, , x) }
        <domain: "local", opset_import: ["" : 17]> bounded (v, low, high) => (r) { r = Clip (v, low, top)
            top = ReduceMax <keepdims = 0> (high) }''')

    np.testing.assert_array_equal(run(graph, np.float32([1, 5]))[0], [1, 5])
    assert len(graph.nodes[0].body.inputs) == 2


def test_functions_call_functions_and_carry_subgraphs_with_their_attributes():
    graph = load('''<ir_version: 10, opset_import: ["" : 17, "local" : 1]>
        g (bool c, float[2] x) => (float[2] y) { y = local.outer <k = 3.0> (c, x) }
        <domain: "local", opset_import: ["" : 17, "local" : 1]> outer <k> (c, v) => (r) {
            r = If (c) <then_branch = a () => (t) { t = local.inner <m: float = @k> (v) },
                        else_branch = b () => (e) { e = Neg (v) }>
        }
        <domain: "local", opset_import: ["" : 17]> inner <m> (v) => (r) {
            f = Constant <value_float: float = @m> ()  r = Mul (v, f) }''')

    np.testing.assert_array_equal(run(graph, np.bool_(True), np.float32([1, 2]))[0], [3, 6])
    np.testing.assert_array_equal(run(graph, np.bool_(False), np.float32([1, 2]))[0], [-1, -2])


def test_too_many_inputs_of_a_function_are_an_error():
    with pytest.raises(GraphError, match=r"2 inputs.*function 1"):
        load(FUNCTIONS.replace("local.scale (c)", "local.scale (c, c)"))


def test_what_the_file_says_of_itself_is_kept():
    proto = parser.parse_model(HEAD + "named (float[2] x) => (float[2] y) { y = Relu (x) }")
    proto.metadata_props.add(key="author", value="me")
    proto.doc_string = "about it"
    proto.producer_name, proto.producer_version = "maker", "1.2"

    graph = load_graph(proto)

    assert graph.name == "named"
    assert dict(graph.metadata) == {"author": "me", "doc_string": "about it", "producer": "maker 1.2"}
    assert dict(graph.opsets) == {"": 17}


def test_the_long_name_of_the_standard_domain_is_understood():
    graph = load('<ir_version: 8, opset_import: ["ai.onnx" : 17]> g (float[2] x) => (y) { y = ai.onnx.Relu (x) }')

    assert graph.nodes[0].op.domain == ""


@pytest.mark.parametrize("opset", [1, 7, 13, 21])
def test_an_operator_is_the_version_in_force_at_the_files_opset(opset):
    graph = load(f'<ir_version: 8, opset_import: ["" : {opset}]> g (float[2] x) => (float[2] y) {{ y = Relu (x) }}')

    assert graph.nodes[0].op.version == {1: 1, 7: 6, 13: 13, 21: 14}[opset]


def test_inputs_of_one_type_variable_may_not_differ():
    with pytest.raises(DtypeError, match=r"Add.*int64.*float"):
        load(HEAD + "g (float[2] x, int64[2] z) => (y) { y = Add (x, z) }")


def test_an_absent_attribute_that_is_required_is_named():
    with pytest.raises(OpError, match=r"Concat.*'axis'"):
        load(HEAD + "g (float[2] x) => (y) { y = Concat (x, x) }")


def test_external_data_is_mapped_not_read(tmp_path):
    size = 2**28
    with open(tmp_path / "w.bin", "wb") as file:
        file.truncate(size)
    proto = parser.parse_model(HEAD + "g (float[2] x) => (float[2] x) { }")
    w = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[size // 4], data_location=TensorProto.EXTERNAL)
    w.external_data.add(key="location", value="w.bin")
    proto.graph.initializer.append(w)
    onnx.save(proto, tmp_path / "m.onnx")

    w = load_graph(tmp_path / "m.onnx").find("w")

    assert w.shape == (size // 4,)
    base = w.numpy()
    while isinstance(base, np.ndarray):
        base = base.base
    assert type(base.obj).__name__ == "mmap"


def test_a_chain_of_many_nodes_is_imported():
    nodes = [helper.make_node("Neg", [f"v{i}"], [f"v{i + 1}"]) for i in range(20_000)]
    graph = helper.make_graph(nodes, "chain", [helper.make_tensor_value_info("v0", TensorProto.FLOAT, [2])],
                              [helper.make_tensor_value_info("v20000", TensorProto.FLOAT, [2])])

    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert len(load_graph(model).nodes) == 20_000


def test_limits_are_plain_numbers_with_defaults():
    assert Limits() == Limits(subgraph_depth=32, function_depth=100, functions=10_000, inlined_nodes=1_000_000, rank=64)
