"""Feeds over iterators, iterables, functions and sequences."""

import gc
import itertools
import json
import signal
import threading
import time
import warnings

import numpy as np
import pytest

import symgraph as sg
from symgraph.core.errors import ShapeError, TrainingError
from symgraph.training.data.feeding import make_feed
from symgraph.training.data.prefetching import ReadAhead
from symgraph.training.data.py_dataset import PyDataset


def batch(number, size=2):
    return np.full((size, 3), number, np.float32), np.full(size, number)


def five():
    return (batch(i) for i in range(5))


class Loader:
    """What gives a new iterator each time, as a torch DataLoader does: lists of tensors."""

    def __iter__(self):
        return ([sg.tensor(part) for part in batch(i)] for i in range(5))


class SizedLoader(Loader):
    def __len__(self):
        return 5


class Five(PyDataset):
    def __len__(self):
        return 5

    def __getitem__(self, index):
        return batch(index)


class Plain:
    """As Keras's, without its base."""

    def __len__(self):
        return 5

    def __getitem__(self, index):
        return batch(index)


class Turning(Five):
    """Changes between epochs."""

    def __init__(self, **options):
        super().__init__(**options)
        self.turns = 0

    def __getitem__(self, index):
        return batch(100 * self.turns + index)

    def on_epoch_end(self):
        self.turns += 1


def pipeline():
    return sg.data.Dataset.range(10).shuffle(4, seed=3).map(
        lambda i: (sg.fill((3,), i), i)).batch(2)


ANEW = {
    "function": lambda: make_feed(five),
    "iterable": lambda: make_feed(Loader()),
    "iterable of a known length": lambda: make_feed(SizedLoader()),
    "PyDataset": lambda: make_feed(Five()),
    "PyDataset, shuffled": lambda: make_feed(Five(), shuffle=True, seed=4),
    "PyDataset of two threads": lambda: make_feed(Five(workers=2, max_queue_size=2), shuffle=True),
    "PyDataset without threads": lambda: make_feed(Five(workers=0)),
    "PyDataset that changes": lambda: make_feed(Turning(), shuffle=True),
    "sequence without a base": lambda: make_feed(Plain()),
    "dataset": lambda: make_feed(pipeline()),
}


def numbers(feed, epoch, start=0):
    return [int(b.y[0][0]) for b in feed.batches(epoch, start)]


@pytest.mark.parametrize("source", ANEW)
def test_any_epoch_and_step_can_come_first(source):
    with ANEW[source]() as whole:
        uninterrupted = [numbers(whole, epoch) for epoch in range(3)]

    for epoch, expected in enumerate(uninterrupted):
        for step in range(6):
            with ANEW[source]() as feed:
                feed.restore(json.loads(json.dumps(whole.state())))
                found = [] if step == 5 else numbers(feed, epoch, step)
            assert found == expected[step:]


STEPS = {
    "function": lambda steps: make_feed(five, steps_per_epoch=steps),
    "iterable": lambda steps: make_feed(SizedLoader(), steps_per_epoch=steps),
    "PyDataset": lambda steps: make_feed(Turning(), steps_per_epoch=steps, shuffle=True),
    "dataset": lambda steps: make_feed(pipeline(), steps_per_epoch=steps),
    "dataset without end": lambda steps: make_feed(pipeline().repeat(), steps_per_epoch=steps),
}


@pytest.mark.filterwarnings("ignore:.*ran out of data")
@pytest.mark.parametrize("steps", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("source", STEPS)
def test_any_epoch_and_step_can_come_first_where_steps_cut_epochs(source, steps):
    with STEPS[source](steps) as whole:
        uninterrupted = [numbers(whole, epoch) for epoch in range(7)]
        state = whole.state()

    for epoch, expected in enumerate(uninterrupted):
        for step in range(len(expected)):
            with STEPS[source](steps) as feed:
                feed.restore(state)
                assert numbers(feed, epoch, step) == expected[step:]


def test_steps_go_on_in_the_pass_where_the_last_epoch_ended():
    with make_feed(five, steps_per_epoch=2) as feed, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = [numbers(feed, epoch) for epoch in range(4)]

    assert found == [[0, 1], [2, 3], [4], [0, 1]]
    assert [str(w.message)[:73] for w in caught] == [
        "the function five ran out of data: this epoch has 1 batches instead of st"]


def test_a_pass_that_ends_with_an_epoch_begins_anew_without_a_warning():
    with make_feed(lambda: (batch(i) for i in range(4)), steps_per_epoch=2) as feed:
        assert [numbers(feed, epoch) for epoch in range(3)] == [[0, 1], [2, 3], [0, 1]]


def test_the_number_of_steps_is_known_after_the_first_pass():
    with make_feed(five) as feed:
        assert feed.steps is None
        numbers(feed, 0)
        assert feed.steps == 5


@pytest.mark.parametrize("source", [Five, SizedLoader, pipeline])
def test_the_number_of_steps_is_known_where_the_source_tells(source):
    with make_feed(source()) as feed:
        assert feed.steps == 5


def test_a_generator_goes_on_from_epoch_to_epoch():
    with make_feed(five(), steps_per_epoch=2) as feed:
        assert [numbers(feed, epoch) for epoch in range(2)] == [[0, 1], [2, 3]]


def test_looking_at_the_structure_loses_no_batch():
    with make_feed(five()) as feed:
        assert str(feed.structure.x) == "float32[?, 3]"
        assert numbers(feed, 0) == [0, 1, 2, 3, 4]


def test_a_generator_that_ran_out_says_so():
    with make_feed(five()) as feed:
        numbers(feed, 0)
        with pytest.raises(TrainingError, match="the generator ran out after 5 batches, so none is left for another"):
            numbers(feed, 1)


def test_a_generator_cannot_be_resumed():
    with make_feed(five()) as feed:
        assert not feed.can_resume
        with pytest.raises(TrainingError, match="the generator cannot be started in the middle"):
            feed.restore(feed.state())
        with pytest.raises(TrainingError, match="cannot be started at step 1"):
            next(feed.batches(0, 1))


def test_a_source_of_nothing_says_so():
    with make_feed(lambda: iter(())) as feed:
        with pytest.raises(TrainingError, match="gave no batches"):
            numbers(feed, 0)
        with pytest.raises(TrainingError, match="gave no batches"):
            _ = feed.structure


def failing():
    yield batch(0)
    yield batch(1)
    raise RuntimeError("the disk is gone")


def test_an_error_of_the_source_comes_at_its_step():
    with make_feed(failing) as feed:
        batches = feed.batches(0)
        assert [int(next(batches).y[0][0]) for _ in range(2)] == [0, 1]
        with pytest.raises(RuntimeError, match="the disk is gone"):
            next(batches)


@pytest.mark.parametrize(("bad", "kind", "message"), [
    ((1, 2, 3, 4), TrainingError, r"batch 1 of the function <lambda>: .* got a tuple of 4"),
    ((np.zeros((2, 3)), np.zeros(3)), TrainingError, r"batch 1 .* \(x: 2, y: 3\)"),
    ((np.zeros((2, 3)), 3.0), ShapeError, "batch 1 .* y is a single number"),
    ((np.zeros((2, 3)),), TrainingError, r"batch 1 .* is nested as \('float32\[\?, 3\]',\), those before as"),
    ((np.zeros((0, 3)), np.zeros(0)), TrainingError, "batch 1 .* x has no samples"),
])
def test_a_batch_that_is_none_is_refused_with_its_number(bad, kind, message):
    with make_feed(lambda: iter([batch(0), bad])) as feed, pytest.raises(kind, match=message):
        numbers(feed, 0)


@pytest.mark.parametrize(("element", "outline"), [
    (GRID := np.zeros((2, 1)), (1, 0, 0)), ((GRID,), (1, 0, 0)), ((GRID, GRID), (1, 1, 0)), ([GRID, GRID], (1, 1, 0)),
    ((GRID, GRID, [1, 2]), (1, 1, 1)), ({"a": GRID, "b": GRID}, (2, 0, 0)), (({"a": GRID}, [GRID, GRID]), (1, 2, 0)),
    ({"xs": GRID, "ys": GRID}, (1, 1, 0)),
])
def test_elements_are_x_and_y_and_sample_weight(element, outline):
    with make_feed(lambda: iter([element])) as feed:
        (found,) = feed.batches(0)

    assert tuple(map(len, found)) == outline


def test_a_buffer_that_a_generator_uses_again_is_copied():
    def reusing():
        buffer = np.zeros((2, 3), np.float32)
        for i in range(5):
            buffer[:] = i
            yield buffer

    with make_feed(reusing) as feed:
        assert [b.x[0][0, 0] for b in feed.batches(0)] == [0, 1, 2, 3, 4]


def prefetchers():
    return [t for t in threading.enumerate() if t.name.startswith("symgraph") and t.is_alive()]


def endless():
    """So slow that it pays to read ahead."""
    while True:
        time.sleep(0.002)
        yield batch(0)


@pytest.mark.parametrize("end", ["close the batches", "forget the batches", "close the feed", "forget the feed"])
def test_the_thread_that_reads_ahead_ends(end):
    feed = make_feed(endless)
    batches = feed.batches(0)
    next(batches), next(batches)
    (thread,) = prefetchers()

    if end == "close the batches":
        batches.close()
    elif end == "close the feed":
        feed.close()
    elif end == "forget the batches":
        del batches
    else:
        del batches, feed
    gc.collect()
    thread.join(timeout=10)

    assert not thread.is_alive()


def test_what_comes_at_once_is_read_without_a_thread():
    with make_feed(lambda: (batch(i) for i in range(50))) as feed:
        batches = feed.batches(0)
        for _ in range(20):
            next(batches)
        assert not prefetchers()


def test_what_turns_slow_is_read_ahead_from_then_on():
    def slower():
        yield from (batch(i) for i in range(5))
        for i in range(5, 10):
            time.sleep(0.002)
            yield batch(i)

    with make_feed(slower) as feed:
        assert [int(b.x[0][0, 0]) for b in feed.batches(0)] == list(range(10))
        assert [int(b.x[0][0, 0]) for b in feed.batches(1)] == list(range(10))


def test_a_sequence_is_told_of_epochs():
    calls = []

    class Telling(Five):
        def on_epoch_begin(self):
            calls.append("begin")

        def on_epoch_end(self):
            calls.append("end")

    with make_feed(Telling()) as feed:
        for epoch in range(2):
            calls.append(len(numbers(feed, epoch)))

    assert calls == ["begin", "end", 5, "begin", "end", 5]


def test_a_sequence_started_later_is_told_of_the_epochs_that_passed():
    with make_feed(Turning()) as feed:
        assert numbers(feed, 3) == [300, 301, 302, 303, 304]


class Squares(PyDataset):
    """At the top of the module, so that another process finds it."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return np.full((1, 1), index**2)


def test_processes_make_batches_in_order():
    with make_feed(Squares(workers=2, use_multiprocessing=True)) as feed:
        assert [int(b.x[0][0, 0]) for b in feed.batches(0)] == [0, 1, 4]


def test_a_sequence_without_end_needs_steps():
    class Endless(PyDataset):
        num_batches = None

        def __getitem__(self, index):
            return batch(index)

    with pytest.raises(TrainingError, match="the Endless has no end; give steps_per_epoch"):
        make_feed(Endless())
    with make_feed(Endless(), steps_per_epoch=3) as feed:
        assert [numbers(feed, epoch) for epoch in range(2)] == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("options", [{"steps_per_epoch": 2}, {"shuffle": True}])
def test_a_state_of_other_arguments_is_refused(options):
    with pytest.raises(TrainingError, match="resume with the same arguments"):
        make_feed(Five(), **options).restore(make_feed(Five()).state())


def test_a_state_of_another_kind_is_refused():
    with pytest.raises(TrainingError, match="kind was 'function', now it is 'sequence'"):
        make_feed(Five()).restore(make_feed(five).state())


def test_datasets_shuffled_without_a_seed_are_brought_back_by_their_state():
    def unseeded():
        return sg.data.Dataset.range(50).shuffle(50).concatenate(sg.data.Dataset.range(9).shuffle(3)).batch(1)

    with make_feed(unseeded()) as feed, make_feed(unseeded()) as other:
        expected = [int(b.x[0][0]) for b in feed.batches(0)]
        other.restore(json.loads(json.dumps(feed.state())))
        assert [int(b.x[0][0]) for b in other.batches(0)] == expected


@pytest.mark.usefixtures("interruptible")
def test_waiting_for_a_batch_can_be_interrupted():
    released = threading.Event()

    def stuck():
        yield from itertools.islice(endless(), 2)
        released.wait()

    with make_feed(stuck) as feed:
        batches = feed.batches(0)
        next(batches), next(batches)
        (thread,) = prefetchers()
        timer = threading.Timer(0.2, signal.raise_signal, [signal.SIGINT])
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            next(batches)
        timer.join()
        released.set()
    thread.join(timeout=10)

    assert not thread.is_alive()


@pytest.mark.parametrize("is_started", [False, True])
def test_a_reader_that_is_interrupted_as_it_starts_closes_its_source(is_started, monkeypatch):
    closed = []

    def slow():
        try:
            while True:
                time.sleep(0.01)
                yield 1
        finally:
            closed.append(True)

    start = threading.Thread.start

    def interrupted(thread):
        if is_started:
            start(thread)
        raise KeyboardInterrupt

    ahead = ReadAhead(slow())
    next(ahead)
    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(ahead)
    ahead.close()
    for _ in range(100):
        if not closed:
            time.sleep(0.02)

    assert closed
