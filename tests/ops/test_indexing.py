"""`x[key]`: whatever NumPy makes of a key, values and symbols make of it."""

import numpy as np
import pytest

from symgraph.core.apply import symbol
from symgraph.core.errors import ShapeError, SymgraphError
from symgraph.core.graph import Graph
from symgraph.core.memory import memory, tidy
from symgraph.core.value import tensor
from symgraph.core.variable import Variable
from symgraph.ops import getitem
from symgraph.runtime import evaluate

SHAPES = ((4,), (3, 4), (2, 3, 4), (3, 2, 4, 3))
STEPS = (None, 1, 2, -1, -2, 3, -3)


def random_slice(rng, size):
    start, stop = (None if rng.random() < 0.4 else int(rng.integers(-size - 2, size + 3)) for _ in range(2))
    return slice(start, stop, STEPS[rng.integers(len(STEPS))])


def random_mask(rng, shape):
    """A mask with three true elements, so that it broadcasts with index arrays of three."""
    mask = np.zeros(shape, bool)
    mask.flat[rng.choice(mask.size, 3, replace=False)] = True
    return mask


def random_key(rng, shape):
    key, axis = [], 0
    while axis < len(shape) and (kind := rng.integers(9)) < 8:
        size = shape[axis]
        if kind == 0:
            key.append(int(rng.integers(-size, size)))
        elif kind <= 3:
            key.append(random_slice(rng, size))
        elif kind == 4:
            key.append(None)
            continue
        elif kind == 5:
            if ... not in [k for k in key if not isinstance(k, np.ndarray)]:
                key.append(...)
                axis += int(rng.integers(len(shape) - axis + 1))
            continue
        elif kind == 6:
            key.append(rng.integers(-size, size, ((3,), (1,), (2, 3), (2, 1))[rng.integers(4)]))
        else:
            width = int(rng.integers(1, min(2, len(shape) - axis) + 1))
            if np.prod(shape[axis:axis + width]) < 3:
                continue
            key.append(random_mask(rng, shape[axis:axis + width]))
            axis += width - 1
        axis += 1
    return tuple(key)


def case(seed):
    """An array, a key that fits it, and what NumPy gives; keys that NumPy refuses are passed over."""
    rng = np.random.default_rng(seed)
    while True:
        shape = SHAPES[rng.integers(len(SHAPES))]
        x, key = rng.normal(size=shape).astype(np.float32), random_key(rng, shape)
        try:
            return rng, x, key, x[key]
        except IndexError:
            continue


@pytest.mark.parametrize("seed", range(400))
def test_values_are_indexed_as_in_numpy(seed):
    _, x, key, expected = case(seed)
    found = getitem(x, key).numpy()
    np.testing.assert_array_equal(found, expected, str(key))


@pytest.mark.parametrize("is_open", [False, True], ids=["known", "open"])
@pytest.mark.parametrize("seed", range(400))
def test_symbols_are_indexed_as_in_numpy(seed, is_open):
    rng, x, key, expected = case(seed)
    inputs, values, parts = [symbol((None,) * x.ndim if is_open else x.shape)], [x], []
    for k in key:
        if isinstance(k, np.ndarray | int) and rng.random() < 0.5:
            values.append(np.asarray(k, np.int32 if isinstance(k, int) else k.dtype))
            inputs.append(symbol(values[-1].shape, values[-1].dtype, "index"))
            parts.append(inputs[-1])
        else:
            parts.append(k)

    y = getitem(inputs[0], tuple(parts))

    assert len(y.shape) == expected.ndim
    assert all(d == n for d, n in zip(y.shape, expected.shape, strict=True) if isinstance(d, int))
    (found,) = evaluate(Graph(inputs, [y]), *values)
    np.testing.assert_array_equal(found.numpy(), expected, str(key))


@pytest.mark.parametrize("seed", range(40))
def test_symbols_as_slice_ends_are_known_when_it_runs(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(7, 5)).astype(np.float32)
    ends = [int(n) for n in rng.integers(-7, 8, 2)]
    names = [symbol((), "int64", name) for name in ("start", "stop")]
    data = symbol((None, 5))

    y = getitem(data, (slice(*names), slice(None, None, 2)))

    (found,) = evaluate(Graph([data, *names], [y]), x, *map(np.int64, ends))
    np.testing.assert_array_equal(found.numpy(), x[slice(*ends), ::2])


@pytest.mark.parametrize(("key", "expected"), [
    (np.s_[:, 2], ["Gather"]), (np.s_[1, 2], ["GatherND"]), (np.s_[:, ::-1, 1:], ["Slice"]),
    (np.s_[:, 1:, 3], ["Slice", "Squeeze"]), (np.s_[None, ..., None], ["Unsqueeze"]), (np.s_[[0, 1, 1]], ["Gather"]),
    (np.s_[:, [0, 1], [1, 2]], ["Transpose", "GatherND", "Transpose"]), (np.s_[[0, 1], [1, 2]], ["GatherND"]),
    (np.s_[:, [True, False, True]], ["Compress"]), (np.s_[...], []), (np.s_[:, :3], [])], ids=str)
def test_a_key_takes_few_nodes(key, expected):
    x = symbol((2, 3, 4))
    assert [node.op.name for node in Graph([x], [getitem(x, key)]).nodes] == expected


@pytest.mark.parametrize("key", [
    3, -4, (0, 4), np.s_[:, [0, 4]], np.s_[0, 0, 0], [-4], np.s_[..., ...], [True, False], np.ones((3, 3), bool),
    np.s_[[0, 1], [0, 1, 2]]], ids=str)
@pytest.mark.parametrize("x", [tensor(np.zeros((3, 4), np.float32)), symbol((3, 4))], ids=["value", "symbol"])
def test_a_key_known_not_to_fit_is_an_index_error(x, key):
    with pytest.raises(IndexError) as caught:
        getitem(x, key)
    assert isinstance(caught.value, ShapeError)


@pytest.mark.parametrize("key", [1.5, "a", np.float32([0, 1]), slice(None, None, 0), slice(0.5)], ids=str)
def test_a_key_of_another_kind_is_refused(key):
    with pytest.raises(SymgraphError):
        getitem(symbol((3, 4)), key)


def test_an_index_out_of_range_fails_when_it_runs():
    x, i = symbol((3,)), symbol((), "int64")
    with pytest.raises(SymgraphError):
        evaluate(Graph([x, i], [getitem(x, i)]), np.zeros(3, np.float32), np.int64(3))


def test_a_variable_is_indexed_by_its_value():
    v = Variable(np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(np.asarray(v[:, 1]), [1, 4])


def test_empty_lists_and_axes_give_empty_results():
    x = np.zeros((0, 3), np.float32)
    assert getitem(x, np.s_[::-1, 1]).shape == (0,)
    assert getitem(np.zeros((2, 3), np.float32), []).shape == (0, 3)


PLAIN_KEYS = (0, -1, (0, 1), (0, 1, ...), slice(None), slice(1, 2, 3), (1, 2, 3), (..., slice(None, None, -1)),
              (None, 1), (slice(1, None), 0), ..., (slice(5, 2),), (0, None, slice(-1, None)))


@pytest.mark.parametrize("key", PLAIN_KEYS, ids=str)
def test_a_key_that_comes_again_gives_the_same(key):
    array = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    x = tensor(array)
    for shift in range(4):
        if key == (1, 2, 3):
            assert x[key].item() == array[key] + shift
        np.testing.assert_array_equal(x[key].numpy(), array[key] + shift)
        x = x + 1.0


def test_keys_and_numbers_that_come_again_leave_no_tensors_behind():
    x, i = tensor(np.ones((3, 4), np.float32)), tensor([1, 2])
    before = memory()
    for number in range(20):
        tidy(lambda n=number: (x[:, 3:], x[1, ::2], x * 2.25, i * 119, x[n % 3]))
    assert memory() == before
    assert (x * 2.25).numpy()[0, 0] == 2.25 and x[1, ::2].shape == (2,)


def test_numbers_beside_tensors_keep_the_sign_of_zero():
    x = tensor([1.0])
    assert [str((x * zero).numpy()[0]) for zero in (0.0, -0.0, 0.0)] == ["0.0", "-0.0", "0.0"]


def test_a_key_that_does_not_fit_is_refused_every_time():
    for _ in range(3):
        with pytest.raises(IndexError, match="out of range"):
            tensor([1, 2])[2]
