"""Small variables that are updated alike are updated together."""

import numpy as np

import symgraph as sg
from symgraph import passes
from symgraph.core.apply import symbol
from symgraph.core.scope import tracing
from symgraph.passes import join_updates


def names(graph):
    return [node.op.name for node in graph.nodes]


def updates(shapes, step, read=()):
    """A graph of one step for variables of these shapes, whose gradients are inputs; those of `read` are read too."""
    rng = np.random.default_rng(0)
    gradients = [symbol(shape, name=f"g{i}") for i, shape in enumerate(shapes)]
    rate = symbol((), name="rate")
    with tracing():
        weights = [sg.Variable(rng.normal(size=shape).astype(np.float32)) for shape in shapes]
        outputs = [step(w, g, rate, i) for i, (w, g) in enumerate(zip(weights, gradients, strict=True))]
        outputs += [sg.sum(outputs[i]) for i in read]
    return sg.Graph([*gradients, rate], outputs)


def descent(w, g, rate, i):
    return w - (g * 0.5 + w * 0.1) * rate


def after(graph):
    result = passes.optimize(graph, [join_updates], verify=True)
    assert join_updates(result) is result
    return names(result)


def test_updates_of_one_form_are_one():
    found = after(updates([(3,), (2, 4), (1, 5), (7,)], descent))

    assert found.count("Sub") == 1 and found.count("Concat") == 2 and found.count("Split") == 1


def test_updates_of_several_forms_are_as_many():
    found = after(updates([(3,), (4,), (5,), (6,), (7,), (8,)], lambda w, g, rate, i: w - g * (0.1 if i % 2 else 0.2)))

    assert found.count("Sub") == 2


def test_what_one_reads_of_an_update_is_computed_from_all():
    found = after(updates([(3,), (4,), (5,)], lambda w, g, rate, i: sg.sqrt(w * w + g * g) / (w * w + 1.0)))

    assert found.count("Sqrt") == found.count("Div") == 1


def test_two_are_too_few():
    graph = updates([(3,), (4,)], descent)

    assert join_updates(graph) is graph


def test_what_others_read_stays():
    graph = updates([(3,), (4,), (5,)], descent, read=(0, 1, 2))

    assert join_updates(graph) is graph


def test_large_ones_stay():
    graph = updates([(100, 100), (101, 100), (102, 100)], descent)

    assert join_updates(graph) is graph


def test_pinned_values_stay():
    graph = updates([(3,), (4,), (5,)], descent)
    products = [node.output for node in graph.nodes if node.op.name == "Add"]
    pinned = graph.pin({f"p{i}": x for i, x in enumerate(products)})

    assert set(join_updates(pinned).pinned) == {"p0", "p1", "p2"}


def test_the_updates_of_adam_are_joined(rng):
    model = sg.Sequential([sg.Input((4,)), *(sg.layers.Dense(n) for n in (3, 5, 6, 2))])
    model.compile(sg.optimizers.Adam(0.1), "mse")
    x, y = (rng.normal(size=(8, n)).astype(np.float32) for n in (4, 2))
    model.train_on_batch(x, y)
    (graph,) = model._step_function("train").graphs

    assert names(graph).count("Sqrt") < 4
