"""Compiled graphs: what goes in, what comes out, what is an error, and when weights are old."""

import subprocess
import sys
import threading
import time
import timeit

import ml_dtypes
import numpy as np
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

import symgraph as sg
from symgraph.core.apply import apply_op, placeholder, symbol
from symgraph.core.errors import DtypeError, GraphError, ResourceError, RunError, ShapeError, UnsupportedOpError
from symgraph.core.graph import Graph
from symgraph.core.op import find_op
from symgraph.core.scope import tracing
from symgraph.core.tensor import Node
from symgraph.core.types import ELEM_TYPES, MapType, OptionalType, SequenceType, TensorType, numpy_dtype
from symgraph.runtime import Session, evaluate
from symgraph.runtime.compiling import INLINE_BYTES
from symgraph.runtime.exporter import to_model

ONES = np.ones((2, 4), np.float32)


@pytest.fixture(scope="module")
def doubled():
    x = symbol(("N", 4), name="x")
    return Session(Graph([x], [apply_op("Add", x, x)]))


@pytest.mark.parametrize(("given", "expected"), [
    (ONES, 2 * ONES),
    (ONES[:0], ONES[:0]),
    (np.arange(16, dtype=np.float32).reshape(4, 4).T, 2 * np.arange(16).reshape(4, 4).T),
    (np.arange(16, dtype=np.float32).reshape(2, 8)[:, ::-2], 2 * np.arange(16).reshape(2, 8)[:, ::-2]),
    (np.arange(4, dtype=">f4").reshape(1, 4), [[0, 2, 4, 6]]),
    (np.asfortranarray(ONES), 2 * ONES),
    ([[1, 2, 3, 4]], [[2, 4, 6, 8]]),
    ([[0.5, 2, 3, 4]], [[1, 4, 6, 8]]),
    (((1, 2, 3, 4),), [[2, 4, 6, 8]]),
    ([np.ones(4)], [[2, 2, 2, 2]]),
    (sg.tensor(ONES), 2 * ONES),
    (sg.Variable(ONES), 2 * ONES)],
    ids=["array", "empty batch", "transposed", "strided", "big-endian", "fortran", "ints", "floats", "tuples",
         "list of arrays", "tensor", "variable"])
def test_values_that_just_work(doubled, given, expected):
    (result,) = doubled.run({"x": given})

    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(("given", "error", "message"), [
    (np.ones((2, 4)), DtypeError,
     r"input 'x': got float64\[2, 4\], expected float32\[N, 4\]; cast it .*\(np.float32\)"),
    (np.ones((2, 4), np.int32), DtypeError, r"got int32\[2, 4\], expected float32\[N, 4\]"),
    (ONES[:, :3], ShapeError, r"got float32\[2, 3\], expected float32\[N, 4\]"),
    (ONES[0], ShapeError, r"got float32\[4\], expected float32\[N, 4\]"),
    (1.0, ShapeError, r"got float32\[\], expected float32\[N, 4\]"),
    ("text", DtypeError, "got str 'text', expected float32"),
    (None, DtypeError, "got None, expected float32"),
    ([[1, 2], [3]], ShapeError, "input 'x'.*expected float32"),
    (object(), DtypeError, "input 'x'.*expected float32")])
def test_a_value_that_does_not_fit_names_input_got_and_expected(doubled, given, error, message):
    with pytest.raises(error, match=message):
        doubled.run({"x": given})


@pytest.mark.parametrize(("given", "dtype"), [([1.5], "int32"), ([300], "uint8"), ([-1], "uint8"), ([2], "bool")])
def test_numbers_a_dtype_cannot_hold_are_an_error(given, dtype):
    x = symbol((None,), dtype, name="x")

    with pytest.raises(DtypeError, match=f"input 'x'.*expected {dtype}.*do not fit"):
        Session(Graph([x], [apply_op("Identity", x)])).run({"x": given})


def test_wrong_names_list_the_near_ones(doubled):
    with pytest.raises(GraphError, match=r"no value for input 'x'; no input is called 'xx'; .*there are: x"):
        doubled.run({"xx": ONES})
    with pytest.raises(GraphError, match="no value for input 'x'"):
        doubled.run({})
    with pytest.raises(GraphError, match="no input is called 'y'"):
        doubled.run({"x": ONES, "y": ONES})


def test_later_calls_never_change_results(doubled):
    (first,) = doubled.run({"x": ONES})
    doubled.run({"x": 3 * ONES})
    np.testing.assert_array_equal(first, 2 * ONES)

    session = Session(Graph([], [sg.tensor([1.0, 2.0])]))
    (constant,) = session.run({})
    constant[:] = 9
    np.testing.assert_array_equal(session.run({})[0], [1.0, 2.0])


def test_an_output_that_is_an_input_has_memory_of_its_own():
    x = symbol((None,), name="x")
    given = np.ones(2, np.float32)

    results = Session(Graph([x], [x, apply_op("Identity", x)], output_names=["a", "b"])).run({"x": given})
    given[:] = 5

    for result in results:
        np.testing.assert_array_equal(result, [1, 1])


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "int4", "uint4"])
def test_dtypes_that_numpy_lacks_are_inputs_and_outputs(name):
    x, y = symbol((None, 3), name, name="x"), symbol((None,), name="y")
    given = np.array([[1, 0, 2], [3, 1, 0]]).astype(numpy_dtype(name))
    graph = Graph([x, y], [apply_op("Transpose", x), apply_op("Cast", x, to=ELEM_TYPES["float32"]),
                           apply_op("Neg", y)])

    back, floats, negative = Session(graph).run({"x": given[:, ::-1], "y": [1.0]})

    assert back.dtype == given.dtype and negative.tolist() == [-1]
    np.testing.assert_array_equal(back.astype(np.float32), given[:, ::-1].astype(np.float32).T)
    np.testing.assert_array_equal(floats, given[:, ::-1].astype(np.float32))


def test_an_odd_number_of_nibbles_and_none():
    x = symbol((None,), "int4", name="x")
    session = Session(Graph([x], [apply_op("Identity", x)]))

    for values in ([], [-8], [7, -1, -8, 3, 0]):
        array = np.array(values, np.int8).astype(ml_dtypes.int4)
        np.testing.assert_array_equal(session.run({"x": array})[0].astype(int), values)


@pytest.mark.parametrize("given", [["a", "é"], np.array(["a", "é"]), np.array(["a", "é"], object),
                                   np.array([b"a", "é".encode()], object)], ids=["list", "U", "object", "bytes"])
def test_strings_go_in_and_out(given):
    x = symbol((None,), "string", name="x")

    assert Session(Graph([x], [apply_op("Identity", x)])).run({"x": given})[0].tolist() == ["a", "é"]


def test_sequences_optionals_and_maps():
    floats = TensorType("float32", (None,))
    sequence = placeholder(SequenceType(floats), "sequence")
    session = Session(Graph([sequence], [apply_op("SequenceLength", sequence), apply_op("Identity", sequence)]))
    length, back = session.run({"sequence": [np.ones(2, np.float32), [1, 2, 3]]})
    assert length == 2 and [x.tolist() for x in back] == [[1, 1], [1, 2, 3]]
    with pytest.raises(DtypeError, match=r"input 'sequence'.*list of arrays"):
        session.run({"sequence": np.ones(2, np.float32)})

    optional = placeholder(OptionalType(floats), "optional")
    session = Session(Graph([optional], [apply_op("OptionalHasElement", optional)]))
    assert [bool(session.run({"optional": x})[0]) for x in (None, [1.0])] == [False, True]

    counts = placeholder(MapType("string", TensorType("float32", None)), "counts")
    node = Node(find_op("DictVectorizer", "ai.onnx.ml"), (counts,), {"string_vocabulary": ("a", "b")},
                (TensorType("float32", None),))
    session = Session(Graph([counts], node.outputs))
    assert session.run({"counts": {"a": np.float32(1), "b": 2.0}})[0].tolist() == [[1, 2]]
    with pytest.raises(DtypeError, match="give a dictionary"):
        session.run({"counts": [1]})


@pytest.mark.parametrize("side", [4, 200])
def test_weights_are_those_of_compile_time_until_refreshed(side):
    weight = sg.Variable(np.ones((side, side), np.float32), name="w")
    assert (weight.nbytes > INLINE_BYTES) == (side == 200)
    x = symbol(("N", side), name="x")
    with tracing():
        session = Session(Graph([x], [apply_op("MatMul", x, weight)]))
    ones = np.ones((1, side), np.float32)
    assert session.run({"x": ones})[0][0, 0] == side and not session.is_stale

    sg.Variable([1.0]).assign([2.0])
    assert not session.is_stale
    weight.assign(np.full((side, side), 2, np.float32))

    assert session.is_stale and session.run({"x": ones})[0][0, 0] == side
    session.refresh()
    assert not session.is_stale and session.run({"x": ones})[0][0, 0] == 2 * side


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float8_e4m3fn", "int4", "int64", "bool"])
def test_large_weights_of_every_dtype_are_handed_over(dtype, rng):
    values = rng.integers(0, 2, (3, 50_001)).astype(numpy_dtype(dtype))
    big = sg.tensor(values)
    shape = symbol((None,), "int64", name="shape")
    graph = Graph([shape], [apply_op("Reshape", big, shape)])

    (result,) = Session(graph).run({"shape": [50_001, 3]})

    assert result.dtype == values.dtype
    np.testing.assert_array_equal(result, values.reshape(50_001, 3))


def test_many_threads_share_one_session(rng):
    weight = sg.tensor(rng.random((16, 16), dtype=np.float32))
    x = symbol(("N", 16), name="x")
    session = Session(Graph([x], [apply_op("Tanh", apply_op("MatMul", x, weight))]))
    inputs = [rng.random((n, 16), dtype=np.float32) for n in range(1, 9)]
    expected = [session.run({"x": a})[0] for a in inputs]
    failures = []

    def work(a, b):
        failures.extend(1 for _ in range(100) if not np.array_equal(session.run({"x": a})[0], b))

    threads = [threading.Thread(target=work, args=pair) for pair in zip(inputs, expected, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def endless():
    step, keep, total = symbol((), "int64", "i"), symbol((), "bool", "c"), symbol((), "float32", "t")
    body = Graph([step, keep, total], [apply_op("Identity", keep), apply_op("Add", total, 1.0)])
    x = symbol((), "float32", "x")
    loop = Node(find_op("Loop"), (sg.tensor(np.array(2**62)), sg.tensor(True), x), {"body": body}, (x.type,))
    return Session(Graph([x], loop.outputs))


def test_a_run_that_takes_too_long_is_stopped():
    session, start = endless(), time.perf_counter()

    with pytest.raises(RunError, match=r"stopped after 0\.3 s"):
        session.run({"x": 0.0}, timeout=0.3)

    assert time.perf_counter() - start < 10


def test_a_timeout_that_is_long_enough_changes_nothing(doubled):
    np.testing.assert_array_equal(doubled.run({"x": ONES}, timeout=60)[0], 2 * ONES)


@pytest.mark.parametrize(("name", "fixed"), [("ConstantOfShape", ()), ("Expand", (1.0,)), ("Tile", (np.ones((1, 1)),))])
def test_a_result_larger_than_memory_is_a_resource_error(name, fixed):
    shape = symbol((2,), "int64", name="shape")
    session = Session(Graph([shape], [apply_op(name, *fixed, shape)]))

    with pytest.raises(ResourceError, match=name):
        session.run({"shape": [1 << 20, 1 << 20]})


def test_a_failed_run_names_the_node_and_the_line_it_came_from():
    x = symbol((None,), "int32", name="x")
    session = Session(Graph([x], [apply_op("Neg", apply_op("Div", 1, x))]))

    with pytest.raises(RunError, match=r"^Div\(A: int32\[\], B: int32.*\): integer division by zero \(test_"):
        session.run({"x": [0]})


def test_dividing_constants_by_zero_is_the_same_error_as_at_run():
    with tracing():
        zero = sg.Variable(np.zeros(1, np.int32))
        graph = Graph([], [apply_op("Div", sg.tensor([1]), zero)])

    with pytest.raises(RunError, match="integer division by zero"):
        Session(graph).run({})


def test_all_operators_without_a_kernel_are_named():
    x = symbol((1, 1, 4, 4), "float64", name="x")
    graph = Graph([x], [apply_op("Erf", apply_op("GlobalAveragePool", x))])

    with pytest.raises(UnsupportedOpError, match=r"GlobalAveragePool\(float64\), Erf\(float64\)"):
        Session(graph)


def test_a_large_chain_equals_the_reference(rng):
    x = symbol(("N", 3), name="x")
    y = x
    for i in range(200):
        y = apply_op(("Tanh", "Neg", "Abs")[i % 3], apply_op("Mul", y, 1.1))
    graph, a = Graph([x], [y]), rng.random((5, 3), dtype=np.float32)

    (expected,) = ReferenceEvaluator(to_model(graph).model).run(None, {"x": a})

    np.testing.assert_allclose(Session(graph).run({"x": a})[0], expected, rtol=1e-4)
    np.testing.assert_allclose(evaluate(graph, a)[0].numpy(), expected, rtol=1e-4)


def test_evaluate_takes_values_in_order_and_gives_tensors():
    x, y = symbol((None,), name="x"), symbol((None,), name="y")
    graph = Graph([x, y], [apply_op("Sub", x, y)])

    (result,) = evaluate(graph, [3.0, 2.0], sg.tensor([1.0, 1.0]))

    assert isinstance(result, sg.Tensor) and result.tolist() == [2.0, 1.0]
    with pytest.raises(GraphError, match=r"2 inputs \(x, y\), got 1"):
        evaluate(graph, [1.0])


def test_placement_and_timings_name_nodes():
    x = symbol((None, None), name="x")
    graph = Graph([x], [apply_op("MatMul", x, x)])
    session = Session(graph, profile=True)
    session.run({"x": [[1.0]]})

    assert [(n.op, n.provider) for n in session.placement()] == [("MatMul", "CPUExecutionProvider")]
    (timed,) = session.timings()
    assert timed.op == "MatMul" and timed.runs == 1
    with pytest.raises(RunError, match="profile=True"):
        Session(graph).timings()


def test_a_run_costs_hardly_more_than_onnxruntime_alone(doubled):
    native, feeds = doubled._compiled.native, {"x": ONES}

    bare = min(timeit.repeat(lambda: native.run(None, feeds), number=2000, repeat=5)) / 2000
    ours = min(timeit.repeat(lambda: doubled.run(feeds), number=2000, repeat=5)) / 2000

    assert ours - bare < 10e-6


TWO_GIGABYTES = """
import numpy as np, symgraph as sg
from symgraph.core.apply import apply_op, symbol
from symgraph.core.graph import Graph
from symgraph.runtime import Session
x = symbol((None,), "int64", "x")
big = sg.Tensor(np.zeros((2**31 + 2**20) // 4, np.float32))
print(Session(Graph([x], [apply_op("Gather", big, x)])).run({"x": [5, -1]})[0].tolist())
"""


def test_more_than_two_gigabytes_of_weights_run():
    done = subprocess.run([sys.executable, "-c", TWO_GIGABYTES], capture_output=True, text=True)

    assert done.stdout.strip() == "[0.0, 0.0]", done.stderr[-500:]


def test_the_users_own_sessions_are_not_touched(doubled):
    model = to_model(doubled.graph).model.SerializeToString()

    theirs = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])

    np.testing.assert_array_equal(theirs.run(None, {"x": ONES})[0], 2 * ONES)
