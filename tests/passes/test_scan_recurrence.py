"""Recurrent operators of a training step keep what their gradients need: the same results, in one Scan each way."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import passes
from symgraph.core.graph import node_graphs
from symgraph.passes import inline_composites, prepare_step, scan_recurrence

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
STEPS, SIZE = 5, 3
EVERYTHING = ("B", "sequence_lens", "initial_h", "initial_c")

CASES = [
    *[(kind, (), {}) for kind in GATES], *[(kind, EVERYTHING, {}) for kind in GATES],
    *[(kind, ("B",), {"direction": "reverse"}) for kind in GATES],
    *[(kind, EVERYTHING, {"direction": "reverse"}) for kind in GATES],
    *[(kind, EVERYTHING, {"direction": "bidirectional"}) for kind in GATES],
    ("GRU", (), {"linear_before_reset": 1}), ("GRU", EVERYTHING, {"linear_before_reset": 1}),
    ("GRU", ("B",), {"linear_before_reset": 1, "direction": "bidirectional"})]


def shown(case):
    kind, present, options = case
    return f"{kind}({', '.join(present)}{options or ''})"


def trained(kind, present, options, *, batch=33, hidden=32, outputs=None, dynamic=False):
    """A graph of all results and of gradients of all that has one, and arrays for it."""
    rng, ways = np.random.default_rng(0), 2 if options.get("direction") == "bidirectional" else 1
    rows = GATES[kind] * hidden
    shapes = {"X": (STEPS, batch, SIZE), "W": (ways, rows, SIZE), "R": (ways, rows, hidden), "B": (ways, 2 * rows),
              "initial_h": (ways, batch, hidden), "initial_c": (ways, batch, hidden)}
    arrays = {name: rng.normal(0, 0.4, shape).astype(np.float32) for name, shape in shapes.items()
              if name in ("X", "W", "R") or name in present}
    if "sequence_lens" in present:
        arrays["sequence_lens"] = rng.integers(0, STEPS + 1, batch).astype(np.int32)
        arrays["X"][np.arange(STEPS)[:, None] >= arrays["sequence_lens"]] = np.nan
    if kind != "LSTM":
        arrays.pop("initial_c", None)
    given = {name: sg.symbol([None] * x.ndim if dynamic else x.shape, str(x.dtype), name) for name, x in arrays.items()}
    order = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c")[:7 if kind == "LSTM" else 6]
    ys = sg.ops.onnx(kind, *(given.get(name) for name in order), hidden_size=hidden, **options,
                     outputs=outputs or [True] * (3 if kind == "LSTM" else 2))
    total = sum(sg.sum(sg.sin(y) * (i + 1)) for i, y in enumerate(y for y in ys if y is not None))
    reals = [x for name, x in given.items() if name != "sequence_lens"]
    return sg.Graph(list(given.values()), [*(y for y in ys if y is not None), *sg.gradients(total, reals)]), arrays


def check(graph, after, arrays):
    before, now = (sg.runtime.Session(g).run(arrays) for g in (graph, after))
    for a, b in zip(before, now, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5 * np.abs(a).max())


def operators(graph):
    """The operators of a graph, and of the graphs inside of its nodes."""
    found = {node.op.name for node in graph.nodes}
    return found.union(*(operators(inner) for node in graph.nodes for inner in node_graphs(node)))


@pytest.mark.parametrize("case", CASES, ids=shown)
def test_results_and_gradients_stay(case):
    graph, arrays = trained(*case)
    after = scan_recurrence(graph)

    assert case[0] not in operators(after) and f"{case[0]}Steps" in operators(after)
    assert scan_recurrence(after) is after
    check(graph, after, arrays)


@pytest.mark.parametrize("case", CASES, ids=shown)
def test_whole_steps_stay(case):
    graph, arrays = trained(*case)

    check(graph, prepare_step(passes.optimize(graph, passes.TRAINING)), arrays)


@pytest.mark.parametrize("kind", GATES)
def test_open_sizes_stay(kind):
    graph, arrays = trained(kind, EVERYTHING, {"direction": "bidirectional"}, dynamic=True)
    after = scan_recurrence(graph)

    assert f"{kind}Steps" in operators(after)
    check(graph, after, arrays)


@pytest.mark.parametrize("sizes", [{"batch": 15, "hidden": 256}, {"batch": 16, "hidden": 63}])
@pytest.mark.parametrize("kind", GATES)
def test_small_operators_stay(kind, sizes):
    graph, _ = trained(kind, ("B",), {}, **sizes)

    assert scan_recurrence(graph) is graph


@pytest.mark.parametrize("kind", GATES)
def test_operators_without_gradients_stay(kind):
    graph, _ = trained(kind, ("B",), {})
    forward = graph.with_outputs(graph.outputs[:1])

    assert scan_recurrence(forward) is forward


@pytest.mark.parametrize("options", [{"activations": ["Relu"]}, {"clip": 0.5}])
def test_operators_with_other_options_stay(options):
    graph, _ = trained("RNN", ("B",), options)

    assert "RNNGrad" in operators(graph)
    assert "RNN" in {node.op.name for node in scan_recurrence(graph).nodes}


def test_outputs_that_are_not_there_stay_away():
    graph, arrays = trained("LSTM", ("B",), {}, outputs=[False, True, False])

    after = scan_recurrence(graph)

    assert "LSTMSteps" in operators(after)
    check(graph, after, arrays)


def test_two_gradients_share_what_is_kept():
    graph, arrays = trained("GRU", ("B",), {})
    y, h, *dxs = graph.outputs
    again = sg.gradients(sg.sum(h * h), list(graph.inputs))
    both = sg.Graph(graph.inputs, [y, *dxs, *again])

    after = scan_recurrence(both)

    assert [node.op.name for node in after.nodes].count("GRUSteps") == 1
    check(both, after, arrays)


def test_two_operators_are_two_scans():
    """The gradient of one belongs to it, though another has the same weights."""
    graph, arrays = trained("RNN", ("B",), {})
    x, w, r, b = graph.inputs
    other = sg.ops.onnx("RNN", x * 0.5, w, r, b, hidden_size=32, outputs=2)[0]
    both = sg.Graph(graph.inputs, [*graph.outputs, *sg.gradients(sg.sum(other), [x, w])])

    after = scan_recurrence(both)

    assert [node.op.name for node in after.nodes].count("RNNSteps") == 2
    check(both, after, arrays)


def test_checkpoints_are_looked_into():
    x, w, r = (sg.symbol(shape, "float32", name) for name, shape in (
        ("x", (STEPS, 33, SIZE)), ("w", (1, 128, SIZE)), ("r", (1, 128, 32))))
    run = sg.checkpoint(lambda x, w, r: sg.ops.onnx("LSTM", x, w, r, hidden_size=32))
    graph = sg.Graph([x, w, r], sg.gradients(sg.sum(run(x, w, r) ** 2), [x, w, r]))
    rng = np.random.default_rng(0)

    after = scan_recurrence(graph)

    assert "LSTMSteps" in operators(after)
    check(graph, after, {v.hint: rng.normal(0, 0.4, v.shape).astype(np.float32) for v in (x, w, r)})


def test_nothing_is_kept_that_nobody_reads():
    """Where only the last h counts, the Scan does not write h of all steps a second time."""
    graph, _ = trained("LSTM", ("B",), {}, outputs=[False, True, False])
    after = prepare_step(passes.optimize(graph, passes.TRAINING))
    forward, backward = (node for node in after.nodes if node.op.name == "Scan")

    assert len(forward.outputs) == 2 + 7 and len(backward.inputs) == 2 + 6


def test_halves_are_gone_over_in_float32():
    graph, _ = trained("LSTM", ("B",), {})
    halves = [sg.symbol(x.shape, "float16", x.hint) for x in graph.inputs]
    y, h, _ = sg.ops.onnx("LSTM", *halves, hidden_size=32, outputs=3)
    after = prepare_step(sg.Graph(halves, [y, h, *sg.gradients(sg.sum(h), halves)]))

    assert {x.dtype for x in after.outputs} == {"float16"}
    assert {x.dtype for node in after.nodes if node.op.name == "Scan" for x in node.outputs} == {"float32"}


def test_composites_are_unfolded():
    graph, _ = trained("GRU", ("B",), {})

    after = passes.optimize(scan_recurrence(graph), (inline_composites,))

    assert all(node.body is None for node in after.nodes)
