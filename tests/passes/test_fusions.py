import math
from collections import Counter

import numpy as np
import pytest

import symgraph as sg
from symgraph import passes
from symgraph.ops import onnx
from symgraph.runtime import Session
from symgraph.runtime.exporter import to_model
from symgraph.runtime.importer import load_graph
from symgraph.runtime.opsets import walk_nodes
from tests.conformance.cases import DOMAINS, cases, run, unsupported

ROOT, ANGLE = math.sqrt(2), math.sqrt(2 / math.pi)
W = np.linspace(-1, 1, 8, dtype=np.float32).reshape(4, 2)
SCALE, OFFSET = np.linspace(0.5, 2, 8, dtype=np.float32), np.linspace(-1, 1, 8, dtype=np.float32)


def names(graph):
    return [node.op.name for node in graph.nodes]


def proved(x, y, *chosen):
    graph = passes.optimize(sg.Graph([x], [y]), passes=chosen, verify=True)
    assert passes.optimize(graph, passes=chosen) is graph
    return graph


def matrix(columns=4, rows=None):
    return sg.symbol((rows, columns), name="x")


@pytest.mark.parametrize("bias", [np.float32(2), np.ones(1, np.float32), np.ones(2, np.float32),
                                  np.ones((1, 2), np.float32)])
def test_a_product_of_matrices_takes_in_its_bias(bias):
    x = matrix()

    assert names(proved(x, bias + onnx("MatMul", x, W), passes.fuse_gemm)) == ["Gemm"]


@pytest.mark.parametrize("bias", [np.ones((3, 2), np.float32), np.ones((1, 1, 2), np.float32)])
def test_a_bias_that_makes_the_result_larger_stays_outside(bias):
    x = matrix(rows=1)

    assert names(proved(x, onnx("MatMul", x, W) + bias, passes.fuse_gemm)) == ["MatMul", "Add"]


def test_a_bias_with_as_many_rows_as_the_open_dimension_seems_to_have_stays_outside():
    x = matrix()

    assert names(passes.fuse_gemm(sg.Graph([x], [onnx("MatMul", x, W) + x[:, :2]]))).count("Gemm") == 0


def test_products_of_more_than_matrices_stay():
    x = sg.Input((3, 4), name="x")

    assert names(proved(x, onnx("MatMul", x, W) + 1.0, passes.fuse_gemm)) == ["MatMul", "Add"]


def test_integer_products_stay_because_gemm_has_no_kernel_for_them():
    x = sg.symbol((None, 4), "int32", name="x")

    assert "Gemm" not in names(proved(x, onnx("MatMul", x, W.astype(np.int32)) + 1, passes.fuse_gemm))


@pytest.mark.parametrize(("make", "trans"), [
    (lambda x: onnx("MatMul", sg.transpose(x), x), (1, 0)), (lambda x: onnx("MatMul", x, sg.transpose(x)), (0, 1)),
    (lambda x: onnx("Gemm", sg.transpose(x), x, transA=1), None),
    (lambda x: onnx("MatMul", onnx("Transpose", x), onnx("Transpose", sg.tanh(x))), None)])
def test_transposes_become_attributes_of_gemm(make, trans):
    x = matrix(4, 4)
    graph = proved(x, make(x) + 1.0, passes.fuse_gemm)

    assert "Transpose" not in names(graph) and names(graph).count("Gemm") == 1
    if trans is not None:
        (gemm,) = graph.nodes
        assert (gemm.attributes.get("transA", 0), gemm.attributes.get("transB", 0)) == trans


def test_a_product_that_others_read_keeps_its_result():
    x = matrix()
    product = onnx("MatMul", x, W)
    graph = sg.Graph([x], [product + 1.0, product])

    assert passes.fuse_gemm(graph) is graph
    pinned = sg.Graph([x], [product + 1.0]).pin({"product": product})
    assert passes.fuse_gemm(pinned) is pinned


ACTIVATIONS = {
    "gelu": ("Gelu", lambda x: 0.5 * x * (1 + onnx("Erf", x / ROOT))),
    "gelu by a factor": ("Gelu", lambda x: x * (0.5 * (onnx("Erf", x * (1 / ROOT)) + 1))),
    "gelu of five digits": ("Gelu", lambda x: (x * (1 + onnx("Erf", x / 1.41421))) * 0.5),
    "gelu by tanh": ("Gelu", lambda x: 0.5 * x * (1 + sg.tanh(ANGLE * (x + 0.044715 * onnx("Pow", x, 3.0))))),
    "gelu by tanh of a cube": ("Gelu", lambda x: (x * 0.5) * (1 + sg.tanh((x + x * x * x * 0.044715) * ANGLE))),
    "hard swish": ("HardSwish", lambda x: x * (onnx("Clip", x + 3, 0.0, 6.0) / 6)),
    "hard swish of PyTorch": ("HardSwish", lambda x: x * onnx("Clip", x + 3, 0.0, 6.0) / 6),
    "hard swish by sigmoid": ("HardSwish", lambda x: x * onnx("HardSigmoid", x, alpha=1 / 6, beta=0.5)),
    "softplus": ("Softplus", lambda x: onnx("Max", x, 0.0) + sg.log(1 + sg.exp(-sg.abs(x)))),
    "mish": ("Mish", lambda x: x * sg.tanh(onnx("Softplus", x))),
    "relu6": ("Clip", lambda x: onnx("Min", onnx("Relu", x), 6.0)),
    "clip": ("Clip", lambda x: onnx("Min", onnx("Max", x, -1.0), 6.0)),
    "leaky": ("LeakyRelu", lambda x: onnx("Max", x, x * 0.2)),
    "leaky by where": ("LeakyRelu", lambda x: onnx("Where", x > 0, x, 0.2 * x)),
    "softmax": ("Softmax", lambda x: softmax(x, -1)),
    "softmax over the second axis": ("Softmax", lambda x: softmax(x, 1))}


def softmax(x, axis, largest=None):
    e = sg.exp(x - onnx("ReduceMax", x, [axis if largest is None else largest]))
    return e / onnx("ReduceSum", e, [axis])


@pytest.mark.parametrize("form", ACTIVATIONS)
def test_activations_are_recognised(form):
    op, make = ACTIVATIONS[form]
    x = sg.Input((None, 8), name="x")

    assert names(proved(x, make(8.0 * sg.tanh(x)), passes.recognize_activations))[2:] == [op]


@pytest.mark.parametrize("make", [
    lambda x: 0.5 * x * (1 + onnx("Erf", x / 1.5)), lambda x: 0.4 * x * (1 + onnx("Erf", x / ROOT)),
    lambda x: 0.5 * x * (1 + onnx("Erf", (x + 1) / ROOT)), lambda x: x * sg.sigmoid(x),
    lambda x: onnx("Max", x, x * 2.0), lambda x: onnx("Max", x, x * -0.5),
    lambda x: onnx("Min", onnx("Max", x, 6.0), -1.0), lambda x: onnx("Min", onnx("Relu", x), -1.0),
    lambda x: softmax(x, -1, largest=1), lambda x: sg.log(1 + sg.exp(x))])
def test_what_only_looks_like_an_activation_stays(make):
    x = sg.Input((3, 8), name="x")
    graph = sg.Graph([x], [make(x)])

    assert passes.recognize_activations(graph) is graph


@pytest.mark.parametrize(("opset", "op"), [(19, "Erf"), (20, "Gelu")])
def test_an_operator_newer_than_the_opset_of_the_file_is_not_used(opset, op):
    x = sg.symbol((2, 8), name="x")
    model = to_model(sg.Graph([x], [0.5 * x * (1 + onnx("Erf", x / ROOT))]), opset=opset).model

    assert op in names(passes.recognize_activations(passes.freeze(load_graph(model))))
    assert names(passes.optimize(load_graph(model), passes=passes.PORTABLE)) == ["Gelu"]


def test_scalars_and_doubles_are_left_alone():
    for x in (sg.symbol((), name="x"), sg.symbol((3,), "float64", name="x")):
        graph = sg.Graph([x], [0.5 * x * (1 + onnx("Erf", x / ROOT))])
        assert passes.recognize_activations(graph) is graph


def moments(x, axes, *, square):
    mean = onnx("ReduceMean", x, axes)
    difference = x - mean
    return mean, difference, onnx("ReduceMean", square(difference), axes)


def by_division(x, axes, scale=1.0, offset=0.0):
    _, difference, variance = moments(x, axes, square=lambda d: onnx("Pow", d, 2.0))
    return difference / sg.sqrt(variance + 1e-5) * scale + offset


def by_reciprocal(x, axes, scale=1.0, offset=0.0):
    mean, _, variance = moments(x, axes, square=lambda d: d * d)
    factor = onnx("Reciprocal", sg.sqrt(variance + 1e-3)) * scale
    return x * factor + (offset - mean * factor)


def bare(x, axes, scale=1.0, offset=0.0):
    _, difference, variance = moments(x, axes, square=lambda d: d * d)
    return difference * onnx("Pow", variance + 1e-3, -0.5)


@pytest.mark.parametrize("form", [by_division, by_reciprocal, bare])
@pytest.mark.parametrize(("shape", "axes"), [((None, None, 8), [-1]), ((3, 8), [1]), ((None, 2, 8), [1, 2])])
def test_layer_normalisation_is_recognised(form, shape, axes):
    x = sg.symbol(shape, name="x")

    graph = proved(x, form(2.0 * sg.tanh(x), axes, SCALE, OFFSET), passes.recognize_normalization)

    assert names(graph)[2:] == ["LayerNormalization"]
    assert graph.nodes[-1].attributes["axis"] == -len(axes)


def test_scale_and_bias_may_be_variables():
    x = sg.symbol((None, 8), name="x")
    scale, offset = sg.Variable(SCALE), sg.Variable(OFFSET)
    with sg.core.scope.tracing():
        y = by_division(sg.tanh(x), [-1], scale, offset)

    (_, layer) = proved(x, y, passes.recognize_normalization).nodes

    assert layer.op.name == "LayerNormalization" and layer.inputs[1:] and layer.inputs[1] is scale


@pytest.mark.parametrize("form", [by_division, by_reciprocal])
def test_instance_normalisation_is_recognised(form):
    x = sg.Input((3, 4, 5), name="x")
    scale, offset = (np.float32(v).reshape(3, 1, 1) for v in ([1, 2, 3], [0, 1, -1]))

    graph = proved(x, form(sg.tanh(x), [2, 3], scale, offset), passes.recognize_normalization)

    assert names(graph)[1:] == ["InstanceNormalization"]


@pytest.mark.parametrize("shape", [(3, None, 5), (3, 0, 5)])
def test_instance_normalisation_of_what_may_be_nothing_stays_written_out(shape):
    x = sg.Input(shape, name="x")
    graph = sg.Graph([x], [by_division(sg.tanh(x), [2, 3])])

    assert "InstanceNormalization" not in names(passes.recognize_normalization(graph))  # would end the process


@pytest.mark.parametrize("make", [
    lambda x: by_division(x, [1]), lambda x: by_division(sg.exp(x), [0, 2]),
    lambda x: (x - onnx("ReduceMean", x, [1])) / sg.sqrt(moments(x, [-1], square=sg.square)[2] + 1e-5),
    lambda x: moments(x, [-1], square=sg.abs)[1] / sg.sqrt(moments(x, [-1], square=sg.abs)[2] + 1e-5),
    lambda x: x / sg.sqrt(onnx("ReduceMean", x * x, [-1]) + 1e-5)])
def test_what_is_no_normalisation_over_the_last_axes_stays(make):
    x = sg.Input((8, 8), name="x")
    graph = sg.Graph([x], [make(x)])

    assert "LayerNormalization" not in names(passes.recognize_normalization(graph))


def test_a_normalised_axis_of_unknown_size_stays():
    x = sg.symbol((2, None), name="x")
    graph = sg.Graph([x], [by_division(x, [-1])])

    assert passes.recognize_normalization(graph) is graph


def test_products_of_one_tensor_become_one():
    x = sg.Input((None, 4), name="x")
    outputs = [onnx("MatMul", x, W * k) + np.float32([k, -k]) for k in (1, 2, 3)]
    graph = sg.Graph([x], outputs, output_names=["q", "k", "v"])

    merged = passes.optimize(graph, passes=[passes.merge_parallel_matmuls], verify=True)

    assert names(merged) == ["MatMul", "Add", "Split"] and merged.output_names == ("q", "k", "v")
    assert passes.merge_parallel_matmuls(merged) is merged


@pytest.mark.parametrize("trans", [0, 1])
def test_products_of_matrices_become_one(trans):
    x = matrix()
    weights = (W, W[:, :1]) if not trans else (W.T, W[:, :1].T)
    y = onnx("Concat", *(onnx("Gemm", x, w, np.ones(1, np.float32), transB=trans) for w in weights), axis=1)

    assert names(proved(x, y, passes.merge_parallel_matmuls)) == ["Gemm", "Split", "Concat"]


def test_a_weight_that_others_read_is_not_copied():
    x = sg.Input((None, 4), name="x")
    w = sg.tensor(W)
    graph = sg.Graph([x], [onnx("MatMul", x, w), onnx("MatMul", x, sg.tensor(W * 2)), onnx("MatMul", sg.tanh(x), w)])

    assert passes.merge_parallel_matmuls(graph) is graph


MICROSOFT = {
    "FusedConv": ((1, 2, 5, 5), lambda x: onnx("LeakyRelu", onnx("Conv", x, np.ones((3, 2, 3, 3), np.float32)))),
    "FusedConv with Clip": ((1, 2, 5, 5), lambda x: onnx(
        "Clip", onnx("Conv", x, np.ones((3, 2, 3, 3), np.float32)), 0.0, 6.0)),
    "FusedMatMul": ((None, 3, 4), lambda x: onnx("MatMul", x, sg.transpose(x, (0, 2, 1))) / 8.0),
    "BiasGelu": ((None, 8), lambda x: onnx("Gelu", x + SCALE))}


@pytest.mark.parametrize("form", MICROSOFT)
def test_operators_of_onnx_runtime_are_proved_and_exported(form):
    shape, make = MICROSOFT[form]
    x = sg.symbol(shape, name="x")

    graph = proved(x, make(sg.tanh(x)), passes.fuse_for_onnxruntime)

    assert names(graph)[1:] == [form.split()[0]] and graph.nodes[-1].op.domain == "com.microsoft"
    assert graph.nodes[-1].output.type.shape is not None
    model = to_model(graph).model
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 21), ("com.microsoft", 1)]


def test_an_elementwise_region_becomes_one_node_and_comes_apart_again():
    x = sg.Input((None, 3), name="x")
    graph = sg.Graph([x], [sg.exp(sg.tanh(x) * 2.0 + sg.sigmoid(x)) @ np.ones((3, 2), np.float32)])

    fused = passes.optimize(graph, passes=[passes.fuse_elementwise], verify=True)

    assert names(fused) == ["Fused", "MatMul"] and "symgraph::Fused(%x)" in str(fused)
    assert Counter(names(fused.nodes[0].body)) == Counter(["Tanh", "Mul", "Sigmoid", "Add", "Exp"])
    assert passes.fuse_elementwise(fused) is fused
    assert "Fused" not in [node.op_type for node in to_model(fused).model.graph.node]
    apart = passes.optimize(fused, passes=[passes.inline_composites], verify=True)
    assert Counter(names(apart)) == Counter(names(graph)) and passes.inline_composites(apart) is apart


def test_regions_end_where_others_read_and_where_shapes_may_differ():
    x, y = sg.symbol(("N", 3), name="x"), sg.symbol((None, 3), name="y")
    shared = sg.tanh(sg.sin(x))
    graph = sg.Graph([x, y], [sg.exp(sg.cos(shared)), shared, sg.abs(x + y), sg.abs(y * np.ones(3, np.float32))])

    fused = passes.optimize(graph, passes=[passes.fuse_elementwise], verify=True)

    bodies = [names(node.body) for node in fused.nodes if node.body is not None]
    assert bodies == [["Sin", "Tanh"], ["Cos", "Exp"]]


def test_regions_are_found_in_branches():
    x = sg.Input((3,), name="x")
    graph = sg.Graph([x], [sg.cond(sg.sum(x) > 0, lambda: sg.sin(sg.tanh(x)), lambda: x * 2.0)])

    fused = passes.optimize(graph, passes=[passes.fuse_elementwise], verify=True)

    assert any(node.op.name == "Fused" for node in walk_nodes(fused))
    assert all(node.body is None for node in walk_nodes(passes.inline_composites(fused)))


def test_pinned_values_and_names_survive_an_upgrade():
    x = sg.symbol((2, 3), name="x")
    model = to_model(sg.Graph([x], [sg.tanh(sg.sin(x)), x], output_names=["y", "z"]), opset=11).model
    graph = load_graph(model)
    graph = graph.pin({"inner": graph.nodes[0].output})

    upgraded = passes.upgrade_opset(graph)

    assert upgraded.opsets[""] == 21 and upgraded.output_names == ("y", "z") and list(upgraded.pinned) == ["inner"]
    assert passes.upgrade_opset(upgraded) is upgraded


def test_what_overflowed_on_the_way_is_recognised_under_proof_too():
    x = sg.Input((3,), name="x")
    graph = sg.Graph([x], [(x * (1 + onnx("Erf", x / ROOT))) * 0.5])

    assert names(passes.optimize(graph, verify=True)) == ["Gelu"]


FUSIONS = (passes.upgrade_opset, passes.recognize_activations, passes.recognize_normalization, passes.fuse_gemm,
           passes.merge_parallel_matmuls)


@pytest.mark.parametrize("chosen", [(*FUSIONS, passes.fuse_for_onnxruntime), (passes.fuse_elementwise,)])
def test_the_official_cases_keep_their_results(chosen):
    listed = unsupported()
    wrong = []
    for case in cases("node"):
        if case.name in listed:
            continue
        before = load_graph(case.model, domains=DOMAINS)
        graph = passes.optimize(before, passes=chosen)
        if passes.optimize(graph, passes=chosen) is not graph:
            wrong.append(f"{case.name}: optimising twice changes more")
        if graph is before:
            continue
        try:
            run(to_model(graph, allow_newer=True).model, case)
        except Exception as error:
            wrong.append(f"{case.name}: {' '.join(str(error).split())[:200]}")
    assert not wrong, "\n".join(wrong)


FOUND = {
    "ort_TFBertForQuestionAnswering": {"LayerNormalization": 49, "Gelu": 24, "Softmax": 24},
    "ort_bert_toy_optimized": {"LayerNormalization": 12, "Gelu": 6, "Softmax": 5},
    "ort_gpt2_past": {"LayerNormalization": 25, "Gelu": 12, "Softmax": 12},
    "dtln_model_2": {"LayerNormalization": 1}, "gtcrn_simple": {"InstanceNormalization": 4},
    "magika_standard_v2_1": {"Gelu": 2, "Softmax": 1}, "ort_mnist": {"Gemm": 1}, "ort_scan_1": {"Gemm": 8}}


@pytest.mark.parametrize("pipeline", ["PORTABLE", "ONNXRUNTIME", "FUSED"])
@pytest.mark.parametrize("name", FOUND)
def test_real_models_keep_their_results_and_what_they_are_made_of_is_found(name, pipeline, shared_data):
    chosen = getattr(passes, pipeline, (*passes.INFERENCE, passes.fuse_elementwise))
    before = load_graph(shared_data / "onnx" / f"{name}.onnx")
    after = passes.optimize(before, passes=chosen)
    with np.load(shared_data / "onnx" / f"{name}.ref.npz") as reference:
        feeds = {n: reference["in__" + n.replace("/", "|")] for n in before.input_names}

    wanted, found = (Session(graph, optimize=False).run(feeds) for graph in (before, after))

    assert passes.optimize(after, passes=chosen) is after
    if pipeline == "PORTABLE":
        count = Counter(node.op.name for node in walk_nodes(after))
        assert {op: count[op] for op in FOUND[name]} == FOUND[name]
    for a, b in zip(wanted, found, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5 * max(1.0, float(np.abs(a).max(initial=0))))
