"""Gamma, beta, binomial and categorical numbers, and shuffled ones: distributions, parameters at their ends, shapes."""

import numpy as np
import pytest
import scipy.stats

import symgraph as sg
from symgraph import ops
from symgraph.core.apply import symbol
from symgraph.ops.random_binomial import _log_probability

random = sg.random
COUNT = 100_000
LEAST = 1e-3
"""The p-value below which a distribution counts as wrong; seeds are fixed, so the tests never waver."""


def evaluate(outputs, inputs=(), *values):
    return [x.numpy() for x in sg.runtime.evaluate(sg.Graph(inputs, outputs), *values)]


CONTINUOUS = {
    **{f"gamma {a:g}": (lambda d, a=a: random.gamma((COUNT,), a, d, seed=1), scipy.stats.gamma(a))
       for a in (0.3, 0.9, 1, 1.5, 20, 1e6, 1e9)},
    **{f"beta {a:g} {b:g}": (lambda d, a=a, b=b: random.beta((COUNT,), a, b, d, seed=1), scipy.stats.beta(a, b))
       for a, b in ((0.5, 0.8), (1, 1), (2, 5), (300, 3), (1e5, 1e5))},
}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_numbers_follow_their_distribution(name):
    draw, distribution = CONTINUOUS[name]

    x = draw("float64").numpy()

    assert scipy.stats.kstest(x, distribution.cdf).pvalue > LEAST


@pytest.mark.parametrize(("dtype", "precision"), [("float16", 2**-11), ("bfloat16", 2**-8), ("float32", 2**-24)])
@pytest.mark.parametrize("name", ["gamma 0.9", "gamma 20", "beta 0.5 0.8", "beta 300 3"])
def test_narrow_numbers_are_the_wide_ones_rounded(name, dtype, precision):
    draw, _ = CONTINUOUS[name]

    narrow, exact = draw(dtype), draw("float64").numpy()

    assert narrow.dtype == dtype
    np.testing.assert_allclose(narrow.numpy().astype(np.float64), exact, rtol=1.01 * precision, atol=1e-7)


def test_small_parameters_of_beta_do_not_underflow():
    x = random.beta((COUNT,), 1e-4, 3e-4, seed=1).numpy()

    assert abs(x.mean() - 0.25) < 0.005 and ((x < 1e-6) | (x > 1 - 1e-6)).mean() > 0.99


TRIALS = [(1, 0.3), (5, 0.5), (30, 0.95), (19, 0.5), (20, 0.5), (25, 0.4), (100, 0.0999), (100, 0.11), (1000, 0.5),
          (1000, 0.97), (10**9, 5e-9), (10**9, 2e-8), (10**15, 1e-14)]


@pytest.mark.parametrize(("counts", "probability"), TRIALS)
def test_counts_follow_the_binomial_distribution(counts, probability):
    x = random.binomial((COUNT,), counts, probability, "float64", seed=1).numpy()

    distribution = scipy.stats.binom(counts, probability)
    low, high = distribution.ppf([1e-3, 1 - 1e-3])
    found = [(x < low).sum(), *((x == k).sum() for k in np.arange(low, high + 1)), (x > high).sum()]
    expected = [distribution.cdf(low - 1), *distribution.pmf(np.arange(low, high + 1)), distribution.sf(high)]
    pairs = [(a, b * COUNT) for a, b in zip(found, expected, strict=True) if b * COUNT > 5]
    assert all(a < 30 for a, b in zip(found, expected, strict=True) if b * COUNT <= 5)
    a, b = np.array(pairs).T
    assert len(pairs) > 1 and scipy.stats.chisquare(a, b * a.sum() / b.sum()).pvalue > LEAST


@pytest.mark.parametrize(("counts", "probability", "places", "logarithms"), [
    # mpmath, 60 digits; Python's comb
    (1e12, 1e-6, [1e6, 1003000, 996000], [-7.826693395519893, -12.323702386139427, -15.83538543850053]),
    (20, 0.5, [0, 1, 10, 20], [-13.862943611198906, -10.867211337644916, -1.736152296596451, -13.862943611198906]),
])
def test_log_probabilities_are_precise(counts, probability, places, logarithms):
    k = np.array(places, np.float64)

    found = _log_probability(*map(sg.tensor, (k, np.full_like(k, counts), np.full_like(k, probability))))

    np.testing.assert_allclose(found.numpy(), logarithms, rtol=0, atol=2e-12)


def test_large_counts_follow_the_normal_distribution():
    n, p = 1e10, 0.3

    x = random.binomial((COUNT,), n, p, "float64", seed=1).numpy()

    assert scipy.stats.kstest((x - n * p) / np.sqrt(n * p * (1 - p)), "norm").pvalue > LEAST


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_classes_come_with_their_probabilities(dtype):
    p = np.array([[0.1, 0.2, 0.3, 0.4], [0, 0.5, 0.5, 0], [1, 0, 0, 0]])
    with np.errstate(divide="ignore"):
        logits = np.log(p).astype(dtype) + np.array([[5], [-80], [0]], dtype)

    x = random.categorical(logits, COUNT, seed=1).numpy()

    assert x.dtype == np.int32
    counts = np.array([np.bincount(row, minlength=4) for row in x])
    assert ((counts == 0) == (p == 0)).all()
    for row in (0, 1):
        assert scipy.stats.chisquare(counts[row][p[row] > 0], p[row][p[row] > 0] * COUNT).pvalue > LEAST


@pytest.mark.parametrize("classes", [1, 2, 7, 1000])
def test_every_class_is_drawn(classes):
    x = random.categorical(np.zeros((2, classes)), 20 * classes + 50, "int64", seed=3).numpy()

    assert x.dtype == np.int64
    assert all(set(row) == set(range(classes)) or len(set(row)) > 0.99 * classes for row in x.tolist())
    assert x.min() == 0 and x.max() == classes - 1


def test_every_order_is_equally_likely():
    generator = random.SeedGenerator(1)
    orders = [tuple(random.shuffle(np.arange(3), seed=generator).tolist()) for _ in range(1200)]

    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 6 and scipy.stats.chisquare(counts).pvalue > LEAST


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_slices_are_shuffled_whole(axis):
    x = np.arange(210).reshape(7, 6, 5)

    y = random.shuffle(x, axis, seed=5).numpy()

    first = np.moveaxis(x, axis, 0)
    second = np.moveaxis(y, axis, 0)
    order = [int(np.argmax([(a == b).all() for a in first])) for b in second]
    assert sorted(order) == list(range(x.shape[axis])) != order
    np.testing.assert_array_equal(first[order], second)


@pytest.mark.parametrize("x", [["a", "b", "c"], [True, False], np.zeros((0, 2), np.float16)],
                         ids=["strings", "booleans", "nothing"])
def test_anything_can_be_shuffled(x):
    y = random.shuffle(x, seed=1)

    assert sorted(map(str, y.numpy().tolist())) == sorted(map(str, np.array(x).tolist()))


def test_the_gradient_of_a_shuffle_follows_the_elements():
    weights = np.arange(1, 6, dtype=np.float32)

    gradient = sg.grad(lambda x: ops.sum(random.shuffle(x, seed=2) * weights))(sg.tensor([0.0] * 5))

    np.testing.assert_array_equal(random.shuffle(gradient, seed=2).numpy(), weights)


# Parameters.


def test_parameters_broadcast_to_the_shape():
    alpha = np.array([[0.5], [50.0]])

    x = random.gamma((2, COUNT), alpha, seed=1).numpy()
    y = random.binomial((2, COUNT), [[4], [400]], 0.25, seed=1).numpy()

    np.testing.assert_allclose(x.mean(axis=1), [0.5, 50], rtol=0.02)
    np.testing.assert_allclose(y.mean(axis=1), [1, 100], rtol=0.02)


@pytest.mark.parametrize(("counts", "probability", "expected"), [(0, 0.5, 0), (7, 0.0, 0), (7, 1.0, 7), (0, 0, 0),
                                                                 (10**6, 1.0, 10**6), (10**6, 0.0, 0)])
def test_counts_that_are_certain(counts, probability, expected):
    assert (random.binomial((50,), counts, probability, seed=1).numpy() == expected).all()


def test_alpha_0_gives_0():
    assert (random.gamma((50,), 0.0, seed=1).numpy() == 0).all()


GOOD_AND_BAD = {
    "gamma": (lambda a: random.gamma((2, 5), a, seed=1), [1.5, 0.0], [-1.0, np.nan, np.inf]),
    "beta alpha": (lambda a: random.beta((2, 5), a, 2.0, seed=1), [1.5, 0.1], [-1.0, 0.0, np.nan, np.inf]),
    "beta beta": (lambda b: random.beta((2, 5), 2.0, b, seed=1), [1.5, 0.1], [-1.0, 0.0, np.nan, np.inf]),
    "binomial counts": (lambda n: random.binomial((2, 5), n, 0.5, seed=1), [3.0, 50.0], [-1.0, 2.5, np.nan, np.inf]),
    "binomial p": (lambda p: random.binomial((2, 5), 9, p, seed=1), [0.0, 0.3], [-0.1, 1.5, np.nan, np.inf]),
}


@pytest.mark.parametrize("name", GOOD_AND_BAD)
def test_parameters_known_only_later_give_nan_where_they_are_not_allowed(name):
    draw, good, bad = GOOD_AND_BAD[name]
    x = symbol((None, 1))
    y = draw(x)
    for value in bad:
        rows = np.array([[good[0]], [value]], np.float32)

        (found,) = evaluate([y], [x], rows)

        assert not np.isnan(found[0]).any() and np.isnan(found[1]).all()


@pytest.mark.parametrize("name", GOOD_AND_BAD)
def test_parameters_known_only_later_draw_what_known_ones_do(name):
    draw, good, _ = GOOD_AND_BAD[name]
    x = symbol((None, 1))
    rows = np.array(good, np.float32)[:, None]

    (found,) = evaluate([draw(x)], [x], rows)

    np.testing.assert_array_equal(found, draw(rows).numpy())


@pytest.mark.parametrize("name", GOOD_AND_BAD)
def test_values_that_are_not_allowed_are_told_at_once(name):
    draw, good, bad = GOOD_AND_BAD[name]

    for value in bad:
        with pytest.raises(sg.SymgraphError, match=rf"must be .*, got {value}"):
            draw(np.array([[good[0]], [value]]))


def test_rows_of_logits_that_are_known_only_later():
    x, n = symbol((None, 3)), symbol((), "int64")
    rows = np.array([[0, 1, 2], [np.nan, 0, 0], [-np.inf, -np.inf, -np.inf], [0, np.inf, 0], [9, 9, -9]], np.float32)

    (found,) = evaluate([random.categorical(x, n, seed=1)], [x, n], rows, np.int64(40))

    assert found.shape == (5, 40)
    assert (found[[1, 2, 3]] == -1).all() and (found[[0, 4]] >= 0).all()
    known = random.categorical(np.where(np.isnan(rows) | np.isinf(rows), 0, rows), 40, seed=1).numpy()
    np.testing.assert_array_equal(found[[0, 4]], known[[0, 4]])


def test_a_shuffle_of_a_symbol_is_that_of_its_value():
    x = symbol((None, 2))
    values = np.arange(18, dtype=np.float32).reshape(9, 2)

    (found,) = evaluate([random.shuffle(x, seed=6)], [x], values)

    np.testing.assert_array_equal(found, random.shuffle(values, seed=6).numpy())


@pytest.mark.parametrize("draw", [lambda a: random.gamma((3,), a, seed=1), lambda a: random.beta((3,), a, a, seed=1)],
                         ids=["gamma", "beta"])
def test_gradients_of_numbers_that_were_accepted_are_refused(draw):
    with pytest.raises(sg.GradientError, match="stop_gradient"):
        sg.grad(lambda a: ops.sum(draw(a)))(sg.tensor([1.0, 2.0, 3.0]))


def test_counts_pass_no_gradient_on():
    gradient = sg.grad(lambda p: ops.sum(random.binomial((3,), 9, p, seed=1)) + ops.sum(p))(sg.tensor([0.1, 0.2, 0.3]))

    assert gradient.tolist() == [1, 1, 1]


BAD = {
    "gamma dtype": (lambda: random.gamma((2,), 1.0, "int32"), "float16.*got int32"),
    "gamma string": (lambda: random.gamma((2,), "one"), "finite number.*'one'"),
    "gamma shape": (lambda: random.gamma((2,), [1.0, 2.0, 3.0]), r"\(3,\) does not broadcast"),
    "beta rank": (lambda: random.beta((), [1.0], 1.0), r"\(1,\) does not broadcast"),
    "binomial None": (lambda: random.binomial((2,), None, 0.5), "counts must be whole numbers.*None"),
    "logits rank": (lambda: random.categorical([0.0, 1.0], 3), r"\(batch, classes\), got \(2,\)"),
    "no classes": (lambda: random.categorical(np.zeros((2, 0)), 3), "no classes"),
    "logits NaN": (lambda: random.categorical([[0.0, 1.0], [np.nan, 0.0]], 3), "row 1"),
    "logits -inf": (lambda: random.categorical([[-np.inf, -np.inf]], 3), "row 0"),
    "samples": (lambda: random.categorical([[0.0]], -1), "num_samples.*-1"),
    "part of a sample": (lambda: random.categorical([[0.0]], 1.5), "1.5 is not a whole number"),
    "classes dtype": (lambda: random.categorical(np.zeros((1, 200)), 3, "int8"), "int8 cannot hold.*199"),
    "float classes": (lambda: random.categorical([[0.0]], 3, "float32"), "an integer, got float32"),
    "scalar": (lambda: random.shuffle(3.0), "scalar"),
    "axis": (lambda: random.shuffle([1, 2], 1), "no axis 1"),
    "seed": (lambda: random.shuffle([1, 2], seed=1.5), "SeedGenerator.*1.5"),
}


@pytest.mark.parametrize("case", BAD)
def test_arguments_that_do_not_fit_are_told_at_once(case):
    call, message = BAD[case]

    with pytest.raises(sg.SymgraphError, match=message):
        call()
