"""What legalisation promises: the numbers of NumPy where ONNX Runtime has no kernel, and no process ever killed."""

import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest

import symgraph as sg
from symgraph.core.apply import apply_op, symbol
from symgraph.core.graph import Graph
from symgraph.core.types import as_dtype
from symgraph.runtime import Session, evaluate
from symgraph.runtime.legalize import legalize, missing_kernels

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
HALVES = [np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)]


def extremes(dtype):
    info = np.iinfo(dtype)
    return np.array([info.min, info.min + 1, 0, 1, 3, 100, info.max // 2, info.max - 1, info.max], dtype)


def graph_of(name, *arrays, **attributes):
    inputs = [symbol((None,) * a.ndim, a.dtype, name=f"x{i}") for i, a in enumerate(arrays)]
    return Graph(inputs, [apply_op(name, *inputs, **attributes)])


def all_ways(name, *arrays, **attributes):
    """The result in eager mode, of a graph without and with ONNX Runtime's optimiser."""
    graph = graph_of(name, *arrays, **attributes)
    feeds = dict(zip(graph.input_names, arrays, strict=True))
    return [apply_op(name, *arrays, **attributes).numpy(), evaluate(graph, *arrays)[0].numpy(),
            Session(graph).run(feeds)[0]]


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize(("name", "function"), [("Add", np.add), ("Sub", np.subtract), ("Mul", np.multiply)])
def test_integer_arithmetic_wraps_around_as_in_numpy(name, function, dtype):
    a, b = np.meshgrid(extremes(dtype), extremes(dtype))

    for result in all_ways(name, a, b):
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, function(a, b))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integer_division_truncates_and_never_kills(dtype):
    a, b = np.meshgrid(extremes(dtype), extremes(dtype)[extremes(dtype) != 0])
    if dtype.startswith("int"):
        a, b = np.append(a.ravel(), extremes(dtype)), np.append(b.ravel(), np.full(9, -1, dtype))
    expected = [int(abs(int(x)) // abs(int(y)) * (1 if (x < 0) == (y < 0) else -1))
                for x, y in zip(a.flat, b.flat, strict=True)]
    bits = np.iinfo(dtype).bits
    wrapped = np.array([e % 2**bits for e in expected], "uint64").astype(dtype).reshape(a.shape)

    for result in all_ways("Div", a, b):
        np.testing.assert_array_equal(result, wrapped)


@pytest.mark.parametrize("fmod", [0, 1])
@pytest.mark.parametrize("dtype", INTEGERS)
def test_integer_modulo_is_exact(dtype, fmod):
    a, b = np.meshgrid(extremes(dtype), extremes(dtype)[extremes(dtype) != 0])
    if dtype.startswith("int"):
        a, b = np.append(a.ravel(), extremes(dtype)), np.append(b.ravel(), np.full(9, -1, dtype))
    expected = np.fmod(a, b) if fmod else np.mod(a, b)

    for result in all_ways("Mod", a, b, fmod=fmod):
        np.testing.assert_array_equal(result, expected)


SMALLEST = """
import numpy as np, symgraph as sg
from symgraph.core.apply import apply_op, symbol
from symgraph.core.graph import Graph
from symgraph.runtime import Session
low = np.full(64, np.iinfo("{dtype}").min, "{dtype}")
minus_one = np.full(64, -1, "{dtype}")
x, y = symbol((None,), "{dtype}", "x"), symbol((None,), "{dtype}", "y")
print(apply_op("{name}", low, minus_one, **{attributes}).numpy()[0])
print(Session(Graph([x, y], [apply_op("{name}", x, y, **{attributes})])).run(dict(x=low, y=minus_one))[0][0])
print(Session(Graph([x], [apply_op("{name}", x, sg.tensor(minus_one), **{attributes})])).run(dict(x=low))[0][0])
a, b = sg.tensor(low), sg.Variable(minus_one)
from symgraph.core.scope import tracing
with tracing():
    z = apply_op("{name}", a, b, **{attributes})
print(Session(Graph([], [z])).run(dict())[0][0])
"""


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize(("name", "attributes"), [("Div", {}), ("Mod", {"fmod": 0}), ("Mod", {"fmod": 1})])
def test_the_smallest_integer_over_minus_one_does_not_kill_the_process(name, attributes, dtype):
    code = SMALLEST.format(name=name, attributes=attributes, dtype=dtype)

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    expected = str(np.iinfo(dtype).min) if name == "Div" else "0"
    assert done.stdout.split() == [expected] * 4


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize(("name", "function"), [
    ("Add", np.add), ("Mul", np.multiply), ("Tanh", np.tanh), ("Exp", np.exp), ("Sqrt", np.sqrt)])
def test_half_precision_is_float32_rounded_once(name, function, dtype, rng):
    arrays = [rng.random((4, 5)).astype(dtype) for _ in range(function.nin)]
    expected = function(*[a.astype(np.float32) for a in arrays])

    for result in all_ways(name, *arrays):
        assert result.dtype == dtype
        np.testing.assert_allclose(result.astype(np.float32), expected, rtol=float(ml_dtypes.finfo(dtype).eps))


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_a_chain_in_half_precision_gives_the_same_bits_eager_and_compiled(dtype, rng):
    a = (rng.random(1000) * 3).astype(dtype)
    x = symbol((None,), dtype, name="x")
    graph = Graph([x], [apply_op("Exp", apply_op("Tanh", apply_op("Mul", x, x)))])

    eager = apply_op("Exp", apply_op("Tanh", apply_op("Mul", a, a))).numpy()

    np.testing.assert_array_equal(Session(graph).run({"x": a})[0].view("u2"), eager.view("u2"))
    np.testing.assert_array_equal(evaluate(graph, a)[0].numpy().view("u2"), eager.view("u2"))


@pytest.mark.parametrize("dtype", ["int16", "uint16", "uint64", "bool", "float16", "bfloat16"])
def test_where_works_without_a_kernel(dtype):
    a, b = (np.array(v).astype(sg.core.types.numpy_dtype(dtype)) for v in ([1, 0, 1], [0, 0, 1]))
    if dtype == "uint64":
        a = np.array([2**64 - 1, 2**63, 5], dtype)
    condition = np.array([True, False, True])

    for result in all_ways("Where", condition, a, b):
        np.testing.assert_array_equal(result, np.where(condition, a, b))


@pytest.mark.parametrize(("name", "dtype"), [("Max", "uint16"), ("Max", "int16"), ("Min", "int16")])
def test_extremes_of_narrow_integers(name, dtype):
    a, b = np.meshgrid(extremes(dtype), extremes(dtype))

    for result in all_ways(name, a, b):
        np.testing.assert_array_equal(result, (np.maximum if name == "Max" else np.minimum)(a, b))


def test_a_shift_of_16_bits_drops_what_falls_out():
    a, b = np.array([1, 0x8001, 255], "uint16"), np.array([15, 1, 9], "uint16")

    for result in all_ways("BitShift", a, b, direction="LEFT"):
        np.testing.assert_array_equal(result, a << b)


@pytest.mark.parametrize(("name", "function"), [
    ("Elu", lambda x: np.where(x < 0, np.exp(np.minimum(x, 0)) - 1, x)),
    ("LeakyRelu", lambda x: np.where(x < 0, np.float64(np.float32(0.01)) * x, x)),
    ("Softsign", lambda x: x / (1 + np.abs(x))),
    ("Softplus", lambda x: np.logaddexp(x, 0)), ("Mish", lambda x: x * np.tanh(np.logaddexp(x, 0)))])
def test_float64_is_never_computed_in_float32(name, function, rng):
    x = np.append(rng.standard_normal(100), [-745.0, -40.0, 0.0, 40.0, 1000.0])

    for result in all_ways(name, x):
        assert result.dtype == np.float64
        np.testing.assert_allclose(result, function(x), rtol=1e-14)


def test_a_graph_with_nothing_to_do_stays_the_same_object():
    graph = graph_of("Add", np.ones(2, np.float32), np.ones(2, np.float32))

    assert legalize(graph) is graph


def test_a_constant_divisor_without_minus_one_needs_no_guard():
    x = symbol((None,), "int32", name="x")

    assert [n.op.name for n in legalize(Graph([x], [apply_op("Div", x, 3)])).nodes] == ["Div"]
    assert "Where" in [n.op.name for n in legalize(Graph([x], [apply_op("Div", x, -1)])).nodes]


def test_names_and_types_of_outputs_stay():
    graph = graph_of("Add", np.ones(2, np.float16), np.ones(2, np.float16))

    legal = legalize(graph)

    assert legal.output_names == graph.output_names and legal.input_names == graph.input_names
    assert [str(x.type) for x in legal.outputs] == [str(x.type) for x in graph.outputs]


def test_operators_without_a_kernel_are_all_named():
    x = symbol((1, 1, 4, 4), "float64", name="x")
    graph = Graph([x], [apply_op("Erf", apply_op("GlobalAveragePool", x))])

    assert missing_kernels(legalize(graph)) == ("GlobalAveragePool(float64)", "Erf(float64)")


def test_constants_of_legalised_ops_do_not_count_as_memory():
    a = sg.tensor([7, 9])
    apply_op("Div", a, a)
    before = sg.memory()

    result = sg.tidy(lambda: apply_op("Div", a, sg.tensor([2, -1])))

    assert sg.memory().num_tensors == before.num_tensors + 1
    assert result.tolist() == [3, -9] and apply_op("Div", a, a).tolist() == [1, 1]


def test_subgraphs_are_legalised_too():
    x, condition = symbol((None,), "int32", "x"), symbol((), "bool", "condition")
    inner = symbol((None,), "int32", "inner")
    then = Graph([], [apply_op("Div", inner, inner)], captures=[inner])
    other = symbol((None,), "int32", "other")
    otherwise = Graph([], [apply_op("Identity", other)], captures=[other])
    from symgraph.core.op import find_op
    from symgraph.core.tensor import Node

    node = Node(find_op("If"), (condition,), {"then_branch": then, "else_branch": otherwise}, (x.type,),
                captures=(x,))
    graph = Graph([x, condition], node.outputs)

    legal = legalize(graph)

    assert "Where" in [n.op.name for n in legal.nodes[-1].attributes["then_branch"].nodes]
    assert as_dtype(evaluate(graph, np.array([4, 2], "int32"), np.array(True))[0].dtype) == "int32"


def test_an_einsum_over_an_empty_batch_never_reaches_onnx_runtime():
    x, y = symbol(("N", 2, 3)), symbol(("N", 4, 3))
    graph = Graph([x, y], [apply_op("Einsum", x, y, equation="bik,bjk->bij")])

    for count in (0, 1, 5):
        a, b = np.ones((count, 2, 3), np.float32), np.ones((count, 4, 3), np.float32)
        np.testing.assert_array_equal(evaluate(graph, a, b)[0].numpy(), np.einsum("bik,bjk->bij", a, b))


def test_an_eager_einsum_by_its_onnx_name_survives_an_empty_batch():
    a, b = np.ones((0, 2, 3), np.float32), np.ones((0, 4, 3), np.float32)

    assert apply_op("Einsum", a, b, equation="bik,bjk->bij").shape == (0, 2, 4)


@pytest.mark.parametrize("is_constant", [True, False])
@pytest.mark.parametrize("axes", [[0], [2], [-1], [1, 2], [2, 0, 1]])
def test_a_pad_of_chosen_axes_between_transposes_pads_these(axes, is_constant, rng):
    """ONNX Runtime takes the chosen axes for all of them where it moves the Transpose past the Pad."""
    array = rng.normal(size=(2, 3, 4)).astype(np.float32)
    widths = np.array([*[0] * len(axes), *range(1, len(axes) + 1)])
    x, pads = symbol((None, 3, 4), name="x"), sg.tensor(widths) if is_constant else symbol((2 * len(axes),), "int64")
    turned = apply_op("Pad", apply_op("Transpose", x, perm=[2, 0, 1]), pads, None, sg.tensor(np.array(axes)))
    graph = Graph([x] if is_constant else [x, pads], [apply_op("Transpose", turned, perm=[1, 2, 0])])
    wanted = [(0, 0)] * 3
    for i, axis in enumerate(axes):
        wanted[axis] = (0, i + 1)

    found = evaluate(graph, *([array] if is_constant else [array, widths]))[0].numpy()

    assert np.array_equal(found, np.pad(array.transpose(2, 0, 1), wanted).transpose(1, 2, 0))


@pytest.mark.parametrize("dtype", ["bfloat16", "uint16"])
def test_a_pad_of_chosen_axes_in_a_dtype_without_a_kernel_is_widened_too(dtype):
    x = np.arange(6).reshape(2, 3).astype(as_dtype(dtype) if dtype != "bfloat16" else ml_dtypes.bfloat16)

    found = apply_op("Pad", x, sg.tensor(np.array([1, 0])), None, sg.tensor(np.array([1]))).numpy()

    assert found.dtype == x.dtype and np.array_equal(found, np.pad(x, [(0, 0), (1, 0)]))


@pytest.mark.parametrize("kind", ["constant", "input", "variable"])
def test_a_normalisation_in_training_leaves_the_moments_it_is_given(kind, rng):
    """ONNX Runtime writes the moments of the batch over them where nobody reads the new ones."""
    x, ones, start = rng.normal(3, 2, (8, 4)).astype(np.float32), np.ones(4, np.float32), np.zeros(4, np.float32)
    data = symbol((8, 4), name="x")
    own = {"constant": sg.tensor(start), "input": symbol((4,), name="moments"), "variable": sg.Variable(start)}
    moments = own[kind]
    y, _, _ = apply_op("BatchNormalization", data, ones, ones, moments, moments, training_mode=1, outputs=3)
    graph = Graph([data, moments] if kind == "input" else [data], [y, sg.ops.onnx("Mul", moments, ones)])
    fed = np.array(start)

    _, after = evaluate(graph, *([x, fed] if kind == "input" else [x]))

    assert np.array_equal(after.numpy(), start) and np.array_equal(fed, start)
