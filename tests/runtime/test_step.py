"""Compiled steps: what they give, where variables live meanwhile, and what stays when a run fails."""

import gc
import weakref

import numpy as np
import pytest

import symgraph as sg
from symgraph import Graph
from symgraph.core.apply import apply_op
from symgraph.core.errors import DisposedError, DtypeError, RunError, ShapeError, UnsupportedOpError
from symgraph.core.snapshots import snapshot, steady
from symgraph.runtime.devices import Device
from symgraph.runtime.state import ALIGNMENT, State
from symgraph.runtime.step import Step

CPU = Device("CPU", 0)


def variable(value, name="v", **options):
    return sg.Variable(np.float32(value), name=name, **options)


def adding(v, shape=(2,), state=None, **options):
    """A step that adds its input to `v` and gives twice the old value."""
    x = sg.Input(batch_shape=shape, name="x")
    with sg.core.scope.tracing():
        results, following = v * 2.0, v + x
    return Step(Graph([x], [results, following]), state or State([v], CPU), **options)


def ones(*shape):
    return np.ones(shape, np.float32)


def test_a_run_gives_results_and_changes_the_variables():
    v = variable([1.0, 2.0])
    step = adding(v)
    step.run([ones(2)])
    first = step.results()
    step.run([2 * ones(2)])

    assert [first[0].tolist(), step.results()[0].tolist()] == [[2, 4], [4, 6]]
    assert v.numpy().tolist() == [4, 5]


def test_inputs_of_known_shape_are_filled_beforehand():
    v = variable([0.0, 0.0])
    step = adding(v)
    step.inputs[0][:] = [3, 4]
    step.run()
    step.run()

    assert v.numpy().tolist() == [6, 8]
    assert step.inputs[0].ctypes.data % ALIGNMENT == 0


def test_inputs_of_open_shape_are_given_with_each_run():
    v = variable(0.0)
    x = sg.Input((2,), name="x")
    with sg.core.scope.tracing():
        step = Step(Graph([x], [x * v, v + sg.sum(x)]), State([v], CPU))

    for rows in (1, 3):
        step.run([ones(rows, 2)])
        assert step.results()[0].shape == (rows, 2)
    assert step.inputs == [None] and float(v) == 8.0


def test_what_was_read_is_not_changed_by_later_runs():
    v = variable([1.0, 1.0])
    step = adding(v)
    step.run([ones(2)])
    kept, value, result = v.numpy(), v.value, step.results()[0]
    step.run([ones(2)])

    assert kept.tolist() == [2, 2] and value.numpy().tolist() == [2, 2] and result.tolist() == [2, 2]
    with pytest.raises(ValueError, match="read-only"):
        kept[0] = 5


def test_every_run_is_a_new_version():
    v = variable([1.0, 1.0])
    step = adding(v)
    seen = [v.version]
    for _ in range(3):
        step.run([ones(2)])
        seen.append(v.version)
    v.assign(ones(2))
    seen.append(v.version)
    step.run([ones(2)])
    seen.append(v.version)

    assert seen == sorted(set(seen))


def test_a_value_assigned_between_runs_is_the_one_of_the_next():
    v = variable([1.0, 1.0])
    step = adding(v)
    step.run([ones(2)])
    v.assign([10.0, 20.0])

    assert v.numpy().tolist() == [10, 20] and v.home is None
    step.run([ones(2)])
    assert v.numpy().tolist() == [11, 21] and v.home is step.state


def test_a_part_assigned_between_runs_leaves_the_rest():
    v = variable([1.0, 1.0])
    step = adding(v)
    step.run([ones(2)])
    v[0].assign(7.0)
    step.run([ones(2)])

    assert v.numpy().tolist() == [8, 3]


def test_variables_that_are_only_read_are_read_when_they_change():
    v, scale = variable([1.0, 1.0]), variable(2.0, "scale")
    x = sg.Input(batch_shape=(2,), name="x")
    with sg.core.scope.tracing():
        step = Step(Graph([x], [x * scale, v + x * scale]), State([v], CPU))
    step.run([ones(2)])
    scale.assign(5.0)
    step.run([ones(2)])

    assert step.results()[0].tolist() == [5, 5] and v.numpy().tolist() == [8, 8] and scale.home is None


def test_two_steps_take_turns_with_a_variable():
    v = variable([1.0, 1.0])
    one, other = adding(v), adding(v)
    for _ in range(3):
        one.run([ones(2)])
        assert v.home is one.state
        other.run([10 * ones(2)])
        assert v.home is other.state

    assert v.numpy().tolist() == [34, 34]


def test_a_step_reads_what_another_changes():
    v, total = variable([1.0, 1.0]), variable(0.0, "total")
    changing = adding(v)
    x = sg.Input(batch_shape=(1,), name="x")
    with sg.core.scope.tracing():
        reading = Step(Graph([x], [v * x, total + sg.sum(v)]), State([total], CPU))
    for _ in range(3):
        changing.run([ones(2)])
        reading.run([ones(1)])
        assert reading.results()[0].tolist() == v.numpy().tolist() and v.home is changing.state

    assert float(total) == 2 * (2 + 3 + 4)


def test_steps_of_several_sizes_share_a_state():
    v = variable([1.0, 1.0])
    small = adding(v)
    x = sg.Input(batch_shape=(3, 2), name="x")
    with sg.core.scope.tracing():
        large = Step(Graph([x], [sg.sum(x), v + sg.sum(x, axis=0)]), small.state)
    small.run([ones(2)])
    large.run([ones(3, 2)])
    small.run([ones(2)])

    assert v.numpy().tolist() == [6, 6] and v.home is small.state


def failing():
    v, x = variable([1.0, 1.0]), sg.Input(batch_shape=(2,), dtype="int64", name="x")
    with sg.core.scope.tracing():
        picked = sg.take(sg.tensor([0.0, 1.0, 2.0]), x)
        step = Step(Graph([x], [picked, v + picked]), State([v], CPU))
    return v, step


def test_a_run_that_fails_leaves_the_variables_and_the_next_goes_on():
    v, step = failing()
    step.run([np.int64([1, 1])])
    version = v.version
    with pytest.raises(RunError, match=r"Gather.*test_step\.py"):
        step.run([np.int64([1, 9])])

    assert v.numpy().tolist() == [2, 2] and v.version == version
    step.run([np.int64([2, 2])])
    assert v.numpy().tolist() == [4, 4]


def test_the_value_before_the_last_run_is_kept():
    v = variable([1.0, 1.0])
    step = adding(v)
    step.run([ones(2)])
    step.run([ones(2)])

    assert step.state.before(v).tolist() == [2, 2] and v.numpy().tolist() == [3, 3]


@pytest.mark.parametrize(("feed", "kind", "message"), [
    (np.ones(3, np.float32), ShapeError, r"input 'x': got float32\[3\], expected float32\[2\]"),
    (np.ones(2, np.int32), DtypeError, r"input 'x': got int32\[2\], expected float32\[2\]"),
    (None, DtypeError, "None")])
def test_feeds_that_do_not_fit_are_named_and_nothing_runs(feed, kind, message):
    v = variable([1.0, 1.0])
    step = adding(v)
    step.run([ones(2)])

    with pytest.raises(kind, match=message):
        step.run([feed])
    assert v.numpy().tolist() == [2, 2]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int64", "uint8", "bool"])
def test_variables_of_any_plain_dtype_live_in_a_step(dtype):
    v = sg.Variable([0, 1], dtype=dtype)
    x = sg.Input(batch_shape=(2,), dtype=dtype, name="x")
    with sg.core.scope.tracing():
        following = sg.logical_not(v) if dtype == "bool" else sg.cast(
            sg.cast(v, "float32") + sg.cast(x, "float32"), dtype)
        step = Step(Graph([x], [sg.cast(x, "float32"), following]), State([v], CPU))
    step.run([np.array([1, 1]).astype(v.numpy().dtype)])

    assert v.numpy().astype("float32").tolist() == [1, 0 if dtype == "bool" else 2]
    assert v.dtype == dtype and v.nbytes == 2 * v.numpy().dtype.itemsize


def test_variables_that_no_step_can_hold_are_named():
    v = sg.Variable(np.array(["a"]), trainable=False, name="words")

    with pytest.raises(UnsupportedOpError, match="variable 'words' of dtype string cannot be assigned"):
        State([v], CPU)


def test_operators_without_a_kernel_are_named():
    x = sg.Input(batch_shape=(1, 1, 4, 4), dtype="float64", name="x")

    with pytest.raises(UnsupportedOpError, match=r"no kernel for GlobalAveragePool\(float64\); cast to another"):
        Step(Graph([x], [apply_op("GlobalAveragePool", x)]), State([], CPU))


def test_a_disposed_variable_is_an_error_of_the_next_run():
    v = variable([1.0, 1.0])
    step = adding(v)
    step.run([ones(2)])
    v.dispose()

    with pytest.raises(DisposedError, match="'v'"):
        step.run([ones(2)])


def test_memory_is_counted_once_wherever_a_variable_lives():
    before = sg.memory()
    v = variable(np.ones(1000))
    step = adding(v, (1000,))
    inside = sg.memory()
    step.run([ones(1000)])
    v.assign(ones(1000))
    step.run([ones(1000)])
    assert sg.memory() == inside != before
    del v, step
    gc.collect()

    assert sg.memory() == before


def test_a_state_goes_with_its_steps_and_variables():
    v = variable([1.0, 1.0])
    step = adding(v)
    step.run([ones(2)])
    gone = weakref.ref(step.state)
    v.assign(ones(2))
    del step
    gc.collect()

    assert gone() is None and v.numpy().tolist() == [1, 1]


def test_a_snapshot_has_the_values_of_variables_wherever_they_live():
    inside, outside = variable([1.0, 1.0]), variable(5.0, "outside")
    step = adding(inside)
    step.run([ones(2)])

    assert [x.tolist() for x in snapshot([inside, outside])] == [[2, 2], 5.0]
    with steady([inside, outside]):
        assert inside.numpy().tolist() == [2, 2]
    step.run([ones(2)])
    assert inside.numpy().tolist() == [3, 3]
