"""Operators of ONNX Runtime's own: they are known by its schemas, have types, run, are read and written again."""

import numpy as np
import onnx
import pytest

import symgraph as sg
from symgraph import passes
from symgraph.core.apply import apply_op, symbol
from symgraph.core.inference import infer_types
from symgraph.core.op import find_op
from symgraph.core.types import TensorType
from symgraph.runtime import Session
from symgraph.runtime.exporter import save, to_model
from symgraph.runtime.importer import load_graph

RNG = np.random.default_rng(0)


def floats(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def bytes_(*shape):
    return RNG.integers(0, 255, shape, np.uint8)


SCALE, ZERO = np.float32(0.1), np.uint8(3)
X, W = floats(2, 3, 8), floats(8)

CALLS = [
    ("BiasGelu", [X, W], {}, 1),
    ("FastGelu", [X, W], {}, 1),
    ("QuickGelu", [X], {"alpha": 1.0}, 1),
    ("Gelu", [X], {}, 1),
    ("FusedMatMul", [floats(2, 4, 3), floats(2, 5, 4)], {"transA": 1, "transB": 1, "alpha": 0.5}, 1),
    ("FusedMatMul", [floats(3, 2, 4), floats(2, 4, 5)], {"transBatchA": 1}, 1),
    ("FusedMatMul", [floats(2, 3, 4), floats(4, 5)], {}, 1),
    ("FusedGemm", [floats(3, 4), floats(5, 4), floats(5)], {"transB": 1, "activation": "Relu"}, 1),
    ("FusedConv", [floats(1, 2, 8, 8), floats(4, 2, 3, 3), floats(4)], {"activation": "Relu", "strides": [2, 2]}, 1),
    ("SkipLayerNormalization", [X, floats(2, 3, 8), W, W], {}, (True, False, False, True)),
    ("SkipSimplifiedLayerNormalization", [X, floats(2, 3, 8), W], {}, (True, False, False, True)),
    ("EmbedLayerNormalization", [np.ones((2, 3), np.int32), np.zeros((2, 3), np.int32), floats(9, 8), floats(6, 8),
                                 floats(2, 8), W, W, np.ones((2, 3), np.int32)], {}, 2),
    ("Attention", [X, floats(8, 24), floats(24)], {"num_heads": 2}, 1),
    ("Attention", [X, floats(8, 24), floats(24), None, floats(2, 2, 2, 5, 4)], {"num_heads": 2}, 2),
    ("MultiHeadAttention", [X, floats(2, 5, 8), floats(2, 5, 6)], {"num_heads": 2}, 1),
    ("MultiHeadAttention", [X, floats(2, 3, 8), floats(2, 3, 8), None, None, None, floats(2, 2, 4, 4),
                            floats(2, 2, 4, 4)], {"num_heads": 2}, 3),
    ("QLinearAdd", [bytes_(2, 3), SCALE, ZERO, bytes_(3), SCALE, ZERO, SCALE, ZERO], {}, 1),
    ("DynamicQuantizeMatMul", [floats(2, 3), bytes_(3, 4), SCALE, ZERO], {}, 1),
    ("QLinearConv", [bytes_(1, 2, 6, 6), SCALE, ZERO, bytes_(4, 2, 3, 3), SCALE, ZERO, SCALE, ZERO], {}, 1),
    ("QuantizeLinear", [X, SCALE, ZERO], {}, 1),
    ("DequantizeLinear", [bytes_(2, 3), SCALE, ZERO], {}, 1),
    ("MatMulNBits", [floats(2, 32), bytes_(6, 1, 16), floats(6)],
     {"K": 32, "N": 6, "bits": 4, "block_size": 32}, 1),
    ("Trilu", [floats(3, 4)], {"upper": 0}, 1),
    ("SimplifiedLayerNormalization", [X, W], {"axis": -1}, 1)]


def operator(name):
    return find_op(name, "" if name == "SimplifiedLayerNormalization" else "com.microsoft")


@pytest.mark.parametrize(("name", "arrays", "attributes", "outputs"), CALLS, ids=[call[0] for call in CALLS])
def test_types_are_those_of_what_onnx_runtime_gives(name, arrays, attributes, outputs):
    op = operator(name)
    operands = [None if x is None else sg.tensor(x) for x in arrays]

    found = apply_op(op, *operands, outputs=outputs, **attributes)

    results = found if isinstance(found, tuple) else (found,)
    attributes = {k: tuple(v) if isinstance(v, list) else v for k, v in attributes.items()}
    types = infer_types(op, tuple(operands), attributes, len(results))
    for result, inferred in zip(results, types, strict=True):
        assert result is None or inferred == TensorType(result.dtype, result.shape)


@pytest.mark.parametrize(("name", "arrays", "attributes", "outputs"), CALLS, ids=[call[0] for call in CALLS])
def test_a_file_without_types_is_read_with_them_and_gives_the_same(name, arrays, attributes, outputs, tmp_path):
    feeds = {f"i{i}": np.asarray(x) for i, x in enumerate(arrays) if x is not None}
    symbols = {k: symbol(x.shape, str(x.dtype), k) for k, x in feeds.items()}
    made = apply_op(operator(name), *(symbols.get(f"i{i}") for i in range(len(arrays))), outputs=outputs, **attributes)
    wanted = [x for x in (made if isinstance(made, tuple) else (made,)) if x is not None]
    graph = sg.Graph(symbols.values(), [apply_op("Identity", x) for x in wanted])
    model = to_model(graph).model
    del model.graph.value_info[:]

    again = load_graph(model)

    assert str(again.nodes[0].outputs[0].type) == str(wanted[0].type)
    for a, b in zip(Session(graph).run(feeds), Session(again).run(feeds), strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_draws_is_never_folded_or_shared():
    assert operator("FusedConv").is_deterministic
    assert not find_op("BiasDropout", "com.microsoft").is_deterministic
    assert not find_op("Sampling", "com.microsoft").is_deterministic


def test_a_file_need_not_declare_the_opset_of_onnx_runtimes_domain():
    model = to_model(sg.Graph(*_quick())).model
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", 17))

    assert load_graph(model).opsets == {"": 17, "com.microsoft": 1}


def _quick():
    x = symbol(("N", 3), "float32", "x")
    return [x], [apply_op(operator("QuickGelu"), x)]


def test_all_operators_that_nobody_knows_are_named_at_once():
    model = to_model(sg.Graph(*_quick())).model
    model.graph.node.add(op_type="Nonesuch", domain="com.microsoft", input=["x"], output=["a"])
    model.graph.node.add(op_type="Relu", domain="acme", input=["x"], output=["b"])
    model.opset_import.append(onnx.helper.make_opsetid("acme", 1))

    with pytest.raises(sg.UnsupportedOpError, match=r"2 operators .*com.microsoft::Nonesuch.*acme::Relu"):
        load_graph(model)


def test_an_open_dimension_keeps_its_name_through_fused_operators():
    x, w = (symbol(s, "float32", n) for n, s in (("x", ("N", 3, 4)), ("w", (5, 4))))

    y = apply_op(operator("FusedMatMul"), x, w, transB=1)

    assert str(y.type) == "float32[N, 3, 5]"


MODELS = ("magika_standard_v2_1", "ort_TFBertForQuestionAnswering", "ort_bert_toy_optimized", "ort_gpt2_past",
          "ort_mnist", "dtln_model_2", "gtcrn_simple", "silero_vad_16k_op15")


@pytest.mark.parametrize("name", MODELS)
def test_files_for_onnx_runtime_are_read_back_and_give_the_same(name, shared_data, tmp_path):
    before = load_graph(shared_data / "onnx" / f"{name}.onnx")
    with np.load(shared_data / "onnx" / f"{name}.ref.npz") as stored:
        feeds = {n: stored["in__" + n.replace("/", "|")] for n in before.input_names}
    fused = passes.optimize(before, passes.ONNXRUNTIME)
    save(fused, tmp_path / "fused.onnx")

    again = load_graph(tmp_path / "fused.onnx")
    settled = passes.optimize(again, passes.ONNXRUNTIME)

    assert [str(node.op) for node in again.nodes] == [str(node.op) for node in fused.nodes]
    assert len(settled.nodes) <= len(again.nodes)
    for graph in (again, settled):
        for a, b in zip(Session(fused).run(feeds), Session(graph).run(feeds), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("shapes", [[(2,), (2,)], [(), ()], [(1, 2, 3, 4, 5, 6), (3,)]])
@pytest.mark.parametrize("name", ["Attention", "MultiHeadAttention", "GroupQueryAttention", "SkipLayerNormalization"])
def test_operands_of_strange_ranks_have_unknown_types(name, shapes):
    operands = tuple(symbol(shape, "float32") for shape in shapes)

    assert infer_types(operator(name), operands, {"num_heads": 0}, 1)[0].dtype == "float32"
