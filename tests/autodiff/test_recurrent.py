"""The recurrent operators said in other ops equal ONNX Runtime's; gradients of the operators are theirs."""

import itertools

import numpy as np
import pytest

import symgraph as sg
from symgraph.core.composite import apply_composite
from symgraph.ops.recurrent import gru, lstm, rnn
from tests.autodiff.cases import normal

FUNCTIONS = {"RNN": rnn, "GRU": gru, "LSTM": lstm}
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
ACTIVATIONS = {"RNN": 1, "GRU": 2, "LSTM": 3}
NAMES = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
COUNTS = {"RNN": 6, "GRU": 6, "LSTM": 8}


def operands(kind, present, directions=1, lengths=(4, 2, 1), shape=(4, 3, 2)):
    """Arrays for the inputs whose names are `present`, None for the others."""
    (steps, batch, size), hidden, rows = shape, 2, GATES[kind] * 2
    shapes = [(steps, batch, size), (directions, rows, size), (directions, rows, hidden), (directions, 2 * rows), None,
              (directions, batch, hidden), (directions, batch, hidden), (directions, 3 * hidden)]
    arrays = [np.int32(lengths) if s is None else normal(*s, seed=i).astype(np.float32) for i, s in enumerate(shapes)]
    return [x if name in ("X", "W", "R") or name in present else None
            for name, x in zip(NAMES[:COUNTS[kind]], arrays, strict=False)]


def applied(kind, **options):
    return lambda *xs: sg.ops.onnx(kind, *xs, hidden_size=2, outputs=3 if kind == "LSTM" else 2, **options)


def said(kind, **options):
    return lambda *xs: FUNCTIONS[kind](*xs, **options)


def cases():
    for kind, count in COUNTS.items():
        optional = NAMES[3:count]
        everything = tuple(optional)
        for r in range(len(optional) + 1):
            for present in itertools.combinations(optional, r):
                yield kind, present, {}
        for direction in ("reverse", "bidirectional"):
            for present in ((), everything, ("sequence_lens",), tuple(x for x in everything if x != "P")):
                yield kind, present, {"direction": direction}
        yield kind, everything, {"clip": 0.5, "direction": "bidirectional"}
        yield kind, ("B",), {"activations": ["Relu"] * ACTIVATIONS[kind]}
        for option in {"GRU": ["linear_before_reset"], "LSTM": ["input_forget"]}.get(kind, []):
            for direction in ("forward", "bidirectional"):
                yield kind, ("sequence_lens",), {option: 1, "direction": direction}
                yield kind, everything, {option: 1, "direction": direction}
            yield kind, (), {option: 1}
            yield kind, everything, {option: 1, "clip": 0.4}


def activations():
    for kind, count in ACTIVATIONS.items():
        for name in ("Relu", "Tanh", "Sigmoid", "Affine", "LeakyRelu", "ThresholdedRelu", "ScaledTanh", "HardSigmoid",
                     "Elu", "Softsign"):
            yield kind, ("B",), {"activations": [name] * count}
            yield kind, ("B",), {"activations": [name] + ["Tanh"] * (count - 1), "activation_alpha": [0.3],
                                 "activation_beta": [0.6]}
            yield kind, ("B",), {"activations": (["Tanh"] * (count - 1) + [name]) * 2, "activation_alpha": [0.3, 0.7],
                                 "activation_beta": [0.6, 0.2], "direction": "bidirectional"}


def shown(case):
    kind, present, options = case
    return f"{kind}({', '.join(present)}{', ' if options else ''}{options or ''})"


def directions(options):
    return 2 if options.get("direction") == "bidirectional" else 1


def run(function, arrays, *, order=0, dynamic=False, dtype="float32"):
    """Results of `function`, or gradients of a weighted sum of them, or those of a weighted sum of the gradients."""
    arrays = [None if x is None else x.astype(dtype) if x.dtype == np.float32 else x for x in arrays]
    symbols = [None if x is None else sg.symbol([None] * x.ndim if dynamic else x.shape, x.dtype, name)
               for x, name in zip(arrays, NAMES, strict=False)]
    results = list(function(*symbols))
    real = [x for x in symbols if x is not None and x.dtype == dtype]
    for seed in range(order):
        total = sg.sum(sg.tensor(0.0, dtype=dtype))
        for i, y in enumerate(results):
            total = total + sg.sum(y * sg.cast(float(normal(seed=10 * seed + i)), dtype) + sg.sin(y))
        results = sg.gradients(total, real, unconnected_gradients="zero")
    graph = sg.Graph([x for x in symbols if x is not None], results)
    return sg.runtime.Session(graph, optimize=False).run(
        {name: x for name, x in zip(NAMES, arrays, strict=False) if x is not None})


def assert_close(found, wanted, rtol=2e-4, atol=2e-5):
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol, atol * max(1.0, np.abs(b).max(initial=0)))


@pytest.mark.parametrize("case", [*cases(), *activations()], ids=shown)
def test_the_operator_said_in_others_is_what_onnx_runtime_computes(case):
    kind, present, options = case
    arrays = operands(kind, present, directions(options))

    assert_close(run(said(kind, **options), arrays), run(applied(kind, **options), arrays), 2e-5, 2e-6)


@pytest.mark.parametrize("case", [*cases()], ids=shown)
def test_gradients_of_the_operator_are_those_of_the_others(case):
    kind, present, options = case
    arrays = operands(kind, present, directions(options))

    wanted = run(said(kind, **options), arrays, order=1, dtype="float64")

    assert_close(run(applied(kind, **options), arrays, order=1), wanted)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("kind", COUNTS)
@pytest.mark.parametrize("options", [{}, {"direction": "bidirectional"}, {"linear_before_reset": 1}], ids=str)
def test_gradients_of_many_examples(kind, options, order):
    """From 16 examples on they are computed with in another layout."""
    if "linear_before_reset" in options and kind != "GRU":
        options = {"direction": "reverse"}
    lengths = [i % 5 for i in range(17)]
    arrays = operands(kind, NAMES[3:7], directions(options), lengths=lengths, shape=(4, 17, 2))

    wanted = run(said(kind, **options), arrays, order=order, dtype="float64")

    assert_close(run(applied(kind, **options), arrays, order=order), wanted, 2e-3, 2e-4)


SECOND = [(kind, present, options) for kind, present, options in cases()
          if {"B", "initial_h"} <= set(present) and "clip" not in options and "P" not in present
          and (kind != "LSTM" or "initial_c" in present)]


@pytest.mark.parametrize("case", SECOND, ids=shown)
def test_second_derivatives_and_open_sizes(case):
    kind, present, options = case
    arrays = operands(kind, present, directions(options))

    wanted = run(said(kind, **options), arrays, order=2, dtype="float64")

    assert_close(run(applied(kind, **options), arrays, order=2, dynamic=True), wanted, 2e-3, 2e-4)


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("kind", COUNTS)
def test_sequences_without_steps(kind, direction):
    arrays = operands(kind, NAMES[3:7], lengths=(4, 0, 1))

    results = run(said(kind, direction=direction), arrays), run(applied(kind, direction=direction), arrays)
    slopes = [run(function(kind, direction=direction), arrays, order=1) for function in (said, applied)]

    assert_close(*results)
    assert_close(*slopes)


@pytest.mark.parametrize("kind", COUNTS)
def test_one_step(kind):
    arrays = operands(kind, NAMES[3:4], shape=(1, 3, 2))

    assert_close(run(applied(kind), arrays, order=1), run(said(kind), arrays, order=1, dtype="float64"))


@pytest.mark.parametrize("kind", COUNTS)
def test_an_empty_batch(kind):
    arrays = operands(kind, NAMES[3:4], lengths=(), shape=(3, 0, 2))

    found = run(said(kind), arrays, order=1)

    assert [x.shape for x in found] == [x.shape for x in arrays if x is not None]


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_a_gradient_of_one_output_alone(wanted):
    arrays = operands("LSTM", NAMES[3:7])

    def only(function):
        return lambda *xs: [function(*xs)[wanted]]

    def alone(*xs):
        found = sg.ops.onnx("LSTM", *xs, hidden_size=2, outputs=[i == wanted for i in range(3)])
        return [found[wanted]]

    assert_close(run(alone, arrays, order=1), run(only(said("LSTM")), arrays, order=1, dtype="float64"))


@pytest.mark.parametrize("kind", COUNTS)
def test_tapes_see_the_operators(kind):
    arrays = operands(kind, NAMES[3:7])
    xs = [None if x is None else sg.tensor(x) for x in arrays]
    with sg.GradientTape() as tape:
        tape.watch([x for x in xs if x is not None and x.dtype == "float32"])
        y = sg.sum(applied(kind)(*xs)[0])

    found = tape.gradient(y, [xs[0], xs[1]])

    names = [x for x in xs if x is not None]
    total = apply_composite("Sum", lambda *given: sg.sum(said(kind)(*given)[0]), *names)
    np.testing.assert_allclose(float(y), float(total), rtol=1e-5)
    moved = [sg.tensor(arrays[0] + np.float32(1e-2) * np.array(found[0])), *xs[1:]]
    assert float(sg.sum(applied(kind)(*moved)[0])) > float(y)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_batches_first(kind):
    """ONNX Runtime has no kernel for layout 1: the other ops are judged by the same with the axes moved."""
    arrays = operands(kind, NAMES[3:6])
    moved = [None if x is None else np.swapaxes(x, 0, 1).copy() if i in (0, 5) else x for i, x in enumerate(arrays)]

    found, wanted = run(said(kind, layout=1), moved), run(said(kind), arrays)

    np.testing.assert_allclose(found[0], wanted[0].transpose(2, 0, 1, 3), rtol=1e-5)
    np.testing.assert_allclose(found[1], wanted[1].transpose(1, 0, 2), rtol=1e-5)
