"""Branches and loops: what Python does on values, a graph does on symbols."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import ops
from symgraph.core.apply import apply_op, symbol
from symgraph.core.errors import DtypeError, GraphError, ShapeError
from symgraph.core.graph import Graph, bind
from symgraph.core.scope import tracing
from symgraph.core.variable import Variable
from symgraph.runtime import evaluate


def run(inputs, outputs, *values):
    outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
    return [y.numpy() for y in evaluate(Graph(inputs, outputs), *values)]


@pytest.fixture
def x():
    return symbol(("N", 3), name="x")


@pytest.fixture
def flag():
    return symbol((), "bool", name="flag")


ROWS = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.mark.parametrize("value", [True, False])
def test_cond_runs_one_branch(x, flag, value):
    y = ops.cond(flag, lambda: x * 2.0, lambda: x - 1.0)
    assert str(y.type) == "float32[N, 3]"
    np.testing.assert_array_equal(run([x, flag], y, ROWS, value)[0], ROWS * 2 if value else ROWS - 1)


def test_cond_on_values_calls_one_function():
    assert ops.cond(sg.tensor(1) > 2, lambda: 1 / 0, lambda: 7) == 7


def test_cond_returns_the_nesting_of_its_branches(x, flag):
    y = ops.cond(flag, lambda: {"a": x, "b": [x + 1.0, 3]}, lambda: {"a": x * x, "b": [x, 4]})
    a, b, c = run([x, flag], [y["a"], *y["b"]], ROWS, False)
    np.testing.assert_array_equal(a, ROWS**2)
    np.testing.assert_array_equal(b, ROWS)
    assert c == 4


def test_cond_merges_shapes(x, flag):
    y = ops.cond(flag, lambda: x, lambda: x[:, :2])
    assert str(y.type) == "float32[N, ?]"


def test_a_branch_that_is_not_taken_does_not_run(x, flag):
    i = symbol((), "int64", name="i")
    y = ops.cond(flag, lambda: ops.take(x, i, axis=0), lambda: x[0])
    np.testing.assert_array_equal(run([x, flag, i], y, ROWS, False, np.int64(99))[0], ROWS[0])


def test_subgraphs_are_closed_and_name_what_they_capture(x, flag):
    y = ops.cond(flag, lambda: x * 2.0, lambda: x)
    (node,) = [n for n in Graph([x, flag], [y]).nodes if n.op.name == "If"]
    assert node.captures == (x,)
    for _, graph in node.subgraphs():
        assert len(graph.captures) == 1 and graph.captures[0] is not x


def test_the_text_of_a_graph_shows_branches(x, flag):
    assert str(Graph([x, flag], [ops.cond(flag, lambda: x * 2.0, lambda: x)])) == """\
graph(%x: float32[N, 3], %flag: bool[]):
  %If: float32[N, 3] = If(%flag)
    then_branch =
      graph():
        %Mul: float32[N, 3] = Mul(%x, 2.0)
        return %Mul
    else_branch =
      graph():
        %Identity: float32[N, 3] = Identity(%x)
        return %Identity
  return %If"""


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("second", [True, False])
def test_branches_nest_and_capture_across_levels(x, first, second):
    p, q = (symbol((), "bool", name=n) for n in "pq")
    y = x + 1.0
    z = ops.cond(p, lambda: ops.cond(q, lambda: x * y, lambda: x) + y, lambda: y)
    expected = ((ROWS * (ROWS + 1) if second else ROWS) + ROWS + 1) if first else ROWS + 1
    np.testing.assert_array_equal(run([x, p, q], z, ROWS, first, second)[0], expected)


def test_branches_use_variables(flag):
    v = Variable(np.float32([1, 2]), name="v")
    with tracing():
        y = ops.cond(flag, lambda: v * 2.0, lambda: v)
    graph = Graph([flag], [y])
    assert graph.variables == (v,)
    v.assign([3, 4])
    np.testing.assert_array_equal(evaluate(graph, True)[0].numpy(), [6, 8])


def test_a_graph_with_branches_can_be_bound_to_other_operands(x, flag):
    graph = Graph([x, flag], [ops.cond(flag, lambda: x * 2.0, lambda: x)])
    other = symbol((4, 3))
    (y,) = bind(graph, [other, flag])
    np.testing.assert_array_equal(run([other, flag], y, np.ones((4, 3), np.float32), True)[0], np.full((4, 3), 2.0))


def test_branches_of_different_dtypes_are_refused(x, flag):
    with pytest.raises(DtypeError, match=r"float32.*int32"):
        ops.cond(flag, lambda: x, lambda: ops.cast(x, "int32"))


def test_branches_of_different_nestings_are_refused(x, flag):
    with pytest.raises(GraphError, match="nesting"):
        ops.cond(flag, lambda: [x], lambda: x)


def test_assigning_a_variable_in_a_branch_is_refused(flag):
    v = Variable([1.0], name="counter")
    with tracing(), pytest.raises(GraphError, match="counter"):
        ops.cond(flag, lambda: v.assign([2.0]), lambda: v)
    np.testing.assert_array_equal(v.numpy(), [1.0])


def test_a_condition_with_several_elements_is_refused(x):
    with pytest.raises(ShapeError, match=r"sg\.where"):
        ops.cond(x > 0, lambda: x, lambda: x)


@pytest.mark.parametrize("index", [-3, 0, 1, 2, 9])
def test_switch_runs_the_nearest_branch(x, index):
    branches = [lambda y: y, lambda y: y * 2.0, lambda y: y * 3.0]
    factor = min(max(index, 0), 2) + 1
    i = symbol((), "int32", name="i")
    np.testing.assert_array_equal(run([x, i], ops.switch(i, branches, x), ROWS, np.int32(index))[0], ROWS * factor)
    np.testing.assert_array_equal(ops.switch(index, branches, sg.tensor(ROWS)).numpy(), ROWS * factor)


@pytest.mark.parametrize("n", [0, 1, 5])
def test_while_loop_runs_as_python_does(n):
    def factorial(count):
        return ops.while_loop(lambda i, f: i < count + 1, lambda i, f: (i + 1, f * i), (1, 1))[1]

    expected = int(np.prod(np.arange(1, n + 1)))
    assert int(factorial(sg.tensor(n))) == expected
    count = symbol((), "int32", name="n")
    assert int(run([count], factorial(count), np.int32(n))[0]) == expected


@pytest.mark.parametrize("limit", [0, 2, 100])
def test_while_loop_stops_at_its_maximum(x, limit):
    def double(start):
        return ops.while_loop(lambda y: ops.sum(y) < 1000.0, lambda y: y * 2.0, start, limit)

    expected = double(sg.tensor(ROWS)).numpy()
    np.testing.assert_array_equal(run([x], double(x), ROWS)[0], expected)


def test_while_loop_captures_outer_symbols_and_keeps_the_nesting(x):
    step = x + 1.0
    state = ops.while_loop(lambda s: s["i"] < 3, lambda s: {"i": s["i"] + 1, "y": s["y"] + step},
                           ({"i": 0, "y": x},))[0]
    np.testing.assert_array_equal(run([x], state["y"], ROWS)[0], ROWS + 3 * (ROWS + 1))


def test_a_loop_variable_may_grow(x):
    (y,) = ops.while_loop(lambda y: ops.shape(y)[0] < 5, lambda y: (ops.concat([y, y[:1]], axis=0),), (x,))
    assert str(y.type) == "float32[?, 3]"
    assert run([x], y, ROWS)[0].shape == (5, 3)


def test_a_loop_variable_that_changes_its_dtype_is_refused(x):
    with pytest.raises(DtypeError, match=r"float32.*int32"):
        ops.while_loop(lambda y: ops.sum(y) < 3, lambda y: ops.cast(y, "int32"), x)


def test_a_loop_body_with_another_number_of_values_is_refused(x):
    with pytest.raises(GraphError, match="2 values"):
        ops.while_loop(lambda i, y: i < 3, lambda i, y: (i, y, y), (0, x))


@pytest.mark.parametrize("bounds", [(0, 4), (2, 5), (3, 3)])
def test_fori_loop_counts(x, bounds):
    def total(lower, upper, start):
        return ops.fori_loop(lower, upper, lambda i, y: y + ops.cast(i, "float32"), start)

    expected = ROWS + sum(range(*bounds))
    np.testing.assert_array_equal(total(*bounds, sg.tensor(ROWS)).numpy(), expected)
    np.testing.assert_array_equal(run([x], total(*bounds, x), ROWS)[0], expected)
    ends = [symbol((), "int64", name=n) for n in ("lower", "upper")]
    np.testing.assert_array_equal(run([x, *ends], total(*ends, x), ROWS, *map(np.int64, bounds))[0], expected)


@pytest.mark.parametrize("reverse", [False, True])
def test_scan_stacks_results_and_hands_on_the_carry(x, reverse):
    def sums(start, rows):
        return ops.scan(lambda c, r: (c + r, {"sum": c + r, "twice": r * 2.0}), start, rows, reverse=reverse)

    order = ROWS[::-1] if reverse else ROWS
    expected = np.cumsum(order, 0)[::-1] if reverse else np.cumsum(order, 0)
    carry, ys = sums(ops.zeros(3), sg.tensor(ROWS))
    results = [carry.numpy(), ys["sum"].numpy(), ys["twice"].numpy()]
    last, outs = sums(ops.zeros(3), x)
    assert str(outs["sum"].type) == "float32[N, 3]"
    for found in (results, run([x], [last, outs["sum"], outs["twice"]], ROWS)):
        np.testing.assert_array_equal(found[0], ROWS.sum(0))
        np.testing.assert_array_equal(found[1], expected)
        np.testing.assert_array_equal(found[2], ROWS * 2)


def test_scan_without_xs_goes_on_for_its_length(x):
    last, ys = ops.scan(lambda c, _: (c * 2.0, c), x, length=3)
    np.testing.assert_array_equal(run([x], last, ROWS)[0], ROWS * 8)
    np.testing.assert_array_equal(run([x], ys, ROWS)[0], np.stack([ROWS, ROWS * 2, ROWS * 4]))


def test_scan_with_lengths_that_differ_is_refused():
    with pytest.raises(ShapeError, match=r"2, 3"):
        ops.scan(lambda c, r: (c, r), 0, [np.zeros(2), np.zeros(3)])


def test_map_applies_a_function_to_every_element(x):
    weights = symbol((3,), name="w")
    y = ops.map(lambda row: ops.sum(row * weights), x)
    np.testing.assert_array_equal(run([x, weights], y, ROWS, np.float32([1, 2, 3]))[0], ROWS @ [1, 2, 3])
    np.testing.assert_array_equal(ops.map(lambda row: row * 2, sg.tensor(ROWS)).numpy(), ROWS * 2)


def test_loops_nest_in_branches(x, flag):
    y = ops.cond(flag, lambda: ops.fori_loop(0, 3, lambda i, y: y + x, x), lambda: x)
    np.testing.assert_array_equal(run([x, flag], y, ROWS, True)[0], ROWS * 4)


def test_branches_nest_in_loops(x):
    def step(i, y):
        return ops.cond(ops.equal(i % 2, 0), lambda: y + x, lambda: y * 2.0)

    expected = ROWS
    for i in range(4):
        expected = expected + ROWS if i % 2 == 0 else expected * 2
    np.testing.assert_array_equal(run([x], ops.fori_loop(0, 4, step, x), ROWS)[0], expected)


def test_any_onnx_operator_is_found_by_its_name(x):
    np.testing.assert_array_equal(run([x], ops.onnx("ThresholdedRelu", x, alpha=2.0), ROWS)[0], ROWS * (ROWS > 2))
    values, places = ops.onnx("TopK", x, np.array([1]), outputs=2, axis=1)
    assert values.shape == ("N", 1) and places.dtype == "int64"
    y = ops.onnx("Normalizer", x, domain="ai.onnx.ml", norm="MAX")
    np.testing.assert_allclose(run([x], y, ROWS)[0], ROWS / ROWS.max(1, keepdims=True))


def test_an_unknown_onnx_operator_names_the_near_ones(x):
    with pytest.raises(sg.core.errors.UnsupportedOpError, match="Softmax"):
        ops.onnx("SoftMax", x)


def test_an_operator_newer_than_the_default_opset_is_found(x):
    y = ops.onnx("RMSNormalization", x, np.ones(3, np.float32))
    assert y.node.op.version > 21 and y.shape == ("N", 3)


def test_apply_op_and_onnx_are_one(x):
    assert ops.onnx("Relu", x).node.op is apply_op("Relu", x).node.op


def test_a_graph_is_an_attribute_of_an_operator_by_name(flag):
    branches = {f"{name}_branch": Graph([], [sg.tensor([number])]) for name, number in (("then", 1.0), ("else", 2.0))}
    y = ops.onnx("If", flag, **branches)
    assert str(y.type) == "float32[1]"
    assert run([flag], y, False)[0].tolist() == [2.0]


def test_loops_and_branches_read_variables_as_they_were_last_assigned():
    state, rows = Variable(np.zeros(3, np.float32)), Variable(np.zeros((2, 3), np.float32))
    flag, count = Variable(np.array(False)), Variable(np.array(0))

    @sg.function
    def results(x):
        state.assign(x)
        rows.assign(ops.stack([x, x]))
        flag.assign(True)
        count.assign(4)
        return (ops.scan(lambda c, r: (c + r, None), state, rows)[0], ops.cond(flag, lambda: x, lambda: -x),
                ops.while_loop(lambda v: True, lambda v: v + 1.0, state, maximum_iterations=count),
                ops.fori_loop(0, count, lambda i, v: v + 1.0, state))

    np.testing.assert_array_equal([y.numpy()[0] for y in results(np.ones(3, np.float32))], [3, 1, 5, 5])


@pytest.mark.parametrize("compiled", [False, True], ids=["values", "symbols"])
@pytest.mark.parametrize(("make", "wanted"), [
    (lambda k: sg.ops.cond(k[0] > 9, lambda: {"a": k, "b": k + 1}, lambda: {"b": k + 3, "a": k + 2}),
     {"a": [3, 4], "b": [4, 5]}),
    (lambda k: sg.ops.while_loop(lambda d: d["a"][0] < 8, lambda d: {"b": d["b"] + 1, "a": d["a"] * 2},
                                 {"a": k, "b": k}), {"a": [8, 16], "b": [4, 5]}),
    (lambda k: sg.ops.scan(lambda c, x: ({"b": c["b"] + x, "a": c["a"] * 2}, x), {"a": k[0], "b": k[0]}, k)[0],
     {"a": 4, "b": 4}),
    (lambda k: sg.ops.associative_scan(lambda p, q: {"b": p["b"] * q["b"], "a": p["a"] + q["a"]}, {"a": k, "b": k}),
     {"a": [1, 3], "b": [1, 2]})], ids=["cond", "while_loop", "scan", "associative_scan"])
def test_dicts_that_functions_return_mean_what_their_keys_say(make, wanted, compiled):
    results = (sg.function(make) if compiled else make)(sg.tensor([1.0, 2.0]))

    assert {key: x.tolist() for key, x in results.items()} == wanted
