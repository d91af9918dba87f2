import copy
import pickle

import numpy as np
import pytest

import symgraph as sg
from symgraph.core.errors import DisposedError, DtypeError, ShapeError


@pytest.mark.parametrize(("values", "dtype"), [
    ([1, 2], "int32"), ([1.0, 2], "float32"), ([True], "bool"), ([2**40], "int64"), (["a"], "string"),
    (np.float64([1]), "float64"), (np.arange(2, dtype=">i2"), "int16"), ([1j], "complex64"), ([], "float32"),
    (np.float16(1), "float16")])
def test_the_dtype_follows_the_values(values, dtype):
    assert sg.tensor(values).dtype == dtype


def test_a_tensor_does_not_change_with_the_array_it_was_made_of():
    array = np.ones(3, np.float32)
    x = sg.tensor(array)
    array[:] = 7

    assert x.tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="read-only"):
        x.numpy()[0] = 2


@pytest.mark.parametrize("values", [[[1, 2], [3]], [object()], {"a": 1}, [None]])
def test_what_is_no_tensor_is_refused(values):
    with pytest.raises((ShapeError, DtypeError), match="tensor"):
        sg.tensor(values)


def test_other_libraries_read_tensors_without_knowing_them():
    x = sg.tensor([[1.5, 2.5]])

    np.testing.assert_array_equal(np.from_dlpack(x), [[1.5, 2.5]])
    np.testing.assert_array_equal(np.asarray(x), [[1.5, 2.5]])
    assert f"{sg.tensor(2.5):.2f}" == "2.50"
    assert [10, 20, 30][sg.tensor(1)] == 20
    assert (float(sg.tensor(2.5)), int(sg.tensor(3)), bool(sg.tensor([0]))) == (2.5, 3, False)


def test_a_tensor_survives_pickle_and_copy():
    x = sg.tensor([[1.5, 2.5]])

    assert pickle.loads(pickle.dumps(x)).tolist() == x.tolist()
    assert copy.deepcopy(x) is x


def test_a_disposed_tensor_says_so():
    x = sg.tensor([1.0])
    x.dispose()
    x.dispose()

    assert x.is_disposed and "disposed" in repr(x)
    with pytest.raises(DisposedError, match="dispose"):
        _ = x + 1


def test_forgotten_tensors_are_not_counted():
    before = sg.memory()
    x = sg.tensor(np.zeros(10, np.float32))

    assert sg.memory().num_bytes == before.num_bytes + 40
    del x
    assert sg.memory() == before


def test_tidy_returns_nested_structures_and_keeps_what_is_kept():
    kept = []

    result = sg.tidy(lambda: {"a": [sg.tensor([1.0])], "b": kept.append(sg.keep(sg.tensor([2.0])))})

    assert result["a"][0].tolist() == [1.0]
    assert kept[0].tolist() == [2.0]


def test_an_inner_tidy_hands_its_result_to_the_outer_one():
    inner = []
    sg.tidy(lambda: inner.append(sg.tidy(lambda: sg.tensor([1.0]))))

    assert inner[0].is_disposed


def test_tidy_frees_when_the_function_fails():
    made = []

    def fail():
        made.append(sg.tensor([1.0]))
        raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        sg.tidy("named", fail)
    assert made[0].is_disposed


def test_a_variable_hands_out_values_that_stay():
    v = sg.Variable([1.0, 2.0])
    before = v.numpy()
    v.assign_add([1.0, 1.0])

    assert before.tolist() == [1.0, 2.0]
    assert v.numpy().tolist() == [2.0, 3.0]


@pytest.mark.parametrize(("value", "error"), [([1.0], ShapeError), ([1.5, 2.5], DtypeError)])
def test_a_variable_keeps_its_shape_and_dtype(value, error):
    v = sg.Variable(np.int32([1, 2]), name="counts")

    with pytest.raises(error, match="counts"):
        v.assign(value)
    assert v.numpy().tolist() == [1, 2]


def test_a_part_of_a_variable_is_assigned_with_broadcasting():
    v = sg.Variable(np.zeros((2, 3), np.float32))
    v[..., ::2].assign(5.0)
    v[0, 1].assign_add(1.0)

    assert v.numpy().tolist() == [[5, 1, 5], [5, 0, 5]]
    with pytest.raises(ShapeError, match="part"):
        v[0].assign([1.0, 2.0])


def test_integers_are_never_trainable():
    assert not sg.Variable([1]).trainable


def test_a_variable_made_by_an_initializer_asks_for_its_shape():
    assert sg.Variable(lambda shape, dtype: np.full(shape, 2, dtype), shape=(2,)).numpy().tolist() == [2, 2]
    with pytest.raises(ShapeError, match="shape"):
        sg.Variable(lambda shape, dtype: None)


def test_a_variable_says_how_its_parts_are_assigned():
    with pytest.raises(TypeError, match=r"\[\.\.\.\]\.assign"):
        sg.Variable([1.0])[0] = 2.0
