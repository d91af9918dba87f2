"""Feeds over arrays: what comes in which order, written where."""

import numpy as np
import pytest

from symgraph.core.errors import ShapeError, TrainingError
from symgraph.training.data.array_feed import permutation
from symgraph.training.data.feeding import make_feed


def targets(feed, epoch, start=0):
    return [batch.y[0].tolist() for batch in feed.batches(epoch, start)]


def numbered(count, **options):
    return make_feed(np.arange(count * 2, dtype=np.float32).reshape(count, 2), np.arange(count), **options)


def test_batches_come_in_order_with_the_rest_last():
    assert targets(numbered(7, batch_size=3), 0) == [[0, 1, 2], [3, 4, 5], [6]]


def test_32_is_the_size_of_a_batch_unless_said_otherwise():
    assert [len(y) for y in targets(numbered(70), 0)] == [32, 32, 6]


def test_shuffling_keeps_rows_of_x_and_y_together_and_loses_none():
    feed = numbered(23, batch_size=4, shuffle=True)

    rows = [(x.tolist(), int(y)) for b in feed.batches(0) for x, y in zip(b.x[0], b.y[0], strict=True)]

    assert [x[0] / 2 for x, _ in rows] == [y for _, y in rows]
    assert sorted(y for _, y in rows) == list(range(23)) != [y for _, y in rows]


def test_the_order_is_philox_of_seed_and_epoch():
    expected = np.random.Generator(np.random.Philox(key=np.array([5, 3], np.uint64))).permutation(11)

    assert np.concatenate(targets(numbered(11, batch_size=4, shuffle=True, seed=5), 3)).tolist() == expected.tolist()
    assert permutation(11, 5, 3).dtype == np.intp


def test_batches_that_change_places_keep_their_rows():
    found = targets(numbered(14, batch_size=4, shuffle="batch"), 0)

    assert sorted(found[:3]) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert found[3] == [12, 13]
    assert len({str(targets(numbered(14, batch_size=4, shuffle="batch"), e)) for e in range(8)}) > 1


@pytest.mark.parametrize("shuffle", [False, True, "batch"])
@pytest.mark.filterwarnings("ignore:an array of 11 samples ran out")
@pytest.mark.parametrize("steps", [None, 2, 3, 4])
def test_any_epoch_and_step_can_come_first(shuffle, steps):
    options = {"batch_size": 3, "shuffle": shuffle, "steps_per_epoch": steps, "seed": 9}
    whole = numbered(11, **options)
    uninterrupted = [targets(whole, epoch) for epoch in range(5)]

    for epoch in range(5):
        for step in range(len(uninterrupted[epoch]) + 1):
            feed = numbered(11, **{**options, "seed": 0})
            feed.restore(whole.state())
            assert targets(feed, epoch, step) == uninterrupted[epoch][step:]


def test_steps_per_epoch_cuts_a_pass_into_epochs():
    feed = numbered(12, batch_size=2, steps_per_epoch=3)

    assert [targets(feed, e)[0][0] for e in range(4)] == [0, 6, 0, 6]


def test_a_pass_that_ends_within_an_epoch_warns():
    feed = numbered(10, batch_size=2, steps_per_epoch=3)

    assert len(targets(feed, 0)) == 3
    with pytest.warns(UserWarning, match="this epoch has 2 batches instead of steps_per_epoch=3"):
        assert targets(feed, 1) == [[6, 7], [8, 9]]
    assert targets(feed, 2)[0] == [0, 1]


def test_steps_without_a_batch_size_divide_the_samples():
    assert make_feed(np.zeros((10, 1)), steps_per_epoch=3).batch_size == 4


@pytest.mark.parametrize("shuffle", [False, True, "batch"])
def test_a_plan_writes_the_rows_of_batches_into_buffers(shuffle):
    feed = numbered(11, batch_size=4, shuffle=shuffle)
    plan = feed.plan(2)
    buffers = [np.empty((4, 2), np.float32), np.empty(4, np.int64)]
    fill = plan.bind(buffers)

    for step, batch in enumerate(feed.batches(2)):
        for write in (fill, lambda step: plan.fill(step, buffers)):
            buffers[0][:] = -1
            count = write(step)
            assert count == plan.rows(step) == len(batch.y[0])
            np.testing.assert_array_equal(buffers[0][:count], batch.x[0])
            np.testing.assert_array_equal(buffers[1][:count], batch.y[0])


def test_buffers_of_other_dtypes_take_the_rows_cast():
    plan = numbered(4, batch_size=4, shuffle=True).plan(0)
    buffers = [np.empty((4, 2), np.float64), np.empty(4, np.float32)]

    plan.bind(buffers)(0)

    assert sorted(buffers[1].tolist()) == [0.0, 1.0, 2.0, 3.0]


def test_buffers_that_do_not_fit_are_refused():
    plan = numbered(4, batch_size=4).plan(0)

    with pytest.raises(ShapeError, match=r"a batch of x has the shape \(4, 2\), the buffer for it \(4, 3\)"):
        plan.bind([np.empty((4, 3), np.float32), np.empty(4, np.int64)])
    with pytest.raises(ShapeError, match="a batch has 2 arrays, got 1 buffers"):
        plan.fill(0, [np.empty((4, 2), np.float32)])


def test_a_plan_has_no_steps_beyond_its_epoch():
    plan = numbered(4, batch_size=2).plan(0)
    fill = plan.bind([np.empty((2, 2), np.float32), np.empty(2, np.int64)])

    with pytest.raises(TrainingError, match="this epoch has the steps 0 to 1, so no step 2"):
        fill(2)
