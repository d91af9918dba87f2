"""What may be given as data, and what it becomes."""

import types

import numpy as np
import pytest
import scipy.sparse

import symgraph as sg
from symgraph.core.errors import DtypeError, ShapeError, TrainingError
from symgraph.core.types import TensorType
from symgraph.training.data import columns
from symgraph.training.data.array_feed import ArrayFeed
from symgraph.training.data.feeding import make_feed

GRID = np.arange(12, dtype=np.float32).reshape(6, 2)


class Foreign:
    """An array of another library, known by its methods."""

    def __init__(self, array, *methods, is_series=False):
        self.array = np.asarray(array)
        self.shape = self.array.shape
        for method in methods:
            setattr(self, method, types.MethodType(lambda self, *_: self.array, self))
        if "detach" in methods:
            self.detach = self.cpu = lambda: self
        if is_series:
            self.to_frame = None

    def __array__(self, *args, **kwargs):
        if hasattr(self, "detach"):
            raise TypeError("can't convert a tensor that requires grad")
        return self.array


def mapped(array, path):
    array.tofile(path)
    return np.memmap(path, array.dtype, "r", shape=array.shape)


CASES = {
    "float32": (lambda _: GRID, GRID),
    "float64 becomes float32": (lambda _: GRID.astype(np.float64), GRID),
    "long double becomes float32": (lambda _: GRID.astype(np.longdouble), GRID),
    "float16 stays": (lambda _: GRID.astype(np.float16), GRID.astype(np.float16)),
    "int64 stays": (lambda _: GRID.astype(np.int64), GRID.astype(np.int64)),
    "uint8 stays": (lambda _: GRID.astype(np.uint8), GRID.astype(np.uint8)),
    "bool stays": (lambda _: GRID > 3, GRID > 3),
    "big-endian": (lambda _: GRID.astype(">f4"), GRID),
    "big-endian ints": (lambda _: GRID.astype(">i2"), GRID.astype(np.int16)),
    "strided": (lambda _: np.repeat(GRID, 2, axis=1)[:, ::2], GRID),
    "reversed": (lambda _: GRID[::-1], GRID[::-1]),
    "Fortran order": (lambda _: np.asfortranarray(GRID), GRID),
    "list": (lambda _: GRID.tolist(), GRID),
    "list of ints": (lambda _: GRID.astype(int).tolist(), GRID.astype(np.int32)),
    "list of tuples": (lambda _: [tuple(row) for row in GRID.tolist()], GRID),
    "sg.Tensor": (lambda _: sg.tensor(GRID), GRID),
    "sg.Variable": (lambda _: sg.Variable(GRID), GRID),
    "table (pandas)": (lambda _: Foreign(GRID, "to_numpy"), GRID),
    "table of mixed columns": (lambda _: Foreign(GRID.astype(object), "to_numpy"), GRID),
    "series (pandas)": (lambda _: Foreign(GRID[:, 0], "to_numpy", is_series=True), GRID[:, :1]),
    "tensor that wants gradients (torch)": (lambda _: Foreign(GRID, "numpy", "detach"), GRID),
    "tensor (TensorFlow)": (lambda _: Foreign(GRID, "numpy"), GRID),
    "anything with __array__": (lambda _: Foreign(GRID), GRID),
    "sparse rows": (lambda _: scipy.sparse.csr_matrix(GRID), GRID),
    "sparse columns": (lambda _: scipy.sparse.csc_array(GRID), GRID),
    "sparse coordinates, float64": (lambda _: scipy.sparse.coo_matrix(GRID.astype(np.float64)), GRID),
    "file": (lambda p: mapped(GRID, p / "a"), GRID),
    "file of float64": (lambda p: mapped(GRID.astype(np.float64), p / "a"), GRID),
    "file, big-endian": (lambda p: mapped(GRID.astype(">f4"), p / "a"), GRID),
    "part of a file, strided": (lambda p: mapped(np.repeat(GRID, 2, axis=0), p / "a")[::2], GRID),
}


@pytest.mark.parametrize("shuffle", [False, True, "batch"])
@pytest.mark.parametrize("case", CASES)
def test_arrays_of_any_kind_give_the_same_batches(case, shuffle, tmp_path):
    make, expected = CASES[case]
    feed = make_feed(make(tmp_path), np.arange(6), batch_size=4, shuffle=shuffle)

    batches = list(feed.batches(1))
    rows = np.concatenate([batch.y[0] for batch in batches])
    x = np.concatenate([batch.x[0] for batch in batches])

    np.testing.assert_array_equal(x, expected[rows], strict=True)
    assert feed.structure.x == TensorType(expected.dtype.name, (None, *expected.shape[1:]))
    buffers = [np.empty((4, *expected.shape[1:]), expected.dtype), np.empty(4, np.int64)]
    feed.plan(1).bind(buffers)(0)
    np.testing.assert_array_equal(buffers[0], x[:4])


@pytest.mark.parametrize("shuffle", [False, True])
def test_large_arrays_are_converted_batch_by_batch(monkeypatch, shuffle):
    monkeypatch.setattr(columns, "CONVERT_AT_ONCE", 0)
    given = GRID.astype(np.float64)[:, ::-1]

    feed = make_feed(given, np.arange(6), batch_size=4, shuffle=shuffle)

    assert np.shares_memory(feed.columns[0].array, given)
    for batch in feed.batches(0):
        np.testing.assert_array_equal(batch.x[0], GRID[batch.y[0], ::-1], strict=True)


def test_files_are_never_read_as_a_whole(tmp_path):
    given = mapped(GRID.astype(np.float64), tmp_path / "a")

    assert np.shares_memory(make_feed(given).columns[0].array, given)


def test_arrays_that_need_no_conversion_are_not_copied():
    assert np.shares_memory(make_feed(GRID).columns[0].array, GRID)


class Stored:
    """An array in a file, as h5py has it."""

    shape, dtype, chunks = GRID.shape, GRID.dtype, (2, 2)

    def __getitem__(self, rows):
        assert isinstance(rows, slice) or (np.diff(rows) > 0).all()
        return GRID[rows]


def test_rows_of_stored_arrays_may_come_twice_in_a_batch():
    (windows,) = sg.utils.timeseries_dataset_from_array(Stored(), None, sequence_length=3)

    assert windows.tolist() == [GRID[i:i + 3].tolist() for i in range(len(GRID) - 2)]


def test_stored_arrays_are_asked_for_growing_rows_only():
    feed = make_feed(Stored(), np.arange(6), batch_size=4, shuffle=True)

    for batch in feed.batches(0):
        np.testing.assert_array_equal(batch.x[0], GRID[batch.y[0]])


def test_strings_are_delivered_as_objects():
    (batch,) = make_feed(np.array(["a", "bc"])).batches(0)

    assert batch.x[0].dtype == object and batch.x[0].tolist() == ["a", "bc"]


def test_nestings_come_back_as_they_were_given():
    x = {"image": GRID, "rest": (GRID[:, 0], [GRID[:, 1]])}
    feed = make_feed(x, [GRID, GRID], batch_size=6)

    (batch,) = feed.batches(0)
    packed, targets, weights = feed.structure.pack(batch)

    assert [len(part) for part in batch] == [3, 2, 0]
    np.testing.assert_equal(packed, x)
    np.testing.assert_equal(targets, [GRID, GRID])
    assert weights is None


@pytest.mark.parametrize(("y", "weights", "shape"), [
    (GRID, np.ones(6), ()), (GRID, np.ones((6, 1)), (1,)), ([GRID, GRID], np.ones(6), ()),
    ([GRID, GRID], [np.ones(6), np.ones(6)], ()), ({"a": GRID}, {"a": np.ones((6, 2))}, (2,)),
    (GRID, [-1, 2, 3, 4, 5, 6], ()),
])
def test_sample_weights_are_float32(y, weights, shape):
    (batch,) = make_feed(GRID, y, weights).batches(0)

    assert {w.dtype for w in batch.sample_weight} == {np.dtype(np.float32)}
    assert {w.shape[1:] for w in batch.sample_weight} == {shape}


ERRORS = {
    "other numbers of samples": (lambda: make_feed(GRID, np.zeros(5), np.zeros(6)), TrainingError,
                                 r"different numbers of samples \(x: 6, y: 5, sample_weight: 6\)"),
    "of one input": (lambda: make_feed({"a": GRID, "b": GRID[:2]}), TrainingError, r"x\['a'\]: 6, x\['b'\]: 2"),
    "no samples": (lambda: make_feed(np.zeros((0, 3))), TrainingError, r"x has no samples \(its shape is \(0, 3\)\)"),
    "no arrays": (lambda: make_feed({}), TrainingError, "there is no array in x"),
    "no data": (lambda: make_feed(None), TrainingError, "x is None"),
    "None inside": (lambda: make_feed([GRID, None]), TrainingError, r"x\[1\] is None"),
    "a number": (lambda: make_feed(np.float32(3)), ShapeError, "x is a single number"),
    "ragged": (lambda: make_feed([[1], [1, 2]]), ShapeError, "x: list cannot become a tensor"),
    "objects": (lambda: make_feed(np.array([object()])), DtypeError, "x has dtype object, with elements of type obj"),
    "a table with words": (lambda: make_feed(Foreign(np.array([["a", 1.0]], object), "to_numpy")), DtypeError,
                           "elements of type float, str"),
    "dates": (lambda: make_feed(np.zeros(3, "M8[s]")), DtypeError, "x has dtype datetime64"),
    "dates as weights": (lambda: make_feed(GRID, GRID, np.array(["a"] * 6)), DtypeError, "sample weights are numbers"),
    "weights without y": (lambda: make_feed(GRID, None, [np.ones(6), np.ones(6)]), TrainingError, "nested as"),
    "weights of other outputs": (lambda: make_feed(GRID, [GRID, GRID], {"a": np.ones(6)}), TrainingError, "nested as"),
    "weights by element for several": (lambda: make_feed(GRID, [GRID, GRID], np.ones((6, 2))), TrainingError,
                                       "one number a sample"),
    "batch_size": (lambda: make_feed(GRID, batch_size=0), TrainingError, "batch_size is a whole number of at least 1"),
    "steps": (lambda: make_feed(GRID, steps_per_epoch=1.5), TrainingError, "steps_per_epoch is a whole number"),
    "shuffle": (lambda: make_feed(GRID, shuffle="rows"), TrainingError, 'shuffle is True, False or "batch"'),
    "something else": (lambda: make_feed(object()), TrainingError, "data are arrays, a dataset, .* got object"),
    "a string": (lambda: make_feed("x.csv"), TrainingError, "got str"),
    "y beside a generator": (lambda: make_feed((b for b in ()), GRID), TrainingError, "y does not go with the gen"),
    "weights beside it": (lambda: make_feed((b for b in ()), sample_weight=GRID), TrainingError, "sample_weight does"),
    "batch_size beside it": (lambda: make_feed((b for b in ()), batch_size=2), TrainingError, "batch_size does not go"),
    "no end": (lambda: make_feed(sg.data.Dataset.range(3).batch(1).repeat()), TrainingError, "has no end; give steps"),
    "torch dataset": (lambda: make_feed(type("Dataset", (), {"__module__": "torch.utils.data"})()), TrainingError,
                      "are samples, not batches"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_what_is_wrong_with_the_data_is_said(case):
    make, kind, message = ERRORS[case]

    with pytest.raises(kind, match=message):
        make()


def test_the_state_of_arrays_is_plain_and_brings_the_order_back():
    feed = make_feed(GRID, np.arange(6), batch_size=2, shuffle=True, seed=7)
    again = make_feed(GRID, np.arange(6), batch_size=2, shuffle=True, seed=8)

    again.restore(feed.state())

    assert feed.state() == {"kind": "arrays", "samples": 6, "batch_size": 2, "shuffle": True, "seed": 7,
                            "steps_per_epoch": None}
    assert [b.y[0].tolist() for b in again.batches(3)] == [b.y[0].tolist() for b in feed.batches(3)]


@pytest.mark.parametrize(("options", "message"), [
    ({"batch_size": 3}, "batch_size was 3, now it is 2"), ({"shuffle": "batch"}, "shuffle='batch'"),
    ({"steps_per_epoch": 2}, "steps_per_epoch=2"),
])
def test_a_state_of_other_data_is_refused(options, message):
    state = make_feed(GRID, **{"batch_size": 2, "shuffle": True, **options}).state()

    with pytest.raises(TrainingError, match=message):
        make_feed(GRID, batch_size=2, shuffle=True).restore(state)


def test_arrays_make_a_feed_with_plans():
    assert isinstance(make_feed(GRID), ArrayFeed)
