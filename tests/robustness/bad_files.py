"""Malformed model files: each function writes one into a folder and returns its path."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import AttributeProto, FunctionProto, ModelProto, TensorProto, helper, numpy_helper

from symgraph.runtime.checks import newest_ir_version, newest_opset

Writer = Callable[[Path], Path]


@dataclass(frozen=True)
class BadFile:
    """A file, the error it must end in, and words of the message."""

    number: int
    write: Writer
    error: str
    words: tuple[str, ...]
    action: str = "load"


BAD_FILES: list[BadFile] = []


def bad(number: int, error: str, *words: str, action: str = "load") -> Callable[[Writer], Writer]:
    """Enter a function that writes a bad file; `number` is that of ROBUSTNESS.md."""
    def enter(write: Writer) -> Writer:
        BAD_FILES.append(BadFile(number, write, error, words, action))
        return write

    return enter


def value(name, dims=(2,), elem_type=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, elem_type, list(dims))


def model(nodes=None, inputs=None, outputs=None, initializers=(), opset=17, ir_version=8, functions=(), domains=()):
    nodes = [helper.make_node("Relu", ["x"], ["y"], name="relu")] if nodes is None else nodes
    graph = helper.make_graph(nodes, "g", inputs or [value("x")], outputs or [value("y")], list(initializers))
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(graph, opset_imports=imports, ir_version=ir_version, functions=list(functions))


def saved(folder: Path, proto: ModelProto) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def content(folder: Path, data: bytes) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(data)
    return path


@bad(1, "FormatError", "empty file")
def empty_file(folder):
    return content(folder, b"")


@bad(2, "FormatError", "HTML page")
def html_page(folder):
    return content(folder, b"<!DOCTYPE html><html><body>404</body></html>")


@bad(2, "FormatError", "git lfs pull")
def git_lfs_pointer(folder):
    return content(folder, b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")


@bad(2, "FormatError", "truncated")
def truncated_file(folder):
    big = numpy_helper.from_array(np.zeros(1000, np.float32), "w")
    return content(folder, model(initializers=[big]).SerializeToString()[:-700])


@bad(2, "FormatError", "zip archive")
def zip_archive(folder):
    return content(folder, b"PK\x03\x04" + bytes(100))


@bad(2, "FormatError", "holds no graph")
def message_without_a_graph(folder):
    return content(folder, ModelProto(ir_version=8, producer_name="nobody").SerializeToString())


@bad(2, "FormatError", "no such file")
def missing_file(folder):
    return folder / "model.onnx"


@bad(4, "FormatError", "opset 9999", f"take up to {newest_opset()}")
def newer_opset(folder):
    return saved(folder, model(opset=9999))


@bad(4, "FormatError", "IR version 99", f"take up to {newest_ir_version()}")
def newer_ir_version(folder):
    return saved(folder, model(ir_version=99))


@bad(4, "FormatError", "declares no opset")
def no_opset(folder):
    proto = model()
    del proto.opset_import[:]
    return saved(folder, proto)


def nested_ifs(depth: int) -> bytes:
    """A model with If inside If, written as bytes: protobuf refuses to handle it from about 33 levels on."""
    condition = helper.make_node("If", ["c"], ["y"])
    leaf = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "leaf", [], [value("y")])
    data = leaf.SerializeToString()
    for _ in range(depth):
        branches = b"".join(_field(5, _field(1, name) + _field(6, data) + b"\xa0\x01\x05")
                            for name in (b"then_branch", b"else_branch")[:1])
        node = condition.SerializeToString() + branches
        data = _field(1, node) + _field(2, b"g") + _field(12, value("y").SerializeToString())
    inputs = _field(11, value("x").SerializeToString()) + _field(
        11, value("c", (), TensorProto.BOOL).SerializeToString())
    return b"\x08\x08" + _field(7, data + inputs) + _field(8, helper.make_opsetid("", 17).SerializeToString())


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


@bad(5, "LimitError", "nested", "32")
def subgraphs_nested_too_deep(folder):
    return content(folder, nested_ifs(40))


def function(name, nodes, inputs=("a",), outputs=("b",), domain="local"):
    return FunctionProto(name=name, domain=domain, input=inputs, output=outputs, node=nodes,
                         opset_import=[helper.make_opsetid("", 17), helper.make_opsetid("local", 1)])


def call(name, inputs, outputs):
    return helper.make_node(name, inputs, outputs, domain="local", name=f"call_{name}")


@bad(6, "GraphError", "f -> g -> f")
def recursive_functions(folder):
    functions = [function("f", [call("g", ["a"], ["b"])]), function("g", [call("f", ["a"], ["b"])])]
    return saved(folder, model([call("f", ["x"], ["y"])], functions=functions, domains=["local"]))


def doubling(count: int) -> ModelProto:
    functions = [function("f0", [helper.make_node("Neg", ["a"], ["b"])])]
    for i in range(1, count):
        functions.append(function(f"f{i}", [call(f"f{i - 1}", ["a"], ["m"]), call(f"f{i - 1}", ["m"], ["b"])]))
    return model([call(f"f{count - 1}", ["x"], ["y"])], functions=functions, domains=["local"])


@bad(7, "LimitError", "1000000", "nodes")
def doubling_functions(folder):
    return saved(folder, doubling(24))


@bad(7, "LimitError", "2**", "nodes")
def many_doubling_functions(folder):
    return saved(folder, doubling(90))


@bad(7, "LimitError", "deep", "100")
def long_chain_of_functions(folder):
    functions = [function("f0", [helper.make_node("Neg", ["a"], ["b"])])]
    functions += [function(f"f{i}", [call(f"f{i - 1}", ["a"], ["b"])]) for i in range(1, 9000)]
    return saved(folder, model([call("f8999", ["x"], ["y"])], functions=functions, domains=["local"]))


@bad(8, "GraphError", "first", "second", "circle")
def cyclic_nodes(folder):
    return saved(folder, model([helper.make_node("Add", ["x", "b"], ["a"], name="first"),
                                helper.make_node("Relu", ["a"], ["b"], name="second"),
                                helper.make_node("Relu", ["b"], ["y"], name="third")]))


@bad(9, "GraphError", "'y'", "one", "two")
def value_made_twice(folder):
    return saved(folder, model([helper.make_node("Relu", ["x"], ["y"], name="one"),
                                helper.make_node("Neg", ["x"], ["y"], name="two")]))


@bad(9, "GraphError", "'w'", "two initializers")
def two_initializers_of_one_name(folder):
    w = numpy_helper.from_array(np.zeros(2, np.float32), "w")
    return saved(folder, model(initializers=[w, w]))


@bad(9, "GraphError", "'nowhere'", "lonely")
def dangling_input(folder):
    return saved(folder, model([helper.make_node("Add", ["x", "nowhere"], ["y"], name="lonely")]))


@bad(9, "GraphError", "'nowhere'", "inner")
def dangling_input_in_a_subgraph(folder):
    branch = helper.make_graph([helper.make_node("Add", ["x", "nowhere"], ["t"], name="inner")], "b", [], [value("t")])
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    return saved(folder, model([node], inputs=[value("x"), value("c", (), TensorProto.BOOL)]))


@bad(9, "GraphError", "'never'", "never made")
def output_that_is_never_made(folder):
    return saved(folder, model(outputs=[value("y"), value("never")]))


@bad(10, "UnsupportedOpError", "Wibble", "Wobble", "acme::Relu", "opset 17", "n1", "n2", "n3")
def unknown_operators(folder):
    return saved(folder, model([helper.make_node("Wibble", ["x"], ["a"], name="n1"),
                                helper.make_node("Wobble", ["a"], ["b"], name="n2"),
                                helper.make_node("Relu", ["b"], ["y"], domain="acme", name="n3")], domains=["acme"]))


@bad(10, "UnsupportedOpError", "LayerNormalization", "17", "13")
def operator_newer_than_the_opset(folder):
    return saved(folder, model([helper.make_node("LayerNormalization", ["x", "x"], ["y"])], opset=13))


@bad(10, "UnsupportedOpError", "Upsample", "withdrawn")
def withdrawn_operator(folder):
    return saved(folder, model([helper.make_node("Upsample", ["x", "x"], ["y"])], opset=17))


@bad(12, "FormatError", "'w'", "8", "6")
def raw_data_of_another_length(folder):
    w = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], raw_data=bytes(6))
    return saved(folder, model(initializers=[w]))


@bad(12, "FormatError", "'w'", "2", "3")
def typed_data_of_another_length(folder):
    w = TensorProto(name="w", data_type=TensorProto.INT64, dims=[2], int64_data=[1, 2, 3])
    return saved(folder, model(initializers=[w]))


@bad(12, "FormatError", "'value'", "raw data")
def constant_with_data_of_another_length(folder):
    t = TensorProto(name="value", data_type=TensorProto.FLOAT, dims=[4], raw_data=bytes(15))
    return saved(folder, model([helper.make_node("Constant", [], ["c"], value=t),
                                helper.make_node("Add", ["x", "c"], ["y"])]))


@bad(13, "FormatError", "'w'", "negative")
def negative_dim(folder):
    w = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[-1], raw_data=bytes(8))
    return saved(folder, model(initializers=[w]))


@bad(14, "LimitError", "'w'", str(2**66))
def dims_that_overflow(folder):
    w = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2**32, 2**32])
    return saved(folder, model(initializers=[w]))


@bad(14, "LimitError", "'w'", "65 dims")
def too_many_dims(folder):
    w = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1] * 65, raw_data=bytes(4))
    return saved(folder, model(initializers=[w]))


@bad(14, "LimitError", "sparse")
def sparse_tensor_that_is_large(folder):
    proto = model()
    sparse = proto.graph.sparse_initializer.add(dims=[2**20, 2**20])
    sparse.values.CopyFrom(numpy_helper.from_array(np.ones(1, np.float32), "w"))
    sparse.indices.CopyFrom(numpy_helper.from_array(np.zeros((1, 2), np.int64), "i"))
    return saved(folder, proto)


@bad(15, "DtypeError", "'w'", "999")
def unknown_element_type(folder):
    return saved(folder, model(initializers=[TensorProto(name="w", data_type=999, dims=[1], raw_data=b"1234")]))


@bad(15, "DtypeError", "'x'", "999")
def unknown_element_type_of_an_input(folder):
    return saved(folder, model(inputs=[value("x", elem_type=999)]))


@bad(15, "DtypeError", "relu", "tensor(string)")
def string_where_a_number_is_expected(folder):
    return saved(folder, model(inputs=[value("x", elem_type=TensorProto.STRING)]))


@bad(15, "DtypeError", "relu", "seq(tensor(float))")
def sequence_where_a_tensor_is_expected(folder):
    return saved(folder, model(inputs=[helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, [2])]))


@bad(15, "OpError", "relu", "'wibble'")
def unknown_attribute(folder):
    return saved(folder, model([helper.make_node("Relu", ["x"], ["y"], name="relu", wibble=3)]))


@bad(15, "OpError", "'axis'", "INT")
def attribute_of_another_kind(folder):
    node = helper.make_node("Softmax", ["x"], ["y"])
    node.attribute.append(AttributeProto(name="axis", type=AttributeProto.FLOAT, f=1.0))
    return saved(folder, model([node]))


@bad(15, "OpError", "relu", "2 inputs")
def too_many_inputs(folder):
    return saved(folder, model([helper.make_node("Relu", ["x", "x"], ["y"], name="relu")]))


def external(location="data.bin", **entries) -> ModelProto:
    w = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    for key, text in {"location": location, **entries}.items():
        w.external_data.add(key=key, value=str(text))
    return model([helper.make_node("Add", ["x", "w"], ["y"])], initializers=[w])


def with_data(folder: Path, proto: ModelProto, size: int = 16) -> Path:
    (folder / "data.bin").write_bytes(bytes(size))
    return saved(folder, proto)


for _location in ("../secret.bin", "/etc/passwd", "C:\\secret.bin", "\\\\server\\share\\x", "a\0b",
                  "a/../../x", "..\\x"):
    def _write(folder, location=_location):
        return saved(folder, external(location))

    _write.__name__ = f"external_data_in_{_location!r}"
    BAD_FILES.append(BadFile(16, _write, "UnsafeModelError", ("'w'", "own directory")))


@bad(17, "UnsafeModelError", "'w'", "link")
def symlink_that_leads_out(folder):
    inner = folder / "inner"
    inner.mkdir()
    (folder / "secret.bin").write_bytes(bytes(8))
    (inner / "data.bin").symlink_to(folder / "secret.bin")
    return saved(inner, external())


@bad(18, "UnsafeModelError", "'w'", "allow_hardlinks=True")
def hard_link(folder):
    (folder / "secret.bin").write_bytes(bytes(8))
    os.link(folder / "secret.bin", folder / "data.bin")
    return saved(folder, external())


@bad(18, "UnsafeModelError", "not a regular file")
def named_pipe(folder):
    os.mkfifo(folder / "data.bin")
    return saved(folder, external())


@bad(19, "FormatError", "'w'", "16")
def offset_past_the_end(folder):
    return with_data(folder, external(offset=12))


@bad(19, "FormatError", "'w'", "'-4'")
def negative_offset(folder):
    return with_data(folder, external(offset=-4))


@bad(19, "FormatError", "'w'", "'x'")
def offset_that_is_no_number(folder):
    return with_data(folder, external(offset="x"))


@bad(19, "FormatError", "'w'", str(2**50))
def length_past_the_end(folder):
    return with_data(folder, external(length=2**50))


@bad(19, "FormatError", "'w'", "8", "4")
def length_that_is_not_the_tensors(folder):
    return with_data(folder, external(length=4))


@bad(19, "FormatError", "'v'", "'w'", "overlap")
def overlapping_tensors(folder):
    proto = external()
    proto.graph.initializer.add().CopyFrom(proto.graph.initializer[0])
    proto.graph.initializer[1].name = "v"
    proto.graph.initializer[1].external_data.add(key="offset", value="4")
    return with_data(folder, proto)


@bad(19, "FormatError", "'w'", "No such file")
def missing_data_file(folder):
    return saved(folder, external())


def constant(name, numbers):
    return numpy_helper.from_array(np.array(numbers, np.int64), name)


def huge(node, *initializers):
    return model([node], inputs=[value("unused")], outputs=[value("y", ())], initializers=initializers)


def _without_inputs(proto):
    del proto.graph.input[:]
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    return proto


@bad(21, "ResourceError", action="run")
def huge_constant_of_shape(folder):
    node = helper.make_node("ConstantOfShape", ["s"], ["y"])
    return saved(folder, _without_inputs(huge(node, constant("s", [2**20, 2**20]))))


@bad(21, "ResourceError", action="run")
def huge_expand(folder):
    node = helper.make_node("Expand", ["x", "s"], ["y"])
    one = numpy_helper.from_array(np.ones(1, np.float32), "x")
    return saved(folder, _without_inputs(huge(node, one, constant("s", [2**20, 2**20]))))


@bad(21, "ResourceError", action="run")
def huge_tile(folder):
    node = helper.make_node("Tile", ["x", "s"], ["y"])
    one = numpy_helper.from_array(np.ones(1, np.float32), "x")
    return saved(folder, _without_inputs(huge(node, one, constant("s", [2**40]))))


@bad(21, "ResourceError", action="run")
def huge_range(folder):
    node = helper.make_node("Range", ["a", "b", "c"], ["y"])
    numbers = [constant("a", 0), constant("b", 2**40), constant("c", 1)]
    proto = _without_inputs(huge(node, *numbers))
    proto.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    return saved(folder, proto)


@bad(21, "ResourceError", action="run")
def huge_pad(folder):
    node = helper.make_node("Pad", ["x", "s"], ["y"])
    one = numpy_helper.from_array(np.ones(1, np.float32), "x")
    return saved(folder, _without_inputs(huge(node, one, constant("s", [0, 2**40]))))


