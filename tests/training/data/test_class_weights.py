"""Class weights become sample weights."""

import numpy as np
import pytest

from symgraph.core.errors import TrainingError
from symgraph.training.data.feeding import make_feed

X = np.zeros((4, 2), np.float32)
WEIGHTS = {0: 0.5, 2: 3.0}
EXPECTED = [0.5, 1.0, 3.0, 0.5]
SPARSE = np.array([0, 1, 2, 0])

TARGETS = {
    "sparse": SPARSE,
    "a column": SPARSE[:, None],
    "floats": SPARSE.astype(np.float64),
    "floats that are rounded": SPARSE + 0.2,
    "one-hot": np.eye(3)[SPARSE],
    "bool one-hot": np.eye(3, dtype=bool)[SPARSE],
    "scores": np.eye(3)[SPARSE] * 0.6 + 0.1,
}


@pytest.mark.parametrize("kind", TARGETS)
def test_every_sample_weighs_what_its_class_does_and_1_without_a_weight(kind):
    y = TARGETS[kind]

    for feed in (make_feed(X, y, class_weight=WEIGHTS), make_feed(lambda: iter([(X, y)]), class_weight=WEIGHTS)):
        (batch,) = feed.batches(0)
        np.testing.assert_array_equal(batch.sample_weight[0], np.float32(EXPECTED), strict=True)
        assert str(feed.structure.sample_weight) == "float32[?]"


def test_two_classes_may_be_bools():
    (batch,) = make_feed(X, SPARSE > 0, class_weight={1: 5}).batches(0)

    assert batch.sample_weight[0].tolist() == [1, 5, 5, 1]


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_class_weights_multiply_sample_weights(shape):
    given = np.array([1.0, 2.0, 3.0, 4.0]).reshape(shape)

    for feed in (make_feed(X, SPARSE, given, class_weight=WEIGHTS),
                 make_feed(lambda: iter([(X, SPARSE, given)]), class_weight=WEIGHTS)):
        (batch,) = feed.batches(0)
        np.testing.assert_array_equal(batch.sample_weight[0], np.float32([0.5, 2, 9, 2]).reshape(shape), strict=True)


@pytest.mark.parametrize(("y", "weights", "message"), [
    (SPARSE, [1.0, 2.0], "class_weight is a dict of class numbers to weights, .* got list"),
    (SPARSE, {"cat": 1.0}, "class_weight has the key 'cat'; classes are whole numbers"),
    (SPARSE, {0: "heavy"}, "gives class 0 the weight 'heavy', which is no number"),
    (np.eye(3)[SPARSE], {3: 1.0}, "has the unknown class 3; y has 3 columns, the classes 0 to 2"),
    (np.zeros((4, 5, 5)), {0: 1.0}, "needs y with one class a sample"),
    (np.array(list("abca")), {0: 1.0}, "needs y with one class a sample"),
    ([SPARSE, SPARSE], {0: 1.0}, "for models with a single output; y has 2 arrays"),
    (None, {0: 1.0}, "for models with a single output; y has 0 arrays"),
])
def test_class_weights_that_cannot_be_are_refused(y, weights, message):
    with pytest.raises(TrainingError, match=message):
        make_feed(X, y, class_weight=weights)
