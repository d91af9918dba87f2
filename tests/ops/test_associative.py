"""associative_scan is a scan, in any grouping; rearrange and signals refuse what does not fit."""

import numpy as np
import pytest

from symgraph import ops
from symgraph.core.apply import symbol
from symgraph.core.errors import ShapeError
from symgraph.core.graph import Graph
from symgraph.core.value import tensor
from symgraph.runtime import evaluate


def product(a, b):
    return ops.matmul(a, b)


@pytest.mark.parametrize("length", range(1, 10))
@pytest.mark.parametrize("reverse", [False, True])
def test_associative_scan_is_a_scan_for_functions_that_do_not_commute(length, reverse):
    x = np.random.default_rng(0).normal(size=(length, 2, 2))
    order = range(length)[::-1] if reverse else range(length)
    expected, last = np.empty_like(x), np.eye(2)
    for i in order:
        last = expected[i] = last @ x[i]
    np.testing.assert_allclose(ops.associative_scan(product, tensor(x), reverse=reverse).numpy(), expected, rtol=1e-9)
    s = symbol((length, None, None), "float64")
    graph = Graph([s], [ops.associative_scan(product, s, reverse=reverse)])
    np.testing.assert_allclose(evaluate(graph, x)[0].numpy(), expected, rtol=1e-9)


def test_associative_scan_takes_nested_elements_along_any_axis():
    x, y = np.arange(10.0).reshape(2, 5), np.ones((2, 5))
    found = ops.associative_scan(lambda a, b: {"x": a["x"] + b["x"], "y": (a["y"][0] * b["y"][0] * 2,)},
                                 {"x": tensor(x), "y": (tensor(y),)}, axis=-1)
    np.testing.assert_allclose(found["x"].numpy(), np.cumsum(x, -1))
    np.testing.assert_allclose(found["y"][0].numpy(), np.tile(2.0 ** np.arange(5), (2, 1)))


@pytest.mark.parametrize(("call", "words"), [
    (lambda x: ops.associative_scan(product, x), "known length"), (lambda x: ops.rearrange(x, "a -> a"), "each axis"),
    (lambda x: ops.rearrange(x, "a b c -> a b"), "each axis"),
    (lambda x: ops.rearrange(x, "(a d) b c -> a b c d"), "share an axis"),
    (lambda x: ops.rearrange(x, "a (b d) c -> a b c d", d=2), "size 3"), (lambda x: ops.irfft(x), "pair"),
    (lambda x: ops.segment_sum(x, [[1]]), "one number for each row"), (lambda x: ops.stft(x, 9, 2, 8), "shorter"),
    (lambda x: ops.unfold(x, 2), "N, C, H, W"), (lambda x: ops.correlate(x, [1.0]), "vectors"),
    (lambda x: ops.histogram(x, 0), "one bin"), (lambda x: ops.cdist(x, np.ones((2, 3))), "one length")])
def test_shapes_that_do_not_fit_are_refused(call, words):
    with pytest.raises(ShapeError, match=words):
        call(symbol((None, 3, 4)))
