"""Datasets: what tf.data's and TensorFlow.js's words mean, written out."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symgraph as sg
from symgraph.core.errors import DtypeError, ShapeError, TrainingError
from symgraph.core.types import TensorType

Dataset = sg.data.Dataset


def plain(element):
    """An element as plain Python."""
    if isinstance(element, tuple | list):
        return type(element)(plain(part) for part in element)
    if isinstance(element, dict):
        return {key: plain(part) for key, part in element.items()}
    if isinstance(element, Dataset):
        return plain(element.to_array())
    return element.tolist() if hasattr(element, "tolist") else element


def numbers(*args):
    return Dataset.range(*args)


MEANINGS = {
    "range": (lambda: numbers(3), [0, 1, 2]),
    "range from to by": (lambda: numbers(5, 0, -2), [5, 3, 1]),
    "from_tensors": (lambda: Dataset.from_tensors(([1, 2], 3)), [([1, 2], 3)]),
    "from_tensor_slices": (lambda: Dataset.from_tensor_slices(np.eye(2)), [[1.0, 0.0], [0.0, 1.0]]),
    "from_tensor_slices of a dict": (lambda: Dataset.from_tensor_slices({"a": [1, 2], "b": [[3], [4]]}),
                                     [{"a": 1, "b": [3]}, {"a": 2, "b": [4]}]),
    "from_tensor_slices of strings": (lambda: Dataset.from_tensor_slices(["a", "b"]), ["a", "b"]),
    "from_generator": (lambda: Dataset.from_generator(lambda: iter([(1, [2, 3])])), [(1, [2, 3])]),
    "from_generator with args": (lambda: Dataset.from_generator(range, args=(2,)), [0, 1]),
    "array": (lambda: Dataset.array([{"x": 1}, {"x": [2]}]), [{"x": 1}, {"x": [2]}]),
    "zip": (lambda: Dataset.zip(numbers(3), numbers(5, 9)), [(0, 5), (1, 6), (2, 7)]),
    "zip of a tuple": (lambda: Dataset.zip((numbers(2), numbers(2))), [(0, 0), (1, 1)]),
    "zip of a nesting": (lambda: Dataset.zip((numbers(2), {"a": numbers(5, 7)})), [(0, {"a": 5}), (1, {"a": 6})]),
    "batch": (lambda: numbers(5).batch(2), [[0, 1], [2, 3], [4]]),
    "batch without the rest": (lambda: numbers(5).batch(2, drop_remainder=True), [[0, 1], [2, 3]]),
    "batch in TensorFlow.js's words": (lambda: numbers(5).batch(2, small_last_batch=False), [[0, 1], [2, 3]]),
    "batch of a nesting": (lambda: Dataset.zip(numbers(2), numbers(5, 7)).batch(2), [([0, 1], [5, 6])]),
    "batch of Python numbers": (lambda: Dataset.array([1, 2]).batch(2), [[1, 2]]),
    "batch of strings": (lambda: Dataset.array(["a", "b"]).batch(2), [["a", "b"]]),
    "batch of batches": (lambda: numbers(4).batch(2).batch(2), [[[0, 1], [2, 3]]]),
    "batch of filtered ones": (lambda: numbers(6).filter(lambda x: x % 2 == 0).batch(2), [[0, 2], [4]]),
    "unbatch": (lambda: Dataset.from_tensors(([1, 2], [[3], [4]])).unbatch(), [(1, [3]), (2, [4])]),
    "unbatch of batch": (lambda: numbers(5).batch(2, True).unbatch(), [0, 1, 2, 3]),
    "unbatch of mapped batches": (lambda: numbers(3).batch(2).map(lambda x: x + 1).unbatch(), [1, 2, 3]),
    "concatenate": (lambda: numbers(2).concatenate(numbers(5, 7)), [0, 1, 5, 6]),
    "filter": (lambda: numbers(5).filter(lambda x: x > 2), [3, 4]),
    "filter of tuples": (lambda: Dataset.zip(numbers(3), numbers(3)).filter(lambda a, b: a + b > 2), [(2, 2)]),
    "take_while": (lambda: numbers(9).take_while(lambda x: x < 2), [0, 1]),
    "map": (lambda: numbers(3).map(lambda x: x * 2), [0, 2, 4]),
    "map of tuples": (lambda: Dataset.zip(numbers(2), numbers(2)).map(lambda a, b: {"sum": a + b}),
                      [{"sum": 0}, {"sum": 2}]),
    "map of a dict": (lambda: Dataset.array([{"x": 1}]).map(lambda e: e["x"]), [1]),
    "map by threads": (lambda: numbers(20).map(lambda x: x + 1, num_parallel_calls=3), list(range(1, 21))),
    "map by as many threads as seem right": (lambda: numbers(3).map(lambda x: x, sg.data.AUTOTUNE), [0, 1, 2]),
    "map with NumPy": (lambda: numbers(2).map(lambda x: np.repeat(np.asarray(x), 2)), [[0, 0], [1, 1]]),
    "prefetch": (lambda: numbers(3).prefetch(2), [0, 1, 2]),
    "prefetch, none": (lambda: numbers(3).prefetch(0), [0, 1, 2]),
    "repeat": (lambda: numbers(2).repeat(2), [0, 1, 0, 1]),
    "repeat, never": (lambda: numbers(2).repeat(0), []),
    "repeat without end": (lambda: numbers(2).repeat().take(5), [0, 1, 0, 1, 0]),
    "repeat of nothing": (lambda: numbers(0).repeat(), []),
    "repeat of an unknown nothing": (lambda: numbers(2).filter(lambda x: x > 5).repeat(), []),
    "skip": (lambda: numbers(4).skip(3), [3]),
    "skip more than there are": (lambda: numbers(4).skip(7), []),
    "skip all": (lambda: numbers(4).skip(-1), []),
    "take": (lambda: numbers(4).take(2), [0, 1]),
    "take more than there are": (lambda: numbers(2).take(5), [0, 1]),
    "take all": (lambda: numbers(2).take(-1), [0, 1]),
    "take none": (lambda: numbers(2).take(0), []),
    "shard": (lambda: numbers(7).shard(3, 1), [1, 4]),
    "enumerate": (lambda: numbers(5, 7).enumerate(start=3), [(3, 5), (4, 6)]),
    "cache": (lambda: numbers(3).cache(), [0, 1, 2]),
    "apply": (lambda: numbers(3).apply(lambda d: d.skip(1)), [1, 2]),
    "flat_map": (lambda: numbers(3).flat_map(lambda n: numbers(n)), [0, 0, 1]),
    "interleave": (lambda: numbers(1, 6).interleave(
        lambda x: Dataset.from_tensors(x).repeat(6), cycle_length=2, block_length=4),
        [1, 1, 1, 1, 2, 2, 2, 2, 1, 1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 3, 3, 4, 4, 5, 5, 5, 5, 5, 5]),
    "interleave of uneven ones": (lambda: numbers(1, 4).interleave(numbers, cycle_length=2), [0, 0, 1, 0, 1, 2]),
    "window": (lambda: numbers(7).window(3), [[0, 1, 2], [3, 4, 5], [6]]),
    "window without the rest": (lambda: numbers(7).window(3, drop_remainder=True), [[0, 1, 2], [3, 4, 5]]),
    "window by one": (lambda: numbers(5).window(3, 1, 1, True), [[0, 1, 2], [1, 2, 3], [2, 3, 4]]),
    "window by one to the end": (lambda: numbers(3).window(2, 1), [[0, 1], [1, 2], [2]]),
    "window with gaps inside": (lambda: numbers(7).window(3, 1, 2, True), [[0, 2, 4], [1, 3, 5], [2, 4, 6]]),
    "window with gaps between": (lambda: numbers(7).window(2, 3), [[0, 1], [3, 4], [6]]),
    "window of tuples": (lambda: Dataset.zip(numbers(2), numbers(5, 7)).window(2), [([0, 1], [5, 6])]),
    "window to batch": (lambda: numbers(5).window(3, 1, 1, True).flat_map(lambda w: w.batch(3)),
                        [[0, 1, 2], [1, 2, 3], [2, 3, 4]]),
    "padded_batch": (lambda: numbers(1, 4).map(lambda n: np.arange(n)).padded_batch(2),
                     [[[0, 0], [0, 1]], [[0, 1, 2]]]),
    "padded_batch to a size": (lambda: numbers(1, 3).map(lambda n: np.arange(n)).padded_batch(2, [4], -1),
                               [[[0, -1, -1, -1], [0, 1, -1, -1]]]),
    "padded_batch of several": (lambda: Dataset.array([([1], 5), ([2, 3], 6)]).padded_batch(2, ([None], []), (9, 0)),
                                [([[1, 9], [2, 3]], [5, 6])]),
    "padded_batch without the rest": (lambda: Dataset.array([[1], [1, 2], [1]]).padded_batch(2, drop_remainder=True),
                                      [[[1, 0], [1, 2]]]),
    "padded_batch of strings": (lambda: Dataset.array([["a"], ["b", "c"]]).map(np.array).padded_batch(2),
                                [[["a", ""], ["b", "c"]]]),
    "func": (lambda: sg.data.func(iter([1, 2]).__next__), [1, 2]),
    "func in TensorFlow.js's form": (
        lambda: sg.data.func(iter([{"value": 5, "done": False}, {"value": None, "done": True}]).__next__), [5]),
    "generator": (lambda: sg.data.generator(lambda: (i for i in range(2))), [0, 1]),
}


@pytest.mark.parametrize("name", MEANINGS)
def test_words_mean_what_they_mean_in_tf_data(name):
    make, expected = MEANINGS[name]

    assert plain(make().to_array()) == expected


@pytest.mark.parametrize("name", [name for name in MEANINGS if name != "repeat of an unknown nothing"])
def test_the_number_of_elements_is_right_where_it_is_told(name):
    make, expected = MEANINGS[name]
    count = make().cardinality()

    assert count in (len(expected), sg.data.UNKNOWN)


@pytest.mark.parametrize("name", [name for name in MEANINGS if not name.startswith("func")])
def test_any_pass_goes_on_from_any_element(name):
    node = MEANINGS[name][0]().node
    whole = plain(list(node.iterate((3,))))

    for start in range(len(whole) + 2):
        assert plain(list(node.iterate((3,), start))) == whole[start:]


SHUFFLED = {
    "rows, small buffer": lambda: Dataset.from_tensor_slices(np.arange(20)).shuffle(5, seed=1),
    "rows, large buffer": lambda: Dataset.from_tensor_slices(np.arange(20)).shuffle(50, seed=1),
    "elements": lambda: numbers(20).shuffle(5, seed=1),
    "elements of unknown number": lambda: Dataset.from_generator(lambda: iter(range(20))).shuffle(5, seed=1),
    "mapped": lambda: numbers(20).map(lambda x: x + 1).shuffle(7, seed=1).map(lambda x: x - 1),
    "batches of rows": lambda: Dataset.from_tensor_slices(np.arange(20)).shuffle(6, seed=1).batch(3).unbatch(),
    "twice": lambda: numbers(20).shuffle(5, seed=1).shuffle(5, seed=2),
    "repeated": lambda: numbers(10).shuffle(4, seed=1).repeat(2),
    "repeated rows": lambda: Dataset.from_tensor_slices(np.arange(10)).shuffle(4, seed=1).repeat(2),
    "repeated, unknown number": lambda: numbers(20).shuffle(9, seed=1).filter(lambda x: x < 10).repeat(2),
    "parts": lambda: numbers(40).shuffle(9, seed=1).filter(lambda x: x < 20),
    "concatenated": lambda: numbers(9).shuffle(3, seed=1).concatenate(numbers(9, 20).shuffle(3, seed=1)),
    "concatenated, unknown number": lambda: numbers(20).shuffle(30, seed=1).filter(lambda x: x < 9).concatenate(
        numbers(9, 20).shuffle(3, seed=1)),
    "flat": lambda: numbers(4).shuffle(4, seed=3).flat_map(lambda i: numbers(i * 5, i * 5 + 5).shuffle(3, seed=1)),
    "by turns": lambda: numbers(4).interleave(lambda i: numbers(i * 5, i * 5 + 5).shuffle(3, seed=1), 3, 2),
    "prefetched": lambda: numbers(20).shuffle(5, seed=1).prefetch(3),
    "taken and skipped": lambda: numbers(30).take(25).skip(5).map(lambda x: x - 5).shuffle(8, seed=1),
}


@pytest.mark.parametrize("name", SHUFFLED)
def test_shuffling_loses_nothing_and_every_pass_has_an_order_of_its_own(name):
    dataset = SHUFFLED[name]()
    passes = [plain(dataset.to_array()) for _ in range(3)]

    once = sorted(passes[0])
    assert once == (sorted([*range(10)] * 2) if "repeated" in name else list(range(20)))
    assert all(sorted(p) == once for p in passes)
    assert passes[0] != passes[1] != passes[2]


@pytest.mark.parametrize("name", SHUFFLED)
def test_passes_are_the_same_in_another_program(name):
    dataset, again = SHUFFLED[name](), SHUFFLED[name]()

    assert [plain(dataset.to_array()) for _ in range(3)] == [plain(again.to_array()) for _ in range(3)]


@pytest.mark.parametrize("name", SHUFFLED)
def test_shuffled_passes_go_on_from_any_element(name):
    for number in range(2):
        whole = plain(list(SHUFFLED[name]().node.iterate((number,))))
        for start in range(len(whole) + 1):
            assert plain(list(SHUFFLED[name]().node.iterate((number,), start))) == whole[start:]


def test_rounds_of_repeat_shuffle_anew():
    found = plain(numbers(10).shuffle(10, seed=1).repeat(2).to_array())

    assert sorted(found[:10]) == sorted(found[10:]) and found[:10] != found[10:]


@pytest.mark.parametrize("source", [numbers(12), Dataset.from_tensor_slices(np.arange(12))])
@pytest.mark.parametrize("size", [3, 12])
def test_passes_can_be_all_the_same(source, size):
    dataset = source.shuffle(size, seed=1, reshuffle_each_iteration=False)

    assert plain(dataset.to_array()) == plain(dataset.to_array()) != plain(source.to_array())


def test_an_element_comes_at_most_a_buffer_early():
    found = plain(numbers(1000).shuffle(10, seed=1).to_array())

    assert max(value - place for place, value in enumerate(found)) <= 9
    assert max(place - value for place, value in enumerate(found)) > 9


def test_a_buffer_for_all_gives_every_order_equally_often():
    dataset = numbers(3).shuffle(3, seed=0)
    orders = [tuple(plain(dataset.to_array())) for _ in range(1200)]

    counts = [orders.count(order) for order in itertools.permutations(range(3))]
    assert sum(counts) == 1200 and min(counts) > 150 and max(counts) < 250


def test_shuffling_without_a_seed_is_fixed_by_the_global_one():
    sg.random.set_seed(5)
    first = plain(numbers(20).shuffle(20).to_array())
    sg.random.set_seed(5)

    assert plain(numbers(20).shuffle(20).to_array()) == first != plain(numbers(20).shuffle(20).to_array())


def test_a_seed_makes_another_order():
    assert plain(numbers(20).shuffle(20, seed=1).to_array()) != plain(numbers(20).shuffle(20, seed=2).to_array())


def test_methods_leave_the_dataset_as_it_was():
    dataset = numbers(3)
    dataset.map(lambda x: x + 1).skip(1)

    assert plain(dataset.to_array()) == [0, 1, 2]


def test_nothing_is_called_before_elements_are_asked_for():
    calls = []
    dataset = numbers(3).map(calls.append)
    assert calls == []

    next(iter(dataset))
    assert len(calls) == 1


def test_cached_elements_are_computed_once():
    calls = []
    dataset = numbers(3).map(lambda x: calls.append(1) or x).cache()
    next(iter(dataset))

    assert [plain(dataset.to_array()) for _ in range(3)] == [[0, 1, 2]] * 3
    assert len(calls) == 4


def test_what_is_shuffled_before_the_cache_stays_in_order_and_after_it_does_not():
    before, after = numbers(9).shuffle(9, seed=1).cache(), numbers(9).cache().shuffle(9, seed=1)

    assert plain(before.to_array()) == plain(before.to_array())
    assert plain(after.to_array()) != plain(after.to_array())


def test_resuming_a_map_calls_no_function_for_what_came_before():
    calls = []
    node = numbers(10).map(lambda x: calls.append(int(x)) or x).batch(2).node

    list(node.iterate((0,), 3))

    assert calls == [6, 7, 8, 9]


def test_functions_and_loops_get_tensors_that_are_no_views_of_the_data():
    data = np.zeros((2, 2), np.float32)
    seen = []
    Dataset.from_tensor_slices(data).map(seen.append).to_array()
    first, batch = next(iter(Dataset.from_tensor_slices(data))), next(iter(Dataset.from_tensor_slices(data).batch(2)))

    data[:] = 1

    assert all(isinstance(x, sg.Tensor) and not x.numpy().any() for x in [*seen, first, batch])


def test_numpy_iterators_give_arrays():
    assert [type(x) for x in numbers(1).as_numpy_iterator()] == [np.int64]
    (x, y), = Dataset.from_tensors((np.ones(2), "a")).as_numpy_iterator()
    assert isinstance(x, np.ndarray) and y == "a"


def test_dtypes_stay():
    for dtype in (np.float64, np.float16, np.uint8, bool, ">f4"):
        (x,) = Dataset.from_tensor_slices(np.ones(1, dtype)).batch(1)
        assert x.dtype == np.dtype(dtype).newbyteorder("=").name


@pytest.mark.parametrize(("elements", "dtype", "wanted"), [
    ([[1, 2], [1.5, 2]], "float32", [[1, 2], [1.5, 2]]), ([np.array(1, np.int8), 2.5], "float32", [1, 2.5]),
    ([np.array([1.5]), np.array([True])], "float64", [[1.5], [1]]), ([np.uint8([200]), np.int8([-1])], "int16",
                                                                    [[200], [-1]]),
    ([np.array(["a"]), np.array(["bcd"])], "string", [["a"], ["bcd"]])])
@pytest.mark.parametrize("method", ["batch", "padded_batch"])
def test_a_batch_has_the_dtype_that_holds_all_its_elements(method, elements, dtype, wanted):
    (batch,) = getattr(Dataset.array(elements), method)(2)
    assert (batch.dtype, batch.tolist()) == (dtype, wanted)


AB = [{"a": [1], "b": [2]}, {"b": [3, 3], "a": [4]}]


@pytest.mark.parametrize(("make", "wanted"), [
    (lambda: Dataset.array([{"a": 1, "b": 2}, {"b": 3, "a": 4}]).batch(2), [{"a": [1, 4], "b": [2, 3]}]),
    (lambda: Dataset.array(AB).padded_batch(2, {"b": [3], "a": [1]}, {"b": 9, "a": 8}),
     [{"a": [[1], [4]], "b": [[2, 9, 9], [3, 3, 9]]}]),
    (lambda: Dataset.array([{"a": 1, "b": 2}, {"b": 3, "a": 4}]).window(2), [{"a": [1, 4], "b": [2, 3]}]),
    (lambda: Dataset.from_generator(lambda: iter([{"a": 1, "b": 2}]), output_signature={"b": "float32", "a": "int8"}),
     [{"a": 1, "b": 2.0}])], ids=["batch", "padded_batch", "window", "output_signature"])
def test_dicts_are_put_together_by_their_keys(make, wanted):
    assert plain(make().to_array()) == wanted


def test_words_are_padded_with_empty_ones():
    (batch,) = Dataset.array([np.array(["a"]), np.array(["b", "c"])]).padded_batch(2)
    assert batch.tolist() == [["a", ""], ["b", "c"]]


@pytest.mark.parametrize("method", ["batch", "padded_batch"])
def test_numbers_and_words_make_no_batch(method):
    with pytest.raises(DtypeError, match="array 0 of the elements cannot be batched: int64 and string have no common"):
        getattr(Dataset.array([np.array([1]), np.array(["a"])]), method)(2).to_array()


def test_for_each_calls_the_function_with_every_element():
    seen = []
    Dataset.zip(numbers(2), numbers(5, 7)).for_each(lambda a, b: seen.append(int(a * b)))

    assert seen == [0, 6]


def test_reduce_folds_the_elements():
    total, count = Dataset.range(5).reduce((np.int64(0), np.int64(0)), lambda s, x: (s[0] + x, s[1] + 1))

    assert (int(total), int(count)) == (10, 5)


SPECS = {
    "rows": (lambda: Dataset.from_tensor_slices((np.ones((2, 3)), ["a", "b"])),
             (TensorType("float64", (3,)), TensorType("string", ()))),
    "batches": (lambda: numbers(3).batch(2), TensorType("int64", (None,))),
    "full batches": (lambda: numbers(3).batch(2, True), TensorType("int64", (2,))),
    "mapped": (lambda: numbers(3).map(lambda x: {"a": sg.cast(x, "float32")}), {"a": TensorType("float32", ())}),
    "shuffled": (lambda: numbers(3).shuffle(3, seed=1).repeat().take(3).prefetch(1), TensorType("int64", ())),
    "numbered": (lambda: numbers(3).enumerate(), (TensorType("int64", ()), TensorType("int64", ()))),
    "padded": (lambda: Dataset.array([[1.0], [1.0, 2.0]]).padded_batch(2), TensorType("float32", (None, None))),
    "padded to a size": (lambda: Dataset.array([([1.0], 2)]).padded_batch(2, ([4], [])),
                         (TensorType("float32", (None, 4)), TensorType("int32", (None,)))),
    "unbatched": (lambda: Dataset.from_tensors(np.ones((2, 3))).unbatch(), TensorType("float64", (3,))),
    "empty": (lambda: Dataset.array([]), None),
}


@pytest.mark.parametrize("name", SPECS)
def test_the_types_of_elements_are_known(name):
    make, expected = SPECS[name]

    assert make().element_spec == expected


def test_lengths_are_told():
    unknown, endless = numbers(3).filter(lambda x: True), numbers(3).repeat()

    assert len(numbers(3)) == 3 and numbers(3).size == 3
    assert (unknown.cardinality(), unknown.size) == (sg.data.UNKNOWN, None)
    assert (endless.cardinality(), endless.size) == (sg.data.INFINITE, float("inf"))
    assert bool(numbers(0))
    for dataset, message in ((unknown, "not known"), (endless, "no end")):
        with pytest.raises(TypeError, match=message):
            len(dataset)


def test_output_signature_says_the_dtypes():
    dataset = Dataset.from_generator(lambda: iter([(1, [2, 3])]), output_signature=("float32", np.int64))

    assert dataset.element_spec == (TensorType("float32", ()), TensorType("int64", (2,)))


ERRORS = {
    "other shapes in a batch": (lambda: Dataset.array([[1], [1, 2]]).batch(2), ShapeError,
                                r"array 0 of the elements cannot be batched: .* \(1,\), element 1 \(2,\); padded"),
    "other nestings in a batch": (lambda: Dataset.array([(1, 2), (1,)]).batch(2), TrainingError, "element 1 of the"),
    "objects in a batch": (lambda: Dataset.array([object()]).batch(1), TrainingError, "of type object, no numbers"),
    "map is no flat_map": (lambda: numbers(2).flat_map(lambda x: x), TrainingError, "returned Tensor, where a sg.data"),
    "a generator that was called": (lambda: Dataset.from_generator(iter([])), TrainingError, "without calling it"),
    "rows of other numbers": (lambda: Dataset.from_tensor_slices(([1, 2], [1, 2, 3])), TrainingError,
                              r"tensors\[0\]: 2, tensors\[1\]: 3"),
    "a row": (lambda: Dataset.from_tensor_slices(3.0), ShapeError, "tensors is a single number"),
    "batch size": (lambda: numbers(2).batch(0), TrainingError, r"batch\(batch_size\) is a whole number of at least 1"),
    "buffer size": (lambda: numbers(2).shuffle("all"), TrainingError, r"shuffle\(buffer_size\)"),
    "shard": (lambda: numbers(2).shard(2, 2), TrainingError, r"shard\(index\) is below num_shards=2, got 2"),
    "a file to cache in": (lambda: numbers(2).cache("file"), TrainingError, "not in files"),
    "no function": (lambda: numbers(2).map(3), TrainingError, "map takes a function, got int"),
    "no dataset to add": (lambda: numbers(2).concatenate([1]), TrainingError, "concatenate takes another dataset"),
    "no datasets to zip": (lambda: Dataset.zip(numbers(2), [1]), TrainingError, "zip takes datasets, got int"),
    "nothing to zip": (lambda: Dataset.zip(), TrainingError, "at least one dataset"),
    "signature": (lambda: Dataset.from_generator(lambda: iter([(1, 2)]), "float32"), TrainingError, "output_signature"),
    "signature of strings": (lambda: Dataset.from_generator(lambda: iter(["a"]), "float32"), DtypeError, "'a', where"),
    "too long to pad": (lambda: Dataset.array([[1, 2, 3]]).padded_batch(1, [2]), ShapeError, "larger than the"),
    "ranks to pad": (lambda: Dataset.array([[1, 2]]).padded_batch(1, [2, 2]), ShapeError, "dimensions"),
    "shapes to pad": (lambda: Dataset.array([[1, 2]]).padded_batch(1, ([2], [2])), ShapeError, "2 shapes or values"),
    "nothing to unbatch": (lambda: numbers(2).unbatch(), ShapeError, "unbatch needs arrays with one number of rows"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_mistakes_are_explained(case):
    make, kind, message = ERRORS[case]

    with pytest.raises(kind, match=message):
        make().to_array()


def test_batches_of_single_samples_are_asked_for():
    dataset = Dataset.from_tensor_slices((np.ones((4, 3)), np.ones(4)))

    model = sg.Sequential([sg.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ShapeError, match=r"batch 0 of the dataset: y is a single number, 1.0; .*dataset.batch"):
        model.fit(dataset, verbose=0)


def test_a_model_learns_from_a_dataset():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3)).astype(np.float32)
    dataset = Dataset.from_tensor_slices((x, x @ [1.0, -2.0, 0.5])).shuffle(50, seed=1).batch(20)
    model = sg.Sequential([sg.layers.Dense(1)])
    model.compile(sg.optimizers.SGD(0.1), "mse")

    history = model.fit(dataset, epochs=8, verbose=0).history["loss"]

    assert history[-1] < history[0] / 50


def test_a_series_of_pandas_gives_numbers():
    class Series:
        to_frame = None

        def to_numpy(self):
            return np.arange(2)

    assert Dataset.from_tensor_slices(Series()).element_spec == TensorType("int64", ())


SOURCES = [
    numbers(13), Dataset.from_tensor_slices(np.arange(13)), Dataset.array(list(range(13))),
    Dataset.from_generator(lambda: iter(range(13))),
]
STAGES = [
    lambda d: d.shuffle(4, seed=1), lambda d: d.shuffle(40, seed=2), lambda d: d.repeat(2), lambda d: d.skip(2),
    lambda d: d.take(9), lambda d: d.shard(2, 1), lambda d: d.batch(3).unbatch(), lambda d: d.batch(2, True).unbatch(),
    lambda d: d.map(lambda x: x + 1), lambda d: d.filter(lambda x: x % 3 != 0), lambda d: d.concatenate(numbers(4)),
    lambda d: d.cache(), lambda d: d.prefetch(2), lambda d: Dataset.zip(d, d).map(lambda x, y: x + y),
    lambda d: d.flat_map(lambda x: numbers(x % 3)), lambda d: d.window(3, 2).flat_map(lambda w: w),
    lambda d: d.interleave(lambda x: numbers(x % 4).shuffle(3, seed=3), 3, 2), lambda d: d.take_while(lambda x: x < 12),
    lambda d: d.enumerate().map(lambda i, x: i + x), lambda d: d.repeat().take(17),
    lambda d: d.batch(4).shuffle(2, 5).unbatch(),
]


@settings(max_examples=150)
@given(st.sampled_from(SOURCES), st.lists(st.sampled_from(STAGES), max_size=4), st.integers(0, 2), st.integers(0, 30))
def test_any_pipeline_goes_on_as_if_it_had_not_stopped(source, stages, number, start):
    def made():
        dataset = source
        for stage in stages:
            dataset = stage(dataset)
        return dataset.node

    whole = plain(list(made().iterate((number,))))

    assert plain(list(made().iterate((number,), start))) == whole[start:]
    if whole:  # nothing, repeated without end, is nothing
        assert made().count() in (len(whole), sg.data.UNKNOWN)
