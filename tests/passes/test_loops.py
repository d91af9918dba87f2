"""Loops and branches lose what nobody reads, and what does not change in them is computed outside."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import passes
from symgraph.core.apply import placeholder, symbol
from symgraph.core.op import find_op
from symgraph.core.tensor import Node
from symgraph.core.types import TensorType
from symgraph.ops import onnx
from symgraph.passes.hoist_invariants import hoist_invariants
from symgraph.passes.remove_unused import remove_unused

F = TensorType("float32", (3,))


def names(graph):
    return [node.op.name for node in graph.nodes]


def inside(graph):
    """The operators in the bodies of a graph's nodes, one body after the other."""
    return [names(body) for node in graph.nodes for _, body in node.subgraphs()]


def loop(turns, function, *states, captures=(), condition=None, types=None):
    """A Loop of `function(turn, *states, *captured) -> new states, then results of each turn`."""
    inner = [placeholder(x.type, f"state{i}") for i, x in enumerate(states)]
    captured = [placeholder(x.type, f"captured{i}") for i, x in enumerate(captures)]
    turn, going = placeholder(TensorType("int64", ()), "turn"), placeholder(TensorType("bool", ()), "going")
    with sg.core.scope.tracing():
        results = list(function(turn, *inner, *captured))
        body = sg.Graph([turn, going, *inner], [onnx("Identity", going), *results], captures=captured)
    made = [x.type for x in results]
    types = (*made[:len(states)], *(TensorType(t.dtype, (None, *t.shape)) for t in made[len(states):]))
    return Node(find_op("Loop"), (sg.core.apply.as_operands(find_op("Loop"), [turns])[0], condition, *states),
                {"body": body}, types, captures=tuple(captures)).outputs


def counted():
    """A symbol for the number of turns, and one of three numbers."""
    return symbol((), "int64", name="turns"), symbol((3,), name="x")


HARMLESS = {
    "exp": lambda c: sg.exp(c), "sum": lambda c: c + 1.0, "chain": lambda c: sg.exp(c) * sg.tanh(c),
    "shape": lambda c: onnx("Cast", onnx("Size", c), to=1), "softmax": lambda c: onnx("Softmax", c),
    "product": lambda c: onnx("MatMul", c, np.eye(3, dtype=np.float32)),
    "fraction": lambda c: c / (c + 1.0)}


@pytest.mark.parametrize("case", HARMLESS)
def test_what_no_turn_changes_is_computed_before(case):
    turns, x = counted()
    (total,) = loop(turns, lambda i, s, c: [s + HARMLESS[case](c)], x, captures=[x])
    graph = passes.optimize(sg.Graph([turns, x], [total]), [hoist_invariants, remove_unused], verify=True)

    assert inside(graph) == [["Identity", "Add"]]
    assert hoist_invariants(graph) is graph
    for n in (0, 1, 3):
        before, after = (sg.runtime.evaluate(g, np.int64(n), np.float32([1, 2, 3]))[0].numpy() for g in (
            sg.Graph([turns, x], [total]), graph))
        np.testing.assert_array_equal(before, after)


def test_what_may_fail_stays_in_a_loop_that_may_not_run():
    turns, x = symbol((), "int64", name="turns"), symbol((3,), "int32", name="x")
    graph = sg.Graph([turns, x], list(loop(
        turns, lambda i, s, c: [s + onnx("Div", c, c)], x, captures=[x])))

    assert hoist_invariants(graph) is graph
    (kept,) = sg.runtime.evaluate(graph, np.int64(0), np.int32([0, 0, 0]))
    assert kept.numpy().tolist() == [0, 0, 0]


def test_what_may_fail_is_hoisted_from_a_loop_that_certainly_runs():
    x = symbol((3,), "int32", name="x")
    graph = sg.Graph([x], list(loop(np.int64(2), lambda i, s, c: [s + onnx("Div", np.int32(7), c)], x, captures=[x])))

    assert inside(hoist_invariants(graph)) == [["Identity", "Add"]]


def test_a_product_of_open_sizes_stays_in_a_loop_that_may_not_run():
    turns, x, y = symbol((), "int64", name="turns"), symbol((3, "N"), name="x"), symbol(("M", 3), name="y")
    start = sg.tensor(np.zeros((3, 3), np.float32))
    graph = sg.Graph([turns, x, y], list(loop(
        turns, lambda i, s, c, d: [s + onnx("MatMul", c, d)], start, captures=[x, y])))

    assert hoist_invariants(graph) is graph


def test_what_would_grow_stays_in_a_loop_that_may_not_run():
    turns, x = symbol((), "int64", name="turns"), symbol((3, 1), name="x")
    graph = sg.Graph([turns, x], list(loop(
        turns, lambda i, s, c: [s + onnx("ReduceSum", onnx("MatMul", c, onnx("Transpose", c)), keepdims=0)],
        sg.tensor(np.zeros((), np.float32)), captures=[x])))

    assert "MatMul" in inside(hoist_invariants(graph))[0]


def test_random_numbers_stay_different_in_every_turn():
    turns, x = counted()
    outputs = loop(turns, lambda i, s, c: [s, onnx("RandomNormalLike", c)], x, captures=[x])
    graph = passes.optimize(sg.Graph([turns, x], [outputs[1]]))

    drawn = sg.runtime.evaluate(graph, np.int64(2), np.zeros(3, np.float32))[0].numpy()
    assert "RandomNormalLike" in inside(graph)[0] and not np.array_equal(drawn[0], drawn[1])


def test_what_a_scan_computes_alike_moves_out():
    xs = symbol(("N", 3), name="xs")
    w = sg.Input((3,), batch_size=3, name="w")

    def step(total, row):
        return total + row, onnx("MatMul", row, sg.tanh(w))

    graph = sg.Graph([xs, w], list(sg.scan(step, sg.tensor(np.zeros(3, np.float32)), xs)))
    after = passes.optimize(graph, [hoist_invariants, remove_unused], verify=True)

    assert "Tanh" in names(after) and all("Tanh" not in body for body in inside(after))


def test_invariants_leave_nested_loops_as_far_as_they_can():
    turns, x = counted()

    def outer(i, s, c, n):
        return [s + loop(n, lambda j, t, d: [t * sg.exp(d)], s, captures=[c])[0]]

    graph = sg.Graph([turns, x], list(loop(turns, outer, x, captures=[x, turns])))
    after = passes.optimize(graph, [hoist_invariants, remove_unused], verify=True)

    assert names(after) == ["Exp", "Loop"]


@pytest.mark.parametrize("start", ["given", "constant"])
def test_a_state_that_no_turn_changes_is_read_from_outside(start):
    n, x = counted()
    c = x if start == "given" else sg.tensor(np.float32([1, 2, 3]))
    outputs = loop(n, lambda i, s, t: [s + sg.exp(t), t], x * 2.0, c)
    graph = sg.Graph([n, x], list(outputs))
    after = passes.optimize(graph, [hoist_invariants, remove_unused, passes.fold_constants], verify=True)

    assert sorted(inside(after)[0]) == ["Add", "Identity"] and after.outputs[1] is c
    for turns in (0, 1, 3):
        before, found = (sg.runtime.evaluate(g, np.int64(turns), np.float32([1, 2, 3])) for g in (graph, after))
        for a, b in zip(before, found, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_states_that_swap_places_are_not_steady():
    n, x = counted()
    graph = sg.Graph([n, x], list(loop(n, lambda i, s, t: [t, s], x, x * 2.0)))

    assert hoist_invariants(graph) is graph


def test_results_that_nobody_reads_leave_a_loop():
    turns, x = counted()
    outputs = loop(turns, lambda i, s, t, c: [s + c, sg.exp(t), sg.tanh(s), sg.sin(t)], x, x, captures=[x])
    graph = passes.optimize(sg.Graph([turns, x], [outputs[0]]), [remove_unused], verify=True)

    (kept,) = graph.nodes
    assert sorted(inside(graph)[0]) == ["Add", "Identity"] and len(kept.outputs) == 1 and len(kept.inputs) == 3
    assert remove_unused(graph) is graph


def test_a_state_that_another_result_needs_stays():
    turns, x = counted()
    outputs = loop(turns, lambda i, s, t: [s + t, sg.tanh(t)], x, x)
    graph = sg.Graph([turns, x], [outputs[0]])

    assert remove_unused(graph) is graph


def test_results_of_turns_leave_a_scan_with_their_axes():
    xs = symbol((4, 3), name="xs")
    row, total = placeholder(F, "row"), placeholder(F, "total")
    body = sg.Graph([total, row], [total + row, sg.exp(row), sg.tanh(row)])
    node = Node(find_op("Scan"), (sg.tensor(np.zeros(3, np.float32)), xs),
                {"body": body, "num_scan_inputs": 1, "scan_output_axes": (0, 1), "scan_output_directions": (1, 0)},
                (F, TensorType("float32", (4, 3)), TensorType("float32", (3, 4))))
    graph = passes.optimize(sg.Graph([xs], [node.outputs[2]]), [remove_unused], verify=True)

    (kept,) = graph.nodes
    assert inside(graph) == [["Tanh"]] and kept.attributes["scan_output_axes"] == (1,)
    assert kept.attributes["scan_output_directions"] == (0,)


def test_both_branches_lose_a_result():
    x, flag = symbol((3,), name="x"), symbol((), "bool", name="flag")
    outputs = sg.cond(flag, lambda: (sg.exp(x), sg.sin(x)), lambda: (x * 2.0, sg.cos(x)))
    graph = passes.optimize(sg.Graph([flag, x], [outputs[1]]), [remove_unused], verify=True)

    assert inside(graph) == [["Sin"], ["Cos"]] and len(graph.nodes[-1].outputs) == 1


def test_captured_values_that_no_body_reads_are_not_computed():
    x, flag = symbol((3,), name="x"), symbol((), "bool", name="flag")
    y = sg.tanh(x)
    outputs = sg.cond(flag, lambda: (sg.exp(y), sg.sin(x)), lambda: (y * 2.0, sg.cos(x)))
    graph = passes.optimize(sg.Graph([flag, x], [outputs[1]]), [remove_unused], verify=True)

    assert "Tanh" not in names(graph)


@pytest.mark.parametrize(("build", "kept"), [
    (lambda x: onnx("Dropout", x, outputs=2)[0], 1), (lambda x: onnx("Dropout", x, outputs=2)[1], 2),
    (lambda x: onnx("MaxPool", x, kernel_shape=[2], outputs=2)[0], 2),
    (lambda x: onnx("LayerNormalization", x, np.ones(4, np.float32), outputs=3)[0], 1),
    (lambda x: onnx("TopK", x, [1], outputs=2)[0], 2),
    (lambda x: onnx("GRU", x, np.ones((1, 6, 4), np.float32), np.ones((1, 6, 2), np.float32), hidden_size=2,
                    outputs=2)[1], 2)])
def test_optional_results_that_nobody_reads_are_not_asked_for(build, kept):
    x = symbol((2, 3, 4), name="x")
    graph = passes.optimize(sg.Graph([x], [build(x)]), [remove_unused], verify=True)

    assert len(graph.nodes[0].outputs) == kept
    assert remove_unused(graph) is graph


def test_normalisation_that_trains_keeps_its_statistics():
    x, ones = symbol((2, 3, 4), name="x"), np.ones(3, np.float32)
    y = onnx("BatchNormalization", x, ones, ones, ones, ones, training_mode=1, outputs=3)[0]
    graph = sg.Graph([x], [y])

    assert remove_unused(graph) is graph


@pytest.mark.parametrize("turns", [0, 1, 3])
def test_bodies_hand_on_what_they_get_without_identities(turns):
    n, x = counted()
    outputs = loop(n, lambda i, s, t, c: [onnx("Identity", t), onnx("Identity", s), onnx("Identity", c)], x, x * 2.0,
                   captures=[x])
    graph = sg.Graph([n, x], [y for y in outputs if y is not None])
    after = passes.optimize(graph, [passes.remove_identity], verify=True)

    assert inside(after) == [[]]
    before, found = (sg.runtime.evaluate(g, np.int64(turns), np.float32([1, 2, 3])) for g in (graph, after))
    for a, b in zip(before, found, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


DROPOUTS = {
    "old, in training": (6, {}, False), "old": (6, {"is_test": 1}, True), "7": (7, {}, True), "10": (10, {}, True),
    "12": (12, {}, True), "13": (13, {}, True), "22": (22, {}, True)}


@pytest.mark.parametrize("case", DROPOUTS)
@pytest.mark.parametrize("is_masked", [False, True])
def test_dropout_goes_outside_of_training_where_its_mask_is_not_read(case, is_masked):
    version, attributes, goes = DROPOUTS[case]
    x = symbol((2, 3), name="x")
    found = sg.core.apply.apply_op(find_op("Dropout", "", version), x, outputs=2, **attributes)
    graph = sg.Graph([x], [found[0], found[1]] if is_masked else [found[0]])
    after = passes.optimize(graph, [remove_unused, passes.remove_identity])

    assert names(after) == ([] if goes and not is_masked else ["Dropout"])


@pytest.mark.parametrize(("training", "goes"), [(False, True), (True, False)])
def test_dropout_that_is_told_to_train_stays(training, goes):
    x = symbol((2, 3), name="x")
    y = onnx("Dropout", x, np.float32(0.5), np.array(training))

    assert (names(passes.optimize(sg.Graph([x], [y]), [passes.remove_identity])) == []) == goes
